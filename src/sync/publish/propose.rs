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

use super::lane::{Lane, LaneProgress};
use super::lane_branch::LaneBranch;
use super::plan::Planned;
use super::proposal_text::contents_digest;
use super::proposals::{LaneProposal, ProposalRun, is_closed_with, names};
use super::report::CommitState;
use crate::event::{Event, Stage};
use crate::forge::ForgeError;
use crate::forge::pull_request::{PullRequest, PullRequestState};
use crate::outcome::{Proposal, ProposalState, SyncError};
use crate::paths::escaped;
use crate::sync::parting::Parting;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;

/// The total time for which a run waits for a forge that lags behind the git server.
const MOST_LAG: Duration = Duration::from_secs(60);

/// Reads the pull requests of the open lanes before their commits are pushed. A lane whose pull
/// request a person has closed with the same contents is done. A branch whose pull request was
/// merged with its tip is deleted, unless the codex contains it. Returns whether the lanes must be
/// planned again, because a branch was deleted.
pub(super) fn check_before_push(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut ProposalRun<'_>,
) -> Result<bool, SyncError> {
    let mut is_any_deleted = false;
    if request.workspace.pull_request.is_none() {
        return Ok(false);
    }
    for number in 0..run.lanes.len() {
        if !run.lanes[number].is_open() || run.proposals.found.contains_key(&number) {
            continue;
        }
        let found = run.proposals.of_lane(request, session, number)?;
        let lane = &mut run.lanes[number];
        let contents = contents_digest(request, run.scanned, &lane.projects);
        let closed = found
            .first()
            .filter(|newest| is_closed_with(newest, contents));
        if let Some(closed) = closed {
            let changed = lane.planned.as_ref().map(Planned::changed);
            let proposal = LaneProposal::Closed {
                number: closed.number,
                url: closed.url.clone(),
                projects: changed.unwrap_or_default(),
            };
            run.proposals.results.insert(number, proposal);
            lane.progress = LaneProgress::Done(CommitState::NotLanded);
        }
        if was_merged(session, number, found.first()) {
            match session.delete_merged(request, number)? {
                None => is_any_deleted = true,
                Some(reason) => {
                    let branch = escaped(session.targets[number].branch.as_bytes()).to_string();
                    let message = format!(
                        "the merged branch `{branch}` cannot be deleted, so its old commits stay in the next pull request: {reason}"
                    );
                    request.warn(run.warnings, None, message);
                }
            }
        }
        run.proposals.found.insert(number, found);
    }
    Ok(is_any_deleted)
}

/// Whether the newest pull request of a lane was merged with exactly the tip of its branch, and the
/// codex does not contain that commit: it was merged by a squash or a rebase.
fn was_merged(session: &RemoteSession, lane: usize, newest: Option<&PullRequest>) -> bool {
    let tip = session.targets[lane].tip;
    let is_contained = session.partings.each.get(lane) == Some(&Parting::Contained);
    tip.is_some()
        && !is_contained
        && newest
            .is_some_and(|newest| newest.state == PullRequestState::Merged && newest.head == tip)
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
    let mut patience = MOST_LAG.min(request.workspace.remote.timeout.push_verdict);
    request.reporter.event(&Event::Started {
        stage: Stage::Propose,
    });
    let mut failure = None;
    for number in 0..run.lanes.len() {
        let has_result = run.proposals.results.contains_key(&number);
        if has_result || !is_on_branch(&run.lanes[number], has_failed) {
            continue;
        }
        let mut branch = LaneBranch::new(request, session, run, number, &mut patience);
        let error = match branch.propose(settings) {
            Ok(proposal) => {
                let proposal = proposal.map(|proposal| (number, proposal));
                run.proposals.results.extend(proposal);
                continue;
            }
            Err(error) => error,
        };
        let shown = branch.shown.take();
        let concerns_all = concerns_all_lanes(&error);
        let lane = &run.lanes[number];
        let error = match (pushed_only(request, session, lane, shown), error) {
            (Some(proposal), SyncError::Forge(source)) => {
                let branch = proposal.branch.clone();
                let result = LaneProposal::PushedOnly(proposal);
                run.proposals.results.insert(number, result);
                SyncError::NotProposed { branch, source }
            }
            (_, error) => error,
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
    let SyncError::Forge(error) = error else {
        return true;
    };
    match error.as_ref() {
        ForgeError::Refused { refusal, .. } => refusal.status == 401,
        ForgeError::Unexpected { .. }
        | ForgeError::NoSuchName { .. }
        | ForgeError::NotShown { .. }
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
    for (number, lane) in run.lanes.iter().enumerate() {
        if run.proposals.results.contains_key(&number) {
            continue;
        }
        if let Some(proposal) = pushed_only(request, session, lane, None) {
            let result = LaneProposal::PushedOnly(proposal);
            run.proposals.results.insert(number, result);
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
    Some(Proposal {
        url: shown.as_ref().map(|shown| shown.url.clone()),
        number: shown.as_ref().map(|shown| shown.number),
        branch: session.targets[lane.target].branch.clone(),
        head,
        state: ProposalState::PushedOnly,
        created: shown.map(|shown| shown.created),
        projects: names(request, lane),
    })
}

/// Finds the open pull requests of the lanes, and those that withhold projects, for a run that only
/// shows what a sync would do. An error is only a warning, so that the plan is shown.
pub(super) fn show_open(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    run: &mut ProposalRun<'_>,
) {
    if request.workspace.pull_request.is_none() {
        return;
    }
    for number in 0..run.lanes.len() {
        let tip = session.targets[number].tip;
        let planned = run.lanes[number].planned.as_ref();
        let changed = planned.map(Planned::changed).unwrap_or_default();
        if tip.is_none() && changed.is_empty() {
            continue;
        }
        let found = match run.proposals.of_lane(request, session, number) {
            Ok(found) => found,
            Err(error) => {
                let message = format!("cannot look for pull requests: {error}");
                request.warn(run.warnings, None, message);
                return;
            }
        };
        let contents = contents_digest(request, run.scanned, &run.lanes[number].projects);
        let result = match (found.first(), tip) {
            (Some(open), Some(tip)) if open.state == PullRequestState::Open => {
                LaneProposal::Open(Proposal {
                    url: Some(open.url.clone()),
                    number: Some(open.number),
                    branch: session.targets[number].branch.clone(),
                    head: open.head.unwrap_or(tip),
                    state: ProposalState::Unchanged,
                    created: Some(open.created.clone()),
                    projects: names(request, &run.lanes[number]),
                })
            }
            (Some(closed), _) if is_closed_with(closed, contents) => LaneProposal::Closed {
                number: closed.number,
                url: closed.url.clone(),
                projects: changed,
            },
            _ => continue,
        };
        run.proposals.results.insert(number, result);
    }
}
