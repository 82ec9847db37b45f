//! The clone of the codex that a run works in: bare, shallow, without file contents where the server allows it.
//!
//! A temporary clone is gone after success, failure, panic and the signals that ask to end; after a kill the next run
//! sweeps it (see [`super::scratch`]).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::pack::{self, Encoded, PackWriter, Written};
use super::scratch::{LOCK, Scratch};
use super::tree::TreeError;
use crate::object::{Kind, ObjectId};
use crate::paths::shown;

/// Bytes of contents that are in memory at a time, twice: read and compressed, and about to be written.
const BATCH: u64 = 8 << 20;
/// A kept clone with more files of packs than this is fetched anew: cheaper than tidying it.
const MANY_PACKS: usize = 300;
/// Where the fetched tip is kept inside the clone.
pub const TIP: &str = "refs/codex/tip";

/// A clone that could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be made or written.
    #[error("cannot write the {} clone in `{}`", if *kept { "kept" } else { "temporary" }, shown(directory))]
    Write {
        /// Where: the directory for temporary files, or that of the kept clone.
        directory: PathBuf,
        /// Whether it is a kept clone.
        kept: bool,
        /// Why.
        source: io::Error,
    },
    /// libgit2 cannot work with it.
    #[error("cannot read the clone of the codex: {}", .0.message())]
    Git(git2::Error),
    /// A tree is missing or damaged.
    #[error("cannot read the codex")]
    Tree(#[from] TreeError),
}

impl From<git2::Error> for StoreError {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

/// A bare repository of our own.
pub struct Store {
    repository: git2::Repository,
    path: PathBuf,
    /// What the user knows of the place: the directory for temporary files, or that of the kept clone.
    place: PathBuf,
    // Dropped in this order: a temporary directory goes while it is still locked.
    scratch: Option<Scratch>,
    _lock: Option<File>,
    commits_alone: bool,
    /// The packs that this run wrote, in that order.
    written: Mutex<Vec<Written>>,
}

impl Store {
    /// Makes an empty clone in `temporary`.
    pub fn create(temporary: &Path) -> Result<Self, StoreError> {
        let error = |source| StoreError::Write {
            directory: temporary.to_owned(),
            kept: false,
            source,
        };
        let (scratch, lock) = Scratch::locked_in(temporary).map_err(error)?;
        let path = scratch.path().join("codex.git");
        let repository = init(&path).map_err(error)?;
        Ok(Self {
            repository,
            path,
            place: temporary.to_owned(),
            scratch: Some(scratch),
            _lock: Some(lock),
            commits_alone: false,
            written: Mutex::default(),
        })
    }

    /// Opens the kept clone in `directory` (`clone.strategy: cached`), or makes it; `lock` waits while another run uses it.
    /// One that cannot be opened, or that has grown many packs, is thrown away: a new one costs a fetch.
    pub fn keep<E: From<StoreError>>(
        directory: &Path,
        lock: impl FnOnce(File) -> Result<Option<File>, E>,
    ) -> Result<Self, E> {
        let error = |source| StoreError::Write {
            directory: directory.to_owned(),
            kept: true,
            source,
        };
        fs::create_dir_all(directory).map_err(error)?;
        let lock = lock(File::create(directory.join(LOCK)).map_err(error)?)?;
        let path = directory.join("codex.git");
        let packs = fs::read_dir(path.join("objects/pack")).map_or(0, Iterator::count);
        let opened = if packs > MANY_PACKS {
            None
        } else {
            git2::Repository::open(&path).ok()
        };
        let repository = match opened {
            Some(repository) => repository,
            None => {
                if path.exists() {
                    fs::remove_dir_all(&path).map_err(error)?;
                }
                init(&path).map_err(error)?
            }
        };
        Ok(Self {
            repository,
            path,
            place: directory.to_owned(),
            scratch: None,
            _lock: lock,
            commits_alone: false,
            written: Mutex::default(),
        })
    }

    /// As a clone of history: fetches bring commits and, where the server can leave them out, no trees.
    pub fn of_commits_alone(self) -> Self {
        Self {
            commits_alone: true,
            ..self
        }
    }

    /// What a fetch leaves out.
    pub fn filter(&self) -> &'static str {
        if self.commits_alone {
            "tree:0"
        } else {
            "blob:none"
        }
    }

    /// Whether a fetch brings all trees of the tip.
    pub fn holds_trees(&self) -> bool {
        !self.commits_alone
    }

    /// Throws a kept clone's contents away and starts anew: something in it is damaged. `false` for a temporary one.
    pub fn renew(&mut self) -> Result<bool, StoreError> {
        if self.scratch.is_some() {
            return Ok(false);
        }
        fs::remove_dir_all(&self.path).map_err(|source| self.unwritable(source))?;
        self.repository = init(&self.path).map_err(|source| self.unwritable(source))?;
        self.written().clear();
        Ok(true)
    }

