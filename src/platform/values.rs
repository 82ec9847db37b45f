//! The values that the functions of every system return.

use crate::object::Mode;
use crate::stat::Stat;

/// The number of a file system.
#[cfg(unix)]
pub(crate) use rustix::fs::Dev as Device;

/// The number of a file system, which is not needed on Windows.
#[cfg(windows)]
pub(crate) type Device = ();

/// The type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
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
pub(crate) struct Look {
    /// The file's type.
    pub kind: FileKind,
    /// The mode that git would record for a regular file.
    pub mode: Mode,
    /// The values that change when the file is modified.
    pub stat: Stat,
    /// The number of the file system with the file, for [`ChangeTimes`](super::ChangeTimes).
    pub device: Device,
}

/// Bytes that git moved, as far as the system counts them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    /// The number of bytes that git's own processes have read and written so far: in files and
    /// pipes, including the pipe to ssh, but not in the sockets of http.
    pub moved: u64,
    /// The number of bytes that wait in the TCP sockets of git and ssh, in both directions. This
    /// number changes while data is transferred.
    pub queued: u64,
}
