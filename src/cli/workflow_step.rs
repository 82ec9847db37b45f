//! The step of GitHub Actions that the program runs in: its summary and its outputs.

use std::fs::{self, File};
use std::io::Write;

use super::exit;
use super::terminal::Terminal;
use crate::environment::Environment;
use crate::event::Event;
use crate::outcome::SyncOutcome;
use crate::paths::escaped;
use crate::report::github;
use crate::report::step_summary::{MAX_SIZE, StepCommand};

/// The step, if the variables name its files.
pub(crate) struct WorkflowStep<'s> {
    environment: &'s Environment,
    terminal: &'s Terminal,
    /// The command, for the heading of its section.
    pub(crate) command: StepCommand,
}

impl<'s> WorkflowStep<'s> {
    /// `line` is the command line without the program and without secrets.
    pub(crate) fn new(line: &str, environment: &'s Environment, terminal: &'s Terminal) -> Self {
        // An id with underscores is not given by the workflow.
        let step = environment.get("GITHUB_ACTION");
        let step = step.filter(|id| !id.is_empty() && !id.starts_with("__"));
        let command = StepCommand {
            line: line.to_owned(),
            directory: terminal.checkout.path_of("".into()),
            step: step.map(str::to_owned),
        };
        Self {
            environment,
            terminal,
            command,
        }
    }

    /// Sets the outputs of the step. `outcome` is `None` if the run ended before it had one.
    pub(crate) fn write_outputs(&self, outcome: Option<&SyncOutcome>, status: u8) {
        let Some(path) = self.environment.get("GITHUB_OUTPUT") else {
            return;
        };
        let has_failed = !matches!(status, exit::DONE | exit::OUT_OF_DATE);
        let text: String = github::step_outputs(outcome, has_failed)
            .into_iter()
            .map(|(name, value)| format!("{name}={}\n", escaped(value.as_bytes())))
            .collect();
        self.append(path, "GITHUB_OUTPUT", &text);
    }

    /// Appends a section to the summary. `section` gets the number of bytes that it may have, because
    /// GitHub shows nothing of a summary that is too large.
    pub(crate) fn write_summary(&self, section: impl FnOnce(&StepCommand, usize) -> String) {
        let Some(path) = self.environment.get("GITHUB_STEP_SUMMARY") else {
            return;
        };
        let size = fs::metadata(path).map_or(0, |meta| meta.len());
        let room = usize::try_from(MAX_SIZE.saturating_sub(size)).unwrap_or_default();
        let text = section(&self.command, room);
        if text.len() > room {
            self.warn("the summary of the step is full".to_owned());
            return;
        }
        self.append(path, "GITHUB_STEP_SUMMARY", &text);
    }

    /// Appends a text to the file that the variable `name` names. An error is a warning.
    fn append(&self, path: &str, name: &str, text: &str) {
        let file = File::options().append(true).create(true).open(path);
        if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
            self.warn(format!("cannot write `{name}`: {error}"));
        }
    }

    fn warn(&self, message: String) {
        self.terminal.event(&Event::Warning {
            project: None,
            message,
        });
    }
}
