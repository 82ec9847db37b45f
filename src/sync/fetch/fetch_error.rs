//! The reasons why a URI has no document.

use bstr::BString;

use crate::paths::escaped;

/// The reason for which a URI has no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// The codex has no document of this name.
    #[error("`{}` does not exist", escaped(uri.as_bytes()))]
    NotFound {
        /// The URI.
        uri: String,
        /// The URI of a document with a similar name.
        close: Option<String>,
        /// The lowest directory on the way to the document that exists; empty for the root.
        directory: BString,
        /// The number of entries in that directory.
        count: usize,
        /// The names of some of them.
        names: Vec<BString>,
    },
    /// No document matches the glob.
    #[error("no document matches `{}`", escaped(uri.as_bytes()))]
    NoMatch {
        /// The URI.
        uri: String,
    },
    /// The path is that of a directory.
    #[error("`{}` is a directory", escaped(uri.as_bytes()))]
    Directory {
        /// The URI.
        uri: String,
    },
    /// The entry is a symlink, which is not followed.
    #[error("`{}` is a symlink to `{}`", escaped(uri.as_bytes()), escaped(target))]
    Link {
        /// The URI.
        uri: String,
        /// The target.
        target: BString,
    },
    /// The entry is a submodule.
    #[error("`{}` is a submodule", escaped(uri.as_bytes()))]
    Submodule {
        /// The URI.
        uri: String,
    },
    /// Offline, and a cache has the document, but not as the last sync has found it.
    #[error("`{}` in the local cache {fault}", escaped(uri.as_bytes()))]
    UnusableCopy {
        /// The URI.
        uri: String,
        /// The reason.
        fault: CopyFault,
    },
    /// Offline, and no cache has the document.
    #[error("`{}` is not in the local cache", escaped(uri.as_bytes()))]
    NotCached {
        /// The URI.
        uri: String,
    },
}

impl FetchError {
    /// Changes the form of all URIs.
    #[cfg(feature = "mcp")]
    pub(crate) fn change_uris(&mut self, change: impl Fn(&mut String)) {
        match self {
            Self::NotFound { uri, close, .. } => {
                change(uri);
                close.iter_mut().for_each(change);
            }
            Self::NoMatch { uri }
            | Self::Directory { uri }
            | Self::Link { uri, .. }
            | Self::Submodule { uri }
            | Self::UnusableCopy { uri, .. }
            | Self::NotCached { uri } => change(uri),
        }
    }
}

/// The reason why the copy of a document in a cache is not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CopyFault {
    /// The file differs from the version that the cache wrote.
    #[error("was modified locally")]
    Modified,
    /// The file does not exist.
    #[error("was removed locally")]
    Removed,
    /// The last sync did not write all of its files, so that this one may be from an earlier tip.
    #[error("may be outdated, because the last sync did not write all files")]
    Outdated,
}
