//! The JSON documents of `init` and of the commands below `config`. Each has a schema in `schemas/`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::ErrorReport;
use super::issue::Issue;
use crate::config::{Explanation, Given, LayerKind};
use crate::paths::shown;
use crate::workspace::DerivedValue;

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
    /// Whether nothing was written, because of `--dry-run`.
    pub dry_run: bool,
    /// The file that was written, or would be.
    pub path: String,
    /// What was found, such as checkouts or the workspace of a build tool.
    pub found: String,
    /// The organization; `null` if it could not be detected, and the file does not have it.
    pub organization: Option<String>,
    /// Where the organization was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_from: Option<String>,
    /// The reason why the organization could not be detected, if there is more to say than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_error: Option<String>,
    /// The name of the codex's repository; `null` if the organization could not be detected.
    pub codex_repo: Option<String>,
    /// The URL of the codex, without a password; `null` if it is not known.
    pub remote_url: Option<String>,
    /// Where the codex was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codex_from: Option<String>,
    /// The project of the directory itself, if it is one.
    pub project: Option<String>,
    /// The globs of the projects' directories, if there are several.
    pub members: Vec<String>,
    /// The globs of directories that match `members` and are no projects.
    pub excluded: Vec<String>,
    /// All projects.
    pub projects: Vec<InitProject>,
    /// The patterns of the files to publish.
    pub patterns: Vec<String>,
    /// What was left out, and why.
    pub remarks: Vec<String>,
    /// The text of the file, with `--dry-run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// A project that `init` found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InitProject {
    /// The name.
    pub name: String,
    /// The directory, relative to the workspace; `.` for the workspace itself.
    pub directory: String,
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

/// The result of `config show` and `config explain`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeysReport {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The directory of the workspace.
    pub root: String,
    /// The keys, in order.
    pub keys: Vec<ExplainedKey>,
}

/// A key and its value.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExplainedKey {
    /// The key, as in `sync.to_codex.include`.
    pub key: String,
    /// The value that the layers give, without secrets; `null` if none gives one.
    pub value: Option<Value>,
    /// The meaning of the key; absent for an element of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub description: Option<String>,
    /// The default; absent if the key has none, or is a map.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub default: Option<Value>,
    /// The words that the key accepts; absent if it accepts other values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub choices: Vec<Choice>,
    /// The value that is used instead of `value` (`explain`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub derived: Option<Derived>,
    /// The values of all layers, highest precedence first.
    pub given: Vec<GivenValue>,
}

/// A word that a key accepts.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Choice {
    /// The word.
    pub value: String,
    /// Its meaning.
    pub description: String,
}

/// A value that is derived from other keys.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Derived {
    /// The value, without secrets; `null` if it is only known during a run.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: String,
}

/// A value that a layer gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GivenValue {
    /// The layer.
    pub layer: LayerKind,
    /// The file with line and column, the variable or the flag.
    pub origin: String,
    /// The file; `null` if the value is not from a file.
    pub file: Option<String>,
    /// The line in the file, counted from 1.
    pub line: Option<u32>,
    /// The column in the line, counted from 1.
    pub column: Option<u32>,
    /// The value, without secrets.
    pub value: Value,
    /// Whether the value is in effect, rather than overridden.
    pub counts: bool,
}

impl GivenValue {
    fn new(given: &Given) -> Self {
        let at = &given.origin;
        let in_file = |number: u32| (number > 0 && at.file().is_some()).then_some(number);
        Self {
            layer: given.layer,
            origin: at.to_string(),
            file: at.file().map(|file| shown(file).to_string()),
            line: in_file(at.line),
            column: in_file(at.column),
            value: given.value.clone(),
            counts: given.counts,
        }
    }
}

impl ExplainedKey {
    /// `derived` is the value that is used instead of that of the layers.
    pub(crate) fn new(key: &Explanation, derived: Option<DerivedValue>) -> Self {
        let meaning = key.meaning.as_ref();
        let choices = meaning.into_iter().flat_map(|meaning| &meaning.choices);
        Self {
            key: key.key.clone(),
            value: key.value.clone(),
            description: meaning.map(|meaning| meaning.description.clone()),
            default: meaning.and_then(|meaning| meaning.default.clone()),
            choices: choices
                .map(|(value, description)| Choice {
                    value: value.clone(),
                    description: description.clone(),
                })
                .collect(),
            derived: derived.map(|derived| Derived {
                value: derived.value,
                source: derived.source,
            }),
            given: key.given.iter().map(GivenValue::new).collect(),
        }
    }
}

/// The failure of a command whose own document does not contain the error.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FailureReport {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The error.
    pub error: ErrorReport,
    /// The exit status.
    pub exit_code: u8,
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
    pub layer: LayerKind,
    /// The path.
    pub path: String,
}
