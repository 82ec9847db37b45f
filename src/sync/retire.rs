//! Removes the directory of a project from the codex, or moves it to another project: one commit,
//! with the guarantees of a sync.

use super::former_directory::{
    FormerDirectoryError, check_overlap, default_directory, former_directory, is_nested,
};
use super::request::{SyncRequest, Task};
use super::sync;
use crate::config::Direction;
use crate::names::ProjectName;
use crate::outcome::SyncOutcome;
use crate::paths::CodexPath;
use crate::workspace::{Project, Workspace};

/// A project to remove from the codex.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Retirement {
    /// The project, which the configuration no longer has.
    pub project: ProjectName,
    /// The directory of the project in the codex. `None` means the directory that the last sync has
    /// recorded or, without a record, the default one.
    pub directory: Option<CodexPath>,
    /// Whether files are deleted that no sync of the project has published.
    pub includes_others: bool,
}

impl Retirement {
    /// The removal of the files that syncs of `project` have published.
    pub fn new(project: ProjectName) -> Self {
        Self {
            project,
            directory: None,
            includes_others: false,
        }
    }
}

/// A project to rename in the codex.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Renaming {
    /// The name before, which the configuration no longer has.
    pub old: ProjectName,
    /// The name after the rename. Its directory is the one in the configuration, or else the default
    /// one.
    pub new: ProjectName,
    /// The directory before; `None` like [`Retirement::directory`].
    pub directory: Option<CodexPath>,
}

impl Renaming {
    /// Renames the project `old` to `new`.
    pub fn new(old: ProjectName, new: ProjectName) -> Self {
        Self {
            old,
            new,
            directory: None,
        }
    }
}

/// Removes a project from the codex. The projects of the request are ignored.
pub fn retire(
    request: &SyncRequest<'_>,
    retirement: &Retirement,
) -> Result<SyncOutcome, FormerDirectoryError> {
    let name = &retirement.project;
    let directory = former_directory(request, name, retirement.directory.as_ref())?;
    let project = Project::of_directory(name.clone(), directory);
    let workspace = with_projects(request.workspace, vec![project.clone()]);

    let task = Task::Retire {
        includes_others: retirement.includes_others,
    };
    Ok(run(request, &workspace, &project, task))
}

/// Moves the directory of a project, with all of its files. The projects of the request are ignored.
pub fn rename(
    request: &SyncRequest<'_>,
    renaming: &Renaming,
) -> Result<SyncOutcome, FormerDirectoryError> {
    let (old, new) = (&renaming.old, &renaming.new);
    let from = former_directory(request, old, renaming.directory.as_ref())?;
    let configured = request.workspace.project(new.as_str());
    let project = match configured {
        Some(project) => Project {
            direction: Direction::ToCodex,
            ..project.clone()
        },
        None => {
            let to = default_directory(new);
            check_overlap(request, &to)?;
            Project::of_directory(new.clone(), to)
        }
    };
    if from == project.to || is_nested(&from, &project.to) {
        let to = project.to;
        return Err(FormerDirectoryError::Nested { from, to });
    }

    let mut added = vec![Project::of_directory(old.clone(), from.clone())];
    added.extend(configured.is_none().then(|| project.clone()));
    let workspace = with_projects(request.workspace, added);
    let old = old.clone();
    Ok(run(
        request,
        &workspace,
        &project,
        Task::Rename { old, from },
    ))
}

/// The workspace with further projects.
fn with_projects(workspace: &Workspace, projects: Vec<Project>) -> Workspace {
    let mut workspace = workspace.clone();
    workspace.projects.extend(projects);
    workspace.projects.sort_by(|a, b| a.name.cmp(&b.name));
    workspace
}

fn run(
    request: &SyncRequest<'_>,
    workspace: &Workspace,
    project: &Project,
    task: Task,
) -> SyncOutcome {
    sync(&SyncRequest {
        workspace,
        projects: vec![project],
        task,
        // The plan is always made from the codex itself.
        rescan: true,
        ..request.clone()
    })
}
