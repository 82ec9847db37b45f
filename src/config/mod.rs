//! Configuration: seven layers become one [`RawConfig`] in which every value knows who said it.
//!
//! Precedence, names and failure behaviour are promises to users (contract/config.md). All mistakes of one load are told
//! together. What the values mean for projects and remotes is decided in [`crate::workspace`].

mod compat;
mod discover;
mod env;
mod layers;
pub mod node;
mod per_project;
pub mod problem;
pub mod raw;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::workspace::{self, Workspace};
pub use layers::{Layer, LayerKind};
use node::{Node, Value, parse_inline, parse_key, parse_yaml};
pub use per_project::PerProject;
use problem::{Problem, Problems, Source};
use raw::RawConfig;

/// Every default, commented.
pub const DEFAULTS: &str = include_str!("defaults.yaml");

/// What a load starts from.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// The directory the run works in, absolute.
    pub cwd: PathBuf,
    /// The process's variables.
    pub environment: Environment,
    /// `--config-file`.
    pub config_file: Option<PathBuf>,
    /// The directory that holds the user's `fractary/config.*`.
    pub user_config_dir: Option<PathBuf>,
    /// The user's state directory.
    pub state_home: Option<PathBuf>,
    /// `--env`.
    pub env_name: Option<String>,
    /// Flags that set a key.
    pub flags: Vec<FlagValue>,
    /// `--config KEY=VALUE`, as given.
    pub config_arguments: Vec<String>,
    /// The organization that the workspace's git remote suggests.
    pub detected_organization: Option<String>,
}

/// A flag that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagValue {
    flag: String,
    key: String,
    value: Vec<String>,
    list: bool,
}

impl FlagValue {
    /// A flag with a text.
    pub fn text(flag: &str, key: &str, value: String) -> Self {
        Self { flag: flag.to_owned(), key: key.to_owned(), value: vec![value], list: false }
    }

    /// A flag that is a list of texts.
    pub fn list(flag: &str, key: &str, value: Vec<String>) -> Self {
        Self { flag: flag.to_owned(), key: key.to_owned(), value, list: true }
    }
}

/// The layers and what they come to.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// The merged values.
    pub raw: RawConfig,
    /// The directory that holds `.fractary/`, or the current one.
    pub root: PathBuf,
    /// The environment chosen by `--env` or `FRACTARY_CODEX_ENV`.
    pub env_name: Option<String>,
    /// Variables that tokens name and that are not set.
    pub unset_token_variables: Vec<String>,
    environment: Environment,
    warnings: Vec<String>,
    state_home: Option<PathBuf>,
    detected_organization: Option<String>,
}

/// Loads the configuration and resolves the workspace; every mistake of both is told.
pub fn load_workspace(request: &LoadRequest) -> Result<(Configuration, Workspace), Problems> {
    let mut problems = Problems::default();
    let configuration = load(request, &mut problems);
    let workspace = workspace::resolve::resolve(&configuration, &mut problems);
    match workspace {
        Some(workspace) if problems.is_empty() => Ok((configuration, workspace)),
        _ => Err(problems.into_sorted()),
    }
}

/// Loads the layers. What is wrong is noted in `problems` and counts as not said.
pub fn load(request: &LoadRequest, problems: &mut Problems) -> Configuration {
    let mut environment = request.environment.clone();
    let file = match request.config_file.clone().or_else(|| environment.get("FRACTARY_CODEX_CONFIG").map(PathBuf::from))
    {
        Some(path) => discover::read_file(&request.cwd.join(path), problems),
        None => discover::workspace(&request.cwd, problems),
    };
    let mark = file.as_ref().and_then(|file| file.path.parent()).map(Path::to_owned);
    let root = match &mark {
        Some(mark) if mark.ends_with(discover::MARK) => mark.parent().map(Path::to_owned).unwrap_or_default(),
        Some(directory) => directory.clone(),
        None => request.cwd.clone(),
    };
    if let Some(mark) = &mark {
        env::read_dotenv(&mut environment, mark, problems);
    }

    let mut layers = vec![defaults(&root)];
    if let Some(directory) = request.user_config_dir.as_ref().map(|directory| directory.join("fractary")) {
        layers.extend(file_layer(LayerKind::User, discover::read(&directory, "config", problems), &directory));
    }
    layers.extend(file_layer(LayerKind::Workspace, file, &root));
    if let Some(mark) = &mark {
        layers.extend(file_layer(LayerKind::Local, discover::read(mark, "config.local", problems), &root));
    }
    let (mut warnings, mut unset) = (Vec::new(), Vec::new());
    for layer in layers.iter_mut().filter(|layer| layer.kind != LayerKind::Defaults) {
        unset.extend(env::expand(layer, &environment, problems));
    }
    layers.extend(env::layers(&environment, &request.cwd, problems));
    layers.extend(flag_layers(request, problems));
    for layer in layers.iter_mut().filter(|layer| layer.kind != LayerKind::Defaults) {
        compat::modernize(layer, &mut warnings, problems);
        layer.check(problems);
    }

    let env_name = request.env_name.clone().or_else(|| environment.get("FRACTARY_CODEX_ENV").map(str::to_owned));
    let mut configuration = Configuration {
        raw: extract(&layers),
        layers,
        root,
        env_name,
        unset_token_variables: unset,
        environment,
        warnings,
        state_home: request.state_home.clone(),
        detected_organization: request.detected_organization.clone(),
    };
    configuration.add_members(problems);
    configuration
}

