//! The table of keys without a form of their own. Only the name of the service near such a key
//! distinguishes it from other text.

use super::rule::Proof::Random;
use super::rule::{Anchor, SecretRule, separator, setting};

/// The value of a setting that has this name.
macro_rules! assigned {
    ($name:literal, $value:literal) => {
        concat!("(?i:", $name, ")", separator!(), "(", $value, ")")
    };
}

/// A value after the name of a service and a word such as `key`, or as the argument of a call.
macro_rules! near {
    ($service:literal, $value:literal) => {
        concat!(
            "(?i:",
            $service,
            r")(?s:.{0,100}?)(?:(?i:key|token|secret|auth|passw|credential|bearer|client|login|search|sid|sas)[A-Za-z0-9]{0,16}(?: [A-Za-z ]{1,60}? (?i:is|was))?|\()",
            separator!(),
            "(",
            $value,
            ")"
        )
    };
}

/// The keys that have a name. Of two rules that match the same text, the first one reports it.
pub(super) const NAMED: &[SecretRule] = &[
    setting(
        "aws-secret-key",
        "an AWS secret access key",
        &[
            "secret_access_key",
            "secretaccesskey",
            "secret-access-key",
            "aws_secret",
            "secretkey",
            "secret_key",
            "secret access key",
            "secret key",
        ],
        assigned!(
            "secret[ _-]?(?:access[ _-]?)?key|aws[_-]secret",
            "[A-Za-z0-9+/]{40}"
        ),
    ),
    setting(
        "datadog-key",
        "a Datadog key",
        &["dd_a", "dd-a", "ddapi", "ddapp"],
        assigned!(
            "dd[ _-]?(?:api|app|application)[ _-]?key",
            "[a-f0-9]{40}|[a-f0-9]{32}"
        ),
    ),
    setting(
        "alibaba-secret",
        "an Alibaba Cloud access key secret",
        &[
            "access_key_secret",
            "accesskeysecret",
            "access-key-secret",
            "access key secret",
        ],
        assigned!("access[ _-]?key[ _-]?secret", "[A-Za-z0-9]{30}"),
    ),
    setting(
        "twilio-key",
        "a Twilio key",
        &["\"ac", "'ac", "=ac", "-u ac", "/ac"],
        r"(?:-u |.)AC[a-f0-9]{32}(?s:[^A-Za-z0-9].{0,40}?)\b([a-f0-9]{32})",
    ),
    setting(
        "datadog-key",
        "a Datadog key",
        &["datadog"],
        near!("datadog", "[a-f0-9]{40}|[a-f0-9]{32}"),
    ),
    setting(
        "twilio-key",
        "a Twilio key",
        &["twilio"],
        near!("twilio", "(?:SK)?[a-f0-9]{32}"),
    ),
    setting(
        "mailgun-key",
        "a Mailgun key",
        &["mailgun"],
        near!(
            "mailgun",
            "[a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8}|[a-f0-9]{32}"
        ),
    ),
    setting(
        "alibaba-secret",
        "an Alibaba Cloud access key secret",
        &["alibaba", "aliyun", "alicloud", "ltai"],
        near!(
            "ali(?:baba|yun|cloud)|LTAI[A-Za-z0-9]{12,20}",
            "[A-Za-z0-9]{30}"
        ),
    ),
    setting(
        "fastly-key",
        "a Fastly API token",
        &["fastly"],
        near!("fastly", "[A-Za-z0-9_-]{32}"),
    ),
    setting(
        "azure-storage-key",
        "an Azure storage key",
        &[
            "azure",
            "storage_",
            "storageaccount",
            "storage account",
            "accountkey",
        ],
        near!("azure|storage|account", "[A-Za-z0-9+/]{86}=="),
    ),
    setting(
        "azure-api-key",
        "an Azure API key",
        &["azure", "ocp-apim-"],
        near!("azure|ocp-apim", "[a-f0-9]{32}"),
    ),
    setting(
        "snyk-token",
        "a Snyk token",
        &["snyk"],
        near!("snyk", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "confluent-secret",
        "a Confluent API secret",
        &["confluent"],
        near!("confluent", "[A-Za-z0-9+/]{64}"),
    ),
    setting(
        "cloudflare-token",
        "a Cloudflare API token",
        &["cloudflare", "cf_api", "cf-api", "x-auth-key"],
        near!(
            "cloudflare|cf.?api|x.auth",
            "[A-Za-z0-9_-]{40}|[a-f0-9]{37}"
        ),
    ),
    setting(
        "algolia-key",
        "an Algolia key",
        &["algolia"],
        near!("algolia(?:search)?", "[a-f0-9]{32}"),
    ),
    setting(
        "okta-token",
        "an Okta API token",
        &["okta"],
        near!("okta", "00[A-Za-z0-9_-]{40}"),
    ),
    setting(
        "heroku-key",
        "a Heroku API key",
        &["heroku"],
        near!("heroku", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "vault-token",
        "a HashiCorp Vault token",
        &["vault"],
        near!("vault", r"[sbr]\.[A-Za-z0-9]{24}"),
    ),
    setting(
        "telegram-token",
        "a Telegram bot token",
        &["telegram", "bot_token", "bottoken"],
        near!("telegram|bot", "[0-9]{8,10}:[A-Za-z0-9_-]{35}"),
    ),
    setting(
        "discord-token",
        "a Discord bot token",
        &["discord", "bot_token", "bottoken", "authorization: bot"],
        near!(
            "discord|bot|authorization",
            r"[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}"
        ),
    ),
    setting(
        "vercel-token",
        "a Vercel token",
        &["vercel"],
        near!("vercel", "[A-Za-z0-9]{24}"),
    ),
    setting(
        "gitea-token",
        "a Gitea token",
        &["gitea", "forgejo", "codeberg"],
        near!("gitea|forgejo|codeberg", "[a-f0-9]{40}"),
    ),
    setting(
        "github-token",
        "a GitHub token",
        &["github_token", "github_pat", "gh_token"],
        near!("github|gh_token", "[a-f0-9]{40}"),
    ),
    setting(
        "circleci-token",
        "a CircleCI token",
        &["circle"],
        near!("circle(?:ci)?", "[a-f0-9]{40}"),
    ),
    setting(
        "sonar-token",
        "a SonarQube token",
        &["sonar"],
        near!("sonar", "[a-f0-9]{40}"),
    ),
    setting(
        "jenkins-token",
        "a Jenkins API token",
        &["jenkins"],
        near!("jenkins", "11[a-f0-9]{32}"),
    ),
    setting(
        "codecov-token",
        "a Codecov token",
        &["codecov"],
        near!("codecov", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "npm-token",
        "an npm token",
        &["_authtoken"],
        near!("_auth", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "linode-token",
        "a Linode token",
        &["linode"],
        near!("linode", "[a-f0-9]{64}"),
    ),
    setting(
        "hetzner-token",
        "a Hetzner Cloud token",
        &["hetzner", "hcloud"],
        near!("hetzner|hcloud", "[A-Za-z0-9]{64}"),
    ),
    setting(
        "vultr-key",
        "a Vultr API key",
        &["vultr"],
        near!("vultr", "[A-Z0-9]{36}"),
    ),
    setting(
        "scaleway-secret",
        "a Scaleway secret key",
        &["scaleway", "scw_"],
        near!(
            "scaleway|scw",
            "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"
        ),
    ),
    setting(
        "tencent-secret",
        "a Tencent Cloud secret key",
        &["tencent"],
        near!("tencent", "[A-Za-z0-9]{32}"),
    ),
    setting(
        "ibm-key",
        "an IBM Cloud API key",
        &["ibm", "bluemix"],
        near!("ibm|bluemix", "[A-Za-z0-9_-]{44}"),
    ),
    setting(
        "netlify-token",
        "a Netlify token",
        &["netlify"],
        near!("netlify", "[A-Za-z0-9_-]{43}"),
    ),
    setting(
        "consul-token",
        "a Consul token",
        &["consul"],
        near!("consul", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "nomad-token",
        "a Nomad token",
        &["nomad"],
        near!("nomad", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "cohere-key",
        "a Cohere API key",
        &["cohere"],
        near!("cohere", "[A-Za-z0-9]{40}"),
    ),
    setting(
        "mistral-key",
        "a Mistral API key",
        &["mistral"],
        near!("mistral", "[A-Za-z0-9]{32}"),
    ),
    setting(
        "wandb-key",
        "a Weights & Biases API key",
        &["wandb"],
        near!("wandb", "[a-f0-9]{40}"),
    ),
    setting(
        "deepgram-key",
        "a Deepgram API key",
        &["deepgram"],
        near!("deepgram", "[a-f0-9]{40}"),
    ),
    setting(
        "twitch-secret",
        "a Twitch secret",
        &["twitch"],
        near!("twitch", "[a-z0-9]{30}"),
    ),
    setting(
        "spotify-secret",
        "a Spotify client secret",
        &["spotify"],
        near!("spotify", "[a-f0-9]{32}"),
    ),
    setting(
        "facebook-secret",
        "a Facebook app secret",
        &["facebook"],
        near!("facebook", "[a-f0-9]{32}"),
    ),
    setting(
        "twitter-secret",
        "a secret of X",
        &["twitter"],
        near!("twitter", "[0-9]{10,20}-[A-Za-z0-9]{40}|[A-Za-z0-9]{45,50}"),
    ),
    setting(
        "asana-token",
        "an Asana token",
        &["asana"],
        near!(
            "asana",
            "[012]/[0-9]{12,18}(?:/[0-9]{12,18})?:(?P<random>[a-f0-9]{32})"
        ),
    ),
    setting(
        "jira-token",
        "an Atlassian API token",
        &["jira", "atlassian", "confluence"],
        near!("jira|atlassian|confluence", "[A-Za-z0-9]{24}"),
    ),
    setting(
        "zendesk-token",
        "a Zendesk token",
        &["zendesk"],
        near!("zendesk", "[A-Za-z0-9]{40}"),
    ),
    setting(
        "postmark-token",
        "a Postmark token",
        &["postmark"],
        near!("postmark", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "paypal-secret",
        "a PayPal client secret",
        &["paypal"],
        near!("paypal", "E[A-Za-z0-9_-]{79}"),
    ),
    setting(
        "razorpay-secret",
        "a Razorpay secret",
        &["razorpay", "rzp_live"],
        near!("razorpay|rzp_live_[A-Za-z0-9]{14}", "[A-Za-z0-9]{24}"),
    ),
    setting(
        "pagerduty-key",
        "a PagerDuty API key",
        &["pagerduty"],
        near!("pagerduty", "[A-Za-z0-9+_-]{20}"),
    ),
    setting(
        "opsgenie-key",
        "an Opsgenie API key",
        &["opsgenie"],
        near!("opsgenie", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "splunk-token",
        "a Splunk token",
        &["splunk"],
        near!("splunk", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "newrelic-key",
        "a New Relic key",
        &["newrelic", "new_relic"],
        near!("new_?relic", "[a-f0-9]{40}"),
    ),
    setting(
        "rollbar-token",
        "a Rollbar token",
        &["rollbar_", "rollbar "],
        near!("rollbar", "[a-f0-9]{32}"),
    ),
    setting(
        "sentry-token",
        "a Sentry token",
        &["sentry"],
        near!("sentry", "[a-f0-9]{64}"),
    ),
    setting(
        "influxdb-token",
        "an InfluxDB token",
        &["influx"],
        near!("influx", "[A-Za-z0-9_-]{86}=="),
    ),
    setting(
        "auth0-secret",
        "an Auth0 client secret",
        &["auth0"],
        near!("auth0", "[A-Za-z0-9_-]{64}"),
    ),
    setting(
        "intercom-token",
        "an Intercom access token",
        &["intercom"],
        near!("intercom", "[A-Za-z0-9+/_-]{59}=|[A-Za-z0-9_]{60}"),
    ),
    setting(
        "yandex-secret",
        "a Yandex Cloud secret",
        &["yandex"],
        near!("yandex", "YC[A-Za-z0-9_-]{38}"),
    ),
    setting(
        "dropbox-secret",
        "a Dropbox token",
        &["dropbox"],
        near!(
            "dropbox",
            "[A-Za-z0-9_-]{11}AAAAAAAAAA(?P<random>[A-Za-z0-9_=-]{43})|[A-Za-z0-9_-]{64}|[a-z0-9]{15}"
        ),
    ),
    setting(
        "infura-key",
        "an Infura secret",
        &["infura"],
        near!("infura", "[a-f0-9]{32}"),
    ),
    setting(
        "azure-devops-token",
        "an Azure DevOps token",
        &[
            "azure_devops",
            "azure-devops",
            "azure devops",
            "azuredevops",
            "ado_",
            "vsts_",
        ],
        assigned!(
            r"(?:azure[ _.-]?devops|ado_|vsts_)[A-Za-z_. -]{0,40}?(?:pat|token)",
            "[a-z0-9]{52}"
        ),
    ),
    setting(
        "discord-secret",
        "a Discord client secret",
        &["discord"],
        near!("discord", "[A-Za-z0-9_-]{32}"),
    ),
    setting(
        "ngrok-token",
        "an ngrok token",
        &["ngrok"],
        near!("ngrok", "[0-9][A-Za-z0-9]{24,28}_[A-Za-z0-9]{19,23}"),
    ),
    setting(
        "plaid-secret",
        "a Plaid secret",
        &["plaid"],
        near!("plaid", "[a-f0-9]{30}"),
    ),
    setting(
        "slack-secret",
        "a Slack secret",
        &["slack"],
        near!("slack", "[a-f0-9]{32}"),
    ),
    setting(
        "travis-token",
        "a Travis CI token",
        &["travis"],
        near!("travis(?:[ _.-]?ci)?", "[A-Za-z0-9_-]{22}"),
    ),
    setting(
        "together-key",
        "a Together API key",
        &[
            "together_",
            "together.",
            "together-",
            "togetherai",
            "together ai",
        ],
        near!("together", "[a-f0-9]{64}"),
    ),
    setting(
        "cohere-key",
        "a Cohere API key",
        &["co_api_key"],
        assigned!("co_api_key", "[A-Za-z0-9]{40}"),
    ),
    setting(
        "railway-token",
        "a Railway token",
        &["railway"],
        near!("railway", "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ),
    setting(
        "contentful-token",
        "a Contentful token",
        &["contentful"],
        near!("contentful", "[A-Za-z0-9_-]{43}"),
    ),
    setting(
        "yandex-oauth-token",
        "a Yandex OAuth token",
        &["yandex", "oauth"],
        near!(
            "yandex|oauth",
            "AQAAAA[A-Za-z0-9_-]{5}(?P<random>[A-Za-z0-9_-]{28})"
        ),
    ),
    setting(
        "rails-secret",
        "a secret key of Rails",
        &["secret_key_base"],
        assigned!("secret_key_base", "[a-f0-9]{128}"),
    ),
    setting(
        "wireguard-key",
        "a WireGuard private key",
        &["wg_private", "wireguard"],
        assigned!(
            "(?:wg|wireguard)[ _.-]?private[ _.-]?key",
            "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
        ),
    ),
    setting(
        "rails-secret",
        "a secret key of Rails",
        &["rails_master_key"],
        assigned!("rails_master_key", "[a-f0-9]{32}"),
    ),
    setting(
        "mailjet-key",
        "a secret key of Mailjet",
        &["mj_apikey_private"],
        assigned!("mj_apikey_private", "[a-f0-9]{32}"),
    ),
    setting(
        "line-token",
        "a channel access token of LINE",
        &[
            "channel_access_token",
            "channelaccesstoken",
            "channel access token",
        ],
        assigned!(
            "channel[ _]?access[ _]?token",
            "[A-Za-z0-9+/]{140,200}={0,2}"
        ),
    ),
    setting(
        "ghost-key",
        "a Ghost admin key",
        &["ghost"],
        near!("ghost", "[a-f0-9]{24}:[a-f0-9]{64}"),
    ),
    setting(
        "abuseipdb-key",
        "an AbuseIPDB key",
        &["abuseipdb", "abuse_ipdb"],
        near!("abuse_?ipdb", "[a-f0-9]{80}"),
    ),
    setting(
        "secret-access-key",
        "a secret access key",
        &["secret_access_key", "secretaccesskey", "secret-access-key", "secret access key", "spaces_secret", "spaces_key"],
        assigned!("secret[ _-]?access[ _-]?key|spaces[ _-](?:secret(?:[ _-]key)?|key)", "[A-Za-z0-9_-]{43}|[a-f0-9]{64}"),
    ),
    setting(
        "ably-key",
        "an Ably API key",
        &["ably"],
        near!("ably", r"[A-Za-z0-9_-]{5,10}\.[A-Za-z0-9_-]{5,10}:[A-Za-z0-9_-]{20,50}"),
    ),
    setting(
        "beamer-key",
        "a Beamer API key",
        &["beamer"],
        assigned!("beamer(?:[ _.-]?api)?(?:[ _.-]?(?:key|token))?", "b_[A-Za-z0-9_=/+-]{40,46}"),
    ),
    setting(
        "airtable-token",
        "an Airtable API key",
        &["airtable"],
        near!("airtable", "key[A-Za-z0-9]{14}"),
    ),
    setting(
        "linkedin-secret",
        "a LinkedIn client secret",
        &["linkedin"],
        assigned!("linkedin[A-Za-z_. -]{0,24}secret", "[A-Za-z0-9]{16}"),
    ),
    setting(
        "configcat-key",
        "a ConfigCat SDK key",
        &["configcat"],
        near!("configcat", "[A-Za-z0-9_-]{22}/[A-Za-z0-9_-]{22}"),
    ),
    setting(
        "imagekit-key",
        "an ImageKit private key",
        &["imagekit"],
        near!("imagekit", "private_[A-Za-z0-9+/]{27}="),
    ),
    // Secrets of frameworks, which can have all characters.
    setting(
        "django-secret",
        "a secret key of Django",
        &["secret_key"],
        r#"(?i:secret_key)["']?(?:,[ ]?|\]?[ \t]{0,8}[=:][ \t]{0,8})[rbu]?["'](?:django-insecure-)?([a-z0-9!@#$%^&*(_=+)-]{50})["']"#,
    )
    .with(Random),
    setting(
        "wordpress-secret",
        "a key or salt of WordPress",
        &["auth_key", "logged_in_key", "nonce_key", "auth_salt", "logged_in_salt", "nonce_salt"],
        r#"(?i:(?:auth|logged_in|nonce)_(?:key|salt))(?:["'],[ \t]{1,12}|[ \t]{0,4}[=:][ \t]{0,4})["']([^"'\s\\][^"'\r\n\\]{62}[^"'\s\\])["']"#,
    )
    .with(Random),
    setting(
        "machine-key",
        "a machine key of ASP.NET",
        &["validationkey=", "decryptionkey="],
        r#"(?i:(?:validation|decryption)Key)=["']([A-Fa-f0-9]{48,128})["']"#,
    ),
    SecretRule {
        anchor: Anchor::Keyword,
        ..setting(
            "box-secret",
            "a Box client secret",
            &["box"],
            near!("box", "[A-Za-z0-9]{32}"),
        )
    },
];
