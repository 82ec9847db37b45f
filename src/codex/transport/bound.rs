//! What every transport is bound to, and what all of them say in the same words.

use std::path::Path;
use std::sync::Arc;

use super::Purpose;
use crate::codex::auth::{self, Credential};
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::git_config::Settings;
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::url::RemoteUrl;
use crate::workspace::Remote;

/// One remote, its credential, who may stop the work and who hears of it.
#[derive(Clone)]
pub(in crate::codex) struct Bound {
    pub(in crate::codex) remote: Remote,
    pub(in crate::codex) environment: Environment,
    pub(in crate::codex) credential: Option<Credential>,
    /// The user's git configuration.
    pub(in crate::codex) settings: Arc<Settings>,
    pub(in crate::codex) interrupt: Interrupt,
    pub(in crate::codex) reporter: Arc<dyn Reporter>,
}

impl Bound {
    /// Binds to `remote`. An error if a token would travel in the clear.
    pub(in crate::codex) fn new(
        remote: &Remote,
        environment: &Environment,
        interrupt: &Interrupt,
        reporter: Arc<dyn Reporter>,
    ) -> Result<Self, RemoteError> {
        let bound = Self {
            remote: remote.clone(),
            environment: environment.clone(),
            credential: auth::credential(remote, environment),
            settings: Arc::default(),
            interrupt: interrupt.clone(),
            reporter,
        };
        bound.checked()
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

    /// Adds the user's git configuration, and binds to the URL that git contacts after `settings` rewrote that of the
    /// codex. A token of the codex's URL is kept only for the same host.
    pub(in crate::codex) fn configured(
        mut self,
        settings: Settings,
        purpose: Purpose,
    ) -> Result<Self, RemoteError> {
        self.settings = Arc::new(settings);
        let configured = &self.remote.url;
        let for_push = purpose == Purpose::Publish;
        let rewritten = self.settings.rewritten(&configured.written(), for_push);
        let Some(text) = rewritten else {
            return Ok(self);
        };
        let url = RemoteUrl::parse(&text, Path::new("/"))
            .map_err(|error| self.error(RemoteErrorKind::Rewritten, vec![error.to_string()]))?;
        tracing::debug!(%configured, %url, "git's configuration rewrites the URL");

        let keeps_credential = url.has_origin_of(configured) && url.credentials().is_none();
        self.remote.url = url;
        if !keeps_credential {
            self.remote.token = None;
            self.remote.repository_token = None;
            self.credential = auth::credential(&self.remote, &self.environment);
        }
        self.checked()
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
            auth::tried(&self.remote, &self.environment)
        } else {
            Vec::new()
        };
        RemoteError {
            tried,
            ..RemoteError::new(kind, &self.remote.url, detail)
        }
    }

    /// Lines without what would give the credential away.
    pub(in crate::codex) fn redacted(&self, lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| self.redacted_line(line)).collect()
    }

    /// The same for one line.
    pub(in crate::codex) fn redacted_line(&self, line: &str) -> String {
        let traces = self.credential.iter().flat_map(Credential::traces);
        traces.fold(line.to_owned(), |line, trace| line.replace(&trace, "***"))
    }

    /// Where a `Location` header leads to, such that it can be set as the remote's URL.
    pub(in crate::codex) fn leads_to(&self, location: &str) -> Option<String> {
        // Without the part that git's protocol adds.
        let url = location.split("/info/refs").next().unwrap_or_default();
        let url = url
            .trim_end_matches("/git-upload-pack")
            .trim_end_matches("/git-receive-pack");
        let url = RemoteUrl::parse(url, Path::new("/")).ok()?.to_string();
        Some(self.redacted_line(&url))
    }
}
