//! `projects`: the projects as resolved.

use comfy_table::{ContentArrangement, Table};
use rayon::prelude::*;

use super::super::args::OutputArgs;
use super::super::failure::Failure;
use super::super::load::Context;
use super::{finish, is_json, to_json};
use crate::scan;

/// Runs the command and gives its exit status.
pub(crate) fn run(output: &OutputArgs, context: &Context) -> u8 {
    let json = is_json(output);
    finish(list(json, context), json, context)
}

fn list(json: bool, context: &Context) -> Result<String, Failure> {
    let (configuration, workspace) = context.load(None, Vec::new())?;
    let counted: Vec<_> = workspace.projects.par_iter().map(|project| (project, scan::count(project))).collect();
    let root = |path: &std::path::Path| {
        let below = path.strip_prefix(&configuration.root).unwrap_or(path);
        if below.as_os_str().is_empty() { ".".to_owned() } else { below.display().to_string() }
    };
    if json {
        let projects = counted.iter().map(|(project, files)| {
            let (files, error) = match files {
                Ok(files) => (Some(*files), None),
                Err(error) => (None, Some(error.to_string())),
            };
            serde_json::json!({
                "name": project.name.as_str(), "root": root(&project.root), "to": project.to.to_string(),
                "files": files, "error": error,
            })
        });
        return Ok(to_json(&serde_json::json!({ "schema_version": 1, "projects": projects.collect::<Vec<_>>() })));
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["project", "root", "in the codex", "files"]);
    for (project, files) in &counted {
        let files = files.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        table.add_row([project.name.to_string(), root(&project.root), project.to.to_string(), files]);
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    Ok(format!("{}\n", lines.join("\n")))
}
