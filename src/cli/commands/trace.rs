//! `trace`: where files of the codex come from.

use super::codex_query::finish_query;
use super::run_output::RunOutput;
use crate::cli::args::TraceArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::forge::web_page::KnownForges;
use crate::masked_urls::mask_urls;
use crate::report::json::WarningDocument;
use crate::report::query::QueriedCodex;
use crate::report::trace::{TraceFailure, TraceReport, TraceResult, TracedFileDocument};
use crate::sync::trace::{TraceTarget, trace};

/// Runs the command and returns the exit status.
pub(crate) fn run(arguments: &TraceArgs, context: &Context) -> u8 {
    let report = report(arguments, context);
    finish_query(report, arguments.output.is_json(), context, |trace| {
        trace.text(context.terminal.out, context.now())
    })
}

fn report(arguments: &TraceArgs, context: &Context) -> Result<TraceReport, CommandError> {
    let (configuration, workspace) = context.load(arguments.env.as_deref(), Vec::new())?;
    let directory = context.directory()?;
    let paths = arguments.paths.iter();
    let targets = paths.map(|path| TraceTarget::new(path, &directory, &configuration, &workspace));
    let targets = targets.collect::<Result<Vec<_>, _>>();
    let targets = targets.map_err(|error| CommandError::from(&error))?;

    let output = RunOutput::of_query("trace", arguments.output.is_json());
    let reporter = output.reporter(context);
    let warnings = output.warnings(&configuration, Vec::new(), reporter.as_ref());
    let request = context.sync_request(&configuration, &workspace, Vec::new(), reporter);
    let outcome = trace(&request, &targets).map_err(|error| CommandError::from(&error))?;
    // Removes progress bars before anything is printed.
    drop(request);

    let failures = outcome.failures.iter().map(|(argument, error)| {
        let error = CommandError::from(error);
        let failure = TraceFailure {
            argument: mask_urls(argument).into_owned(),
            error: error.report,
        };
        (failure, error.exit)
    });
    let (failures, exits): (Vec<_>, Vec<_>) = failures.unzip();
    let forges = KnownForges::new(&workspace, configuration.environment());
    let files = outcome.files.iter().zip(std::iter::repeat(outcome.tip));
    let files = files
        .filter_map(|(file, tip)| Some(TracedFileDocument::new(file, tip?, &workspace, &forges)));
    let codex = QueriedCodex::new(&workspace, Some(&outcome.branch), outcome.tip);
    let result = TraceResult {
        files: files.collect(),
        failures,
    };
    Ok(TraceReport {
        warnings: warnings.iter().map(WarningDocument::new).collect(),
        exit_code: exit::first(exits),
        ..TraceReport::new(codex, result)
    })
}
