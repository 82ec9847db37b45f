//! Which directory is the workspace, and which file describes it.

use std::path::{Path, PathBuf};

use super::env::CONFIG;
use super::layers::Layer;
use super::members;
use super::problem::{LayerKind, Problem, Told};
use super::tree::Node;
use super::{LoadRequest, document, dotenv, values};
use crate::environment::Environment;
use crate::paths::absolute;

/// The workspace's directory and file.
pub(crate) struct Found {
    pub(crate) root: PathBuf,
    pub(crate) file: Option<PathBuf>,
}

/// Finds the workspace: the file that was named, or the nearest one upwards that has a section `codex`, or one further
/// out that counts the nearest one's directory among its members or projects, or, without any file, the current
/// directory.
pub(crate) fn workspace(request: &LoadRequest, problems: &mut Vec<Problem>) -> Found {
    let named = request.config_file.clone();
    let variable = || request.environment.get(CONFIG).map(PathBuf::from);
    if let Some(file) = named.or_else(variable) {
        let file = absolute(&request.cwd, &file);
        return Found {
            root: base_of(&file, &request.cwd),
            file: Some(file),
        };
    }
    let mut nearest: Option<Found> = None;
    let mut without_section: Option<Found> = None;
    for directory in request.cwd.ancestors() {
        let mut ambiguous = Vec::new();
        let Some(file) = document::find(&directory.join(".fractary"), "config", &mut ambiguous)
        else {
            continue;
        };
        let section = document::section(&file, LayerKind::Workspace, directory);
        let found = || Found {
            root: directory.to_owned(),
            file: Some(file.clone()),
        };
        match (&nearest, section) {
            (None, Ok(None)) => {
                without_section.get_or_insert_with(found);
            }
            (None, _) => {
                // Whatever is wrong with the file is told when it is loaded.
                problems.extend(ambiguous);
                nearest = Some(found());
            }
            (Some(inner), Ok(Some(section))) => {
                let mut unclear = Vec::new();
                if covers(
                    directory,
                    section,
                    &inner.root,
                    &request.environment,
                    &mut unclear,
                ) {
                    problems.extend(ambiguous);
                    return found();
                }
                problems.extend(unclear);
            }
            (Some(_), Ok(None)) => {}
            // It might be the one that covers: going on without it might publish to another place.
            (Some(_), Err(problem)) => problems.push(problem),
        }
    }
    nearest.or(without_section).unwrap_or_else(|| Found {
        root: request.cwd.clone(),
        file: None,
    })
}

/// The directory that relative paths of `file` start from: the one that holds its `.fractary/`, else its own; for what
/// comes through a pipe of the shell's, the current one.
fn base_of(file: &Path, cwd: &Path) -> PathBuf {
    let directory = file.parent().unwrap_or(file);
    match directory.parent() {
        Some(holder) if directory.ends_with(".fractary") => holder.to_owned(),
        _ if directory == Path::new("/dev/fd") || directory == Path::new("/dev") => cwd.to_owned(),
        _ => directory.to_owned(),
    }
}

/// Whether the workspace at `root`, described by `section` and what stands beside it, has `directory` as a member or
/// as a project's root. Where that cannot be said, for want of a variable, it is a problem.
fn covers(
    root: &Path,
    section: Node,
    directory: &Path,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> bool {
    let local = document::find(&root.join(".fractary"), "config.local", &mut Vec::new());
    let local = local.and_then(|file| {
        document::section(&file, LayerKind::Local, root)
            .ok()
            .flatten()
    });
    let mut environment = environment.clone();
    dotenv::read(
        &dotenv::file_of(root),
        &mut environment,
        &mut Told::default(),
    );
    let mut unset = Vec::new();
    let mut layer = |mut tree: Node, kind| {
        values::expand(&mut tree, &environment, &mut unset, &mut Vec::new());
        Layer::new(kind, tree)
    };
    let mut layers = vec![layer(section, LayerKind::Workspace)];
    layers.extend(local.map(|local| layer(local, LayerKind::Local)));
    if members::matching(root, &layers, Some(directory), &mut Told::default())
        .contains(&directory.to_owned())
    {
        return true;
    }
    let mut projects = layers
        .iter()
        .filter_map(|layer| layer.tree.get(&["projects"])?.as_map())
        .flatten();
    let is_root = projects.any(|(name, entry)| {
        let given = entry
            .node
            .get(&["root"])
            .and_then(Node::as_text)
            .unwrap_or(name);
        absolute(root, Path::new(given)) == directory
    });
    let decides = |key: &str| {
        key.starts_with("workspace.") || (key.starts_with("projects.") && key.ends_with(".root"))
    };
    problems.extend(
        unset
            .into_iter()
            .filter(|problem| !is_root && problem.key.as_deref().is_some_and(decides)),
    );
    is_root
}
