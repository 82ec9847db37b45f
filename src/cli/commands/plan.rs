//! `plan`: shows a saved plan. [`read`] is the only place that reads the file of a plan.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::run_output::{RunOutput, write_summary};
use crate::cli::args::{Format, PlanCommand, PlanFormat};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::outcome::SyncOutcome;
use crate::paths::{escaped, shown};
use crate::platform;
use crate::report::plan_comment::plan_comment;
use crate::report::step_summary;
use crate::saved_plan::document::SavedPlan;

/// The greatest size of a plan in bytes: some hundred times that of a plan for 10,000 projects.
const MAX_SIZE: u64 = 1 << 30;

/// Runs the command and returns the exit status.
pub(crate) fn run(command: &PlanCommand, context: &Context) -> u8 {
    let PlanCommand::Show { file, output } = command;
    let format = output.chosen();
    let outcome = match outcome(file, context) {
        Ok(outcome) => outcome,
        Err(error) => {
            let step = context.workflow_step();
            step.write_summary(|command, _| step_summary::of_failure(command, &error.report));
            return super::finish(Err(error), format == PlanFormat::Json, context);
        }
    };
    write_summary(&outcome, None, context);
    let show = |format| {
        let output = RunOutput {
            command: "sync",
            format,
            changes: true,
            check: false,
        };
        output.show(&outcome, context);
    };
    match format {
        PlanFormat::Human => show(Format::Human),
        PlanFormat::Json => show(Format::Json),
        PlanFormat::Markdown => {
            let text = plan_comment(&outcome, |project| context.error_of_project(project));
            context.terminal.result(&text);
        }
    }
    exit::DONE
}

fn outcome(file: &Path, context: &Context) -> Result<SyncOutcome, CommandError> {
    let plan = read(file, context)?;
    plan.outcome()
        .map_err(|error| unusable(file, &error.to_string()))
}

/// Reads a saved plan.
pub(super) fn read(file: &Path, context: &Context) -> Result<SavedPlan, CommandError> {
    let text = if file == Path::new("-") {
        bounded(io::stdin().lock())
    } else {
        let path = context.directory()?.join(file);
        regular_file(&path).and_then(bounded)
    };
    let text = text.map_err(|error| {
        let message = format!(
            "cannot read the plan `{}`: {}",
            shown(file),
            platform::words_of(&error)
        );
        CommandError::new(exit::USAGE, "plan-file", message, Vec::new())
    })?;
    SavedPlan::parse(&text).map_err(|error| unusable(file, &error.to_string()))
}

/// Opens a file. Opening a named pipe would wait for a writer, so only a regular file is opened.
fn regular_file(path: &Path) -> io::Result<fs::File> {
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    match meta.is_file() {
        true => fs::File::open(path),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    reader.take(MAX_SIZE + 1).read_to_end(&mut text)?;
    match text.len() as u64 > MAX_SIZE {
        true => Err(io::Error::other("it is larger than 1 GiB")),
        false => Ok(text),
    }
}

pub(super) fn unusable(file: &Path, reason: &str) -> CommandError {
    let message = format!(
        "`{}` is not a usable plan: {}",
        shown(file),
        escaped(reason.as_bytes())
    );
    let hint = "save a plan with `fractary-codex sync --dry-run --plan-out FILE`".to_owned();
    CommandError::new(exit::USAGE, "plan-file", message, vec![hint])
}
