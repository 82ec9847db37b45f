//! Reads the files that are published.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::scan::{ScanError, SourceRoot};
use crate::workspace::Project;

/// The source roots, opened on demand. At most [`SourceRoots::LIMIT`] are open at a time, because a
/// workspace may have more projects than the process may have open files.
pub(super) struct SourceRoots<'r> {
    projects: &'r [&'r Project],
    open: Mutex<BTreeMap<usize, Arc<SourceRoot>>>,
}

impl<'r> SourceRoots<'r> {
    const LIMIT: usize = 64;

    pub(super) fn new(projects: &'r [&'r Project]) -> Self {
        Self {
            projects,
            open: Mutex::default(),
        }
    }

    /// Returns the root of the project at `index`.
    pub(super) fn get(&self, index: usize) -> Result<Arc<SourceRoot>, ScanError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = open.get(&index) {
            return Ok(root.clone());
        }

        if open.len() >= Self::LIMIT {
            open.clear();
        }
        let root = Arc::new(SourceRoot::open(self.projects[index])?);
        open.insert(index, root.clone());
        Ok(root)
    }
}
