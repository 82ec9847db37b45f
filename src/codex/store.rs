//! The clone of the codex that a run works in: bare, shallow, without file contents where the
//! server allows it.
//!
//! A temporary clone is removed after success, failure, panic and a signal that ends the run. After
//! SIGKILL the next run sweeps it (see [`super::temp_clone`]).

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clone_check::{self, TIP};
use super::loose_objects::{Header, LooseObjects, UnusableLooseObject};
use super::objects::commit::ParsedCommit;
use super::objects::fork::{Fork, fork};
use super::objects::pack::{Encoded, PackWriter, Written};
use super::objects::tree::TreeError;
use super::packed_objects::{ObjectReader, PackPosition, PackedObjects};
use super::temp_clone::{LOCK, TempCloneDir};
use crate::object::{Kind, ObjectId};
use crate::paths::shown;

/// A kept clone with more pack files than this is fetched again, which is cheaper than repacking
/// it.
const MANY_PACKS: usize = 300;

/// A clone could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The clone cannot be made or written.
    #[error("cannot write the {} clone in `{}`", if *kept { "kept" } else { "temporary" }, shown(directory))]
    Write {
        /// The directory for temporary files, or that of the kept clone.
        directory: PathBuf,
        /// Whether the clone is a kept one (`clone.strategy: cached`).
        kept: bool,
        /// The system's reason.
        source: io::Error,
    },
    /// libgit2 cannot read or write the clone.
    #[error("cannot read the clone of the codex: {}", .0.message())]
    Git(git2::Error),
    /// A tree is missing or damaged.
    #[error("cannot read the codex")]
    Tree(#[from] TreeError),
    /// The contents of a file are damaged.
    #[error("cannot read the codex: the blob {0} is damaged")]
    Blob(ObjectId),
}

impl From<git2::Error> for StoreError {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

/// A bare repository that only this program uses.
pub(crate) struct Store {
    repository: git2::Repository,
    path: PathBuf,
    /// The directory to name in messages: that for temporary files, or that of the kept clone.
    place: PathBuf,
    // Dropped in this order: a temporary directory is deleted while it is still locked.
    temp_dir: Option<TempCloneDir>,
    _lock: Option<File>,
    wants: Wants,
    /// Another repository's objects, which are read as if the clone held them.
    alternate: Mutex<Option<Arc<Alternate>>>,
    /// The packs that this run wrote, the oldest first.
    written: Mutex<Vec<Written>>,
}

/// The objects of another repository.
struct Alternate {
    /// The directory that contains them.
    directory: PathBuf,
    loose: LooseObjects,
}

/// The objects that a fetch downloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    Commits,
    UpperTrees,
    Trees,
    Everything,
}

impl Store {
    /// Makes an empty clone in `temporary`.
    pub(crate) fn create(temporary: &Path) -> Result<Self, StoreError> {
        let error = |source| StoreError::Write {
            directory: temporary.to_owned(),
            kept: false,
            source,
        };
        let (temp_dir, lock) = TempCloneDir::locked_in(temporary).map_err(error)?;
        let path = temp_dir.path().join("codex.git");
        tracing::info!("clone: temporary, `{}`", shown(&path));
        let repository = init(&path).map_err(error)?;
        Ok(Self {
            repository,
            path,
            place: temporary.to_owned(),
            temp_dir: Some(temp_dir),
            _lock: Some(lock),
            wants: Wants::Trees,
            alternate: Mutex::default(),
            written: Mutex::default(),
        })
    }

    /// Opens the kept clone in `directory` (`clone.strategy: cached`), or makes it; `lock` waits
    /// while another run uses it. A damaged clone, or one with very many packs, is deleted and made
    /// again, which costs a fetch.
    pub(crate) fn keep<E: From<StoreError>>(
        directory: &Path,
        lock: impl FnOnce(File) -> Result<Option<File>, E>,
    ) -> Result<Self, E> {
        let error = |source| StoreError::Write {
            directory: directory.to_owned(),
            kept: true,
            source,
        };
        fs::create_dir_all(directory).map_err(error)?;
        let lock = lock(crate::lock::open(&directory.join(LOCK)).map_err(error)?)?;
        let path = directory.join("codex.git");
        let packs = fs::read_dir(path.join("objects/pack")).map_or(0, Iterator::count);
        tracing::info!("clone: kept between runs, `{}`", shown(&path));
        let opened = if packs > MANY_PACKS {
            Err("it has too many packs".to_owned())
        } else {
            open_sound(&path)
        };
        let repository = match opened {
            Ok(repository) => repository,
            Err(reason) => {
                tracing::debug!(%reason, "starting a new clone");
                remove(&path).map_err(error)?;
                init(&path).map_err(error)?
            }
        };
        Ok(Self {
            repository,
            path,
            place: directory.to_owned(),
            temp_dir: None,
            _lock: lock,
            wants: Wants::Trees,
            alternate: Mutex::default(),
            written: Mutex::default(),
        })
    }

