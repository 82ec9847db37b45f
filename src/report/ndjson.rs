//! A line a thing that happens, as it happens: events first, the document of the whole run last.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use super::json::SyncDocument;
use crate::event::{Event, Reporter};

/// What stands on a line.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Line {
    /// Something happened.
    Event(Event),
    /// The run ended.
    Result {
        /// Always `result`.
        event: ResultTag,
        /// The same document that `--json` prints.
        document: Box<SyncDocument>,
    },
}

/// Tells the last line from the others.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResultTag {
    /// The last line.
    Result,
}

/// Writes each event as a line and passes it on.
pub struct Lines<W> {
    out: Mutex<W>,
    next: Box<dyn Reporter>,
}

impl<W: Write + Send> Lines<W> {
    /// Lines on `out`, flushed one by one.
    pub fn new(out: W, next: impl Reporter + 'static) -> Self {
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
        // A reader that went away is no error.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        drop(out);
        self.next.event(event);
    }
}

/// One line, with its end.
pub fn line(line: &Line) -> String {
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}
