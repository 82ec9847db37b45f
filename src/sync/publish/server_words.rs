//! Shows the server's messages to pushes that do not end in an error.

use std::time::Duration;

use super::push::Setback;
use crate::event::Event;
use crate::outcome::{SyncError, Warning};
use crate::sync::request::SyncRequest;

/// The start of GitHub's message to a push that it accepted although a rule forbids it.
const BYPASSED: &str = "Bypassed rule violations";

/// Shows the server's message to a push that does not end in an error.
pub(super) fn quote(request: &SyncRequest<'_>, lines: &[String]) {
    if !lines.is_empty() {
        let lines = lines.to_vec();
        request.reporter.event(&Event::ServerWords { lines });
    }
}

/// The line of the server's message that says that it accepted a push although a rule of the branch
/// forbids it.
pub(super) fn line_about_bypassed_rules(words: &[String]) -> Option<&str> {
    let line = words.iter().find(|line| line.contains(BYPASSED))?;
    Some(line.trim())
}

/// Warns that the server accepted a push although a rule of the branch forbids it.
pub(super) fn warn_of_bypassed_rules(
    request: &SyncRequest<'_>,
    line: &str,
    warnings: &mut Vec<Warning>,
) {
    let message = format!(
        "the credentials bypass rules of the branch, so nothing that they push is reviewed: {line}"
    );
    if warnings.iter().all(|warning| warning.message != message) {
        request.warn(warnings, None, message);
    }
}

/// Waits before the next attempt. If a signal ends the run instead, the server's message to the
/// last attempt is shown.
pub(super) fn wait_to_retry(
    request: &SyncRequest<'_>,
    attempts: u32,
    setback: &Setback,
    delay: Duration,
) -> Result<(), SyncError> {
    request.reporter.event(&Event::Retrying {
        attempt: attempts,
        of: request.workspace.retries.saturating_add(1),
        reason: setback.reason(),
        delay,
    });
    request
        .interrupt
        .wait(delay)
        .inspect_err(|_| quote(request, &setback.words()))?;
    Ok(())
}
