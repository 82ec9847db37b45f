//! Publishes projects: from their sources to commits that the remote has confirmed.
//!
//! A run enters the stages in this order. Each makes a value from that of the stage before:
//!
//! > [`scan`]: [`Scanned`] → [`plan`](mod@plan): [`Planned`] → [`commit`]: [`Committed`](commit::Committed) →
//! > [`push`](mod@push): [`PushOutcome`] → [`record`](mod@record)
//!
//! The contents of new files are read when they are sent, so a push may fail because a file has
//! changed since the scan.
//!
//! The values own everything that the next stage needs, and contain no open files or connections.
//! Only [`land`] goes back: if the branch has moved, it fetches the new tip and plans again from
//! the same [`Scanned`]; if the server rejects a push, it pushes the projects in parts, which
//! [`isolation`] selects. [`attempts`] and [`retry`] remember the earlier rounds. A check of the
//! planned files belongs between plan and commit.

mod attempts;
mod commit;
mod isolation;
mod plan;
mod push;
mod record;
mod rejection;
mod report;
mod retry;
mod scan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use attempts::Attempts;
use commit::Committer;
use isolation::Isolation;
use plan::{Planned, plan, plan_on};
use push::{PushOutcome, Setback, push};
use rejection::{given_up, isolate};
use report::{CommitHistory, CommitState, report};
use retry::Retries;
use scan::{Scanned, scan_all};

use super::cache_update::{CacheUpdate, PublishedProject};
use super::remote_session::{RemoteSession, connect_and_fetch};
use super::request::SyncRequest;
use super::source_roots::SourceRoots;
use crate::cache::Cache;
use crate::event::Event;
use crate::outcome::{Pushed, SyncError, SyncOutcome, Warning};
use crate::plan::Decision;

/// The start of GitHub's message to a push that it accepted although a rule forbids it.
const BYPASSED: &str = "Bypassed rule violations";

/// The values that the report of a run is made from, also if the run fails.
struct Run {
    /// The outcome, without the parts that are computed at the end of the run.
    outcome: SyncOutcome,
    scanned: Scanned,
    /// The last plan.
    planned: Option<Planned>,
    attempts: Attempts,
    isolation: Isolation,
}

impl Run {
    /// Makes a plan on top of the current base, with the projects of the next push.
    fn plan(
        &mut self,
        request: &SyncRequest<'_>,
        session: &mut RemoteSession,
    ) -> Result<(), SyncError> {
        let mut planned = plan(request, session, &self.scanned)?;
        let changed = planned.changed();
        let next = self.isolation.next_push(&changed);
        if self.isolation.is_searching() && !next.is_empty() {
            request.reporter.event(&Event::PushingPart {
                projects: next.len(),
                of: self.isolation.candidates(&changed).count(),
            });
        }
        planned.push_only(&next);
        match self.planned.replace(planned) {
            Some(previous) => self.attempts.keep_plan(previous),
            None => self.warn_of_plan(request),
        }
        Ok(())
    }

    fn warn_of_plan(&mut self, request: &SyncRequest<'_>) {
        if let Some(planned) = &self.planned {
            planned.warn_of_empty(request, &self.scanned, &mut self.outcome.warnings);
            planned.warn_of_own_directories(request, &mut self.outcome.warnings);
        }
    }
}

/// Publishes all projects of the request, whatever their direction. `outcome` is that of a run that
/// has done nothing yet.
///
/// A dry run also returns the local caches as they would be after the run, by path.
pub(super) fn publish(
    request: &SyncRequest<'_>,
    outcome: SyncOutcome,
) -> (SyncOutcome, BTreeMap<PathBuf, Cache>) {
    let mut run = Run {
        outcome,
        scanned: Scanned::default(),
        planned: None,
        attempts: Attempts::default(),
        isolation: Isolation::default(),
    };
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
) -> Result<CommitState, SyncError> {
    let (sources, session) = thread::scope(|scope| {
        let (changed, changes) = mpsc::channel();
        let session = scope.spawn(|| connect_and_fetch(request, changes));
        let sources = scan_all(request, Some(changed));
        (sources, session.join())
    });
    run.scanned = Scanned::new(request, sources, &mut run.outcome.warnings)?;
    let mut session = session.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let branch = session.target.branch.clone();
    run.outcome.remote.url = session.transport.url().clone();
    run.outcome.remote.branch = Some(branch.clone());

    let result = land(request, &mut session, run).map_err(|error| conclude(&session, run, error));
    note_remote(run, &session, result.is_ok());
    if !request.dry_run && run.outcome.pushed != Pushed::Unknown {
        record(request, &session, run, &result);
    }
    let state = result?;

    // Another run may have locked a cache and wait for the clone or for the queue lock, so this run
    // releases both before it waits for a cache.
    drop(session);
    if request.workspace.caches_published {
        *caches = cache(request, run, &branch);
    }
    Ok(state)
}

