//! The revision of a project's sources, which the trailers of its commit record.

use std::collections::HashMap;

use bstr::{BStr, ByteSlice};

use super::objects::listing;
use super::source_repository::{SourceCommit, SourceRepository};
use crate::config::SourceState;
use crate::object::ObjectId;
use crate::paths::join_below;
use crate::platform::bytes_of;
use crate::scan::Snapshot;
use crate::workspace::Project;

/// The revision of the git repository that contains a project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceRevision {
    /// The URL of the repository's remote without the user part; `None` if there is no remote, or
    /// only a local path.
    pub url: Option<String>,
    /// The commit that is checked out, or whose files are published.
    pub commit: ObjectId,
    /// Whether a published file differs from that commit. As with `git describe --dirty`, files
    /// that are not in the commit, such as generated documentation, do not count.
    pub dirty: bool,
}

/// Returns the revision of the project's sources in their repository: the published commit, or the
/// one that is checked out. `None` if the project is not in the working tree of the repository.
pub(crate) fn revision(
    repository: &SourceRepository,
    commit: &SourceCommit,
    project: &Project,
    snapshot: &Snapshot,
) -> Option<SourceRevision> {
    let root = project.root.canonicalize();
    let dirty = match project.scan.source {
        SourceState::Committed => false,
        SourceState::Worktree => {
            let root = root.ok()?;
            let below = root.strip_prefix(repository.directory()?).ok()?;
            is_dirty(
                repository,
                commit.tree,
                bytes_of(below).as_bstr(),
                project,
                snapshot,
            )
        }
    };
    Some(SourceRevision {
        url: repository.url(),
        commit: commit.id,
        dirty,
    })
}

/// Whether the published files differ from those of a commit, as [`SourceRepository::differs`]
/// decides. `tree` is the tree of the commit, and `below` is the path of the project in it. A commit
/// that cannot be read counts as different.
fn is_dirty(
    repository: &SourceRepository,
    tree: ObjectId,
    below: &BStr,
    project: &Project,
    snapshot: &Snapshot,
) -> bool {
    let read = |id: ObjectId| repository.tree_data(id);
    let committed = match repository.directory_tree(tree, below) {
        Ok(Some(tree)) => listing::list_all(&read, tree),
        // No file of the project is committed.
        Ok(None) => return false,
        Err(_) => return true,
    };
    let Ok(committed) = committed else {
        return true;
    };
    let published: HashMap<_, _> = snapshot
        .files
        .values()
        .map(|file| (file.source.as_bstr(), (file.mode, file.id)))
        .collect();
    committed
        .entries
        .iter()
        .filter(|(path, entry)| entry.mode.is_file() && !project.claims.claim(path).is_empty())
        .any(|(path, entry)| match published.get(path.as_bstr()) {
            Some(file) => {
                let path = join_below(below, path.as_bstr());
                repository.differs(path.as_bstr(), (entry.mode, entry.id), *file)
            }
            None => snapshot
                .skipped
                .iter()
                .all(|skipped| skipped.source != *path),
        })
}
