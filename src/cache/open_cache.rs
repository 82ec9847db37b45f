//! An open cache: its lock, its manifest, and its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bstr::{BStr, BString, ByteSlice};
use cap_std::fs::Dir;

use super::dir::{CacheDir, Cursor, DiskEntry};
use super::error::{CacheError, open_error, with_file_name};
use super::implied_trees::ImpliedTrees;
use super::manifest::{Cached, LoadError, Manifest, ManifestFiles};
use super::overlay::Overlay;
use super::own_files::{CACHEDIR_TAG, CACHEDIR_TAG_NAME, GITIGNORE, GITIGNORE_NAME, LOCK};
use super::request::{CacheOwner, CacheRequest, RequestRecord};
use crate::interrupt::Interrupt;
use crate::lock;
use crate::object::{Kind, ObjectId, hash};
use crate::plan::Entry;
use crate::stat::Stat;

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
    pub(super) path: PathBuf,
    /// `None` if the directory does not exist. Only a cache that was opened without write access
    /// can have none.
    pub(super) directory: Option<CacheDir>,
    pub(super) manifest: Manifest,
    /// The files that the manifest was read from.
    files: ManifestFiles,
    /// The trees that the files formed when they were first asked for.
    implied_trees: OnceLock<ImpliedTrees>,
    /// The changes of simulated plans.
    pub(super) simulated: Overlay,
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
        Self::lock(path, interrupt, waiting, None)
    }

    /// The same for a cache that was opened without write access. Its manifest is only read again if
    /// another run has written it meanwhile.
    pub(crate) fn reopen(
        self,
        interrupt: &Interrupt,
        waiting: impl FnOnce(),
    ) -> Result<Self, CacheError> {
        let earlier = (self.manifest, self.files);
        Self::lock(&self.path, interrupt, waiting, Some(earlier))
    }

    fn lock(
        path: &Path,
        interrupt: &Interrupt,
        waiting: impl FnOnce(),
        earlier: Option<(Manifest, ManifestFiles)>,
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

        let (manifest, files) = match earlier {
            Some(earlier) if earlier.1 == ManifestFiles::look(&control).map_err(error)? => earlier,
            _ => read_manifest(path, &directory)?,
        };
        Ok(Self {
            path: path.to_owned(),
            manifest,
            files,
            directory: Some(directory),
            implied_trees: OnceLock::new(),
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
        let (manifest, files) = match &directory {
            Some(directory) => read_manifest(path, directory)?,
            None => Default::default(),
        };

        Ok(Self {
            path: path.to_owned(),
            directory,
            manifest,
            files,
            implied_trees: OnceLock::new(),
            simulated: Overlay::default(),
            _lock: None,
        })
    }

    /// The cache's directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of the tree with this id, if recorded files of the cache form it.
    pub(crate) fn implied_tree(&self, id: ObjectId) -> Option<&[u8]> {
        let trees = self.implied_trees.get_or_init(|| {
            let files = self.manifest.files.iter();
            ImpliedTrees::new(files.map(|(path, file)| (path.as_bstr(), file.entry)))
        });
        trees.get(id)
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
        let mut differing = Vec::new();
        for (path, file) in &self.manifest.files {
            let condition = self.condition(path, file)?;
            differing.extend(condition.map(|condition| (path.clone(), condition)));
        }
        Ok(differing)
    }

    /// Compares the file at `path` with its record; `None` if it is as the cache wrote it.
    pub(crate) fn condition(
        &self,
        path: &BString,
        file: &Cached,
    ) -> Result<Option<Condition>, CacheError> {
        let mut cursor = self.cursor();
        Ok(
            match self.disk_entry(&mut cursor, path.as_bstr(), Some(file))? {
                DiskEntry::Absent => Some(Condition::Missing),
                DiskEntry::File { mode, id, .. } if file.was_written(mode, id) => None,
                _ => Some(Condition::Changed),
            },
        )
    }

    /// The contents of the file at `path`, if it is the version that the cache wrote.
    pub(crate) fn contents(&self, path: &BStr) -> Option<Vec<u8>> {
        let recorded = self.manifest.files.get(path)?;
        let contents = self.directory.as_ref()?.read(path).ok()??;
        (hash(Kind::Blob, &contents) == recorded.entry.id).then_some(contents)
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
            kept: BTreeSet::new(),
            removes_owner: true,
        };
        let owners = self.manifest.owners.iter();
        owners
            .filter(|(owner, _)| is_selected(owner))
            .map(request)
            .collect()
    }

    /// A cursor in the directory of the cache; `None` if that does not exist.
    pub(super) fn cursor(&self) -> Option<Cursor<'_>> {
        self.directory.as_ref().map(CacheDir::cursor)
    }

    /// Returns what exists at `path`, including the changes of simulated plans. `cursor` is one of
    /// [`Self::cursor`], and `recorded` the record of the path in the manifest.
    pub(super) fn disk_entry(
        &self,
        cursor: &mut Option<Cursor<'_>>,
        path: &BStr,
        recorded: Option<&Cached>,
    ) -> Result<DiskEntry, CacheError> {
        if let Some(simulated) = self.simulated.get(path) {
            return Ok(simulated.clone());
        }
        let Some(cursor) = cursor else {
            return Ok(self.simulated.merge(path, DiskEntry::Absent));
        };

        let recorded_id = |stat: &Stat, keeps_change_times: &dyn Fn() -> bool| {
            recorded
                .filter(|_| self.is_recorded(recorded, stat, keeps_change_times))
                .map(|file| file.entry.id)
        };
        let found = cursor
            .entry_at(path, recorded_id)
            .map_err(|source| open_error(&self.path, source))?;
        Ok(self.simulated.merge(path, found))
    }

    /// Whether a file with this stat is certainly the file that the record describes, so that it
    /// need not be read.
    pub(super) fn is_recorded(
        &self,
        recorded: Option<&Cached>,
        stat: &Stat,
        keeps_change_times: impl FnOnce() -> bool,
    ) -> bool {
        let recorded = recorded.and_then(|file| file.stat);
        recorded.is_some_and(|recorded| {
            stat.is_surely(&recorded, self.manifest.recorded_at, keeps_change_times)
        })
    }

    /// Opens the directory for the program's own files.
    pub(super) fn control(&self) -> io::Result<Dir> {
        let directory = self.directory.as_ref().ok_or(io::ErrorKind::NotFound)?;
        directory.control()
    }
}

/// Reads the manifest of the cache in `path`. A cache without one is empty.
fn read_manifest(
    path: &Path,
    directory: &CacheDir,
) -> Result<(Manifest, ManifestFiles), CacheError> {
    let error = |source| open_error(path, source);
    let Some(control) = directory.existing_control().map_err(error)? else {
        return Ok(Default::default());
    };
    // Files that are replaced after this are noticed.
    let files = ManifestFiles::look(&control).map_err(error)?;
    let manifest = Manifest::load(&control).map_err(|error| match error {
        LoadError::Read(source) => open_error(path, source),
        LoadError::Damaged(file) => CacheError::Damaged {
            path: path.to_owned(),
            file,
        },
    })?;
    Ok((manifest, files))
}
