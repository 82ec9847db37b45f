//! GitLab: gitlab.com, and self-managed servers.

use serde::Deserialize;

use super::api::Api;
use super::error::ForgeError;
use super::place::ForgeKind;
use super::pull_request::{Forge, Rights};
use crate::url::percent_encoded;

/// The access level of the role Developer, which may push and open merge requests.
const DEVELOPER: u32 = 30;

/// A project on GitLab.
pub(super) struct GitLab {
    api: Api,
    repository: String,
}

#[derive(Deserialize)]
struct GitLabProject {
    permissions: Option<GitLabPermissions>,
    #[serde(default)]
    archived: bool,
    /// `disabled`, `private` or `enabled`.
    merge_requests_access_level: Option<String>,
}

#[derive(Deserialize)]
struct GitLabPermissions {
    project_access: Option<GitLabAccess>,
    group_access: Option<GitLabAccess>,
}

#[derive(Deserialize)]
struct GitLabAccess {
    access_level: u32,
}

impl GitLab {
    pub(super) fn new(api: Api, repository: String) -> Self {
        Self { api, repository }
    }

    /// The target of a document about the project.
    fn target(&self, rest: &str) -> String {
        let id = percent_encoded(self.repository.as_bytes(), b"-._~");
        format!("/projects/{id}{rest}")
    }
}

impl Forge for GitLab {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GitLab
    }

    fn repository(&self) -> &str {
        &self.repository
    }

    fn rights(&mut self) -> Result<Rights, ForgeError> {
        let answer = self.api.get("show the project", &self.target(""))?;
        let project: GitLabProject = self.api.parsed(answer.body)?;
        let can_push = project.permissions.is_none_or(|permissions| {
            let levels = [permissions.project_access, permissions.group_access];
            let mut levels = levels.into_iter().flatten();
            levels.any(|access| access.access_level >= DEVELOPER)
        });
        Ok(Rights {
            can_push,
            is_open: !project.archived
                && project.merge_requests_access_level.as_deref() != Some("disabled"),
        })
    }
}
