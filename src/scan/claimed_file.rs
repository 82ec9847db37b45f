//! A file that the patterns of a project claim.

use bstr::BString;

use crate::workspace::claims::Claim;

/// A file that is to be published.
pub(super) struct ClaimedFile {
    /// The path below the root.
    pub(super) source: BString,
    /// The paths in the codex, each with the rule that claims it.
    pub(super) claims: Vec<Claim>,
}
