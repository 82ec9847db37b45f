//! The stage after the push, for `push.mode: pull-request`: opens or updates one pull request per
//! sync branch, and waits until the forge shows it with the pushed commit.
//!
//! The pull requests of a branch are read before its commits are pushed. If a person has closed the
//! last one and the projects still have the same contents, they are withheld. The forge is opened
//! before the first push, so that a missing token is reported before anything is published.
//!
//! Everything that fails after a pull request was opened (labels, reviewers, auto-merge) is a
//! warning. If the forge fails after a push, the next run opens the pull request, even if nothing
//! has changed.

use std::time::Duration;

use super::lane::{Lane, LaneProgress, NextRound};
use super::lane_branch::LaneBranch;
use super::merge::Divergence;
use super::plan::plan_on;
use super::proposal_text::planned_contents;
use super::proposals::{LaneProposal, ProposalRun, closed_by_person, names};
use super::report::CommitState;
use crate::event::{Event, Stage};
use crate::forge::ForgeError;
use crate::forge::pull_request::{PullRequest, PullRequestState};
use crate::forge::pull_request_text::record_in;
use crate::outcome::{Proposal, ProposalState, SyncError};
use crate::paths::escaped;
use crate::sync::remote_session::{Deletion, RemoteSession};
use crate::sync::request::{SyncRequest, Task};

/// The total time for which a run waits for a forge that lags behind the git server.
const MAX_LAG: Duration = Duration::from_secs(60);

