//! The index of a source repository: the files that git tracks, with their stat at the last checkout.
//! With it, files that are not committed are found without reading their contents.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_index::entry::{Flags, Mode as IndexMode, Stage, Stat, stat};
use gix_index::extension::Tree;
use gix_index::{Entry, File, decode};

use super::objects::tree::{TreeEntry, TreeError, decode as decode_tree};
use crate::object::{Kind, Mode, ObjectId, hash};
use crate::paths::join_below;
use crate::platform::{FileKind, Look, bytes_of, path_of};
use crate::stat::Time;

/// The index of a repository.
pub(crate) struct SourceIndex {
    /// The directory of the working tree, resolved.
    directory: PathBuf,
    file: File,
}

/// A file, symlink or submodule that git tracks.
#[derive(Clone, Copy)]
pub(crate) struct TrackedEntry<'i> {
    /// The path in the repository.
    pub(crate) path: &'i BStr,
    entry: &'i Entry,
}

impl TrackedEntry<'_> {
    /// Whether it is a regular file.
    pub(crate) fn is_file(&self) -> bool {
        matches!(
            self.entry.mode,
            IndexMode::FILE | IndexMode::FILE_EXECUTABLE
        )
    }

    /// Whether it is the commit of a submodule.
    pub(crate) fn is_submodule(&self) -> bool {
        self.entry.mode == IndexMode::COMMIT
    }

    /// Whether it is a symlink.
    pub(crate) fn is_link(&self) -> bool {
        self.entry.mode == IndexMode::SYMLINK
    }

    /// Whether git leaves it out of the working tree, because it is outside of the sparse checkout.
    pub(super) fn is_outside_sparse_checkout(&self) -> bool {
        self.entry.flags.contains(Flags::SKIP_WORKTREE)
    }

    /// The object.
    pub(super) fn id(&self) -> ObjectId {
        id(&self.entry.id)
    }
}

impl SourceIndex {
    /// Reads the index at `path`. Returns an empty one if there is no file yet.
    pub(super) fn read(path: &Path, directory: &Path) -> Result<Self, String> {
        let kind = gix_hash::Kind::Sha1;
        let file = match path.exists() {
            true => File::at(path, kind, true, decode::Options::default())
                .map_err(|error| error.to_string())?,
            false => File::from_state(gix_index::State::new(kind), path.to_owned()),
        };
        Ok(Self {
            directory: directory.to_owned(),
            file,
        })
    }

