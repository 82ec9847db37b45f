//! Windows.
//!
//! Files have no permission to be executed: the mode of a file in the codex stays. There are no change
//! times of files here either, so each file is read and hashed in every run. Children get a process
//! group of their own, which the console does not interrupt, and are ended with all that they
//! started.

use std::borrow::Cow;
use std::ffi::c_void;
use std::fmt;
use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::FileExt;
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use bstr::{BStr, ByteSlice};
use cap_std::fs::{Dir, File, OpenOptions};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, LocalFree, TRUE};
use windows_sys::Win32::Security::Authorization::{GetNamedSecurityInfoW, SE_FILE_OBJECT};
use windows_sys::Win32::Security::{
    GetLengthSid, GetTokenInformation, OWNER_SECURITY_INFORMATION, PSID, TOKEN_QUERY, TOKEN_USER,
    TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, GetCurrentProcess, OpenProcessToken,
};

use super::values::{Device, FileKind, Look, Traffic};
use super::windows_names;
use crate::object::Mode;
use crate::stat::{Stat, Time};

/// The signal of Ctrl-C, with its number on Unix.
pub(crate) const INTERRUPT: i32 = 2;

/// Errors of the system, by their names in its headers.
mod code {
    pub(super) const DIRECTORY: i32 = 267;
    pub(super) const STOPPED_ON_SYMLINK: i32 = 681;
    pub(super) const TOO_MANY_LINKS: i32 = 1142;
    pub(super) const CANT_RESOLVE_FILENAME: i32 = 1921;
}

/// Whether files have a permission to be executed.
pub(super) const HAS_EXECUTABLE_FILES: bool = false;

fn look_of(meta: &cap_std::fs::Metadata) -> Look {
    let kind = match meta.file_type() {
        kind if kind.is_symlink() => FileKind::Link,
        kind if kind.is_dir() => FileKind::Directory,
        kind if kind.is_file() => FileKind::File,
        _ => FileKind::Special,
    };
    let modified = meta.modified().map(|time| time_of(time.into_std()));
    Look {
        kind,
        mode: Mode::File,
        stat: Stat {
            size: meta.len(),
            inode: 0,
            modified: modified.unwrap_or_default(),
            changed: (0, 0),
        },
        device: (),
    }
}

fn time_of(time: SystemTime) -> Time {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => (since.as_secs().cast_signed(), since.subsec_nanos().into()),
        Err(before) => (-before.duration().as_secs().cast_signed(), 0),
    }
}

/// Knows whether file systems set a file's change time on every write: none here.
#[derive(Debug, Default)]
pub(crate) struct ChangeTimes;

impl ChangeTimes {
    /// Whether the file system with the file `path` below `directory` sets change times.
    #[expect(clippy::unused_self, reason = "the same as on other systems")]
    pub(crate) fn are_kept(&self, _: &Dir, _: &Path, (): Device) -> bool {
        false
    }
}

