//! A pattern that covers files of the codex as an exclude does: those that it matches, and all files
//! below the directories that it matches.

use super::claims::{Claims, InvalidPattern};
use super::codex_selector::all_except;
use super::project::SCHEME;
use super::resolve::codex_patterns::{Rejected, check_codex_pattern};
use super::settings::Workspace;
use crate::config::Configuration;

/// A compiled pattern: `codex://ORG/PROJECT/PATH`, or a glob that is matched both from the codex's
/// root and in each project's directory.
pub(crate) struct CoveringPattern {
    others: Claims,
}

/// The error for an invalid pattern.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct InvalidCoveringPattern {
    reason: String,
    /// The way to correct it.
    pub(crate) hint: Option<String>,
}

impl CoveringPattern {
    /// Checks and compiles a pattern.
    pub(crate) fn new(
        text: &str,
        configuration: &Configuration,
        workspace: &Workspace,
    ) -> Result<Self, InvalidCoveringPattern> {
        if text.starts_with(SCHEME) {
            check_codex_pattern(configuration, text)
                .map_err(|Rejected { reason, hint }| InvalidCoveringPattern { reason, hint })?;
        }
        let others = all_except(text, workspace).map_err(|invalid| {
            let reasons: Vec<_> = invalid.iter().map(InvalidPattern::to_string).collect();
            InvalidCoveringPattern {
                reason: reasons.join("; "),
                hint: None,
            }
        })?;
        Ok(Self { others })
    }

    /// Whether the pattern covers the file at this path of the codex.
    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        !self.others.owns(path)
    }
}
