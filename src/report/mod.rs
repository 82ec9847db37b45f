//! Formats the progress and the result of a run, for people and for programs. The commands other
//! than `sync` and `status` format their own results.

pub(crate) mod configuration;
pub(crate) mod fetch;
pub(crate) mod github;
pub(crate) mod human;
pub(crate) mod json;
mod markdown;
pub(crate) mod matrix;
pub(crate) mod ndjson;
pub(crate) mod page;
pub(crate) mod plan_comment;
pub(crate) mod progress;
pub(crate) mod style;
mod sync_branches;
pub(crate) mod table;

use std::borrow::Cow;

use crate::text::pluralize;
use serde::{Deserialize, Serialize};

/// An error, as every output format shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct ErrorReport {
    /// A stable identifier of the kind of error.
    pub kind: Cow<'static, str>,
    /// The message, including the names of the things involved.
    pub message: String,
    /// Suggested fixes.
    pub hints: Vec<String>,
    /// The underlying errors, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
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
