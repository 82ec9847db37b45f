//! `config update`: changes keys of the section `codex` in the configuration file of the current
//! directory.

use std::fmt::Write;

use serde_json::{Value, json};

use super::init::{Existing, mcp_option_is_ignored, write_configuration};
use crate::cli::args::ConfigUpdateArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::config::tree::key_path;
use crate::config::yaml_edit;
use crate::event::Event;
use crate::paths::{FRACTARY_DIR, shown};
use crate::report::configuration::{REPORT_VERSION, UpdateReport};

/// Runs the command and returns its result. Warnings are also printed.
pub(super) fn update(
    arguments: &ConfigUpdateArgs,
    context: &Context,
) -> Result<UpdateReport, CommandError> {
    if arguments.no_mcp {
        context.terminal.event(&mcp_option_is_ignored(false));
    }
    let directory = context.directory()?.join(FRACTARY_DIR);
    let existing = Existing::find(&directory)?;
    let Some(path) = existing.with_codex_section() else {
        let message = format!("`{}` has no file with a section `codex`", shown(&directory));
        let hint = "change to the directory of the configuration, or create one with `fractary-codex init`";
        return Err(CommandError::usage(message).hint(hint));
    };

    let mut text = existing.text.clone();
    let mut updated = Vec::new();
    for (key, value) in assignments(arguments) {
        let path_in_file: Vec<&str> = ["codex"].into_iter().chain(key.iter().copied()).collect();
        let is_empty_list = value.as_array().is_some_and(Vec::is_empty);
        if is_empty_list && !yaml_edit::has(&text, &path_in_file) {
            continue;
        }
        let edited = yaml_edit::set(&text, &path_in_file, &value).ok_or_else(|| {
            let message = format!(
                "`{}` cannot be set in `{}` without changing other keys",
                key_path(&path_in_file),
                shown(path)
            );
            let hint = "edit the file; only YAML files with a line per key can be changed";
            CommandError::usage(message).hint(hint)
        })?;
        if edited != text {
            updated.push(key_path(&key));
        }
        text = edited;
    }

    if !updated.is_empty() {
        write_configuration(path, &text)?;
    }
    let warnings = problems(context);
    for message in &warnings {
        context.terminal.event(&Event::Warning {
            project: None,
            message: message.clone(),
        });
    }
    Ok(UpdateReport {
        schema_version: REPORT_VERSION,
        command: "config update",
        status: "success",
        path: shown(path).to_string(),
        updated,
        warnings,
    })
}

/// The result as text.
pub(super) fn text(report: &UpdateReport) -> String {
    if report.updated.is_empty() {
        return format!("{} is unchanged\n", report.path);
    }
    let mut text = format!("wrote {}\n", report.path);
    for key in &report.updated {
        let _ = writeln!(text, "  {key}");
    }
    text
}

/// The keys below `codex` to set, and their values.
fn assignments(arguments: &ConfigUpdateArgs) -> Vec<(Vec<&'static str>, Value)> {
    let mut assignments = Vec::new();
    let names = [
        ("organization", arguments.organization.clone()),
        (
            "project",
            arguments.project.as_ref().map(ToString::to_string),
        ),
        ("codex_repo", arguments.codex_repo.clone()),
    ];
    for (key, value) in names {
        assignments.extend(value.map(|value| (vec![key], Value::from(value))));
    }
    if let Some(preset) = arguments.sync_preset {
        let directions = [
            ("to_codex", preset.published()),
            ("from_codex", preset.pulled()),
        ];
        for (direction, patterns) in directions {
            assignments.push((vec!["sync", direction, "include"], json!(patterns.include)));
            assignments.push((vec!["sync", direction, "exclude"], json!(patterns.exclude)));
        }
    }
    assignments
}

/// The errors and warnings of the configuration.
fn problems(context: &Context) -> Vec<String> {
    match context.try_load(None, Vec::new()) {
        Ok(Ok((configuration, _))) => configuration.warnings().collect(),
        Ok(Err(problems)) => problems.iter().map(ToString::to_string).collect(),
        Err(_) => Vec::new(),
    }
}
