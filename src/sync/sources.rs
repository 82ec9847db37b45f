//! The source side of a run: scanning the projects, and reading the files that are published.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::request::SyncRequest;
use crate::event::{Counter, Event, Stage};
use crate::scan::{ScanError, Snapshot, SourceRoot, StatCachePolicy, scan};
use crate::workspace::Project;

/// Scans all selected projects in parallel, and returns the results in their order.
///
/// A message is sent to `changed` as soon as a file differs from the last scan, so that the caller can start to fetch
/// before all scans are done.
pub(super) fn scan_all(
    request: &SyncRequest<'_>,
    changed: Option<Sender<()>>,
) -> Vec<Result<Snapshot, ScanError>> {
    request
        .reporter
        .event(&Event::Started { stage: Stage::Scan });
    let counter = Counter::new(
        request.reporter.as_ref(),
        Stage::Scan,
        Some(request.projects.len()),
    );
    let caches = StatCachePolicy {
        directory: request.workspace.state_dir.clone(),
        trust: !request.rescan,
        keep: !request.dry_run,
        news: changed,
    };

    let scan = |project: &&Project| {
        let scanned = scan(project, &caches, &request.interrupt, &counter);
        counter.project();
        scanned
    };
    let scanned = request.projects.par_iter().map(scan).collect();

    request
        .reporter
        .event(&Event::Finished { stage: Stage::Scan });
    scanned
}

/// The source roots, opened on demand. At most [`Roots::LIMIT`] are open at a time, because a workspace may have more
/// projects than the process may have open files.
pub(super) struct Roots<'r> {
    projects: &'r [&'r Project],
    open: Mutex<BTreeMap<usize, Arc<SourceRoot>>>,
}

impl<'r> Roots<'r> {
    const LIMIT: usize = 64;

    pub(super) fn new(projects: &'r [&'r Project]) -> Self {
        Self {
            projects,
            open: Mutex::default(),
        }
    }

    /// Returns the root of the project at index `number`.
    pub(super) fn get(&self, number: usize) -> Result<Arc<SourceRoot>, ScanError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = open.get(&number) {
            return Ok(root.clone());
        }

        if open.len() >= Self::LIMIT {
            open.clear();
        }
        let root = Arc::new(SourceRoot::open(self.projects[number])?);
        open.insert(number, root.clone());
        Ok(root)
    }
}
