//! Carries out a plan: removes and writes files, and then records the result in the manifest.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

use bstr::{BStr, BString, ByteSlice};
use rayon::prelude::*;

use super::cache_plan::CachePlan;
use super::dir::{CacheDir, StagedFile, Staging};
use super::error::{CacheError, write_error};
use super::open_cache::Cache;
use super::refusal::Refusal;
use super::request::{CacheOwner, CacheRequest, KeepReason, RequestResult};
use crate::plan::Change;
use crate::platform;
use crate::scan::SourceFile;
use crate::stat::Stat;

/// The number of files that one thread writes before others may take over.
const FILES_PER_TASK: usize = 256;
/// The same in bytes. This limits the memory that contents need.
const BYTES_PER_TASK: u64 = 1 << 20;

/// What became of the changes of a plan.
#[derive(Default)]
pub(super) struct Applied {
    /// The stat of each file that was written.
    pub(super) written: HashMap<BString, Stat>,
    /// The files that somebody changed after the plan was made.
    pub(super) kept: HashSet<BString>,
    /// The changes that failed, with the reason.
    pub(super) failed: HashMap<BString, Refusal>,
}

impl Cache {
    /// Carries out a plan. `contents` returns the content of a file; it is called in the order of
    /// `position` and then of the paths. A file that cannot be read, written or removed is moved to
    /// [`RequestResult::refused`], one that was changed since the plan was made is moved to
    /// [`RequestResult::kept`], and the others are completed.
    pub(crate) fn apply<P: Ord>(
        &mut self,
        plan: CachePlan,
        position: impl Fn(&SourceFile) -> P,
        contents: impl Fn(&SourceFile) -> Result<Vec<u8>, String> + Sync,
    ) -> Result<Vec<RequestResult>, CacheError> {
        if self.is_up_to_date(&plan) {
            return Ok(self.record_stats(plan));
        }
        let Some(directory) = &self.directory else {
            return Ok(plan.results);
        };
        let path = self.path.clone();
        let error = |source| write_error(&path, source);
        let _span = tracing::debug_span!("copy", to = %path.display()).entered();

        // All contents are written before the first file is replaced. If the disk is full, the cache
        // stays as it is.
        let mut applied = Applied::default();
        let mut staged = HashMap::new();
        if plan.files().next().is_some() {
            self.record_pending_writes(&plan).map_err(error)?;
            let staging = directory.staging().map_err(error)?;
            for (path, result) in stage_files(&staging, &plan, position, &contents) {
                match result {
                    Ok(file) => {
                        staged.insert(path, file);
                    }
                    Err(source) if affects_all_files(&source) => {
                        directory.remove_leftovers();
                        return Err(error(source));
                    }
                    Err(source) => {
                        applied
                            .failed
                            .insert(path.to_owned(), Refusal::from(&source));
                    }
                }
            }
        }
        self.remove_files(directory, &plan, &mut applied);
        self.place_files(directory, &plan, &staged, &mut applied);
        drop(staged);

        let results = self.record(plan, applied);
        self.save()
            .map_err(|source| CacheError::Record { path, source })?;
        Ok(results)
    }

    /// Removes the deleted files.
    fn remove_files(&self, directory: &CacheDir, plan: &CachePlan, applied: &mut Applied) {
        for change in plan.changes().filter(|change| change.op.file().is_none()) {
            let removed = directory.remove(change.path.as_bstr(), &self.expected(plan, change));
            match removed {
                Ok(true) => {}
                Ok(false) => {
                    applied.kept.insert(change.path.clone());
                }
                Err(error) => {
                    applied
                        .failed
                        .insert(change.path.clone(), Refusal::from(&error));
                }
            }
        }
    }

    /// Renames the staged files to their paths.
    fn place_files(
        &self,
        directory: &CacheDir,
        plan: &CachePlan,
        staged: &HashMap<&BStr, StagedFile>,
        applied: &mut Applied,
    ) {
        let is_staged = |change: &&Change| staged.contains_key(change.path.as_bstr());
        let mut changes: Vec<_> = plan.changes().filter(is_staged).collect();
        changes.sort_unstable_by_key(|change| &change.path);
        let place_task = |changes: &[&Change]| {
            let mut writer = directory.writer(plan.force);
            let mut place = |change: &Change| {
                let path = change.path.as_bstr();
                writer.place(path, &staged[path], &self.expected(plan, change))
            };
            let placed = changes
                .iter()
                .map(|change| (change.path.clone(), place(change)));
            placed.collect::<Vec<_>>()
        };
        let tasks = changes.par_chunks(FILES_PER_TASK);
        let placed: Vec<_> = tasks.flat_map_iter(place_task).collect();
        for (path, result) in placed {
            match result {
                Ok(Some(stat)) => {
                    applied.written.insert(path, stat);
                }
                Ok(None) => {
                    applied.kept.insert(path);
                }
                Err(error) => {
                    applied.failed.insert(path, Refusal::from(&error));
                }
            }
        }
    }

