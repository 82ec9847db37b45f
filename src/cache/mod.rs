//! The local cache: files of the codex in a directory of the workspace, at the paths that they have
//! in the codex.
//!
//! What it guarantees:
//!
//! - Each file is written completely under another name and then renamed; the manifest is written last.
//! - One run at a time changes a cache; other runs wait.
//! - Nothing is written outside the directory or through a link in it.
//! - Only files that the cache itself wrote are replaced or removed. A file that was modified locally is kept and
//!   reported, unless `force` is set.
//!
//! All files and directories get the permissions that the user's umask leaves, so that a group can
//! share a cache.
//!
//! A run makes a [`CacheRequest`] per project, [plans](Cache::plan) all requests of one cache together,
//! and then either [applies](Cache::apply) the plan or, in a dry run, [simulates](Cache::simulate)
//! it.

mod apply;
mod cache_plan;
mod dir;
mod manifest;
pub(crate) mod selected;
mod simulate;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use cap_std::fs::Dir;

pub(crate) use cache_plan::{CachePlan, KeepReason, RequestResult};
use dir::{CacheDir, DiskEntry};
use manifest::LoadError;
pub(crate) use manifest::{CacheOwner, Cached, Manifest, Reason, RequestRecord};
use simulate::Overlay;

use crate::interrupt::{Interrupt, Interrupted};
use crate::lock;
use crate::paths::shown;
use crate::plan::Entry;
use crate::stat::Stat;

/// The directory in the cache for the program's own files. A path of the codex that begins with
/// this name is rejected.
pub(crate) const CONTROL: &str = ".fractary-codex";
/// The lock file in [`CONTROL`], which one run at a time holds.
const LOCK: &str = "lock";
/// The marker file that keeps git from tracking the cache.
const GITIGNORE_NAME: &str = ".gitignore";
const GITIGNORE: &str = "*\n";
/// The marker file by which backup programs recognize a cache.
const CACHEDIR_TAG_NAME: &str = "CACHEDIR.TAG";
const CACHEDIR_TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# This directory is written by fractary-codex.\n";
/// Names at the top of the cache that the program uses itself.
const OWN_NAMES: [&str; 3] = [CONTROL, GITIGNORE_NAME, CACHEDIR_TAG_NAME];

/// A cache that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The directory or one of the program's own files in it cannot be created, opened or read.
    #[error("the cache `{}` cannot be used", shown(path))]
    Open {
        /// The cache's directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// One of the program's own files in the directory is damaged, or from another version of the
    /// program. It is then unknown which files the cache wrote, so none is changed.
    #[error(
        "the cache `{}` cannot be used: `{CONTROL}/{file}` is damaged, or from another version of this program",
        shown(path)
    )]
    Damaged {
        /// The cache's directory.
        path: PathBuf,
        /// The name of the damaged file in the control directory.
        file: &'static str,
    },
    /// The directory cannot be written, which affects every file in it.
    #[error("the cache `{}` cannot be written", shown(path))]
    Write {
        /// The cache's directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The run was asked to stop while it waited for the lock.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// The complete list of files that one owner needs in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheRequest {
    /// The project, and why it needs the files.
    pub owner: CacheOwner,
    /// The record of this request in the manifest.
    pub record: RequestRecord,
    /// Regular files by their path in the codex. Files that the owner had and that are not in this
    /// map are removed, unless another owner needs them.
    pub files: BTreeMap<BString, Entry>,
    /// Whether the owner is removed from the manifest as soon as no file belongs to it.
    pub removes_owner: bool,
}

/// The difference between a file and the version that the cache wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The content, the mode or the type is different.
    Changed,
    /// The file does not exist.
    Missing,
}

/// An open cache. Other runs are locked out, unless it was opened without write access.
pub(crate) struct Cache {
    path: PathBuf,
    /// `None` if the directory does not exist. Only a cache that was opened without write access
    /// can have none.
    directory: Option<CacheDir>,
    manifest: Manifest,
    /// The changes of simulated plans.
    simulated: Overlay,
    _lock: Option<File>,
}

