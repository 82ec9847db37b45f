//! Plans the changes of a cache: from the manifest, the requests, and the files on disk.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use bstr::{BStr, BString, ByteSlice};
use rayon::prelude::*;

use super::dir::{DiskEntry, Expected};
use super::error::CacheError;
use super::manifest::{Cached, Manifest};
use super::open_cache::Cache;
use super::refusal::Refusal;
use super::request::{CacheRequest, KeepReason, RequestResult};
use super::wanted_files::{WantedFile, WantedFiles};
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

    /// All changes.
    pub(super) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.results.iter().flat_map(|result| &result.plan.changes)
    }

    /// The paths of the files to remove.
    pub(crate) fn deleted(&self) -> impl Iterator<Item = &BString> {
        self.changes()
            .filter(|change| change.op.file().is_none())
            .map(|change| &change.path)
    }
}

impl Cache {
    /// What is at the path of a planned change, according to the plan.
    pub(super) fn expected(&self, plan: &CachePlan, change: &Change) -> Expected<'_> {
        if plan.force {
            return Expected::Anything;
        }
        let recorded = self.manifest.files.get(&change.path);
        let stat = plan.observed.get(&change.path).copied();
        let stat = stat.or_else(|| recorded?.stat);
        match &change.op {
            Op::Added(_) => Expected::Nothing,
            _ => Expected::File {
                stat: stat.unwrap_or_default(),
                recorded,
            },
        }
    }

    /// Plans the changes for all `requests` together, and writes nothing. With `force`, files that
    /// were modified locally are replaced or removed. Files that `committed` returns are replaced and
    /// removed as if the cache had written them.
    pub(crate) fn plan(
        &self,
        requests: Vec<CacheRequest>,
        force: bool,
        committed: CommittedFiles<'_>,
    ) -> Result<CachePlan, CacheError> {
        let wanted = WantedFiles::new(&requests);
        let mut paths = known_paths(&self.manifest, &wanted);
        self.look_at(&mut paths)?;
        let foreign = foreign_files(&paths);
        let recoverable = match force || foreign.is_empty() {
            true => HashSet::new(),
            false => committed(&foreign),
        };
        let facts = Facts {
            manifest: &self.manifest,
            wanted: &wanted,
            paths: &paths,
            force,
            recoverable: &recoverable,
        };
        let results = facts.decide_all(requests.len());

        let observed = paths.iter().filter_map(|known| match &known.on_disk {
            DiskEntry::File { stat, .. } if !self.is_recorded(known.recorded, stat, || true) => {
                Some((known.path.to_owned(), *stat))
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

    /// Reads the entries at these paths.
    fn look_at(&self, paths: &mut [KnownPath<'_>]) -> Result<(), CacheError> {
        paths.par_chunks_mut(PATHS_PER_TASK).try_for_each(|paths| {
            let mut cursor = self.cursor();
            for known in paths {
                known.on_disk = self.disk_entry(&mut cursor, known.path, known.recorded)?;
            }
            Ok(())
        })
    }
}

/// A path that the requests add, keep or give up, and what is known about it.
struct KnownPath<'p> {
    path: &'p BStr,
    /// The record of the file in the manifest.
    recorded: Option<&'p Cached>,
    /// The files of the requests at this path.
    wanted: &'p [WantedFile<'p>],
    /// If the file has no owner after this run, the number of the request whose result counts the
    /// removal.
    unneeded: Option<usize>,
    on_disk: DiskEntry,
}

impl KnownPath<'_> {
    /// Whether the cache wrote the present file, or was about to when the run was killed.
    fn was_written(&self, mode: Mode, id: ObjectId) -> bool {
        self.recorded.is_some_and(|file| file.was_written(mode, id))
    }
}

/// The paths that the requests add, keep or give up, in order. Nothing is known about the disk yet.
fn known_paths<'p>(manifest: &'p Manifest, wanted: &'p WantedFiles<'_>) -> Vec<KnownPath<'p>> {
    let mut paths = Vec::with_capacity(manifest.files.len());
    for (path, recorded, of_path) in wanted.with_recorded(manifest.files.iter()) {
        let unneeded = recorded.and_then(|file| wanted.unneeded(path, &file.owners, of_path));
        if unneeded.is_some() || !of_path.is_empty() {
            paths.push(KnownPath {
                path,
                recorded,
                wanted: of_path,
                unneeded,
                on_disk: DiskEntry::Absent,
            });
        }
    }
    paths
}

