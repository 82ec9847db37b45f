//! Publishes projects: from their sources to commits that the remote has confirmed.
//!
//! A run enters the stages in this order. Each makes a value from that of the stage before:
//!
//! > [`scan`]: [`Scanned`] → [`plan`](mod@plan): [`Planned`](plan::Planned) → [`check`](mod@check):
//! > the same, without the projects that a check withholds → [`compare`](mod@compare): the same, if it
//! > is the plan that the run is to carry out → [`commit`]: [`Committed`](commit::Committed) →
//! > [`push`](mod@push): [`PushOutcome`](push::PushOutcome) →
//! > [`record`](mod@record) → [`propose`](mod@propose), for pull requests
//!
//! The contents of new files are read when they are sent, so a push may fail because a file has
//! changed since the scan.
//!
//! The projects that are pushed to one branch are a [`lane`]. Most runs have one; with a sync branch
//! per project, there are as many as projects. All lanes are planned and pushed together, and each
//! has its own result.
//!
//! The values own everything that the next stage needs, and contain no open files or connections.
//! Only [`land`] goes back: if a branch has moved, it fetches the new tips and plans again from the
//! same [`Scanned`]; if the server rejects a push, it pushes the projects in parts, which
//! [`isolation`] selects. [`attempts`] and [`retry`] remember the earlier rounds.

mod attempts;
mod check;
mod checked_file;
mod commit;
mod compare;
mod credits;
mod documents;
mod drift;
mod isolation;
mod lane;
mod lane_branch;
mod link_check;
mod merge;
mod plan;
mod planned_codex;
mod proposal_text;
mod proposals;
mod propose;
mod publish_run;
mod push;
mod record;
mod rejection;
mod report;
mod retry;
mod scan;
mod server_words;
mod source_guards;
mod task_planner;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use bstr::ByteSlice;

use commit::Committer;
use compare::compare;
use drift::{add_recorded_drift, warn_of_drift};
use lane::{Lane, LaneProgress, id_of_plans};
use plan::plan_on;
use propose::{note_pushed_only, propose, read_pull_requests, show_open};
use publish_run::Run;
use report::{CommitHistory, CommitState, report, state_of_plan};
use scan::{Scanned, scan_all};

use super::cache_update::{CacheUpdate, PublishedProject};
use super::parting::Parting;
use super::remote_session::{RemoteSession, connect_and_fetch};
use super::request::{SyncRequest, Task};
use super::sources::SourceContents;
use crate::cache::Cache;
use crate::outcome::{Pushed, SyncBranch, SyncError, SyncOutcome};
use crate::paths::escaped;
use crate::plan::{Decision, is_publishable};
use crate::text::pluralize;

/// The number of kept files that are named in warnings of their own.
const MAX_KEPT: usize = 10;

/// Publishes all projects of the request, whatever their direction. `outcome` is that of a run that
/// has done nothing yet.
///
/// A dry run also returns the local caches as they would be after the run, by path.
pub(super) fn publish(
    request: &SyncRequest<'_>,
    outcome: SyncOutcome,
) -> (SyncOutcome, BTreeMap<PathBuf, Cache>) {
    let mut run = Run::new(request, outcome);
    let mut caches = BTreeMap::new();
    let result = if request.offline {
        plan_offline(request, &mut run)
    } else {
        publish_online(request, &mut run, &mut caches)
    };
    (finish(request, run, result), caches)
}