impl Configuration {
    /// Things to tell that stop nothing.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.warnings.iter().cloned()
    }

    /// The variables, with those of the workspace's `.env`.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// `organization`, given or detected.
    pub fn organization(&self) -> Option<String> {
        self.raw.organization.clone().or_else(|| self.detected_organization.clone())
    }

    /// `state.dir` or the user's own.
    pub fn state_dir(&self) -> PathBuf {
        let given = self.raw.state.dir.as_ref().map(PathBuf::from);
        let home = || self.state_home.as_ref().map(|home| home.join("fractary-codex"));
        given.or_else(home).unwrap_or_else(|| std::env::temp_dir().join("fractary-codex-state"))
    }

    /// Who says something about `path`, lowest first, each with the line.
    pub fn said(&self, path: &[&str]) -> Vec<(&Layer, &Node, u32)> {
        let said = |layer| Layer::at(layer, path).map(|(node, line)| (layer, node, line));
        self.layers.iter().filter_map(said).filter(|(_, node, _)| node.value != Value::Null).collect()
    }

    /// A problem with the value of `path`, at the place that decides it.
    pub fn problem(&self, path: &[&str], message: impl Into<String>) -> Problem {
        let problem = Problem::new(&dotted(path), message);
        match self.said(path).last() {
            Some((layer, _, line)) => problem.at(layer.source.clone(), *line),
            None => problem,
        }
    }

    /// Reads the projects' own files: their `codex.sync` becomes `projects.NAME.sync` of the member layer.
    fn add_members(&mut self, problems: &mut Problems) {
        let workspace = &self.raw.workspace;
        let members = discover::members(&self.root, &workspace.members, &workspace.exclude);
        let mut directories: Vec<(PathBuf, Option<String>)> = members.into_iter().map(|dir| (dir, None)).collect();
        for (name, project) in &self.raw.projects {
            let root = project.root.as_ref().map_or_else(|| self.root.join(name), PathBuf::from);
            if root != self.root && !directories.iter().any(|(directory, _)| *directory == root) {
                directories.push((root, Some(name.clone())));
            }
        }
        let mut named: BTreeMap<String, PathBuf> = BTreeMap::new();
        let mut added = Vec::new();
        for (directory, explicit) in directories {
            // A named project without a root of its own may be a member, which was found by then.
            let rootless = |name: &String| self.raw.projects.get(name).is_some_and(|project| project.root.is_none());
            if explicit.as_ref().is_some_and(|name| named.contains_key(name) && rootless(name)) {
                continue;
            }
            let mark = directory.join(discover::MARK);
            let found = discover::read(&mark, "config", problems).filter(|found| found.section.value != Value::Null);
            let is_member = explicit.is_none();
            let mut layer = match found {
                Some(found) => Layer::from_file(LayerKind::Member, &found.path, &directory, found.section),
                None => Layer::from_file(LayerKind::Member, &directory, &directory, Node::map()),
            };
            self.unset_token_variables.extend(env::expand(&mut layer, &self.environment, problems));
            compat::modernize(&mut layer, &mut self.warnings, problems);
            layer.check(problems);
            self.compare(&layer, problems);
            let own = layer.at(&["project"]).and_then(|(node, _)| node.as_text()).map(str::to_owned);
            let from_directory = || directory.file_name().map(|name| name.to_string_lossy().into_owned());
            let Some(name) = explicit.or(own).or_else(from_directory) else { continue };
            if let Some(other) = named.insert(name.clone(), directory.clone()) {
                let message = format!("two members are called so: `{}` and `{}`", other.display(), directory.display());
                problems.push(
                    Problem::new(&format!("projects.{name}"), message).hint("give one a `codex.project` of its own"),
                );
            }
            let mut node = Node::map();
            if is_member {
                let root = Node::text(directory.to_string_lossy());
                node.put(&["projects".to_owned(), name.clone(), "root".to_owned()], 0, root);
            }
            if let Some((sync, line)) = layer.at(&["sync"]) {
                node.put(&["projects".to_owned(), name, "sync".to_owned()], line, sync.clone());
            }
            layer.node = node;
            added.push(layer);
        }
        let at = self.layers.partition_point(|layer| layer.kind <= LayerKind::Member);
        self.layers.splice(at..at, added);
        self.raw = extract(&self.layers);
    }

    /// A member that names another codex than the workspace is a mistake of one of the two.
    fn compare(&self, member: &Layer, problems: &mut Problems) {
        for path in [&["organization"][..], &["codex_repo"], &["remote", "url"]] {
            let Some((theirs, line)) = member.at(path) else { continue };
            let own = self
                .said(path)
                .into_iter()
                .rfind(|(layer, ..)| matches!(layer.kind, LayerKind::Workspace | LayerKind::Local));
            if let Some((layer, ours, our_line)) = own
                && ours.value != theirs.value
            {
                let (ours, theirs) = (ours.as_text().unwrap_or_default(), theirs.as_text().unwrap_or_default());
                let message = format!("`{theirs}` here, but the workspace says `{ours}` ({}:{our_line})", layer.source);
                problems.push(Problem::new(&dotted(path), message).at(member.source.clone(), line));
            }
        }
    }
}

