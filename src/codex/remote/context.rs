//! The context of a connection to a remote, shared by all transports: the remote, its credential,
//! git's configuration for it, and errors about it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::transport::Purpose;
use crate::codex::git_config::Settings;
use crate::codex::remote::credential::{self, Credential};
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::environment::Environment;
use crate::event::{Event, Reporter};
use crate::interrupt::Interrupt;
use crate::paths::escaped;
use crate::secret::Secret;
use crate::url::RemoteUrl;
use crate::workspace::Remote;

/// A remote with everything that an operation on it needs.
#[derive(Clone)]
pub(in crate::codex) struct RemoteContext {
    pub(in crate::codex) remote: Remote,
    pub(in crate::codex) environment: Environment,
    pub(in crate::codex) credential: Option<Credential>,
    /// Other secrets that are sent to servers.
    pub(in crate::codex) sent_secrets: SentSecrets,
    /// The URL of the configuration, which git's configuration may rewrite to that of `remote`.
    pub(in crate::codex) configured_url: RemoteUrl,
    /// The user's git configuration.
    pub(in crate::codex) settings: Arc<Settings>,
    pub(in crate::codex) interrupt: Interrupt,
    pub(in crate::codex) reporter: Arc<dyn Reporter>,
}

impl RemoteContext {
    /// Returns the context for `remote`, or an error if a token would be sent over plain http that
    /// must not be.
    pub(in crate::codex) fn new(
        remote: &Remote,
        environment: &Environment,
        interrupt: &Interrupt,
        reporter: Arc<dyn Reporter>,
    ) -> Result<Self, RemoteError> {
        let context = Self {
            remote: remote.clone(),
            environment: environment.clone(),
            credential: credential::credential(remote, environment),
            sent_secrets: SentSecrets::default(),
            configured_url: remote.url.clone(),
            settings: Arc::default(),
            interrupt: interrupt.clone(),
            reporter,
        };
        context.checked()
    }

    fn checked(self) -> Result<Self, RemoteError> {
        let Remote {
            url,
            allow_insecure,
            ..
        } = &self.remote;
        let exposed = url.is_plain_http() && !url.is_loopback() && !allow_insecure;
        if exposed && self.credential.is_some() {
            return Err(self.error(RemoteErrorKind::Insecure, Vec::new()));
        }
        Ok(self)
    }

    /// Adds the user's git configuration, and replaces the URL by the one to which `settings`
    /// rewrite it. A token for the codex's URL is kept only if the host is the same. A workspace
    /// cannot allow plain http for the token or the password that replaces it.
    pub(in crate::codex) fn configured(
        mut self,
        settings: Settings,
        purpose: Purpose,
    ) -> Result<Self, RemoteError> {
        let authorizations = settings.authorization_headers();
        authorizations.for_each(|header| self.sent_secrets.add_authorization(header));
        self.settings = Arc::new(settings);
        let configured = &self.remote.url;
        let for_push = purpose == Purpose::Publish;
        let rewritten = self.settings.rewritten(&configured.written(), for_push);
        let Some(text) = rewritten else {
            return self.allowed();
        };
        let url = RemoteUrl::parse(&text, Path::new("/"))
            .map_err(|error| self.error(RemoteErrorKind::Rewritten, vec![error.to_string()]))?;
        tracing::debug!(%configured, %url, "git's configuration rewrites the URL");

        let keeps_credential = url.has_origin_of(configured) && url.credentials().is_none();
        self.remote.url = url;
        if !keeps_credential {
            self.remote.token = None;
            self.remote.repository_token = None;
            self.remote.allow_insecure = self.remote.allow_insecure_by_user;
            self.credential = credential::credential(&self.remote, &self.environment);
        }
        self.checked()?.allowed()
    }

    /// An error if the user's git settings forbid the protocol of the URL.
    fn allowed(self) -> Result<Self, RemoteError> {
        match forbidden_by(
            self.remote.url.protocol(),
            &self.settings,
            &self.environment,
        ) {
            Some(setting) => Err(self.error(RemoteErrorKind::ProtocolNotAllowed, vec![setting])),
            None => Ok(self),
        }
    }

    /// An error about this remote. The kind of URL can change what the messages of a server mean.
    pub(in crate::codex) fn error(
        &self,
        kind: RemoteErrorKind,
        detail: Vec<String>,
    ) -> RemoteError {
        let url = &self.remote.url;
        let kind = match kind {
            RemoteErrorKind::DubiousOwnership if url.local_path().is_none() => {
                RemoteErrorKind::ServerOwnership
            }
            RemoteErrorKind::ShellNoise if !url.is_ssh() => RemoteErrorKind::ServerFailure,
            // Over ssh, the login shell prints before git does.
            RemoteErrorKind::NotGit if url.is_ssh() => RemoteErrorKind::ShellNoise,
            kind => kind,
        };
        let about_access = matches!(
            kind,
            RemoteErrorKind::NoCredentials
                | RemoteErrorKind::WrongCredentials
                | RemoteErrorKind::Forbidden
                | RemoteErrorKind::NotFound
        );
        let tried = if about_access {
            credential::tried(&self.remote, &self.environment)
        } else {
            Vec::new()
        };
        RemoteError {
            tried,
            ..RemoteError::new(kind, &self.remote.url, detail)
        }
    }

