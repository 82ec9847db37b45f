//! Linux and macOS.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use bstr::{BStr, ByteSlice};
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use rustix::fs::{Access, AtFlags, Dev, FileType, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::values::{FileKind, Look, Traffic};
use crate::object::Mode;
use crate::stat::{Stat, Time};

/// The signal of Ctrl-C.
#[cfg(feature = "mcp")]
pub(crate) const INTERRUPT: i32 = SIGINT;

/// Whether files have a permission to be executed.
pub(super) const HAS_EXECUTABLE_FILES: bool = true;

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
            modified: (raw.st_mtime, nanoseconds(raw.st_mtime_nsec)),
            changed: (raw.st_ctime, nanoseconds(raw.st_ctime_nsec)),
        };
        Self {
            kind,
            mode: if raw.st_mode & 0o100 == 0 {
                Mode::File
            } else {
                Mode::Executable
            },
            stat,
            device: raw.st_dev,
        }
    }
}

/// The nanoseconds of a time of a file. Their type differs between systems.
fn nanoseconds<T: TryInto<i64>>(number: T) -> i64 {
    number.try_into().unwrap_or_default()
}

/// Knows, per device, whether the file system sets a file's change time on every write. The type of
/// each is read once.
///
/// Only types that are known to do so are trusted. Network and FUSE file systems report the values
/// of a server or of a cache of attributes, and disk images report the values of the time when they
/// were made.
#[derive(Debug, Default)]
pub(crate) struct ChangeTimes(RwLock<HashMap<Dev, bool>>);

impl ChangeTimes {
    /// Whether the file system with the number `device` sets change times. `path` below `directory`
    /// is a file on it.
    pub(crate) fn are_kept(&self, directory: &Dir, path: &Path, device: Dev) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = known.get(&device) {
            return *kept;
        }
        drop(known);

        let kept = keeps_change_times(directory, path).unwrap_or(false);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(device, kept);
        kept
    }
}

fn keeps_change_times(directory: &Dir, path: &Path) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, path, flags, rustix::fs::Mode::empty())?;
    Ok(is_local(&rustix::fs::fstatfs(&file)?))
}

#[cfg(target_os = "linux")]
fn is_local(file_system: &rustix::fs::StatFs) -> bool {
    is_local_type(file_system.f_type as u32)
}

#[cfg(target_os = "linux")]
fn is_local_type(number: u32) -> bool {
    // The types' numbers, as `linux/magic.h` has them.
    const LOCAL: [u32; 14] = [
        0x0000_EF53, // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683E, // btrfs
        0x0102_1994, // tmpfs
        0x8584_58F6, // ramfs
        0x794C_7630, // overlayfs
        0x6175_6673, // aufs
        0x2FC1_2FC1, // zfs
        0xF2F5_2010, // f2fs
        0xCA45_1A4E, // bcachefs
        0x3153_464A, // jfs
        0x5265_4973, // reiserfs
        0x2405_1905, // ubifs
        0x0000_3434, // nilfs2
    ];
    LOCAL.contains(&number)
}

