//! Formatting of text for people.

use std::fmt::Display;

/// Formats a count with its noun: `1 file`, `3 files`.
pub(crate) fn pluralize<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
