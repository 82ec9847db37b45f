//! From sources to commits that the remote was seen to hold. The loop in [`Publish::land`] is the only place that goes
//! back: to another plan on top of a newer tip.

mod commit;
mod push;
mod rejection;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rayon::prelude::*;

use push::{PushOutcome, SAME_TIP_TRIES, Setback, backoff, no_verdict, push};

use super::cache_update::{CacheUpdate, PublishedProject};
use super::request::SyncRequest;
use super::{Landed, Landing, empty_outcome, report};
use crate::cache::Cache;
use crate::codex::git_config;
use crate::codex::identity::{Identity, identity};
use crate::codex::source_revision::SourceRevision;
use crate::codex::transport::{Refusal, RefusalKind};
use crate::config::Direction;
use crate::event::Event;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::{Pushed, SyncError, SyncOutcome};
use crate::paths::shown;
use crate::plan::{Decision, Listing, ProjectPlan, plan, plan_id};
use crate::scan::{ScanError, Snapshot, useless_patterns};
use crate::state::Recorded;
use crate::sync::remote_session::{RemoteSession, connect_and_fetch, recorded, state};
use crate::sync::repeater::LONGEST_WAIT;
use crate::sync::sources::{Roots, scan_all};
use crate::workspace::Project;

/// One run to the codex.
pub(super) struct Publish<'r> {
    pub(super) request: &'r SyncRequest<'r>,
    pub(super) outcome: SyncOutcome,
    pub(super) snapshots: Vec<Snapshot>,
    /// Projects that could not be read, by number.
    pub(super) failed: BTreeMap<usize, ScanError>,
    /// What the codex held of each project when `decisions` were made.
    listings: Vec<Listing>,
    decisions: Vec<Decision>,
    /// What `decisions` were made on.
    planned_on: Option<ObjectId>,
    pub(super) commits: BTreeMap<usize, ObjectId>,
    pub(super) revisions: BTreeMap<usize, Option<SourceRevision>>,
    pub(super) written: HashSet<ObjectId>,
    pub(super) landing: Landing,
    /// Attempts that may have landed, oldest first.
    sent: Vec<Attempt>,
    /// The commits that the remote was seen to hold, by project.
    landed: BTreeMap<usize, Landed>,
    /// Of a dry run: the caches as they would be.
    caches: BTreeMap<PathBuf, Cache>,
}

/// What follows from one push.
enum Step {
    /// The commits landed.
    Done,
    /// Only commits of an earlier attempt landed.
    PlanAgain,
    TryAgain {
        /// Whether the branch moved.
        moved: bool,
        setback: Setback,
    },
}

/// The commits of one push.
struct Attempt {
    /// The last of them; the base itself where a branch is made and no file differs.
    head: ObjectId,
    /// The tip that they replace.
    tip: Option<ObjectId>,
    /// What they are on top of.
    base: Option<ObjectId>,
    /// By project.
    commits: BTreeMap<usize, ObjectId>,
    /// What they change, once there is another plan.
    plans: BTreeMap<usize, ProjectPlan>,
}

/// Publishes the chosen projects, whatever their direction, or plans it. Where a dry run goes on from there, it gets the
/// local caches as they would be, by their paths.
pub(super) fn publish(request: &SyncRequest<'_>) -> (SyncOutcome, BTreeMap<PathBuf, Cache>) {
    let mut run = Publish::new(request);
    let result = run.run();
    run.into_outcome(result.err())
}

impl<'r> Publish<'r> {
    fn new(request: &'r SyncRequest<'r>) -> Self {
        Self {
            request,
            outcome: empty_outcome(request),
            snapshots: Vec::new(),
            failed: BTreeMap::new(),
            listings: Vec::new(),
            decisions: Vec::new(),
            planned_on: None,
            commits: BTreeMap::new(),
            revisions: BTreeMap::new(),
            written: HashSet::new(),
            landing: Landing::NotLanded,
            sent: Vec::new(),
            landed: BTreeMap::new(),
            caches: BTreeMap::new(),
        }
    }

