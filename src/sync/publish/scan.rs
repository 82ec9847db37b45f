//! The first stage: reads and hashes the sources of all projects, once per run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::mpsc::Sender;

use rayon::prelude::*;

use crate::event::{Counter, Event, Stage};
use crate::outcome::{SyncError, Warning};
use crate::plan::{Decision, Listing, plan};
use crate::scan::{ScanError, Skipped, Snapshot, StatCachePolicy, useless_patterns};
use crate::sync::request::{SyncRequest, Task};

/// The number of projects that a thread scans before it takes others.
const PROJECTS_PER_TASK: usize = 16;

/// The sources of a run.
#[derive(Default)]
pub(super) struct Scanned {
    /// One per project, in the order of the request. Empty for a project that failed.
    pub(super) snapshots: Vec<Snapshot>,
    /// The projects whose sources could not be read, by index, whether in the scan or later.
    pub(super) failed: BTreeMap<usize, ScanError>,
    /// The paths of each project that git has left out of the working tree, once a plan needed them.
    left_out: Vec<OnceLock<Vec<Skipped>>>,
    /// The projects with a warning about such paths, by index.
    warned: BTreeSet<usize>,
}

/// A project whose sources could no longer be read when its files were to be sent.
pub(super) struct SourceFailure {
    /// The index of the project.
    pub(super) project: usize,
    pub(super) error: ScanError,
}

/// Scans all projects in parallel and returns the results in their order. Commands that remove or
/// move a project need no sources.
///
/// A message is sent to `changed` as soon as a file differs from the last scan, so that the fetch
/// can start before all scans are done.
pub(super) fn scan_all(
    request: &SyncRequest<'_>,
    changed: Option<Sender<()>>,
) -> Vec<Result<Snapshot, ScanError>> {
    if request.task != Task::Sync {
        let nothing = request.projects.iter().map(|_| Ok(Snapshot::default()));
        return nothing.collect();
    }
    request
        .reporter
        .event(&Event::Started { stage: Stage::Scan });
    let counter = Counter::new(
        request.reporter.as_ref(),
        Stage::Scan,
        Some(request.projects.len()),
    );
    let mut caches = StatCachePolicy::new(&request.workspace.state_dir);
    caches.trust = !request.rescan;
    caches.keep = !request.dry_run;
    caches.changed = changed;

    let results = request
        .projects
        .par_iter()
        // Projects can differ much in size, so that the last ones must not be in one task.
        .with_max_len(PROJECTS_PER_TASK)
        .map(|project| {
            let sources = &request.sources;
            let result = sources.scan(project, &caches, &request.interrupt, &counter);
            counter.unit();
            result
        })
        .collect();

    request
        .reporter
        .event(&Event::Finished { stage: Stage::Scan });
    results
}

impl Scanned {
    /// Collects the results of a scan, and warns about skipped paths and useless patterns. An
    /// interruption is an error of the run. Any other error only fails its project.
    pub(super) fn new(
        request: &SyncRequest<'_>,
        results: Vec<Result<Snapshot, ScanError>>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, SyncError> {
        let mut scanned = Self::default();
        for (index, (result, project)) in results.into_iter().zip(&request.projects).enumerate() {
            let snapshot = match result {
                Ok(snapshot) => snapshot,
                Err(ScanError::Interrupted(interrupted)) => return Err(interrupted.into()),
                Err(error) => {
                    scanned.failed.insert(index, error);
                    Snapshot::default()
                }
            };
            for skipped in &snapshot.skipped {
                request.warn(warnings, Some(project), skipped.to_string());
            }
            scanned.snapshots.push(snapshot);
        }
        scanned
            .left_out
            .resize_with(scanned.snapshots.len(), OnceLock::new);

        let surveyed: Vec<_> = request
            .projects
            .iter()
            .zip(&scanned.snapshots)
            .enumerate()
            .filter(|(index, _)| !scanned.failed.contains_key(index))
            .map(|(_, (project, snapshot))| (*project, snapshot.unmatched.as_slice()))
            .collect();
        for useless in useless_patterns(&surveyed) {
            request.warn(warnings, useless.project, useless.message);
        }
        Ok(scanned)
    }

    /// Compares a project with its files in the codex. The index of its repository is only read if
    /// anything would change: a file that is missing because git has left it out of the working
    /// tree was not deleted.
    pub(super) fn decide(
        &self,
        request: &SyncRequest<'_>,
        index: usize,
        listing: &Listing,
    ) -> Decision {
        let (project, snapshot) = (request.projects[index], &self.snapshots[index]);
        let decision = plan(project, snapshot, listing, request.deletes);
        if decision.plan().changes.is_empty() {
            return decision;
        }
        let left_out = self.left_out[index].get_or_init(|| request.sources.left_out_files(project));
        if left_out.is_empty() {
            return decision;
        }
        plan(
            project,
            &snapshot.skipping(left_out),
            listing,
            request.deletes,
        )
    }

    /// Warns about the paths that git has left out of the working tree, once per project.
    pub(super) fn warn_of_left_out(
        &mut self,
        request: &SyncRequest<'_>,
        warnings: &mut Vec<Warning>,
    ) {
        for (index, left_out) in self.left_out.iter().enumerate() {
            let left_out = left_out.get().into_iter().flatten();
            let mut left_out = left_out.peekable();
            if left_out.peek().is_some() && self.warned.insert(index) {
                for skipped in left_out {
                    request.warn(warnings, Some(request.projects[index]), skipped.to_string());
                }
            }
        }
    }
}
