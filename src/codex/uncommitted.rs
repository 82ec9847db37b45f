//! Compares the files of a plan, or all files that a project publishes, with the commit that is
//! checked out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bstr::{BStr, BString, ByteSlice};
use cap_std::fs::Dir;

use super::objects::listing;
use super::source_repository::{SourceCommit, SourceRepository};
use crate::object::{Mode, ObjectId};
use crate::paths::join_below;
use crate::plan::{Entry, Op, ProjectPlan, UncommittedFiles};
use crate::platform::{self, bytes_of, path_of};
use crate::scan::{CommittedLinks, CommittedTree, Located, Snapshot, SourceFile, UnreadableObject};
use crate::workspace::Project;

/// Returns the files of `plan` that differ from `commit`, or that it does not have. Without a commit
/// these are all files.
///
/// [`SourceRepository::differs`] decides whether a file differs.
/// Returns no file for a project outside the working tree of `repository`.
pub(crate) fn uncommitted_files(
    repository: &SourceRepository,
    commit: Option<&SourceCommit>,
    project: &Project,
    plan: &ProjectPlan,
) -> Result<UncommittedFiles, UnreadableObject> {
    let mut found = UncommittedFiles::none(commit.map(|commit| commit.id));
    let Some(below) = directory_of(repository, project) else {
        return Ok(found);
    };
    let Some(tree) = commit.and_then(|commit| repository.tree_of(commit).ok()) else {
        found.added = plan.files().map(|file| file.source.clone()).collect();
        return Ok(found);
    };

    let comparison = CommitComparison::new(repository, tree, below.as_bstr());
    for change in &plan.changes {
        match &change.op {
            Op::Added(file) | Op::Modified(file) => match comparison.compare(file)? {
                FileComparison::Same(_) => {}
                FileComparison::Modified => found.modified.push(file.source.clone()),
                FileComparison::Added => found.added.push(file.source.clone()),
            },
            Op::Deleted => {
                for source in project.claims.sources(&change.path) {
                    let source = BString::from(source);
                    if comparison.committed_file(source.as_bstr())?.is_some() {
                        found.deleted.push(source);
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Returns the paths in the repository of the changes of `plan` that are in `commit`: the files that
/// do not differ from it, and the sources of deleted files that it does not have. There is none for a
/// project outside the working tree of `repository`.
pub(crate) fn committed_changes(
    repository: &SourceRepository,
    commit: &SourceCommit,
    project: &Project,
    plan: &ProjectPlan,
) -> Result<BTreeSet<BString>, UnreadableObject> {
    let mut found = BTreeSet::new();
    let Some(below) = directory_of(repository, project) else {
        return Ok(found);
    };
    let Ok(tree) = repository.tree_of(commit) else {
        return Ok(found);
    };

    let comparison = CommitComparison::new(repository, tree, below.as_bstr());
    for change in &plan.changes {
        match &change.op {
            Op::Added(file) | Op::Modified(file) => {
                if let FileComparison::Same(path) = comparison.compare(file)? {
                    found.insert(path);
                }
            }
            Op::Deleted => {
                for source in project.claims.sources(&change.path) {
                    let source = source.as_bstr();
                    if comparison.committed_file(source)?.is_none() {
                        found.insert(comparison.path(source));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Whether the files that a project publishes differ from those of `commit`: one has another version
/// or is not in the commit, or one of the commit is missing on disk. A commit that cannot be read
/// counts as different. `None` for a project outside the working tree of `repository`.
pub(super) fn differs_from_commit(
    repository: &SourceRepository,
    commit: &SourceCommit,
    project: &Project,
    snapshot: &Snapshot,
) -> Option<bool> {
    let below = directory_of(repository, project)?;
    let below = below.as_bstr();
    let (Ok(tree), Some(committed)) = (
        repository.tree_of(commit),
        committed_entries(repository, commit, below),
    ) else {
        return Some(true);
    };

    let comparison = CommitComparison::new(repository, tree, below);
    let is_published_as_committed = |file: &SourceFile| match committed.get(&file.source) {
        // The usual case, for which no directory is searched again.
        Some(entry) if entry.mode.is_file() => {
            let path = comparison.path(file.source.as_bstr());
            let published = (file.mode, file.id);
            !repository.differs(path.as_bstr(), (entry.mode, entry.id), published)
        }
        _ => matches!(comparison.compare(file), Ok(FileComparison::Same(_))),
    };
    Some(
        !snapshot.files.values().all(is_published_as_committed)
            || is_any_missing(&committed, project, snapshot),
    )
}

/// The entries of `commit` below the directory of a project, by their path in it; `None` if they
/// cannot be read.
fn committed_entries(
    repository: &SourceRepository,
    commit: &SourceCommit,
    below: &BStr,
) -> Option<BTreeMap<BString, Entry>> {
    let read = |id: ObjectId| repository.tree_data(id);
    match repository.directory_tree(commit.tree, below).ok()? {
        Some(tree) => Some(listing::list_all(&read, tree).ok()?.entries),
        None => Some(BTreeMap::new()),
    }
}

/// Whether the patterns of a project claim a committed file or link that does not exist on disk.
fn is_any_missing(
    committed: &BTreeMap<BString, Entry>,
    project: &Project,
    snapshot: &Snapshot,
) -> bool {
    let files = snapshot.files.values();
    let published: HashSet<_> = files.map(|file| file.source.as_bstr()).collect();
    committed.iter().any(|(path, entry)| {
        let is_claimed = || match entry.mode {
            Mode::File | Mode::Executable => !project.claims.matching(path).is_empty(),
            Mode::Link => !project.claims.reaching(path).is_empty(),
            Mode::Directory | Mode::Submodule => false,
        };
        let exists = || {
            let metadata = project.root.join(path_of(path)).symlink_metadata();
            metadata.is_ok_and(|metadata| !metadata.is_dir())
        };
        !published.contains(path.as_bstr()) && is_claimed() && !exists()
    })
}

/// The path of a project in its repository; `None` if it is not in the working tree.
pub(super) fn directory_of(repository: &SourceRepository, project: &Project) -> Option<BString> {
    let root = dunce::canonicalize(&project.root).ok()?;
    let below = root.strip_prefix(repository.directory()?).ok()?;
    Some(bytes_of(below).into_owned())
}

/// How a file compares with a commit.
enum FileComparison {
    /// It has the version of the commit, at this path in the repository.
    Same(BString),
    /// It has another version.
    Modified,
    /// The commit does not have it.
    Added,
}

struct CommitComparison<'c> {
    repository: &'c SourceRepository,
    paths: CommittedLinks<'c>,
    /// The path of the project in the repository.
    below: &'c BStr,
}

impl<'c> CommitComparison<'c> {
    fn new(repository: &'c SourceRepository, tree: CommittedTree<'c>, below: &'c BStr) -> Self {
        Self {
            repository,
            paths: CommittedLinks::new(tree, below),
            below,
        }
    }

    fn compare(&self, file: &SourceFile) -> Result<FileComparison, UnreadableObject> {
        let committed = if file.mode == Mode::Link {
            let path = self.path(file.source.as_bstr());
            self.paths
                .entry(path.as_bstr())?
                .map(|(mode, id)| (path, mode, id))
        } else {
            self.committed_file(file.source.as_bstr())?
        };
        let Some((path, mode, id)) = committed else {
            return Ok(FileComparison::Added);
        };
        let published = (file.mode, file.id);
        let differs = self
            .repository
            .differs(path.as_bstr(), (mode, id), published);
        Ok(match differs {
            true => FileComparison::Modified,
            false => FileComparison::Same(path),
        })
    }

    /// The file of the commit at the path `source` of the project: its path in the repository, mode
    /// and object.
    fn committed_file(
        &self,
        source: &BStr,
    ) -> Result<Option<(BString, Mode, ObjectId)>, UnreadableObject> {
        Ok(match self.paths.locate(self.path(source).as_bstr())? {
            Located::Inside { real, mode, id } if mode.is_file() => Some((real, mode, id)),
            _ => None,
        })
    }

    fn path(&self, source: &BStr) -> BString {
        join_below(self.below, source)
    }
}

impl SourceRepository {
    /// Whether a file differs from the one at `path` in a commit, given the modes and ids of both.
    ///
    /// A file whose bytes differ only because git converted them on checkout, as with `autocrlf` or
    /// LFS, does not differ: its entry in the index has the id of the commit and the stat of the
    /// file. Modes count only if the file system has them.
    pub(super) fn differs(
        &self,
        path: &BStr,
        (mode, id): (Mode, ObjectId),
        (file_mode, file_id): (Mode, ObjectId),
    ) -> bool {
        if id == file_id {
            mode != file_mode && self.has_file_modes()
        } else {
            !self.is_unmodified(path, id)
        }
    }

    /// Whether the index has the object `id` for `path`, and the stat of the file on disk.
    fn is_unmodified(&self, path: &BStr, id: ObjectId) -> bool {
        let look = || {
            let directory = Dir::open_ambient_dir(self.directory()?, cap_std::ambient_authority());
            platform::look(&directory.ok()?, path_of(path)).ok()?
        };
        let index = self.index();
        index.is_ok_and(|index| look().is_some_and(|look| index.has_stat(path, id, &look)))
    }

    /// Whether the file system of the working tree has modes of files (`core.fileMode`).
    fn has_file_modes(&self) -> bool {
        let config = self.git().config();
        config.is_ok_and(|config| config.get_bool("core.filemode").unwrap_or(true))
    }
}
