//! The outcome of a run as values. All output formats and the exit status are derived from it.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bstr::{BStr, BString};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Direction;
use crate::forge::web_page::KnownForges;
use crate::interrupt::Interrupted;
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::paths::{CodexPath, escaped};
use crate::saved_plan::facts::PlanFacts;
use crate::text::pluralize;
use crate::url::RemoteUrl;

// The types that an outcome and its errors contain.
pub use crate::cache::{CacheError, Refusal, RefusalKind};
pub use crate::checks::{ContentCheck, Finding, Severity};
pub use crate::codex::objects::commit_builder::BuildError;
pub use crate::codex::objects::sync_history::SyncCommit;
pub use crate::codex::objects::tree::TreeError;
pub use crate::codex::remote::error::{Advice, RemoteError, RemoteErrorKind};
pub use crate::codex::remote::{Rejection, RejectionKind};
pub use crate::codex::signing::{SignatureFormat, SigningError};
pub use crate::codex::source_revision::SourceRevision;
pub use crate::codex::store::StoreError;
pub use crate::forge::{ForgeError, ForgeKind, ForgeRejection};
pub use crate::glob::InvalidGlob;
pub use crate::plan::{
    Change, Counts, DeletedFrom, MovedDirectory, Op, OtherDirectory, OthersChange, ProjectPlan,
    UncommittedFiles, Withheld,
};
pub use crate::saved_plan::differences::PlanDifference;
pub use crate::scan::{
    Clash, Collision, ScanError, SourceFile, UnreadableObject, UnusableRepository,
};
pub use crate::workspace::claims::InvalidPattern;

/// The outcome of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct SyncOutcome {
    /// The direction of the run.
    pub direction: Direction,
    /// Whether the changes were only planned.
    pub dry_run: bool,
    /// For a dry run without network access: when the state that it was compared with was recorded,
    /// in seconds since the epoch.
    pub recorded: Option<i64>,
    /// The directory of the workspace, which the paths of findings start from.
    pub root: PathBuf,
    /// A digest of the tip and of all planned changes; `None` if nothing was planned.
    pub plan_id: Option<ObjectId>,
    /// The facts that the plan depends on, if they were requested.
    pub(crate) plan_facts: Option<Arc<PlanFacts>>,
    /// The codex, before and after the run.
    pub remote: RemoteState,
    /// The pull requests of the sync branches, in the order of the branches.
    pub pull_requests: Vec<Proposal>,
    /// The number of projects that options of the selection left out; `None` without such an option.
    pub selection: Option<ProjectSelection>,
    /// The projects, in name order. A project that is published and pulled has one report per
    /// direction.
    pub projects: Vec<ProjectReport>,
    /// Whether commits were pushed.
    pub pushed: Pushed,
    /// The directories of the codex that projects of the workspace have left (`status`).
    pub orphans: Vec<Orphan>,
    /// The number of cached files that a pull has kept because somebody has edited them. Several
    /// projects can need the same file.
    pub kept_in_cache: usize,
    /// The number of pushes that were attempted.
    pub attempts: u32,
    /// Problems that did not stop the run.
    pub warnings: Vec<Warning>,
    /// The error that ended the run early.
    pub failure: Option<SyncError>,
    /// The duration of the run.
    pub duration: Duration,
}

/// The projects that a run has selected among those that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Selection")]
#[non_exhaustive]
pub struct ProjectSelection {
    /// Number of projects before anything was left out.
    pub projects: usize,
    /// Number of selected projects.
    pub selected: usize,
    /// The revision of `--changed-since`, as it was given.
    pub changed_since: Option<String>,
    /// Number of projects that were left out because they have not changed since that revision.
    pub unchanged: usize,
    /// The shard, as `K/N`.
    pub shard: Option<String>,
    /// Number of the other projects, which were left out because they are in other shards.
    pub other_shards: usize,
}

