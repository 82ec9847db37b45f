//! Finds drift: files that a plan overwrites or deletes although others have changed them in the
//! codex since the project was last synced.
//!
//! The versions that syncs have left are those of the recorded state. Without it, they are those of the
//! newest commit that a sync of the project has made, which the trailers show. The history is only read
//! if it can contain drift, and only a bounded part of it, unless drift withholds a project.
//!
//! If the branch of the codex is merged into a sync branch first, the merge has its versions, so that
//! changes of others in it are drift as well.
//!
//! If the files at that time cannot be known, a project with `on_drift: withhold` is withheld as well.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BString, ByteSlice};
use rayon::prelude::*;

use crate::codex::objects::path_history::Origins;
use crate::codex::objects::tree::entry_at;
use crate::config::OnDrift;
use crate::interrupt::Interrupted;
use crate::object::{Mode, ObjectId};
use crate::outcome::{ProjectOutcome, ProjectReport, SyncError, Warning, WarningSubject};
use crate::paths::escaped;
use crate::plan::{Decision, Entry, Listing, OthersChange, ProjectPlan, Withheld};
use crate::state::{Drifted, Recorded, State};
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::{SyncRequest, Task};
use crate::sync::search_depths::search_depths;
use crate::text::pluralize;

/// The number of depths up to which the history is searched if drift is only a warning.
const BOUNDED_SEARCH: usize = 2;

/// The drift of one project.
enum ProjectDrift {
    /// The drifted files, and the commit of the project's last sync.
    Known(Drifted, Option<ObjectId>),
    /// The files at the time of the last sync are not known.
    Unknown {
        reason: String,
        /// Whether this is certainly the first sync of the project.
        is_first: bool,
    },
}

impl ProjectDrift {
    fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown {
            reason: reason.into(),
            is_first: false,
        }
    }
}

/// The values that drift is found from.
pub(super) struct DriftSearch<'r> {
    pub(super) request: &'r SyncRequest<'r>,
    pub(super) session: &'r RemoteSession,
    /// The index of the target.
    pub(super) target: usize,
    /// The commit that is merged first, if the plan is made for the result.
    pub(super) merged: Option<ObjectId>,
}

