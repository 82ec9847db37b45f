//! Everything that depends on the operating system: file names as bytes, file types, owners, permissions, and process
//! groups. No other module of the library uses its APIs (`tests/it/house.rs` checks this), so a port starts here.
//!
//! The code is for Unix. Linux is tested; macOS has the same calls. Windows is not supported: it has no process groups,
//! and its file names are not bytes.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
#[cfg(feature = "embedded-transport")]
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::object::Mode;
use crate::stat::{Stat, Time};

/// The type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

/// The metadata of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The file's type.
    pub kind: FileKind,
    /// The mode that git would record for a regular file.
    pub mode: Mode,
    /// The values that change when the file is modified.
    pub stat: Stat,
}

impl From<rustix::fs::Stat> for Look {
    fn from(raw: rustix::fs::Stat) -> Self {
        let kind = match FileType::from_raw_mode(raw.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Link,
            _ => FileKind::Special,
        };
        let stat = Stat {
            size: raw.st_size.cast_unsigned(),
            inode: raw.st_ino,
            modified: (raw.st_mtime, raw.st_mtime_nsec.cast_signed()),
            changed: (raw.st_ctime, raw.st_ctime_nsec.cast_signed()),
        };
        Self {
            kind,
            mode: if raw.st_mode & 0o100 == 0 {
                Mode::File
            } else {
                Mode::Executable
            },
            stat,
        }
    }
}

/// Returns the metadata of `path` below `directory`, without following a link at its end; `None` if it does not exist.
pub fn look(directory: &Dir, path: &Path) -> io::Result<Option<Look>> {
    match rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(raw) => Ok(Some(raw.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the metadata of an open file.
pub fn look_at(file: &File) -> io::Result<Look> {
    Ok(rustix::fs::fstat(file)?.into())
}

/// Options to open a file for reading. They are non-blocking, so that a pipe that has replaced the file cannot block
/// the run.
pub fn reading() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options
}

/// Options to create a file with `mode`, less the user's umask.
pub fn making(mode: Mode) -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(if mode == Mode::Executable {
            0o777
        } else {
            0o666
        });
    options
}

/// The permissions of a new file that all users may access, before the user's umask is applied.
pub fn permissions_of_a_new_file() -> Permissions {
    Permissions::from_mode(0o666)
}

/// Whether a directory could not be opened because the path is not a directory. For a link that must not be followed,
/// the error is `ELOOP`.
pub fn is_no_directory(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOTDIR | Errno::LOOP)
    )
}

/// Whether a path could not be resolved because its links form a loop.
pub fn is_link_loop(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// The current time of the file system that holds `directory`, taken from a temporary file; `None` if none can be made
/// there.
pub fn file_system_time(directory: &Path) -> Option<Time> {
    let meta = tempfile::tempfile_in(directory).ok()?.metadata().ok()?;
    Some((meta.mtime(), meta.mtime_nsec()))
}

/// The bytes of a path, as git stores them.
pub fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The path for bytes that git stores.
pub fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A user of the system, as the owner of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(u32);

impl Owner {
    /// The system's administrator.
    pub const ROOT: Self = Self(0);

    /// The user that this process acts for.
    pub fn current() -> Self {
        Self(rustix::process::geteuid().as_raw())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ROOT {
            return f.write_str("root");
        }
        write!(f, "user {}", self.0)
    }
}

/// The owners of what is at `path`: where it is a link, of each link on the way; last, of what it leads to.
pub fn owners(path: &Path) -> io::Result<Vec<Owner>> {
    let mut owners = Vec::new();
    let mut link = path.to_owned();

    while let Ok(meta) = link.symlink_metadata()
        && meta.is_symlink()
        && owners.len() < 40
    {
        owners.push(Owner(meta.uid()));
        let target = link.read_link()?;
        link = link.parent().unwrap_or(Path::new("/")).join(target);
    }
    owners.push(Owner(path.metadata()?.uid()));
    Ok(owners)
}

/// Whether a file is owned by the effective user of this process.
pub fn is_own(meta: &Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw()
}

/// The number of bytes that an unprivileged user may still write to the file system of `place`; `None` if it is
/// unknown.
pub fn free_space(place: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(place).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

/// The message of an error, without the path that `tempfile` appends: the name of a temporary file does not help the
/// user.
pub fn words_of(error: &io::Error) -> String {
    let text = error.to_string();
    match text
        .rfind(" at path \"")
        .filter(|_| error.raw_os_error().is_none())
    {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Whether this is an executable file.
#[cfg(feature = "embedded-transport")]
pub fn is_program(meta: &Metadata) -> bool {
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}

/// The permissions of git's object files: read-only for all users.
#[cfg(feature = "embedded-transport")]
pub fn permissions_of_an_object() -> Permissions {
    Permissions::from_mode(0o444)
}

/// Whether a process listens on the socket at this path.
#[cfg(feature = "embedded-transport")]
pub fn somebody_listens(socket: &str) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// The name of the effective user of this process, if `/etc/passwd` has it.
#[cfg(feature = "embedded-transport")]
pub fn user_name() -> Option<String> {
    let own = rustix::process::geteuid().as_raw().to_string();
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == own).then(|| name.to_owned())
    };
    std::fs::read_to_string("/etc/passwd")
        .ok()?
        .lines()
        .find_map(named)
}

/// Whether this process was started with `signal` ignored. Returns `false` if that is unknown, as without `/proc`.
pub fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Makes a child the leader of a new process group, so that it and its own children can be signalled together.
pub fn lead_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Sends SIGTERM to the process group of the child `leader`.
pub fn ask_to_end(leader: u32) {
    signal_group(leader, Signal::TERM);
}

/// Sends SIGKILL to the process group of the child `leader`.
pub fn kill(leader: u32) {
    signal_group(leader, Signal::KILL);
}

fn signal_group(leader: u32, signal: Signal) {
    if let Some(group) = Pid::from_raw(leader.cast_signed()) {
        let _ = kill_process_group(group, signal);
    }
}
