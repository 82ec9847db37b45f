//! Errors of single documents of the codex: URIs, `fetch` and `trace`.

use crate::paths::escaped;
use crate::report::ErrorReport;
use crate::sync::fetch::{CopyFault, FetchError};
use crate::sync::trace::TraceError;
use crate::workspace::document_uri::InvalidUri;

/// Reports a text that is not the URI of a document.
pub(in crate::cli) fn of_uri(error: &InvalidUri) -> ErrorReport {
    let hint = match error {
        InvalidUri::Directory { uri } => format!(
            "fetch the documents in it with `{}/**`",
            escaped(uri.as_bytes())
        ),
        InvalidUri::Rejected { .. } | InvalidUri::Path { .. } => {
            "a document is `codex://ORGANIZATION/PROJECT/PATH`, in the codex of the configuration"
                .to_owned()
        }
    };
    ErrorReport {
        kind: "usage".into(),
        message: error.to_string(),
        hints: vec![hint],
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// Reports why a URI has no document.
pub(in crate::cli) fn of_fetch(error: &FetchError) -> ErrorReport {
    let (kind, hints) = match error {
        FetchError::NotFound { close, .. } => {
            let close = close.as_ref();
            let close = close.map(|uri| format!("did you mean `{}`?", escaped(uri.as_bytes())));
            (
                "not-found",
                close.into_iter().chain(present_names(error)).collect(),
            )
        }
        FetchError::NoMatch { .. } => ("not-found", Vec::new()),
        FetchError::Directory { uri } => {
            let hint = format!(
                "fetch the documents in it with `{}/**`",
                escaped(uri.as_bytes())
            );
            ("is-directory", vec![hint])
        }
        FetchError::Link { .. } => {
            let hint = "symlinks of the codex are not followed; fetch the target by its own URI";
            ("is-link", vec![hint.to_owned()])
        }
        FetchError::Submodule { .. } => ("is-submodule", Vec::new()),
        FetchError::NotCached { .. } => {
            let hint = "drop `--offline`, or pull it first: add it to `sync.from_codex.include`";
            ("not-cached", vec![hint.to_owned()])
        }
        FetchError::UnusableCopy { fault, .. } => {
            let sync = match fault {
                CopyFault::Modified => {
                    "replace the modified file with `fractary-codex sync --from-codex --force`"
                }
                CopyFault::Removed | CopyFault::Outdated => {
                    "pull again with `fractary-codex sync --from-codex`"
                }
            };
            ("not-cached", vec![format!("drop `--offline`, or {sync}")])
        }
    };
    ErrorReport {
        kind: kind.into(),
        message: error.to_string(),
        hints,
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// Reports why a path cannot be traced.
pub(in crate::cli) fn of_trace(error: &TraceError) -> ErrorReport {
    let (kind, hint) = match error {
        TraceError::Missing(missing) => return of_fetch(missing),
        TraceError::Directory { .. } => (
            "is-directory",
            "name files, or a glob such as `codex://ORG/PROJECT/docs/**`".to_owned(),
        ),
        TraceError::Outside { .. } => (
            "not-in-a-project",
            "name a file of a project, or a path of the codex such as `projects/NAME/README.md`"
                .to_owned(),
        ),
        TraceError::NotClaimed { .. } => (
            "not-published",
            "`fractary-codex config explain sync.to_codex.include` shows where the patterns come from"
                .to_owned(),
        ),
        TraceError::NotPublished { project, .. } => (
            "not-published",
            format!("`fractary-codex sync -p {project} --dry-run` shows whether a sync publishes it"),
        ),
        TraceError::Cut { .. } => (
            "unknown-origin",
            "the repository of the codex is shallow, or lacks commits: fetch its whole history there, and check it with `git fsck`".to_owned(),
        ),
    };
    ErrorReport {
        kind: kind.into(),
        message: error.to_string(),
        hints: vec![hint],
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// The names in the directory in which a document was searched.
fn present_names(error: &FetchError) -> Option<String> {
    let FetchError::NotFound {
        directory,
        count,
        names,
        ..
    } = error
    else {
        return None;
    };
    if names.is_empty() {
        return None;
    }
    let place = match directory.is_empty() {
        true => "the codex".to_owned(),
        false => format!("`{}` of the codex", escaped(directory)),
    };
    let listed: Vec<_> = names
        .iter()
        .map(|name| format!("`{}`", escaped(name)))
        .collect();
    let more = match count - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{place} contains {}{more}", listed.join(", ")))
}
