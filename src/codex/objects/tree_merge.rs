//! Compares and merges the trees of two branches that parted at a common commit.

use std::collections::BTreeMap;
use std::ops::Bound;

use bstr::{BStr, BString, ByteSlice};

use super::listing::list_all;
use super::tree::{Edit, TreeEntry, TreeError, decode};
use crate::object::{Mode, ObjectId};

/// The differences of one tree from another, by path. Directories are not entries.
pub(crate) type Changes = BTreeMap<BString, Edit>;

/// Returns the bytes of a tree.
pub(crate) type ReadTree<'r> = &'r dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>;

/// The differences of the tree `to` from the tree `from`. Equal subtrees are not read.
pub(crate) fn changes(
    read: ReadTree<'_>,
    from: ObjectId,
    to: ObjectId,
) -> Result<Changes, TreeError> {
    let mut changes = Changes::new();
    let mut pending = vec![(BString::default(), from, to)];
    while let Some((prefix, from, to)) = pending.pop() {
        if from == to {
            continue;
        }
        let (old, new) = (entries(read, from)?, entries(read, to)?);
        for (name, entry) in &old {
            if new.get(name) == Some(entry) {
                continue;
            }
            let path = below(prefix.as_bstr(), name.as_bstr());
            match (entry, new.get(name)) {
                ((Mode::Directory, from), Some((Mode::Directory, to))) => {
                    pending.push((path, *from, *to));
                }
                (entry, _) => add(read, &path, *entry, true, &mut changes)?,
            }
        }
        for (name, entry) in &new {
            let before = old.get(name);
            let is_directory = |(mode, _): &(Mode, ObjectId)| *mode == Mode::Directory;
            let is_pending = is_directory(entry) && before.is_some_and(is_directory);
            if before != Some(entry) && !is_pending {
                let path = below(prefix.as_bstr(), name.as_bstr());
                add(read, &path, *entry, false, &mut changes)?;
            }
        }
    }
    Ok(changes)
}

/// Adds an entry, or all files below it, as deleted or as new.
fn add(
    read: ReadTree<'_>,
    path: &BString,
    (mode, id): (Mode, ObjectId),
    is_deleted: bool,
    changes: &mut Changes,
) -> Result<(), TreeError> {
    let mut add_one = |path: BString, mode, id| {
        // A new file can have the path of a deleted one of another kind.
        if is_deleted {
            changes.entry(path).or_insert(None);
        } else {
            changes.insert(path, Some((mode, id)));
        }
    };
    if mode != Mode::Directory {
        add_one(path.clone(), mode, id);
        return Ok(());
    }
    let listing = list_all(read, id)?;
    for (name, entry) in listing.entries.iter() {
        if entry.mode != Mode::Directory {
            add_one(below(path.as_bstr(), name.as_bstr()), entry.mode, entry.id);
        }
    }
    Ok(())
}

fn entries(
    read: ReadTree<'_>,
    tree: ObjectId,
) -> Result<BTreeMap<BString, (Mode, ObjectId)>, TreeError> {
    let entries = decode(&read(tree)?).ok_or(TreeError::Damaged(tree))?;
    let pair = |entry: TreeEntry| (entry.name, (entry.mode, entry.id));
    Ok(entries.into_iter().map(pair).collect())
}

