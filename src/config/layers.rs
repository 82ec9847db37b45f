//! The layers of configuration, their one order of precedence, and how they are merged.

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::Value;

use super::location::{LayerKind, Location, Origin};
use super::model::{RawConfig, RawSync};
use super::tree::{Node, NodeValue, Part};
use super::{values, yaml};

/// One layer: its rank and its values. The values can come from several sources, as those of the
/// members do.
#[derive(Clone)]
pub(crate) struct Layer {
    /// The rank.
    pub kind: LayerKind,
    pub(crate) tree: Node,
}

impl Layer {
    pub(crate) fn new(kind: LayerKind, tree: Node) -> Self {
        Self { kind, tree }
    }
}

impl fmt::Debug for Layer {
    /// Leaves the values out, because they can be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A value that a layer gives to a key.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'l> {
    pub(crate) layer: LayerKind,
    pub(crate) node: &'l Node,
    /// For `projects.NAME.sync` and the keys below it: whether the value is given there, for this project
    /// alone, and not below `sync`, for all projects. `false` for all other keys.
    pub(crate) is_of_project: bool,
}

/// The layers of a load, at most one of each kind, lowest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers(Vec<Layer>);

impl Layers {
    /// Adds a layer above those of lower kinds.
    pub(crate) fn add(&mut self, layer: Layer) {
        let above = self.0.partition_point(|known| known.kind < layer.kind);
        self.0.insert(above, layer);
    }

    /// The layers, lowest first.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Layer> {
        self.0.iter()
    }

    /// Returns the values that the layers give to the key at `path`, in the order of precedence:
    /// the first one is in effect. All others are overridden, except that maps are merged by key
    /// and `exclude` lists are combined.
    ///
    /// A key below `projects.NAME.sync` also takes the values of the same key below `sync`. A value
    /// for the project takes precedence over a value for all projects, whatever the layers, and a
    /// flag takes precedence over both.
    pub(crate) fn candidates<S: AsRef<str>>(&self, path: &[S]) -> Vec<Candidate<'_>> {
        let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        let of_all = match path.as_slice() {
            ["projects", _, rest @ ..] if rest.first() == Some(&"sync") => Some(rest),
            _ => None,
        };

        let mut candidates = Vec::new();
        for layer in self.0.iter().rev() {
            let candidate = |path: &[&str], is_of_project| {
                let node = layer.tree.get(path)?;
                Some(Candidate {
                    layer: layer.kind,
                    node,
                    is_of_project,
                })
            };
            candidates.extend(candidate(&path, of_all.is_some()));
            candidates.extend(of_all.and_then(|path| candidate(path, false)));
        }
        if of_all.is_some() {
            // Flags are first, then the values for the project. The order of layers decides among
            // candidates of the same group, because the sort is stable.
            candidates.sort_by_key(|candidate| match candidate {
                Candidate {
                    layer: LayerKind::Flags,
                    is_of_project: true,
                    ..
                } => 0,
                Candidate {
                    layer: LayerKind::Flags,
                    ..
                } => 1,
                Candidate {
                    is_of_project: true,
                    ..
                } => 2,
                Candidate { .. } => 3,
            });
        }
        candidates
    }

    /// The value of the key at `path` that is in effect, unless the key is a map or a list that
    /// layers combine.
    pub(crate) fn value<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node> {
        self.candidates(path)
            .first()
            .map(|candidate| candidate.node)
    }

    /// The elements of the list at `path` that is in effect.
    pub(crate) fn list<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node> {
        self.candidates(path)
            .into_iter()
            .map(|candidate| candidate.node)
            .find(|node| node.is_list())
    }

    /// The elements of the `exclude` list at `path`, combined from all layers, lowest precedence
    /// first.
    pub(crate) fn combined_list<S: AsRef<str>>(&self, path: &[S]) -> impl Iterator<Item = &Node> {
        self.candidates(path)
            .into_iter()
            .rev()
            .flat_map(|candidate| candidate.node.elements())
    }

    /// The location of the key at `path` itself, rather than of its value, in the highest layer
    /// that has it.
    pub(crate) fn key_origin<S: AsRef<str>>(&self, path: &[S]) -> Option<&Origin> {
        self.0
            .iter()
            .rev()
            .find_map(|layer| layer.tree.key_at(path))
    }

    /// An empty map with the origin of the lowest layer.
    pub(crate) fn root(&self) -> Node {
        let lowest = self.0.first().map(|layer| &layer.tree.at);
        lowest.map_or_else(|| unreachable!("there are always defaults"), Node::map)
    }

    /// The values of the lowest layer.
    pub(crate) fn defaults(&self) -> RawConfig {
        let lowest = self.0.first().map(|layer| &layer.tree);
        merged(lowest.into_iter(), &[])
            .extract()
            .unwrap_or_default()
    }

    /// Merges all layers, in the order of [`Self::candidates`].
    pub(crate) fn merged(&self) -> Figment {
        self.merged_at::<&str>(&[], &[])
    }

    /// Merges the maps that the layers give to the key at `path`, in the order of
    /// [`Self::candidates`]. The result has them at the key `below`.
    fn merged_at<S: AsRef<str>>(&self, path: &[S], below: &[&str]) -> Figment {
        let candidates = self.candidates(path).into_iter().rev();
        merged(candidates.map(|candidate| candidate.node), below)
    }

    /// The settings below `sync` that are in effect for the project `name`; `None` if no layer
    /// gives any for this project alone.
    pub(crate) fn project_sync(&self, name: &str) -> Option<RawSync> {
        let candidates = self.candidates(&["projects", name, "sync"]);
        if candidates.iter().all(|candidate| !candidate.is_of_project) {
            return None;
        }
        // This fails only if two layers cannot be merged, which was reported for the section as a
        // whole.
        let merged = self.merged_at(&["projects", name, "sync"], &["sync"]);
        merged.extract().ok()
    }
}

