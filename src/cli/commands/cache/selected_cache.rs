//! The caches, projects and files that a `cache` command is about.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bstr::BStr;

use crate::cache::CacheOwner;
use crate::cli::args::CacheArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::workspace::covering_pattern::CoveringPattern;
use crate::workspace::{Project, Workspace, select};

/// A cache, and the projects in it that a command is about.
pub(super) struct SelectedCache {
    pub(super) path: PathBuf,
    /// Names of projects.
    projects: Vec<String>,
    /// Include every project that the cache has files of, also those that were removed from the
    /// configuration.
    all: bool,
    /// Include only the files that this pattern covers.
    pattern: Option<Rc<CoveringPattern>>,
}

impl SelectedCache {
    /// Whether the files of this owner are selected.
    pub(super) fn includes(&self, owner: &CacheOwner) -> bool {
        self.all
            || self
                .projects
                .iter()
                .any(|project| project == owner.project.as_str())
    }

    /// Whether the file at this path is selected.
    pub(super) fn covers(&self, path: &BStr) -> bool {
        let pattern = self.pattern.as_ref();
        pattern.is_none_or(|pattern| pattern.covers(path))
    }
}

/// The caches of the selected projects, in the order of their paths. Without a selection, these are
/// all projects and the workspace's own cache.
pub(super) fn selected_caches(
    arguments: &CacheArgs,
    pattern: Option<&str>,
    context: &Context,
) -> Result<Vec<SelectedCache>, CommandError> {
    let (configuration, workspace) = context.load(None, Vec::new())?;
    let pattern = pattern
        .map(|text| CoveringPattern::new(text, &configuration, &workspace))
        .transpose()
        .map_err(|error| match error.hint.clone() {
            Some(hint) => CommandError::usage(error.to_string()).hint(hint),
            None => CommandError::usage(error.to_string()),
        })?
        .map(Rc::new);
    let everything = arguments.project.is_empty();
    let projects: Vec<&Project> = if everything {
        workspace.projects.iter().collect()
    } else {
        let directory = context.directory()?;
        select(&workspace, false, &arguments.project, &directory)
            .map_err(|error| CommandError::from(&error))?
    };

    Ok(of_projects(projects, everything, pattern, &workspace))
}

/// The caches of `projects`, in the order of their paths. `everything` adds the workspace's own cache,
/// with the files of projects that were removed from the configuration.
pub(super) fn of_projects(
    projects: Vec<&Project>,
    everything: bool,
    pattern: Option<Rc<CoveringPattern>>,
    workspace: &Workspace,
) -> Vec<SelectedCache> {
    let mut caches: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
    for project in projects {
        caches
            .entry(&project.cache_dir)
            .or_default()
            .push(project.name.to_string());
    }
    // The workspace's own cache can contain files although no project uses it any more.
    if everything && workspace.owns_cache(&workspace.cache_dir) && workspace.cache_dir.exists() {
        caches.entry(&workspace.cache_dir).or_default();
    }

    let selected = |(path, projects): (&Path, _)| SelectedCache {
        path: path.to_owned(),
        projects,
        all: everything && workspace.owns_cache(path),
        pattern: pattern.clone(),
    };
    caches.into_iter().map(selected).collect()
}