    /// The entries below a directory of the repository, in path order. The empty path is the root.
    pub(crate) fn below(&self, directory: &BStr) -> impl Iterator<Item = TrackedEntry<'_>> {
        let mut prefix = directory.to_owned();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let entries = self.file.prefixed_entries(prefix.as_bstr());
        entries
            .unwrap_or_default()
            .iter()
            .map(|entry| self.tracked(entry))
    }

    /// The entry at `path`, unless it is in conflict.
    pub(crate) fn entry(&self, path: &BStr) -> Option<TrackedEntry<'_>> {
        let entry = self
            .file
            .entry_by_path_and_stage(path, Stage::Unconflicted)?;
        Some(self.tracked(entry))
    }

    /// Whether a directory is in one that git leaves out of the working tree as a whole, as only a sparse
    /// index says it.
    pub(super) fn is_in_sparse_directory(&self, directory: &BStr) -> bool {
        let slashes = directory.find_iter(b"/");
        let mut above = slashes
            .chain([directory.len()])
            .map(|end| &directory[..end]);
        above.any(|above| {
            let path = [above.as_bytes(), b"/"].concat();
            let entry = self.entry(path.as_bstr());
            entry.is_some_and(|entry| entry.is_outside_sparse_checkout())
        })
    }

    fn tracked<'i>(&'i self, entry: &'i Entry) -> TrackedEntry<'i> {
        TrackedEntry {
            path: entry.path(&self.file),
            entry,
        }
    }

    /// Whether the file or symlink on disk is the one in the index. Contents are only read if the
    /// stat differs, or if it cannot show a change because the file is as new as the index.
    pub(crate) fn is_unmodified(&self, tracked: TrackedEntry<'_>) -> bool {
        let path = self.directory.join(path_of(tracked.path));
        let Ok(metadata) = gix_index::fs::Metadata::from_path_no_follow(&path) else {
            return tracked.is_outside_sparse_checkout();
        };
        if !(metadata.is_file() && tracked.is_file() || metadata.is_symlink() && tracked.is_link())
        {
            return false;
        }
        if tracked.entry.stage() != Stage::Unconflicted {
            return false;
        }

        let found = Stat::from_fs(&metadata);
        found.is_ok_and(|found| self.is_surely(tracked, &found))
            || self.has_contents(tracked, &path, &metadata)
    }

    /// Whether a file with this metadata is surely the one in the index. A file that may have changed
    /// without a change of its metadata, because it is as new as the index, is not.
    pub(crate) fn is_surely_unmodified(&self, tracked: TrackedEntry<'_>, look: &Look) -> bool {
        look.kind == FileKind::File
            && tracked.is_file()
            && tracked.entry.stage() == Stage::Unconflicted
            && self.is_surely(tracked, &stat_of(look, &tracked.entry.stat))
    }

    fn is_surely(&self, tracked: TrackedEntry<'_>, found: &Stat) -> bool {
        let known = &tracked.entry.stat;
        let options = options(known);
        known.matches(found, options) && !known.is_racy(self.file.timestamp(), options)
    }

    /// Whether the file at `path` had the contents `id` when the index was written, and has the same
    /// metadata since. A file as new as the index may have changed, nevertheless.
    pub(super) fn has_stat(&self, path: &BStr, id_of_file: ObjectId, look: &Look) -> bool {
        self.entry(path).is_some_and(|tracked| {
            let known = &tracked.entry.stat;
            id(&tracked.entry.id) == id_of_file
                && known.matches(&stat_of(look, known), options(known))
        })
    }

    /// Whether a file or symlink has the contents and the mode of its entry.
    fn has_contents(
        &self,
        tracked: TrackedEntry<'_>,
        path: &Path,
        metadata: &gix_index::fs::Metadata,
    ) -> bool {
        let contents = match tracked.is_link() {
            true => fs::read_link(path).map(|target| bytes_of(&target).to_vec()),
            false => fs::read(path),
        };
        let is_executable = tracked.entry.mode == IndexMode::FILE_EXECUTABLE;
        let has_mode = tracked.is_link() || metadata.is_executable() == is_executable;
        has_mode
            && contents.is_ok_and(|contents| hash(Kind::Blob, &contents) == id(&tracked.entry.id))
    }

    /// The paths whose entries differ from the tree of a commit. Directories that git knows to be
    /// equal are not read.
    pub(super) fn staged(
        &self,
        read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
        tree: ObjectId,
    ) -> Result<Vec<BString>, TreeError> {
        let mut found = Vec::new();
        let comparison = StagedComparison { index: self, read };
        let entries = self.file.entries();
        comparison.compare(
            BStr::new(""),
            entries,
            self.file.tree(),
            Some(tree),
            &mut found,
        )?;
        Ok(found)
    }
}

struct StagedComparison<'i> {
    index: &'i SourceIndex,
    read: &'i dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
}

