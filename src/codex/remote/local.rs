//! Repositories of this machine: git's own `upload-pack` and `receive-pack` as children.

use std::path::PathBuf;
use std::process::Command;

use super::child::Program;
use crate::codex::transport::process;
use crate::environment::Environment;

/// Runs the services of the repository at `path`.
pub(super) fn program(path: PathBuf, environment: Environment) -> Program {
    Box::new(move |service| {
        let mut command = git(&environment);
        command
            .arg(service.name().trim_start_matches("git-"))
            .arg(&path);
        command.env("GIT_PROTOCOL", "version=2");
        command
    })
}

/// git without the configuration that the environment carries: that is the client's, not the repository's.
fn git(environment: &Environment) -> Command {
    let mut command = process::git("git", environment);
    command
        .env_remove("GIT_CONFIG_PARAMETERS")
        .env_remove("GIT_CONFIG_COUNT")
        .current_dir("/");
    command
}
