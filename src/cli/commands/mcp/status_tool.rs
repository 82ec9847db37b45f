//! `codex_project_status`: the projects of the workspace, compared with the codex.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::ToolCall;
use super::documents::{CodexTip, ListPart, continuation, limit};
use super::mcp_tool::McpTool;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::{error_report, exit};
use crate::config::Direction;
use crate::outcome::{ProjectReport, Status};
use crate::report::ErrorReport;
use crate::sync::fetch::listing::TipOfBranch;
use crate::sync::{SyncRequest, sync};
use crate::text::pluralize;
use crate::workspace::select;

/// The number of projects that are returned by default, and at most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

pub(super) struct StatusTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusArguments {
    /// Only these projects (names or globs). Without it, all projects of the workspace.
    #[serde(default)]
    projects: Vec<String>,
    /// Compare with the state of the last sync, without a request.
    #[serde(default)]
    offline: bool,
    /// The number of projects to skip; `next_offset` of the previous part.
    #[serde(default)]
    offset: usize,
    /// The greatest number of projects to return: 100 by default, at most 1000.
    #[schemars(range(min = 1))]
    limit: Option<usize>,
}

/// A part of the projects.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StatusList {
    /// The codex.
    codex: CodexTip,
    /// The projects, in the order of their names.
    projects: Vec<ProjectState>,
    /// The number of selected projects.
    total: usize,
    /// The offset of the next part; `null` if this is the last one.
    next_offset: Option<usize>,
}

/// A project compared with the codex. The numbers are `null` if it could not be compared.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProjectState {
    /// The name.
    name: String,
    /// The direction of its syncs.
    direction: Direction,
    /// What a sync would do: `would-sync`, `up-to-date`, `withheld` or `failed`.
    status: Status,
    /// The number of files that a sync would add.
    added: Option<u64>,
    /// The number of files that a sync would modify.
    modified: Option<u64>,
    /// The number of files that a sync would delete.
    deleted: Option<u64>,
    /// The number of files that are the same on both sides.
    unchanged: Option<u64>,
    /// The reason why the project is withheld or failed.
    error: Option<ErrorReport>,
}

impl McpTool for StatusTool {
    const NAME: &'static str = "codex_project_status";
    const TITLE: &'static str = "Status of projects";
    const DESCRIPTION: &'static str = "Shows for each project of the workspace whether its files \
        differ from the codex, and what a sync would change.";
    type Arguments = StatusArguments;
    type Output = StatusList;

    fn run(
        call: &ToolCall,
        arguments: StatusArguments,
    ) -> Result<(Vec<String>, StatusList), CommandError> {
        let limit = limit(arguments.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let (configuration, workspace) = call.load()?;
        let patterns = &arguments.projects;
        let directory = call.context().directory()?;
        let projects = select(&workspace, patterns.is_empty(), patterns, &directory)
            .map_err(|error| CommandError::from(&error))?;
        let request = SyncRequest {
            dry_run: true,
            projects,
            ..call.request(&configuration, &workspace, arguments.offline)
        };
        let outcome = sync(&request);
        if let Some(error) = &outcome.failure {
            return Err(CommandError {
                report: error_report::of_run(&outcome)
                    .unwrap_or_else(|| CommandError::from(error).report),
                exit: exit::of_error(error),
            });
        }

        let total = outcome.projects.len();
        let context = call.context();
        let projects = outcome
            .projects
            .iter()
            .map(|project| state(project, context));
        let part = ListPart::of(projects, arguments.offset, limit);
        let tip = TipOfBranch {
            branch: outcome.remote.branch.clone(),
            tip: outcome.remote.before,
        };
        let list = StatusList {
            codex: CodexTip::new(&workspace, &tip),
            projects: part.items,
            total,
            next_offset: part.next_offset,
        };
        Ok((vec![list.words()], list))
    }
}

fn state(project: &ProjectReport, context: &Context) -> ProjectState {
    let counts = project.counts();
    let count = |index: usize| counts.map(|counts| counts[index]);
    ProjectState {
        name: project.name.to_string(),
        direction: project.direction,
        status: project.outcome.status(),
        added: count(0),
        modified: count(1),
        deleted: count(2),
        unchanged: count(3),
        error: context.error_of_project(project),
    }
}

impl StatusList {
    /// The projects as lines of text.
    fn words(&self) -> String {
        let lines: String = self.projects.iter().map(ProjectState::words).collect();
        format!(
            "{lines}{} compared with the files {}{}",
            pluralize(self.total as u64, "project"),
            self.codex.words(),
            continuation(self.next_offset)
        )
    }
}

impl ProjectState {
    fn words(&self) -> String {
        let status = match self.status {
            Status::WouldSync => "would sync",
            Status::UpToDate => "up to date",
            Status::Withheld => "withheld",
            Status::Failed => "failed",
            Status::Synced => "synced",
            Status::Proposed => "proposed",
        };
        let mut words = format!("{}: {status}", self.name);
        if let (Some(added), Some(modified), Some(deleted), Some(unchanged)) =
            (self.added, self.modified, self.deleted, self.unchanged)
        {
            words.push_str(&format!(
                " ({added} added, {modified} modified, {deleted} deleted, {unchanged} unchanged)"
            ));
        }
        if let Some(error) = &self.error {
            words.push_str(&format!(": {}", error.message));
        }
        words.push('\n');
        words
    }
}