    fn run(&mut self) -> Result<(), SyncError> {
        let request = self.request;
        if request.offline {
            let scanned = scan_all(request, None);
            self.take_scanned(scanned)?;
            return self.plan_offline();
        }
        let (scanned, session) = thread::scope(|scope| {
            let (tell, news) = mpsc::channel();
            let opening = scope.spawn(|| connect_and_fetch(request, news));
            let scanned = scan_all(request, Some(tell));
            (scanned, opening.join())
        });
        self.take_scanned(scanned)?;
        let mut session = session.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.outcome.remote.url = session.transport.url().clone();
        self.outcome.remote.branch = Some(session.target.branch.clone());
        self.outcome.remote.before = session.target.tip;
        self.outcome.remote.after = session.target.tip;
        let result = self.land(&mut session);
        let result = result.map_err(|error| self.conclude(error));
        if result.is_err() && self.outcome.pushed != Pushed::Verified {
            self.outcome.remote.creates_branch = false;
        }
        if !request.dry_run && self.landing != Landing::Unknown {
            self.record(&session);
        }
        if result.is_ok()
            && request.workspace.caches_published
            && (!request.dry_run || self.goes_both_ways())
        {
            let branch = session.target.branch.clone();
            // Whoever waits for a cache holds neither the clone nor the turn: another run may have that cache and wait for
            // one of these.
            drop(session);
            self.cache(&branch);
        }
        result
    }

    /// Whether something is brought after this, which a dry run then plans on the caches as they would be.
    fn goes_both_ways(&self) -> bool {
        self.request
            .projects
            .iter()
            .any(|project| project.direction == Direction::Bidirectional)
    }

    /// Puts what the codex now holds of the projects into their caches.
    fn cache(&mut self, branch: &str) {
        let there = self
            .decisions
            .iter()
            .enumerate()
            .filter(|(number, decision)| {
                !self.failed.contains_key(number)
                    && matches!(decision, Decision::Go(_) | Decision::UpToDate(_))
            });
        let published: Vec<_> = there
            .map(|(number, _)| PublishedProject {
                number,
                project: self.request.projects[number],
                snapshot: &self.snapshots[number],
            })
            .collect();
        let update = CacheUpdate {
            request: self.request,
            branch,
            tip: self.outcome.remote.after,
            roots: &Roots::new(&self.request.projects),
        };
        self.caches = update.update_caches(&published, &mut self.outcome.warnings);
    }

    /// Plans, and pushes until it landed or cannot.
    fn land(&mut self, session: &mut RemoteSession) -> Result<(), SyncError> {
        let request = self.request;
        let identity = identity(&request.workspace.commit, request.environment, request.now);
        let mut delays = None;
        let mut same_tip = 0;
        loop {
            let started = Instant::now();
            request.interrupt.check()?;
            self.plan(session)?;
            self.recognize(session)?;
            if !self.has_work(session) {
                return Ok(());
            }
            if request.atomic && self.is_unready() {
                self.landing = Landing::HeldByOthers;
                return Err(SyncError::Atomic);
            }
            if request.dry_run {
                return Ok(());
            }
            if session.store.is_none() {
                self.fetch(session)?;
                continue;
            }
            let Some(attempt) = self.attempt(session, &identity)? else {
                continue;
            };
            request.interrupt.check()?;

            let setback = match self.push(session, attempt)? {
                Step::Done => return Ok(()),
                Step::PlanAgain => {
                    self.fetch(session)?;
                    continue;
                }
                Step::TryAgain { moved, setback } => {
                    same_tip = if moved { 0 } else { same_tip + 1 };
                    setback
                }
            };
            let retries = request.workspace.retries;
            let delay = delays
                .get_or_insert_with(|| backoff(retries, started.elapsed()))
                .next()
                .filter(|_| same_tip <= SAME_TIP_TRIES);
            let pause = setback.pause(same_tip);
            let Some(delay) = delay.filter(|_| pause <= LONGEST_WAIT) else {
                return Err(self.given_up(session, setback, same_tip > 0));
            };
            let delay = delay.max(pause);
            request.reporter.event(&Event::Retrying {
                attempt: self.outcome.attempts,
                of: retries.saturating_add(1),
                reason: setback.reason(),
                delay,
            });
            request.interrupt.wait(delay).inspect_err(|_| {
                self.quote(&setback.words());
            })?;
            self.fetch(session)?;
        }
    }

