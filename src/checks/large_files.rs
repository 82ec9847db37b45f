//! Files that are large for documentation. Every clone of the codex has them forever.

use bstr::BStr;
use bytesize::ByteSize;

use super::finding::{ContentCheck, Detection};

/// The size from which a file is large, in bytes.
const LARGE: u64 = 1_000_000;

/// Detects a file of `size` bytes at `path` that is large.
pub(super) fn detect(path: &BStr, size: u64) -> Option<Detection> {
    let shown = |size: u64| ByteSize(size).display().si();
    (size >= LARGE).then(|| Detection {
        check: ContentCheck::LargeFiles,
        kind: "large-file",
        offset: 0,
        message: format!("a file of {}, {} or more", shown(size), shown(LARGE)),
        subject: path.to_vec(),
    })
}
