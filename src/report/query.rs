//! The JSON document of the commands that read the codex and change nothing: `fetch`, `log` and
//! `trace`.

use schemars::JsonSchema;
use serde::Serialize;

use super::ErrorReport;
use super::harmless::harmless_json;
use super::json::WarningDocument;
use crate::object::ObjectId;
use crate::workspace::Workspace;

/// What one command reads.
pub(crate) trait QueryResult: Default + Serialize {
    /// The name of the command.
    const COMMAND: &'static str;

    /// The errors of the arguments that failed.
    fn failures(&self) -> impl Iterator<Item = &ErrorReport> {
        std::iter::empty()
    }
}

/// The result of a command that reads the codex.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{R}Report")]
pub(crate) struct QueryReport<R> {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The command that was run.
    pub command: &'static str,
    /// The codex; `null` if the configuration could not be read.
    pub remote: Option<QueriedCodex>,
    #[serde(flatten)]
    pub result: R,
    /// Problems that did not stop the command.
    pub warnings: Vec<WarningDocument>,
    /// The error that ended the command.
    pub error: Option<ErrorReport>,
    /// The exit status.
    pub exit_code: u8,
}

/// The codex.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QueriedCodex {
    /// The URL, without secrets.
    pub url: String,
    /// The branch; `null` if the remote was not queried.
    pub branch: Option<String>,
    /// The tip of the branch; `null` if the remote was not queried, or has no commits.
    pub tip: Option<String>,
}

impl QueriedCodex {
    pub(crate) fn new(workspace: &Workspace, branch: Option<&str>, tip: Option<ObjectId>) -> Self {
        Self {
            url: workspace.remote.url.to_string(),
            branch: branch.map(str::to_owned),
            tip: tip.map(|tip| tip.to_string()),
        }
    }
}

impl<R: QueryResult> QueryReport<R> {
    /// The document of a command that has read `result` from `codex`.
    pub(crate) fn new(codex: QueriedCodex, result: R) -> Self {
        Self {
            remote: Some(codex),
            ..Self::with(result)
        }
    }

    /// The document of a command that failed.
    pub(crate) fn failed(error: ErrorReport, exit_code: u8) -> Self {
        Self {
            error: Some(error),
            exit_code,
            ..Self::with(R::default())
        }
    }

    fn with(result: R) -> Self {
        Self {
            schema_version: 1,
            command: R::COMMAND,
            remote: None,
            result,
            warnings: Vec::new(),
            error: None,
            exit_code: 0,
        }
    }

    /// The JSON document as text.
    pub(crate) fn json(&self) -> String {
        harmless_json(self)
    }
}
