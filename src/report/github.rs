//! Output for GitHub Actions: the outputs of a step, and annotations. The step summary is in
//! `step_summary`.

use std::borrow::Cow;

use bstr::ByteSlice;

use super::ErrorReport;
use super::source_place::SourcePlace;
use crate::checks::{Finding, Severity};
use crate::object::ObjectId;
use crate::outcome::{ProjectReport, Pushed, Status, SyncOutcome};

/// The outputs of a step, each a name and its value. Every run has all of them; a value that it does
/// not have is empty.
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
    vec![
        ("changed", changed.to_string()),
        ("pushed", pushed.to_owned()),
        ("tip", text(tip)),
        ("plan-id", text(plan_id)),
        ("failed", has_failed.to_string()),
        ("pull-request-url", url.unwrap_or_default()),
    ]
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

/// The level of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
}

/// An annotation: a workflow command without a line break at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Annotation {
    pub(crate) level: Level,
    text: String,
}

impl Annotation {
    /// An annotation without a place. Line breaks and `%` in the message are encoded, so that a
    /// message cannot start another command.
    pub(crate) fn new(level: Level, message: &str) -> Self {
        Self::at(level, "", message)
    }

    /// The same, with the properties of a place in a file, each followed by a comma.
    fn at(level: Level, place: &str, message: &str) -> Self {
        let command = match level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let message = message
            .replace("##[", "#\\u0023[")
            .replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A");
        let text = format!("::{command} {place}title=fractary-codex::{message}");
        Self { level, text }
    }
}

/// The number of annotations of a level that GitHub shows per step.
const SHOWN: usize = 10;

/// Formats the annotations of a step, with a line break each. GitHub does not show more than
/// [`SHOWN`] of each level, so the last one has the number of those that are left out.
pub(crate) fn annotations(all: &[Annotation]) -> String {
    let mut text = String::new();
    for (level, word) in [(Level::Warning, "warning"), (Level::Error, "error")] {
        let found: Vec<_> = all.iter().filter(|one| one.level == level).collect();
        let shown = match found.len() {
            count if count > SHOWN => SHOWN - 1,
            count => count,
        };
        let omitted = found.len() - shown;
        for one in &found[..shown] {
            text.push_str(&one.text);
            text.push('\n');
        }
        if omitted > 0 {
            let message =
                format!("and {omitted} more {word}s; the log and the step summary have them");
            text.push_str(&Annotation::new(level, &message).text);
            text.push('\n');
        }
    }
    text
}

/// Encodes the value of a property of a workflow command.
fn property(value: &str) -> String {
    value
        .replace('%', "%25")
        .replace("##[", "#%23[")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace(':', "%3A")
        .replace(',', "%2C")
}

/// Formats a finding as an annotation of its line, prefixed with the name of its project. `file` is
/// the path that GitHub knows the file by.
pub(crate) fn finding(project: &str, finding: &Finding, file: &str) -> Annotation {
    let level = match finding.severity {
        Severity::Warn => Level::Warning,
        Severity::Withhold => Level::Error,
    };
    let place = format!(
        "file={},line={},col={},",
        property(file),
        finding.line,
        finding.column
    );
    let message = format!("{project}: {} ({})", finding.message, finding.check.key());
    Annotation::at(level, &place, &message)
}

/// Formats an error as annotations, each prefixed with `subject` if there is one.
///
/// Each error of a configuration becomes an annotation of its line. `checkout` converts paths.
pub(crate) fn errors(
    subject: Option<&str>,
    error: &ErrorReport,
    checkout: &SourcePlace,
) -> Vec<Annotation> {
    let prefix = subject
        .map(|subject| format!("{subject}: "))
        .unwrap_or_default();
    if error.issues.is_empty() {
        let message = format!("{prefix}{}", error.message);
        return vec![Annotation::new(Level::Error, &message)];
    }

    let annotations = error.issues.iter().map(|issue| {
        let place = issue.file.as_ref().map(|file| {
            let line = issue.line.map(|line| format!("line={line},"));
            let column = issue.column.map(|column| format!("col={column},"));
            format!(
                "file={},{}{}",
                property(&checkout.path_of(file.as_bytes().as_bstr())),
                line.unwrap_or_default(),
                column.unwrap_or_default()
            )
        });
        let hint = issue.hint.as_ref().map(|hint| format!(" ({hint})"));
        let message = format!("{prefix}{}{}", issue.text, hint.unwrap_or_default());
        Annotation::at(Level::Error, &place.unwrap_or_default(), &message)
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
            Annotation::new(Level::Error, "100 %\n::set-x::").text,
            "::error title=fractary-codex::100 %25%0A::set-x::"
        );
    }

    #[test]
    fn last_annotation_of_a_level_has_the_number_of_the_others() {
        let of = |errors: usize, warnings: usize| {
            let error = Annotation::new(Level::Error, "e");
            let warning = Annotation::new(Level::Warning, "w");
            let all = [vec![error; errors], vec![warning; warnings]].concat();
            annotations(&all)
        };
        assert_eq!(of(10, 10).lines().count(), 20);
        let text = of(12, 1);
        assert_eq!(text.lines().count(), 11);
        assert!(text.contains("::error title=fractary-codex::and 3 more errors;"));
    }

    #[test]
    fn place_of_a_finding_cannot_end_its_property() {
        let finding = Finding {
            check: ContentCheck::ConflictMarkers,
            kind: "merge-conflict".into(),
            severity: Severity::Warn,
            path: "x".into(),
            source: "x".into(),
            file: "x".into(),
            line: 7,
            column: 2,
            message: "m".to_owned(),
            digest: String::new(),
        };
        assert_eq!(
            super::finding("alpha", &finding, "a,b:c%##[x]\n::d").text,
            "::warning file=a%2Cb%3Ac%25#%23[x]%0A%3A%3Ad,line=7,col=2,title=fractary-codex::alpha: m (conflict_markers)"
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
