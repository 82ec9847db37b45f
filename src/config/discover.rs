//! Finds the directory of the workspace, and the file that describes it.

use std::path::{Path, PathBuf};

use super::diagnostics::Diagnostics;
use super::layers::{Layer, Layers};
use super::loader::Loader;
use super::location::LayerKind;
use super::member_search::member_directories;
use super::model::RawConfig;
use super::ownership::Ownership;
use super::problem::Problem;
use super::request::LoadRequest;
use super::tree::Node;
use super::variables::{CONFIG, Variables};
use super::{file, tree};
use crate::paths::{FRACTARY_DIR, absolute, resolved};

/// The directory of a workspace, and its file.
pub(crate) struct Discovered {
    pub(crate) root: PathBuf,
    pub(crate) file: Option<PathBuf>,
}

/// The workspace's file that `--config-file` or a variable names.
pub(crate) fn named_file(request: &LoadRequest) -> Option<PathBuf> {
    let variable = || request.environment.get(CONFIG).map(PathBuf::from);
    let file = request.config_file.clone().or_else(variable)?;
    Some(absolute(&request.cwd, &file))
}

/// Finds the workspace. In this order, it is described by the file that the user named, by the
/// nearest file upwards that has a section `codex`, or by a file further up that has the directory
/// of the nearest one among its members or projects. Without any file, the workspace is the current
/// directory. `user` is the user's layer.
pub(crate) fn workspace(
    request: &LoadRequest,
    ownership: &Ownership<'_>,
    user: Option<&Layer>,
    problems: &mut Vec<Problem>,
) -> Discovered {
    if let Some(file) = named_file(request) {
        return Discovered {
            root: base_of(&file, &request.cwd),
            file: Some(file),
        };
    }

    let mut nearest: Option<Discovered> = None;
    let mut without_section: Option<Discovered> = None;
    for directory in request.cwd.ancestors() {
        let mut ambiguous = Vec::new();
        let own = directory.join(FRACTARY_DIR);
        let Some(first) = file::find(&own, "config", &mut ambiguous) else {
            // A pipe or device can be meant as the workspace's file, so no other file is used
            // instead.
            if nearest.is_none() && !ambiguous.is_empty() {
                problems.extend(ambiguous);
                return Discovered {
                    root: directory.to_owned(),
                    file: None,
                };
            }
            continue;
        };
        let discovered = || Discovered {
            root: directory.to_owned(),
            file: Some(first.clone()),
        };
        let Some(inner) = &nearest else {
            let section = file::section(&first, LayerKind::Workspace, directory);
            if ambiguous.is_empty() && matches!(section, Ok(None)) {
                without_section.get_or_insert_with(discovered);
                continue;
            }
            // Any other problem of the file is reported when it is loaded.
            problems.extend(ambiguous);
            nearest = Some(discovered());
            continue;
        };

        let outer = OuterWorkspace {
            request,
            ownership,
            user,
            root: directory,
        };
        let mut unclear = Vec::new();
        // If there are two files, either can be the one that includes the directory.
        let files = file::candidates(&own, "config");
        let includes = |file: &PathBuf| outer.workspace_includes(file, &inner.root, &mut unclear);
        if files.iter().any(includes) {
            problems.extend(ambiguous);
            return discovered();
        }
        problems.extend(unclear);
    }
    nearest.or(without_section).unwrap_or_else(|| Discovered {
        root: request.cwd.clone(),
        file: None,
    })
}

/// The directory from which relative paths in `file` start: the one that holds its `.fractary/`, or
/// else that of the file itself. For a pipe of the shell, it is the current directory.
fn base_of(file: &Path, cwd: &Path) -> PathBuf {
    let directory = file.parent().unwrap_or(file);
    match directory.parent() {
        Some(holder) if directory.ends_with(FRACTARY_DIR) => holder.to_owned(),
        _ if directory == Path::new("/dev/fd") || directory == Path::new("/dev") => cwd.to_owned(),
        _ => directory.to_owned(),
    }
}

