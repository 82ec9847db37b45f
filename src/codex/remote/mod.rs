//! Exchanges refs and objects with the remote: the trait [`Transport`], its implementations, and the
//! parts that they share.
//!
//! A new transport implements [`Transport`] in a file or folder here, and gets a name in
//! [`TransportChoice`] and an arm in [`open`]. It stores a `RemoteContext` (remote, credential,
//! shared error and ref parsing). It maps its failures to
//! [`RemoteErrorKind`](error::RemoteErrorKind), and the reasons of rejected pushes to
//! [`RejectionKind`]; these two decide retries, the outcome of a push, and hints. A name in
//! `tests/it/support/transport.rs` makes every test run on it. For users, its name is documented in
//! `defaults.yaml`, in the schema (`config::enums`) and in the README.

mod context;
pub(crate) mod credential;
pub(crate) mod error;
mod error_messages;
mod git_process;
mod http_response;
mod native;
mod refs;
mod rejection;
pub(crate) mod server_message;
mod transport;

use std::sync::Arc;

use crate::config::TransportChoice;
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::workspace::Remote;
use context::RemoteContext;
use error::RemoteError;
use git_process::GitProcess;
use native::Native;
pub(crate) use native::NotesLocation;
pub(crate) use native::http_client;
pub use rejection::{Rejection, RejectionKind};
pub(crate) use transport::{
    Branches, Depth, FIRST_BRANCH, Purpose, PushReply, RefUpdate, RemoteRefs, Transport, TreeLevels,
};

/// Opens the transport that `remote.transport` selects, for `remote`. It keeps what it learns about
/// the server in `notes`. An error if the transport is unavailable, or if a token would be sent
/// unencrypted.
pub(crate) fn open(
    remote: &Remote,
    environment: &Environment,
    interrupt: &Interrupt,
    reporter: Arc<dyn Reporter>,
    purpose: Purpose,
    notes: Option<NotesLocation>,
) -> Result<Box<dyn Transport>, RemoteError> {
    let context = RemoteContext::new(remote, environment, interrupt, reporter)?;
    match remote.transport {
        TransportChoice::Auto | TransportChoice::Native => {
            Ok(Box::new(Native::new(context, purpose, notes)?))
        }
        TransportChoice::Git => Ok(Box::new(GitProcess::new(context, purpose)?)),
    }
}