    /// Makes this a clone of history: a fetch downloads commits, and no trees if the server can
    /// leave them out.
    pub(crate) fn of_commits_alone(self) -> Self {
        Self {
            wants: Wants::Commits,
            ..self
        }
    }

    /// Makes this a clone for single files: a fetch downloads the root tree and the trees directly
    /// below it, if the server can leave out the others.
    pub(crate) fn of_upper_trees(self) -> Self {
        Self {
            wants: Wants::UpperTrees,
            ..self
        }
    }

    /// The filter that a fetch asks the server for.
    pub(crate) fn filter(&self) -> Option<&'static str> {
        match self.wants {
            Wants::Commits => Some("tree:0"),
            // The files in the root directory are included. A filter that also excludes blobs would
            // make git read all trees.
            Wants::UpperTrees => Some("tree:2"),
            Wants::Trees => Some("blob:none"),
            Wants::Everything => None,
        }
    }

    /// Whether a fetch downloads the trees of the tip but no file contents.
    pub(crate) fn holds_trees_alone(&self) -> bool {
        self.wants == Wants::Trees
    }

    /// Whether a fetch downloads no file contents, so that the trees of an earlier run can replace
    /// it.
    pub(crate) fn holds_no_contents(&self) -> bool {
        matches!(self.wants, Wants::UpperTrees | Wants::Trees)
    }

    /// Whether the clone is a kept one (`clone.strategy: cached`).
    pub(crate) fn is_kept(&self) -> bool {
        self.temp_dir.is_none()
    }

    /// Deletes the whole clone and makes an empty one, because objects in it are damaged or cannot
    /// be used.
    pub(crate) fn renew(&mut self) -> Result<(), StoreError> {
        remove(&self.path).map_err(|source| self.unwritable(source))?;
        self.repository = init(&self.path).map_err(|source| self.unwritable(source))?;
        self.alternate().take();
        self.written().clear();
        Ok(())
    }

    /// Replaces the clone by one with all trees, for servers that cannot leave out some of them.
    pub(crate) fn renew_with_trees(&mut self) -> Result<(), StoreError> {
        self.wants = Wants::Trees;
        self.renew()
    }

    /// Replaces the clone by one with file contents, for servers that do not send objects by id.
    pub(crate) fn renew_with_contents(&mut self) -> Result<(), StoreError> {
        self.wants = Wants::Everything;
        self.renew()
    }

    /// The error for a clone that cannot be written.
    pub(crate) fn unwritable(&self, source: io::Error) -> StoreError {
        StoreError::Write {
            directory: self.place.clone(),
            kept: self.temp_dir.is_none(),
            source,
        }
    }

    /// The directory of the clone.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads objects that the clone lacks from `objects`, another repository's directory of
    /// objects, from now on. This is not recorded in the clone, so that only this value reads them.
    pub(super) fn read_through(&self, objects: &Path) -> Result<(), StoreError> {
        let mut alternate = self.alternate();
        if alternate
            .as_ref()
            .is_none_or(|known| known.directory != objects)
        {
            add_alternate(&self.repository, objects)?;
            *alternate = Some(Arc::new(Alternate {
                directory: objects.to_owned(),
                loose: LooseObjects::open(objects),
            }));
        }
        Ok(())
    }

    fn alternate(&self) -> MutexGuard<'_, Option<Arc<Alternate>>> {
        self.alternate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The tip of the last fetch.
    pub(crate) fn tip(&self) -> Result<ObjectId, StoreError> {
        Ok(id_of(self.repository.refname_to_id(TIP)?))
    }

    /// The refs that name the tips during a fetch by git of `count` branches. Those of several
    /// branches do not exist before, because git would not deepen the history of a branch whose tip
    /// is the same as that of its ref.
    pub(super) fn names_of_tips(count: usize) -> Vec<String> {
        match count {
            1 => vec![TIP.to_owned()],
            _ => (0..count).map(|number| format!("{TIP}-{number}")).collect(),
        }
    }

    /// The tips in [`Self::names_of_tips`] after a fetch. Only the first one is kept, as the tip.
    pub(super) fn take_tips(&self, count: usize) -> Result<Vec<ObjectId>, StoreError> {
        if count == 1 {
            return Ok(vec![self.tip()?]);
        }
        let mut tips = Vec::with_capacity(count);
        for name in Self::names_of_tips(count) {
            let mut reference = self.repository.find_reference(&name)?;
            tips.push(id_of(reference.peel_to_commit()?.id()));
            reference.delete()?;
        }
        if let Some(first) = tips.first() {
            self.set_tip(*first)?;
        }
        Ok(tips)
    }

    /// The tree of a commit.
    pub(crate) fn root_tree(&self, commit: ObjectId) -> Result<ObjectId, TreeError> {
        Ok(self.commit(commit).ok_or(TreeError::NoCommit(commit))?.0)
    }

    /// The tree and the parents of a commit.
    pub(super) fn commit(&self, id: ObjectId) -> Option<(ObjectId, Vec<ObjectId>)> {
        parse_commit(&self.read_commit(id)?)
    }

    /// The bytes of a commit; `None` if the clone lacks it.
    pub(crate) fn read_commit(&self, id: ObjectId) -> Option<Vec<u8>> {
        match self.read_loose(Kind::Commit, id).ok()? {
            Some(data) => Some(data),
            None => commit_data(&self.repository.odb().ok()?, id),
        }
    }

    /// The bytes of a loose object of the alternate. The clone itself contains packs alone.
    fn read_loose(&self, kind: Kind, id: ObjectId) -> Result<Option<Vec<u8>>, UnusableLooseObject> {
        match &*self.alternate() {
            Some(alternate) => alternate.loose.read(kind, id),
            None => Ok(None),
        }
    }

    /// Checks that every tree of a commit exists and is undamaged.
    pub(crate) fn check_trees(&self, commit: ObjectId) -> Result<(), TreeError> {
        clone_check::check_trees(self.root_tree(commit)?, |id| self.read_tree(id))
    }

    /// When a commit was made, in seconds since the epoch.
    pub(crate) fn commit_time(&self, commit: ObjectId) -> Option<i64> {
        Some(ParsedCommit::parse(&self.read_commit(commit)?)?.time)
    }

    /// Makes a commit of an empty tree, on no branch.
    pub(crate) fn empty_commit(&self) -> Result<ObjectId, StoreError> {
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
    pub(crate) fn read_tree(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
        let loose = self.read_loose(Kind::Tree, id);
        match loose.map_err(|_| TreeError::Damaged(id))? {
            Some(data) => Ok(data),
            None => read_tree(&self.repository, id),
        }
    }

    /// Returns those of `ids` that the clone lacks.
    pub(crate) fn missing(&self, ids: &BTreeSet<ObjectId>) -> Result<Vec<ObjectId>, StoreError> {
        let odb = self.repository.odb()?;
        Ok(ids
            .iter()
            .filter(|id| !odb.exists(oid_of(**id)))
            .copied()
            .collect())
    }

    /// A reader of objects that threads can share. It does not read packs that are added later.
    pub(crate) fn contents(&self) -> Contents {
        Contents::new(self.path.clone(), self.alternate().clone())
    }

    /// Writes a pack of these trees and commits, in an order in which a delta follows its base.
    pub(crate) fn write_objects(&self, objects: &[Encoded]) -> io::Result<()> {
        let mut writer = self.new_pack(objects.len() as u32)?;
        objects
            .iter()
            .try_for_each(|object| writer.append(object))?;
        self.add_pack(writer.finish()?);
        Ok(())
    }

    /// Starts a pack of `count` objects in the clone.
    pub(super) fn new_pack(&self, count: u32) -> io::Result<PackWriter> {
        PackWriter::create(&self.path.join("objects/pack"), count)
    }

    /// Takes note of a pack that this run has written to the clone.
    pub(super) fn add_pack(&self, pack: Written) {
        self.written().push(pack);
    }

    /// The packs that this run wrote, in that order.
    pub(super) fn written(&self) -> MutexGuard<'_, Vec<Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repository, for the other modules of this folder.
    pub(super) fn repository(&self) -> &git2::Repository {
        &self.repository
    }

    /// Records `commit` as the fetched tip.
    pub(super) fn set_tip(&self, commit: ObjectId) -> Result<(), StoreError> {
        let repository = &self.repository;
        repository.reference(TIP, oid_of(commit), true, "fetch")?;
        Ok(())
    }

    /// Whether `ancestor` is `tip` or one of its ancestors in the fetched history.
    pub(crate) fn is_ancestor(&self, ancestor: ObjectId, tip: ObjectId) -> bool {
        !self.search(tip, &[ancestor], None).found.is_empty()
    }

    /// Finds where the histories of two tips parted.
    pub(crate) fn fork(&self, first: ObjectId, second: ObjectId) -> Fork {
        fork(first, second, &|id| {
            let data = self.read_commit(id)?;
            let (_, parents) = parse_commit(&data)?;
            let time = ParsedCommit::parse(&data).map_or(i64::MIN, |commit| commit.time);
            Some((time, parents))
        })
    }

    /// Looks for commits in the history of `tip`. Each of `wanted` is on top of `boundary`, so
    /// nothing below that is read.
    pub(crate) fn search(
        &self,
        tip: ObjectId,
        wanted: &[ObjectId],
        boundary: Option<ObjectId>,
    ) -> Search {
        let mut is_complete = true;
        let mut seen = HashSet::new();
        let mut missing: HashSet<_> = wanted.iter().collect();
        let mut pending = vec![tip];
        while let Some(id) = pending.pop()
            && !missing.is_empty()
        {
            if !seen.insert(id) {
                continue;
            }
            missing.remove(&id);
            if Some(id) == boundary {
                continue;
            }
            match self.commit(id) {
                Some((_, parents)) => pending.extend(parents),
                None => is_complete = false,
            }
        }
        Search {
            found: wanted
                .iter()
                .filter(|id| seen.contains(id))
                .copied()
                .collect(),
            has_boundary: boundary.is_some_and(|id| seen.contains(&id)),
            is_complete,
        }
    }
}

