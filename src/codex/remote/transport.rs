//! The interface of all transports: a remote as the rest of the program sees it.

use std::collections::BTreeMap;

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
    /// The names of all branches, if the synced branch does not exist.
    pub existing: Vec<String>,
    /// The tips of the [other branches](Branches::others) that exist.
    pub others: BTreeMap<String, ObjectId>,
}

/// The branches whose tips are queried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branches<'b> {
    /// The branch that is synced; `None` for the branch that HEAD points to.
    pub synced: Option<&'b str>,
    /// Other branches.
    pub others: &'b [String],
}

/// The result of a push for one branch.
#[derive(Debug, Clone)]
pub(crate) enum PushReply {
    /// The server accepted the push.
    Accepted {
        /// The ref that the server updated, if it is not the branch: the push became a review.
        instead: Option<String>,
        /// The server's messages, one string per line.
        words: Vec<String>,
    },
    /// The server rejected the push, or git did before sending it. Nothing landed.
    Rejected(Rejection),
    /// All of the push was sent, and no verdict arrived: the server may still process it. Only
    /// [`PushReply::without_verdict`] makes this reply.
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

    /// The result of a push that failed with `error` before the server gave a verdict. An error if
    /// nothing can have landed: the push was not sent completely, or the server did not read it.
    pub(super) fn without_verdict(error: RemoteError, is_sent: bool) -> Result<Self, RemoteError> {
        if is_sent && !error.kind.precludes_landing() {
            Ok(Self::Lost(error))
        } else {
            Err(error)
        }
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

/// The levels of directories below a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TreeLevels {
    /// So many.
    Some(usize),
    /// All of them.
    All,
}

impl TreeLevels {
    /// The filter of a request for a tree, by its id, with these levels of trees below it and
    /// without blobs. git sends the tree itself with any filter.
    pub(super) fn filter(self) -> String {
        match self {
            Self::Some(0) => "tree:0".to_owned(),
            Self::Some(levels) => format!("combine:tree:{levels}+blob:none"),
            Self::All => "blob:none".to_owned(),
        }
    }
}

/// The update of one branch by a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefUpdate<'a> {
    /// The branch.
    pub branch: &'a str,
    /// The tip that the push replaces; with any other tip, the update is rejected. `None`: the
    /// branch must not exist.
    pub old: Option<ObjectId>,
    /// A commit that descends from `old`, or `old` itself. The clone contains the history from
    /// `new` down to it, but not always down to `old`.
    pub base: Option<ObjectId>,
    /// The new tip.
    pub new: ObjectId,
}

impl RefUpdate<'_> {
    /// Whether the update loses commits of the branch, as far as the clone shows.
    pub(super) fn loses_commits(&self, store: &Store) -> bool {
        self.base
            .or(self.old)
            .is_some_and(|base| !store.is_ancestor(base, self.new))
    }
}

/// The branches of a push, for the log.
pub(super) fn branches_of(updates: &[RefUpdate<'_>]) -> String {
    let branches: Vec<_> = updates.iter().map(|update| update.branch).collect();
    branches.join(" ")
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

    /// Queries the tips of `branches`, in one request if all of them exist.
    fn refs(&self, branches: Branches<'_>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError>;

    /// Fetches the tips of `branches` into `store` in one request, and returns their ids in the
    /// same order. The first one is recorded as the tip of the clone ([`Store::tip`]). A
    /// missing branch is an error.
    fn fetch(
        &self,
        store: &Store,
        branches: &[&str],
        depth: Depth,
        on_signal: OnSignal,
    ) -> Result<Vec<ObjectId>, RemoteError>;

    /// Fetches the trees with these ids, which belong to the tip and are missing from `store`, in
    /// one request, with the trees that are up to `levels` directories below them. The server can
    /// send more.
    fn fetch_trees(
        &self,
        store: &Store,
        ids: &[ObjectId],
        levels: TreeLevels,
    ) -> Result<(), RemoteError>;

    /// Fetches the blobs with these ids, which belong to the tip and are missing from `store`, in
    /// one request.
    fn fetch_contents(&self, store: &Store, ids: &[ObjectId]) -> Result<(), RemoteError>;

    /// Checks whether `update` could be pushed, without pushing it.
    fn would_push(&self, store: &Store, update: RefUpdate<'_>) -> Result<PushReply, RemoteError>;

    /// Prepares a push that is likely to follow, as far as that takes time and does not change the
    /// remote. Errors are left to the push.
    fn expect_push(&self) {}

    /// Pushes `updates` with the `contents` of their new files, never by force, and returns one
    /// reply per update in the same order. A server can accept some updates and reject others.
    /// Signals do not interrupt it. An error means that no commit landed or will land: the push was
    /// not sent completely, or the server did not read the request. If the contents fail, the push
    /// is not completed, and `contents` has the reason.
    fn push(
        &self,
        store: &Store,
        updates: &[RefUpdate<'_>],
        contents: &mut dyn PushContents,
    ) -> Result<Vec<PushReply>, RemoteError>;

    /// Deletes `branch`, if its tip is `tip`. Signals do not interrupt it. An error means that it
    /// was not deleted.
    fn delete(&self, store: &Store, branch: &str, tip: ObjectId) -> Result<PushReply, RemoteError>;
}
