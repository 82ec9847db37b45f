//! A document that a call fetches by its URI.

use bstr::ByteSlice;
use schemars::JsonSchema;
use serde::Serialize;

use super::call::ToolCall;
use super::documents::{client_uri, fetch_error, media_type, shown_uri};
use crate::cli::command_error::CommandError;
use crate::cli::exit;
use crate::config::Configuration;
use crate::paths::escaped;
use crate::report::fetch::FetchedFrom;
use crate::sync::fetch::{CacheUse, CodexDocument, FetchOutcome, ReadFrom, fetch};
use crate::workspace::Workspace;
use crate::workspace::codex_selector::project_and_path;

/// A document that was fetched.
pub(super) struct SingleDocument {
    pub(super) document: CodexDocument,
}

impl SingleDocument {
    /// Fetches the document that the URI of a client names. Globs are rejected.
    pub(super) fn fetch(
        call: &ToolCall,
        configuration: &Configuration,
        workspace: &Workspace,
        uri: &str,
        cache_use: CacheUse,
        offline: bool,
    ) -> Result<Self, CommandError> {
        let document = client_uri(uri, configuration, workspace)?;
        let request = call.request(configuration, workspace, offline);
        let outcome = fetch(&request, &[document], cache_use);
        Self::of(outcome.map_err(|error| CommandError::from(&error))?, uri)
    }

    fn of(outcome: FetchOutcome, uri: &str) -> Result<Self, CommandError> {
        if let Some((_, error)) = outcome.failures.first() {
            return Err(fetch_error(error, uri));
        }
        match outcome.documents.into_iter().next() {
            Some(document) => Ok(Self { document }),
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
