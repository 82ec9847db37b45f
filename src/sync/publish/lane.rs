//! A lane: the projects that are pushed to one branch, and how far they are.

use std::time::Duration;

use super::attempts::Attempts;
use super::check::CheckResults;
use super::commit::CommittedBranch;
use super::isolation::Isolation;
use super::plan::{Planned, plan};
use super::push::{LanePush, PushOutcome, Setback};
use super::rejection::{given_up, isolate};
use super::report::{CommitState, state_of_plan};
use super::retry::Retries;
use super::scan::Scanned;
use super::server_words::{line_about_bypassed_rules, quote, warn_of_bypassed_rules};
use crate::codex::remote::Rejection;
use crate::event::Event;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::{Pushed, RemoteState, SyncError, SyncOutcome, Warning};
use crate::plan::Decision;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::{LaneProjects, SyncRequest};

/// The projects that are pushed to one branch.
pub(super) struct Lane {
    /// The index of the branch among the targets of the session, and of the lane in the run.
    pub(super) target: usize,
    /// The indexes of the projects.
    pub(super) projects: Vec<usize>,
    /// The last plan.
    pub(super) planned: Option<Planned>,
    pub(super) attempts: Attempts,
    pub(super) isolation: Isolation,
    retries: Retries,
    pub(super) progress: LaneProgress,
    /// The server's message that a push of the run bypassed rules of the branch.
    pub(super) bypassed_rules: Option<String>,
}

/// How far a lane is.
pub(super) enum LaneProgress {
    /// The lane is planned again in the next round.
    Open(NextRound),
    /// The commits of the lane have landed, or there is nothing to push.
    Done(CommitState),
    /// The commits of the lane cannot land.
    Failed(SyncError),
}

/// The step that precedes the next round of a lane.
pub(super) enum NextRound {
    /// Nothing: the tips are known.
    Plan,
    /// A fetch of the tips.
    Fetch,
    /// A delay, then a fetch of the tips.
    Retry { delay: Duration, setback: Setback },
}

impl Lane {
    /// The lane of the target with the index `target`. A push is retried at most `retries` times.
    pub(super) fn new(target: usize, lane: LaneProjects, retries: u32) -> Self {
        Self {
            target,
            projects: lane.projects,
            planned: None,
            attempts: Attempts::default(),
            isolation: Isolation::default(),
            retries: Retries::new(retries),
            progress: LaneProgress::Open(NextRound::Plan),
            bypassed_rules: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.progress, LaneProgress::Open(_))
    }

    /// Makes a plan on top of the current tips, with the projects of the next push. A lane without
    /// anything to push is done.
    pub(super) fn plan(
        &mut self,
        request: &SyncRequest<'_>,
        session: &mut RemoteSession,
        scanned: &mut Scanned,
        results: &mut CheckResults,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), SyncError> {
        let target = &session.targets[self.target];
        if session.has_sync_branches && target.tip.is_none() && target.existed {
            // Another client has deleted the branch during the run.
            let gone = session.gone(target.branch.clone());
            self.progress = LaneProgress::Failed(gone);
            return Ok(());
        }

        let lane = (self.target, self.projects.as_slice());
        let has_pushed = self.attempts.count > 0;
        let mut planned = plan(request, session, scanned, results, lane, has_pushed)?;
        let changed = planned.changed();
        let next = self.isolation.next_push(&changed);
        if self.isolation.is_searching() && !next.is_empty() {
            request.reporter.event(&Event::PushingPart {
                projects: next.len(),
                of: self.isolation.candidates(&changed).count(),
            });
        }
        planned.push_only(&next);
        // A sync branch is only created with commits.
        planned.creates_branch &= !session.has_sync_branches || planned.has_changes();
        let has_work = planned.has_work();
        match self.planned.replace(planned) {
            Some(previous) => self.attempts.keep_plan(previous),
            None => self.warn_of_plan(request, scanned, warnings),
        }
        scanned.warn_of_left_out(request, warnings);
        results.guards.warn(request, warnings);
        self.attempts.recognize(session, self.target)?;
        if !has_work {
            self.progress = LaneProgress::Done(if self.isolation.has_ended() {
                CommitState::SearchEnded
            } else {
                state_of_plan(request)
            });
        }
        Ok(())
    }

    /// Adds the warnings of the lane's first plan. Later plans have the same ones.
    fn warn_of_plan(
        &self,
        request: &SyncRequest<'_>,
        scanned: &Scanned,
        warnings: &mut Vec<Warning>,
    ) {
        if let Some(planned) = &self.planned {
            planned.warn_of_empty(request, scanned, warnings);
            planned.warn_of_own_directories(request, warnings);
        }
    }

