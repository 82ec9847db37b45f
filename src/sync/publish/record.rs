//! Records the files of each project in the codex, and reads the records for an offline plan.

use std::collections::BTreeMap;
use std::io;

use rayon::prelude::*;

use super::lane::Lane;
use super::scan::Scanned;
use crate::object::ObjectId;
use crate::outcome::{SyncError, Warning};
use crate::paths::shown;
use crate::plan::Decision;
use crate::state::{Recorded, State};
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::{SyncRequest, Task};

/// The commit of the codex that an offline plan is compared with.
pub(super) struct RecordedTip {
    pub(super) branch: String,
    /// `None` for a codex without commits.
    pub(super) tip: Option<ObjectId>,
    /// The time of the record, in seconds since the epoch.
    pub(super) time: i64,
}

/// Reads the records of all projects, by index. If they are from several commits, the oldest one is
/// returned, or `None` without projects.
pub(super) fn read(
    request: &SyncRequest<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(BTreeMap<usize, Recorded>, Option<RecordedTip>), SyncError> {
    let recorded: Vec<_> = request
        .projects
        .iter()
        .map(|project| {
            let sync_branch = request.workspace.push_branches.of(&project.name);
            State::of(request.workspace, sync_branch.as_deref()).read(project)
        })
        .collect();

    let projects: Vec<_> = request
        .projects
        .iter()
        .zip(&recorded)
        .filter(|(_, recorded)| recorded.is_none())
        .map(|(project, _)| format!("`{}`", project.name))
        .collect();
    if !projects.is_empty() {
        return Err(SyncError::NothingRecorded { projects });
    }

    let recorded: Vec<_> = recorded.into_iter().flatten().collect();
    let oldest = recorded
        .iter()
        .min_by_key(|recorded| recorded.time)
        .map(|oldest| RecordedTip {
            branch: oldest.branch.clone(),
            tip: oldest.base,
            time: oldest.time,
        });
    if let Some(oldest) = &oldest
        && recorded.iter().any(|recorded| recorded.base != oldest.tip)
    {
        let message =
            "the recorded state of these projects is from different commits; showing the oldest"
                .to_owned();
        request.warn(warnings, None, message);
    }

    Ok((recorded.into_iter().enumerate().collect(), oldest))
}

/// Records the files of a lane's projects in the codex. If the commits of the plan have `landed`
/// and made that tip, these are the files after the plan, otherwise the fetched ones. The run is
/// complete by then, so an error is only a warning.
pub(super) fn write(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    scanned: &Scanned,
    lane: &Lane,
    landed: Option<ObjectId>,
    warnings: &mut Vec<Warning>,
) {
    let (target, Some(planned)) = (&session.targets[lane.target], &lane.planned) else {
        return;
    };
    // The listings are those of the planned tips. A run can end between a fetch and the next plan.
    let is_current = planned.tips == session.tips_to_record(target)
        && (session.has_sync_branches || session.base.tip == target.tip);
    let is_fetched = is_current && session.store.is_some();
    let is_task = request.task != Task::Sync;
    if landed.is_none() && (!is_fetched || is_task) {
        return;
    }

    let (sync_branch, branch, base) = if session.has_sync_branches {
        let base = &session.base.branch;
        (Some(target.branch.as_str()), base, planned.tips.1)
    } else {
        (None, &target.branch, landed.or(target.tip))
    };
    let state = State::of(request.workspace, sync_branch);
    let tip = landed.or(target.tip);
    let decisions: Vec<_> = planned
        .decisions
        .iter()
        .filter(|(index, _)| !scanned.failed.contains_key(index))
        .collect();
    let written: io::Result<()> = decisions.into_par_iter().try_for_each(|(index, decision)| {
        let (project, listing) = (request.projects[*index], &planned.listings[index]);
        let former = match &request.task {
            Task::Sync => None,
            // The directory has no project any more.
            Task::Retire { .. } => return state.remove(&project.to),
            Task::Rename { from, .. } => {
                let former = state.take(from)?.filter(|former| former.branch == *branch);
                if former.is_none() {
                    // The files that others have changed are unknown: the next run finds them in the
                    // history.
                    return state.remove(&project.to);
                }
                former
            }
        };
        let is_landed = landed.is_some()
            && !planned.left_out.contains(index)
            && matches!(decision, Decision::Ready(_));
        let listing = match decision {
            Decision::Ready(plan) if is_landed => plan.apply_to(listing),
            _ => listing.clone(),
        };
        let recorded = Recorded {
            name: project.name.to_string(),
            to: project.to.as_bstr().to_owned(),
            branch: branch.clone(),
            tip,
            base,
            time: request.now,
            drifted: match (former, is_landed) {
                (Some(former), _) => former.drifted_since(&listing),
                (None, true) => BTreeMap::new(),
                (None, false) => planned.drifted.get(index).cloned().unwrap_or_default(),
            },
            listing,
        };
        state.write(project, &recorded)
    });
    let written = written.and_then(|()| match landed {
        Some(_) => state.write_bypassed_rules(lane.bypassed_rules.as_deref()),
        None => Ok(()),
    });
    if let Err(error) = written {
        let directory = shown(&request.workspace.state_dir);
        let message = format!(
            "cannot write state to `{directory}`; the next sync will fetch again (set `state.dir` to change the location): {error}"
        );
        request.warn(warnings, None, message);
    }
}
