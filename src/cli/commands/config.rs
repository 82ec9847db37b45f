//! `config`: shows, explains and validates the configuration, and prints its schema and the files
//! in use.

use std::fmt::Write;

use serde_json::Value;

use super::document_schema::document_schema;
use super::{config_update, finish, to_json};
use crate::cli::args::{ConfigCommand, SchemaOf};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::config::{self, Configuration, LayerKind};
use crate::event::Event;
use crate::paths::{escaped, shown};
use crate::report::cache::{CacheDocument, CacheState, ClearedCache, ListedCache};
use crate::report::configuration::{
    ConfigurationFile, Derived, ExplainedKey, FailureReport, InitReport, KeysReport, PathReport,
    REPORT_VERSION, UpdateReport, ValidateReport,
};
use crate::report::doctor::DoctorReport;
use crate::report::fetch::FetchReport;
use crate::report::issue::{Issue, IssueSeverity};
use crate::report::json::SyncDocument;
use crate::report::log::LogReport;
use crate::report::matrix::MatrixDocument;
use crate::report::ndjson::Line;
use crate::report::projects::ProjectsReport;
use crate::report::style::Style;
use crate::report::trace::TraceReport;
use crate::saved_plan::document::SavedPlan;
use crate::text::pluralize;
use crate::workspace::derived_values;

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
            let keys = keys.iter().map(|key| ExplainedKey::new(key, None));
            let keys: Vec<_> = keys.collect();
            Ok(if json {
                keys_document(&configuration, keys)
            } else {
                let lines = keys
                    .iter()
                    .map(|key| key_text(key, *origin, context.terminal.out));
                lines.collect()
            })
        }
        ConfigCommand::Explain { key, .. } => {
            let configuration = context.load_layers()?;
            let explained = explained_keys(&configuration, key)?;
            Ok(if json {
                keys_document(&configuration, explained)
            } else {
                explanation_text(&explained, context.terminal.out)
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
            SchemaOf::Events => document_schema::<Line>(),
            SchemaOf::Fetch => document_schema::<FetchReport>(),
            SchemaOf::Log => document_schema::<LogReport>(),
            SchemaOf::Matrix => document_schema::<MatrixDocument>(),
            SchemaOf::Plan => document_schema::<SavedPlan>(),
            SchemaOf::Trace => document_schema::<TraceReport>(),
            SchemaOf::Sync => document_schema::<SyncDocument>(),
            SchemaOf::Init => document_schema::<InitReport>(),
            SchemaOf::Update => document_schema::<UpdateReport>(),
            SchemaOf::Validate => document_schema::<ValidateReport>(),
            SchemaOf::Keys => document_schema::<KeysReport>(),
            SchemaOf::Projects => document_schema::<ProjectsReport>(),
            SchemaOf::Doctor => document_schema::<DoctorReport>(),
            SchemaOf::Error => document_schema::<FailureReport>(),
            SchemaOf::Path => document_schema::<PathReport>(),
            SchemaOf::CacheList => document_schema::<CacheDocument<ListedCache>>(),
            SchemaOf::CacheStatus => document_schema::<CacheDocument<CacheState>>(),
            SchemaOf::CacheClear => document_schema::<CacheDocument<ClearedCache>>(),
        })),
        ConfigCommand::Path(_) => {
            let files = context.load_layers()?.files().into_iter();
            let files: Vec<_> = files
                .map(|(layer, path)| ConfigurationFile {
                    layer,
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

/// Explains `key`, or the keys below it. Those whose value is only known during a run are left out
/// beside others.
fn explained_keys(
    configuration: &Configuration,
    key: &str,
) -> Result<Vec<ExplainedKey>, CommandError> {
    let explained = configuration.explain(key).map_err(|problem| {
        let hints = problem.hint.into_iter().collect();
        CommandError::new(exit::USAGE, "usage", problem.message.clone(), hints)
    })?;
    let derived_values = derived_values(configuration);
    let mut keys: Vec<_> = explained
        .iter()
        .map(|key| ExplainedKey::new(key, derived_values.of(&key.path)))
        .collect();
    if keys.len() > 1 {
        let is_known = |derived: &Derived| derived.value.is_some();
        keys.retain(|key| key.value.is_some() || key.derived.as_ref().is_some_and(is_known));
    }
    Ok(keys)
}

/// The JSON document of `show` and `explain`.
fn keys_document(configuration: &Configuration, keys: Vec<ExplainedKey>) -> String {
    to_json(&KeysReport {
        schema_version: REPORT_VERSION,
        root: shown(&configuration.root).to_string(),
        keys,
    })
}

/// The text of `explain`: for each key its value, its meaning and its sources. If it is a single one,
/// also the words that it accepts.
fn explanation_text(keys: &[ExplainedKey], style: Style) -> String {
    let mut text = String::new();
    for key in keys {
        let with_value = key_text(key, true, style);
        let (value, sources) = with_value.split_once('\n').unwrap_or((&with_value, ""));
        let _ = writeln!(text, "{value}");
        if let Some(description) = &key.description {
            let _ = writeln!(text, "  {description}");
        }
        if let [_] = keys {
            for choice in &key.choices {
                let _ = writeln!(text, "    {}: {}", choice.value, choice.description);
            }
        }
        let is_default = key
            .given
            .iter()
            .any(|given| given.counts && given.layer == LayerKind::Defaults);
        if let Some(default) = key.default.as_ref().filter(|_| !is_default) {
            let _ = writeln!(text, "  the default is {}", value_text(default));
        }
        text.push_str(sources);
    }
    text
}

/// The text of a key: its value, and if `origin` is set, one line per layer that has a value for it.
fn key_text(key: &ExplainedKey, origin: bool, style: Style) -> String {
    let mut text = String::new();
    let name = style.strong(escaped(key.key.as_bytes()));
    let derived = key.derived.as_ref();
    let value = match derived.and_then(|derived| derived.value.as_ref()) {
        Some(value) => value_text(&Value::String(value.clone())),
        None => key
            .value
            .as_ref()
            .map_or_else(|| "not set".to_owned(), value_text),
    };
    let _ = writeln!(text, "{name} = {value}");
    if let Some(derived) = derived {
        let label = match derived.value {
            Some(_) => "from",
            None => "used instead:",
        };
        let _ = writeln!(
            text,
            "{}",
            style.faint(format!("  {label} {}", derived.source))
        );
    }

    for given in key.given.iter().filter(|_| origin) {
        let line = if given.counts && derived.is_none_or(|derived| derived.value.is_none()) {
            format!("  from {} ({})", given.origin, given.layer)
        } else {
            let value = value_text(&given.value);
            format!("  overrides {} ({}): {value}", given.origin, given.layer)
        };
        let _ = writeln!(text, "{}", style.faint(line));
    }
    text
}

/// A value as JSON. JSON does not escape all characters that have an effect on a terminal, so they
/// are escaped too.
fn value_text(value: &Value) -> String {
    escaped(value.to_string().as_bytes()).to_string()
}
