//! What a run would change in a cache: pure, from the manifest, the questions, and what is on the disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use bstr::{BStr, BString, ByteSlice};

use super::dir::DiskEntry;
use super::manifest::{Cached, Manifest, Owner};
use super::{Kept, Request, RequestResult};
use crate::object::{Mode, ObjectId};
use crate::plan::{Change, Entry, Op};
use crate::scan::SourceFile;

/// What a run knows when it decides about paths.
struct Facts<'p> {
    manifest: &'p Manifest,
    /// What every question asks for.
    wanted: BTreeSet<&'p BStr>,
    /// Files that no owner wants any more, with the owner that they are counted for.
    leaving: BTreeMap<&'p BStr, &'p Owner>,
    on_disk: &'p HashMap<BString, DiskEntry>,
    force: bool,
}

/// What becomes of a path that is wanted.
enum Verdict {
    Unchanged,
    Added,
    /// Replaced, with these other files of the user, which are in the way.
    Modified(Vec<BString>),
    Kept(Kept),
    Refused(String),
}

/// Decides for every question, in order. A path that two of them want is written, and counted, once: for the first.
/// `on_disk` holds what is at each path, where there is anything. With `force`, what was changed by hand is replaced.
pub(super) fn plan(
    manifest: &Manifest,
    requests: &[Request],
    on_disk: &HashMap<BString, DiskEntry>,
    force: bool,
) -> Vec<RequestResult> {
    let wanted = requests
        .iter()
        .flat_map(|request| request.files.keys())
        .map(|path| path.as_bstr());
    let facts = Facts {
        manifest,
        wanted: wanted.collect(),
        leaving: leaving(manifest, requests),
        on_disk,
        force,
    };

    let mut decided: BTreeSet<&BStr> = BTreeSet::new();
    let mut present: BTreeSet<&BStr> = BTreeSet::new();
    let mut taken = Vec::new();
    for request in requests {
        let mut one = RequestResult::default();
        for (path, entry) in &request.files {
            if !decided.insert(path.as_bstr()) {
                one.plan.unchanged += 1;
                continue;
            }
            let verdict = match conflict(&present, path.as_bstr()) {
                Some(other) => Verdict::Kept(Kept::InUse(other)),
                None => facts.decide(path, entry),
            };
            if !matches!(verdict, Verdict::Kept(_) | Verdict::Refused(_)) {
                present.insert(path.as_bstr());
            }
            one.take(path, entry, verdict);
        }
        facts.remove(request, &mut one);
        one.plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        taken.push(one);
    }
    taken
}

impl Facts<'_> {
    /// What becomes of `path`, which is to hold `entry`.
    fn decide(&self, path: &BString, entry: &Entry) -> Verdict {
        match self.on_disk.get(path).unwrap_or(&DiskEntry::Absent) {
            DiskEntry::Absent => Verdict::Added,
            DiskEntry::Unusable(reason) => Verdict::Refused(reason.clone()),
            DiskEntry::File { mode, id, .. } if (*mode, *id) == (entry.mode, entry.id) => {
                Verdict::Unchanged
            }
            DiskEntry::File { .. } if self.is_ours(path.as_bstr()) => Verdict::Modified(Vec::new()),
            DiskEntry::File { .. } | DiskEntry::Other => self.replace(Vec::new()),
            // What is in the way is deleted by this run: then the path is free.
            DiskEntry::Blocked(above) if self.is_deleted(above.as_bstr()) => Verdict::Added,
            DiskEntry::Blocked(above) if self.is_in_use(above.as_bstr()) => {
                Verdict::Kept(Kept::InUse(above.clone()))
            }
            DiskEntry::Blocked(above) => self.replace(vec![above.clone()]),
            DiskEntry::Directory(inside) => {
                if let Some(used) = self.used_below(path.as_bstr()) {
                    return Verdict::Kept(Kept::InUse(used));
                }
                let others: Vec<_> = inside
                    .iter()
                    .filter(|path| !self.is_deleted(path.as_bstr()))
                    .cloned()
                    .collect();
                if others.is_empty() {
                    Verdict::Added
                } else {
                    self.replace(others)
                }
            }
        }
    }

    /// Something of the user is in the way: it is replaced, with `others`, if that is forced.
    fn replace(&self, others: Vec<BString>) -> Verdict {
        if self.force {
            Verdict::Modified(others)
        } else {
            Verdict::Kept(Kept::Edited)
        }
    }

    /// Deletes what `question`'s owner no longer wants, unless another one does.
    fn remove(&self, request: &Request, one: &mut RequestResult) {
        for (path, owner) in &self.leaving {
            if *owner != &request.owner || self.wanted.contains(path) {
                continue;
            }
            let key = BString::from(path.to_vec());
            match self.on_disk.get(*path) {
                // The file is gone; a directory in its place is the user's.
                None
                | Some(DiskEntry::Absent | DiskEntry::Blocked(_) | DiskEntry::Directory(_)) => {}
                Some(DiskEntry::Unusable(reason)) => one.refused.push((key, reason.clone())),
                Some(DiskEntry::File { .. } | DiskEntry::Other) if self.is_deleted(path) => {
                    one.plan.changes.push(Change {
                        path: key,
                        op: Op::Deleted,
                    });
                }
                Some(DiskEntry::File { .. } | DiskEntry::Other) => {
                    one.plan.unmanaged += 1;
                    one.kept.push((key, Kept::Edited));
                }
            }
        }
    }

    /// Whether what is at `path` is what the cache wrote there. Nothing is there: then nothing of the user is either.
    fn is_ours(&self, path: &BStr) -> bool {
        match (self.manifest.files.get(path), self.on_disk.get(path)) {
            (Some(known), Some(DiskEntry::File { mode, id, .. })) => known.is_ours(*mode, *id),
            (Some(_), on_disk) => on_disk.is_none(),
            (None, _) => false,
        }
    }

    /// Whether this run deletes what the cache holds at `path`.
    fn is_deleted(&self, path: &BStr) -> bool {
        self.leaving.contains_key(path)
            && !self.wanted.contains(path)
            && (self.force || self.is_ours(path))
    }

    /// Whether an owner wants a file at `path`, of this run or of another one.
    fn is_in_use(&self, path: &BStr) -> bool {
        self.wanted.contains(path)
            || (self.manifest.files.contains_key(path) && !self.leaving.contains_key(path))
    }

    /// A path below `path` that is in use.
    fn used_below(&self, path: &BStr) -> Option<BString> {
        let inside = BString::from([path.as_bytes(), b"/"].concat());
        let from = (Bound::Included(inside.as_bstr()), Bound::Unbounded);
        let known = self
            .manifest
            .files
            .range::<BStr, _>(from)
            .map(|(path, _)| path.as_bstr())
            .take_while(|path| path.starts_with(&inside));
        let wanted = self
            .wanted
            .range::<BStr, _>(from)
            .copied()
            .take_while(|path| path.starts_with(&inside));
        known
            .chain(wanted)
            .find(|path| self.is_in_use(path))
            .map(BStr::to_owned)
    }
}