/// Which commits the history of a tip contains, as far as the clone has that history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    /// The wanted commits that were found, in the order in which they were given.
    pub found: Vec<ObjectId>,
    /// Whether the boundary is in the history.
    pub has_boundary: bool,
    /// Whether the clone has all of the history above the boundary.
    pub is_complete: bool,
}

/// Reads objects for several threads at once, each with a handle of its own.
pub(crate) struct Contents {
    path: PathBuf,
    alternate: Option<Arc<Alternate>>,
    packed: PackedObjects,
    idle: Mutex<Vec<ContentReader>>,
}

/// The state of one thread that reads contents.
struct ContentReader {
    packed: ObjectReader,
    /// For objects that [`PackedObjects`] leaves to libgit2.
    repository: Option<git2::Repository>,
}

impl Contents {
    fn new(path: PathBuf, alternate: Option<Arc<Alternate>>) -> Self {
        let own = path.join("objects");
        let lent = alternate.iter().map(|lent| lent.directory.as_path());
        let directories = [own.as_path()].into_iter().chain(lent);
        Self {
            packed: PackedObjects::open(directories),
            path,
            alternate,
            idle: Mutex::default(),
        }
    }

    /// The contents with this id; an error if the clone does not hold them.
    pub(crate) fn read(&self, id: ObjectId) -> Result<Vec<u8>, StoreError> {
        self.with_reader(|reader| {
            let found = self.packed_or_loose(reader, Kind::Blob, id);
            if let Some(contents) = found.map_err(|_| StoreError::Blob(id))? {
                return Ok(contents);
            }
            let repository = self.opened(&mut reader.repository)?;
            Ok(repository.find_blob(oid_of(id))?.content().to_vec())
        })
    }

