//! The files of a cache that a repository tracks. A checkout brings them without a manifest, and a
//! pull of the repository changes them, so that they look as if the user had edited them.

use std::collections::HashSet;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use crate::codex::source_repository::SourceRepositories;
use crate::paths::{join_below, resolved};
use crate::plan::Entry;
use crate::platform::bytes_of;

/// Returns those of `files`, which are below the directory of a cache, that the checked-out commit has
/// with the same content and mode. Git can restore them. There are none if the repository cannot be
/// read.
pub(super) fn in_commit(cache: &Path, files: &[(&BStr, Entry)]) -> HashSet<BString> {
    committed(cache, files).unwrap_or_default()
}

fn committed(cache: &Path, files: &[(&BStr, Entry)]) -> Option<HashSet<BString>> {
    let directory = resolved(cache);
    let repository = SourceRepositories::default().of(&directory).ok()??;
    let tree = repository.head().ok()??.tree;
    let below = directory.strip_prefix(repository.directory()?).ok()?;
    let below = bytes_of(below).into_owned();

    let is_committed = |path: &BStr, found: &Entry| {
        let path = join_below(below.as_bstr(), path);
        repository.has_file(tree, path.as_bstr(), found.mode, found.id)
    };
    let committed = files
        .iter()
        .filter(|(path, found)| is_committed(path, found));
    Some(committed.map(|(path, _)| (*path).to_owned()).collect())
}
