//! The JSON document of `sync`, `status`, `retire` and `rename`. Its schema is `schemas/sync.schema.json`. Fields may
//! be added, but are never renamed or reordered.

use std::borrow::Cow;

use bstr::ByteSlice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ErrorReport;
use super::rfc3339;
use crate::checks::{ContentCheck, Finding, Severity};
use crate::config::Direction;
use crate::masked_urls::mask_accounts;
use crate::outcome::{
    self, Orphan, OthersChange, PlanDifference, ProjectReport, ProjectSelection, Proposal,
    ProposalState, Pushed, Status, SyncBranch, SyncError, SyncOutcome, Totals, Warning,
};
use crate::paths::escaped;
use crate::plan::{Change, ProjectPlan};

/// The result of `sync`, `status`, `retire` or `rename`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SyncDocument {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The command that was run.
    #[schemars(extend("enum" = ["sync", "status", "retire", "rename"]))]
    pub command: &'static str,
    /// The result of the run in one word, for programs that were written for the older tool.
    pub status: RunStatus,
    /// The direction of the run; `null` if the run ended before it was known.
    pub direction: Option<Direction>,
    /// Whether the changes were only planned.
    pub dry_run: bool,
    /// A digest of the tip and of all planned changes; `null` if nothing was planned.
    pub plan_id: Option<String>,
    /// The codex; `null` if the configuration could not be read.
    pub remote: Option<RemoteDocument>,
    /// The pull requests of the sync branches (`push.mode: pull-request`).
    pub pull_requests: Vec<PullRequestDocument>,
    /// The directories of the codex that projects of the workspace have left (`status`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub orphans: Vec<OrphanDocument>,
    /// The number of projects that an option such as `--changed-since` left out; only present with such
    /// an option.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub selection: Option<ProjectSelection>,
    /// The projects, in name order.
    pub projects: Vec<ProjectDocument>,
    /// Sums over all projects.
    pub totals: Totals,
    /// Whether commits were pushed and verified; `null` if they were sent and the result is
    /// unknown.
    pub pushed: Option<bool>,
    /// The number of pushes that were attempted.
    pub attempts: u32,
    /// Problems that did not stop the run.
    pub warnings: Vec<WarningDocument>,
    /// The error that ended the run.
    pub error: Option<ErrorReport>,
    /// For `--plan`: the differences between the plan and the present state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub differences: Vec<DifferenceDocument>,
    /// The exit status.
    pub exit_code: u8,
    /// The duration of the run in milliseconds.
    pub duration_ms: u64,
}

/// The codex, before and after the run.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Remote")]
pub(crate) struct RemoteDocument {
    /// The URL, without secrets.
    pub url: String,
    /// The branch; `null` if the run ended before it was known.
    pub branch: Option<String>,
    /// The tip of the branch before the run; `null` if it had none or was not queried.
    pub before: Option<String>,
    /// The last commit of this run, if it was pushed; otherwise the same as `before`.
    pub after: Option<String>,
    /// Whether the branch did not exist and this run made it, or would make it.
    pub creates_branch: bool,
    /// The sync branches that commits are pushed to instead (`push.mode: branch`). `branch` is then
    /// the branch that they are to be merged into, and `before` and `after` are the same.
    pub sync_branches: Vec<SyncBranchDocument>,
}

/// A sync branch, before and after the run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyncBranch")]
pub(crate) struct SyncBranchDocument {
    /// The name of the branch.
    pub branch: String,
    /// The tip before the run, also if the run deleted the branch because it was merged; `null` if
    /// the branch did not exist.
    pub before: Option<String>,
    /// The last commit of this run, if it was pushed; `null` if the run deleted the merged branch
    /// and pushed nothing; otherwise the same as `before`.
    pub after: Option<String>,
    /// Whether commits were pushed to it and verified.
    pub pushed: bool,
    /// Whether the branch did not exist, or was deleted, and this run made it, or would make it.
    pub creates_branch: bool,
    /// Whether the branch of the codex was merged into it, or would be, because both had changed
    /// the same path.
    pub merges_base: bool,
    /// The projects that are pushed to it.
    pub projects: Vec<String>,
}

/// The pull request of a sync branch.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PullRequest")]
pub(crate) struct PullRequestDocument {
    /// The address of its page; `null` if the forge did not confirm it.
    pub url: Option<String>,
    /// Its number; `null` like the address.
    pub number: Option<u64>,
    /// The sync branch.
    pub branch: String,
    /// The tip of the sync branch.
    pub head: String,
    /// The action of the run.
    pub state: ProposalState,
    /// The time when it was opened, in RFC 3339 format.
    pub created: Option<String>,
    /// The projects that are pushed to the branch.
    pub projects: Vec<String>,
}

