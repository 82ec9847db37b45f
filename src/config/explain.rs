//! Where a value came from: for every key the value that counts, the layer that gave it, and the layers it overrode.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::layers::{Layer, to_json};
use super::location::{LayerKind, Origin};
use super::problem::{Problem, did_you_mean};
use super::schema::{self, Shape};
use super::tree::{Node, NodeValue, adds_up, key_path};
use super::values::is_secret;
use super::{Configuration, compat, toml};
use crate::url::RemoteUrl;

/// One key, explained. Secrets are masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The key, as in `sync.to_codex.include`.
    pub key: String,
    /// The same as segments.
    pub path: Vec<String>,
    /// The value that counts; `None` where no layer gives one.
    pub value: Option<Value>,
    /// Who gave the key a value, highest layer first.
    pub given: Vec<Given>,
}

/// A value that a layer gives to a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The layer.
    pub layer: LayerKind,
    /// The file with line and column, the variable or the flag.
    pub origin: Origin,
    /// The value, as that layer has it.
    pub value: Value,
    /// Whether it counts: the highest does; of `exclude` lists all do.
    pub counts: bool,
}

impl Explanation {
    /// Who gave the value that counts.
    pub fn winner(&self) -> Option<&Given> {
        self.given.iter().find(|given| given.counts)
    }

    /// The layers that gave a value and were overridden, highest first.
    pub fn overridden(&self) -> impl Iterator<Item = &Given> {
        self.given.iter().filter(|given| !given.counts)
    }
}

impl Configuration {
    /// Explains one key, or every key below it. `Err` if there is no such key.
    pub fn explain(&self, key: &str) -> Result<Vec<Explanation>, Problem> {
        let unknown = |path: Option<&[String]>| {
            let keys: Vec<String> = schema::keys().iter().map(|key| key_path(key)).collect();
            let hint = did_you_mean(key, keys.iter().map(String::as_str));
            let shown = path.map_or_else(
                || crate::paths::escaped(key.as_bytes()).to_string(),
                key_path,
            );
            Problem::new(format!("unknown key `{shown}`")).maybe_hint(hint)
        };
        let mut path = toml::key(&with_dots(key)).ok_or_else(|| unknown(None))?;
        if path[0] == "codex" {
            path.remove(0);
        }
        if let Some(new) = compat::renamed(&path) {
            let (old, new) = (key_path(&path), key_path(&new));
            return Err(
                Problem::new(format!("`{old}` is an older key")).hint(format!("it is now `{new}`"))
            );
        }
        if compat::is_left_alone(&path) {
            let message = format!(
                "`{}` is a key of the older tool, which is left alone",
                key_path(&path)
            );
            return Err(Problem::new(message));
        }
        schema::shape(&path).ok_or_else(|| unknown(Some(&path)))?;
        if let [section, name, ..] = path.as_slice()
            && section == "projects"
            && !self.project_names().contains(name.as_str())
        {
            let message = format!(
                "there is no project `{}`",
                crate::paths::escaped(name.as_bytes())
            );
            return Err(Problem::new(message).maybe_hint(did_you_mean(name, self.project_names())));
        }
        let below: Vec<Explanation> = self
            .effective()
            .into_iter()
            .filter(|e| e.path.starts_with(&path))
            .collect();
        Ok(if below.is_empty() {
            vec![self.explained(&path)]
        } else {
            below
        })
    }

    fn project_names(&self) -> BTreeSet<&str> {
        let named = self
            .raw
            .projects
            .keys()
            .chain(self.members.keys())
            .chain(&self.raw.project);
        named.map(String::as_str).collect()
    }

    /// Explains every key that has a value, in the order of the keys.
    pub fn effective(&self) -> Vec<Explanation> {
        let mut paths = Vec::new();
        for layer in &self.layers {
            leaves(&layer.tree, &mut Vec::new(), &mut paths);
        }
        paths.sort();
        paths.dedup();
        // An empty map that another layer fills is no key of its own; in this order the filling follows it directly.
        let filled = |number: usize| {
            paths
                .get(number + 1)
                .is_some_and(|next: &Vec<String>| next.starts_with(&paths[number]))
        };
        let keys = paths
            .iter()
            .enumerate()
            .filter(|(number, _)| !filled(*number));
        keys.map(|(_, path)| self.explained(path)).collect()
    }

