//! The names in a cache that the program uses for its own files.

use bstr::BStr;

/// The directory in the cache for the program's own files. A path of the codex that begins with
/// this name is rejected.
pub(crate) const CONTROL: &str = ".fractary-codex";
/// The lock file in [`CONTROL`], which one run at a time holds.
pub(super) const LOCK: &str = "lock";
/// The marker file that keeps git from tracking the cache.
pub(super) const GITIGNORE_NAME: &str = ".gitignore";
pub(super) const GITIGNORE: &str = "*\n";
/// The marker file by which backup programs recognize a cache.
pub(super) const CACHEDIR_TAG_NAME: &str = "CACHEDIR.TAG";
pub(super) const CACHEDIR_TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# This directory is written by fractary-codex.\n";
/// Names at the top of the cache that the program uses itself.
pub(super) const OWN_NAMES: [&str; 3] = [CONTROL, GITIGNORE_NAME, CACHEDIR_TAG_NAME];

/// Whether the program itself uses this name at the top of the cache, so that the codex cannot have
/// a file there.
pub(crate) fn is_own_name(path: &BStr) -> bool {
    let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    OWN_NAMES
        .iter()
        .any(|name| first.eq_ignore_ascii_case(name.as_bytes()))
}
