//! Files that are large for documentation. Every clone of the codex has them forever.

use bstr::BStr;
use bytesize::ByteSize;

use super::finding::{ContentCheck, Detection};

/// The size from which a file is large, in bytes.
const LARGE: usize = 1_000_000;

/// Detects a file of `size` bytes at `path` that is large.
pub(super) fn detect(path: &BStr, size: usize) -> Option<Detection> {
    let shown = |size: usize| ByteSize(size as u64).display().si();
    (size >= LARGE).then(|| Detection {
        check: ContentCheck::LargeFiles,
        kind: "large-file",
        offset: 0,
        message: format!("a file of {}, {} or more", shown(size), shown(LARGE)),
        subject: path.to_vec(),
    })
}