impl fmt::Display for ProjectSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = pluralize(self.projects as u64, "project");
        let revision = self.changed_since.as_ref();
        let revision =
            revision.map(|revision| format!("changed since {}", escaped(revision.as_bytes())));
        let shard = self.shard.as_ref().map(|shard| format!("shard {shard}"));
        let reasons: Vec<_> = revision.into_iter().chain(shard).collect();
        let selected = self.selected;
        write!(f, "{selected} of {all} selected: {}", reasons.join(", "))
    }
}

/// The codex, before and after a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RemoteState {
    /// The URL, after git's configuration has rewritten it.
    pub url: RemoteUrl,
    /// The forges whose pages are known without a request.
    pub(crate) forges: KnownForges,
    /// The branch; `None` if the run ended before it was known.
    pub branch: Option<String>,
    /// The tip of the branch before the run; `None` if it had none or was not queried.
    pub before: Option<ObjectId>,
    /// The last commit of this run, if it was pushed; otherwise the same as `before`.
    pub after: Option<ObjectId>,
    /// Whether the branch did not exist and this run created it, or would create it.
    pub creates_branch: bool,
    /// The parent of the run's first commit: the tip of the branch or, if the branch is to be
    /// created, the tip of the branch that it starts from.
    pub base: Option<ObjectId>,
    /// The sync branches that commits are pushed to instead, if there are any. The branch itself is
    /// then unchanged.
    pub sync_branches: Vec<SyncBranch>,
}

/// A sync branch, before and after a run. It is to be merged into the branch of the codex.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SyncBranch {
    /// The name of the branch.
    pub branch: String,
    /// The tip before the run, also if the run deleted the branch because it was merged; `None` if
    /// the branch did not exist.
    pub before: Option<ObjectId>,
    /// The last commit of this run, if it was pushed; `None` if the run deleted the merged branch
    /// and pushed nothing; otherwise the same as `before`.
    pub after: Option<ObjectId>,
    /// Whether commits were pushed, and a second query of the remote confirmed it.
    pub is_pushed: bool,
    /// Whether the branch did not exist, or was deleted, and this run created it, or would create it.
    pub creates_branch: bool,
    /// Whether the branch of the codex was merged into it, or would be, because both had changed
    /// the same path.
    pub merges_base: bool,
    /// The projects that are pushed to the branch.
    pub projects: Vec<ProjectName>,
}

/// The sync branch of a run that opens pull requests, with its pull request if there is one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Proposal {
    /// The URL of the pull request's page; `None` if there is no pull request, or if the forge did
    /// not confirm it.
    pub url: Option<String>,
    /// The number of the pull request; `None` in the same cases as `url`.
    pub number: Option<u64>,
    /// The sync branch.
    pub branch: String,
    /// The tip of the sync branch.
    pub head: ObjectId,
    /// The action of the run.
    pub state: ProposalState,
    /// The time at which the pull request was opened, in RFC 3339 format.
    pub created: Option<String>,
    /// The projects that are pushed to the branch.
    pub projects: Vec<ProjectName>,
}

/// The action of a run on a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProposalState {
    /// The run opened the pull request, and its head is the tip of the branch.
    Created,
    /// The open pull request has the pushed commits, or new texts.
    Updated,
    /// The pull request was open already, and its head was the tip of the branch. In a dry run, and in
    /// `status`: it is open.
    Unchanged,
    /// Commits were pushed, and the forge has not confirmed a pull request for them.
    PushedOnly,
}

/// A directory of the codex that a project of the workspace has left: the configuration no longer has
/// the project, or has another directory for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Orphan {
    /// The project.
    pub project: ProjectName,
    /// The directory.
    pub directory: CodexPath,
    /// The present directory of the project, if the configuration still has it.
    pub moved_to: Option<CodexPath>,
    /// The project that the directory can be moved to: the same one, or the only one that has not
    /// been published yet.
    pub successor: Option<ProjectName>,
}

