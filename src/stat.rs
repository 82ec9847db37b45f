//! What tells a file from its later self without reading it.
//!
//! A file counts as unchanged when size, inode, modification and change time are what they were, and both times lie
//! before the moment of the look as the file's own file system tells it: a file written again within the clock's
//! resolution looks the same, so such a look is not believed (git's "racy" rule).

use crate::record::Reader;

/// Seconds and nanoseconds.
pub type Time = (i64, i64);

/// A file as it was seen. The default is that of none: it is like no other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Its number on its file system.
    pub inode: u64,
    /// When it was written.
    pub modified: Time,
    /// When anything about it was changed.
    pub changed: Time,
}

impl Stat {
    /// Whether a later write would show, if the look was taken when the file system's time was `taken`.
    pub fn is_settled(&self, taken: Time) -> bool {
        self.modified < taken && self.changed < taken
    }

    /// Adds it to a record's body.
    pub fn push(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(&self.size.to_le_bytes());
        body.extend_from_slice(&self.inode.to_le_bytes());
        push_time(body, self.modified);
        push_time(body, self.changed);
    }

    /// Reads it back.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (size, inode) = (reader.number()?, reader.number()?);
        Some(Self {
            size,
            inode,
            modified: read_time(reader)?,
            changed: read_time(reader)?,
        })
    }
}

/// Adds a time to a record's body.
pub fn push_time(body: &mut Vec<u8>, time: Time) {
    body.extend_from_slice(&time.0.to_le_bytes());
    body.extend_from_slice(&time.1.to_le_bytes());
}

/// Reads it back.
pub fn read_time(reader: &mut Reader<'_>) -> Option<Time> {
    Some((
        reader.number()?.cast_signed(),
        reader.number()?.cast_signed(),
    ))
}
