//! The projects that the options of a command select.

use crate::cli::args::Selection;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::config::Configuration;
use crate::outcome::{ProjectSelection, Warning};
use crate::sync::changed_since::changed_projects;
use crate::sync::sources::Sources;
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

/// Selects those of `projects` that the other options do not leave out.
pub(super) fn narrow<'w>(
    selection: &Selection,
    projects: Vec<&'w Project>,
    configuration: &Configuration,
    sources: &Sources,
) -> Result<SelectedProjects<'w>, CommandError> {
    let Some(revision) = &selection.changed_since else {
        return Ok(SelectedProjects {
            projects,
            summary: None,
            warnings: Vec::new(),
        });
    };

    let all = projects.len();
    let changed = changed_projects(revision, configuration, sources, projects)
        .map_err(|error| CommandError::from(&error))?;
    let warnings = changed.warnings.into_iter();
    let warnings = warnings.map(|message| Warning {
        project: None,
        message,
    });
    Ok(SelectedProjects {
        summary: Some(ProjectSelection {
            projects: all,
            selected: changed.projects.len(),
            changed_since: Some(revision.clone()),
            unchanged: all - changed.projects.len(),
        }),
        projects: changed.projects,
        warnings: warnings.collect(),
    })
}

impl Selection {
    /// Whether an option leaves out some of the projects.
    fn narrows(&self) -> bool {
        self.changed_since.is_some()
    }
}
