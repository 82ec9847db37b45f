//! `projects`: the resolved projects, with their root, path in the codex and number of matching
//! files.

use std::path::Path;

use rayon::prelude::*;

use super::{finish, to_json};
use crate::cache::selected::unmatched_at_last_pull;
use crate::cli::args::DocumentArgs;
use crate::cli::command_error::CommandError;
use crate::cli::load::Context;
use crate::config::Direction;
use crate::event::Event;
use crate::paths::shown;
use crate::report::table::table;
use crate::scan::{self, useless_patterns};

/// Runs the command and returns the exit status.
pub(crate) fn run(output: &DocumentArgs, context: &Context) -> u8 {
    let json = output.is_json();
    finish(list(json, context), json, context)
}

/// Builds the output: a table or, with `json`, a document. It counts the files that match, and
/// warns about patterns that match nothing.
fn list(json: bool, context: &Context) -> Result<String, CommandError> {
    let (configuration, workspace) = context.load(None, Vec::new())?;
    let file_counts: Vec<_> = workspace
        .projects
        .par_iter()
        .map(|project| (project, scan::count(project)))
        .collect();
    let surveyed: Vec<_> = file_counts
        .iter()
        .filter(|(project, _)| project.direction != Direction::FromCodex)
        .filter_map(|(project, survey)| {
            let survey = survey.as_ref().ok()?;
            Some((*project, survey.unmatched.as_slice()))
        })
        .collect();
    let useless = useless_patterns(&surveyed).into_iter();
    let mut useless: Vec<_> = useless
        .map(|pattern| (pattern.project, pattern.message))
        .collect();
    for project in &workspace.projects {
        for message in unmatched_at_last_pull(project, &workspace) {
            if useless.iter().all(|(_, known)| *known != message) {
                useless.push((Some(project), message));
            }
        }
    }
    for (project, message) in &useless {
        context.terminal.event(&Event::Warning {
            project: project.map(|project| project.name.to_string()),
            message: message.clone(),
        });
    }
    let root = |path: &Path| {
        let relative = path.strip_prefix(&configuration.root).unwrap_or(path);
        if relative.as_os_str().is_empty() {
            ".".to_owned()
        } else {
            shown(relative).to_string()
        }
    };

    if json {
        let projects = file_counts.iter().map(|(project, files)| {
            let (files, error) = match files {
                Ok(survey) => (Some(survey.files), None),
                Err(error) => (None, Some(error.to_string())),
            };
            serde_json::json!({
                "name": project.name.as_str(), "root": root(&project.root), "to": project.to.to_string(),
                "files": files, "error": error,
            })
        });
        let warnings = useless.iter().map(|(project, message)| {
            serde_json::json!({
                "project": project.map(|project| project.name.as_str()), "message": message,
            })
        });
        return Ok(to_json(&serde_json::json!({
            "schema_version": 1, "projects": projects.collect::<Vec<_>>(), "warnings": warnings.collect::<Vec<_>>(),
        })));
    }

    let rows = file_counts.iter().map(|(project, files)| {
        let files = files
            .as_ref()
            .map_or_else(ToString::to_string, |survey| survey.files.to_string());
        [
            project.name.to_string(),
            root(&project.root),
            project.to.to_string(),
            files,
        ]
    });
    Ok(table(
        ["project", "root", "in the codex", "files"],
        rows,
        &[],
    ))
}