/// Returns the metadata of `path` below `directory`, without following a link at its end; `None` if
/// it does not exist.
pub(crate) fn look(directory: &Dir, path: &Path) -> io::Result<Option<Look>> {
    match directory.symlink_metadata(path) {
        Ok(meta) => Ok(Some(look_of(&meta))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A directory that is read entry by entry.
pub(crate) struct OpenDirectory {
    path: PathBuf,
    entries: fs::ReadDir,
}

impl OpenDirectory {
    /// Opens the directory at `path`, or at a name in `parent`. A link at its end is not followed.
    pub(crate) fn open(parent: Option<&Self>, path: &Path) -> io::Result<Self> {
        let path = match parent {
            Some(parent) => parent.path.join(path),
            None => path.to_owned(),
        };
        if !path.symlink_metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let entries = fs::read_dir(&path)?;
        Ok(Self { path, entries })
    }

    /// The next entry, with its type if the file system lists it; `None` after the last one.
    pub(crate) fn next_entry(&mut self) -> Option<io::Result<(Vec<u8>, Option<FileKind>)>> {
        let entry = match self.entries.next()? {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        let kind = entry.file_type().ok().map(|kind| match kind {
            kind if kind.is_symlink() => FileKind::Link,
            kind if kind.is_dir() => FileKind::Directory,
            kind if kind.is_file() => FileKind::File,
            _ => FileKind::Special,
        });
        let name = entry.file_name().into_encoded_bytes();
        Some(Ok((name, kind)))
    }

    /// The metadata of the entry `name`. A link is not followed.
    pub(crate) fn look(&self, name: &[u8]) -> io::Result<Look> {
        let meta = self.path.join(path_of(name)).symlink_metadata()?;
        Ok(look_of(&cap_std::fs::Metadata::from_just_metadata(meta)))
    }
}

/// Returns the metadata of an open file.
pub(crate) fn look_at(file: &File) -> io::Result<Look> {
    Ok(look_of(&file.metadata()?))
}

/// Renames the file `from` in one directory to `to` in another, in place of what is there unless it
/// is a directory.
pub(crate) fn rename(from: (&Dir, &Path), to: (&Dir, &Path)) -> io::Result<()> {
    match from.0.rename(from.1, to.0, to.1) {
        // The system reports that access is denied.
        Err(_) if is_directory(to) => Err(io::ErrorKind::IsADirectory.into()),
        renamed => renamed,
    }
}

/// Renames the file `from` in one directory to `to` in another. If there is something already, that is
/// the error `AlreadyExists`.
pub(crate) fn rename_to_new(from: (&Dir, &Path), to: (&Dir, &Path)) -> io::Result<()> {
    match from.0.hard_link(from.1, to.0, to.1) {
        Ok(()) => from.0.remove_file(from.1),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // The file system has no hard links.
        Err(_) => match look(to.0, to.1)? {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => rename(from, to),
        },
    }
}

fn is_directory((directory, name): (&Dir, &Path)) -> bool {
    let found = look(directory, name).ok().flatten();
    found.is_some_and(|look| look.kind == FileKind::Directory)
}

/// Fills `bytes` with those of a file at `offset`, whatever other threads read from it.
pub(crate) fn read_at(file: &fs::File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_read(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes = &mut bytes[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Opening a file never waits here.
pub(super) fn without_blocking(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Options to create a file. It gets the permissions of its directory.
pub(crate) fn making(_: Mode) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options
}

/// Gives a temporary file the permissions of a new one, which it has already.
pub(crate) fn as_a_new_file<'b, 'p, 's>(
    builder: &'b mut tempfile::Builder<'p, 's>,
) -> &'b mut tempfile::Builder<'p, 's> {
    builder
}

/// Whether a directory could not be opened because the path is not a directory, or a link that must
/// not be followed.
pub(crate) fn is_no_directory(error: &io::Error) -> bool {
    let codes = [
        code::DIRECTORY,
        code::STOPPED_ON_SYMLINK,
        code::TOO_MANY_LINKS,
    ];
    error.kind() == io::ErrorKind::NotADirectory
        || error
            .raw_os_error()
            .is_some_and(|code| codes.contains(&code))
}

/// Whether a path could not be resolved because its links form a loop, or must not be followed.
pub(crate) fn is_link_loop(error: &io::Error) -> bool {
    let codes = [
        code::CANT_RESOLVE_FILENAME,
        code::STOPPED_ON_SYMLINK,
        code::TOO_MANY_LINKS,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

/// The current time of the file system that holds `directory`, taken from a temporary file; `None`
/// if none can be made there.
pub(crate) fn file_system_time(directory: &Path) -> Option<Time> {
    let meta = tempfile::tempfile_in(directory).ok()?.metadata().ok()?;
    Some(time_of(meta.modified().ok()?))
}

/// The bytes of a path, as git stores them.
pub(crate) fn bytes_of(path: &Path) -> Cow<'_, BStr> {
    windows_names::with_slashes(path.as_os_str().as_encoded_bytes())
}

/// The path for bytes that git stores. If they are not UTF-8, no file can have the name: the path is
/// then one that the system rejects in every call.
pub(crate) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(bytes.to_str().unwrap_or("\0"))
}

/// Whether `text` begins with the letter of a drive, so that it is a path and not a URL.
pub(crate) fn has_drive(text: &str) -> bool {
    windows_names::has_drive(text)
}

/// The path of this machine for the one of a `file://` URL.
pub(crate) fn path_of_url(bytes: &[u8]) -> &Path {
    path_of(windows_names::without_root(bytes))
}

/// The path of a `file://` URL for one of this machine.
pub(crate) fn url_path(path: &Path) -> Cow<'_, BStr> {
    match bytes_of(path) {
        bytes if bytes.starts_with(b"/") => bytes,
        bytes => Cow::Owned([b"/", bytes.as_bytes()].concat().into()),
    }
}

/// The reason for which this system cannot have a file or directory with a name of the codex, except
/// its length.
pub(crate) fn name_problem(name: &[u8]) -> Option<&'static str> {
    windows_names::problem(name)
}

/// A user or group of the system, as the owner of files: its security identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileOwner([u8; MAX_SID]);

/// The length of the longest security identifier, in bytes.
const MAX_SID: usize = 68;

impl FileOwner {
    /// The group of administrators. The system's own accounts count as this one.
    pub(crate) const ROOT: Self = Self::new(&[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0]);

    /// The account `SYSTEM`.
    const SYSTEM: Self = Self::new(&[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);

    /// The service that owns the files of the system, `TrustedInstaller`.
    const INSTALLER: Self = Self::new(&[
        1, 6, 0, 0, 0, 0, 0, 5, 80, 0, 0, 0, 0xB5, 0x89, 0xFB, 0x38, 0x19, 0x84, 0xC2, 0xCB, 0x5C,
        0x6C, 0x23, 0x6D, 0x57, 0x00, 0x77, 0x6E, 0xC0, 0x02, 0x64, 0x87,
    ]);

    const fn new(bytes: &[u8]) -> Self {
        let mut sid = [0; MAX_SID];
        let mut at = 0;
        while at < bytes.len() {
            sid[at] = bytes[at];
            at += 1;
        }
        Self(sid)
    }

    /// The user that this process acts for.
    pub(crate) fn current() -> Self {
        // A user that cannot be asked for owns nothing.
        user_of_process().unwrap_or(Self([0; MAX_SID]))
    }
}

impl fmt::Display for FileOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ROOT {
            return f.write_str("the administrators");
        }
        let sid = &self.0;
        let authority = sid[2..8]
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        write!(f, "S-{}-{authority}", sid[0])?;
        let parts = sid[8..].chunks_exact(4).take(sid[1].into());
        for part in parts.filter_map(|part| part.first_chunk()) {
            write!(f, "-{}", u32::from_le_bytes(*part))?;
        }
        Ok(())
    }
}

/// The owners of the file at `path`; of its target if it is a link.
pub(crate) fn owners(path: &Path) -> io::Result<Vec<FileOwner>> {
    let owner = match owner_of(path)? {
        FileOwner::SYSTEM | FileOwner::INSTALLER => FileOwner::ROOT,
        owner => owner,
    };
    Ok(vec![owner])
}

/// Whether the directory at `path` is owned by the user of this process. Those that an administrator
/// makes belong to the group.
pub(crate) fn is_own(path: &Path, _: &Metadata) -> bool {
    owner_of(path).is_ok_and(|owner| owner == FileOwner::current() || owner == FileOwner::ROOT)
}

/// The path with a NUL at its end, as the system's calls need it.
fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

/// Copies a security identifier of the system.
#[expect(
    unsafe_code,
    reason = "the standard library has no owners of files here"
)]
fn owner_from(sid: PSID) -> Option<FileOwner> {
    if sid.is_null() {
        return None;
    }
    // SAFETY: the callers pass an identifier that the system has just returned.
    let length = unsafe { GetLengthSid(sid) } as usize;
    if length > MAX_SID {
        return None;
    }
    // SAFETY: the identifier has this length.
    let bytes = unsafe { std::slice::from_raw_parts(sid.cast::<u8>().cast_const(), length) };
    Some(FileOwner::new(bytes))
}

