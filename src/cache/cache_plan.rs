//! Plans the changes of a cache: from the manifest, the requests, and the files on disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use bstr::{BStr, BString, ByteSlice};
use rayon::prelude::*;

use super::dir::DiskEntry;
use super::error::CacheError;
use super::manifest::{Cached, Manifest};
use super::open_cache::Cache;
use super::request::{CacheOwner, CacheRequest, KeepReason, RequestResult};
use crate::object::{Mode, ObjectId};
use crate::plan::{Change, Entry, Op};
use crate::scan::SourceFile;
use crate::stat::Stat;

/// The number of paths that one thread looks at before others may take over.
const PATHS_PER_TASK: usize = 256;

/// Returns those of some files of the cache, each with its present content, that the user can restore
/// from a commit of their repository.
pub(crate) type CommittedFiles<'c> = &'c dyn Fn(&[(&BStr, Entry)]) -> HashSet<BString>;

/// The changes that requests make to a cache.
pub(crate) struct CachePlan {
    /// The result of each request, in the order of the requests.
    pub results: Vec<RequestResult>,
    pub(super) requests: Vec<CacheRequest>,
    pub(super) force: bool,
    /// The stat of each file on disk that the manifest does not have, or has with another stat.
    pub(super) observed: HashMap<BString, Stat>,
}

impl CachePlan {
    /// The requests, in the order of the results.
    pub(crate) fn requests(&self) -> &[CacheRequest] {
        &self.requests
    }

    /// Discards the plan, and returns its requests.
    pub(crate) fn into_requests(self) -> Vec<CacheRequest> {
        self.requests
    }

    /// The files to write.
    pub(super) fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.results.iter().flat_map(|result| result.plan.files())
    }

    /// The paths of the files to remove.
    pub(crate) fn deleted(&self) -> impl Iterator<Item = &BString> {
        let changes = self.results.iter().flat_map(|result| &result.plan.changes);
        changes
            .filter(|change| change.op.file().is_none())
            .map(|change| &change.path)
    }
}

impl Cache {
    /// Plans the changes for all `requests` together, and writes nothing. With `force`, files that
    /// were modified locally are replaced or removed. Files that `committed` returns are replaced and
    /// removed as if the cache had written them.
    pub(crate) fn plan(
        &self,
        requests: Vec<CacheRequest>,
        force: bool,
        committed: CommittedFiles<'_>,
    ) -> Result<CachePlan, CacheError> {
        let on_disk = self.find_on_disk(&requests)?;
        let foreign = self.foreign_files(&requests, &on_disk);
        let recoverable = match force || foreign.is_empty() {
            true => HashSet::new(),
            false => committed(&foreign),
        };
        let results = plan(&self.manifest, &requests, &on_disk, force, &recoverable);

        let observed = on_disk.into_iter().filter_map(|(path, entry)| match entry {
            DiskEntry::File { stat, .. } if !self.is_recorded(path, &stat, || true) => {
                Some((path.to_owned(), stat))
            }
            _ => None,
        });
        Ok(CachePlan {
            results,
            observed: observed.collect(),
            requests,
            force,
        })
    }

    /// The files on disk that the cache did not write, except those that are as requested.
    fn foreign_files<'d>(
        &self,
        requests: &[CacheRequest],
        on_disk: &HashMap<&'d BStr, DiskEntry>,
    ) -> Vec<(&'d BStr, Entry)> {
        let foreign = on_disk.iter().filter_map(|(path, on_disk)| {
            let DiskEntry::File { mode, id, .. } = *on_disk else {
                return None;
            };
            let found = Entry { mode, id };
            let recorded = self.manifest.files.get(*path);
            let mut requested = requests
                .iter()
                .filter_map(|request| request.files.get(*path));
            let is_foreign = !recorded.is_some_and(|file| file.was_written(mode, id))
                && !requested.any(|requested| *requested == found);
            is_foreign.then_some((*path, found))
        });
        foreign.collect()
    }

    /// Reads the entries at all paths that the requests add, keep or give up. Absent ones are left
    /// out.
    fn find_on_disk<'p>(
        &'p self,
        requests: &'p [CacheRequest],
    ) -> Result<HashMap<&'p BStr, DiskEntry>, CacheError> {
        let unneeded = unneeded_files(&self.manifest, requests);
        let requested = requests.iter().flat_map(|request| request.files.keys());
        let mut paths: Vec<&BStr> = requested
            .map(|path| path.as_bstr())
            .chain(unneeded.into_keys())
            .collect();
        paths.sort_unstable();
        paths.dedup();

        let found = paths.par_chunks(PATHS_PER_TASK).map(|paths| {
            let mut cursor = self.cursor();
            let mut found = Vec::with_capacity(paths.len());
            for path in paths {
                match self.disk_entry(&mut cursor, path)? {
                    DiskEntry::Absent => {}
                    entry => found.push((*path, entry)),
                }
            }
            Ok(found)
        });
        let found: Vec<_> = found.collect::<Result<_, CacheError>>()?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// The facts that decide about each path.
