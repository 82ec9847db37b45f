//! The errors of a cache as a whole. Problems with single files are results instead.

use std::io;
use std::path::{Path, PathBuf};

use super::own_files::CONTROL;
use crate::interrupt::Interrupted;
use crate::paths::shown;

/// A cache that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The directory or one of the program's own files in it cannot be created, opened or read.
    #[error("the cache `{}` cannot be used", shown(path))]
    Open {
        /// The cache's directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// One of the program's own files in the directory is damaged, or from another version of the
    /// program. It is then unknown which files the cache wrote, so none is changed.
    #[error(
        "the cache `{}` cannot be used: `{CONTROL}/{file}` is damaged, or from another version of this program",
        shown(path)
    )]
    Damaged {
        /// The cache's directory.
        path: PathBuf,
        /// The name of the damaged file in the control directory.
        file: &'static str,
    },
    /// The directory cannot be written, so that no file of the cache can be written.
    #[error("the cache `{}` cannot be written", shown(path))]
    Write {
        /// The cache's directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The files of the cache were changed, but the record of that cannot be written. The next run
    /// completes it.
    #[error("the record of the cache `{}` cannot be written", shown(path))]
    Record {
        /// The cache's directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The run was asked to stop while it waited for the lock.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

pub(super) fn open_error(path: &Path, source: io::Error) -> CacheError {
    CacheError::Open {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn write_error(path: &Path, source: io::Error) -> CacheError {
    CacheError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Adds the name of one of the program's own files to an error.
pub(super) fn with_file_name(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{CONTROL}/{name}`: {error}"))
}
