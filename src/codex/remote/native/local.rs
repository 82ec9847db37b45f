//! Repositories of this machine: git's own `upload-pack` and `receive-pack` as child processes,
//! which also run the repository's hooks.

use std::path::PathBuf;
use std::process::Command;

use super::protocol::capabilities::Service;
use super::service_process::ServiceProgram;
use crate::codex::child_process;
use crate::codex::remote::error::RemoteErrorKind;
use crate::environment::Environment;

/// Runs the services of the repository at `path`.
pub(super) fn program(path: PathBuf, environment: Environment) -> ServiceProgram {
    let command = move |service: Service| {
        let mut command = git(&environment);
        command
            .arg(service.name().trim_start_matches("git-"))
            .arg(&path);
        command.env("GIT_PROTOCOL", "version=2");
        command
    };
    ServiceProgram {
        command: Box::new(command),
        missing: RemoteErrorKind::NoTransport,
        need: "a local path is read and written by git itself",
        accepts_socket: true,
    }
}

/// Returns git without the configuration in the environment: that belongs to the client, not to the
/// repository.
fn git(environment: &Environment) -> Command {
    let mut command = child_process::for_git("git", environment);
    command
        .env_remove("GIT_CONFIG_PARAMETERS")
        .env_remove("GIT_CONFIG_COUNT")
        .current_dir("/");
    command
}
