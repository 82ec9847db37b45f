//! Errors of forges, by cause.

use std::time::Duration;

use super::place::ForgeKind;
use crate::codex::remote::error::RemoteError;
use crate::interrupt::Interrupted;
use crate::object::ObjectId;
use crate::paths::escaped;

/// Why a request to a forge failed, or could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgeError {
    /// The server cannot be reached, or its response cannot be read.
    #[error(transparent)]
    Connection(Box<RemoteError>),
    /// There is no token that may be sent to the API.
    #[error("no token for the API of `{place}`")]
    NoToken {
        /// The host of the API.
        place: String,
        /// Descriptions of the tokens that may not be sent there.
        tried: Vec<String>,
    },
    /// The kind of forge is unknown.
    #[error("cannot find out which forge `{place}` is")]
    UnknownKind {
        /// The host, or the path of a local codex.
        place: String,
    },
    /// The forge is known, and pull requests on it are not supported.
    #[error("pull requests on {forge} (`{place}`) are not supported")]
    Unsupported {
        /// The name of the forge.
        forge: &'static str,
        /// The host.
        place: String,
    },
    /// The repository's name on the forge is unknown.
    #[error("the name of the repository on `{place}` is not known")]
    NoRepository {
        /// The host of the API.
        place: String,
    },
    /// A token would be sent over plain http.
    #[error("a token would be sent to the API at `{url}` over plain http")]
    Insecure {
        /// The URL of the API.
        url: String,
    },
    /// The API redirects: the repository was renamed, for example.
    #[error("the API of `{place}` redirects; tokens are not sent to redirect targets")]
    Redirected {
        /// The host of the API.
        place: String,
        /// The target.
        to: String,
    },
    /// The server limits the number of requests.
    #[error("the API of `{place}` limits the rate of requests")]
    RateLimited {
        /// The host of the API.
        place: String,
        /// How long the server asks to wait.
        delay: Duration,
    },
    /// The server rejected the request.
    #[error("{place} did not {action}: status {}", rejection.status)]
    Rejected {
        /// The host of the API.
        place: String,
        /// The kind of forge; `None` if it was not known yet.
        kind: Option<ForgeKind>,
        /// The purpose of the request, as in `open the pull request`.
        action: &'static str,
        /// The response.
        rejection: Box<ForgeRejection>,
    },
    /// The response is not what the API documents.
    #[error("the API of `{place}` sent an unexpected response: {detail}")]
    Unexpected {
        /// The host of the API.
        place: String,
        /// The unexpected part.
        detail: String,
    },
    /// A label or a reviewer does not exist on the forge, or the forge does not support it.
    #[error("{place} has no {what} `{}`", escaped(name.as_bytes()))]
    NoSuchName {
        /// The host of the API.
        place: String,
        /// The kind of thing: `label`, for example.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The forge did not show the pushed commit in time.
    #[error("the forge does not show {head} as the head of {} yet", escaped(what.as_bytes()))]
    NotShown {
        /// The address of the pull request or, if it cannot be opened yet, the branch.
        what: String,
        /// The tip of the branch.
        head: ObjectId,
    },
    /// The pull request was closed or merged during the run, without the pushed commit.
    #[error("{} was closed or merged before it had the pushed commit", escaped(url.as_bytes()))]
    NotOpen {
        /// The address of the pull request.
        url: String,
    },
    /// The pull request is from another branch, or a person has changed the branch that it is to be
    /// merged into.
    #[error(
        "{} is not a pull request from `{}` to `{}`",
        escaped(url.as_bytes()), escaped(branch.as_bytes()), escaped(base.as_bytes())
    )]
    OtherBranch {
        /// The address of the pull request.
        url: String,
        /// The sync branch.
        branch: String,
        /// The branch of the codex.
        base: String,
    },
    /// Auto-merge cannot be enabled, or would merge without any check.
    #[error("auto-merge was not enabled: {reason}")]
    NoAutoMerge {
        /// The reason.
        reason: String,
    },
    /// Stopped by a signal.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
}

/// The response of a server that rejected a request.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ForgeRejection {
    /// The HTTP status.
    pub status: u16,
    /// The server's messages, one string per line.
    pub messages: Vec<String>,
    /// The permissions that the request needs, if the server names them.
    pub needed: Option<String>,
    /// The permissions that the token has, if the server names them.
    pub granted: Option<String>,
}

impl ForgeRejection {
    /// Whether one of the messages contains `text`, in any case.
    pub fn mentions(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.messages
            .iter()
            .any(|message| message.to_lowercase().contains(&text))
    }
}

impl ForgeError {
    /// The response, if the server rejected the request.
    pub fn rejection(&self) -> Option<&ForgeRejection> {
        match self {
            Self::Rejected { rejection, .. } => Some(rejection),
            _ => None,
        }
    }
}