    /// The bytes of a tree.
    pub(crate) fn read_tree(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
        self.with_reader(|reader| {
            let found = self.packed_or_loose(reader, Kind::Tree, id);
            if let Some(data) = found.map_err(|_| TreeError::Damaged(id))? {
                return Ok(data);
            }
            let repository = self.opened(&mut reader.repository);
            read_tree(repository.map_err(|_| TreeError::Missing(id))?, id)
        })
    }

    /// The bytes of a commit; `None` if the clone lacks it.
    pub(crate) fn read_commit(&self, id: ObjectId) -> Option<Vec<u8>> {
        self.with_reader(|reader| {
            if let Some(data) = self.packed_or_loose(reader, Kind::Commit, id).ok()? {
                return Some(data);
            }
            commit_data(&self.opened(&mut reader.repository).ok()?.odb().ok()?, id)
        })
    }

    /// The bytes of an object; `None` if libgit2 has to read it.
    fn packed_or_loose(
        &self,
        reader: &mut ContentReader,
        kind: Kind,
        id: ObjectId,
    ) -> Result<Option<Vec<u8>>, UnusableLooseObject> {
        match reader.packed.read(&self.packed, kind, id) {
            Some(data) => Ok(Some(data)),
            None => self.read_loose(kind, id),
        }
    }

