//! `sync`: the job.

use super::run_output::RunOutput;
use crate::cli::args::SyncArgs;
use crate::cli::error_report::{self, Failure, exit};
use crate::cli::load::Context;
use crate::config::{Direction, FlagValue};
use crate::outcome::SyncOutcome;
use crate::paths::escaped;
use crate::plan::DeletePolicy;
use crate::sync::{self, SyncRequest};
use crate::workspace::{Project, Workspace, select};

/// Runs the command and gives its exit status.
pub(crate) fn run(arguments: &SyncArgs, context: &Context) -> u8 {
    let changes = arguments.dry_run || context.terminal.verbose;
    let output = RunOutput {
        command: "sync",
        format: arguments.output.chosen(),
        changes,
        check: false,
    };
    output.finish(sync(arguments, output, context), None, context)
}

fn sync(
    arguments: &SyncArgs,
    output: RunOutput,
    context: &Context,
) -> Result<SyncOutcome, Failure> {
    check_texts(arguments)?;
    let deletes = delete_policy(arguments)?;
    let load = |flags| context.load(arguments.env.as_deref(), flags);
    let mut flags = flags(arguments);
    if !arguments.include.is_empty() || !arguments.exclude.is_empty() {
        let only_brings = only_brings(arguments, || {
            let (_, workspace) = load(flags.clone())?;
            let projects = chosen(arguments, &workspace, context)?;
            Ok(projects
                .iter()
                .all(|project| project.direction == Direction::FromCodex))
        })?;
        flags.extend(lists(arguments, only_brings));
    }
    let (configuration, workspace) = load(flags)?;
    let projects = chosen(arguments, &workspace, context)?;
    if arguments.no_cache
        && projects
            .iter()
            .any(|project| project.direction != Direction::ToCodex)
    {
        let message =
            "`--no-cache` leaves the local cache alone, and to bring from the codex is to fill it"
                .to_owned();
        return Err(Failure::new(
            exit::USAGE,
            "usage",
            message,
            vec!["add `--to-codex`".to_owned()],
        ));
    }
    let reporter = output.reporter(context);
    let warnings = output.warnings(&configuration, reporter.as_ref());
    let mut outcome = sync::sync(&SyncRequest {
        dry_run: arguments.dry_run,
        offline: arguments.offline,
        rescan: arguments.rescan,
        deletes,
        atomic: arguments.atomic,
        force: arguments.force,
        work_id: arguments.work_id.clone(),
        ..context.sync_request(&configuration, &workspace, projects, reporter)
    });
    outcome.warnings.splice(0..0, warnings);
    Ok(outcome)
}

/// The flags that set a key, as values of the highest layer.
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
    text("--jobs", "jobs", arguments.jobs.map(|n| n.to_string()));
    text("--message", "commit.message", arguments.message.clone());
    flags
}

/// Whether nothing is published: a flag says so, or what the projects are `configured` for.
fn only_brings(
    arguments: &SyncArgs,
    configured: impl FnOnce() -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    if arguments.to_codex || arguments.bidirectional {
        return Ok(false);
    }
    match &arguments.direction {
        Some(direction) => Ok(direction == "from-codex"),
        None if arguments.from_codex => Ok(true),
        None => configured(),
    }
}

/// `--include` and `--exclude` as values: of what is published, unless nothing is.
fn lists(arguments: &SyncArgs, only_brings: bool) -> Vec<FlagValue> {
    let side = if only_brings {
        "from_codex"
    } else {
        "to_codex"
    };
    let given = [
        ("--include", "include", &arguments.include),
        ("--exclude", "exclude", &arguments.exclude),
    ];
    let given = given.into_iter().filter(|(.., list)| !list.is_empty());
    given
        .map(|(flag, key, list)| FlagValue::list(flag, &format!("sync.{side}.{key}"), list.clone()))
        .collect()
}

/// The projects that are meant.
fn chosen<'w>(
    arguments: &SyncArgs,
    workspace: &'w Workspace,
    context: &Context,
) -> Result<Vec<&'w Project>, Failure> {
    select(
        workspace,
        arguments.selection.all,
        &patterns(arguments)?,
        &context.directory()?,
    )
    .map_err(|error| error_report::of_selection(&error))
}

/// Names from `-p` or from the older forms `sync NAME`, `sync project [NAME]`.
fn patterns(arguments: &SyncArgs) -> Result<Vec<String>, Failure> {
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
            let hint = format!("name several with `-p`: `fractary-codex sync{named}`");
            Err(Failure::new(
                exit::USAGE,
                "usage",
                "`sync` takes one name without `-p`",
                vec![hint],
            ))
        }
    }
}

/// Refuses what would make a commit without a subject, or a trailer that says more than its name.
fn check_texts(arguments: &SyncArgs) -> Result<(), Failure> {
    let empty = |text: &str| text.trim().is_empty();
    let refused = |message| Err(Failure::new(exit::USAGE, "usage", message, Vec::new()));
    if arguments.message.as_deref().is_some_and(empty) {
        return refused("`--message` needs a text");
    }
    if arguments
        .work_id
        .as_deref()
        .is_some_and(|id| empty(id) || id.contains(char::is_control))
    {
        return refused("`--work-id` needs one line of text, without control characters");
    }
    Ok(())
}

fn delete_policy(arguments: &SyncArgs) -> Result<DeletePolicy, Failure> {
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
            "`--max-delete {}`: give a number of files, or a share such as `10%`",
            escaped(text.as_bytes())
        );
        Failure::new(exit::USAGE, "usage", message, Vec::new())
    })
}
