//! The loaded configuration: its layers, and the values that are in effect.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::diagnostics::UnsetToken;
use super::layers::Layers;
use super::location::{LayerKind, Location, Origin};
use super::members::Member;
use super::model::{RawConfig, RawSync};
use super::problem::{Problem, Problems};
use crate::environment::Environment;
use crate::paths::{escaped, shown};

/// The loaded configuration. See [`load`](super::load).
pub struct Configuration {
    /// The workspace: the directory that holds `.fractary/`, or the current directory if there is
    /// no file.
    pub root: PathBuf,
    /// The workspace's file.
    pub file: Option<PathBuf>,
    /// The layers.
    pub(crate) layers: Layers,
    /// The merged layers.
    pub(crate) raw: RawConfig,
    pub(super) environment: Environment,
    /// The environment that `--env` or `FRACTARY_CODEX_ENV` selects.
    pub(crate) environment_name: Option<String>,
    /// The location of [`Self::environment_name`].
    pub(crate) environment_origin: Option<Origin>,
    /// The projects' own directories, by project name.
    pub(crate) members: BTreeMap<String, Member>,
    /// The warnings, in the order of their locations.
    pub(crate) warnings: Vec<Problem>,
    /// Tokens that are not given because their variable is not set.
    pub(crate) unset_tokens: Vec<UnsetToken>,
    /// Why the organization could not be detected, if there is a repository.
    pub(crate) undetected: Option<String>,
    /// The user's state directory.
    pub(crate) state_home: Option<PathBuf>,
    /// The directory of persistent clones, which is never a source.
    pub(crate) clone_home: Option<PathBuf>,
}

impl fmt::Debug for Configuration {
    /// Leaves the values out, because they can be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("root", &self.root)
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

impl Configuration {
    /// The warnings, in the order of their locations.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.warnings.iter().map(ToString::to_string)
    }

    /// The variables that the run can read: those of the process, and the keys and tokens that
    /// `.fractary/env/.env` sets.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The files that were read, with their layers, lowest first. The members' files are in the
    /// order of the project names.
    pub fn files(&self) -> Vec<(LayerKind, PathBuf)> {
        let mut files = Vec::new();
        for layer in self.layers.iter() {
            match layer.kind {
                LayerKind::Member => {
                    let members = self
                        .members
                        .values()
                        .filter_map(|member| member.file.clone());
                    files.extend(members.map(|file| (layer.kind, file)));
                }
                kind => files.extend(layer.tree.at.file().map(|file| (kind, file.to_owned()))),
            }
        }
        files
    }

    /// The files, the variables and the options that give values, for people.
    pub(crate) fn sources(&self) -> Vec<String> {
        let files = self.files().into_iter();
        let mut sources: Vec<_> = files
            .map(|(layer, file)| format!("`{}` ({layer})", shown(&file)))
            .collect();
        for layer in self.layers.iter() {
            let keys = layer.tree.as_map().into_iter().flatten();
            let keys: Vec<_> = keys.map(|(key, _)| format!("`{key}`")).collect();
            let kind = match layer.kind {
                _ if keys.is_empty() => continue,
                LayerKind::Environment => "variables",
                LayerKind::Flags => "options",
                _ => continue,
            };
            sources.push(format!("{kind} for {}", keys.join(" and ")));
        }
        if let Some(name) = &self.environment_name {
            sources.push(format!("environment `{}`", escaped(name.as_bytes())));
        }
        if sources.is_empty() {
            sources.push("none, so all values are defaults".to_owned());
        }
        sources
    }

    /// Adds warnings. All warnings stay in the order of their locations, without duplicates.
    pub(crate) fn warn(&mut self, warnings: Vec<Problem>) {
        self.warnings.extend(warnings);
        let warnings = std::mem::take(&mut self.warnings);
        self.warnings = Problems::none_of(warnings)
            .err()
            .map(Problems::into_vec)
            .unwrap_or_default();
    }

    /// Whether no file, variable or flag sets a key.
    pub(crate) fn is_unconfigured(&self) -> bool {
        self.layers.iter().all(|layer| {
            let is_empty = layer.tree.as_map().is_none_or(|map| map.is_empty());
            layer.kind == LayerKind::Defaults || is_empty
        })
    }

    /// The location of the value at `path` that is in effect.
    pub(crate) fn origin_of<S: AsRef<str>>(&self, path: &[S]) -> Option<&Origin> {
        self.layers.value(path).map(|node| &node.at)
    }

    /// The location of the name of the project `name`.
    pub(crate) fn project_origin(&self, name: &str) -> Option<Origin> {
        let of_member = || self.members.get(name)?.named_at.as_ref();
        let of_projects = || self.layers.key_origin(&["projects", name]);
        let of_workspace = || {
            let is_workspace = self.raw.project.as_deref() == Some(name);
            self.origin_of(&["project"]).filter(|_| is_workspace)
        };
        of_member()
            .or_else(of_projects)
            .or_else(of_workspace)
            .cloned()
    }

    /// The workspace's file as a whole, as the location of a missing key.
    pub(crate) fn file_origin(&self) -> Option<Origin> {
        let workspace = self
            .layers
            .iter()
            .find(|layer| layer.kind == LayerKind::Workspace);
        match workspace {
            Some(layer) => Some(layer.tree.at.without_position()),
            None => {
                let location = Location::File(self.file.clone()?);
                Some(Origin::whole(LayerKind::Workspace, location, &self.root))
            }
        }
    }

    /// The settings below `sync` that are in effect for the project `name`.
    pub(crate) fn project_sync(&self, name: &str) -> RawSync {
        self.layers
            .project_sync(name)
            .unwrap_or_else(|| self.raw.sync.clone())
    }
}
