//! The first stage: reads and hashes the sources of all projects, once per run.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use rayon::prelude::*;

use crate::event::{Counter, Event, Stage};
use crate::outcome::{SyncError, Warning};
use crate::scan::{ScanError, Snapshot, StatCachePolicy, useless_patterns};
use crate::sync::request::{SyncRequest, Task};

/// The sources of a run.
#[derive(Default)]
pub(super) struct Scanned {
    /// One per project, in the order of the request. Empty for a project that failed.
    pub(super) snapshots: Vec<Snapshot>,
    /// The projects whose sources could not be read, by index, whether in the scan or later.
    pub(super) failed: BTreeMap<usize, ScanError>,
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
    let mut caches = StatCachePolicy::new(request.workspace.state_dir.clone());
    caches.trust = !request.rescan;
    caches.keep = !request.dry_run;
    caches.changed = changed;

    let results = request
        .projects
        .par_iter()
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
}
