//! Reads what stands in the codex at one place, as owned values.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use bstr::{BStr, BString, ByteSlice};

use super::tree::{self, TreeEntry, TreeError};
use crate::object::{Mode, ObjectId};
use crate::paths::CodexPath;
use crate::plan::{Entry, Listing};

/// Reads listings of several places in one tree. The directories above the places are decoded once: thousands of
/// projects have one.
pub struct Lister<'r> {
    read: &'r dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    root: Option<ObjectId>,
    above: HashMap<ObjectId, HashMap<BString, TreeEntry>>,
}

impl<'r> Lister<'r> {
    /// A reader of `root` (a tree, or `None` for an empty codex); `read` gives a tree's bytes.
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

    /// Lists what stands at and below `place`.
    pub fn list(&mut self, place: &CodexPath) -> Result<Listing, TreeError> {
        let mut listing = Listing::default();
        let Some(mut tree) = self.root else {
            return Ok(listing);
        };
        let mut walked = BString::default();
        for segment in place.as_bstr().split(|byte| *byte == b'/') {
            if !walked.is_empty() {
                walked.push(b'/');
            }
            walked.extend_from_slice(segment);
            match self.directory(tree)?.get(segment.as_bstr()) {
                Some(entry) if entry.mode == Mode::Directory => tree = entry.id,
                Some(entry) => {
                    listing.obstacle = Some((walked, entry.mode));
                    return Ok(listing);
                }
                None => return Ok(listing),
            }
        }
        list_below(self.read, tree, listing)
    }

    fn directory(&mut self, id: ObjectId) -> Result<&HashMap<BString, TreeEntry>, TreeError> {
        Ok(match self.above.entry(id) {
            MapEntry::Occupied(known) => known.into_mut(),
            MapEntry::Vacant(unknown) => {
                let mut named = HashMap::new();
                for entry in entries(self.read, id)? {
                    // Of two entries of one name the first is the one that is found.
                    named.entry(entry.name.clone()).or_insert(entry);
                }
                unknown.insert(named)
            }
        })
    }
}

/// Lists everything in `tree`: also names that could never be published.
pub fn list_all(
    read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    tree: ObjectId,
) -> Result<Listing, TreeError> {
    list_below(read, tree, Listing::default())
}

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
        // Git writes no empty directories; one that is there is an entry all the same.
        if is_empty && !prefix.is_empty() {
            let mode = Mode::Directory;
            found.push((prefix, Entry { mode, id }));
        }
    }
    // In one go, for a map that is grown in order keeps its nodes half empty.
    listing.entries = found.into_iter().collect();
    Ok(listing)
}

fn entries(
    read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    id: ObjectId,
) -> Result<Vec<TreeEntry>, TreeError> {
    tree::decode(&read(id)?).ok_or(TreeError::Damaged(id))
}

/// The path of an entry. A `/` in its name becomes a NUL, which no name can have, so that the path of an unsound entry is
/// never that of another one.
fn below(prefix: &BStr, name: &BStr) -> BString {
    let name = name.replace("/", "\0");
    if prefix.is_empty() {
        name.into()
    } else {
        bstr::join("/", [prefix.as_bytes(), &name]).into()
    }
}
