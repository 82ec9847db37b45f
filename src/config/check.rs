//! Checks the values of a layer against the types of [`super::model`], and reports all errors.

use figment::error::{Actual, Kind};
use serde::Deserialize;

use super::location::{Location, Origin};
use super::model::RawConfig;
use super::problem::{Problem, closest, did_you_mean, sort_key};
use super::schema::{self, Shape};
use super::token_shape::can_contain_token;
use super::tree::{Map, Node, NodeValue, key_path};
use super::{compat, variables};
use crate::masked_urls::mask_urls;

/// The greatest number of errors that are reported for one layer.
const MAX_PROBLEMS: usize = 100;

/// Interprets keys without a value. `NAME:` below `projects` becomes an empty project, and any
/// other known key is removed. Unknown keys are kept, so that they are reported.
pub(crate) fn drop_nulls(tree: &mut Node) {
    drop_nulls_below(tree, &mut Vec::new());
}

fn drop_nulls_below(node: &mut Node, path: &mut Vec<String>) {
    match &mut node.value {
        NodeValue::Map(map) => map.retain(|name, entry| {
            path.push(name.clone());
            let is_empty = matches!(entry.node.value, NodeValue::Nothing);
            let is_project = path.len() == 2 && path[0] == "projects";
            if is_empty && is_project {
                entry.node = Node::map(&entry.node.at);
            } else {
                drop_nulls_below(&mut entry.node, path);
            }
            let exists = schema::shape(path).is_some() || compat::renamed(path).is_some();
            let kept = !is_empty || is_project || !exists;
            path.pop();
            kept
        }),
        NodeValue::List(list) => {
            for (number, element) in list.iter_mut().enumerate() {
                path.push(number.to_string());
                drop_nulls_below(element, path);
                path.pop();
            }
        }
        NodeValue::Text(_) | NodeValue::Nothing => {}
    }
}

/// Checks `tree`. Invalid values are reported and removed, so that the rest is valid.
pub(crate) fn check(tree: &mut Node, problems: &mut Vec<Problem>) {
    let mut found = Vec::new();
    reject_invalid_paths(tree, &mut found);
    // Serde would accept a list where a struct is expected, so maps and lists are compared with the
    // schema first.
    let mut comparison = SchemaComparison {
        path: Vec::new(),
        problems: &mut found,
        invalid: Vec::new(),
    };
    comparison.compare(tree, schema::Key::root());
    for path in comparison.invalid {
        tree.remove(&path);
    }
    remove_invalid_scalars(tree, &mut found);

    found.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    if let Some(first) = found.get(MAX_PROBLEMS) {
        let omitted = found.len() - MAX_PROBLEMS;
        let message = format!(
            "only the first {MAX_PROBLEMS} errors are listed, and at least {omitted} from here on are not"
        );
        let more = Problem {
            hides_line: true,
            omitted,
            ..Problem::new(message).maybe_at(first.origin.as_ref())
        };
        found.truncate(MAX_PROBLEMS);
        found.push(more);
    }
    problems.extend(found);
}

/// Parses all scalars by the types of their keys. Reports and removes the invalid ones, or
/// everything if there are too many. The parser stops at the first error, so it is run again after
/// each removal.
fn remove_invalid_scalars(tree: &mut Node, problems: &mut Vec<Problem>) {
    for _ in 0..=MAX_PROBLEMS {
        let Err(error) = RawConfig::deserialize(&tree.to_value()) else {
            return;
        };
        let path = path_in_tree(tree, &error.path);
        problems.push(problem(tree, &path, &error));

        // Without the invalid key, an element of a list cannot be used.
        let element = (1..=path.len())
            .find(|length| tree.get(&path[..*length - 1]).is_some_and(Node::is_list));
        tree.remove(&path[..element.unwrap_or(path.len())]);
    }
    *tree = Node::map(&tree.at.clone());
}

/// The comparison of maps, lists and the keys in them with the schema.
struct SchemaComparison<'p> {
    /// The path of the node that is compared.
    path: Vec<String>,
    problems: &'p mut Vec<Problem>,
    /// The paths of the nodes that have to be removed.
    invalid: Vec<Vec<String>>,
}

