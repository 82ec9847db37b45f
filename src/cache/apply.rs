//! Carries out a plan: removes and writes files, and then records the result in the manifest.

use std::collections::{HashMap, HashSet};
use std::io;

use bstr::{BStr, BString, ByteSlice};
use rayon::prelude::*;

use super::cache_plan::CachePlan;
use super::dir::CacheDir;
use super::error::{CacheError, write_error};
use super::open_cache::Cache;
use super::request::{CacheOwner, RequestResult};
use crate::platform;
use crate::scan::SourceFile;
use crate::stat::Stat;

/// The number of files that one thread reads and then writes before others may take over.
const FILES_PER_TASK: usize = 256;
/// The same in bytes. This limits the memory that contents need.
const BYTES_PER_TASK: u64 = 1 << 20;

impl Cache {
    /// Carries out a plan. `contents` returns the content of a file; it is called in the order of
    /// `position` and then of the paths. A file that cannot be read, written or removed is moved to
    /// [`RequestResult::refused`], and the others are completed.
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

        if plan.files().next().is_some() {
            self.record_pending_writes(&plan).map_err(error)?;
        }
        let mut failed = remove_files(directory, &plan);
        let mut observed = HashMap::new();
        for (path, result) in write_files(directory, &plan, position, &contents) {
            match result {
                Ok(stat) => {
                    observed.insert(path, stat);
                }
                Err(source) if affects_all_files(&source) => return Err(error(source)),
                Err(source) => {
                    failed.insert(path, source.to_string());
                }
            }
        }

        let results = self.record(plan, failed, observed);
        self.save().map_err(error)?;
        Ok(results)
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
        let results = self.record(plan, HashMap::new(), HashMap::new());
        if let Err(error) = self.save() {
            tracing::debug!(path = %self.path.display(), %error, "cannot update the manifest of the cache");
        }
        results
    }

    /// Moves the changes that `failed` to the refused files, and updates the manifest in memory.
    pub(super) fn record(
        &mut self,
        plan: CachePlan,
        mut failed: HashMap<BString, String>,
        written: HashMap<BString, Stat>,
    ) -> Vec<RequestResult> {
        let CachePlan {
            mut results,
            requests,
            mut observed,
            ..
        } = plan;
        for RequestResult { plan, refused, .. } in &mut results {
            plan.changes
                .retain(|change| match failed.remove_entry(&change.path) {
                    Some(failure) => {
                        refused.push(failure);
                        false
                    }
                    None => true,
                });
        }

        observed.extend(written);
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

/// Removes the deleted files, and returns those that could not be removed, with the reason.
fn remove_files(directory: &CacheDir, plan: &CachePlan) -> HashMap<BString, String> {
    let mut failed = HashMap::new();
    for path in plan.deleted() {
        if let Err(error) = directory.remove(path.as_bstr()) {
            failed.insert(path.clone(), error.to_string());
        }
    }
    failed
}

/// Writes the files in parallel, and returns the stat or the error of each.
fn write_files<P: Ord>(
    directory: &CacheDir,
    plan: &CachePlan,
    position: impl Fn(&SourceFile) -> P,
    contents: &(impl Fn(&SourceFile) -> Result<Vec<u8>, String> + Sync),
) -> Vec<(BString, io::Result<Stat>)> {
    let mut files: Vec<&SourceFile> = plan.files().collect();
    files.sort_by_cached_key(|file| (position(file), file.source.as_bstr()));
    let tasks = tasks(&files);

    let write_task = |files: &[&SourceFile]| -> Vec<(BString, io::Result<Stat>)> {
        let read = files.iter().map(|file| (*file, contents(file)));
        let mut read: Vec<_> = read.collect();
        read.sort_unstable_by_key(|(file, _)| file.source.as_bstr());

        let mut writer = directory.writer(plan.force);
        let mut write = |file: &SourceFile, contents: Result<Vec<u8>, String>| {
            let writer = writer
                .as_mut()
                .map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
            let contents = contents.map_err(io::Error::other)?;
            writer.write(file.source.as_bstr(), file.mode, &contents)
        };
        read.into_iter()
            .map(|(file, contents)| (file.source.clone(), write(file, contents)))
            .collect()
    };
    tasks.into_par_iter().flat_map_iter(write_task).collect()
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
