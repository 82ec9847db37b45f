//! The section of a run in the step summary of GitHub Actions, which is Markdown.

use std::fmt::Write;

use bstr::ByteSlice;

use super::doctor::CheckVerdict;
use super::markdown::{PROJECT_TABLE, code, project_rows};
use super::sync_branches::{self, branches};
use super::{ErrorReport, human};
use crate::markdown::{link, span};
use crate::outcome::{ProjectReport, Status, SyncOutcome};
use crate::paths::escaped;
use crate::text::pluralize;

/// The size in bytes up to which GitHub shows the summary of a step, and above which it shows none
/// of it.
pub(crate) const MAX_SIZE: u64 = 1 << 20;
/// The number of bytes that are kept free for the ends of lists.
const RESERVE: usize = 500;
/// The number of findings in a section.
const MAX_FINDINGS: usize = 50;

/// The command of a section. A job can have several steps, which these values distinguish.
#[derive(Debug, Clone)]
pub(crate) struct StepCommand {
    /// The command line without the program, such as `sync --all`.
    pub(crate) line: String,
    /// The directory from that of the checkout; empty if it is the same.
    pub(crate) directory: String,
    /// The id of the step, if the workflow gives it one.
    pub(crate) step: Option<String>,
}

/// A section that takes up a limited number of bytes.
struct Section {
    text: String,
    room: usize,
    /// The number of lines that did not fit.
    omitted: usize,
}

impl Section {
    fn push(&mut self, addition: &str) -> bool {
        let fits = self.text.len() + addition.len() <= self.room;
        if fits {
            self.text.push_str(addition);
        }
        fits
    }

    /// Appends a list as far as it fits.
    fn push_list(&mut self, title: &str, rows: &[String]) {
        let fits = !rows.is_empty() && self.push(title);
        let shown = match fits {
            true => rows.iter().take_while(|row| self.push(row)).count(),
            false => 0,
        };
        self.omitted += rows.len() - shown;
    }

    /// The text, with the number of the omitted lines.
    fn finish(mut self) -> String {
        if self.omitted > 0 {
            let lines = pluralize(self.omitted, "line");
            let _ = writeln!(
                self.text,
                "\n**Not complete:** {lines} did not fit into the step summary."
            );
        }
        self.text.push('\n');
        self.text
    }
}

/// The section of a run without an outcome, such as one with an invalid configuration.
pub(crate) fn of_failure(command: &StepCommand, error: &ErrorReport) -> String {
    let mut text = heading(command, None, "failed");
    let place = place(command);
    if !place.is_empty() {
        let _ = writeln!(text, "{}\n", place.join(", "));
    }
    text.push_str(&error_text(error));
    text
}

/// The section of a run in at most `room` bytes: its command, codex, branch and result, its `error`,
/// and one row per project. `errors` returns the error of a project.
pub(crate) fn of_run(
    command: &StepCommand,
    outcome: &SyncOutcome,
    error: Option<&ErrorReport>,
    errors: impl Fn(&ProjectReport) -> Option<ErrorReport>,
    room: usize,
) -> String {
    let pages = outcome.remote.forges.of_codex();
    let statuses = outcome.totals().by_status();
    let result = match (error, statuses.is_empty()) {
        (Some(_), true) => "failed".to_owned(),
        (Some(_), false) => format!("failed, {statuses}"),
        (None, true) => "nothing to do".to_owned(),
        (None, false) => statuses,
    };
    let branch = branches(outcome, code);
    let url = outcome.remote.url.to_string();
    let page = pages.as_ref().map(|pages| pages.repository());
    let mut section = Section {
        text: heading(command, branch.as_deref(), &result),
        room: room.saturating_sub(RESERVE),
        omitted: 0,
    };
    let mut facts = vec![format!("Codex {}", link(&url, page))];
    facts.extend(tips(outcome));
    facts.extend(place(command));
    section.push(&format!("{}\n\n", facts.join(", ")));
    if let Some(error) = error {
        section.push(&error_text(error));
    }
    if let Some(selection) = &outcome.selection {
        section.push(&format!("{}\n\n", span(&selection.to_string())));
    }

    push_projects(&mut section, outcome, errors);
    push_findings(&mut section, outcome);
    push_drift(&mut section, outcome);
    let moved = outcome.projects.iter();
    let moved = moved.filter_map(|project| human::moved(project, outcome.dry_run));
    let proposals = outcome.pull_requests.iter().map(sync_branches::proposal);
    let lines = moved.chain(proposals);
    let lines: Vec<_> = lines
        .map(|line| format!("- {}\n", line.replace('`', "'")))
        .collect();
    section.push_list("\n", &lines);
    section.finish()
}

/// The section of `doctor`: the checks, each a subject, a verdict and a report.
pub(crate) fn of_checks<'c>(
    command: &StepCommand,
    checks: impl Iterator<Item = (&'c str, CheckVerdict, &'c ErrorReport)>,
) -> String {
    let mut rows = String::new();
    let (mut failed, mut warned) = (0_usize, 0_usize);
    for (subject, verdict, report) in checks {
        failed += usize::from(verdict == CheckVerdict::Failed);
        warned += usize::from(verdict == CheckVerdict::Warning);
        let word = match verdict {
            CheckVerdict::Failed => "**failed**".to_owned(),
            other => other.word().to_owned(),
        };
        let lines = [&report.message];
        let lines = lines.into_iter().chain(&report.causes).chain(&report.hints);
        let lines: Vec<_> = lines.map(|line| span(line)).collect();
        let _ = writeln!(rows, "| {subject} | {word} | {} |", lines.join("<br>"));
    }
    let result = match (failed, warned) {
        (0, 0) => "ok".to_owned(),
        (0, count) => pluralize(count, "warning"),
        (count, _) => format!("{count} failed"),
    };
    let place = place(command).join(", ");
    let head = "| check | verdict | |\n| :-- | :-- | :-- |\n";
    format!(
        "{}{place}\n\n{head}{rows}\n",
        heading(command, None, &result)
    )
}

