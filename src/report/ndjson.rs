//! Newline-delimited JSON: one event per line while the run goes on, then the result document.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use super::json::SyncDocument;
use crate::event::{Event, Reporter};

/// One line of the output.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Line {
    /// An event of the run.
    Event(Event),
    /// The result of the run, always on the last line.
    #[schemars(title = "ResultEvent")]
    Result {
        /// Always `result`.
        event: ResultTag,
        /// The same document that `--json` prints.
        document: Box<SyncDocument>,
    },
}

/// The `event` field of the last line, which distinguishes it from the events.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ResultTag {
    /// The line that holds the document.
    Result,
}

/// Writes each event as a line, then passes it to the next reporter.
pub(crate) struct Lines<W> {
    out: Mutex<W>,
    next: Box<dyn Reporter>,
}

impl<W: Write + Send> Lines<W> {
    /// Writes to `out`, which is flushed after each line.
    pub(crate) fn new(out: W, next: impl Reporter + 'static) -> Self {
        Self {
            out: Mutex::new(out),
            next: Box::new(next),
        }
    }
}

impl<W: Write + Send> Reporter for Lines<W> {
    fn event(&self, event: &Event) {
        let line = line(&Line::Event(event.clone()));
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);

        // A write error is recorded by the stream itself; a closed pipe is not an error.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        drop(out);

        self.next.event(event);
    }
}

/// Serializes one line, including its line break.
pub(crate) fn line(line: &Line) -> String {
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}
