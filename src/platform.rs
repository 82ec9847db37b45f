//! What is asked of the operating system in its own terms: names as bytes, what a file is, who owns it, groups of
//! processes. No other module of the library names an operating system (`tests/it/house.rs` holds it to that), so a
//! port is written here.
//!
//! What stands here is Unix: Linux is tested, macOS has the same calls. Windows has no process groups and names that
//! are no bytes; it is not supported.

use std::ffi::OsStr;
use std::fs::{Metadata, Permissions};
use std::io;
pub use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
#[cfg(feature = "embedded-transport")]
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::object::Mode;
use crate::stat::{Stat, Time};

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, a socket, a device.
    Special,
}

/// A look at what stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// What it is.
    pub kind: FileKind,
    /// The mode that git would give a file there.
    pub mode: Mode,
    /// What tells it from its later self.
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

/// What stands at `path` below `directory`: a link itself, not what it leads to. `None` where nothing does.
pub fn look(directory: &Dir, path: &Path) -> io::Result<Option<Look>> {
    match rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(raw) => Ok(Some(raw.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A look at an open file.
pub fn look_at(file: &File) -> io::Result<Look> {
    Ok(rustix::fs::fstat(file)?.into())
}

/// Options to read a file with; a pipe put in its place does not hold the run up.
pub fn reading() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options
}

/// Options to make a file with that is to have `mode`.
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

/// What a file for everybody is made with; the user's mask takes away from it.
pub fn permissions_of_a_new_file() -> Permissions {
    Permissions::from_mode(0o666)
}

/// Whether a directory could not be opened as one, for something else stands there: with a link that must not be
/// followed the system speaks of a loop.
pub fn is_no_directory(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOTDIR | Errno::LOOP)
    )
}

/// Whether links lead to each other without end.
pub fn is_link_loop(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// The file system's own idea of now: the time of a file without a name. `None` where it cannot have one.
pub fn file_system_time(directory: &Path) -> Option<Time> {
    let meta = tempfile::tempfile_in(directory).ok()?.metadata().ok()?;
    Some((meta.mtime(), meta.mtime_nsec()))
}

/// A path as the bytes that git has for it.
pub fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The path that git has these bytes for.
pub fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Whether something belongs to the user that this process acts for.
pub fn is_own(meta: &Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw()
}

/// Bytes that this user may still write at `place`, if the system can tell.
pub fn free_space(place: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(place).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

/// What the system said, without the name of a temporary file that `tempfile` puts behind it: it tells a user nothing.
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

/// Whether something is a file that may be executed.
#[cfg(feature = "embedded-transport")]
pub fn is_program(meta: &Metadata) -> bool {
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}

/// What git gives its files of objects: to be read by everybody and written by nobody.
#[cfg(feature = "embedded-transport")]
pub fn permissions_of_an_object() -> Permissions {
    Permissions::from_mode(0o444)
}

/// Whether a socket at this path has somebody at its other end.
#[cfg(feature = "embedded-transport")]
pub fn somebody_listens(socket: &str) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// The name of the user that this process acts for, where the system's own list has it.
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

/// Whether whoever started this process had it ignore `signal`, as far as the system can tell.
pub fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Has a child lead a group of its own, which is told to end as a whole.
pub fn lead_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Asks the child `leader` and what it started to end.
pub fn ask_to_end(leader: u32) {
    signal_group(leader, Signal::TERM);
}

/// Ends the child `leader` and what it started.
pub fn kill(leader: u32) {
    signal_group(leader, Signal::KILL);
}

fn signal_group(leader: u32, signal: Signal) {
    if let Some(group) = Pid::from_raw(leader.cast_signed()) {
        let _ = kill_process_group(group, signal);
    }
}

/// What is waited for on a socket or pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Bytes, or the end, can be read.
    ToRead,
    /// Bytes can be written.
    ToWrite,
}

/// Waits up to `limit` until `fd` is ready; whether it is. An error or a hang-up on `fd` counts as ready: the next read
/// or write reports it.
pub fn poll(fd: BorrowedFd<'_>, ready: Ready, limit: Duration) -> io::Result<bool> {
    let flags = match ready {
        Ready::ToRead => PollFlags::IN,
        Ready::ToWrite => PollFlags::OUT,
    };
    let limit = Timespec::try_from(limit).ok();
    match rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, flags)], limit.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes reads and writes on `fd` return at once instead of blocking.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(
        fd,
        flags | rustix::fs::OFlags::NONBLOCK,
    )?)
}
