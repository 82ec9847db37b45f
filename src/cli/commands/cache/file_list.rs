//! `cache list`: the files of the selected caches, filtered, sorted and limited.

use std::cmp::Reverse;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};
use serde_json::{Value, json};

use super::selected_cache::SelectedCache;
use crate::cache::{Cache, CacheError, Cached, Condition};
use crate::cli::args::{CacheListArgs, CacheSort, CachedStatus};
use crate::paths::{escaped, shown};
use crate::report::cache::{ListedCache, ListedFileDocument, ListedFileStatus};

/// The files to list.
#[derive(Default)]
pub(super) struct FileList {
    files: Vec<ListedFile>,
}

/// A file of a cache.
struct ListedFile {
    /// The directory of the cache.
    cache: PathBuf,
    path: BString,
    id: String,
    projects: Vec<String>,
    /// In bytes, if it is recorded.
    size: Option<u64>,
    /// The time of the last sync that requested the file, in seconds since the epoch.
    time: i64,
    /// The difference from the version that a sync wrote.
    condition: Option<Condition>,
}

impl FileList {
    /// Adds the files of a cache.
    pub(super) fn read(
        &mut self,
        cache: &SelectedCache,
        status: CachedStatus,
    ) -> Result<(), CacheError> {
        let content = Cache::open_read_only(&cache.path)?;
        let mut files = Vec::new();
        for (path, file) in &content.manifest().files {
            if !cache.covers(path.as_bstr()) {
                continue;
            }
            let listed = listed(cache, &content, path, file)?;
            files.extend(listed.filter(|file| has_status(file.condition, status)));
        }
        self.files.append(&mut files);
        Ok(())
    }

    /// Applies `--sort`, `--desc` and `--limit`. Files with equal values are in the order of their
    /// paths.
    pub(super) fn sort_and_limit(&mut self, arguments: &CacheListArgs) {
        let files = &mut self.files;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        match (arguments.sort, arguments.desc) {
            (CacheSort::Path, false) => {}
            (CacheSort::Path, true) => files.reverse(),
            (CacheSort::Size, false) => files.sort_by_key(|file| file.size),
            (CacheSort::Size, true) => files.sort_by_key(|file| Reverse(file.size)),
            (CacheSort::Time, false) => files.sort_by_key(|file| file.time),
            (CacheSort::Time, true) => files.sort_by_key(|file| Reverse(file.time)),
        }
        files.truncate(arguments.limit.unwrap_or(usize::MAX));
    }

    /// The paths, one per line.
    pub(super) fn text(&self) -> String {
        let files = self.files.iter();
        files
            .map(|file| format!("{}\n", escaped(&file.path)))
            .collect()
    }

    /// The files of one cache as a part of the JSON document.
    pub(super) fn document(&self, cache: &SelectedCache) -> Value {
        let files = self.files.iter().filter(|file| file.cache == cache.path);
        let files = files.map(|file| ListedFileDocument {
            path: escaped(&file.path).to_string(),
            id: file.id.clone(),
            projects: file.projects.clone(),
            size: file.size,
            time: file.time,
            status: match file.condition {
                None => ListedFileStatus::Fresh,
                Some(Condition::Changed) => ListedFileStatus::Modified,
                Some(Condition::Missing) => ListedFileStatus::Missing,
            },
        });
        json!(ListedCache {
            path: shown(&cache.path).to_string(),
            files: files.collect(),
        })
    }
}

/// A file of a cache; `None` if it belongs to none of the selected projects.
fn listed(
    cache: &SelectedCache,
    content: &Cache,
    path: &BString,
    file: &Cached,
) -> Result<Option<ListedFile>, CacheError> {
    let owners: Vec<_> = file
        .owners
        .iter()
        .filter(|owner| cache.includes(owner))
        .collect();
    if owners.is_empty() {
        return Ok(None);
    }
    let records = &content.manifest().owners;
    let times = owners
        .iter()
        .filter_map(|owner| Some(records.get(owner)?.time));
    let mut projects: Vec<_> = owners
        .iter()
        .map(|owner| owner.project.to_string())
        .collect();
    // A project can be an owner twice: because it published the file, and because it pulled it.
    projects.dedup();
    Ok(Some(ListedFile {
        cache: cache.path.clone(),
        path: path.clone(),
        id: file.entry.id.to_string(),
        projects,
        size: file.stat.map(|stat| stat.size),
        time: times.max().unwrap_or_default(),
        condition: content.condition(path, file)?,
    }))
}

/// Whether `--status` selects a file in this condition.
fn has_status(condition: Option<Condition>, status: CachedStatus) -> bool {
    match status {
        CachedStatus::All => true,
        CachedStatus::Fresh => condition.is_none(),
        CachedStatus::Modified => condition == Some(Condition::Changed),
        CachedStatus::Missing => condition == Some(Condition::Missing),
        CachedStatus::Stale => condition.is_some(),
        CachedStatus::Expired => false,
    }
}
