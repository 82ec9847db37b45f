//! The reasons for which a pattern is rejected.

use crate::paths::escaped;

/// The reason for which a pattern is rejected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidGlob {
    /// The pattern is empty.
    #[error("the pattern is empty")]
    Empty,
    /// The pattern begins with `!`. Excludes are given under `exclude`.
    #[error("`{}`: `!` does not negate a pattern", named(.0))]
    Negated(String),
    /// The pattern could only match outside the project's root.
    #[error("`{}`: a pattern is relative to the project's root, without `.` and `..` segments", named(.0))]
    Outside(String),
    /// The pattern has a construct that only other programs have in their patterns.
    #[error("`{}`: `{construct}` is not supported: {instead}", named(pattern))]
    Unsupported {
        /// The pattern as written.
        pattern: String,
        /// The construct.
        construct: String,
        /// The supported construct with the same meaning.
        instead: &'static str,
    },
    /// A limit is exceeded.
    #[error("`{}`: {excess}", named(pattern))]
    TooLarge {
        /// The pattern as written.
        pattern: String,
        /// The limit and the size.
        excess: String,
    },
    /// A syntax error.
    #[error("`{}`: {reason}", named(pattern))]
    Syntax {
        /// The pattern as written.
        pattern: String,
        /// The reason.
        reason: &'static str,
    },
}

impl InvalidGlob {
    /// A hint for the user, if `is_exclude` is set for a pattern that excludes files.
    pub(crate) fn hint(&self, is_exclude: bool) -> Option<&'static str> {
        match self {
            Self::Negated(_) if is_exclude => {
                Some("an exclude cannot be undone: write narrower excludes instead")
            }
            Self::Negated(_) => Some("put the pattern under `exclude`, without `!`"),
            _ => None,
        }
    }
}

/// A pattern fit for a message: escaped, and cut after 80 characters.
fn named(pattern: &str) -> String {
    let mut shown: String = pattern.chars().take(80).collect();
    if shown.len() < pattern.len() {
        shown.push('…');
    }
    escaped(shown.as_bytes()).to_string()
}
