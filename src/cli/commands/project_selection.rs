//! The projects that the options of a command select.

use crate::cli::args::Selection;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::config::Configuration;
use crate::outcome::{ProjectSelection, Warning, WarningSubject};
use crate::sync::changed_since::changed_projects;
use crate::sync::shard_weights::file_counts;
use crate::sync::sources::Sources;
use crate::workspace::shards::{Assignment, Shard, assign};
use crate::workspace::{Project, Workspace, select};

/// The selected projects.
pub(super) struct SelectedProjects<'w> {
    /// The projects, in name order.
    pub(super) projects: Vec<&'w Project>,
    /// The number of projects that were left out; `None` without an option that leaves out some.
    pub(super) summary: Option<ProjectSelection>,
    /// Problems that did not prevent the selection.
    pub(super) warnings: Vec<Warning>,
}

/// Selects projects by name: those that `names` matches, or all if the options say so. Otherwise the
/// project that contains the current directory, or the only one.
pub(super) fn select_named<'w>(
    selection: &Selection,
    names: &[String],
    workspace: &'w Workspace,
    context: &Context,
) -> Result<Vec<&'w Project>, CommandError> {
    let all = selection.all || (selection.narrows() && names.is_empty());
    select(workspace, all, names, &context.directory()?).map_err(|error| CommandError::from(&error))
}

/// Selects projects by name, or all without a name.
pub(super) fn select_or_all<'w>(
    selection: &Selection,
    workspace: &'w Workspace,
    context: &Context,
) -> Result<Vec<&'w Project>, CommandError> {
    let all = selection.all || selection.project.is_empty();
    select(workspace, all, &selection.project, &context.directory()?)
        .map_err(|error| CommandError::from(&error))
}

/// Selects those of `projects` that the other options do not leave out: first the changed ones, then
/// those of the shard.
pub(super) fn narrow<'w>(
    selection: &Selection,
    projects: Vec<&'w Project>,
    configuration: &Configuration,
    sources: &Sources,
) -> Result<SelectedProjects<'w>, CommandError> {
    let mut summary = ProjectSelection {
        projects: projects.len(),
        selected: 0,
        changed_since: selection.changed_since.clone(),
        unchanged: 0,
        shard: selection.shard.as_ref().map(ToString::to_string),
        other_shards: 0,
    };
    let mut selected = projects;
    let mut warnings = Vec::new();

    if let Some(revision) = &selection.changed_since {
        let changed = changed_projects(revision, configuration, sources, selected)
            .map_err(|error| CommandError::from(&error))?;
        selected = changed.projects;
        warnings = changed.warnings;
        summary.unchanged = summary.projects - selected.len();
    }
    if let Some(shard) = &selection.shard {
        let assignment = assigned(&selected, &file_counts(sources, &selected), shard.count);
        check_digest(shard, &assignment)?;
        let all = selected.len();
        let with_shards = selected.into_iter().zip(assignment.shards);
        let of_shard = with_shards.filter(|(_, number)| *number == shard.number);
        selected = of_shard.map(|(project, _)| project).collect();
        summary.other_shards = all - selected.len();
    }

    summary.selected = selected.len();
    let warnings = warnings.into_iter().map(|message| Warning {
        project: None,
        subject: WarningSubject::Other,
        message,
    });
    Ok(SelectedProjects {
        projects: selected,
        summary: selection.narrows().then_some(summary),
        warnings: warnings.collect(),
    })
}

/// Assigns projects with these numbers of files to shards.
pub(super) fn assigned(projects: &[&Project], files: &[u64], count: usize) -> Assignment {
    let names = projects.iter().map(|project| project.name.as_str());
    let weights: Vec<_> = names.zip(files.iter().copied()).collect();
    assign(&weights, count)
}

/// Rejects a shard of another assignment, which would publish some projects twice, or not at all.
fn check_digest(shard: &Shard, assignment: &Assignment) -> Result<(), CommandError> {
    let is_other = |digest: &&String| **digest != assignment.digest;
    let Some(digest) = shard.digest.as_ref().filter(is_other) else {
        return Ok(());
    };
    let message = format!(
        "the shard {shard} is from another assignment of the projects: its digest is `{digest}`, and here it is `{}`",
        assignment.digest
    );
    let hint = "use the same commits, configuration, `-p` and `--changed-since` as for `projects --matrix`";
    Err(CommandError::usage(message).hint(hint))
}

impl Selection {
    /// Whether an option leaves out some of the projects.
    fn narrows(&self) -> bool {
        self.changed_since.is_some() || self.shard.is_some()
    }
}
