//! The streams of the process: whether to use colours and progress bars, and how results, errors,
//! warnings and logs are written.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bstr::ByteSlice;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use super::args::{Global, LogFormat, When};
use super::command_error::CommandError;
use super::exit;
use super::log_lines::LogLines;
use crate::checks::{Finding, Severity};
use crate::codex::remote::server_message::{is_of_server, marked};
use crate::environment::Environment;
use crate::event::Event;
use crate::masked_urls::mask_accounts;
use crate::paths::escaped;
use crate::report::doctor::CheckVerdict;
use crate::report::github::{Annotation, Level};
use crate::report::issue::Issue;
use crate::report::snippet::snippet;
use crate::report::source_place::SourcePlace;
use crate::report::style::Style;
use crate::report::wrap::wrap;
use crate::report::{ErrorReport, github};
use crate::text::pluralize;

/// Standard output, which records its first write error. A closed pipe (`| head -1`) is not an
/// error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Results {
    failure: Arc<OnceLock<String>>,
    /// Whether a runner of GitHub Actions reads what is written.
    in_workflow: bool,
}

impl Results {
    fn record_error<T>(&self, written: io::Result<T>) -> io::Result<T> {
        written.inspect_err(|error| {
            if !matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::Interrupted
            ) {
                let _ = self.failure.set(error.to_string());
            }
        })
    }
}

impl Write for Results {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.in_workflow {
            return self.record_error(io::stdout().write(bytes));
        }
        let written = io::stdout().write_all(&github::without_commands(bytes));
        self.record_error(written).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.record_error(io::stdout().flush())
    }
}

/// The streams of the process and their settings.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    /// The stream for results: standard output.
    pub(crate) results: Results,
    /// The style of standard output.
    pub(crate) out: Style,
    /// The style of standard error.
    pub(crate) err: Style,
    /// The width in columns, if standard output is a terminal.
    pub(crate) width: Option<usize>,
    /// The width in columns, if standard error is a terminal.
    err_width: Option<usize>,
    /// Whether progress bars are drawn. They are not with `-v`, whose lines would be among them.
    pub(crate) bars: bool,
    /// Whether long lists are shown in full.
    pub(crate) verbose: bool,
    /// Whether a GitHub Actions runner reads the streams. It gets errors and warnings as
    /// annotations, and no other workflow command.
    in_workflow: bool,
    /// The annotations, which are written when the program ends, because GitHub shows a limited number.
    annotations: Arc<Mutex<Vec<Annotation>>>,
    /// The paths of annotations.
    pub(crate) checkout: SourcePlace,
    quiet: bool,
}

impl Terminal {
    /// Determines the settings from flags and variables. For colour, `--color` takes precedence
    /// over `NO_COLOR`, that over `CLICOLOR_FORCE`, and without any of them it depends on whether
    /// the stream is a terminal.
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
        let in_workflow = is_in_workflow(environment);

