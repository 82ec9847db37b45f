//! Collects the paths that are never published.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::directories::{Directories, default_cache};
use crate::config::{Configuration, LayerKind, layers};
use crate::paths::{FRACTARY_DIR, resolved};
use crate::workspace::project::{DenyList, Project, is_private_name};

/// The deny list of all projects. `roots` are their resolved roots.
pub(super) fn resolve(
    configuration: &Configuration,
    projects: &[Project],
    roots: &[PathBuf],
    directories: &Directories,
) -> DenyList {
    let root = &configuration.root;
    let mut list = DenyList {
        roots: roots.iter().cloned().collect(),
        ..DenyList::default()
    };

    let state_home = configuration.state_home.as_ref();
    let of_program = [
        Some(directories.state.clone()),
        state_home.map(|home| home.join(layers::derived("state_dir"))),
        configuration.clone_home.clone(),
        Some(default_cache(root)),
        Some(directories.cache.clone()),
    ];
    list.paths
        .extend(of_program.into_iter().flatten().map(|path| resolved(&path)));
    // `--config-file` can name a file anywhere, with a local file beside it.
    let local = configuration
        .files()
        .into_iter()
        .filter(|(layer, _)| *layer == LayerKind::Local);
    list.paths.extend(local.map(|(_, file)| resolved(&file)));

    // Most projects have the same cache.
    let caches = projects.iter().map(|project| &project.cache_dir);
    let configured: BTreeSet<_> = caches
        .chain([&directories.cache, &directories.state])
        .collect();
    list.own_directories = configured
        .into_iter()
        .map(|path| resolved(path))
        .filter(|path| !path.iter().any(|part| part == FRACTARY_DIR))
        .collect();

    let of_projects: Vec<DenyList> = projects
        .par_iter()
        .map(|project| private_paths(&project.root))
        .collect();
    for (project, private) in projects.iter().zip(of_projects) {
        list.paths.insert(project.cache_dir.clone());
        list.paths.extend(private.paths);
        list.fractary_dirs.extend(private.fractary_dirs);
    }
    list.paths.extend(private_paths(root).paths);
    list.fractary_dirs
        .insert(resolved(&root.join(FRACTARY_DIR)));
    list
}

/// The private paths of the project or workspace at `root`: its default cache, its `.fractary`
/// directory, and the targets of these links: `.git`, private names in `.fractary`, and all entries
/// of `.fractary/env`. Such a target can be anywhere, also in the root of another project.
fn private_paths(root: &Path) -> DenyList {
    let mut list = DenyList::default();
    let git = root.join(".git");
    if git.is_symlink() {
        list.paths.insert(resolved(&git));
    }
    let own = root.join(FRACTARY_DIR);
    if !own.is_dir() {
        return list;
    }
    list.paths.insert(resolved(&default_cache(root)));
    list.fractary_dirs.insert(resolved(&own));

    let entries = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten();
    let private = entries(&own).filter(|entry| is_private_name(&entry.file_name()));
    let links = private
        .chain(entries(&own.join("env")))
        .map(|entry| entry.path())
        .filter(|path| path.is_symlink());
    list.paths.extend(links.map(|path| resolved(&path)));
    list
}
