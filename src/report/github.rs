//! What GitHub Actions reads: a table in Markdown for the step's summary, and annotations.

use std::fmt::Write;

use super::ErrorReport;
use crate::config::Direction;
use crate::outcome::{Status, SyncOutcome};

/// The table, and what was pushed where.
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
        let from = if project.direction == Direction::FromCodex {
            " (from the codex)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| {}{from} | {} | {} | {} | {} | {status} |",
            project.name, counts.added, counts.modified, counts.deleted, project.plan.unchanged
        );
    }
    let (url, branch) = (
        outcome.remote.url.to_string(),
        outcome.remote.branch.as_deref().unwrap_or("?"),
    );
    let _ = writeln!(
        text,
        "\n{}; `{}` of `{}`\n",
        outcome.totals().by_status(),
        branch.replace('`', "'"),
        url.replace('`', "'")
    );
    text
}

/// A workflow command: `level` is `error` or `warning`.
pub fn annotation(level: &str, message: &str) -> String {
    let message = message
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    format!("::{level} title=fractary-codex::{message}")
}

/// An error as annotations, a line each. Mistakes of a configuration are only counted in its message: each is one.
pub fn errors(about: Option<&str>, error: &ErrorReport) -> String {
    let mistakes = if error.kind == "configuration" {
        error.causes.as_slice()
    } else {
        &[]
    };
    let messages = if mistakes.is_empty() {
        std::slice::from_ref(&error.message)
    } else {
        mistakes
    };
    let about = about.map(|about| format!("{about}: ")).unwrap_or_default();
    messages
        .iter()
        .map(|message| annotation("error", &format!("{about}{message}")) + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_whatever_is_in_it() {
        assert_eq!(
            annotation("error", "100 %\n::set-x::"),
            "::error title=fractary-codex::100 %25%0A::set-x::"
        );
    }
}
