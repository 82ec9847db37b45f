//! What GitHub Actions reads: a table in Markdown for the step's summary, and annotations.

use std::fmt::Write;

use crate::outcome::{Status, SyncOutcome};
use crate::workspace::Direction;

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
        let from = if project.direction == Direction::FromCodex { " (from the codex)" } else { "" };
        let _ = writeln!(
            text,
            "| {}{from} | {} | {} | {} | {} | {status} |",
            project.name, counts.added, counts.modified, counts.deleted, project.plan.unchanged
        );
    }
    let (url, branch) = (outcome.remote.url.to_string(), outcome.remote.branch.as_deref().unwrap_or("?"));
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
    let message = message.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    format!("::{level} title=fractary-codex::{message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_whatever_is_in_it() {
        assert_eq!(annotation("error", "100 %\n::set-x::"), "::error title=fractary-codex::100 %25%0A::set-x::");
    }
}
