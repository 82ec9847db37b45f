//! The forge: the server that hosts the codex and manages its pull requests, reached over its API.
//!
//! [`Forge`] is the interface; [`github`], [`gitlab`] and [`gitea`] implement it. They take and
//! return plain values and do not know git. [`api`] sends the requests, [`detection`] finds out
//! which forge it is and where its API is.
//!
//! A new forge implements [`Forge`] in a file here, and gets a name in
//! [`ForgeKind`] and an arm in [`open`].

mod api;
mod detection;
mod error;
mod gitea;
mod github;
mod gitlab;

use std::sync::Arc;

use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;
use api::{Api, TokenHeader};
use detection::ForgePlace;
pub use error::{ForgeError, Refusal};
use gitea::Gitea;
use github::GitHub;
use gitlab::GitLab;

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

/// Opens the forge of the codex. Without `forge.kind`, a server of an unknown host is asked which
/// forge it is, without a token.
pub(crate) fn open(
    workspace: &Workspace,
    environment: &Environment,
    interrupt: &Interrupt,
    reporter: &Arc<dyn Reporter>,
) -> Result<Box<dyn Forge>, ForgeError> {
    let connect = |place: &ForgePlace, authorization| {
        Api::new(
            place,
            workspace,
            environment,
            interrupt,
            reporter.clone(),
            authorization,
        )
    };
    let place = detection::find(workspace, environment, |place| connect(place, None))?;
    let token = workspace
        .forge
        .token_for(&workspace.remote, environment)
        .ok_or_else(|| ForgeError::NoToken {
            place: place.api.host_or_path(),
            tried: workspace.forge.unused_tokens.clone(),
        })?;
    let authorization = TokenHeader::new(place.kind, token);
    let api = connect(&place, Some(authorization))?;
    Ok(match place.kind {
        ForgeKind::GitHub => Box::new(GitHub::new(api, place.repository)),
        ForgeKind::GitLab => Box::new(GitLab::new(api, place.repository)),
        ForgeKind::Gitea => Box::new(Gitea::new(api, place.repository)),
    })
}
