//! What happens while it happens, as values. The library tells; a [`Reporter`] decides what is shown.

use std::sync::atomic::{AtomicU64, Ordering};
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
        /// Done so far: objects when fetching and pushing, projects when scanning, else files.
        done: u64,
        /// Of how many.
        total: Option<u64>,
        /// Files looked at so far, when scanning.
        #[serde(skip_serializing_if = "Option::is_none")]
        files: Option<u64>,
        /// Bytes moved so far, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
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
    /// The server said something about a push that is no error.
    ServerWords {
        /// The words, one line each.
        lines: Vec<String>,
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
///
/// ```
/// use std::sync::Mutex;
/// use fractary_codex::event::{Event, Reporter};
///
/// #[derive(Default)]
/// struct Warnings(Mutex<Vec<String>>);
///
/// impl Reporter for Warnings {
///     fn event(&self, event: &Event) {
///         if let Event::Warning { message, .. } = event {
///             self.0.lock().unwrap().push(message.clone());
///         }
///     }
/// }
///
/// let warnings = Warnings::default();
/// warnings.event(&Event::Warning { project: None, message: "look here".to_owned() });
/// assert_eq!(warnings.0.into_inner().unwrap(), ["look here"]);
/// ```
pub trait Reporter: Send + Sync {
    /// Takes notice of `event`.
    fn event(&self, event: &Event);
}

/// Listens to nothing.
pub struct Silent;

impl Reporter for Silent {
    fn event(&self, _: &Event) {}
}

/// Counts what many threads do in a stage and tells now and then.
pub struct Counter<'a> {
    reporter: &'a dyn Reporter,
    stage: Stage,
    total: Option<u64>,
    done: AtomicU64,
    files: AtomicU64,
}

impl<'a> Counter<'a> {
    /// How many files make it worth telling.
    const STEP: u64 = 64;

    /// At zero of `total`.
    pub fn new(reporter: &'a dyn Reporter, stage: Stage, total: Option<usize>) -> Self {
        let total = total.map(|total| total as u64);
        Self {
            reporter,
            stage,
            total,
            done: AtomicU64::new(0),
            files: AtomicU64::new(0),
        }
    }

    /// A file was looked at or written. Where files are what is counted, it is also one done.
    pub fn file(&self) {
        if (self.files.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(Self::STEP) {
            self.tell();
        }
    }

    /// A project was scanned.
    pub fn project(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    fn tell(&self) {
        let files = self.files.load(Ordering::Relaxed);
        let (done, files) = match self.stage {
            Stage::Scan => (self.done.load(Ordering::Relaxed), Some(files)),
            _ => (files, None),
        };
        self.reporter.event(&Event::Progress {
            stage: self.stage,
            done,
            total: self.total,
            files,
            bytes: None,
        });
    }
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(duration.as_millis())
}
