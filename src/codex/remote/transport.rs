//! The interface of all transports: a remote as the rest of the program sees it.

use super::error::RemoteError;
use super::rejection::{self, Rejection, RejectionKind};
use crate::codex::push_contents::PushContents;
use crate::codex::store::Store;
use crate::interrupt::OnSignal;
use crate::object::ObjectId;
use crate::url::RemoteUrl;

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
