//! The directory that the cache lives in, as a handle that nothing leads out of: every path is walked one segment at a
//! time and no link is followed, whatever was planted meanwhile.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bstr::{BStr, BString, ByteSlice};
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, OpenOptions};

use super::CONTROL;
use crate::object::{Hasher, Kind, Mode, ObjectId};
use crate::platform::{self, ChangeTimes, FileKind, Look, path_of};
use crate::stat::Stat;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DiskEntry {
    /// Nothing.
    Absent,
    /// A file.
    File {
        mode: Mode,
        id: ObjectId,
        stat: Stat,
    },
    /// A directory, with the paths of everything below it that is no directory.
    Directory(Vec<BString>),
    /// A link, a special file, or a file that may not be read.
    Other,
    /// Something above it that is no directory.
    Blocked(BString),
    /// The path cannot be looked at, or be there at all, for this reason. Other paths may be fine.
    Unusable(String),
}

/// The cache's directory.
pub(super) struct CacheDir {
    dir: Dir,
    change_times: ChangeTimes,
}

/// A directory of the cache that is written to.
pub(super) struct WriteDir {
    directory: Dir,
    /// Where files are written before they get their name.
    staging: Dir,
    /// Whether a directory in the place of a file is deleted with all that it holds.
    force: bool,
}

/// Why a path cannot be walked.
enum Walk {
    /// A segment that is not there.
    Missing,
    /// A segment that is no directory.
    NoDirectory(BString),
    Io(io::Error),
}

const STAGING: &str = "tmp";
static NEXT: AtomicU64 = AtomicU64::new(0);