/// Plans, commits and pushes until the commits have landed or cannot land.
///
/// A round ends without a result, and another plan is made, in these cases:
///
/// 1. The plan was made from recorded listings, and there is something to publish: the tip is fetched first.
/// 2. The sources of a project could no longer be read: the project is left out.
/// 3. Only the commits of an earlier round have landed.
/// 4. The branch has moved, or the failure of the push is temporary, and attempts are left.
/// 5. The server rejects some of the projects: the others are pushed, perhaps in several parts.
fn land(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    run: &mut Run,
) -> Result<CommitState, SyncError> {
    let mut committer = Committer::new(request);
    let mut retries = Retries::new(request.workspace.retries);
    loop {
        let started = Instant::now();
        request.interrupt.check()?;

        run.plan(request, session)?;
        let Some(planned) = &run.planned else {
            unreachable!("the plan was just made");
        };
        run.attempts.recognize(session)?;
        if !planned.has_work() {
            return Ok(if run.isolation.has_ended() {
                CommitState::SearchEnded
            } else {
                state_of_plan(request)
            });
        }
        if request.atomic && (!run.scanned.failed.is_empty() || planned.is_any_withheld()) {
            return Err(SyncError::Atomic);
        }
        if request.dry_run {
            return Ok(CommitState::OnlyPlanned);
        }
        if session.store.is_none() {
            session.fetch_to_push(request)?;
            continue;
        }

        let warnings = &mut run.outcome.warnings;
        let committed = committer.commit(request, session, &run.scanned, planned, warnings)?;
        committed.write_objects(request, session)?;
        request.interrupt.check()?;

        run.attempts.begin(session, &committed);
        let heads = run.attempts.heads();
        let boundary = run.attempts.boundary();
        let pushed = push(session, request, &committed, &heads, boundary);
        run.attempts.note(planned, &pushed);
        let (has_moved, setback) = match pushed? {
            PushOutcome::Verified { heads, words } => {
                quote(request, &words);
                warn_of_bypass(request, &words, &mut run.outcome.warnings);
                if heads.contains(&committed.head) {
                    run.isolation.accept(committed.commits.into_keys());
                    if run.isolation.has_decided(&planned.left_out) {
                        return Ok(CommitState::Verified);
                    }
                }
                // Only a part of the projects, or the commits of an earlier attempt, have landed.
                session.fetch_to_push(request)?;
                continue;
            }
            PushOutcome::BranchMoved(setback) => (true, setback),
            PushOutcome::RetryableFailure(setback) => (false, setback),
            PushOutcome::Rejected(rejection) => {
                let isolation = &mut run.isolation;
                isolate(request, session, isolation, planned, &committed, rejection)?;
                continue;
            }
            PushOutcome::Unknown(error) => return Err(error),
            PushOutcome::Incomplete(failure) => {
                run.scanned.failed.insert(failure.project, failure.error);
                continue;
            }
        };

        let Some(delay) = retries.next_delay(has_moved, &setback, started.elapsed()) else {
            let attempts = run.attempts.count;
            return Err(given_up(
                request, session, &committed, setback, has_moved, attempts,
            ));
        };
        wait_to_retry(request, run.attempts.count, &setback, delay)?;
        session.fetch_to_push(request)?;
    }
}

/// Waits before the next attempt. If a signal ends the run instead, the server's message to the
/// last attempt is shown.
fn wait_to_retry(
    request: &SyncRequest<'_>,
    attempts: u32,
    setback: &Setback,
    delay: Duration,
) -> Result<(), SyncError> {
    request.reporter.event(&Event::Retrying {
        attempt: attempts,
        of: request.workspace.retries.saturating_add(1),
        reason: setback.reason(),
        delay,
    });
    request
        .interrupt
        .wait(delay)
        .inspect_err(|_| quote(request, &setback.words()))?;
    Ok(())
}

/// Compares the sources with the recorded state of the codex. This uses neither the network nor
/// git, and writes nothing.
fn plan_offline(request: &SyncRequest<'_>, run: &mut Run) -> Result<CommitState, SyncError> {
    let sources = scan_all(request, None);
    let warnings = &mut run.outcome.warnings;
    run.scanned = Scanned::new(request, sources, warnings)?;

    let (listings, recorded) = record::read(request, warnings)?;
    if let Some(recorded) = recorded {
        let remote = &mut run.outcome.remote;
        remote.branch = Some(recorded.branch);
        remote.before = recorded.tip;
        remote.after = recorded.tip;
        run.outcome.recorded = Some(recorded.time);
    }

    let planned = plan_on(request, &run.scanned, listings, run.outcome.remote.before);
    planned.warn_of_empty(request, &run.scanned, &mut run.outcome.warnings);
    planned.warn_of_own_directories(request, &mut run.outcome.warnings);
    run.planned = Some(planned);
    Ok(state_of_plan(request))
}

