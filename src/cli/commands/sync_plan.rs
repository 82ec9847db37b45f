//! The options of `sync` about plans: `--plan-out`, `--plan` and `--expect`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::artifact::{Artifact, ArtifactContents};
use super::plan;
use super::project_selection::SelectedProjects;
use crate::cli::args::{Cli, Command, GivenOption, OptionRole, SyncArgs};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::config::OnDeclined;
use crate::outcome::SyncError;
use crate::paths::{PathResolver, resolved};
use crate::platform::bytes_of;
use crate::saved_plan::differences::missing_projects;
use crate::saved_plan::document::SavedPlan;
use crate::sync::expectation::Expectation;
use crate::text::shell_word;
use crate::workspace::{PushBranches, Workspace};

/// The maximum number of projects that a suggested command names.
const MAX_NAMED: usize = 10;

/// The documents that the run writes besides its result.
pub(super) fn artifacts(
    arguments: &SyncArgs,
    context: &Context,
) -> Result<Vec<Artifact>, CommandError> {
    let format = arguments.output.chosen();
    let mut artifacts = Vec::new();
    if let Some(file) = &arguments.code_quality {
        artifacts.push(Artifact::code_quality(file, format, context)?);
    }
    let Some(file) = &arguments.plan_out else {
        return Ok(artifacts);
    };
    if !arguments.dry_run {
        let message = "`--plan-out` saves the plan of a dry run";
        return Err(CommandError::usage(message).hint("add `--dry-run`"));
    }
    let contents = ArtifactContents::Plan {
        options: plan_options(arguments),
        global_options: context.global_options(),
    };
    artifacts.push(Artifact::new(contents, file, format, context)?);
    Ok(artifacts)
}

/// Rejects a file for the plan that a project publishes: the next run would publish the plan, and its
/// sources would not be those of the plan.
pub(super) fn check_unpublished(
    artifact: &Artifact,
    workspace: &Workspace,
) -> Result<(), CommandError> {
    let Some(path) = artifact.path() else {
        return Ok(());
    };
    let path = path.parent().map(resolved).unwrap_or_default();
    let path = path.join(
        artifact
            .path()
            .and_then(Path::file_name)
            .unwrap_or_default(),
    );
    let roots = workspace
        .projects
        .iter()
        .map(|project| project.root.as_path());
    let roots = PathResolver::resolve_all(roots);
    // Each file belongs to the innermost project.
    let projects = workspace.projects.iter().zip(&roots);
    let containing = projects.filter(|(_, root)| path.starts_with(root));
    let innermost = containing.max_by_key(|(_, root)| root.as_os_str().len());
    let published_by = innermost.filter(|(project, root)| {
        let source = path.strip_prefix(root).map(bytes_of).unwrap_or_default();
        !project.claims.matching(&source).is_empty()
    });
    match published_by {
        Some((project, _)) => {
            let reason = format!("the project `{}` publishes this file", project.name);
            Err(artifact.rejected(&reason))
        }
        None => Ok(()),
    }
}

/// The options of a plan, in the order of their definition.
fn plan_options(arguments: &SyncArgs) -> Vec<String> {
    // A plan only publishes, also if `sync.direction` is another one when it is carried out.
    let direction = "--to-codex".to_owned();
    let published = words(arguments, OptionRole::Publication);
    [direction].into_iter().chain(published).collect()
}

/// The given options with this role, as words of a command line. The direction is left out.
fn words(arguments: &SyncArgs, role: OptionRole) -> impl Iterator<Item = String> + '_ {
    const DIRECTIONS: [&str; 2] = ["--to-codex", "--direction"];
    let given = arguments.given.iter();
    let given = given
        .filter(move |option| option.role == role && !DIRECTIONS.contains(&option.name.as_str()));
    given.flat_map(|option| option.words.clone())
}

/// The arguments of a run that carries out a plan: the options of the plan, and those of this run
/// that do not decide what is published.
pub(super) fn arguments(
    saved: &SavedPlan,
    file: &Path,
    arguments: &SyncArgs,
) -> Result<SyncArgs, CommandError> {
    let is_decided = |option: &&GivenOption| {
        matches!(option.role, OptionRole::Publication | OptionRole::Selection)
    };
    if let Some(option) = arguments.given.iter().find(is_decided) {
        let message = format!("`{}` cannot be combined with `--plan`", option.name);
        let hint = "the plan has the projects and the options; to change them, save a new plan";
        return Err(CommandError::usage(message).hint(hint));
    }

    if !is_saved_form(&saved.options) {
        let reason = "`options` has words that no run of `--plan-out` saves";
        return Err(plan::unusable(file, reason));
    }
    let run = words(arguments, OptionRole::Run);
    read(saved.options.iter().cloned().chain(run))
        .ok_or_else(|| plan::unusable(file, "its options contradict those of this run"))
}