        Self {
            results: Results {
                in_workflow,
                ..Results::default()
            },
            out: Style {
                color: color(io::stdout().is_terminal()),
            },
            err: Style { color: color(err) },
            width: terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into()),
            err_width: terminal_size::terminal_size_of(io::stderr())
                .map(|(width, _)| width.0.into()),
            bars: err
                && !dumb
                && !global.no_progress
                && !global.quiet
                && global.verbose == 0
                && environment.get("CI").is_none(),
            verbose: global.verbose > 0,
            in_workflow,
            annotations: Arc::default(),
            checkout: checkout(global, environment),
            quiet: global.quiet,
        }
    }

    /// Writes a result to standard output.
    pub(crate) fn result(&self, text: &str) {
        let mut out = self.results.clone();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Whether results are written to a terminal.
    pub(crate) fn shows_results(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether questions can be asked: standard input and standard error are a terminal.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question on standard error, and returns the answer without surrounding spaces. `None`
    /// at the end of the input.
    pub(crate) fn ask(&self, question: &str) -> Option<String> {
        let mut answer = String::new();
        let read = write!(io::stderr(), "{question} ")
            .and_then(|()| io::stderr().flush())
            .and_then(|()| io::stdin().read_line(&mut answer));
        let has_answer = read.is_ok_and(|length| length > 0);
        has_answer.then(|| answer.trim().to_owned())
    }

    /// Writes a document of the codex, byte for byte.
    pub(crate) fn document(&self, contents: &[u8]) {
        let mut out = self.results.clone();
        let _ = out.write_all(contents).and_then(|()| out.flush());
    }

    /// Writes a generated text, such as a completion script, byte for byte. Nothing foreign is in
    /// it, so it needs no protection against workflow commands.
    pub(crate) fn generated(&self, text: &str) {
        let mut out = Results {
            in_workflow: false,
            ..self.results.clone()
        };
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Returns the final exit status: `status`, unless a result could not be written. Then an error
    /// is reported, because the caller has not received the result.
    pub(crate) fn close(&self, status: u8) -> u8 {
        let mut status = status;
        if let Some(write_error) = self.results.failure.get() {
            let message = format!("standard output cannot be written: {write_error}");
            let error = CommandError::new(exit::SOME_FAILED, "output", message, Vec::new());
            self.error(None, &error.report);
            status = exit::first([error.exit, status]);
        }
        let commands = github::annotations(&std::mem::take(&mut *self.annotations()));
        let _ = io::stderr().lock().write_all(commands.as_bytes());
        status
    }

    /// Writes a text to standard error. A write error is ignored, because there is no other stream
    /// to report it on.
    pub(crate) fn write_err(&self, text: &str) {
        let mut out = StandardError {
            in_workflow: self.in_workflow,
        };
        let _ = out.write_all(text.as_bytes());
    }

    /// The annotations for the GitHub Actions runner. Without a runner, none is added.
    fn annotations(&self) -> MutexGuard<'_, Vec<Annotation>> {
        self.annotations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an error with its causes and hints, and as annotations. `subject`, such as the name
    /// of a project, precedes the message.
    pub(crate) fn error(&self, subject: Option<&str>, error: &ErrorReport) {
        let mut text = format!("{} ", self.err.bad("error:"));
        if let Some(subject) = subject {
            text.push_str(&format!("{subject}: "));
        }
        text.push_str(&error.message);
        let mut text = self.wrapped_err(&text, "  ");

        let caused_by = self.err.faint("caused by:");
        let snippet = |issue: &Issue| {
            let line = issue.source.as_ref();
            line.map(|line| snippet(line, self.err, self.err_width))
        };
        let (words, causes): (Vec<_>, Vec<_>) =
            error.causes.iter().partition(|cause| is_of_server(cause));
        match &*error.issues {
            [] => {
                for cause in causes {
                    text.push_str(&self.wrapped_err(&format!("  {caused_by} {cause}"), "    "));
                }
            }
            [only] => text.extend(snippet(only)),
            several => {
                for issue in several {
                    let cause = format!("  {caused_by} {}", issue.text);
                    text.push_str(&self.wrapped_err(&cause, "    "));
                    text.extend(snippet(issue));
                    if let Some(hint) = &issue.hint {
                        let hint = format!("    {} {hint}", self.err.strong("hint:"));
                        text.push_str(&self.wrapped_err(&hint, "      "));
                    }
                }
            }
        }
        for line in words {
            text.push_str(&format!("  {line}\n"));
        }
        for hint in &error.hints {
            let hint = format!("  {} {hint}", self.err.strong("hint:"));
            text.push_str(&self.wrapped_err(&hint, "    "));
        }

        self.write_err(&text);
        self.annotate(subject, error);
    }

    /// A message as lines for standard error.
    fn wrapped_err(&self, text: &str, indent: &str) -> String {
        wrap(text, self.err_width, indent).into_owned() + "\n"
    }

    /// Adds only the GitHub Actions annotations of an error. For the output formats whose result
    /// already contains the error (`json`, `ndjson`).
    pub(crate) fn annotate(&self, subject: Option<&str>, error: &ErrorReport) {
        if !self.in_workflow {
            return;
        }
        let added = github::errors(subject, error, &self.checkout);
        let mut annotations = self.annotations();
        // The error of the run is not left out if there are too many others.
        let position = match subject {
            None => 0,
            Some(_) => annotations.len(),
        };
        annotations.splice(position..position, added);
    }

    /// Adds the GitHub Actions annotation of a check of `doctor` that is not passed.
    pub(crate) fn annotate_check(&self, name: &str, verdict: CheckVerdict, report: &ErrorReport) {
        match verdict {
            CheckVerdict::Failed => self.annotate(Some(name), report),
            CheckVerdict::Warning if self.in_workflow => {
                let message = format!("{name}: {}", report.message);
                let annotation = Annotation::new(Level::Warning, &message);
                self.annotations().push(annotation);
            }
            CheckVerdict::Warning | CheckVerdict::Ok | CheckVerdict::Skipped => {}
        }
    }

    /// Writes a finding of a check as a line. `--quiet` suppresses it, if its project is published
    /// all the same.
    pub(crate) fn finding(&self, project: &str, finding: &Finding) {
        let label = match finding.severity {
            Severity::Warn if self.quiet => return,
            Severity::Warn => self.err.warn("warning:"),
            Severity::Withhold => self.err.bad("error:"),
        };
        let text = format!("{label} {project}: {finding}");
        self.write_err(&self.wrapped_err(&text, "  "));
    }

    /// Adds the GitHub Actions annotation of a finding. `root` is the directory of the workspace.
    pub(crate) fn annotate_finding(&self, project: &str, finding: &Finding, root: &Path) {
        if self.in_workflow {
            let checkout = self.checkout.in_directory(root);
            let file = checkout.path_of(finding.file.as_bstr());
            let annotation = github::finding(project, finding, &file);
            self.annotations().push(annotation);
        }
    }

    /// Writes an event that is a permanent line; events that only concern progress are ignored.
    pub(crate) fn event(&self, event: &Event) {
        let text = match event {
            Event::Warning { project, message } => {
                self.warning(project.as_deref(), message);
                return;
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
                let text = format!(
                    "the push is not confirmed ({reason}); trying again, {attempt} of {of} tries used"
                );
                self.wrapped_err(&text, "  ")
            }
            Event::PushingPart { projects, of } => {
                format!(
                    "the server rejected a push; pushing {projects} of {}\n",
                    pluralize(*of, "project")
                )
            }
            _ => return,
        };
        self.write_err(&text);
    }

    /// Writes a warning as a line and as an annotation. `--quiet` suppresses the line, but not the
    /// annotation.
    fn warning(&self, project: Option<&str>, message: &str) {
        let message = match project {
            Some(project) => format!("{project}: {message}"),
            None => message.to_owned(),
        };
        let message = mask_accounts(&message);

        if !self.quiet {
            let text = format!("{} {message}", self.err.warn("warning:"));
            self.write_err(&self.wrapped_err(&text, "  "));
        }
        if self.in_workflow {
            let annotation = Annotation::new(Level::Warning, &message);
            self.annotations().push(annotation);
        }
    }
}

/// The directory of the checkout, as GitHub Actions or GitLab names it, and the directory to work in.
fn checkout(global: &Global, environment: &Environment) -> SourcePlace {
    let directory = std::env::current_dir().unwrap_or_default();
    let directory = match &global.directory {
        Some(given) => directory.join(given),
        None => directory,
    };
    let named = environment
        .get("GITHUB_WORKSPACE")
        .or_else(|| environment.get("CI_PROJECT_DIR"));
    let named = named.map(Path::new).filter(|path| path.is_absolute());
    SourcePlace::new(named, &directory)
}

/// Whether the program runs in a job of GitHub Actions.
fn is_in_workflow(environment: &Environment) -> bool {
    environment.get("GITHUB_ACTIONS") == Some("true")
}

/// Standard error. Each write consists of whole lines.
struct StandardError {
    in_workflow: bool,
}

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stderr().lock();
        if self.in_workflow {
            out.write_all(&github::without_commands(bytes))?;
        } else {
            out.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts writing log lines to standard error. `FRACTARY_CODEX_LOG` filters them. Without it, `-v`
/// writes what was decided, and `-vv` also the stages, as `--log-format json` alone does.
///
/// If the variable is invalid, logging starts without it, and a warning about it is returned.
pub(crate) fn start_logging(
    terminal: &Terminal,
    global: &Global,
    environment: &Environment,
) -> Result<(), String> {
    let is_json = matches!(global.log_format, LogFormat::Json);
    let fallback = match global.verbose {
        0 if is_json && !global.quiet => "fractary_codex=debug",
        0 => "off",
        1 => "fractary_codex=info",
        _ => "fractary_codex=debug",
    };
    let (filter, result) = match environment
        .get("FRACTARY_CODEX_LOG")
        .map(EnvFilter::try_new)
    {
        Some(Ok(filter)) => (filter, Ok(())),
        Some(Err(error)) => {
            let error = error.to_string();
            let error = escaped(error.as_bytes());
            let warning = format!("invalid `FRACTARY_CODEX_LOG`, ignored: {error}");
            (EnvFilter::new(fallback), Err(warning))
        }
        None => (EnvFilter::new(fallback), Ok(())),
    };

    let in_workflow = is_in_workflow(environment);
    let writer = move || StandardError { in_workflow };
    let registry = Registry::default().with(filter);
    let _ = if is_json {
        let spans = tracing_subscriber::fmt::format::FmtSpan::CLOSE;
        let lines = tracing_subscriber::fmt::layer().json();
        let lines = lines.with_writer(writer).with_span_events(spans);
        registry.with(lines).try_init()
    } else {
        let lines = LogLines::new(writer, terminal.err_width);
        registry.with(lines).try_init()
    };
    result
}
