//! One file a command: resolve, call the library, hand to the report.

pub(crate) mod sync;

use std::io::Write;

use super::failure::Failure;
use crate::report::json;

/// Writes a JSON document as a result.
fn to_json(document: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// Writes the document of a run that never began.
pub(crate) fn print_failed_document(failure: Failure) {
    let exit = failure.exit;
    let text = to_json(&json::failed(Some(failure.report), exit));
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