    /// Whether there is something to push: commits, or a branch to make for projects that differ in nothing.
    fn has_work(&mut self, session: &RemoteSession) -> bool {
        let has_commits = self.going().next().is_some();
        let is_ready = |(number, decision): (usize, &Decision)| {
            matches!(decision, Decision::UpToDate(_)) && !self.failed.contains_key(&number)
        };
        let makes_branch = session.target.is_new()
            && session.base.tip.is_some()
            && self.decisions.iter().enumerate().any(is_ready);
        let has_work = has_commits || makes_branch;
        if self.outcome.pushed != Pushed::Verified {
            self.outcome.remote.creates_branch = has_work && session.target.is_new();
            self.outcome.remote.base = session.base.tip;
        }
        if makes_branch && !has_commits {
            let branch = &session.target.branch;
            let with_branch = |id| hash(Kind::Blob, format!("{id} creates {branch}").as_bytes());
            self.outcome.plan_id = self.outcome.plan_id.map(with_branch);
        }
        has_work
    }

    /// Whether some project failed or is withheld.
    fn is_unready(&self) -> bool {
        let is_withheld = |decision: &Decision| matches!(decision, Decision::Withheld(..));
        !self.failed.is_empty() || self.decisions.iter().any(is_withheld)
    }

    /// Makes the commits to push; `None` if a project failed meanwhile, so that there is another plan to make.
    fn attempt(
        &mut self,
        session: &RemoteSession,
        identity: &Identity,
    ) -> Result<Option<Attempt>, SyncError> {
        self.commits.clear();
        if self.going().next().is_some() && !self.commit(session, identity)? {
            return Ok(None);
        }
        let Some(head) = self
            .commits
            .values()
            .next_back()
            .copied()
            .or(session.base.tip)
        else {
            unreachable!("only a branch with a base is made without commits");
        };
        Ok(Some(Attempt {
            head,
            tip: session.target.tip,
            base: session.base.tip,
            commits: self.commits.clone(),
            plans: BTreeMap::new(),
        }))
    }

    /// Pushes once. Attempts that may have landed stay known, this one included.
    fn push(&mut self, session: &mut RemoteSession, attempt: Attempt) -> Result<Step, SyncError> {
        let head = attempt.head;
        self.outcome.attempts += 1;
        // The same commits may be sent twice.
        self.sent.retain(|earlier| earlier.head != head);
        self.sent.push(attempt);
        let heads: Vec<_> = self.sent.iter().map(|attempt| attempt.head).collect();
        let boundary = self.sent.first().and_then(|attempt| attempt.base);

        match push(session, self.request, &heads, boundary) {
            Ok(PushOutcome::Verified { heads, words }) => {
                self.confirm(&heads);
                self.quote(&words);
                if heads.contains(&head) {
                    self.landing = Landing::Landed;
                    return Ok(Step::Done);
                }
                self.sent.retain(|attempt| attempt.head != head);
                Ok(Step::PlanAgain)
            }
            Ok(PushOutcome::BranchMoved(setback)) => Ok(self.set_back(true, setback)),
            Ok(PushOutcome::RetryableFailure(setback)) => Ok(self.set_back(false, setback)),
            Ok(PushOutcome::Rejected(refusal)) => {
                let error = self.declined(session, refusal);
                self.sent.pop();
                Err(error)
            }
            Ok(PushOutcome::Unknown(error)) => Err(error),
            Err(error) => {
                self.sent.pop();
                Err(error)
            }
        }
    }