    /// Removes the files that `is_cleared` selects and that belong to no other owners than those
    /// that `is_selected` selects. An owner stays in the manifest if any of its files is kept. A dry
    /// run returns the same, and removes nothing.
    pub(crate) fn clear(
        &mut self,
        is_selected: impl Fn(&CacheOwner) -> bool,
        is_cleared: impl Fn(&BStr) -> bool,
        force: bool,
        dry_run: bool,
    ) -> Result<Vec<RequestResult>, CacheError> {
        let mut requests = self.removal_requests(is_selected);
        for request in &mut requests {
            let files = self.files_of(&request.owner).into_keys();
            request.kept = files.filter(|path| !is_cleared(path.as_bstr())).collect();
        }

        let plan = self.plan(requests, force, &|_| HashSet::new())?;
        let mut requests = plan.requests().iter();
        let is_partial = requests.any(|request| !request.kept.is_empty());
        if is_partial && plan.deleted().next().is_none() {
            Ok(plan.results)
        } else if dry_run {
            self.simulate(plan)
        } else {
            self.apply(plan, |_| (), |_| Err(String::new()))
        }
    }

    /// Whether the cache has all requested files of the requested tip already.
    pub(super) fn is_up_to_date(&self, plan: &CachePlan) -> bool {
        let mut results = plan.requests.iter().zip(&plan.results);
        results.all(|(request, result)| {
            let before = self.manifest.owners.get(&request.owner);
            result.plan.changes.is_empty()
                && request.record.complete
                && before.is_some_and(|before| before.satisfies(&request.record))
        })
    }

    /// Records the stat of files that had to be read. If that fails, they are read again by the
    /// next run, and so a cache that is up to date need not be writable.
    fn record_stats(&mut self, plan: CachePlan) -> Vec<RequestResult> {
        if plan.observed.is_empty() {
            return plan.results;
        }
        let results = self.record(plan, Applied::default());
        if let Err(error) = self.save() {
            tracing::debug!(path = %self.path.display(), %error, "cannot update the manifest of the cache");
        }
        results
    }

    /// Moves the changes that were not made to the kept or refused files, and updates the manifest in
    /// memory.
    pub(super) fn record(&mut self, plan: CachePlan, applied: Applied) -> Vec<RequestResult> {
        let CachePlan {
            mut results,
            requests,
            mut observed,
            ..
        } = plan;
        if !applied.failed.is_empty() || !applied.kept.is_empty() {
            for (result, request) in results.iter_mut().zip(&requests) {
                applied.correct(result, request);
            }
        }

        observed.extend(applied.written);
        self.manifest.record_run(requests, &results, &observed);
        results
    }

    /// Records the files of a plan before they are written, in addition to those of earlier runs
    /// that were killed. If this run is killed as well, the next one still knows that the cache
    /// wrote them.
    pub(super) fn record_pending_writes(&self, plan: &CachePlan) -> io::Result<()> {
        self.manifest.save_pending(&self.control()?, plan.files())
    }

    fn save(&mut self) -> io::Result<()> {
        self.manifest.recorded_at = platform::file_system_time(&self.path).unwrap_or_default();
        self.manifest.save(&self.control()?)?;
        self.directory.iter().for_each(CacheDir::remove_leftovers);
        Ok(())
    }
}

impl Applied {
    /// Moves the changes that were not made to the kept or refused files of a result. A file that is
    /// counted as a change of another request is unchanged in this result until then.
    fn correct(&self, result: &mut RequestResult, request: &CacheRequest) {
        let is_open = |path: &BString| self.failed.contains_key(path) || self.kept.contains(path);
        let mut open = BTreeSet::new();
        result.plan.changes.retain(|change| {
            let is_made = !is_open(&change.path);
            if !is_made {
                open.insert(change.path.clone());
            }
            is_made
        });
        for path in self.failed.keys().chain(&self.kept) {
            if request.files.contains_key(path) && open.insert(path.clone()) {
                result.plan.unchanged -= 1;
            }
        }

        for path in open {
            match self.failed.get(&path) {
                Some(refusal) => result.refused.push((path, refusal.clone())),
                None => {
                    result.plan.unmanaged += 1;
                    result.kept.push((path, KeepReason::Edited));
                }
            }
        }
    }
}

/// Writes the contents of all files in parallel, and returns each file that is to be renamed, or the
/// error.
fn stage_files<'p, P: Ord>(
    staging: &Staging,
    plan: &'p CachePlan,
    position: impl Fn(&SourceFile) -> P,
    contents: &(impl Fn(&SourceFile) -> Result<Vec<u8>, String> + Sync),
) -> Vec<(&'p BStr, io::Result<StagedFile>)> {
    let mut files: Vec<&SourceFile> = plan.files().collect();
    files.sort_by_cached_key(|file| (position(file), file.source.as_bstr()));

    let stage = |file: &SourceFile| {
        let contents = contents(file).map_err(io::Error::other)?;
        staging.write(file.mode, &contents)
    };
    let stage_task = |files: &'_ [&'p SourceFile]| -> Vec<_> {
        let staged = files
            .iter()
            .map(|file| (file.source.as_bstr(), stage(file)));
        staged.collect()
    };
    let tasks = tasks(&files);
    tasks.into_par_iter().flat_map_iter(stage_task).collect()
}

