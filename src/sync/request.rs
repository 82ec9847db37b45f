//! The input of a run: the projects, the options and the environment.

use std::path::PathBuf;
use std::sync::Arc;

use super::connection::{Connection, ConnectionSlot};
use super::expectation::Expectation;
use super::sources::Sources;
use crate::checks::{CheckScope, ContentCheck, has_unallowed_secret};
use crate::codex::remote::{self, NotesLocation, Purpose};
use crate::config::{Configuration, Direction};
use crate::environment::Environment;
use crate::event::{Event, Reporter, Silent};
use crate::interrupt::Interrupt;
use crate::names::ProjectName;
use crate::outcome::{SyncError, Warning, WarningSubject};
use crate::paths::CodexPath;
use crate::plan::DeletePolicy;
use crate::workspace::{Project, PushBranches, Workspace};

/// The input of a run.
#[derive(Clone)]
#[non_exhaustive]
pub struct SyncRequest<'w> {
    /// The workspace.
    pub workspace: &'w Workspace,
    /// The selected projects, in name order.
    pub projects: Vec<&'w Project>,
    /// Whether to only plan the run.
    pub dry_run: bool,
    /// Whether a dry run compares with the last recorded state instead of contacting the remote.
    pub offline: bool,
    /// Whether to read every file, even if the last scan recorded it.
    pub rescan: bool,
    /// The guard against deletions.
    pub deletes: DeletePolicy,
    /// The files to check (`sync.checks`).
    pub checks: CheckScope,
    /// Whether to push nothing unless every project is ready.
    pub atomic: bool,
    /// Whether to overwrite local edits in the cache.
    pub force: bool,
    /// Whether files of the cache that the patterns of a pull do not select are kept (`--include`).
    pub keeps_unselected: bool,
    /// The value of the `Codex-Work-Id` trailer.
    pub work_id: Option<String>,
    /// The sources of the projects, and the revision of those whose committed files are published.
    pub(crate) sources: Arc<Sources>,
    /// The environment variables, for tokens, the identity of commits and their time.
    pub environment: &'w Environment,
    /// The directory for temporary clones.
    pub temporary: PathBuf,
    /// The user's cache directory for this program, for persistent clones.
    pub cache_home: Option<PathBuf>,
    /// The current time in seconds since the epoch. For commits, `SOURCE_DATE_EPOCH` takes
    /// precedence.
    pub now: i64,
    /// Stops the run.
    pub interrupt: Interrupt,
    /// Receives the events of the run.
    pub reporter: Arc<dyn Reporter>,
    /// The connection to the remote, which the steps of the run share.
    pub(crate) connection: ConnectionSlot,
    /// The changes that the run makes.
    pub(crate) task: Task,
    /// The plan that the run is to carry out.
    pub(crate) expectation: Expectation,
}

/// The changes that a run makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Task {
    /// The files of the sources.
    #[default]
    Sync,
    /// The removal of a project.
    Retire {
        /// Whether files are deleted that no sync of the project has published.
        includes_others: bool,
    },
    /// The directory `from` of the project `old`, as that of the project of the run.
    Rename { old: ProjectName, from: CodexPath },
}

/// Projects that are pushed to one branch.
pub(super) struct LaneProjects {
    /// The sync branch; `None` for the branch of the codex.
    pub(super) sync_branch: Option<String>,
    /// The indexes of the projects.
    pub(super) projects: Vec<usize>,
}

impl<'w> SyncRequest<'w> {
    /// A sync of all projects with the default options. Clones are created below `temporary`, `now`
    /// is the time in seconds since the epoch, and events are ignored.
    pub fn new(
        configuration: &'w Configuration,
        workspace: &'w Workspace,
        temporary: PathBuf,
        now: i64,
    ) -> Self {
        Self {
            workspace,
            projects: workspace.projects.iter().collect(),
            dry_run: false,
            offline: false,
            rescan: false,
            deletes: DeletePolicy::Guarded,
            checks: CheckScope::ChangedFiles,
            atomic: false,
            force: false,
            keeps_unselected: false,
            work_id: None,
            sources: Arc::default(),
            environment: configuration.environment(),
            temporary,
            cache_home: None,
            now,
            interrupt: Interrupt::default(),
            reporter: Arc::new(Silent),
            connection: ConnectionSlot::default(),
            task: Task::Sync,
            expectation: Expectation::Nothing,
        }
    }