    fn set_back(&mut self, moved: bool, setback: Setback) -> Step {
        let plans: BTreeMap<_, _> = self
            .going()
            .filter(|_| setback.is_undetermined())
            .map(|(number, _, plan)| (number, plan.clone()))
            .collect();
        match self.sent.last_mut() {
            Some(attempt) if setback.is_undetermined() => attempt.plans = plans,
            _ => self.sent.truncate(self.sent.len().saturating_sub(1)),
        }
        Step::TryAgain { moved, setback }
    }

    /// Looks for commits of earlier attempts in a new tip: the answer to a push may be lost, and the push land later.
    fn recognize(&mut self, session: &RemoteSession) -> Result<(), SyncError> {
        let moved = |attempt: &Attempt| attempt.tip != session.target.tip;
        let Some(tip) = session.target.tip.filter(|_| self.sent.iter().any(moved)) else {
            return Ok(());
        };
        let heads: Vec<_> = self.sent.iter().map(|attempt| attempt.head).collect();
        let boundary = self.sent.first().and_then(|attempt| attempt.base);
        let found = if heads.contains(&tip) {
            session.store().search(tip, &heads, boundary).found
        } else {
            session.search_branch(&heads, boundary)?.found
        };
        self.confirm(&found);
        Ok(())
    }

    /// Takes note that the branch contains these heads of attempts.
    fn confirm(&mut self, heads: &[ObjectId]) {
        let is_found = |attempt: &Attempt| heads.contains(&attempt.head);
        let (found, open): (Vec<_>, _) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(is_found);
        self.sent = open;
        for mut attempt in found {
            let remote = &mut self.outcome.remote;
            if self.outcome.pushed != Pushed::Verified {
                remote.before = attempt.tip;
                remote.creates_branch = attempt.tip.is_none();
            }
            remote.after = Some(attempt.head);
            self.outcome.pushed = Pushed::Verified;
            for (number, commit) in attempt.commits {
                let plan = attempt.plans.remove(&number);
                self.landed.insert(number, Landed { commit, plan });
            }
        }
    }

    /// Shows what the server said, where no error does.
    fn quote(&self, words: &[String]) {
        if !words.is_empty() {
            self.request.reporter.event(&Event::ServerWords {
                lines: words.to_vec(),
            });
        }
    }

    /// The error that the server does not accept the push.
    fn declined(&self, session: &RemoteSession, refusal: Refusal) -> SyncError {
        let pushed: Vec<_> = self
            .going()
            .map(|(number, project, _)| (project, self.commits.get(&number).copied()))
            .collect();
        let named = rejection::named(&pushed, &refusal.words);
        let all = pushed.iter().map(|(project, _)| project.name.clone());
        let (named, others) = all.partition(|name| named.contains(name));
        SyncError::Declined {
            place: self.outcome.remote.url.place(),
            branch: session.target.branch.clone(),
            refusal: Box::new(refusal),
            named,
            others,
        }
    }

    /// The error once no try is left; `same_tip` where the branch did not move at last.
    fn given_up(&self, session: &RemoteSession, setback: Setback, same_tip: bool) -> SyncError {
        match setback {
            Setback::Transport { error, sent: true } => no_verdict(session, error),
            Setback::Transport { error, sent: false } => error.into(),
            Setback::Refused(mut refusal) if same_tip => {
                if refusal.kind == RefusalKind::Outdated {
                    let reason = refusal.reason;
                    refusal.reason =
                        format!("{reason}: the server shows another tip to pushes than to fetches");
                }
                self.declined(session, refusal)
            }
            Setback::Refused(refusal) => SyncError::RetriesExhausted {
                place: self.outcome.remote.url.place(),
                branch: session.target.branch.clone(),
                attempts: self.outcome.attempts,
                last: refusal.reason,
                words: refusal.words,
            },
        }
    }

    /// The error of a run some of whose attempts may have landed: it says so, unless it is itself a verdict.
    fn conclude(&mut self, error: SyncError) -> SyncError {
        let is_verdict = matches!(
            error,
            SyncError::Declined { .. }
                | SyncError::RetriesExhausted { .. }
                | SyncError::LandedThenRemoved { .. }
                | SyncError::NotInBranch { .. }
                | SyncError::BranchGone { .. }
        );
        if self.sent.is_empty() || is_verdict {
            return error;
        }
        self.landing = Landing::Unknown;
        self.outcome.pushed = Pushed::Unknown;
        match error {
            SyncError::Remote(source) => SyncError::Unverified {
                place: self.outcome.remote.url.place(),
                source,
            },
            error => error,
        }
    }