/// The result of one project in one direction.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub(crate) struct ProjectDocument {
    /// The project's name.
    pub name: String,
    /// `to-codex` or `from-codex`.
    pub direction: Direction,
    /// The result.
    pub status: Status,
    /// Number of added files; `null`, like all numbers here, if the project failed or was not compared
    /// with the codex.
    pub added: Option<u64>,
    /// Number of files with changed contents or mode.
    pub modified: Option<u64>,
    /// Number of deleted files.
    pub deleted: Option<u64>,
    /// Number of claimed files that are the same on both sides.
    pub unchanged: Option<u64>,
    /// Number of files in the project's directory of the codex that no pattern claims.
    pub unmanaged: Option<u64>,
    /// Total size of the added and modified files, in bytes.
    pub bytes: Option<u64>,
    /// The project's commit in the codex.
    pub commit: Option<String>,
    /// The branch of that commit: the sync branch of the project, or the branch of the codex;
    /// `null` if the run ended before it was known.
    pub branch: Option<String>,
    /// The reason why the project failed or was withheld.
    pub error: Option<ErrorReport>,
    /// All changes.
    pub changes: Vec<FileChange>,
    /// The findings of the checks: in the added and modified files, or with `--check-content` in
    /// all files.
    pub findings: Vec<FindingDocument>,
    /// For `rename`: the directory that was moved to the project's own, with all of its files, which
    /// count as unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub moved: Option<MovedDocument>,
    /// The files that others have changed in the codex since the project was last synced, and that
    /// are overwritten or deleted unless the project is withheld.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub drift: Vec<OthersChangeDocument>,
    /// For `retire`: the files that are kept, because their last change is not from a sync of the
    /// project, or because git would not write such an entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub kept: Vec<OthersChangeDocument>,
    /// The project's previous sync; only present if requested (`status --html`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub last_sync: Option<LastSyncDocument>,
}

/// When a project was last synced, and from which revision. Unknown values are `null`.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "LastSync")]
pub(crate) struct LastSyncDocument {
    /// The time, in RFC 3339 format and UTC.
    pub time: Option<String>,
    /// The commit of the codex: the one made by the sync or, in direction `from-codex`, the tip
    /// that was pulled.
    pub commit: Option<String>,
    /// The URL of the source repository, without user name and password.
    pub source: Option<String>,
    /// The commit of the source repository.
    pub revision: Option<String>,
    /// Whether published files differed from that commit.
    pub dirty: Option<bool>,
    /// The reason why the time is not known.
    pub unknown: Option<String>,
}

impl LastSyncDocument {
    fn new(last_sync: &outcome::LastSync) -> Option<Self> {
        match last_sync {
            outcome::LastSync::NotRequested => None,
            outcome::LastSync::Published(commit) => {
                let source = commit.source.as_ref();
                Some(Self {
                    time: rfc3339(commit.time),
                    commit: Some(commit.id.to_string()),
                    source: source.and_then(|source| source.url.clone()),
                    revision: source.map(|source| source.commit.to_string()),
                    dirty: source.map(|source| source.dirty),
                    unknown: None,
                })
            }
            outcome::LastSync::Pulled { time: seconds, tip } => Some(Self {
                time: rfc3339(*seconds),
                commit: tip.map(|tip| tip.to_string()),
                ..Self::default()
            }),
            outcome::LastSync::Never => Some(Self {
                unknown: Some("never synced".to_owned()),
                ..Self::default()
            }),
            outcome::LastSync::Unknown(reason) => Some(Self {
                unknown: Some(reason.clone()),
                ..Self::default()
            }),
        }
    }
}

/// A directory of the codex that a project of the workspace has left.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Orphan")]
pub(crate) struct OrphanDocument {
    /// The project, which the configuration no longer has, or has another directory for.
    pub project: String,
    /// The directory.
    pub directory: String,
    /// The commands that move or remove it, each as a list of arguments.
    pub commands: Vec<Vec<String>>,
}

/// A directory of the codex that was moved.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Moved")]
pub(crate) struct MovedDocument {
    /// The directory before.
    pub from: String,
    /// The directory after.
    pub to: Option<String>,
    /// The number of files in it.
    pub files: u64,
}

/// A file of the codex whose present version is not from a sync of the project.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "OthersChange")]
pub(crate) struct OthersChangeDocument {
    /// The path in the codex. Unprintable characters are escaped.
    pub path: String,
    /// The commit with that version; `null` if the history does not show it.
    pub commit: Option<String>,
    /// The author of the commit as `NAME <EMAIL>`.
    pub author: Option<String>,
}

