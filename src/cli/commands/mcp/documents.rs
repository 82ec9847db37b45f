//! The documents that the arguments of a tool select, and the form in which tools return documents
//! and parts of long results.

use bstr::{BStr, ByteSlice};
use schemars::JsonSchema;
use serde::Serialize;

use super::encoded_uri::{decoded, encoded};
use crate::cli::command_error::CommandError;
use crate::config::Configuration;
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::sync::fetch::FetchError;
use crate::sync::fetch::listing::TipOfBranch;
use crate::workspace::Workspace;
use crate::workspace::document_uri::{DocumentUri, InvalidUri, uri_at};

/// The arguments of a tool that select documents.
#[derive(Default)]
pub(super) struct DocumentSelection {
    /// The URI of documents, or a path.
    pub(super) pattern: Option<String>,
    /// A name or a glob.
    pub(super) project: Option<String>,
    /// The organization that the codex must belong to.
    pub(super) organization: Option<String>,
}

/// The codex, as far as the call has queried it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CodexTip {
    /// The URL of the codex, without secrets.
    pub(super) url: String,
    /// The branch; `null` if only the local cache was read.
    pub(super) branch: Option<String>,
    /// The commit at the tip of the branch; `null` if it was not queried, or has no commits.
    pub(super) tip: Option<String>,
}

impl DocumentSelection {
    /// The documents that are selected. A directory selects everything below it.
    pub(super) fn uri(
        &self,
        configuration: &Configuration,
        workspace: &Workspace,
    ) -> Result<DocumentUri, CommandError> {
        let organization = self.organization.as_deref();
        let organization = organization.or(workspace.organization.as_deref());
        let organization = organization.unwrap_or("*");
        let pattern = self.pattern.as_deref().filter(|text| !text.is_empty());
        let text = match pattern {
            Some(uri) if uri.contains("://") => {
                if self.project.is_some() {
                    let message = "`project` cannot be used with a pattern that names a project";
                    let hint = "use one of them, or only the path as the pattern";
                    return Err(CommandError::usage(message).hint(hint));
                }
                decoded(uri).map_err(|error| invalid_uri(&error))?
            }
            path => {
                let project = self.project.as_deref().unwrap_or("*");
                let path = path.unwrap_or("**");
                format!("codex://{organization}/{project}/{path}")
            }
        };
        match DocumentUri::new(&text, configuration, workspace) {
            Err(InvalidUri::Directory { uri }) => {
                DocumentUri::new(&format!("{uri}/**"), configuration, workspace)
            }
            checked => checked,
        }
        .map_err(|error| invalid_uri(&error))
    }
}

impl CodexTip {
    pub(super) fn new(workspace: &Workspace, tip: &TipOfBranch) -> Self {
        Self {
            url: workspace.remote.url.to_string(),
            branch: tip.branch.clone(),
            tip: tip.tip.map(|tip| tip.to_string()),
        }
    }

    /// The place of the documents, for a sentence.
    pub(super) fn words(&self) -> String {
        match (&self.branch, &self.tip) {
            (None, _) => "in the local cache".to_owned(),
            (Some(branch), None) => format!("in the codex, whose branch `{branch}` has no commits"),
            (Some(branch), Some(tip)) => {
                let tip = ObjectId::from_hex(tip).map_or(tip.clone(), |id| id.short());
                format!("in the codex at {tip} of `{branch}`")
            }
        }
    }
}

/// Reports a text that is not the URI of a document, with the tool that helps.
pub(super) fn invalid_uri(error: &InvalidUri) -> CommandError {
    let mut reported = CommandError::from(error);
    if let InvalidUri::Directory { uri } = error {
        reported.report.hints = vec![list_directory(&encoded(uri))];
    }
    reported
}

