//! Trees as bytes: decoded, edited and encoded without a working tree or an index, so that the cost of a change follows
//! the depth of its path and not the size of the codex.

use std::collections::BTreeMap;

use bstr::{BStr, BString, ByteSlice};

use crate::object::{Mode, ObjectId};

/// A tree that is not what git writes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeError {
    /// The bytes do not parse.
    #[error("the tree {0} is damaged")]
    Damaged(ObjectId),
    /// The object is not there.
    #[error("the tree {0} is missing")]
    Missing(ObjectId),
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// A single segment.
    pub name: BString,
    /// The mode's digits as they stand, kept so that an untouched entry stays as it is to the bit.
    pub octal: BString,
    /// What the mode means.
    pub mode: Mode,
    /// The object.
    pub id: ObjectId,
}

/// Decodes a tree; `None` if the bytes are not one.
pub fn decode(mut data: &[u8]) -> Option<Vec<TreeEntry>> {
    let mut entries = Vec::new();
    while !data.is_empty() {
        let space = data.find_byte(b' ')?;
        let nul = space + data[space..].find_byte(0)?;
        let id = ObjectId(data.get(nul + 1..nul + 21)?.try_into().ok()?);
        let (octal, name) = (&data[..space], &data[space + 1..nul]);
        entries.push(TreeEntry { name: name.into(), octal: octal.into(), mode: Mode::from_octal(octal)?, id });
        data = &data[nul + 21..];
    }
    Some(entries)
}

/// Encodes entries that are in git's order.
pub fn encode(entries: &[TreeEntry]) -> Vec<u8> {
    let mut data = Vec::with_capacity(entries.iter().map(|e| e.octal.len() + e.name.len() + 22).sum());
    for entry in entries {
        data.extend_from_slice(&entry.octal);
        data.push(b' ');
        data.extend_from_slice(&entry.name);
        data.push(0);
        data.extend_from_slice(&entry.id.0);
    }
    data
}

/// Git's order: directories compare as if their name ended in `/`.
fn sort_key(entry: &TreeEntry) -> Vec<u8> {
    let mut key = entry.name.to_vec();
    if entry.mode == Mode::Directory {
        key.push(b'/');
    }
    key
}

/// What becomes of a path: another object, or nothing.
pub type Edit = Option<(Mode, ObjectId)>;

/// Where trees are read from and written to.
pub trait TreeStore {
    /// The bytes of a tree.
    fn read(&self, id: ObjectId) -> Result<Vec<u8>, TreeError>;
    /// Takes a new tree, which replaces `base` at its place.
    fn write(&mut self, data: Vec<u8>, base: Option<ObjectId>) -> ObjectId;
}

/// Applies `edits` (path → edit) to the tree `base` and returns the new tree, `None` when nothing is left in it.
/// Directories that become empty go, as git knows no empty directories. A file in the way of a directory is replaced,
/// and the other way round: whether that may be is the plan's to say.
pub fn edit(
    store: &mut impl TreeStore,
    base: Option<ObjectId>,
    edits: &BTreeMap<BString, Edit>,
) -> Result<Option<ObjectId>, TreeError> {
    let edits: Vec<_> = edits.iter().map(|(path, edit)| (path.as_bstr(), *edit)).collect();
    edit_below(store, base, &edits)
}