    /// The size of the contents with this id; `None` if the clone does not hold them.
    pub(crate) fn size(&self, id: ObjectId) -> Option<u64> {
        self.with_reader(|reader| match reader.packed.size(&self.packed, id) {
            Some(size) => Some(size),
            None => {
                if let Some(header) = self.loose_header(id).ok()? {
                    return header.is_blob.then_some(header.size);
                }
                let odb = self.opened(&mut reader.repository).ok()?.odb().ok()?;
                let (size, kind) = odb.read_header(oid_of(id)).ok()?;
                (kind == git2::ObjectType::Blob).then_some(size as u64)
            }
        })
    }

    /// The bytes of a loose object of the alternate.
    fn read_loose(&self, kind: Kind, id: ObjectId) -> Result<Option<Vec<u8>>, UnusableLooseObject> {
        match &self.alternate {
            Some(alternate) => alternate.loose.read(kind, id),
            None => Ok(None),
        }
    }

    /// The header of a loose object of the alternate.
    fn loose_header(&self, id: ObjectId) -> Result<Option<Header>, UnusableLooseObject> {
        match &self.alternate {
            Some(alternate) => alternate.loose.header(id),
            None => Ok(None),
        }
    }

    /// Runs `work` with a reader that no other thread uses.
    fn with_reader<T>(&self, work: impl FnOnce(&mut ContentReader) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let mut reader = waiting.unwrap_or_else(|| ContentReader {
            packed: ObjectReader::new(),
            repository: None,
        });
        let done = work(&mut reader);
        idle().push(reader);
        done
    }

    /// Where the contents are in the packs. Reading in this order is fastest.
    pub(crate) fn position(&self, id: ObjectId) -> Option<PackPosition> {
        self.packed.position(id)
    }

    /// The repository of a reader, which is opened once.
    fn opened<'r>(
        &self,
        opened: &'r mut Option<git2::Repository>,
    ) -> Result<&'r git2::Repository, git2::Error> {
        let repository = match opened.take() {
            Some(repository) => repository,
            None => self.open()?,
        };
        Ok(opened.insert(repository))
    }

    fn open(&self) -> Result<git2::Repository, git2::Error> {
        let repository = git2::Repository::open(&self.path)?;
        if let Some(alternate) = &self.alternate {
            add_alternate(&repository, &alternate.directory)?;
        }
        Ok(repository)
    }
}

/// The bytes of a tree of `repository`.
fn read_tree(repository: &git2::Repository, id: ObjectId) -> Result<Vec<u8>, TreeError> {
    let odb = repository.odb().map_err(|_| TreeError::Missing(id))?;
    let object = odb.read(oid_of(id)).map_err(|_| TreeError::Missing(id))?;
    if object.kind() == git2::ObjectType::Tree {
        Ok(object.data().to_vec())
    } else {
        Err(TreeError::Damaged(id))
    }
}

fn add_alternate(repository: &git2::Repository, objects: &Path) -> Result<(), git2::Error> {
    repository
        .odb()?
        .add_disk_alternate(&objects.to_string_lossy())
}

/// Opens a kept clone, or returns what is wrong with it.
fn open_sound(path: &Path) -> Result<git2::Repository, String> {
    clone_check::check_files(path)?;
    let repository = git2::Repository::open(path).map_err(|error| error.message().to_owned())?;
    let tip = repository
        .refname_to_id(TIP)
        .map_err(|error| error.message().to_owned())?;
    {
        let odb = repository
            .odb()
            .map_err(|error| error.message().to_owned())?;
        let parents = |id| Some(parse_commit(&commit_data(&odb, id)?)?.1);
        clone_check::check_history(&path.join("shallow"), id_of(tip), parents)?;
    }
    Ok(repository)
}

/// Removes the clone at `path`, or any other file or directory with that name.
fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn init(path: &Path) -> io::Result<git2::Repository> {
    let mut options = git2::RepositoryInitOptions::new();
    options
        .bare(true)
        .external_template(false)
        .initial_head(clone_check::HEAD);
    git2::Repository::init_opts(path, &options).map_err(|error| io_error(&error))?;
    fs::write(path.join("config"), clone_check::CONFIG)?;
    git2::Repository::open(path).map_err(|error| io_error(&error))
}