/// Whether these are options as `--plan-out` saves them: only those that decide what is published.
/// Reading and writing them again must return the same words. So the words cannot change the meaning
/// of the options that this run adds, as `--` would.
fn is_saved_form(options: &[String]) -> bool {
    let arguments = read(options.iter().cloned());
    arguments.is_some_and(|arguments| plan_options(&arguments) == options)
}

/// The arguments of `sync` with these options; `None` if they are invalid.
fn read(options: impl Iterator<Item = String>) -> Option<SyncArgs> {
    let program = ["fractary-codex", "sync"].map(str::to_owned);
    match Cli::read(program.into_iter().chain(options)) {
        Ok(Cli {
            command: Command::Sync(arguments),
            ..
        }) => Some(*arguments),
        _ => None,
    }
}

/// The projects of a plan. `arguments` are those that [`arguments`] returns.
pub(super) fn projects<'w>(
    saved: &SavedPlan,
    arguments: &SyncArgs,
    workspace: &'w Workspace,
    context: &Context,
) -> Result<SelectedProjects<'w>, CommandError> {
    let find = |name: &str| workspace.project(name);
    let missing = missing_projects(saved.projects().filter(|name| find(name).is_none()));
    match missing.is_empty() {
        true => Ok(SelectedProjects {
            projects: saved.projects().filter_map(find).collect(),
            summary: saved.selection.clone(),
            warnings: Vec::new(),
        }),
        false => Err(CommandError::from(&SyncError::PlanDiffers {
            differences: missing,
            options: dry_run_options(arguments, Some(saved), workspace, context),
        })),
    }
}

/// Adds the options of a dry run that shows the present plan to an error about the plan of a run.
pub(super) fn add_dry_run(
    error: &mut SyncError,
    arguments: &SyncArgs,
    saved: Option<&SavedPlan>,
    workspace: &Workspace,
    context: &Context,
) {
    if let SyncError::PlanDiffers { options, .. } | SyncError::UnexpectedPlan { options, .. } =
        error
    {
        *options = dry_run_options(arguments, saved, workspace, context);
    }
}

/// The options of a dry run that shows the present plan, as words for a shell: those of all commands,
/// those that decide what is published, and the selected projects. Of a saved plan, these are its
/// projects that the configuration still has.
fn dry_run_options(
    arguments: &SyncArgs,
    saved: Option<&SavedPlan>,
    workspace: &Workspace,
    context: &Context,
) -> Vec<String> {
    let options = plan_options(arguments).into_iter();
    let selection = match saved {
        None => words(arguments, OptionRole::Selection).collect(),
        Some(saved) => selection_of(saved, arguments, workspace),
    };
    let words = options.chain(selection).map(|word| shell_word(&word));
    context.global_options().into_iter().chain(words).collect()
}

/// The options that select those projects of a saved plan that the configuration still has.
fn selection_of(saved: &SavedPlan, arguments: &SyncArgs, workspace: &Workspace) -> Vec<String> {
    let planned: BTreeSet<&str> = saved.projects().collect();
    let projects = workspace.projects.iter();
    let projects = projects.map(|project| project.name.as_str());
    let (planned, others): (Vec<_>, Vec<_>) = projects.partition(|name| planned.contains(name));
    // The projects of a shard are selected from all.
    let is_shard = arguments.selection.shard.is_some();
    let words: Vec<&str> = match planned.len() {
        _ if is_shard || others.is_empty() => vec!["--all"],
        1..=MAX_NAMED => planned.iter().flat_map(|name| ["-p", *name]).collect(),
        _ => vec!["-p", "…"],
    };
    words.into_iter().map(str::to_owned).collect()
}

/// The relation of a run to a plan.
pub(super) fn expectation(arguments: &SyncArgs, saved: Option<&SavedPlan>) -> Expectation {
    match (saved, arguments.expect) {
        (Some(saved), _) => Expectation::Plan(Arc::new(saved.facts())),
        (None, Some(id)) => Expectation::Id(id),
        (None, None) if arguments.plan_out.is_some() => Expectation::Keep,
        (None, None) => Expectation::Nothing,
    }
}

/// Makes a push fail as a whole if the server rejects some projects: those that it accepts alone
/// would only be a part of the plan. With a sync branch per project, each is accepted alone in any
/// case.
pub(super) fn push_all_or_nothing(workspace: &mut Workspace) {
    if !matches!(workspace.push_branches, PushBranches::PerProject(_)) {
        workspace.on_declined = OnDeclined::Fail;
    }
}