    /// Fetches the tip as it is now, for another plan.
    fn fetch(&mut self, session: &mut RemoteSession) -> Result<(), SyncError> {
        let renewed = session.fetch_to_push(self.request)?;
        if renewed {
            self.written.clear();
        }
        if self.outcome.pushed != Pushed::Verified {
            self.outcome.remote.before = session.target.tip;
            self.outcome.remote.after = session.target.tip;
        }
        Ok(())
    }

    fn into_outcome(
        mut self,
        failure: Option<SyncError>,
    ) -> (SyncOutcome, BTreeMap<PathBuf, Cache>) {
        self.decisions.resize(
            self.request.projects.len(),
            Decision::Go(ProjectPlan::default()),
        );
        let decisions = self.decisions.into_iter().enumerate();
        self.outcome.projects = decisions
            .zip(&self.request.projects)
            .map(|((number, decision), project)| {
                let decision = self.failed.remove(&number).map_or(Ok(decision), Err);
                let sent = self.sent.last().and_then(|sent| sent.commits.get(&number));
                report(
                    project,
                    decision,
                    self.landed.remove(&number),
                    sent.copied(),
                    self.landing,
                )
            })
            .collect();
        self.outcome.failure = failure;
        (self.outcome, self.caches)
    }

    fn take_scanned(&mut self, scanned: Vec<Result<Snapshot, ScanError>>) -> Result<(), SyncError> {
        let request = self.request;
        for (number, (result, project)) in scanned.into_iter().zip(&request.projects).enumerate() {
            let snapshot = match result {
                Ok(snapshot) => snapshot,
                Err(ScanError::Interrupted(interrupted)) => return Err(interrupted.into()),
                Err(error) => {
                    self.failed.insert(number, error);
                    Snapshot::default()
                }
            };
            for skipped in &snapshot.skipped {
                request.warn(
                    &mut self.outcome.warnings,
                    Some(project),
                    skipped.to_string(),
                );
            }
            self.snapshots.push(snapshot);
        }
        let read = request
            .projects
            .iter()
            .zip(&self.snapshots)
            .enumerate()
            .filter(|(number, _)| !self.failed.contains_key(number));
        let surveyed: Vec<_> = read
            .map(|(_, (project, snapshot))| (*project, snapshot.unmatched.as_slice()))
            .collect();
        for useless in useless_patterns(&surveyed) {
            request.warn(&mut self.outcome.warnings, useless.project, useless.message);
        }
        if !request.dry_run && git_config::wants_signing(request.environment) {
            let message =
                "`commit.gpgsign` is set, but commits to the codex are not signed".to_owned();
            request.warn(&mut self.outcome.warnings, None, message);
        }
        Ok(())
    }

    /// Compares every project with the codex as it is now.
    fn plan(&mut self, session: &mut RemoteSession) -> Result<(), SyncError> {
        let listings = session.listings(&self.request.projects)?;
        self.decide(listings, session.base.tip);
        Ok(())
    }