impl Orphan {
    /// The commands that remove or move the directory.
    pub fn commands(&self) -> Vec<Vec<String>> {
        let command = |arguments: &[&str]| {
            let words = [&["fractary-codex"], arguments].concat();
            words.into_iter().map(str::to_owned).collect()
        };
        let name = self.project.as_str();
        let successor = self.successor.as_ref();
        let rename = successor.map(|new| command(&["rename", name, new.as_str()]));
        rename
            .into_iter()
            .chain([command(&["retire", name])])
            .collect()
    }

    /// The [commands](Self::commands) as one hint, such as "run `…` or `…`".
    pub(crate) fn hint(&self) -> String {
        let commands = self.commands();
        let commands: Vec<_> = commands
            .iter()
            .map(|one| format!("`{}`", one.join(" ")))
            .collect();
        format!("run {}", commands.join(" or "))
    }

    /// A sentence that describes the directory, for a message.
    pub(crate) fn description(&self) -> String {
        let Self {
            project, directory, ..
        } = self;
        match &self.moved_to {
            Some(to) => {
                format!("`{directory}` is left in the codex, and `{project}` is now in `{to}`")
            }
            None => format!(
                "`{directory}` is left in the codex, and the configuration no longer has `{project}`"
            ),
        }
    }
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.description(), self.hint())
    }
}

/// Whether commits were pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pushed {
    /// Nothing was pushed.
    No,
    /// Commits were pushed, and a second query of the remote confirmed it.
    Verified,
    /// Commits were sent, but the remote did not confirm them. It may still accept them.
    Unknown,
}

/// The report on one project in one direction.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProjectReport {
    /// The name of the project.
    pub name: ProjectName,
    /// The directory of the sources; empty for a project that is pulled, and in an outcome that was
    /// read from a saved plan.
    pub root: PathBuf,
    /// To or from the codex, never both.
    pub direction: Direction,
    /// The path in the codex that the paths of the plan are relative to; `None` if they are
    /// relative to its root.
    pub to: Option<CodexPath>,
    /// The sync branch that the project is pushed to; `None` if that is the branch of the codex, or
    /// if the project is pulled.
    pub sync_branch: Option<String>,
    /// The result.
    pub outcome: ProjectOutcome,
    /// The changes that were made or, if the outcome says so, would have been made; `None` if the
    /// project was not compared with the codex.
    pub plan: Option<ProjectPlan>,
    /// The findings of the checks.
    pub findings: Vec<Finding>,
    /// The previous sync of the project.
    pub last_sync: LastSync,
    /// The path of the project's root in the source repository of the previous sync; `None` if it was
    /// not requested, or if this machine does not have that repository.
    pub source_directory: Option<BString>,
    /// The time of the oldest source commit that the codex does not have, in seconds since the epoch,
    /// if it was requested with the previous sync and is known.
    pub stale_since: Option<i64>,
}

/// When a project was last synced, and from which revision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LastSync {
    /// Not requested: see [`history::add_last_syncs`](crate::sync::history::add_last_syncs).
    NotRequested,
    /// Published to the codex by this commit.
    Published(SyncCommit),
    /// Pulled into the local cache.
    Pulled {
        /// The time of the pull, in seconds since the epoch.
        time: i64,
        /// The tip of the codex at that time; `None` if it had no commits.
        tip: Option<ObjectId>,
    },
    /// Never synced: no commit of the codex is a sync of the project, and the codex contains none
    /// of its files.
    Never,
    /// Unknown, for this reason.
    Unknown(String),
}

impl ProjectReport {
    /// Converts a path of the plan to a path of the codex.
    pub fn in_codex(&self, path: &BStr) -> BString {
        self.to
            .as_ref()
            .map_or_else(|| path.to_owned(), |to| to.join(path))
    }

    /// The changes; none if the project was not compared with the codex.
    pub fn changes(&self) -> &[Change] {
        self.plan.as_ref().map_or(&[], |plan| &plan.changes)
    }