impl SchemaComparison<'_> {
    /// Compares the node at the current path and everything below it.
    fn compare(&mut self, node: &Node, key: schema::Key) {
        let expected = match (key.shape(), &node.value) {
            (Shape::Map, NodeValue::Map(map)) => return self.compare_map(node, map, key),
            (Shape::List, NodeValue::List(list)) => return self.compare_list(list, key),
            (Shape::Map, _) => "a map".to_owned(),
            (Shape::List, _) => "a list".to_owned(),
            (Shape::Choice, NodeValue::Map(_) | NodeValue::List(_)) => one_of(&key.choices()),
            _ => return,
        };
        self.reject(mismatch(&self.path, &expected, node));
    }

    /// Compares the entries of a map, and reports the missing keys.
    fn compare_map(&mut self, node: &Node, map: &Map, key: schema::Key) {
        let mut unknown = Vec::new();
        for (name, entry) in map {
            self.path.push(name.clone());
            match key.below(name) {
                Some(below) => self.compare(&entry.node, below),
                None if key.is_closed() => {
                    self.reject(unknown_key(&self.path, &key.names(), &entry.key));
                    unknown.push(name.as_str());
                }
                None => {}
            }
            self.path.pop();
        }

        // A misspelled key is not reported as missing, too.
        let is_misspelled = |name: &str| closest(name, unknown.iter().copied()).is_some();
        let required = key.required().into_iter();
        for name in required.filter(|name| !map.contains_key(*name) && !is_misspelled(name)) {
            let key = key_path(&self.path);
            let problem = Problem::new(format!("`{key}` has no `{name}`"));
            self.reject(problem.key(key).at(&node.at));
        }
    }

    /// Compares the elements of a list. Without one of its keys, an element cannot be used.
    fn compare_list(&mut self, list: &[Node], key: schema::Key) {
        for (number, element) in list.iter().enumerate() {
            let number = number.to_string();
            let Some(below) = key.below(&number).filter(|_| element.is_something()) else {
                continue;
            };
            let before = self.invalid.len();
            self.path.push(number);
            self.compare(element, below);
            if self.invalid.len() > before {
                self.invalid.push(self.path.clone());
            }
            self.path.pop();
        }
    }

    /// Reports the node at the current path, and marks it for removal.
    fn reject(&mut self, problem: Problem) {
        self.problems.push(problem);
        self.invalid.push(self.path.clone());
    }
}

fn mismatch(path: &[String], expected: &str, node: &Node) -> Problem {
    let found = match node.value {
        NodeValue::Map(_) => "a map",
        NodeValue::List(_) => "a list",
        // The text is left out, because it can be a URL with a password.
        NodeValue::Text(_) | NodeValue::Nothing => "a string",
    };
    let key = key_path(path);
    let problem = Problem::new(format!("`{key}`: expected {expected}, found {found}"))
        .key(key)
        .at(&node.at);
    problem.maybe_hint((expected == "a list" && found == "a string").then(|| list_hint(&node.at)))
}

fn one_of(choices: &[&str]) -> String {
    let choices: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    format!("one of {}", choices.join(", "))
}

/// Converts a path in the value that was made from `tree` to a path in `tree`: in the value,
/// removed list elements have no index.
fn path_in_tree(tree: &Node, path: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for segment in path {
        let list = tree.get(&found).and_then(Node::as_list).unwrap_or_default();
        let mut there = list
            .iter()
            .enumerate()
            .filter(|(_, element)| element.is_something());
        let number = segment.parse().ok().and_then(|number| there.nth(number));
        found.push(number.map_or_else(|| segment.clone(), |(number, _)| number.to_string()));
    }
    found
}

/// Rejects empty paths, which would resolve to the current directory of the process, and paths with
/// a NUL character.
fn reject_invalid_paths(tree: &mut Node, problems: &mut Vec<Problem>) {
    let fixed = [["cache", "dir"], ["state", "dir"], ["remote", "url"]];
    let mut paths = fixed.map(|path| path.map(str::to_owned).to_vec()).to_vec();
    let names = tree
        .get(&["projects"])
        .and_then(Node::as_map)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone());
    paths.extend(names.map(|name| vec!["projects".to_owned(), name, "root".to_owned()]));
    for path in paths {
        let Some(node) = tree.get(&path) else {
            continue;
        };
        let key = key_path(&path);
        let problem = match node.as_text() {
            Some("") if key != "remote.url" => Problem::new(format!("`{key}`: the path is empty"))
                .hint("`.` is the directory that holds `.fractary/`"),
            Some(text) if text.contains('\0') => Problem::new(format!(
                "`{key}`: a path or URL cannot contain a NUL character"
            )),
            _ => continue,
        };
        problems.push(problem.key(key).at(&node.at));
        tree.remove(&path);
    }
}

