//! The one orchestrator: scan and fetch side by side, plan, commit, push, verify; again on the new tip when the branch
//! moved, without reading the sources again.
//!
//! Promises (README, *What you can rely on*): success is only said of commits that the remote was seen to hold; a project that
//! fails or is withheld holds up nobody else (unless `--atomic`); nothing is ever forced.

pub mod doctor;
mod from_codex;
mod frontmatter;
pub mod history;
mod publish;
mod published;
mod remote_session;
mod sources;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::codex::scratch;
use crate::codex::transport::{self, MemoryPlace, Purpose, Transport};
use crate::config::{Configuration, Direction};
use crate::environment::Environment;
use crate::event::{Event, Reporter, Silent};
use crate::interrupt::Interrupt;
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::outcome::{
    LastSync, ProjectOutcome, ProjectReport, Pushed, RemoteState, SyncError, SyncOutcome, Warning,
};
use crate::plan::{Decision, DeletePolicy, ProjectPlan};
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

    fn transport(&self) -> Result<Box<dyn Transport>, SyncError> {
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

    fn warn(&self, warnings: &mut Vec<Warning>, project: Option<&Project>, message: String) {
        self.add_warning(warnings, project.map(|project| &project.name), message);
    }

    /// A warning about a project that the configuration may no longer have.
    fn warn_of(&self, warnings: &mut Vec<Warning>, project: &ProjectName, message: String) {
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

/// Syncs the chosen projects, each in its direction, or plans it: first everything to the codex, and, if that did not
/// fail as a whole, everything from it. Never fails as a call: what went wrong is in the outcome.
pub fn sync(request: &SyncRequest<'_>) -> SyncOutcome {
    let started = Instant::now();
    if !request.offline {
        scratch::sweep(&request.temporary);
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(request.workspace.jobs);
    // Trees are edited level by level, and a path may have two thousand; what is not used costs nothing.
    let mut outcome = match threads.stack_size(64 << 20).build() {
        Ok(pool) => pool.install(|| both_ways(request)),
        // Without threads of its own the run uses the shared ones.
        Err(_) => both_ways(request),
    };
    outcome.duration = started.elapsed();
    outcome
}

fn both_ways(request: &SyncRequest<'_>) -> SyncOutcome {
    let chosen = |direction| {
        let goes =
            |project: &&Project| [direction, Direction::Bidirectional].contains(&project.direction);
        request
            .projects
            .iter()
            .copied()
            .filter(goes)
            .collect::<Vec<_>>()
    };
    let (publishing, bringing) = (chosen(Direction::ToCodex), chosen(Direction::FromCodex));
    let (mut outcome, mut caches) = if publishing.is_empty() {
        (
            SyncOutcome {
                direction: Direction::FromCodex,
                ..empty_outcome(request)
            },
            BTreeMap::new(),
        )
    } else {
        publish::publish(&SyncRequest {
            projects: publishing.clone(),
            ..request.clone()
        })
    };
    if !publishing.is_empty() && !bringing.is_empty() {
        outcome.direction = Direction::Bidirectional;
    }
    if bringing.is_empty() || outcome.failure.is_some() {
        return outcome;
    }
    if let Err(interrupted) = request.interrupt.check() {
        outcome.failure = Some(interrupted.into());
        return outcome;
    }
    if request.offline {
        let projects = bringing
            .iter()
            .map(|project| format!("what the codex has for `{}`", project.name))
            .collect();
        outcome.failure = Some(SyncError::NothingRecorded { projects });
        return outcome;
    }
    let would_land = |report: &ProjectReport| matches!(report.outcome, ProjectOutcome::WouldSync);
    let reports = std::mem::take(&mut outcome.projects);
    let planned = publishing
        .iter()
        .zip(&reports)
        .filter(|(_, report)| would_land(report));
    let planned: Vec<_> = planned
        .map(|(project, report)| (*project, &report.plan))
        .collect();
    let brought = from_codex::bring(request, &bringing, &planned, &mut caches, &mut outcome);
    outcome.projects = reports;
    match brought {
        Ok(reports) => outcome.projects.extend(reports),
        Err(error) => outcome.failure = Some(error),
    }
    outcome.projects.sort_by(|a, b| a.name.cmp(&b.name));
    outcome
}

/// How far the commits of a run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Landing {
    /// Nobody asked for more than a plan.
    Planned,
    /// They never reached the remote.
    NotLanded,
    /// Others held them back.
    HeldByOthers,
    /// The remote holds them.
    Landed,
    /// Sent, and unknown since.
    Unknown,
}

/// A commit that the remote was seen to hold.
struct Landed {
    commit: ObjectId,
    /// What it changed, where the last plan does not say so: it was made after this commit landed.
    plan: Option<ProjectPlan>,
}

/// The report of a project that was published, or would be; `sent` is a commit of it that may land.
fn report(
    project: &Project,
    decision: Result<Decision, crate::scan::ScanError>,
    landed: Option<Landed>,
    sent: Option<ObjectId>,
    landing: Landing,
) -> ProjectReport {
    let (outcome, plan) = match (decision, landed) {
        (Err(error), _) => (ProjectOutcome::Failed(error.into()), Default::default()),
        (Ok(Decision::Withheld(plan, reason)), _) => (ProjectOutcome::Withheld(reason), plan),
        (Ok(Decision::UpToDate(plan)), None) => (ProjectOutcome::UpToDate, plan),
        (Ok(Decision::UpToDate(now)), Some(Landed { commit, plan })) => {
            (ProjectOutcome::Synced(commit), plan.unwrap_or(now))
        }
        (Ok(Decision::Go(plan)), Some(Landed { commit, plan: None })) => {
            (ProjectOutcome::Synced(commit), plan)
        }
        (Ok(Decision::Go(plan)), _) => {
            let outcome = match (landing, sent) {
                (Landing::Planned, _) => ProjectOutcome::WouldSync,
                (Landing::HeldByOthers, _) => ProjectOutcome::WithheldByOthers,
                (Landing::Unknown, Some(commit)) => ProjectOutcome::Sent(commit),
                _ => ProjectOutcome::NotLanded,
            };
            (outcome, plan)
        }
    };
    ProjectReport {
        name: project.name.clone(),
        direction: Direction::ToCodex,
        to: Some(project.to.clone()),
        outcome,
        plan,
        last_sync: LastSync::NotAsked,
    }
}

fn empty_outcome(request: &SyncRequest<'_>) -> SyncOutcome {
    let remote = &request.workspace.remote;
    SyncOutcome {
        direction: Direction::ToCodex,
        dry_run: request.dry_run,
        recorded: None,
        plan_id: None,
        remote: RemoteState {
            url: remote.url.clone(),
            branch: remote.branch.clone(),
            before: None,
            after: None,
            creates_branch: false,
            base: None,
        },
        projects: Vec::new(),
        pushed: Pushed::No,
        attempts: 0,
        warnings: Vec::new(),
        failure: None,
        duration: Default::default(),
    }
}
