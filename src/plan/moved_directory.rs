//! The directory of a project that is moved to the directory of another one.

use super::listing::Listing;
use crate::paths::CodexPath;

/// The directory of a project that is moved, with all of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MovedDirectory {
    /// The directory before the move.
    pub from: CodexPath,
    /// The files of the directory. Their contents and modes stay the same.
    pub files: Listing,
}

impl MovedDirectory {
    pub(super) fn new(from: CodexPath, files: Listing) -> Self {
        Self { from, files }
    }
}
