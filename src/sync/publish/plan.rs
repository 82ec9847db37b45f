//! The second stage: compares the sources of each project with the codex.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::scan::Scanned;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::{SyncError, Warning};
use crate::paths::escaped;
use crate::plan::{self, Decision, Listing, ProjectPlan, plan_id};
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;

/// The changes of a run, on top of one commit of the codex.
pub(super) struct Planned {
    /// The commit that the sources were compared with; `None` if the codex has no commits.
    pub(super) base: Option<ObjectId>,
    /// The files of each project in the base, in the order of the request.
    pub(super) listings: Vec<Listing>,
    /// The decision for each project whose sources could be read, by index.
    pub(super) decisions: BTreeMap<usize, Decision>,
    /// The projects that change and are not a part of the next push, by index.
    pub(super) left_out: BTreeSet<usize>,
    /// Whether a push of this plan creates the branch.
    pub(super) creates_branch: bool,
    /// A digest of the base and of all changes.
    pub(super) id: ObjectId,
}

/// Compares all projects with the base of the session.
pub(super) fn plan(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    scanned: &Scanned,
) -> Result<Planned, SyncError> {
    let listings = session.listings(&request.projects)?;
    let mut planned = plan_on(request, scanned, listings, session.base.tip);
    planned.create_branch(session);
    Ok(planned)
}

/// Compares all projects with `listings`, which are their files in the commit `base`. This uses
/// neither the network nor git, and writes nothing.
#[tracing::instrument(level = "debug", name = "plan", skip_all)]
pub(super) fn plan_on(
    request: &SyncRequest<'_>,
    scanned: &Scanned,
    listings: Vec<Listing>,
    base: Option<ObjectId>,
) -> Planned {
    let decisions: BTreeMap<_, _> = request
        .projects
        .par_iter()
        .zip(&scanned.snapshots)
        .zip(&listings)
        .enumerate()
        .filter(|(number, _)| !scanned.failed.contains_key(number))
        .map(|(number, ((project, snapshot), listing))| {
            let decision = plan::plan(project, snapshot, listing, request.deletes);
            (number, decision)
        })
        .collect();
    let plans =
        changes(&decisions).map(|(number, plan)| (Some(&request.projects[number].to), plan));
    let id = plan_id(base, plans);

    Planned {
        base,
        listings,
        decisions,
        left_out: BTreeSet::new(),
        creates_branch: false,
        id,
    }
}

impl Planned {
    /// The projects of the next push, by index.
    pub(super) fn changes(&self) -> impl Iterator<Item = (usize, &ProjectPlan)> {
        changes(&self.decisions).filter(|(number, _)| !self.left_out.contains(number))
    }

    /// All projects that change, by index.
    pub(super) fn changed(&self) -> BTreeSet<usize> {
        changes(&self.decisions).map(|(number, _)| number).collect()
    }

    /// Limits the next push to these projects.
    pub(super) fn push_only(&mut self, projects: &BTreeSet<usize>) {
        self.left_out = &self.changed() - projects;
        self.creates_branch &=
            !projects.is_empty() || (self.base.is_some() && self.is_any_up_to_date());
    }

    /// Whether there is anything to push: a commit or a new branch.
    pub(super) fn has_work(&self) -> bool {
        self.creates_branch || self.changes().next().is_some()
    }

    /// Whether a guard withholds a project.
    pub(super) fn is_any_withheld(&self) -> bool {
        self.decisions
            .values()
            .any(|decision| matches!(decision, Decision::Withheld(..)))
    }

    /// Whether the files of a project are the same on both sides.
    pub(super) fn is_any_up_to_date(&self) -> bool {
        self.decisions
            .values()
            .any(|decision| matches!(decision, Decision::UpToDate(_)))
    }

    /// Decides whether a push creates the branch. A branch that starts from another one is also
    /// created if no file differs, unless all projects failed or are withheld.
    fn create_branch(&mut self, session: &RemoteSession) {
        let has_changes = self.changes().next().is_some();
        self.creates_branch = session.target.is_new()
            && (has_changes || (self.base.is_some() && self.is_any_up_to_date()));

        if self.creates_branch && !has_changes {
            let text = format!("{} creates {}", self.id, session.target.branch);
            self.id = hash(Kind::Blob, text.as_bytes());
        }
    }

    /// Warns about files that are kept in the codex because the cache or the state is at their
    /// path.
    pub(super) fn warn_of_own_directories(
        &self,
        request: &SyncRequest<'_>,
        warnings: &mut Vec<Warning>,
    ) {
        for (number, decision) in &self.decisions {
            for directory in &decision.plan().keeping_directories {
                let message = format!(
                    "`{}` is a directory of the cache or the state (`cache.dir`, `state.dir`): files in it are not published, and their copies in the codex are kept",
                    escaped(directory)
                );
                request.warn(warnings, Some(request.projects[*number]), message);
            }
        }
    }

    /// Warns about each project that has no files on either side.
    pub(super) fn warn_of_empty(
        &self,
        request: &SyncRequest<'_>,
        scanned: &Scanned,
        warnings: &mut Vec<Warning>,
    ) {
        for (number, decision) in &self.decisions {
            let is_empty = matches!(decision, Decision::UpToDate(plan) if plan.unchanged == 0);
            if is_empty && scanned.snapshots[*number].files.is_empty() {
                let message = "no files match, and the codex has none for this project".to_owned();
                request.warn(warnings, Some(request.projects[*number]), message);
            }
        }
    }
}

fn changes(decisions: &BTreeMap<usize, Decision>) -> impl Iterator<Item = (usize, &ProjectPlan)> {
    decisions
        .iter()
        .filter_map(|(number, decision)| match decision {
            Decision::Ready(plan) => Some((*number, plan)),
            _ => None,
        })
}
