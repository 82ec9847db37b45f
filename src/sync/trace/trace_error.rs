//! The reasons why a path cannot be traced.

use bstr::BString;

use crate::paths::escaped;
use crate::sync::fetch::FetchError;

/// The reason for which a path cannot be traced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TraceError {
    /// The codex has no such file.
    #[error(transparent)]
    Missing(FetchError),
    /// The path is that of a directory.
    #[error("`{}` is a directory", escaped(name.as_bytes()))]
    Directory {
        /// The path as the user gave it.
        name: String,
    },
    /// A file of this machine that is in no project.
    #[error("`{}` is not in a project, and not a file of a local cache", escaped(name.as_bytes()))]
    Outside {
        /// The path as the user gave it.
        name: String,
    },
    /// A file of a project that is not published.
    #[error("`{}` is not published: no pattern of the project `{project}` matches it", escaped(name.as_bytes()))]
    NotClaimed {
        /// The path as the user gave it.
        name: String,
        /// The project.
        project: String,
    },
    /// A file that a pattern of its project matches, and that the codex does not have.
    #[error("`{}` is not published: the codex has no `{}`", escaped(name.as_bytes()), escaped(path))]
    NotPublished {
        /// The path as the user gave it.
        name: String,
        /// The path in the codex.
        path: BString,
        /// The project.
        project: String,
    },
    /// The codex itself has only a part of its history.
    #[error(
        "the history of the codex does not show where `{}` comes from",
        escaped(path)
    )]
    Cut {
        /// The path in the codex.
        path: BString,
    },
}
