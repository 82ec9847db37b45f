//! `config`: shows, explains and validates the configuration, and prints its schema and the files
//! in use.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{finish, to_json};
use crate::cli::args::{ConfigCommand, SchemaOf};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::config::{self, Configuration, Explanation};
use crate::event::Event;
use crate::paths::{escaped, shown};
use crate::report::fetch::FetchReport;
use crate::report::json::SyncDocument;
use crate::report::matrix::MatrixDocument;
use crate::report::ndjson::Line;
use crate::report::style::Style;
use crate::saved_plan::document::SavedPlan;
use crate::text::pluralize;

/// Runs the command and returns the exit status.
pub(crate) fn run(command: &ConfigCommand, context: &Context) -> u8 {
    let json = match command {
        ConfigCommand::Show { output, .. } | ConfigCommand::Explain { output, .. } => {
            output.is_json()
        }
        _ => false,
    };
    finish(result(command, json, context), json, context)
}

/// Runs the command and returns its output. Only `validate` checks that the values form a valid
/// workspace.
fn result(command: &ConfigCommand, json: bool, context: &Context) -> Result<String, CommandError> {
    match command {
        ConfigCommand::Show { origin, .. } => {
            let configuration = context.load_layers()?;
            let keys = configuration.effective();
            Ok(if json {
                keys_document(&configuration, &keys)
            } else {
                keys_text(&keys, *origin, context.terminal.out)
            })
        }
        ConfigCommand::Explain { key, .. } => {
            let configuration = context.load_layers()?;
            let explained = configuration.explain(key).map_err(|problem| {
                CommandError::new(
                    exit::USAGE,
                    "usage",
                    problem.message.clone(),
                    problem.hint.into_iter().collect(),
                )
            })?;
            Ok(if json {
                keys_document(&configuration, &explained)
            } else {
                keys_text(&explained, true, context.terminal.out)
            })
        }
        ConfigCommand::Validate => {
            let (configuration, workspace) = context.load(None, Vec::new())?;
            for message in configuration.warnings() {
                context.terminal.event(&Event::Warning {
                    project: None,
                    message,
                });
            }

            let projects = pluralize(workspace.projects.len(), "project");
            Ok(format!(
                "the configuration is valid: {projects}, codex {}\n",
                workspace.remote.url
            ))
        }
        ConfigCommand::Schema { of } => Ok(to_json(&match of {
            SchemaOf::Config => config::schema(),
            SchemaOf::Events => schemars::schema_for!(Line).to_value(),
            SchemaOf::Fetch => schemars::schema_for!(FetchReport).to_value(),
            SchemaOf::Matrix => schemars::schema_for!(MatrixDocument).to_value(),
            SchemaOf::Plan => schemars::schema_for!(SavedPlan).to_value(),
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

/// The JSON document of `show` and `explain`.
fn keys_document(configuration: &Configuration, keys: &[Explanation]) -> String {
    let keys = keys.iter().map(|key| {
        let given = key.given.iter().map(|given| {
            json!({
                "layer": given.layer.to_string(),
                "origin": given.origin.to_string(),
                "value": given.value,
                "counts": given.counts,
            })
        });
        json!({ "key": key.key, "value": key.value, "given": given.collect::<Vec<_>>() })
    });

    to_json(&json!({
        "schema_version": 1,
        "root": shown(&configuration.root).to_string(),
        "keys": keys.collect::<Vec<_>>(),
    }))
}

/// The text of `show` and `explain`: one line per key, and if `origin` is set, one line per layer
/// that has a value for it.
fn keys_text(keys: &[Explanation], origin: bool, style: Style) -> String {
    let mut text = String::new();

    for key in keys {
        let name = style.strong(escaped(key.key.as_bytes()));
        let value = key
            .value
            .as_ref()
            .map_or_else(|| "not set".to_owned(), value_text);
        let _ = writeln!(text, "{name} = {value}");

        for given in key.given.iter().filter(|_| origin) {
            let line = if given.counts {
                format!("  from {} ({})", given.origin, given.layer)
            } else {
                let value = value_text(&given.value);
                format!("  overrides {} ({}): {value}", given.origin, given.layer)
            };
            let _ = writeln!(text, "{}", style.faint(line));
        }
    }
    text
}

/// A value as JSON. JSON does not escape all characters that have an effect on a terminal, so they
/// are escaped too.
fn value_text(value: &Value) -> String {
    escaped(value.to_string().as_bytes()).to_string()
}