fn below(prefix: &BStr, name: &BStr) -> BString {
    if prefix.is_empty() {
        return name.to_owned();
    }
    let mut path = prefix.to_owned();
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

/// The trees of the nearest common ancestors of two branches.
///
/// There are several if each branch has merged earlier commits of the other. A path that they have
/// in different versions is compared with the version of those that have changed it since their own
/// common ancestors, as in a recursive merge.
pub(crate) struct Ancestors {
    /// Each tree, with its changes since the earlier ancestors, if there are several.
    each: Vec<(ObjectId, Changes)>,
}

impl Ancestors {
    /// `trees` are those of the nearest common ancestors, and `earlier` those of the nearest commits
    /// that these have in common.
    pub(crate) fn new(
        read: ReadTree<'_>,
        trees: &[ObjectId],
        earlier: &[ObjectId],
    ) -> Result<Self, TreeError> {
        let moved = |tree: ObjectId| -> Result<_, TreeError> {
            let mut moved: Option<Changes> = None;
            for from in earlier.iter().filter(|_| trees.len() > 1) {
                let since = changes(read, *from, tree)?;
                match &mut moved {
                    None => moved = Some(since),
                    Some(moved) => moved.retain(|path, _| since.contains_key(path)),
                }
            }
            Ok((tree, moved.unwrap_or_default()))
        };
        Ok(Self {
            each: trees
                .iter()
                .map(|tree| moved(*tree))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The paths that a branch has changed since, in their versions in its tree `tip`. If it is not
    /// certain which version the branches have started from, a path counts as changed.
    pub(crate) fn changes_to(
        &self,
        read: ReadTree<'_>,
        tip: ObjectId,
    ) -> Result<Changes, TreeError> {
        let since: Vec<_> = self
            .each
            .iter()
            .map(|(tree, _)| changes(read, *tree, tip))
            .collect::<Result<_, _>>()?;
        let mut all: Changes = since
            .iter()
            .flatten()
            .map(|(path, edit)| (path.clone(), *edit))
            .collect();
        if since.len() > 1 {
            all.retain(|path, _| !self.has_started_from(path, &since));
        }
        Ok(all)
    }

    /// Whether the two branches have started from the version of the path in the tip to which the
    /// trees have these differences.
    fn has_started_from(&self, path: &BString, since: &[Changes]) -> bool {
        let mut moved = self
            .each
            .iter()
            .zip(since)
            .filter_map(|((_, moved), since)| Some((moved.get(path)?, since)));
        let Some((version, since)) = moved.next() else {
            return false;
        };
        moved.all(|(other, _)| other == version) && !since.contains_key(path)
    }
}

/// How a change of one branch relates to the changes of the other branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// The other branch has not changed the path.
    None,
    /// The other branch has changed the path, in this way.
    Same(Edit),
    /// The other branch has not changed the path itself, but a path below it or a directory above
    /// it.
    Nested,
}

/// Finds how the path relates to the changes of the other branch.
pub(crate) fn overlap(path: &BStr, others: &Changes) -> Overlap {
    let mut below_path = changes_below(path, others);
    if let Some(edit) = others.get(path) {
        Overlap::Same(*edit)
    } else if is_below_new_file(path, others) || below_path.next().is_some() {
        Overlap::Nested
    } else {
        Overlap::None
    }
}

/// Whether `changes` put a file, or another entry that is not a directory, at a path above `path`.
fn is_below_new_file(path: &BStr, changes: &Changes) -> bool {
    let is_written = |path: &BStr| changes.get(path).is_some_and(Option::is_some);
    path.find_iter(b"/")
        .any(|slash| is_written(path[..slash].as_bstr()))
}

/// Those of `changes` that are at a path below `path`.
fn changes_below<'c>(path: &BStr, changes: &'c Changes) -> impl Iterator<Item = &'c Edit> {
    let inside = below(path, b"".as_bstr());
    let start = (Bound::Included(inside.as_bstr()), Bound::Unbounded);
    let after = changes.range::<BStr, _>(start);
    after
        .take_while(move |(next, _)| next.starts_with(&inside))
        .map(|(_, edit)| edit)
}

/// The differences of the merged tree from that of `theirs`. `ours` and `theirs` are the changes of
/// the two branches since they parted. If both have changed a path, theirs is kept.
pub(crate) fn merged(ours: &Changes, theirs: &Changes) -> Changes {
    ours.iter()
        .filter(|(path, _)| overlap(path.as_bstr(), theirs) == Overlap::None)
        .map(|(path, edit)| (path.clone(), *edit))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::super::tree::{TreeStore, edit};
    use super::*;
    use crate::object::{Kind, hash};

    #[derive(Default)]
    struct Trees(RefCell<HashMap<ObjectId, Vec<u8>>>);

    impl TreeStore for Trees {
        fn read(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
            let trees = self.0.borrow();
            trees.get(&id).cloned().ok_or(TreeError::Missing(id))
        }

        fn write(&mut self, data: Vec<u8>, _: Option<ObjectId>) -> ObjectId {
            let id = hash(Kind::Tree, &data);
            self.0.borrow_mut().insert(id, data);
            id
        }
    }

    fn file(number: u8) -> Edit {
        Some((Mode::File, ObjectId([number; 20])))
    }

    fn all(edits: &[(&str, Edit)]) -> Changes {
        let edits = edits.iter();
        edits.map(|(path, edit)| ((*path).into(), *edit)).collect()
    }

    #[test]
    fn differences_turn_one_tree_into_the_other() {
        let mut trees = Trees::default();
        let start = all(&[
            ("a", file(1)),
            ("d/x", file(2)),
            ("d/y", file(3)),
            ("e/z", file(4)),
            ("f", file(5)),
        ]);
        let from = edit(&mut trees, None, &start).unwrap().unwrap();
        // `e` becomes a file, `f` a directory.
        let differences = all(&[
            ("a", file(9)),
            ("d/x", None),
            ("d/new", file(6)),
            ("e/z", None),
            ("e", file(7)),
            ("f", None),
            ("f/g", file(8)),
        ]);
        let to = edit(&mut trees, Some(from), &differences).unwrap().unwrap();
        let read = |id| trees.read(id);
        assert_eq!(changes(&read, from, to).unwrap(), differences);
        assert_eq!(changes(&read, to, to).unwrap(), Changes::new());
    }

    /// The changes of two tips since their two nearest common ancestors. `earlier` is an ancestor of
    /// both ancestors. A tree has the file `f` with the given number as contents, or no `f` for 0.
    fn since_crossing(earlier: Option<u8>, ancestors: [u8; 2], tips: [u8; 2]) -> [Changes; 2] {
        let mut trees = Trees::default();
        let mut tree = |number: u8| {
            let files = all(&[("f", file(number)), ("other", file(99))]);
            let shown = files.into_iter().filter(|(_, edit)| *edit != file(0));
            edit(&mut trees, None, &shown.collect()).unwrap().unwrap()
        };
        let (ancestors, tips) = (ancestors.map(&mut tree), tips.map(&mut tree));
        let earlier: Vec<_> = earlier.map(tree).into_iter().collect();
        let read = |id| trees.read(id);
        let ancestors = Ancestors::new(&read, &ancestors, &earlier).unwrap();
        tips.map(|tip| ancestors.changes_to(&read, tip).unwrap())
    }

    #[test]
    fn criss_cross_history_is_compared_as_in_a_recursive_merge() {
        let (none, changed) = (None, |number| Some(file(number).filter(|_| number > 0)));
        for (earlier, ancestors, tips, expected) in [
            // One branch has written version 2, and both have merged it. The first one reverts it.
            (Some(1), [1, 2], [1, 2], [changed(1), none]),
            (Some(1), [2, 1], [1, 2], [changed(1), none]),
            (Some(1), [1, 2], [1, 3], [changed(1), changed(3)]),
            (Some(1), [1, 2], [2, 3], [none, changed(3)]),
            (Some(1), [1, 2], [2, 2], [none, none]),
            // A new file, and a deleted one.
            (Some(0), [0, 2], [0, 2], [changed(0), none]),
            (Some(1), [1, 0], [1, 0], [changed(1), none]),
            // Both have changed the file in the same way.
            (Some(1), [2, 2], [1, 2], [changed(1), none]),
            // Both have changed it in different ways, or the earlier version is unknown.
            (Some(1), [2, 3], [2, 3], [changed(2), changed(3)]),
            (None, [1, 2], [1, 2], [changed(1), changed(2)]),
            (None, [1, 1], [1, 2], [none, changed(2)]),
        ] {
            let found = since_crossing(earlier, ancestors, tips);
            let found = found.map(|changes| changes.get(b"f".as_bstr()).copied());
            assert_eq!(found, expected, "{earlier:?}, {ancestors:?}, {tips:?}");
        }
    }

    #[test]
    fn base_is_kept_where_both_changed_a_path() {
        let ours = all(&[
            ("mine", file(1)),
            ("both", file(2)),
            ("same", file(3)),
            ("deleted", None),
            ("nested", file(4)),
            ("d/nested", file(5)),
        ]);
        let theirs = all(&[
            ("both", file(12)),
            ("same", file(3)),
            ("deleted", file(13)),
            ("nested/below", file(14)),
            ("d", file(15)),
            ("their", file(16)),
        ]);
        assert_eq!(merged(&ours, &theirs), all(&[("mine", file(1))]));
    }
}
