//! A saved plan as Markdown, for a comment on a pull request.

use std::fmt::Write;

use bstr::ByteSlice;

use super::ErrorReport;
use super::markdown::{PROJECT_TABLE, code, project_rows};
use super::sync_branches::branches;
use crate::markdown::{push_list, push_within, span};
use crate::outcome::{ProjectReport, SyncOutcome};
use crate::paths::escaped;
use crate::text::pluralize;

/// The maximum number of characters of a comment on GitHub. The other forges allow more.
const MAX_LENGTH: usize = 65_536;
/// The number of characters that are kept free for the note about missing lines.
const RESERVE: usize = 300;

/// Formats the plan. `errors` returns the error of a project.
pub(crate) fn plan_comment(
    outcome: &SyncOutcome,
    errors: impl Fn(&ProjectReport) -> Option<ErrorReport>,
) -> String {
    let room = MAX_LENGTH - RESERVE;
    let mut text = String::from("### Plan of `fractary-codex sync`\n\n");
    if let Some(selection) = &outcome.selection {
        let _ = writeln!(text, "{}\n", span(&selection.to_string()));
    }
    if outcome.projects.is_empty() {
        text.push_str("Nothing to do.\n");
        return text;
    }
    let branch = branches(outcome, code).unwrap_or_else(|| code("?"));
    let _ = writeln!(
        text,
        "{}; {branch} of {}",
        outcome.totals().by_status(),
        span(&outcome.remote.url.to_string())
    );
    if let Some(id) = outcome.plan_id {
        let _ = writeln!(text, "\nPlan id: `{id}`\n");
    }

    let rows = project_rows(&outcome.projects, None, errors).into_iter();
    let mut missing = push_list(&mut text, PROJECT_TABLE, rows, room);
    let item =
        |project: &ProjectReport, line: &str| format!("- {}: {}\n", project.name, span(line));
    let findings: Vec<_> = outcome.findings().collect();
    let findings = findings.into_iter();
    let findings = findings.map(|(project, finding)| item(project, &finding.to_string()));
    missing += push_list(&mut text, "\nFindings of the checks:\n\n", findings, room);
    let drift: Vec<_> = outcome.drift().collect();
    let drift = drift.into_iter().map(|(project, change)| {
        let path = project.in_codex(change.path.as_bstr());
        item(
            project,
            &format!("{} in {}", escaped(&path), change.origin()),
        )
    });
    let title = "\nChanged in the codex by others since the last sync:\n\n";
    missing += push_list(&mut text, title, drift, room);
    for project in &outcome.projects {
        missing += push_changes(&mut text, project, room);
    }

    if missing > 0 {
        let lines = pluralize(missing, "line");
        let _ = writeln!(
            text,
            "\n**Not complete:** {lines} of the plan did not fit into {MAX_LENGTH} characters. `fractary-codex plan show FILE -v` shows all of it."
        );
    }
    text
}

/// Appends the folded list of the changes of a project, as far as it fits. Returns the number of
/// the missing ones.
fn push_changes(text: &mut String, project: &ProjectReport, room: usize) -> usize {
    const END: &str = "\n</details>\n";
    let changes = project.changes();
    let summary = format!(
        "\n<details><summary>{}: {}</summary>\n\n",
        project.name,
        pluralize(changes.len(), "change")
    );
    let lines = changes.iter().map(|change| {
        let path = project.in_codex(change.path.as_bstr());
        format!(
            "- {} {}\n",
            change.op.name(),
            span(&escaped(&path).to_string())
        )
    });

    let before = text.len();
    let missing = push_list(text, &summary, lines, room.saturating_sub(END.len()));
    if text.len() > before {
        push_within(text, END, room + RESERVE / 2);
    }
    missing
}
