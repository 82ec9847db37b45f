//! The check of a configuration file before it is written.

use std::path::Path;

use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::config::{Location, Problem, Problems};
use crate::paths::shown;

/// The greatest number of errors in a message.
const LISTED: usize = 5;

/// The errors that the configuration has with the text `new` for the file at `path`, but not with the
/// text `old`.
pub(super) fn new_errors(
    context: &Context,
    path: &Path,
    old: &str,
    new: &str,
) -> Result<Vec<Problem>, CommandError> {
    let errors_with = |text: &str| -> Result<Vec<Problem>, CommandError> {
        let loaded = context.try_load_text(path, text)?;
        Ok(loaded.err().map(Problems::into_vec).unwrap_or_default())
    };
    let known = errors_with(old)?;
    let mut errors = errors_with(new)?;
    errors.retain(|error| {
        let is_same = |one: &Problem| one.message == error.message && one.key == error.key;
        !known.iter().any(is_same)
    });
    Ok(errors)
}

/// The error for a file that is not written because of `errors`. `done` is what has not been done, such
/// as "changed".
pub(super) fn rejected(path: &Path, done: &str, errors: Vec<Problem>) -> CommandError {
    // The file does not have the text of the errors, so its lines are not shown.
    let text = |error: &Problem| match error.origin.as_ref().map(|at| &at.source.location) {
        Some(Location::File(file)) if file != path => error.to_string(),
        _ => error.message.clone(),
    };
    let messages: Vec<String> = errors.iter().map(text).collect();
    let hints = errors.first().and_then(|error| error.hint.clone());
    let message = match &*messages {
        [only] => format!("`{}` is not {done}: {only}", shown(path)),
        several => format!(
            "`{}` is not {done}: it would have {} errors",
            shown(path),
            several.len()
        ),
    };
    let mut error = CommandError::new(
        exit::CONFIGURATION,
        "configuration",
        message,
        hints.into_iter().collect(),
    );
    if messages.len() > 1 {
        error.report.causes = messages.into_iter().take(LISTED).collect();
    }
    error
}