    /// The numbers of added, modified, deleted and unchanged files; `None` if the project was not
    /// compared with the codex.
    pub fn counts(&self) -> Option<[u64; 4]> {
        self.plan.as_ref().map(|plan| {
            let counts = plan.counts();
            [
                counts.added,
                counts.modified,
                counts.deleted,
                plan.unchanged,
            ]
        })
    }
}

/// The result of one project.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProjectOutcome {
    /// Nothing differs.
    UpToDate,
    /// A dry run that found changes.
    WouldSync,
    /// Published: the remote contains this commit.
    Synced(ObjectId),
    /// The forge shows a pull request with this commit.
    Proposed(ObjectId),
    /// The remote contains this commit on the sync branch, and the forge has not confirmed a pull
    /// request for it.
    PushedOnly(ObjectId),
    /// Withheld because a person closed the pull request with the same contents.
    PullRequestClosed {
        /// The number of the pull request.
        number: u64,
        /// The address of the page of the pull request.
        url: String,
    },
    /// Pulled: all selected files are in the cache.
    Pulled,
    /// Pulled, except for these entries of the codex, each with the reason.
    Incomplete(Vec<(BString, Refusal)>),
    /// This commit was sent, but the remote did not confirm it.
    Sent(ObjectId),
    /// Withheld by a guard.
    Withheld(Withheld),
    /// Withheld because another project failed or was withheld, and the run is atomic.
    WithheldByOthers,
    /// Withheld because the server rejects the project. `words` has only the lines of the server's
    /// message that are about this project.
    Rejected(Rejection),
    /// Withheld because the server rejects some of the projects, and the search for them ended
    /// before it was known whether this is one of them.
    Undecided,
    /// The sources could not be read, or the cache could not be written.
    Failed(ProjectError),
    /// The run ended before this project was published or pulled.
    NotLanded,
    /// Withheld or failed when the plan was saved that this outcome was read from.
    Recorded(RecordedProblem),
}

/// The reason why a project was withheld or failed when its plan was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedProblem {
    /// `Withheld` or `Failed`.
    pub status: Status,
    /// A stable identifier of the kind of problem.
    pub kind: String,
    /// The description.
    pub message: String,
    /// The problem in a few words.
    pub in_short: Option<String>,
    /// Suggested fixes.
    pub hints: Vec<String>,
    /// The underlying errors, outermost first.
    pub causes: Vec<String>,
}

/// The result of one project, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Status {
    /// Published and confirmed by the remote, or pulled into the cache.
    Synced,
    /// A pull request has the changes. The codex does not have them yet.
    Proposed,
    /// A dry run found changes.
    WouldSync,
    /// Nothing differs.
    UpToDate,
    /// Held back by a guard, by the server, or by `--atomic`.
    Withheld,
    /// Not published or not pulled, because of an error.
    Failed,
}

/// Sums over the projects.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Totals {
    /// Number of projects. A project that is published and pulled counts once here, and once per
    /// direction in the numbers by status.
    pub projects: u64,
    /// Number of projects with the status `synced`.
    pub synced: u64,
    /// Number of projects with the status `up-to-date`.
    pub up_to_date: u64,
    /// Number of projects with the status `withheld`.
    pub withheld: u64,
    /// Number of projects with the status `failed`.
    pub failed: u64,
    /// Number of added files.
    pub added: u64,
    /// Number of files with changed contents or mode.
    pub modified: u64,
    /// Number of deleted files.
    pub deleted: u64,
    /// Number of claimed files that are the same on both sides.
    pub unchanged: u64,
    /// Number of projects with the status `would-sync` (dry run).
    pub would_sync: u64,
    /// Number of projects with the status `proposed`.
    pub proposed: u64,
}

