//! Configuration: seven layers, lowest first, merged key by key, every value with the place it came from.
//!
//! | layer | where |
//! |---|---|
//! | defaults | `defaults.yaml`, built in |
//! | user | `fractary/config.*` in the user's configuration directory |
//! | workspace | `.fractary/config.*`, upwards from the current directory |
//! | local | `.fractary/config.local.*` beside it |
//! | member | the projects' own `.fractary/config.*` |
//! | environment | `FRACTARY_CODEX_*` |
//! | flags | options and `--config KEY=VALUE` |
//!
//! Nothing here knows what a key means, only its type: [`crate::workspace`] does. All problems of a load are
//! told together; a layer with a problem goes on without the key that has it.

pub(crate) mod check;
pub(crate) mod compat;
mod discover;
mod dotenv;
mod enums;
pub(crate) mod env;
pub mod explain;
mod file;
pub(crate) mod layers;
pub mod location;
mod members;
pub mod model;
mod ownership;
pub mod problem;
pub mod scalar;
pub(crate) mod schema;
pub(crate) mod section;
mod toml;
pub(crate) mod tree;
pub(crate) mod values;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;

use crate::environment::Environment;

pub use enums::{CloneStrategy, Direction, SignMode, Symlinks, TransportChoice};
pub use explain::{Explanation, Given};
pub(crate) use file::ENDINGS;
pub use layers::Layer;
pub use location::{LayerKind, Location, Origin, Source};
pub use members::Member;
pub use model::RawConfig;
pub use problem::{Problem, Problems};
pub use schema::schema;
pub use values::UnsetToken;

use ownership::Ownership;
use problem::Diagnostics;
use tree::Node;

/// What a load starts from; the command line fills it in.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// The current directory, absolute.
    pub cwd: PathBuf,
    /// The process's variables.
    pub environment: Environment,
    /// `--config-file`: the workspace's file, instead of looking for it.
    pub config_file: Option<PathBuf>,
    /// The directory that holds the user's `fractary/config.*`.
    pub user_config_dir: Option<PathBuf>,
    /// The user's state directory.
    pub state_home: Option<PathBuf>,
    /// The directory of persistent clones.
    pub clone_home: Option<PathBuf>,
    /// `--env`.
    pub env_name: Option<String>,
    /// Reads `safe.directory` of git's own configuration.
    pub safe_directories: Option<fn(&Environment) -> Vec<String>>,
    /// Detects the organization if none is given.
    pub detect_organization: Option<DetectOrganization>,
    /// Options that set a key.
    pub flags: Vec<FlagValue>,
    /// The arguments of `--config`: KEY=VALUE.
    pub config_arguments: Vec<String>,
}

impl LoadRequest {
    /// A load of the workspace around `cwd`, an absolute path, with `environment` as the variables of the process. User
    /// configuration is not read, and nothing is detected, unless the other fields are set.
    pub fn new(cwd: PathBuf, environment: Environment) -> Self {
        Self {
            cwd,
            environment,
            ..Self::default()
        }
    }
}

/// Finds the organization that the git remote of the workspace at a path names; an error where there is a repository that
/// cannot be read.
pub type DetectOrganization = fn(&Path) -> Result<Option<String>, String>;

/// An option that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagValue {
    /// The option as it is written: `--direction`.
    flag: String,
    /// The key, dotted: `sync.direction`.
    key: String,
    value: FlagText,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum FlagText {
    One(String),
    Many(Vec<String>),
}

impl FlagValue {
    /// A flag with a text, which its key's type reads.
    pub fn text(flag: &str, key: &str, value: String) -> Self {
        Self {
            flag: flag.to_owned(),
            key: key.to_owned(),
            value: FlagText::One(value),
        }
    }

    /// A flag that is a list of texts.
    pub fn list(flag: &str, key: &str, value: Vec<String>) -> Self {
        Self {
            flag: flag.to_owned(),
            key: key.to_owned(),
            value: FlagText::Many(value),
        }
    }
}

