//! `doctor`: checks everything that a sync needs, and prints one line per check with its result and
//! a hint.

use std::sync::Arc;

use super::to_json;
use crate::cli::args::DoctorArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::config::Configuration;
use crate::event::Silent;
use crate::outcome::SyncError;
use crate::paths::shown;
use crate::report::configuration::REPORT_VERSION;
use crate::report::doctor::{CheckReport, CheckVerdict, DoctorReport};
use crate::report::style::Style;
use crate::report::wrap::wrap;
use crate::report::{ErrorReport, step_summary};
use crate::sync::doctor::{Check, Verdict, examine};

/// A line of the output.
struct CheckLine {
    subject: &'static str,
    verdict: CheckVerdict,
    /// The message and hints, also of a check that passed.
    report: ErrorReport,
    /// The exit status if no other check failed.
    exit: u8,
}

impl CheckLine {
    /// A line that does not affect the exit status.
    fn note(
        subject: &'static str,
        verdict: CheckVerdict,
        kind: &'static str,
        message: String,
    ) -> Self {
        Self {
            subject,
            verdict,
            report: ErrorReport {
                kind: kind.into(),
                message,
                hints: Vec::new(),
                causes: Vec::new(),
                ..ErrorReport::default()
            },
            exit: exit::DONE,
        }
    }

    fn ok(subject: &'static str, message: String) -> Self {
        Self::note(subject, CheckVerdict::Ok, "ok", message)
    }

    fn failed(subject: &'static str, error: CommandError) -> Self {
        Self {
            subject,
            verdict: CheckVerdict::Failed,
            report: error.report,
            exit: error.exit,
        }
    }

    /// `in_workflow` is set in a job of GitHub Actions.
    fn new(Check { subject, verdict }: Check, in_workflow: bool) -> Self {
        match verdict {
            Verdict::Ok(message) => Self::ok(subject, message),
            Verdict::Warning { message, hint } => {
                let mut line = Self::note(subject, CheckVerdict::Warning, "odd", message);
                line.report.hints.push(hint);
                line
            }
            Verdict::Incomplete { message, hint } => {
                let error = CommandError::new(exit::SOME_FAILED, "root", message, vec![hint]);
                Self::failed(subject, error)
            }
            Verdict::Failed(error) => Self::failed(subject, CommandError::from(&error)),
            Verdict::NotWritable(error) => Self::failed(subject, not_writable(error, in_workflow)),
            Verdict::Skipped => {
                let message = "skipped because an earlier check failed".to_owned();
                Self::note(subject, CheckVerdict::Skipped, "skipped", message)
            }
        }
    }
}

/// Runs the command and returns the exit status.
pub(crate) fn run(arguments: &DoctorArgs, context: &Context) -> u8 {
    let lines = match context.load(arguments.env.as_deref(), Vec::new()) {
        Err(error) => vec![CheckLine::failed("configuration", error)],
        Ok((configuration, workspace)) => {
            let projects = workspace.projects.iter().collect();
            let request =
                context.sync_request(&configuration, &workspace, projects, Arc::new(Silent));
            let in_workflow = configuration.environment().get("GITHUB_ACTIONS").is_some();
            let checks = examine(&request)
                .into_iter()
                .map(|check| CheckLine::new(check, in_workflow));
            [CheckLine::ok("configuration", sources(&configuration))]
                .into_iter()
                .chain(checks)
                .collect()
        }
    };

    let status = exit::first(lines.iter().map(|line| line.exit));
    let step = context.workflow_step();
    step.write_summary(|command, _| {
        let checks = lines
            .iter()
            .map(|line| (line.subject, line.verdict, &line.report));
        step_summary::of_checks(command, checks)
    });
    for line in &lines {
        context
            .terminal
            .annotate_check(line.subject, line.verdict, &line.report);
    }
    context.terminal.result(&if arguments.output.is_json() {
        document(&lines, status)
    } else {
        text(&lines, context.terminal.out, context.terminal.width)
    });
    status
}

/// The files that a valid configuration was read from.
fn sources(configuration: &Configuration) -> String {
    let files: Vec<_> = configuration
        .files()
        .iter()
        .map(|(_, file)| shown(file).to_string())
        .collect();
    if files.is_empty() {
        "valid: only environment variables, no files".to_owned()
    } else {
        format!("valid: {}", files.join(", "))
    }
}

/// The error of a codex that can be read, but not written.
fn not_writable(error: RemoteError, in_workflow: bool) -> CommandError {
    let hint = match error.kind {
        RemoteErrorKind::NoCredentials | RemoteErrorKind::WrongCredentials => None,
        _ if in_workflow => Some(
            "the job's own token can only write to the job's repository: store a token for the codex as a secret, and \
             pass it in `FRACTARY_CODEX_REMOTE__TOKEN`",
        ),
        _ => Some(
            "the codex can be read, so the credentials lack a permission or a scope: give them write access to the codex",
        ),
    };

    let mut error = CommandError::from(&SyncError::from(error));
    error.report.message = format!("not allowed: {}", error.report.message);
    if let Some(hint) = hint {
        error.report.hints = vec![hint.to_owned()];
    }
    CommandError {
        exit: exit::PUSH,
        ..error
    }
}

fn document(lines: &[CheckLine], status: u8) -> String {
    let checks = lines.iter().map(|line| CheckReport {
        subject: line.subject.to_owned(),
        verdict: line.verdict,
        kind: line.report.kind.to_string(),
        message: line.report.message.clone(),
        causes: line.report.causes.clone(),
        hints: line.report.hints.clone(),
        commands: line.report.commands(),
    });
    to_json(&DoctorReport {
        schema_version: REPORT_VERSION,
        checks: checks.collect(),
        exit_code: status,
    })
}

/// The text for people; `width` is that of the terminal.
fn text(lines: &[CheckLine], style: Style, width: Option<usize>) -> String {
    let mut text = String::new();
    let mut add = |line: &str, indent: &str| {
        text.push_str(&wrap(line, width, indent));
        text.push('\n');
    };
    for line in lines {
        let verdict = format!("{:<8}", line.verdict.word());
        let verdict = match line.verdict {
            CheckVerdict::Ok => style.good(verdict),
            CheckVerdict::Failed => style.bad(verdict),
            CheckVerdict::Warning | CheckVerdict::Skipped => style.warn(verdict),
        };
        let message = &line.report.message;
        add(
            &format!("{verdict} {}: {message}", line.subject),
            "           ",
        );

        for cause in &line.report.causes {
            let cause = format!("           {} {cause}", style.faint("caused by:"));
            add(&cause, "             ");
        }
        for hint in &line.report.hints {
            let hint = format!("           {} {hint}", style.strong("hint:"));
            add(&hint, "             ");
        }
    }
    text
}