#[expect(
    unsafe_code,
    reason = "the standard library has no owners of files here"
)]
fn owner_of(path: &Path) -> io::Result<FileOwner> {
    let path = wide(path);
    let mut sid: PSID = ptr::null_mut();
    let mut descriptor: *mut c_void = ptr::null_mut();
    // SAFETY: the path ends with NUL, and the values that are returned are read only after success.
    let code = unsafe {
        GetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &mut sid,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &mut descriptor,
        )
    };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code.cast_signed()));
    }
    let owner = owner_from(sid);
    // SAFETY: the system allocated the descriptor, and nothing points into it any more.
    unsafe { LocalFree(descriptor) };
    owner.ok_or_else(|| io::Error::other("the file has no owner"))
}

#[expect(unsafe_code, reason = "the standard library does not know the user")]
fn user_of_process() -> Option<FileOwner> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: the handle of the process needs no closing, and the token is closed below.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } == 0 {
        return None;
    }
    // Aligned as the structure is, and large enough for it with the longest identifier.
    let mut buffer = [0_u64; 16];
    let mut length = 0;
    // SAFETY: the buffer has the length that is given.
    let is_read = unsafe {
        GetTokenInformation(
            token,
            TokenUser,
            buffer.as_mut_ptr().cast(),
            size_of_val(&buffer) as u32,
            &mut length,
        )
    } != 0;
    // SAFETY: the token was opened above.
    unsafe { CloseHandle(token) };
    if !is_read {
        return None;
    }
    // SAFETY: the system has written the structure to the buffer, which is still there.
    let user = unsafe { &*buffer.as_ptr().cast::<TOKEN_USER>() };
    owner_from(user.User.Sid)
}

