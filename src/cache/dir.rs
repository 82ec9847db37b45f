//! The cache's directory as a handle that no path leads out of: each path is resolved one segment
//! at a time and no link is followed, whatever another process puts there meanwhile.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bstr::{BStr, BString, ByteSlice};
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, OpenOptions};

use super::manifest::Cached;
use super::own_files::CONTROL;
use super::refusal::Refusal;
use crate::object::{Kind, Mode, ObjectId, hash_reader};
use crate::paths::escaped;
use crate::platform::{self, ChangeTimes, FileKind, Look, path_of};
use crate::stat::Stat;

/// The directory in [`CONTROL`] for files that are not complete yet.
const STAGING: &str = "tmp";

/// The entry at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DiskEntry {
    /// Nothing exists there.
    Absent,
    /// A regular file.
    File {
        mode: Mode,
        id: ObjectId,
        stat: Stat,
    },
    /// A directory, with the paths of all files, links and special files below it.
    Directory(Vec<BString>),
    /// A link, a special file, a file that the user may not read, or one that was written while it
    /// was read.
    Other,
    /// Nothing can exist at the path, because this path above it is not a directory.
    Blocked(BString),
    /// The path is invalid on this file system or not accessible, for this reason. Other paths may
    /// be fine.
    Unusable(Refusal),
}

/// The cache's directory.
pub(super) struct CacheDir {
    dir: Dir,
    change_times: ChangeTimes,
}

impl CacheDir {
    /// Opens the directory at `path`, which must exist.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            dir: Dir::open_ambient_dir(path, cap_std::ambient_authority())?,
            change_times: ChangeTimes::default(),
        })
    }

    /// Opens the directory for the program's own files, and creates it if necessary.
    pub(super) fn control(&self) -> io::Result<Dir> {
        open_or_create(&self.dir, OsStr::new(CONTROL))
    }

    /// Opens the directory for the program's own files, if it exists.
    pub(super) fn existing_control(&self) -> io::Result<Option<Dir>> {
        match self.dir.open_dir_nofollow(CONTROL) {
            Ok(control) => Ok(Some(control)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a file at the top of the cache, unless it exists, that marks the directory for other
    /// programs.
    pub(super) fn write_marker(&self, name: &str, text: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        match self.dir.open_with(name, &options) {
            Ok(mut file) => file.write_all(text.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the marker file exists, or something else with its name.
    pub(super) fn has_marker(&self, name: &str) -> bool {
        self.dir.symlink_metadata(name).is_ok()
    }

    /// Checks, without writing, that entries can be created and deleted in `directory` of the
    /// cache; if it does not exist, in the nearest directory above it that does.
    pub(super) fn check_writable(&self, directory: &BStr) -> io::Result<()> {
        let mut nearest = self.dir.try_clone()?;
        for segment in directory.split(|byte| *byte == b'/') {
            match nearest.open_dir_nofollow(path_of(segment)) {
                Ok(below) => nearest = below,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if platform::is_no_directory(&error) => break,
                Err(error) => return Err(error),
            }
        }
        platform::check_writable(&nearest)
    }

    /// Reads the file at `path`; `None` unless it is a regular file.
    pub(super) fn read(&self, path: &BStr) -> io::Result<Option<Vec<u8>>> {
        let Ok((parent, name)) = self.resolve(path) else {
            return Ok(None);
        };
        let look = platform::look(&parent, name)?;
        if look.is_none_or(|look| look.kind != FileKind::File) {
            return Ok(None);
        }
        let mut contents = Vec::new();
        open_file(&parent, name)?.read_to_end(&mut contents)?;
        Ok(Some(contents))
    }

    /// Returns a writer of files for one thread. With `force`, a link or a file in the place of a
    /// directory is deleted, and so is a directory in the place of a file; without, that is an
    /// error.
    pub(super) fn writer(&self, force: bool) -> FileWriter<'_> {
        FileWriter {
            cursor: self.cursor(),
            force,
        }
    }

    /// Deletes the file at `path` to make room for a directory. Another thread may do the same at
    /// the same time, and may already have created the directory.
    fn unlink_for_directory(&self, path: &BString) -> io::Result<()> {
        match self.unlink(path.as_bstr()) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                ) =>
            {
                Ok(())
            }
            unlinked => unlinked,
        }
    }

    /// Removes the file at `path`, and the directories above it that become empty. Returns `false` if
    /// the file is not as `expected`, so that it stays.
    pub(super) fn remove(&self, path: &BStr, expected: &Expected<'_>) -> io::Result<bool> {
        if let Ok((parent, name)) = self.resolve(path)
            && let Some(look) = platform::look(&parent, name)?
            && !expected.includes(&parent, name, &look)?
        {
            return Ok(false);
        }
        match self.unlink(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            unlinked => unlinked?,
        }
        for slash in path.rfind_iter(b"/") {
            let Ok((parent, name)) = self.resolve(path[..slash].as_bstr()) else {
                break;
            };
            if parent.remove_dir(name).is_err() {
                break;
            }
        }
        Ok(true)
    }

    /// Opens the directory in which files are written before they are renamed.
    pub(super) fn staging(&self) -> io::Result<Staging> {
        Ok(Staging {
            all: open_or_create(&self.control()?, OsStr::new(STAGING))?,
            of_threads: Mutex::default(),
        })
    }

    /// Removes the incomplete files of runs that were killed. Only for the run that holds the lock,
    /// before and after it writes.
    pub(super) fn remove_leftovers(&self) {
        let Ok(control) = self.control() else {
            return;
        };
        let _ = control.remove_dir_all(STAGING);
        let entries = control.entries().into_iter().flatten().flatten();
        for name in entries.map(|entry| entry.file_name()) {
            // A record that was not renamed to its final name.
            if name.as_encoded_bytes().starts_with(b".") {
                let _ = control.remove_file(name);
            }
        }
    }

    fn unlink(&self, path: &BStr) -> io::Result<()> {
        match self.resolve(path) {
            Ok((parent, name)) => parent.remove_file(name),
            Err(Unresolved::Io(error)) => Err(error),
            Err(Unresolved::Missing | Unresolved::NotADirectory(_)) => Ok(()),
        }
    }

    /// Opens the directory that contains `path`, and returns it with the last segment.
    fn resolve<'p>(&self, path: &'p BStr) -> Result<(Dir, &'p Path), Unresolved> {
        let mut cursor = self.cursor();
        let (_, name) = cursor.parent_of(path)?;
        let directory = match cursor.opened.pop() {
            Some((_, directory)) => directory,
            None => self.dir.try_clone().map_err(Unresolved::Io)?,
        };
        Ok((directory, name))
    }

    /// Returns a cursor at the top of the cache.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor {
            cache: self,
            opened: Vec::new(),
        }
    }
}