fn heading(command: &StepCommand, branch: Option<&str>, result: &str) -> String {
    let line = span(&format!("fractary-codex {}", command.line));
    let branch = branch.map(|branch| format!(", {branch}"));
    format!("### {line}{}: {result}\n\n", branch.unwrap_or_default())
}

/// The step and the directory, if they are not the usual ones.
fn place(command: &StepCommand) -> Vec<String> {
    let step = command
        .step
        .iter()
        .map(|step| format!("step {}", span(step)));
    let directory = Some(&command.directory).filter(|directory| !directory.is_empty());
    let directory = directory.map(|directory| format!("directory {}", span(directory)));
    step.chain(directory).collect()
}

/// The tips of the branch before and after the run, with links.
fn tips(outcome: &SyncOutcome) -> Option<String> {
    let remote = &outcome.remote;
    let pages = outcome.remote.forges.of_codex();
    let shown = |id: crate::object::ObjectId| {
        let page = pages.as_ref().map(|pages| pages.commit(id));
        link(&id.short(), page.as_deref())
    };
    match (remote.before, remote.after) {
        (Some(before), Some(after)) if before != after => {
            Some(format!("{} → {}", shown(before), shown(after)))
        }
        (_, Some(tip)) | (Some(tip), None) => Some(format!("at {}", shown(tip))),
        (None, None) => None,
    }
}

/// The error of a run, with its first causes and its hints.
fn error_text(error: &ErrorReport) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "**Error:** {}\n", span(&error.message));
    for cause in error.causes.iter().take(MAX_FINDINGS) {
        let _ = writeln!(text, "- {}", span(cause));
    }
    let omitted = error.causes.len().saturating_sub(MAX_FINDINGS);
    if omitted > 0 {
        let _ = writeln!(text, "- … and {}", pluralize(omitted, "other cause"));
    }
    for hint in &error.hints {
        let _ = writeln!(text, "- hint: {}", span(hint));
    }
    text.push('\n');
    text
}

/// Appends the table, with the failed and withheld projects first. Those that are up to date are in
/// a table of their own, which is folded.
fn push_projects(
    section: &mut Section,
    outcome: &SyncOutcome,
    errors: impl Fn(&ProjectReport) -> Option<ErrorReport>,
) {
    let pages = outcome.remote.forges.of_codex();
    let status = |project: &&ProjectReport| project.outcome.status();
    let (up_to_date, mut others): (Vec<_>, Vec<_>) = outcome
        .projects
        .iter()
        .partition(|project| status(project) == Status::UpToDate);
    others.sort_by_key(|project| match status(project) {
        Status::Failed => 0,
        Status::Withheld => 1,
        _ => 2,
    });

    let rows = project_rows(others, pages.as_ref(), &errors);
    section.push_list(PROJECT_TABLE, &rows);
    let rows = project_rows(up_to_date, pages.as_ref(), &errors);
    if rows.is_empty() {
        return;
    }
    let projects = pluralize(rows.len(), "project");
    let title = format!("\n<details><summary>{projects} up to date</summary>\n\n{PROJECT_TABLE}");
    let before = section.text.len();
    section.push_list(&title, &rows);
    if section.text.len() > before {
        section.text.push_str("\n</details>\n");
    }
}

/// Appends the findings of all projects, up to [`MAX_FINDINGS`].
fn push_findings(section: &mut Section, outcome: &SyncOutcome) {
    let findings: Vec<_> = outcome.findings().collect();
    let shown = findings
        .iter()
        .take(MAX_FINDINGS)
        .map(|(project, finding)| {
            let finding = finding.to_string().replace('`', "'");
            format!("- {}: `{finding}`\n", project.name)
        });
    let rows = with_rest(shown.collect(), findings.len(), "other finding");
    section.push_list("\n", &rows);
}

/// Appends the files of others that are overwritten, or that withhold their project, up to
/// [`MAX_FINDINGS`].
fn push_drift(section: &mut Section, outcome: &SyncOutcome) {
    let drift: Vec<_> = outcome.drift().collect();
    let shown = drift.iter().take(MAX_FINDINGS).map(|(project, change)| {
        let path = project.in_codex(change.path.as_bstr());
        let change = format!("{} in {}", escaped(&path), change.origin()).replace('`', "'");
        format!("- {}: `{change}`\n", project.name)
    });
    let rows = with_rest(shown.collect(), drift.len(), "other file");
    section.push_list(
        "\nChanged in the codex by others since the last sync:\n\n",
        &rows,
    );
}

/// Adds a row for the entries that are not shown.
fn with_rest(mut shown: Vec<String>, total: usize, noun: &str) -> Vec<String> {
    let rest = total - shown.len();
    if rest > 0 {
        shown.push(format!("- … and {}\n", pluralize(rest, noun)));
    }
    shown
}
