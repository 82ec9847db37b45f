//! `status`: what a sync would do, a line a project. It is the plan of a dry run, told more briefly.

use super::super::args::StatusArgs;
use super::super::failure::{self, Failure};
use super::super::load::Context;
use super::telling::Telling;
use crate::outcome::SyncOutcome;
use crate::sync::{self, SyncRequest};
use crate::workspace::select;

/// Runs the command and gives its exit status.
pub(crate) fn run(arguments: &StatusArgs, context: &Context) -> u8 {
    let telling =
        Telling { command: "status", format: arguments.output.chosen(), changes: false, check: arguments.check };
    telling.tell(status(arguments, telling, context), context)
}

fn status(arguments: &StatusArgs, telling: Telling, context: &Context) -> Result<SyncOutcome, Failure> {
    let (configuration, workspace) = context.load(arguments.env.as_deref(), Vec::new())?;
    let selection = &arguments.selection;
    let projects = select::select(&workspace, selection.all, &selection.project, &context.directory()?)
        .map_err(|error| failure::of_selection(&error))?;
    let reporter = telling.reporter(context);
    let warnings = telling.warnings(&configuration, reporter.as_ref());
    let mut outcome = sync::sync(&SyncRequest {
        dry_run: true,
        offline: arguments.offline,
        ..context.sync_request(&configuration, &workspace, projects, reporter)
    });
    outcome.warnings.splice(0..0, warnings);
    Ok(outcome)
}