impl StagedComparison<'_> {
    /// Compares `entries`, all entries below `directory`, with a tree. `known` is what the index
    /// knows about the tree of these entries.
    fn compare(
        &self,
        directory: &BStr,
        entries: &[Entry],
        known: Option<&Tree>,
        tree: Option<ObjectId>,
        found: &mut Vec<BString>,
    ) -> Result<(), TreeError> {
        let is_equal = |known: &Tree| known.num_entries.is_some() && Some(id(&known.id)) == tree;
        if known.is_some_and(is_equal) {
            return Ok(());
        }
        let mut committed = self.committed(tree)?;
        let children = known.map(|known| known.children.as_slice());
        let children: BTreeMap<_, _> = children
            .unwrap_or_default()
            .iter()
            .map(|child| (child.name.as_slice(), child))
            .collect();

        let mut rest = entries;
        while let Some(first) = rest.first() {
            let path = first.path(&self.index.file);
            let inside = below(directory, path);
            let Some(slash) = inside.find_byte(b'/') else {
                let before = committed.get(inside).copied();
                let is_same = before == mode(first.mode).map(|mode| (mode, id(&first.id)));
                if !is_same || first.stage() != Stage::Unconflicted {
                    found.push(path.to_owned());
                }
                if before.is_some_and(|(mode, _)| mode != Mode::Directory) {
                    committed.remove(inside);
                }
                rest = &rest[1..];
                continue;
            };

            let name = inside[..slash].as_bstr();
            let is_inside = |entry: &Entry| {
                let below = below(directory, entry.path(&self.index.file));
                below.starts_with(name) && below.get(slash) == Some(&b'/')
            };
            let (those, others) = rest.split_at(rest.partition_point(is_inside));
            let tree = match committed.get(name) {
                Some((Mode::Directory, id)) => Some(*id),
                _ => None,
            };
            if tree.is_some() {
                committed.remove(name);
            }
            let known = children.get(name.as_bytes()).copied();
            let inside = join_below(directory, name);
            self.compare(inside.as_bstr(), those, known, tree, found)?;
            rest = others;
        }

        // The index has nothing at the other paths.
        for (name, (mode, id)) in committed {
            let path = join_below(directory, name.as_bstr());
            match mode {
                Mode::Directory => self.compare(path.as_bstr(), &[], None, Some(id), found)?,
                _ => found.push(path),
            }
        }
        Ok(())
    }

    /// The entries of a tree, or none without one.
    fn committed(
        &self,
        tree: Option<ObjectId>,
    ) -> Result<BTreeMap<BString, (Mode, ObjectId)>, TreeError> {
        let Some(tree) = tree else {
            return Ok(BTreeMap::new());
        };
        let entries = decode_tree(&(self.read)(tree)?).ok_or(TreeError::Damaged(tree))?;
        let pair = |entry: TreeEntry| (entry.name, (entry.mode, entry.id));
        Ok(entries.into_iter().map(pair).collect())
    }
}

/// The part of `path` below `directory`, which is empty for the root.
fn below<'p>(directory: &BStr, path: &'p BStr) -> &'p BStr {
    let below = path.strip_prefix(directory.as_bytes()).unwrap_or(path);
    below.strip_prefix(b"/").unwrap_or(below).as_bstr()
}

/// The values of `known` that are compared: git can be built without nanoseconds and inodes.
fn options(known: &Stat) -> stat::Options {
    stat::Options {
        use_nsec: known.mtime.nsecs != 0,
        check_stat: known.ino != 0,
        ..stat::Options::default()
    }
}

/// The metadata of a file in the form of an index, which has 32 bits of each value. The owner is that
/// of `known`: another owner is another change time.
fn stat_of(look: &Look, known: &Stat) -> Stat {
    let time = |(seconds, nanoseconds): Time| stat::Time {
        secs: seconds as u32,
        nsecs: nanoseconds as u32,
    };
    Stat {
        mtime: time(look.stat.modified),
        ctime: time(look.stat.changed),
        ino: look.stat.inode as u32,
        size: look.stat.size as u32,
        ..*known
    }
}

fn id(id: &gix_hash::ObjectId) -> ObjectId {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&id.as_slice()[..20]);
    ObjectId(bytes)
}

/// The mode of an entry of a tree; `None` for a directory of a sparse index.
fn mode(mode: IndexMode) -> Option<Mode> {
    Mode::from_octal(format!("{:o}", mode.bits()).as_bytes())
}
