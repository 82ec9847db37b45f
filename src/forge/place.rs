//! A repository on a forge: the kind of forge, its API, and the name of the repository.

use crate::url::RemoteUrl;

/// The kinds of forges with an implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForgeKind {
    /// GitHub: github.com, ghe.com, and Enterprise Server.
    GitHub,
    /// GitLab: gitlab.com, and self-managed servers.
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
}

impl ForgeKind {
    /// The name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Gitea => "Gitea or Forgejo",
        }
    }
}

/// A repository on a forge.
pub(super) struct ForgePlace {
    pub(super) kind: ForgeKind,
    /// The URL of the API.
    pub(super) api: RemoteUrl,
    /// `OWNER/NAME`; on GitLab, the path of the project.
    pub(super) repository: String,
}
