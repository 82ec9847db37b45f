//! The git repositories that contain the sources. Nothing is written to them.
//!
//! libgit2 finds a repository and reads its references. Objects are read with gitoxide, which decompresses
//! contents several times faster and reports a loose object whose file ends early. libgit2 never returns
//! from reading one.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bstr::{BStr, BString, ByteSlice};
use gix_odb::Header as _;
use gix_odb::pack::Find as _;

use super::loose_objects::LooseObjects;
use super::objects::commit::ParsedCommit;
use super::objects::tree::{self, TreeError};
use super::source_index::SourceIndex;
use super::store::id_of;
use crate::names::is_owner;
use crate::object::{Mode, ObjectId};
use crate::paths::shown;
use crate::platform::{OpenDirectory, bytes_of};
use crate::scan::{
    CommittedEntry, CommittedTree, EntriesByName, SourceObjects, UnreadableObject,
    UnusableRepository,
};
use crate::url::{InvalidUrl, RemoteUrl};

/// The entries that show that a directory can be the root of a repository: without both, the repository
/// that contains its parent contains it as well.
pub(crate) const GIT_ENTRIES: [&[u8]; 2] = [b".git", b"HEAD"];

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

/// The repositories of a run. Each is opened once, however many projects it contains.
#[derive(Default)]
pub(crate) struct SourceRepositories {
    /// The repositories by their git directory.
    open: Mutex<HashMap<PathBuf, Result<Arc<SourceRepository>, UnreadableRepository>>>,
    /// The git directories of the repositories that contain the parents of projects.
    parents: Mutex<HashMap<PathBuf, Result<Option<PathBuf>, UnreadableRepository>>>,
}

impl SourceRepositories {
    /// The repository that contains `directory`, which need not exist; `None` if it is not in one.
    pub(crate) fn of(
        &self,
        directory: &Path,
    ) -> Result<Option<Arc<SourceRepository>>, UnreadableRepository> {
        let opened = OpenDirectory::open(None, directory);
        let existing = match opened {
            Ok(_) => Some(directory),
            Err(_) => directory.ancestors().find(|above| above.is_dir()),
        };
        let Some(existing) = existing else {
            return Ok(None);
        };
        let git_dir = match &opened {
            Ok(opened) => self.git_directory(existing, opened)?,
            Err(_) => discover(existing)?,
        };
        let Some(git_dir) = git_dir else {
            return Ok(None);
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = open.entry(git_dir).or_insert_with(|| {
            SourceRepository::open(existing)
                .map(Arc::new)
                .map_err(|error| UnreadableRepository::new(existing, &error))
        });
        opened.clone().map(Some)
    }

    /// The path of `directory` in its repository, if that is the one with the URL `url`.
    pub(crate) fn path_in(&self, directory: &Path, url: &str) -> Option<BString> {
        let repository = self.of(directory).ok()??;
        let directory = dunce::canonicalize(directory).ok()?;
        let below = directory.strip_prefix(repository.directory()?).ok()?;
        let is_same = repository.url().as_deref() == Some(url);
        is_same.then(|| bytes_of(below).into_owned())
    }

    /// The git directory of the repository that contains a directory, which is no symlink. The one of a
    /// directory that contains many projects is searched only once.
    fn git_directory(
        &self,
        directory: &Path,
        opened: &OpenDirectory,
    ) -> Result<Option<PathBuf>, UnreadableRepository> {
        let is_own = GIT_ENTRIES.iter().any(|name| opened.look(name).is_ok());
        let Some(parent) = directory.parent().filter(|_| !is_own) else {
            return discover(directory);
        };
        let mut parents = self.parents.lock().unwrap_or_else(PoisonError::into_inner);
        let known = parents.entry(parent.to_owned());
        known.or_insert_with(|| discover(parent)).clone()
    }
}

/// Searches the git directory of the repository that contains an existing directory.
fn discover(directory: &Path) -> Result<Option<PathBuf>, UnreadableRepository> {
    match git2::Repository::discover_path(directory, &[] as &[&Path]) {
        Ok(git_dir) => Ok(Some(git_dir)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(UnreadableRepository::new(directory, &error)),
    }
}

/// A commit of a source repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceCommit {
    /// The commit.
    pub id: ObjectId,
    /// Its root tree.
    pub tree: ObjectId,
    /// The branch that the commit was found by: the one that is checked out, or the one that the
    /// revision names. `None` for a detached HEAD, and for any other revision.
    pub branch: Option<String>,
}

/// The reason for which a revision leads to no commit.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    /// The repository does not have it, or it names another object.
    #[error("it is no commit")]
    Unknown,
    /// An object on the way to it cannot be read.
    #[error(transparent)]
    Unreadable(UnreadableObject),
}