/// Scans the sources and connects to the remote at the same time, then plans and publishes.
fn publish_online(
    request: &SyncRequest<'_>,
    run: &mut Run,
    caches: &mut BTreeMap<PathBuf, Cache>,
) -> Result<(), SyncError> {
    if request.atomic && run.lanes.len() > 1 {
        return Err(SyncError::AtomicBranches);
    }
    let (sources, session) = thread::scope(|scope| {
        let (changed, changes) = mpsc::channel();
        let session = scope.spawn(|| connect_and_fetch(request, changes));
        let sources = scan_all(request, Some(changed));
        (sources, session.join())
    });
    run.scanned = Scanned::new(request, sources, &mut run.outcome.warnings)?;
    let mut session = session.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let branch = session.branch().to_owned();
    run.outcome.remote.url = session.transport.url().clone();
    run.outcome.remote.branch = Some(branch.clone());

    let result = land(request, &mut session, run);
    let result = match run.take_failure() {
        Some(error) => result.and(Err(error)),
        None => result,
    };
    let result = result.map_err(|error| conclude(&session, run, error));
    note_remote(request, run, &session, result.is_ok());
    warn_of_foreign_commits(request, run, &session);
    warn_of_replaced_paths(request, run, &session);
    warn_of_unrelated_branches(request, run, &session);
    warn_of_deleted_branches(request, run, &session);
    warn_of_kept_files(request, run);
    if !request.dry_run && run.outcome.pushed != Pushed::Unknown {
        record(request, &session, run);
    }
    let proposed = propose_landed(request, &mut session, run, &result);
    if matches!(proposed, Err(SyncError::LandedThenRemoved { .. })) {
        run.outcome.pushed = Pushed::No;
        note_remote(request, run, &session, false);
    }
    result.and(proposed)?;

    // Another run may have locked a cache and wait for the clone or for the queue lock, so this run
    // releases both before it waits for a cache.
    let has_sync_branches = session.has_sync_branches;
    drop(session);
    // The caches have the files of the codex. It does not have those of a sync branch yet.
    let is_sync = request.task == Task::Sync;
    if is_sync && request.workspace.caches_published && !has_sync_branches {
        *caches = cache(request, run, &branch);
    }
    Ok(())
}

/// Proposes the commits that have landed, also after an error of the run, but not after a signal.
/// A dry run only shows what there is.
fn propose_landed(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut Run,
    result: &Result<(), SyncError>,
) -> Result<(), SyncError> {
    if request.workspace.pull_request.is_none() {
        return Ok(());
    }
    let is_unchanged = run.outcome.pushed == Pushed::No;
    let mut run = run.for_proposals();
    if request.dry_run {
        if result.is_ok() {
            show_open(request, session, &mut run);
        }
        return Ok(());
    }
    let proposed = match result {
        Err(SyncError::Interrupted(_)) => Ok(()),
        // A run that is not the planned one changes nothing, also no pull request.
        Err(SyncError::PlanDiffers { .. } | SyncError::UnexpectedPlan { .. }) if is_unchanged => {
            Ok(())
        }
        _ => propose(request, session, &mut run, result.is_err()),
    };
    note_pushed_only(request, session, &mut run);
    if let (Err(_), Err(error)) = (result, &proposed) {
        // The run ends with the first error.
        request.warn(run.warnings, None, error.to_string());
    }
    proposed
}

/// Plans, commits and pushes the lanes until the commits of each have landed or cannot land. An
/// error is about the run as a whole; each lane has its own result.
///
/// A lane is planned again in these cases:
///
/// 1. The plan was made from recorded listings, and there is something to publish: the tips are
///    fetched first.
/// 2. The sources of a project could no longer be read: the project is left out.
/// 3. Only the commits of an earlier round have landed.
/// 4. The branch has moved, or the failure of the push is temporary, and attempts are left.
/// 5. The server rejects some of the projects, or all branches of a push: the others are pushed,
///    perhaps in several parts.
/// 6. The sync branch was merged by a squash or a rebase, and was deleted.
/// 7. The server rejects the number of branches in a push: they are pushed in several parts.
fn land(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut Run,
) -> Result<(), SyncError> {
    let mut committer = Committer::new(request);
    if request.checks_all_links() && session.store.is_none() {
        // Links can lead to any path of the codex.
        session.fetch_to_push(request)?;
    }
    loop {
        request.interrupt.check()?;
        run.plan(request, session)?;
        let is_any_open = !run.open_lanes().is_empty();
        if is_any_open && request.atomic && run.is_any_held_up() {
            compare(request, session, &mut committer, run)?;
            return Err(SyncError::Atomic);
        }
        // The commits that precede ours on a sync branch are only known after a fetch, and whether
        // others have made a version that differs from that of the last sync.
        let is_fetched = session.store.is_some();
        let needs_history = || session.has_sync_branches || run.overwrites_recorded_drift(session);
        if is_any_open && !is_fetched && (!request.dry_run || needs_history()) {
            session.fetch_to_push(request)?;
            continue;
        }
        if is_fetched && read_pull_requests(request, session, &mut run.for_proposals())? {
            continue;
        }
        compare(request, session, &mut committer, run)?;
        if run.open_lanes().is_empty() {
            return Ok(());
        }
        if request.dry_run {
            let planned = || LaneProgress::Done(CommitState::OnlyPlanned);
            let lanes = run.lanes.iter_mut().filter(|lane| lane.is_open());
            lanes.for_each(|lane| lane.progress = planned());
            return Ok(());
        }

        let mut next = run.next_lanes(request);
        while !next.is_empty() {
            request.interrupt.check()?;
            // A push can show that the server accepts fewer branches.
            let rest = next.split_off(next.len().min(run.max_refs));
            run.push(request, session, &mut committer, &next)?;
            next = rest;
        }
        if !run.lanes.iter().any(Lane::is_open) {
            return Ok(());
        }
        run.prepare_next_round(request, session)?;
    }
}

