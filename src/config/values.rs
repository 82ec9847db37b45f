//! What is done to a layer's values when it is loaded: variables put in, relative paths made absolute.

use std::path::{Path, PathBuf};

use super::problem::Problem;
use super::tree::{Map, Node, NodeValue, key_path};
use crate::environment::Environment;
use crate::paths::absolute;
use crate::url::RemoteUrl;

/// A variable that a token's value names and that is not set: told if authentication fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsetToken {
    /// The key, as in `remotes."acme/codex".token`.
    pub path: Vec<String>,
    /// The variable.
    pub variable: String,
}

/// Whether the value at `path` is a secret.
pub(crate) fn is_secret<S: AsRef<str>>(path: &[S]) -> bool {
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    matches!(
        path.as_slice(),
        ["remote", "token"] | ["remotes", _, "token"]
    )
}

/// Takes out tokens that are empty: CI systems pass what is not set on as empty.
pub(crate) fn drop_empty_tokens(tree: &mut Node) {
    retain_texts(tree, &mut Vec::new(), &mut |path, node| {
        !is_secret(path) || node.as_text().is_none_or(|text| !text.trim().is_empty())
    });
}

/// Replaces `${VAR}` and `${VAR:-default}` in every text of a file's section, once. A token whose variable is not set
/// counts as not given; elsewhere that is a problem.
pub(crate) fn expand(
    tree: &mut Node,
    environment: &Environment,
    problems: &mut Vec<Problem>,
    unset: &mut Vec<UnsetToken>,
) {
    retain_texts(tree, &mut Vec::new(), &mut |path, node| {
        let NodeValue::Text(text) = &mut node.value else {
            return true;
        };
        match expanded(text, environment) {
            Ok(expanded) => {
                *text = expanded;
                true
            }
            Err(Unexpanded::Unset(variable)) if is_secret(path) => {
                unset.push(UnsetToken {
                    path: path.to_vec(),
                    variable,
                });
                false
            }
            Err(unexpanded) => {
                let key = key_path(path);
                let problem = match unexpanded {
                    Unexpanded::Unset(variable) => {
                        let shown = crate::paths::escaped(variable.as_bytes());
                        Problem::new(format!(
                            "`{key}` needs the variable `{shown}`, which is not set"
                        ))
                        .hint(format!(
                            "set `{shown}`, or give a default: `${{{shown}:-…}}`"
                        ))
                    }
                    Unexpanded::Unreadable(reference) => {
                        Problem::new(format!("`{key}`: `{reference}` names no variable"))
                            .hint(FORMS)
                    }
                    Unexpanded::Nested(reference) => Problem::new(format!(
                        "`{key}`: `{reference}}}` has another variable in its default"
                    ))
                    .hint("a default is taken as it is written: give a plain text"),
                    Unexpanded::Unclosed(reference) => {
                        Problem::new(format!("`{key}`: `{reference}` lacks its `}}`")).hint(FORMS)
                    }
                    Unexpanded::NotText(variable) => Problem::new(format!(
                        "`{key}` needs the variable `{variable}`, which is not UTF-8 text"
                    )),
                };
                problems.push(problem.key(key).at(&node.at));
                false
            }
        }
    });
}

const FORMS: &str = "only `${VAR}` and `${VAR:-default}` are read";

/// Calls `keep` for every text below `node`; what it does not want to keep is taken out.
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
                // An element of which a part is not known is no element.
                if !retain_texts(element, path, keep) || element.as_map().map(Map::len) != keys {
                    element.value = NodeValue::Nothing;
                }
                path.pop();
            }
        }
    }
    true
}

/// Why a text's variables cannot be put in.
#[derive(Debug, PartialEq, Eq)]
enum Unexpanded {
    /// This variable is not set and has no default.
    Unset(String),
    /// This is no reference: a shell's other forms are not supported.
    Unreadable(String),
    /// This reference has another one in its default.
    Nested(String),
    /// This reference has no `}`.
    Unclosed(String),
    /// This variable is set to something that is not UTF-8 text.
    NotText(String),
}

/// `text` with its variables put in.
fn expanded(text: &str, environment: &Environment) -> Result<String, Unexpanded> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    // Only the form with braces is ours to replace; `$1` or `$$` may mean something elsewhere.
    while let Some((before, from)) = rest.split_once("${") {
        let Some((reference, after)) = from.split_once('}') else {
            return Err(Unexpanded::Unclosed(shortened(from)));
        };
        if reference.contains("${") {
            return Err(Unexpanded::Nested(shortened(reference)));
        }
        result.push_str(before);
        let (name, default) = reference
            .split_once(":-")
            .map_or((reference, None), |(name, text)| (name, Some(text)));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Unexpanded::Unreadable(format!(
                "{}}}",
                shortened(reference)
            )));
        }
        if environment.is_unreadable(name) {
            return Err(Unexpanded::NotText(name.to_owned()));
        }
        let value = environment.get(name).or(default);
        result.push_str(value.ok_or_else(|| Unexpanded::Unset(name.to_owned()))?);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

/// A reference up to the end of its name: the text after it may be a secret.
fn shortened(reference: &str) -> String {
    let name: String = reference
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let more = if name.len() < reference.len() {
        "…"
    } else {
        ""
    };
    format!("${{{name}{more}")
}

/// Makes the relative paths of a layer absolute, each against the directory of the source that says it; `base` is for
/// the defaults, which stand nowhere.
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
            // A `file://` URL is absolute, and decoded only once.
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
    fn only_the_form_with_braces_is_replaced_and_only_once() {
        let environment: Environment = [("A", "1"), ("B", "${A}"), ("E", "")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into_iter()
            .collect::<Environment>()
            .with_unreadable("N");
        let unset = |name: &str| Err(Unexpanded::Unset(name.to_owned()));
        let unreadable = |reference: &str| Err(Unexpanded::Unreadable(reference.to_owned()));
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
            ("${A:?s3cret}", unreadable("${A…}")),
            ("${A-s3cret}", unreadable("${A…}")),
            ("${}", unreadable("${}")),
        ] {
            assert_eq!(
                expanded(text, &environment),
                expected.map(str::to_owned),
                "{text}"
            );
        }
    }
}
