//! The process's streams: where colour and bars make sense, how errors are written, how logs are filtered.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use super::args::{Global, LogFormat, When};
use crate::environment::Environment;
use crate::event::Event;
use crate::report::style::Style;
use crate::report::{ErrorReport, github};

/// How this process's streams are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
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
        let forced = environment.get("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let color = |terminal: bool| match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto if environment.get("NO_COLOR").is_some() => false,
            When::Auto => forced || (terminal && !dumb),
        };
        let err = io::stderr().is_terminal();
        Self {
            out: Style { color: color(io::stdout().is_terminal()) },
            err: Style { color: color(err) },
            width: terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into()),
            bars: err && !dumb && !global.no_progress && !global.quiet && environment.get("CI").is_none(),
            verbose: global.verbose > 0,
            annotates: environment.get("GITHUB_ACTIONS") == Some("true"),
            quiet: global.quiet,
        }
    }

    /// Writes the result. A reader that went away (`| head -1`) is no error.
    pub(crate) fn result(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Writes an error with its causes and hints.
    pub(crate) fn error(&self, about: Option<&str>, error: &ErrorReport) {
        let mut text = format!("{} ", self.err.bad("error:"));
        if let Some(about) = about {
            text.push_str(&format!("{about}: "));
        }
        text.push_str(&error.message);
        text.push('\n');
        for cause in &error.causes {
            text.push_str(&format!("  {} {cause}\n", self.err.faint("caused by:")));
        }
        for hint in &error.hints {
            text.push_str(&format!("  {} {hint}\n", self.err.strong("hint:")));
        }
        if self.annotates {
            let about = about.map(|about| format!("{about}: ")).unwrap_or_default();
            text.push_str(&github::annotation("error", &format!("{about}{}", error.message)));
            text.push('\n');
        }
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Writes an event that stays on the screen.
    pub(crate) fn event(&self, event: &Event) {
        let line = match event {
            Event::Warning { project, message } if !self.quiet => {
                let about = project.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
                let mut line = format!("{} {about}{message}", self.err.warn("warning:"));
                if self.annotates {
                    line.push('\n');
                    line.push_str(&github::annotation("warning", &format!("{about}{message}")));
                }
                line
            }
            Event::Waiting if !self.quiet => "waiting for another sync on this machine to finish".to_owned(),
            Event::Retrying { attempt, of, reason, .. } if !self.quiet => {
                format!("the push did not land ({reason}); trying again, {attempt} of {of} tries used")
            }
            _ => return,
        };
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

/// Sends log lines to standard error: `FRACTARY_CODEX_LOG` filters, else `-v` counts.
pub(crate) fn start_logging(global: &Global, environment: &Environment) {
    let fallback = match global.verbose {
        0 => "off",
        1 => "fractary_codex=info",
        _ => "fractary_codex=debug",
    };
    let filter = environment.get("FRACTARY_CODEX_LOG").unwrap_or(fallback);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(fallback));
    let spans = tracing_subscriber::fmt::format::FmtSpan::CLOSE;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_span_events(spans);
    let _ = match global.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
