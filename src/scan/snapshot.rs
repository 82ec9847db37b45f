//! The result of a scan.

use std::collections::BTreeMap;
use std::fmt;

use bstr::BString;

use crate::object::{Mode, ObjectId};
use crate::paths::{InvalidPath, escaped};

/// The files that a project publishes, as they were at the time of the scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The files by their path in the codex, below the project's `to`.
    pub files: BTreeMap<BString, SourceFile>,
    /// Paths that a pattern matches and that are not published. Their copies in the codex are kept.
    pub skipped: Vec<Skipped>,
    /// The directories of the cache and of recorded state in which the patterns match files. The
    /// files are not published, and their copies in the codex are kept.
    pub own_directories: Vec<BString>,
    /// The indexes of the rules of the project's claims that match no file.
    pub unmatched: Vec<usize>,
}

impl Snapshot {
    /// The snapshot with more skipped paths, whose files it no longer has.
    pub(crate) fn skipping(&self, skipped: &[Skipped]) -> Self {
        let mut snapshot = self.clone();
        let is_kept = |file: &SourceFile| skipped.iter().all(|one| one.source != file.source);
        snapshot.files.retain(|_, file| is_kept(file));
        snapshot.skipped.extend_from_slice(skipped);
        snapshot
    }
}

/// The number of files that a project publishes, counted without reading them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survey {
    /// The number of files that would be published.
    pub files: usize,
    /// The indexes of the rules of the project's claims that match no file.
    pub unmatched: Vec<usize>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceFile {
    /// The path below the root.
    pub source: BString,
    /// The id that git gives to the contents.
    pub id: ObjectId,
    /// A file, an executable file or, with `symlinks: preserve`, a link.
    pub mode: Mode,
    /// The size in bytes.
    pub size: u64,
}

/// A path that a pattern matches and that is not published.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The path below the root: a file, or a directory with everything below it. The root itself is
    /// empty.
    pub source: BString,
    /// The reason.
    pub reason: SkipReason,
}

/// The reason why a path is not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// A file is larger than `max_file_size`.
    #[error("{size} bytes is more than `max_file_size` ({limit})")]
    TooLarge {
        /// The size of the file in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A symlink points outside the project's root.
    #[error("the symlink points outside the project's root")]
    LeavesRoot,
    /// A symlink points to a path that does not exist.
    #[error("the symlink is broken")]
    Dangling,
    /// A symlink points to a directory that contains it, or to itself.
    #[error("the symlink points to a directory that contains it")]
    Loop,
    /// A symlink points to a path on the deny list.
    #[error("the symlink points to a path that is never published")]
    Denied,
    /// Symlinks are not published (`symlinks: skip`).
    #[error("symlinks are not published (`sync.symlinks: skip`)")]
    Link,
    /// A symlink that no pattern matches may point to a directory with matching files, and is not
    /// followed.
    #[error("the symlink is not followed (`sync.symlinks`)")]
    NotFollowed,
    /// A symlink to a directory is published as a symlink (`symlinks: preserve`), while another
    /// rule claims files below it.
    #[error("the symlink is preserved and not followed (`sync.symlinks`)")]
    Preserved,
    /// A submodule of a committed source: its files are in another repository.
    #[error("the files of a submodule are not published with `sync.to_codex.source: committed`")]
    Submodule,
    /// A submodule that is not checked out.
    #[error("the submodule is not checked out (`git submodule update --init` does that)")]
    SubmoduleLeftOut,
    /// A path that git has left out of the working tree.
    #[error("it is outside of the sparse checkout")]
    OutsideSparseCheckout,
    /// A symlink that git has written as a file.
    #[error("git has checked out the symlink as a file (`core.symlinks`)")]
    LinkAsFile,
    /// A socket, pipe or device.
    #[error("not a regular file")]
    Special,
    /// A path in the codex would have a name that git does not allow.
    #[error("{0}")]
    Name(#[from] InvalidPath),
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = escaped(&self.source);
        match self.reason {
            SkipReason::Preserved | SkipReason::Submodule | SkipReason::SubmoduleLeftOut => {
                write!(f, "skipped the files below `{source}`")?
            }
            _ if self.source.is_empty() => f.write_str("skipped the root")?,
            _ => write!(f, "skipped `{source}`")?,
        }
        write!(f, ": {}", self.reason)
    }
}

impl SkipReason {
    /// Whether matching files may be below the path, because it is a directory or may point to one.
    pub fn may_hide_files(&self) -> bool {
        match self {
            Self::LeavesRoot
            | Self::Dangling
            | Self::Loop
            | Self::Denied
            | Self::Link
            | Self::NotFollowed
            | Self::Submodule
            | Self::SubmoduleLeftOut
            | Self::OutsideSparseCheckout
            | Self::LinkAsFile
            | Self::Preserved => true,
            Self::TooLarge { .. } | Self::Special | Self::Name(_) => false,
        }
    }
}
