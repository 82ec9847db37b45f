//! A document that a call fetches by its URI.

use bstr::ByteSlice;
use schemars::JsonSchema;
use serde::Serialize;

use super::call::ToolCall;
use super::documents::{fetch_error, invalid_uri, media_type, shown_uri};
use crate::cli::command_error::CommandError;
use crate::cli::exit;
use crate::config::Configuration;
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::report::fetch::FetchedFrom;
use crate::sync::fetch::{CacheUse, CodexDocument, FetchOutcome, ReadFrom, fetch};
use crate::workspace::Workspace;
use crate::workspace::codex_selector::project_and_path;
use crate::workspace::document_uri::DocumentUri;

/// A document that was fetched, with the branch and the tip if the remote was queried.
pub(super) struct SingleDocument {
    pub(super) document: CodexDocument,
    pub(super) branch: Option<String>,
    pub(super) tip: Option<ObjectId>,
}

impl SingleDocument {
    /// Fetches the document that `uri` names. Globs are rejected.
    pub(super) fn fetch(
        call: &ToolCall,
        configuration: &Configuration,
        workspace: &Workspace,
        uri: &str,
        cache_use: CacheUse,
        offline: bool,
    ) -> Result<Self, CommandError> {
        let uri =
            DocumentUri::new(uri, configuration, workspace).map_err(|error| invalid_uri(&error))?;
        if uri.path().is_none() {
            let shown = escaped(uri.as_str().as_bytes());
            let message = format!("`{shown}` is a glob, not the URI of one document");
            let hint = "list the documents that match with `codex_document_list`, then fetch each by its URI";
            return Err(CommandError::usage(message).hint(hint));
        }
        let request = call.request(configuration, workspace, offline);
        let outcome = fetch(&request, &[uri], cache_use);
        Self::of(outcome.map_err(|error| CommandError::from(&error))?)
    }

    fn of(outcome: FetchOutcome) -> Result<Self, CommandError> {
        if let Some((_, error)) = outcome.failures.first() {
            return Err(fetch_error(error));
        }
        match outcome.documents.into_iter().next() {
            Some(document) => Ok(Self {
                document,
                branch: outcome.branch,
                tip: outcome.tip,
            }),
            None => {
                let message = "the codex did not return the document";
                Err(CommandError::new(
                    exit::INTERNAL,
                    "bug",
                    message,
                    Vec::new(),
                ))
            }
        }
    }

    /// The description of the document.
    pub(super) fn origin(&self, workspace: &Workspace) -> DocumentOrigin {
        let document = &self.document;
        let path = document.path.as_bstr();
        DocumentOrigin {
            uri: shown_uri(path, workspace),
            project: project_and_path(path, workspace).map(|(project, _)| project),
            codex_path: escaped(path).to_string(),
            id: document.entry.id.to_string(),
            size: document.contents.len(),
            media_type: media_type(path),
            from: match document.origin {
                ReadFrom::Cache => FetchedFrom::Cache,
                ReadFrom::Remote => FetchedFrom::Remote,
            },
            tip: document.tip.map(|tip| tip.to_string()),
            source_revision: document
                .source
                .as_ref()
                .map(|source| source.commit.to_string()),
        }
    }
}

/// A document, and the place that it comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DocumentOrigin {
    /// The URI of the document.
    pub(super) uri: String,
    /// The project in whose directory the document is.
    pub(super) project: Option<String>,
    /// The path in the codex.
    pub(super) codex_path: String,
    /// The id of the contents in git.
    pub(super) id: String,
    /// The size in bytes.
    pub(super) size: usize,
    /// The media type that the name shows.
    pub(super) media_type: Option<&'static str>,
    /// Where the contents were read.
    pub(super) from: FetchedFrom,
    /// The commit of the codex that has this version; `null` if the cache does not record it.
    pub(super) tip: Option<String>,
    /// The commit of the project's repository that the last sync of the project has published; `null`
    /// if that is not known without a further request (`codex_document_source` makes it).
    pub(super) source_revision: Option<String>,
}
