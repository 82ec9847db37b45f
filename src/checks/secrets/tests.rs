//! Tests of the rules. Secrets are generated, so that this file contains none.

use std::collections::BTreeSet;

use base64::prelude::*;
use fastrand::Rng;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample;

use super::services::{SERVICES, SERVICES_WITH_COMMON_NAMES};
use super::*;

/// A key whose lines are joined by `\n`, as in a string.
const OPENVPN_KEY: &str = concat!(
    r"OpenVPN Static key V1-----\n{x32}\n{x32}\n{x32}\n{x32}\n{x32}\n{x32}\n{x32}\n{x32}",
    r"\n{x32}\n{x32}\n{x32}\n{x32}\n{x32}\n{x32}\n{x32}\n{x32}"
);

/// Examples of all kinds. `{Xn}` is replaced by `n` random characters: `A` letters and digits, `U`
/// the same in upper case, `L` in lower case, `a` letters, `d` digits, `x` hexadecimal digits, `w`
/// the alphabet of URLs, `b` base64, `k` and `K` that of bech32, `q` base32, and `W` base58.
const EXAMPLES: &[(&str, &str)] = &[
    ("github-app-token", "ghs_{A36}"),
    ("github-refresh-token", "ghr_{A76}"),
    ("github-fine-grained-token", "github_pat_{A22}_{A59}"),
    ("gitlab-token", "glpat-{w20}"),
    ("gitlab-token", "glpat-{A27}.01.{L9}"),
    ("gitlab-trigger-token", "glptt-{x40}"),
    ("gitlab-job-token", "glcbt-64_{A20}"),
    ("gitlab-agent-token", "glagent-{A50}"),
    ("gitlab-runner-token", "GR1348941{A20}"),
    ("bitbucket-app-password", "ATBB{A24}A1B2C3D4"),
    ("atlassian-token", "ATATT3xFfGF0{A171}=A1B2C3D4"),
    ("datastax-token", "AstraCS:{L12}{A12}:{x64}"),
    ("infisical-token", "st.{x24}.{x32}.{x32}"),
    (
        "bitwarden-token",
        "0.{x8}-{x4}-{x4}-{x4}-{x12}.{A30}:{A22}==",
    ),
    ("tinybird-token", "p.eyJ1IjogIj{A60}.{w43}"),
    ("vk-token", "vk1.a.{w90}"),
    ("openvpn-static-key", OPENVPN_KEY),
    ("xata-key", "xau_{A32}"),
    ("brave-key", "BSA{A28}"),
    (
        "kubeadm-token",
        "kubeadm join 10.0.0.1:6443 --token {L6}.{L16}",
    ),
    (
        "contribsys-account",
        "BUNDLE_ENTERPRISE__CONTRIBSYS__COM={x8}:{x8}",
    ),
    (
        "contribsys-account",
        "https://{x8}:{x8}@gems.contribsys.com/",
    ),
    ("laravel-key", "APP_KEY=base64:{A43}="),
    ("rails-secret", "RAILS_MASTER_KEY={x32}"),
    ("mailjet-key", "MJ_APIKEY_PRIVATE={x32}"),
    ("line-token", "LINE_CHANNEL_ACCESS_TOKEN={A172}"),
    ("ghost-key", "Ghost API key {x24}:{x64}"),
    ("abuseipdb-key", "ABUSEIPDB_API_KEY={x80}"),
    ("teamcity-token", "eyJ0eXAiOiAiVENWMiJ9.{w36}.{w48}"),
    ("bitbucket-token", "BBDC-{A44}"),
    ("jetbrains-token", "perm-{A12}=.{A8}==.{A30}"),
    ("nexus-token", "NpmToken.{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("phabricator-token", "cli-{L28}"),
    ("checkout-com-key", "sk_{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("checkout-com-key", "sk_{q26}z"),
    ("mercado-pago-token", "APP_USR-{d16}-{d6}-{x32}-{d9}"),
    ("asaas-key", "$aact_prod_{b100}"),
    ("omise-key", "skey_{L19}"),
    ("toss-key", "live_sk_{A24}"),
    ("close-key", "api_{A22}.{A22}"),
    ("emailoctopus-key", "eo_{x64}"),
    ("smtp2go-key", "api-{d8}ABCDEF{d8}BADC2A{d4}"),
    ("nylas-key", "nyk_v0_{A64}"),
    ("configcat-key", "configcat-sdk-1/{A22}/{A22}"),
    ("configcat-key", "CONFIGCAT_SDK_KEY={A22}/{A22}"),
    ("unleash-token", "default:production.{x56}"),
    ("google-auth-key", "AQ.Ab8RN6{w44}"),
    ("cursor-key", "key_{x64}"),
    ("cursor-key", "crsr_{x64}"),
    ("modal-secret", "as-{A22}"),
    ("wandb-key", "wandb_v1_{A77}"),
    ("cartesia-key", "sk_car_{A22}"),
    ("promptlayer-key", "pl_{x32}"),
    ("upstage-key", "up_{A32}"),
    ("upcloud-token", "ucat_01ZX{d10}QR{d10}"),
    ("porkbun-key", "sk1_{x64}"),
    ("dnsimple-token", "dnsimple_a_{A32}"),
    ("cloudflare-tunnel-token", "eyJhIjoi{A160}"),
    ("netbird-token", "nbp_{A36}"),
    ("headscale-key", "hskey-auth-{A60}"),
    ("k3s-token", "K10{x64}::server:{x32}"),
    ("rancher-token", "token-{L5}:{L54}"),
    ("nats-seed", "SUA{Q55}"),
    ("matrix-token", "syt_{A12}_{a20}_{A6}"),
    ("ntfy-token", "tk_{L29}"),
    ("fauna-key", "fnA{A37}"),
    ("materialize-password", "mzp_{x64}"),
    ("ory-token", "ory_pat_{A32}"),
    ("tally-key", "tly-{A40}"),
    ("healthchecks-key", "hcw_{A28}"),
    ("nomic-key", "nk-{A43}"),
    ("alchemy-key", "alcht_{A30}"),
    ("secret-token", "secret-token:{A40}"),
    (
        "azure-shared-access-key",
        "Endpoint=https://a.service.signalr.net;AccessKey={b43}=",
    ),
    ("azure-shared-access-key", "{A33}+AEhB{A5}="),
    ("secret-access-key", "SPACES_SECRET_ACCESS_KEY={A43}"),
    ("ably-key", "ably_api_key: {A6}.{A6}:{A43}"),
    ("beamer-key", "BEAMER_API_KEY=b_{b44}"),
    ("airtable-token", "AIRTABLE_API_KEY=key{A14}"),
    ("linkedin-secret", r#"{"linkedinClientSecret": "{A14}7Z"}"#),
    ("imagekit-key", "IMAGEKIT_PRIVATE_KEY=private_{b27}="),
    (
        "django-secret",
        "SECRET_KEY = 'k#9(z%{L18}@-7)a+{L14}&^j!=0'",
    ),
    (
        "wordpress-secret",
        "define('AUTH_KEY', 'a%5 {{A25}}<Vq(~{A20};kZ 7/&x')",
    ),
    ("machine-key", "<machineKey validationKey=\"{x128}\" />"),
    ("asana-token", "2/1{d15}/{d16}:{x32}"),
    ("salesforce-token", "00D{A15}!{A90}"),
    (
        "api-key-header",
        "Authorization: Splunk {x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    ("npm-token", "npm_{A36}"),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc{A150}"),
    ("rubygems-key", "rubygems_{x48}"),
    ("crates-io-token", "cio{A32}"),
    ("nuget-key", "oy2{q43}"),
    ("clojars-token", "CLOJARS_{x60}"),
    ("docker-token", "dckr_pat_{A27}"),
    ("artifactory-key", "AKCp8{A68}"),
    ("artifactory-reference-token", "cmVmdGtu{A56}"),
    ("sourcegraph-token", "sgp_{x16}_{x40}"),
    ("sonar-token", "sqp_{x40}"),
    ("circleci-token", "CCIPAT_{A22}_{x40}"),
    ("buildkite-token", "bkua_{x40}"),
    ("octopus-key", "API-{U28}"),
    ("scalingo-token", "tk-us-{A48}"),
    ("harness-token", "pat.{A22}.{x24}.{A20}"),
    ("aws-secret-key", "AWS_SECRET_ACCESS_KEY={A40}"),
    ("aws-secret-key", r#"{"SecretAccessKey": "{A40}"}"#),
    ("aws-secret-key", "AKIA2345{q0}QRST6WXYZHJK, {A38}a7"),
    ("aws-bedrock-key", "ABSK{A120}"),
    ("google-api-key", "AIza{A35}"),
    ("google-client-secret", "GOCSPX-{A28}"),
    ("google-access-token", "ya29.a0{A120}"),
    ("firebase-server-key", "AAAA{A7}:APA91b{A134}"),
    ("azure-storage-key", "AccountName=acme;AccountKey={b86}==;x"),
    ("azure-shared-access-key", "SharedAccessKey={b43}="),
    ("azure-client-secret", "{A3}8Q~{A34}"),
    (
        "azure-sas-signature",
        "https://a.blob.core.windows.net/c?sv=2022-11-02&sr=b&sig={A43}%3D",
    ),
    ("azure-devops-token", "{A76}AZDO{A4}"),
    ("digitalocean-token", "dop_v1_{x64}"),
    ("heroku-key", "HRKU-AA{A58}"),
    ("netlify-token", "nfp_{A36}"),
    ("supabase-key", "sbp_{x40}"),
    ("cloudflare-origin-key", "v1.0-{x24}-{x146}"),
    ("fly-token", "fo1_{A43}"),
    ("fly-macaroon", "FlyV1 fm2_{A150}"),
    ("alibaba-secret", "access_key_secret: {A30}"),
    ("yandex-key", "AQVN{A35}"),
    ("vault-token", "hvs.{A90}"),
    ("terraform-token", "{A14}.atlasv1.{A67}"),
    ("pulumi-token", "pul-{x40}"),
    ("doppler-token", "dp.st.prd.{A43}"),
    ("tailscale-key", "tskey-auth-{A12}CNTRL-{A32}"),
    ("onepassword-token", "ops_eyJ{A300}"),
    ("infracost-key", "ico-{A32}"),
    ("planetscale-token", "pscale_tkn_{A43}"),
    ("neon-key", "napi_{L64}"),
    ("databricks-token", "dapi{x32}-2"),
    ("prefect-key", "pnu_{A36}"),
    ("age-key", "AGE-SECRET-KEY-1{k58}"),
    ("age-plugin-key", "AGE-SECRET-KEY-PQ-1{k58}"),
    ("openai-key", "sk-proj-{A74}T3BlbkFJ{A74}"),
    ("anthropic-key", "sk-ant-api03-{A93}AA"),
    ("openrouter-key", "sk-or-v1-{x64}"),
    ("huggingface-token", "hf_{a34}"),
    ("groq-key", "gsk_{A52}"),
    ("xai-key", "xai-{A80}"),
    ("perplexity-key", "pplx-{A48}"),
    ("replicate-token", "r8_{A37}"),
    ("langsmith-key", "lsv2_pt_{x32}_{x10}"),
    ("pinecone-key", "pcsk_{A6}_{A63}"),
    ("slack-token", "xoxb-{d12}-{d13}-{A24}"),
    ("slack-app-token", "xapp-1-A0{U9}-{d13}-{x64}"),
    (
        "slack-webhook",
        "https://hooks.slack.com/services/T{U8}/B{U10}/{A24}",
    ),
    (
        "discord-webhook",
        "https://discord.com/api/webhooks/{d18}/{A68}",
    ),
    ("discord-token", "MTk4{A22}.G{A5}.{A38}"),
    ("telegram-token", "{d10}:AA{A33}"),
    (
        "teams-webhook",
        "https://acme.webhook.office.com/webhookb2/{x36}@{x36}/IncomingWebhook/{x32}/{x36}",
    ),
    (
        "google-chat-webhook",
        "https://chat.googleapis.com/v1/spaces/{A11}/messages?key=AIza{A35}&token={A43}",
    ),
    ("twilio-key", "TWILIO_AUTH_TOKEN={x32}"),
    ("sendgrid-key", "SG.{A22}.{A43}"),
    ("mailgun-key", "key-{x32}"),
    ("mailgun-key", "MAILGUN_API_KEY={x32}-{x8}-{x8}"),
    ("mailchimp-key", "{x32}-us14"),
    ("brevo-key", "xkeysib-{x64}-{A16}"),
    ("resend-key", "re_{A8}_{A24}"),
    ("stripe-key", "sk_live_{A24}"),
    ("stripe-webhook-secret", "whsec_{A32}"),
    ("shopify-token", "shpat_{x32}"),
    ("square-token", "sq0atp-{A22}"),
    ("square-access-token", "EAAA{A60}"),
    ("flutterwave-key", "FLWSECK-{x32}-X"),
    ("easypost-key", "EZAK{A54}"),
    ("shippo-token", "shippo_live_{x40}"),
    ("duffel-token", "duffel_live_{A43}"),
    ("plaid-token", "access-production-{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("linear-key", "lin_api_{A40}"),
    ("notion-token", "ntn_{d11}{A35}"),
    ("figma-token", "figd_{A40}"),
    ("airtable-token", "pat{A14}.{x64}"),
    ("trello-token", "ATTA{x64}"),
    ("hubspot-token", "pat-na1-{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("typeform-token", "tfp_{A44}"),
    ("contentful-token", "CFPAT-{A43}"),
    ("readme-key", "rdme_{L70}"),
    ("mapbox-token", "sk.eyJ1{A60}.{A22}"),
    ("postman-key", "PMAK-{x24}-{x34}"),
    ("launchdarkly-key", "sdk-{x8}-{x4}-4{x3}-{x4}-{x12}"),
    ("posthog-key", "phx_{A43}"),
    ("grafana-token", "glsa_{A32}_{x8}"),
    ("grafana-cloud-token", "glc_eyJ{A100}="),
    ("newrelic-key", "NRAK-{U27}"),
    ("datadog-key", "DD_API_KEY: {x32}"),
    ("datadog-key", "datadog-app-key = '{x40}'"),
    ("sentry-token", "sntrys_eyJ{A120}_{A43}"),
    ("dynatrace-token", "dt0c01.{U24}.{U64}"),
    ("fastly-key", "Fastly-Key: {A32}"),
    ("okta-token", "Authorization: SSWS 00{A40}"),
    ("deno-token", "ddp_{A36}"),
    ("packagist-token", "packagist_uut_{x68}"),
    ("buildkite-agent-token", "bkct_{A40}"),
    ("snyk-token", "snyk_uat.{x8}.{w60}"),
    ("snyk-token", "SNYK_TOKEN={x8}-{x4}-{x4}-{x4}-{x12}"),
    ("codeclimate-key", "qltp_{A43}"),
    ("vercel-token", "vcp_{A56}"),
    ("aws-session-token", "IQoJb3JpZ2luX2Vj{b300}="),
    ("aws-appsync-key", "da2-{L26}"),
    ("aws-mws-token", "amzn.mws.{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("amazon-client-secret", "amzn1.oa2-cs.v1.{x64}"),
    ("aws-secret-key", "| AWS_SECRET_ACCESS_KEY | `{A40}` |"),
    ("aws-secret-key", "ENV AWS_SECRET_ACCESS_KEY {A40}"),
    (
        "aws-secret-key",
        r#"setenv("AWS_SECRET_ACCESS_KEY", "{A40}")"#,
    ),
    ("google-refresh-token", "1//0{w60}"),
    ("google-access-token", "ya29.c.{w120}.{w60}"),
    ("azure-function-key", "{A44}AzFu{A6}=="),
    ("azure-search-key", "{A42}AzSeA{A5}"),
    ("azure-cache-key", "{A33}AzCaA{A5}="),
    ("azure-registry-key", "{A42}+ACRA{A5}"),
    ("azure-account-key", "{b76}+ASt{b6}=="),
    ("azure-ai-key", "{A52}JQQJ9{A27}"),
    ("azure-storage-key", "AZURE_STORAGE_KEY={b86}=="),
    ("azure-api-key", "Ocp-Apim-Subscription-Key: {x32}"),
    ("cloudflare-token", "cfut_{A40}{x8}"),
    ("cloudflare-token", "CLOUDFLARE_API_TOKEN={A40}"),
    ("render-key", "rnd_{A28}"),
    ("backblaze-key", "K005{b27}"),
    ("yandex-oauth-token", "y0_{w55}"),
    ("yandex-iam-token", "t1.{w60}.{w86}"),
    ("yandex-secret", "yandex secret: YC{A38}"),
    ("onepassword-secret-key", "A3-{U6}-{U6}-{U5}-{U5}-{U5}-{U5}"),
    ("prefect-service-key", "pnb_{A36}"),
    ("dbt-token", "dbtc_{w40}"),
    ("elastic-key", "essu_{A60}=="),
    ("openai-key", "sk-{A48}"),
    ("deepseek-key", "sk-{x32}"),
    ("elevenlabs-key", "sk_{x48}"),
    ("nvidia-key", "nvapi-{w64}"),
    ("cerebras-key", "csk-{L48}"),
    ("fireworks-key", "fw_{A23}7"),
    ("together-key", "tgp_v1_{w43}"),
    ("tavily-key", "tvly-dev-{A32}"),
    ("jina-key", "jina_{x32}{A28}"),
    ("voyage-key", "pa-{w43}"),
    ("llamaindex-key", "llx-{A48}"),
    ("langfuse-key", "sk-lf-{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("e2b-key", "e2b_{x40}"),
    ("firecrawl-key", "fc-{x32}"),
    ("anyscale-key", "esecret_{L26}"),
    ("runpod-key", "rpa_{U40}{L6}"),
    ("kaggle-token", "KGAT_{x32}"),
    ("wandb-key", "wandb_v1_{A77}"),
    ("wandb-key", "WANDB_API_KEY={x40}"),
    ("facebook-token", "EAA{A150}"),
    ("instagram-token", "IGQV{A120}"),
    ("twitter-token", "AAAAAAAAAAAAAAAAAAAAA{d1}{A80}"),
    ("linkedin-secret", "WPL_AP1.{A16}.{A8}=="),
    ("mandrill-key", "md-{A21}7"),
    ("mailersend-token", "mlsn.{x64}"),
    ("pubnub-key", "sec-c-{A48}"),
    ("telnyx-key", "KEY0{d31}_{A22}"),
    ("intercom-token", "dG9rO{A54}="),
    ("adafruit-key", "aio_{A28}"),
    ("rapidapi-key", "{x10}msh{x15}p1{x6}jsn{x12}"),
    ("klaviyo-key", "pk_{x34}"),
    ("zoho-token", "1000.{x32}.{x32}"),
    ("salesforce-token", "00D{A15}!AQ{A90}"),
    ("braintree-token", "access_token$production${L16}${x32}"),
    ("lob-key", "live_{x35}"),
    ("mollie-key", "live_{A29}7"),
    ("gocardless-token", "live_{A39}7"),
    ("paddle-key", "pdl_live_apikey_{L26}_{A22}_{A3}"),
    ("midtrans-key", "Mid-server-{A24}"),
    ("xendit-key", "xnd_production_{A50}"),
    ("adyen-key", "AQEyhmf{A100}"),
    ("frameio-token", "fio-u-{w64}"),
    ("dropbox-token", "sl.{w136}"),
    ("dropbox-secret", "dropbox token {A63}7"),
    ("clickup-token", "pk_{d8}_{U32}"),
    ("newrelic-license-key", "{x32}FFFFNRAL"),
    ("newrelic-license-key", "eu01xx{x26}FFFFNRAL"),
    ("honeycomb-key", "hcaik_{L58}"),
    ("axiom-token", "xaat-{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("checkly-key", "cu_{x32}"),
    ("grafana-key", "eyJrIjoi{A80}=="),
    ("segment-token", "sgp_{A64}"),
    ("maxmind-key", "{A6}_{A29}_mmk"),
    ("statsig-key", "secret-{A43}"),
    ("stytch-secret", "secret-live-{A36}"),
    ("sanity-token", "sk{A150}"),
    ("flagsmith-key", "ser.{A21}7"),
    ("minisign-key", "RWRTY0Iy{b204}"),
    ("signify-key", "RWRCS{b135}"),
    ("wireguard-key", "PrivateKey = {A42}A="),
    ("nostr-key", "nsec1{K58}"),
    ("bitcoin-key", "xprv{W107}"),
    ("datadog-key", "datadogApiKey: {x32}"),
    ("datadog-key", "| Datadog API key | {x32} |"),
    ("datadog-key", r#"datadog.Client("{x32}")"#),
    ("twilio-key", "curl -u AC{x32}:{x32} "),
    ("twilio-key", r#"Client("AC{x32}", "{x32}")"#),
    ("alibaba-secret", "aliyun-secret-key: {A30}"),
    ("alibaba-secret", "LTAI{A20} with the secret {A29}7"),
    ("fastly-key", "fastlyApiToken: {A31}7"),
    ("fastly-key", r#"fastly.client("{A31}7")"#),
    ("confluent-secret", "CONFLUENT_API_SECRET={b63}7"),
    ("algolia-key", "X-Algolia-API-Key: {x32}"),
    ("algolia-key", r#"algoliasearch("{U10}", "{x32}")"#),
    ("okta-token", "okta_api_token = 00{A40}"),
    ("heroku-key", "HEROKU_API_KEY={x8}-{x4}-{x4}-{x4}-{x12}"),
    ("vault-token", "VAULT_TOKEN=s.{A24}"),
    (
        "telegram-token",
        "https://api.telegram.org/bot{d9}:AA{A33}/getMe",
    ),
    ("discord-token", "discord token: MTk4{A20}.CaT{A3}.{A27}"),
    ("vercel-token", "VERCEL_TOKEN={A23}7"),
    (
        "snyk-token",
        "the Snyk token for the staging account is {x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    ("gitea-token", "GITEA_TOKEN={x40}"),
    ("github-token", "GITHUB_TOKEN={x40}"),
    ("circleci-token", "CIRCLE_TOKEN={x40}"),
    ("sonar-token", "sonar.login.token={x40}"),
    ("jenkins-token", "JENKINS_API_TOKEN=11{x32}"),
    ("codecov-token", "CODECOV_TOKEN={x8}-{x4}-{x4}-{x4}-{x12}"),
    (
        "npm-token",
        "//registry.npmjs.org/:_authToken={x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    ("linode-token", "LINODE_TOKEN={x64}"),
    ("hetzner-token", "HCLOUD_TOKEN={A64}"),
    ("vultr-key", "VULTR_API_KEY={U36}"),
    (
        "scaleway-secret",
        "SCW_SECRET_KEY={x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    ("tencent-secret", "TENCENTCLOUD_SECRET_KEY={A31}7"),
    ("ibm-key", "IBMCLOUD_API_KEY={A43}7"),
    ("netlify-token", "NETLIFY_AUTH_TOKEN={A42}7"),
    (
        "consul-token",
        "CONSUL_HTTP_TOKEN={x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    ("nomad-token", "NOMAD_TOKEN={x8}-{x4}-{x4}-{x4}-{x12}"),
    ("cohere-key", "COHERE_API_KEY={A40}"),
    ("mistral-key", "MISTRAL_API_KEY={A31}7"),
    ("deepgram-key", "DEEPGRAM_API_KEY={x40}"),
    ("twitch-secret", "TWITCH_CLIENT_SECRET={L29}7"),
    ("spotify-secret", "SPOTIFY_CLIENT_SECRET={x32}"),
    ("facebook-secret", "FACEBOOK_APP_SECRET={x32}"),
    ("twitter-secret", "TWITTER_API_SECRET={A50}"),
    ("asana-token", "asana token 1/{d16}:{x32}"),
    ("jira-token", "JIRA_API_TOKEN={A23}7"),
    ("zendesk-token", "ZENDESK_TOKEN={A40}"),
    (
        "postmark-token",
        "POSTMARK_SERVER_TOKEN={x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    ("paypal-secret", "PAYPAL_CLIENT_SECRET=E{A79}"),
    ("razorpay-secret", "RAZORPAY_KEY_SECRET={A23}7"),
    ("pagerduty-key", "PAGERDUTY_TOKEN={A19}7"),
    ("opsgenie-key", "OPSGENIE_API_KEY={x8}-{x4}-{x4}-{x4}-{x12}"),
    ("splunk-token", "SPLUNK_HEC_TOKEN={x8}-{x4}-{x4}-{x4}-{x12}"),
    ("newrelic-key", "NEW_RELIC_LICENSE_KEY={x40}"),
    ("rollbar-token", "ROLLBAR_ACCESS_TOKEN={x32}"),
    ("sentry-token", "SENTRY_AUTH_TOKEN={x64}"),
    ("influxdb-token", "INFLUX_TOKEN={A86}=="),
    ("auth0-secret", "AUTH0_CLIENT_SECRET={A63}7"),
    ("infura-key", "INFURA_API_KEY={x32}"),
    (
        "private-key",
        "-----BEGIN RSA PRIVATE KEY-----\n{b64}\n{b64}\n-----END RSA PRIVATE KEY-----",
    ),
    (
        "private-key",
        r#""-----BEGIN PRIVATE KEY-----\n{b64}\n{b64}\n""#,
    ),
    (
        "private-key",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{b64}\n",
    ),
    ("putty-key", "Private-Lines: 1\n{b64}\nPrivate-MAC: x"),
    (
        "url-password",
        "postgres://app:{A8}-{A8}9@db.acme.io:5432/app",
    ),
    ("url-password", "https://ci:{A8}_{A8}9@git.acme.io/x.git"),
    (
        "azure-app-configuration-secret",
        "Endpoint=https://a.azconfig.io;Id={A4}-l9-s0:{A20};Secret={b43}=",
    ),
    (
        "azure-devops-token",
        "AZURE_DEVOPS_EXT_PAT={A52}JQQJ99BKACAAAAAAAAAAAAASAZDO{A4}",
    ),
    ("azure-devops-token", "ADO_PAT={q51}7"),
    ("azure-devops-token", "VSTS_TOKEN: {q51}7"),
    ("telegram-token", "7777777{d3}:AA{A33}"),
    ("twitter-token", "AAAAAAAAAAAAAAAAAAAAA{A5}AAAAAA{A80}"),
    ("dropbox-secret", "dropbox token {L11}AAAAAAAAAA{A43}"),
    ("dropbox-secret", "DROPBOX_APP_SECRET={L14}7"),
    ("yandex-oauth-token", "YANDEX_TOKEN=AQAAAAAAAAA{A28}"),
    (
        "slack-webhook",
        "https://hooks.slack.com/workflows/T{U10}/A{U10}/{d18}/{A24}",
    ),
    ("slack-secret", "SLACK_SIGNING_SECRET={x32}"),
    (
        "zapier-webhook",
        "https://hooks.zapier.com/hooks/catch/{d7}/{L3}7{L3}",
    ),
    ("adobe-secret", "p8e-{A32}"),
    ("json-web-key", r#"{"kty":"EC","d":"{w43}","kid":"1"}"#),
    ("json-web-key", r#"{"kty":"oct","k":"{w43}"}"#),
    ("box-secret", "BOX_CLIENT_SECRET={A32}"),
    ("discord-secret", "DISCORD_CLIENT_SECRET={A32}"),
    ("ngrok-token", "ngrok config add-authtoken 2{A26}_{A21}"),
    ("plaid-secret", "PLAID_SECRET={x30}"),
    ("travis-token", "TRAVIS_API_TOKEN={A22}"),
    ("together-key", "TOGETHER_API_KEY={x64}"),
    ("cohere-key", "CO_API_KEY={A40}"),
    ("railway-token", "RAILWAY_TOKEN={x8}-{x4}-{x4}-{x4}-{x12}"),
    ("contentful-token", "CONTENTFUL_ACCESS_TOKEN={A43}"),
    ("rails-secret", "SECRET_KEY_BASE={x128}"),
    ("wireguard-key", "WG_PRIVATE_KEY={A42}A="),
    ("pagerduty-key", "PAGERDUTY_API_KEY=u+{a18}"),
    ("jira-token", "JIRA_API_TOKEN: {a24}"),
    ("vercel-token", "VERCEL_TOKEN={a24}"),
    (
        "vercel-token",
        "variable \"vercel_token\" {\n  type = string\n  default = \"{A24}\"\n}",
    ),
    ("aws-secret-key", "AWS_SECRET_ACCESS_KEY={a40}"),
    ("gitlab-token", "glpat-{A8}fake{A8}"),
    (
        "url-password",
        "postgres://app:{A8}81pwdVP7{A8}@10.20.4.17/orders",
    ),
    ("apify-token", "apify_api_{A36}"),
    ("openshift-token", "sha256~{w43}"),
    ("wakatime-key", "waka_{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("defined-networking-key", "dnkey-{L26}-{L52}"),
    ("intra42-secret", "s-s4t2ud-{x64}"),
    ("zuplo-key", "zpka_{x32}_{x8}"),
    ("woocommerce-key", "cs_{x40}"),
    ("mongodb-secret", "mdb_sa_sk_{w40}"),
    ("dependency-track-key", "odt_{A32}"),
    ("stackhawk-key", "hawk.{A20}.{A20}"),
    ("ionic-token", "ion_{L42}"),
    ("voiceflow-key", "VF.DM.{x24}.{A16}"),
    ("ubidots-token", "BBFF-{A30}"),
    ("nightfall-key", "NF-{A32}"),
    ("pagarme-key", "ak_live_{A30}"),
    ("fleetbase-key", "flb_live_{A20}"),
    ("flexport-key", "shltm_{w40}"),
    ("sourcegraph-license-key", "slk_{x64}"),
    ("authress-key", "sc_{L12}.{L4}.acc-{L12}.{A40}"),
    ("clickhouse-key", "4b1d{A38}"),
    ("endor-key", "endr+{A16}"),
    ("settlemint-token", "sm_pat_{A16}"),
    ("gitlab-session", "_gitlab_session={x32}"),
    ("docker-swarm-token", "SWMTKN-1-{L50}-{L25}"),
    ("aiven-token", "AVNS_{A19}"),
    ("baidu-key", "bce-v3/ALTAK-{A21}/{x40}"),
    (
        "blockprotocol-key",
        "b10ck5.{x32}.{x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    (
        "gc-notify-key",
        "gcntfy-prod-{x8}-{x4}-{x4}-{x4}-{x12}-{x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    ("cashfree-key", "cfsk_ma_prod_{x32}_{x8}"),
    ("cockroachdb-key", "CCDB1_{A22}_{A40}"),
    ("chief-tools-token", "ctp_{A40}"),
    ("devcycle-key", "dvc_server_{A40}"),
    ("lichess-token", "lip_{A20}"),
    ("lightspeed-token", "lsxs_pt_{A32}"),
    ("logicmonitor-token", "lmb_{A70}"),
    ("mergify-key", "mka_{A43}"),
    ("onfido-token", "api_live.{A11}.{A32}"),
    (
        "persona-key",
        "persona_production_{x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    ("pinterest-token", "pina_{A88}"),
    ("polar-token", "polar_pat_{A43}"),
    ("rootly-key", "rootly_{x64}"),
    ("samsara-token", "samsara_api_{A30}"),
    ("sindri-key", "sindri_{A32}"),
    ("tableau-token", "{A22}==:{A32}"),
    ("thunderstore-token", "tss_{A40}"),
    ("unkey-key", "unkey_{A22}"),
    ("volcengine-key", "AKLT{A44}"),
    ("oculus-token", "OC|{d16}|{x32}"),
    ("ebay-secret", "PRD-{x12}-{x4}-{x4}-{x4}-{x4}"),
    ("jd-cloud-key", "JDC_{U28}"),
    ("pangea-token", "pts_{q32}"),
    ("permit-key", "permit_key_{A84}"),
    ("logfire-token", "pylf_v1_us_{A43}"),
    ("tigris-secret", "tsec_{A50}"),
    ("openvsx-token", "ovsxp_{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("val-town-token", "vtwn_{A24}"),
    ("vercel-blob-token", "vercel_blob_rw_{A16}_{A30}"),
    ("arcjet-key", "ajkey_{L26}"),
    ("browserbase-key", "bb_live_{A27}"),
    ("daytona-key", "dtn_{x64}"),
    ("inngest-key", "signkey-prod-{x64}"),
    ("mem0-key", "m0-{A40}"),
    ("trigger-dev-key", "tr_prod_{A24}"),
    ("twelvelabs-key", "tlk_{U40}"),
    ("friendli-token", "flp_{A46}"),
    ("helicone-key", "sk-helicone-{L7}-{L7}-{L7}-{L7}"),
    ("dify-key", "app-{A24}"),
    ("courier-key", "pk_prod_{U28}"),
    ("onesignal-key", "os_v2_app_{q103}"),
    ("liveblocks-key", "sk_prod_{A64}"),
    ("builder-io-key", "bpk-{x32}"),
    ("mercury-token", "secret-token:mercury_production_rma_{A60}"),
    ("ramp-secret", "ramp_sec_{A48}"),
    ("socket-token", "sktsec_{A43}_api"),
    ("aikido-token", "AIK_CI_{A48}"),
    ("deepsource-token", "dsp_{x40}"),
    ("depot-token", "depot_org_{x64}"),
    ("honeybadger-token", "hbp_{A36}"),
    ("coralogix-key", "cxtp_{A30}"),
    ("firehydrant-token", "fhb-{x32}"),
    ("incident-io-key", "inc_{x64}"),
    ("gitbook-token", "gb_api_{A40}"),
    ("confluent-cloud-secret", "cflt{A60}"),
    ("workos-key", "sk_a2V5X3{A74}"),
    ("langchain-key", "ls__{x32}"),
    ("airtable-oauth-token", "oaa{A14}.v1.{A200}"),
    ("hop-token", "ptk_{A43}"),
    ("canva-secret", "cnvca{A45}"),
    ("calcom-key", "cal_live_{x32}"),
    ("crossmint-key", "sk_production_{W120}"),
    ("jumpcloud-key", "jca_{A36}"),
    ("posthog-secret-key", "phs_{A43}"),
    ("shopify-partner-token", "prtapi_{x32}"),
    ("thingsboard-token", "thingsboard.cloud/api/v1/{A19}7"),
    (
        "tines-webhook",
        "https://acme.tines.com/webhook/{L32}/{L32}",
    ),
    (
        "feishu-webhook",
        "https://open.feishu.cn/open-apis/bot/v2/hook/{x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    (
        "dingtalk-webhook",
        "https://oapi.dingtalk.com/robot/send?access_token={x64}",
    ),
    (
        "wecom-webhook",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={x8}-{x4}-{x4}-{x4}-{x12}",
    ),
    (
        "ifttt-webhook",
        "https://maker.ifttt.com/trigger/door/with/key/{A22}",
    ),
    (
        "logic-apps-webhook",
        "https://prod-12.westus.logic.azure.com:443/workflows/{x32}/triggers/manual/paths/invoke?api-version=2016-10-01&sig={A43}",
    ),
    ("make-webhook", "https://hook.eu1.make.com/{L32}"),
    ("mattermost-webhook", "https://chat.acme.io/hooks/{L25}7"),
    (
        "s3-presigned-url",
        "https://acme.s3.amazonaws.com/a.zip?X-Amz-Expires=900&X-Amz-Signature={x64}",
    ),
    (
        "one-time-password-secret",
        "otpauth://totp/acme:ada?secret={Q32}&issuer=acme",
    ),
    ("bearer-token", "Authorization: Bearer {A40}"),
    ("api-key-header", "X-Api-Key: {A39}7"),
    (
        "netrc-password",
        "machine git.acme.io login ci password {A19}-7q",
    ),
    (
        "connection-password",
        "Server=db.acme.io;User Id=sa;Password={A19}-7q;",
    ),
    (
        "connection-password",
        "jdbc:mysql://db.acme.io/shop?user=app&password={A19}-7q",
    ),
    ("connection-password", "PGPASSWORD={A19}-7q psql"),
    ("user-password", "curl -u ci:{A19}-7q https://ci.acme.io"),
];

fn alphabet(sign: char) -> &'static [u8] {
    const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    match sign {
        'A' => &BASE64[..62],
        'U' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        'L' => b"abcdefghijklmnopqrstuvwxyz0123456789",
        'a' => &BASE64[..52],
        'd' => b"0123456789",
        'x' => b"0123456789abcdef",
        'w' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        'b' => BASE64,
        'W' => b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
        'K' => b"qpzry9x8gf2tvdw0s3jn54khce6mua7l",
        'k' => b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
        'Q' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        'q' => b"abcdefghijklmnopqrstuvwxyz234567",
        _ => panic!("unknown sign {sign}"),
    }
}

/// Replaces the placeholders of an example.
fn filled(example: &str, random: &mut Rng) -> String {
    let placeholder = Regex::new(r"\{([A-Za-z])([0-9]+)\}").unwrap();
    let replaced =
        placeholder.replace_all(example.as_bytes(), |groups: &regex::bytes::Captures<'_>| {
            let text = |group: usize| std::str::from_utf8(&groups[group]).unwrap().to_owned();
            let alphabet = alphabet(text(1).chars().next().unwrap());
            let count: usize = text(2).parse().unwrap();
            let mut next = || alphabet[random.usize(..alphabet.len())];
            (0..count).map(|_| next()).collect::<Vec<_>>()
        });
    String::from_utf8(replaced.into_owned()).unwrap()
}

fn kinds(text: &str) -> Vec<&'static str> {
    detect(text.as_bytes()).iter().map(|one| one.kind).collect()
}

/// A token whose last characters are the checksum of the others.
fn with_checksum(prefix: &str, random: &mut Rng) -> String {
    let body = filled("{A30}", random);
    let mut crc = libdeflater::Crc::new();
    crc.update(body.as_bytes());
    let mut rest = crc.sum();
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut sum: Vec<_> = (0..6)
        .map(|_| {
            let digit = digits[(rest % 62) as usize];
            rest /= 62;
            char::from(digit)
        })
        .collect();
    sum.reverse();
    format!("{prefix}{body}{}", String::from_iter(sum))
}

fn web_token(claims: &str, random: &mut Rng) -> String {
    let part = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
    let signature = filled("{w43}", random);
    format!(
        "{}.{}.{signature}",
        part(r#"{"alg":"HS256","typ":"JWT"}"#),
        part(claims)
    )
}

#[test]
fn every_kind_is_found_in_prose_settings_and_code() {
    let mut random = Rng::with_seed(7);
    let mut examples: Vec<(&str, String)> = EXAMPLES
        .iter()
        .map(|(kind, example)| (*kind, filled(example, &mut random)))
        .collect();
    examples.push(("github-token", with_checksum("ghp_", &mut random)));
    examples.push((
        "json-web-token",
        web_token(r#"{"sub":"ada","iat":1}"#, &mut random),
    ));

    let account = BASE64_STANDARD.encode(filled("ci:{A20}-7q", &mut random));
    examples.push(("basic-account", format!("Authorization: Basic {account}")));

    let (_, key) = private_keys().swap_remove(0);
    examples.push(("wrapped-private-key", BASE64_STANDARD.encode(key)));

    let mut wrong = Vec::new();
    for (kind, secret) in &examples {
        for text in [
            format!("Use {secret}\nand the rest.\n"),
            format!("* **token**: `{secret}`\n"),
            format!("service:\n  key: {secret}\n"),
            format!("```sh\nexport TOKEN=\"{secret}\"\n```\n"),
            format!("<td>{secret}</td>"),
        ] {
            let found = kinds(&text);
            if found != [*kind] {
                wrong.push((text, found));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let tested: BTreeSet<_> = examples.iter().map(|(kind, _)| *kind).collect();
    let known: BTreeSet<_> = RULES.iter().map(|rule| rule.kind).collect();
    assert_eq!(tested, known);
}

#[test]
fn keys_of_services_are_found_by_their_names() {
    let mut random = Rng::with_seed(13);
    for text in [
        "MAILJET_SECRET_KEY={x32}",
        "const openWeatherApiKey = '{x32}';",
        "honeycomb_api_key: {A21}7",
        "{\"sumoLogic\": {\"accessKey\": \"{A64}\"}}",
        "https://api.openweathermap.org/data/2.5/weather?q=Bern&appid={x32}",
        "| Coveralls repo token | {A33} |",
        "[trello]\ntoken = \"{x64}\"",
        "The Finnhub API key of the staging account is {L19}7.",
    ] {
        let text = filled(text, &mut random);
        assert_eq!(kinds(&text), ["service-key"], "{text}");
    }
    for text in [
        "NEXTAUTH_SECRET={A44}",
        "\"acmeEncryptionKey\": \"{A32}\"",
        "- name: JWT_SECRET\n  value: {x64}",
        "gh secret set ACME_ACCESS_TOKEN --body '{A40}'",
        "<add key=\"AcmeClientSecret\" value=\"{A40}\" />",
        "runs-on: ubuntu-latest\nenv:\n  ACME_API_KEY: {x40}",
        "docker run app:latest -e ACME_API_KEY={x40}",
        "# a test\nACME_API_KEY={x40}",
    ] {
        let text = filled(text, &mut random);
        assert_eq!(kinds(&text), ["named-key"], "{text}");
    }
    for text in [
        "clientToken: {x8}-{x4}-{x4}-{x4}-{x12}",
        "api_key={x8}-{x4}-{x4}-{x4}-{x12}",
        "public access key: {A40}",
        "EXAMPLE_API_KEY={A40}",
        "acmeTestApiKey = {A40}",
        "access_key_hash: {x64}",
        "app_key: {A40}",
        "key=DPCode.PM25_STATE of the Tuya device",
        "TRELLO_KEY_ID={x32}",
        "POSTHOG_KEY=phc_{A43}",
        "trello: see the commit {x40}",
        "mailjet public key: {x32}",
        "TRELLO_TOKEN=${TRELLO_TOKEN_FROM_VAULT_7}",
        "A page about trello.\n\ntoken: {x32}",
    ] {
        let text = filled(text, &mut random);
        assert_eq!(kinds(&text), [""; 0], "{text}");
    }
}

/// The keys of `private_keys.txt`, with their names.
fn private_keys() -> Vec<(&'static str, String)> {
    let sections = include_str!("private_keys.txt").split("\n== ").skip(1);
    let keys = sections.map(|section| {
        let (name, text) = section.split_once('\n').unwrap();
        let lines = text.trim_end().lines().map(|line| {
            let is_end = line.starts_with("BEGIN ") || line.starts_with("END ");
            let dashes = if is_end { "-----" } else { "" };
            format!("{dashes}{line}{dashes}\n")
        });
        (name, lines.collect())
    });
    keys.collect()
}

#[test]
fn generated_private_keys_are_found_in_all_forms() {
    let keys = private_keys();
    assert!(keys.len() > 10);
    for (name, key) in &keys {
        let expected = detect(key.as_bytes());
        assert_eq!(expected.len(), 1, "{name}");
        let json = serde_json::json!({ "key": key }).to_string();
        let each_line = |format: fn(&str) -> String| key.lines().map(format).collect::<String>();
        for text in [
            key.replace('\n', "\r\n"),
            json.clone(),
            serde_json::Value::String(json).to_string(),
            each_line(|line| format!("      {line}\n")),
            each_line(|line| format!("> {line}\n")),
            each_line(|line| format!("# {line}\n")),
            each_line(|line| format!("    \"{line}\\n\" +\n")),
            each_line(|line| format!("{line}<br>")),
            each_line(|line| format!("{line} ")),
            format!("cat > key <<'EOF'\n{key}EOF\n"),
        ] {
            let found = detect(text.as_bytes());
            assert_eq!(found.len(), 1, "{name}: {text}");
            assert_eq!(found[0].digest(), expected[0].digest(), "{name}: {text}");
        }
    }
}

#[test]
fn keys_without_their_text_are_not_found() {
    for (name, key) in private_keys() {
        let begin = key
            .lines()
            .find(|line| line.contains("BEGIN"))
            .unwrap_or_default();
        let text = key
            .lines()
            .find(|line| line.len() > 40 && !line.contains(' '));
        for text in [
            format!("{begin}\n...\n"),
            format!("{begin}\n{}...\n", text.unwrap()),
            format!("{begin}\n(the text of the key)\n"),
        ] {
            assert_eq!(kinds(&text), [""; 0], "{name}: {text}");
        }
    }
}

#[test]
fn tokens_are_found_after_escapes() {
    let mut random = Rng::with_seed(10);
    for before in [
        r"Line\n", r"\t", "token%3D", r"\u003d", "TOKEN_", "x=", "(", "[", "|", "\u{fc}",
    ] {
        let text = filled(&format!("{before}glpat-{{w20}}"), &mut random);
        assert_eq!(kinds(&text), ["gitlab-token"], "{text}");
    }
}

#[test]
fn digest_of_a_wrapped_private_key_is_that_of_the_key() {
    for (name, key) in private_keys() {
        if key.contains("BEGIN") {
            let expected = detect(key.as_bytes()).remove(0).subject;
            let found = detect(BASE64_STANDARD.encode(&key).as_bytes()).remove(0);
            assert_eq!(found.subject, expected, "{name}");
        }
    }
}

#[test]
fn digests_and_base64_of_files_are_not_found() {
    let mut random = Rng::with_seed(11);
    for text in [
        "datadog key sha256:{x32}",
        "Twilio client, commit {x40}",
        "[auth of sonar](https://github.com/acme/sonar-auth/commit/{x40})",
        "wandb login, see {x40}",
        "{b76}\nEAAA{A60}\n{b76}\n",
        "--md-tasklist-icon--checked-md-x and org.codehaus.map.ser.BeanSerializerModifier",
        "vercelTokenProviderFactory and JIRA token: ConfluenceServerProvider",
        "https://hooks.zapier.com/hooks/catch/1234567/abcdefg",
        r#"{"kty":"EC","x":"{w43}","y":"{w43}"}"#,
        r#"{"d":"{w43}"}"#,
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t{A120}",
        "live_migration_to_complete_driver_libvirt1",
        "heroku: {x8}-{x4}-{x4}-{x4}-{x12}",
    ] {
        let text = filled(text, &mut random);
        assert_eq!(kinds(&text), [""; 0], "{text}");
    }
}

#[test]
fn placeholders_and_published_examples_are_not_found() {
    let mut random = Rng::with_seed(8);
    for text in [
        "AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        format!(
            "AKIA2345QRST6WXYZHJK without a secret, only the digest {}",
            filled("{x40}", &mut random)
        ),
        format!("ghp_{}", filled("{A36}", &mut random)),
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_owned(),
        "glpat-<your-token-here-if-you-have-one>".to_owned(),
        "glpat-your-token-here-please-and-thanks".to_owned(),
        "hf_${TOKEN_OF_HUGGING_FACE_FROM_VAULT_OR}".to_owned(),
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n".to_owned(),
        filled("-----BEGIN CERTIFICATE-----\n{b64}\n", &mut random),
        filled(
            "-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n{b64}\n",
            &mut random,
        ),
        "postgres://user:password@db.acme.io/app and https://u:p@host/".to_owned(),
        "postgres://app:${DB_PASSWORD_1}@db.acme.io/app".to_owned(),
        web_token(
            r#"{"sub":"1234567890","name":"John Doe","iat":1516239022}"#,
            &mut random,
        ),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.notatokenofanykindatallreally0123456789".to_owned(),
        filled("sha256: {x64}, md5 {x32}, commit {x40}", &mut random),
        filled("sha512-{b86}==", &mut random),
        filled("the-cio{A40} and task-{A20}", &mut random),
        filled("sk_test_{A24}", &mut random),
    ] {
        assert_eq!(kinds(&text), [""; 0], "{text}");
    }
}

#[test]
fn digest_of_a_url_does_not_depend_on_its_password() {
    let digest = |text: &str| detect(text.as_bytes())[0].digest();
    let first = digest("postgres://app:kX9_tw-Lq2Zr8v@db.acme.io/app");
    assert_eq!(
        first,
        digest("postgres://app:mB4_yc-Ws7Nf3d@db.acme.io/app")
    );
    assert_ne!(
        first,
        digest("postgres://web:kX9_tw-Lq2Zr8v@db.acme.io/app")
    );
}

#[test]
fn bytes_that_are_no_text_are_searched() {
    let mut random = Rng::with_seed(9);
    let secret = with_checksum("gho_", &mut random);
    let found = detect(&[b"\xff\0\x80", secret.as_bytes(), b"\0\xfe"].concat());
    assert_eq!(found[0].offset, 3);
    assert_eq!(found[0].message, "a GitHub token");
}

proptest! {
    #[test]
    fn any_order_of_names_words_and_values_can_be_searched(
        parts in vec(
            prop_oneof![
                sample::select(SERVICES),
                sample::select(SERVICES_WITH_COMMON_NAMES),
                sample::select(&["key", "Token", "_secret", "AUTH", "sas", "="][..]),
                sample::select(&[": ", " = \"", "', '", "(", "\n\n", "."][..]),
                sample::select(&["kX9tw7Lq2Zr8vmB4ycWs7Nf3d", "9f86d081884c7d659a2feaa0c55ad015"][..]),
            ],
            1..12,
        )
    ) {
        let text = parts.concat();
        for found in detect(text.as_bytes()) {
            prop_assert!(found.offset < text.len());
        }
    }
}
