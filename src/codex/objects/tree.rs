//! Decodes, edits and encodes trees without a working tree or an index. The cost of a change
//! depends on the depth of its path, not on the size of the codex.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use bstr::{BStr, BString, ByteSlice};

use crate::object::{Mode, ObjectId};
use crate::paths::escaped;

/// An error in a tree of the codex.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeError {
    /// The bytes cannot be parsed.
    #[error("the tree {0} is damaged")]
    Damaged(ObjectId),
    /// The object does not exist.
    #[error("the tree {0} is missing")]
    Missing(ObjectId),
    /// The tip of a branch does not exist, or is not a commit.
    #[error("{0} is missing, or no commit")]
    NoCommit(ObjectId),
    /// A change concerns a name that several entries have.
    #[error("the tree {tree} holds `{}` more than once", escaped(name))]
    Ambiguous {
        /// The tree.
        tree: ObjectId,
        /// The name.
        name: BString,
    },
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "fuzz targets construct it")]
pub struct TreeEntry {
    /// A single segment.
    pub name: BString,
    /// The octal digits of the mode, kept so that an unchanged entry is encoded exactly as it was.
    pub octal: BString,
    /// The parsed mode.
    pub mode: Mode,
    /// The object.
    pub id: ObjectId,
}

/// Decodes a tree; `None` if the bytes are not a valid tree.
pub fn decode(data: &[u8]) -> Option<Vec<TreeEntry>> {
    slices(data).map(|slice| Some(slice?.to_entry())).collect()
}

/// An entry that borrows from the bytes of its tree. In a codex with thousands of projects, each
/// commit edits a tree of thousands of entries, and must not copy them all.
#[derive(Clone, Copy)]
struct EntrySlice<'t> {
    /// The bytes of the whole entry.
    bytes: &'t [u8],
    octal: &'t [u8],
    name: &'t BStr,
    mode: Mode,
    id: ObjectId,
}

/// Splits a tree into its entries without copying them. The last item is `None` if the bytes are not
/// a valid tree. The order of the entries is not checked.
fn slices(mut data: &[u8]) -> impl Iterator<Item = Option<EntrySlice<'_>>> {
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let split = split_entry(data);
        data = split.map_or(&[], |(_, rest)| rest);
        Some(split.map(|(entry, _)| entry))
    })
}

/// The first entry of a tree, and the bytes after it.
fn split_entry(data: &[u8]) -> Option<(EntrySlice<'_>, &[u8])> {
    // The digits are few, so that a plain loop finds their end fastest.
    let space = data.iter().position(|byte| *byte == b' ')?;
    let nul = space + data[space..].find_byte(0)?;
    let id = ObjectId(data.get(nul + 1..nul + 21)?.try_into().ok()?);
    let (bytes, rest) = data.split_at(nul + 21);
    let octal = &data[..space];
    let entry = EntrySlice {
        bytes,
        octal,
        name: data[space + 1..nul].as_bstr(),
        mode: Mode::from_octal(octal)?,
        id,
    };
    Some((entry, rest))
}

/// An entry of a tree that another tree lacks, or has in another version.
pub(crate) struct ChangedEntry {
    pub(crate) name: BString,
    /// The id of a directory in both trees; `None` if the entry is no directory in one of them.
    pub(crate) directories: Option<(ObjectId, ObjectId)>,
}

/// The entries of the tree `new` that differ from those of `old`, given the bytes of both; `None` if
/// the bytes are not valid trees.
pub(crate) fn changed_entries(old: &[u8], new: &[u8]) -> Option<Vec<ChangedEntry>> {
    let mut changed = Vec::new();
    let mut olds = slices(old).peekable();
    for new in slices(new) {
        let new = new?;
        let mut before = None;
        while let Some(old) = olds.peek().copied() {
            let old = old?;
            match compare((old.name, old.mode), (new.name, new.mode)) {
                Ordering::Less => {}
                Ordering::Equal => before = Some(old),
                Ordering::Greater => break,
            }
            olds.next();
        }
        let is_same = |old: EntrySlice<'_>| (old.mode, old.id) == (new.mode, new.id);
        if !before.is_some_and(is_same) {
            let before = before.filter(|_| new.mode == Mode::Directory);
            changed.push(ChangedEntry {
                name: new.name.to_owned(),
                directories: before.map(|old| (old.id, new.id)),
            });
        }
    }
    Some(changed)
}