/// Reports why the URI that a client has written as `written` has no document, with the tool that
/// helps.
pub(super) fn fetch_error(error: &FetchError, written: &str) -> CommandError {
    let mut error = error.clone();
    error.change_uris(|uri| *uri = encoded(uri));
    let mut reported = CommandError::from(&error);
    match &error {
        FetchError::Directory { uri } => reported.report.hints = vec![list_directory(uri)],
        FetchError::NotCached { .. } => {
            let hint = "call again without `offline`, or pull the document with `fractary-codex sync --from-codex`";
            reported.report.hints = vec![hint.to_owned()];
        }
        FetchError::UnusableCopy { .. } => {
            let hint = "call again without `offline`";
            reported.report.hints = vec![hint.to_owned()];
        }
        FetchError::NotFound { .. } => {
            if decoded(written).is_ok_and(|uri| uri != written) {
                let hint =
                    "`%` and two hexadecimal digits are decoded: write `%25` for a `%` in a name";
                reported.report.hints.push(hint.to_owned());
            }
            let hint = "`codex_document_list` lists the documents that exist";
            reported.report.hints.push(hint.to_owned());
        }
        FetchError::NoMatch { .. } | FetchError::Link { .. } | FetchError::Submodule { .. } => {}
    }
    reported
}

/// Checks the URI of a client.
pub(super) fn client_uri(
    written: &str,
    configuration: &Configuration,
    workspace: &Workspace,
) -> Result<DocumentUri, CommandError> {
    let uri = decoded(written).and_then(|uri| DocumentUri::new(&uri, configuration, workspace));
    let uri = uri.map_err(|error| invalid_uri(&error))?;
    if uri.path().is_none() {
        let message = format!(
            "`{}` is a glob, not the URI of one document",
            escaped(written.as_bytes())
        );
        let hint =
            "list the documents that match with `codex_document_list`, then fetch each by its URI";
        return Err(CommandError::usage(message).hint(hint));
    }
    Ok(uri)
}

fn list_directory(uri: &str) -> String {
    let uri = escaped(uri.as_bytes());
    format!("list the documents in it with `codex_document_list` and the pattern `{uri}/**`")
}

/// The URI of the document at this path of the codex, or its path if it has none.
pub(super) fn shown_uri(path: &BStr, workspace: &Workspace) -> String {
    match uri_at(path, workspace) {
        Some(uri) => escaped(encoded(&uri).as_bytes()).to_string(),
        None => escaped(path).to_string(),
    }
}

/// A part of a list, from `offset` on.
pub(super) struct ListPart<T> {
    pub(super) items: Vec<T>,
    /// The offset of the next part, if there is one.
    pub(super) next_offset: Option<usize>,
}

impl<T> ListPart<T> {
    pub(super) fn of(all: impl IntoIterator<Item = T>, offset: usize, limit: usize) -> Self {
        let mut rest = all.into_iter().skip(offset);
        let items: Vec<_> = rest.by_ref().take(limit).collect();
        let next_offset = rest.next().map(|_| offset + items.len());
        Self { items, next_offset }
    }
}

/// The number of items to return, at most `max`. Zero is an error: no part would be the last one.
pub(super) fn limit(
    asked: Option<usize>,
    default: usize,
    max: usize,
) -> Result<usize, CommandError> {
    match asked.unwrap_or(default) {
        0 => Err(CommandError::usage("`limit` must be at least 1")),
        limit => Ok(limit.min(max)),
    }
}

/// The sentence that says how to get the next part; empty if there is none.
pub(super) fn continuation(next_offset: Option<usize>) -> String {
    match next_offset {
        Some(next) => format!("; there is more: call again with `offset` {next}"),
        None => String::new(),
    }
}

/// The media type that the name of a document shows; `None` for unknown names.
pub(super) fn media_type(path: &BStr) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once_str(".")?;
    Some(match extension.to_ascii_lowercase().as_slice() {
        b"md" | b"mdx" | b"markdown" => "text/markdown",
        b"txt" | b"rst" | b"adoc" | b"log" => "text/plain",
        b"html" | b"htm" => "text/html",
        b"csv" => "text/csv",
        b"json" => "application/json",
        b"yaml" | b"yml" => "application/yaml",
        b"toml" => "application/toml",
        b"xml" => "application/xml",
        b"svg" => "image/svg+xml",
        b"png" => "image/png",
        b"jpg" | b"jpeg" => "image/jpeg",
        b"gif" => "image/gif",
        b"webp" => "image/webp",
        b"pdf" => "application/pdf",
        _ => return None,
    })
}

/// Whether the name of a document shows that it is text.
pub(super) fn is_text(path: &BStr) -> bool {
    media_type(path).is_some_and(|media| media.starts_with("text/") || is_text_application(media))
}

fn is_text_application(media: &str) -> bool {
    let rest = media.strip_prefix("application/");
    rest.is_some_and(|rest| matches!(rest, "json" | "yaml" | "toml" | "xml"))
}