    /// The error that it cannot be written.
    pub fn unwritable(&self, source: io::Error) -> StoreError {
        StoreError::Write {
            directory: self.place.clone(),
            kept: self.scratch.is_none(),
            source,
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names a remote, once, that has what a partial clone lacks. `url` holds no secret.
    pub fn set_promisor(&self, name: &str, url: &str) -> Result<(), StoreError> {
        let set = || {
            let mut config = self.repository.config()?;
            config.set_str(&format!("remote.{name}.url"), url)?;
            config.set_bool(&format!("remote.{name}.promisor"), true)
        };
        set().map_err(|error| self.unwritable(io_error(&error)))
    }

    /// Reads whatever is missing from another repository's directory of objects, once; what the clone itself held is
    /// thrown away.
    #[cfg(feature = "embedded-transport")]
    pub fn borrow(&self, objects: &Path) -> Result<(), StoreError> {
        let own = self.path.join("objects");
        let mut packs = fs::read_dir(own.join("pack"))
            .into_iter()
            .flatten()
            .flatten();
        let mut borrow = || {
            packs.try_for_each(|entry| fs::remove_file(entry.path()))?;
            // For handles that are opened later.
            fs::create_dir_all(own.join("info"))?;
            fs::write(
                own.join("info/alternates"),
                [objects.as_os_str().as_encoded_bytes(), b"\n"].concat(),
            )
        };
        borrow().map_err(|source| self.unwritable(source))?;
        Ok(self
            .repository
            .odb()?
            .add_disk_alternate(&objects.to_string_lossy())?)
    }

    /// The tip that the last fetch brought.
    pub fn tip(&self) -> Result<ObjectId, StoreError> {
        Ok(id_of(self.repository.refname_to_id(TIP)?))
    }

    /// The tree of a commit.
    pub fn root_tree(&self, commit: ObjectId) -> Result<ObjectId, TreeError> {
        Ok(self.commit(commit).ok_or(TreeError::NoCommit(commit))?.0)
    }

    /// The tree and the parents of a commit, whatever else its headers hold: others may have written them.
    pub(super) fn commit(&self, id: ObjectId) -> Option<(ObjectId, Vec<ObjectId>)> {
        let data = self.read_commit(id)?;
        let mut lines = data.split(|byte| *byte == b'\n');
        let id_after = |line: &[u8], label: &str| {
            let hex = std::str::from_utf8(line).ok()?.strip_prefix(label)?;
            ObjectId::from_hex(hex)
        };
        let tree = id_after(lines.next()?, "tree ")?;
        Some((
            tree,
            lines.map_while(|line| id_after(line, "parent ")).collect(),
        ))
    }

    /// The bytes of a commit; `None` where the clone lacks it.
    pub fn read_commit(&self, id: ObjectId) -> Option<Vec<u8>> {
        let odb = self.repository.odb().ok()?;
        let object = odb
            .read(oid_of(id))
            .ok()
            .filter(|object| object.kind() == git2::ObjectType::Commit)?;
        Some(object.data().to_vec())
    }

    /// When a commit was made, in seconds since the epoch.
    pub fn commit_time(&self, commit: ObjectId) -> Option<i64> {
        Some(
            self.repository
                .find_commit(oid_of(commit))
                .ok()?
                .time()
                .seconds(),
        )
    }

    /// A commit of nothing, that no branch holds.
    pub fn empty_commit(&self) -> Result<ObjectId, StoreError> {
        let tree = self
            .repository
            .find_tree(self.repository.treebuilder(None)?.write()?)?;
        let nobody = git2::Signature::new("nobody", "nobody", &git2::Time::new(0, 0))?;
        Ok(id_of(self.repository.commit(
            None,
            &nobody,
            &nobody,
            "",
            &tree,
            &[],
        )?))
    }

    /// The bytes of a tree.
    pub fn read_tree(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
        let odb = self.repository.odb().map_err(|_| TreeError::Missing(id))?;
        let object = odb.read(oid_of(id)).map_err(|_| TreeError::Missing(id))?;
        if object.kind() == git2::ObjectType::Tree {
            Ok(object.data().to_vec())
        } else {
            Err(TreeError::Damaged(id))
        }
    }

    /// Those of `ids` that the clone does not hold.
    pub fn missing(&self, ids: &BTreeSet<ObjectId>) -> Result<Vec<ObjectId>, StoreError> {
        let odb = self.repository.odb()?;
        Ok(ids
            .iter()
            .filter(|id| !odb.exists(oid_of(**id)))
            .copied()
            .collect())
    }

    /// The size of a blob that the clone holds.
    pub fn size(&self, id: ObjectId) -> Option<u64> {
        let (size, kind) = self.repository.odb().ok()?.read_header(oid_of(id)).ok()?;
        (kind == git2::ObjectType::Blob).then_some(size as u64)
    }

    /// A reader of blobs that threads can share.
    pub fn contents(&self) -> Contents {
        Contents {
            path: self.path.clone(),
            idle: Mutex::default(),
        }
    }

    /// Writes a pack of `objects` and of the blobs of `sources`. A blob's contents come from `read` only when their turn
    /// is near, so memory holds a few megabytes of them at a time whatever their sum.
    pub fn write_pack<S: Sync, E: Send + From<io::Error>>(
        &self,
        objects: &[Encoded],
        sources: &[(ObjectId, u64, S)],
        read: impl Fn(&S) -> Result<Vec<u8>, E> + Sync,
    ) -> Result<(), E> {
        let mut writer = PackWriter::create(
            &self.path.join("objects/pack"),
            (objects.len() + sources.len()) as u32,
        )?;
        for object in objects {
            writer.append(object)?;
        }
        let encode = |batch: &[(ObjectId, u64, S)]| -> Result<Vec<Encoded>, E> {
            batch
                .par_iter()
                .map(|(id, _, source)| Ok(pack::whole(*id, Kind::Blob, &read(source)?)))
                .collect()
        };
        let mut ready: Vec<Encoded> = Vec::new();
        let mut rest = sources;
        while !rest.is_empty() || !ready.is_empty() {
            let (batch, behind) = rest.split_at(batch_length(rest));
            rest = behind;
            // One batch is written while the next is read and compressed.
            let write = || ready.iter().try_for_each(|object| writer.append(object));
            let (written, encoded) = rayon::join(write, || encode(batch));
            written?;
            ready = encoded?;
        }
        let written = writer.finish()?;
        self.written().push(written);
        Ok(())
    }

    /// The packs that this run wrote, in that order.
    pub(super) fn written(&self) -> MutexGuard<'_, Vec<Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repository, for the rest of this folder.
    pub(super) fn repository(&self) -> &git2::Repository {
        &self.repository
    }

    /// Records `commit` as the fetched tip.
    pub(super) fn set_tip(&self, commit: ObjectId) -> Result<(), StoreError> {
        let repository = &self.repository;
        repository.reference(TIP, oid_of(commit), true, "fetch")?;
        Ok(())
    }

    /// Whether `ancestor` is `tip` or before it, as far as the fetched history tells.
    pub fn is_ancestor(&self, ancestor: ObjectId, tip: ObjectId) -> bool {
        let mut seen = std::collections::HashSet::new();
        let mut pending = vec![tip];
        while let Some(id) = pending.pop() {
            if id == ancestor {
                return true;
            }
            if seen.insert(id)
                && let Some((_, parents)) = self.commit(id)
            {
                pending.extend(parents);
            }
        }
        false
    }
}

/// Reads contents for several threads at once, each with a handle of its own.
pub struct Contents {
    path: PathBuf,
    idle: Mutex<Vec<git2::Repository>>,
}

impl Contents {
    /// The contents with this id; an error if the clone does not hold them.
    pub fn read(&self, id: ObjectId) -> Result<Vec<u8>, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let repository = waiting.map_or_else(|| git2::Repository::open(&self.path), Ok)?;
        let contents = repository
            .find_blob(oid_of(id))
            .map(|blob| blob.content().to_vec());
        idle().push(repository);
        Ok(contents?)
    }
}

fn init(path: &Path) -> io::Result<git2::Repository> {
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).external_template(false);
    git2::Repository::init_opts(path, &options).map_err(|error| io_error(&error))
}

