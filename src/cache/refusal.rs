//! Why a single path cannot be written to a cache, or removed from it.

use std::io;

/// The reason why a path cannot be written to a cache, or removed from it. Other paths may be fine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Refusal {
    /// The kind, which decides on the remedy.
    pub kind: RefusalKind,
    /// The message.
    pub message: String,
}

/// The kinds of reasons why a path cannot be written to a cache, or removed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The file system, or the cache itself, cannot have a file of this name.
    Name,
    /// The user may not read or write the directory.
    Permission,
    /// Any other reason.
    Other,
}

impl Refusal {
    /// A path that cannot be in a cache.
    pub(super) fn name(message: impl Into<String>) -> Self {
        Self {
            kind: RefusalKind::Name,
            message: message.into(),
        }
    }
}

impl From<&io::Error> for Refusal {
    fn from(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::InvalidFilename => RefusalKind::Name,
            io::ErrorKind::PermissionDenied => RefusalKind::Permission,
            _ => RefusalKind::Other,
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}
