//! Prepares the values of a layer: expands variables, drops empty tokens, and makes relative paths
//! absolute.

use std::path::{Path, PathBuf};

use super::diagnostics::{Diagnostics, UnsetToken};
use super::problem::Problem;
use super::tree::{Map, Node, NodeValue, key_path};
use crate::environment::Environment;
use crate::paths::{absolute, escaped};
use crate::url::RemoteUrl;

/// Whether the value of the key at `path` is a secret.
pub(crate) fn is_secret<S: AsRef<str>>(path: &[S]) -> bool {
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    matches!(
        path.as_slice(),
        ["remote" | "forge", "token"] | ["remotes", _, "token"]
    )
}

/// The value of the key at `path` as it may be shown: tokens and passwords are replaced by `***`.
pub(crate) fn without_secrets<S: AsRef<str>>(path: &[S], text: &str) -> String {
    if is_secret(path) {
        return "***".to_owned();
    }
    let is_url = [["remote", "url"], ["forge", "api"]]
        .iter()
        .any(|url| path.iter().map(AsRef::as_ref).eq(*url));
    if !is_url || !text.contains(['@', '?', '#']) {
        return text.to_owned();
    }
    match RemoteUrl::parse(text, Path::new("/")) {
        Ok(url) if url.local_path().is_some() => text.to_owned(),
        Ok(url) => url.to_string(),
        Err(_) => "***".to_owned(),
    }
}

/// Removes empty tokens, because CI systems pass missing secrets as empty variables.
pub(crate) fn drop_empty_tokens(tree: &mut Node) {
    retain_texts(tree, &mut Vec::new(), &mut |path, node| {
        !is_secret(path) || node.as_text().is_none_or(|text| !text.trim().is_empty())
    });
}

/// Replaces `${VAR}` and `${VAR:-default}` in every text of a file's section, once. If a variable
/// is not set, a token counts as not given, and any other value is an error.
pub(crate) fn expand(tree: &mut Node, environment: &Environment, diagnostics: &mut Diagnostics) {
    retain_texts(tree, &mut Vec::new(), &mut |path, node| {
        let NodeValue::Text(text) = &mut node.value else {
            return true;
        };
        match expanded(text, environment) {
            Ok(expanded) => {
                *text = expanded;
                return true;
            }
            Err(Unexpanded::Unset(variable)) if is_secret(path) => {
                diagnostics.unset_tokens.push(UnsetToken {
                    path: path.to_vec(),
                    variable,
                });
            }
            Err(unexpanded) => {
                let key = key_path(path);
                let problem = unexpanded.problem(&key);
                diagnostics.problems.push(problem.key(key).at(&node.at));
            }
        }
        false
    });
}

/// Calls `keep` for every text below `node`, and removes the texts for which it returns `false`.
fn retain_texts(
    node: &mut Node,
    path: &mut Vec<String>,
    keep: &mut impl FnMut(&[String], &mut Node) -> bool,
) -> bool {
    match &mut node.value {
        NodeValue::Nothing => {}
        NodeValue::Text(_) => return keep(path, node),
        NodeValue::Map(map) => map.retain(|name, entry| {
            path.push(name.clone());
            let kept = retain_texts(&mut entry.node, path, keep);
            path.pop();
            kept
        }),
        NodeValue::List(list) => {
            for (number, element) in list.iter_mut().enumerate() {
                path.push(number.to_string());
                let keys = element.as_map().map(Map::len);
                // Without one of its keys, an element cannot be used.
                if !retain_texts(element, path, keep) || element.as_map().map(Map::len) != keys {
                    element.value = NodeValue::Nothing;
                }
                path.pop();
            }
        }
    }
    true
}

/// Why the variables of a text cannot be expanded.
#[derive(Debug, PartialEq, Eq)]
enum Unexpanded {
    /// The variable is not set and has no default.
    Unset(String),
    /// The reference has another form than the supported ones.
    Unsupported(String),
    /// The default contains another reference.
    Nested(String),
    /// The reference has no closing `}`.
    Unclosed(String),
    /// The value of the variable is not UTF-8 text.
    NotText(String),
}

impl Unexpanded {
    fn problem(&self, key: &str) -> Problem {
        const FORMS: &str = "use `${VAR}` or `${VAR:-default}`";
        match self {
            Self::Unset(variable) => {
                let variable = escaped(variable.as_bytes());
                Problem::new(format!("`{key}`: the variable `{variable}` is not set")).hint(
                    format!("set `{variable}`, or add a default: `${{{variable}:-…}}`"),
                )
            }
            Self::Unsupported(reference) => Problem::new(format!(
                "`{key}`: `{reference}` is not a supported reference to a variable"
            ))
            .hint(FORMS),
            Self::Nested(reference) => Problem::new(format!(
                "`{key}`: the default of `{reference}}}` contains another variable"
            ))
            .hint("a default is not expanded: use plain text"),
            Self::Unclosed(reference) => {
                Problem::new(format!("`{key}`: `{reference}` has no closing `}}`")).hint(FORMS)
            }
            Self::NotText(variable) => Problem::new(format!(
                "`{key}`: the variable `{variable}` is not UTF-8 text"
            )),
        }
    }
}

