//! Checks a layer's values against the shapes of [`super::raw`], and tells everything that is wrong with them.

use figment::error::{Actual, Kind};
use serde::Deserialize;

use super::problem::{Origin, Place, Problem, closest, did_you_mean};
use super::raw::RawConfig;
use super::schema;
use super::tree::{Node, NodeValue, key_path};

/// So many problems of one layer are told; the rest would be noise.
const MOST: usize = 100;

/// Decides what a key without a value means: a project `NAME:` is one with nothing to say, any other key is as good as
/// not there. One that does not exist stays, to be told.
pub(crate) fn settle(tree: &mut Node) {
    settle_below(tree, &mut Vec::new());
}

fn settle_below(node: &mut Node, path: &mut Vec<String>) {
    match &mut node.value {
        NodeValue::Map(map) => map.retain(|name, entry| {
            path.push(name.clone());
            let is_empty = matches!(entry.node.value, NodeValue::Nothing);
            let is_project = path.len() == 2 && path[0] == "projects";
            if is_empty && is_project {
                entry.node = Node::map(&entry.node.at);
            } else {
                settle_below(&mut entry.node, path);
            }
            let kept = !is_empty || is_project || schema::shape(path).is_none();
            path.pop();
            kept
        }),
        NodeValue::List(list) => {
            for (number, element) in list.iter_mut().enumerate() {
                path.push(number.to_string());
                settle_below(element, path);
                path.pop();
            }
        }
        NodeValue::Text(_) | NodeValue::Nothing => {}
    }
}

/// Reads `tree`; what is wrong is told and taken out, until the rest is right.
pub(crate) fn check(tree: &mut Node, problems: &mut Vec<Problem>) {
    refuse_empty_paths(tree, problems);
    for _ in 0..MOST {
        let Err(error) = RawConfig::deserialize(&tree.to_value()) else { return };
        problems.push(problem(tree, &error));
        if tree.remove(&error.path).is_none() {
            break;
        }
    }
    *tree = Node::map(&tree.at.clone());
}

/// An empty path would be that of the process, wherever it happens to run.
fn refuse_empty_paths(tree: &mut Node, problems: &mut Vec<Problem>) {
    let mut paths = [["cache", "dir"], ["state", "dir"]].map(|path| path.map(str::to_owned).to_vec()).to_vec();
    let names = tree.get(&["projects"]).and_then(Node::as_map).into_iter().flatten().map(|(name, _)| name.clone());
    paths.extend(names.map(|name| vec!["projects".to_owned(), name, "root".to_owned()]));
    for path in paths {
        let Some(at) = tree.get(&path).filter(|node| node.as_text() == Some("")).map(|node| node.at.clone()) else {
            continue;
        };
        tree.remove(&path);
        let key = key_path(&path);
        let problem = Problem::new(format!("`{key}`: the path is empty")).key(key).at(&at);
        problems.push(problem.hint("`.` is the directory that holds `.fractary/`"));
    }
}

fn problem(tree: &Node, error: &figment::Error) -> Problem {
    let key = key_path(&error.path);
    let value_at = tree.get(&error.path).map_or(&tree.at, |node| &node.at);
    let key_at = tree.key_at(&error.path).unwrap_or(value_at);
    match &error.kind {
        Kind::UnknownField(name, known) => unknown_key(&error.path, name, known, key_at),
        Kind::MissingField(name) => Problem::new(format!("`{key}` lacks `{name}`")).at(value_at),
        Kind::UnknownVariant(name, known) => {
            let choices = known.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ");
            Problem::new(format!("`{key}`: expected one of {choices}, found {}", quoted(name)))
                .maybe_hint(did_you_mean(name, known.iter().copied()))
                .at(value_at)
        }
        Kind::InvalidValue(Actual::Str(text), expected) => {
            Problem::new(format!("`{key}`: expected {expected}, found {}", quoted(text))).at(value_at)
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            let expected = plain(expected);
            let found = match found {
                Actual::Map => "a map",
                Actual::Seq => "a list",
                // The text itself is left out: a URL with a password may stand where a map is expected.
                _ => "a text",
            };
            let problem = Problem::new(format!("`{key}`: expected {expected}, found {found}")).at(value_at);
            problem.maybe_hint((expected == "a list" && found == "a text").then(|| list_hint(value_at)))
        }
        other => Problem::new(format!("`{key}`: {}", quoted(&other.to_string()))).at(value_at),
    }
    .key(key)
}

/// An unknown key, or an unknown variable if it comes from one.
fn unknown_key(path: &[String], name: &str, known: &[&str], at: &Origin) -> Problem {
    let siblings = closest(name, known.iter().copied()).map(|sibling| {
        let mut better = path.to_vec();
        better.pop();
        better.push(sibling.to_owned());
        better
    });
    // A key that exists elsewhere stands at the wrong depth.
    let elsewhere = || schema::keys().into_iter().filter(|key| key.last().is_some_and(|last| last == name)).collect();
    let better: Vec<Vec<String>> = siblings.map_or_else(elsewhere, |sibling| vec![sibling]);
    let key = key_path(path);
    if let Place::Variable { name, .. } = &at.source.place {
        return Problem::new(format!("there is no key `{key}`")).maybe_hint(super::env::closest(name)).at(at);
    }
    let better: Vec<String> = better.iter().map(|better| format!("`{}`", key_path(better))).collect();
    let hint = (!better.is_empty()).then(|| format!("did you mean {}?", better.join(" or ")));
    Problem::new(format!("unknown key `{key}`")).maybe_hint(hint).at(at)
}

fn list_hint(at: &Origin) -> String {
    match at.source.place {
        Place::Variable { .. } | Place::Flag(_) => "lists are TOML: `[\"docs/**\"]`".to_owned(),
        _ => "put it into brackets: `[ … ]`".to_owned(),
    }
}

/// The field's terms for what serde expects.
fn plain(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a string" => "a text",
        other if other.starts_with("struct ") || other.starts_with("a map") => "a map",
        other if other.starts_with("enum ") => "one of the key's words",
        other => other,
    }
}

/// A value as it is told: short, and harmless to a terminal.
fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", crate::paths::escaped(shown.as_bytes()))
}
