//! Output for GitHub Actions: a Markdown table for the step summary, and annotations.

use std::fmt::Write;

use super::ErrorReport;
use crate::config::Direction;
use crate::outcome::{Status, SyncOutcome};

/// The section for `GITHUB_STEP_SUMMARY`: one row per project, then the totals, the branch and the remote.
pub fn summary(outcome: &SyncOutcome) -> String {
    let mut text = String::from("| project | added | modified | deleted | unchanged | result |\n");
    text.push_str("| :-- | --: | --: | --: | --: | :-- |\n");

    for project in &outcome.projects {
        let counts = project.plan.counts();
        let status = match project.outcome.status() {
            Status::Synced => "synced",
            Status::WouldSync => "would sync",
            Status::UpToDate => "up to date",
            Status::Withheld => "withheld",
            Status::Failed => "**failed**",
        };
        let direction = if project.direction == Direction::FromCodex {
            " (from the codex)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| {}{direction} | {} | {} | {} | {} | {status} |",
            project.name, counts.added, counts.modified, counts.deleted, project.plan.unchanged
        );
    }

    let url = outcome.remote.url.to_string();
    let branch = outcome.remote.branch.as_deref().unwrap_or("?");
    let _ = writeln!(
        text,
        "\n{}; `{}` of `{}`\n",
        outcome.totals().by_status(),
        branch.replace('`', "'"),
        url.replace('`', "'")
    );
    text
}

/// Formats a workflow command. `level` is `error` or `warning`; line breaks and `%` in the message are encoded, so that
/// a message cannot start another command.
pub fn annotation(level: &str, message: &str) -> String {
    let message = message
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    format!("::{level} title=fractary-codex::{message}")
}

/// Formats an error as annotations, one per line, each prefixed with `subject` if there is one.
///
/// The message of a configuration error only counts the problems, so each of its causes becomes an annotation instead.
pub fn errors(subject: Option<&str>, error: &ErrorReport) -> String {
    let messages = if error.kind == "configuration" && !error.causes.is_empty() {
        error.causes.as_slice()
    } else {
        std::slice::from_ref(&error.message)
    };
    let prefix = subject
        .map(|subject| format!("{subject}: "))
        .unwrap_or_default();

    messages
        .iter()
        .map(|message| annotation("error", &format!("{prefix}{message}")) + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotation_encodes_line_breaks() {
        assert_eq!(
            annotation("error", "100 %\n::set-x::"),
            "::error title=fractary-codex::100 %25%0A::set-x::"
        );
    }
}
