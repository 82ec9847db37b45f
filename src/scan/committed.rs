//! Lists the claimed files of a project as a commit of its repository has them. The files of the
//! working tree are not read, and listing hashes nothing: the ids are those of the trees.
//!
//! The rules are those of a scan on disk. Only symlinks are resolved in the tree, so that a file
//! that is not committed is never published, whatever symlink points to it. A file that git ignores
//! is published if it is committed. A submodule's files belong to another repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bstr::{BStr, BString, ByteSlice};

use super::claimed_file::ClaimedFile;
use super::committed_links::{CommittedLinks, Located};
use super::committed_tree::{CommittedEntry, CommittedTree, SourceObjects, UnreadableObject};
use super::entry_rules::{EntryRules, WalkEntry, Walked};
use super::error::ScanError;
use super::links::check_preserved;
use super::read::Content;
use super::snapshot::{SkipReason, SourceFile};
use crate::config::Symlinks;
use crate::interrupt::Interrupt;
use crate::object::{self, Kind, Mode, ObjectId};
use crate::paths::{join_below, resolved};
use crate::platform::{FileKind, bytes_of, path_of};
use crate::workspace::Project;

/// The directory of a project in a commit.
pub(super) struct CommittedRoot<'t> {
    tree: CommittedTree<'t>,
    /// The root of the project on disk, resolved. It need not exist.
    path: PathBuf,
    /// The same directory, relative to the root of the repository.
    below: BString,
    /// The tree of the directory.
    pub(super) id: ObjectId,
}

impl<'t> CommittedRoot<'t> {
    /// Finds the directory of a project in the tree. It is an error if the commit does not have it.
    pub(super) fn find(project: &Project, tree: CommittedTree<'t>) -> Result<Self, ScanError> {
        let missing = || ScanError::RootNotCommitted {
            root: project.root.clone(),
            commit: tree.commit,
        };
        let path = resolved(&project.root);
        let below = path.strip_prefix(tree.directory).map_err(|_| missing())?;
        let below = bytes_of(below).into_owned();

        let located = CommittedLinks::new(tree, below.as_bstr()).locate(below.as_bstr());
        let error = |source| ScanError::Object {
            path: BString::default(),
            source,
        };
        match located.map_err(error)? {
            Located::Inside {
                real,
                mode: Mode::Directory,
                id,
            } if real == below => Ok(Self {
                tree,
                path,
                below,
                id,
            }),
            _ => Err(missing()),
        }
    }

    /// The root on disk, resolved.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a file, a directory or a link at the path `source` of the project. A link
    /// that leads to nothing does not count.
    pub(super) fn contains(&self, source: &BStr) -> Result<bool, ScanError> {
        let links = CommittedLinks::new(self.tree, self.below.as_bstr());
        let path = join_below(self.below.as_bstr(), source);
        let located = links.locate(path.as_bstr());
        let located = located.map_err(|error| ScanError::Object {
            path: source.to_owned(),
            source: error,
        })?;
        Ok(matches!(located, Located::Inside { .. }))
    }

    /// Finds the claimed files, each with its object.
    pub(super) fn walk(
        &self,
        project: &Project,
        interrupt: &Interrupt,
    ) -> Result<CommittedWalk, ScanError> {
        let links = CommittedLinks::new(self.tree, self.below.as_bstr());
        let mut walk = TreeWalk {
            root: self,
            rules: EntryRules::new(project, &self.path, links),
            pending: Vec::new(),
            files: Vec::new(),
            used: BTreeSet::new(),
        };
        walk.pending.push(PendingDirectory {
            source: BString::default(),
            id: self.id,
            place: Rc::new(Place {
                real: self.below.clone(),
                parent: None,
            }),
        });
        while let Some(directory) = walk.pending.pop() {
            interrupt.check()?;
            walk.enter(&directory)?;
        }
        walk.finish()
    }

    /// The id, mode and size of a file that the walk has found, or the reason why it is not
    /// published.
    pub(super) fn content(
        &self,
        project: &Project,
        source: &BStr,
        (mode, id): (Mode, ObjectId),
    ) -> Result<Content, ScanError> {
        let error = |error| ScanError::Object {
            path: source.into(),
            source: error,
        };
        if mode == Mode::Link {
            let target = self.tree.objects.blob(id).map_err(error)?;
            let links = CommittedLinks::new(self.tree, self.below.as_bstr());
            let link = self.path.join(path_of(source));
            let checked = check_preserved(&links, &self.path, &link, &target);
            if let Some(fault) = links.take_fault() {
                return Err(error(fault));
            }
            return Ok(checked.map(|()| (id, mode, target.len() as u64)));
        }

        let size = self.tree.objects.size(id).map_err(error)?;
        let limit = project.scan.max_file_size;
        Ok(if size > limit {
            Err(SkipReason::TooLarge { size, limit })
        } else {
            Ok((id, mode, size))
        })
    }
}

/// Reads a scanned file, to publish it. A blob whose contents do not have its id is an error.
pub(crate) fn contents(
    objects: &dyn SourceObjects,
    file: &SourceFile,
) -> Result<Vec<u8>, ScanError> {
    let error = |source| ScanError::Object {
        path: file.source.clone(),
        source,
    };
    let data = objects.blob(file.id).map_err(error)?;
    if object::hash(Kind::Blob, &data) == file.id {
        Ok(data)
    } else {
        Err(error(UnreadableObject::Damaged {
            id: file.id,
            reason: "its contents have another id".to_owned(),
        }))
    }
}

/// The result of a walk through a commit.
pub(super) struct CommittedWalk {
    pub(super) walked: Walked,
    /// The mode and the object of each claimed file, in the order of the files in `walked`.
    pub(super) objects: Vec<(Mode, ObjectId)>,
    /// Whether the result depends only on the project's own tree.
    pub(super) is_of_project_alone: bool,
}

