//! The second stage: compares the sources of each project with the codex.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BString, ByteSlice};
use rayon::prelude::*;

use super::check::{CheckResults, check};
use super::drift::DriftSearch;
use super::merge::{Divergence, PlannedMerge};
use super::planned_codex::CodexTrees;
use super::scan::Scanned;
use super::task_planner::TaskPlanner;
use crate::interrupt::Interrupted;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::{SyncError, Warning};
use crate::paths::escaped;
use crate::plan::{Decision, Listing, ProjectPlan, plan_id};
use crate::state::Drifted;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::{SyncRequest, Task};

/// The changes of a lane, on top of one commit of the codex.
pub(super) struct Planned {
    /// The commit that new commits go on top of; `None` if there is none.
    pub(super) base: Option<ObjectId>,
    /// The merge of the branch of the codex that comes first. The sources were compared with its
    /// result instead of `base`.
    pub(super) merge: Option<PlannedMerge>,
    /// The tips of the target and of the base at the time of the plan, for the recorded state.
    pub(super) tips: (Option<ObjectId>, Option<ObjectId>),
    /// The files of each project that the sources were compared with, by index.
    pub(super) listings: BTreeMap<usize, Listing>,
    /// The drift of each project, by index.
    pub(super) drifted: BTreeMap<usize, Drifted>,
    /// The decision for each project whose sources could be read, by index.
    pub(super) decisions: BTreeMap<usize, Decision>,
    /// The projects that change and are not a part of the next push, by index.
    pub(super) left_out: BTreeSet<usize>,
    /// Whether a push of this plan creates the branch.
    pub(super) creates_branch: bool,
    /// A digest of the base and of all changes.
    pub(super) id: ObjectId,
}

/// Compares the sources of projects with the files that a target has, and plans the changes. If the
/// base must first be merged into the target, the sources are compared with the result of the merge.
///
/// `target` and `projects` are indexes. `has_pushed` is whether the run has already pushed to the
/// target.
pub(super) fn plan(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    scanned: &mut Scanned,
    results: &mut CheckResults,
    (target, projects): (usize, &[usize]),
    has_pushed: bool,
) -> Result<Planned, SyncError> {
    let listings = session.listings(request, target, projects)?;
    let start = session.start(target);
    let session = &*session;
    let trees = session.store.as_ref().map(|store| CodexTrees {
        store,
        commits: start.into_iter().chain(session.base.tip).collect(),
    });
    let mut plan_on = |listings, merge: Option<&PlannedMerge>| {
        if request.task != Task::Sync {
            let planner = TaskPlanner {
                request,
                session,
                target,
                merge,
                has_pushed,
            };
            let decisions = planner.decisions(&listings)?;
            return Ok(Planned::new(request, decisions, listings, start));
        }
        let mut planned = plan_on(request, scanned, listings, start);
        let search = DriftSearch {
            request,
            session,
            target,
            merged: merge.map(|merge| merge.base),
        };
        planned.drifted = search.find(&planned.listings, &mut planned.decisions)?;
        planned.check(request, scanned, results, trees.as_ref())?;
        Ok::<_, SyncError>(planned)
    };
    let mut planned = plan_on(listings, None)?;
    let mut own: Vec<_> = planned.decisions.keys().copied().collect();
    loop {
        let published = own.iter().map(|index| request.projects[*index]);
        let published = published.chain(request.moved_project()).collect();
        let Some(divergence) = Divergence::of(session, target, published)? else {
            break;
        };
        let merge = divergence.merge();
        let listings = merge.listings(request, session, projects)?;
        let merged = plan_on(listings, Some(&merge))?;
        let is_withheld = |index: &usize| {
            let decision = merged.decisions.get(index);
            matches!(decision, None | Some(Decision::Withheld(..)))
        };
        if own.iter().any(is_withheld) {
            // The run does not publish these, so the merge must not choose their older versions.
            own.retain(|index| !is_withheld(index));
            planned.withhold_as(&merged);
            continue;
        }

        planned.withhold_as(&merged);
        let mut published = planned.published_paths(request);
        published.extend(merged.published_paths(request));
        if divergence.needs_merge(&published) {
            planned = merged;
            planned.merge = Some(merge);
        }
        break;
    }
    planned.tips = session.tips_to_record(&session.targets[target]);
    if session.has_sync_branches {
        planned.push_to_sync_branch(session, target);
    } else {
        planned.create_branch(session);
    }
    Ok(planned)
}

