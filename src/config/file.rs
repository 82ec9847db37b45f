//! Finds configuration files and reads their formats.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::location::{LayerKind, Location, Origin};
use super::problem::Problem;
use super::tree::{KeyNode, Map, Node, NodeValue};
use super::{compat, toml, yaml};
use crate::paths::FRACTARY_DIR;
use crate::platform::is_special;

/// The accepted file name extensions.
pub(crate) const ENDINGS: [&str; 4] = ["yaml", "yml", "toml", "json"];

/// The existing files `directory/STEM.*`.
pub(crate) fn candidates(directory: &Path, stem: &str) -> Vec<PathBuf> {
    ENDINGS
        .map(|ending| directory.join(format!("{stem}.{ending}")))
        .into_iter()
        .filter(|path| path.symlink_metadata().is_ok())
        .collect()
}

/// Returns the file `directory/STEM.*`, if there is one. Two of them are an error even if one is
/// empty, because neither has precedence.
pub(crate) fn find(directory: &Path, stem: &str, problems: &mut Vec<Problem>) -> Option<PathBuf> {
    let found = candidates(directory, stem);
    if let Some(special) = found.iter().find(|path| is_special(path)) {
        let message = format!("{} is not a regular file", Location::File(special.clone()));
        let hint = "replace it with a regular file, or pass a pipe with `--config-file`";
        problems.push(Problem::new(message).hint(hint));
        return None;
    }

    let mut found = found.into_iter();
    let first = found.next()?;
    for second in found {
        let (one, other) = (Location::File(first.clone()), Location::File(second));
        let problem = Problem::new(format!("two files for one layer: {one} and {other}"));
        problems.push(problem.hint("keep one of them"));
    }
    Some(first)
}

/// The configuration of the codex in a file.
pub(crate) struct CodexSection {
    pub(crate) tree: Node,
    /// Whether the keys are at the top of the file, as an older version of the older tool wrote them.
    pub(crate) is_flat: bool,
}

/// Reads the section `codex` of the file at `path`; `None` if the file has no such section.
pub(crate) fn section(
    path: &Path,
    layer: LayerKind,
    base: &Path,
) -> Result<Option<CodexSection>, Problem> {
    let whole = Origin::whole(layer, Location::File(path.to_owned()), base);
    section_of(read(path, &whole)?)
}

/// The section `codex` of the file in `directory`, if there is one file that can be read. Its values
/// are those of the file, without the variables in them.
pub(crate) fn section_of_directory(directory: &Path) -> Option<Node> {
    let mut problems = Vec::new();
    let file = find(&directory.join(FRACTARY_DIR), "config", &mut problems)?;
    let section = section(&file, LayerKind::Member, directory).ok()??;
    problems.is_empty().then_some(section.tree)
}

/// Reads the section `codex` of `bytes`, another version of the file at `path`.
pub(super) fn section_of_text(
    path: &Path,
    bytes: &[u8],
    layer: LayerKind,
    base: &Path,
) -> Result<Option<CodexSection>, Problem> {
    let whole = Origin::whole(layer, Location::File(path.to_owned()), base);
    section_of(parse(path, bytes, &whole)?)
}

/// The section `codex` of a document, or its top level if that has the keys of the older tool.
fn section_of(document: Option<Node>) -> Result<Option<CodexSection>, Problem> {
    let Some(mut document) = document else {
        return Ok(None);
    };
    if document.as_map().is_none() {
        return Err(Problem::new("expected a map with the section `codex`").at(&document.at));
    }
    match document.remove(&["codex"]) {
        None if compat::is_flat(&document) => {
            compat::keep_flat_keys(&mut document)?;
            Ok(Some(CodexSection {
                tree: document,
                is_flat: true,
            }))
        }
        None
        | Some(Node {
            value: NodeValue::Nothing,
            ..
        }) => Ok(None),
        Some(tree) if tree.as_map().is_some() => Ok(Some(CodexSection {
            tree,
            is_flat: false,
        })),
        Some(section) => Err(Problem::new("`codex`: expected a map")
            .key("codex")
            .at(&section.at)),
    }
}

/// Reads the file at `path` in the format of its extension; `None` if it is empty. `whole` is its
/// origin.
pub(super) fn read(path: &Path, whole: &Origin) -> Result<Option<Node>, Problem> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error).at(whole))?;
    parse(path, &bytes, whole)
}

/// Parses `bytes` in the format of the extension of `path`, as [`read`].
fn parse(path: &Path, bytes: &[u8], whole: &Origin) -> Result<Option<Node>, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = bytes[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            let at = Origin {
                line: u32::try_from(line).unwrap_or(0),
                ..whole.clone()
            };
            return Err(Problem::new("the file is not UTF-8 text").at(&at));
        }
    };
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    let parsed = match ending {
        "toml" => toml::document(text, whole).map(Some),
        "json" => json(text, whole),
        _ => yaml::parse(text, whole),
    };
    parsed.map_err(|malformed| {
        let format = match ending {
            "toml" => "TOML",
            "json" => "JSON",
            _ => "YAML",
        };
        let at = Origin {
            line: malformed.line,
            column: malformed.column,
            ..whole.clone()
        };
        let problem = Problem::new(format!("not valid {format}: {}", malformed.reason)).at(&at);
        problem.maybe_hint(malformed.hint.map(str::to_owned))
    })
}

/// The error for a file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(match error.kind() {
        io::ErrorKind::NotFound if path.is_symlink() => {
            "the file cannot be read: it is a dangling symlink".to_owned()
        }
        io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "the file cannot be read: permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "the file cannot be read: it is a directory".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    })
}

/// Reads JSON. The text is checked by a JSON parser, and then read as YAML for the line numbers.
/// Without line numbers, it also accepts the few JSON texts that are not YAML, because of escaped
/// surrogates or tabs.
fn json(text: &str, whole: &Origin) -> Result<Option<Node>, yaml::Malformed> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(0);
        let reason = error.to_string();
        let reason = reason
            .split(" at line ")
            .next()
            .unwrap_or(&reason)
            .to_owned();
        yaml::Malformed {
            reason,
            line: narrow(error.line()),
            column: narrow(error.column()),
            duplicate: false,
            hint: None,
        }
    })?;
    match yaml::parse(text, whole) {
        Err(malformed) if !malformed.duplicate => {
            Ok(Some(from_json(&value, whole)).filter(|_| !value.is_null()))
        }
        parsed => parsed,
    }
}

fn from_json(value: &serde_json::Value, at: &Origin) -> Node {
    use serde_json::Value;
    let value = match value {
        Value::Null => NodeValue::Nothing,
        Value::Bool(value) => NodeValue::Text(value.to_string()),
        Value::Number(value) => NodeValue::Text(value.to_string()),
        Value::String(value) => NodeValue::Text(value.clone()),
        Value::Array(list) => {
            let element = |value: &Value| {
                if value.is_null() {
                    Node::text("", at)
                } else {
                    from_json(value, at)
                }
            };
            NodeValue::List(list.iter().map(element).collect())
        }
        Value::Object(object) => {
            let entry = |(name, value): (&String, &Value)| {
                (
                    name.clone(),
                    KeyNode {
                        key: at.clone(),
                        node: from_json(value, at),
                    },
                )
            };
            NodeValue::Map(object.iter().map(entry).collect::<Map>())
        }
    };
    Node {
        value,
        at: at.clone(),
    }
}
