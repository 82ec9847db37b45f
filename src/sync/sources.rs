//! The projects' side of a run: scanning them, and reading again what is to be published.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::SyncRequest;
use crate::event::{Counter, Event, Stage};
use crate::scan::{ScanError, Snapshot, SourceRoot, StatCachePolicy, scan};
use crate::workspace::Project;

/// Scans every chosen project, in parallel. `news` is told as soon as something is seen to have changed.
pub(super) fn scan_all(
    request: &SyncRequest<'_>,
    news: Option<Sender<()>>,
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
        news,
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

/// Open roots, a bounded number of them: a workspace may have more projects than a process may have open files.
pub(super) struct Roots<'r> {
    projects: &'r [&'r Project],
    open: Mutex<BTreeMap<usize, Arc<SourceRoot>>>,
}

impl<'r> Roots<'r> {
    pub(super) fn new(projects: &'r [&'r Project]) -> Self {
        Self {
            projects,
            open: Mutex::default(),
        }
    }

    const LIMIT: usize = 64;

    /// The root of the project with this number.
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
