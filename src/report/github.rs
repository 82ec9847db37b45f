//! Output for GitHub Actions: a Markdown table for the step summary, and annotations.

use std::borrow::Cow;
use std::fmt::Write;

use bstr::ByteSlice;

use super::markdown::{PROJECT_TABLE, code, project_rows};
use super::sync_branches::{self, branches};
use super::{ErrorReport, human};
use crate::checks::{Finding, Severity};
use crate::markdown::span;
use crate::object::ObjectId;
use crate::outcome::{ProjectReport, Pushed, Status, SyncOutcome};
use crate::paths::escaped;
use crate::text::pluralize;

/// The number of findings in a summary, which has a maximum length.
const MAX_FINDINGS: usize = 50;

/// The section for `GITHUB_STEP_SUMMARY` of a run without an outcome, such as one with an invalid
/// configuration: the heading, and the error.
pub(crate) fn failure_summary(command: &str, error: &ErrorReport) -> String {
    let mut text = heading(command);
    write_error(&mut text, error);
    text
}

/// The section for `GITHUB_STEP_SUMMARY`: the heading, the `error` of the run, one row per project,
/// then the totals, the branch and the remote. `errors` returns the error of a project.
pub(crate) fn summary(
    command: &str,
    outcome: &SyncOutcome,
    error: Option<&ErrorReport>,
    errors: impl Fn(&ProjectReport) -> Option<ErrorReport>,
) -> String {
    let mut text = heading(command);
    if let Some(error) = error {
        write_error(&mut text, error);
    }
    if let Some(selection) = &outcome.selection {
        let _ = writeln!(text, "{}\n", code(&selection.to_string()));
    }
    text.push_str(PROJECT_TABLE);
    for row in project_rows(outcome, errors) {
        text.push_str(&row);
    }

    write_findings(&mut text, outcome);
    write_drift(&mut text, outcome);
    let url = outcome.remote.url.to_string();
    let branch = branches(outcome, code).unwrap_or_else(|| code("?"));
    let _ = writeln!(
        text,
        "\n{}; {branch} of `{}`\n",
        outcome.totals().by_status(),
        url.replace('`', "'")
    );
    for project in &outcome.projects {
        if let Some(line) = human::moved(project, outcome.dry_run) {
            let _ = writeln!(text, "- {}", line.replace('`', "'"));
        }
    }
    for proposal in &outcome.pull_requests {
        let line = sync_branches::proposal(proposal);
        let _ = writeln!(text, "- {}", line.replace('`', "'"));
    }
    text
}

fn heading(command: &str) -> String {
    format!("### `fractary-codex {command}`\n\n")
}

/// Writes the error of a run, with its first causes and its hints.
fn write_error(text: &mut String, error: &ErrorReport) {
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
}

/// The outputs of a step, each a name and its value. A run without a pull request has no
/// `pull-request-url`.
pub(crate) fn step_outputs(
    outcome: Option<&SyncOutcome>,
    has_failed: bool,
) -> Vec<(&'static str, String)> {
    let is_change = |project: &ProjectReport| {
        matches!(
            project.outcome.status(),
            Status::Synced | Status::Proposed | Status::WouldSync
        )
    };
    let changed = outcome.is_some_and(|outcome| outcome.projects.iter().any(is_change));
    let pushed = match outcome.map(|outcome| outcome.pushed) {
        Some(Pushed::Verified) => "true",
        Some(Pushed::Unknown) => "unknown",
        Some(Pushed::No) | None => "false",
    };
    let tip = outcome.and_then(|outcome| match outcome.remote.sync_branches.as_slice() {
        [only] => only.after,
        _ => outcome.remote.after,
    });
    let plan_id = outcome.and_then(|outcome| outcome.plan_id);
    let mut proposals = outcome
        .into_iter()
        .flat_map(|outcome| &outcome.pull_requests);
    let url = proposals.find_map(|one| one.url.clone());

    let text = |id: Option<ObjectId>| id.map(|id| id.to_string()).unwrap_or_default();
    let mut outputs = vec![
        ("changed", changed.to_string()),
        ("pushed", pushed.to_owned()),
        ("tip", text(tip)),
        ("plan-id", text(plan_id)),
        ("failed", has_failed.to_string()),
    ];
    outputs.extend(url.map(|url| ("pull-request-url", url)));
    outputs
}

