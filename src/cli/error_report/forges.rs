//! Errors of the API of a forge.

use std::time::Duration;

use super::remotes::{remote_details, remote_hint};
use crate::codex::remote::error::RemoteErrorKind;
use crate::codex::remote::server_message::marked;
use crate::outcome::{ForgeError, ForgeKind, ForgeRejection};

/// The identifier of an error of the forge. It is the same as that of an error of the remote with
/// the same cause.
pub(super) fn forge_kind(error: &ForgeError) -> &'static str {
    match error {
        ForgeError::Connection(error) => error.kind.name(),
        ForgeError::NoToken { .. } => "no-credentials",
        ForgeError::UnknownKind { .. } => "unknown-forge",
        ForgeError::Unsupported { .. } => "unsupported-forge",
        ForgeError::NoRepository { .. } => "not-found",
        ForgeError::Insecure { .. } => "insecure",
        ForgeError::Redirected { .. } => "redirected",
        ForgeError::RateLimited { .. } => "rate-limited",
        ForgeError::Rejected { rejection, .. } => match rejection.status {
            401 => "wrong-credentials",
            403 => "forbidden",
            404 => "not-found",
            500.. => "server-failure",
            _ => "forge-rejected",
        },
        ForgeError::Unexpected { .. } => "unexpected-response",
        ForgeError::NoSuchName { .. } => "not-found",
        ForgeError::NotShown { .. } => "not-shown",
        ForgeError::NotOpen { .. } | ForgeError::OtherBranch { .. } => "not-open",
        ForgeError::NoAutoMerge { .. } => "auto-merge",
        ForgeError::Interrupted(_) => "interrupted",
    }
}

/// The suggestions for an error of the forge.
pub(super) fn forge_hints(error: &ForgeError) -> Vec<String> {
    let hint = match error {
        ForgeError::Connection(error) => match error.kind {
            RemoteErrorKind::HostUnknown | RemoteErrorKind::Refused => {
                "check `forge.api`, and the network".to_owned()
            }
            _ => return remote_hint(error).into_iter().collect(),
        },
        ForgeError::NoToken { .. } => {
            "set `forge.token` (or `FRACTARY_CODEX_FORGE__TOKEN`); git's credential helpers are not asked for the API"
                .to_owned()
        }
        ForgeError::UnknownKind { .. } => {
            "set `forge.kind` to `github`, `gitlab` or `gitea`, and `forge.api` if the API is not on the remote's host"
                .to_owned()
        }
        ForgeError::Unsupported { .. } => {
            "use `push.mode: branch`, and open the pull request on the server".to_owned()
        }
        ForgeError::NoRepository { .. } => "set `forge.repository` to `OWNER/NAME`".to_owned(),
        ForgeError::Insecure { .. } => {
            "set `forge.api` to an https URL, or allow it with `remote.allow_insecure: true`".to_owned()
        }
        ForgeError::Redirected { .. } => {
            "set `remote.url`, `forge.api` or `forge.repository` to the new place".to_owned()
        }
        ForgeError::RateLimited { delay, .. } => {
            run_again_in(*delay)
        }
        ForgeError::Rejected { kind, rejection, .. } => return forge_rejection_hints(*kind, rejection),
        ForgeError::Unexpected { .. } => {
            "check `forge.kind` and `forge.api`; the response may also be the login page of a proxy".to_owned()
        }
        ForgeError::NoSuchName { .. }
        | ForgeError::NotShown { .. }
        | ForgeError::NotOpen { .. }
        | ForgeError::OtherBranch { .. }
        | ForgeError::NoAutoMerge { .. }
        | ForgeError::Interrupted(_) => return Vec::new(),
    };
    vec![hint]
}

/// The hint for a server that limits the rate of requests. A delay of more than 30 days is not named,
/// because the clock of such a server is wrong.
fn run_again_in(delay: Duration) -> String {
    const MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    if delay > MAX {
        return "run again later".to_owned();
    }
    let delay = humantime::format_duration(Duration::from_secs(delay.as_secs()));
    format!("run again in {delay}")
}

/// The hints for a request that a forge rejected, by status: mostly the permissions to grant.
fn forge_rejection_hints(kind: Option<ForgeKind>, rejection: &ForgeRejection) -> Vec<String> {
    let permissions = match kind {
        Some(ForgeKind::GitHub) => {
            "a fine-grained token or an App needs the repository permissions Contents and Pull requests (both read and write); a classic token needs the scope `repo`"
        }
        Some(ForgeKind::GitLab) => {
            "the token needs the scope `api`, and its user at least the role Developer; `CI_JOB_TOKEN` and deploy tokens cannot open merge requests"
        }
        Some(ForgeKind::Gitea) => {
            "the token needs the scopes `write:repository` and, for labels, `write:issue`"
        }
        None => "check the permissions of the token",
    };
    let hint = match rejection.status {
        401 => {
            "check that the token of the API (`forge.token`, else that of the remote) is correct and not expired"
        }
        403 if rejection.mentions("GitHub Actions is not permitted") => {
            "allow GitHub Actions to create pull requests in the settings of the organization and of the repository, or use the token of an App"
        }
        403 => permissions,
        404 => {
            "check `forge.repository`; forges also report this if the token lacks access to the repository"
        }
        500.. => "run again later",
        _ => return Vec::new(),
    };
    let needed = rejection
        .needed
        .as_ref()
        .filter(|_| rejection.status == 403)
        .map(|needed| format!("the server names the permissions that the request needs: {needed}"));
    [hint.to_owned()].into_iter().chain(needed).collect()
}

/// The server's messages, and the tokens that may not be sent to it.
pub(super) fn forge_details(error: &ForgeError) -> Vec<String> {
    match error {
        ForgeError::Connection(error) => remote_details(error),
        ForgeError::NoToken { tried, .. } => tried.clone(),
        ForgeError::Redirected { to, .. } => vec![format!("it leads to {to}")],
        ForgeError::Rejected { rejection, .. } => {
            let granted = rejection
                .granted
                .as_ref()
                .filter(|_| rejection.status == 403);
            let granted = granted.map(|scopes| format!("the token has the scopes {scopes}"));
            marked(&rejection.messages).chain(granted).collect()
        }
        _ => Vec::new(),
    }
}
