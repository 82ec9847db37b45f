//! The layers, and how they become one configuration.

use std::path::Path;
use std::sync::LazyLock;

use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::Value;

use super::location::{LayerKind, Location, Origin};
use super::tree::{Node, NodeValue, Part};

/// One layer: its rank and its values. A layer may have many sources, as that of the members has.
#[derive(Clone)]
pub struct Layer {
    /// The rank.
    pub kind: LayerKind,
    pub(crate) tree: Node,
}

impl Layer {
    pub(crate) fn new(kind: LayerKind, tree: Node) -> Self {
        Self { kind, tree }
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The values stay out: they may be secret.
        f.debug_struct("Layer")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Merges `layers`, lowest first: maps by key, lists whole, except that `exclude` lists add up.
pub(crate) fn merge<'l>(layers: impl IntoIterator<Item = &'l Layer>) -> Figment {
    layers.into_iter().fold(Figment::new(), |figment, layer| {
        let whole = Slice {
            layer,
            part: Part::WithoutExcludes,
        };
        let excludes = Slice {
            layer,
            part: Part::Excludes,
        };
        figment.merge(whole).admerge(excludes)
    })
}

/// A part of a layer, as figment takes it. The metadata's name is the layer's.
struct Slice<'l> {
    layer: &'l Layer,
    part: Part,
}

impl Provider for Slice<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.layer.kind.to_string())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.layer.tree.to_dict(self.part)))
    }
}

/// The layer of defaults for a workspace at `root`; an organization that was detected is one, too.
pub(crate) fn defaults(root: &Path, organization: Option<&str>) -> Layer {
    let mut tree = DEFAULTS
        .get(&["codex"])
        .cloned()
        .unwrap_or_else(|| DEFAULTS.clone());
    super::values::make_absolute(&mut tree, root);
    if let Some(organization) = organization {
        let detected = Origin::whole(LayerKind::Defaults, Location::Detected, root);
        tree.set(&["organization"], Node::text(organization, &detected));
    }
    Layer::new(LayerKind::Defaults, tree)
}

/// A rule of section `derived` of the defaults.
pub(crate) fn derived(rule: &str) -> &'static str {
    DEFAULTS
        .get(&["derived", rule])
        .and_then(Node::as_text)
        .unwrap_or_else(|| unreachable!("defaults.yaml has no `derived.{rule}`"))
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
            _ => found.push((path.clone(), to_json(node))),
        }
    }
    let mut found = Vec::new();
    if let Some(codex) = DEFAULTS.get(&["codex"]) {
        collect(codex, &mut Vec::new(), &mut found);
    }
    found
}

/// The values without their places; every scalar is a text.
pub(crate) fn to_json(node: &Node) -> Value {
    match &node.value {
        NodeValue::Nothing => Value::Null,
        NodeValue::Text(text) => Value::String(text.clone()),
        NodeValue::List(_) => Value::Array(node.elements().map(to_json).collect()),
        NodeValue::Map(map) => map
            .iter()
            .map(|(name, entry)| (name.clone(), to_json(&entry.node)))
            .collect(),
    }
}

static DEFAULTS: LazyLock<Node> = LazyLock::new(|| {
    let built_in = Origin::whole(LayerKind::Defaults, Location::Default, Path::new(""));
    match super::yaml::parse(include_str!("defaults.yaml"), &built_in) {
        Ok(Some(node)) => node,
        _ => unreachable!("defaults.yaml is well-formed"),
    }
});
