//! Chooses the credential for a remote, and the token for the API of its forge. A token is only sent
//! in a header, and only to the URL that it is for (see SECURITY.md). If the program has no token for
//! a remote, git's credential helpers apply.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::environment::{Environment, JOB_TOKENS};
use crate::secret::Secret;
use crate::token_host::TokenHost;
use crate::url::{RemoteUrl, percent_encoded};
use crate::workspace::{Remote, Workspace};

/// A credential for one remote. It has no `Debug`, because even the user name can be the token.
#[derive(Clone)]
pub(crate) struct Credential {
    user: String,
    /// The password or the token.
    secret: Secret,
    /// Whether the user name is the token.
    user_is_secret: bool,
    /// The source, for messages: `remote.token` or `GITHUB_TOKEN`, for example.
    pub origin: &'static str,
}

impl Credential {
    /// The value of an `Authorization` header.
    pub(crate) fn authorization(&self) -> Secret {
        basic(self.user.as_bytes(), self.secret.reveal().as_bytes())
    }

    /// All forms in which the secret can appear in the output of a child process.
    pub(crate) fn traces(&self) -> Vec<String> {
        let authorization = self.authorization();
        let encoded = authorization
            .reveal()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        let user = self.user_is_secret.then(|| self.user.clone());
        let unpadded = encoded.trim_end_matches('=').to_owned();
        let traces = [
            self.secret.reveal().to_owned(),
            percent_encoded(self.secret.reveal().as_bytes(), b"-._~"),
            encoded,
            unpadded,
        ]
        .into_iter()
        .chain(user);
        traces.filter(|trace| !trace.is_empty()).collect()
    }
}

/// The value of an `Authorization` header of the scheme Basic. The parts need not be UTF-8.
pub(in crate::codex) fn basic(user: &[u8], password: &[u8]) -> Secret {
    let plain = [user, b":", password].concat();
    Secret::new(format!("Basic {}", BASE64_STANDARD.encode(plain)))
}

/// Returns the credential for `remote`. The first of these counts: the URL itself, `remote.token`,
/// the older `remotes` entry, and, for GitHub only, the tokens in the environment. Tokens are only
/// used over http.
pub(crate) fn credential(remote: &Remote, environment: &Environment) -> Option<Credential> {
    if !remote.url.is_http() {
        return None;
    }
    if let Some((user, secret)) = remote.url.credentials() {
        return Some(Credential {
            user,
            secret,
            user_is_secret: remote.url.user_is_secret(),
            origin: "the URL",
        });
    }
    let with_token = |secret: &Secret, origin| Credential {
        user: remote.username.clone(),
        secret: secret.clone(),
        user_is_secret: false,
        origin,
    };
    if let Some(token) = &remote.token {
        return Some(with_token(token, "`remote.token`"));
    }
    if let Some(token) = &remote.repository_token {
        return Some(with_token(token, "`remotes`"));
    }
    let (token, variable) = job_token(remote, environment)?;
    Some(with_token(&token, variable))
}

/// The token of a job on GitHub, and the name of its variable. `None` if the remote is elsewhere.
fn job_token(remote: &Remote, environment: &Environment) -> Option<(Secret, &'static str)> {
    if !is_github(remote, environment) {
        return None;
    }
    JOB_TOKENS
        .into_iter()
        .find_map(|name| Some((Secret::new(environment.get(name)?), name)))
}

/// Returns the token for the API of the forge: `forge.token`, or else that of the remote, also if the
/// remote itself is reached over ssh. `None` without a token that may be sent there.
pub(crate) fn api_token(workspace: &Workspace, environment: &Environment) -> Option<Secret> {
    let settings = &workspace.forge;
    if let Some(token) = &settings.token {
        return Some(token.clone());
    }
    if !settings.takes_remote_token {
        return None;
    }
    let remote = &workspace.remote;
    if remote.url.is_http() {
        return credential(remote, environment).map(|credential| {
            if credential.user_is_secret {
                Secret::new(credential.user)
            } else {
                credential.secret
            }
        });
    }
    let of_job = || job_token(remote, environment).map(|(token, _)| token);
    remote.token.clone().or_else(of_job)
}

/// Messages for an authentication error: the credential that was sent, and the sources that had
/// none.
pub(crate) fn tried(remote: &Remote, environment: &Environment) -> Vec<String> {
    let mut tried: Vec<_> = remote
        .unset_token_variables
        .iter()
        .map(|name| format!("`${{{name}}}` is named as a token but not set"))
        .collect();
    tried.extend(remote.unused_tokens.iter().cloned());
    match credential(remote, environment) {
        Some(credential) => tried.push(format!("the token of {} was sent", credential.origin)),
        None if remote.url.is_http() => tried
            .push("no token applies to this host; git's credential helpers were asked".to_owned()),
        None => {}
    }
    tried
}

/// Whether the remote is on github.com, or on the GitHub server that runs this job.
fn is_github(remote: &Remote, environment: &Environment) -> bool {
    let server = environment.get("GITHUB_SERVER_URL").and_then(|url| {
        match RemoteUrl::parse(url, Path::new("/")) {
            Ok(parsed) if url.contains("://") => TokenHost::of(&parsed),
            _ => url.parse().ok(),
        }
    });
    let hosts = [Some(TokenHost::github()), server];
    hosts
        .iter()
        .flatten()
        .any(|host| host.is_of_forge(&remote.url))
}
