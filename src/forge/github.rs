//! GitHub: github.com, ghe.com, and Enterprise Server.

use serde::Deserialize;

use super::api::Api;
use super::error::ForgeError;
use super::place::ForgeKind;
use super::pull_request::{Forge, Rights};

/// A repository on GitHub.
pub(super) struct GitHub {
    api: Api,
    repository: String,
}

#[derive(Deserialize)]
struct GitHubRepository {
    permissions: Option<GitHubPermissions>,
    #[serde(default)]
    archived: bool,
}

#[derive(Deserialize)]
struct GitHubPermissions {
    push: bool,
}

impl GitHub {
    pub(super) fn new(api: Api, repository: String) -> Self {
        Self { api, repository }
    }

    /// The target of a document about the repository.
    fn target(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repository)
    }
}

impl Forge for GitHub {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GitHub
    }

    fn repository(&self) -> &str {
        &self.repository
    }

    fn rights(&mut self) -> Result<Rights, ForgeError> {
        let answer = self.api.get("show the repository", &self.target(""))?;
        let repository: GitHubRepository = self.api.parsed(answer.body)?;
        Ok(Rights {
            // The token of an App gets no `permissions`.
            can_push: repository.permissions.is_none_or(|one| one.push),
            is_open: !repository.archived,
        })
    }
}