/// A repository that contains sources.
pub(crate) struct SourceRepository {
    git: Mutex<git2::Repository>,
    /// The directory of the working tree, resolved; `None` for a bare repository.
    directory: Option<PathBuf>,
    /// The directory of the objects.
    objects: PathBuf,
    store: Mutex<Option<Arc<gix_odb::Store>>>,
    /// Readers of objects that no thread uses at the moment.
    idle: Mutex<Vec<Reader>>,
    /// The decoded trees with at least [`LARGE_TREE`] entries.
    large_trees: Mutex<HashMap<ObjectId, Arc<EntriesByName>>>,
    /// The commit that is checked out, once it was read; `None` if there is no commit yet.
    head: OnceLock<Result<Option<SourceCommit>, UnreadableRepository>>,
    /// The index, once it was read.
    index: OnceLock<Result<Arc<SourceIndex>, String>>,
}

/// A reader of objects, for one thread at a time.
type Reader = gix_odb::HandleArc;

/// The number of entries from which a decoded tree is kept. The directory that contains thousands of
/// projects is looked up for each of them. A smaller tree is decoded again, which is cheaper than
/// the memory for the trees of all projects.
const LARGE_TREE: usize = 64;

impl SourceRepository {
    /// Opens the repository that contains `directory`.
    fn open(directory: &Path) -> Result<Self, git2::Error> {
        let git = git2::Repository::discover(directory)?;
        let directory = git
            .workdir()
            .and_then(|path| dunce::canonicalize(path).ok());
        Ok(Self {
            directory,
            objects: git.commondir().join("objects"),
            git: Mutex::new(git),
            store: Mutex::default(),
            idle: Mutex::default(),
            large_trees: Mutex::default(),
            head: OnceLock::new(),
            index: OnceLock::new(),
        })
    }

    pub(super) fn git(&self) -> MutexGuard<'_, git2::Repository> {
        self.git.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of the working tree, resolved; `None` for a bare repository.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// The git directory.
    pub(crate) fn git_directory(&self) -> PathBuf {
        self.git().path().to_owned()
    }

    pub(super) fn unreadable(
        &self,
        git: &git2::Repository,
        error: &git2::Error,
    ) -> UnreadableRepository {
        let inside = self.directory.as_deref().unwrap_or(git.path());
        UnreadableRepository::new(inside, error)
    }

    /// The commit that is checked out; `None` before the first commit. It is read once, so that all
    /// parts of a run see the same.
    pub(crate) fn head(&self) -> Result<Option<SourceCommit>, UnreadableRepository> {
        let head = self.head.get_or_init(|| {
            let git = self.git();
            self.read_head(&git)
                .map_err(|error| self.unreadable(&git, &error))
        });
        head.clone()
    }

    /// The index. It is read once, as the commit that is checked out.
    pub(crate) fn index(&self) -> Result<Arc<SourceIndex>, String> {
        let index = self.index.get_or_init(|| {
            let path = self.git().path().join("index");
            let directory = self.directory().ok_or("it has no working tree")?;
            SourceIndex::read(&path, directory).map(Arc::new)
        });
        index.clone()
    }