/// One changed file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileChange {
    /// The operation.
    #[schemars(extend("enum" = ["added", "modified", "deleted"]))]
    pub op: &'static str,
    /// The path in the codex or, in direction `from-codex`, in the cache. Unprintable characters
    /// are escaped.
    pub path: String,
    /// The path of the source: below the project's root or, in direction `from-codex`, in the
    /// codex. `null` for a deletion.
    pub source: Option<String>,
    /// The new size in bytes; `null` for a deletion.
    pub size: Option<u64>,
}

/// The report of a check about a place in a file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub(crate) struct FindingDocument {
    /// The check, as the name of its key below `sync.checks`.
    pub check: ContentCheck,
    /// A stable identifier of the kind of finding.
    pub kind: Cow<'static, str>,
    /// The effect on the project.
    pub severity: Severity,
    /// The path in the codex.
    pub path: String,
    /// The path of the source file below the project's root.
    pub source: String,
    /// The path of the source file, relative to the workspace if it is inside.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// A description. It never contains a secret.
    pub message: String,
    /// Identifies the finding in `sync.checks.allow`.
    pub digest: String,
}

/// A problem that did not stop the run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Warning")]
pub(crate) struct WarningDocument {
    /// The affected project, if it is a single one.
    pub project: Option<String>,
    /// The warning text.
    pub message: String,
}

impl WarningDocument {
    pub(crate) fn new(warning: &Warning) -> Self {
        Self {
            project: warning.project.as_ref().map(ToString::to_string),
            message: mask_accounts(&warning.message).into_owned(),
        }
    }
}

/// A difference between a saved plan and the present state.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Difference")]
pub(crate) struct DifferenceDocument {
    /// The project; `null` if the difference is about the run as a whole.
    pub project: Option<String>,
    /// What differs: a path of the codex in backticks, or a setting.
    pub subject: String,
    /// Its value in the plan.
    pub planned: String,
    /// Its present value.
    pub now: String,
}

/// The result of a run in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RunStatus {
    /// The exit status is 0.
    Success,
    /// Some projects failed or were withheld, and others are done; or the exit status is 6.
    Warning,
    /// All other results.
    Failure,
}

impl RunStatus {
    fn new(exit_code: u8, totals: &Totals) -> Self {
        let done = totals.synced + totals.up_to_date + totals.would_sync + totals.proposed;
        match exit_code {
            0 => Self::Success,
            1 if done > 0 => Self::Warning,
            6 => Self::Warning,
            _ => Self::Failure,
        }
    }
}

/// Builds the document of `outcome`. `error` is the error of the run; `errors` returns the error of
/// a project.
pub(crate) fn document(
    outcome: &SyncOutcome,
    error: Option<ErrorReport>,
    errors: impl Fn(&ProjectReport) -> Option<ErrorReport>,
    exit_code: u8,
) -> SyncDocument {
    let remote = &outcome.remote;
    let projects = outcome
        .projects
        .iter()
        .map(|project| self::project(project, remote.branch.as_deref(), errors(project)))
        .collect();
    let warnings = outcome.warnings.iter().map(WarningDocument::new).collect();

    let totals = outcome.totals();
    SyncDocument {
        status: RunStatus::new(exit_code, &totals),
        direction: Some(outcome.direction),
        dry_run: outcome.dry_run,
        plan_id: outcome.plan_id.map(|id| id.to_string()),
        remote: Some(RemoteDocument {
            url: remote.url.to_string(),
            branch: remote.branch.clone(),
            before: remote.before.map(|id| id.to_string()),
            after: remote.after.map(|id| id.to_string()),
            creates_branch: remote.creates_branch,
            sync_branches: remote.sync_branches.iter().map(sync_branch).collect(),
        }),
        pull_requests: outcome.pull_requests.iter().map(pull_request).collect(),
        orphans: outcome.orphans.iter().map(orphan).collect(),
        selection: outcome.selection.clone(),
        projects,
        totals,
        pushed: match outcome.pushed {
            Pushed::No => Some(false),
            Pushed::Verified => Some(true),
            Pushed::Unknown => None,
        },
        attempts: outcome.attempts,
        warnings,
        error,
        differences: differences(outcome),
        exit_code,
        duration_ms: outcome.duration.as_millis() as u64,
        ..failed(None, 0)
    }
}

/// Builds the document of a run that ended before it had an outcome.
pub(crate) fn failed(error: Option<ErrorReport>, exit_code: u8) -> SyncDocument {
    SyncDocument {
        schema_version: 2,
        command: "sync",
        status: RunStatus::new(exit_code, &Totals::default()),
        direction: None,
        dry_run: false,
        plan_id: None,
        remote: None,
        pull_requests: Vec::new(),
        orphans: Vec::new(),
        selection: None,
        projects: Vec::new(),
        totals: Totals::default(),
        pushed: Some(false),
        attempts: 0,
        warnings: Vec::new(),
        error,
        differences: Vec::new(),
        exit_code,
        duration_ms: 0,
    }
}

