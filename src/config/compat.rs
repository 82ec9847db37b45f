//! Keys of the older tool that still read, keys that are reserved, and keys of the older tool that are left alone.

use super::layers::Layer;
use super::node::{Node, Value};
use super::problem::{Problem, Problems};

/// Older key, newer key, whether its list adds to what is there.
const RENAMED: [(&str, &str, bool); 4] = [
    ("sync.include", "sync.to_codex.include", false),
    ("sync.exclude", "sync.to_codex.exclude", true),
    ("sync.default_to_codex", "sync.to_codex.include", false),
    ("sync.default_from_codex", "sync.from_codex.include", false),
];

const RESERVED: [&str; 5] = ["commit.sign", "push.branch", "push.mode", "sync.checks", "sync.on_drift"];

/// Reads older keys as their successors, with a warning for each; refuses the reserved ones.
pub(super) fn modernize(layer: &mut Layer, warnings: &mut Vec<String>, problems: &mut Problems) {
    let path = |key: &str| key.split('.').map(str::to_owned).collect::<Vec<_>>();
    for key in RESERVED {
        if let Some(line) = layer.node.at(&path(key)).map(|(_, line)| line) {
            let message = "this key is reserved for a later version";
            problems.push(Problem::new(key, message).hint("leave it out for now").at(layer.source.clone(), line));
            layer.node.remove(&path(key));
        }
    }
    for (old, new, adds) in RENAMED {
        let Some(line) = layer.node.at(&path(old)).map(|(_, line)| line) else { continue };
        let Some(value) = layer.node.remove(&path(old)) else { continue };
        warnings.push(format!("{}:{line}: `{old}` is now called `{new}`", layer.source));
        let there = layer.node.at(&path(new)).map(|(node, _)| node.clone());
        match (there, value) {
            (Some(Node { value: Value::List(mut list), line }), Node { value: Value::List(more), .. }) if adds => {
                list.extend(more);
                layer.node.put(&path(new), line, Node { value: Value::List(list), line });
            }
            // The newer key says more exactly what is meant.
            (Some(_), _) => {}
            (None, value) => layer.node.put(&path(new), line, value),
        }
    }
    if let Some((Node { value: Value::Map(cache), .. }, _)) = layer.node.at(&["cache"]) {
        for key in cache.keys().filter(|key| !["enabled", "dir"].contains(&key.as_str())) {
            warnings
                .push(format!("{}:{}: `cache.{key}` is not known here and left alone", layer.source, cache[key].line));
        }
    }
}