fn state_of_plan(request: &SyncRequest<'_>) -> CommitState {
    if request.dry_run {
        CommitState::OnlyPlanned
    } else {
        CommitState::NotLanded
    }
}

/// Shows the server's message to a push that does not end in an error.
fn quote(request: &SyncRequest<'_>, lines: &[String]) {
    if !lines.is_empty() {
        let lines = lines.to_vec();
        request.reporter.event(&Event::ServerWords { lines });
    }
}

/// Warns if the server accepted a push although a rule of the branch forbids it.
fn warn_of_bypass(request: &SyncRequest<'_>, words: &[String], warnings: &mut Vec<Warning>) {
    let Some(line) = words.iter().find(|line| line.contains(BYPASSED)) else {
        return;
    };
    let message = format!(
        "the credentials bypass rules of the branch, so nothing that they push is reviewed: {}",
        line.trim()
    );
    if warnings.iter().all(|warning| warning.message != message) {
        request.warn(warnings, None, message);
    }
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
    if states_result || !run.attempts.is_any_pending() {
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

/// Sets the branch's tips before and after the run.
fn note_remote(run: &mut Run, session: &RemoteSession, is_ok: bool) {
    let outcome = &mut run.outcome;
    let remote = &mut outcome.remote;
    if let Some(planned) = &run.planned {
        remote.base = planned.base;
        remote.creates_branch = planned.creates_branch && is_ok;
    }
    match run.attempts.verified_range() {
        Some((before, after)) => {
            remote.before = before;
            remote.after = Some(after);
            remote.creates_branch = before.is_none();
            if outcome.pushed != Pushed::Unknown {
                outcome.pushed = Pushed::Verified;
            }
        }
        None => {
            remote.before = session.target.tip;
            remote.after = session.target.tip;
        }
    }
}

/// Records the state of the codex for the next run.
fn record(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    run: &mut Run,
    result: &Result<CommitState, SyncError>,
) {
    let Some(planned) = &run.planned else {
        return;
    };
    let outcome = &mut run.outcome;
    let landed = match result {
        Ok(CommitState::Verified) => outcome.remote.after,
        _ => None,
    };
    let warnings = &mut outcome.warnings;
    record::write(request, session, &run.scanned, planned, landed, warnings);
}

/// Updates the local caches to the files that the codex now has of the projects.
fn cache(request: &SyncRequest<'_>, run: &mut Run, branch: &str) -> BTreeMap<PathBuf, Cache> {
    let is_in_codex = |planned: &Planned, number: usize, decision: &Decision| {
        !run.scanned.failed.contains_key(&number)
            && !planned.left_out.contains(&number)
            && matches!(decision, Decision::Ready(_) | Decision::UpToDate(_))
    };
    let published: Vec<_> = run
        .planned
        .iter()
        .flat_map(|planned| {
            let decisions = planned.decisions.iter();
            decisions.filter(|(number, decision)| is_in_codex(planned, **number, decision))
        })
        .map(|(number, _)| PublishedProject {
            number: *number,
            project: request.projects[*number],
            snapshot: &run.scanned.snapshots[*number],
        })
        .collect();
    let update = CacheUpdate {
        request,
        branch,
        tip: run.outcome.remote.after,
        roots: &SourceRoots::new(&request.projects),
    };
    update.update_caches(&published, &mut run.outcome.warnings)
}

/// Completes the outcome from the values of the run.
fn finish(
    request: &SyncRequest<'_>,
    run: Run,
    result: Result<CommitState, SyncError>,
) -> SyncOutcome {
    let Run {
        mut outcome,
        mut scanned,
        planned,
        attempts,
        mut isolation,
    } = run;
    let state = match &result {
        Ok(state) => *state,
        Err(_) if outcome.pushed == Pushed::Unknown => CommitState::Unknown,
        Err(SyncError::Atomic) => CommitState::WithheldByOthers,
        Err(_) => CommitState::NotLanded,
    };
    outcome.failure = result.err();
    outcome.attempts = attempts.count;
    outcome.plan_id = planned.as_ref().map(|planned| planned.id);

    let mut decisions = planned.map(|planned| planned.decisions).unwrap_or_default();
    let (mut landed, pending) = attempts.into_commits();
    outcome.projects = request
        .projects
        .iter()
        .enumerate()
        .map(|(number, project)| {
            let decision = match scanned.failed.remove(&number) {
                Some(error) => Some(Err(error)),
                None => decisions.remove(&number).map(Ok),
            };
            let history = CommitHistory {
                landed: landed.remove(&number),
                pending: pending.get(&number).copied(),
                rejected: isolation.take(number),
            };
            report(project, decision, history, state)
        })
        .collect();
    outcome
}
