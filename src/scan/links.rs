//! Resolves symlinks, those of a directory on disk or those of a commit.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use super::snapshot::SkipReason;

/// Resolves the symlinks that a walk meets.
pub(super) trait Links {
    /// The path that a symlink leads to, with all symlinks in it resolved; `None` if it leads
    /// nowhere.
    fn resolve(&self, link: &Path) -> Option<PathBuf>;

    /// Whether a symlink leads to a directory; `None` if that is unknown.
    fn leads_to_directory(&self, link: &Path) -> Option<bool>;
}

/// The symlinks of the file system.
pub(super) struct DiskLinks;

impl Links for DiskLinks {
    fn resolve(&self, link: &Path) -> Option<PathBuf> {
        dunce::canonicalize(link).ok()
    }

    fn leads_to_directory(&self, link: &Path) -> Option<bool> {
        Some(fs::metadata(link).ok()?.is_dir())
    }
}

/// Checks a symlink with the contents `target` that is to be published as a symlink, in the project
/// whose resolved root is `root`.
pub(super) fn check_preserved(
    links: &impl Links,
    root: &Path,
    link: &Path,
    target: &[u8],
) -> Result<(), SkipReason> {
    match links.resolve(link) {
        None => Err(SkipReason::Dangling),
        Some(real) if target.starts_with_str("/") || !real.starts_with(root) => {
            Err(SkipReason::LeavesRoot)
        }
        Some(_) => Ok(()),
    }
}