/// Resolves one path after the other. The directories above the last path stay open, so that paths
/// in their order open each directory once.
pub(super) struct Cursor<'c> {
    cache: &'c CacheDir,
    /// The open directories, each in the one before it, with their names.
    opened: Vec<(BString, Dir)>,
}

impl Cursor<'_> {
    /// Returns the entry at `path`.
    ///
    /// `recorded_id` returns the id of a file with this stat if it need not be read. Its second
    /// argument returns whether the file system keeps change times.
    pub(super) fn entry_at(
        &mut self,
        path: &BStr,
        recorded_id: impl Fn(&Stat, &dyn Fn() -> bool) -> Option<ObjectId>,
    ) -> io::Result<DiskEntry> {
        match self.find_entry(path, recorded_id) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidFilename | io::ErrorKind::PermissionDenied
                ) =>
            {
                Ok(DiskEntry::Unusable(Refusal::from(&error)))
            }
            found => found,
        }
    }

    /// Returns the entry at `path`. A path that cannot be read or does not fit the file system is
    /// an error here.
    fn find_entry(
        &mut self,
        path: &BStr,
        recorded_id: impl Fn(&Stat, &dyn Fn() -> bool) -> Option<ObjectId>,
    ) -> io::Result<DiskEntry> {
        let change_times = &self.cache.change_times;
        let (parent, name) = match self.parent_of(path) {
            Ok(found) => found,
            Err(Unresolved::Missing) => return Ok(DiskEntry::Absent),
            Err(Unresolved::NotADirectory(above)) => return Ok(DiskEntry::Blocked(above)),
            Err(Unresolved::Io(error)) => return Err(error),
        };
        let Some(look) = platform::look(parent, name)? else {
            return Ok(DiskEntry::Absent);
        };
        let Look {
            kind,
            mode,
            stat,
            device,
        } = look;
        match kind {
            FileKind::File => {}
            FileKind::Directory => {
                let mut inside = Vec::new();
                files_below(&parent.open_dir_nofollow(name)?, path, &mut inside)?;
                inside.sort();
                return Ok(DiskEntry::Directory(inside));
            }
            FileKind::Link | FileKind::Special => return Ok(DiskEntry::Other),
        }

        let keeps_change_times = || change_times.are_kept(parent, name, device);
        let id = match recorded_id(&stat, &keeps_change_times) {
            Some(id) => id,
            None => {
                let file = match open_file(parent, name) {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        return Ok(DiskEntry::Other);
                    }
                    opened => opened?,
                };
                match hash_reader(Kind::Blob, stat.size, file)? {
                    Some(id) => id,
                    None => return Ok(DiskEntry::Other),
                }
            }
        };
        Ok(DiskEntry::File { mode, id, stat })
    }

    /// Opens the directory that contains `path`, and returns it with the last segment.
    fn parent_of<'p>(&mut self, path: &'p BStr) -> Result<(&Dir, &'p Path), Unresolved> {
        let (parent, name) = split(path);
        Ok((self.enter(parent, false)?, path_of(name)))
    }

    /// Opens the directory at `path`, one segment at a time. With `create`, missing directories are
    /// created.
    fn enter(&mut self, path: &BStr, create: bool) -> Result<&Dir, Unresolved> {
        let segments = || {
            path.split(|byte| *byte == b'/')
                .filter(|one| !one.is_empty())
        };
        let opened = self.opened.iter().map(|(name, _)| name);
        let common = segments().zip(opened).take_while(|(a, b)| a == b).count();
        self.opened.truncate(common);

        for segment in segments().skip(common) {
            let above = self.current();
            let name = path_of(segment).as_os_str();
            let directory = if create {
                open_or_create(above, name)
            } else {
                above.open_dir_nofollow(name)
            };
            let directory = directory.map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Unresolved::Missing,
                _ if platform::is_no_directory(&error) => {
                    let depth = self.opened.len() + 1;
                    let at: Vec<_> = segments().take(depth).collect();
                    Unresolved::NotADirectory(at.join(&b'/').into())
                }
                _ => Unresolved::Io(error),
            })?;
            self.opened.push((segment.into(), directory));
        }
        Ok(self.current())
    }

    /// The directory that was entered last.
    fn current(&self) -> &Dir {
        self.opened
            .last()
            .map_or(&self.cache.dir, |(_, directory)| directory)
    }
}