    /// The lanes of the projects: one for all of them, or one per project if each has a sync branch
    /// of its own.
    pub(super) fn lanes(&self) -> Vec<LaneProjects> {
        let branches = &self.workspace.push_branches;
        let indexes = 0..self.projects.len();
        if let PushBranches::PerProject(_) = branches {
            let lane = |index: usize| LaneProjects {
                sync_branch: branches.of(&self.projects[index].name),
                projects: vec![index],
            };
            return indexes.map(lane).collect();
        }
        let sync_branch = self.projects.first().and_then(|one| branches.of(&one.name));
        vec![LaneProjects {
            sync_branch,
            projects: indexes.collect(),
        }]
    }

    /// The project whose directory the run moves, if it does so.
    pub(super) fn moved_project(&self) -> Option<&'w Project> {
        let Task::Rename { from, .. } = &self.task else {
            return None;
        };
        let mut projects = self.workspace.projects.iter();
        projects.find(|project| project.to == *from)
    }

    /// The sync branches of the projects, one per lane; none if commits go to the branch of the
    /// codex.
    pub(super) fn sync_branches(&self) -> Vec<String> {
        let lanes = self.lanes().into_iter();
        lanes.filter_map(|lane| lane.sync_branch).collect()
    }

    /// The connection to the workspace's remote, which an earlier step of the run may have opened.
    /// A run that only reads may use another URL than one that publishes.
    pub(super) fn connection(&self) -> Result<Connection, SyncError> {
        let only_reads = self
            .projects
            .iter()
            .all(|project| project.direction == Direction::FromCodex);
        let purpose = if only_reads {
            Purpose::Read
        } else {
            Purpose::Publish
        };
        let notes = NotesLocation {
            directory: self.workspace.shared_state_dir.join("servers"),
            is_writable: !self.dry_run,
            now: self.now,
        };
        let open = || {
            remote::open(
                &self.workspace.remote,
                self.environment,
                &self.interrupt,
                self.reporter.clone(),
                purpose,
                Some(notes),
            )
        };
        Ok(self.connection.take(purpose, open)?)
    }

    /// Whether a text that is published beside the files of a project contains a secret that is not
    /// allowed.
    pub(super) fn finds_secret(&self, project: &Project, text: &str) -> bool {
        self.checks != CheckScope::Nothing && has_unallowed_secret(text, &project.checks)
    }

    /// Whether the links of all files are checked.
    pub(super) fn checks_all_links(&self) -> bool {
        let mut projects = self.projects.iter();
        self.checks == CheckScope::AllFiles
            && projects.any(|project| project.checks.is_enabled(ContentCheck::Links))
    }

    /// Adds a warning about a project, or about the run as a whole, and reports it as an event.
    pub(super) fn warn(
        &self,
        warnings: &mut Vec<Warning>,
        project: Option<&Project>,
        message: String,
    ) {
        let project = project.map(|project| &project.name);
        self.add_warning(warnings, project, WarningSubject::Other, message);
    }

    /// Like [`SyncRequest::warn`], for a project that may no longer be configured.
    pub(super) fn warn_of(
        &self,
        warnings: &mut Vec<Warning>,
        project: &ProjectName,
        message: String,
    ) {
        self.warn_about(warnings, project, WarningSubject::Other, message);
    }

    /// Like [`SyncRequest::warn_of`], for a warning about something that the outcome also contains.
    pub(super) fn warn_about(
        &self,
        warnings: &mut Vec<Warning>,
        project: &ProjectName,
        subject: WarningSubject,
        message: String,
    ) {
        self.add_warning(warnings, Some(project), subject, message);
    }

    fn add_warning(
        &self,
        warnings: &mut Vec<Warning>,
        name: Option<&ProjectName>,
        subject: WarningSubject,
        message: String,
    ) {
        let name = name.cloned();
        self.reporter.event(&Event::Warning {
            project: name.as_ref().map(ToString::to_string),
            message: message.clone(),
        });
        warnings.push(Warning {
            project: name,
            subject,
            message,
        });
    }
}
