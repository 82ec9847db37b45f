//! The transport for machines without git: libgit2 speaks git's protocol, over http with a client of our own ([`http`]),
//! over ssh with libssh2 ([`ssh`]). A repository of this machine is read and written in place ([`local`]).
//!
//! What it does without: partial clones (a fetch brings every file of the tip), git's credential helpers, the ssh
//! program and its configuration, `url.*.insteadOf`. Of git's configuration it reads `http.proxy`, `http.sslCAInfo` and
//! `http.sslVerify`.

mod call;
mod classify;
mod http;
mod local;
mod network;
mod ssh;

use std::sync::Arc;

use super::Transport;
use super::bound::Bound;
use crate::codex::auth::Helpers;
use crate::codex::error::RemoteError;
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::workspace::Remote;
use local::Local;
use network::Network;

/// Binds libgit2 to `remote`. An error if a token would travel in the clear.
pub(super) fn open(
    remote: &Remote,
    environment: &Environment,
    interrupt: &Interrupt,
    reporter: Arc<dyn Reporter>,
) -> Result<Box<dyn Transport>, RemoteError> {
    let bound = Bound::new(remote, environment, interrupt, reporter, Helpers::None)?;
    Ok(match remote.url.local_path() {
        Some(path) => Box::new(Local::new(bound, path)),
        None => Box::new(Network::new(bound)),
    })
}