#[cfg(target_vendor = "apple")]
fn is_local(file_system: &rustix::fs::StatFs) -> bool {
    const MNT_LOCAL: u32 = 0x1000;
    file_system.f_flags & MNT_LOCAL != 0
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn is_local(_: &rustix::fs::StatFs) -> bool {
    false
}

/// Returns the metadata of `path` below `directory`, without following a link at its end; `None` if
/// it does not exist.
pub(crate) fn look(directory: &Dir, path: &Path) -> io::Result<Option<Look>> {
    match rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(raw) => Ok(Some(raw.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A directory that is read entry by entry. The metadata of an entry needs only its name, which costs
/// much less than its path.
pub(crate) struct OpenDirectory(rustix::fs::Dir);

impl OpenDirectory {
    /// Opens the directory at `path`, or at a name in `parent`. A link at its end is not followed.
    pub(crate) fn open(parent: Option<&Self>, path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = match parent {
            Some(parent) => parent.0.fd()?,
            None => rustix::fs::CWD,
        };
        let directory = rustix::fs::openat(parent, path, flags, rustix::fs::Mode::empty())?;
        Ok(Self(rustix::fs::Dir::new(directory)?))
    }

    /// The next entry, with its type if the file system lists it; `None` after the last one.
    pub(crate) fn next_entry(&mut self) -> Option<io::Result<(Vec<u8>, Option<FileKind>)>> {
        loop {
            let entry = match self.0.read()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error.into())),
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::RegularFile => Some(FileKind::File),
                FileType::Directory => Some(FileKind::Directory),
                FileType::Symlink => Some(FileKind::Link),
                FileType::Unknown => None,
                _ => Some(FileKind::Special),
            };
            return Some(Ok((name.to_owned(), kind)));
        }
    }

    /// The metadata of the entry `name`. A link is not followed.
    pub(crate) fn look(&self, name: &[u8]) -> io::Result<Look> {
        let raw = rustix::fs::statat(self.0.fd()?, path_of(name), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(raw.into())
    }
}

/// Returns the metadata of an open file.
pub(crate) fn look_at(file: &File) -> io::Result<Look> {
    Ok(rustix::fs::fstat(file)?.into())
}

/// Renames the file `from` in one directory to `to` in another, in place of what is there unless it
/// is a directory.
pub(crate) fn rename(from: (&Dir, &Path), to: (&Dir, &Path)) -> io::Result<()> {
    Ok(rustix::fs::renameat(from.0, from.1, to.0, to.1)?)
}

/// Renames the file `from` in one directory to `to` in another. If there is something already, that is
/// the error `AlreadyExists`.
pub(crate) fn rename_to_new(from: (&Dir, &Path), to: (&Dir, &Path)) -> io::Result<()> {
    let no_replace = rustix::fs::RenameFlags::NOREPLACE;
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, no_replace) {
        // The file system does not support the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        renamed => return Ok(renamed?),
    }
    match rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
        Ok(()) => Ok(rustix::fs::unlinkat(from.0, from.1, AtFlags::empty())?),
        Err(Errno::EXIST) => Err(Errno::EXIST.into()),
        // The file system has no hard links either.
        Err(_) => match look(to.0, to.1)? {
            Some(_) => Err(Errno::EXIST.into()),
            None => rename(from, to),
        },
    }
}

/// Fills `bytes` with those of a file at `offset`, whatever other threads read from it.
pub(crate) fn read_at(file: &fs::File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(bytes, offset)
}

/// Opening a pipe does not wait for its other end.
pub(super) fn without_blocking(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed())
}

/// Options to create a file with `mode`, less the user's umask.
pub(crate) fn making(mode: Mode) -> OpenOptions {
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

/// Gives a temporary file the permissions of a new one that all users may access, before the user's
/// umask is applied.
pub(crate) fn as_a_new_file<'b, 'p, 's>(
    builder: &'b mut tempfile::Builder<'p, 's>,
) -> &'b mut tempfile::Builder<'p, 's> {
    builder.permissions(Permissions::from_mode(0o666))
}

/// Whether a directory could not be opened because the path is not a directory. For a link that
/// must not be followed, the error is `ELOOP`.
pub(crate) fn is_no_directory(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOTDIR | Errno::LOOP)
    )
}

/// Whether a path could not be resolved because its links form a loop.
pub(crate) fn is_link_loop(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// The current time of the file system that holds `directory`, taken from a temporary file; `None`
/// if none can be made there.
pub(crate) fn file_system_time(directory: &Path) -> Option<Time> {
    let meta = tempfile::tempfile_in(directory).ok()?.metadata().ok()?;
    Some((meta.mtime(), meta.mtime_nsec()))
}

/// The bytes of a path, as git stores them.
pub(crate) fn bytes_of(path: &Path) -> Cow<'_, BStr> {
    Cow::Borrowed(path.as_os_str().as_bytes().as_bstr())
}

/// The path for bytes that git stores.
pub(crate) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Whether `text` begins with the letter of a drive, so that it is a path and not a URL.
pub(crate) fn has_drive(_: &str) -> bool {
    false
}

/// The path of this machine for the one of a `file://` URL.
pub(crate) fn path_of_url(bytes: &[u8]) -> &Path {
    path_of(bytes)
}

/// The path of a `file://` URL for one of this machine.
pub(crate) fn url_path(path: &Path) -> Cow<'_, BStr> {
    bytes_of(path)
}

/// The reason for which this system cannot have a file or directory with a name of the codex, except
/// its length.
pub(crate) fn name_problem(_: &[u8]) -> Option<&'static str> {
    None
}

/// A user of the system, as the owner of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileOwner(u32);

impl FileOwner {
    /// The system's administrator.
    pub(crate) const ROOT: Self = Self(0);

    /// The user that this process acts for.
    pub(crate) fn current() -> Self {
        Self(rustix::process::geteuid().as_raw())
    }
}

