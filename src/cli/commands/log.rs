//! `log`: the syncs that the history of the codex records.

use super::codex_query::finish_query;
use super::run_output::RunOutput;
use crate::cli::args::LogArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::config::problem::closest;
use crate::forge::web_page::KnownForges;
use crate::glob::{Glob, is_pattern};
use crate::report::json::WarningDocument;
use crate::report::log::{LogReport, LogResult, LoggedSyncDocument};
use crate::report::query::QueriedCodex;
use crate::sync::sync_log::{self, LogQuery, SyncLog};
use crate::workspace::{SelectError, Workspace};

/// Runs the command and returns the exit status.
pub(crate) fn run(arguments: &LogArgs, context: &Context) -> u8 {
    let report = report(arguments, context);
    finish_query(report, arguments.output.is_json(), context, |log| {
        log.table(context.terminal.width)
    })
}

fn report(arguments: &LogArgs, context: &Context) -> Result<LogReport, CommandError> {
    let (configuration, workspace) = context.load(arguments.env.as_deref(), Vec::new())?;
    let globs = arguments.project.iter().map(|name| Glob::new(name));
    let globs = globs
        .collect::<Result<_, _>>()
        .map_err(|error| CommandError::from(&SelectError::BadPattern(error.to_string())))?;
    let query = LogQuery {
        projects: globs,
        limit: arguments.limit,
    };

    let output = RunOutput::of_query("log", arguments.output.is_json());
    let reporter = output.reporter(context);
    let mut warnings = output.warnings(&configuration, Vec::new(), reporter.as_ref());
    let request = context.sync_request(&configuration, &workspace, Vec::new(), reporter);
    let log = sync_log::read(&request, &query).map_err(|error| CommandError::from(&error))?;
    warnings.extend(log.warnings.iter().cloned());
    // Removes progress bars before anything is printed.
    drop(request);
    check_names(&query, &log, &workspace)?;

    let forges = KnownForges::new(&workspace, configuration.environment());
    let syncs = log.syncs.iter();
    let codex = QueriedCodex::new(&workspace, Some(&log.branch), log.tip);
    let result = LogResult {
        syncs: syncs
            .map(|sync| LoggedSyncDocument::new(sync, &forges))
            .collect(),
        has_older: log.has_older,
    };
    Ok(LogReport {
        warnings: warnings.iter().map(WarningDocument::new).collect(),
        ..LogReport::new(codex, result)
    })
}

/// Rejects a name that neither the configuration nor the listed syncs have. If older syncs were not
/// read, they may have it.
fn check_names(query: &LogQuery, log: &SyncLog, workspace: &Workspace) -> Result<(), CommandError> {
    let configured = workspace.projects.iter().map(|one| one.name.to_string());
    let synced = log.syncs.iter().map(|sync| sync.trailers.project.clone());
    let mut known: Vec<_> = configured.chain(synced).collect();
    known.sort();
    known.dedup();
    let is_unknown = |glob: &&Glob| !known.iter().any(|name| glob.matches(name.as_bytes()));
    let Some(unknown) = query
        .projects
        .iter()
        .find(is_unknown)
        .filter(|_| !log.has_older)
    else {
        return Ok(());
    };
    let name = unknown.pattern().to_owned();
    let error = match is_pattern(&name) {
        true => SelectError::NoMatch {
            pattern: name,
            known,
        },
        false => SelectError::Unknown {
            close: closest(&name, known.iter().map(String::as_str)).map(str::to_owned),
            name,
            known,
        },
    };
    Err(CommandError::from(&error))
}
