//! `completions`. The scripts are generated from the definition that parses the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::exit;

/// Prints a completion script for `shell`, and returns the exit status.
pub(crate) fn run(shell: Shell, context: &Context) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fractary-codex", &mut script);
    // For bash, clap_complete writes a program name with a hyphen in two ways that do not match
    // (clap-rs/clap#6421).
    let script = String::from_utf8_lossy(&script);
    let script = script.replace("fractary__subcmd__codex", "fractary__codex");
    context.terminal.generated(&script);
    exit::DONE
}
