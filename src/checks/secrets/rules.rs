//! The table of formats. Each is the format that the service publishes: prefix, alphabet, length.
//!
//! Not in the table: passwords and keys without a form of their own, which look like other text;
//! identifiers that are public; and keys of test environments such as Stripe's `sk_test_`.

use super::rule::Proof::{AwsPair, Checksum, KeyText, UrlPassword, WebToken};
use super::rule::{SecretRule, inside, prefix, setting};

/// Between the name of a setting and its value: quotes, and the sign of an assignment.
macro_rules! assigned {
    ($name:literal, $value:literal) => {
        concat!(
            "(?i:",
            $name,
            r#")["'`]?[ \t]{0,4}(?::=|=>|:|=)[ \t]{0,4}["'`]?("#,
            $value,
            ")"
        )
    };
}

/// All rules. Of two rules that match the same text, the first one reports it.
pub(super) const RULES: &[SecretRule] = &[
    // Source code and packages.
    prefix(
        "github-token",
        "a GitHub token",
        &["ghp_", "gho_", "ghu_"],
        "gh[pou]_[A-Za-z0-9]{36}",
    )
    .with(Checksum),
    prefix(
        "github-app-token",
        "a GitHub app token",
        &["ghs_"],
        "ghs_(?:[A-Za-z0-9]{36}|[A-Za-z0-9_.-]{37,600})",
    ),
    prefix(
        "github-refresh-token",
        "a GitHub refresh token",
        &["ghr_"],
        "ghr_[A-Za-z0-9]{36,76}",
    ),
    prefix(
        "github-fine-grained-token",
        "a GitHub token",
        &["github_pat_"],
        "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    ),
    prefix(
        "gitlab-token",
        "a GitLab token",
        &[
            "glpat-", "gldt-", "glrt-", "glrtr-", "glft-", "glimt-", "glsoat-", "gloas-",
            "glffct-", "glwt-",
        ],
        r"gl(?:pat|dt|rtr?|ft|imt|soat|oas|ffct|wt)-(?:[A-Za-z0-9_-]{27,300}\.[0-9a-z]{2}\.[0-9a-z]{9}|[A-Za-z0-9_-]{20,64})",
    ),
    prefix(
        "gitlab-trigger-token",
        "a GitLab pipeline trigger token",
        &["glptt-"],
        "glptt-[A-Za-z0-9_-]{20,64}",
    ),
    prefix(
        "gitlab-job-token",
        "a GitLab job token",
        &["glcbt-"],
        "glcbt-[0-9a-zA-Z]{1,5}_[A-Za-z0-9_-]{20}",
    ),
    prefix(
        "gitlab-agent-token",
        "a token of a GitLab agent",
        &["glagent-"],
        "glagent-[A-Za-z0-9_-]{50,1024}",
    ),
    prefix(
        "gitlab-runner-token",
        "a GitLab runner token",
        &["gr1348941"],
        "GR1348941[A-Za-z0-9_-]{20}",
    ),
    prefix(
        "bitbucket-app-password",
        "a Bitbucket app password",
        &["atbb"],
        "ATBB[A-Za-z0-9]{24}[A-F0-9]{8}",
    ),
    prefix(
        "atlassian-token",
        "an Atlassian API token",
        &["atatt3xffgf0", "atctt3xffgn0"],
        "AT(?:ATT3xFfGF0|CTT3xFfGN0)[A-Za-z0-9_=-]{100,400}",
    ),
    prefix(
        "npm-token",
        "an npm token",
        &["npm_"],
        "npm_[A-Za-z0-9]{36}",
    ),
    prefix(
        "pypi-token",
        "a PyPI token",
        &["pypi-ageichlwas5vcmc", "pypi-agendgvzdc5wexbplm9yzw"],
        "pypi-Ag(?:EIcHlwaS5vcmc|ENdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{50,1000}",
    ),
    prefix(
        "rubygems-key",
        "a RubyGems API key",
        &["rubygems_"],
        "rubygems_[a-f0-9]{48}",
    ),
    prefix(
        "crates-io-token",
        "a crates.io token",
        &["cio"],
        "cio[A-Za-z0-9]{32}",
    ),
    prefix("nuget-key", "a NuGet API key", &["oy2"], "oy2[a-z2-7]{43}"),
    prefix(
        "clojars-token",
        "a Clojars token",
        &["clojars_"],
        "CLOJARS_[a-z0-9]{60}",
    ),
    prefix(
        "docker-token",
        "a Docker Hub token",
        &["dckr_pat_", "dckr_oat_"],
        "dckr_[po]at_[A-Za-z0-9_-]{27,40}",
    ),
    prefix(
        "artifactory-key",
        "an Artifactory API key",
        &["akcp"],
        "AKCp[A-Za-z0-9]{69,80}",
    ),
    prefix(
        "artifactory-reference-token",
        "an Artifactory reference token",
        &["cmvmdgtu"],
        "cmVmdGtu[A-Za-z0-9]{56}",
    ),
    prefix(
        "sourcegraph-token",
        "a Sourcegraph token",
        &["sgp_"],
        "sgp_(?:[a-fA-F0-9]{16}_|local_)?[a-fA-F0-9]{40}",
    ),
    prefix(
        "sonar-token",
        "a SonarQube token",
        &["sqp_", "squ_", "sqa_"],
        "sq[pua]_[a-f0-9]{40}",
    ),
    prefix(
        "circleci-token",
        "a CircleCI token",
        &["ccipat_", "cciprj_"],
        "CCIP(?:AT|RJ)_[A-Za-z0-9]{22}_[a-f0-9]{40}",
    ),
    prefix(
        "buildkite-token",
        "a Buildkite token",
        &["bkua_"],
        "bkua_[a-f0-9]{40}",
    ),
    prefix(
        "octopus-key",
        "an Octopus Deploy API key",
        &["api-"],
        "API-[A-Z0-9]{26,32}",
    ),
    prefix(
        "scalingo-token",
        "a Scalingo token",
        &["tk-us-"],
        "tk-us-[A-Za-z0-9_-]{48}",
    ),
    prefix(
        "harness-token",
        "a Harness token",
        &["pat.", "sat."],
        r"[ps]at\.[A-Za-z0-9_-]{22}\.[a-f0-9]{24}\.[A-Za-z0-9]{20}",
    ),
    // Clouds and infrastructure.
    setting(
        "aws-secret-key",
        "an AWS secret access key",
        &["aws_secret_access_key", "secretaccesskey", "aws_secret_key"],
        assigned!(
            "aws_secret_access_key|aws_secret_key|secretaccesskey",
            "[A-Za-z0-9+/]{40}"
        ),
    ),
    prefix(
        "aws-secret-key",
        "an AWS secret access key",
        &["akia", "asia"],
        "A[KS]IA[A-Z2-7]{16}",
    )
    .with(AwsPair),
    prefix(
        "aws-bedrock-key",
        "an Amazon Bedrock API key",
        &["absk"],
        "ABSK[A-Za-z0-9+/]{109,269}={0,2}",
    ),
    prefix(
        "google-chat-webhook",
        "a Google Chat webhook",
        &["chat.googleapis.com/"],
        r"chat\.googleapis\.com/v1/spaces/[A-Za-z0-9_-]{8,20}/messages\?key=([A-Za-z0-9_-]{39}&token=[A-Za-z0-9_%-]{40,60})",
    ),
    prefix(
        "google-api-key",
        "a Google API key",
        &["aiza"],
        "AIza[A-Za-z0-9_-]{35}",
    ),
    prefix(
        "google-client-secret",
        "a Google OAuth client secret",
        &["gocspx-"],
        "GOCSPX-[A-Za-z0-9_-]{28}",
    ),
    prefix(
        "google-access-token",
        "a Google OAuth access token",
        &["ya29."],
        r"ya29\.[A-Za-z0-9_-]{60,1000}",
    ),
    inside(
        "firebase-server-key",
        "a Firebase server key",
        &[":apa91b"],
        "AAAA[A-Za-z0-9_-]{7}:APA91b[A-Za-z0-9_-]{120,200}",
    ),
    setting(
        "azure-storage-key",
        "an Azure storage key",
        &["accountkey="],
        "(?i:AccountKey)=([A-Za-z0-9+/]{86}==)",
    ),
    setting(
        "azure-shared-access-key",
        "an Azure shared access key",
        &["sharedaccesskey="],
        "(?i:SharedAccessKey)=([A-Za-z0-9+/]{43}=)",
    ),
    inside(
        "azure-client-secret",
        "an Azure client secret",
        &["q~"],
        "[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
    ),
    inside(
        "azure-sas-signature",
        "an Azure SAS signature",
        &["sig="],
        r"[?&](?:sv|se|sp|sr)=[^\s]{1,400}[?&]sig=([A-Za-z0-9%+/]{43,80}(?:%3[Dd]|=))",
    ),
    inside(
        "azure-devops-token",
        "an Azure DevOps token",
        &["azdo"],
        "[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}",
    ),
    prefix(
        "digitalocean-token",
        "a DigitalOcean token",
        &["dop_v1_", "doo_v1_", "dor_v1_"],
        "do[por]_v1_[a-f0-9]{64}",
    ),
    prefix(
        "heroku-key",
        "a Heroku API key",
        &["hrku-aa"],
        "HRKU-AA[A-Za-z0-9_-]{58}",
    ),
    prefix(
        "netlify-token",
        "a Netlify token",
        &["nfp_", "nfo_", "nfc_", "nfu_", "nfb_"],
        "nf[pocub]_[A-Za-z0-9_-]{36,60}",
    ),
    prefix(
        "supabase-key",
        "a Supabase key",
        &["sbp_", "sb_secret_"],
        "sb(?:p_[a-f0-9]{40}|_secret_[A-Za-z0-9_-]{31})",
    ),
    prefix(
        "cloudflare-origin-key",
        "a Cloudflare origin CA key",
        &["v1.0-"],
        r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}",
    ),
    prefix(
        "fly-token",
        "a Fly.io token",
        &["fo1_"],
        "fo1_[A-Za-z0-9_-]{43}",
    ),
    prefix(
        "fly-macaroon",
        "a Fly.io token",
        &["fm2_", "fm1r_", "fm1a_"],
        "fm(?:2|1[ra])_[A-Za-z0-9+/]{100,2000}={0,3}",
    ),
    setting(
        "alibaba-secret",
        "an Alibaba Cloud access key secret",
        &["access_key_secret", "accesskeysecret"],
        assigned!("access_?key_?secret", "[A-Za-z0-9]{30}"),
    ),
    prefix(
        "yandex-key",
        "a Yandex Cloud API key",
        &["aqvn"],
        "AQVN[A-Za-z0-9_-]{35,38}",
    ),
    prefix(
        "vault-token",
        "a HashiCorp Vault token",
        &["hvs.", "hvb.", "hvr."],
        r"hv[sbr]\.[A-Za-z0-9_-]{24,300}",
    ),
    inside(
        "terraform-token",
        "a Terraform Cloud token",
        &[".atlasv1."],
        r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}",
    ),
    prefix(
        "pulumi-token",
        "a Pulumi token",
        &["pul-"],
        "pul-[a-f0-9]{40}",
    ),
    prefix(
        "doppler-token",
        "a Doppler token",
        &[
            "dp.pt.",
            "dp.st.",
            "dp.ct.",
            "dp.sa.",
            "dp.scim.",
            "dp.audit.",
        ],
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}",
    ),
    prefix(
        "tailscale-key",
        "a Tailscale key",
        &["tskey-"],
        "tskey-(?:api|auth|client|scim|webhook)-[A-Za-z0-9]{6,40}-[A-Za-z0-9]{20,60}",
    ),
    prefix(
        "onepassword-token",
        "a 1Password service account token",
        &["ops_eyj"],
        "ops_eyJ[A-Za-z0-9_-]{200,2000}={0,3}",
    ),
    prefix(
        "infracost-key",
        "an Infracost API key",
        &["ico-"],
        "ico-[A-Za-z0-9]{32}",
    ),
    prefix(
        "planetscale-token",
        "a PlanetScale token",
        &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"],
        r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64}",
    ),
    prefix(
        "neon-key",
        "a Neon API key",
        &["napi_"],
        "napi_[a-z0-9]{64}",
    ),
    prefix(
        "databricks-token",
        "a Databricks token",
        &["dapi"],
        "dapi[a-f0-9]{32}(?:-[0-9])?",
    ),
    prefix(
        "prefect-key",
        "a Prefect API key",
        &["pnu_"],
        "pnu_[A-Za-z0-9]{36}",
    ),
    prefix(
        "age-key",
        "an age secret key",
        &["age-secret-key-1"],
        "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    ),
    prefix(
        "age-plugin-key",
        "an age secret key",
        &["age-secret-key-pq-1"],
        "AGE-SECRET-KEY-PQ-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58,100}",
    ),
    // Models.
    prefix(
        "openai-key",
        "an OpenAI API key",
        &["sk-"],
        "sk-(?:(?:proj|svcacct|admin|None)-)?[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}",
    ),
    prefix(
        "anthropic-key",
        "an Anthropic API key",
        &["sk-ant-"],
        "sk-ant-(?:api|admin|oat|ort|sid)[0-9]{2}-[A-Za-z0-9_-]{80,120}",
    ),
    prefix(
        "openrouter-key",
        "an OpenRouter API key",
        &["sk-or-v1-"],
        "sk-or-v1-[a-f0-9]{64}",
    ),
    prefix(
        "huggingface-token",
        "a Hugging Face token",
        &["hf_", "api_org_"],
        "(?:hf|api_org)_[A-Za-z]{34}",
    ),
    prefix(
        "groq-key",
        "a Groq API key",
        &["gsk_"],
        "gsk_[A-Za-z0-9]{52}",
    ),
    prefix(
        "xai-key",
        "an xAI API key",
        &["xai-"],
        "xai-[A-Za-z0-9]{80}",
    ),
    prefix(
        "perplexity-key",
        "a Perplexity API key",
        &["pplx-"],
        "pplx-[A-Za-z0-9]{48}",
    ),
    prefix(
        "replicate-token",
        "a Replicate token",
        &["r8_"],
        "r8_[A-Za-z0-9]{37}",
    ),
    prefix(
        "langsmith-key",
        "a LangSmith API key",
        &["lsv2_"],
        "lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}",
    ),
    prefix(
        "pinecone-key",
        "a Pinecone API key",
        &["pcsk_"],
        "pcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{63}",
    ),
    // Messages.
    prefix(
        "slack-token",
        "a Slack token",
        &[
            "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxo-", "xoxc-", "xoxd-",
            "xoxe.",
        ],
        r"xox(?:e\.xox[bp]-1-[A-Za-z0-9]{100,250}|[bpars]-(?:[0-9]{8,14}-){1,3}[A-Za-z0-9-]{16,64}|[eo]-(?:[0-9]-)?[A-Za-z0-9-]{40,200}|[cd]-[A-Za-z0-9%-]{40,200})",
    ),
    prefix(
        "slack-app-token",
        "a Slack app token",
        &["xapp-"],
        "xapp-[0-9]-A[A-Z0-9]{8,12}-[0-9]{10,15}-[a-f0-9]{64}",
    ),
    prefix(
        "slack-webhook",
        "a Slack webhook",
        &["hooks.slack.com/"],
        r"hooks\.slack\.com/(?:services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/|(?:workflows|triggers)/[A-Z0-9/]{10,40}/)([A-Za-z0-9]{20,48})",
    ),
    prefix(
        "discord-webhook",
        "a Discord webhook",
        &["discord.com/api/webhooks/", "discordapp.com/api/webhooks/"],
        r"discord(?:app)?\.com/api/webhooks/[0-9]{16,20}/([A-Za-z0-9_-]{60,80})",
    ),
    inside(
        "discord-token",
        "a Discord bot token",
        &[".g"],
        r"[MNO][A-Za-z0-9_-]{22,27}\.G[A-Za-z0-9_-]{5}\.[A-Za-z0-9_-]{27,38}",
    ),
    inside(
        "telegram-token",
        "a Telegram bot token",
        &[":aa"],
        "[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    ),
    inside(
        "teams-webhook",
        "a Microsoft Teams webhook",
        &[".webhook.office.com/", "outlook.office.com/webhook"],
        r"office\.com/webhookb?2?/[a-f0-9-]{36}@[a-f0-9-]{36}/IncomingWebhook/([a-f0-9]{32}/[a-f0-9-]{36})",
    ),
    setting(
        "twilio-key",
        "a Twilio key",
        &["twilio"],
        assigned!("twilio[a-z_-]{0,24}", "(?:SK)?[a-f0-9]{32}"),
    ),
    prefix(
        "sendgrid-key",
        "a SendGrid API key",
        &["sg."],
        r"SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}",
    ),
    prefix(
        "mailgun-key",
        "a Mailgun key",
        &["key-"],
        "key-[a-f0-9]{32}",
    ),
    setting(
        "mailgun-key",
        "a Mailgun key",
        &["mailgun"],
        assigned!(
            "mailgun[a-z_-]{0,24}",
            "[a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8}"
        ),
    ),
    inside(
        "mailchimp-key",
        "a Mailchimp API key",
        &["-us"],
        "[a-f0-9]{32}-us[0-9]{1,2}",
    ),
    prefix(
        "brevo-key",
        "a Brevo API key",
        &["xkeysib-", "xsmtpsib-"],
        "x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}",
    ),
    prefix(
        "resend-key",
        "a Resend API key",
        &["re_"],
        "re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}",
    ),
    // Payments and shops.
    prefix(
        "stripe-key",
        "a Stripe live key",
        &["sk_live_", "rk_live_"],
        "[sr]k_live_[A-Za-z0-9]{20,247}",
    ),
    prefix(
        "stripe-webhook-secret",
        "a Stripe webhook secret",
        &["whsec_"],
        "whsec_[A-Za-z0-9+/]{32,64}={0,2}",
    ),
    prefix(
        "shopify-token",
        "a Shopify token",
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        "shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    ),
    prefix(
        "square-token",
        "a Square token",
        &["sq0atp-", "sq0csp-"],
        "sq0(?:atp-[A-Za-z0-9_-]{22}|csp-[A-Za-z0-9_-]{43})",
    ),
    prefix(
        "square-access-token",
        "a Square access token",
        &["eaaa"],
        "EAAA[A-Za-z0-9_-]{60}",
    ),
    prefix(
        "flutterwave-key",
        "a Flutterwave secret key",
        &["flwseck-"],
        "FLWSECK-[a-zA-Z0-9]{32}-X",
    ),
    prefix(
        "easypost-key",
        "an EasyPost API key",
        &["ezak"],
        "EZAK[A-Za-z0-9]{54}",
    ),
    prefix(
        "shippo-token",
        "a Shippo live token",
        &["shippo_live_"],
        "shippo_live_[a-f0-9]{40}",
    ),
    prefix(
        "duffel-token",
        "a Duffel live token",
        &["duffel_live_"],
        "duffel_live_[A-Za-z0-9_=-]{43}",
    ),
    prefix(
        "plaid-token",
        "a Plaid access token",
        &["access-production-"],
        "access-production-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}",
    ),
    // Work and monitoring.
    prefix(
        "linear-key",
        "a Linear API key",
        &["lin_api_", "lin_oauth_"],
        "lin_(?:api|oauth)_[A-Za-z0-9]{40,64}",
    ),
    prefix(
        "notion-token",
        "a Notion token",
        &["ntn_", "secret_"],
        "(?:ntn_[0-9]{11}[A-Za-z0-9]{35}|secret_[A-Za-z0-9]{43})",
    ),
    prefix(
        "figma-token",
        "a Figma token",
        &["figd_", "figo_", "figoh_"],
        "fig(?:d|oh?)_[A-Za-z0-9_-]{40}",
    ),
    prefix(
        "airtable-token",
        "an Airtable token",
        &["pat"],
        r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}",
    ),
    prefix(
        "trello-token",
        "a Trello token",
        &["atta"],
        "ATTA[a-f0-9]{64}",
    ),
    prefix(
        "hubspot-token",
        "a HubSpot token",
        &["pat-na", "pat-eu"],
        "pat-(?:na|eu)[0-9]-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}",
    ),
    prefix(
        "typeform-token",
        "a Typeform token",
        &["tfp_"],
        r"tfp_[A-Za-z0-9_.=-]{44,59}",
    ),
    prefix(
        "contentful-token",
        "a Contentful token",
        &["cfpat-"],
        "CFPAT-[A-Za-z0-9_-]{43}",
    ),
    prefix(
        "readme-key",
        "a ReadMe API key",
        &["rdme_"],
        "rdme_[a-z0-9]{70}",
    ),
    prefix(
        "mapbox-token",
        "a Mapbox secret token",
        &["sk.eyj1"],
        r"sk\.eyJ1[A-Za-z0-9_-]{40,200}\.[A-Za-z0-9_-]{22}",
    ),
    prefix(
        "postman-key",
        "a Postman API key",
        &["pmak-"],
        "PMAK-[a-f0-9]{24}-[a-f0-9]{34}",
    ),
    prefix(
        "launchdarkly-key",
        "a LaunchDarkly key",
        &["sdk-", "api-"],
        "(?:sdk|api)-[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[a-f0-9]{4}-[a-f0-9]{12}",
    ),
    prefix(
        "posthog-key",
        "a PostHog personal API key",
        &["phx_"],
        "phx_[A-Za-z0-9]{43,48}",
    ),
    prefix(
        "grafana-token",
        "a Grafana token",
        &["glsa_"],
        "glsa_[A-Za-z0-9]{32}_[a-fA-F0-9]{8}",
    ),
    prefix(
        "grafana-cloud-token",
        "a Grafana Cloud token",
        &["glc_eyj"],
        "glc_eyJ[A-Za-z0-9+/]{50,400}={0,3}",
    ),
    prefix(
        "newrelic-key",
        "a New Relic key",
        &["nrak-", "nrii-"],
        "NR(?:AK-[A-Z0-9]{27}|II-[A-Za-z0-9_-]{32})",
    ),
    setting(
        "datadog-key",
        "a Datadog key",
        &["dd_a", "dd-a", "datadog"],
        assigned!(
            "(?:dd|datadog)[_-]?(?:api|app|application)[_-]?key",
            "[a-f0-9]{40}|[a-f0-9]{32}"
        ),
    ),
    prefix(
        "sentry-token",
        "a Sentry token",
        &["sntrys_", "sntryu_"],
        "sntry(?:u_[a-f0-9]{64}|s_eyJ[A-Za-z0-9+/]{80,400}={0,2}_[A-Za-z0-9+/]{43})",
    ),
    prefix(
        "dynatrace-token",
        "a Dynatrace token",
        &["dt0c01.", "dt0s01.", "dt0s16."],
        r"dt0[cs](?:01|16)\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    ),
    setting(
        "fastly-key",
        "a Fastly API token",
        &["fastly"],
        assigned!("fastly[_-](?:api[_-])?(?:key|token)", "[A-Za-z0-9_-]{32}"),
    ),
    prefix(
        "okta-token",
        "an Okta API token",
        &["ssws "],
        "(?i:SSWS) (00[A-Za-z0-9_-]{40})",
    ),
    // Keys, tokens and passwords of open standards.
    prefix(
        "private-key",
        "a private key",
        &["private key-----", "private key block-----"],
        r"(?i:private key)(?: BLOCK)?-----",
    )
    .with(KeyText),
    prefix(
        "putty-key",
        "a PuTTY private key",
        &["private-lines:"],
        r"Private-Lines: [0-9]{1,3}",
    )
    .with(KeyText),
    prefix(
        "json-web-token",
        "a JSON web token",
        &["eyj"],
        r"eyJ[A-Za-z0-9_-]{14,2000}\.eyJ[A-Za-z0-9_-]{10,8000}\.[A-Za-z0-9_-]{40,700}",
    )
    .with(WebToken),
    inside(
        "url-password",
        "a password in a URL",
        &["@"],
        r"[A-Za-z][A-Za-z0-9+.-]{1,30}://([^\s/?#:@]{0,100}:[^\s/?#@]{8,256}@[^\s/?#@]{4,255})",
    )
    .with(UrlPassword),
];
