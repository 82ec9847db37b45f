//! The values of a layer, each with its origin. All file formats, variables and flags are read into
//! this form.
//!
//! Scalars are kept as the text that was written, so that a branch `1.10` or a token `007` reaches
//! its key unchanged. The type of the key parses the text. A key without a value is kept until
//! [`super::check::drop_nulls`] interprets it.

use std::collections::{BTreeMap, btree_map};

use figment::value::{Dict, Tag, Value};

use super::location::Origin;

/// A value and its origin.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: NodeValue,
    pub(crate) at: Origin,
}

#[derive(Clone)]
pub(crate) enum NodeValue {
    /// No value, or a removed list element: a placeholder that keeps the indexes of the other
    /// elements.
    Nothing,
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

pub(crate) type Map = BTreeMap<String, KeyNode>;

/// The value of a key, and the origin of the key itself.
#[derive(Clone)]
pub(crate) struct KeyNode {
    pub(crate) key: Origin,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn text(text: impl Into<String>, at: &Origin) -> Self {
        Self {
            value: NodeValue::Text(text.into()),
            at: at.clone(),
        }
    }

    pub(crate) fn map(at: &Origin) -> Self {
        Self {
            value: NodeValue::Map(Map::new()),
            at: at.clone(),
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            NodeValue::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            NodeValue::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            NodeValue::List(list) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, NodeValue::List(_))
    }

    pub(crate) fn is_something(&self) -> bool {
        !matches!(self.value, NodeValue::Nothing)
    }

    /// The elements of a list, without the removed ones.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Node> {
        self.as_list()
            .into_iter()
            .flatten()
            .filter(|element| element.is_something())
    }

    /// The node at `path`. The elements of a list are addressed by their indexes.
    pub(crate) fn get<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        match &self.value {
            NodeValue::Map(map) => map.get(first.as_ref())?.node.get(rest),
            NodeValue::List(list) => list.get(first.as_ref().parse::<usize>().ok()?)?.get(rest),
            NodeValue::Text(_) | NodeValue::Nothing => None,
        }
    }

    /// The node at `path`, as [`Node::get`].
    pub(crate) fn get_mut<S: AsRef<str>>(&mut self, path: &[S]) -> Option<&mut Node> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        match &mut self.value {
            NodeValue::Map(map) => map.get_mut(first.as_ref())?.node.get_mut(rest),
            NodeValue::List(list) => list
                .get_mut(first.as_ref().parse::<usize>().ok()?)?
                .get_mut(rest),
            NodeValue::Text(_) | NodeValue::Nothing => None,
        }
    }

    /// The origin of the key at the end of `path`. For an element of a list, it is the origin of
    /// its value.
    pub(crate) fn key_at<S: AsRef<str>>(&self, path: &[S]) -> Option<&Origin> {
        let (last, parents) = path.split_last()?;
        match &self.get(parents)?.value {
            NodeValue::Map(map) => map.get(last.as_ref()).map(|entry| &entry.key),
            NodeValue::List(list) => list
                .get(last.as_ref().parse::<usize>().ok()?)
                .map(|node| &node.at),
            NodeValue::Text(_) | NodeValue::Nothing => None,
        }
    }

    /// Removes and returns the node at `path`.
    pub(crate) fn remove<S: AsRef<str>>(&mut self, path: &[S]) -> Option<Node> {
        let (last, parents) = path.split_last()?;
        match &mut self.get_mut(parents)?.value {
            NodeValue::Map(map) => map.remove(last.as_ref()).map(|entry| entry.node),
            NodeValue::List(list) => {
                let element = list.get_mut(last.as_ref().parse::<usize>().ok()?)?;
                let nothing = Node {
                    value: NodeValue::Nothing,
                    at: element.at.clone(),
                };
                Some(std::mem::replace(element, nothing))
            }
            NodeValue::Text(_) | NodeValue::Nothing => None,
        }
    }

    /// Sets the node at `path`, and creates the maps above it. A text or list above it is replaced.
    pub(crate) fn set<S: AsRef<str>>(&mut self, path: &[S], node: Node) {
        let at = node.at.clone();
        let around = |inner: Node, name: &S| {
            let entry = KeyNode {
                key: at.clone(),
                node: inner,
            };
            Node {
                value: NodeValue::Map(Map::from([(name.as_ref().to_owned(), entry)])),
                at: at.clone(),
            }
        };
        self.merge(path.iter().rev().fold(node, around), &mut Vec::new());
    }

    /// Merges the node at `path` into this one, as the node of a higher layer.
    fn merge(&mut self, node: Node, path: &mut Vec<String>) {
        match (&mut self.value, node) {
            (
                NodeValue::Map(map),
                Node {
                    value: NodeValue::Map(more),
                    ..
                },
            ) => {
                for (name, entry) in more {
                    path.push(name.clone());
                    match map.entry(name) {
                        btree_map::Entry::Occupied(mut known) => {
                            known.get_mut().node.merge(entry.node, path)
                        }
                        btree_map::Entry::Vacant(place) => drop(place.insert(entry)),
                    }
                    path.pop();
                }
            }
            (
                NodeValue::List(list),
                Node {
                    value: NodeValue::List(more),
                    ..
                },
            ) if is_combined(path) => list.extend(more),
            (_, node) => *self = node,
        }
    }

    /// Converts to figment's type, without origins.
    pub(crate) fn to_value(&self) -> Value {
        match &self.value {
            NodeValue::Nothing => Value::String(Tag::Default, String::new()),
            NodeValue::Text(text) => Value::String(Tag::Default, text.clone()),
            NodeValue::List(_) => {
                Value::Array(Tag::Default, self.elements().map(Node::to_value).collect())
            }
            NodeValue::Map(map) => {
                let entries = map
                    .iter()
                    .map(|(name, entry)| (name.clone(), entry.node.to_value()));
                Value::Dict(Tag::Default, entries.collect())
            }
        }
    }

    /// Converts to JSON, without origins. Every scalar is a string.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.value {
            NodeValue::Nothing => Value::Null,
            NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::List(_) => Value::Array(self.elements().map(Node::to_json).collect()),
            NodeValue::Map(map) => map
                .iter()
                .map(|(name, entry)| (name.clone(), entry.node.to_json()))
                .collect(),
        }
    }

    /// Converts a part of this map, which is at `path`, to figment's type. [`super::layers`] merges
    /// each part differently.
    pub(crate) fn to_dict(&self, path: &[&str], part: Part) -> Dict {
        self.dict(part, &mut path.to_vec())
    }

    fn dict<'n>(&'n self, part: Part, path: &mut Vec<&'n str>) -> Dict {
        let mut dict = Dict::new();
        for (name, entry) in self.as_map().into_iter().flatten() {
            path.push(name);
            dict.extend(
                entry
                    .node
                    .part(part, path)
                    .map(|value| (name.clone(), value)),
            );
            path.pop();
        }
        dict
    }

    fn part<'n>(&'n self, part: Part, path: &mut Vec<&'n str>) -> Option<Value> {
        if self.as_map().is_some() {
            let dict = self.dict(part, path);
            return (part == Part::WithoutExcludes || !dict.is_empty())
                .then_some(Value::Dict(Tag::Default, dict));
        }
        let is_exclude = self.is_list() && is_combined(path);
        (is_exclude == (part == Part::Excludes)).then(|| self.to_value())
    }
}