    fn read_head(&self, git: &git2::Repository) -> Result<Option<SourceCommit>, git2::Error> {
        let head = match git.head() {
            Ok(head) => head,
            Err(error)
                if matches!(
                    error.code(),
                    git2::ErrorCode::UnbornBranch | git2::ErrorCode::NotFound
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let head = head.resolve()?;
        let missing = || git2::Error::from_str("HEAD names no commit");
        let id = head.target().map(id_of).ok_or_else(missing)?;
        let found = self.peeled(id);
        let (id, commit) = found.map_err(|error| git2::Error::from_str(&error.to_string()))?;
        Ok(Some(SourceCommit {
            id,
            tree: commit.tree,
            branch: branch_of(&head),
        }))
    }

    /// The commit that an object is, or that a tag leads to.
    pub(super) fn peeled(&self, id: ObjectId) -> Result<(ObjectId, ParsedCommit), CommitError> {
        let mut id = id;
        loop {
            let (kind, data) = self.any_object(id).map_err(CommitError::Unreadable)?;
            let invalid = || CommitError::Unreadable(damaged(id, &"its contents are invalid"));
            match kind.as_slice() {
                b"commit" => {
                    let commit = ParsedCommit::parse(&data).ok_or_else(invalid)?;
                    return Ok((id, commit));
                }
                b"tag" => {
                    let target = data
                        .strip_prefix(b"object ")
                        .and_then(|rest| rest.get(..40));
                    let target = target.and_then(|hex| std::str::from_utf8(hex).ok());
                    id = target.and_then(ObjectId::from_hex).ok_or_else(invalid)?;
                }
                _ => return Err(CommitError::Unknown),
            }
        }
    }

    /// The tree of `commit`, with the place of the working tree.
    pub(crate) fn tree_of(
        &self,
        commit: &SourceCommit,
    ) -> Result<CommittedTree<'_>, UnusableRepository> {
        Ok(CommittedTree {
            objects: self,
            commit: commit.id,
            id: commit.tree,
            directory: self.directory().ok_or(UnusableRepository::Bare)?,
        })
    }

    /// The URL of the remote `origin`, or else of the first remote with a URL that can be shown.
    pub(crate) fn url(&self) -> Option<String> {
        let git = self.git();
        let origin = ["origin".to_owned()].into_iter();
        origin.chain(remotes(&git)).find_map(|name| {
            let remote = git.find_remote(&name).ok()?;
            RemoteUrl::parse(remote.url().ok()?, Path::new("/"))
                .ok()?
                .public()
        })
    }

    /// Whether this is a linked worktree, which shares the repository of another directory.
    pub(crate) fn is_worktree(&self) -> bool {
        self.git().is_worktree()
    }

    /// The git directory that all worktrees of the repository share.
    pub(crate) fn common_directory(&self) -> PathBuf {
        let directory = self.git().commondir().to_owned();
        dunce::canonicalize(&directory).unwrap_or(directory)
    }

    /// Why the URL of the remote `origin` cannot be used, if there is one.
    pub(crate) fn unusable_origin(&self) -> Option<InvalidUrl> {
        let git = self.git();
        let remote = git.find_remote("origin").ok()?;
        RemoteUrl::parse(remote.url().ok()?, Path::new("/")).err()
    }

    /// The URL of the remote `origin`.
    pub(crate) fn origin(&self) -> Option<RemoteUrl> {
        let git = self.git();
        let remote = git.find_remote("origin").ok()?;
        RemoteUrl::parse(remote.url().ok()?, Path::new("/")).ok()
    }

    /// Calls `read` with a reader that no other thread uses at the same time.
    fn with_reader<T>(
        &self,
        id: ObjectId,
        read: impl FnOnce(&Reader) -> Result<T, UnreadableObject>,
    ) -> Result<T, UnreadableObject> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let reader = match waiting {
            Some(reader) => reader,
            None => self
                .store()
                .map_err(|error| damaged(id, &error))?
                .to_cache_arc(),
        };
        let result = read(&reader);
        idle().push(reader);
        result
    }

    /// The database of objects, which all readers share.
    fn store(&self) -> io::Result<Arc<gix_odb::Store>> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = &*store {
            return Ok(store.clone());
        }
        let opened = gix_odb::Store::at_opts(
            self.objects.clone(),
            gix_hash::Kind::Sha1,
            &mut std::iter::empty(),
            gix_odb::store::init::Options::default(),
        )?;
        Ok(store.insert(Arc::new(opened)).clone())
    }

    /// The tree of the directory `path` below the tree `root`; `None` if there is no such directory.
    /// Symlinks are not followed.
    pub(super) fn directory_tree(
        &self,
        root: ObjectId,
        path: &BStr,
    ) -> Result<Option<ObjectId>, UnreadableObject> {
        let mut tree = root;
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            match self.tree_by_name(tree)?.get(name.as_bstr()) {
                Some((Mode::Directory, id)) => tree = *id,
                _ => return Ok(None),
            }
        }
        Ok(Some(tree))
    }

    /// Whether the tree `root` has this file at `path`, and its contents can be read.
    pub(crate) fn has_file(&self, root: ObjectId, path: &BStr, mode: Mode, id: ObjectId) -> bool {
        let found = tree::entry_at(&|id| self.tree_data(id), root, path);
        found.is_ok_and(|found| found == Some((mode, id))) && self.size(id).is_ok()
    }

    /// The bytes of a tree.
    pub(super) fn tree_data(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
        self.object(id, b"tree").map_err(|error| match error {
            UnreadableObject::Missing(_) => TreeError::Missing(id),
            UnreadableObject::Damaged { .. } => TreeError::Damaged(id),
        })
    }

    /// The bytes of a commit.
    pub(super) fn commit_data(&self, id: ObjectId) -> Result<Vec<u8>, UnreadableObject> {
        self.object(id, b"commit")
    }

    /// The bytes of an object of this kind.
    fn object(&self, id: ObjectId, kind: &[u8]) -> Result<Vec<u8>, UnreadableObject> {
        let (found, data) = self.any_object(id)?;
        if found.as_bytes() == kind {
            Ok(data)
        } else {
            Err(damaged(id, &format!("it is a {found}")))
        }
    }

    /// The kind and the bytes of an object.
    pub(super) fn any_object(&self, id: ObjectId) -> Result<(BString, Vec<u8>), UnreadableObject> {
        self.with_reader(id, |reader| {
            let mut data = Vec::new();
            let found = reader.try_find(gix_hash::oid::from_bytes_unchecked(&id.0), &mut data);
            let (object, _) = found
                .map_err(|error| damaged(id, &error))?
                .ok_or(UnreadableObject::Missing(id))?;
            let kind = object.kind.as_bytes().into();
            Ok((kind, data))
        })
    }

    /// The object whose id begins with these hexadecimal digits, if there is exactly one.
    pub(super) fn object_by_prefix(&self, digits: &str) -> Option<ObjectId> {
        let prefix = gix_hash::Prefix::from_hex(digits).ok()?;
        let found = self.with_reader(ObjectId([0; 20]), |reader| {
            Ok(reader.lookup_prefix(prefix, None).ok().flatten())
        });
        let id = found.ok()??.ok()?;
        <[u8; 20]>::try_from(id.as_slice()).ok().map(ObjectId)
    }

    /// The loose objects of the repository.
    pub(super) fn loose_objects(&self) -> LooseObjects {
        LooseObjects::open(&self.objects)
    }
}