/// Divides the files into parts of limited number and size.
fn tasks<'t, 'p>(mut files: &'t [&'p SourceFile]) -> Vec<&'t [&'p SourceFile]> {
    let mut tasks = Vec::new();
    while !files.is_empty() {
        let mut bytes = 0;
        let sizes = files.iter().take(FILES_PER_TASK).map(|file| file.size);
        let fitting = sizes.take_while(|size| {
            bytes += size;
            bytes <= BYTES_PER_TASK
        });
        let (task, rest) = files.split_at(fitting.count().max(1));
        tasks.push(task);
        files = rest;
    }
    tasks
}

/// Whether the error would occur for every other file as well.
pub(super) fn affects_all_files(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use bstr::ByteSlice;

    use super::super::request::{Reason, RequestRecord};
    use super::*;
    use crate::interrupt::Interrupt;
    use crate::object::{Kind, Mode, ObjectId, hash};
    use crate::plan::Entry;

    /// A request for these files, each with its path as the contents and this version.
    fn request(paths: &[&str], version: u8) -> CacheRequest {
        let entry = |path: &&str| {
            let entry = Entry {
                mode: Mode::File,
                id: hash(Kind::Blob, &contents(path, version)),
            };
            (BString::from(*path), entry)
        };
        CacheRequest {
            owner: CacheOwner {
                project: "alpha".parse().unwrap(),
                reason: Reason::Pulled,
            },
            record: RequestRecord {
                remote: String::new(),
                branch: String::new(),
                tip: Some(ObjectId([version; 20])),
                digest: ObjectId([0; 20]),
                complete: true,
                time: 0,
            },
            files: paths.iter().map(entry).collect(),
            kept: BTreeSet::new(),
            removes_owner: false,
        }
    }

    fn contents(path: &str, version: u8) -> Vec<u8> {
        format!("{path} {version}").into_bytes()
    }

    #[test]
    fn files_that_change_after_the_plan_are_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let path = |name: &str| temporary.path().join(name);
        let mut cache = Cache::open(temporary.path(), &Interrupt::default(), || {}).unwrap();
        let plan = |cache: &Cache, paths: &[&str], version| {
            let requests = vec![request(paths, version)];
            cache.plan(requests, false, &|_| HashSet::new()).unwrap()
        };
        let apply = |cache: &mut Cache, plan, version| {
            let read = |file: &SourceFile| Ok(contents(&file.source.to_str_lossy(), version));
            cache.apply(plan, |_| (), read).unwrap().remove(0)
        };
        let old = [
            "d/gone",
            "d/removed",
            "edited",
            "directory",
            "same",
            "touched",
            "vanished",
        ];
        let planned = plan(&cache, &old, 1);
        apply(&mut cache, planned, 1);

        let new = [
            "added/a",
            "created",
            "edited",
            "directory",
            "same",
            "touched",
            "vanished",
        ];
        let planned = plan(&cache, &new, 2);
        let edits = ["d/removed", "created", "edited"];
        for edited in edits {
            fs::write(path(edited), "by a person").unwrap();
        }
        fs::remove_file(path("directory")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        fs::write(path("directory/own"), "by a person").unwrap();
        // Contents that the cache wrote are replaced, whatever the times are.
        fs::write(path("touched"), contents("touched", 1)).unwrap();
        fs::remove_file(path("vanished")).unwrap();
        let result = apply(&mut cache, planned, 2);

        for edited in edits {
            assert_eq!(fs::read(path(edited)).unwrap(), b"by a person", "{edited}");
        }
        assert!(path("directory").is_dir());
        assert!(!path("d/gone").exists());
        for written in ["added/a", "same", "touched", "vanished"] {
            let is = fs::read(path(written)).unwrap();
            assert_eq!(is, contents(written, 2), "{written}");
        }
        let kept: BTreeMap<_, _> = result.kept.into_iter().collect();
        let expected = ["created", "d/removed", "directory", "edited"];
        assert!(kept.keys().eq(expected));
        assert!(kept.values().all(|reason| *reason == KeepReason::Edited));
        assert_eq!((result.plan.unmanaged, result.refused.len()), (4, 0));
        assert_eq!(result.plan.changes.len(), 5, "{:?}", result.plan.changes);

        // The next run still knows that they are not the cache's own.
        let again = plan(&cache, &new, 2);
        assert_eq!(again.results[0].kept.len(), 4, "{:?}", again.results[0]);
    }
}