/// Expands the variables of `text`.
fn expanded(text: &str, environment: &Environment) -> Result<String, Unexpanded> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    // Only the form with braces is a reference: other tools can give a meaning to `$1` or `$$`.
    while let Some((before, from)) = rest.split_once("${") {
        let Some((reference, after)) = from.split_once('}') else {
            return Err(Unexpanded::Unclosed(shortened(from)));
        };
        if reference.contains("${") {
            return Err(Unexpanded::Nested(shortened(reference)));
        }
        let (name, default) = reference
            .split_once(":-")
            .map_or((reference, None), |(name, text)| (name, Some(text)));
        if name.is_empty() || !name.chars().all(is_name_character) {
            let shown = format!("{}}}", shortened(reference));
            return Err(Unexpanded::Unsupported(shown));
        }
        if environment.is_unreadable(name) {
            return Err(Unexpanded::NotText(name.to_owned()));
        }

        let value = environment.get(name).or(default);
        result.push_str(before);
        result.push_str(value.ok_or_else(|| Unexpanded::Unset(name.to_owned()))?);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The start of a reference up to the end of its name. The text after the name is left out, because
/// it can be a secret.
fn shortened(reference: &str) -> String {
    let name: String = reference
        .chars()
        .take_while(|c| is_name_character(*c))
        .collect();
    let more = if name.len() < reference.len() {
        "…"
    } else {
        ""
    };
    format!("${{{name}{more}")
}

/// Makes the relative paths of a layer absolute. They start from the directory of their source, or
/// from `base` for the defaults, which have none.
pub(crate) fn make_absolute(tree: &mut Node, base: &Path) {
    let against = |node: &Node| {
        if node.at.source.base.as_os_str().is_empty() {
            base.to_owned()
        } else {
            node.at.source.base.clone()
        }
    };
    for path in [["cache", "dir"], ["state", "dir"]] {
        if let Some(node) = tree.get_mut(&path) {
            let base = against(node);
            rewrite(node, |text| Some(absolute(&base, Path::new(text))));
        }
    }
    if let Some(node) = tree.get_mut(&["remote", "url"]) {
        let base = against(node);
        rewrite(node, |text| {
            // A `file://` URL is absolute already. Its path must not be decoded twice.
            let is_path = !text.starts_with("file://");
            let url = RemoteUrl::parse(text, &base).ok().filter(|_| is_path)?;
            url.local_path().map(Path::to_owned)
        });
    }
    let Some(projects) = tree.get_mut(&["projects"]).and_then(Node::as_map_mut) else {
        return;
    };
    for entry in projects.values_mut() {
        if let Some(node) = entry.node.get_mut(&["root"]) {
            let base = against(node);
            rewrite(node, |text| Some(absolute(&base, Path::new(text))));
        }
    }
}

fn rewrite(node: &mut Node, change: impl FnOnce(&str) -> Option<PathBuf>) {
    if let NodeValue::Text(text) = &mut node.value
        && !text.is_empty()
        && let Some(changed) = change(text).and_then(|path| path.to_str().map(str::to_owned))
    {
        *text = changed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_references_with_braces_are_expanded_once() {
        let environment: Environment = [("A", "1"), ("B", "${A}"), ("E", "")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into_iter()
            .collect::<Environment>()
            .with_unreadable("N");
        let unset = |name: &str| Err(Unexpanded::Unset(name.to_owned()));
        let unsupported = |reference: &str| Err(Unexpanded::Unsupported(reference.to_owned()));
        for (text, expected) in [
            ("x${A}y${A}", Ok("x1y1")),
            ("${B}", Ok("${A}")),
            ("${C:-d}", Ok("d")),
            ("${C:-}", Ok("")),
            ("${C:-a:-b$}", Ok("a:-b$")),
            ("$A $$ A}", Ok("$A $$ A}")),
            ("x ${A", Err(Unexpanded::Unclosed("${A".to_owned()))),
            (
                "x ${A:-s3cret",
                Err(Unexpanded::Unclosed("${A…".to_owned())),
            ),
            ("${A:-${B}}", Err(Unexpanded::Nested("${A…".to_owned()))),
            ("${C:-${B", Err(Unexpanded::Unclosed("${C…".to_owned()))),
            ("${N:-x}", Err(Unexpanded::NotText("N".to_owned()))),
            ("${C}", unset("C")),
            ("${E}", unset("E")),
            ("${E:-f}", Ok("f")),
            ("${A:?s3cret}", unsupported("${A…}")),
            ("${A-s3cret}", unsupported("${A…}")),
            ("${}", unsupported("${}")),
        ] {
            assert_eq!(
                expanded(text, &environment),
                expected.map(str::to_owned),
                "{text}"
            );
        }
    }
}