impl Cache {
    /// Opens the cache in `path` and creates it if necessary. Calls `waiting` if another run holds
    /// the lock, and waits for that run.
    pub(crate) fn open(
        path: &Path,
        interrupt: &Interrupt,
        waiting: impl FnOnce(),
    ) -> Result<Self, CacheError> {
        let error = |source| open_error(path, source);
        match std::fs::create_dir_all(path) {
            // Not a directory: opening it fails with that reason.
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
            created => created.map_err(error)?,
        }
        let directory = CacheDir::open(path).map_err(error)?;
        let control = directory.control().map_err(error)?;

        let file = lock::open_in(&control, Path::new(LOCK))
            .map_err(|source| error(with_file_name(LOCK, &source)))?;
        let lock = lock::lock(file, interrupt, waiting)?;

        for (name, text) in [
            (GITIGNORE_NAME, GITIGNORE),
            (CACHEDIR_TAG_NAME, CACHEDIR_TAG),
        ] {
            directory.write_marker(name, text).map_err(error)?;
        }
        directory.remove_leftovers();

        Ok(Self {
            path: path.to_owned(),
            manifest: read_manifest(path, &directory)?,
            directory: Some(directory),
            simulated: Overlay::default(),
            _lock: lock,
        })
    }

    /// Opens the cache in `path` without a lock and without write access. A directory that does not
    /// exist is an empty cache.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, CacheError> {
        let error = |source| open_error(path, source);
        let directory = match CacheDir::open(path) {
            Ok(directory) => Some(directory),
            Err(source) if source.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(error(source)),
        };
        let manifest = match &directory {
            Some(directory) => read_manifest(path, directory)?,
            None => Manifest::default(),
        };

        Ok(Self {
            path: path.to_owned(),
            directory,
            manifest,
            simulated: Overlay::default(),
            _lock: None,
        })
    }

    /// The cache's directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The record of the files in the cache and their owners.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The files that belong to `owner`, by path.
    pub(crate) fn files_of(&self, owner: &CacheOwner) -> BTreeMap<BString, Entry> {
        let files = self.manifest.files.iter();
        files
            .filter(|(_, file)| file.owners.contains(owner))
            .map(|(path, file)| (path.clone(), file.entry))
            .collect()
    }

    /// Compares all files with the manifest, and returns those that differ from the version that
    /// the cache wrote.
    pub(crate) fn verify(&self) -> Result<Vec<(BString, Condition)>, CacheError> {
        let condition = |(path, file): (&BString, &Cached)| {
            let condition = match self.disk_entry(path.as_bstr())? {
                DiskEntry::Absent => Condition::Missing,
                DiskEntry::File { mode, id, .. } if file.was_written(mode, id) => return Ok(None),
                _ => Condition::Changed,
            };
            Ok(Some((path.clone(), condition)))
        };
        let files = self.manifest.files.iter();
        files
            .filter_map(|file| condition(file).transpose())
            .collect()
    }

    /// Removes the files that belong to no other owners than those that `is_selected` selects. An
    /// owner stays in the manifest if any of its files is kept.
    pub(crate) fn clear(
        &mut self,
        is_selected: impl Fn(&CacheOwner) -> bool,
        force: bool,
    ) -> Result<Vec<RequestResult>, CacheError> {
        let plan = self.plan(self.removal_requests(is_selected), force)?;
        self.apply(plan, |_| Err(String::new()))
    }

    /// Requests that remove all files of the owners that `is_selected` selects.
    pub(crate) fn removal_requests(
        &self,
        is_selected: impl Fn(&CacheOwner) -> bool,
    ) -> Vec<CacheRequest> {
        let request = |(owner, record): (&CacheOwner, &RequestRecord)| CacheRequest {
            owner: owner.clone(),
            record: RequestRecord {
                complete: false,
                ..record.clone()
            },
            files: BTreeMap::new(),
            removes_owner: true,
        };
        let owners = self.manifest.owners.iter();
        owners
            .filter(|(owner, _)| is_selected(owner))
            .map(request)
            .collect()
    }

    /// Returns what exists at `path`, including the changes of simulated plans.
    fn disk_entry(&self, path: &BStr) -> Result<DiskEntry, CacheError> {
        if let Some(simulated) = self.simulated.get(path) {
            return Ok(simulated.clone());
        }
        let Some(directory) = &self.directory else {
            return Ok(self.simulated.merge(path, DiskEntry::Absent));
        };

        let recorded = self.manifest.files.get(path);
        let recorded_id = |stat: &Stat, keeps_change_times: &dyn Fn() -> bool| {
            recorded
                .filter(|_| self.is_recorded(path, stat, keeps_change_times))
                .map(|file| file.entry.id)
        };
        let found = directory
            .entry_at(path, recorded_id)
            .map_err(|source| open_error(&self.path, source))?;
        Ok(self.simulated.merge(path, found))
    }

    /// Whether a file with this stat is certainly the file that the manifest describes, so that it
    /// need not be read.
    fn is_recorded(
        &self,
        path: &BStr,
        stat: &Stat,
        keeps_change_times: impl FnOnce() -> bool,
    ) -> bool {
        let recorded = self.manifest.files.get(path).and_then(|file| file.stat);
        recorded.is_some_and(|recorded| {
            stat.is_surely(&recorded, self.manifest.recorded_at, keeps_change_times)
        })
    }

    /// Opens the directory for the program's own files.
    fn control(&self) -> io::Result<Dir> {
        let directory = self.directory.as_ref().ok_or(io::ErrorKind::NotFound)?;
        directory.control()
    }
}