/// A directory above the nearest workspace that can be a workspace with the nearest one as a
/// member.
struct OuterWorkspace<'o> {
    request: &'o LoadRequest,
    ownership: &'o Ownership<'o>,
    user: Option<&'o Layer>,
    root: &'o Path,
}

impl OuterWorkspace<'_> {
    /// Whether the workspace that `file` describes has `directory` as a member, or as the root of a
    /// project.
    ///
    /// The merged layers decide, as in a load of that workspace. If that is not possible because a
    /// variable is missing or the file cannot be read, the reason is added to `problems`: without
    /// the file, the run could publish to another codex.
    fn workspace_includes(
        &self,
        file: &Path,
        directory: &Path,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let mut diagnostics = Diagnostics::default();
        let Some(layers) = self.layers(file, &mut diagnostics) else {
            problems.extend(self.if_trusted(file, diagnostics.problems));
            return false;
        };

        if self.is_project_root(&layers, directory) || self.is_member(&layers, directory) {
            return true;
        }

        let unclear = diagnostics.problems.into_iter().filter(decides_membership);
        problems.extend(self.if_trusted(file, unclear.collect()));
        false
    }

    /// Whether `directory` is the root of a project that the workspace's files name.
    fn is_project_root(&self, layers: &Layers, directory: &Path) -> bool {
        let merged: RawConfig = layers.merged().extract().unwrap_or_default();
        let real = resolved(directory);

        layers
            .iter()
            .filter(|layer| matches!(layer.kind, LayerKind::Workspace | LayerKind::Local))
            .filter_map(|layer| layer.tree.get(&["projects"]).and_then(Node::as_map))
            .flat_map(tree::Map::keys)
            .any(|name| {
                let project = merged.projects.get(name);
                let root = project.and_then(|project| project.root.as_ref());
                let root = absolute(self.root, Path::new(root.unwrap_or(name)));
                resolved(&root) == real
            })
    }

    fn is_member(&self, layers: &Layers, directory: &Path) -> bool {
        let mut ignored = Diagnostics::default();
        member_directories(self.root, layers, Some(directory), &mut ignored)
            .iter()
            .any(|member| member == directory)
    }

    /// Returns `problems` if the user trusts `file`. A file that is not trusted decides nothing, so
    /// its problems do not matter.
    fn if_trusted(&self, file: &Path, problems: Vec<Problem>) -> Vec<Problem> {
        match self
            .ownership
            .check(file, LayerKind::Workspace, &[self.root])
        {
            Ok(()) => problems,
            Err(_) => Vec::new(),
        }
    }

    /// Reads the layers of a load without the defaults and the members; `None` if `file` has no
    /// section `codex`.
    fn layers(&self, file: &Path, diagnostics: &mut Diagnostics) -> Option<Layers> {
        let mut ignored = Diagnostics::default();
        let mut variables = Variables::of_process(&self.request.environment, self.root);
        variables.read_file(&mut ignored);
        let loader = Loader {
            workspace_text: None,
            root: self.root.to_owned(),
            environment: variables.all(),
            ownership: self.ownership,
        };

        let workspace = loader.layer(LayerKind::Workspace, file, self.root, diagnostics)?;
        let own = self.root.join(FRACTARY_DIR);
        let local = file::find(&own, "config.local", &mut ignored.problems)
            .and_then(|file| loader.layer(LayerKind::Local, &file, self.root, diagnostics));

        let mut layers = Layers::default();
        for layer in self
            .user
            .cloned()
            .into_iter()
            .chain([workspace])
            .chain(local)
            .chain(loader.run_layers(self.request, &variables, &mut ignored))
        {
            layers.add(layer);
        }
        Some(layers)
    }
}

/// Whether a problem of a file leaves open which directories are members or projects.
fn decides_membership(problem: &Problem) -> bool {
    problem.key.as_deref().is_some_and(|key| {
        key.starts_with("workspace.") || (key.starts_with("projects.") && key.ends_with(".root"))
    })
}
