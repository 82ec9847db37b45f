//! The configuration from the user's view: layers, keys, errors and schema.

mod disclosure;
mod environment;
mod keys;
mod layers;
mod mistakes;
pub(crate) mod samples;
mod schema;

use crate::support::{Output, Sandbox};

/// A valid configuration file, to which tests append keys.
const ONE: &str = "codex:\n  organization: acme\n  codex_repo: codex\n  project: billing\n";

/// A sandbox with `text` as its workspace file.
fn workspace(text: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = Sandbox::with_default_transport();
    sandbox.write("ws/.fractary/config.yaml", text);
    sandbox
}

/// Runs the program with these environment variables.
fn run(sandbox: &Sandbox, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = sandbox.program(arguments);
    command.envs(variables.iter().copied());
    sandbox.finish(command)
}
