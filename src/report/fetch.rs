//! The JSON document of `fetch`. Its schema is `schemas/fetch.schema.json`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Serialize;

use super::ErrorReport;
use super::harmless::harmless_json;
use super::json::WarningDocument;
use crate::object::ObjectId;
use crate::workspace::Workspace;

/// The result of `fetch`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct FetchReport {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The command that was run.
    pub command: &'static str,
    /// The codex; `null` if the configuration could not be read.
    pub remote: Option<FetchedRemote>,
    /// The documents in the order of the URIs, each once. Those of one URI are in the order of their
    /// paths.
    pub documents: Vec<FetchedDocument>,
    /// The URIs that have no document.
    pub failures: Vec<FetchFailure>,
    /// Problems that did not stop the command.
    pub warnings: Vec<WarningDocument>,
    /// The error that ended the command.
    pub error: Option<ErrorReport>,
    /// The exit status.
    pub exit_code: u8,
}

/// The codex.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FetchedRemote {
    /// The URL, without secrets.
    pub url: String,
    /// The branch; `null` if the remote was not queried.
    pub branch: Option<String>,
    /// The tip of the branch; `null` if the remote was not queried, or has no commits.
    pub tip: Option<String>,
}

impl FetchedRemote {
    pub(crate) fn new(workspace: &Workspace, branch: Option<&str>, tip: Option<ObjectId>) -> Self {
        Self {
            url: workspace.remote.url.to_string(),
            branch: branch.map(str::to_owned),
            tip: tip.map(|tip| tip.to_string()),
        }
    }
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

impl FetchReport {
    /// The document of a command that has fetched nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            schema_version: 1,
            command: "fetch",
            ..Self::default()
        }
    }

    /// The document of a command that failed.
    pub(crate) fn failed(error: ErrorReport, exit_code: u8) -> Self {
        Self {
            error: Some(error),
            exit_code,
            ..Self::new()
        }
    }

    /// The document as text.
    pub(crate) fn text(&self) -> String {
        harmless_json(self)
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
    use super::*;

    #[test]
    fn content_is_the_same_after_characters_were_escaped() {
        let content = "a\u{1b}[2J\u{9b}2J\u{202e}\u{e9}\n";
        let report = FetchReport {
            documents: Vec::new(),
            failures: vec![FetchFailure {
                uri: content.to_owned(),
                error: ErrorReport {
                    kind: "x".into(),
                    message: String::new(),
                    hints: Vec::new(),
                    causes: Vec::new(),
                    ..ErrorReport::default()
                },
            }],
            ..FetchReport::new()
        };
        let text = report.text();
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["failures"][0]["uri"], content);
    }
}