/// Lists the files of others that are overwritten, or that withhold their project, up to
/// [`MAX_FINDINGS`].
fn write_drift(text: &mut String, outcome: &SyncOutcome) {
    let drift: Vec<_> = outcome.drift().collect();
    if drift.is_empty() {
        return;
    }
    text.push_str("\nChanged in the codex by others since the last sync:\n\n");
    for (project, change) in drift.iter().take(MAX_FINDINGS) {
        let path = project.in_codex(change.path.as_bstr());
        let change = format!("{} in {}", escaped(&path), change.origin()).replace('`', "'");
        let _ = writeln!(text, "- {}: `{change}`", project.name);
    }
    let omitted = drift.len().saturating_sub(MAX_FINDINGS);
    if omitted > 0 {
        let _ = writeln!(text, "- … and {}", pluralize(omitted, "other file"));
    }
}

/// Lists the findings of all projects, up to [`MAX_FINDINGS`].
fn write_findings(text: &mut String, outcome: &SyncOutcome) {
    let findings: Vec<_> = outcome.findings().collect();
    if findings.is_empty() {
        return;
    }

    text.push('\n');
    for (project, finding) in findings.iter().take(MAX_FINDINGS) {
        let finding = finding.to_string().replace('`', "'");
        let _ = writeln!(text, "- {}: `{finding}`", project.name);
    }
    let omitted = findings.len().saturating_sub(MAX_FINDINGS);
    if omitted > 0 {
        let _ = writeln!(text, "- … and {}", pluralize(omitted, "other finding"));
    }
}

/// Makes workflow commands in `output` ineffective, so that file names, contents and messages of
/// the server cannot control the runner. It reads `::` at the start of a line (after white space)
/// and `##[` anywhere as a command, and also treats `\r` as the end of a line.
///
/// One character of each command is replaced by its JSON escape, so that the value of a JSON
/// document stays the same.
pub(crate) fn without_commands(output: &[u8]) -> Cow<'_, [u8]> {
    if !output.contains_str("::") && !output.contains_str("##[") {
        return Cow::Borrowed(output);
    }

    let mut harmless = Vec::with_capacity(output.len() + 8);
    for line in output.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let start = line.trim_start_with(|c| c.is_whitespace() || c == '\u{feff}');
        let (space, mut rest) = line.split_at(line.len() - start.len());
        harmless.extend_from_slice(space);
        if rest.starts_with(b"::") {
            harmless.extend_from_slice(b"\\u003a");
            rest = &rest[1..];
        }
        harmless.extend_from_slice(&rest.replace("##[", "#\\u0023["));
    }
    Cow::Owned(harmless)
}

/// Formats a workflow command. `level` is `error` or `warning`; line breaks and `%` in the message
/// are encoded, so that a message cannot start another command.
pub(crate) fn annotation(level: &str, message: &str) -> String {
    annotation_at(level, "", message)
}

/// The same, with the properties of a place in a file, each followed by a comma.
fn annotation_at(level: &str, place: &str, message: &str) -> String {
    let message = message
        .replace("##[", "#\\u0023[")
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    format!("::{level} {place}title=fractary-codex::{message}")
}

/// Encodes the value of a property of a workflow command.
fn property(value: &str) -> String {
    let value = value.replace('%', "%25").replace("##[", "#%23[");
    value.replace(':', "%3A").replace(',', "%2C")
}

