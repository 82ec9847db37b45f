//! The layer of flags: `--config KEY=VALUE`, and options that set a key.

use std::path::Path;

use super::assign::assign;
use super::location::{LayerKind, Location, Origin};
use super::problem::Problem;
use super::request::{FlagText, LoadRequest};
use super::toml;
use super::tree::{Node, NodeValue};

/// Builds the layer. An option that sets a key takes precedence over `--config` with the same key.
pub(crate) fn layer(request: &LoadRequest, problems: &mut Vec<Problem>) -> Node {
    let origin = |flag: &str| origin(flag, &request.cwd);
    let mut tree = Node::map(&origin("--config"));

    for argument in &request.config_arguments {
        let parsed = argument
            .split_once('=')
            .and_then(|(key, value)| Some((key.trim(), toml::key(key.trim())?, value)));
        let Some((key, mut path, value)) = parsed else {
            problems.push(malformed(argument, &request.cwd));
            continue;
        };
        if path.len() > 1 && path[0] == "codex" {
            path.remove(0);
        }
        let at = origin(&format!("--config {key}"));
        assign(&mut tree, &path, value, &at, problems);
    }

    for flag in &request.flags {
        let at = origin(&flag.flag);
        let node = match &flag.value {
            FlagText::One(text) => Node::text(text, &at),
            FlagText::Many(list) => Node {
                value: NodeValue::List(list.iter().map(|text| Node::text(text, &at)).collect()),
                at,
            },
        };
        tree.set(&flag.key.split('.').collect::<Vec<_>>(), node);
    }
    tree
}

fn origin(flag: &str, cwd: &Path) -> Origin {
    Origin::whole(LayerKind::Flags, Location::Flag(flag.to_owned()), cwd)
}

/// The error for an argument that is not `KEY=VALUE`. The text after the key is left out, because
/// it can be a secret.
fn malformed(argument: &str, cwd: &Path) -> Problem {
    let key = argument.split(['=', ':', ' ']).next().unwrap_or_default();
    let more = if key.len() < argument.len() {
        "…"
    } else {
        ""
    };
    Problem::new("expected KEY=VALUE, as in `sync.prune=true`")
        .at(&origin(&format!("--config {key}{more}"), cwd))
}
