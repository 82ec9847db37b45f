//! The forge: the server that hosts the codex and manages its pull requests, reached over its API.
//!
//! [`pull_request::Forge`] is the interface; [`github`], [`gitlab`] and [`gitea`] implement it. They
//! take and return plain values and do not know git. [`api`] sends the requests, [`detection`] finds
//! out which forge it is and where its API is.
//!
//! Three other modules decide when a pull request is opened:
//!
//! - `workspace::resolve::pull_requests` reads `push.mode: pull-request`; its result is
//!   `Workspace::pull_request`.
//! - `sync::publish` pushes to sync branches in this mode, and then calls `sync::publish::propose`.
//! - `sync::publish::lane_branch` calls the interface: `LaneBranch::propose` for each sync branch,
//!   and `LaneBranch::open` for a new pull request.
//!
//! To add a forge:
//!
//! 1. Add a kind to [`ForgeKind`], and its name to `ForgeChoice` in `config::enums`. The compiler
//!    then names each place that differs among forges: how the forge is found (`place` and
//!    [`detection`]), how a request carries the token and which headers it has ([`api`]), the hints
//!    about permissions (`cli::error_report`), and [`open`].
//! 2. Implement [`pull_request::Forge`] in a file here. Its methods say what they must guarantee.
//! 3. If the forge is listed in `UNSUPPORTED` in [`detection`], remove it there.
//! 4. The compiler does not check texts: name the forge at `forge` in `config/defaults.yaml`, in the
//!    hint for `ForgeError::UnknownKind`, in the README and in the changelog. Write the schemas
//!    again (`UPDATE_SCHEMAS=1 cargo test schemas_in_the_repository`).
//! 5. Add an implementation of its API to `tests/it/support/forge`, and its kind to `Kind::ALL` and
//!    `Kind::EACH_API` there. All tests of pull requests then run with it.

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
pub(crate) mod web_page;

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
