//! `retire` and `rename`: remove or move the directory of a project in the codex, after a
//! confirmation.

use super::run_output::RunOutput;
use crate::cli::args::{ChangeArgs, RenameArgs, RetireArgs};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::cli::terminal::Terminal;
use crate::config::FlagValue;
use crate::outcome::{ProjectReport, SyncOutcome};
use crate::paths::escaped;
use crate::sync::retire::{Renaming, Retirement};
use crate::sync::{FormerDirectoryError, SyncRequest, retire};
use crate::text::pluralize;

/// Runs `retire` and returns the exit status.
pub(crate) fn retire(arguments: &RetireArgs, context: &Context) -> u8 {
    let retirement = Retirement {
        directory: arguments.common.former_directory.clone(),
        includes_others: arguments.include_others,
        ..Retirement::new(arguments.name.clone())
    };
    let change = CodexChange {
        command: "retire",
        arguments: &arguments.common,
        run: &|request| retire::retire(request, &retirement),
    };
    change.run(context)
}

/// Runs `rename` and returns the exit status.
pub(crate) fn rename(arguments: &RenameArgs, context: &Context) -> u8 {
    let renaming = Renaming {
        directory: arguments.common.former_directory.clone(),
        ..Renaming::new(arguments.old.clone(), arguments.new.clone())
    };
    let change = CodexChange {
        command: "rename",
        arguments: &arguments.common,
        run: &|request| retire::rename(request, &renaming),
    };
    change.run(context)
}

/// One of the two changes of the codex.
struct CodexChange<'c> {
    command: &'static str,
    arguments: &'c ChangeArgs,
    run: &'c dyn Fn(&SyncRequest<'_>) -> Result<SyncOutcome, FormerDirectoryError>,
}

impl CodexChange<'_> {
    fn run(&self, context: &Context) -> u8 {
        let output = RunOutput {
            command: self.command,
            format: self.arguments.output.chosen(),
            changes: self.arguments.dry_run || context.terminal.verbose,
            check: false,
        };
        output.finish(self.outcome(output, context), &[], context)
    }

    fn outcome(&self, output: RunOutput, context: &Context) -> Result<SyncOutcome, CommandError> {
        let arguments = self.arguments;
        let asks = !arguments.dry_run && !arguments.yes;
        if asks && !context.terminal.can_ask() {
            let message = format!("`{}` needs a confirmation", self.command);
            let hint = "add `--yes`, or look at the changes first with `--dry-run`";
            return Err(CommandError::usage(message).hint(hint));
        }

        let mode = arguments.push_mode.clone();
        let flags = mode.map(|mode| FlagValue::text("--push-mode", "push.mode", mode));
        let flags = flags.into_iter().collect();
        let (configuration, workspace) = context.load(arguments.env.as_deref(), flags)?;
        let reporter = output.reporter(context);
        let warnings = output.warnings(&configuration, Vec::new(), reporter.as_ref());
        let run = |dry_run| {
            let request = SyncRequest {
                dry_run,
                work_id: arguments.work_id.clone(),
                ..context.sync_request(&configuration, &workspace, Vec::new(), reporter.clone())
            };
            (self.run)(&request).map_err(|error| CommandError::from(&error))
        };

        let mut outcome = run(arguments.dry_run || asks)?;
        if asks && outcome.failure.is_none() {
            confirm(&outcome, &context.terminal)?;
            outcome = run(false)?;
        }
        outcome.warnings.splice(0..0, warnings);
        Ok(outcome)
    }
}

/// Shows what a dry run has planned and asks whether to do it.
fn confirm(planned: &SyncOutcome, terminal: &Terminal) -> Result<(), CommandError> {
    let branch = planned.remote.branch.as_deref().unwrap_or_default();
    let remote = format!("`{}` of {}", escaped(branch.as_bytes()), planned.remote.url);
    let changes: Vec<_> = planned.projects.iter().filter_map(question).collect();
    let answer = terminal.ask(&format!("{} {remote}? [y/N]", changes.join("; ")));
    let is_yes = answer.is_some_and(|answer| {
        let answer = answer.to_lowercase();
        answer == "y" || answer == "yes"
    });
    if is_yes {
        return Ok(());
    }
    let message = "not confirmed; nothing was changed";
    Err(CommandError::new(
        exit::SOME_FAILED,
        "not-confirmed",
        message,
        Vec::new(),
    ))
}

/// The change of one project, as the beginning of a question.
fn question(project: &ProjectReport) -> Option<String> {
    let (plan, to) = (project.plan.as_ref()?, project.to.as_ref()?);
    if let Some(moved) = &plan.moved {
        let files = pluralize(moved.files.entries.len(), "file");
        return Some(format!("move {files} from `{}` to `{to}` in", moved.from));
    }
    let files = pluralize(plan.changes.len(), "file");
    let kept = match plan.unmanaged {
        0 => String::new(),
        kept => format!(", and keep {} of others,", pluralize(kept, "file")),
    };
    Some(format!("delete {files} in `{to}`{kept} from"))
}
