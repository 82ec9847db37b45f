//! A repository on a forge: the kind of forge, its API, and the name of the repository.

use std::iter;

use crate::config::ForgeChoice;
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
    /// All kinds, in the order in which they are tried. Gitea is the first, because its CI system
    /// also sets the variables of GitHub's.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        // A match, so that the compiler names this place for a new kind.
        let next = |kind: &Self| match kind {
            Self::Gitea => Some(Self::GitLab),
            Self::GitLab => Some(Self::GitHub),
            Self::GitHub => None,
        };
        iter::successors(Some(Self::Gitea), next)
    }

    /// The value of `forge.kind` that selects this kind.
    pub(super) fn choice(self) -> ForgeChoice {
        match self {
            Self::GitHub => ForgeChoice::Github,
            Self::GitLab => ForgeChoice::Gitlab,
            Self::Gitea => ForgeChoice::Gitea,
        }
    }

    /// The hosts of well-known services. A domain below one of them counts, too.
    pub(super) fn services(self) -> &'static [&'static str] {
        match self {
            Self::GitHub => &["github.com", "ghe.com"],
            Self::GitLab => &["gitlab.com"],
            Self::Gitea => &["codeberg.org", "gitea.com", "code.forgejo.org"],
        }
    }

    /// The variables of the forge's CI system: those of which it sets at least one, and the one with
    /// the URL of the server.
    pub(super) fn ci_variables(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::GitHub => (&["GITHUB_ACTIONS"], "GITHUB_SERVER_URL"),
            Self::GitLab => (&["GITLAB_CI"], "CI_SERVER_URL"),
            Self::Gitea => (&["GITEA_ACTIONS", "FORGEJO_ACTIONS"], "GITHUB_SERVER_URL"),
        }
    }

    /// The path of the API on a server of one's own.
    pub(super) fn api_path(self) -> &'static str {
        match self {
            Self::GitHub => "/api/v3",
            Self::GitLab => "/api/v4",
            Self::Gitea => "/api/v1",
        }
    }

    /// The path of a document below the API that every server of this kind has, and no other one.
    pub(super) fn document_of_kind(self) -> &'static str {
        match self {
            Self::GitHub => "/meta",
            Self::GitLab => "/metadata",
            Self::Gitea => "/version",
        }
    }

    /// Whether the name of a repository can have more than two parts, because groups nest.
    pub(super) fn has_nested_groups(self) -> bool {
        match self {
            Self::GitLab => true,
            Self::GitHub | Self::Gitea => false,
        }
    }

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
