//! Moves objects between a clone and the remote: one trait, an implementation each.
//!
//! A new transport implements [`Transport`] in a file or folder here, and gets a name in [`TransportChoice`] and an arm
//! in [`open`]. It stores a `Bound` (remote, credential, shared error and ref parsing) and maps its failures to
//! [`RemoteErrorKind`](super::error::RemoteErrorKind), which alone decides retries, the outcome of a push, and hints. A
//! name in `tests/it/support/transport.rs` makes every test run on it. For users, its name is documented in
//! `defaults.yaml`, in the schema (`config::choices`) and in the README.

pub(in crate::codex) mod answer;
pub(in crate::codex) mod bound;
pub(in crate::codex) mod classify;
pub(in crate::codex) mod git;
pub(in crate::codex) mod http_response;
mod ls_refs;
pub(in crate::codex) mod process;
pub(in crate::codex) mod refusal;
pub(crate) mod words;

use std::sync::Arc;

use super::error::RemoteError;
use super::push_contents::PushContents;
pub use super::remote::MemoryPlace;
use super::remote::Native;
use super::store::{Store, StoreError};
use crate::config::TransportChoice;
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::object::ObjectId;
use crate::url::RemoteUrl;
use crate::workspace::Remote;
use bound::Bound;
use git::Git;

/// The branch that a sync makes in a remote without any, where none is named.
pub const FIRST_BRANCH: &str = "main";

/// What the remote says it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRefs {
    /// The branch that is synced.
    pub branch: String,
    /// Its tip; `None` where the branch is not there.
    pub tip: Option<ObjectId>,
    /// The branch that the remote's HEAD names, and its tip, where that exists.
    pub head: Option<(String, ObjectId)>,
    /// Whether there is any branch at all.
    pub is_empty: bool,
}

/// A push that was answered.
#[derive(Debug)]
pub enum PushReply {
    /// The server accepted it.
    Accepted {
        /// The ref that the server says it updated, where that is not the branch: it made a review of the push.
        instead: Option<String>,
        /// The server's words.
        words: Vec<String>,
    },
    /// The server, or git before it, refused. It did not land.
    Refused(Refusal),
    /// All of it was sent, and no verdict came: the server may still be working on it.
    Lost(RemoteError),
}

/// Why a push was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What follows from it.
    pub kind: RefusalKind,
    /// The reason given for the ref.
    pub reason: String,
    /// The server's words, one line each.
    pub words: Vec<String>,
}

impl Refusal {
    /// Whether the server refuses the push because it hides the branch (`transfer.hideRefs`).
    pub fn is_of_hidden_branch(&self) -> bool {
        self.reason.contains("hidden ref")
    }
}

/// What follows from a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The branch is not where the clone has it.
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

    /// The refusal of a push that does not go on top of the tip, in git's words.
    pub(super) fn moved() -> Self {
        Self::Refused(Refusal {
            kind: RefusalKind::Outdated,
            reason: "fetch first".to_owned(),
            words: Vec::new(),
        })
    }

    /// The refusal by who holds the branch.
    pub(super) fn rejected(why: &str, words: Vec<String>) -> Self {
        Self::Refused(Refusal {
            kind: refusal::kind(why, &words),
            reason: why.to_owned(),
            words,
        })
    }
}

/// How far back a fetch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth(pub u32);

/// Where a push goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The branch.
    pub branch: &'a str,
    /// The tip that the push replaces: with any other the push is refused. `None`: the branch must not exist.
    pub tip: Option<ObjectId>,
}

/// What a signal does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// It ends.
    Stop,
    /// It goes on: something was sent, and its fate is to be told.
    GoOn,
}

/// What a transport is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Only to read: git's configuration may name another URL for it.
    Read,
    /// To publish: everything is read from where it is pushed to.
    Publish,
}

/// One way to talk to a remote. Implementations are bound to one remote and its credentials.
pub trait Transport: Send + Sync {
    /// The URL that is contacted, after git's configuration (`url.*.insteadOf`) has rewritten that of the codex.
    fn url(&self) -> &RemoteUrl;

    /// Why the `git` program does the work, where that was not asked for.
    fn fallback(&self) -> Option<String> {
        None
    }

    /// What clones that are kept are told apart by. Two transports may share one only if each can use the other's.
    fn clone_key(&self) -> String;

    /// Makes a new clone ready for what follows, once.
    fn prepare(&self, store: &Store) -> Result<(), StoreError>;

    /// Asks for the tip of `branch`, or of the branch that HEAD names.
    fn refs(&self, branch: Option<&str>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError>;

    /// Fetches the tip of `branch` into `store` and says which commit that is.
    fn fetch(
        &self,
        store: &Store,
        branch: &str,
        depth: Depth,
        on_signal: OnSignal,
    ) -> Result<ObjectId, RemoteError>;

    /// Fetches the contents with these ids, which the tip holds and `store` lacks, all in one request.
    fn fetch_contents(&self, store: &Store, ids: &[ObjectId]) -> Result<(), RemoteError>;

    /// Asks whether `commit` could be pushed to `target`, and pushes nothing.
    fn would_push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
    ) -> Result<PushReply, RemoteError>;

    /// Prepares a push that is likely to come, as far as that takes time and has no effect on the remote. Errors are left to
    /// the push.
    fn expect_push(&self) {}

    /// Pushes `commit` with the `contents` of its new files, never by force, whatever signal comes. An error means that it
    /// did not land and will not: it was not sent as a whole, or the server refused to read it. If the contents fail, the
    /// push is not completed, and the reason is in them.
    fn push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
        contents: &mut dyn PushContents,
    ) -> Result<PushReply, RemoteError>;
}

/// Opens the transport that `remote.transport` selects, bound to `remote`. It keeps what it learns about the server in
/// `memory`. An error if the transport is unavailable, or if a token would be sent unencrypted.
pub fn open(
    remote: &Remote,
    environment: &Environment,
    interrupt: &Interrupt,
    reporter: Arc<dyn Reporter>,
    purpose: Purpose,
    memory: Option<MemoryPlace>,
) -> Result<Box<dyn Transport>, RemoteError> {
    let bound = Bound::new(remote, environment, interrupt, reporter)?;
    match remote.transport {
        TransportChoice::Auto | TransportChoice::Native => {
            Ok(Box::new(Native::new(bound, purpose, memory)?))
        }
        TransportChoice::Git => Ok(Box::new(Git::new(bound, purpose)?)),
    }
}
