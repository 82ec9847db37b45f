//! The one orchestrator: scan and fetch side by side, plan, commit, push, verify; again on the new tip when the branch
//! moved, without reading the sources again.
//!
//! Promises (README, *What you can rely on*): success is only said of commits that the remote was seen to hold; a project that
//! fails or is withheld holds up nobody else (unless `--atomic`); nothing is ever forced.

mod cache_update;
mod caches;
pub mod doctor;
pub mod history;
mod publish;
mod pull;
mod remote_session;
mod repeater;
mod request;
mod sources;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::codex::temp_clone;
use crate::config::Direction;
use crate::object::ObjectId;
use crate::outcome::{
    LastSync, ProjectOutcome, ProjectReport, Pushed, RemoteState, SyncError, SyncOutcome,
};
use crate::plan::{Decision, ProjectPlan};
use crate::workspace::Project;

pub use request::SyncRequest;

/// Syncs the chosen projects, each in its direction, or plans it: first everything to the codex, and, if that did not
/// fail as a whole, everything from it. Never fails as a call: what went wrong is in the outcome.
pub fn sync(request: &SyncRequest<'_>) -> SyncOutcome {
    let started = Instant::now();
    if !request.offline {
        temp_clone::sweep(&request.temporary);
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
    let (mut outcome, caches) = if publishing.is_empty() {
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
        .map(|(project, report)| pull::PlannedPublish {
            project,
            plan: &report.plan,
        })
        .collect();
    let brought = pull::pull(request, &bringing, &planned, caches, &mut outcome);
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
        last_sync: LastSync::NotRequested,
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
