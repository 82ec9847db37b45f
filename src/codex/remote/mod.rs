//! Exchanges refs and objects with the remote: the trait [`Transport`] and what its implementations
//! have in common.
//!
//! A new transport implements [`Transport`] in a file or folder here, and gets a name in
//! [`TransportChoice`] and an arm in [`open`]. It stores a `RemoteContext` (remote, credential,
//! shared error and ref parsing) and maps its failures to
//! [`RemoteErrorKind`](error::RemoteErrorKind), which alone decides retries, the outcome of a push,
//! and hints. A name in `tests/it/support/transport.rs` makes every test run on it. For users, its
//! name is documented in `defaults.yaml`, in the schema (`config::choices`) and in the README.

mod context;
pub(crate) mod credential;
pub(crate) mod error;
mod error_messages;
mod git_process;
mod http_response;
mod native;
mod refs;
mod rejection;
pub(crate) mod server_message;

use std::sync::Arc;

use super::push_contents::PushContents;
use super::store::Store;
use crate::config::TransportChoice;
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::object::ObjectId;
use crate::url::RemoteUrl;
use crate::workspace::Remote;
use context::RemoteContext;
use error::RemoteError;
use git_process::GitProcess;
use native::Native;
pub(crate) use native::NotesLocation;

/// The branch that a sync creates in an empty remote if no branch is configured.
pub(crate) const FIRST_BRANCH: &str = "main";

/// The refs of a remote that concern a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteRefs {
    /// The branch that is synced.
    pub branch: String,
    /// The tip of the branch; `None` if the branch does not exist.
    pub tip: Option<ObjectId>,
    /// The branch that the remote's HEAD points to, and its tip; `None` if HEAD points to no
    /// existing branch.
    pub head: Option<(String, ObjectId)>,
    /// Whether the remote has no branch at all.
    pub is_empty: bool,
}

/// The result of a push that was sent.
#[derive(Debug)]
pub(crate) enum PushReply {
    /// The server accepted it.
    Accepted {
        /// The ref that the server updated, if it is not the branch: the push became a review.
        instead: Option<String>,
        /// The server's messages, one string per line.
        words: Vec<String>,
    },
    /// The server rejected it, or git did before sending it. Nothing landed.
    Rejected(Rejection),
    /// All of it was sent, and no verdict arrived: the server may still process it.
    Lost(RemoteError),
}

/// The reason for a rejected push.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// Decides whether the push is repeated.
    pub kind: RejectionKind,
    /// The reason that was given for the ref.
    pub reason: String,
    /// The server's messages, one string per line.
    pub words: Vec<String>,
}

impl Rejection {
    /// Whether the server rejected the push because it hides the branch (`transfer.hideRefs`).
    pub fn is_of_hidden_branch(&self) -> bool {
        self.reason.contains("hidden ref")
    }
}

/// The kinds of rejections, which decide whether a push is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The branch has another tip than the expected one.
    Outdated,
    /// Another push holds the lock of the branch: the same push may succeed a moment later.
    Locked,
    /// The server does not accept this push.
    Declined,
    /// The server does not accept a request of this size.
    TooLarge,
}

impl PushReply {
    pub(super) fn accepted() -> Self {
        Self::Accepted {
            instead: None,
            words: Vec::new(),
        }
    }

    /// Rejects a push that is not based on the current tip, with git's reason.
    pub(super) fn moved() -> Self {
        Self::Rejected(Rejection {
            kind: RejectionKind::Outdated,
            reason: "fetch first".to_owned(),
            words: Vec::new(),
        })
    }

    /// A rejection by the server, which gave `why`.
    pub(super) fn rejected(why: &str, words: Vec<String>) -> Self {
        Self::Rejected(Rejection {
            kind: rejection::kind(why, &words),
            reason: why.to_owned(),
            words,
        })
    }
}

/// The number of commits of the history that a fetch includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth(pub u32);

/// The destination of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The branch.
    pub branch: &'a str,
    /// The tip that the push replaces; with any other tip, the push is rejected. `None`: the branch
    /// must not exist.
    pub tip: Option<ObjectId>,
}

/// The effect of a signal on an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnSignal {
    /// The operation stops.
    Stop,
    /// The operation continues: data was sent, so the result must be awaited and reported.
    GoOn,
}

/// The purpose of a connection, which decides how git's configuration rewrites the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reading only: `url.*.insteadOf` applies.
    Read,
    /// Publishing: `url.*.pushInsteadOf` applies too, also for reading, so that the pushed branch
    /// is the one that is read.
    Publish,
}

/// A way to talk to one remote with its credentials.
pub(crate) trait Transport: Send + Sync {
    /// The URL that is contacted: that of the codex, after git's configuration (`url.*.insteadOf`)
    /// has rewritten it.
    fn url(&self) -> &RemoteUrl;

    /// The reason for which the `git` program is used although the configuration does not select
    /// it.
    fn fallback(&self) -> Option<String> {
        None
    }

    /// Queries the tip of `branch`, or of the branch that HEAD points to.
    fn refs(&self, branch: Option<&str>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError>;

    /// Fetches the tip of `branch` into `store`, and returns its id.
    fn fetch(
        &self,
        store: &Store,
        branch: &str,
        depth: Depth,
        on_signal: OnSignal,
    ) -> Result<ObjectId, RemoteError>;

    /// Fetches the blobs with these ids, which belong to the tip and are missing from `store`, in
    /// one request.
    fn fetch_contents(&self, store: &Store, ids: &[ObjectId]) -> Result<(), RemoteError>;

    /// Checks whether `commit` could be pushed to `target`, without pushing it.
    fn would_push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
    ) -> Result<PushReply, RemoteError>;

    /// Prepares a push that is likely to follow, as far as that takes time and does not change the
    /// remote. Errors are left to the push.
    fn expect_push(&self) {}

    /// Pushes `commit` with the `contents` of its new files, never by force. Signals do not
    /// interrupt it. An error means that the commit did not land and will not land: it was not sent
    /// completely, or the server did not read the request. If the contents fail, the push is not
    /// completed, and `contents` has the reason.
    fn push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
        contents: &mut dyn PushContents,
    ) -> Result<PushReply, RemoteError>;
}

/// Opens the transport that `remote.transport` selects, for `remote`. It keeps what it learns about
/// the server in `notes`. An error if the transport is unavailable, or if a token would be sent
/// unencrypted.
pub(crate) fn open(
    remote: &Remote,
    environment: &Environment,
    interrupt: &Interrupt,
    reporter: Arc<dyn Reporter>,
    purpose: Purpose,
    notes: Option<NotesLocation>,
) -> Result<Box<dyn Transport>, RemoteError> {
    let context = RemoteContext::new(remote, environment, interrupt, reporter)?;
    match remote.transport {
        TransportChoice::Auto | TransportChoice::Native => {
            Ok(Box::new(Native::new(context, purpose, notes)?))
        }
        TransportChoice::Git => Ok(Box::new(GitProcess::new(context, purpose)?)),
    }
}
