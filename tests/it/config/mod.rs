//! The configuration as a user meets it: its layers, its mistakes, its schema.

mod environment;
mod keys;
mod layers;
mod mistakes;
pub(crate) mod samples;
mod schema;

use crate::support::{Output, Sandbox};

/// A file that is right, to which a test adds what it is about.
const ONE: &str = "codex:\n  organization: acme\n  codex_repo: codex\n  project: billing\n";

/// A sandbox whose workspace file holds `text`.
fn workspace(text: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("ws/.fractary/config.yaml", text);
    sandbox
}

/// Runs the program with these variables set.
fn run(sandbox: &Sandbox, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = sandbox.program(arguments);
    command.envs(variables.iter().copied());
    sandbox.finish(command)
}
