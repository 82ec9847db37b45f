//! The request for a run: the projects, the flags and the surroundings.

use std::path::PathBuf;
use std::sync::Arc;

use crate::codex::transport::{self, MemoryPlace, Purpose, Transport};
use crate::config::{Configuration, Direction};
use crate::environment::Environment;
use crate::event::{Event, Reporter, Silent};
use crate::interrupt::Interrupt;
use crate::names::ProjectName;
use crate::outcome::{SyncError, Warning};
use crate::plan::DeletePolicy;
use crate::workspace::{Project, Workspace};

/// What is asked for.
#[derive(Clone)]
pub struct SyncRequest<'w> {
    /// The workspace.
    pub workspace: &'w Workspace,
    /// The chosen projects, in name order.
    pub projects: Vec<&'w Project>,
    /// Only plan.
    pub dry_run: bool,
    /// Of a dry run: ask nobody, compare with what was recorded.
    pub offline: bool,
    /// Read every file again, whatever is known of it.
    pub rescan: bool,
    /// How deletions are guarded.
    pub deletes: DeletePolicy,
    /// Push nothing unless every project is ready.
    pub atomic: bool,
    /// Replace what was changed by hand in the cache.
    pub force: bool,
    /// For the `Codex-Work-Id` trailer.
    pub work_id: Option<String>,
    /// Variables: tokens, identity, time.
    pub environment: &'w Environment,
    /// Where temporary clones go.
    pub temporary: PathBuf,
    /// Where kept clones lie: the user's cache directory for this program.
    pub cache_home: Option<PathBuf>,
    /// Seconds since the epoch, where `SOURCE_DATE_EPOCH` does not say otherwise.
    pub now: i64,
    /// How to be stopped.
    pub interrupt: Interrupt,
    /// Who listens.
    pub reporter: Arc<dyn Reporter>,
}

impl<'w> SyncRequest<'w> {
    /// A sync of every project as it is where no flag says anything: clones lie below `temporary`, `now` is in seconds
    /// since the epoch, nobody listens.
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
            atomic: false,
            force: false,
            work_id: None,
            environment: configuration.environment(),
            temporary,
            cache_home: None,
            now,
            interrupt: Interrupt::default(),
            reporter: Arc::new(Silent),
        }
    }

    pub(super) fn transport(&self) -> Result<Box<dyn Transport>, SyncError> {
        let reads = |project: &&Project| project.direction == Direction::FromCodex;
        let purpose = if self.projects.iter().all(reads) {
            Purpose::Read
        } else {
            Purpose::Publish
        };
        let memory = MemoryPlace {
            directory: self.workspace.shared_state_dir.join("servers"),
            is_writable: !self.dry_run,
            now: self.now,
        };
        Ok(transport::open(
            &self.workspace.remote,
            self.environment,
            &self.interrupt,
            self.reporter.clone(),
            purpose,
            Some(memory),
        )?)
    }

    pub(super) fn warn(
        &self,
        warnings: &mut Vec<Warning>,
        project: Option<&Project>,
        message: String,
    ) {
        self.add_warning(warnings, project.map(|project| &project.name), message);
    }

    /// A warning about a project that the configuration may no longer have.
    pub(super) fn warn_of(
        &self,
        warnings: &mut Vec<Warning>,
        project: &ProjectName,
        message: String,
    ) {
        self.add_warning(warnings, Some(project), message);
    }

    fn add_warning(
        &self,
        warnings: &mut Vec<Warning>,
        name: Option<&ProjectName>,
        message: String,
    ) {
        let name = name.cloned();
        self.reporter.event(&Event::Warning {
            project: name.as_ref().map(ToString::to_string),
            message: message.clone(),
        });
        warnings.push(Warning {
            project: name,
            message,
        });
    }
}
