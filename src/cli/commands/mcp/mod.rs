//! `mcp`: a server of the Model Context Protocol on standard input and output, with which agents
//! read the codex. It changes nothing in the codex, the workspace or the caches.
//!
//! `server` speaks the protocol and `tools` lists the tools, one file each. A call reads the
//! configuration again, so that it is current, and runs on a thread of its own, so that the server
//! keeps answering.

#[cfg(feature = "mcp")]
mod cache_tool;
#[cfg(feature = "mcp")]
mod call;
#[cfg(feature = "mcp")]
mod documents;
#[cfg(feature = "mcp")]
mod fetch_tool;
#[cfg(feature = "mcp")]
mod list_tool;
#[cfg(feature = "mcp")]
mod mcp_tool;
#[cfg(feature = "mcp")]
mod resources;
#[cfg(feature = "mcp")]
mod schema;
#[cfg(feature = "mcp")]
mod search_tool;
#[cfg(feature = "mcp")]
mod server;
#[cfg(feature = "mcp")]
mod single_document;
#[cfg(feature = "mcp")]
mod source_tool;
#[cfg(feature = "mcp")]
mod status_tool;
#[cfg(feature = "mcp")]
mod tools;

#[cfg(feature = "mcp")]
use std::io::{IsTerminal, stdin};
#[cfg(feature = "mcp")]
use std::time::Duration;

#[cfg(feature = "mcp")]
use rmcp::RoleServer;
#[cfg(feature = "mcp")]
use rmcp::service::serve_directly;
#[cfg(feature = "mcp")]
use rmcp::transport::stdio_pipes;

use crate::cli::args::McpArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
#[cfg(feature = "mcp")]
use crate::cli::signals;
#[cfg(feature = "mcp")]
use server::Server;

/// The time that running calls have to clean up after the end of the input or a signal.
#[cfg(feature = "mcp")]
const CLEANUP: Duration = Duration::from_secs(10);

/// Serves until the input ends or a signal arrives, and returns the exit status.
#[cfg(feature = "mcp")]
pub(crate) fn run(arguments: &McpArgs, context: &Context) -> u8 {
    let runtime = match context.directory().and_then(|_| runtime()) {
        Ok(runtime) => runtime,
        Err(error) => return super::finish(Err(error), false, context),
    };
    if stdin().is_terminal() {
        let text =
            "waiting for a client of the Model Context Protocol on standard input; Ctrl-D ends\n";
        context.terminal.write_err(text);
    }
    runtime.block_on(serve(Server::new(context, arguments.env.clone()), context));
    // A read of standard input that is still waiting would block the end of the runtime.
    runtime.shutdown_background();
    match context.interrupt.check() {
        Err(interrupted) => exit::of_signal(interrupted),
        Ok(()) => exit::DONE,
    }
}

#[cfg(feature = "mcp")]
fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(|error| {
        let message = format!("cannot start the server: {error}");
        CommandError::new(exit::SOME_FAILED, "server", message, Vec::new())
    })
}

/// Answers requests in any order: a client need not send `initialize` first, which the newest
/// revision of the protocol does not have.
#[cfg(feature = "mcp")]
async fn serve(server: Server, context: &Context) {
    let calls = server.calls();
    let running = serve_directly::<RoleServer, _, _, _, _>(server, stdio_pipes(), None);
    let stop = running.cancellation_token();
    signals::on_first(move || stop.cancel());
    if context.interrupt.check().is_err() {
        // The signal arrived before the line above.
        running.cancellation_token().cancel();
    }

    if let Err(error) = running.waiting().await {
        tracing::error!(%error, "the server ended");
    }
    if tokio::time::timeout(CLEANUP, calls.ended()).await.is_err() {
        tracing::warn!("calls are still running");
    }
}

/// Reports that the program was built without the server.
#[cfg(not(feature = "mcp"))]
pub(crate) fn run(_: &McpArgs, context: &Context) -> u8 {
    let error = CommandError::new(
        exit::USAGE,
        "usage",
        "this program was built without the command `mcp`",
        vec!["build it with the default features of cargo, or with `--features mcp`".to_owned()],
    );
    super::finish(Err(error), false, context)
}
