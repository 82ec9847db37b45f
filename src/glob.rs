//! Globs, as every pattern of the configuration and of the command line is read.
//!
//! `*` and `?` stay inside a segment, `**` crosses them, a pattern without `/` matches at the root only, dot files match
//! like any other.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// What makes a pattern more than a path.
pub(crate) const METACHARACTERS: [char; 6] = ['*', '?', '[', '{', '\\', ']'];

/// A glob that cannot be used, and why.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidGlob {
    /// The pattern is empty.
    #[error("the pattern is empty")]
    Empty,
    /// A leading `!`: there is no negation, `exclude` says it.
    #[error("`{0}`: `!` does not negate here; put the pattern under `exclude`")]
    Negated(String),
    /// A pattern that could only match outside the root.
    #[error("`{0}`: a pattern is relative to the project's root, without `.` and `..` segments")]
    Outside(String),
    /// The glob engine's own words.
    #[error("`{pattern}`: {reason}")]
    Syntax {
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Whether a pattern means one path alone.
pub(crate) fn is_literal(pattern: &str) -> bool {
    !pattern.contains(METACHARACTERS)
}

/// Compiles one glob.
pub(crate) fn compile(pattern: &str) -> Result<Glob, InvalidGlob> {
    if pattern.is_empty() {
        return Err(InvalidGlob::Empty);
    }
    if pattern.starts_with('!') {
        return Err(InvalidGlob::Negated(pattern.to_owned()));
    }
    if pattern.starts_with('/')
        || pattern
            .split('/')
            .any(|segment| matches!(segment, "." | ".."))
    {
        return Err(InvalidGlob::Outside(pattern.to_owned()));
    }
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()
        .map_err(|error| InvalidGlob::Syntax {
            pattern: pattern.to_owned(),
            reason: error.kind().to_string(),
        })
}

/// Compiles many globs into one set. Every bad one is told.
pub(crate) fn set(patterns: &[String]) -> Result<GlobSet, Vec<InvalidGlob>> {
    let mut builder = GlobSetBuilder::new();
    let mut errors = Vec::new();
    for pattern in patterns {
        match compile(pattern) {
            Ok(glob) => {
                builder.add(glob);
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    builder.build().map_err(|error| {
        let pattern = error.glob().unwrap_or("").to_owned();
        vec![InvalidGlob::Syntax {
            pattern,
            reason: error.kind().to_string(),
        }]
    })
}