/// Checks that this process may create entries in `directory`. Only an attempt would show it here, so
/// nothing is checked.
pub(crate) fn check_writable(_: &Dir) -> io::Result<()> {
    Ok(())
}

/// The number of bytes that this user may still write to the file system of `place`; `None` if it is
/// unknown.
#[expect(
    unsafe_code,
    reason = "the standard library does not know the free space"
)]
pub(crate) fn free_space(place: &Path) -> Option<u64> {
    let place = wide(place);
    let mut available = 0;
    // SAFETY: the path ends with NUL, and the other results are not asked for.
    let code = unsafe {
        GetDiskFreeSpaceExW(
            place.as_ptr(),
            &mut available,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    (code != 0).then_some(available)
}

/// Whether this process was started with `signal` ignored, which does not happen here.
pub fn ignores(_: i32) -> bool {
    false
}

/// The bytes that git processes have moved, which the system does not count.
pub(crate) fn traffic(_: u32) -> Traffic {
    Traffic::default()
}

/// Makes a child the leader of a new process group, which Ctrl-C does not end.
pub(crate) fn lead_group(command: &mut Command) -> &mut Command {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP)
}

/// Sends Ctrl-Break to the process group of the child `leader`.
#[expect(unsafe_code, reason = "the standard library has no process groups")]
pub(crate) fn ask_to_end(leader: u32) {
    // SAFETY: the call takes numbers only.
    unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, leader) };
}

