//! What a run did, as values: the one source of every output path and of the exit status.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bstr::{BStr, BString};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cache::CacheError;
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::objects::sync_history::SyncCommit;
use crate::codex::store::StoreError;
use crate::codex::transport::Refusal;
use crate::config::Direction;
use crate::interrupt::Interrupted;
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::paths::{CodexPath, escaped};
use crate::plan::{self, ProjectPlan};
use crate::scan::ScanError;
use crate::url::RemoteUrl;
use crate::workspace::mapping::InvalidPattern;

/// A whole run.
#[derive(Debug)]
pub struct SyncOutcome {
    /// Which way.
    pub direction: Direction,
    /// Whether it was only planned.
    pub dry_run: bool,
    /// For a dry run without network: when the state was recorded that it was compared with, in seconds since the epoch.
    pub recorded: Option<i64>,
    /// The plan's digest, where one was made.
    pub plan_id: Option<ObjectId>,
    /// The codex.
    pub remote: RemoteState,
    /// In name order.
    pub projects: Vec<ProjectReport>,
    /// Whether something was pushed.
    pub pushed: Pushed,
    /// How many pushes were made.
    pub attempts: u32,
    /// What a user should know.
    pub warnings: Vec<Warning>,
    /// What ended the run early.
    pub failure: Option<SyncError>,
    /// How long it took.
    pub duration: Duration,
}

/// The codex before and after.
#[derive(Debug, Clone)]
pub struct RemoteState {
    /// Its URL.
    pub url: RemoteUrl,
    /// The branch, once it is known.
    pub branch: Option<String>,
    /// Its tip before; `None` where it had none or was not asked.
    pub before: Option<ObjectId>,
    /// Our last commit, where it landed; else the tip as it was.
    pub after: Option<ObjectId>,
    /// Whether the branch does not exist and this run makes it, or would.
    pub creates_branch: bool,
    /// What the commits of this run go on top of: the tip, or that of the branch that a new one starts from.
    pub base: Option<ObjectId>,
}

/// Whether commits arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// Nothing was pushed.
    No,
    /// They did, and the remote confirmed it when asked again.
    Verified,
    /// They were sent, and the remote could not be asked, or gave no verdict and may still take them.
    Unknown,
}

/// One project's part in one direction.
#[derive(Debug)]
pub struct ProjectReport {
    /// Its name.
    pub name: ProjectName,
    /// To or from the codex, never both.
    pub direction: Direction,
    /// Where the paths of the plan begin in the codex; `None` where they are whole.
    pub to: Option<CodexPath>,
    /// What became of it.
    pub outcome: ProjectOutcome,
    /// What was, or would have been, changed.
    pub plan: ProjectPlan,
    /// When it was synced before.
    pub last_sync: LastSync,
}

/// When a project was last synced, and from which revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastSync {
    /// Nobody asked.
    NotAsked,
    /// Into the codex, by this commit.
    Published(SyncCommit),
    /// Into the local cache.
    Brought {
        /// When, in seconds since the epoch.
        time: i64,
        /// The codex's tip of that time; `None` where it had no commits.
        tip: Option<ObjectId>,
    },
    /// It never was: no commit says so, and the codex holds none of its files.
    Never,
    /// It is not known here, for this reason.
    Unknown(String),
}

impl ProjectReport {
    /// A path of the plan as a path of the codex.
    pub fn in_codex(&self, path: &BStr) -> BString {
        self.to
            .as_ref()
            .map_or_else(|| path.to_owned(), |to| to.join(path))
    }
}

/// What became of a project.
#[derive(Debug)]
pub enum ProjectOutcome {
    /// Nothing to do.
    UpToDate,
    /// There is something to do, and this is a dry run.
    WouldSync,
    /// Its commit landed and was confirmed.
    Synced(ObjectId),
    /// Its files were brought into the cache.
    Brought,
    /// So were its files, but for these entries, each with the reason.
    Incomplete(Vec<(BString, String)>),
    /// Its commit was sent; whether it landed is not known.
    Sent(ObjectId),
    /// A guard holds it back.
    Withheld(plan::Withheld),
    /// It was ready, but another project was not, and the run is `--atomic`.
    WithheldByOthers,
    /// It could not be read, or its cache not be written.
    Failed(ProjectError),
    /// It was ready, or would have been, but the run ended before it landed.
    NotLanded,
}