    fn explained(&self, path: &[String]) -> Explanation {
        let in_list =
            (1..path.len()).find(|length| schema::shape(&path[..*length]) == Some(Shape::List));
        let (list, element) = path.split_at(in_list.unwrap_or(path.len()));
        // An element counts where its list does.
        let given = self.said(list).into_iter().filter_map(|said| {
            let node = said.node.get(element)?;
            let value = masked(path, node);
            Some(Given {
                layer: said.layer,
                origin: node.at.clone(),
                value,
                counts: said.counts,
            })
        });
        let given: Vec<Given> = given.collect();
        let value = if adds_up(path) && !given.is_empty() {
            let lists = given
                .iter()
                .rev()
                .filter_map(|given| given.value.as_array())
                .flatten();
            Some(Value::Array(lists.cloned().collect()))
        } else {
            given
                .iter()
                .find(|given| given.counts)
                .map(|given| given.value.clone())
        };
        Explanation {
            key: key_path(path),
            path: path.to_vec(),
            value,
            given,
        }
    }

    /// What the layers say of a key that is no element of a list, highest first.
    ///
    /// What is said for every project counts where nothing is said for this one, and a flag counts in any case, unless
    /// there is one for this project as well. Lists that add up count all.
    fn said(&self, path: &[String]) -> Vec<Said<'_>> {
        let adds_up = adds_up(path);
        // Figment keeps with every value the layer that won.
        let winner = self
            .merged_at(path)
            .and_then(|value| self.figment.get_metadata(value.tag()));
        let winner = winner.map(|metadata| metadata.name.as_ref());
        let mut said: Vec<Said<'_>> = Vec::new();
        for Layer { kind, tree } in self.layers.iter().rev() {
            let Some(node) = tree.get(path) else { continue };
            let is_winner = winner == Some(kind.to_string().as_str());
            let counts = is_winner || (adds_up && node.elements().next().is_some());
            said.push(Said {
                layer: *kind,
                node,
                counts,
            });
        }
        let Some(general) = general(path) else {
            return said;
        };
        let mut for_all = self.said(general);
        if adds_up {
            said.append(&mut for_all);
            said.sort_by_key(|said| std::cmp::Reverse(said.layer));
        } else if said.is_empty() {
            said = for_all;
        } else if said[0].layer != LayerKind::Flags
            && let Some(flag) = for_all
                .into_iter()
                .find(|said| said.layer == LayerKind::Flags)
        {
            said.iter_mut().for_each(|said| said.counts = false);
            said.insert(0, flag);
        }
        said
    }

    fn merged_at(&self, path: &[String]) -> Option<&figment::value::Value> {
        path.iter()
            .try_fold(&self.merged, |value, segment| value.as_dict()?.get(segment))
    }
}

/// What a layer says of a key, and whether it counts.
struct Said<'a> {
    layer: LayerKind,
    node: &'a Node,
    counts: bool,
}

/// The key under `sync` that says for every project what the one at `path` says for its own.
fn general(path: &[String]) -> Option<&[String]> {
    let is_own = path.len() > 3 && path[0] == "projects" && path[2] == "sync";
    (is_own && !matches!(schema::shape(path), Some(Shape::Map))).then(|| &path[2..])
}

/// The key with `[0]`, as it is written in messages, turned into `.0`.
fn with_dots(key: &str) -> String {
    let mut dotted = String::with_capacity(key.len());
    let mut quote = None;
    for c in key.chars() {
        match (c, quote) {
            ('[', None) => dotted.push('.'),
            (']', None) => {}
            _ => dotted.push(c),
        }
        if matches!(c, '"' | '\'') && quote.is_none_or(|open| open == c) {
            quote = if quote.is_some() { None } else { Some(c) };
        }
    }
    dotted
}

/// The paths of everything below `node` that is not a map.
fn leaves(node: &Node, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match &node.value {
        NodeValue::Map(map) if !map.is_empty() => {
            for (name, entry) in map {
                path.push(name.clone());
                leaves(&entry.node, path, found);
                path.pop();
            }
        }
        NodeValue::Map(_) if path.is_empty() => {}
        _ => found.push(path.clone()),
    }
}

/// The value with its type, without its secrets.
fn masked(path: &[String], node: &Node) -> Value {
    match &node.value {
        NodeValue::Text(text) => {
            let text = without_secrets(path, text);
            match schema::shape(path) {
                Some(Shape::Boolean | Shape::Number) => text.parse().unwrap_or(Value::String(text)),
                _ => Value::String(text),
            }
        }
        _ => to_json(node),
    }
}

/// A value as it may be shown: tokens and passwords as `***`.
pub(crate) fn without_secrets<S: AsRef<str>>(path: &[S], text: &str) -> String {
    if is_secret(path) {
        return "***".to_owned();
    }
    let is_url = path.iter().map(AsRef::as_ref).eq(["remote", "url"]);
    if !is_url || !text.contains('@') {
        return text.to_owned();
    }
    RemoteUrl::parse(text, Path::new("/")).map_or_else(|_| "***".to_owned(), |url| url.to_string())
}
