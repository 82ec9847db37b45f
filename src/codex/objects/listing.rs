//! Lists the files in one directory of the codex, as owned values.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use bstr::{BStr, BString, ByteSlice};

use super::tree::{self, TreeEntry, TreeError};
use crate::object::{Mode, ObjectId};
use crate::paths::CodexPath;
use crate::plan::{Entry, Listing};

/// Lists several directories of one tree. The trees above them are decoded only once, because
/// thousands of projects can have the same parent directory.
pub struct Lister<'r> {
    read: &'r dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    root: Option<ObjectId>,
    /// The decoded trees above the listed directories.
    above: HashMap<ObjectId, HashMap<BString, TreeEntry>>,
}

impl<'r> Lister<'r> {
    /// Creates a lister for the root tree `root`; `None` is an empty codex. `read` returns the bytes
    /// of a tree.
    pub fn new(
        read: &'r dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
        root: Option<ObjectId>,
    ) -> Self {
        Self {
            read,
            root,
            above: HashMap::new(),
        }
    }

    /// Lists all entries below `directory`. If a file, or another entry that is not a directory, is
    /// at or above that path, it is the listing's obstacle.
    pub fn list(&mut self, directory: &CodexPath) -> Result<Listing, TreeError> {
        let mut listing = Listing::default();
        let Some(mut tree) = self.root else {
            return Ok(listing);
        };
        let mut path = BString::default();
        for segment in directory.as_bstr().split(|byte| *byte == b'/') {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(segment);
            match self.directory(tree)?.get(segment.as_bstr()) {
                Some(entry) if entry.mode == Mode::Directory => tree = entry.id,
                Some(entry) => {
                    listing.obstacle = Some((path, entry.mode));
                    return Ok(listing);
                }
                None => return Ok(listing),
            }
        }
        list_below(self.read, tree, listing)
    }

    /// The entry at `path`; `None` if it does not exist, as below a file.
    pub fn find(&mut self, path: &BStr) -> Result<Option<(Mode, ObjectId)>, TreeError> {
        let Some(root) = self.root else {
            return Ok(None);
        };
        let mut found = (Mode::Directory, root);
        for segment in path.split(|byte| *byte == b'/') {
            let (mode, id) = found;
            match mode {
                Mode::Directory => {}
                // The target is another directory.
                Mode::Link | Mode::Submodule => return Ok(Some(found)),
                Mode::File | Mode::Executable => return Ok(None),
            }
            match self.directory(id)?.get(segment.as_bstr()) {
                Some(entry) => found = (entry.mode, entry.id),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// The entries of a tree by name. If a name occurs more than once, the first entry counts.
    fn directory(&mut self, id: ObjectId) -> Result<&HashMap<BString, TreeEntry>, TreeError> {
        Ok(match self.above.entry(id) {
            MapEntry::Occupied(decoded) => decoded.into_mut(),
            MapEntry::Vacant(missing) => {
                let mut by_name = HashMap::new();
                for entry in entries(self.read, id)? {
                    by_name.entry(entry.name.clone()).or_insert(entry);
                }
                missing.insert(by_name)
            }
        })
    }
}

/// Lists all entries of `tree`, including those whose names could never be published.
pub fn list_all(
    read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    tree: ObjectId,
) -> Result<Listing, TreeError> {
    list_below(read, tree, Listing::default())
}

/// Adds all entries below `tree` to `listing`. Trees are read one by one, so the depth of
/// directories does not use up the stack.
fn list_below(
    read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    tree: ObjectId,
    mut listing: Listing,
) -> Result<Listing, TreeError> {
    let mut pending = vec![(BString::default(), tree)];
    let mut found = Vec::new();
    while let Some((prefix, id)) = pending.pop() {
        let entries = entries(read, id)?;
        let is_empty = entries.is_empty();
        for entry in entries {
            let path = below(prefix.as_bstr(), entry.name.as_bstr());
            if entry.mode == Mode::Directory {
                pending.push((path, entry.id));
            } else {
                found.push((
                    path,
                    Entry {
                        mode: entry.mode,
                        id: entry.id,
                    },
                ));
            }
        }
        // git never writes an empty directory, but another program can. It counts as an entry.
        if is_empty && !prefix.is_empty() {
            let mode = Mode::Directory;
            found.push((prefix, Entry { mode, id }));
        }
    }
    // Collected at the end, because the nodes of a map that grows in order stay half empty.
    listing.entries = found.into_iter().collect();
    Ok(listing)
}

/// The entries of one tree. A tree that cannot be decoded is an error.
fn entries(
    read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    id: ObjectId,
) -> Result<Vec<TreeEntry>, TreeError> {
    tree::decode(&read(id)?).ok_or(TreeError::Damaged(id))
}

/// The path of an entry. A `/` in its name is replaced by a NUL, which no name can contain, so that
/// the path of such an invalid entry is never the path of another entry.
fn below(prefix: &BStr, name: &BStr) -> BString {
    let name = name.replace("/", "\0");
    if prefix.is_empty() {
        name.into()
    } else {
        bstr::join("/", [prefix.as_bytes(), &name]).into()
    }
}