/// A walk in progress.
struct TreeWalk<'r, 't> {
    root: &'r CommittedRoot<'t>,
    rules: EntryRules<CommittedLinks<'t>>,
    /// The directories that are still to be entered.
    pending: Vec<PendingDirectory>,
    files: Vec<(ClaimedFile, (Mode, ObjectId))>,
    used: BTreeSet<usize>,
}

/// A directory that is to be entered.
struct PendingDirectory {
    /// The path by which the walk reaches it, relative to the project's root.
    source: BString,
    id: ObjectId,
    place: Rc<Place>,
}

/// The place of a directory in the repository, and the places of those that the walk came through.
/// A symlink to one of them is a loop.
struct Place {
    real: BString,
    parent: Option<Rc<Place>>,
}

impl Place {
    fn is_at_or_below(&self, real: &BString) -> bool {
        let mut place = Some(self);
        while let Some(here) = place {
            if here.real == *real {
                return true;
            }
            place = here.parent.as_deref();
        }
        false
    }
}

/// An entry of a directory, or the target of one that is a symlink and is followed.
struct Target {
    kind: FileKind,
    mode: Mode,
    id: ObjectId,
    /// The path in the repository.
    real: BString,
}

impl TreeWalk<'_, '_> {
    fn enter(&mut self, directory: &PendingDirectory) -> Result<(), ScanError> {
        let entries = self.root.tree.objects.tree(directory.id);
        let entries = entries.map_err(|source| ScanError::Object {
            path: directory.source.clone(),
            source,
        })?;
        for entry in entries {
            self.visit(directory, entry)?;
        }
        Ok(())
    }

    fn visit(
        &mut self,
        directory: &PendingDirectory,
        entry: CommittedEntry,
    ) -> Result<(), ScanError> {
        let source = join_below(directory.source.as_bstr(), entry.name.as_bstr());
        let real = join_below(directory.place.real.as_bstr(), entry.name.as_bstr());
        let is_link = entry.mode == Mode::Link;
        let Some(target) = self.target(&source, real, &entry, &directory.place)? else {
            return Ok(());
        };
        let path = self.root.path.join(path_of(&source));
        let found = WalkEntry {
            path: &path,
            source,
            kind: target.kind,
            is_link,
        };

        let is_admitted = self.rules.admits(&found);
        self.check_fault(&found.source)?;
        if !is_admitted {
            return Ok(());
        }
        if target.mode == Mode::Submodule {
            self.rules.skip(found.source, SkipReason::Submodule);
            return Ok(());
        }
        if target.kind == FileKind::Directory {
            self.pending.push(PendingDirectory {
                source: found.source,
                id: target.id,
                place: Rc::new(Place {
                    real: target.real,
                    parent: Some(directory.place.clone()),
                }),
            });
            return Ok(());
        }

        let matching = self.rules.project().claims.matching(&found.source);
        let file = self.rules.visit(found, &matching);
        self.used.extend(matching);
        self.files
            .extend(file.map(|file| (file, (target.mode, target.id))));
        Ok(())
    }

    /// The entry at `source`, or its target if it is a symlink that is followed; `None` if it
    /// is skipped. `real` is its path in the repository.
    fn target(
        &self,
        source: &BString,
        real: BString,
        entry: &CommittedEntry,
        directory: &Place,
    ) -> Result<Option<Target>, ScanError> {
        let (mode, id) = (entry.mode, entry.id);
        if mode != Mode::Link || self.rules.project().scan.symlinks != Symlinks::FollowInside {
            return Ok(Some(Target::new(mode, id, real)));
        }
        let located = self.rules.links().locate(real.as_bstr());
        let located = located.map_err(|error| ScanError::Object {
            path: source.clone(),
            source: error,
        })?;
        let reason = match located {
            Located::Inside {
                real,
                mode: Mode::Directory,
                ..
            } if directory.is_at_or_below(&real) => SkipReason::Loop,
            Located::Inside { real, mode, id } => {
                return Ok(Some(Target::new(mode, id, real)));
            }
            Located::Outside(_) => SkipReason::LeavesRoot,
            Located::Missing => SkipReason::Dangling,
            Located::Loop => SkipReason::Loop,
        };
        self.skip(source, reason);
        Ok(None)
    }

    /// Skips a path, unless no pattern can match there.
    fn skip(&self, source: &BString, reason: SkipReason) {
        if self.rules.may_hold_claimed(source) {
            self.rules.skip(source.clone(), reason);
        }
    }

    /// Returns the error of an object that the rules could not read.
    fn check_fault(&self, source: &BString) -> Result<(), ScanError> {
        match self.rules.links().take_fault() {
            None => Ok(()),
            Some(fault) => Err(ScanError::Object {
                path: source.clone(),
                source: fault,
            }),
        }
    }

    fn finish(mut self) -> Result<CommittedWalk, ScanError> {
        self.check_fault(&BString::default())?;
        self.files.sort_by(|(a, _), (b, _)| a.source.cmp(&b.source));
        let (files, objects) = self.files.into_iter().unzip();
        Ok(CommittedWalk {
            walked: self.rules.finish(files, self.used),
            objects,
            is_of_project_alone: !self.rules.links().has_left_project(),
        })
    }
}

impl Target {
    fn new(mode: Mode, id: ObjectId, real: BString) -> Self {
        let kind = match mode {
            Mode::File | Mode::Executable => FileKind::File,
            Mode::Directory | Mode::Submodule => FileKind::Directory,
            Mode::Link => FileKind::Link,
        };
        Self {
            kind,
            mode,
            id,
            real,
        }
    }
}
