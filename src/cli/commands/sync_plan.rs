//! The options of `sync` about plans: `--plan-out`, `--plan` and `--expect`.

use std::sync::Arc;

use super::artifact::{Artifact, ArtifactContents};
use super::project_selection::SelectedProjects;
use crate::cli::args::{Cli, Command, GivenOption, OptionRole, SyncArgs};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::config::OnDeclined;
use crate::outcome::SyncError;
use crate::saved_plan::differences::missing_projects;
use crate::saved_plan::document::SavedPlan;
use crate::sync::expectation::Expectation;
use crate::workspace::{PushBranches, Workspace};

/// The document that the run writes besides its result.
pub(super) fn artifact(
    arguments: &SyncArgs,
    context: &Context,
) -> Result<Option<Artifact>, CommandError> {
    let Some(file) = &arguments.plan_out else {
        return Ok(None);
    };
    if !arguments.dry_run {
        let message = "`--plan-out` saves the plan of a dry run";
        return Err(CommandError::usage(message).hint("add `--dry-run`"));
    }
    let published = words(arguments, OptionRole::Publication);
    // A plan only publishes, also if `sync.direction` is another one when it is carried out.
    let direction = "--to-codex".to_owned();
    let options = [direction].into_iter().chain(published).collect();
    let contents = ArtifactContents::Plan { options };
    Artifact::new(contents, file, arguments.output.chosen(), context).map(Some)
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
pub(super) fn arguments(saved: &SavedPlan, arguments: &SyncArgs) -> Result<SyncArgs, CommandError> {
    let is_decided = |option: &&GivenOption| {
        matches!(option.role, OptionRole::Publication | OptionRole::Selection)
    };
    if let Some(option) = arguments.given.iter().find(is_decided) {
        let message = format!("`{}` cannot be combined with `--plan`", option.name);
        let hint = "the plan has the projects and the options; to change them, save a new plan";
        return Err(CommandError::usage(message).hint(hint));
    }

    let program = ["fractary-codex", "sync"].map(str::to_owned);
    let options = saved.options.iter().cloned();
    let line = program
        .into_iter()
        .chain(options)
        .chain(words(arguments, OptionRole::Run));
    match Cli::read(line) {
        Ok(Cli {
            command: Command::Sync(arguments),
            ..
        }) => Ok(*arguments),
        _ => {
            let message = "the plan has options that this version of fractary-codex does not have";
            Err(CommandError::usage(message).hint("save a new plan with this version"))
        }
    }
}

/// The projects of a plan.
pub(super) fn projects<'w>(
    saved: &SavedPlan,
    workspace: &'w Workspace,
) -> Result<SelectedProjects<'w>, CommandError> {
    let find = |name: &str| {
        let projects = &workspace.projects;
        let found = projects.binary_search_by(|project| project.name.as_str().cmp(name));
        found.ok().map(|index| &projects[index])
    };
    let missing = missing_projects(saved.projects().filter(|name| find(name).is_none()));
    match missing.is_empty() {
        true => Ok(SelectedProjects {
            projects: saved.projects().filter_map(find).collect(),
            summary: saved.selection.clone(),
            warnings: Vec::new(),
        }),
        false => Err(CommandError::from(&SyncError::PlanDiffers {
            differences: missing,
        })),
    }
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
