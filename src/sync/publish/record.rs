//! Records the files of each project in the codex, and reads the records for an offline plan.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bstr::BString;
use rayon::prelude::*;

use super::lane::Lane;
use super::scan::Scanned;
use crate::object::ObjectId;
use crate::outcome::{SyncError, Warning};
use crate::paths::shown;
use crate::plan::{Decision, Entry, Listing};
use crate::scan::Snapshot;
use crate::state::{Drifted, Recorded, State};
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

/// What is known of the files of a project in the codex after a run.
struct KnownFiles<'r> {
    /// The files that this run has read. Those that it has not `changed` are as their sources.
    sources: &'r Snapshot,
    /// The files that this run would have changed and did not change.
    changed: BTreeSet<&'r BString>,
    /// The drift that this run has found.
    drifted: Option<&'r Drifted>,
    /// The record of an earlier run.
    previous: Option<Recorded>,
}

impl KnownFiles<'_> {
    /// The drifted and the unknown files in `listing`, for the record. A run says nothing about a file
    /// that it has not claimed, or would have changed.
    fn of(&self, listing: &Listing) -> (Drifted, BTreeSet<BString>) {
        let is_as_source =
            |path: &BString| self.sources.files.contains_key(path) && !self.changed.contains(path);
        let (mut drifted, mut unknown) = (Drifted::new(), BTreeSet::new());
        for (path, entry) in listing
            .entries
            .iter()
            .filter(|(path, _)| !is_as_source(path))
        {
            match self.synced(path) {
                Some(synced) if synced.as_ref() == Some(entry) => {}
                Some(synced) => {
                    drifted.insert(path.clone(), synced);
                }
                None => {
                    unknown.insert(path.clone());
                }
            }
        }
        (drifted, unknown)
    }

    /// The version of a file that the last sync has left; `None` if it is unknown.
    fn synced(&self, path: &BString) -> Option<Option<Entry>> {
        if let Some(synced) = self.drifted.and_then(|drifted| drifted.get(path)) {
            return Some(*synced);
        }
        let previous = self.previous.as_ref()?;
        let is_known = !previous.unknown.contains(path);
        is_known.then(|| previous.synced(path))
    }
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
        let (drifted, unknown) = match former {
            Some(former) => (former.drifted_since(&listing), former.unknown),
            None => {
                let known = KnownFiles {
                    sources: &scanned.snapshots[*index],
                    changed: match is_landed {
                        true => BTreeSet::new(),
                        false => decision.plan().changed_paths(),
                    },
                    drifted: planned.drifted.get(index),
                    previous: state.read(project).filter(|one| one.branch == *branch),
                };
                known.of(&listing)
            }
        };
        let recorded = Recorded {
            name: project.name.to_string(),
            to: project.to.as_bstr().to_owned(),
            branch: branch.clone(),
            tip,
            base,
            time: request.now,
            drifted,
            unknown,
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
