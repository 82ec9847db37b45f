//! The URI of a document in the codex, or of several: `codex://ORG/PROJECT/PATH`, in which `PROJECT`
//! and `PATH` can be globs.
//!
//! The syntax is that of the patterns in `sync.from_codex.include`, with one difference: a `PATH`
//! without wildcards is one file, and never a directory with everything below it.

use std::borrow::Cow;

use bstr::{BStr, ByteSlice};

use super::codex_selector::{self, CodexSelector};
use super::project::SCHEME;
use super::resolve::codex_patterns::check_codex_pattern;
use super::settings::Workspace;
use crate::config::Configuration;
use crate::glob::{self, Glob};
use crate::names::{CodexPath, InvalidPath};
use crate::paths::escaped;

/// A checked URI.
pub(crate) struct DocumentUri {
    text: String,
    documents: NamedDocuments,
}

/// The documents that a URI names.
enum NamedDocuments {
    /// The one at this path of the codex.
    One(CodexPath),
    /// Those that match a glob.
    Matching(Box<CodexSelector>),
}

/// The error for a text that is not the URI of a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidUri {
    /// The URI has another syntax, or belongs to another codex.
    #[error("{reason}")]
    Rejected {
        /// The reason, which includes the URI.
        reason: String,
    },
    /// The URI ends with `/` or has no path.
    #[error("`{}` is the URI of a directory", escaped(.uri.as_bytes()))]
    Directory {
        /// The URI, without the `/` at its end.
        uri: String,
    },
    /// The path cannot exist in a codex.
    #[error("`{}`: {reason}", escaped(.uri.as_bytes()))]
    Path {
        /// The URI.
        uri: String,
        /// The reason.
        reason: InvalidPath,
    },
}

impl DocumentUri {
    /// Checks a URI, and finds the paths in the codex that it names.
    pub(crate) fn new(
        text: &str,
        configuration: &Configuration,
        workspace: &Workspace,
    ) -> Result<Self, InvalidUri> {
        let rejected = |reason: String| InvalidUri::Rejected { reason };
        check_codex_pattern(configuration, text).map_err(|error| rejected(error.reason))?;

        let mut parts = text.strip_prefix(SCHEME).unwrap_or(text).splitn(3, '/');
        let project = parts.nth(1).unwrap_or_default();
        let path = parts.next().unwrap_or_default();
        let literal = literal_path(path);
        let documents = if glob::is_pattern(project) || literal.is_none() {
            let selector = CodexSelector::of_pattern(text, workspace);
            let selector = selector.map_err(|errors| {
                let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
                rejected(errors.join("; "))
            })?;
            NamedDocuments::Matching(Box::new(selector))
        } else if path.is_empty() || path.ends_with('/') {
            return Err(InvalidUri::Directory {
                uri: text.trim_end_matches('/').to_owned(),
            });
        } else {
            let path = literal.unwrap_or_default();
            let path = glob::without_dot(&path);
            let path = codex_selector::document_path(project, path, workspace);
            let path = CodexPath::new(&path).map_err(|reason| InvalidUri::Path {
                uri: text.to_owned(),
                reason,
            })?;
            NamedDocuments::One(path)
        };
        Ok(Self {
            text: text.to_owned(),
            documents,
        })
    }

    /// The URI as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The path in the codex, if the URI names one document.
    pub(crate) fn path(&self) -> Option<&CodexPath> {
        match &self.documents {
            NamedDocuments::One(path) => Some(path),
            NamedDocuments::Matching(_) => None,
        }
    }

    /// Whether the URI names the file at this path of the codex.
    pub(crate) fn names(&self, path: &BStr) -> bool {
        match &self.documents {
            NamedDocuments::One(document) => document.as_bstr() == path,
            NamedDocuments::Matching(selector) => selector.selects(path),
        }
    }

    /// Whether a named file can be below this directory of the codex.
    pub(crate) fn can_be_below(&self, directory: &BStr) -> bool {
        match &self.documents {
            NamedDocuments::One(document) => {
                let rest = document.as_bstr().strip_prefix(directory.as_bytes());
                rest.is_some_and(|rest| rest.starts_with(b"/"))
            }
            NamedDocuments::Matching(selector) => selector.can_hold(directory),
        }
    }

    /// The greatest number of segments in the path of a named file; `None` if there is no limit.
    pub(crate) fn max_segments(&self) -> Option<usize> {
        match &self.documents {
            NamedDocuments::One(document) => Some(document.as_bstr().split_str("/").count()),
            NamedDocuments::Matching(selector) => selector.max_segments(),
        }
    }
}

/// The path that `path` names if it has no wildcards, with `\[` for `[`.
pub(crate) fn literal_path(path: &str) -> Option<Cow<'_, str>> {
    if !glob::is_pattern(path) {
        return Some(path.into());
    }
    let glob = Glob::new(path).ok()?;
    glob.file_path().map(Cow::Owned)
}

/// The URI of the file at `path` of a project. Characters that would be wildcards are escaped.
pub(crate) fn uri_of(organization: Option<&str>, project: &str, path: &BStr) -> String {
    let organization = organization.unwrap_or("*");
    let mut path = path.to_str_lossy();
    if glob::is_pattern(&path) {
        path = glob::escape(&path).into();
    }
    format!("{SCHEME}{organization}/{project}/{path}")
}

/// The URI of the file at this path of the codex, if it can be written as text and is in the
/// directory of a project.
pub(crate) fn uri_at(path: &BStr, workspace: &Workspace) -> Option<String> {
    path.to_str().ok()?;
    let (project, path) = codex_selector::project_and_path(path, workspace)?;
    let organization = workspace.organization.as_deref();
    Some(uri_of(organization, &project, path.as_bstr()))
}
