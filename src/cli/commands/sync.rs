//! `sync`: publishes the selected projects, or pulls files into the local cache.

use std::sync::Arc;

use super::artifact::Artifact;
use super::project_selection::{narrow, select_named};
use super::run_output::RunOutput;
use super::{plan, sync_plan};
use crate::checks::CheckScope;
use crate::cli::args::{SyncArgs, shown_word};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::config::{Direction, FlagValue};
use crate::outcome::SyncOutcome;
use crate::paths::escaped;
use crate::plan::DeletePolicy;
use crate::saved_plan::document::SavedPlan;
use crate::sync::sources::Sources;
use crate::sync::{self, SyncRequest};
use crate::workspace::{Project, Workspace};

/// Runs the command and returns the exit status.
pub(crate) fn run(arguments: &SyncArgs, context: &Context) -> u8 {
    let changes = arguments.dry_run || context.terminal.verbose;
    let output = RunOutput {
        command: "sync",
        format: arguments.output.chosen(),
        changes,
        check: false,
    };
    match sync_plan::artifacts(arguments, context) {
        Ok(artifacts) => {
            let mut context = context.clone();
            let result = sync(arguments, &artifacts, output, &mut context);
            output.finish(result, &artifacts, &context)
        }
        Err(error) => output.finish(Err(error), &[], context),
    }
}

/// Runs the sync with the options of the command line, or with those of the saved plan that it names,
/// which suggested commands then repeat.
fn sync(
    arguments: &SyncArgs,
    artifacts: &[Artifact],
    output: RunOutput,
    context: &mut Context,
) -> Result<SyncOutcome, CommandError> {
    let Some(file) = &arguments.plan else {
        return sync_with(arguments, None, artifacts, output, context);
    };
    let saved = plan::read(file, context)?;
    let arguments = sync_plan::arguments(&saved, file, arguments)?;
    let options = saved.options.iter().map(|word| shown_word(word));
    context.global.target.extend(options);
    sync_with(&arguments, Some(&saved), artifacts, output, context)
}

fn sync_with(
    arguments: &SyncArgs,
    saved: Option<&SavedPlan>,
    artifacts: &[Artifact],
    output: RunOutput,
    context: &Context,
) -> Result<SyncOutcome, CommandError> {
    check_texts(arguments)?;
    check_source(arguments)?;
    let deletes = delete_policy(arguments)?;
    let flags = flags_with_patterns(arguments, context)?;
    let (configuration, mut workspace) = context.load(arguments.env.as_deref(), flags)?;
    for artifact in artifacts {
        sync_plan::check_unpublished(artifact, &workspace)?;
    }
    if saved.is_some() {
        sync_plan::push_all_or_nothing(&mut workspace);
    }
    if let Some(shard) = &arguments.selection.shard {
        workspace.separate_shard(shard);
    }
    let sources = Arc::new(Sources::at(arguments.source_rev.clone()));
    let selected = match saved {
        Some(saved) => sync_plan::projects(saved, arguments, &workspace, context)?,
        None => {
            let projects = selected(arguments, &workspace, context)?;
            narrow(&arguments.selection, projects, &configuration, &sources)?
        }
    };
    check_pulls(arguments, &selected.projects)?;

    let reporter = output.reporter(context);
    let warnings = output.warnings(&configuration, selected.warnings, reporter.as_ref());
    let mut outcome = sync::sync(&SyncRequest {
        dry_run: arguments.dry_run,
        offline: arguments.offline,
        rescan: arguments.rescan,
        deletes,
        checks: match arguments.no_checks {
            true => CheckScope::Nothing,
            false => CheckScope::ChangedFiles,
        },
        atomic: arguments.atomic,
        force: arguments.force,
        keeps_unselected: !arguments.include.is_empty()
            && selected.projects.iter().all(is_only_pulled),
        work_id: arguments.work_id.clone(),
        sources,
        expectation: sync_plan::expectation(arguments, saved),
        ..context.sync_request(&configuration, &workspace, selected.projects, reporter)
    });
    outcome.warnings.splice(0..0, warnings);
    outcome.selection = selected.summary;
    if let Some(error) = &mut outcome.failure {
        sync_plan::add_dry_run(error, arguments, saved, &workspace, context);
    }
    Ok(outcome)
}

