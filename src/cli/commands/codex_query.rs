//! The end of the commands that read the codex and change nothing: `fetch`, `log` and `trace`.

use super::finish;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::report::query::{QueryReport, QueryResult};

/// Prints the document, or with `text` the result for people, and the errors. Returns the exit status.
pub(super) fn finish_query<R: QueryResult>(
    report: Result<QueryReport<R>, CommandError>,
    json: bool,
    context: &Context,
    text: impl FnOnce(&R) -> String,
) -> u8 {
    let terminal = &context.terminal;
    let report = match report {
        Ok(report) => report,
        Err(error) if json => {
            terminal.annotate(None, &error.report);
            QueryReport::failed(error.report, error.exit)
        }
        Err(error) => return finish(Err(error), false, context),
    };

    for error in report.result.failures() {
        match json {
            true => terminal.annotate(None, error),
            false => terminal.error(None, error),
        }
    }
    terminal.result(&match json {
        true => report.json(),
        false => text(&report.result),
    });
    report.exit_code
}
