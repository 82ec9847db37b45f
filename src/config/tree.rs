//! A layer's values with the place of each: what all file formats, variables and flags are read into.
//!
//! Scalars are kept as the text that was written, so that a branch `1.10` or a token `007` reaches its key unchanged;
//! the key's own type reads the text. A key without a value is kept until [`super::check::drop_nulls`] says what it means.

use std::collections::{BTreeMap, btree_map};

use figment::value::{Dict, Tag, Value};

use super::location::Origin;

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: NodeValue,
    pub(crate) at: Origin,
}

#[derive(Clone)]
pub(crate) enum NodeValue {
    /// A key without a value, or what was taken out of a list, whose other elements keep their numbers.
    Nothing,
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

pub(crate) type Map = BTreeMap<String, Entry>;

/// A key's value, and where the key stands.
#[derive(Clone)]
pub(crate) struct Entry {
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

    /// The elements of a list that were not taken out.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Node> {
        self.as_list()
            .into_iter()
            .flatten()
            .filter(|element| element.is_something())
    }

    /// The node at `path`; a list's elements are reached by number.
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

    /// As [`Node::get`], to change it.
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

    /// Where the key at the end of `path` stands; a list's element stands where its value does.
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

    /// Takes the entry at `path` out.
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

    /// Puts `node` at `path`, making the maps on the way; a text or list on the way gives way.
    pub(crate) fn set<S: AsRef<str>>(&mut self, path: &[S], node: Node) {
        let at = node.at.clone();
        let around = |inner: Node, name: &S| {
            let entry = Entry {
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

    /// Takes over what `node` says of `path`, as a higher layer's word is taken.
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
            ) if adds_up(path) => list.extend(more),
            (_, node) => *self = node,
        }
    }

    /// As figment's value, without places.
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

    /// A section as figment's map, in the parts that [`super::layers`] merges in different ways.
    pub(crate) fn to_dict(&self, part: Part) -> Dict {
        self.dict(part, &mut Vec::new())
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
        let is_exclude = self.is_list() && adds_up(path);
        (is_exclude == (part == Part::Excludes)).then(|| self.to_value())
    }
}

/// Whether the lists of the key at `path` add up, over the layers and within one; elsewhere the last word counts.
pub(crate) fn adds_up<S: AsRef<str>>(path: &[S]) -> bool {
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

/// Which values of a map are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The lists that add up over the layers.
    Excludes,
    /// The others, of which the highest layer's wins.
    WithoutExcludes,
}

/// A path of keys as it is written and read: `projects."codex.acme.com".to`, `mappings[0]`.
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
