//! The messages of a client: JSON, one per line.
//!
//! This replaces the transport of the SDK, which does not answer a line that is not JSON, so that a
//! client waits for ever, and which answers other invalid messages without their id.

use std::future::Future;
use std::io;
use std::sync::Arc;

use rmcp::model::{ErrorCode, JsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;

/// The maximum length of a message, so that a line without an end does not fill the memory.
const MAX_LENGTH: usize = 16 << 20;

/// Reads and writes messages.
pub(super) struct MessageStream<R, W> {
    input: BufReader<R>,
    /// The start of a line that is being read: a call of `receive` can be cancelled.
    line: Vec<u8>,
    /// Whether the line was already longer than allowed.
    is_too_long: bool,
    output: Arc<Mutex<W>>,
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> MessageStream<R, W> {
    pub(super) fn new(input: R, output: W) -> Self {
        Self {
            input: BufReader::new(input),
            line: Vec::new(),
            is_too_long: false,
            output: Arc::new(Mutex::new(output)),
        }
    }

    /// The next line, with whether it was cut; `None` at the end of the input.
    async fn next_line(&mut self) -> Option<(Vec<u8>, bool)> {
        loop {
            let limit = (MAX_LENGTH + 1 - self.line.len()) as u64;
            let mut limited = (&mut self.input).take(limit);
            let read = limited.read_until(b'\n', &mut self.line).await;
            let is_end = read
                .inspect_err(|error| tracing::error!(%error, "cannot read"))
                .ok()?
                == 0;
            if self.line.ends_with(b"\n") || is_end {
                let line = std::mem::take(&mut self.line);
                let is_cut = std::mem::take(&mut self.is_too_long);
                return (!is_end || !line.is_empty()).then_some((line, is_cut));
            }
            if self.line.len() > MAX_LENGTH {
                self.is_too_long = true;
                self.line.clear();
            }
        }
    }
}

impl<R, W> Transport<RoleServer> for MessageStream<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        mut message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        if let JsonRpcMessage::Error(answer) = &mut message {
            explain(&mut answer.error);
        }
        let output = self.output.clone();
        async move { write(&output, &message).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let (line, is_cut) = self.next_line().await?;
            let line = line
                .strip_prefix(b"\xef\xbb\xbf")
                .unwrap_or(&line)
                .trim_ascii();
            let answer = match is_cut {
                true => Some(error(
                    Value::Null,
                    ErrorCode::INVALID_REQUEST,
                    "the message is too long",
                )),
                false if line.is_empty() => None,
                false => match serde_json::from_slice(line) {
                    Ok(message) => return Some(message),
                    Err(_) => rejection(line),
                },
            };
            if let Some(answer) = answer {
                let output = self.output.clone();
                // A task of its own writes the whole line even if this call is cancelled.
                let written = tokio::spawn(async move { write(&output, &answer).await });
                written.await.ok()?.ok()?;
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output.lock().await.shutdown().await
    }
}

async fn write(
    output: &Mutex<impl AsyncWrite + Unpin>,
    message: &impl serde::Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut output = output.lock().await;
    output.write_all(&line).await?;
    output.flush().await
}

/// Makes a sentence of the error for an unknown method, which has only the name of the method: also that
/// of the SDK, for methods that it knows and this server does not have.
fn explain(error: &mut ErrorData) {
    if error.code == ErrorCode::METHOD_NOT_FOUND {
        error.message = format!("unknown method `{}`", error.message).into();
    }
}

/// The answer to a line that is not a message. Responses and notifications have no answer.
fn rejection(line: &[u8]) -> Option<Value> {
    let message: Value = match serde_json::from_slice(line) {
        Ok(message) => message,
        Err(reason) => {
            let reason = format!("the message is not JSON: {reason}");
            return Some(error(Value::Null, ErrorCode::PARSE_ERROR, &reason));
        }
    };
    let has = |key: &str| message.get(key).is_some();
    if has("result") || has("error") || (has("method") && !has("id")) {
        return None;
    }
    let id = message.get("id").filter(|id| id.is_string() || id.is_i64());
    let is_request = message["jsonrpc"] == "2.0" && message["method"].is_string();
    let has_wrong_parameters = message.get("params").is_some_and(|one| !one.is_object());
    let (code, reason) = match id.is_some() && is_request && has_wrong_parameters {
        true => (ErrorCode::INVALID_PARAMS, "`params` is not an object"),
        false => (
            ErrorCode::INVALID_REQUEST,
            "the message is not a request of JSON-RPC 2.0",
        ),
    };
    Some(error(id.cloned().unwrap_or_default(), code, reason))
}

fn error(id: Value, code: ErrorCode, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}
