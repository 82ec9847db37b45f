//! What happens while it happens, as values. The library tells; a [`Reporter`] decides what is shown.

use std::time::Duration;

/// The long stages of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Asking the remote and fetching its tip.
    Fetch,
    /// Reading and hashing the projects' files.
    Scan,
    /// Writing commits.
    Commit,
    /// Sending them and waiting for the verdict.
    Push,
    /// Asking the remote again.
    Verify,
    /// Writing the local cache.
    Write,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A stage began.
    Started {
        /// Which.
        stage: Stage,
    },
    /// A stage moved on; `total` is known for some.
    Progress {
        /// Which.
        stage: Stage,
        /// Files or objects done so far.
        done: u64,
        /// Of how many.
        total: Option<u64>,
    },
    /// A stage ended.
    Finished {
        /// Which.
        stage: Stage,
    },
    /// Another run holds this machine's lock for the remote.
    Waiting,
    /// The push did not land and is made again on top of the new tip.
    Retrying {
        /// Attempts so far.
        attempt: u32,
        /// Of how many.
        of: u32,
        /// Why.
        reason: String,
        /// Time waited first, in milliseconds.
        #[serde(serialize_with = "millis")]
        #[schemars(with = "u64")]
        delay: Duration,
    },
    /// Something a user should know that stops nothing.
    Warning {
        /// The project it concerns.
        project: Option<String>,
        /// What.
        message: String,
    },
}

/// Listens to events; called from several threads.
pub trait Reporter: Send + Sync {
    /// Takes notice of `event`.
    fn event(&self, event: &Event);
}

/// Listens to nothing.
pub struct Silent;

impl Reporter for Silent {
    fn event(&self, _: &Event) {}
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(duration.as_millis())
}