impl RequestResult {
    fn take(&mut self, path: &BString, entry: &Entry, verdict: Verdict) {
        let file = SourceFile {
            source: path.clone(),
            id: entry.id,
            mode: entry.mode,
            size: 0,
        };
        let op = match verdict {
            Verdict::Unchanged => {
                self.plan.unchanged += 1;
                return;
            }
            Verdict::Kept(kept) => {
                self.plan.unmanaged += 1;
                self.kept.push((path.clone(), kept));
                return;
            }
            Verdict::Refused(reason) => {
                self.refused.push((path.clone(), reason));
                return;
            }
            Verdict::Added => Op::Added(file),
            Verdict::Modified(others) => {
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

/// A file among `present` that cannot be there together with one at `path`: one is below the other.
fn conflict(present: &BTreeSet<&BStr>, path: &BStr) -> Option<BString> {
    let above = path
        .find_iter(b"/")
        .map(|slash| path[..slash].as_bstr())
        .find(|above| present.contains(above));
    let inside = BString::from([path.as_bytes(), b"/"].concat());
    let from = (Bound::Included(inside.as_bstr()), Bound::Unbounded);
    let below = || {
        let first = present.range::<BStr, _>(from).next().copied()?;
        first.starts_with(&inside).then_some(first)
    };
    above.or_else(below).map(BStr::to_owned)
}

/// The files that no owner wants any more once `questions` are answered, each with the first owner that gave it up.
pub(super) fn leaving<'m>(
    manifest: &'m Manifest,
    requests: &'m [Request],
) -> BTreeMap<&'m BStr, &'m Owner> {
    let asking: BTreeMap<&Owner, &Request> = requests
        .iter()
        .map(|request| (&request.owner, request))
        .collect();
    let keeps = |owner: &Owner, path: &BString| {
        asking.get(owner).is_none_or(|q| q.files.contains_key(path))
    };
    let first = requests.first().map(|request| &request.owner);
    let orphan = |(path, file): (&'m BString, &'m Cached)| {
        if file.owners.iter().any(|owner| keeps(owner, path)) {
            return None;
        }
        // What a killed run began has no owner yet: it is counted for the first question.
        Some((path.as_bstr(), file.owners.iter().min().or(first)?))
    };
    manifest.files.iter().filter_map(orphan).collect()
}

impl Cached {
    /// Whether this is what the cache wrote, or had begun to write.
    pub(super) fn is_ours(&self, mode: Mode, id: ObjectId) -> bool {
        let found = Entry { mode, id };
        self.entry == found || self.pending_writes.contains(&found)
    }
}