/// The options that set a configuration key. If `--include` or `--exclude` is given, the direction
/// must be known first, because it decides which key they set.
fn flags_with_patterns(
    arguments: &SyncArgs,
    context: &Context,
) -> Result<Vec<FlagValue>, CommandError> {
    let mut flags = flags(arguments);
    if arguments.include.is_empty() && arguments.exclude.is_empty() {
        return Ok(flags);
    }
    let only_pulls = only_pulls(arguments, || {
        let (_, workspace) = context.load(arguments.env.as_deref(), flags.clone())?;
        let projects = selected(arguments, &workspace, context)?;
        Ok(projects.iter().all(is_only_pulled))
    })?;
    flags.extend(patterns(arguments, only_pulls));
    Ok(flags)
}

fn is_only_pulled(project: &&Project) -> bool {
    project.direction == Direction::FromCodex
}

/// Rejects options that cannot be combined with pulling.
fn check_pulls(arguments: &SyncArgs, projects: &[&Project]) -> Result<(), CommandError> {
    if projects
        .iter()
        .all(|project| project.direction == Direction::ToCodex)
    {
        return Ok(());
    }
    if arguments.no_cache {
        let message = "`--no-cache` cannot be combined with pulling, which writes the cache";
        return Err(CommandError::usage(message).hint("add `--to-codex`"));
    }
    if arguments.plan_out.is_some() || arguments.expect.is_some() {
        let message = "a plan only has changes to the codex, and these projects pull from it";
        let hint = "add `--to-codex`, and pull afterwards with `--from-codex`";
        return Err(CommandError::usage(message).hint(hint));
    }
    Ok(())
}

/// The options that set a configuration key, as values of the highest layer.
fn flags(arguments: &SyncArgs) -> Vec<FlagValue> {
    let mut flags = Vec::new();
    let mut text = |flag: &str, key: &str, value: Option<String>| {
        flags.extend(value.map(|value| FlagValue::text(flag, key, value)));
    };
    for (given, flag, direction) in [
        (arguments.to_codex, "--to-codex", "to-codex"),
        (arguments.from_codex, "--from-codex", "from-codex"),
        (arguments.bidirectional, "--bidirectional", "bidirectional"),
    ] {
        text(flag, "sync.direction", given.then(|| direction.to_owned()));
    }
    text(
        "--no-cache",
        "cache.enabled",
        arguments.no_cache.then(|| "false".to_owned()),
    );
    text("--direction", "sync.direction", arguments.direction.clone());
    text(
        "--prune",
        "sync.prune",
        arguments.prune.then(|| "true".to_owned()),
    );
    text(
        "--retries",
        "push.retries",
        arguments.retries.map(|n| n.to_string()),
    );
    let source = match (&arguments.source, &arguments.source_rev) {
        (None, Some(_)) => Some("committed".to_owned()),
        (source, _) => source.clone(),
    };
    text("--source", "sync.to_codex.source", source);
    let dirty = arguments.allow_dirty.then(|| "allow".to_owned());
    text("--allow-dirty", "sync.to_codex.dirty", dirty);
    text("--push-mode", "push.mode", arguments.push_mode.clone());
    text("--jobs", "jobs", arguments.jobs.map(|n| n.to_string()));
    text("--message", "commit.message", arguments.message.clone());
    flags
}

/// Whether the run only pulls. Without an option for the direction, `configured` decides.
fn only_pulls(
    arguments: &SyncArgs,
    configured: impl FnOnce() -> Result<bool, CommandError>,
) -> Result<bool, CommandError> {
    if arguments.to_codex || arguments.bidirectional {
        return Ok(false);
    }
    match &arguments.direction {
        Some(direction) => Ok(direction == "from-codex"),
        None if arguments.from_codex => Ok(true),
        None => configured(),
    }
}

