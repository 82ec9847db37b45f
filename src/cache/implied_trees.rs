//! The git trees that the files of a cache form.

use std::collections::HashMap;

use bstr::{BStr, BString, ByteSlice};

use crate::codex::objects::tree;
use crate::object::{Kind, Mode, ObjectId, hash};
use crate::plan::Entry;

/// The trees that consist of exactly the files of a cache, by their ids.
///
/// A tree of the codex with one of these ids has the same bytes, so it need not be read from the
/// codex. If a project pulls only some files of a directory, the tree of that directory has another
/// id and is never found here.
pub(crate) struct ImpliedTrees(HashMap<ObjectId, Vec<u8>>);

impl ImpliedTrees {
    /// Forms the trees of `files`, which are sorted by path. This is also the order of the entries in
    /// git's trees, which compare a directory as if its name ended with `/`.
    pub(crate) fn new<'f>(files: impl Iterator<Item = (&'f BStr, Entry)>) -> Self {
        let mut trees = Self(HashMap::new());
        let mut open = vec![OpenTree::default()];
        let mut directory = BString::default();

        for (path, entry) in files {
            let (parent, name) = path.split_at(path.rfind_byte(b'/').map_or(0, |slash| slash + 1));
            if parent != directory.as_bytes() {
                let shared = shared_directories(&directory, parent);
                trees.close(&mut open, 1 + shared);
                let missing = parent.split_str("/").filter(|name| !name.is_empty());
                open.extend(missing.skip(shared).map(OpenTree::named));
                directory = parent.into();
            }
            if let Some(innermost) = open.last_mut() {
                tree::push_entry(&mut innermost.data, entry.mode.octal(), name, entry.id);
            }
        }
        trees.close(&mut open, 0);
        trees
    }

    /// The bytes of the tree with this id.
    pub(crate) fn get(&self, id: ObjectId) -> Option<&[u8]> {
        self.0.get(&id).map(Vec::as_slice)
    }

    /// Closes all but the outermost `remaining` of the `open` trees, and adds each to its parent.
    fn close(&mut self, open: &mut Vec<OpenTree>, remaining: usize) {
        while open.len() > remaining
            && let Some(closed) = open.pop()
        {
            let id = hash(Kind::Tree, &closed.data);
            if let Some(parent) = open.last_mut() {
                tree::push_entry(&mut parent.data, Mode::Directory.octal(), &closed.name, id);
            }
            self.0.insert(id, closed.data);
        }
    }
}

/// A tree to which entries are still added.
#[derive(Default)]
struct OpenTree {
    name: BString,
    data: Vec<u8>,
}

impl OpenTree {
    fn named(name: &[u8]) -> Self {
        Self {
            name: name.into(),
            data: Vec::new(),
        }
    }
}

/// The number of directories that two paths share from the root. Both end with `/` or are empty.
fn shared_directories(one: &[u8], other: &[u8]) -> usize {
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    one[..same].find_iter("/").count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::codex::objects::tree::{TreeEntry, decode, encode};

    const NAMES: [&str; 6] = ["a", "a-b", "a!", "ab", "b", "b.md"];

    /// The bytes of the tree of `files`, which the encoder of trees sorts by itself.
    fn tree_of(files: &BTreeMap<BString, Entry>, found: &mut Vec<Vec<u8>>) -> ObjectId {
        let mut entries = Vec::new();
        let mut below: BTreeMap<BString, BTreeMap<BString, Entry>> = BTreeMap::new();
        for (path, entry) in files {
            match path.split_once_str("/") {
                Some((name, rest)) => {
                    let directory = below.entry(name.into()).or_default();
                    directory.insert(rest.into(), *entry);
                }
                None => entries.push((path.clone(), entry.mode, entry.id)),
            }
        }
        for (name, files) in below {
            entries.push((name, Mode::Directory, tree_of(&files, found)));
        }
        let mut entries: Vec<_> = entries
            .into_iter()
            .map(|(name, mode, id)| TreeEntry {
                name,
                octal: mode.octal().into(),
                mode,
                id,
            })
            .collect();
        entries.sort_by_key(|entry| {
            let end: &[u8] = if entry.mode == Mode::Directory {
                b"/"
            } else {
                b""
            };
            [entry.name.as_slice(), end].concat()
        });
        let data = encode(&entries);
        assert!(decode(&data).is_some());
        found.push(data.clone());
        hash(Kind::Tree, &data)
    }

    #[test]
    fn every_tree_of_the_files_is_implied_and_no_other() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let mut files = BTreeMap::new();
            for _ in 0..random.usize(1..12) {
                let depth = random.usize(1..4);
                let names: Vec<_> = (0..depth).map(|_| NAMES[random.usize(..6)]).collect();
                let mode = [Mode::File, Mode::Executable][random.usize(..2)];
                let id = ObjectId([random.u8(..); 20]);
                files.insert(BString::from(names.join("/")), Entry { mode, id });
            }
            // A path cannot be a file and a directory.
            let paths: Vec<_> = files.keys().cloned().collect();
            files.retain(|path, _| {
                let prefix = [path.as_slice(), b"/"].concat();
                !paths.iter().any(|other| other.starts_with(&prefix))
            });

            let implied =
                ImpliedTrees::new(files.iter().map(|(path, entry)| (path.as_bstr(), *entry)));
            let mut expected = Vec::new();
            tree_of(&files, &mut expected);
            for data in &expected {
                assert_eq!(implied.get(hash(Kind::Tree, data)), Some(data.as_slice()));
            }
            expected.sort();
            expected.dedup();
            assert_eq!(implied.0.len(), expected.len(), "{files:?}");
        }
    }
}