/// Whether the lists of the key at `path` are joined: those of several layers, those of several files
/// of one layer, and that of the key's older name. For all other keys, only the list with the highest
/// precedence is used.
pub(crate) fn is_combined<S: AsRef<str>>(path: &[S]) -> bool {
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let general = match path.as_slice() {
        ["projects", _, general @ ..] => general,
        general => general,
    };
    // `sync.exclude` is the older name of `sync.to_codex.exclude`.
    matches!(
        general,
        ["workspace" | "sync", "exclude"] | ["sync", "to_codex" | "from_codex", "exclude"]
    )
}

/// A part of the values of a map.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The lists that are combined across layers.
    Excludes,
    /// All other values. Those of the highest layer are in effect.
    WithoutExcludes,
}

/// Formats a path of keys as users write it: `projects."codex.acme.com".to`, `mappings[0]`.
pub(crate) fn key_path<S: AsRef<str>>(path: &[S]) -> String {
    let mut written = String::new();
    for (depth, segment) in path.iter().map(AsRef::as_ref).enumerate() {
        let bare = !segment.is_empty()
            && segment
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let is_index = segment.chars().all(|c| c.is_ascii_digit()) && !segment.is_empty();
        let in_list = depth > 0
            && matches!(
                path[depth - 1].as_ref(),
                "mappings" | "include" | "exclude" | "members"
            );
        if is_index && in_list {
            written.push_str(&format!("[{segment}]"));
            continue;
        }
        if depth > 0 {
            written.push('.');
        }
        if bare {
            written.push_str(segment);
        } else {
            written.push_str(&format!(
                "\"{}\"",
                crate::paths::escaped(segment.as_bytes())
            ));
        }
    }
    written
}
