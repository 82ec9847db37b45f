//! Gitea and Forgejo.

use serde::Deserialize;

use super::api::Api;
use super::error::ForgeError;
use super::place::ForgeKind;
use super::pull_request::{Forge, Rights};

/// A repository on Gitea or Forgejo.
pub(super) struct Gitea {
    api: Api,
    repository: String,
}

#[derive(Deserialize)]
struct GiteaRepository {
    permissions: Option<GiteaPermissions>,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    mirror: bool,
    #[serde(default = "yes")]
    has_pull_requests: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct GiteaPermissions {
    push: bool,
}

impl Gitea {
    pub(super) fn new(api: Api, repository: String) -> Self {
        Self { api, repository }
    }

    /// The target of a document about the repository.
    fn target(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repository)
    }
}

impl Forge for Gitea {
    fn kind(&self) -> ForgeKind {
        ForgeKind::Gitea
    }

    fn repository(&self) -> &str {
        &self.repository
    }

    fn rights(&mut self) -> Result<Rights, ForgeError> {
        let answer = self.api.get("show the repository", &self.target(""))?;
        let repository: GiteaRepository = self.api.parsed(answer.body)?;
        Ok(Rights {
            can_push: repository.permissions.is_none_or(|one| one.push),
            is_open: !repository.archived && !repository.mirror && repository.has_pull_requests,
        })
    }
}
