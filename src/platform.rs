//! What is asked of the operating system in its own terms: names as bytes, what a file is, who owns it, groups of
//! processes. No other module of the library names an operating system (`tests/it/house.rs` holds it to that), so a
//! port is written here.
//!
//! What stands here is Unix: Linux is tested, macOS has the same calls. Windows has no process groups and names that
//! are no bytes; it is not supported.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
#[cfg(feature = "embedded-transport")]
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::{PoisonError, RwLock};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
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
    /// The number of its file system, for [`ChangeTimes`].
    pub device: u64,
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
            device: raw.st_dev,
        }
    }
}

/// Which file systems set a file's change time on every write, by device; each is asked for its type once.
///
/// Only types that are known to do so count. Network and FUSE file systems report what a server or a cache of attributes
/// says, images of disks what was written into them when they were made.
#[derive(Debug, Default)]
pub struct ChangeTimes(RwLock<HashMap<u64, bool>>);

impl ChangeTimes {
    /// Whether the file system with the number `device`, which holds `path` below `directory`, does.
    pub fn are_kept(&self, directory: &Dir, path: &Path, device: u64) -> bool {
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

/// Opens a file that this program keeps for itself (a lock, a record). An error unless it is a regular file: no link is
/// followed, and neither a pipe nor a device can hold the run up.
pub fn open_own_file(directory: &Dir, name: &Path, options: &OpenOptions) -> io::Result<File> {
    let mut options = options.clone();
    options
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .follow(FollowSymlinks::No);
    let file = directory.open_with(name, &options).map_err(|error| {
        if is_link_loop(&error) {
            irregular()
        } else {
            error
        }
    })?;
    match look_at(&file)?.kind {
        FileKind::File => Ok(file),
        _ => Err(irregular()),
    }
}

fn irregular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
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

#[cfg(test)]
mod tests {
    use super::*;

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