/// The reason why the directory of a path cannot be opened.
enum Unresolved {
    /// A directory does not exist.
    Missing,
    /// This path is a file or a link.
    NotADirectory(BString),
    Io(io::Error),
}

impl From<Unresolved> for io::Error {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::Missing => io::ErrorKind::NotFound.into(),
            Unresolved::NotADirectory(path) => {
                Self::other(format!("`{}` is not a directory", escaped(&path)))
            }
            Unresolved::Io(error) => error,
        }
    }
}

/// What is at a path when it is written or removed. Anything else was put there since the plan was
/// made, and stays.
pub(super) enum Expected<'r> {
    /// Whatever is there is replaced or removed.
    Anything,
    /// Nothing, or a directory without files.
    Nothing,
    /// Nothing, or a file with this stat, or one that the cache wrote according to the record.
    File {
        stat: Stat,
        recorded: Option<&'r Cached>,
    },
}

impl Expected<'_> {
    /// Whether the entry `name` of `directory` with this metadata is as expected.
    fn includes(&self, directory: &Dir, name: &Path, look: &Look) -> io::Result<bool> {
        let (stat, recorded) = match self {
            Self::Anything => return Ok(true),
            Self::Nothing => return Ok(false),
            Self::File { stat, recorded } => (stat, recorded),
        };
        if look.kind != FileKind::File {
            return Ok(false);
        }
        if look.stat == *stat {
            return Ok(true);
        }
        let Some(recorded) = recorded else {
            return Ok(false);
        };
        let file = open_file(directory, name)?;
        let id = hash_reader(Kind::Blob, look.stat.size, file)?;
        Ok(id.is_some_and(|id| recorded.was_written(look.mode, id)))
    }
}

/// The directory in which files are written before they are renamed to their paths.
pub(super) struct Staging {
    all: Dir,
    /// Each thread has a directory of its own, because threads that create files in the same directory
    /// wait for each other.
    of_threads: Mutex<HashMap<usize, Arc<Dir>>>,
}

/// A complete file that is not at its path yet.
pub(super) struct StagedFile {
    directory: Arc<Dir>,
    name: String,
    stat: Stat,
}

impl Staging {
    /// Writes a file. Its permissions are those of a new file with `mode`.
    pub(super) fn write(&self, mode: Mode, contents: &[u8]) -> io::Result<StagedFile> {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        let directory = self.of_this_thread()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let mut file = directory.open_with(&name, &platform::making(mode))?;
        let written = file
            .write_all(contents)
            .and_then(|()| platform::look_at(&file));
        match written {
            Ok(look) => Ok(StagedFile {
                directory,
                name,
                stat: look.stat,
            }),
            Err(error) => {
                let _ = directory.remove_file(&name);
                Err(error)
            }
        }
    }

    fn of_this_thread(&self) -> io::Result<Arc<Dir>> {
        let thread = rayon::current_thread_index().unwrap_or_default();
        let mut opened = self
            .of_threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = opened.get(&thread) {
            return Ok(directory.clone());
        }
        let directory = Arc::new(open_or_create(&self.all, OsStr::new(&thread.to_string()))?);
        opened.insert(thread, directory.clone());
        Ok(directory)
    }
}

