//! The changes of a source repository since a base revision. Trees are compared, so equal directories
//! cost nothing.

use std::collections::BTreeMap;

use bstr::{BStr, BString};

use super::objects::listing::{Lister, list_all};
use super::objects::tree::TreeError;
use super::objects::tree_merge::changes;
use super::source_index::{SourceIndex, TrackedEntry};
use super::source_repository::{CommitError, SourceCommit, SourceRepository, UnreadableRepository};
use crate::object::{Mode, ObjectId};
use crate::scan::SourceObjects;

/// The revision that sources are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseRevision {
    /// The names of the revision. The first one that the repository has is used.
    pub(crate) names: Vec<String>,
    /// Whether only the changes since the nearest common ancestor with HEAD count (`REV...HEAD`), as
    /// for a branch that is to be merged. Otherwise all differences count (`REV..HEAD`), as for a
    /// branch that was pushed.
    pub(crate) is_fork_point: bool,
    /// The head of a pull request. If HEAD is its merge into another branch, the base is the first
    /// parent of HEAD.
    pub(crate) merged_head: Option<String>,
}

/// A repository does not have the base revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BaseError {
    /// None of its names is known.
    Missing {
        /// Whether the clone is shallow, so that a deeper one may have it.
        is_shallow: bool,
    },
    /// The repository cannot be read, for this reason.
    Unreadable(String),
}

/// The changed paths of a repository. The value is whether a symlink or a submodule is or was there.
pub(crate) type ChangedPaths = BTreeMap<BString, bool>;

impl SourceRepository {
    /// Finds the base revision for `head`.
    pub(crate) fn base(
        &self,
        base: &BaseRevision,
        head: &SourceCommit,
    ) -> Result<SourceCommit, BaseError> {
        if let Some(merged) = &base.merged_head {
            let (_, merge) = self.peeled(head.id).map_err(BaseError::of_commit)?;
            if let [into, second, ..] = merge.parents.as_slice()
                && second.to_string() == *merged
                && let Ok((id, parent)) = self.peeled(*into)
            {
                return Ok(SourceCommit {
                    id,
                    tree: parent.tree,
                    branch: None,
                });
            }
        }

        let git = self.git();
        let mut found = None;
        for name in &base.names {
            let remote = format!("refs/remotes/origin/{name}");
            for name in [name.as_str(), remote.as_str()] {
                if found.is_none() {
                    found = match self.find_commit(&git, name) {
                        Ok(commit) => Some(commit),
                        Err(CommitError::Unknown) => None,
                        Err(error) => return Err(BaseError::of_commit(error)),
                    };
                }
            }
        }
        let Some(found) = found else {
            let is_shallow = git.is_shallow();
            return Err(BaseError::Missing { is_shallow });
        };
        let base_commit = match base.is_fork_point {
            // A shallow clone may not have the common ancestor. Then all differences count.
            true => self
                .common_ancestor(&found, head)
                .map_err(BaseError::of_commit)?,
            false => None,
        };
        Ok(SourceCommit {
            branch: None,
            ..base_commit.unwrap_or(found)
        })
    }

    /// The error for a base that the repository does not have.
    pub(crate) fn missing(&self) -> BaseError {
        let is_shallow = self.git().is_shallow();
        BaseError::Missing { is_shallow }
    }

    /// The paths that differ between two trees. Directories are not among them.
    pub(crate) fn changed_paths(
        &self,
        from: ObjectId,
        to: ObjectId,
    ) -> Result<ChangedPaths, TreeError> {
        let read = |id: ObjectId| self.tree_data(id);
        let mut paths = ChangedPaths::new();
        for changes in [changes(&read, from, to)?, changes(&read, to, from)?] {
            for (path, entry) in changes {
                let is_file = entry.is_none_or(|(mode, _)| mode.is_file());
                *paths.entry(path).or_default() |= !is_file;
            }
        }
        Ok(paths)
    }

    /// The paths that differ between the tree of a commit and the index.
    pub(crate) fn staged_paths(
        &self,
        index: &SourceIndex,
        tree: ObjectId,
    ) -> Result<ChangedPaths, TreeError> {
        let read = |id: ObjectId| self.tree_data(id);
        let mut lister = Lister::new(&read, Some(tree));
        let mut paths = ChangedPaths::new();
        for path in index.staged(&read, tree)? {
            let before = lister.find(path.as_ref())?;
            let was_file = before.is_none_or(|(mode, _)| mode.is_file());
            let is_file = index
                .entry(path.as_ref())
                .is_none_or(|entry| entry.is_file());
            paths.insert(path, !(was_file && is_file));
        }
        Ok(paths)
    }

    /// The submodule at `path` in the tree of a commit.
    pub(crate) fn submodule(&self, tree: ObjectId, path: &BStr) -> Option<ObjectId> {
        let read = |id: ObjectId| self.tree_data(id);
        match Lister::new(&read, Some(tree)).find(path) {
            Ok(Some((Mode::Submodule, id))) => Some(id),
            _ => None,
        }
    }

    /// The contents of the file at `path` in the tree of a commit.
    pub(crate) fn file_at(&self, tree: ObjectId, path: &BStr) -> Option<Vec<u8>> {
        let read = |id: ObjectId| self.tree_data(id);
        match Lister::new(&read, Some(tree)).find(path) {
            Ok(Some((mode, id))) if mode.is_file() => self.blob(id).ok(),
            _ => None,
        }
    }

    /// The target of the symlink at `path` in the tree of a commit.
    pub(crate) fn link_at(&self, tree: ObjectId, path: &BStr) -> Option<Vec<u8>> {
        let read = |id: ObjectId| self.tree_data(id);
        match Lister::new(&read, Some(tree)).find(path) {
            Ok(Some((Mode::Link, id))) => self.blob(id).ok(),
            _ => None,
        }
    }

    /// The target of a symlink that git tracks.
    pub(crate) fn target_of(&self, tracked: TrackedEntry<'_>) -> Option<Vec<u8>> {
        tracked.is_link().then(|| self.blob(tracked.id()).ok())?
    }

    /// Whether a symlink for which `is_relevant` holds is in the directory at `path` in a tree. Its
    /// path below the directory is passed.
    pub(crate) fn has_link(
        &self,
        tree: ObjectId,
        path: &BStr,
        is_relevant: impl Fn(&BStr) -> bool,
    ) -> Result<bool, TreeError> {
        let read = |id: ObjectId| self.tree_data(id);
        let root = match path.is_empty() {
            true => Some((Mode::Directory, tree)),
            false => Lister::new(&read, Some(tree)).find(path)?,
        };
        let Some((Mode::Directory, root)) = root else {
            return Ok(false);
        };
        let listing = list_all(&read, root)?;
        let mut links = listing.entries.iter();
        Ok(links.any(|(path, entry)| entry.mode == Mode::Link && is_relevant(path.as_ref())))
    }
}

impl BaseError {
    fn of_commit(error: CommitError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<UnreadableRepository> for BaseError {
    fn from(error: UnreadableRepository) -> Self {
        Self::Unreadable(error.to_string())
    }
}
