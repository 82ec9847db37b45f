//! `config`: what counts, who said it, and whether it is right.

use std::fmt::Write;

use super::{finish, to_json};
use crate::cli::args::{ConfigCommand, SchemaOf};
use crate::cli::failure::{Failure, exit};
use crate::cli::load::Context;
use crate::config::{self, Configuration, Explanation};
use crate::paths::{escaped, shown};
use crate::report::json::SyncDocument;
use crate::report::ndjson::Line;
use crate::report::style::Style;
use crate::words::counted;

/// Runs the command and gives its exit status.
pub(crate) fn run(command: &ConfigCommand, context: &Context) -> u8 {
    let json = match command {
        ConfigCommand::Show { output, .. } | ConfigCommand::Explain { output, .. } => {
            output.is_json()
        }
        _ => false,
    };
    finish(result(command, json, context), json, context)
}

fn result(command: &ConfigCommand, json: bool, context: &Context) -> Result<String, Failure> {
    match command {
        ConfigCommand::Show { origin, .. } => {
            let configuration = context.load_layers()?;
            Ok(told(
                &configuration,
                &configuration.effective(),
                *origin,
                json,
                context.terminal.out,
            ))
        }
        ConfigCommand::Explain { key, .. } => {
            let configuration = context.load_layers()?;
            let explained = configuration.explain(key).map_err(|problem| {
                Failure::new(
                    exit::USAGE,
                    "usage",
                    problem.message.clone(),
                    problem.hint.into_iter().collect(),
                )
            })?;
            Ok(told(
                &configuration,
                &explained,
                true,
                json,
                context.terminal.out,
            ))
        }
        ConfigCommand::Validate => {
            let (configuration, workspace) = context.load(None, Vec::new())?;
            for warning in configuration.warnings() {
                context.terminal.event(&crate::event::Event::Warning {
                    project: None,
                    message: warning,
                });
            }
            let projects = counted(workspace.projects.len(), "project");
            Ok(format!(
                "the configuration is valid: {projects}, codex {}\n",
                workspace.remote.url
            ))
        }
        ConfigCommand::Schema { of } => Ok(to_json(&match of {
            SchemaOf::Config => config::schema(),
            SchemaOf::Events => schemars::schema_for!(Line).to_value(),
            SchemaOf::Sync => schemars::schema_for!(SyncDocument).to_value(),
        })),
        ConfigCommand::Path => {
            let configuration = context.load_layers()?;
            let lines = configuration
                .files()
                .into_iter()
                .map(|(_, path)| format!("{}\n", shown(&path)));
            Ok(lines.collect())
        }
    }
}

fn told(
    configuration: &Configuration,
    keys: &[Explanation],
    origin: bool,
    json: bool,
    style: Style,
) -> String {
    if json {
        let entries = keys.iter().map(|key| {
            let given = key.given.iter().map(|given| {
                serde_json::json!({
                    "layer": given.layer.to_string(), "origin": given.origin.to_string(),
                    "value": given.value, "counts": given.counts,
                })
            });
            serde_json::json!({ "key": key.key, "value": key.value, "given": given.collect::<Vec<_>>() })
        });
        let root = shown(&configuration.root).to_string();
        return to_json(
            &serde_json::json!({ "schema_version": 1, "root": root, "keys": entries.collect::<Vec<_>>() }),
        );
    }
    let mut text = String::new();
    for key in keys {
        let value = key
            .value
            .as_ref()
            .map_or_else(|| "not set".to_owned(), for_people);
        let _ = writeln!(
            text,
            "{} = {value}",
            style.strong(escaped(key.key.as_bytes()))
        );
        if origin {
            for given in &key.given {
                let verdict = if given.counts { "from" } else { "overrides" };
                let value = if given.counts {
                    String::new()
                } else {
                    format!(": {}", for_people(&given.value))
                };
                let line = format!("  {verdict} {} ({}){value}", given.origin, given.layer);
                let _ = writeln!(text, "{}", style.faint(line));
            }
        }
    }
    text
}

/// A value as JSON has it, which lets through more than a terminal should get.
fn for_people(value: &serde_json::Value) -> String {
    escaped(value.to_string().as_bytes()).to_string()
}
