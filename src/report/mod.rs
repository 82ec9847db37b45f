//! What a run did and does, written for people and for machines. Commands that are no runs word their own results.

pub mod github;
pub mod human;
pub mod json;
pub mod ndjson;
pub mod page;
pub mod progress;
pub mod style;
pub mod table;

use crate::words::counted;
use serde::Serialize;

/// An error as every output shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ErrorReport {
    /// A stable name of the cause.
    pub kind: &'static str,
    /// What failed, with the names involved.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// What lies behind it, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub causes: Vec<String>,
}

/// `3 days ago`, for so many seconds; the same words as those of the page's script.
pub fn ago(seconds: i64) -> String {
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
        format!("in {}", counted(count, unit))
    } else {
        format!("{} ago", counted(count, unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_is_told_in_the_largest_unit() {
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
