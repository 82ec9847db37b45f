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

use std::path::Path;

use super::Transport;
use super::bound::Bound;
use local::Local;
use network::Network;

/// Libgit2, for the remote that it is bound to.
pub(super) fn open(bound: Bound) -> Box<dyn Transport> {
    match bound.remote.url.local_path().map(Path::to_owned) {
        Some(path) => Box::new(Local::new(bound, path)),
        None => Box::new(Network::new(bound)),
    }
}