/// Compares the sources with the recorded state of the codex. This uses neither the network nor
/// git, and writes nothing.
fn plan_offline(request: &SyncRequest<'_>, run: &mut Run) -> Result<(), SyncError> {
    let sources = scan_all(request, None);
    let warnings = &mut run.outcome.warnings;
    run.scanned = Scanned::new(request, sources, warnings)?;

    let (mut records, oldest) = record::read(request, warnings)?;
    if let Some(recorded) = oldest {
        let remote = &mut run.outcome.remote;
        remote.branch = Some(recorded.branch);
        remote.before = recorded.tip;
        remote.after = recorded.tip;
        run.outcome.recorded = Some(recorded.time);
    }

    for lane in &mut run.lanes {
        let mut tips = (None, None);
        let mut listings = BTreeMap::new();
        let mut drifted = BTreeMap::new();
        for index in &lane.projects {
            if let Some(recorded) = records.remove(index) {
                tips = (recorded.tip, recorded.base);
                listings.insert(*index, recorded.listing);
                drifted.insert(*index, recorded.drifted);
            }
        }
        let mut planned = plan_on(request, &run.scanned, listings, tips.1);
        add_recorded_drift(request, &drifted, &planned.listings, &mut planned.decisions);
        planned.check(request, &mut run.scanned, &mut run.checked, None)?;
        planned.tips = tips;
        let first = lane.projects.first().map(|index| request.projects[*index]);
        let push_branches = &request.workspace.push_branches;
        if let Some(branch) = first.and_then(|first| push_branches.of(&first.name)) {
            planned.id = planned.id_on_sync_branch(&branch);
        }
        planned.warn_of_empty(request, &run.scanned, &mut run.outcome.warnings);
        planned.warn_of_own_directories(request, &mut run.outcome.warnings);
        run.scanned
            .warn_of_left_out(request, &mut run.outcome.warnings);
        run.checked.guards.warn(request, &mut run.outcome.warnings);
        lane.planned = Some(planned);
        lane.progress = LaneProgress::Done(state_of_plan(request));
    }
    Ok(())
}

/// Replaces the error of a run if commits may have landed, because the user must know that. An
/// error that states the result of the push is kept.
fn conclude(session: &RemoteSession, run: &mut Run, error: SyncError) -> SyncError {
    let states_result = matches!(
        error,
        SyncError::Rejected { .. }
            | SyncError::AllRejected { .. }
            | SyncError::RetriesExhausted { .. }
            | SyncError::LandedThenRemoved { .. }
            | SyncError::NotInBranch { .. }
            | SyncError::BranchGone { .. }
    );
    let is_any_pending = run.lanes.iter().any(|lane| lane.attempts.is_any_pending());
    if states_result || !is_any_pending {
        return error;
    }

    run.outcome.pushed = Pushed::Unknown;
    match error {
        SyncError::Remote(source) => SyncError::Unverified {
            place: session.transport.url().host_or_path(),
            source,
        },
        error => error,
    }
}

/// Sets the tips of the branches before and after the run.
fn note_remote(request: &SyncRequest<'_>, run: &mut Run, session: &RemoteSession, is_ok: bool) {
    let outcome = &mut run.outcome;
    let is_verified = run.lanes.iter().any(|lane| lane.attempts.is_any_verified());
    if is_verified && outcome.pushed != Pushed::Unknown {
        outcome.pushed = Pushed::Verified;
    }
    if session.has_sync_branches {
        outcome.remote.before = session.tip();
        outcome.remote.after = session.tip();
        outcome.remote.base = session.tip();
        let lanes = run.lanes.iter();
        let branches = lanes.map(|lane| sync_branch(request, session, lane, is_ok));
        outcome.remote.sync_branches = branches.collect();
        return;
    }

    let (remote, lane) = (&mut outcome.remote, &run.lanes[0]);
    if let Some(planned) = &lane.planned {
        remote.base = planned.base;
        remote.creates_branch = planned.creates_branch && is_ok;
    }
    match lane.attempts.verified_range() {
        Some((before, after)) => {
            remote.before = before;
            remote.after = Some(after);
            remote.creates_branch = before.is_none();
        }
        None => {
            remote.before = session.tip();
            remote.after = session.tip();
        }
    }
}