/// Merges maps at `path`, lowest precedence first: their values by key, and lists as a whole,
/// except that `exclude` lists are combined.
fn merged<'n>(maps: impl Iterator<Item = &'n Node>, path: &[&str]) -> Figment {
    maps.fold(Figment::new(), |figment, node| {
        let part = |part| MapPart { node, path, part };
        figment
            .merge(part(Part::WithoutExcludes))
            .admerge(part(Part::Excludes))
    })
}

/// The values of one map that figment merges in the same way.
struct MapPart<'n> {
    node: &'n Node,
    path: &'n [&'n str],
    part: Part,
}

impl Provider for MapPart<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("layer")
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.node.to_dict(self.path, self.part)))
    }
}

/// The layer of defaults for a workspace at `root`. It includes the organization if one was
/// detected.
pub(crate) fn defaults(root: &Path, organization: Option<&str>) -> Layer {
    let mut tree = DEFAULTS
        .get(&["codex"])
        .cloned()
        .unwrap_or_else(|| DEFAULTS.clone());
    values::make_absolute(&mut tree, root);

    if let Some(organization) = organization {
        let detected = Origin::whole(LayerKind::Defaults, Location::Detected, root);
        tree.set(&["organization"], Node::text(organization, &detected));
    }
    Layer::new(LayerKind::Defaults, tree)
}

/// A value that `defaults.yaml` gives if no other layer does. `key` is only for the panic message.
pub(crate) fn with_default<T>(value: Option<T>, key: &str) -> T {
    value.unwrap_or_else(|| unreachable!("defaults.yaml has no `{key}`"))
}

/// A rule from the section `derived` of `defaults.yaml`.
pub(crate) fn derived(rule: &str) -> &'static str {
    default_text(&["derived", rule])
}

/// A text that `defaults.yaml` gives.
pub(crate) fn default_text(path: &[&str]) -> &'static str {
    DEFAULTS
        .get(path)
        .and_then(Node::as_text)
        .unwrap_or_else(|| unreachable!("defaults.yaml has no `{}`", path.join(".")))
}

/// Every default that is not a map, with its path.
pub(crate) fn default_values() -> Vec<(Vec<String>, Value)> {
    fn collect(node: &Node, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
        match &node.value {
            NodeValue::Map(map) if !map.is_empty() => {
                for (name, entry) in map {
                    path.push(name.clone());
                    collect(&entry.node, path, found);
                    path.pop();
                }
            }
            _ => found.push((path.clone(), node.to_json())),
        }
    }

    let mut found = Vec::new();
    if let Some(codex) = DEFAULTS.get(&["codex"]) {
        collect(codex, &mut Vec::new(), &mut found);
    }
    found
}

static DEFAULTS: LazyLock<Node> = LazyLock::new(|| {
    let built_in = Origin::whole(LayerKind::Defaults, Location::Default, Path::new(""));
    match yaml::parse(include_str!("defaults.yaml"), &built_in) {
        Ok(Some(node)) => node,
        _ => unreachable!("defaults.yaml is valid"),
    }
});
