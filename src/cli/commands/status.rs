//! `status`: what a sync would do, a line a project. It is the plan of a dry run, told more briefly; on request as a page.

use std::path::Path;

use super::super::args::StatusArgs;
use super::super::failure::{self, Failure, exit, first_exit};
use super::super::load::Context;
use super::telling::Telling;
use super::write_whole;
use crate::outcome::SyncOutcome;
use crate::report::page::{History, page};
use crate::sync::{self, SyncRequest};
use crate::workspace::select;

/// Runs the command and gives its exit status.
pub(crate) fn run(arguments: &StatusArgs, context: &Context) -> u8 {
    let telling =
        Telling { command: "status", format: arguments.output.chosen(), changes: false, check: arguments.check };
    match status(arguments, telling, context) {
        Ok((outcome, page)) => {
            let status = telling.tell(Ok(outcome), context);
            match arguments.html.as_deref().zip(page).map(|(file, page)| write(file, &page)) {
                Some(Err(failure)) => {
                    context.terminal.error(None, &failure.report);
                    first_exit([status, failure.exit].into_iter())
                }
                _ => status,
            }
        }
        Err(failure) => telling.tell(Err(failure), context),
    }
}

/// The plan, and the page where one is wanted.
fn status(
    arguments: &StatusArgs,
    telling: Telling,
    context: &Context,
) -> Result<(SyncOutcome, Option<String>), Failure> {
    let (configuration, workspace) = context.load(arguments.env.as_deref(), Vec::new())?;
    let selection = &arguments.selection;
    let projects = select::select(&workspace, selection.all, &selection.project, &context.directory()?)
        .map_err(|error| failure::of_selection(&error))?;
    let reporter = telling.reporter(context);
    let warnings = telling.warnings(&configuration, reporter.as_ref());
    let request = SyncRequest {
        dry_run: true,
        offline: arguments.offline,
        ..context.sync_request(&configuration, &workspace, projects, reporter)
    };
    let mut outcome = sync::sync(&request);
    outcome.warnings.splice(0..0, warnings);
    let page = arguments.html.is_some().then(|| {
        let (document, _) = telling.describe(&outcome, context);
        page(&document, &history(&request, &outcome), request.now)
    });
    Ok((outcome, page))
}

/// When each project was last synced, where that can be asked.
fn history(request: &SyncRequest<'_>, outcome: &SyncOutcome) -> History {
    if request.offline {
        return History::Unknown("`--offline` asks nobody".to_owned());
    }
    if outcome.failure.is_some() {
        return History::Unknown("the codex could not be read".to_owned());
    }
    sync::last_syncs(request).map_or_else(|error| History::Unknown(error.to_string()), History::Known)
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    write_whole(file, text).map_err(|error| {
        let hint = "name a file in a directory that is there and can be written".to_owned();
        Failure::new(exit::USAGE, "usage", format!("cannot write `{}`: {error}", file.display()), vec![hint])
    })
}