    /// Compares every project with what was recorded of the codex. No network, no git, nothing written.
    fn plan_offline(&mut self) -> Result<(), SyncError> {
        let request = self.request;
        let recorded: Vec<_> = recorded(request);
        let unknown = request
            .projects
            .iter()
            .zip(&recorded)
            .filter(|(_, recorded)| recorded.is_none());
        let projects: Vec<_> = unknown
            .map(|(project, _)| format!("`{}`", project.name))
            .collect();
        if !projects.is_empty() {
            return Err(SyncError::NothingRecorded { projects });
        }
        let recorded: Vec<_> = recorded.into_iter().flatten().collect();
        if let Some(oldest) = recorded.iter().min_by_key(|recorded| recorded.time) {
            let remote = &mut self.outcome.remote;
            (remote.branch, remote.before, remote.after) =
                (Some(oldest.branch.clone()), oldest.tip, oldest.tip);
            self.outcome.recorded = Some(oldest.time);
            if recorded.iter().any(|recorded| recorded.tip != oldest.tip) {
                let message =
                    "what is recorded of the projects is of several tips; the oldest is told"
                        .to_owned();
                request.warn(&mut self.outcome.warnings, None, message);
            }
        }
        let tip = self.outcome.remote.before;
        self.decide(
            recorded
                .into_iter()
                .map(|recorded| recorded.listing)
                .collect(),
            tip,
        );
        Ok(())
    }

    #[tracing::instrument(level = "debug", name = "plan", skip_all)]
    fn decide(&mut self, listings: Vec<Listing>, base: Option<ObjectId>) {
        let request = self.request;
        let first = self.decisions.is_empty();
        let one = |(number, (project, listing)): (usize, (&&Project, &Listing))| {
            if self.failed.contains_key(&number) {
                return Decision::UpToDate(ProjectPlan::default());
            }
            plan(project, &self.snapshots[number], listing, request.deletes)
        };
        let decisions: Vec<_> = request
            .projects
            .par_iter()
            .zip(&listings)
            .enumerate()
            .map(|(n, pair)| one((n, pair)))
            .collect();
        for (number, decision) in decisions.iter().enumerate() {
            let empty = matches!(decision, Decision::UpToDate(plan) if plan.unchanged == 0);
            if first
                && empty
                && self.snapshots[number].files.is_empty()
                && !self.failed.contains_key(&number)
            {
                let message =
                    "no source file matches, and the codex holds none of it either".to_owned();
                request.warn(
                    &mut self.outcome.warnings,
                    Some(request.projects[number]),
                    message,
                );
            }
        }
        self.decisions = decisions;
        self.listings = listings;
        self.planned_on = base;
        if request.dry_run {
            self.landing = Landing::Planned;
        }
        self.outcome.plan_id = Some(plan_id(
            base,
            self.going()
                .map(|(_, project, plan)| (Some(&project.to), plan)),
        ));
    }

    /// Records what the codex holds now, for a next run to compare with. Whatever comes of it, the push is done.
    fn record(&mut self, session: &RemoteSession) {
        let request = self.request;
        let landed = self.landing == Landing::Landed;
        let tip = if landed {
            self.outcome.remote.after
        } else {
            session.target.tip
        };
        // Listings are true of what the plan was made on, and a run may end between a fetch and the plan on it.
        let planned = session.base.tip == self.planned_on && session.base.tip == session.target.tip;
        let is_known = planned && session.store.is_some();
        if !landed && !is_known {
            return;
        }
        let state = state(request);
        let branch = &session.target.branch;
        let numbers: Vec<_> = (0..self.decisions.len())
            .filter(|number| !self.failed.contains_key(number))
            .collect();
        let written: io::Result<()> = numbers.into_par_iter().try_for_each(|number| {
            let listing = match &self.decisions[number] {
                Decision::Go(plan) if landed => self.listings[number].after(plan),
                _ => self.listings[number].clone(),
            };
            let recorded = Recorded {
                branch: branch.clone(),
                tip,
                time: request.now,
                listing,
            };
            state.write(request.projects[number], &recorded)
        });
        if let Err(error) = written {
            let place = shown(&request.workspace.state_dir);
            let message = format!(
                "the state cannot be kept in `{place}`, so the next sync fetches again (`state.dir` names another place): {error}"
            );
            request.warn(&mut self.outcome.warnings, None, message);
        }
    }

    /// The projects that have something to do.
    pub(super) fn going(&self) -> impl Iterator<Item = (usize, &'r Project, &ProjectPlan)> {
        self.decisions
            .iter()
            .enumerate()
            .filter_map(|(number, decision)| match decision {
                Decision::Go(plan) => Some((number, self.request.projects[number], plan)),
                _ => None,
            })
    }
}
