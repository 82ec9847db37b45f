//! `doctor`: a line for everything that a sync needs, with a verdict and a cure.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::json;

use super::to_json;
use crate::cli::args::DoctorArgs;
use crate::cli::error_report::{self, Failure, exit};
use crate::cli::load::Context;
use crate::codex::error::RemoteErrorKind;
use crate::event::Silent;
use crate::paths::shown;
use crate::report::ErrorReport;
use crate::sync::doctor::{Check, Verdict, examine};

/// A check as it is told.
struct Told {
    subject: &'static str,
    /// `ok`, `warning`, `failed` or `skipped`.
    verdict: &'static str,
    report: ErrorReport,
    exit: u8,
}

/// Runs the command and gives its exit status.
pub(crate) fn run(arguments: &DoctorArgs, context: &Context) -> u8 {
    let told = match context.load(arguments.env.as_deref(), Vec::new()) {
        Err(failure) => vec![failed("configuration", failure)],
        Ok((configuration, workspace)) => {
            let files: Vec<_> = configuration
                .files()
                .iter()
                .map(|(_, file)| shown(file).to_string())
                .collect();
            let files = files.join(", ");
            let found = if files.is_empty() {
                "from variables alone".to_owned()
            } else {
                format!("valid: {files}")
            };
            let projects = workspace.projects.iter().collect();
            let request =
                context.sync_request(&configuration, &workspace, projects, Arc::new(Silent));
            let checks = examine(&request);
            let of_actions = configuration.environment().get("GITHUB_ACTIONS").is_some();
            std::iter::once(good("configuration", found))
                .chain(checks.into_iter().map(|check| tell(check, of_actions)))
                .collect()
        }
    };
    let status = error_report::first_exit(told.iter().map(|check| check.exit));
    context.terminal.result(&if arguments.output.is_json() {
        as_json(&told, status)
    } else {
        as_text(&told, context)
    });
    status
}

fn good(subject: &'static str, message: String) -> Told {
    let report = ErrorReport {
        kind: "ok",
        message,
        hints: Vec::new(),
        causes: Vec::new(),
    };
    Told {
        subject,
        verdict: "ok",
        report,
        exit: exit::DONE,
    }
}

fn failed(subject: &'static str, failure: Failure) -> Told {
    Told {
        subject,
        verdict: "failed",
        report: failure.report,
        exit: failure.exit,
    }
}

fn tell(check: Check, of_actions: bool) -> Told {
    let subject = check.subject;
    match check.verdict {
        Verdict::Good(message) => good(subject, message),
        Verdict::Odd { message, hint } => {
            let report = ErrorReport {
                kind: "odd",
                message,
                hints: vec![hint],
                causes: Vec::new(),
            };
            Told {
                subject,
                verdict: "warning",
                report,
                exit: exit::DONE,
            }
        }
        Verdict::Partly { message, hint } => failed(
            subject,
            Failure::new(exit::SOME_FAILED, "root", message, vec![hint]),
        ),
        Verdict::Bad(error) => failed(subject, error_report::of_run(&error)),
        Verdict::NotWritable(error) => {
            let hint = match error.kind {
                RemoteErrorKind::NoCredentials | RemoteErrorKind::WrongCredentials => None,
                _ if of_actions => Some(
                    "the token that Actions gives a job writes to the job's own repository alone: give the codex's own, as \
                     a secret, with `FRACTARY_CODEX_REMOTE__TOKEN`",
                ),
                _ => Some(
                    "reading works, so the credentials lack a right or a scope: give them write access to the codex",
                ),
            };
            let mut failure = error_report::of_run(&error.into());
            failure.report.message = format!("not allowed: {}", failure.report.message);
            if let Some(hint) = hint {
                failure.report.hints = vec![hint.to_owned()];
            }
            failed(
                subject,
                Failure {
                    exit: exit::PUSH,
                    ..failure
                },
            )
        }
        Verdict::Skipped => {
            let message = "not looked at, for what came before failed".to_owned();
            let report = ErrorReport {
                kind: "skipped",
                message,
                hints: Vec::new(),
                causes: Vec::new(),
            };
            Told {
                subject,
                verdict: "skipped",
                report,
                exit: exit::DONE,
            }
        }
    }
}

fn as_json(told: &[Told], status: u8) -> String {
    let checks = told.iter().map(|Told { subject, verdict, report, .. }| {
        json!({
            "subject": subject, "verdict": verdict, "kind": report.kind, "message": report.message,
            "causes": report.causes, "hints": report.hints,
        })
    });
    to_json(
        &json!({ "schema_version": 1, "checks": checks.collect::<Vec<_>>(), "exit_code": status }),
    )
}

fn as_text(told: &[Told], context: &Context) -> String {
    let style = context.terminal.out;
    let mut text = String::new();
    for Told {
        subject,
        verdict,
        report,
        ..
    } in told
    {
        let shown = format!("{verdict:<8}");
        let shown = match *verdict {
            "ok" => style.good(shown),
            "failed" => style.bad(shown),
            _ => style.warn(shown),
        };
        let _ = writeln!(text, "{shown} {subject}: {}", report.message);
        for cause in &report.causes {
            let _ = writeln!(text, "           {} {cause}", style.faint("caused by:"));
        }
        for hint in &report.hints {
            let _ = writeln!(text, "           {} {hint}", style.strong("hint:"));
        }
    }
    text
}