/// Compares projects with `listings`, their files in the commit `base`, by index. This does not use the
/// network, and writes nothing.
#[tracing::instrument(level = "debug", name = "plan", skip_all, fields(projects = listings.len()))]
pub(super) fn plan_on(
    request: &SyncRequest<'_>,
    scanned: &Scanned,
    listings: BTreeMap<usize, Listing>,
    base: Option<ObjectId>,
) -> Planned {
    let decisions: BTreeMap<_, _> = listings
        .par_iter()
        .filter(|(index, _)| !scanned.failed.contains_key(index))
        .map(|(index, listing)| (*index, scanned.decide(request, *index, listing)))
        .collect();
    Planned::new(request, decisions, listings, base)
}

impl Planned {
    /// The plan with these decisions, which were made for `listings`, the files of projects in the
    /// commit `base`.
    fn new(
        request: &SyncRequest<'_>,
        decisions: BTreeMap<usize, Decision>,
        listings: BTreeMap<usize, Listing>,
        base: Option<ObjectId>,
    ) -> Self {
        Self {
            id: id(request, base, &decisions),
            base,
            merge: None,
            tips: (base, base),
            listings,
            drifted: BTreeMap::new(),
            decisions,
            left_out: BTreeSet::new(),
            creates_branch: false,
        }
    }

    /// The projects of the next push, by index.
    pub(super) fn changes(&self) -> impl Iterator<Item = (usize, &ProjectPlan)> {
        changes(&self.decisions).filter(|(index, _)| !self.left_out.contains(index))
    }

    /// Checks the plan, which has no branch yet, and replaces decisions by the findings.
    pub(super) fn check(
        &mut self,
        request: &SyncRequest<'_>,
        scanned: &mut Scanned,
        results: &mut CheckResults,
        trees: Option<&CodexTrees<'_>>,
    ) -> Result<(), Interrupted> {
        let (decisions, listings) = (&mut self.decisions, &self.listings);
        check(request, scanned, results, decisions, listings, trees)?;
        self.id = id(request, self.base, &self.decisions);
        Ok(())
    }

    /// Whether the next push contains a project.
    pub(super) fn has_changes(&self) -> bool {
        self.changes().next().is_some()
    }

    /// Withholds the projects that `merged` withholds, the plan after a merge: the codex will have
    /// what the sync branch and the branch of the codex have together. A project that failed in the
    /// check of `merged` is in neither plan.
    fn withhold_as(&mut self, merged: &Self) {
        self.decisions
            .retain(|index, _| merged.decisions.contains_key(index));
        for (index, decision) in &merged.decisions {
            if let (Decision::Withheld(..), Some(listing)) = (decision, merged.listings.get(index))
            {
                self.decisions.insert(*index, decision.clone());
                self.listings.insert(*index, listing.clone());
                let drifted = merged.drifted.get(index).cloned();
                self.drifted.insert(*index, drifted.unwrap_or_default());
            }
        }
    }

    /// The paths of the codex that change.
    fn published_paths(&self, request: &SyncRequest<'_>) -> BTreeSet<BString> {
        self.changes()
            .flat_map(|(index, plan)| {
                let to = &request.projects[index].to;
                let changes = plan.changes.iter();
                let changed = changes.map(|change| to.join(change.path.as_bstr()));
                let moved = plan.moved.iter().flat_map(move |moved| {
                    let files = moved.files.entries.keys();
                    files.flat_map(move |path| {
                        [to, &moved.from].map(|directory| directory.join(path.as_bstr()))
                    })
                });
                changed.chain(moved)
            })
            .collect()
    }

    /// All projects that change, by index.
    pub(super) fn changed(&self) -> BTreeSet<usize> {
        changes(&self.decisions).map(|(index, _)| index).collect()
    }

    /// Limits the next push to these projects.
    pub(super) fn push_only(&mut self, projects: &BTreeSet<usize>) {
        self.left_out = &self.changed() - projects;
        self.creates_branch &=
            !projects.is_empty() || (self.base.is_some() && self.is_any_up_to_date());
    }

