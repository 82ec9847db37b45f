//! The JSON document of a sync. Its schema is in `schemas/`; fields are added, never renamed or moved.

use bstr::ByteSlice;
use schemars::JsonSchema;
use serde::Serialize;

use super::ErrorReport;
use crate::config::Direction;
use crate::outcome::{self, ProjectOutcome, ProjectReport, Pushed, Status, SyncOutcome, Totals};
use crate::paths::escaped;
use crate::plan::Change;

/// The document.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SyncDocument {
    /// The version of this shape.
    pub schema_version: u32,
    /// The command.
    pub command: &'static str,
    /// Which way; `null` where the run ended before that was known.
    pub direction: Option<Direction>,
    /// Whether it was only planned.
    pub dry_run: bool,
    /// A digest of the tip and of everything that would change.
    pub plan_id: Option<String>,
    /// The codex; `null` where the configuration could not be read.
    pub remote: Option<Remote>,
    /// In name order.
    pub projects: Vec<Project>,
    /// Sums over the projects.
    pub totals: Totals,
    /// Whether commits arrived; `null` when they were sent and nobody can say.
    pub pushed: Option<bool>,
    /// How many pushes were made.
    pub attempts: u32,
    /// What a user should know.
    pub warnings: Vec<Warning>,
    /// What ended the run.
    pub error: Option<ErrorReport>,
    /// The exit status.
    pub exit_code: u8,
    /// How long it took.
    pub duration_ms: u64,
}

/// The codex.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Remote {
    /// Its URL, without secrets.
    pub url: String,
    /// The branch, once it is known.
    pub branch: Option<String>,
    /// Its tip before.
    pub before: Option<String>,
    /// Our last commit, where it landed; else the tip as it was.
    pub after: Option<String>,
    /// Whether the branch did not exist and this run made it, or would make it.
    pub creates_branch: bool,
}

/// One project in one direction.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// `to-codex` or `from-codex`.
    pub direction: Direction,
    /// What became of it.
    pub status: Status,
    /// New files.
    pub added: u64,
    /// Files with other contents or mode.
    pub modified: u64,
    /// Files that went.
    pub deleted: u64,
    /// Claimed files that are the same on both sides.
    pub unchanged: u64,
    /// Files under its place that no pattern claims.
    pub unmanaged: u64,
    /// Bytes of the files written.
    pub bytes: u64,
    /// Its commit.
    pub commit: Option<String>,
    /// Why it failed or was withheld.
    pub error: Option<ErrorReport>,
    /// Every change.
    pub changes: Vec<FileChange>,
    /// When it was last synced; only there where that was asked (`status --html`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub last_sync: Option<LastSync>,
}

/// When a project was last synced, and from which revision. What is not known is `null`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct LastSync {
    /// RFC 3339, UTC.
    pub time: Option<String>,
    /// The commit of the codex: the one that synced it, or, from the codex, the tip that was brought.
    pub commit: Option<String>,
    /// The URL of the repository that it came from, without its user part.
    pub source: Option<String>,
    /// The commit of that repository.
    pub revision: Option<String>,
    /// Whether files differed from that commit.
    pub dirty: Option<bool>,
    /// Why the time is not known.
    pub unknown: Option<String>,
}

impl LastSync {
    fn of(known: &outcome::LastSync) -> Option<Self> {
        let time = |seconds| {
            jiff::Timestamp::from_second(seconds)
                .ok()
                .map(|time| time.to_string())
        };
        match known {
            outcome::LastSync::NotAsked => None,
            outcome::LastSync::Published(commit) => Some(Self {
                time: time(commit.time),
                commit: Some(commit.id.to_string()),
                source: commit.source.as_ref().and_then(|source| source.url.clone()),
                revision: commit
                    .source
                    .as_ref()
                    .map(|source| source.commit.to_string()),
                dirty: commit.source.as_ref().map(|source| source.dirty),
                unknown: None,
            }),
            outcome::LastSync::Brought { time: seconds, tip } => Some(Self {
                time: time(*seconds),
                commit: tip.map(|tip| tip.to_string()),
                ..Self::default()
            }),
            outcome::LastSync::Never => Some(Self {
                unknown: Some("it never was synced".to_owned()),
                ..Self::default()
            }),
            outcome::LastSync::Unknown(reason) => Some(Self {
                unknown: Some(reason.clone()),
                ..Self::default()
            }),
        }
    }
}

