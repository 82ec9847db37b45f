//! One pull: its request, its connection and its outcome.

use super::super::remote_session::{RemoteSession, connect};
use super::super::request::SyncRequest;
use crate::config::Direction;
use crate::outcome::{SyncError, SyncOutcome};
use crate::plan::ProjectPlan;
use crate::workspace::Project;

/// A project with its plan to publish, in a dry run that also pulls. The codex does not have these
/// files, but the pull is planned as if it had them.
pub(in crate::sync) struct PlannedPublish<'p> {
    pub(in crate::sync) project: &'p Project,
    pub(in crate::sync) plan: &'p ProjectPlan,
}

/// One pull of some projects.
pub(super) struct PullRun<'r> {
    pub(super) request: &'r SyncRequest<'r>,
    pub(super) session: RemoteSession,
    pub(super) planned_publishes: &'r [PlannedPublish<'r>],
    pub(super) outcome: &'r mut SyncOutcome,
}

impl<'r> PullRun<'r> {
    /// Connects to the remote and finds the branch.
    pub(super) fn start(
        request: &'r SyncRequest<'r>,
        planned_publishes: &'r [PlannedPublish<'r>],
        outcome: &'r mut SyncOutcome,
    ) -> Result<Self, SyncError> {
        // In a dry run, the branch that the publishing half would create is still missing.
        let publishes_first =
            !planned_publishes.is_empty() || (request.dry_run && outcome.remote.creates_branch);
        let may_create = publishes_first && request.workspace.remote.create;
        let session = connect(request, may_create, &[])?;

        let remote = &mut outcome.remote;
        remote.branch = Some(session.branch().to_owned());
        // After a publish, the outcome keeps the tips from before and after it.
        if outcome.direction == Direction::FromCodex {
            remote.url = session.transport.url().clone();
            remote.before = session.tip();
            remote.after = session.tip();
        }
        Ok(Self {
            request,
            session,
            planned_publishes,
            outcome,
        })
    }
}
