//! The parts that the Markdown texts about a run have in common.

use crate::config::Direction;
use crate::forge::web_page::WebPages;
use crate::markdown::link;
use crate::outcome::{ProjectReport, Status};
use crate::report::ErrorReport;

/// The head of the table with one row per project.
pub(super) const PROJECT_TABLE: &str =
    "| project | added | modified | deleted | unchanged | result |
| :-- | --: | --: | --: | --: | :-- |
";

/// The rows of these projects, each with its line break. `errors` returns the error of a project.
pub(super) fn project_rows<'p>(
    projects: impl IntoIterator<Item = &'p ProjectReport>,
    pages: Option<&WebPages>,
    errors: impl Fn(&ProjectReport) -> Option<ErrorReport>,
) -> Vec<String> {
    let row = |project: &ProjectReport| {
        let [added, modified, deleted, unchanged] = match project.counts() {
            Some(counts) => counts.map(|count| count.to_string()),
            None => ["-"; 4].map(str::to_owned),
        };
        let status = match project.outcome.status() {
            Status::Synced => "synced",
            Status::Proposed => "proposed",
            Status::WouldSync => "would sync",
            Status::UpToDate => "up to date",
            Status::Withheld => "withheld",
            Status::Failed => "**failed**",
        };
        let commit = project.outcome.commit().map(|id| {
            let page = pages.map(|pages| pages.commit(id));
            format!(" {}", link(&id.short(), page.as_deref()))
        });
        let commit = commit.unwrap_or_default();
        let reason = errors(project)
            .map(|error| format!(": {}", code_in_cell(&error.message)))
            .unwrap_or_default();
        let direction = if project.direction == Direction::FromCodex {
            " (from the codex)"
        } else {
            ""
        };
        format!(
            "| {}{direction} | {added} | {modified} | {deleted} | {unchanged} | {status}{commit}{reason} |\n",
            project.name
        )
    };
    projects.into_iter().map(row).collect()
}

/// A text as a code span.
pub(super) fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// Formats text as code in a cell of a table, so that nothing in it is Markdown.
fn code_in_cell(text: &str) -> String {
    code(&text.replace('|', "\\|"))
}
