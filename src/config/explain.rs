//! Explains keys: the value that is in effect, the layer that gives it, and the layers that it
//! overrides.

use std::collections::BTreeSet;

use serde_json::Value;

use super::configuration::Configuration;
use super::layers::Candidate;
use super::location::{LayerKind, Origin};
use super::problem::{Problem, did_you_mean};
use super::schema::{self, Meaning, Shape};
use super::tree::{Node, NodeValue, is_combined, key_path};
use super::values::without_secrets;
use super::{compat, toml};
use crate::masked_urls::mask_urls;
use crate::paths::escaped;

/// An explained key. Secrets are masked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The key, as in `sync.to_codex.include`.
    pub key: String,
    /// The key's segments.
    pub path: Vec<String>,
    /// The value that is in effect; `None` if the key is not set.
    pub value: Option<Value>,
    /// The values that the layers give, highest precedence first.
    pub given: Vec<Given>,
    /// The meaning of the key; `None` for an element of a list.
    pub meaning: Option<Meaning>,
}

/// A value that a layer gives to a key.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Given {
    /// The layer.
    pub layer: LayerKind,
    /// The file with line and column, the variable or the flag.
    pub origin: Origin,
    /// The value in this layer.
    pub value: Value,
    /// Whether the value is in effect, rather than overridden. The `exclude` lists of all layers
    /// are.
    pub counts: bool,
}

impl Explanation {
    /// The value that is in effect, with its origin.
    pub fn winner(&self) -> Option<&Given> {
        self.given.iter().find(|given| given.counts)
    }

    /// The overridden values, highest precedence first.
    pub fn overridden(&self) -> impl Iterator<Item = &Given> {
        self.given.iter().filter(|given| !given.counts)
    }
}

impl Configuration {
    /// Explains the key `key`, or every key below it that has a value, or whose value can be derived
    /// from other keys. Returns an error if there is no such key.
    pub fn explain(&self, key: &str) -> Result<Vec<Explanation>, Problem> {
        let mut path = toml::key(&with_dots(key))
            .ok_or_else(|| unknown_key(key, escaped(key.as_bytes()).to_string()))?;
        if path[0] == "codex" {
            path.remove(0);
        }
        if let Some(new) = compat::renamed(&path) {
            let (old, new) = (key_path(&path), key_path(&new));
            let problem = Problem::new(format!("`{old}` is an older key"));
            return Err(problem.hint(format!("it is now `{new}`")));
        }
        if compat::is_left_alone(&path) {
            let key = key_path(&path);
            return Err(Problem::new(format!(
                "`{key}` is a key of the older tool and is ignored"
            )));
        }
        if schema::shape(&path).is_none() {
            return Err(unknown_key(key, key_path(&path)));
        }
        if let [section, name, ..] = path.as_slice()
            && section == "projects"
            && !self.project_names().contains(name.as_str())
        {
            let message = format!("there is no project `{}`", escaped(name.as_bytes()));
            return Err(Problem::new(message).maybe_hint(did_you_mean(name, self.project_names())));
        }

        let mut below = self.paths_in_effect();
        if let [section, name, ..] = path.as_slice()
            && section == "projects"
        {
            let project = [section.clone(), name.clone()];
            // Settings for all projects apply to each, except that a run has one branch.
            let general = below.iter().filter(|path| path[0] == "sync");
            let general =
                general.filter(|path| path.get(1).is_none_or(|key| key != "environments"));
            let inherited: Vec<_> = general
                .map(|path| [&project[..], path.as_slice()].concat())
                .collect();
            below.extend(inherited);
            below.extend(["root", "to"].map(|key| [&project[..], &[key.to_owned()]].concat()));
        }
        let derived = [["remote", "url"], ["remote", "branch"], ["state", "dir"]];
        below.extend(derived.map(|path| path.map(str::to_owned).to_vec()));
        below.retain(|below| below.starts_with(&path));
        let mut below = without_outer(below);
        if below.is_empty() {
            below.push(path);
        }
        Ok(below.iter().map(|path| self.explained(path)).collect())
    }

    /// The names of all projects, valid or not.
    fn project_names(&self) -> BTreeSet<&str> {
        self.raw
            .projects
            .keys()
            .chain(self.members.keys())
            .chain(&self.raw.project)
            .map(String::as_str)
            .collect()
    }

    /// Explains every key that has a value, in the order of the keys.
    pub fn effective(&self) -> Vec<Explanation> {
        let paths = self.paths_in_effect();
        paths.iter().map(|path| self.explained(path)).collect()
    }

    /// The paths of all keys that have a value, in order.
    fn paths_in_effect(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        for layer in self.layers.iter() {
            collect_leaves(&layer.tree, &mut Vec::new(), &mut paths);
        }
        without_outer(paths)
    }

