//! Dry runs: a cache is opened and a plan is applied without writing anything. Errors of the run
//! are predicted as far as that is possible: from the permissions of directories and the state of
//! file systems, but not from the free space.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use cap_std::fs::{Dir, OpenOptions};

use super::apply::{Applied, affects_all_files};
use super::cache_plan::CachePlan;
use super::dir::{CacheDir, DiskEntry, split};
use super::error::{CacheError, open_error, with_file_name, write_error};
use super::open_cache::Cache;
use super::own_files::{CACHEDIR_TAG_NAME, GITIGNORE_NAME, LOCK};
use super::refusal::Refusal;
use super::request::RequestResult;
use crate::stat::Stat;
use crate::{lock, platform};

impl Cache {
    /// Opens the cache in `path` for a dry run: without a lock and without write access, but with
    /// the errors of [`Cache::open`].
    pub(crate) fn open_simulated(path: &Path) -> Result<Self, CacheError> {
        Self::open_read_only(path)?.reopen_simulated()
    }

    /// The same for a cache that was opened without write access.
    pub(crate) fn reopen_simulated(self) -> Result<Self, CacheError> {
        let checked = match &self.directory {
            Some(directory) => check_open(directory),
            None => check_creatable(&self.path),
        };
        checked.map_err(|source| open_error(&self.path, source))?;
        Ok(self)
    }

    /// Applies a plan in memory only, so that a dry run can plan the next step on the result.
    /// Returns what [`Cache::apply`] would return.
    pub(crate) fn simulate(&mut self, plan: CachePlan) -> Result<Vec<RequestResult>, CacheError> {
        if self.is_up_to_date(&plan) {
            return Ok(plan.results);
        }
        let failed = self.predict_failures(&plan)?;
        let applied = Applied {
            failed,
            ..Applied::default()
        };
        let results = self.record(plan, applied);

        for change in results.iter().flat_map(|result| &result.plan.changes) {
            let entry = match change.op.file() {
                Some(file) => DiskEntry::File {
                    mode: file.mode,
                    id: file.id,
                    stat: Stat::default(),
                },
                None => DiskEntry::Absent,
            };
            self.simulated.insert(change.path.clone(), entry);
        }
        Ok(results)
    }

    /// Returns the files that could not be written or removed, with the reason.
    fn predict_failures(&self, plan: &CachePlan) -> Result<HashMap<BString, Refusal>, CacheError> {
        let mut failed = HashMap::new();
        // A cache that does not exist yet can be created: that was checked when it was opened.
        let Some(directory) = &self.directory else {
            return Ok(failed);
        };
        let error = |source| write_error(&self.path, source);
        if let Some(control) = directory.existing_control().map_err(error)? {
            platform::check_writable(&control).map_err(error)?;
        }

        let mut checked: HashMap<&BStr, Option<Refusal>> = HashMap::new();
        let written = plan.files().map(|file| &file.source);
        for path in written.chain(plan.deleted()) {
            let (parent, _) = split(path.as_bstr());
            let failure = match checked.get(parent) {
                Some(failure) => failure,
                None => {
                    let failure = match directory.check_writable(parent) {
                        Ok(()) => None,
                        Err(source) if affects_all_files(&source) => return Err(error(source)),
                        Err(source) => Some(Refusal::from(&source)),
                    };
                    checked.entry(parent).or_insert(failure)
                }
            };
            if let Some(failure) = failure {
                failed.insert(path.clone(), failure.clone());
            }
        }
        Ok(failed)
    }
}

/// Checks that [`Cache::open`] can open an existing directory.
fn check_open(directory: &CacheDir) -> io::Result<()> {
    match directory.existing_control()? {
        Some(control) => {
            check_lock(&control).map_err(|error| with_file_name(LOCK, &error))?;
        }
        None => directory.check_writable(BStr::new(""))?,
    }
    let markers = [GITIGNORE_NAME, CACHEDIR_TAG_NAME];
    if markers.iter().all(|name| directory.has_marker(name)) {
        return Ok(());
    }
    directory.check_writable(BStr::new(""))
}

/// Checks that the lock file can be opened or created, as [`lock::open_in`] does.
fn check_lock(control: &Dir) -> io::Result<()> {
    let name = Path::new(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match platform::open_own_file(control, name, &options) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => platform::check_writable(control),
            io::ErrorKind::PermissionDenied => lock::open_existing_in(control, name).map(drop),
            _ => Err(error),
        },
    }
}

/// Checks that a directory which does not exist can be created.
fn check_creatable(path: &Path) -> io::Result<()> {
    if path.is_symlink() {
        // Its target does not exist.
        return path.metadata().map(drop);
    }
    let existing = path.ancestors().skip(1).find(|above| above.exists());
    let existing = existing.unwrap_or(Path::new("."));
    let directory = Dir::open_ambient_dir(existing, cap_std::ambient_authority())?;
    platform::check_writable(&directory)
}