fn edit_below(
    store: &mut impl TreeStore,
    base: Option<ObjectId>,
    edits: &[(&BStr, Edit)],
) -> Result<Option<ObjectId>, TreeError> {
    let mut entries: BTreeMap<BString, TreeEntry> = match base {
        Some(id) => {
            let decoded = decode(&store.read(id)?).ok_or(TreeError::Damaged(id))?;
            decoded.into_iter().map(|entry| (entry.name.clone(), entry)).collect()
        }
        None => BTreeMap::new(),
    };
    // Edits of one directory are not neighbours in byte order (`a-b` sorts between `a` and `a/c`), so group first.
    let mut leaves: Vec<(&BStr, Edit)> = Vec::new();
    let mut below: BTreeMap<&BStr, Vec<(&BStr, Edit)>> = BTreeMap::new();
    for (path, edit) in edits {
        match path.find_byte(b'/') {
            Some(slash) => below.entry(path[..slash].as_bstr()).or_default().push((path[slash + 1..].as_bstr(), *edit)),
            None => leaves.push((path, *edit)),
        }
    }
    // What goes makes room for what comes: a file may become a directory in one plan, and the other way round.
    for (name, _) in leaves.iter().filter(|(_, edit)| edit.is_none()) {
        if entries.get(*name).is_some_and(|entry| entry.mode != Mode::Directory) {
            entries.remove(*name);
        }
    }
    for (name, edits) in below {
        let old = entries.get(name).filter(|entry| entry.mode == Mode::Directory).map(|entry| entry.id);
        match edit_below(store, old, &edits)? {
            Some(id) => drop(entries.insert(name.into(), entry(name, Mode::Directory, id))),
            None if old.is_some() => drop(entries.remove(name)),
            None => {}
        }
    }
    for (name, edit) in leaves {
        if let Some((mode, id)) = edit {
            entries.insert(name.into(), entry(name, mode, id));
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let mut entries: Vec<_> = entries.into_values().collect();
    entries.sort_by_cached_key(sort_key);
    Ok(Some(store.write(encode(&entries), base)))
}

fn entry(name: &BStr, mode: Mode, id: ObjectId) -> TreeEntry {
    TreeEntry { name: name.into(), octal: mode.octal().into(), mode, id }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::listing;
    use super::*;
    use crate::object::{self, Kind};

    #[derive(Default)]
    struct Memory(HashMap<ObjectId, Vec<u8>>);

    impl TreeStore for Memory {
        fn read(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
            self.0.get(&id).cloned().ok_or(TreeError::Missing(id))
        }

        fn write(&mut self, data: Vec<u8>, _: Option<ObjectId>) -> ObjectId {
            let id = object::hash(Kind::Tree, &data);
            self.0.insert(id, data);
            id
        }
    }

    type Files = BTreeMap<BString, (Mode, ObjectId)>;

    /// The obvious model: a map of paths, in which a file replaces what lies below it and the other way round.
    fn apply(files: &mut Files, edits: &BTreeMap<BString, Edit>) {
        for (path, _) in edits.iter().filter(|(_, edit)| edit.is_none()) {
            files.remove(path);
        }
        for (path, edit) in edits {
            let Some(file) = edit else { continue };
            let directory = [path.as_slice(), b"/"].concat();
            files.retain(|other, _| {
                !other.starts_with(&directory) && !path.starts_with(&[other.as_slice(), b"/"].concat())
            });
            files.insert(path.clone(), *file);
        }
    }

    fn listed(memory: &Memory, tree: Option<ObjectId>) -> Files {
        let Some(tree) = tree else { return Files::new() };
        let listing = listing::list_all(&|id| memory.read(id), tree).unwrap();
        listing.entries.into_iter().map(|(path, entry)| (path, (entry.mode, entry.id))).collect()
    }

    fn path() -> impl Strategy<Value = BString> {
        prop::collection::vec("(a|b|a-b|a\\.b|ab)", 1..4).prop_map(|segments| segments.join("/").into())
    }

    fn file() -> impl Strategy<Value = (Mode, ObjectId)> {
        (prop_oneof![Just(Mode::File), Just(Mode::Executable), Just(Mode::Link)], any::<u8>())
            .prop_map(|(mode, byte)| (mode, object::hash(Kind::Blob, &[byte])))
    }

    /// Edits none of which lies below another that puts a file there.
    fn edits(paths: BTreeMap<BString, Edit>) -> BTreeMap<BString, Edit> {
        let mut kept: BTreeMap<BString, Edit> = BTreeMap::new();
        for (path, edit) in paths {
            let clash = |other: &BString, other_edit: &Edit| {
                let below = |a: &BString, b: &BString| a.starts_with(&[b.as_slice(), b"/"].concat());
                (edit.is_some() && other_edit.is_some()) && (below(&path, other) || below(other, &path))
            };
            if !kept.iter().any(|(other, other_edit)| clash(other, other_edit)) {
                kept.insert(path, edit);
            }
        }
        kept
    }

    proptest! {
        #[test]
        fn editing_a_tree_is_editing_a_map_of_its_files(
            before in prop::collection::btree_map(path(), file().prop_map(Some), 0..12),
            changes in prop::collection::btree_map(path(), prop::option::of(file()), 0..8),
        ) {
            let mut memory = Memory::default();
            let (before, changes) = (edits(before), edits(changes));
            let mut model = Files::new();
            apply(&mut model, &before);
            let base = edit(&mut memory, None, &before).unwrap();
            prop_assert_eq!(&listed(&memory, base), &model);
            apply(&mut model, &changes);
            let tree = edit(&mut memory, base, &changes).unwrap();
            prop_assert_eq!(&listed(&memory, tree), &model);
            // The same files give the same tree, whatever way led there.
            let fresh: BTreeMap<_, _> = model.iter().map(|(path, file)| (path.clone(), Some(*file))).collect();
            prop_assert_eq!(edit(&mut memory, None, &fresh).unwrap(), tree);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(entries) = decode(&data) {
                prop_assert_eq!(encode(&entries), data);
            }
        }
    }
}