    /// Explains the key at `path`: its value, and every layer that gives one.
    fn explained(&self, path: &[String]) -> Explanation {
        // An element of a list has the precedence of its list.
        let is_list = |length: &usize| schema::shape(&path[..*length]) == Some(Shape::List);
        let list = (1..path.len()).find(is_list).unwrap_or(path.len());
        let (list, element) = path.split_at(list);

        let candidates = self.explained_candidates(list);
        let combined = is_combined(list);
        let given = given_values(path, element, &candidates, combined);
        let value = if combined && element.is_empty() && !given.is_empty() {
            Some(combined_value(&given))
        } else {
            let in_effect = given.iter().find(|given| given.counts);
            in_effect.map(|given| given.value.clone())
        };
        Explanation {
            key: mask_urls(&key_path(path)).into_owned(),
            path: path.to_vec(),
            value,
            given,
            meaning: schema::meaning(path),
        }
    }

    /// The candidates for the key at `path`. The keys of a map for all projects are explained one
    /// by one, so such a map is not a candidate for the map of a project.
    fn explained_candidates(&self, path: &[String]) -> Vec<Candidate<'_>> {
        let is_map = schema::shape(path) == Some(Shape::Map);
        let is_project_sync = path.len() > 2 && path[0] == "projects" && path[2] == "sync";
        let mut candidates = self.layers.candidates(path);
        candidates.retain(|candidate| candidate.is_of_project || !(is_map && is_project_sync));
        candidates
    }
}

/// Sorts paths, and removes duplicates and maps with entries: a map that is empty in one layer and has
/// entries in another is not a key of its own.
fn without_outer(mut paths: Vec<Vec<String>>) -> Vec<Vec<String>> {
    paths.sort();
    paths.dedup();
    // In this order, the entries of a map directly follow it.
    let has_entries = |number: usize| {
        let next = paths.get(number + 1);
        next.is_some_and(|next| next.starts_with(&paths[number]))
    };
    let numbers = (0..paths.len()).filter(|number| !has_entries(*number));
    numbers.map(|number| paths[number].clone()).collect()
}

/// The values that the candidates give to the key at `path`, which is the element `element` of the
/// candidates. If their lists are combined, each with elements counts; otherwise only the first
/// candidate counts.
fn given_values(
    path: &[String],
    element: &[String],
    candidates: &[Candidate<'_>],
    combined: bool,
) -> Vec<Given> {
    let is_filled = |node: &Node| node.elements().next().is_some();
    let combines = combined && candidates.iter().any(|one| is_filled(one.node));
    candidates
        .iter()
        .enumerate()
        .filter_map(|(number, candidate)| {
            let node = candidate.node.get(element)?;
            Some(Given {
                layer: candidate.layer,
                origin: node.at.clone(),
                value: masked(path, node),
                counts: if combines {
                    is_filled(candidate.node)
                } else {
                    number == 0
                },
            })
        })
        .collect()
}

/// The elements of all lists, those of the lowest layer first.
fn combined_value(given: &[Given]) -> Value {
    let lists = given
        .iter()
        .rev()
        .filter_map(|given| given.value.as_array());
    Value::Array(lists.flatten().cloned().collect())
}

/// The error for a key that does not exist. `key` is the text that the user gave, and `shown` is its
/// form for the message.
fn unknown_key(key: &str, shown: String) -> Problem {
    let keys: Vec<String> = schema::keys().iter().map(|key| key_path(key)).collect();
    let hint = did_you_mean(key, keys.iter().map(String::as_str));
    Problem::new(format!("unknown key `{shown}`")).maybe_hint(hint)
}

/// Replaces `[0]`, as messages show it, by `.0`.
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

/// Collects the paths of all values below `node` that are not maps, or that are empty maps.
fn collect_leaves(node: &Node, path: &mut Vec<String>, leaves: &mut Vec<Vec<String>>) {
    match &node.value {
        NodeValue::Map(map) if !map.is_empty() => {
            for (name, entry) in map {
                path.push(name.clone());
                collect_leaves(&entry.node, path, leaves);
                path.pop();
            }
        }
        NodeValue::Map(_) if path.is_empty() => {}
        _ => leaves.push(path.clone()),
    }
}

/// The value of the key at `path` with its type, without secrets.
fn masked(path: &[String], node: &Node) -> Value {
    match &node.value {
        NodeValue::Text(text) => {
            let text = without_secrets(path, text);
            let text = mask_urls(&text).into_owned();
            match schema::shape(path) {
                Some(Shape::Boolean | Shape::Number) => text.parse().unwrap_or(Value::String(text)),
                _ => Value::String(text),
            }
        }
        _ => without_accounts(node.to_json()),
    }
}

/// Masks the accounts of URLs in the texts of a value.
fn without_accounts(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(mask_urls(&text).into_owned()),
        Value::Array(list) => list.into_iter().map(without_accounts).collect(),
        Value::Object(map) => {
            let entries = map.into_iter();
            entries
                .map(|(key, value)| (key, without_accounts(value)))
                .collect()
        }
        other => other,
    }
}
