//! The errors of a scan.

use std::io;
use std::path::PathBuf;

use bstr::BString;

use super::collision::Collision;
use crate::interrupt::Interrupted;
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
    /// The paths of two files in the codex clash.
    #[error("{0}")]
    Collision(Box<Collision>),
    /// The run is to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}
