//! Everything that depends on the operating system: file names as bytes, file types, owners,
//! permissions, signals and processes. No other module of the library uses its APIs
//! (`tests/it/layout_rules.rs` checks this), so a port starts here.
//!
//! `unix` is for Linux, which is tested, and macOS, which has the same calls with other types of
//! numbers. `windows` has the same functions for Windows; its rules for names are in
//! `windows_names`, which is tested everywhere.

#[cfg(unix)]
mod unix;
mod values;
#[cfg(windows)]
mod windows;
#[cfg(any(windows, test))]
mod windows_names;

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, OpenOptions};
use rustix::event::{PollFd, PollFlags, Timespec};
pub(crate) use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

#[cfg(unix)]
pub use unix::ignores;
#[cfg(unix)]
pub(crate) use unix::*;
pub(crate) use values::*;
#[cfg(windows)]
pub use windows::ignores;
#[cfg(windows)]
pub(crate) use windows::*;

use crate::object::Mode;

/// Opens a file that only this program uses (a lock, a record). Returns an error unless it is a
/// regular file: no link is followed, and a pipe or device cannot block the run.
pub(crate) fn open_own_file(
    directory: &Dir,
    name: &Path,
    options: &OpenOptions,
) -> io::Result<File> {
    Ok(own_file(directory, name, options)?.0)
}

/// Reads a file as [`open_own_file`] opens it. Nobody may write it at the same time: it is read as
/// long as it was when it was opened.
pub(crate) fn read_own_file(directory: &Dir, name: &Path) -> io::Result<Vec<u8>> {
    let (mut file, look) = own_file(directory, name, OpenOptions::new().read(true))?;
    let size = usize::try_from(look.stat.size).map_err(io::Error::other)?;
    let mut contents = vec![0; size];
    file.read_exact(&mut contents)?;
    Ok(contents)
}

fn own_file(directory: &Dir, name: &Path, options: &OpenOptions) -> io::Result<(File, Look)> {
    let mut options = options.clone();
    without_blocking(&mut options).follow(FollowSymlinks::No);
    let file = directory.open_with(name, &options).map_err(|error| {
        if is_link_loop(&error) {
            irregular()
        } else {
            error
        }
    })?;
    let look = look_at(&file)?;
    match look.kind {
        FileKind::File => Ok((file, look)),
        _ => Err(irregular()),
    }
}

fn irregular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

/// Options to open a file for reading. A pipe that has replaced the file cannot block the run.
pub(crate) fn reading() -> OpenOptions {
    let mut options = OpenOptions::new();
    without_blocking(options.read(true));
    options
}

/// The mode to publish for a file of the disk with mode `found`, in place of one with mode `replaced`.
/// On a system without executable files, an executable file of the codex stays executable.
pub(crate) fn mode_to_publish(found: Mode, replaced: Mode) -> Mode {
    merged_mode(found, replaced, HAS_EXECUTABLE_FILES)
}

fn merged_mode(found: Mode, replaced: Mode, has_executable_files: bool) -> Mode {
    match (found, replaced) {
        (Mode::File, Mode::Executable) if !has_executable_files => Mode::Executable,
        _ => found,
    }
}

/// Whether `path` leads to a pipe, socket or device. Opening or reading such a file could block for
/// ever.
pub(crate) fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// The message of an error, without the path that `tempfile` appends: the name of a temporary file
/// does not help the user.
pub(crate) fn words_of(error: &io::Error) -> String {
    let text = error.to_string();
    match text
        .rfind(" at path \"")
        .filter(|_| error.raw_os_error().is_none())
    {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The condition to wait for on a socket or pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Bytes, or the end, can be read.
    ToRead,
    /// Bytes can be written.
    ToWrite,
}

/// Waits up to `limit` until `fd` is ready; whether it is. An error or a hang-up on `fd` counts as
/// ready: the next read or write reports it.
pub(crate) fn poll(fd: BorrowedFd<'_>, ready: Ready, limit: Duration) -> io::Result<bool> {
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
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_executable_files_keeps_the_mode_in_the_codex() {
        assert_eq!(
            merged_mode(Mode::File, Mode::Executable, false),
            Mode::Executable
        );
        assert_eq!(merged_mode(Mode::File, Mode::Executable, true), Mode::File);
        assert_eq!(
            merged_mode(Mode::Executable, Mode::File, false),
            Mode::Executable
        );
        assert_eq!(merged_mode(Mode::File, Mode::Link, false), Mode::File);
    }
}