impl StagedFile {
    /// Renames the file. Returns `false` if what is at the path is not as `expected`.
    fn rename(&self, directory: &Dir, name: &Path, expected: &Expected<'_>) -> io::Result<bool> {
        let from = (&*self.directory, Path::new(&self.name));
        let is_new = match expected {
            Expected::Anything => false,
            Expected::Nothing => true,
            Expected::File { .. } => match platform::look(directory, name)? {
                Some(look) if expected.includes(directory, name, &look)? => false,
                Some(_) => return Ok(false),
                None => true,
            },
        };
        if !is_new {
            return platform::rename(from, (directory, name)).map(|()| true);
        }
        match platform::rename_to_new(from, (directory, name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = platform::look(directory, name)?;
                match found.is_some_and(|look| look.kind == FileKind::Directory) {
                    true => Err(io::ErrorKind::IsADirectory.into()),
                    false => Ok(false),
                }
            }
            renamed => renamed.map(|()| true),
        }
    }

    /// The stat of the file at its path; the default if another process has changed it since.
    fn stat_at(&self, directory: &Dir, name: &Path) -> io::Result<Stat> {
        let unchanged = |stat: &Stat| {
            let Stat {
                size,
                inode,
                modified,
                ..
            } = self.stat;
            (size, inode, modified) == (stat.size, stat.inode, stat.modified)
        };
        let look = platform::look(directory, name)?;
        Ok(look
            .map(|look| look.stat)
            .filter(unchanged)
            .unwrap_or_default())
    }
}

/// Renames files to their paths in the cache. In the order of their paths, each directory is opened
/// once.
pub(super) struct FileWriter<'c> {
    cursor: Cursor<'c>,
    force: bool,
}

impl FileWriter<'_> {
    /// Renames a file to `path`. Missing directories are created. Returns the stat of the file, or
    /// `None` if what is at the path is not as `expected`, so that it stays.
    pub(super) fn place(
        &mut self,
        path: &BStr,
        staged: &StagedFile,
        expected: &Expected<'_>,
    ) -> io::Result<Option<Stat>> {
        let (directory, name) = split(path);
        self.open_directory(directory)?;
        let directory = self.cursor.current();
        let name = path_of(name);
        let is_placed = match staged.rename(directory, name, expected) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                self.remove_directory(directory, name)?;
                staged.rename(directory, name, expected)?
            }
            renamed => renamed?,
        };
        match is_placed {
            true => staged.stat_at(directory, name).map(Some),
            false => Ok(None),
        }
    }

    /// Opens a directory of the cache, and creates it if necessary.
    fn open_directory(&mut self, path: &BStr) -> io::Result<()> {
        loop {
            match self.cursor.enter(path, true) {
                Ok(_) => return Ok(()),
                Err(Unresolved::NotADirectory(at)) if self.force => {
                    self.cursor.cache.unlink_for_directory(&at)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Deletes the directory `name` to make room for a file. Unless forced, only if no file is in
    /// it.
    fn remove_directory(&self, directory: &Dir, name: &Path) -> io::Result<()> {
        if self.force {
            directory.remove_dir_all(name)
        } else {
            remove_empty(directory, name)
        }
    }
}

/// Deletes the directory `name` and the directories in it. An error if any of them contains a file.
fn remove_empty(directory: &Dir, name: &Path) -> io::Result<()> {
    let inside = directory.open_dir_nofollow(name)?;
    for entry in inside.entries()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty(&inside, Path::new(&entry.file_name()))?;
        }
    }
    drop(inside);
    directory.remove_dir(name)
}

/// Adds the paths of all entries below `directory`, which is at `path`, except directories.
fn files_below(directory: &Dir, path: &BStr, found: &mut Vec<BString>) -> io::Result<()> {
    for entry in directory.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let below = [path.as_bytes(), b"/", &platform::bytes_of(Path::new(&name))].concat();
        if entry.file_type()?.is_dir() {
            let inside = directory.open_dir_nofollow(&name)?;
            files_below(&inside, below.as_bstr(), found)?;
        } else {
            found.push(below.into());
        }
    }
    Ok(())
}

fn open_or_create(directory: &Dir, name: &OsStr) -> io::Result<Dir> {
    match directory.open_dir_nofollow(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match directory.create_dir(name) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            directory.open_dir_nofollow(name)
        }
        opened => opened,
    }
}

fn open_file(directory: &Dir, name: &Path) -> io::Result<File> {
    directory.open_with(name, platform::reading().follow(FollowSymlinks::No))
}

/// Splits a path into its directory, which is empty at the top of the cache, and its last segment.
pub(super) fn split(path: &BStr) -> (&BStr, &BStr) {
    let (directory, name) = path.rsplit_once_str("/").unwrap_or((b"", path));
    (directory.as_bstr(), name.as_bstr())
}
