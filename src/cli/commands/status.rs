//! `status`: what a sync would do, a line a project. It is the plan of a dry run, told more briefly,
//! or on a page.

use super::html::Target;
use super::telling::Telling;
use crate::cli::args::StatusArgs;
use crate::cli::failure::{self, Failure};
use crate::cli::load::Context;
use crate::outcome::SyncOutcome;
use crate::sync::{self, SyncRequest, history};
use crate::workspace::select;

/// Runs the command and gives its exit status.
pub(crate) fn run(arguments: &StatusArgs, context: &Context) -> u8 {
    let format = arguments.output.chosen();
    let telling = Telling {
        command: "status",
        format,
        changes: false,
        check: arguments.check,
    };
    let page = arguments
        .html
        .as_ref()
        .map(|file| Target::new(file, format, context))
        .transpose();
    match page {
        Ok(page) => telling.tell(status(arguments, telling, context), page.as_ref(), context),
        Err(failure) => telling.tell(Err(failure), None, context),
    }
}

fn status(
    arguments: &StatusArgs,
    telling: Telling,
    context: &Context,
) -> Result<SyncOutcome, Failure> {
    let (configuration, workspace) = context.load(arguments.env.as_deref(), Vec::new())?;
    let selection = &arguments.selection;
    let projects = select(
        &workspace,
        selection.all,
        &selection.project,
        &context.directory()?,
    )
    .map_err(|error| failure::of_selection(&error))?;
    let reporter = telling.reporter(context);
    let warnings = telling.warnings(&configuration, reporter.as_ref());
    let request = SyncRequest {
        dry_run: true,
        offline: arguments.offline,
        ..context.sync_request(&configuration, &workspace, projects, reporter)
    };
    let mut outcome = sync::sync(&request);
    if arguments.html.is_some() && outcome.failure.is_none() {
        history::add(&request, &mut outcome);
    }
    outcome.warnings.splice(0..0, warnings);
    Ok(outcome)
}
