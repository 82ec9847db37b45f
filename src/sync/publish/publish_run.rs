//! The lanes of a run: planned together, pushed together, each with its own result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::check::CheckResults;
use super::commit::{Committed, Committer};
use super::isolation::Isolation;
use super::lane::{Lane, LaneProgress, NextRound, id_of_plans};
use super::plan::Planned;
use super::proposals::{ProposalRun, Proposals};
use super::push::{PushOutcome, PushResults, Setback, push};
use super::rejection::named_lanes;
use super::report::CommitState;
use super::scan::Scanned;
use super::server_words::wait_to_retry;
use crate::codex::remote::{Rejection, RejectionKind};
use crate::codex::source_revision::SourceRevision;
use crate::config::OnDeclined;
use crate::event::Event;
use crate::object::ObjectId;
use crate::outcome::{SyncError, SyncOutcome};
use crate::saved_plan::facts::PlanFacts;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;

/// The values that the report of a run is made from, also if the run fails.
pub(super) struct Run {
    /// The outcome, without the parts that are computed at the end of the run.
    pub(super) outcome: SyncOutcome,
    pub(super) scanned: Scanned,
    pub(super) checked: CheckResults,
    /// The lanes, each at the index of its target in the session.
    pub(super) lanes: Vec<Lane>,
    /// The number of pushes that were sent.
    pub(super) pushes: u32,
    /// The greatest number of branches in one push.
    pub(super) max_refs: usize,
    pub(super) proposals: Proposals,
    /// The plan that every plan of the run must agree with, once it is known.
    pub(super) expected: Option<Arc<PlanFacts>>,
    /// The search for lanes that the server rejects, if it rejects all lanes of a push together. It
    /// has the indexes of lanes instead of projects.
    isolation: Isolation,
    /// The source revisions of the projects that were committed, by index.
    revisions: BTreeMap<usize, Option<SourceRevision>>,
}

impl Run {
    pub(super) fn new(request: &SyncRequest<'_>, outcome: SyncOutcome) -> Self {
        let retries = request.workspace.retries;
        let lanes = request.lanes().into_iter().enumerate();
        Self {
            outcome,
            scanned: Scanned::default(),
            checked: CheckResults::default(),
            lanes: lanes
                .map(|(target, lane)| Lane::new(target, lane, retries))
                .collect(),
            pushes: 0,
            max_refs: request.workspace.max_refs.map_or(usize::MAX, Into::into),
            proposals: Proposals::default(),
            expected: None,
            isolation: Isolation::default(),
            revisions: BTreeMap::new(),
        }
    }

    /// The lanes that are planned again in the next round, by index.
    pub(super) fn open_lanes(&self) -> Vec<usize> {
        let lanes = self.lanes.iter().enumerate();
        lanes
            .filter(|(_, lane)| lane.is_open())
            .map(|(index, _)| index)
            .collect()
    }

    /// The open lanes that are pushed next, by index. If none is left or the search for rejected
    /// lanes has ended, the remaining ones are done, with the reason why the server rejects them.
    pub(super) fn next_lanes(&mut self, request: &SyncRequest<'_>) -> Vec<usize> {
        let open: BTreeSet<_> = self.open_lanes().into_iter().collect();
        let next = if self.isolation.is_about_everything() {
            BTreeSet::new()
        } else {
            self.isolation.next_push(&open)
        };
        if next.is_empty() {
            for index in open {
                let lane = &mut self.lanes[index];
                if let Some(rejection) = self.isolation.take_rejection(index) {
                    let projects = lane.projects.iter().copied().collect();
                    lane.isolation
                        .reject(&projects, &rejection, BTreeMap::new());
                }
                lane.progress = LaneProgress::Done(CommitState::SearchEnded);
            }
        } else if self.isolation.is_searching() {
            request.reporter.event(&Event::PushingPart {
                projects: next.len(),
                of: open.len(),
            });
        }
        next.into_iter().collect()
    }