/// What became of a project, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Its commit landed and was confirmed.
    Synced,
    /// It would change; this is a dry run.
    WouldSync,
    /// Nothing to do.
    UpToDate,
    /// Held back.
    Withheld,
    /// It did not land.
    Failed,
}

/// Sums over the projects.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Totals {
    /// How many projects there are. One that is published and pulled counts once here, and below once for each direction.
    pub projects: u64,
    /// With this status.
    pub synced: u64,
    /// With this status.
    pub up_to_date: u64,
    /// With this status.
    pub withheld: u64,
    /// With this status.
    pub failed: u64,
    /// New files.
    pub added: u64,
    /// Changed files.
    pub modified: u64,
    /// Deleted files.
    pub deleted: u64,
    /// Equal files.
    pub unchanged: u64,
    /// With this status (dry run).
    pub would_sync: u64,
}

impl SyncOutcome {
    /// The sums over its projects.
    pub fn totals(&self) -> Totals {
        let names: BTreeSet<_> = self.projects.iter().map(|project| &project.name).collect();
        let mut totals = Totals {
            projects: names.len() as u64,
            ..Totals::default()
        };
        for project in &self.projects {
            let status = project.outcome.status();
            *match status {
                Status::Synced => &mut totals.synced,
                Status::WouldSync => &mut totals.would_sync,
                Status::UpToDate => &mut totals.up_to_date,
                Status::Withheld => &mut totals.withheld,
                Status::Failed => &mut totals.failed,
            } += 1;
            let some_arrived = matches!(project.outcome, ProjectOutcome::Incomplete(_));
            if !status.is_held_up() || some_arrived {
                let counts = project.plan.counts();
                totals.added += counts.added;
                totals.modified += counts.modified;
                totals.deleted += counts.deleted;
            }
            totals.unchanged += project.plan.unchanged;
        }
        totals
    }
}