impl SyncOutcome {
    /// The drift of all projects: files that others have changed in the codex since the last sync.
    pub fn drift(&self) -> impl Iterator<Item = (&ProjectReport, &OthersChange)> {
        self.projects.iter().flat_map(|project| {
            let plan = project.plan.iter();
            let drift = plan.flat_map(|plan| &plan.drift);
            drift.map(move |change| (project, change))
        })
    }

    /// The findings of all projects.
    pub fn findings(&self) -> impl Iterator<Item = (&ProjectReport, &Finding)> {
        self.projects.iter().flat_map(|project| {
            let findings = project.findings.iter();
            findings.map(move |finding| (project, finding))
        })
    }

    /// Computes the sums over the projects. Changes of a failed or withheld project are not
    /// counted.
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
                Status::Proposed => &mut totals.proposed,
                Status::WouldSync => &mut totals.would_sync,
                Status::UpToDate => &mut totals.up_to_date,
                Status::Withheld => &mut totals.withheld,
                Status::Failed => &mut totals.failed,
            } += 1;
            let Some(plan) = &project.plan else {
                continue;
            };
            let some_arrived = matches!(project.outcome, ProjectOutcome::Incomplete(_));
            if !status.is_held_up() || some_arrived {
                let counts = plan.counts();
                totals.added += counts.added;
                totals.modified += counts.modified;
                totals.deleted += counts.deleted;
            }
            totals.unchanged += plan.unchanged;
        }
        totals
    }
}

impl Totals {
    /// Formats the number of projects by status, without zeros: `2 synced, 1 failed`.
    pub fn by_status(&self) -> String {
        let counts = [
            (self.synced, "synced"),
            (self.proposed, "proposed"),
            (self.would_sync, "would sync"),
            (self.up_to_date, "up to date"),
            (self.withheld, "withheld"),
            (self.failed, "failed"),
        ];
        counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, status)| format!("{count} {status}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Status {
    /// Whether the project failed or was withheld.
    pub fn is_held_up(self) -> bool {
        matches!(self, Self::Withheld | Self::Failed)
    }
}

impl ProjectOutcome {
    /// Why the project was withheld or has failed, in a few words; `None` if there is no reason of its
    /// own.
    pub fn in_short(&self) -> Option<&str> {
        Some(match self {
            Self::Withheld(withheld) => withheld.in_short(),
            Self::PullRequestClosed { .. } => "pull request closed",
            Self::WithheldByOthers => "another project failed",
            Self::Rejected(_) => "rejected by the server",
            Self::Undecided => "server rejects some projects",
            Self::Failed(error) => error.in_short(),
            Self::Recorded(problem) => return problem.in_short.as_deref(),
            _ => return None,
        })
    }

    /// Returns the result in one word.
    pub fn status(&self) -> Status {
        match self {
            Self::Synced(_) | Self::Pulled => Status::Synced,
            Self::Proposed(_) => Status::Proposed,
            Self::WouldSync => Status::WouldSync,
            Self::UpToDate => Status::UpToDate,
            Self::PullRequestClosed { .. } => Status::Withheld,
            Self::Recorded(problem) => problem.status,
            Self::Withheld(_) | Self::WithheldByOthers | Self::Rejected(_) | Self::Undecided => {
                Status::Withheld
            }
            Self::Failed(_)
            | Self::Incomplete(_)
            | Self::NotLanded
            | Self::Sent(_)
            | Self::PushedOnly(_) => Status::Failed,
        }
    }

    /// The commit with the changes of the project, if one was made.
    pub fn commit(&self) -> Option<ObjectId> {
        match self {
            Self::Synced(commit)
            | Self::Proposed(commit)
            | Self::PushedOnly(commit)
            | Self::Sent(commit) => Some(*commit),
            _ => None,
        }
    }

