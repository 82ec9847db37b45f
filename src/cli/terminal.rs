//! The process's streams: where colour and bars make sense, how errors are written, how logs are filtered.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use tracing_subscriber::EnvFilter;

use super::args::{Global, LogFormat, When};
use super::failure::{Failure, exit, first_exit};
use crate::codex::transport::words::{is_of_server, marked};
use crate::environment::Environment;
use crate::event::Event;
use crate::paths::escaped;
use crate::report::style::Style;
use crate::report::{ErrorReport, github};

/// Standard output, which remembers the first thing that kept it from being written. A reader that went away
/// (`| head -1`) is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Results(Arc<OnceLock<String>>);

impl Results {
    fn noted<T>(&self, written: io::Result<T>) -> io::Result<T> {
        written.inspect_err(|error| {
            if !matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::Interrupted
            ) {
                let _ = self.0.set(error.to_string());
            }
        })
    }
}

impl Write for Results {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.noted(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.noted(io::stdout().flush())
    }
}

/// How this process's streams are written.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    /// Where results go.
    pub(crate) results: Results,
    /// Standard output.
    pub(crate) out: Style,
    /// Standard error.
    pub(crate) err: Style,
    /// Columns of the terminal that standard output is, if it is one.
    pub(crate) width: Option<usize>,
    /// Whether bars are drawn.
    pub(crate) bars: bool,
    /// Whether more is told.
    pub(crate) verbose: bool,
    /// Whether errors and warnings are also annotations of GitHub Actions.
    annotates: bool,
    quiet: bool,
}

impl Terminal {
    /// From flags and variables: `--color`, then `NO_COLOR`, then `CLICOLOR_FORCE`, then the stream itself.
    pub(crate) fn new(global: &Global, environment: &Environment) -> Self {
        let dumb = environment.get("TERM") == Some("dumb");
        let forced = environment
            .get("CLICOLOR_FORCE")
            .is_some_and(|value| value != "0");
        let color = |terminal: bool| match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto if environment.get("NO_COLOR").is_some() => false,
            When::Auto => forced || (terminal && !dumb),
        };
        let err = io::stderr().is_terminal();
        Self {
            results: Results::default(),
            out: Style {
                color: color(io::stdout().is_terminal()),
            },
            err: Style { color: color(err) },
            width: terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into()),
            bars: err
                && !dumb
                && !global.no_progress
                && !global.quiet
                && environment.get("CI").is_none(),
            verbose: global.verbose > 0,
            annotates: environment.get("GITHUB_ACTIONS") == Some("true"),
            quiet: global.quiet,
        }
    }

    /// Writes the result.
    pub(crate) fn result(&self, text: &str) {
        let mut out = self.results.clone();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Ends with `status`, unless a result could not be written: then nothing was done as far as the caller can tell.
    pub(crate) fn close(&self, status: u8) -> u8 {
        let Some(error) = self.results.0.get() else {
            return status;
        };
        let message = format!("standard output cannot be written: {error}");
        let failure = Failure::new(exit::SOME_FAILED, "output", message, Vec::new());
        self.error(None, &failure.report);
        first_exit([failure.exit, status].into_iter())
    }

    /// Writes a text to standard error.
    pub(crate) fn beside(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Writes an error with its causes and hints.
    pub(crate) fn error(&self, about: Option<&str>, error: &ErrorReport) {
        let mut text = format!("{} ", self.err.bad("error:"));
        if let Some(about) = about {
            text.push_str(&format!("{about}: "));
        }
        text.push_str(&error.message);
        text.push('\n');
        let (words, causes): (Vec<_>, Vec<_>) =
            error.causes.iter().partition(|cause| is_of_server(cause));
        for cause in causes {
            text.push_str(&format!("  {} {cause}\n", self.err.faint("caused by:")));
        }
        for line in words {
            text.push_str(&format!("  {line}\n"));
        }
        for hint in &error.hints {
            text.push_str(&format!("  {} {hint}\n", self.err.strong("hint:")));
        }
        self.beside(&text);
        self.annotate(about, error);
    }

    /// Writes an error, which stands in a document, for GitHub Actions as well.
    pub(crate) fn annotate(&self, about: Option<&str>, error: &ErrorReport) {
        if self.annotates {
            self.beside(&github::errors(about, error));
        }
    }

    /// Writes an event that stays on the screen. Annotations are no part of it: no flag takes them away.
    pub(crate) fn event(&self, event: &Event) {
        let text = match event {
            Event::Warning { project, message } => {
                let about = project
                    .as_ref()
                    .map(|name| format!("{name}: "))
                    .unwrap_or_default();
                let line = if self.quiet {
                    String::new()
                } else {
                    format!("{} {about}{message}\n", self.err.warn("warning:"))
                };
                let annotation = github::annotation("warning", &format!("{about}{message}"));
                if self.annotates {
                    format!("{line}{annotation}\n")
                } else {
                    line
                }
            }
            _ if self.quiet => return,
            Event::Waiting => "waiting for another sync on this machine to finish\n".to_owned(),
            Event::ServerWords { lines } => marked(lines).map(|line| line + "\n").collect(),
            Event::Retrying {
                attempt,
                of,
                reason,
                ..
            } => {
                format!(
                    "the push did not land ({reason}); trying again, {attempt} of {of} tries used\n"
                )
            }
            _ => return,
        };
        self.beside(&text);
    }
}

/// Sends log lines to standard error: `FRACTARY_CODEX_LOG` filters, else `-v` counts. An error says why the variable
/// is not heeded.
pub(crate) fn start_logging(global: &Global, environment: &Environment) -> Result<(), String> {
    let fallback = match global.verbose {
        0 => "off",
        1 => "fractary_codex=info",
        _ => "fractary_codex=debug",
    };
    let wanted = environment
        .get("FRACTARY_CODEX_LOG")
        .map_or(Ok(None), |text| EnvFilter::try_new(text).map(Some));
    let heeded = wanted.as_ref().map(drop).map_err(|error| {
        let error = error.to_string();
        format!(
            "`FRACTARY_CODEX_LOG` is not heeded: {}",
            escaped(error.as_bytes())
        )
    });
    let filter = wanted
        .ok()
        .flatten()
        .unwrap_or_else(|| EnvFilter::new(fallback));
    let spans = tracing_subscriber::fmt::format::FmtSpan::CLOSE;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_span_events(spans);
    let _ = match global.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    heeded
}
