//! The files of one project in the codex.

use std::collections::BTreeMap;

use bstr::BString;

use crate::object::{Mode, ObjectId};
use crate::record::{self, RecordReader};

/// The entries of the codex at and below a project's path in it (`to`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// Files, links, submodules and empty directories, by their path below `to`. Entries with names
    /// that could never be published are included. Other directories are implied.
    pub entries: BTreeMap<BString, Entry>,
    /// An entry at `to` itself or above it that is not a directory, with its path in the codex.
    pub obstacle: Option<(BString, Mode)>,
}

/// An entry of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The kind of the entry.
    pub mode: Mode,
    /// The id of the entry's object.
    pub id: ObjectId,
}

impl Entry {
    /// Adds the entry at `path` to the body of a record.
    pub(crate) fn push_to_record(self, path: &BString, body: &mut Vec<u8>) {
        record::push_bytes(body, path);
        record::push_bytes(body, self.mode.octal());
        body.extend_from_slice(&self.id.0);
    }

    /// Reads the next entry of a record, and its path.
    pub(crate) fn read_from_record(reader: &mut RecordReader<'_>) -> Option<(BString, Self)> {
        let path = reader.bytes()?.into();
        let mode = Mode::from_octal(reader.bytes()?)?;
        let id = ObjectId(reader.array()?);
        Some((path, Self { mode, id }))
    }
}