/// The entry at `path` below the tree `root`; `None` if the tree has no such path. `read` returns the
/// bytes of a tree.
pub(crate) fn entry_at(
    read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    root: ObjectId,
    path: &BStr,
) -> Result<Option<(Mode, ObjectId)>, TreeError> {
    let mut found = (Mode::Directory, root);
    for segment in path.split(|byte| *byte == b'/') {
        if found.0 != Mode::Directory {
            return Ok(None);
        }
        let data = read(found.1)?;
        let mut next = None;
        for entry in slices(&data) {
            let entry = entry.ok_or(TreeError::Damaged(found.1))?;
            if next.is_none() && entry.name == segment {
                next = Some((entry.mode, entry.id));
            }
        }
        match next {
            Some(entry) => found = entry,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

impl EntrySlice<'_> {
    fn to_entry(self) -> TreeEntry {
        TreeEntry {
            name: self.name.to_owned(),
            octal: self.octal.into(),
            mode: self.mode,
            id: self.id,
        }
    }
}

/// Encodes a tree. `entries` must be in git's order.
pub fn encode(entries: &[TreeEntry]) -> Vec<u8> {
    let mut data = Vec::with_capacity(
        entries
            .iter()
            .map(|e| e.octal.len() + e.name.len() + 22)
            .sum(),
    );
    entries.iter().for_each(|entry| push(&mut data, entry));
    data
}

fn push(data: &mut Vec<u8>, entry: &TreeEntry) {
    push_entry(data, &entry.octal, &entry.name, entry.id);
}

/// Appends an encoded entry.
pub(crate) fn push_entry(data: &mut Vec<u8>, octal: &[u8], name: &[u8], id: ObjectId) {
    data.extend_from_slice(octal);
    data.push(b' ');
    data.extend_from_slice(name);
    data.push(0);
    data.extend_from_slice(&id.0);
}

/// Compares in git's order, in which the name of a directory ends with `/`.
fn compare((a, a_mode): (&BStr, Mode), (b, b_mode): (&BStr, Mode)) -> Ordering {
    let common = a.len().min(b.len());
    a[..common]
        .cmp(&b[..common])
        .then_with(|| rest_of(&a[common..], a_mode).cmp(rest_of(&b[common..], b_mode)))
}

/// The rest of a name as git compares it: that of a directory ends with `/`.
fn rest_of(end: &[u8], mode: Mode) -> impl Iterator<Item = u8> {
    let slash = (mode == Mode::Directory).then_some(b'/');
    end.iter().copied().chain(slash)
}

/// Whether two entries of the same name have the same position in a tree.
fn sorts_as(a: Mode, b: Mode) -> bool {
    (a == Mode::Directory) == (b == Mode::Directory)
}

/// The change of one path: the new object, or `None` to delete it.
pub type Edit = Option<(Mode, ObjectId)>;

/// Storage for trees.
pub trait TreeStore {
    /// Returns the bytes of a tree.
    fn read(&self, id: ObjectId) -> Result<Vec<u8>, TreeError>;
    /// Stores a new tree and returns its id. `base` is the tree that it replaces at the same path.
    fn write(&mut self, data: Vec<u8>, base: Option<ObjectId>) -> ObjectId;
}

/// Applies `edits`, by path, to the tree `base` and returns the new tree; `None` if it would be
/// empty.
///
/// Directories that become empty are removed, because git has no empty directories. An added file
/// replaces a directory at its path, and an added directory replaces a file: the plan decides in
/// advance whether that is allowed.
pub fn edit(
    store: &mut impl TreeStore,
    base: Option<ObjectId>,
    edits: &BTreeMap<BString, Edit>,
) -> Result<Option<ObjectId>, TreeError> {
    let edits: Vec<_> = edits
        .iter()
        .map(|(path, edit)| (path.as_bstr(), *edit))
        .collect();
    edit_below(store, base, &edits)
}

/// Applies edits whose paths are relative to the tree `base`. Only the trees along these paths are
/// read and written.
fn edit_below(
    store: &mut impl TreeStore,
    base: Option<ObjectId>,
    edits: &[(&BStr, Edit)],
) -> Result<Option<ObjectId>, TreeError> {
    let (old, damaged) = match base {
        Some(id) => (store.read(id)?, TreeError::Damaged(id)),
        None => (Vec::new(), TreeError::Damaged(ObjectId([0; 20]))),
    };
    // In byte order, the edits of one directory are not adjacent (`a-b` sorts between `a` and
    // `a/c`), so group them first.
    let mut names: BTreeMap<&BStr, Named<'_>> = BTreeMap::new();
    for (path, edit) in edits {
        match path.find_byte(b'/') {
            Some(slash) => {
                let named = names.entry(path[..slash].as_bstr()).or_default();
                named.below.push((path[slash + 1..].as_bstr(), *edit));
            }
            None => names.entry(path).or_default().itself = Some(*edit),
        }
    }
    let mut start = 0;
    for entry in slices(&old) {
        let Some(entry) = entry else {
            return Err(damaged);
        };
        let end = start + entry.bytes.len();
        let range = std::mem::replace(&mut start, end)..end;
        if let Some(named) = names.get_mut(entry.name)
            && let (Some(_), Some(tree)) = (named.old.replace((entry.to_entry(), range)), base)
        {
            // It is unknown which of the two entries is meant, and the other one would be lost.
            return Err(TreeError::Ambiguous {
                tree,
                name: entry.name.to_owned(),
            });
        }
    }
    let mut edited = BTreeMap::new();
    for (name, named) in names {
        let new = named.edited(store, name)?;
        let old = named.old.map(|(old, range)| (old.mode, range));
        edited.insert(name, Edited { old, new });
    }
    let is_any_added = edited.values().any(|edited| edited.addition().is_some());
    let merged = match is_any_added {
        true => merge(&old, &edited),
        false => splice(&old, &edited),
    };
    Ok((!merged.is_empty()).then(|| store.write(merged, base)))
}

/// The edits of one name in a tree.
#[derive(Default)]
struct Named<'e> {
    /// The present entry of this name, and its position in the bytes of the tree.
    old: Option<(TreeEntry, Range<usize>)>,
    /// The edit of the name itself.
    itself: Option<Edit>,
    /// The edits of paths below the name, relative to it.
    below: Vec<(&'e BStr, Edit)>,
}

impl Named<'_> {
    /// Returns the resulting entry. Additions take precedence over deletions, so that one plan can
    /// turn a file into a directory or a directory into a file.
    fn edited(
        &self,
        store: &mut impl TreeStore,
        name: &BStr,
    ) -> Result<Option<TreeEntry>, TreeError> {
        if let Some(Some((mode, id))) = self.itself {
            return Ok(Some(entry(name, mode, id)));
        }
        let old = self.old.as_ref().map(|(old, _)| old);
        let directory = old.filter(|old| old.mode == Mode::Directory);
        if self.below.is_empty() {
            // Deletions apply to files only, so a directory at this path is kept.
            return Ok(directory.cloned());
        }
        let tree = edit_below(store, directory.map(|old| old.id), &self.below)?;
        Ok(match (tree, directory) {
            (Some(id), Some(old)) => Some(TreeEntry { id, ..old.clone() }),
            (Some(id), None) => Some(entry(name, Mode::Directory, id)),
            (None, None) if self.itself.is_none() => old.cloned(),
            (None, _) => None,
        })
    }
}

/// The result of the edits of one name in a tree.
struct Edited {
    /// The mode of the old entry of this name, and its position in the bytes of the tree.
    old: Option<(Mode, Range<usize>)>,
    /// The new entry.
    new: Option<TreeEntry>,
}

impl Edited {
    /// The new entry, if it takes the position of the old one.
    fn replacement(&self) -> Option<&TreeEntry> {
        let (old, _) = self.old.as_ref()?;
        self.new.as_ref().filter(|new| sorts_as(new.mode, *old))
    }

    /// The new entry, if its position is yet to be found.
    fn addition(&self) -> Option<&TreeEntry> {
        match self.replacement() {
            Some(_) => None,
            None => self.new.as_ref(),
        }
    }
}

/// Replaces and removes the edited entries of the tree `old`, of which none is added. The entries
/// between them are copied together: in a codex with thousands of projects, each commit replaces one
/// entry among thousands.
fn splice(old: &[u8], edited: &BTreeMap<&BStr, Edited>) -> Vec<u8> {
    let edits = edited.values().filter_map(|edited| {
        let (_, range) = edited.old.as_ref()?;
        Some((range, edited.replacement()))
    });
    let mut edits: Vec<_> = edits.collect();
    edits.sort_by_key(|(range, _)| range.start);

    let mut data = Vec::with_capacity(old.len() + 64);
    let mut copied = 0;
    for (range, replacement) in edits {
        data.extend_from_slice(&old[copied..range.start]);
        if let Some(entry) = replacement {
            push(&mut data, entry);
        }
        copied = range.end;
    }
    data.extend_from_slice(&old[copied..]);
    data
}

/// Merges the edited entries into the tree `old`. Entries without an edit keep their order, even if
/// they are not sorted: a sync does not repair invalid trees of the codex.
fn merge(old: &[u8], edited: &BTreeMap<&BStr, Edited>) -> Vec<u8> {
    let mut additions: Vec<_> = edited.values().filter_map(Edited::addition).collect();
    additions.sort_by(|a, b| compare((a.name.as_bstr(), a.mode), (b.name.as_bstr(), b.mode)));
    let mut additions = additions.into_iter().peekable();

    let mut data = Vec::with_capacity(old.len() + 64);
    for slice in slices(old).flatten() {
        let edit = edited.get(slice.name);
        let replacement = edit.and_then(Edited::replacement);
        if edit.is_some() && replacement.is_none() {
            continue;
        }

        let is_before = |new: &&TreeEntry| {
            compare((new.name.as_bstr(), new.mode), (slice.name, slice.mode)) == Ordering::Less
        };
        while let Some(entry) = additions.next_if(is_before) {
            push(&mut data, entry);
        }
        match replacement {
            Some(entry) => push(&mut data, entry),
            None => data.extend_from_slice(slice.bytes),
        }
    }
    additions.for_each(|entry| push(&mut data, entry));
    data
}

fn entry(name: &BStr, mode: Mode, id: ObjectId) -> TreeEntry {
    TreeEntry {
        name: name.into(),
        octal: mode.octal().into(),
        mode,
        id,
    }
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

    /// The model: a map of paths, in which an added file replaces all files below its path and any
    /// file above it.
    fn apply(files: &mut Files, edits: &BTreeMap<BString, Edit>) {
        for (path, _) in edits.iter().filter(|(_, edit)| edit.is_none()) {
            files.remove(path);
        }
        for (path, edit) in edits {
            let Some(file) = edit else { continue };
            let directory = [path.as_slice(), b"/"].concat();
            files.retain(|other, _| {
                !other.starts_with(&directory)
                    && !path.starts_with(&[other.as_slice(), b"/"].concat())
            });
            files.insert(path.clone(), *file);
        }
    }

    fn listed(memory: &Memory, tree: Option<ObjectId>) -> Files {
        let Some(tree) = tree else {
            return Files::new();
        };
        let listing = listing::list_all(&|id| memory.read(id), tree).unwrap();
        listing
            .entries
            .into_iter()
            .map(|(path, entry)| (path, (entry.mode, entry.id)))
            .collect()
    }

    fn path() -> impl Strategy<Value = BString> {
        prop::collection::vec("(a|b|a-b|a\\.b|ab)", 1..4)
            .prop_map(|segments| segments.join("/").into())
    }

    fn file() -> impl Strategy<Value = (Mode, ObjectId)> {
        (
            prop_oneof![Just(Mode::File), Just(Mode::Executable), Just(Mode::Link)],
            any::<u8>(),
        )
            .prop_map(|(mode, byte)| (mode, object::hash(Kind::Blob, &[byte])))
    }

    /// Leaves out additions whose path is below another added file.
    fn edits(paths: BTreeMap<BString, Edit>) -> BTreeMap<BString, Edit> {
        let mut kept: BTreeMap<BString, Edit> = BTreeMap::new();
        for (path, edit) in paths {
            let clash = |other: &BString, other_edit: &Edit| {
                let below =
                    |a: &BString, b: &BString| a.starts_with(&[b.as_slice(), b"/"].concat());
                (edit.is_some() && other_edit.is_some())
                    && (below(&path, other) || below(other, &path))
            };
            if !kept
                .iter()
                .any(|(other, other_edit)| clash(other, other_edit))
            {
                kept.insert(path, edit);
            }
        }
        kept
    }

    proptest! {
        #[test]
        fn edited_tree_equals_an_edited_map_of_its_files(
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
            // The same files give the same tree, however they were reached.
            let fresh: BTreeMap<_, _> = model.iter().map(|(path, file)| (path.clone(), Some(*file))).collect();
            prop_assert_eq!(edit(&mut memory, None, &fresh).unwrap(), tree);
        }

        #[test]
        fn entries_without_an_edit_stay_even_if_they_are_invalid(
            odd in prop::collection::vec(("[a-c]{1,2}|\\.\\.|\\.git|a/b", "(040000|100664|100644|120000|0|160000)"), 0..8),
            changes in prop::collection::btree_map("(d|e|a-b|b)(/x)?", prop::option::of(file()), 0..4),
        ) {
            let mut memory = Memory::default();
            let old = odd.into_iter().map(|(name, octal)| TreeEntry {
                name: name.into(),
                mode: Mode::from_octal(octal.as_bytes()).unwrap(),
                octal: octal.into(),
                id: object::hash(Kind::Blob, b""),
            });
            let old: Vec<_> = old.collect();
            let base = memory.write(encode(&old), None);
            let changes: BTreeMap<BString, Edit> = changes.into_iter().map(|(p, e)| (p.into(), e)).collect();
            let named = |entry: &&TreeEntry| {
                let name = entry.name.as_bstr();
                changes.keys().any(|path| path == name || path.starts_with(&[name.as_bytes(), b"/"].concat()))
            };
            if let Ok(Some(tree)) = edit(&mut memory, Some(base), &changes) {
                let new = decode(&memory.0[&tree]).unwrap();
                let others = |entries: &[TreeEntry]| -> Vec<_> {
                    entries.iter().filter(|entry| !named(entry)).cloned().collect()
                };
                prop_assert_eq!(others(&old), others(&new));
            }
        }

        #[test]
        fn damaged_tree_is_rejected_or_encodes_to_the_same_bytes(
            names in prop::collection::btree_set("[a-c]{1,3}", 1..6),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let id = object::hash(Kind::Blob, b"");
            let octal = || BString::from("100644");
            let entries = names.into_iter().map(|name| TreeEntry { name: name.into(), octal: octal(), mode: Mode::File, id });
            let mut data = encode(&entries.collect::<Vec<_>>());
            *at.get_mut(&mut data) = byte;
            if let Some(entries) = decode(&data) {
                prop_assert_eq!(encode(&entries), data);
            }
        }
    }
}