/// The loaded configuration: its layers, and what they come to. See [`load`].
pub struct Configuration {
    /// The workspace: the directory that holds `.fractary/`, or the current one where there is no file.
    pub root: PathBuf,
    /// The workspace's file.
    pub file: Option<PathBuf>,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// What they come to.
    pub raw: RawConfig,
    /// The same without the flags, and the flags alone: a flag beats a project's own key, a lower layer does not.
    pub(crate) without_flags: RawConfig,
    pub(crate) flags: RawConfig,
    environment: Environment,
    /// The environment chosen by `--env` or `FRACTARY_CODEX_ENV`.
    pub environment_name: Option<String>,
    /// Which of the two chose it.
    pub(crate) environment_origin: Option<Origin>,
    /// The projects' own directories, by project name.
    pub members: BTreeMap<String, Member>,
    pub(crate) warnings: Vec<Problem>,
    /// Tokens that are not given because their variable is not set.
    pub unset_tokens: Vec<UnsetToken>,
    /// Why the organization could not be detected, where there is a repository.
    pub(crate) undetected: Option<String>,
    /// The user's state directory.
    pub state_home: Option<PathBuf>,
    /// The directory of persistent clones, which is never a source.
    pub(crate) clone_home: Option<PathBuf>,
    figment: Figment,
    merged: figment::value::Value,
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("root", &self.root)
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

impl Configuration {
    /// What is odd but stops nothing.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.warnings.iter().map(ToString::to_string)
    }

