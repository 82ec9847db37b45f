//! `status`: the changes that a sync would make, one line per project. It is the plan of a dry run,
//! shown as a short table, and optionally as an HTML page.

use std::sync::Arc;

use super::artifact::{Artifact, ArtifactContents};
use super::project_selection::{narrow, select_or_all};
use super::run_output::RunOutput;
use super::sync_plan;
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
    let page = arguments.html.iter();
    let page = page.map(|file| Artifact::new(ArtifactContents::Page, file, format, context));
    let report = arguments.code_quality.iter();
    let report = report.map(|file| Artifact::code_quality(file, format, context));

    match page.chain(report).collect::<Result<Vec<_>, _>>() {
        Ok(artifacts) => {
            let result = status(arguments, &artifacts, output, context);
            output.finish(result, &artifacts, context)
        }
        Err(error) => output.finish(Err(error), &[], context),
    }
}

fn status(
    arguments: &StatusArgs,
    artifacts: &[Artifact],
    output: RunOutput,
    context: &Context,
) -> Result<SyncOutcome, CommandError> {
    let (configuration, mut workspace) = context.load(arguments.env.as_deref(), Vec::new())?;
    for artifact in artifacts.iter().filter(|one| one.is_code_quality()) {
        sync_plan::check_unpublished(artifact, &workspace)?;
    }
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
