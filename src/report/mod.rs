//! Formats the progress and the result of a run, for people and for programs. The commands other
//! than `sync` and `status` format their own results.

pub(crate) mod cache;
pub(crate) mod code_quality;
pub(crate) mod commit;
pub(crate) mod configuration;
pub(crate) mod doctor;
pub(crate) mod fetch;
pub(crate) mod github;
pub(crate) mod harmless;
pub(crate) mod human;
pub(crate) mod issue;
pub(crate) mod json;
pub(crate) mod log;
mod markdown;
pub(crate) mod matrix;
pub(crate) mod ndjson;
pub(crate) mod page;
pub(crate) mod plan_comment;
pub(crate) mod progress;
mod project_table;
pub(crate) mod projects;
pub(crate) mod query;
pub(crate) mod snippet;
pub(crate) mod source_place;
pub(crate) mod step_summary;
pub(crate) mod style;
mod sync_branches;
pub(crate) mod table;
pub(crate) mod trace;
pub(crate) mod wrap;

use std::borrow::Cow;

use crate::text::pluralize;
use issue::Issue;
use serde::{Deserialize, Serialize};

/// An error, as every output format shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "ErrorDocument", into = "ErrorDocument")]
pub(crate) struct ErrorReport {
    /// A stable identifier of the kind of error.
    pub kind: Cow<'static, str>,
    /// The message, including the names of the things involved.
    pub message: String,
    /// Suggested fixes.
    pub hints: Vec<String>,
    /// The underlying errors, outermost first.
    pub causes: Vec<String>,
    /// The errors of a configuration, with their positions. There is a cause for each if there are
    /// several.
    pub issues: Box<[Issue]>,
}

impl ErrorReport {
    /// The commands of this program in the hints, each as a list of arguments. A command with a
    /// placeholder such as `FILE` is left out, because it cannot be run as it is.
    pub(crate) fn commands(&self) -> Vec<Vec<String>> {
        let is_placeholder =
            |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
        let spans = self
            .hints
            .iter()
            .flat_map(|hint| hint.split('`').skip(1).step_by(2));
        spans
            .filter(|span| {
                ["fractary-codex ", "fractary codex "]
                    .iter()
                    .any(|program| span.starts_with(program))
            })
            .filter(|span| !span.contains(['"', '\'', '\\', '…']))
            .map(|span| span.split_whitespace().map(str::to_owned).collect())
            .filter(|words: &Vec<String>| !words.iter().any(|word| is_placeholder(word)))
            .collect()
    }
}

/// An [`ErrorReport`] in JSON.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ErrorReport")]
struct ErrorDocument {
    /// A stable identifier of the kind of error.
    kind: Cow<'static, str>,
    /// The message, including the names of the things involved.
    message: String,
    /// Suggested fixes.
    hints: Vec<String>,
    /// The underlying errors, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    /// The commands in `hints` that can be run as they are, each as a list of arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<Vec<String>>,
    /// The errors of a configuration, with their positions as fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    issues: Vec<Issue>,
}

impl From<ErrorReport> for ErrorDocument {
    fn from(report: ErrorReport) -> Self {
        Self {
            commands: report.commands(),
            kind: report.kind,
            message: report.message,
            hints: report.hints,
            causes: report.causes,
            issues: report.issues.into_vec(),
        }
    }
}

impl From<ErrorDocument> for ErrorReport {
    fn from(document: ErrorDocument) -> Self {
        Self {
            kind: document.kind,
            message: document.message,
            hints: document.hints,
            causes: document.causes,
            issues: document.issues.into(),
        }
    }
}

/// Formats a time in seconds since the epoch in RFC 3339 format and UTC; `None` if it is out of
/// range.
pub(crate) fn rfc3339(seconds: i64) -> Option<String> {
    let time = jiff::Timestamp::from_second(seconds).ok()?;
    Some(time.to_string())
}

/// The number of columns of the widest line of a text, without escape codes.
fn width(text: &str) -> usize {
    let columns = |line: &str| {
        anstream::adapter::strip_str(line)
            .to_string()
            .chars()
            .count()
    };
    text.lines().map(columns).max().unwrap_or_default()
}

/// Formats an age in seconds as `3 days ago`, in its largest unit; a negative age as `in 2
/// minutes`.
///
/// `templates/status.js` formats ages in the same way.
pub(crate) fn ago(seconds: i64) -> String {
    let units = [
        ("year", 31_557_600),
        ("month", 2_629_800),
        ("day", 86_400),
        ("hour", 3_600),
        ("minute", 60),
    ];

    let Some((unit, size)) = units
        .into_iter()
        .find(|(_, size)| seconds.saturating_abs() >= *size)
    else {
        return "just now".to_owned();
    };

    let count = (seconds / size).saturating_abs();
    if seconds < 0 {
        format!("in {}", pluralize(count, unit))
    } else {
        format!("{} ago", pluralize(count, unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_hints_are_argument_lists() {
        let hints = [
            "run `fractary-codex sync -p web --max-delete 8`, or change `sync.delete_guard`",
            "save a plan with `fractary-codex sync --plan-out FILE`",
            "use `fractary codex doctor` or `git fetch`",
            "`fractary-codex sync --message 'a b'`",
            "an odd `",
        ];
        let report = ErrorReport {
            kind: "usage".into(),
            message: String::new(),
            hints: hints.map(str::to_owned).into(),
            causes: Vec::new(),
            ..ErrorReport::default()
        };
        let document = serde_json::to_value(&report).unwrap();
        let expected = serde_json::json!([
            ["fractary-codex", "sync", "-p", "web", "--max-delete", "8"],
            ["fractary", "codex", "doctor"]
        ]);
        assert_eq!(document["commands"], expected);
        assert_eq!(
            serde_json::from_value::<ErrorReport>(document).unwrap(),
            report
        );
    }

    #[test]
    fn age_is_shown_in_its_largest_unit() {
        for (seconds, expected) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7_199, "1 hour ago"),
            (3 * 86_400, "3 days ago"),
            (40 * 86_400, "1 month ago"),
            (800 * 86_400, "2 years ago"),
            (-120, "in 2 minutes"),
            (i64::MIN, "in 292271023045 years"),
        ] {
            assert_eq!(ago(seconds), expected, "{seconds}");
        }
    }
}
