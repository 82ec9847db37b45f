//! `config update`: changes keys of the section `codex` in the configuration file of the current
//! directory.

use std::fmt::Write as _;

use serde_json::Value;

use super::config_check;
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
        let (message, hint) = match existing.flat() {
            Some(path) => (
                format!("`{}` has its keys at the top level", shown(path)),
                "write the keys below `codex:` first",
            ),
            None => (
                format!("`{}` has no file with a section `codex`", shown(&directory)),
                "change to the directory of the configuration, or create one with `fractary-codex init`",
            ),
        };
        return Err(CommandError::usage(message).hint(hint));
    };

    let mut text = existing.text.clone();
    let mut updated = Vec::new();
    let mut warnings = Vec::new();
    for KeyUpdate {
        key,
        mut value,
        keeps,
    } in assignments(arguments)
    {
        let path_in_file: Vec<&str> = ["codex"].into_iter().chain(key.iter().copied()).collect();
        let old = yaml_edit::get(&text, &path_in_file);
        if keeps {
            let kept = add_kept(&mut value, old.as_ref());
            if !kept.is_empty() {
                let key = key_path(&key);
                warnings.push(format!("`{key}` keeps {}", kept.join(", ")));
            }
        }
        let is_empty_list = value.as_array().is_some_and(Vec::is_empty);
        if is_empty_list && old.is_none() {
            continue;
        }
        let edited = yaml_edit::set(&text, &path_in_file, &value).ok_or_else(|| {
            let message = format!(
                "`{}` cannot be set in `{}` without changing other keys or losing a comment",
                key_path(&path_in_file),
                shown(path)
            );
            let hint = "edit the file; only YAML files with a line per key, and lists without comments, can be changed";
            CommandError::usage(message).hint(hint)
        })?;
        if edited != text {
            updated.push(key_path(&key));
        }
        text = edited;
    }

    if !updated.is_empty() {
        let errors = config_check::new_errors(context, path, &existing.text, &text)?;
        if !errors.is_empty() {
            return Err(config_check::rejected(path, "changed", errors));
        }
        write_configuration(path, &text)?;
    }
    warnings.extend(problems(context));
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

/// A key below `codex` to set.
struct KeyUpdate {
    key: Vec<&'static str>,
    value: Value,
    /// Whether the patterns that the list has are kept.
    keeps: bool,
}

/// The keys below `codex` to set. A preset replaces the patterns that include files. Those that
/// exclude files are kept, because the next sync would publish these files.
fn assignments(arguments: &ConfigUpdateArgs) -> Vec<KeyUpdate> {
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
        assignments.extend(value.map(|value| KeyUpdate {
            key: vec![key],
            value: Value::from(value),
            keeps: false,
        }));
    }
    if let Some(preset) = arguments.sync_preset {
        let directions = [
            ("to_codex", preset.published()),
            ("from_codex", preset.pulled()),
        ];
        for (direction, patterns) in directions {
            let lists = [
                ("include", patterns.include, false),
                ("exclude", patterns.exclude, true),
            ];
            assignments.extend(lists.map(|(list, patterns, keeps)| KeyUpdate {
                key: vec!["sync", direction, list],
                value: Value::from(patterns),
                keeps,
            }));
        }
    }
    assignments
}

/// Adds the elements of an old list to the new one, before its own. Returns those that the new one
/// lacks.
fn add_kept(new: &mut Value, old: Option<&Value>) -> Vec<String> {
    let Some(old) = old.filter(|old| !old.is_null()) else {
        return Vec::new();
    };
    let old = match old {
        Value::Array(elements) => elements.clone(),
        single => vec![single.clone()],
    };
    let Value::Array(elements) = new else {
        return Vec::new();
    };
    let kept = old.iter().filter(|element| !elements.contains(element));
    let kept = kept.map(|element| format!("`{}`", element.as_str().unwrap_or_default()));
    let kept = kept.collect();
    elements.retain(|element| !old.contains(element));
    elements.splice(0..0, old);
    kept
}

/// The errors and warnings of the configuration.
fn problems(context: &Context) -> Vec<String> {
    match context.try_load(None, Vec::new()) {
        Ok(Ok((configuration, _))) => configuration.warnings().collect(),
        Ok(Err(problems)) => problems.iter().map(ToString::to_string).collect(),
        Err(_) => Vec::new(),
    }
}
