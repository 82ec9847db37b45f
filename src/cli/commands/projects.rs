//! `projects`: the resolved projects, with their root, path in the codex and number of matching
//! files.

use std::path::Path;

use rayon::prelude::*;

use super::project_selection::{assigned, narrow, select_or_all};
use super::{finish, to_json};
use crate::cache::selected::unmatched_at_last_pull;
use crate::cli::args::{MatrixFormat, ProjectsArgs};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::config::Direction;
use crate::event::Event;
use crate::outcome::ProjectSelection;
use crate::paths::shown;
use crate::report::configuration::REPORT_VERSION;
use crate::report::json::WarningDocument;
use crate::report::matrix::MatrixDocument;
use crate::report::projects::{ListedProject, ProjectsReport};
use crate::report::table::table;
use crate::scan::{ScanError, Survey, useless_patterns};
use crate::sync::shard_weights::file_counts;
use crate::sync::sources::Sources;
use crate::workspace::{Project, Workspace};

/// Runs the command and returns the exit status.
pub(crate) fn run(arguments: &ProjectsArgs, context: &Context) -> u8 {
    let json = arguments.output.is_json();
    let output = match arguments.matrix {
        Some(count) => matrix(arguments, usize::from(count), context),
        None => list(arguments, json, context),
    };
    finish(output, json, context)
}

/// Builds the matrix of a CI pipeline, in one line. It has fewer shards if there are fewer projects.
fn matrix(
    arguments: &ProjectsArgs,
    count: usize,
    context: &Context,
) -> Result<String, CommandError> {
    let (configuration, workspace) = context.load(None, Vec::new())?;
    let sources = Sources::default();
    let projects = select_or_all(&arguments.selection, &workspace, context)?;
    let selected = narrow(&arguments.selection, projects, &configuration, &sources)?;
    for warning in selected.warnings {
        context.terminal.event(&Event::Warning {
            project: None,
            message: warning.message,
        });
    }

    let files = file_counts(&sources, &selected.projects);
    let count = count.min(selected.projects.len());
    let assignment = assigned(&selected.projects, &files, count);
    let document = match arguments.matrix_format {
        MatrixFormat::GitHub => MatrixDocument::for_github(&assignment, &files),
        MatrixFormat::GitLab => MatrixDocument::for_gitlab(&assignment),
    };
    Ok(format!("{}\n", serde_json::json!(document)))
}

/// Builds the output, and warns about patterns that match nothing.
fn list(arguments: &ProjectsArgs, json: bool, context: &Context) -> Result<String, CommandError> {
    let (configuration, workspace) = context.load(None, Vec::new())?;
    let sources = Sources::default();
    let selection = &arguments.selection;
    let projects = select_or_all(selection, &workspace, context)?;
    let selected = narrow(selection, projects, &configuration, &sources)?;
    let rows: Vec<_> = selected
        .projects
        .par_iter()
        .map(|project| ProjectRow {
            project,
            root: shown_root(&project.root, &configuration.root),
            survey: sources.count(project),
        })
        .collect();

    let selection_warnings = selected.warnings.into_iter();
    let selection_warnings = selection_warnings.map(|warning| (None, warning.message));
    let useless = useless_warnings(&rows, &workspace);
    let warnings: Vec<_> = selection_warnings.chain(useless).collect();
    for (project, message) in &warnings {
        context.terminal.event(&Event::Warning {
            project: project.map(|project| project.name.to_string()),
            message: message.clone(),
        });
    }
    Ok(if json {
        document(&rows, selected.summary.as_ref(), &warnings)
    } else {
        let summary = selected
            .summary
            .iter()
            .map(|summary| format!("{summary}\n"));
        summary.chain([text(&rows)]).collect()
    })
}

/// A project with its files.
struct ProjectRow<'w> {
    project: &'w Project,
    /// The root, relative to the workspace.
    root: String,
    /// The matching files, or the reason why they cannot be counted.
    survey: Result<Survey, ScanError>,
}

/// A root for the output: relative to the workspace if it is below it.
fn shown_root(root: &Path, workspace: &Path) -> String {
    let relative = root.strip_prefix(workspace).unwrap_or(root);
    if relative.as_os_str().is_empty() {
        ".".to_owned()
    } else {
        shown(relative).to_string()
    }
}

/// The warnings about patterns that match nothing: in the sources, and in the codex at the last
/// pull. Each has a project if it is about a single one.
fn useless_warnings<'w>(
    rows: &[ProjectRow<'w>],
    workspace: &'w Workspace,
) -> Vec<(Option<&'w Project>, String)> {
    let surveyed: Vec<_> = rows
        .iter()
        .filter(|row| row.project.direction != Direction::FromCodex)
        .filter_map(|row| {
            let survey = row.survey.as_ref().ok()?;
            Some((row.project, survey.unmatched.as_slice()))
        })
        .collect();
    let useless = useless_patterns(&surveyed).into_iter();
    let mut warnings: Vec<_> = useless
        .map(|pattern| (pattern.project, pattern.message))
        .collect();

    for project in rows.iter().map(|row| row.project) {
        for message in unmatched_at_last_pull(project, workspace) {
            if warnings.iter().all(|(_, known)| *known != message) {
                warnings.push((Some(project), message));
            }
        }
    }
    warnings
}

fn document(
    rows: &[ProjectRow<'_>],
    selection: Option<&ProjectSelection>,
    warnings: &[(Option<&Project>, String)],
) -> String {
    let projects = rows.iter().map(|row| {
        let (files, error) = match &row.survey {
            Ok(survey) => (Some(survey.files), None),
            Err(error) => (None, Some(error.to_string())),
        };
        ListedProject {
            name: row.project.name.to_string(),
            root: row.root.clone(),
            to: row.project.to.to_string(),
            files,
            error,
        }
    });
    let warnings = warnings.iter().map(|(project, message)| WarningDocument {
        project: project.map(|project| project.name.to_string()),
        message: message.clone(),
    });
    to_json(&ProjectsReport {
        schema_version: REPORT_VERSION,
        projects: projects.collect(),
        warnings: warnings.collect(),
        selection: selection.cloned(),
    })
}

fn text(rows: &[ProjectRow<'_>]) -> String {
    let rows = rows.iter().map(|row| {
        let files = match &row.survey {
            Ok(survey) => survey.files.to_string(),
            Err(error) => error.to_string(),
        };
        [
            row.project.name.to_string(),
            row.root.clone(),
            row.project.to.to_string(),
            files,
        ]
    });
    table(["project", "root", "in the codex", "files"], rows, &[])
}
