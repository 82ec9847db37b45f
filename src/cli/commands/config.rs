//! `config`: shows, explains and validates the configuration, and prints its schema and the files
//! in use.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{config_update, finish, to_json};
use crate::cli::args::{ConfigCommand, SchemaOf};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::config::{self, Configuration, Explanation};
use crate::event::Event;
use crate::paths::{escaped, shown};
use crate::report::cache::{CacheDocument, CacheState, ClearedCache, ListedCache};
use crate::report::configuration::{
    ConfigurationFile, InitReport, PathReport, REPORT_VERSION, UpdateReport, ValidateReport,
};
use crate::report::fetch::FetchReport;
use crate::report::issue::{Issue, IssueSeverity};
use crate::report::json::SyncDocument;
use crate::report::log::LogReport;
use crate::report::matrix::MatrixDocument;
use crate::report::ndjson::Line;
use crate::report::style::Style;
use crate::report::trace::TraceReport;
use crate::saved_plan::document::SavedPlan;
use crate::text::pluralize;

/// Runs the command and returns the exit status.
pub(crate) fn run(command: &ConfigCommand, context: &Context) -> u8 {
    let json = match command {
        ConfigCommand::Show { output, .. } | ConfigCommand::Explain { output, .. } => {
            output.is_json()
        }
        ConfigCommand::Validate(output) | ConfigCommand::Path(output) => output.is_json(),
        ConfigCommand::Update(arguments) => arguments.output.is_json(),
        ConfigCommand::Schema { .. } => false,
    };
    match command {
        ConfigCommand::Validate(_) if json => validate_as_json(context),
        _ => finish(result(command, json, context), json, context),
    }
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
        ConfigCommand::Validate(_) => {
            let (configuration, workspace) = context.load(None, Vec::new())?;
            print_warnings(&configuration, context);
            let projects = pluralize(workspace.projects.len(), "project");
            Ok(format!(
                "the configuration is valid: {projects}, codex {}\n",
                workspace.remote.url
            ))
        }
        ConfigCommand::Update(arguments) => {
            let report = config_update::update(arguments, context)?;
            Ok(if json {
                to_json(&report)
            } else {
                config_update::text(&report)
            })
        }
        ConfigCommand::Schema { of } => Ok(to_json(&match of {
            SchemaOf::Config => config::schema(),
            SchemaOf::Events => schemars::schema_for!(Line).to_value(),
            SchemaOf::Fetch => schemars::schema_for!(FetchReport).to_value(),
            SchemaOf::Log => schemars::schema_for!(LogReport).to_value(),
            SchemaOf::Matrix => schemars::schema_for!(MatrixDocument).to_value(),
            SchemaOf::Plan => schemars::schema_for!(SavedPlan).to_value(),
            SchemaOf::Trace => schemars::schema_for!(TraceReport).to_value(),
            SchemaOf::Sync => schemars::schema_for!(SyncDocument).to_value(),
            SchemaOf::Init => schemars::schema_for!(InitReport).to_value(),
            SchemaOf::Update => schemars::schema_for!(UpdateReport).to_value(),
            SchemaOf::Validate => schemars::schema_for!(ValidateReport).to_value(),
            SchemaOf::Path => schemars::schema_for!(PathReport).to_value(),
            SchemaOf::CacheList => schemars::schema_for!(CacheDocument<ListedCache>).to_value(),
            SchemaOf::CacheStatus => schemars::schema_for!(CacheDocument<CacheState>).to_value(),
            SchemaOf::CacheClear => schemars::schema_for!(CacheDocument<ClearedCache>).to_value(),
        })),
        ConfigCommand::Path(_) => {
            let files = context.load_layers()?.files().into_iter();
            let files: Vec<_> = files
                .map(|(layer, path)| ConfigurationFile {
                    layer: layer.to_string(),
                    path: shown(&path).to_string(),
                })
                .collect();
            Ok(if json {
                let schema_version = REPORT_VERSION;
                to_json(&PathReport {
                    schema_version,
                    files,
                })
            } else {
                let lines = files.iter().map(|file| format!("{}\n", file.path));
                lines.collect()
            })
        }
    }
}

/// Prints the document of `validate`, which has each error and warning of its own, and returns the
/// exit status.
fn validate_as_json(context: &Context) -> u8 {
    let loaded = match context.try_load(None, Vec::new()) {
        Ok(loaded) => loaded,
        Err(error) => return finish(Err(error), true, context),
    };
    let report = match &loaded {
        Ok((configuration, workspace)) => {
            print_warnings(configuration, context);
            let warnings = configuration.warnings.iter();
            ValidateReport {
                status: "success",
                valid: true,
                projects: Some(workspace.projects.len()),
                remote: Some(workspace.remote.url.to_string()),
                warnings: warnings
                    .map(|problem| Issue::new(problem, IssueSeverity::Warning))
                    .collect(),
                ..ValidateReport::default()
            }
        }
        Err(problems) => {
            let error = CommandError::from(problems);
            context.terminal.annotate(None, &error.report);
            let errors = problems.iter();
            ValidateReport {
                status: "failure",
                errors: errors
                    .map(|problem| Issue::new(problem, IssueSeverity::Error))
                    .collect(),
                error: Some(error.report),
                exit_code: error.exit,
                ..ValidateReport::default()
            }
        }
    };
    context.terminal.result(&to_json(&report));
    report.exit_code
}

fn print_warnings(configuration: &Configuration, context: &Context) {
    for message in configuration.warnings() {
        context.terminal.event(&Event::Warning {
            project: None,
            message,
        });
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
