//! Finds paths in the tree of a commit, and resolves the symlinks in it. Nothing on disk is read.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bstr::{BStr, BString, ByteSlice};

use super::committed_tree::{CommittedTree, EntriesByName, UnreadableObject};
use super::links::Links;
use crate::object::{Mode, ObjectId};
use crate::paths::MAX_LINKS;
use crate::platform::{bytes_of, path_of};

/// The destination of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Located {
    /// The path leads to an entry of the tree that is not a symlink.
    Inside {
        /// The path with all symlinks resolved, relative to the root of the repository.
        real: BString,
        /// The mode of the entry.
        mode: Mode,
        /// The object of the entry.
        id: ObjectId,
    },
    /// The path leads to this path outside the repository.
    Outside(PathBuf),
    /// The path leads to nothing.
    Missing,
    /// The path leads through too many symlinks.
    Loop,
}

/// The paths of one commit. Every tree is decoded only once.
pub(crate) struct CommittedLinks<'t> {
    tree: CommittedTree<'t>,
    decoded: Mutex<HashMap<ObjectId, Arc<EntriesByName>>>,
    /// The path of the project, relative to the root of the repository.
    project: BString,
    /// Whether a symlink led out of the project.
    has_left_project: AtomicBool,
    /// The first object that could not be read.
    fault: Mutex<Option<UnreadableObject>>,
}

/// The position of a search: the directories below the root of the repository that it is in, or a
/// directory outside.
struct Position {
    /// The names and trees of the directories, from the root of the repository.
    inside: Vec<(BString, ObjectId)>,
    outside: Option<PathBuf>,
    /// The file at the position, if it is no directory.
    file: Option<(BString, Mode, ObjectId)>,
}

impl<'t> CommittedLinks<'t> {
    /// The paths of `tree`, for a project at the path `project`.
    pub(crate) fn new(tree: CommittedTree<'t>, project: &BStr) -> Self {
        Self {
            tree,
            decoded: Mutex::default(),
            project: project.to_owned(),
            has_left_project: AtomicBool::new(false),
            fault: Mutex::default(),
        }
    }

    /// Whether a symlink led out of the project, so that the result depends on other directories of
    /// the repository.
    pub(super) fn has_left_project(&self) -> bool {
        self.has_left_project.load(Ordering::Relaxed)
    }

