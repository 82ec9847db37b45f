//! `mcp`: a server of the Model Context Protocol on standard input and output, with which agents
//! read the codex. It changes nothing in the codex, the workspace or the caches.
//!
//! `server` speaks the protocol, `messages` has its lines, and `tools` lists the tools, one file each. A call reads the
//! configuration again, so that it is current, and runs on a thread of its own, so that the server
//! keeps answering.

mod cache_tool;
mod call;
mod documents;
mod encoded_uri;
mod fetch_tool;
mod list_tool;
mod mcp_tool;
mod messages;
mod resources;
mod schema;
mod search_tool;
mod server;
mod single_document;
mod source_tool;
mod status_tool;
mod tools;

use std::io::{IsTerminal, stdin};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::serve_directly;
use rmcp::transport::stdio_pipes;

use crate::cli::args::McpArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::{exit, signals};
use messages::MessageStream;
use server::Server;

/// The time that running calls have to clean up after the end of the input or a signal.
const CLEANUP: Duration = Duration::from_secs(10);

/// Serves until the input ends or a signal arrives, and returns the exit status.
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

fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(|error| {
        let message = format!("cannot start the server: {error}");
        CommandError::new(exit::SOME_FAILED, "server", message, Vec::new())
    })
}

/// Answers requests in any order: a client need not send `initialize` first, which the newest
/// revision of the protocol does not have.
async fn serve(server: Server, context: &Context) {
    let calls = server.calls();
    let (input, output) = stdio_pipes();
    let messages = MessageStream::new(input, output);
    let running = serve_directly::<RoleServer, _, _, _, _>(server, messages, None);
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