/// `--include` and `--exclude` as configuration values. They select files to publish, or files to
/// pull if the run only pulls.
fn patterns(arguments: &SyncArgs, only_pulls: bool) -> Vec<FlagValue> {
    let side = if only_pulls { "from_codex" } else { "to_codex" };
    let given = [
        ("--include", "include", &arguments.include),
        ("--exclude", "exclude", &arguments.exclude),
    ];
    let given = given.into_iter().filter(|(.., list)| !list.is_empty());
    given
        .map(|(flag, key, list)| FlagValue::list(flag, &format!("sync.{side}.{key}"), list.clone()))
        .collect()
}

/// The projects that the options select.
fn selected<'w>(
    arguments: &SyncArgs,
    workspace: &'w Workspace,
    context: &Context,
) -> Result<Vec<&'w Project>, CommandError> {
    select_named(&arguments.selection, &names(arguments)?, workspace, context)
}

/// The names given with `-p`, or in the older forms `sync NAME` and `sync project [NAME]`.
fn names(arguments: &SyncArgs) -> Result<Vec<String>, CommandError> {
    match arguments.names.as_slice() {
        [] => Ok(arguments.selection.project.clone()),
        [word] if word == "project" => Ok(Vec::new()),
        [name] => Ok(vec![name.clone()]),
        [word, name] if word == "project" => Ok(vec![name.clone()]),
        names => {
            let named: String = names
                .iter()
                .map(|name| format!(" -p {}", escaped(name.as_bytes())))
                .collect();
            let message = "`sync` accepts only one project name without `-p`";
            let hint = format!("select several with `-p`: `fractary-codex sync{named}`");
            Err(CommandError::usage(message).hint(hint))
        }
    }
}

/// Rejects values that would make a commit without a subject, or a trailer of several lines.
fn check_texts(arguments: &SyncArgs) -> Result<(), CommandError> {
    let empty = |text: &str| text.trim().is_empty();
    if arguments.message.as_deref().is_some_and(empty) {
        return Err(CommandError::usage("`--message` must not be empty"));
    }
    if arguments
        .work_id
        .as_deref()
        .is_some_and(|id| empty(id) || id.contains(char::is_control))
    {
        let message = "`--work-id` must be one line of text without control characters";
        return Err(CommandError::usage(message));
    }
    Ok(())
}

/// Rejects a revision of files that are not read from a commit, and changes of sources for a run that
/// does not read them.
fn check_source(arguments: &SyncArgs) -> Result<(), CommandError> {
    let only_pulls = arguments.from_codex || arguments.direction.as_deref() == Some("from-codex");
    if only_pulls && arguments.selection.changed_since.is_some() {
        let message = "`--changed-since` cannot be combined with `--from-codex`, which does not depend on the sources";
        return Err(CommandError::usage(message).hint("remove `--changed-since`"));
    }
    if arguments.source.as_deref() == Some("worktree") && arguments.source_rev.is_some() {
        let message = "`--source-rev` cannot be combined with `--source worktree`";
        return Err(CommandError::usage(message).hint("remove `--source worktree`"));
    }
    Ok(())
}

/// The deletion guard that the options request.
fn delete_policy(arguments: &SyncArgs) -> Result<DeletePolicy, CommandError> {
    if arguments.allow_mass_delete {
        return Ok(DeletePolicy::Unlimited);
    }
    let Some(text) = &arguments.max_delete else {
        return Ok(DeletePolicy::Guarded);
    };
    let parsed = match text.strip_suffix('%') {
        Some(percent) => percent
            .parse()
            .ok()
            .filter(|percent| *percent <= 100)
            .map(DeletePolicy::AtMostPercent),
        None => text.parse().ok().map(DeletePolicy::AtMost),
    };
    parsed.ok_or_else(|| {
        let message = format!(
            "invalid value `{}` for `--max-delete`: expected a number or a percentage, e.g. `10%`",
            escaped(text.as_bytes())
        );
        CommandError::usage(message)
    })
}
