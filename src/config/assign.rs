//! Sets a key from the text of a variable or of `--config`.

use super::compat;
use super::location::Origin;
use super::problem::Problem;
use super::schema::{self, Shape};
use super::toml;
use super::tree::{Node, key_path};

/// Sets the key at `path` to `text`, which is parsed as TOML if the key is a map or a list, and
/// taken literally otherwise.
pub(super) fn assign(
    tree: &mut Node,
    path: &[String],
    text: &str,
    at: &Origin,
    problems: &mut Vec<Problem>,
) {
    if compat::is_left_alone(path) {
        return;
    }
    let shape = schema::shape(&compat::renamed(path).unwrap_or_else(|| path.to_vec()));
    let (open, kind) = match shape {
        Some(Shape::Map) => ('{', "map"),
        Some(Shape::List) => ('[', "list"),
        _ => return tree.set(path, Node::text(text, at)),
    };

    // A text that is neither a map nor a list, or the wrong one of the two, is reported later by
    // `check`, which knows the expected type.
    let written = text.trim();
    if !written.starts_with(['{', '[']) {
        return tree.set(path, Node::text(text, at));
    }
    match toml::value(written, at) {
        Ok(node) => tree.set(path, node),
        Err(_) if !written.starts_with(open) => tree.set(path, Node::text(text, at)),
        Err(malformed) => {
            let key = key_path(path);
            let is_json = serde_json::from_str::<serde_json::Value>(written).is_ok();
            let problem = if is_json {
                Problem::new(format!("`{key}`: expected a TOML {kind}, found JSON")).hint(
                    "TOML has `=` between a key and its value: `{ name = { root = \"dir\" } }`",
                )
            } else {
                let reason = malformed.reason;
                let problem = Problem::new(format!("`{key}`: expected a TOML {kind}: {reason}"));
                match malformed.hint {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                }
            };
            problems.push(problem.key(key).at(at));
        }
    }
}