struct Facts<'p> {
    manifest: &'p Manifest,
    /// The files of all requests.
    requested: BTreeSet<&'p BStr>,
    /// The files that have no owner after this run, each with the owner whose result counts the removal.
    unneeded: BTreeMap<&'p BStr, &'p CacheOwner>,
    on_disk: &'p HashMap<&'p BStr, DiskEntry>,
    force: bool,
    /// The files with contents that the cache did not write, but that the user can restore.
    recoverable: &'p HashSet<BString>,
}

/// The decision about a requested path.
enum PathDecision {
    Unchanged,
    Added,
    /// The path is overwritten, and these other files of the user are deleted to make room.
    Modified(Vec<BString>),
    Kept(KeepReason),
    Refused(String),
}

/// Decides about every request, in order. A path in several requests is written and counted once,
/// for the first one. `on_disk` has the entries that exist.
fn plan(
    manifest: &Manifest,
    requests: &[CacheRequest],
    on_disk: &HashMap<&BStr, DiskEntry>,
    force: bool,
    recoverable: &HashSet<BString>,
) -> Vec<RequestResult> {
    let requested = requests.iter().flat_map(|request| request.files.keys());
    let facts = Facts {
        manifest,
        requested: requested.map(|path| path.as_bstr()).collect(),
        unneeded: unneeded_files(manifest, requests),
        on_disk,
        force,
        recoverable,
    };

    let mut decided: BTreeSet<&BStr> = BTreeSet::new();
    let mut present: BTreeSet<&BStr> = BTreeSet::new();
    let mut results = Vec::new();
    for request in requests {
        let mut result = RequestResult::default();
        for (path, entry) in &request.files {
            if !decided.insert(path.as_bstr()) {
                result.plan.unchanged += 1;
                continue;
            }
            let decision = match conflict(&present, path.as_bstr()) {
                Some(other) => PathDecision::Kept(KeepReason::InUse(other)),
                None => facts.decide(path, entry),
            };
            if !matches!(decision, PathDecision::Kept(_) | PathDecision::Refused(_)) {
                present.insert(path.as_bstr());
            }
            result.add(path, entry, decision);
        }
        facts.remove_unneeded(request, &mut result);
        result.plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        results.push(result);
    }
    results
}

impl Facts<'_> {
    /// Decides about `path`, for which `entry` is requested.
    fn decide(&self, path: &BString, entry: &Entry) -> PathDecision {
        match self
            .on_disk
            .get(path.as_bstr())
            .unwrap_or(&DiskEntry::Absent)
        {
            DiskEntry::Absent => PathDecision::Added,
            DiskEntry::Unusable(reason) => PathDecision::Refused(reason.clone()),
            DiskEntry::File { mode, id, .. } if (*mode, *id) == (entry.mode, entry.id) => {
                PathDecision::Unchanged
            }
            DiskEntry::File { .. } if self.is_replaceable(path.as_bstr()) => {
                PathDecision::Modified(Vec::new())
            }
            DiskEntry::File { .. } | DiskEntry::Other => self.replace(Vec::new()),
            // This run removes the file above, so that the path becomes free.
            DiskEntry::Blocked(above) if self.is_removed(above.as_bstr()) => PathDecision::Added,
            DiskEntry::Blocked(above) if self.is_in_use(above.as_bstr()) => {
                PathDecision::Kept(KeepReason::InUse(above.clone()))
            }
            DiskEntry::Blocked(above) => self.replace(vec![above.clone()]),
            DiskEntry::Directory(inside) => self.decide_directory(path, inside),
        }
    }

    /// Decides about a file that is requested at the path of a directory with these files `inside`.
    fn decide_directory(&self, path: &BString, inside: &[BString]) -> PathDecision {
        if let Some(used) = self.used_below(path.as_bstr()) {
            return PathDecision::Kept(KeepReason::InUse(used));
        }
        let remaining: Vec<_> = inside
            .iter()
            .filter(|path| !self.is_removed(path.as_bstr()))
            .cloned()
            .collect();
        if remaining.is_empty() {
            PathDecision::Added
        } else {
            self.replace(remaining)
        }
    }

    /// Decides about a file of the user: with `force` it is overwritten, and `others` are deleted.
    fn replace(&self, others: Vec<BString>) -> PathDecision {
        if self.force {
            PathDecision::Modified(others)
        } else {
            PathDecision::Kept(KeepReason::Edited)
        }
    }

    /// Adds the removal of the unneeded files that are counted for the owner of `request`.
    fn remove_unneeded(&self, request: &CacheRequest, result: &mut RequestResult) {
        for (path, owner) in &self.unneeded {
            if *owner != &request.owner || self.requested.contains(path) {
                continue;
            }
            let key = BString::from(path.to_vec());
            match self.on_disk.get(path) {
                // The file does not exist any more. A directory in its place belongs to the user.
                None
                | Some(DiskEntry::Absent | DiskEntry::Blocked(_) | DiskEntry::Directory(_)) => {}
                Some(DiskEntry::Unusable(reason)) => result.refused.push((key, reason.clone())),
                Some(DiskEntry::File { .. } | DiskEntry::Other) if self.is_removed(path) => {
                    result.plan.changes.push(Change {
                        path: key,
                        op: Op::Deleted,
                    });
                }
                Some(DiskEntry::File { .. } | DiskEntry::Other) => {
                    result.plan.unmanaged += 1;
                    result.kept.push((key, KeepReason::Edited));
                }
            }
        }
    }

    /// Whether nothing is lost if `path` is replaced or removed: the cache wrote its present
    /// contents, the user can restore them, or there is no file.
    fn is_replaceable(&self, path: &BStr) -> bool {
        if self.recoverable.contains(path) {
            return true;
        }
        match (self.manifest.files.get(path), self.on_disk.get(path)) {
            (Some(file), Some(DiskEntry::File { mode, id, .. })) => file.was_written(*mode, *id),
            (Some(_), on_disk) => on_disk.is_none(),
            (None, _) => false,
        }
    }

    /// Whether this run removes the file of the cache at `path`.
    fn is_removed(&self, path: &BStr) -> bool {
        self.unneeded.contains_key(path)
            && !self.requested.contains(path)
            && (self.force || self.is_replaceable(path))
    }

    /// Whether a request of this run or another owner needs a file at `path`.
    fn is_in_use(&self, path: &BStr) -> bool {
        self.requested.contains(path)
            || (self.manifest.files.contains_key(path) && !self.unneeded.contains_key(path))
    }

    /// The first file below `path` that is in use.
    fn used_below(&self, path: &BStr) -> Option<BString> {
        let prefix = BString::from([path.as_bytes(), b"/"].concat());
        let range = (Bound::Included(prefix.as_bstr()), Bound::Unbounded);
        let recorded = self
            .manifest
            .files
            .range::<BStr, _>(range)
            .map(|(path, _)| path.as_bstr())
            .take_while(|path| path.starts_with(&prefix));
        let requested = self
            .requested
            .range::<BStr, _>(range)
            .copied()
            .take_while(|path| path.starts_with(&prefix));
        recorded
            .chain(requested)
            .find(|path| self.is_in_use(path))
            .map(BStr::to_owned)
    }
}