    /// Whether there is anything to push: a commit or a new branch.
    pub(super) fn has_work(&self) -> bool {
        self.creates_branch || self.merge.is_some() || self.has_changes()
    }

    /// Whether a guard or an obstacle withholds a project.
    pub(super) fn is_any_withheld(&self) -> bool {
        self.decisions
            .values()
            .any(|decision| matches!(decision, Decision::Withheld(..)))
    }

    /// Whether there is a project whose files in the codex are the same as its source files.
    pub(super) fn is_any_up_to_date(&self) -> bool {
        self.decisions
            .values()
            .any(|decision| matches!(decision, Decision::UpToDate(_)))
    }

    /// Decides whether a push creates the branch. A branch that starts from another one is also
    /// created if no file differs, unless all projects failed or are withheld.
    fn create_branch(&mut self, session: &RemoteSession) {
        let has_changes = self.has_changes();
        let target = &session.targets[0];
        self.creates_branch =
            target.is_new() && (has_changes || (self.base.is_some() && self.is_any_up_to_date()));

        if self.creates_branch && !has_changes {
            let text = format!("{} creates {}", self.id, target.branch);
            self.id = hash(Kind::Blob, text.as_bytes());
        }
    }

    /// Decides whether a push creates the sync branch, which needs a change, and makes the branches
    /// a part of the plan's id.
    fn push_to_sync_branch(&mut self, session: &RemoteSession, target: usize) {
        let target = &session.targets[target];
        self.creates_branch = target.is_new() && self.has_changes();
        self.id = self.id_on_sync_branch(&target.branch);
    }

    /// A digest of all changes, of the sync branch, and of the tips that it was planned for.
    pub(super) fn id_on_sync_branch(&self, branch: &str) -> ObjectId {
        let changes = plan_id(None, self.changes().map(|(_, plan)| (None, plan)));
        let name = |tip: Option<ObjectId>| tip.map_or("none".to_owned(), |tip| tip.to_string());
        let (tip, base) = self.tips;
        let text = format!("{changes} on {branch} at {} of {}", name(tip), name(base));
        hash(Kind::Blob, text.as_bytes())
    }

    /// Warns about files that are kept in the codex because the cache or the state is at their
    /// path.
    pub(super) fn warn_of_own_directories(
        &self,
        request: &SyncRequest<'_>,
        warnings: &mut Vec<Warning>,
    ) {
        for (index, decision) in &self.decisions {
            for directory in &decision.plan().keeping_directories {
                let message = format!(
                    "`{}` is a directory of the cache or the state (`cache.dir`, `state.dir`): files in it are not published, and their copies in the codex are kept",
                    escaped(directory)
                );
                request.warn(warnings, Some(request.projects[*index]), message);
            }
        }
    }

    /// Warns about each project for which no source file matches and the codex has no file.
    pub(super) fn warn_of_empty(
        &self,
        request: &SyncRequest<'_>,
        scanned: &Scanned,
        warnings: &mut Vec<Warning>,
    ) {
        for (index, decision) in &self.decisions {
            let is_empty = matches!(decision, Decision::UpToDate(plan) if plan.unchanged == 0);
            if request.task == Task::Sync && is_empty && scanned.snapshots[*index].files.is_empty()
            {
                let message = "no files match, and the codex has none for this project".to_owned();
                request.warn(warnings, Some(request.projects[*index]), message);
            }
        }
    }
}

/// A digest of the base and of all changes.
fn id(
    request: &SyncRequest<'_>,
    base: Option<ObjectId>,
    decisions: &BTreeMap<usize, Decision>,
) -> ObjectId {
    let plans = changes(decisions);
    plan_id(
        base,
        plans.map(|(index, plan)| (Some(&request.projects[index].to), plan)),
    )
}

fn changes(decisions: &BTreeMap<usize, Decision>) -> impl Iterator<Item = (usize, &ProjectPlan)> {
    decisions
        .iter()
        .filter_map(|(index, decision)| match decision {
            Decision::Ready(plan) => Some((*index, plan)),
            _ => None,
        })
}