    /// The process's variables, and those of `.fractary/env/.env` that they leave unset.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The files that were read, with their layers, lowest first; members' files by project name.
    pub fn files(&self) -> Vec<(LayerKind, PathBuf)> {
        let mut files = Vec::new();
        for layer in &self.layers {
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

    /// Adds to what is odd; all of it stays in the order of places, each once.
    pub(crate) fn warn(&mut self, warnings: Vec<Problem>) {
        self.warnings.extend(warnings);
        let warnings = std::mem::take(&mut self.warnings);
        self.warnings = Problems::none_of(warnings)
            .err()
            .map(Problems::into_vec)
            .unwrap_or_default();
    }

    /// Whether nobody has said anything: no file, variable or flag gives a key.
    pub(crate) fn is_silent(&self) -> bool {
        let given = |layer: &Layer| layer.tree.as_map().is_some_and(|map| !map.is_empty());
        !self
            .layers
            .iter()
            .any(|layer| layer.kind != LayerKind::Defaults && given(layer))
    }

    /// Where the value at `path` was given, by the highest layer that gives one.
    pub(crate) fn origin_of<S: AsRef<str>>(&self, path: &[S]) -> Option<&Origin> {
        self.layers
            .iter()
            .rev()
            .find_map(|layer| layer.tree.get(path))
            .map(|node| &node.at)
    }
}

/// Loads the configuration. `Err` holds everything that is wrong with it.
pub fn load(request: &LoadRequest) -> Result<Configuration, Problems> {
    let (configuration, problems) = gather(request);
    Problems::none_of(problems)?;
    Ok(configuration)
}

/// Loads what can be loaded, and tells what is wrong with the rest.
pub(crate) fn gather(request: &LoadRequest) -> (Configuration, Vec<Problem>) {
    let mut diagnostics = Diagnostics::default();
    let mut unset_tokens = Vec::new();
    let named = discover::named(request);
    let ownership = Ownership::new(request, named.as_deref());
    let user = user_layer(request, &ownership, &mut diagnostics, &mut unset_tokens);
    let found = discover::workspace(
        request,
        &ownership,
        user.as_ref(),
        &mut diagnostics.problems,
    );

    let root = found.root;
    let trusted = |file: &Path, layer, diagnostics: &mut Diagnostics| {
        let checked = ownership.check(file, layer, &[&root]);
        checked
            .map_err(|problem| diagnostics.problems.push(problem))
            .is_ok()
    };
    // What lies beside a file that is not read is not read either.
    let read = found
        .file
        .clone()
        .filter(|file| named.is_some() || trusted(file, LayerKind::Workspace, &mut diagnostics));

    let mut environment = request.environment.clone();
    let env_file = dotenv::file_of(&root);
    let from_file = match read {
        Some(_)
            if env_file.symlink_metadata().is_err()
                || trusted(&env_file, LayerKind::Environment, &mut diagnostics) =>
        {
            dotenv::read(&env_file, &mut environment, &mut diagnostics)
        }
        _ => Default::default(),
    };
    env::check_encoding(request, &mut diagnostics.problems);
    let loader = Loader {
        root: root.clone(),
        environment: &environment,
        ownership: &ownership,
    };
    let detected = request
        .detect_organization
        .map_or(Ok(None), |detect| detect(&root));
    let (organization, undetected) = match detected {
        Ok(organization) => (organization, None),
        Err(reason) => (None, Some(reason)),
    };
    let mut layers = vec![layers::defaults(&root, organization.as_deref())];
    layers.extend(user);

    let beside = read.as_deref().and_then(Path::parent);
    let local = beside
        .and_then(|directory| file::find(directory, "config.local", &mut diagnostics.problems));
    let local = local.filter(|file| trusted(file, LayerKind::Local, &mut diagnostics));
    let files = [(LayerKind::Workspace, read), (LayerKind::Local, local)];
    for (kind, file) in files {
        let Some(file) = file else {
            continue;
        };
        if let Some(tree) = loader.section(&file, kind, &root, &mut diagnostics, &mut unset_tokens)
        {
            layers.push(Layer::new(kind, tree));
        }
    }
    let variables = env::variables(
        &environment,
        &from_file,
        &env_file,
        &request.cwd,
        &mut diagnostics.problems,
    );
    let flags = env::flags(
        &request.config_arguments,
        &request.flags,
        &request.cwd,
        &mut diagnostics.problems,
    );
    for (kind, mut tree) in [
        (LayerKind::Environment, variables),
        (LayerKind::Flags, flags),
    ] {
        loader.finish(&mut tree, &mut diagnostics);
        layers.push(Layer::new(kind, tree));
    }

    let outline = extract(
        &layers::merge(&layers),
        &layers[0],
        &mut diagnostics.problems,
    );
    let members = members::read(&loader, &layers, &outline, &mut diagnostics);
    let below_environment = layers.len() - 2;
    layers.insert(below_environment, members.layer);

    let in_run = |name: &str| !from_file.contains(name) || dotenv::reaches_the_run(name);
    let of_run = environment.iter().filter(|(name, _)| in_run(name));
    let of_run = of_run
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (environment_name, environment_origin) =
        chosen(request, &environment, &from_file, &env_file).unzip();
    let figment = layers::merge(&layers);
    let (last, lower) = layers
        .split_last()
        .unwrap_or_else(|| unreachable!("there are always layers"));
    let lowest = &layers[0];
    let configuration = Configuration {
        raw: extract(&figment, lowest, &mut diagnostics.problems),
        without_flags: extract(&layers::merge(lower), lowest, &mut diagnostics.problems),
        flags: extract(&layers::merge([last]), last, &mut diagnostics.problems),
        merged: figment
            .extract()
            .unwrap_or_else(|_| figment::value::Value::from(figment::value::Dict::new())),
        figment,
        file: found.file,
        environment_name,
        environment_origin,
        members: members.by_name,
        warnings: diagnostics.warnings,
        unset_tokens,
        undetected,
        state_home: request.state_home.clone(),
        clone_home: request.clone_home.clone(),
        root,
        layers,
        environment: of_run,
    };
    (configuration, diagnostics.problems)
}

/// The layer of the user's own file. Only the process's variables are put into it: a workspace's `.env` must not decide
/// anything in the user's name.
fn user_layer(
    request: &LoadRequest,
    ownership: &Ownership<'_>,
    diagnostics: &mut Diagnostics,
    unset_tokens: &mut Vec<UnsetToken>,
) -> Option<Layer> {
    let directory = request.user_config_dir.as_ref()?.join("fractary");
    let file = file::find(&directory, "config", &mut diagnostics.problems)?;
    let loader = Loader {
        root: directory.clone(),
        environment: &request.environment,
        ownership,
    };
    let tree = loader.section(
        &file,
        LayerKind::User,
        &directory,
        diagnostics,
        unset_tokens,
    )?;
    Some(Layer::new(LayerKind::User, tree))
}

/// The environment's name, and who says it.
fn chosen(
    request: &LoadRequest,
    environment: &Environment,
    from_file: &BTreeSet<String>,
    env_file: &Path,
) -> Option<(String, Origin)> {
    let (name, layer, place) = match &request.env_name {
        Some(name) => (
            name.clone(),
            LayerKind::Flags,
            Location::Flag("--env".to_owned()),
        ),
        None => {
            let variable = format!("{}ENV", env::PREFIX);
            let name = environment.get(&variable)?.to_owned();
            let file = from_file.contains(&variable).then(|| env_file.to_owned());
            (
                name,
                LayerKind::Environment,
                Location::Variable {
                    name: variable,
                    file,
                },
            )
        }
    };
    Some((name, Origin::whole(layer, place, &request.cwd)))
}

/// Each layer was checked alone, so this fails only where two of them cannot be merged; then the `lowest` stands for all.
fn extract(merged: &Figment, lowest: &Layer, problems: &mut Vec<Problem>) -> RawConfig {
    merged.extract().unwrap_or_else(|error| {
        problems.push(Problem::new(format!(
            "`{}`: the layers do not agree",
            tree::key_path(&error.path)
        )));
        layers::merge([lowest]).extract().unwrap_or_default()
    })
}

/// What reading a file needs.
pub(crate) struct Loader<'e> {
    pub(crate) root: PathBuf,
    environment: &'e Environment,
    pub(crate) ownership: &'e Ownership<'e>,
}

impl Loader<'_> {
    /// Reads the section of `file`, checked, with variables put in and absolute paths. `None` if it has none, or
    /// cannot be read, which is told.
    fn section(
        &self,
        file: &Path,
        layer: LayerKind,
        base: &Path,
        diagnostics: &mut Diagnostics,
        unset: &mut Vec<UnsetToken>,
    ) -> Option<Node> {
        let section = file::section(file, layer, base);
        let mut tree = section.unwrap_or_else(|problem| {
            diagnostics.problems.push(problem);
            None
        })?;
        check::drop_nulls(&mut tree);
        compat::migrate_old_keys(
            &mut tree,
            &mut diagnostics.problems,
            &mut diagnostics.warnings,
        );
        values::expand(
            &mut tree,
            self.environment,
            &mut diagnostics.problems,
            unset,
        );
        compat::rename_values(&mut tree, &mut diagnostics.warnings);
        values::drop_empty_tokens(&mut tree);
        check::check(&mut tree, &mut diagnostics.problems);
        values::make_absolute(&mut tree, base);
        Some(tree)
    }

    /// The same for values that no file gives: they are taken as they stand.
    fn finish(&self, tree: &mut Node, diagnostics: &mut Diagnostics) {
        compat::migrate_old_keys(tree, &mut diagnostics.problems, &mut diagnostics.warnings);
        compat::rename_values(tree, &mut diagnostics.warnings);
        values::drop_empty_tokens(tree);
        check::check(tree, &mut diagnostics.problems);
        values::make_absolute(tree, &self.root);
    }
}

#[cfg(test)]
mod tests;
