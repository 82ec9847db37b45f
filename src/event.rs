//! Events of a run in progress. The library never prints: it passes each event to a [`Reporter`],
//! which decides how to show it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A stage of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stage {
    /// Querying the remote and fetching its tip.
    Fetch,
    /// Reading and hashing the projects' files.
    Scan,
    /// Checking the added and modified files.
    Check,
    /// Signing commits.
    Sign,
    /// Writing commits into the clone.
    Commit,
    /// Sending the commits and waiting for the server's result.
    Push,
    /// Querying the remote again, to confirm the push.
    Verify,
    /// Opening and updating pull requests.
    Propose,
    /// Writing the local cache.
    Write,
}

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A stage began.
    #[schemars(title = "StartedEvent")]
    Started {
        /// The stage.
        stage: Stage,
    },
    /// A stage made progress.
    #[schemars(title = "ProgressEvent")]
    Progress {
        /// The stage.
        stage: Stage,
        /// The number of units done: objects when fetching and pushing, projects when scanning,
        /// commits when signing, otherwise files.
        done: u64,
        /// The total number of units, if it is known.
        total: Option<u64>,
        /// The number of files examined, when scanning.
        #[serde(skip_serializing_if = "Option::is_none")]
        files: Option<u64>,
        /// The number of bytes transferred, if it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// A stage ended.
    #[schemars(title = "FinishedEvent")]
    Finished {
        /// The stage.
        stage: Stage,
    },
    /// The run waits for another run on this machine that uses the same remote, clone or cache.
    #[schemars(title = "WaitingEvent")]
    Waiting,
    /// The push did not land and is retried on top of the current tip.
    #[schemars(title = "RetryingEvent")]
    Retrying {
        /// The number of attempts so far.
        attempt: u32,
        /// The maximum number of attempts.
        of: u32,
        /// The reason why the last attempt did not land.
        reason: String,
        /// The delay before the next attempt, in milliseconds.
        #[serde(serialize_with = "millis")]
        #[schemars(with = "u64")]
        delay: Duration,
    },
    /// The server rejected a push, and a part of its projects is pushed.
    #[schemars(title = "PushingPartEvent")]
    PushingPart {
        /// The number of projects in the next push.
        projects: usize,
        /// The number of projects that change and are not known to be rejected.
        of: usize,
    },
    /// A push was sent completely, and the server processes it: it stores the objects and runs its
    /// hooks.
    #[schemars(title = "AwaitingServerEvent")]
    AwaitingServer {
        /// The last line that the server sent meanwhile, such as its progress or the output of a
        /// hook. Without one, `null`.
        message: Option<String>,
    },
    /// The server sent a message with a push that is not an error.
    #[schemars(title = "ServerWordsEvent")]
    ServerWords {
        /// The message, one string per line.
        lines: Vec<String>,
    },
    /// A problem that does not stop the run.
    #[schemars(title = "WarningEvent")]
    Warning {
        /// The affected project, if it is a single one.
        project: Option<String>,
        /// The warning text.
        message: String,
    },
}

/// Receives events. It is called from several threads.
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
    /// Handles `event`. A slow implementation delays the run.
    fn event(&self, event: &Event);
}

/// A reporter that ignores all events.
#[expect(clippy::exhaustive_structs, reason = "programs construct it")]
pub struct Silent;

impl Reporter for Silent {
    fn event(&self, _: &Event) {}
}

/// Counts the work of several threads in one stage and reports the progress at intervals.
pub struct Counter<'a> {
    reporter: &'a dyn Reporter,
    stage: Stage,
    total: Option<u64>,
    done: AtomicU64,
    files: AtomicU64,
}

impl<'a> Counter<'a> {
    /// Progress is reported once per this many files.
    const STEP: u64 = 64;

    /// A counter at zero, for a stage of `total` units: projects when scanning, commits when
    /// signing, otherwise files.
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

    /// Counts a file that was read or written.
    pub fn file(&self) {
        if (self.files.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(Self::STEP) {
            self.report();
        }
    }

    /// Counts a project that was scanned, or a commit that was signed.
    pub fn unit(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.report();
    }

    fn report(&self) {
        let files = self.files.load(Ordering::Relaxed);
        let (done, files) = match self.stage {
            Stage::Scan => (self.done.load(Ordering::Relaxed), Some(files)),
            Stage::Sign => (self.done.load(Ordering::Relaxed), None),
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
