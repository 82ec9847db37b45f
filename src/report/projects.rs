//! The JSON document of `projects`. Its schema is `schemas/projects.schema.json`.

use schemars::JsonSchema;
use serde::Serialize;

use super::json::WarningDocument;
use crate::outcome::ProjectSelection;

/// The result of `projects`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProjectsReport {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The projects, in name order.
    pub projects: Vec<ListedProject>,
    /// Problems such as patterns that match nothing.
    pub warnings: Vec<WarningDocument>,
    /// The number of projects that an option such as `--changed-since` left out; only present with such
    /// an option.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub selection: Option<ProjectSelection>,
}

/// A project of the workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ListedProject {
    /// The project's name.
    pub name: String,
    /// The project's directory, relative to the workspace if it is inside.
    pub root: String,
    /// The project's directory in the codex.
    pub to: String,
    /// The number of files that its patterns match; `null` if they cannot be counted.
    pub files: Option<usize>,
    /// The reason why they cannot be counted.
    pub error: Option<String>,
}