/// Ends the child `leader` and the processes that it started.
pub(crate) fn kill(leader: u32) {
    let _ = Command::new("taskkill")
        .args(["/T", "/F", "/PID", &leader.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// The end of a child's input that the parent writes to.
pub(crate) type ChildInput = TcpStream;

/// The end of a child's output that the parent reads from.
pub(crate) type ChildOutput = TcpStream;

/// An input for a child process, and the end of it that the parent writes to; `None` if that is the
/// child's pipe, as always here.
pub(crate) fn socket_input() -> io::Result<(Stdio, Option<ChildInput>)> {
    Ok((Stdio::piped(), None))
}

/// The end of a child's pipe that the parent writes to. It is a socket, because nothing can wait for a
/// pipe here for a limited time; a thread moves the bytes between both.
pub(crate) fn pipe_input(mut pipe: ChildStdin) -> io::Result<ChildInput> {
    let (parent, mut thread) = socket_pair()?;
    thread::spawn(move || copy(&mut thread, &mut pipe));
    Ok(parent)
}

/// The end of a child's pipe that the parent reads from, as for [`pipe_input`].
pub(crate) fn pipe_output(mut pipe: ChildStdout) -> io::Result<ChildOutput> {
    let (parent, mut thread) = socket_pair()?;
    thread::spawn(move || {
        copy(&mut pipe, &mut thread);
        let _ = thread.shutdown(Shutdown::Both);
    });
    Ok(parent)
}

/// Copies until one side ends.
fn copy(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) if to.write_all(&buffer[..count]).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// Two sockets that are connected with each other.
fn socket_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let one = TcpStream::connect(listener.local_addr()?)?;
    let expected = one.local_addr()?;
    loop {
        // Another process of this machine may connect first.
        let (other, from) = listener.accept()?;
        if from == expected {
            one.set_nodelay(true)?;
            other.set_nodelay(true)?;
            return Ok((one, other));
        }
    }
}

/// A function that is called with the number of each signal.
type Handler = Box<dyn FnMut(i32) + Send>;

/// The functions that are called for each event of the console.
fn handlers() -> MutexGuard<'static, Vec<Handler>> {
    static HANDLERS: Mutex<Vec<Handler>> = Mutex::new(Vec::new());
    HANDLERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `handle` for each Ctrl-C and Ctrl-Break, and when the console is closed, on a thread of its
/// own. The number is stored in `flag` before.
#[expect(unsafe_code, reason = "the standard library has no signals")]
pub(crate) fn on_stop_signals(
    flag: Option<Arc<AtomicUsize>>,
    mut handle: impl FnMut(i32) + Send + 'static,
) {
    let mut handlers = handlers();
    // SAFETY: the handler is a function that lives as long as the program.
    if handlers.is_empty() && unsafe { SetConsoleCtrlHandler(Some(on_console_event), TRUE) } == 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "signals are not handled");
    }
    handlers.push(Box::new(move |signal| {
        if let Some(flag) = &flag {
            flag.store(signal.unsigned_abs() as usize, Ordering::SeqCst);
        }
        handle(signal);
    }));
}

/// The system calls this on a new thread, for every event of the console.
#[expect(unsafe_code, reason = "the type of a handler")]
unsafe extern "system" fn on_console_event(_: u32) -> i32 {
    for handle in handlers().iter_mut() {
        handle(INTERRUPT);
    }
    TRUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_their_usual_text() {
        assert_eq!(FileOwner::SYSTEM.to_string(), "S-1-5-18");
        assert_eq!(
            FileOwner::INSTALLER.to_string(),
            "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
        );
        assert_eq!(FileOwner::ROOT.to_string(), "the administrators");
    }

    #[test]
    fn own_files_belong_to_the_user_or_the_administrators() {
        let directory = tempfile::tempdir().unwrap();
        let owner = owners(directory.path()).unwrap()[0];
        assert!(
            [FileOwner::current(), FileOwner::ROOT].contains(&owner),
            "{owner}"
        );
        assert!(free_space(directory.path()).is_some());
    }

    #[test]
    fn a_new_name_does_not_replace_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let handle = Dir::open_ambient_dir(directory.path(), cap_std::ambient_authority()).unwrap();
        for name in ["a", "b"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let (a, b, c) = (Path::new("a"), Path::new("b"), Path::new("c"));
        let taken = rename_to_new((&handle, a), (&handle, b)).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        rename_to_new((&handle, a), (&handle, c)).unwrap();
        rename((&handle, c), (&handle, b)).unwrap();
        assert_eq!(fs::read(directory.path().join("b")).unwrap(), b"a");
    }
}