/// Builds the part of the document for the differences from a saved plan.
fn differences(outcome: &SyncOutcome) -> Vec<DifferenceDocument> {
    let Some(SyncError::PlanDiffers { differences, .. }) = &outcome.failure else {
        return Vec::new();
    };
    let document = |difference: &PlanDifference| DifferenceDocument {
        project: difference.project.clone(),
        subject: difference.subject.clone(),
        planned: difference.planned.clone(),
        now: difference.now.clone(),
    };
    differences.iter().map(document).collect()
}

/// Builds the part of the document for a directory that a project has left.
fn orphan(orphan: &Orphan) -> OrphanDocument {
    OrphanDocument {
        project: orphan.project.to_string(),
        directory: orphan.directory.to_string(),
        commands: orphan.commands(),
    }
}

/// Builds the part of the document for a pull request.
fn pull_request(proposal: &Proposal) -> PullRequestDocument {
    PullRequestDocument {
        url: proposal.url.clone(),
        number: proposal.number,
        branch: proposal.branch.clone(),
        head: proposal.head.to_string(),
        state: proposal.state,
        created: proposal.created.clone(),
        projects: proposal.projects.iter().map(ToString::to_string).collect(),
    }
}

/// Builds the part of the document for a sync branch.
fn sync_branch(branch: &SyncBranch) -> SyncBranchDocument {
    SyncBranchDocument {
        branch: branch.branch.clone(),
        before: branch.before.map(|id| id.to_string()),
        after: branch.after.map(|id| id.to_string()),
        pushed: branch.is_pushed,
        creates_branch: branch.creates_branch,
        merges_base: branch.merges_base,
        projects: branch.projects.iter().map(ToString::to_string).collect(),
    }
}

/// Builds the part of the document for one project. `branch` is the branch of the codex. A commit that was sent but not confirmed is
/// included.
fn project(
    report: &ProjectReport,
    branch: Option<&str>,
    error: Option<ErrorReport>,
) -> ProjectDocument {
    let plan = report.plan.as_ref();
    let is_failed = report.outcome.status() == Status::Failed;
    let counted = plan.filter(|_| !is_failed);
    let counts = counted.map(ProjectPlan::counts);
    let commit = report.outcome.commit().map(|commit| commit.to_string());

    ProjectDocument {
        name: report.name.to_string(),
        direction: report.direction,
        status: report.outcome.status(),
        added: counts.map(|counts| counts.added),
        modified: counts.map(|counts| counts.modified),
        deleted: counts.map(|counts| counts.deleted),
        unchanged: counted.map(|plan| plan.unchanged),
        unmanaged: counted.map(|plan| plan.unmanaged),
        bytes: counted.map(ProjectPlan::bytes),
        commit,
        branch: report.sync_branch.as_deref().or(branch).map(str::to_owned),
        error,
        changes: report
            .changes()
            .iter()
            .map(|change| self::change(report, change))
            .collect(),
        findings: report.findings.iter().map(finding).collect(),
        moved: plan
            .and_then(|plan| plan.moved.as_ref())
            .map(|moved| MovedDocument {
                from: moved.from.to_string(),
                to: report.to.as_ref().map(ToString::to_string),
                files: moved.files.entries.len() as u64,
            }),
        drift: plan
            .iter()
            .flat_map(|plan| &plan.drift)
            .map(|change| others_change(report, change))
            .collect(),
        kept: plan
            .iter()
            .flat_map(|plan| &plan.kept)
            .map(|change| others_change(report, change))
            .collect(),
        last_sync: LastSyncDocument::new(&report.last_sync),
    }
}

fn others_change(report: &ProjectReport, change: &OthersChange) -> OthersChangeDocument {
    let author = change.author.as_ref();
    OthersChangeDocument {
        path: escaped(&report.in_codex(change.path.as_bstr())).to_string(),
        commit: change.commit.map(|id| id.to_string()),
        author: author.map(|author| escaped(author.as_bytes()).to_string()),
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

fn finding(finding: &Finding) -> FindingDocument {
    FindingDocument {
        check: finding.check,
        kind: finding.kind.clone(),
        severity: finding.severity,
        path: escaped(&finding.path).to_string(),
        source: escaped(&finding.source).to_string(),
        file: escaped(&finding.file).to_string(),
        line: finding.line,
        column: finding.column,
        message: finding.message.clone(),
        digest: finding.digest.clone(),
    }
}