/// Reads the pull requests of the lanes before their commits are pushed. A lane whose pull request a
/// person has closed with the same contents is done. A branch whose pull request was merged with its
/// tip, by a squash or a rebase, is deleted if the codex lacks files of its projects. Returns whether
/// lanes must be planned again, because their branch was deleted or has moved.
///
/// A dry run deletes nothing, and an error is only a warning.
pub(super) fn read_pull_requests(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut ProposalRun<'_>,
) -> Result<bool, SyncError> {
    if request.workspace.pull_request.is_none() || run.proposals.is_unreadable {
        return Ok(false);
    }
    let mut must_plan = false;
    for index in 0..run.lanes.len() {
        if !must_read(session, run, index) {
            continue;
        }
        match read_lane(request, session, run, index) {
            Ok(must_plan_lane) => must_plan |= must_plan_lane,
            Err(error) if request.dry_run => {
                warn_of_unreadable(request, run, &error);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(must_plan)
}

/// Whether the pull requests of a lane are needed before the push: it has something to push, or its
/// branch has commits that the codex lacks.
fn must_read(session: &RemoteSession, run: &ProposalRun<'_>, index: usize) -> bool {
    let lane = &run.lanes[index];
    let is_done = matches!(lane.progress, LaneProgress::Done(_));
    let has_commits = session.targets[index].tip.is_some() && !session.is_contained(index);
    let is_known = run.proposals.found.contains_key(&index)
        || run.proposals.results.contains_key(&index)
        || lane.attempts.is_any_verified();
    !is_known && (lane.is_open() || (is_done && has_commits))
}

/// Reads the pull requests of one lane. Returns whether it must be planned again.
fn read_lane(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut ProposalRun<'_>,
    index: usize,
) -> Result<bool, SyncError> {
    let found = run.proposals.of_lane(request, session, index)?;
    let newest = found.first();
    if is_old_after_merge(request, session, run, index, newest)? {
        // The pull request may have been merged since the branch of the codex was fetched.
        if session.fetch_if_moved(request)? {
            run.lanes[index].progress = LaneProgress::Open(NextRound::Plan);
            return Ok(true);
        }
        if can_delete(request, session, run, index)? {
            match delete(request, session, run, index)? {
                Deletion::Done => {
                    run.proposals.found.insert(index, found);
                    return Ok(true);
                }
                Deletion::Moved => return Ok(true),
                Deletion::Rejected(_) => {}
            }
        }
    }

    let is_closed = newest.is_some_and(|newest| newest.state == PullRequestState::Closed);
    if let (Some(newest), true) = (newest, is_closed && run.lanes[index].is_open()) {
        let contents = planned_contents(request, session, &run.lanes[index])?;
        if let Some(closed) = closed_by_person(newest, contents, None) {
            run.proposals.results.insert(index, closed);
            run.lanes[index].progress = LaneProgress::Done(CommitState::NotLanded);
        }
    }
    run.proposals.found.insert(index, found);
    Ok(false)
}

/// Whether the branch of a lane has old commits that no pull request needs any more: a squash or a
/// rebase merged a pull request that the program opened, with exactly the tip of the branch, and
/// there is something to publish.
fn is_old_after_merge(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    run: &ProposalRun<'_>,
    index: usize,
    newest: Option<&PullRequest>,
) -> Result<bool, SyncError> {
    let target = &session.targets[index];
    let is_own = |newest: &PullRequest| record_in(&newest.body).is_some_and(|one| one.is_own);
    let is_merged = newest.is_some_and(|newest| {
        newest.state == PullRequestState::Merged && newest.head == target.tip && is_own(newest)
    });
    if !is_merged || target.tip.is_none() || session.is_contained(index) {
        return Ok(false);
    }
    let lane = &run.lanes[index];
    if lane.is_open() || request.task != Task::Sync {
        return Ok(true);
    }
    // The sources are those of the branch, but the codex may have lost files since the merge.
    let listings = session.base_listings(request, &lane.projects)?;
    let on_base = plan_on(request, run.scanned, listings, session.base.tip);
    Ok(on_base.has_changes())
}

/// Whether the deletion of the branch of a lane loses nothing: the codex has what others have
/// changed on it, and no other pull request needs it.
fn can_delete(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    run: &mut ProposalRun<'_>,
    index: usize,
) -> Result<bool, SyncError> {
    // The run publishes the claimed files again, but not a version of others.
    let foreign = session.partings.foreign.get(index);
    let has_foreign = foreign.is_some_and(|commits| !commits.is_empty());
    let projects = run.lanes[index].projects.iter();
    let projects = projects.map(|index| request.projects[*index]);
    let projects = projects.chain(request.moved_project());
    let projects = projects.filter(|_| !has_foreign).collect();
    if Divergence::has_other_changes(session, index, projects)? {
        return Ok(false);
    }
    let forge = run.proposals.forge(request)?;
    Ok(!forge.has_open(&session.targets[index].branch)?)
}

/// Deletes the merged branch of a lane, which is then planned again, or warns that the server keeps
/// it.
fn delete(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut ProposalRun<'_>,
    index: usize,
) -> Result<Deletion, SyncError> {
    let deletion = match request.dry_run {
        true => {
            session.note_deletion(index);
            Deletion::Done
        }
        false => session.delete_merged(request, index)?,
    };
    if let Deletion::Rejected(reason) = &deletion {
        let branch = escaped(session.targets[index].branch.as_bytes()).to_string();
        let message = format!(
            "the merged branch `{branch}` cannot be deleted, so its old commits stay in the next pull request: {reason}"
        );
        request.warn(run.warnings, None, message);
    } else {
        run.lanes[index].progress = LaneProgress::Open(NextRound::Plan);
    }
    Ok(deletion)
}

fn warn_of_unreadable(request: &SyncRequest<'_>, run: &mut ProposalRun<'_>, error: &SyncError) {
    run.proposals.is_unreadable = true;
    let message = format!("cannot look for pull requests: {error}");
    request.warn(run.warnings, None, message);
}

/// Opens or updates the pull requests of all lanes whose commits are on their sync branches. If the
/// run `has_failed`, these are only the lanes to which it has pushed.
///
/// The first error ends the run, after the other lanes were tried, unless it concerns all of them.
pub(super) fn propose(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut ProposalRun<'_>,
    has_failed: bool,
) -> Result<(), SyncError> {
    let Some(settings) = &request.workspace.pull_request else {
        return Ok(());
    };
    let mut patience = MAX_LAG.min(request.workspace.remote.timeout.push_verdict);
    request.reporter.event(&Event::Started {
        stage: Stage::Propose,
    });
    let mut failure = None;
    for index in 0..run.lanes.len() {
        let has_result = run.proposals.results.contains_key(&index);
        if has_result || !is_on_branch(&run.lanes[index], has_failed) {
            continue;
        }
        let mut branch = LaneBranch::new(request, session, run, index, &mut patience);
        let error = match branch.propose(settings) {
            Ok(proposal) => {
                let proposal = proposal.map(|proposal| (index, proposal));
                run.proposals.results.extend(proposal);
                continue;
            }
            Err(error) => error,
        };
        let shown = branch.shown.take();
        let concerns_all = concerns_all_lanes(&error);
        let lane = &run.lanes[index];
        let error = match (pushed_only(request, session, lane, shown), error) {
            (Some(proposal), error) => {
                let branch = proposal.branch.clone();
                let result = LaneProposal::PushedOnly(proposal);
                run.proposals.results.insert(index, result);
                match error {
                    SyncError::Forge(source) => SyncError::NotProposed { branch, source },
                    error => error,
                }
            }
            (None, error) => error,
        };
        failure = failure.or(Some(error));
        if concerns_all {
            break;
        }
    }
    request.reporter.event(&Event::Finished {
        stage: Stage::Propose,
    });
    failure.map_or(Ok(()), Err)
}

/// Whether the commits of a lane, or all of them that can land, are on its sync branch.
fn is_on_branch(lane: &Lane, has_failed: bool) -> bool {
    let is_done = matches!(
        lane.progress,
        LaneProgress::Done(
            CommitState::Verified | CommitState::NotLanded | CommitState::SearchEnded
        )
    );
    lane.attempts.is_any_verified() || (is_done && !has_failed)
}

/// Whether an error of one lane would be that of all others too.
fn concerns_all_lanes(error: &SyncError) -> bool {
    let error = match error {
        SyncError::Forge(error) => error,
        SyncError::LandedThenRemoved { .. } => return false,
        _ => return true,
    };
    match error.as_ref() {
        ForgeError::Rejected { rejection, .. } => matches!(rejection.status, 401 | 403),
        ForgeError::Unexpected { .. }
        | ForgeError::NoSuchName { .. }
        | ForgeError::NotShown { .. }
        | ForgeError::NotOpen { .. }
        | ForgeError::OtherBranch { .. }
        | ForgeError::NoAutoMerge { .. } => false,
        _ => true,
    }
}

/// Reports the lanes whose commits were pushed and have no confirmed pull request.
pub(super) fn note_pushed_only(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    run: &mut ProposalRun<'_>,
) {
    for (index, lane) in run.lanes.iter().enumerate() {
        if run.proposals.results.contains_key(&index) {
            continue;
        }
        if let Some(proposal) = pushed_only(request, session, lane, None) {
            let result = LaneProposal::PushedOnly(proposal);
            run.proposals.results.insert(index, result);
        }
    }
}

/// The report on a lane without a confirmed pull request; `None` if nothing was pushed. `shown` is
/// the pull request as the forge showed it last.
fn pushed_only(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    lane: &Lane,
    shown: Option<PullRequest>,
) -> Option<Proposal> {
    let (_, head) = lane.attempts.verified_range()?;
    let landed = |index: &&usize| lane.attempts.has_landed(**index);
    let projects = lane.projects.iter().filter(landed);
    Some(Proposal {
        url: shown.as_ref().map(|shown| shown.url.clone()),
        number: shown.as_ref().map(|shown| shown.number),
        branch: session.targets[lane.target].branch.clone(),
        head,
        state: ProposalState::PushedOnly,
        created: shown.map(|shown| shown.created),
        projects: projects
            .map(|index| request.projects[*index].name.clone())
            .collect(),
    })
}

/// Finds the open pull requests of the lanes, and those that withhold projects, for a run that only
/// shows what a sync would do. An error is only a warning, so that the plan is shown.
pub(super) fn show_open(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut ProposalRun<'_>,
) {
    for index in 0..run.lanes.len() {
        if run.proposals.is_unreadable || run.proposals.results.contains_key(&index) {
            continue;
        }
        match found_for(request, session, run, index) {
            Ok(found) => {
                let result = found.map(|found| (index, found));
                run.proposals.results.extend(result);
            }
            Err(error) => warn_of_unreadable(request, run, &error),
        }
    }
}

/// The open pull request of a lane, or the closed one that withholds its projects.
fn found_for(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut ProposalRun<'_>,
    index: usize,
) -> Result<Option<LaneProposal>, SyncError> {
    let tip = session.targets[index].tip;
    let planned = run.lanes[index].planned.as_ref();
    let has_changes = planned.is_some_and(|planned| !planned.changed().is_empty());
    if !has_changes && (tip.is_none() || session.is_contained(index)) {
        return Ok(None);
    }
    let found = run.proposals.of_lane(request, session, index)?;
    let Some(newest) = found.first() else {
        return Ok(None);
    };
    match (newest.state, tip) {
        (PullRequestState::Open, Some(tip)) => Ok(Some(LaneProposal::Open(Proposal {
            url: Some(newest.url.clone()),
            number: Some(newest.number),
            branch: session.targets[index].branch.clone(),
            head: newest.head.unwrap_or(tip),
            state: ProposalState::Unchanged,
            created: Some(newest.created.clone()),
            projects: names(request, run.scanned, &run.lanes[index]),
        }))),
        (PullRequestState::Closed, _) => {
            if session.store.is_none() {
                session.fetch(request)?;
            }
            let contents = planned_contents(request, session, &run.lanes[index])?;
            let unchanged_tip = tip.filter(|_| !has_changes);
            Ok(closed_by_person(newest, contents, unchanged_tip))
        }
        _ => Ok(None),
    }
}
