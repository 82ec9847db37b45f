//! The revision of a project's sources, which the trailers of its commit record.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use super::objects::listing::{self, Lister};
use super::objects::tree::TreeError;
use crate::object::ObjectId;
use crate::paths::{CodexPath, shown};
use crate::scan::Snapshot;
use crate::url::RemoteUrl;
use crate::workspace::Project;

/// The revision of the git repository that contains a project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceRevision {
    /// The URL of the repository's remote without the user part; `None` if there is no remote, or
    /// only a local path.
    pub url: Option<String>,
    /// The commit that is checked out.
    pub commit: ObjectId,
    /// Whether a published file differs from that commit. As with `git describe --dirty`, files
    /// that are not in the commit, such as generated documentation, do not count.
    pub dirty: bool,
}

/// A repository exists, but cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("the git repository `{}` cannot be read: {reason}", shown(directory))]
pub(crate) struct UnreadableRepository {
    /// The directory of the working tree.
    directory: PathBuf,
    /// The reason, in one line.
    reason: String,
}

impl UnreadableRepository {
    /// Describes an error of libgit2. `inside` is a directory in the working tree.
    fn new(inside: &Path, error: &git2::Error) -> Self {
        let directory = inside
            .ancestors()
            .find(|above| above.join(".git").exists())
            .unwrap_or(inside)
            .to_owned();
        let message = error.message();
        let reason = if error.code() == git2::ErrorCode::Owner {
            format!(
                "it belongs to another user; `git config --global --add safe.directory {}` trusts it",
                shown(&directory)
            )
        } else if message.contains("refstorage") {
            "references in the reftable format are not supported".to_owned()
        } else if message.contains("objectformat") || message.contains("object format") {
            "SHA-256 object ids are not supported".to_owned()
        } else {
            message.to_owned()
        };
        Self { directory, reason }
    }
}

/// Opens the repository that contains `directory`; `None` if it is not in a repository.
fn open(directory: &Path) -> Result<Option<git2::Repository>, UnreadableRepository> {
    match git2::Repository::discover(directory) {
        Ok(repository) => Ok(Some(repository)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(UnreadableRepository::new(directory, &error)),
    }
}

/// Returns the revision of the project's sources; `None` if they are not in a repository, or in one
/// without commits.
pub(crate) fn revision(
    project: &Project,
    snapshot: &Snapshot,
) -> Result<Option<SourceRevision>, UnreadableRepository> {
    let Some(repository) = open(&project.root)? else {
        return Ok(None);
    };
    let head = match repository.head() {
        Ok(head) => head,
        Err(error)
            if matches!(
                error.code(),
                git2::ErrorCode::UnbornBranch | git2::ErrorCode::NotFound
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(UnreadableRepository::new(&project.root, &error)),
    };
    let commit = head
        .peel_to_commit()
        .map_err(|error| UnreadableRepository::new(&project.root, &error))?;
    Ok(revision_at(&repository, &commit, project, snapshot))
}

/// The revision at the commit `head`. The URL is that of the remote `origin`, or else of the first
/// remote with a URL that can be shown.
fn revision_at(
    repository: &git2::Repository,
    head: &git2::Commit<'_>,
    project: &Project,
    snapshot: &Snapshot,
) -> Option<SourceRevision> {
    let url = ["origin"]
        .into_iter()
        .map(str::to_owned)
        .chain(remotes(repository))
        .find_map(|name| {
            let remote = repository.find_remote(&name).ok()?;
            RemoteUrl::parse(remote.url().ok()?, Path::new("/"))
                .ok()?
                .public()
        });
    let workdir = repository.workdir()?.canonicalize().ok()?;
    let below = project
        .root
        .canonicalize()
        .ok()?
        .strip_prefix(&workdir)
        .ok()?
        .to_owned();
    let dirty = is_dirty(
        repository,
        ObjectId(head.tree_id().as_bytes().try_into().ok()?),
        &below,
        project,
        snapshot,
    );
    Some(SourceRevision {
        url,
        commit: ObjectId(head.id().as_bytes().try_into().ok()?),
        dirty,
    })
}

/// The organization of the repository that contains `directory`: the first segment of the path of
/// its remote's URL.
pub(crate) fn organization(directory: &Path) -> Result<Option<String>, UnreadableRepository> {
    let Some(repository) = open(directory)? else {
        return Ok(None);
    };
    let named = || {
        let remote = repository.find_remote("origin").ok()?;
        let url = RemoteUrl::parse(remote.url().ok()?, Path::new("/")).ok()?;
        url.host()?;
        url.repository()
            .split_once('/')
            .map(|(organization, _)| organization.to_owned())
    };
    Ok(named())
}

/// The names of all remotes; none if they cannot be read.
fn remotes(repository: &git2::Repository) -> Vec<String> {
    let names = repository.remotes().ok();
    names
        .iter()
        .flat_map(|names| names.iter().flatten().flatten().map(str::to_owned))
        .collect()
}

/// Whether the published files differ from those in `tree`, the tree of the commit; `below` is the
/// path of the project in it. A commit that cannot be read counts as different.
fn is_dirty(
    repository: &git2::Repository,
    tree: ObjectId,
    below: &Path,
    project: &Project,
    snapshot: &Snapshot,
) -> bool {
    let Ok(odb) = repository.odb() else {
        return true;
    };
    let read = |id: ObjectId| {
        let oid = git2::Oid::from_bytes(&id.0).map_err(|_| TreeError::Missing(id))?;
        odb.read(oid)
            .map(|object| object.data().to_vec())
            .map_err(|_| TreeError::Missing(id))
    };
    let below = below.as_os_str().as_encoded_bytes();
    let committed = match CodexPath::new(below) {
        Ok(root) => Lister::new(&read, Some(tree)).list(&root),
        Err(_) => listing::list_all(&read, tree),
    };
    let Ok(committed) = committed else {
        return true;
    };
    let published: HashMap<_, _> = snapshot
        .files
        .values()
        .map(|file| (file.source.as_bstr(), (file.id, file.mode)))
        .collect();
    committed
        .entries
        .iter()
        .filter(|(path, entry)| entry.mode.is_file() && !project.claims.claim(path).is_empty())
        .any(|(path, entry)| match published.get(path.as_bstr()) {
            Some(file) => *file != (entry.id, entry.mode),
            None => snapshot
                .skipped
                .iter()
                .all(|skipped| skipped.source != *path),
        })
}
