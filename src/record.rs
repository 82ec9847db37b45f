//! Files that only this program uses: complete or absent, checked when read, ignored on any doubt.
//!
//! A record is a head line that names its kind and version, a body, and a digest of both. It is
//! written under another name and renamed, so that a reader, or a run after a power loss, sees the
//! old one or the new one.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cap_std::fs::Dir;

use crate::object::{Kind, Mode, hash};
use crate::platform;
use crate::stat::{Stat, Time};

/// A directory of many records. It is opened only once to read them.
#[derive(Debug, Clone)]
pub(crate) struct RecordDirectory {
    path: PathBuf,
    opened: Arc<OnceLock<Dir>>,
}

impl RecordDirectory {
    /// The directory at `path`, which need not exist.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            opened: Arc::default(),
        }
    }

    /// The path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The body of the record `name`; `None` as for [`read`].
    pub(crate) fn read(&self, name: &str, head: &str) -> Option<Vec<u8>> {
        read_in(self.opened().ok()?, Path::new(name), head).ok()?
    }

    /// Writes the record `name`, and makes the directory if it does not exist.
    pub(crate) fn write(&self, name: &str, head: &str, body: &[u8]) -> io::Result<()> {
        let directory = match self.opened() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.path)?;
                self.opened()?
            }
            opened => opened?,
        };
        write_in(directory, Path::new(name), head, body)
    }

    fn opened(&self) -> io::Result<&Dir> {
        if let Some(directory) = self.opened.get() {
            return Ok(directory);
        }
        let directory = Dir::open_ambient_dir(&self.path, cap_std::ambient_authority())?;
        Ok(self.opened.get_or_init(|| directory))
    }
}

/// The body of the record at `path`; `None` if it is missing, unreadable, of another kind or
/// version, or damaged.
pub(crate) fn read(path: &Path, head: &str) -> Option<Vec<u8>> {
    let (directory, name) = (path.parent()?, path.file_name()?);
    let directory = Dir::open_ambient_dir(directory, cap_std::ambient_authority()).ok()?;
    read_in(&directory, Path::new(name), head).ok()?
}

/// The body of the record `name` in `directory`; `None` if it does not exist. A record that cannot
/// be read is an error, and so is one that is damaged or of another kind or version
/// ([`io::ErrorKind::InvalidData`]).
pub(crate) fn read_in(directory: &Dir, name: &Path, head: &str) -> io::Result<Option<Vec<u8>>> {
    let data = match platform::read_own_file(directory, name) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match body_of(data, head) {
        Some(body) => Ok(Some(body)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn body_of(mut data: Vec<u8>, head: &str) -> Option<Vec<u8>> {
    let end = data.len().checked_sub(20)?;
    if hash(Kind::Blob, &data[..end]).0 != data[end..] {
        return None;
    }
    data.truncate(end);
    let body = data
        .strip_prefix(head.as_bytes())?
        .strip_prefix(b"\n")?
        .len();
    data.drain(..end - body);
    Some(data)
}

/// Writes the record at `path`, with its directories.
pub(crate) fn write(path: &Path, head: &str, body: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    fs::create_dir_all(directory)?;
    let directory = Dir::open_ambient_dir(directory, cap_std::ambient_authority())?;
    write_in(&directory, Path::new(name), head, body)
}

/// Writes the record `name` in `directory`, with the permissions that the user's mask leaves a new
/// file.
pub(crate) fn write_in(directory: &Dir, name: &Path, head: &str, body: &[u8]) -> io::Result<()> {
    let mut data = Vec::with_capacity(head.len() + 21 + body.len());
    data.extend_from_slice(head.as_bytes());
    data.push(b'\n');
    data.extend_from_slice(body);
    let digest = hash(Kind::Blob, &data);
    data.extend_from_slice(&digest.0);

    let mut other = OsString::from(".");
    other.push(name);
    other.push(format!(".{:016x}", fastrand::u64(..)));
    let mut file = directory.open_with(&other, &platform::making(Mode::File))?;
    let written = file
        .write_all(&data)
        .and_then(|()| directory.rename(&other, directory, name));
    if written.is_err() {
        let _ = directory.remove_file(&other);
    }
    written
}

/// Reads a body value by value. After the first missing value, all others are `None`.
pub(crate) struct RecordReader<'b>(pub &'b [u8]);

impl<'b> RecordReader<'b> {
    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// Reads the next 8 bytes as an unsigned little-endian number.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A time that [`push_time`] added.
    pub(crate) fn time(&mut self) -> Option<Time> {
        let (seconds, nanoseconds) = (self.number()?, self.number()?);
        Some((seconds.cast_signed(), nanoseconds.cast_signed()))
    }

    /// A stat that [`push_stat`] added.
    pub(crate) fn stat(&mut self) -> Option<Stat> {
        Some(Stat {
            size: self.number()?,
            inode: self.number()?,
            modified: self.time()?,
            changed: self.time()?,
        })
    }

    /// Bytes that follow their length.
    pub(crate) fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = self.array().map(u32::from_le_bytes)?;
        let (taken, rest) = self.0.split_at_checked(length as usize)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Adds bytes with their length in front, for [`RecordReader::bytes`].
pub(crate) fn push_bytes(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    body.extend_from_slice(bytes);
}

/// Adds a time, for [`RecordReader::time`].
pub(crate) fn push_time(body: &mut Vec<u8>, (seconds, nanoseconds): Time) {
    body.extend_from_slice(&seconds.to_le_bytes());
    body.extend_from_slice(&nanoseconds.to_le_bytes());
}

/// Adds a stat, for [`RecordReader::stat`].
pub(crate) fn push_stat(body: &mut Vec<u8>, stat: &Stat) {
    body.extend_from_slice(&stat.size.to_le_bytes());
    body.extend_from_slice(&stat.inode.to_le_bytes());
    push_time(body, stat.modified);
    push_time(body, stat.changed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_read_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let handle = Dir::open_ambient_dir(directory.path(), cap_std::ambient_authority()).unwrap();
        let name = Path::new("record");
        assert_eq!(read_in(&handle, name, "kind 1").unwrap(), None);

        fs::create_dir(directory.path().join("record")).unwrap();
        assert!(read_in(&handle, name, "kind 1").is_err());
        assert_eq!(read(&directory.path().join("record"), "kind 1"), None);
    }

    #[test]
    fn a_record_is_read_back_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/record");
        assert_eq!(read(&path, "kind 1"), None);
        write(&path, "kind 1", b"body").unwrap();
        assert_eq!(read(&path, "kind 1").as_deref(), Some(&b"body"[..]));
        assert_eq!(read(&path, "kind 2"), None);
        let whole = fs::read(&path).unwrap();
        // The new file is renamed over the old one, so that a process that reads the old one still
        // sees all of it.
        let old = directory.path().join("old");
        fs::hard_link(&path, &old).unwrap();
        write(&path, "kind 1", b"other body").unwrap();
        assert_eq!(fs::read(&old).unwrap(), whole);
        for damage in 0..whole.len() {
            let mut data = whole.clone();
            data[damage] ^= 1;
            fs::write(&path, &data).unwrap();
            assert_eq!(read(&path, "kind 1"), None, "byte {damage}");
            fs::write(&path, &whole[..damage]).unwrap();
            assert_eq!(read(&path, "kind 1"), None, "cut at {damage}");
        }
    }
}