/// The files on disk that the cache did not write, except those that are as requested.
fn foreign_files<'p>(paths: &[KnownPath<'p>]) -> Vec<(&'p BStr, Entry)> {
    let foreign = paths.iter().filter_map(|known| {
        let DiskEntry::File { mode, id, .. } = known.on_disk else {
            return None;
        };
        let found = Entry { mode, id };
        let mut wanted = known.wanted.iter();
        let is_foreign =
            !known.was_written(mode, id) && !wanted.any(|wanted| wanted.entry == found);
        is_foreign.then_some((known.path, found))
    });
    foreign.collect()
}

/// The facts that decide about each path.
struct Facts<'p> {
    manifest: &'p Manifest,
    wanted: &'p WantedFiles<'p>,
    /// All paths to decide about, in order.
    paths: &'p [KnownPath<'p>],
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
    Refused(Refusal),
}

impl PathDecision {
    /// The decision for the requests after the first one: for them, a file that this run writes is
    /// in the cache already.
    fn for_others(&self) -> Self {
        match self {
            Self::Unchanged | Self::Added | Self::Modified(_) => Self::Unchanged,
            Self::Kept(reason) => Self::Kept(reason.clone()),
            Self::Refused(reason) => Self::Refused(reason.clone()),
        }
    }
}