/// The sync branch of a lane before and after the run.
fn sync_branch(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    lane: &Lane,
    is_ok: bool,
) -> SyncBranch {
    let target = &session.targets[lane.target];
    let planned = lane.planned.as_ref();
    let verified = lane.attempts.verified_range();
    let (before, after) = match verified {
        Some((before, after)) => (before.or(target.deleted), Some(after)),
        None if request.dry_run => (target.tip.or(target.deleted), target.tip.or(target.deleted)),
        None => (target.tip.or(target.deleted), target.tip),
    };
    let creates = planned.is_some_and(|planned| planned.creates_branch);
    SyncBranch {
        branch: target.branch.clone(),
        before,
        after,
        is_pushed: verified.is_some(),
        creates_branch: match verified {
            Some((before, _)) => before.is_none(),
            None => creates && is_ok,
        },
        merges_base: planned.is_some_and(|planned| planned.merge.is_some()),
        projects: lane
            .projects
            .iter()
            .map(|index| request.projects[*index].name.clone())
            .collect(),
    }
}

/// Warns about commits on sync branches that no sync has made. They are kept.
fn warn_of_foreign_commits(request: &SyncRequest<'_>, run: &mut Run, session: &RemoteSession) {
    for (target, foreign) in session.targets.iter().zip(&session.partings.foreign) {
        let Some(newest) = foreign.first() else {
            continue;
        };
        let message = format!(
            "`{}` has {} of others, which {} kept; the newest is {}",
            escaped(target.branch.as_bytes()),
            pluralize(foreign.len(), "commit"),
            if foreign.len() == 1 { "is" } else { "are" },
            newest.short()
        );
        request.warn(&mut run.outcome.warnings, None, message);
    }
}

/// Warns about paths whose version on the sync branch was replaced by a merge.
fn warn_of_replaced_paths(request: &SyncRequest<'_>, run: &mut Run, session: &RemoteSession) {
    for lane in &run.lanes {
        let merge = lane.planned.as_ref().and_then(|plan| plan.merge.as_ref());
        let Some((merge, first)) = merge.and_then(|one| Some((one, one.replaced.first()?))) else {
            continue;
        };
        let more = match merge.replaced.len() - 1 {
            0 => String::new(),
            more => format!(" and of {}", pluralize(more, "other path")),
        };
        let message = format!(
            "the merge into `{}` keeps the version in `{base}` of `{}`{more}, because both branches have changed it and the run does not publish it to that branch; the other version stays in the history",
            escaped(session.targets[lane.target].branch.as_bytes()),
            escaped(first),
            base = escaped(session.base.branch.as_bytes()),
        );
        request.warn(&mut run.outcome.warnings, None, message);
    }
}

/// Warns about sync branches that cannot be merged, because the branch of the codex was rewritten.
fn warn_of_unrelated_branches(request: &SyncRequest<'_>, run: &mut Run, session: &RemoteSession) {
    for (target, parting) in session.targets.iter().zip(&session.partings.each) {
        if *parting == Parting::Unrelated {
            let branch = escaped(target.branch.as_bytes());
            let message = format!(
                "`{branch}` and `{}` have no commit in common, so `{branch}` cannot be merged: delete it on the server, and the next sync creates it again",
                escaped(session.base.branch.as_bytes()),
            );
            request.warn(&mut run.outcome.warnings, None, message);
        }
    }
}

/// Warns about merged sync branches that the run deletes, with the old tip.
fn warn_of_deleted_branches(request: &SyncRequest<'_>, run: &mut Run, session: &RemoteSession) {
    for lane in &run.lanes {
        let target = &session.targets[lane.target];
        let Some(deleted) = target.deleted else {
            continue;
        };
        let result = if request.dry_run {
            "is to be deleted and created again"
        } else if lane.attempts.is_any_verified() {
            "was deleted and created again"
        } else {
            "was deleted, and the new commits are not on the server"
        };
        let message = format!(
            "the merged branch `{}` {result}: its old tip is {deleted}",
            escaped(target.branch.as_bytes()),
        );
        request.warn(&mut run.outcome.warnings, None, message);
    }
}