impl RequestResult {
    /// Adds the decision about `path`.
    fn add(&mut self, path: &BString, entry: &Entry, decision: PathDecision) {
        let file = SourceFile {
            source: path.clone(),
            id: entry.id,
            mode: entry.mode,
            size: 0,
        };
        let op = match decision {
            PathDecision::Unchanged => {
                self.plan.unchanged += 1;
                return;
            }
            PathDecision::Kept(kept) => {
                self.plan.unmanaged += 1;
                self.kept.push((path.clone(), kept));
                return;
            }
            PathDecision::Refused(reason) => {
                self.refused.push((path.clone(), reason));
                return;
            }
            PathDecision::Added => Op::Added(file),
            PathDecision::Modified(others) => {
                self.replaced.extend(others);
                Op::Modified(file)
            }
        };
        self.plan.changes.push(Change {
            path: path.clone(),
            op,
        });
    }
}

/// A file among `present` that cannot exist together with a file at `path`, because one is below
/// the other.
fn conflict(present: &BTreeSet<&BStr>, path: &BStr) -> Option<BString> {
    let above = path
        .find_iter(b"/")
        .map(|slash| path[..slash].as_bstr())
        .find(|above| present.contains(above));
    let prefix = BString::from([path.as_bytes(), b"/"].concat());
    let range = (Bound::Included(prefix.as_bstr()), Bound::Unbounded);
    let below = || {
        let first = present.range::<BStr, _>(range).next().copied()?;
        first.starts_with(&prefix).then_some(first)
    };
    above.or_else(below).map(BStr::to_owned)
}

/// The files without an owner after `requests`, each with the first of its present owners.
fn unneeded_files<'m>(
    manifest: &'m Manifest,
    requests: &'m [CacheRequest],
) -> BTreeMap<&'m BStr, &'m CacheOwner> {
    let by_owner: BTreeMap<&CacheOwner, &CacheRequest> = requests
        .iter()
        .map(|request| (&request.owner, request))
        .collect();
    let still_needs = |owner: &CacheOwner, path: &BString| {
        by_owner
            .get(owner)
            .is_none_or(|request| request.files.contains_key(path) || request.kept.contains(path))
    };
    let first = requests.first().map(|request| &request.owner);

    let unneeded = |(path, file): (&'m BString, &'m Cached)| {
        if file.owners.iter().any(|owner| still_needs(owner, path)) {
            return None;
        }
        // A file that a killed run wrote has no owner yet. It is counted for the first request.
        Some((path.as_bstr(), file.owners.iter().min().or(first)?))
    };
    manifest.files.iter().filter_map(unneeded).collect()
}

impl Cached {
    /// Whether the cache wrote a file with this mode and content, or was about to when the run was
    /// killed.
    pub(super) fn was_written(&self, mode: Mode, id: ObjectId) -> bool {
        let found = Entry { mode, id };
        self.entry == found || self.pending_writes.contains(&found)
    }
}
