//! The interface of all forges, and the values that it takes and returns.

use super::error::ForgeError;
use super::place::ForgeKind;

/// What the owner of the token may do with the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Push branches.
    pub can_push: bool,
    /// Whether the repository takes pull requests and no setting has made it read-only.
    pub is_open: bool,
}

/// A repository on a forge, as the owner of the token sees it.
pub(crate) trait Forge {
    /// Which kind of forge it is.
    fn kind(&self) -> ForgeKind;

    /// The repository, as in `acme/codex`.
    fn repository(&self) -> &str;

    /// The rights of the token.
    fn rights(&mut self) -> Result<Rights, ForgeError>;
}