/// The bytes of a commit.
fn commit_data(odb: &git2::Odb<'_>, id: ObjectId) -> Option<Vec<u8>> {
    let object = odb
        .read(oid_of(id))
        .ok()
        .filter(|object| object.kind() == git2::ObjectType::Commit)?;
    Some(object.data().to_vec())
}

/// The tree and the parents of a commit. Other headers are ignored, because other programs may have
/// written them.
fn parse_commit(data: &[u8]) -> Option<(ObjectId, Vec<ObjectId>)> {
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

/// Recovers the kind of an I/O error from its text: libgit2 keeps only the text.
pub(super) fn io_error(error: &git2::Error) -> io::Error {
    let kind = match error.message() {
        message if message.contains("No space left on device") => io::ErrorKind::StorageFull,
        message if message.contains("Disk quota exceeded") => io::ErrorKind::QuotaExceeded,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.message().to_owned())
}

/// Whether git finds a repository for `path`: at that path, or with one of the suffixes that git
/// tries as well.
pub(crate) fn is_repository(path: &Path) -> bool {
    ["/.git", "", ".git/.git", ".git"].iter().any(|suffix| {
        let mut candidate = path.as_os_str().to_owned();
        candidate.push(suffix);
        let candidate = Path::new(&candidate);
        // A file names the directory of a worktree or submodule.
        candidate.is_file()
            || ["objects", "refs"]
                .iter()
                .all(|name| candidate.join(name).is_dir())
                && candidate.join("HEAD").symlink_metadata().is_ok()
    })
}

/// Creates an empty bare repository at `path` (`remote.create`). Its HEAD names `branch`.
pub(crate) fn create_remote(path: &Path, branch: &str) -> io::Result<()> {
    // libgit2 does not report the system's reason.
    fs::create_dir_all(path)?;
    let mut options = git2::RepositoryInitOptions::new();
    options
        .bare(true)
        .mkpath(true)
        .external_template(false)
        .initial_head(branch);
    git2::Repository::init_opts(path, &options)
        .map(drop)
        .map_err(|error| io_error(&error))
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

    /// Makes a commit with these parents at this time.
    fn commit(store: &Store, parents: &[ObjectId], time: i64) -> ObjectId {
        let repository = store.repository();
        let tree = repository.treebuilder(None).unwrap().write().unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let ada = git2::Signature::new("Ada", "a@a", &git2::Time::new(time, 0)).unwrap();
        let parents: Vec<_> = parents
            .iter()
            .map(|id| repository.find_commit(oid_of(*id)).unwrap())
            .collect();
        let parents: Vec<_> = parents.iter().collect();
        let made = repository.commit(None, &ada, &ada, &time.to_string(), &tree, &parents);
        id_of(made.unwrap())
    }

    #[test]
    fn fork_of_two_histories_is_found() {
        let temporary = tempfile::tempdir().unwrap();
        let store = Store::create(temporary.path()).unwrap();
        let root = commit(&store, &[], 1);
        let base = commit(&store, &[root], 2);
        let other = commit(&store, &[], 3);
        let first = commit(&store, &[base], 4);
        let ahead = commit(&store, &[first], 5);
        // Another user's clock is slow.
        let newer = commit(&store, &[base], 0);
        let merged = commit(&store, &[newer, ahead], 7);
        let later = commit(&store, &[merged], 8);
        let merge = commit(&store, &[ahead, newer], 9);
        let tip = commit(&store, &[merge], 10);
        let newest = commit(&store, &[newer], 11);

        for (one, two, ancestors, own) in [
            (ahead, ahead, &[ahead][..], &[][..]),
            (ahead, base, &[base], &[ahead, first]),
            (base, ahead, &[base], &[]),
            (ahead, newer, &[base], &[ahead, first]),
            (ahead, later, &[ahead], &[]),
            // The base was merged in, so that only commits since then count.
            (tip, newest, &[newer], &[tip, merge, ahead, first]),
            // Each has merged an earlier commit of the other.
            (tip, later, &[ahead, newer], &[tip, merge]),
            (ahead, other, &[], &[ahead, first, base, root]),
        ] {
            let fork = store.fork(one, two);
            assert_eq!(fork.ancestors.len(), ancestors.len());
            assert!(ancestors.iter().all(|id| fork.ancestors.contains(id)));
            assert_eq!(fork.own, own);
            assert!(fork.is_complete);
        }
        let missing = ObjectId([1; 20]);
        assert!(!store.fork(ahead, missing).is_complete);
        assert_eq!(store.fork(ahead, newer).depth, 3);
    }

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
