//! The calls of tools: each runs on a thread of its own and can be stopped alone.

use std::sync::Arc;

use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use tokio::sync::Semaphore;

use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::config::Configuration;
use crate::event::Silent;
use crate::platform;
use crate::report::ErrorReport;
use crate::sync::SyncRequest;
use crate::workspace::Workspace;

/// The greatest number of calls that run at the same time. Others wait.
const MAX_RUNNING: u32 = 4;

/// The context of one call.
pub(super) struct ToolCall {
    context: Context,
    /// The name of the environment (`--env`).
    env: Option<String>,
}

impl ToolCall {
    /// The inputs of the command.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Loads the configuration as it is now.
    pub(super) fn load(&self) -> Result<(Configuration, Workspace), CommandError> {
        self.context.load(self.env.as_deref(), Vec::new())
    }

    /// A request that reads the codex, or with `offline` only the caches.
    pub(super) fn request<'w>(
        &self,
        configuration: &'w Configuration,
        workspace: &'w Workspace,
        offline: bool,
    ) -> SyncRequest<'w> {
        let reporter = Arc::new(Silent);
        SyncRequest {
            offline,
            ..self
                .context
                .sync_request(configuration, workspace, Vec::new(), reporter)
        }
    }
}

/// The running calls of a server.
#[derive(Clone)]
pub(super) struct RunningCalls(Arc<Semaphore>);

impl RunningCalls {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_RUNNING as usize)))
    }

    /// Runs `work` outside of the thread of the protocol. If the request is cancelled, `work` is asked
    /// to stop, and its result is awaited.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        context: &Context,
        env: Option<String>,
        request: &RequestContext<RoleServer>,
        work: impl FnOnce(&ToolCall) -> T + Send + 'static,
    ) -> Result<T, ErrorData> {
        let permit = self.0.clone().acquire_owned().await;
        let of_server = context.interrupt.clone();
        let interrupt = of_server.separate();
        let call = ToolCall {
            context: Context {
                interrupt: interrupt.clone(),
                ..context.clone()
            },
            env,
        };
        let mut task = tokio::task::spawn_blocking(move || {
            let result = work(&call);
            drop(permit);
            result
        });
        let result = tokio::select! {
            result = &mut task => result,
            () = request.ct.cancelled() => {
                // The server ends because of a signal, or the client has cancelled the request.
                let signal = of_server.check().err().map_or(platform::INTERRUPT, |ended| ended.0);
                interrupt.request(signal);
                task.await
            }
        };
        result.map_err(|_| {
            let message = "internal error in fractary-codex; please report it, with the request";
            ErrorData::internal_error(message, None)
        })
    }

    /// Waits until no call is running.
    pub(super) async fn ended(&self) {
        let _all = self.0.acquire_many(MAX_RUNNING).await;
    }
}

/// An error as text: the message, its causes, and what to do.
pub(super) fn error_text(error: &ErrorReport) -> String {
    let causes = error.causes.iter();
    let causes = causes.map(|cause| format!("\ncaused by: {cause}"));
    let hints = error.hints.iter().map(|hint| format!("\nhint: {hint}"));
    let message = std::iter::once(format!("error: {}", error.message));
    message.chain(causes).chain(hints).collect()
}
