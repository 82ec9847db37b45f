//! The errors of a scan.

use std::io;
use std::path::PathBuf;

use bstr::BString;

use super::collision::Collision;
use super::committed_tree::UnreadableObject;
use crate::interrupt::Interrupted;
use crate::object::ObjectId;
use crate::paths::{escaped, shown};

/// The reason why the sources of a project could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The root does not exist or cannot be opened.
    #[error("the root `{}` cannot be read", shown(root))]
    Root {
        /// The directory.
        root: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A claimed file, or a directory that may contain one, cannot be read.
    #[error("cannot read `{}`", escaped(path))]
    Read {
        /// The path below the root.
        path: BString,
        /// The cause.
        source: io::Error,
    },
    /// A `.gitignore` or `.git/info/exclude` is a pipe, socket or device.
    #[error(
        "cannot read the ignore rules: `{}` is not a regular file",
        shown(path)
    )]
    IgnoreFile {
        /// The ignore file.
        path: PathBuf,
    },
    /// A file was written while it was read, or after the scan.
    #[error("`{}` changed while it was being read", escaped(path))]
    Changed {
        /// The path below the root.
        path: BString,
    },
    /// The repository of the project cannot be used to publish committed files.
    #[error("cannot publish the committed files of `{}`: {reason}", shown(root))]
    Repository {
        /// The root of the project.
        root: PathBuf,
        /// The reason.
        reason: UnusableRepository,
    },
    /// The commit does not have the directory of the project.
    #[error("the root `{}` is not in the commit {}", shown(root), commit.short())]
    RootNotCommitted {
        /// The root of the project.
        root: PathBuf,
        /// The commit.
        commit: ObjectId,
    },
    /// A claimed file, or a directory that may contain one, cannot be read from its commit.
    #[error("cannot read `{}` from its commit", escaped(path))]
    Object {
        /// The path below the root; empty for the root itself.
        path: BString,
        /// The cause.
        source: UnreadableObject,
    },
    /// The paths of two files in the codex clash.
    #[error("{0}")]
    Collision(Box<Collision>),
    /// The run is to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// The reason why a repository has no committed files to publish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableRepository {
    /// The root is not in a git repository.
    #[error("it is not in a git repository")]
    None,
    /// The repository cannot be opened or read.
    #[error("{0}")]
    Unreadable(String),
    /// The repository has no working tree, so that the root has no place in a commit.
    #[error("its repository is bare")]
    Bare,
    /// HEAD has no commit yet.
    #[error("its repository has no commit yet")]
    NoCommit,
    /// The revision of `--source-rev` does not exist, or is no commit.
    #[error("its repository has no commit `{}`", escaped(.0.as_bytes()))]
    UnknownRevision(String),
}