impl Facts<'_> {
    /// Decides about every path. Returns the result of each of the `count` requests. A path in
    /// several requests is written and counted once, for the first one. If it cannot be written, it
    /// is kept or refused for all of them.
    fn decide_all(&self, count: usize) -> Vec<RequestResult> {
        let mut results = vec![RequestResult::default(); count];
        let wanted = self.paths.iter().filter_map(|known| {
            let (first, others) = known.wanted.split_first()?;
            Some((known, first, others))
        });
        let mut wanted: Vec<_> = wanted.collect();
        // Of two paths that cannot exist together, the one of the first request is written.
        wanted.sort_by_key(|(_, first, _)| first.request);
        let can_conflict = self.wanted.has_file_above_file();
        let mut present: BTreeSet<&BStr> = BTreeSet::new();

        for (known, first, others) in wanted {
            let conflict = can_conflict
                .then(|| conflict(&present, known.path))
                .flatten();
            let decision = match conflict {
                Some(other) => PathDecision::Kept(KeepReason::InUse(other)),
                None => self.decide(known, &first.entry),
            };
            let is_absent = matches!(decision, PathDecision::Kept(_) | PathDecision::Refused(_));
            if can_conflict && !is_absent {
                present.insert(known.path);
            }
            for other in others {
                let decision = decision.for_others();
                results[other.request].add(known.path, &other.entry, decision);
            }
            results[first.request].add(known.path, &first.entry, decision);
        }

        for known in self.paths {
            if let Some(request) = known.unneeded
                && known.wanted.is_empty()
            {
                self.remove_unneeded(known, &mut results[request]);
            }
        }
        for result in &mut results {
            result.plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        }
        results
    }

    /// Decides about a path for which `entry` is requested.
    fn decide(&self, known: &KnownPath<'_>, entry: &Entry) -> PathDecision {
        match &known.on_disk {
            DiskEntry::Absent => PathDecision::Added,
            DiskEntry::Unusable(reason) => PathDecision::Refused(reason.clone()),
            DiskEntry::File { mode, id, .. } if (*mode, *id) == (entry.mode, entry.id) => {
                PathDecision::Unchanged
            }
            DiskEntry::File { .. } if self.is_replaceable(known) => {
                PathDecision::Modified(Vec::new())
            }
            DiskEntry::File { .. } | DiskEntry::Other => self.replace(Vec::new()),
            // This run removes the file above, so that the path becomes free.
            DiskEntry::Blocked(above) if self.is_removed(above.as_bstr()) => PathDecision::Added,
            DiskEntry::Blocked(above) if self.is_in_use(above.as_bstr()) => {
                PathDecision::Kept(KeepReason::InUse(above.clone()))
            }
            DiskEntry::Blocked(above) => self.replace(vec![above.clone()]),
            DiskEntry::Directory(inside) => self.decide_directory(known.path, inside),
        }
    }

    /// Decides about a file that is requested at the path of a directory with these files `inside`.
    fn decide_directory(&self, path: &BStr, inside: &[BString]) -> PathDecision {
        if let Some(used) = self.used_below(path) {
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

    /// Adds the removal of an unneeded file to the result of the request that counts it.
    fn remove_unneeded(&self, known: &KnownPath<'_>, result: &mut RequestResult) {
        let path = known.path.to_owned();
        match &known.on_disk {
            // The file does not exist any more. A directory in its place belongs to the user.
            DiskEntry::Absent | DiskEntry::Blocked(_) | DiskEntry::Directory(_) => {}
            DiskEntry::Unusable(reason) => result.refused.push((path, reason.clone())),
            DiskEntry::File { .. } | DiskEntry::Other if self.can_remove(known) => {
                let op = Op::Deleted;
                result.plan.changes.push(Change { path, op });
            }
            DiskEntry::File { .. } | DiskEntry::Other => {
                result.plan.unmanaged += 1;
                result.kept.push((path, KeepReason::Edited));
            }
        }
    }

    /// Whether nothing is lost if the path is replaced or removed: the cache wrote its present
    /// contents, the user can restore them, or there is no file.
    fn is_replaceable(&self, known: &KnownPath<'_>) -> bool {
        if !self.recoverable.is_empty() && self.recoverable.contains(known.path) {
            return true;
        }
        match known.on_disk {
            DiskEntry::File { mode, id, .. } => known.was_written(mode, id),
            DiskEntry::Absent => known.recorded.is_some(),
            _ => false,
        }
    }

    /// Whether this run removes the unneeded file.
    fn can_remove(&self, known: &KnownPath<'_>) -> bool {
        self.force || self.is_replaceable(known)
    }

    /// Whether this run removes the file of the cache at `path`.
    fn is_removed(&self, path: &BStr) -> bool {
        self.known(path).is_some_and(|known| {
            known.unneeded.is_some() && known.wanted.is_empty() && self.can_remove(known)
        })
    }

    /// Whether a request of this run or another owner needs a file at `path`.
    fn is_in_use(&self, path: &BStr) -> bool {
        match self.known(path) {
            Some(known) => !known.wanted.is_empty() || known.unneeded.is_none(),
            None => self.manifest.files.contains_key(path),
        }
    }

    /// What is known about `path`, if this run decides about it.
    fn known(&self, path: &BStr) -> Option<&KnownPath<'_>> {
        let found = self.paths.binary_search_by(|known| known.path.cmp(path));
        found.ok().map(|index| &self.paths[index])
    }

    /// The first file below `path` that is in use, recorded ones first.
    fn used_below(&self, path: &BStr) -> Option<BString> {
        let prefix = BString::from([path.as_bytes(), b"/"].concat());
        let range = (Bound::Included(prefix.as_bstr()), Bound::Unbounded);
        let recorded = self.manifest.files.range::<BStr, _>(range);
        recorded
            .map(|(path, _)| path.as_bstr())
            .take_while(|path| path.starts_with(&prefix))
            .find(|path| self.is_in_use(path))
            .or_else(|| self.wanted.first_below(&prefix))
            .map(BStr::to_owned)
    }
}

impl RequestResult {
    /// Adds the decision about `path`.
    fn add(&mut self, path: &BStr, entry: &Entry, decision: PathDecision) {
        let file = || SourceFile {
            source: path.to_owned(),
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
                self.kept.push((path.to_owned(), kept));
                return;
            }
            PathDecision::Refused(reason) => {
                self.refused.push((path.to_owned(), reason));
                return;
            }
            PathDecision::Added => Op::Added(file()),
            PathDecision::Modified(others) => {
                self.replaced.extend(others);
                Op::Modified(file())
            }
        };
        let path = path.to_owned();
        self.plan.changes.push(Change { path, op });
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

impl Cached {
    /// Whether the cache wrote a file with this mode and content, or was about to when the run was
    /// killed.
    pub(super) fn was_written(&self, mode: Mode, id: ObjectId) -> bool {
        let found = Entry { mode, id };
        self.entry == found || self.pending_writes.contains(&found)
    }
}
