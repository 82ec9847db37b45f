//! Moves objects between a clone and the remote: one trait, an implementation each.

mod classify;
pub mod git;
mod process;

use super::error::RemoteError;
use super::store::Store;
use crate::object::ObjectId;

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
    /// The server took it.
    Accepted,
    /// The server, or git before it, refused. Why is decided by asking for the tip again, not by these words.
    Refused {
        /// The reason given for the ref.
        reason: String,
        /// What the server said besides, a line each.
        words: Vec<String>,
    },
    /// All of it was sent, and no verdict came: the server may still be working on it.
    Lost(RemoteError),
}

/// How far back a fetch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth(pub u32);

/// What a signal does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// It ends.
    Stop,
    /// It goes on: something was sent, and its fate is to be told.
    GoOn,
}

/// One way to talk to a remote. Implementations are bound to one remote and its credentials.
pub trait Transport: Send + Sync {
    /// Asks for the tip of `branch`, or of the branch that HEAD names.
    fn refs(&self, branch: Option<&str>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError>;

    /// Fetches the tip of `branch` into `store` and says which commit that is.
    fn fetch(&self, store: &Store, branch: &str, depth: Depth, on_signal: OnSignal) -> Result<ObjectId, RemoteError>;

    /// Fetches the contents with these ids into `store`, all in one request.
    fn fetch_contents(&self, store: &Store, ids: &[ObjectId]) -> Result<(), RemoteError>;

    /// Asks whether `commit` could be pushed to `branch`, and pushes nothing.
    fn would_push(&self, store: &Store, commit: ObjectId, branch: &str) -> Result<PushReply, RemoteError>;

    /// Pushes `commit` to `branch`, never by force, whatever signal comes. An error means that nobody knows whether it landed: ask.
    fn push(&self, store: &Store, commit: ObjectId, branch: &str) -> Result<PushReply, RemoteError>;
}