    /// Masks all secrets that were sent in lines of a server or a child process.
    pub(in crate::codex) fn redacted(&self, lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| self.redacted_line(line)).collect()
    }

    /// Masks all secrets that were sent in a line of a server or a child process.
    pub(in crate::codex) fn redacted_line(&self, line: &str) -> String {
        let traces = self.credential.iter().flat_map(Credential::traces);
        let line = traces.fold(line.to_owned(), |line, trace| line.replace(&trace, "***"));
        let line = self.sent_secrets.mask_in(line);
        let line = self.remote.url.mask_in(&line);
        self.configured_url.mask_in(&line)
    }

    /// Reports that a push was sent and its result is awaited. `line` is the last line of the server.
    pub(in crate::codex) fn report_awaited(&self, line: Option<&str>) {
        let shown = |line: &str| {
            let line = self.redacted_line(line).replace('\t', "    ");
            escaped(line.trim().as_bytes()).to_string()
        };
        self.reporter.event(&Event::AwaitingServer {
            message: line.map(shown),
        });
    }

    /// The target of a `Location` header in a form that can be set as `remote.url`.
    pub(in crate::codex) fn leads_to(&self, location: &str) -> Option<String> {
        // git's protocol appends this to the URL of the repository.
        let url = location.split("/info/refs").next().unwrap_or_default();
        let url = url
            .trim_end_matches("/git-upload-pack")
            .trim_end_matches("/git-receive-pack");
        let url = RemoteUrl::parse(url, Path::new("/")).ok()?.to_string();
        Some(self.redacted_line(&url))
    }
}

/// The secrets that were sent to servers and that come from git: the logins of credential helpers and
/// of `~/.netrc`, and `http.extraHeader`. Servers may repeat them.
#[derive(Clone, Default)]
pub(in crate::codex) struct SentSecrets(Arc<Mutex<Vec<Secret>>>);

impl SentSecrets {
    /// Adds the secrets in the value of an `Authorization` header.
    pub(in crate::codex) fn add_authorization(&self, value: &str) {
        let value = value.trim();
        let encoded = value.rsplit(' ').next().unwrap_or_default();
        // Servers may repeat it without the padding.
        let unpadded = encoded.trim_end_matches('=');
        let decoded = STANDARD_NO_PAD.decode(unpadded).ok();
        let decoded = decoded.and_then(|decoded| String::from_utf8(decoded).ok());
        let password = decoded.as_deref().and_then(|pair| pair.split_once(':'));
        let password = password.map(|(_, password)| password);

        let found = [Some(unpadded), password].into_iter().flatten();
        let found = found.filter(|secret| !secret.is_empty()).map(Secret::new);
        self.secrets().extend(found);
    }

    fn mask_in(&self, text: String) -> String {
        let secrets = self.secrets();
        secrets
            .iter()
            .fold(text, |text, secret| text.replace(secret.reveal(), "***"))
    }

    fn secrets(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The setting that forbids `protocol`, by the rules of `git help config`, under `protocol.allow`.
/// None of the protocols here is forbidden by default.
fn forbidden_by(protocol: &str, settings: &Settings, environment: &Environment) -> Option<String> {
    if let Some(list) = environment.get("GIT_ALLOW_PROTOCOL") {
        let is_listed = list.split(':').any(|name| name == protocol);
        return (!is_listed).then(|| format!("`GIT_ALLOW_PROTOCOL` is `{list}`"));
    }
    let own = format!("protocol.{protocol}.allow");
    let named = [own.as_str(), "protocol.allow"]
        .into_iter()
        .find_map(|key| Some((key, settings.get(key)?)));
    let (key, policy) = match named {
        Some(named) => named,
        None if protocol == "file" => (own.as_str(), "user"),
        None => return None,
    };
    match policy {
        "always" => None,
        "user" if environment.get("GIT_PROTOCOL_FROM_USER") != Some("0") => None,
        "user" => Some(format!(
            "`GIT_PROTOCOL_FROM_USER` is `0`, and `{key}` is `user`"
        )),
        policy => Some(format!("`{key}` is `{policy}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_allowed_by_the_rules_of_git() {
        let by = |protocol: &str, settings: &str, variables: &[(&str, &str)]| {
            let pairs = variables.iter();
            let environment: Environment = pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            forbidden_by(protocol, &Settings::parse(settings), &environment)
        };
        let never = "protocol.allow\nnever\0protocol.https.allow\nalways\0";
        assert_eq!(by("file", "", &[]), None);
        assert_eq!(by("https", never, &[]), None);
        assert_eq!(
            by("ssh", never, &[]).unwrap(),
            "`protocol.allow` is `never`"
        );
        let listed = [("GIT_ALLOW_PROTOCOL", "ssh:https")];
        assert_eq!(by("ssh", never, &listed), None);
        assert!(by("file", "", &listed).is_some());
        let foreign = [("GIT_PROTOCOL_FROM_USER", "0")];
        assert!(by("file", "", &foreign).is_some());
        assert_eq!(by("https", "", &foreign), None);
    }

    #[test]
    fn sent_secrets_are_masked_in_each_form() {
        // `ada:s3cret`
        for (value, text, masked) in [
            (
                "Basic YWRhOnMzY3JldA==",
                "YWRhOnMzY3JldA== or s3cret",
                "***== or ***",
            ),
            ("basic YWRhOnMzY3JldA", "Basic YWRhOnMzY3JldA", "Basic ***"),
            (" Bearer t0ken", "Bearer t0ken", "Bearer ***"),
        ] {
            let secrets = SentSecrets::default();
            secrets.add_authorization(value);
            assert_eq!(secrets.mask_in(text.to_owned()), masked);
        }
    }
}
