//! The JSON documents of `init`, `config update`, `config validate` and `config path`. Each has a
//! schema in `schemas/`.

use schemars::JsonSchema;
use serde::Serialize;

use super::ErrorReport;
use super::issue::Issue;

/// The version of the format of these documents.
pub(crate) const REPORT_VERSION: u32 = 1;

/// The result of `init`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InitReport {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The command that was run.
    pub command: &'static str,
    /// Always `success`; a failure has a document with `error` and `exit_code` instead.
    pub status: &'static str,
    /// The file that was written.
    pub path: String,
    /// The organization; `null` if it could not be detected, and the file has a placeholder.
    pub organization: Option<String>,
    /// The reason why the organization could not be detected, if it is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_error: Option<String>,
    /// The name of the codex's repository.
    pub codex_repo: String,
    /// The project, if the directory is a single one.
    pub project: Option<String>,
    /// The globs of the projects' directories, if there are several.
    pub members: Vec<String>,
}

/// The result of `config update`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UpdateReport {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The command that was run.
    pub command: &'static str,
    /// Always `success`; a failure has a document with `error` and `exit_code` instead.
    pub status: &'static str,
    /// The file.
    pub path: String,
    /// The keys that have another value than before.
    pub updated: Vec<String>,
    /// Problems of the configuration after the update.
    pub warnings: Vec<String>,
}

/// The result of `config validate`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ValidateReport {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The command that was run.
    pub command: &'static str,
    /// `success`, or `failure` if the configuration is not valid.
    pub status: &'static str,
    /// Whether the configuration is valid.
    pub valid: bool,
    /// The number of projects; `null` if the configuration is not valid.
    pub projects: Option<usize>,
    /// The URL of the codex, without secrets; `null` if the configuration is not valid.
    pub remote: Option<String>,
    /// The errors.
    pub errors: Vec<Issue>,
    /// The warnings; empty if the configuration is not valid.
    pub warnings: Vec<Issue>,
    /// All errors as one, in the form of the other commands.
    pub error: Option<ErrorReport>,
    /// The exit status.
    pub exit_code: u8,
}

impl Default for ValidateReport {
    fn default() -> Self {
        Self {
            schema_version: REPORT_VERSION,
            command: "config validate",
            status: "failure",
            valid: false,
            projects: None,
            remote: None,
            errors: Vec::new(),
            warnings: Vec::new(),
            error: None,
            exit_code: 0,
        }
    }
}

/// The result of `config path`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PathReport {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The files, lowest precedence first.
    pub files: Vec<ConfigurationFile>,
}

/// A configuration file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ConfigurationFile {
    /// The layer.
    pub layer: String,
    /// The path.
    pub path: String,
}