    /// Whether the project itself is the cause, rather than the run or another project.
    pub fn is_own_fault(&self) -> bool {
        matches!(
            self,
            Self::PullRequestClosed { .. }
                | Self::Withheld(_)
                | Self::Rejected(_)
                | Self::Undecided
                | Self::Failed(_)
                | Self::Incomplete(_)
                | Self::Recorded(_)
        )
    }
}

/// Why a project failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// The sources cannot be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The cache cannot be read or written. Projects can share a cache, and then share the error.
    #[error(transparent)]
    Cache(Arc<CacheError>),
    /// The patterns that select files to pull cannot be used together.
    #[error("the patterns of `sync.from_codex` cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Patterns(Vec<InvalidPattern>),
}

impl ProjectError {
    /// The error in a few words, without names.
    pub fn in_short(&self) -> &'static str {
        match self {
            Self::Scan(ScanError::Root { source, .. })
                if source.kind() != io::ErrorKind::NotFound =>
            {
                "root unreadable"
            }
            Self::Scan(ScanError::Root { .. } | ScanError::RootNotCommitted { .. }) => {
                "root missing"
            }
            Self::Scan(ScanError::Changed { .. }) => "file changed while read",
            Self::Scan(_) => "sources unreadable",
            Self::Cache(_) => "cache unusable",
            Self::Patterns(_) => "patterns unusable",
        }
    }
}

/// A problem that did not stop the run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The affected project, if it is a single one.
    pub project: Option<ProjectName>,
    /// What it is about.
    pub subject: WarningSubject,
    /// The warning text.
    pub message: String,
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningSubject {
    /// A file that others have changed, which is in the [drift](crate::plan::ProjectPlan) of the
    /// project's plan.
    Drift,
    /// A directory of [`SyncOutcome::orphans`].
    Orphan,
    /// Anything else.
    Other,
}

/// The branches of a remote that lacks the branch of the codex.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExistingBranches {
    /// The default branch: the one that the remote's HEAD names, if it exists.
    pub default: Option<String>,
    /// All branches, with the default one.
    pub all: Vec<String>,
    /// Whether the remote has no branch at all.
    pub is_empty: bool,
    /// The environment whose configuration names the branch of the codex.
    pub environment: Option<String>,
}

impl ExistingBranches {
    /// Whether a sync that publishes creates the missing branch: as the first branch of an empty
    /// codex or, if `remote.create` is set, from the default branch.
    #[must_use]
    pub fn allow_creation(&self, is_set: bool) -> bool {
        self.is_empty || (is_set && self.default.is_some())
    }
}

