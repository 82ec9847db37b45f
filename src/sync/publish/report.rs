//! The report on a project that was published, or would have been.

use crate::codex::remote::Rejection;
use crate::config::Direction;
use crate::object::ObjectId;
use crate::outcome::{LastSync, ProjectOutcome, ProjectReport};
use crate::plan::{Decision, ProjectPlan};
use crate::scan::ScanError;
use crate::sync::request::SyncRequest;
use crate::workspace::Project;

/// The state of the last plan's commits at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitState {
    /// The run is a dry run, so there are no commits.
    OnlyPlanned,
    /// The remote does not contain the commits.
    NotLanded,
    /// The commits were not pushed, because the run is atomic and another project was not ready.
    WithheldByOthers,
    /// The server rejects some of the projects. The search for these projects has ended before all
    /// were found.
    SearchEnded,
    /// The remote has confirmed the commits.
    Verified,
    /// The commits were sent, and it is unknown whether they landed.
    Unknown,
}

/// The state of a plan without commits to push.
pub(super) fn state_of_plan(request: &SyncRequest<'_>) -> CommitState {
    if request.dry_run {
        CommitState::OnlyPlanned
    } else {
        CommitState::NotLanded
    }
}

/// A commit that the remote has confirmed.
pub(super) struct LandedCommit {
    pub(super) commit: ObjectId,
    /// The changes of the commit, if the last plan of the run was made after it had landed.
    pub(super) plan: Option<ProjectPlan>,
}

/// The pushes of a project's commits.
pub(super) struct CommitHistory {
    /// The commit that landed.
    pub(super) landed: Option<LandedCommit>,
    /// A commit that may have landed.
    pub(super) pending: Option<ObjectId>,
    /// The reason why the server rejects the project, if it does.
    pub(super) rejected: Option<Rejection>,
}

/// Reports on a project. `decision` is `None` if the run ended before the project was planned.
pub(super) fn report(
    request: &SyncRequest<'_>,
    project: &Project,
    decision: Option<Result<Decision, ScanError>>,
    history: CommitHistory,
    state: CommitState,
) -> ProjectReport {
    let (outcome, plan) = match decision {
        None => (ProjectOutcome::NotLanded, None),
        Some(Err(error)) => (ProjectOutcome::Failed(error.into()), None),
        Some(Ok(decision)) => {
            let (outcome, plan) = planned(decision, history, state);
            (outcome, Some(plan))
        }
    };
    ProjectReport {
        name: project.name.clone(),
        root: project.root.clone(),
        direction: Direction::ToCodex,
        to: Some(project.to.clone()),
        sync_branch: request.workspace.push_branches.of(&project.name),
        outcome,
        plan,
        findings: Vec::new(),
        last_sync: LastSync::NotRequested,
        source_directory: None,
        stale_since: None,
    }
}

fn planned(
    decision: Decision,
    history: CommitHistory,
    state: CommitState,
) -> (ProjectOutcome, ProjectPlan) {
    match (decision, history.landed) {
        (Decision::Withheld(plan, reason), _) => (ProjectOutcome::Withheld(reason), plan),
        (Decision::UpToDate(plan), None) => (ProjectOutcome::UpToDate, plan),
        (Decision::UpToDate(now), Some(LandedCommit { commit, plan })) => {
            (ProjectOutcome::Synced(commit), plan.unwrap_or(now))
        }
        (Decision::Ready(plan), Some(LandedCommit { commit, plan: None })) => {
            (ProjectOutcome::Synced(commit), plan)
        }
        (Decision::Ready(plan), _) => {
            let outcome = match (state, history.pending, history.rejected) {
                (CommitState::OnlyPlanned, ..) => ProjectOutcome::WouldSync,
                (CommitState::WithheldByOthers, ..) => ProjectOutcome::WithheldByOthers,
                (_, _, Some(rejection)) => ProjectOutcome::Rejected(rejection),
                (CommitState::Unknown, Some(commit), _) => ProjectOutcome::Sent(commit),
                (CommitState::SearchEnded, ..) => ProjectOutcome::Undecided,
                _ => ProjectOutcome::NotLanded,
            };
            (outcome, plan)
        }
    }
}