impl CacheDir {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            dir: Dir::open_ambient_dir(path, cap_std::ambient_authority())?,
            change_times: ChangeTimes::default(),
        })
    }

    /// The directory for the cache's own files, made if need be.
    pub(super) fn control(&self) -> io::Result<Dir> {
        open_or_make(&self.dir, OsStr::new(CONTROL))
    }

    /// The directory for the cache's own files, if there is one.
    pub(super) fn existing_control(&self) -> io::Result<Option<Dir>> {
        match self.dir.open_dir_nofollow(CONTROL) {
            Ok(control) => Ok(Some(control)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a file of the cache's own at its top, unless there is one.
    pub(super) fn write_marker(&self, name: &str, text: &str) -> io::Result<()> {
        match self
            .dir
            .open_with(name, OpenOptions::new().write(true).create_new(true))
        {
            Ok(mut file) => file.write_all(text.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What is at `path`. `known` is asked first for the id of a file with this stat; its second argument answers whether
    /// the file system keeps change times.
    pub(super) fn look(
        &self,
        path: &BStr,
        known: impl Fn(&Stat, &dyn Fn() -> bool) -> Option<ObjectId>,
    ) -> io::Result<DiskEntry> {
        self.look_closely(path, known)
            .or_else(|error| match error.kind() {
                io::ErrorKind::InvalidFilename | io::ErrorKind::PermissionDenied => {
                    Ok(DiskEntry::Unusable(error.to_string()))
                }
                _ => Err(error),
            })
    }

    fn look_closely(
        &self,
        path: &BStr,
        known: impl Fn(&Stat, &dyn Fn() -> bool) -> Option<ObjectId>,
    ) -> io::Result<DiskEntry> {
        let (directory, leaf) = match self.walk(path, false) {
            Ok(found) => found,
            Err(Walk::Missing) => return Ok(DiskEntry::Absent),
            Err(Walk::NoDirectory(at)) => return Ok(DiskEntry::Blocked(at)),
            Err(Walk::Io(error)) => return Err(error),
        };
        let Some(look) = platform::look(&directory, leaf)? else {
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
                files_below(&directory.open_dir_nofollow(leaf)?, path, &mut inside)?;
                inside.sort();
                return Ok(DiskEntry::Directory(inside));
            }
            FileKind::Link | FileKind::Special => return Ok(DiskEntry::Other),
        }

        let keeps_change_times = || self.change_times.are_kept(&directory, leaf, device);
        let id = match known(&stat, &keeps_change_times) {
            Some(id) => id,
            None => match hash(&directory, leaf, stat.size) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Ok(DiskEntry::Other);
                }
                hashed => hashed?,
            },
        };
        Ok(DiskEntry::File { mode, id, stat })
    }

    /// Opens `directory` of the cache for writing, made if need be. With `force`, a link or a file in its place is deleted;
    /// nothing is ever written through it.
    pub(super) fn folder(&self, directory: &BStr, force: bool) -> io::Result<WriteDir> {
        let mut below = directory.to_owned();
        if !below.is_empty() {
            below.push(b'/');
        }
        let directory = loop {
            match self.walk(below.as_bstr(), true) {
                Ok((directory, _)) => break directory,
                Err(Walk::NoDirectory(at)) if force => match self.unlink(at.as_bstr()) {
                    // Another thread was faster, and made the directory.
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                        ) => {}
                    unlinked => unlinked?,
                },
                Err(Walk::NoDirectory(at)) => {
                    return Err(io::Error::other(format!(
                        "`{}` is in the way",
                        crate::paths::escaped(&at)
                    )));
                }
                Err(Walk::Missing) => return Err(io::ErrorKind::NotFound.into()),
                Err(Walk::Io(error)) => return Err(error),
            }
        };
        Ok(WriteDir {
            directory,
            staging: self.staging_dir()?,
            force,
        })
    }

    /// Removes the file at `path`, and the directories above it that hold nothing else.
    pub(super) fn remove(&self, path: &BStr) -> io::Result<()> {
        self.unlink(path)?;
        for slash in path.rfind_iter(b"/") {
            let Ok((directory, leaf)) = self.walk(path[..slash].as_bstr(), false) else {
                break;
            };
            if directory.remove_dir(leaf).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Where this thread begins its files: one directory for all would have them wait for each other.
    fn staging_dir(&self) -> io::Result<Dir> {
        let all = open_or_make(&self.control()?, OsStr::new(STAGING))?;
        let thread = rayon::current_thread_index().unwrap_or_default();
        open_or_make(&all, OsStr::new(&thread.to_string()))
    }

    /// Removes what a killed run left staging. For the beginning and the end of a run, which holds the lock.
    pub(super) fn tidy(&self) {
        let Ok(control) = self.control() else {
            return;
        };
        let _ = control.remove_dir_all(STAGING);
        let entries = control.entries().into_iter().flatten().flatten();
        for name in entries.map(|entry| entry.file_name()) {
            // A record that did not get its name.
            if name.as_encoded_bytes().starts_with(b".") {
                let _ = control.remove_file(name);
            }
        }
    }

    fn unlink(&self, path: &BStr) -> io::Result<()> {
        match self.walk(path, false) {
            Ok((directory, leaf)) => directory.remove_file(leaf),
            Err(Walk::Io(error)) => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// The directory that holds `path`, and the last segment.
    fn walk<'p>(&self, path: &'p BStr, make: bool) -> Result<(Dir, &'p Path), Walk> {
        let mut directory = self.dir.try_clone().map_err(Walk::Io)?;
        let mut walked = 0;
        for slash in path.find_iter(b"/") {
            let segment = path_of(&path[walked..slash]).as_os_str();
            let opened = if make {
                open_or_make(&directory, segment)
            } else {
                directory.open_dir_nofollow(segment)
            };
            directory = opened.map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Walk::Missing,
                _ if platform::is_no_directory(&error) => Walk::NoDirectory(path[..slash].into()),
                _ => Walk::Io(error),
            })?;
            walked = slash + 1;
        }
        Ok((directory, path_of(&path[walked..])))
    }
}

impl WriteDir {
    /// Puts `contents` at `leaf`: whole under another name first, then renamed.
    pub(super) fn write(&self, leaf: &BStr, mode: Mode, contents: &[u8]) -> io::Result<Stat> {
        let leaf = path_of(leaf);
        let name = format!(
            "{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let mut file = self.staging.open_with(&name, &platform::making(mode))?;
        let written = file.write_all(contents).and_then(|()| {
            if platform::look(&self.directory, leaf)?
                .is_some_and(|look| look.kind == FileKind::Directory)
            {
                self.make_way(leaf)?;
            }
            self.staging.rename(&name, &self.directory, leaf)
        });
        if let Err(error) = written {
            let _ = self.staging.remove_file(&name);
            return Err(error);
        }
        Ok(platform::look_at(&file)?.stat)
    }

    /// Deletes the directory `leaf`: with what it holds if forced, else only if no file is in it.
    fn make_way(&self, leaf: &Path) -> io::Result<()> {
        if self.force {
            self.directory.remove_dir_all(leaf)
        } else {
            remove_empty(&self.directory, leaf)
        }
    }
}

/// Deletes the directory `name` and the directories in it. An error if there is a file.
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

/// Adds the paths of all that is below `directory`, at `path`, and is no directory.
fn files_below(directory: &Dir, path: &BStr, found: &mut Vec<BString>) -> io::Result<()> {
    for entry in directory.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let below = [path.as_bytes(), b"/", platform::bytes_of(Path::new(&name))].concat();
        if entry.file_type()?.is_dir() {
            let inside = directory.open_dir_nofollow(&name)?;
            files_below(&inside, below.as_bstr(), found)?;
        } else {
            found.push(below.into());
        }
    }
    Ok(())
}

fn open_or_make(directory: &Dir, name: &OsStr) -> io::Result<Dir> {
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

/// Opens a file for reading, if it is one and no link.
fn open_file(directory: &Dir, leaf: &Path) -> io::Result<File> {
    directory.open_with(leaf, platform::reading().follow(FollowSymlinks::No))
}

fn hash(directory: &Dir, leaf: &Path, size: u64) -> io::Result<ObjectId> {
    let mut file = open_file(directory, leaf)?;
    let mut hasher = Hasher::new(Kind::Blob, size);
    let mut buffer = vec![0; (size as usize + 1).min(128 << 10)];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