/// Formats a finding as an annotation of its line, prefixed with the name of its project.
pub(crate) fn finding(project: &str, finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Warn => "warning",
        Severity::Withhold => "error",
    };
    let place = format!(
        "file={},line={},col={},",
        property(&escaped(&finding.file).to_string()),
        finding.line,
        finding.column
    );
    let message = format!("{project}: {} ({})", finding.message, finding.check.key());
    annotation_at(level, &place, &message)
}

/// Formats an error as annotations, one per line, each prefixed with `subject` if there is one.
///
/// Each error of a configuration becomes an annotation of its line.
pub(crate) fn errors(subject: Option<&str>, error: &ErrorReport) -> String {
    let prefix = subject
        .map(|subject| format!("{subject}: "))
        .unwrap_or_default();
    if error.issues.is_empty() {
        return annotation("error", &format!("{prefix}{}", error.message)) + "\n";
    }

    let annotations = error.issues.iter().map(|issue| {
        let place = issue.file.as_ref().map(|file| {
            let line = issue.line.map(|line| format!("line={line},"));
            let column = issue.column.map(|column| format!("col={column},"));
            format!(
                "file={},{}{}",
                property(file),
                line.unwrap_or_default(),
                column.unwrap_or_default()
            )
        });
        let hint = issue.hint.as_ref().map(|hint| format!(" ({hint})"));
        let message = format!("{prefix}{}{}", issue.text, hint.unwrap_or_default());
        annotation_at("error", &place.unwrap_or_default(), &message) + "\n"
    });
    annotations.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::ContentCheck;

    #[test]
    fn annotation_encodes_line_breaks() {
        assert_eq!(
            annotation("error", "100 %\n::set-x::"),
            "::error title=fractary-codex::100 %25%0A::set-x::"
        );
    }

    #[test]
    fn place_of_a_finding_cannot_end_its_property() {
        let finding = Finding {
            check: ContentCheck::ConflictMarkers,
            kind: "merge-conflict".into(),
            severity: Severity::Warn,
            path: "x".into(),
            source: "x".into(),
            file: "a,b:c%##[x]\n::d".into(),
            line: 7,
            column: 2,
            message: "m".to_owned(),
            digest: String::new(),
        };
        assert_eq!(
            super::finding("alpha", &finding),
            "::warning file=a%2Cb%3Ac%25#%23[x]\\n%3A%3Ad,line=7,col=2,title=fractary-codex::alpha: m (conflict_markers)"
        );
    }

    #[test]
    fn output_holds_no_command_of_a_workflow() {
        for (output, expected) in [
            ("::error::x\n", "\\u003a:error::x\n"),
            ("a\n \t::error::x", "a\n \t\\u003a:error::x"),
            ("a\r::error::x", "a\r\\u003a:error::x"),
            ("\u{a0}\u{feff}::x", "\u{a0}\u{feff}\\u003a:x"),
            ("\n\n::x\n::y\n", "\n\n\\u003a:x\n\\u003a:y\n"),
            ("a ::error::x and b::c\n", "a ::error::x and b::c\n"),
            ("docs/##[error]x", "docs/#\\u0023[error]x"),
            ("###[a]##[b]", "##\\u0023[a]#\\u0023[b]"),
            ("::##[x]", "\\u003a:#\\u0023[x]"),
            ("# ## [x] : :", "# ## [x] : :"),
        ] {
            let harmless = without_commands(output.as_bytes());
            assert_eq!(harmless.to_str(), Ok(expected), "{output:?}");
            assert_eq!(without_commands(&harmless), harmless, "{output:?}");
        }
        assert_eq!(&*without_commands(b"\xff::x"), b"\xff::x");
        assert_eq!(&*without_commands(b"\xff\n::x"), b"\xff\n\\u003a:x");
        let document = serde_json::json!({ "path": "##[error]::x" }).to_string();
        let harmless = without_commands(document.as_bytes());
        let read: serde_json::Value = serde_json::from_slice(&harmless).unwrap();
        assert!(!harmless.contains_str("##[") && read["path"] == "##[error]::x");
    }
}