/// Whether the program itself uses this name at the top of the cache, so that the codex cannot have
/// a file there.
pub(crate) fn is_own_name(path: &BStr) -> bool {
    let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    OWN_NAMES
        .iter()
        .any(|name| first.eq_ignore_ascii_case(name.as_bytes()))
}

/// Reads the manifest of the cache in `path`. A cache without one is empty.
fn read_manifest(path: &Path, directory: &CacheDir) -> Result<Manifest, CacheError> {
    let control = directory
        .existing_control()
        .map_err(|source| open_error(path, source))?;
    let Some(control) = control else {
        return Ok(Manifest::default());
    };
    Manifest::load(&control).map_err(|error| match error {
        LoadError::Read(source) => open_error(path, source),
        LoadError::Damaged(file) => CacheError::Damaged {
            path: path.to_owned(),
            file,
        },
    })
}

fn open_error(path: &Path, source: io::Error) -> CacheError {
    CacheError::Open {
        path: path.to_owned(),
        source,
    }
}

fn write_error(path: &Path, source: io::Error) -> CacheError {
    CacheError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Adds the name of one of the program's own files to an error.
fn with_file_name(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{CONTROL}/{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, Mode, hash};

    fn request(project: &str, path: &str, contents: &str) -> CacheRequest {
        let id = hash(Kind::Blob, contents.as_bytes());
        let entry = Entry {
            mode: Mode::File,
            id,
        };
        CacheRequest {
            owner: CacheOwner {
                project: project.parse().unwrap(),
                reason: Reason::Pulled,
            },
            record: RequestRecord {
                remote: String::new(),
                branch: String::new(),
                tip: None,
                digest: id,
                complete: true,
                time: 0,
            },
            files: [(path.into(), entry)].into(),
            removes_owner: false,
        }
    }

    #[test]
    fn pending_writes_of_a_killed_run_are_known_until_the_next_request_of_their_owner() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Cache::open(directory.path(), &Interrupt::default(), || {}).unwrap();
        let sync = |request: CacheRequest, contents: &str| {
            let mut cache = open();
            let plan = cache.plan(vec![request], false).unwrap();
            cache.apply(plan, |_| Ok(contents.into())).unwrap();
        };
        sync(request("a", "a.md", "one"), "one");

        // A run that is killed after it wrote the file and before it wrote the manifest.
        let cache = open();
        let plan = cache.plan(vec![request("a", "a.md", "two")], false);
        cache.record_pending_writes(&plan.unwrap()).unwrap();
        std::fs::write(directory.path().join("a.md"), "two").unwrap();
        drop(cache);

        sync(request("b", "b.md", "b"), "b");
        assert_eq!(open().verify().unwrap(), []);
        sync(request("a", "a.md", "three"), "three");
        let contents = std::fs::read(directory.path().join("a.md")).unwrap();
        assert_eq!(contents, b"three");
    }
}