    /// The values that proposals are made from.
    pub(super) fn for_proposals(&mut self) -> ProposalRun<'_> {
        ProposalRun {
            scanned: &self.scanned,
            checked: &self.checked,
            lanes: &mut self.lanes,
            revisions: &self.revisions,
            proposals: &mut self.proposals,
            warnings: &mut self.outcome.warnings,
        }
    }

    /// The id of the plans of all lanes; `None` if one has no plan.
    pub(super) fn plan_id(&self) -> Option<ObjectId> {
        id_of_plans(&self.lanes, &self.outcome.remote)
    }

    /// Plans all open lanes.
    pub(super) fn plan(
        &mut self,
        request: &SyncRequest<'_>,
        session: &mut RemoteSession,
    ) -> Result<(), SyncError> {
        let warnings = &mut self.outcome.warnings;
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_open()) {
            let (scanned, results) = (&mut self.scanned, &mut self.checked);
            lane.plan(request, session, scanned, results, warnings)?;
        }
        Ok(())
    }

    /// Whether a project failed, or is withheld by a guard.
    pub(super) fn is_any_held_up(&self) -> bool {
        let mut plans = self.lanes.iter().filter_map(|lane| lane.planned.as_ref());
        !self.scanned.failed.is_empty() || plans.any(Planned::is_any_withheld)
    }

    /// Whether a plan overwrites or deletes a file that others may have changed, as far as the records
    /// show it.
    pub(super) fn overwrites_recorded_drift(&self, session: &RemoteSession) -> bool {
        let plans = self.lanes.iter().filter_map(|lane| lane.planned.as_ref());
        let mut changes = plans.flat_map(Planned::changes);
        changes.any(|(index, plan)| {
            let drifted = session.recorded_drift.get(&index);
            drifted.is_some_and(|drifted| plan.overwritten().any(|path| drifted.contains(path)))
        })
    }

    /// Commits and pushes the plans of some open lanes together, given their indexes.
    pub(super) fn push(
        &mut self,
        request: &SyncRequest<'_>,
        session: &mut RemoteSession,
        committer: &mut Committer<'_>,
        lanes: &[usize],
    ) -> Result<(), SyncError> {
        let started = Instant::now();
        let committed = self.build(request, session, committer, lanes)?;
        let Some(results) = self.send(request, session, &committed, lanes)? else {
            return Ok(());
        };
        if let Some(most) = most_refs(&results).filter(|most| *most < lanes.len()) {
            // The server rejects the number of branches, not what they contain.
            self.max_refs = most;
            self.forget_push(lanes);
            return Ok(());
        }

        let is_rejected_together = self.note_results(request, &committed, lanes, &results);
        let duration = started.elapsed();
        for (branch, outcome) in committed.branches.iter().zip(results) {
            if is_rejected_together && matches!(outcome, Ok(PushOutcome::Rejected(_))) {
                self.forget_push(&[branch.target]);
                continue;
            }
            let lane = &mut self.lanes[branch.target];
            let warnings = &mut self.outcome.warnings;
            lane.conclude_push(request, session, branch, outcome, duration, warnings);
        }
        Ok(())
    }

    /// Builds the commits of the lanes, and writes them into the clone.
    fn build(
        &mut self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        committer: &mut Committer<'_>,
        lanes: &[usize],
    ) -> Result<Committed, SyncError> {
        let plans: Vec<_> = lanes
            .iter()
            .filter_map(|index| Some((*index, self.lanes[*index].planned.as_ref()?)))
            .collect();
        let warnings = &mut self.outcome.warnings;
        let committed = committer.commit(request, session, &self.scanned, &plans, warnings)?;
        self.revisions.clone_from(committer.revisions());
        committed.write_objects(request, session)?;
        request.interrupt.check()?;
        Ok(committed)
    }

    /// Sends the commits of the lanes, and returns one result per lane. `None` if files have changed
    /// while they were sent: nothing landed, and their project has failed.
    fn send(
        &mut self,
        request: &SyncRequest<'_>,
        session: &mut RemoteSession,
        committed: &Committed,
        lanes: &[usize],
    ) -> Result<Option<Vec<Result<PushOutcome, SyncError>>>, SyncError> {
        self.pushes += 1;
        for branch in &committed.branches {
            let replaces = session.targets[branch.target].tip;
            let lane = &mut self.lanes[branch.target];
            lane.attempts.begin(replaces, branch);
        }
        let pushed: Vec<_> = lanes.iter().map(|lane| self.lanes[*lane].push()).collect();
        let failure = match push(session, request, committed, &pushed) {
            Ok(PushResults::Judged(results)) => return Ok(Some(results)),
            Ok(PushResults::SourceChanged(failure)) => Ok(failure),
            Err(error) => Err(error),
        };

        self.pushes -= 1;
        self.forget_push(lanes);
        let failure = failure?;
        self.scanned.failed.insert(failure.project, failure.error);
        Ok(None)
    }

    /// Notes the results of a push in the search for rejected lanes. Returns whether the server has
    /// rejected several lanes together, which says nothing about any of them.
    fn note_results(
        &mut self,
        request: &SyncRequest<'_>,
        committed: &Committed,
        lanes: &[usize],
        results: &[Result<PushOutcome, SyncError>],
    ) -> bool {
        let rejection = rejection_of_all(request, results);
        let is_together = rejection.is_some() && lanes.len() > 1;
        if let Some(rejection) = rejection
            && (is_together || self.isolation.is_searching())
        {
            let named = named_lanes(request, &committed.branches, &rejection.words);
            let pushed = lanes.iter().copied().collect();
            self.isolation.reject(&pushed, rejection, named);
        }

        let has_landed =
            |result: &Result<PushOutcome, _>| matches!(result, Ok(PushOutcome::Verified { .. }));
        let with_results = lanes.iter().zip(results);
        let landed = with_results.filter(|(_, result)| has_landed(result));
        let landed: Vec<_> = landed.map(|(lane, _)| *lane).collect();
        if !landed.is_empty() {
            self.isolation.accept(landed);
        }
        is_together
    }

    /// Forgets the last push of these lanes, because it says nothing about any of them.
    fn forget_push(&mut self, lanes: &[usize]) {
        for lane in lanes {
            let lane = &mut self.lanes[*lane];
            lane.attempts.forget_last();
            lane.progress = LaneProgress::Open(NextRound::Plan);
        }
    }

    /// Waits for the longest delay of the lanes that are tried again, and fetches the tips if any
    /// of them has moved.
    pub(super) fn prepare_next_round(
        &mut self,
        request: &SyncRequest<'_>,
        session: &mut RemoteSession,
    ) -> Result<(), SyncError> {
        let next: Vec<_> = self
            .lanes
            .iter()
            .filter_map(|lane| match &lane.progress {
                LaneProgress::Open(next) => Some((lane, next)),
                _ => None,
            })
            .collect();
        let retries = next.iter().filter_map(|(lane, next)| match next {
            NextRound::Retry { delay, setback } => Some((*delay, lane.attempts.count, setback)),
            _ => None,
        });
        if let Some((delay, attempts, setback)) = retries.max_by_key(|(delay, ..)| *delay) {
            wait_to_retry(request, attempts, setback, delay)?;
        }
        if next
            .iter()
            .any(|(_, next)| !matches!(next, NextRound::Plan))
        {
            session.fetch_to_push(request)?;
        }
        Ok(())
    }

    /// Takes the error of the lanes, if the run as a whole has failed: the result of a push is
    /// unknown, or no lane has been done. Otherwise only the projects of a rejected lane are
    /// withheld.
    pub(super) fn take_failure(&mut self) -> Option<SyncError> {
        let is_alone = self.lanes.len() == 1;
        let is_any_done = self.lanes.iter().any(|lane| match lane.progress {
            LaneProgress::Done(state) => state != CommitState::SearchEnded,
            _ => false,
        });
        let rank = |lane: &Lane| match &lane.progress {
            LaneProgress::Failed(_) if lane.attempts.is_any_pending() => Some(0),
            LaneProgress::Failed(SyncError::Rejected { .. }) if !is_alone && is_any_done => None,
            LaneProgress::Failed(SyncError::Rejected { .. }) => Some(2),
            LaneProgress::Failed(_) => Some(1),
            _ => None,
        };
        let ranked = self
            .lanes
            .iter_mut()
            .filter_map(|lane| Some((rank(lane)?, lane)));
        let (_, lane) = ranked.min_by_key(|(rank, _)| *rank)?;
        let not_landed = LaneProgress::Done(CommitState::NotLanded);
        match std::mem::replace(&mut lane.progress, not_landed) {
            LaneProgress::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// The rejection, if the server rejects all branches of a push with the same message. The cause may
/// be only some of the branches: a hook `pre-receive` accepts or rejects a push as a whole.
fn rejection_of_all<'r>(
    request: &SyncRequest<'_>,
    results: &'r [Result<PushOutcome, SyncError>],
) -> Option<&'r Rejection> {
    let rejections: Option<Vec<_>> = results
        .iter()
        .map(|result| match result {
            Ok(
                PushOutcome::Rejected(rejection)
                | PushOutcome::BranchMoved(Setback::Rejected(rejection))
                | PushOutcome::RetryableFailure(Setback::Rejected(rejection)),
            ) => Some(rejection),
            _ => None,
        })
        .collect();
    let rejections = rejections?;
    let first = *rejections.first()?;
    let is_about_contents = matches!(
        first.kind,
        RejectionKind::Declined | RejectionKind::TooLarge
    );
    let isolates = request.workspace.on_declined == OnDeclined::Isolate;
    let is_same = rejections.iter().all(|rejection| *rejection == first);
    Some(first).filter(|_| isolates && is_about_contents && is_same)
}

/// The greatest number of branches in one push, if the server says so in a rejection.
fn most_refs(results: &[Result<PushOutcome, SyncError>]) -> Option<usize> {
    results.iter().find_map(|result| match result {
        Ok(PushOutcome::Rejected(rejection)) => rejection.most_refs(),
        _ => None,
    })
}
