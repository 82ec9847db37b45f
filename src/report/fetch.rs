//! The JSON document of `fetch`. Its schema is `schemas/fetch.schema.json`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Serialize;

use super::ErrorReport;
use super::query::{QueryReport, QueryResult};

/// The result of `fetch`.
pub(crate) type FetchReport = QueryReport<FetchResult>;

/// What `fetch` read.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Fetch")]
pub(crate) struct FetchResult {
    /// The documents in the order of the URIs, each once. Those of one URI are in the order of their
    /// paths.
    pub documents: Vec<FetchedDocument>,
    /// The URIs that have no document.
    pub failures: Vec<FetchFailure>,
}

/// A document of the codex.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FetchedDocument {
    /// The URI of this document; `null` if it is in no project's directory.
    pub uri: Option<String>,
    /// The project in whose directory the document is.
    pub project: Option<String>,
    /// The path in the project; in the codex, if that is no project's directory.
    pub path: String,
    /// The path in the codex.
    pub codex_path: String,
    /// The id of the contents in git.
    pub id: String,
    /// The size of the contents in bytes.
    pub size: usize,
    /// The place of the contents.
    pub from: FetchedFrom,
    /// The commit of the codex that has this version; `null` if the cache does not record it.
    pub tip: Option<String>,
    /// The commit of the project's repository that the last sync of the project has published, as the
    /// history of the codex records it; `null` if that is not known without a further request.
    pub source_revision: Option<String>,
    /// The file that the contents were written to (`--output`).
    pub file: Option<String>,
    /// The encoding of `content`; `null` if the contents were written to a file.
    pub encoding: Option<ContentEncoding>,
    /// The contents; `null` if they were written to a file.
    pub content: Option<String>,
}

/// The place of the contents of a document.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FetchedFrom {
    /// In a local cache.
    Cache,
    /// In the remote.
    Remote,
}

/// The encoding of contents.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) enum ContentEncoding {
    /// The contents are the text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// The contents are not UTF-8, and the text encodes their bytes.
    #[serde(rename = "base64")]
    Base64,
}

/// A URI that has no document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FetchFailure {
    /// The URI as it was written.
    pub uri: String,
    /// The reason.
    pub error: ErrorReport,
}

impl QueryResult for FetchResult {
    const COMMAND: &'static str = "fetch";

    fn failures(&self) -> impl Iterator<Item = &ErrorReport> {
        self.failures.iter().map(|failure| &failure.error)
    }
}

/// The contents of a document as a JSON string, with their encoding.
pub(crate) fn encode(contents: &[u8]) -> (ContentEncoding, String) {
    match std::str::from_utf8(contents) {
        Ok(text) => (ContentEncoding::Utf8, text.to_owned()),
        Err(_) => (ContentEncoding::Base64, STANDARD.encode(contents)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::harmless::harmless_json;
    use super::*;

    #[test]
    fn content_is_the_same_after_characters_were_escaped() {
        let content = "a\u{1b}[2J\u{9b}2J\u{202e}\u{e9}\n";
        let failure = FetchFailure {
            uri: content.to_owned(),
            error: ErrorReport::default(),
        };
        let result = FetchResult {
            documents: Vec::new(),
            failures: vec![failure],
        };
        let text = harmless_json(&result);
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["failures"][0]["uri"], content);
    }
}