/// Warns about the files that stay when a project is removed.
fn warn_of_kept_files(request: &SyncRequest<'_>, run: &mut Run) {
    let warnings = &mut run.outcome.warnings;
    let plans = run.lanes.iter().filter_map(|lane| lane.planned.as_ref());
    for (index, decision) in plans.flat_map(|planned| &planned.decisions) {
        let (project, kept) = (request.projects[*index], &decision.plan().kept);
        for change in kept.iter().take(MAX_KEPT) {
            let reason = match is_publishable(&change.path) {
                true => "its last change is not from a sync of the project, but from",
                false => "git would not write such an entry; its last change is from",
            };
            let message = format!(
                "`{}` is kept: {reason} {}",
                escaped(&project.to.join(change.path.as_bstr())),
                change.origin()
            );
            request.warn(warnings, Some(project), message);
        }
        if kept.len() > MAX_KEPT {
            let more = pluralize(kept.len() - MAX_KEPT, "more file");
            request.warn(warnings, Some(project), format!("kept {more}"));
        }
    }
}

/// Records the state of the codex for the next run.
fn record(request: &SyncRequest<'_>, session: &RemoteSession, run: &mut Run) {
    let warnings = &mut run.outcome.warnings;
    for lane in &run.lanes {
        let verified = lane.attempts.verified_range();
        let landed = match lane.progress {
            LaneProgress::Done(CommitState::Verified) => verified.map(|(_, after)| after),
            _ => None,
        };
        record::write(request, session, &run.scanned, lane, landed, warnings);
    }
}

/// Updates the local caches to the files that the codex now has of the projects.
fn cache(request: &SyncRequest<'_>, run: &mut Run, branch: &str) -> BTreeMap<PathBuf, Cache> {
    let is_in_codex = |planned: &plan::Planned, index: usize, decision: &Decision| {
        !run.scanned.failed.contains_key(&index)
            && !planned.left_out.contains(&index)
            && matches!(decision, Decision::Ready(_) | Decision::UpToDate(_))
    };
    let published: Vec<_> = run
        .lanes
        .iter()
        .filter_map(|lane| lane.planned.as_ref())
        .flat_map(|planned| {
            let decisions = planned.decisions.iter();
            decisions.filter(|(index, decision)| is_in_codex(planned, **index, decision))
        })
        .map(|(index, _)| PublishedProject {
            index: *index,
            project: request.projects[*index],
            snapshot: &run.scanned.snapshots[*index],
        })
        .collect();
    let update = CacheUpdate {
        request,
        branch,
        tip: run.outcome.remote.after,
        contents: &SourceContents::new(&request.sources, &request.projects),
    };
    update.update_caches(&published, &mut run.outcome.warnings)
}

/// Completes the outcome from the values of the run.
fn finish(request: &SyncRequest<'_>, run: Run, result: Result<(), SyncError>) -> SyncOutcome {
    let Run {
        mut outcome,
        mut scanned,
        mut checked,
        lanes,
        pushes,
        proposals,
        expected,
        ..
    } = run;
    outcome.pull_requests = proposals.reports();
    outcome.failure = result.err();
    outcome.attempts = pushes;
    outcome.plan_id = id_of_plans(&lanes, &outcome.remote);
    outcome.plan_facts = expected;

    let mut reports = BTreeMap::new();
    for mut lane in lanes {
        let (state, rejection) = lane.end(&outcome);
        let plan = lane.planned.take();
        let mut decisions = plan.map(|planned| planned.decisions).unwrap_or_default();
        let (mut landed, pending) = lane.attempts.into_commits();
        for index in lane.projects {
            let decision = match scanned.failed.remove(&index) {
                Some(error) => Some(Err(error)),
                None => decisions.remove(&index).map(Ok),
            };
            let history = CommitHistory {
                landed: landed.remove(&index),
                pending: pending.get(&index).copied(),
                rejected: lane
                    .isolation
                    .take_rejection(index)
                    .or_else(|| rejection.clone()),
            };
            let project = request.projects[index];
            let mut report = report(request, project, decision, history, state);
            report.findings = checked.projects.remove(&index).unwrap_or_default();
            report.outcome = proposals.outcome_of(lane.target, index, report.outcome);
            warn_of_drift(request, &report, &mut outcome.warnings);
            reports.insert(index, report);
        }
    }
    outcome.projects = reports.into_values().collect();
    outcome
}
