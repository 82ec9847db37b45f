//! The log as text for people: what was decided, and the stages with their durations.

use std::fmt::{self, Write};
use std::io::Write as _;
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::report::wrap::wrap;
use crate::text::elapsed;

/// The stages, by the names of their spans.
const STAGES: [(&str, &str); 16] = [
    ("add", "built the directories"),
    ("check", "checked the files"),
    ("cleanup", "removed the temporary clone"),
    ("clone", "fetched the codex"),
    ("commit", "made the commits"),
    ("compare", "compared with the expected plan"),
    ("config", "read the configuration"),
    ("contents", "fetched contents"),
    ("copy", "copied contents"),
    ("delete", "deleted a branch"),
    ("ls-remote", "queried the branches"),
    ("plan", "planned"),
    ("push", "pushed"),
    ("scan", "scanned"),
    ("trees", "fetched directories"),
    ("verify", "verified the push"),
];

/// Writes one line per event, and one per stage at its end.
pub(super) struct LogLines<W> {
    writer: W,
    /// The width at which lines are wrapped, if they are written to a terminal.
    width: Option<usize>,
}

impl<W> LogLines<W> {
    pub(super) fn new(writer: W, width: Option<usize>) -> Self {
        Self { writer, width }
    }
}

impl<W: for<'w> MakeWriter<'w>> LogLines<W> {
    /// A write error is ignored, because there is no other stream to report it on.
    fn write(&self, level: Level, text: &str) {
        let line = format!("{}: {text}\n", level.as_str().to_lowercase());
        let line = wrap(&line, self.width, "  ");
        let _ = self.writer.make_writer().write_all(line.as_bytes());
    }
}

/// The start and the fields of a span.
struct TimedSpan {
    since: Instant,
    fields: Fields,
}

impl<S, W> Layer<S> for LogLines<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            let since = Instant::now();
            span.extensions_mut().insert(TimedSpan { since, fields });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(stage) = span.extensions_mut().get_mut::<TimedSpan>()
        {
            values.record(&mut stage.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.write(*event.metadata().level(), &fields.text());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let extensions = span.extensions();
        let Some(TimedSpan { since, fields }) = extensions.get::<TimedSpan>() else {
            return;
        };
        let name = span.name();
        let stage = STAGES.iter().find(|(known, _)| *known == name);
        let stage = stage.map_or(name, |(_, words)| words);
        let message = format!("{stage} in {}", duration(since.elapsed()));
        let fields = Fields {
            message,
            ..fields.clone()
        };
        self.write(*span.metadata().level(), &fields.text());
    }
}

/// The message of an event, and its other fields.
#[derive(Clone, Default)]
struct Fields {
    message: String,
    project: Option<String>,
    others: String,
}

impl Fields {
    /// The message, after the name of the project that it is about.
    fn text(&self) -> String {
        let mut text = match &self.project {
            Some(project) => format!("{project}: {}", self.message),
            None => self.message.clone(),
        };
        if !self.others.is_empty() {
            let _ = write!(text, " ({})", self.others);
        }
        text
    }

    fn add(&mut self, name: &str, value: String) {
        match name {
            "message" => self.message = value,
            "project" => self.project = Some(value),
            _ => {
                let separator = if self.others.is_empty() { "" } else { ", " };
                let _ = write!(self.others, "{separator}{name}: {value}");
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format!("{value:?}"));
    }
}

/// A duration with the precision that matters to a person.
fn duration(duration: Duration) -> String {
    match duration.as_micros() {
        0..1000 => "less than 1 ms".to_owned(),
        1000..1_000_000 => format!("{} ms", duration.as_millis()),
        _ => elapsed(duration),
    }
}