/// One changed file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileChange {
    /// `added`, `modified` or `deleted`.
    pub op: &'static str,
    /// Its path in the codex, and below the cache; what is not printable is escaped.
    pub path: String,
    /// Where it comes from: its path below the project's root, or in the codex; `null` for a deletion.
    pub source: Option<String>,
    /// Bytes; `null` for a deletion.
    pub size: Option<u64>,
}

/// A warning.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Warning {
    /// The project it concerns.
    pub project: Option<String>,
    /// What.
    pub message: String,
}

/// The document of `outcome`. `errors` gives each project's error and `error` that of the run, as the one table of
/// failures words them.
pub fn document(
    outcome: &SyncOutcome,
    error: Option<ErrorReport>,
    errors: impl Fn(&ProjectReport) -> Option<ErrorReport>,
    exit_code: u8,
) -> SyncDocument {
    let remote = &outcome.remote;
    SyncDocument {
        direction: Some(outcome.direction),
        dry_run: outcome.dry_run,
        plan_id: outcome.plan_id.map(|id| id.to_string()),
        remote: Some(Remote {
            url: remote.url.to_string(),
            branch: remote.branch.clone(),
            before: remote.before.map(|id| id.to_string()),
            after: remote.after.map(|id| id.to_string()),
            creates_branch: remote.creates_branch,
        }),
        projects: outcome
            .projects
            .iter()
            .map(|project| self::project(project, errors(project)))
            .collect(),
        totals: outcome.totals(),
        pushed: match outcome.pushed {
            Pushed::No => Some(false),
            Pushed::Verified => Some(true),
            Pushed::Unknown => None,
        },
        attempts: outcome.attempts,
        warnings: outcome
            .warnings
            .iter()
            .map(|warning| Warning {
                project: warning.project.as_ref().map(ToString::to_string),
                message: warning.message.clone(),
            })
            .collect(),
        error,
        exit_code,
        duration_ms: outcome.duration.as_millis() as u64,
        ..failed(None, 0)
    }
}

/// The document of a run that ended before there was an outcome.
pub fn failed(error: Option<ErrorReport>, exit_code: u8) -> SyncDocument {
    SyncDocument {
        schema_version: 1,
        command: "sync",
        direction: None,
        dry_run: false,
        plan_id: None,
        remote: None,
        projects: Vec::new(),
        totals: Totals::default(),
        pushed: Some(false),
        attempts: 0,
        warnings: Vec::new(),
        error,
        exit_code,
        duration_ms: 0,
    }
}

fn project(report: &ProjectReport, error: Option<ErrorReport>) -> Project {
    let counts = report.plan.counts();
    let commit = match &report.outcome {
        ProjectOutcome::Synced(commit) | ProjectOutcome::Sent(commit) => Some(commit.to_string()),
        _ => None,
    };
    Project {
        name: report.name.to_string(),
        direction: report.direction,
        status: report.outcome.status(),
        added: counts.added,
        modified: counts.modified,
        deleted: counts.deleted,
        unchanged: report.plan.unchanged,
        unmanaged: report.plan.unmanaged,
        bytes: report.plan.bytes(),
        commit,
        error,
        changes: report
            .plan
            .changes
            .iter()
            .map(|change| self::change(report, change))
            .collect(),
        last_sync: LastSync::of(&report.last_sync),
    }
}

fn change(report: &ProjectReport, change: &Change) -> FileChange {
    let file = change.op.file();
    FileChange {
        op: change.op.name(),
        path: escaped(&report.in_codex(change.path.as_bstr())).to_string(),
        source: file.map(|file| escaped(&file.source).to_string()),
        size: file.map(|file| file.size),
    }
}
