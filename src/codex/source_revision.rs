//! The revision of a project's sources, which the trailers of its commit record.

use super::source_repository::{SourceCommit, SourceRepository};
use super::uncommitted::differs_from_commit;
use crate::config::SourceState;
use crate::object::ObjectId;
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
    /// Whether the published files differ from those of that commit. A file that the commit does not
    /// have, such as generated documentation, differs too.
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
    let dirty = match project.scan.source {
        SourceState::Committed => false,
        SourceState::Worktree => differs_from_commit(repository, commit, project, snapshot)?,
    };
    Some(SourceRevision {
        url: repository.url(),
        commit: commit.id,
        dirty,
    })
}