fn problem(tree: &Node, path: &[String], error: &figment::Error) -> Problem {
    let key = key_path(path);
    let node = tree.get(path).unwrap_or(tree);
    match &error.kind {
        Kind::UnknownVariant(name, known) => Problem::new(format!(
            "`{key}`: expected {}, found {}",
            one_of(known),
            quoted(name)
        ))
        .maybe_hint(did_you_mean(name, known.iter().copied()))
        .at(&node.at),
        Kind::InvalidValue(Actual::Str(text), expected) => Problem::new(format!(
            "`{key}`: expected {expected}, found {}",
            quoted(text)
        ))
        .at(&node.at),
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            mismatch(path, expected, node)
        }
        other => Problem::new(format!("`{key}`: {}", quoted(&other.to_string()))).at(&node.at),
    }
    .key(key)
}

/// The error for an unknown key. If the name of a variable contains the key, the hint names a
/// variable.
fn unknown_key(path: &[String], known: &[&str], at: &Origin) -> Problem {
    let key = key_path(path);
    if let Location::Variable { name, .. } = &at.source.location
        && name
            .strip_prefix(&variables::variable(path))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("__"))
    {
        let problem = Problem::new(format!("there is no key `{key}`")).key(key);
        return problem.maybe_hint(variables::did_you_mean(name)).at(at);
    }
    let Some((name, parent)) = path.split_last() else {
        return Problem::new("unknown key").at(at);
    };
    if let Some(problem) = key_with_value(name, parent, known) {
        return problem.at(at);
    }
    let sibling = closest(name, known.iter().copied())
        .map(|sibling| [parent, &[sibling.to_owned()]].concat());
    // A key that exists in another map was probably written at the wrong depth.
    let elsewhere = || {
        schema::keys()
            .into_iter()
            .filter(|key| key.last() == Some(name))
            .collect()
    };
    let better: Vec<Vec<String>> = sibling.map_or_else(elsewhere, |sibling| vec![sibling]);
    let better: Vec<String> = better
        .iter()
        .map(|better| format!("`{}`", key_path(better)))
        .collect();
    let hint = (!better.is_empty()).then(|| format!("did you mean {}?", better.join(" or ")));
    Problem::new(format!("unknown key `{key}`"))
        .key(key)
        .maybe_hint(hint)
        .at(at)
}

/// The error for a key that contains its value because the space after the `:` is missing. The value can
/// be a secret and is left out.
fn key_with_value(name: &str, parent: &[String], known: &[&str]) -> Option<Problem> {
    let (start, _) = name.split_once([':', '=', ' ', '\t'])?;
    let start = start.trim_matches(['"', '\'']);
    let key = key_path(&[parent, &[start.to_owned()]].concat());
    Some(match known.contains(&start) {
        true => Problem::new(format!("`{key}` is not followed by `: ` and its value"))
            .hint(format!("write a space after the colon: `{start}: …`"))
            .key(key),
        false => Problem::new(format!("unknown key `{key}…`"))
            .maybe_hint(did_you_mean(start, known.iter().copied()))
            .key(key),
    })
}

fn list_hint(at: &Origin) -> String {
    match at.source.location {
        Location::Variable { .. } | Location::Flag(_) => {
            "write a TOML list: `[\"docs/**\"]`".to_owned()
        }
        _ => "write a list in brackets: `[ … ]`".to_owned(),
    }
}

/// Quotes a value for a message: shortened, without secrets, and escaped for a terminal.
fn quoted(text: &str) -> String {
    if can_contain_token(text) {
        return "`***`".to_owned();
    }
    let text = mask_urls(text);
    let shown: String = text.chars().take(60).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", crate::paths::escaped(shown.as_bytes()))
}
