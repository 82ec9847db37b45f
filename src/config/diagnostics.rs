//! Collects what a load reports besides the values themselves.

use super::problem::Problem;

/// The errors and warnings of a load, and the tokens that it could not read.
#[derive(Default)]
pub(crate) struct Diagnostics {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    pub(crate) unset_tokens: Vec<UnsetToken>,
}

/// A token that counts as not given because its value contains a variable that is not set. It is
/// only reported if authentication fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnsetToken {
    /// The key, as in `remotes."acme/codex".token`.
    pub path: Vec<String>,
    /// The name of the variable.
    pub variable: String,
}