impl DriftSearch<'_> {
    /// Adds the drift to the plans of all projects, and withholds the projects for which `on_drift`
    /// says so. `listings` are the files that the plans were made for. All values are by index.
    pub(super) fn find(
        &self,
        listings: &BTreeMap<usize, Listing>,
        decisions: &mut BTreeMap<usize, Decision>,
    ) -> Result<BTreeMap<usize, Drifted>, Interrupted> {
        let mut all = BTreeMap::new();
        let is_fetched = self.session.store.is_some();
        if self.request.task != Task::Sync
            || !is_fetched
            || self.session.is_as_recorded(self.target)
        {
            return Ok(all);
        }
        let drifts = self.drifted(listings, decisions)?;
        let origins = self.origins(&drifts, listings)?;
        for (index, drift) in drifts {
            let Some(decision) = decisions.get_mut(&index) else {
                continue;
            };
            let (changes, since) = match drift {
                ProjectDrift::Known(changes, since) => (changes, since),
                ProjectDrift::Unknown { reason, is_first } => {
                    self.add_unknown_drift(index, decision, reason, is_first);
                    continue;
                }
            };
            let found = self.others_changes(index, &changes, &origins, since);
            if found.is_empty() {
                continue;
            }
            let paths: BTreeSet<_> = found.iter().map(|change| &change.path).collect();
            let kept = changes.into_iter().filter(|(path, _)| paths.contains(path));
            all.insert(index, kept.collect());
            add_drift(decision, found, self.request.projects[index].on_drift);
        }
        Ok(all)
    }

    /// Withholds a project whose drift is not known if its drift would withhold it. Otherwise, the
    /// first sync of a project counts the files that it overwrites.
    fn add_unknown_drift(
        &self,
        index: usize,
        decision: &mut Decision,
        reason: String,
        is_first: bool,
    ) {
        let project = self.request.projects[index];
        tracing::debug!(project = %project.name, reason, "the drift is not known");
        let count = decision.plan().overwritten().count();
        if project.on_drift == OnDrift::Withhold {
            decision.withhold(Withheld::UnknownDrift { count, reason });
        } else if is_first {
            plan_of(decision).foreign = count;
        }
    }

    /// The drift of each project, by the project's index. A file has drifted if the plan overwrites or
    /// deletes it, and its version in the codex is not that of the last sync.
    fn drifted(
        &self,
        listings: &BTreeMap<usize, Listing>,
        decisions: &BTreeMap<usize, Decision>,
    ) -> Result<BTreeMap<usize, ProjectDrift>, Interrupted> {
        let request = self.request;
        let overwriting: Vec<_> = decisions
            .iter()
            .filter(|(_, decision)| decision.plan().overwrites())
            .collect();
        let branch = &self.session.base.branch;
        let recorded: Vec<_> = overwriting
            .into_par_iter()
            .map(|(index, decision)| {
                let project = request.projects[*index];
                let sync_branch = request.workspace.push_branches.of(&project.name);
                let state = State::of(request.workspace, sync_branch.as_deref());
                let recorded = state.read(project);
                (
                    *index,
                    decision.plan(),
                    recorded.filter(|one| one.branch == *branch),
                )
            })
            .collect();

        let mut found = BTreeMap::new();
        let mut unrecorded = Vec::new();
        for (index, plan, recorded) in recorded {
            let listing = &listings[&index];
            let is_known = |recorded: &Recorded| {
                let mut overwritten = plan.overwritten();
                self.withholds(index) || !overwritten.any(|path| recorded.unknown.contains(path))
            };
            match recorded.filter(is_known) {
                Some(recorded) => {
                    // The history shows who has made an unknown file. Only the search without a limit
                    // is sure to find it.
                    let drifted = plan.drifted(listing, |path| {
                        let is_known = !recorded.unknown.contains(path);
                        is_known.then(|| recorded.synced(path)).flatten()
                    });
                    found.insert(index, ProjectDrift::Known(drifted, recorded.tip));
                }
                None => unrecorded.push((index, plan, listing)),
            }
        }
        found.extend(self.drifted_since_commits(&unrecorded)?);
        found.retain(
            |_, drift| !matches!(drift, ProjectDrift::Known(drifted, _) if drifted.is_empty()),
        );
        Ok(found)
    }

    /// The same as [`Self::drifted`], for projects without recorded state.
    fn drifted_since_commits(
        &self,
        projects: &[(usize, &ProjectPlan, &Listing)],
    ) -> Result<BTreeMap<usize, ProjectDrift>, Interrupted> {
        if projects.is_empty() {
            return Ok(BTreeMap::new());
        }
        let unknown = |reason: &str| {
            let drift = |(index, ..): &(usize, _, _)| (*index, ProjectDrift::unknown(reason));
            projects.iter().map(drift).collect()
        };
        if !self.request.workspace.commit.trailers {
            return Ok(unknown(
                "`commit.trailers` is `false`, and no earlier sync is recorded on this machine",
            ));
        }
        let indexes: BTreeSet<_> = projects.iter().map(|(index, ..)| *index).collect();
        let names = indexes.iter().map(|index| self.name(*index)).collect();
        let tips = self.session.tips_of_listing(self.target, self.merged);
        let depths = self.depths(indexes.iter().copied());
        let searched = self
            .session
            .last_syncs(self.request, self.target, (&tips, &names), depths);
        let syncs = match known(searched)? {
            Ok(syncs) => syncs,
            Err(reason) => return Ok(unknown(&reason)),
        };

        let mut found = BTreeMap::new();
        for (index, plan, listing) in projects {
            if !syncs.has(self.name(*index)) {
                let reason = match syncs.is_cut {
                    true => "the history of the codex that was read has no sync of the project",
                    false => "the history of the codex has no sync of the project",
                };
                let drift = ProjectDrift::Unknown {
                    reason: reason.to_owned(),
                    is_first: !syncs.is_cut,
                };
                found.insert(*index, drift);
                continue;
            }
            let Some(sync) = syncs.before_others(self.name(*index)) else {
                continue;
            };
            let commit = sync.commit;
            let tree = self
                .session
                .root_tree(self.request, self.target, commit, &syncs);
            let tree = match known(tree)? {
                Ok(tree) => tree,
                Err(reason) => {
                    found.insert(*index, ProjectDrift::unknown(reason));
                    continue;
                }
            };
            let to = &self.request.projects[*index].to;
            let directory = sync.directory.as_ref().unwrap_or(to);
            let store = self.session.store();
            let read = |id| store.read_tree(id);
            // The trees above are large if there are many projects.
            let directory = entry_at(&read, tree, directory.as_bstr()).ok().flatten();
            let directory = directory.filter(|(mode, _)| *mode == Mode::Directory);
            let synced = |path: &BString| {
                if sync.is_mixed {
                    // It is unknown who has made which version.
                    return None;
                }
                let (_, directory) = directory?;
                let entry = entry_at(&read, directory, path.as_bstr()).ok().flatten();
                entry.map(|(mode, id)| Entry { mode, id })
            };
            let drifted = plan.drifted(listing, synced);
            found.insert(*index, ProjectDrift::Known(drifted, Some(commit)));
        }
        Ok(found)
    }

    /// Finds the commits that have made the drifted files. One search finds those of all projects: it
    /// reads each commit once.
    fn origins(
        &self,
        drifts: &BTreeMap<usize, ProjectDrift>,
        listings: &BTreeMap<usize, Listing>,
    ) -> Result<Origins, Interrupted> {
        let mut files = BTreeMap::new();
        let mut projects = Vec::new();
        for (index, drift) in drifts {
            let ProjectDrift::Known(drifted, _) = drift else {
                continue;
            };
            let (project, listing) = (self.request.projects[*index], &listings[index]);
            let present = drifted.keys();
            files.extend(present.filter_map(|path| {
                let entry = *listing.entries.get(path)?;
                Some((project.to.join(path.as_bstr()), entry))
            }));
            projects.push(*index);
        }
        if files.is_empty() {
            return Ok(Origins::default());
        }

        let tips = self.session.tips_of_listing(self.target, self.merged);
        let depths = self.depths(projects.into_iter());
        let origins = self
            .session
            .origins(self.request, self.target, (&tips, &files), depths);
        Ok(known(origins)?.unwrap_or_default())
    }

    /// Describes the changes of a project's files, without those that were made by a sync of the
    /// project, for example on another machine.
    fn others_changes(
        &self,
        index: usize,
        drifted: &Drifted,
        origins: &Origins,
        since: Option<ObjectId>,
    ) -> Vec<OthersChange> {
        let project = self.request.projects[index];
        let in_codex = |path: &BString| project.to.join(path.as_bstr());
        let name = project.name.as_str();
        let others = drifted
            .keys()
            .filter(|path| !origins.is_published(in_codex(path).as_bstr(), name));
        others
            .map(|path| {
                let origin = origins.of(in_codex(path).as_bstr());
                let known =
                    OthersChange::new(path, origin.map(|(id, commit)| (id, &commit.author)));
                OthersChange {
                    since: since.filter(|_| origin.is_none()),
                    ..known
                }
            })
            .collect()
    }

    fn name(&self, index: usize) -> &str {
        self.request.projects[index].name.as_str()
    }

    /// Whether drift withholds a project.
    fn withholds(&self, index: usize) -> bool {
        self.request.projects[index].on_drift == OnDrift::Withhold
    }

    /// The depths up to which the history is searched for these projects.
    fn depths(&self, mut projects: impl Iterator<Item = usize>) -> impl Iterator<Item = u32> {
        let count = match projects.any(|index| self.withholds(index)) {
            true => usize::MAX,
            false => BOUNDED_SEARCH,
        };
        search_depths().take(count)
    }
}