    /// Returns the first object that could not be read, and forgets it.
    pub(super) fn take_fault(&self) -> Option<UnreadableObject> {
        self.fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Finds the entry at `path`, relative to the root of the repository, and follows symlinks.
    pub(crate) fn locate(&self, path: &BStr) -> Result<Located, UnreadableObject> {
        let mut position = Position {
            inside: Vec::new(),
            outside: None,
            file: None,
        };
        // The segments that are left, the next one last.
        let mut pending: Vec<BString> = segments(path).rev().collect();
        let mut links = 0;
        while let Some(segment) = pending.pop() {
            if position.file.is_some() {
                // A file has no entries, not even `.`.
                return Ok(Located::Missing);
            }
            match segment.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    self.ascend(&mut position);
                    continue;
                }
                _ => {}
            }
            if let Some(outside) = &mut position.outside {
                outside.push(path_of(&segment));
                if *outside == self.tree.directory {
                    position.outside = None;
                } else if !self.tree.directory.starts_with(&*outside) {
                    return Ok(Located::Outside(outside.clone()));
                }
                continue;
            }

            let here = position.inside.last().map_or(self.tree.id, |(_, id)| *id);
            match self.directory(here)?.get(&segment).copied() {
                None => return Ok(Located::Missing),
                Some((Mode::Directory, id)) => position.inside.push((segment, id)),
                Some((Mode::Link, id)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Ok(Located::Loop);
                    }
                    let target = self.tree.objects.blob(id)?;
                    if target.is_empty() || target.contains(&0) {
                        return Ok(Located::Missing);
                    }
                    if target.starts_with(b"/") {
                        position.inside.clear();
                        position.outside = Some(PathBuf::from("/"));
                    }
                    pending.extend(segments(target.as_bstr()).rev());
                }
                Some((mode, id)) => position.file = Some((segment, mode, id)),
            }
            self.note(&position);
        }
        Ok(self.located(position))
    }

    /// The entry at `path`, relative to the root of the repository. A symlink at its end is not
    /// followed.
    pub(crate) fn entry(&self, path: &BStr) -> Result<Option<(Mode, ObjectId)>, UnreadableObject> {
        let (directory, name) = path.rsplit_once_str("/").unwrap_or((b"", path));
        match self.locate(directory.as_bstr())? {
            Located::Inside {
                mode: Mode::Directory,
                id,
                ..
            } => Ok(self.directory(id)?.get(name.as_bstr()).copied()),
            _ => Ok(None),
        }
    }

    /// Moves to the parent directory.
    fn ascend(&self, position: &mut Position) {
        if let Some(outside) = &mut position.outside {
            outside.pop();
        } else if position.inside.pop().is_none() {
            let parent = self.tree.directory.parent().unwrap_or(Path::new("/"));
            position.outside = Some(parent.to_owned());
        }
        self.note(position);
    }

    /// Notes whether the position is outside the project.
    fn note(&self, position: &Position) {
        let mut names = position.inside.iter().map(|(name, _)| name.as_bstr());
        let mut project = self.project.split_str("/").filter(|name| !name.is_empty());
        let is_on_way = position.outside.is_none()
            && names.all(|name| project.next().is_none_or(|own| own == name.as_bytes()));
        if !is_on_way {
            self.has_left_project.store(true, Ordering::Relaxed);
        }
    }

    fn located(&self, position: Position) -> Located {
        if let Some(outside) = position.outside {
            return Located::Outside(outside);
        }
        let (mode, id) = match &position.file {
            Some((_, mode, id)) => (*mode, *id),
            None => {
                let last = position.inside.last();
                (Mode::Directory, last.map_or(self.tree.id, |(_, id)| *id))
            }
        };
        let names = position.inside.iter().map(|(name, _)| name);
        let file = position.file.iter().map(|(name, ..)| name);
        Located::Inside {
            real: bstr::join("/", names.chain(file)).into(),
            mode,
            id,
        }
    }

    /// The entries of a tree.
    fn directory(&self, id: ObjectId) -> Result<Arc<EntriesByName>, UnreadableObject> {
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match decoded.entry(id) {
            MapEntry::Occupied(known) => known.get().clone(),
            MapEntry::Vacant(unknown) => {
                unknown.insert(self.tree.objects.tree_by_name(id)?).clone()
            }
        })
    }

    /// Finds the entry that the symlink at the path `link`, below the directory of the repository,
    /// leads to. An object that cannot be read is noted, and counts as a missing path.
    fn follow(&self, link: &Path) -> Located {
        let Ok(below) = link.strip_prefix(self.tree.directory) else {
            return Located::Outside(link.to_owned());
        };
        self.locate(&bytes_of(below)).unwrap_or_else(|error| {
            let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            fault.get_or_insert(error);
            Located::Missing
        })
    }
}

impl Links for CommittedLinks<'_> {
    fn resolve(&self, link: &Path) -> Option<PathBuf> {
        match self.follow(link) {
            Located::Inside { real, .. } => Some(self.tree.directory.join(path_of(&real))),
            Located::Outside(path) => Some(path),
            Located::Missing | Located::Loop => None,
        }
    }

    fn leads_to_directory(&self, link: &Path) -> Option<bool> {
        match self.follow(link) {
            Located::Inside { mode, .. } => Some(mode == Mode::Directory),
            Located::Outside(_) | Located::Missing | Located::Loop => None,
        }
    }
}

/// The segments of a path, including empty ones.
fn segments(path: &BStr) -> impl DoubleEndedIterator<Item = BString> {
    path.split(|byte| *byte == b'/').map(BString::from)
}
