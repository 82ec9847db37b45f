//! The commands, one file each. A command resolves its arguments, calls the library, and writes the
//! result.

mod artifact;
pub(crate) mod cache;
mod codex_query;
pub(crate) mod completions;
pub(crate) mod config;
mod config_check;
mod config_update;
pub(crate) mod doctor;
mod document_schema;
mod document_target;
pub(crate) mod fetch;
pub(crate) mod init;
pub(crate) mod log;
pub(crate) mod man;
#[cfg(feature = "mcp")]
pub(crate) mod mcp;
pub(crate) mod plan;
mod project_selection;
pub(crate) mod projects;
pub(crate) mod retire;
mod run_output;
pub(crate) mod status;
pub(crate) mod sync;
mod sync_plan;
pub(crate) mod trace;
#[cfg(not(feature = "mcp"))]
pub(crate) mod without_mcp;

#[cfg(not(feature = "mcp"))]
pub(crate) use without_mcp as mcp;

use std::io::{self, Write};
use std::path::Path;

use super::args::Format;
use super::command_error::CommandError;
use super::context::Context;
use super::exit;
use crate::platform;
use crate::report::configuration::{FailureReport, REPORT_VERSION};
use crate::report::fetch::FetchReport;
use crate::report::json::{self, SyncDocument};
use crate::report::log::LogReport;
use crate::report::ndjson::{Line, ResultTag, line};
use crate::report::trace::TraceReport;

/// Prints the result or the error of a command, and returns the exit status.
fn finish(result: Result<String, CommandError>, json: bool, context: &Context) -> u8 {
    match result {
        Ok(text) => {
            context.terminal.result(&text);
            exit::DONE
        }
        Err(error) => {
            if json {
                context.terminal.annotate(None, &error.report);
                context.terminal.result(&error_document(&error));
            } else {
                context.terminal.error(None, &error.report);
            }
            error.exit
        }
    }
}

/// Replaces the file at `path` atomically. It keeps the permissions of the replaced file; a new
/// file gets the default permissions.
fn write_whole(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = temporary_file(path)?;
    if let Ok(replaced) = path.metadata() {
        file.as_file().set_permissions(replaced.permissions())?;
    }
    file.write_all(contents)?;
    file.persist(path)?;
    Ok(())
}

/// A new file in the directory of `path`, which is removed unless it replaces `path`.
fn temporary_file(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    platform::as_a_new_file(&mut tempfile::Builder::new())
        .prefix(".fractary-codex-")
        .tempfile_in(path.parent().unwrap_or(Path::new("/")))
}

/// Serializes a JSON document, indented and with a final line break.
fn to_json(document: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// Serializes the document of a run in a format for programs.
fn document_text(document: SyncDocument, format: Format) -> String {
    match format {
        Format::Ndjson => line(&Line::Result {
            event: ResultTag::Result,
            document: Box::new(document),
        }),
        Format::Human | Format::Json => to_json(&document),
    }
}

/// The JSON document for the failure of a command that has no [`SyncDocument`].
fn error_document(error: &CommandError) -> String {
    to_json(&FailureReport {
        schema_version: REPORT_VERSION,
        error: error.report.clone(),
        exit_code: error.exit,
    })
}

/// The JSON document for a command line that could not be parsed, in the form that `command` has
/// for its failures.
pub(crate) fn usage_error_document(
    error: CommandError,
    command: Option<&str>,
    format: Format,
) -> String {
    let command = match command {
        Some("sync") => "sync",
        Some("status") => "status",
        Some("retire") => "retire",
        Some("rename") => "rename",
        Some("log") => return LogReport::failed(error.report, error.exit).json(),
        Some("trace") => return TraceReport::failed(error.report, error.exit).json(),
        Some("fetch") => return FetchReport::failed(error.report, error.exit).json(),
        _ => return error_document(&error),
    };
    let exit = error.exit;
    let document = SyncDocument {
        command,
        ..json::failed(Some(error.report), exit)
    };
    document_text(document, format)
}