/// Adds the drift in the recorded state to plans that were made for it, without the codex.
pub(super) fn add_recorded_drift(
    request: &SyncRequest<'_>,
    recorded: &BTreeMap<usize, Drifted>,
    listings: &BTreeMap<usize, Listing>,
    decisions: &mut BTreeMap<usize, Decision>,
) {
    for (index, decision) in decisions {
        let (listing, recorded) = (&listings[index], &recorded[index]);
        let synced = |path: &BString| match recorded.get(path) {
            Some(synced) => *synced,
            None => listing.entries.get(path).copied(),
        };
        let drifted = decision.plan().drifted(listing, synced).into_keys();
        let found: Vec<_> = drifted.map(|path| OthersChange::new(&path, None)).collect();
        if !found.is_empty() {
            add_drift(decision, found, request.projects[*index].on_drift);
        }
    }
}

/// Adds drift to the plan of a project, and withholds it if `on_drift` says so.
fn add_drift(decision: &mut Decision, found: Vec<OthersChange>, on_drift: OnDrift) {
    let count = found.len();
    plan_of(decision).drift = found;
    if on_drift == OnDrift::Withhold {
        decision.withhold(Withheld::Drift { count });
    }
}

fn plan_of(decision: &mut Decision) -> &mut ProjectPlan {
    match decision {
        Decision::UpToDate(plan) | Decision::Ready(plan) | Decision::Withheld(plan, _) => plan,
    }
}

