//! The contents of files that a clone holds, for several threads at once.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::store::{StoreError, oid_of};
use crate::object::ObjectId;

/// Reads contents. Each thread works with a handle of its own.
pub struct Contents {
    path: PathBuf,
    idle: Mutex<Vec<git2::Repository>>,
}

impl Contents {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    /// The contents with this id; an error if the clone does not hold them.
    pub fn read(&self, id: ObjectId) -> Result<Vec<u8>, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let repository = waiting.map_or_else(|| git2::Repository::open(&self.path), Ok)?;
        let contents = repository.find_blob(oid_of(id)).map(|blob| blob.content().to_vec());
        idle().push(repository);
        Ok(contents?)
    }
}