impl Totals {
    /// How many there are of each status that there is: `2 synced, 1 failed`.
    pub fn by_status(&self) -> String {
        let counts = [
            (self.synced, "synced"),
            (self.would_sync, "would sync"),
            (self.up_to_date, "up to date"),
            (self.withheld, "withheld"),
            (self.failed, "failed"),
        ];
        let there = counts.iter().filter(|(count, _)| *count > 0);
        there
            .map(|(count, status)| format!("{count} {status}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Status {
    /// Whether the project is not where it should be.
    pub fn is_held_up(self) -> bool {
        matches!(self, Self::Withheld | Self::Failed)
    }
}

impl ProjectOutcome {
    /// In one word.
    pub fn status(&self) -> Status {
        match self {
            Self::Synced(_) | Self::Brought => Status::Synced,
            Self::WouldSync => Status::WouldSync,
            Self::UpToDate => Status::UpToDate,
            Self::Withheld(_) | Self::WithheldByOthers => Status::Withheld,
            Self::Failed(_) | Self::Incomplete(_) | Self::NotLanded | Self::Sent(_) => {
                Status::Failed
            }
        }
    }

    /// Whether the project itself has something to be told, rather than the run as a whole.
    pub fn is_own_fault(&self) -> bool {
        matches!(
            self,
            Self::Withheld(_) | Self::Failed(_) | Self::Incomplete(_)
        )
    }
}

/// Why a project failed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Its sources cannot be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Its cache cannot be read or written; projects may share one.
    #[error(transparent)]
    Cache(Arc<CacheError>),
    /// Its patterns for what to bring cannot be used together.
    #[error("the patterns of `sync.from_codex` cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Patterns(Vec<InvalidPattern>),
}

/// Something a user should know that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The project it concerns.
    pub project: Option<ProjectName>,
    /// What.
    pub message: String,
}

/// What ends a whole run.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The remote cannot be reached, found, read or authenticated to.
    #[error(transparent)]
    Remote(Box<RemoteError>),
    /// The clone cannot be made or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server does not accept the push.
    #[error("push to `{}` rejected by `{place}`: {}", escaped(branch.as_bytes()), refusal.reason)]
    Declined {
        /// The host, or the path.
        place: String,
        /// The branch.
        branch: String,
        /// Why, and the server's own words.
        refusal: Box<Refusal>,
        /// The projects that the words name, where they do not name all.
        named: Vec<ProjectName>,
        /// The other projects of the push.
        others: Vec<ProjectName>,
    },
    /// The branch moved every time.
    #[error("branch `{}` of `{place}` moved during each of {attempts} attempts; the last rejection: {last}", escaped(branch.as_bytes()))]
    RetriesExhausted {
        /// The host, or the path.
        place: String,
        /// The branch.
        branch: String,
        /// How many pushes were made.
        attempts: u32,
        /// The reason of the last refusal.
        last: String,
        /// The server's own words with it, one line each.
        words: Vec<String>,
    },
    /// The branch was there when the run began, or later, and is not any more. It is never made again.
    #[error("branch `{}` of `{place}` was deleted or renamed during the run", escaped(branch.as_bytes()))]
    BranchGone {
        /// The host, or the path.
        place: String,
        /// The branch.
        branch: String,
    },
    /// The push was accepted, and the branch was rewritten since: its history holds neither our commits nor its old tip.
    #[error("landed, then removed: `{place}` accepted {commit}, but branch `{}` no longer contains it", escaped(branch.as_bytes()))]
    LandedThenRemoved {
        /// The host, or the path.
        place: String,
        /// The branch.
        branch: String,
        /// Our last commit.
        commit: ObjectId,
        /// The server's own words, one line each.
        words: Vec<String>,
    },
    /// The push was accepted, and the branch does not contain it.
    #[error("`{place}` accepted the push, but branch `{}` does not contain {commit}", escaped(branch.as_bytes()))]
    NotInBranch {
        /// The host, or the path.
        place: String,
        /// The branch.
        branch: String,
        /// Our last commit.
        commit: ObjectId,
        /// The ref that the server updated instead, where it says so.
        instead: Option<String>,
        /// The server's own words, one line each.
        words: Vec<String>,
    },
    /// The push was sent, and the remote could not be asked.
    #[error("the push was sent, but `{place}` could not be queried to confirm it")]
    Unverified {
        /// The host, or the path.
        place: String,
        /// Why.
        source: Box<RemoteError>,
    },
    /// The push was sent, and the server never said what became of it.
    #[error(
        "the push was sent, but `{place}` did not report the result, and branch `{}` does not contain it so far",
        escaped(branch.as_bytes())
    )]
    NoVerdict {
        /// The host, or the path.
        place: String,
        /// The branch.
        branch: String,
        /// How the answer got lost.
        source: Box<RemoteError>,
    },
    /// `remote.create` is off and nothing is there.
    #[error("there is no repository at `{path}`")]
    LocalMissing {
        /// The path.
        path: String,
    },
    /// The branch is not there and `remote.create` is off.
    #[error("branch `{}` does not exist in `{url}`", escaped(branch.as_bytes()))]
    BranchMissing {
        /// The branch.
        branch: String,
        /// The remote.
        url: String,
        /// The branch that its HEAD names.
        head: Option<String>,
        /// The environment that chose the branch.
        environment: Option<String>,
    },
    /// `--offline`, and nothing was recorded to compare with.
    #[error("no recorded state for {}", listed(projects))]
    NothingRecorded {
        /// The projects of which nothing is known.
        projects: Vec<String>,
    },
    /// Some project was not ready and the run is `--atomic`.
    #[error("nothing was pushed: some projects failed or were withheld, and `--atomic` is set")]
    Atomic,
    /// Stopped by a signal.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
}

impl From<RemoteError> for SyncError {
    fn from(error: RemoteError) -> Self {
        match error.kind {
            RemoteErrorKind::Interrupted(interrupted) => Self::Interrupted(interrupted),
            _ => Self::Remote(Box::new(error)),
        }
    }
}

/// Names up to three projects. Of more, it gives the number and the first three.
fn listed(projects: &[String]) -> String {
    match projects {
        [a, b, c, _, ..] => format!("{} projects ({a}, {b}, {c}, …)", projects.len()),
        _ => projects.join(", "),
    }
}
