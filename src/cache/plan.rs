//! What a run would change in a cache: pure, from the manifest, what was asked for, and a look at the disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use bstr::{BStr, BString, ByteSlice};

use super::manifest::{Cached, Manifest, Owner};
use super::place::OnDisk;
use super::{Question, Taken};
use crate::object::{Mode, ObjectId};
use crate::plan::{Change, Entry, Op};
use crate::scan::SourceFile;

/// Decides for every question, in order. What two of them want is done, and counted, once: for the first. `look` tells
/// what stands at a path. With `force`, what was changed by hand is no obstacle.
pub(super) fn plan(
    manifest: &Manifest,
    questions: &[Question],
    look: &HashMap<BString, OnDisk>,
    force: bool,
) -> Vec<Taken> {
    let wanted: BTreeSet<&BStr> = questions
        .iter()
        .flat_map(|q| q.files.keys())
        .map(|path| path.as_bstr())
        .collect();
    let leaving = leaving(manifest, questions);
    let is_ours = |path: &BStr| match (manifest.files.get(path), look.get(path)) {
        (Some(known), Some(OnDisk::File { mode, id, .. })) => known.is_ours(*mode, *id),
        // What is not there is in nobody's way.
        (Some(_), on_disk) => on_disk.is_none(),
        (None, _) => false,
    };
    let goes = |path: &BStr| {
        leaving.contains_key(path) && !wanted.contains(path) && (force || is_ours(path))
    };
    let mut decided: BTreeSet<&BStr> = BTreeSet::new();
    let mut taken = Vec::new();
    for question in questions {
        let mut one = Taken::default();
        for (path, entry) in &question.files {
            if !decided.insert(path.as_bstr()) {
                one.plan.unchanged += 1;
                continue;
            }
            let on_disk = look.get(path).unwrap_or(&OnDisk::Absent);
            let known = manifest.files.get(path);
            let file = || SourceFile {
                source: path.clone(),
                id: entry.id,
                mode: entry.mode,
                size: 0,
            };
            let op = match on_disk {
                OnDisk::Unusable(why) => {
                    one.refused.push((path.clone(), why.clone()));
                    continue;
                }
                OnDisk::Absent => Op::Added(file()),
                // What is in the way goes with this run: then the path is free.
                OnDisk::Blocked(above) if goes(above.as_bstr()) => Op::Added(file()),
                OnDisk::Other("directory") if all_below(manifest, path.as_bstr(), goes) => {
                    Op::Added(file())
                }
                OnDisk::File { mode, id, .. } if (*mode, *id) == (entry.mode, entry.id) => {
                    one.plan.unchanged += 1;
                    continue;
                }
                OnDisk::File { mode, id, .. }
                    if known.is_some_and(|known| known.is_ours(*mode, *id)) =>
                {
                    Op::Modified(file())
                }
                _ if force => Op::Modified(file()),
                _ => {
                    one.plan.unmanaged += 1;
                    one.kept.push(path.clone());
                    continue;
                }
            };
            one.plan.changes.push(Change {
                path: path.clone(),
                op,
            });
        }
        for (path, _) in leaving
            .iter()
            .filter(|(path, owner)| **owner == &question.owner && !wanted.contains(*path))
        {
            let on_disk = look.get(*path);
            let path = BString::from(path.to_vec());
            match on_disk {
                // The file is gone, and a directory in its place is somebody's.
                None | Some(OnDisk::Absent | OnDisk::Blocked(_) | OnDisk::Other("directory")) => {
                    continue;
                }
                Some(OnDisk::Unusable(why)) => {
                    one.refused.push((path, why.clone()));
                    continue;
                }
                Some(OnDisk::File { .. } | OnDisk::Other(_)) => {}
            }
            if goes(path.as_bstr()) {
                one.plan.changes.push(Change {
                    path,
                    op: Op::Deleted,
                });
            } else {
                one.plan.unmanaged += 1;
                one.kept.push(path);
            }
        }
        one.plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        taken.push(one);
    }
    taken
}

/// The files that nobody wants any more once `questions` are answered, each with the first owner that lets go of it.
pub(super) fn leaving<'m>(
    manifest: &'m Manifest,
    questions: &'m [Question],
) -> BTreeMap<&'m BStr, &'m Owner> {
    let asking: BTreeMap<&Owner, &Question> = questions
        .iter()
        .map(|question| (&question.owner, question))
        .collect();
    let keeps = |owner: &Owner, path: &BString| {
        asking.get(owner).is_none_or(|q| q.files.contains_key(path))
    };
    let first = questions.first().map(|question| &question.owner);
    let orphan = |(path, file): (&'m BString, &'m Cached)| {
        if file.owners.iter().any(|owner| keeps(owner, path)) {
            return None;
        }
        // What a killed run began is nobody's yet: whoever asks first tidies up.
        Some((path.as_bstr(), file.owners.iter().min().or(first)?))
    };
    manifest.files.iter().filter_map(orphan).collect()
}

/// Whether a directory holds files of the cache, and each of them goes.
fn all_below(manifest: &Manifest, path: &BStr, goes: impl Fn(&BStr) -> bool) -> bool {
    let inside = [path.as_bytes(), b"/"].concat();
    let behind = (Bound::Included(inside.as_bstr()), Bound::Unbounded);
    let files = manifest
        .files
        .range::<BStr, _>(behind)
        .map(|(below, _)| below.as_bstr());
    let mut below = files
        .take_while(|below| below.starts_with(&inside))
        .peekable();
    below.peek().is_some() && below.all(goes)
}

impl Cached {
    /// Whether what stands there is what the cache wrote, or had begun to write.
    pub(super) fn is_ours(&self, mode: Mode, id: ObjectId) -> bool {
        let found = Entry { mode, id };
        self.entry == found || self.begun.contains(&found)
    }
}
