//! Other spellings of a directory of the codex: paths that differ from it only in case or Unicode
//! form.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use bstr::{BString, ByteSlice};

use super::listing::list_all;
use super::tree::{self, TreeEntry, TreeError};
use crate::object::{Mode, ObjectId};
use crate::paths::{CodexPath, folded, join_below};

/// Finds other spellings in some trees. Each tree is decoded only once, because thousands of
/// projects can have the same parent directory.
pub(crate) struct SpellingSearch<'r> {
    read: &'r dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    roots: Vec<ObjectId>,
    /// The entries of the decoded trees, by the folded form of their names.
    decoded: HashMap<ObjectId, HashMap<BString, Vec<TreeEntry>>>,
}

impl<'r> SpellingSearch<'r> {
    /// Searches the trees `roots`. `read` returns the bytes of a tree.
    pub(crate) fn new(
        read: &'r dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
        roots: Vec<ObjectId>,
    ) -> Self {
        Self {
            read,
            roots,
            decoded: HashMap::new(),
        }
    }

    /// The paths of all files below other spellings of `directory`. A file in the place of such a
    /// directory, or of one above it, is a result as well.
    pub(crate) fn files(&mut self, directory: &CodexPath) -> Result<Vec<BString>, TreeError> {
        let roots = self.roots.iter();
        let mut found = Vec::new();
        let mut pending: Vec<_> = roots.map(|root| (BString::default(), *root)).collect();
        for segment in directory.as_bstr().split(|byte| *byte == b'/') {
            let form = folded(segment);
            let mut below = Vec::new();
            for (above, tree) in pending {
                for entry in self.directory(tree)?.get(&form).into_iter().flatten() {
                    let path = join_below(above.as_bstr(), entry.name.as_bstr());
                    if entry.mode == Mode::Directory {
                        below.push((path, entry.id));
                    } else {
                        found.push(path);
                    }
                }
            }
            pending = below;
        }

        pending.retain(|(path, _)| path != directory.as_bstr());
        for (path, tree) in pending {
            let entries = list_all(self.read, tree)?.entries.into_iter();
            let files = entries.filter(|(_, entry)| entry.mode != Mode::Directory);
            found.extend(files.map(|(below, _)| join_below(path.as_bstr(), below.as_bstr())));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The entries of a tree by the folded form of their names.
    fn directory(&mut self, id: ObjectId) -> Result<&HashMap<BString, Vec<TreeEntry>>, TreeError> {
        Ok(match self.decoded.entry(id) {
            MapEntry::Occupied(decoded) => decoded.into_mut(),
            MapEntry::Vacant(missing) => {
                let entries = tree::decode(&(self.read)(id)?).ok_or(TreeError::Damaged(id))?;
                let mut by_form: HashMap<_, Vec<_>> = HashMap::new();
                for entry in entries {
                    by_form.entry(folded(&entry.name)).or_default().push(entry);
                }
                missing.insert(by_form)
            }
        })
    }
}
