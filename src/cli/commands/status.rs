//! `status`: the changes that a sync would make, one line per project. It is the plan of a dry run,
//! shown as a short table, and optionally as an HTML page.

use std::sync::Arc;

use super::artifact::{Artifact, ArtifactContents};
use super::project_selection::{narrow, select_or_all};
use super::run_output::RunOutput;
use crate::checks::CheckScope;
use crate::cli::args::StatusArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::outcome::SyncOutcome;
use crate::sync::orphans::{FormerProjects, add_orphans};
use crate::sync::sources::Sources;
use crate::sync::{self, SyncRequest, history};

/// Runs the command and returns the exit status.
pub(crate) fn run(arguments: &StatusArgs, context: &Context) -> u8 {
    let format = arguments.output.chosen();
    let output = RunOutput {
        command: "status",
        format,
        changes: false,
        check: arguments.check,
    };
    let target = arguments
        .html
        .as_ref()
        .map(|file| Artifact::new(ArtifactContents::Page, file, format, context))
        .transpose();

    match target {
        Ok(target) => output.finish(status(arguments, output, context), target.as_ref(), context),
        Err(error) => output.finish(Err(error), None, context),
    }
}

fn status(
    arguments: &StatusArgs,
    output: RunOutput,
    context: &Context,
) -> Result<SyncOutcome, CommandError> {
    let (configuration, mut workspace) = context.load(arguments.env.as_deref(), Vec::new())?;
    let selection = &arguments.selection;
    if let Some(shard) = &selection.shard {
        workspace.separate_shard(shard);
    }
    let projects = select_or_all(selection, &workspace, context)?;
    let sources = Arc::new(Sources::default());
    let selected = narrow(selection, projects, &configuration, &sources)?;

    let reporter = output.reporter(context);
    let warnings = output.warnings(&configuration, selected.warnings, reporter.as_ref());
    let request = SyncRequest {
        dry_run: true,
        offline: arguments.offline,
        checks: match arguments.check_content {
            true => CheckScope::AllFiles,
            false => CheckScope::ChangedFiles,
        },
        sources,
        ..context.sync_request(&configuration, &workspace, selected.projects, reporter)
    };
    let mut outcome = sync::sync(&request);
    let former = match arguments.html.is_some() && outcome.failure.is_none() {
        true => history::add_last_syncs(&request, &mut outcome),
        false => FormerProjects::default(),
    };
    outcome.selection = selected.summary;
    add_orphans(&request, &mut outcome, former);
    outcome.warnings.splice(0..0, warnings);
    Ok(outcome)
}