/// What the system told libgit2, which keeps the words alone.
pub(super) fn io_error(error: &git2::Error) -> io::Error {
    let kind = match error.message() {
        message if message.contains("No space left on device") => io::ErrorKind::StorageFull,
        message if message.contains("Disk quota exceeded") => io::ErrorKind::QuotaExceeded,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.message().to_owned())
}

/// How many of the next blobs make a batch: a few megabytes, at least one.
fn batch_length<S>(sources: &[(ObjectId, u64, S)]) -> usize {
    let mut total = 0;
    let fits = sources.iter().take(512).take_while(|(_, size, _)| {
        total += size;
        total <= BATCH
    });
    fits.count().max(1).min(sources.len())
}

/// Makes an empty bare repository at `path`, whose HEAD names `branch` (`remote.create`).
pub fn create_remote(path: &Path, branch: &str) -> Result<(), StoreError> {
    let mut options = git2::RepositoryInitOptions::new();
    options
        .bare(true)
        .mkpath(true)
        .external_template(false)
        .initial_head(branch);
    git2::Repository::init_opts(path, &options)?;
    Ok(())
}

pub(super) fn id_of(oid: git2::Oid) -> ObjectId {
    let mut id = [0; 20];
    id.copy_from_slice(oid.as_bytes());
    ObjectId(id)
}

pub(super) fn oid_of(id: ObjectId) -> git2::Oid {
    git2::Oid::from_bytes(&id.0).unwrap_or(git2::Oid::ZERO_SHA1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_clone_is_gone_after_a_panic() {
        let temporary = tempfile::tempdir().unwrap();
        let clones = || fs::read_dir(temporary.path()).unwrap().count();
        let unwound = std::panic::catch_unwind(|| {
            let _store = Store::create(temporary.path()).unwrap();
            assert_eq!(clones(), 2, "one clone is there, and this panics");
        });
        assert!(unwound.is_err());
        assert_eq!(clones(), 0);
    }
}
