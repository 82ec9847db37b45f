//! Variables: `FRACTARY_CODEX_*` as a layer, `.env` files, and `${VAR}` in the values of files.

use std::path::Path;

use super::layers::{Layer, LayerKind};
use super::node::{Node, parse_inline};
use super::problem::{Problem, Problems, Source};
use crate::environment::Environment;

const PREFIX: &str = "FRACTARY_CODEX_";
/// Variables under the prefix that are not keys.
const OWN: [&str; 3] = ["CONFIG", "ENV", "LOG"];

/// One layer entry a variable: `FRACTARY_CODEX_REMOTE__URL` is `remote.url`.
pub(super) fn layers(environment: &Environment, base: &Path, problems: &mut Problems) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (name, value) in environment.iter() {
        let Some(key) = name.strip_prefix(PREFIX).filter(|key| !OWN.contains(key)) else { continue };
        let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
        let source = Source::Variable(name.to_owned());
        match parse_inline(value) {
            Ok(value) => {
                let mut node = Node::map();
                node.put(&path, 0, value);
                layers.push(Layer { kind: LayerKind::Environment, source, base: base.to_owned(), node });
            }
            Err(error) => problems.push(
                Problem::new(&super::dotted(&path), format!("not a TOML list or map: {}", error.message)).at(source, 0),
            ),
        }
    }
    layers
}

/// Adds what `.fractary/env/.env` says to `environment`; variables that are set win.
pub(super) fn read_dotenv(environment: &mut Environment, directory: &Path, problems: &mut Problems) {
    let path = directory.join("env/.env");
    let Ok(pairs) = dotenvy::from_path_iter(&path) else { return };
    for pair in pairs {
        match pair {
            Ok((name, value)) => environment.set_default(name, value),
            Err(_) => {
                // The error would quote the line, and the line may hold a token.
                let message = "a line is not `NAME=value`";
                problems.push(Problem::new("", message).at(Source::File(path.as_path().into()), 0));
                return;
            }
        }
    }
}

/// Expands `${VAR}` and `${VAR:-default}` in every text of a file's section. A token whose variable is not set counts
/// as not given; its variable is returned.
pub(super) fn expand(layer: &mut Layer, environment: &Environment, problems: &mut Problems) -> Vec<String> {
    let mut unset_tokens = Vec::new();
    let source = layer.source.clone();
    layer.node.edit_texts(&mut Vec::new(), &mut |path, line, text| {
        if !text.contains("${") {
            return Some(text);
        }
        let lookup =
            |name: &str| -> Result<Option<String>, ()> { environment.get(name).map(|v| Some(v.to_owned())).ok_or(()) };
        let with_default = |name: &str| lookup(name);
        match shellexpand::env_with_context(&only_braces(&text), with_default) {
            Ok(expanded) => Some(expanded.into_owned()),
            Err(error) => {
                if path.last().is_some_and(|key| key == "token") {
                    unset_tokens.push(error.var_name);
                } else {
                    let message = format!("variable `{}` is not set", error.var_name);
                    let hint = format!("set it, or give a default: `${{{}:-…}}`", error.var_name);
                    problems.push(Problem::new(&super::dotted(path), message).hint(hint).at(source.clone(), line));
                }
                None
            }
        }
    });
    unset_tokens
}

/// Protects every `$` that does not start `${`: only the form with braces is a reference here.
fn only_braces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        out.push_str(if from.starts_with("${") { "$" } else { "$$" });
        rest = &from[1..];
    }
    out.push_str(rest);
    out
}
