//! Compares a file of this machine with its version in the codex.

use std::fs::{self, File};
use std::path::Path;

use crate::object::{Kind, Mode, ObjectId, hash, hash_reader};
use crate::plan::Entry;
use crate::platform::bytes_of;

/// Whether a file differs from an entry of the codex. A file that cannot be read differs.
pub(super) fn differs(file: &Path, entry: Entry) -> bool {
    id_of(file, entry.mode) != Some(entry.id)
}

/// The id of the contents of a file. Links are followed, unless the codex has a link.
fn id_of(file: &Path, mode: Mode) -> Option<ObjectId> {
    if mode == Mode::Link {
        let target = fs::read_link(file).ok()?;
        return Some(hash(Kind::Blob, &bytes_of(&target)));
    }
    // Opening a named pipe would wait for a writer.
    let metadata = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    hash_reader(Kind::Blob, metadata.len(), File::open(file).ok()?).ok()?
}
