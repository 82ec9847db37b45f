//! Records the files of each project in the codex, and reads the records for an offline plan.

use std::io;

use rayon::prelude::*;

use super::plan::Planned;
use super::scan::Scanned;
use crate::object::ObjectId;
use crate::outcome::{SyncError, Warning};
use crate::paths::shown;
use crate::plan::{Decision, Listing};
use crate::state::{Recorded, State};
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;

/// The commit of the codex that an offline plan is compared with.
pub(super) struct RecordedTip {
    pub(super) branch: String,
    /// `None` for a codex without commits.
    pub(super) tip: Option<ObjectId>,
    /// When it was recorded, in seconds since the epoch.
    pub(super) time: i64,
}

/// Reads the recorded files of all projects. If the records are from several commits, the oldest
/// one is returned, or `None` without projects.
pub(super) fn read(
    request: &SyncRequest<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(Vec<Listing>, Option<RecordedTip>), SyncError> {
    let state = State::of(request.workspace);
    let recorded: Vec<_> = request
        .projects
        .iter()
        .map(|project| state.read(project))
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
            tip: oldest.tip,
            time: oldest.time,
        });
    if let Some(oldest) = &oldest
        && recorded.iter().any(|recorded| recorded.tip != oldest.tip)
    {
        let message =
            "the recorded state of these projects is from different commits; showing the oldest"
                .to_owned();
        request.warn(warnings, None, message);
    }

    let listings = recorded.into_iter().map(|recorded| recorded.listing);
    Ok((listings.collect(), oldest))
}

/// Records the files of all projects in the codex. If the commits of the plan have `landed` and
/// made that tip, these are the files after the plan, otherwise the fetched ones. The run is
/// complete by then, so an error is only a warning.
pub(super) fn write(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    scanned: &Scanned,
    planned: &Planned,
    landed: Option<ObjectId>,
    warnings: &mut Vec<Warning>,
) {
    // The listings are those of the planned base. A run can end between a fetch and the next plan.
    let is_current = session.base.tip == planned.base && session.base.tip == session.target.tip;
    let is_fetched = is_current && session.store.is_some();
    if landed.is_none() && !is_fetched {
        return;
    }

    let state = State::of(request.workspace);
    let branch = &session.target.branch;
    let tip = landed.or(session.target.tip);
    let decisions: Vec<_> = planned
        .decisions
        .iter()
        .filter(|(number, _)| !scanned.failed.contains_key(number))
        .collect();
    let written: io::Result<()> = decisions
        .into_par_iter()
        .try_for_each(|(number, decision)| {
            let listing = &planned.listings[*number];
            let recorded = Recorded {
                branch: branch.clone(),
                tip,
                time: request.now,
                listing: match decision {
                    Decision::Ready(plan)
                        if landed.is_some() && !planned.left_out.contains(number) =>
                    {
                        plan.apply_to(listing)
                    }
                    _ => listing.clone(),
                },
            };
            state.write(request.projects[*number], &recorded)
        });
    if let Err(error) = written {
        let directory = shown(&request.workspace.state_dir);
        let message = format!(
            "cannot write state to `{directory}`; the next sync will fetch again (set `state.dir` to change the location): {error}"
        );
        request.warn(warnings, None, message);
    }
}