impl SourceObjects for SourceRepository {
    fn tree(&self, id: ObjectId) -> Result<Vec<CommittedEntry>, UnreadableObject> {
        let entries = tree::decode(&self.object(id, b"tree")?);
        let entries = entries.ok_or_else(|| damaged(id, &"it is no valid tree"))?;
        let entries = entries.into_iter().map(|entry| CommittedEntry {
            name: entry.name,
            mode: entry.mode,
            id: entry.id,
        });
        let entries: Vec<_> = entries.collect();
        if entries.iter().all(|entry| is_segment(&entry.name)) {
            Ok(entries)
        } else {
            Err(damaged(id, &"it has an entry with an invalid name"))
        }
    }

    fn tree_by_name(&self, id: ObjectId) -> Result<Arc<EntriesByName>, UnreadableObject> {
        let large = || {
            self.large_trees
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = large().get(&id) {
            return Ok(known.clone());
        }

        let entries = self.tree(id)?.into_iter();
        let by_name: EntriesByName = entries
            .map(|entry| (entry.name, (entry.mode, entry.id)))
            .collect();
        let by_name = Arc::new(by_name);
        if by_name.len() >= LARGE_TREE {
            large().insert(id, by_name.clone());
        }
        Ok(by_name)
    }

    fn size(&self, id: ObjectId) -> Result<u64, UnreadableObject> {
        self.with_reader(id, |reader| {
            let found = reader.try_header(gix_hash::oid::from_bytes_unchecked(&id.0));
            let header = found.map_err(|error| damaged(id, &error))?;
            Ok(header.ok_or(UnreadableObject::Missing(id))?.size())
        })
    }

    fn blob(&self, id: ObjectId) -> Result<Vec<u8>, UnreadableObject> {
        self.object(id, b"blob")
    }
}

/// Whether a name of an entry can be a name on disk.
fn is_segment(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/')
}

pub(super) fn damaged(id: ObjectId, reason: &dyn fmt::Display) -> UnreadableObject {
    UnreadableObject::Damaged {
        id,
        reason: reason.to_string(),
    }
}

/// The branch that a ref stands for, also for one of a remote.
pub(super) fn branch_of(reference: &git2::Reference<'_>) -> Option<String> {
    let name = reference.name().ok()?;
    let local = name.strip_prefix("refs/heads/");
    let remote = || Some(name.strip_prefix("refs/remotes/")?.split_once('/')?.1);
    local.or_else(remote).map(str::to_owned)
}

/// The names of all remotes; none if they cannot be read.
fn remotes(repository: &git2::Repository) -> Vec<String> {
    let names = repository.remotes().ok();
    names
        .iter()
        .flat_map(|names| names.iter().flatten().flatten().map(str::to_owned))
        .collect()
}

/// The organization of the repository that contains `directory`: the first segment of the path of
/// its remote's URL.
pub(crate) fn organization(directory: &Path) -> Result<Option<String>, UnreadableRepository> {
    let Some(repository) = SourceRepositories::default().of(directory)? else {
        return Ok(None);
    };
    let named = || {
        let organization = repository.origin()?.owner()?;
        is_owner(&organization).then_some(organization)
    };
    Ok(named())
}