    /// The reason why the current files of a project, given its index, are not on the sync branch;
    /// `None` if they are.
    pub(super) fn reason_for_exclusion(&self, scanned: &Scanned, index: usize) -> Option<String> {
        if let Some(error) = scanned.failed.get(&index) {
            return Some(error.to_string());
        }
        if let Some(rejection) = self.isolation.rejection(index) {
            return Some(rejection.reason.clone());
        }
        match self.planned.as_ref()?.decisions.get(&index)? {
            Decision::Withheld(_, reason) => Some(reason.to_string()),
            Decision::Ready(_) if !self.attempts.has_landed(index) => {
                Some("not pushed yet".to_owned())
            }
            _ => None,
        }
    }

    /// The push of the commits that were built last.
    pub(super) fn push(&self) -> LanePush {
        LanePush {
            target: self.target,
            heads: self.attempts.heads(),
            boundary: self.attempts.boundary(),
        }
    }

    /// Decides how the lane continues after a push that took the time `duration` with its plan and
    /// commits.
    pub(super) fn conclude_push(
        &mut self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        committed: &CommittedBranch,
        outcome: Result<PushOutcome, SyncError>,
        duration: Duration,
        warnings: &mut Vec<Warning>,
    ) {
        let Some(planned) = &self.planned else {
            unreachable!("a lane is planned before it is pushed");
        };
        self.attempts.note(planned, &outcome);
        self.progress = match outcome {
            Ok(PushOutcome::Verified { heads, words }) => {
                quote(request, &words);
                if let Some(line) = line_about_bypassed_rules(&words) {
                    warn_of_bypassed_rules(request, line, warnings);
                    self.bypassed_rules = Some(line.to_owned());
                }
                let is_all = heads.contains(&committed.head) && {
                    self.isolation.accept(committed.commits.keys().copied());
                    self.isolation.has_decided(&planned.left_out)
                };
                if is_all {
                    LaneProgress::Done(CommitState::Verified)
                } else {
                    // Only a part of the projects, or the commits of an earlier attempt, have
                    // landed.
                    LaneProgress::Open(NextRound::Fetch)
                }
            }
            Ok(PushOutcome::BranchMoved(setback)) => {
                self.retry(request, session, committed, setback, true, duration)
            }
            Ok(PushOutcome::RetryableFailure(setback)) => {
                self.retry(request, session, committed, setback, false, duration)
            }
            Ok(PushOutcome::Rejected(rejection)) => {
                let isolation = &mut self.isolation;
                match isolate(request, session, isolation, planned, committed, rejection) {
                    Ok(()) => LaneProgress::Open(NextRound::Plan),
                    Err(error) => LaneProgress::Failed(error),
                }
            }
            Ok(PushOutcome::Unknown(error)) | Err(error) => LaneProgress::Failed(error),
        };
    }

    /// The state of the commits at the end of the run with this outcome, and the reason why the
    /// server rejects the lane, if the others have landed all the same.
    pub(super) fn end(&mut self, outcome: &SyncOutcome) -> (CommitState, Option<Rejection>) {
        let is_unknown = outcome.pushed == Pushed::Unknown && self.attempts.is_any_pending();
        let not_landed = LaneProgress::Done(CommitState::NotLanded);
        match std::mem::replace(&mut self.progress, not_landed) {
            _ if is_unknown => (CommitState::Unknown, None),
            LaneProgress::Open(_) if matches!(outcome.failure, Some(SyncError::Atomic)) => {
                (CommitState::WithheldByOthers, None)
            }
            LaneProgress::Done(state) => (state, None),
            LaneProgress::Failed(SyncError::Rejected { rejection, .. }) => {
                (CommitState::NotLanded, Some(*rejection))
            }
            _ => (CommitState::NotLanded, None),
        }
    }

    /// Retries a push that did not land, unless no attempt is left.
    fn retry(
        &mut self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        committed: &CommittedBranch,
        setback: Setback,
        has_moved: bool,
        duration: Duration,
    ) -> LaneProgress {
        match self.retries.next_delay(has_moved, &setback, duration) {
            Some(delay) => LaneProgress::Open(NextRound::Retry { delay, setback }),
            None => {
                let attempts = self.attempts.count;
                LaneProgress::Failed(given_up(
                    request, session, committed, setback, has_moved, attempts,
                ))
            }
        }
    }
}

/// The id of the plans of all lanes for this remote; `None` if one has no plan.
///
/// The URL without its secrets and the branch are a part of it: the same changes to another codex are
/// another plan.
pub(super) fn id_of_plans(lanes: &[Lane], remote: &RemoteState) -> Option<ObjectId> {
    let ids: Option<Vec<_>> = lanes
        .iter()
        .map(|lane| lane.planned.as_ref().map(|planned| planned.id))
        .collect();
    let ids = ids.filter(|ids| !ids.is_empty())?;
    let mut text: String = ids.iter().map(|id| format!("{id}\n")).collect();
    text.push_str(&remote.url.without_secrets());
    text.push('\n');
    text.push_str(remote.branch.as_deref().unwrap_or_default());
    Some(hash(Kind::Blob, text.as_bytes()))
}
