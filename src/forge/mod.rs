//! The forge: the server that hosts the codex and manages its pull requests, reached over its API.
//!
//! [`pull_request::Forge`] is the interface; [`github`], [`gitlab`] and [`gitea`] implement it. They
//! take and return plain values and do not know git. [`api`] sends the requests, [`detection`] finds
//! out which forge it is and where its API is.
//!
//! A new forge implements the interface in a file here, and gets a name in [`place::ForgeKind`] and
//! an arm in [`open`].

mod api;
mod detection;
mod error;
mod gitea;
mod github;
mod gitlab;
mod place;
pub(crate) mod pull_request;
pub(crate) mod pull_request_text;
mod reviewers;

use std::sync::Arc;

use crate::codex::remote::credential;
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;
use api::{Api, TokenHeader};
pub use error::{ForgeError, ForgeRejection};
use gitea::Gitea;
use github::GitHub;
use gitlab::GitLab;
pub use place::ForgeKind;
use place::ForgePlace;
use pull_request::Forge;

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
    let token =
        credential::api_token(workspace, environment).ok_or_else(|| ForgeError::NoToken {
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