impl fmt::Display for FileOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ROOT {
            return f.write_str("root");
        }
        write!(f, "user {}", self.0)
    }
}

/// The owners of the file at `path`. If it is a link: the owner of each link in the chain, then
/// that of the target.
pub(crate) fn owners(path: &Path) -> io::Result<Vec<FileOwner>> {
    let mut owners = Vec::new();
    let mut link = path.to_owned();

    while let Ok(meta) = link.symlink_metadata()
        && meta.is_symlink()
        && owners.len() < 40
    {
        owners.push(FileOwner(meta.uid()));
        let target = link.read_link()?;
        link = link.parent().unwrap_or(Path::new("/")).join(target);
    }
    owners.push(FileOwner(path.metadata()?.uid()));
    Ok(owners)
}

/// Whether the directory at `path`, which has this metadata, is owned by the effective user of this
/// process.
pub(crate) fn is_own(_: &Path, meta: &Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw()
}

/// Checks, without writing, that this process may create, rename and delete entries in `directory`.
pub(crate) fn check_writable(directory: &Dir) -> io::Result<()> {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    Ok(rustix::fs::accessat(
        directory,
        ".",
        access,
        AtFlags::EACCESS,
    )?)
}

/// The number of bytes that an unprivileged user may still write to the file system of `place`;
/// `None` if it is unknown.
pub(crate) fn free_space(place: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(place).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

/// Whether this process was started with `signal` ignored. Returns `false` if that is unknown, as
/// without `/proc`.
pub fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// The bytes that git processes in the process group of `leader` have moved. Programs that git asks
/// for a password do not count. Linux counts bytes in `/proc`; on other systems all numbers are
/// zero.
pub(crate) fn traffic(leader: u32) -> Traffic {
    let mut traffic = Traffic::default();
    let mut sockets = HashSet::new();
    let mut tables = None;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_process = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        let process = entry.path();
        let Some((name, group)) = is_process.then(|| name_and_group(&process)).flatten() else {
            continue;
        };
        let is_git = name == "git" || name.starts_with("git-remote-");
        if group != leader || !(is_git || name == "ssh") {
            continue;
        }
        if is_git {
            traffic.moved += read_and_written(&process);
        }
        sockets.extend(sockets_of(&process));
        tables.get_or_insert_with(|| process.join("net"));
    }
    if let Some(tables) = tables.filter(|_| !sockets.is_empty()) {
        traffic.queued = ["tcp", "tcp6"]
            .iter()
            .map(|table| queued(&tables.join(table), &sockets))
            .sum();
    }
    traffic
}

/// The name of a process's program, of which the system keeps 15 bytes, and its process group.
fn name_and_group(process: &Path) -> Option<(String, u32)> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name is in parentheses and may itself contain parentheses. State, parent and group
    // follow.
    let (head, fields) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let group = fields.split_whitespace().nth(2)?.parse().ok()?;
    Some((name.to_owned(), group))
}

fn read_and_written(process: &Path) -> u64 {
    let counts = fs::read_to_string(process.join("io")).unwrap_or_default();
    let count = |label| {
        let line = counts.lines().find_map(|line| line.strip_prefix(label));
        line.and_then(|count| count.trim().parse::<u64>().ok())
            .unwrap_or(0)
    };
    count("rchar:") + count("wchar:")
}

/// The numbers of the sockets that a process has open.
fn sockets_of(process: &Path) -> Vec<String> {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten();
    let number = |file: fs::DirEntry| {
        let target = fs::read_link(file.path()).ok()?;
        let number = target.to_str()?.strip_prefix("socket:[")?;
        Some(number.strip_suffix(']')?.to_owned())
    };
    files.flatten().filter_map(number).collect()
}

/// Bytes in the queues of these sockets, in a table such as `/proc/net/tcp`.
fn queued(table: &Path, sockets: &HashSet<String>) -> u64 {
    let table = fs::read_to_string(table).unwrap_or_default();
    let waiting = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (sent, received) = fields.get(4)?.split_once(':')?;
        let bytes = |hex| u64::from_str_radix(hex, 16).ok();
        sockets
            .contains(*fields.get(9)?)
            .then_some(bytes(sent)? + bytes(received)?)
    };
    table.lines().filter_map(waiting).sum()
}

/// Makes a child the leader of a new process group, so that it and its own children can be
/// signalled together.
pub(crate) fn lead_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Sends SIGTERM to the process group of the child `leader`.
pub(crate) fn ask_to_end(leader: u32) {
    signal_group(leader, Signal::TERM);
}

