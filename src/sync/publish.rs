//! From sources to commits that the remote was seen to hold.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rayon::prelude::*;

use super::opened::{Opened, open, recorded, state};
use super::published::{self, Published};
use super::push::{SAME_TIP_DELAY, SAME_TIP_TRIES, Sent, backoff};
use super::sources::{Roots, scan_all};
use super::{Landing, SyncRequest, empty_outcome, report};
use crate::cache::Cache;
use crate::codex::git_config;
use crate::codex::identity::identity;
use crate::codex::source::SourceRevision;
use crate::config::Direction;
use crate::event::Event;
use crate::object::ObjectId;
use crate::outcome::{SyncError, SyncOutcome};
use crate::paths::{escaped, shown};
use crate::plan::{Decision, Listing, ProjectPlan, plan, plan_id};
use crate::scan::{ScanError, Snapshot};
use crate::state::Recorded;
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
    /// Of a dry run: the caches as they would be.
    caches: BTreeMap<PathBuf, Cache>,
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
        let (scanned, opened) = thread::scope(|scope| {
            let (tell, news) = mpsc::channel();
            let opening = scope.spawn(|| open(request, news));
            let scanned = scan_all(request, Some(tell));
            (scanned, opening.join())
        });
        self.take_scanned(scanned)?;
        let mut opened = opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.outcome.remote.url = opened.transport.url().clone();
        self.outcome.remote.branch = Some(opened.branch.clone());
        self.outcome.remote.before = opened.tip;
        self.outcome.remote.after = opened.tip;
        let result = self.land(&mut opened);
        if !request.dry_run && self.landing != Landing::Unknown {
            self.record(&opened);
        }
        if result.is_ok()
            && request.workspace.caches_published
            && (!request.dry_run || self.goes_both_ways())
        {
            let branch = opened.branch.clone();
            // Whoever waits for a cache holds neither the clone nor the turn: another run may have that cache and wait for
            // one of these.
            drop(opened);
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
            .map(|(number, _)| Published {
                number,
                project: self.request.projects[number],
                snapshot: &self.snapshots[number],
            })
            .collect();
        let (tip, roots) = (
            self.outcome.remote.after,
            Roots::new(&self.request.projects),
        );
        self.caches = published::keep(
            self.request,
            &published,
            branch,
            tip,
            &roots,
            &mut self.outcome.warnings,
        );
    }

    /// Plans, and pushes until it landed or cannot.
    fn land(&mut self, opened: &mut Opened) -> Result<(), SyncError> {
        let request = self.request;
        let identity = identity(&request.workspace.commit, request.environment, request.now);
        let mut delays = None;
        let mut same_tip = 0;
        loop {
            let started = Instant::now();
            request.interrupt.check()?;
            self.plan(opened)?;
            let unready = !self.failed.is_empty()
                || self
                    .decisions
                    .iter()
                    .any(|d| matches!(d, Decision::Withheld(..)));
            if !self.decisions.iter().any(|d| matches!(d, Decision::Go(_))) {
                return Ok(());
            }
            if request.atomic && unready {
                self.landing = Landing::HeldByOthers;
                return Err(SyncError::Atomic);
            }
            if request.dry_run {
                return Ok(());
            }
            if opened.store.is_none() {
                self.fetch(opened)?;
                continue;
            }
            if !self.commit(opened, &identity)? {
                continue;
            }
            request.interrupt.check()?;
            let moved = match self.push(opened)? {
                Sent::Landed => return Ok(()),
                Sent::Moved { reason } => Some(reason),
                Sent::SameTip { reason, words } if same_tip == SAME_TIP_TRIES => {
                    let (place, branch) = (opened.transport.url().place(), opened.branch.clone());
                    return Err(SyncError::Declined {
                        place,
                        branch,
                        reason,
                        words,
                    });
                }
                Sent::SameTip { .. } => {
                    same_tip += 1;
                    None
                }
            };
            let (attempt, of) = (
                self.outcome.attempts,
                request.workspace.retries.saturating_add(1),
            );
            let delays =
                delays.get_or_insert_with(|| backoff(request.workspace.retries, started.elapsed()));
            let delay = match (delays.next(), moved) {
                (Some(delay), Some(reason)) => {
                    request.reporter.event(&Event::Retrying {
                        attempt,
                        of,
                        reason,
                        delay,
                    });
                    delay
                }
                // Nobody was faster; the verdict is asked for again, whatever the number of retries.
                (delay, None) => delay.unwrap_or(SAME_TIP_DELAY),
                (None, Some(last)) => {
                    let (place, branch) = (opened.transport.url().place(), opened.branch.clone());
                    return Err(SyncError::RetriesExhausted {
                        place,
                        branch,
                        attempts: attempt,
                        last,
                    });
                }
            };
            request.interrupt.wait(delay)?;
            self.fetch(opened)?;
        }
    }

    /// Fetches the tip as it is now, for another plan.
    fn fetch(&mut self, opened: &mut Opened) -> Result<(), SyncError> {
        let renewed = opened.fetch(self.request)?;
        if renewed {
            self.written.clear();
        }
        self.outcome.remote.before = opened.tip;
        self.outcome.remote.after = opened.tip;
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
                report(
                    project,
                    decision,
                    self.commits.get(&number).copied(),
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
                let message = format!(
                    "`{}` is not published: {}",
                    escaped(&skipped.source),
                    skipped.reason
                );
                request.warn(&mut self.outcome.warnings, Some(project), message);
            }
            self.snapshots.push(snapshot);
        }
        if !request.dry_run && git_config::wants_signing(request.environment) {
            let message =
                "`commit.gpgsign` is set, but commits to the codex are not signed".to_owned();
            request.warn(&mut self.outcome.warnings, None, message);
        }
        Ok(())
    }

    /// Compares every project with the codex as it is now.
    fn plan(&mut self, opened: &mut Opened) -> Result<(), SyncError> {
        let listings = opened.listings(&self.request.projects)?;
        self.decide(listings, opened.base);
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
    fn record(&mut self, opened: &Opened) {
        let request = self.request;
        let landed = self.landing == Landing::Landed;
        let tip = if landed {
            self.outcome.remote.after
        } else {
            opened.tip
        };
        // Listings are true of what the plan was made on, and a run may end between a fetch and the plan on it.
        let planned = opened.base == self.planned_on && opened.store.is_some();
        if opened.base != opened.tip || !(landed || planned) {
            return;
        }
        let state = state(request);
        let branch = &opened.branch;
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