/// Warns about the files that others have changed, with what the run has done to each.
pub(super) fn warn_of_drift(
    request: &SyncRequest<'_>,
    report: &ProjectReport,
    warnings: &mut Vec<Warning>,
) {
    let (Some(plan), Some(to)) = (&report.plan, &report.to) else {
        return;
    };
    let fate = fate_of_drift(report, false);
    for change in &plan.drift {
        let message = format!("{}; it {fate}", change.description(to));
        request.warn_about(warnings, &report.name, WarningSubject::Drift, message);
    }
    if plan.foreign > 0 {
        let fate = fate_of_drift(report, plan.foreign > 1);
        let message = format!(
            "this is the first sync of the project: {} of others in `{to}` {fate}",
            pluralize(plan.foreign, "file")
        );
        request.warn_about(warnings, &report.name, WarningSubject::Drift, message);
    }
}

/// What a run has done to a file of a project that its plan overwrites or deletes, or to `several`.
fn fate_of_drift(report: &ProjectReport, several: bool) -> String {
    let choose = |one, other| if several { other } else { one };
    let verb = match &report.outcome {
        ProjectOutcome::Withheld(_) | ProjectOutcome::PullRequestClosed { .. } => {
            return choose("is kept", "are kept").to_owned();
        }
        ProjectOutcome::Synced(_) | ProjectOutcome::Proposed(_) | ProjectOutcome::PushedOnly(_) => {
            choose("was overwritten", "were overwritten or deleted")
        }
        ProjectOutcome::Sent(_) => choose(
            "may have been overwritten",
            "may have been overwritten or deleted",
        ),
        _ => choose("would be overwritten", "would be overwritten or deleted"),
    };
    let branch = report.sync_branch.as_ref();
    let branch = branch.map(|branch| format!(" in `{}`", escaped(branch.as_bytes())));
    let branch = branch.unwrap_or_default();
    let versions = choose("its version stays", "their versions stay");
    format!("{verb}{branch} ({versions} in the history)")
}

/// The result of a search of the history, or why it failed. The sync itself does not need it.
fn known<T>(result: Result<T, SyncError>) -> Result<Result<T, String>, Interrupted> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(SyncError::Interrupted(interrupted)) => Err(interrupted),
        Err(error) => {
            tracing::debug!(%error, "the history cannot be read");
            Ok(Err(format!(
                "the history of the codex cannot be read: {error}"
            )))
        }
    }
}
