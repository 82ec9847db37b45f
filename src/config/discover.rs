//! Which directory is the workspace, and which file describes it.

use std::path::{Path, PathBuf};

use super::env::{self, CONFIG};
use super::layers::{self, Layer};
use super::location::LayerKind;
use super::model::RawConfig;
use super::ownership::Ownership;
use super::problem::{Diagnostics, Problem};
use super::{LoadRequest, Loader, dotenv, file, members};
use crate::paths::{absolute, resolved};

/// The workspace's directory and file.
pub(crate) struct Discovered {
    pub(crate) root: PathBuf,
    pub(crate) file: Option<PathBuf>,
}

/// The file that a flag or a variable names.
pub(crate) fn named(request: &LoadRequest) -> Option<PathBuf> {
    let variable = || request.environment.get(CONFIG).map(PathBuf::from);
    let file = request.config_file.clone().or_else(variable)?;
    Some(absolute(&request.cwd, &file))
}

/// Finds the workspace: the file that was named, or the nearest one upwards that has a section `codex`, or one further
/// out that counts the nearest one's directory among its members or projects, or, without any file, the current
/// directory. `user` is the user's layer.
pub(crate) fn workspace(
    request: &LoadRequest,
    ownership: &Ownership<'_>,
    user: Option<&Layer>,
    problems: &mut Vec<Problem>,
) -> Discovered {
    if let Some(file) = named(request) {
        return Discovered {
            root: base_of(&file, &request.cwd),
            file: Some(file),
        };
    }

    let mut nearest: Option<Discovered> = None;
    let mut without_section: Option<Discovered> = None;
    for directory in request.cwd.ancestors() {
        let mut ambiguous = Vec::new();
        let mark = directory.join(".fractary");
        let Some(first) = file::find(&mark, "config", &mut ambiguous) else {
            // A pipe or device may be meant as the workspace's file, so that no other one is used instead.
            if nearest.is_none() && !ambiguous.is_empty() {
                problems.extend(ambiguous);
                return Discovered {
                    root: directory.to_owned(),
                    file: None,
                };
            }
            continue;
        };
        let found = || Discovered {
            root: directory.to_owned(),
            file: Some(first.clone()),
        };
        let Some(inner) = &nearest else {
            let section = file::section(&first, LayerKind::Workspace, directory);
            if ambiguous.is_empty() && matches!(section, Ok(None)) {
                without_section.get_or_insert_with(found);
                continue;
            }
            // Any other mistake in the file is reported when it is loaded.
            problems.extend(ambiguous);
            nearest = Some(found());
            continue;
        };

        // Each of two files may be the one that covers.
        let files = file::candidates(&mark, "config");
        let search = Outer {
            request,
            ownership,
            user,
            root: directory,
        };
        let mut unclear = Vec::new();
        if files
            .iter()
            .any(|file| search.workspace_includes(file, &inner.root, &mut unclear))
        {
            problems.extend(ambiguous);
            return found();
        }
        problems.extend(unclear);
    }
    nearest.or(without_section).unwrap_or_else(|| Discovered {
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

/// A directory further out that may be the workspace.
struct Outer<'o> {
    request: &'o LoadRequest,
    ownership: &'o Ownership<'o>,
    user: Option<&'o Layer>,
    root: &'o Path,
}

impl Outer<'_> {
    /// Whether the workspace that `file` describes has `directory` as a member or as a project's root, decided on the
    /// merged layers, as a load from there would see them. Where that is not known, for want of a variable or because
    /// the file cannot be read, it is a problem: continuing without the file might publish to another codex.
    fn workspace_includes(
        &self,
        file: &Path,
        directory: &Path,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let mut diagnostics = Diagnostics::default();
        let Some(layers) = self.layers(file, &mut diagnostics) else {
            problems.extend(self.trusted(file, diagnostics.problems));
            return false;
        };

        let merged: RawConfig = layers::merge(&layers).extract().unwrap_or_default();
        let of_files =
            |layer: &&Layer| matches!(layer.kind, LayerKind::Workspace | LayerKind::Local);
        let named = layers
            .iter()
            .filter(of_files)
            .filter_map(|layer| layer.tree.get(&["projects"])?.as_map())
            .flatten()
            .map(|(name, _)| name);
        let real = resolved(directory);
        let is_root = named.into_iter().any(|name| {
            let given = merged
                .projects
                .get(name)
                .and_then(|project| project.root.as_ref());
            let root = absolute(self.root, Path::new(given.unwrap_or(name)));
            resolved(&root) == real
        });
        let is_member = || {
            members::matching(
                self.root,
                &layers,
                Some(directory),
                &mut Diagnostics::default(),
            )
            .iter()
            .any(|member| member == directory)
        };
        if is_root || is_member() {
            return true;
        }

        let decides = |problem: &Problem| {
            problem.key.as_deref().is_some_and(|key| {
                key.starts_with("workspace.")
                    || (key.starts_with("projects.") && key.ends_with(".root"))
            })
        };
        let unclear = diagnostics.problems.into_iter().filter(decides).collect();
        problems.extend(self.trusted(file, unclear));
        false
    }

    /// Problems of a file that the user need not trust are not the user's: the file decides nothing.
    fn trusted(&self, file: &Path, problems: Vec<Problem>) -> Vec<Problem> {
        match self
            .ownership
            .check(file, LayerKind::Workspace, &[self.root])
        {
            Ok(()) => problems,
            Err(_) => Vec::new(),
        }
    }

    /// The layers of a load, without those of the members; `None` where `file` has no section `codex`.
    fn layers(&self, file: &Path, diagnostics: &mut Diagnostics) -> Option<Vec<Layer>> {
        let mut environment = self.request.environment.clone();
        let env_file = dotenv::file_of(self.root);
        let from_file = dotenv::read(&env_file, &mut environment, &mut Diagnostics::default());
        let loader = Loader {
            root: self.root.to_owned(),
            environment: &environment,
            ownership: self.ownership,
        };

        let mut section = |file: &Path, kind| {
            let tree = loader.section(file, kind, self.root, diagnostics, &mut Vec::new())?;
            Some(Layer::new(kind, tree))
        };
        let workspace = section(file, LayerKind::Workspace)?;
        let local = file::find(
            &self.root.join(".fractary"),
            "config.local",
            &mut Vec::new(),
        );
        let local = local.and_then(|file| section(&file, LayerKind::Local));

        let cwd = &self.request.cwd;
        let mut ignored = Diagnostics::default();
        let variables = env::variables(
            &environment,
            &from_file,
            &env_file,
            cwd,
            &mut ignored.problems,
        );
        let flags = env::flags(
            &self.request.config_arguments,
            &self.request.flags,
            cwd,
            &mut ignored.problems,
        );
        let given = [
            (LayerKind::Environment, variables),
            (LayerKind::Flags, flags),
        ];
        let given = given.map(|(kind, mut tree)| {
            loader.finish(&mut tree, &mut ignored);
            Layer::new(kind, tree)
        });

        let mut layers: Vec<Layer> = self.user.cloned().into_iter().collect();
        layers.push(workspace);
        layers.extend(local);
        layers.extend(given);
        Some(layers)
    }
}
