//! The report on a project that was published, or would have been.

use crate::config::Direction;
use crate::object::ObjectId;
use crate::outcome::{LastSync, ProjectOutcome, ProjectReport};
use crate::plan::{Decision, ProjectPlan};
use crate::scan::ScanError;
use crate::workspace::Project;

/// The state of the last plan's commits at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitState {
    /// The run is a dry run, so there are no commits.
    OnlyPlanned,
    /// The remote does not contain them.
    NotLanded,
    /// They were not pushed, because the run is atomic and another project was not ready.
    WithheldByOthers,
    /// The remote has confirmed them.
    Verified,
    /// They were sent, and whether they landed is unknown.
    Unknown,
}

/// A commit that the remote has confirmed.
pub(super) struct LandedCommit {
    pub(super) commit: ObjectId,
    /// The changes of the commit, if the last plan of the run was made after it had landed.
    pub(super) plan: Option<ProjectPlan>,
}

/// Reports on a project. `decision` is `None` if the run ended before the project was planned.
/// `pending` is a commit of the project that may have landed.
pub(super) fn report(
    project: &Project,
    decision: Option<Result<Decision, ScanError>>,
    landed: Option<LandedCommit>,
    pending: Option<ObjectId>,
    state: CommitState,
) -> ProjectReport {
    let (outcome, plan) = match (decision, landed) {
        (None, _) => (ProjectOutcome::NotLanded, None),
        (Some(Err(error)), _) => (ProjectOutcome::Failed(error.into()), None),
        (Some(Ok(decision)), landed) => {
            let (outcome, plan) = planned(decision, landed, pending, state);
            (outcome, Some(plan))
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

fn planned(
    decision: Decision,
    landed: Option<LandedCommit>,
    pending: Option<ObjectId>,
    state: CommitState,
) -> (ProjectOutcome, ProjectPlan) {
    match (decision, landed) {
        (Decision::Withheld(plan, reason), _) => (ProjectOutcome::Withheld(reason), plan),
        (Decision::UpToDate(plan), None) => (ProjectOutcome::UpToDate, plan),
        (Decision::UpToDate(now), Some(LandedCommit { commit, plan })) => {
            (ProjectOutcome::Synced(commit), plan.unwrap_or(now))
        }
        (Decision::Ready(plan), Some(LandedCommit { commit, plan: None })) => {
            (ProjectOutcome::Synced(commit), plan)
        }
        (Decision::Ready(plan), _) => {
            let outcome = match (state, pending) {
                (CommitState::OnlyPlanned, _) => ProjectOutcome::WouldSync,
                (CommitState::WithheldByOthers, _) => ProjectOutcome::WithheldByOthers,
                (CommitState::Unknown, Some(commit)) => ProjectOutcome::Sent(commit),
                _ => ProjectOutcome::NotLanded,
            };
            (outcome, plan)
        }
    }
}