/// Sends SIGKILL to the process group of the child `leader`.
pub(crate) fn kill(leader: u32) {
    signal_group(leader, Signal::KILL);
}

fn signal_group(leader: u32, signal: Signal) {
    if let Some(group) = Pid::from_raw(leader.cast_signed()) {
        let _ = kill_process_group(group, signal);
    }
}

/// The end of a child's input that the parent writes to.
pub(crate) type ChildInput = fs::File;

/// The end of a child's output that the parent reads from.
pub(crate) type ChildOutput = ChildStdout;

/// An input for a child process, and the end of it that the parent writes to; `None` if that is the
/// child's pipe. The input is a socket: the writer of a full pipe is woken for each page that the
/// child reads, that of a full socket only when most of its buffer is free again.
pub(crate) fn socket_input() -> io::Result<(Stdio, Option<ChildInput>)> {
    let (child, parent) = UnixStream::pair()?;
    Ok((
        OwnedFd::from(child).into(),
        Some(OwnedFd::from(parent).into()),
    ))
}

/// The end of a child's pipe that the parent writes to, as a file.
pub(crate) fn pipe_input(pipe: ChildStdin) -> io::Result<ChildInput> {
    Ok(OwnedFd::from(pipe).into())
}

/// The end of a child's pipe that the parent reads from.
pub(crate) fn pipe_output(pipe: ChildStdout) -> io::Result<ChildOutput> {
    Ok(pipe)
}

/// Calls `handle` with the number of each signal that asks the process to stop, on a thread of its
/// own. The handler of the signal itself stores the number in `flag`, before that thread runs.
///
/// SIGHUP is left alone if it was inherited as ignored, so that a run under `nohup` outlives its
/// terminal. SIGINT is handled even if it was inherited as ignored: shells do that for background
/// jobs, and a SIGINT that is sent to such a job is intentional.
pub(crate) fn on_stop_signals(
    flag: Option<Arc<AtomicUsize>>,
    mut handle: impl FnMut(i32) + Send + 'static,
) {
    let hangup = Some(SIGHUP).filter(|signal| !ignores(*signal));
    let handled: Vec<i32> = [SIGINT, SIGTERM].into_iter().chain(hangup).collect();

    if let Some(flag) = flag {
        for signal in &handled {
            let number = signal.unsigned_abs() as usize;
            if let Err(error) = signal_hook::flag::register_usize(*signal, flag.clone(), number) {
                tracing::debug!(signal, %error, "the signal is not handled");
            }
        }
    }
    if let Ok(mut signals) = Signals::new(&handled) {
        thread::spawn(move || signals.forever().for_each(&mut handle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::open_own_file;

    #[test]
    #[cfg(target_os = "linux")]
    fn change_times_of_networks_and_images_are_not_believed() {
        let (nfs, cifs, smb2, fuse, p9) =
            (0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x6573_5546, 0x0102_1997);
        let (squashfs, iso9660, erofs, vfat) = (0x7371_7368, 0x9660, 0xE0F5_E1E2, 0x4D44);
        for number in [nfs, cifs, smb2, fuse, p9, squashfs, iso9660, erofs, vfat, 0] {
            assert!(!is_local_type(number), "{number:#x}");
        }
        for number in [0xEF53, 0x5846_5342, 0x0102_1994, 0x794C_7630] {
            assert!(is_local_type(number), "{number:#x}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_systems_type_is_asked_where_the_file_is() {
        let root = Dir::open_ambient_dir("/", cap_std::ambient_authority()).unwrap();
        let are_kept = |path: &str| {
            let path = Path::new(path);
            let device = look(&root, path).unwrap().unwrap().device;
            ChangeTimes::default().are_kept(&root, path, device)
        };
        assert!(!are_kept("proc/version"));
    }

    #[test]
    fn only_regular_files_are_opened_as_own_ones() {
        let directory = tempfile::tempdir().unwrap();
        let handle = Dir::open_ambient_dir(directory.path(), cap_std::ambient_authority()).unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("file", directory.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", directory.path().join("device")).unwrap();
        let open = |name: &str| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true);
            open_own_file(&handle, Path::new(name), &options).map_err(|error| error.kind())
        };
        assert!(open("file").is_ok());
        assert!(open("new").is_ok());
        for name in ["link", "device"] {
            assert_eq!(
                open(name).unwrap_err(),
                io::ErrorKind::InvalidInput,
                "{name}"
            );
        }
    }
}