impl Layer {
    /// What the layer says about `path`.
    fn at(&self, path: &[&str]) -> Option<(&Node, u32)> {
        self.node.at(path)
    }
}

fn defaults(root: &Path) -> Layer {
    let mut document = parse_yaml(DEFAULTS).unwrap_or_else(|_| Node::map());
    let node = document.remove(&["codex"]).unwrap_or_else(Node::map);
    let mut layer = Layer { kind: LayerKind::Defaults, source: Source::Defaults, base: root.to_owned(), node };
    // Checked by a test; what it does here is to resolve the paths.
    layer.check(&mut Problems::default());
    layer
}

fn file_layer(kind: LayerKind, found: Option<discover::Found>, base: &Path) -> Option<Layer> {
    let found = found.filter(|found| found.section.value != Value::Null)?;
    Some(Layer::from_file(kind, &found.path, base, found.section))
}

fn flag_layers(request: &LoadRequest, problems: &mut Problems) -> Vec<Layer> {
    let layer = |flag: &str, node: Node| Layer {
        kind: LayerKind::Flags,
        source: Source::Flag(flag.to_owned()),
        base: request.cwd.clone(),
        node,
    };
    let mut layers = Vec::new();
    for argument in &request.config_arguments {
        let parsed =
            argument.split_once('=').ok_or_else(|| "give it as KEY=VALUE".to_owned()).and_then(|(key, value)| {
                let path = parse_key(key.trim()).map_err(|error| error.message)?;
                Ok((path, parse_inline(value).map_err(|error| error.message)?))
            });
        let flag = format!("--config {}", argument.split('=').next().unwrap_or_default());
        match parsed {
            Ok((path, value)) => {
                let mut node = Node::map();
                node.put(&path, 0, value);
                layers.push(layer(&flag, node));
            }
            Err(message) => problems.push(Problem::new("", message).at(Source::Flag(flag), 0)),
        }
    }
    for FlagValue { flag, key, value, list } in &request.flags {
        let value = match value.as_slice() {
            [text] if !list => Node::text(text),
            texts => Node { value: Value::List(texts.iter().map(Node::text).collect()), line: 0 },
        };
        let mut node = Node::map();
        node.put(&key.split('.').map(str::to_owned).collect::<Vec<_>>(), 0, value);
        layers.push(layer(flag, node));
    }
    layers
}

/// The merged values. Each layer was checked, so what still fails is one layer's map where another has a text; then
/// the lower layers count, and the mistake is told by whoever needs the key.
fn extract(layers: &[Layer]) -> RawConfig {
    let names: Vec<_> = layers.iter().map(|layer| layer.source.to_string()).collect();
    let stacked =
        layers::stack(names.iter().map(String::as_str).zip(layers.iter().map(|layer| layers::dict(&layer.node))));
    stacked.extract().unwrap_or_default()
}

/// A path of keys as it is written on the command line.
fn dotted(path: &[impl AsRef<str>]) -> String {
    let quoted = |key: &str| if key.contains('.') { format!("\"{key}\"") } else { key.to_owned() };
    path.iter().map(|key| quoted(key.as_ref())).collect::<Vec<_>>().join(".")
}
