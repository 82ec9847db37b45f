//! `mcp` in a program that was built without its cargo feature.

use crate::cli::args::McpArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;

/// Reports that the program was built without the server, and returns the exit status.
pub(crate) fn run(_: &McpArgs, context: &Context) -> u8 {
    let error = CommandError::new(
        exit::USAGE,
        "usage",
        "this program was built without the command `mcp`",
        vec!["build it with the default features of cargo, or with `--features mcp`".to_owned()],
    );
    super::finish(Err(error), false, context)
}
