//! One file a command: resolve, call the library, hand to the report.

pub(crate) mod cache;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod generated;
mod html;
pub(crate) mod init;
pub(crate) mod projects;
pub(crate) mod status;
pub(crate) mod sync;
mod telling;

use std::io::{self, Write};
use std::path::Path;

use super::args::Format;
use super::failure::{Failure, exit};
use super::load::Context;
use crate::platform;
use crate::report::json::{self, SyncDocument};
use crate::report::ndjson::{Line, ResultTag, line};

/// Prints a result, or the error that came instead, and gives the exit status.
fn finish(result: Result<String, Failure>, json: bool, context: &Context) -> u8 {
    match result {
        Ok(text) => {
            context.terminal.result(&text);
            exit::DONE
        }
        Err(failure) => {
            if json {
                context.terminal.annotate(None, &failure.report);
                context.terminal.result(&error_document(&failure));
            } else {
                context.terminal.error(None, &failure.report);
            }
            failure.exit
        }
    }
}

/// Puts a file of the user's at `path`, whole or not at all, with the permissions of the file that it replaces, else
/// those that new files of the user have.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".fractary-codex-")
        .permissions(platform::permissions_of_a_new_file())
        .tempfile_in(path.parent().unwrap_or(Path::new("/")))?;
    if let Ok(replaced) = path.metadata() {
        file.as_file().set_permissions(replaced.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// Writes a JSON document as a result.
fn to_json(document: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// A document of a run, as a format for machines has it.
fn in_format(document: SyncDocument, format: Format) -> String {
    match format {
        Format::Ndjson => line(&Line::Result {
            event: ResultTag::Result,
            document: Box::new(document),
        }),
        Format::Human | Format::Json => to_json(&document),
    }
}

/// The document of a command that is no run and failed.
fn error_document(failure: &Failure) -> String {
    to_json(
        &serde_json::json!({ "schema_version": 1, "error": failure.report, "exit_code": failure.exit }),
    )
}

/// The document of a command line that could not be read, as `command` would have written it.
pub(crate) fn unread_document(failure: Failure, command: Option<&str>, format: Format) -> String {
    match ["sync", "status"]
        .into_iter()
        .find(|run| command == Some(run))
    {
        Some(command) => {
            let exit = failure.exit;
            in_format(
                SyncDocument {
                    command,
                    ..json::failed(Some(failure.report), exit)
                },
                format,
            )
        }
        None => error_document(&failure),
    }
}