/// An error that ends a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The remote cannot be reached, found, read or authenticated to.
    #[error(transparent)]
    Remote(Box<RemoteError>),
    /// The clone of the codex cannot be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A local cache cannot be read.
    #[error(transparent)]
    Cache(CacheError),
    /// The commits cannot be signed. None was sent.
    #[error("cannot sign the commits: {0}")]
    Signing(SigningError),
    /// The server rejected the push.
    #[error("push to `{}` rejected by `{place}`: {}", escaped(branch.as_bytes()), rejection.reason)]
    Rejected {
        /// The host or, for a local remote, the path.
        place: String,
        /// The branch.
        branch: String,
        /// Whether the branch is a sync branch.
        is_sync_branch: bool,
        /// The reason and the server's message.
        rejection: Box<Rejection>,
        /// The projects that the server's message names; empty if it names all of them or none.
        named: Vec<ProjectName>,
        /// The other projects of the push.
        others: Vec<ProjectName>,
    },
    /// The server rejected each project by itself, with different messages.
    #[error("push to `{}` rejected by `{place}`: it rejects each of the {projects} projects", escaped(branch.as_bytes()))]
    AllRejected {
        /// The host or, for a local remote, the path.
        place: String,
        /// The branch.
        branch: String,
        /// The number of projects.
        projects: usize,
    },
    /// The branch moved during every attempt.
    #[error("branch `{}` of `{place}` moved during each of {attempts} attempts; the last rejection: {last}", escaped(branch.as_bytes()))]
    RetriesExhausted {
        /// The host or, for a local remote, the path.
        place: String,
        /// The branch.
        branch: String,
        /// The number of attempts.
        attempts: u32,
        /// The reason for the last rejection.
        last: String,
        /// The server's message with it, one string per line.
        words: Vec<String>,
    },
    /// The branch existed during the run and no longer does. It is not created again.
    #[error("branch `{}` of `{place}` was deleted or renamed during the run", escaped(branch.as_bytes()))]
    BranchGone {
        /// The host or, for a local remote, the path.
        place: String,
        /// The branch.
        branch: String,
        /// Whether the branch is a sync branch. The next run creates a sync branch again.
        is_sync_branch: bool,
    },
    /// The push was accepted, but then the branch was rewritten: its history contains neither our
    /// commits nor the old tip.
    #[error("landed, then removed: `{place}` accepted {commit}, but branch `{}` no longer contains it", escaped(branch.as_bytes()))]
    LandedThenRemoved {
        /// The host or, for a local remote, the path.
        place: String,
        /// The branch.
        branch: String,
        /// Our last commit.
        commit: ObjectId,
        /// The server's message, one string per line.
        words: Vec<String>,
    },
    /// The push was accepted, but the branch does not contain our commits.
    #[error("`{place}` accepted the push, but branch `{}` does not contain {commit}", escaped(branch.as_bytes()))]
    NotInBranch {
        /// The host or, for a local remote, the path.
        place: String,
        /// The branch.
        branch: String,
        /// Our last commit.
        commit: ObjectId,
        /// The ref that the server updated instead, if it reports one.
        instead: Option<String>,
        /// The server's message, one string per line.
        words: Vec<String>,
    },
    /// The push was sent, but the query that would confirm it failed.
    #[error("the push was sent, but `{place}` could not be queried to confirm it")]
    Unverified {
        /// The host or, for a local remote, the path.
        place: String,
        /// The error of the query.
        source: Box<RemoteError>,
    },
    /// The push was sent, but the server did not report its result.
    #[error(
        "the push was sent, but `{place}` did not report the result, and branch `{}` does not contain it so far",
        escaped(branch.as_bytes())
    )]
    NoVerdict {
        /// The host or, for a local remote, the path.
        place: String,
        /// The branch.
        branch: String,
        /// The error while the result was awaited.
        source: Box<RemoteError>,
    },
    /// There is no repository at the local path, and `remote.create` is off.
    #[error("there is no repository at `{path}`")]
    LocalMissing {
        /// The path.
        path: String,
    },
    /// The branch does not exist, and `remote.create` is off.
    #[error("branch `{}` does not exist in `{url}`", escaped(branch.as_bytes()))]
    BranchMissing {
        /// The branch.
        branch: String,
        /// The remote.
        url: String,
        /// The branches that exist.
        existing: Box<ExistingBranches>,
        /// Whether a sync that publishes creates the branch (`remote.create`).
        is_created: bool,
    },
    /// No branch is configured, and the remote's HEAD names none that exists.
    #[error("HEAD of `{url}` names no existing branch")]
    NoDefaultBranch {
        /// The remote.
        url: String,
        /// The branches that exist.
        existing: Box<ExistingBranches>,
    },
    /// The name of a sync branch is that of the branch of the codex.
    #[error("`push.branch`: `{}` is the branch of the codex", escaped(branch.as_bytes()))]
    SyncBranchIsBase {
        /// The branch.
        branch: String,
    },
    /// The branch of the codex, which sync branches are to be merged into, does not exist.
    #[error("branch `{}` does not exist in `{url}`, so that no sync branch can be merged into it", escaped(branch.as_bytes()))]
    NothingToMergeInto {
        /// The branch of the codex.
        branch: String,
        /// The remote.
        url: String,
        /// The branches that exist.
        existing: Box<ExistingBranches>,
    },
    /// The codex has no such directory, so that there is nothing to retire or to rename.
    #[error("the codex has no directory `{directory}` of `{project}`")]
    NotInCodex {
        /// The project.
        project: ProjectName,
        /// The directory.
        directory: CodexPath,
    },
    /// No sync of the project is known to have published any of the files to retire.
    #[error("no sync of `{project}` is known to have published any of the {} in `{directory}`", pluralize(*files, "file"))]
    NothingPublished {
        /// The project.
        project: ProjectName,
        /// The directory.
        directory: CodexPath,
        /// The number of files in the directory.
        files: usize,
    },
    /// The codex already has something at the new path of a renamed project.
    #[error("the codex already has `{}`", escaped(path))]
    TargetExists {
        /// The path.
        path: BString,
    },
    /// The directory of a project has an entry that git would not write.
    #[error(
        "`{}` cannot be moved: git would not write such an entry",
        escaped(path)
    )]
    NotMovable {
        /// The path in the codex.
        path: BString,
    },
    /// All that is left of a project are entries that no sync can write or delete.
    #[error(
        "`{}` cannot be deleted: git would not write such an entry",
        escaped(path)
    )]
    NotDeletable {
        /// The path of the first one in the codex.
        path: BString,
    },
    /// The run is atomic, and each project has a sync branch of its own.
    #[error("`--atomic` cannot be combined with a sync branch per project")]
    AtomicBranches,
    /// Offline, and without a recorded state to compare with.
    #[error("no recorded state for {}", listed(projects))]
    NothingRecorded {
        /// The projects without a recorded state.
        projects: Vec<String>,
    },
    /// Offline, and projects are to be pulled.
    #[error("pulling {} needs the network", listed(projects))]
    OfflinePull {
        /// The projects that pull.
        projects: Vec<String>,
    },
    /// The commits are on the sync branch, and the forge has not confirmed a pull request.
    #[error("`{}` is pushed, but its pull request is not confirmed", escaped(branch.as_bytes()))]
    NotProposed {
        /// The sync branch.
        branch: String,
        /// The error of the forge.
        source: Box<ForgeError>,
    },
    /// The forge that hosts the codex cannot be used.
    #[error(transparent)]
    Forge(Box<ForgeError>),
    /// The run is not the one that was planned.
    #[error("the plan no longer applies: {}", pluralize(differences.len(), "difference"))]
    PlanDiffers {
        /// All differences.
        differences: Vec<PlanDifference>,
        /// The options of a dry run that shows the present plan, as words for a shell.
        options: Vec<String>,
    },
    /// The plan of the run does not have the expected id.
    #[error("the plan is {}, not {expected}", id.map_or("empty".to_owned(), |id| id.to_string()))]
    UnexpectedPlan {
        /// The expected id.
        expected: ObjectId,
        /// The id of the run's plan; `None` if no project is selected.
        id: Option<ObjectId>,
        /// The options of a dry run that shows the present plan, as words for a shell.
        options: Vec<String>,
    },
    /// A project failed or was withheld, and the run is atomic.
    #[error("nothing was pushed: some projects failed or were withheld, and `--atomic` is set")]
    Atomic,
    /// Stopped by a signal.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
}

impl From<SigningError> for SyncError {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Interrupted(interrupted) => Self::Interrupted(interrupted),
            SigningError::Store(store) => Self::Store(store),
            _ => Self::Signing(error),
        }
    }
}

impl From<ForgeError> for SyncError {
    fn from(error: ForgeError) -> Self {
        match error {
            ForgeError::Interrupted(interrupted) => Self::Interrupted(interrupted),
            ForgeError::Connection(error) => match error.kind {
                RemoteErrorKind::Interrupted(interrupted) => Self::Interrupted(interrupted),
                _ => Self::Forge(Box::new(ForgeError::Connection(error))),
            },
            other => Self::Forge(Box::new(other)),
        }
    }
}

impl From<BuildError> for SyncError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Tree(error) => Self::Store(error.into()),
            BuildError::Signing(error) => error.into(),
        }
    }
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
