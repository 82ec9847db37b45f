//! Values that stand in no file of ours: `.env`, `FRACTARY_CODEX_*`, options and `--config KEY=VALUE`.

use std::collections::BTreeSet;
use std::path::Path;

use super::location::{LayerKind, Location, Origin};
use super::problem::Problem;
use super::schema::{self, Shape};
use super::tree::{Node, NodeValue, key_path};
use super::{FlagText, FlagValue, LoadRequest, compat, problem, toml};
use crate::environment::{Environment, SOURCE_DATE};

/// What all our variables start with.
pub(crate) const PREFIX: &str = "FRACTARY_CODEX_";

/// The variable that names the workspace's file.
pub(super) const CONFIG: &str = "FRACTARY_CODEX_CONFIG";

/// The variable that filters the log.
pub(super) const LOG: &str = "FRACTARY_CODEX_LOG";

/// The variable that names directories whose files are read whoever owns them.
pub(super) const SAFE_DIRECTORY: &str = "FRACTARY_CODEX_SAFE_DIRECTORY";

/// Variables of ours that are no keys: the workspace's file, the environment's name, the log filter, safe directories.
const NO_KEYS: [&str; 4] = ["CONFIG", "ENV", "LOG", "SAFE_DIRECTORY"];

/// Other variables that a run reads.
const OTHERS: [&str; 8] = [
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITHUB_SERVER_URL",
    "SOURCE_DATE_EPOCH",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
];

/// Reports variables that a run would read and that are not UTF-8 text: none of them may count as not set.
pub(super) fn check_encoding(request: &LoadRequest, problems: &mut Vec<Problem>) {
    let unreadable = request.environment.unreadable();
    for name in unreadable.filter(|name| name.starts_with(PREFIX) || OTHERS.contains(name)) {
        let place = Location::Variable {
            name: name.to_owned(),
            file: None,
        };
        let at = Origin::whole(LayerKind::Environment, place, &request.cwd);
        problems.push(Problem::new("the variable is not UTF-8 text").at(&at));
    }
}

/// The variable of the key at `path`.
pub(crate) fn variable<S: AsRef<str>>(path: &[S]) -> String {
    let segments: Vec<String> = path
        .iter()
        .map(|segment| segment.as_ref().to_uppercase())
        .collect();
    format!("{PREFIX}{}", segments.join("__"))
}

/// The variable that `name` was meant to be, as a hint. What all have in common makes no two of them alike.
pub(crate) fn closest(name: &str) -> Option<String> {
    let known: Vec<String> = schema::keys().iter().map(|key| variable(key)).collect();
    let rest = |name: &'_ str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let rests: Vec<String> = known
        .iter()
        .filter(|known| *known != name)
        .map(|known| rest(known))
        .collect();
    let found = problem::closest(&rest(name), rests.iter().map(String::as_str))?;
    Some(format!("did you mean `{PREFIX}{found}`?"))
}

/// The layer of the environment. `from_file` are the variables that `file` set.
pub(crate) fn variables(
    environment: &Environment,
    from_file: &BTreeSet<String>,
    file: &Path,
    cwd: &Path,
    problems: &mut Vec<Problem>,
) -> Node {
    let place = |name: &str| Location::Variable {
        name: name.to_owned(),
        file: from_file.contains(name).then(|| file.to_owned()),
    };
    let origin = |name: &str| Origin::whole(LayerKind::Environment, place(name), cwd);
    if let Err(error) = environment.source_date() {
        let hint = format!("set it to a time such as `$(date +%s)`, or unset `{SOURCE_DATE}`");
        problems.push(
            Problem::new(error.to_string())
                .at(&origin(SOURCE_DATE))
                .hint(hint),
        );
    }
    let mut tree = Node::map(&origin(PREFIX));
    // What the process sets wins, also where the file names a part of the same map.
    let (of_file, of_process): (Vec<_>, Vec<_>) = environment
        .iter()
        .partition(|(name, _)| from_file.contains(*name));
    for (name, value) in of_file.into_iter().chain(of_process) {
        let Some(rest) = name
            .strip_prefix(PREFIX)
            .filter(|rest| !NO_KEYS.contains(rest))
        else {
            continue;
        };
        // CI systems pass what is not set on as empty.
        if value.is_empty() {
            continue;
        }
        let at = origin(name);
        let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        if path.len() > 1 && matches!(path[0].as_str(), "projects" | "remotes") {
            let inline = variable(&path[..1]);
            let hint = format!("write `{inline}='{{name={{…}}}}'`");
            problems.push(
                Problem::new("names can only stand inside an inline map")
                    .at(&at)
                    .hint(hint),
            );
            continue;
        }
        assign(&mut tree, &path, value, &at, problems);
    }
    tree
}

/// The layer of flags: `--config KEY=VALUE` first, then the options that have a name, which win.
pub(crate) fn flags(
    settings: &[String],
    flags: &[FlagValue],
    cwd: &Path,
    problems: &mut Vec<Problem>,
) -> Node {
    let origin = |flag: &str| Origin::whole(LayerKind::Flags, Location::Flag(flag.to_owned()), cwd);
    let mut tree = Node::map(&origin("--config"));
    for setting in settings {
        let parsed = setting
            .split_once('=')
            .and_then(|(key, value)| Some((key.trim(), toml::key(key.trim())?, value)));
        let Some((key, mut path, value)) = parsed else {
            // What stands behind the key may be a secret.
            let key = setting.split(['=', ':', ' ']).next().unwrap_or_default();
            let more = if key.len() < setting.len() { "…" } else { "" };
            let at = origin(&format!("--config {key}{more}"));
            problems.push(Problem::new("expected KEY=VALUE, as in `sync.prune=true`").at(&at));
            continue;
        };
        if path.len() > 1 && path[0] == "codex" {
            path.remove(0);
        }
        assign(
            &mut tree,
            &path,
            value,
            &origin(&format!("--config {key}")),
            problems,
        );
    }
    for flag in flags {
        let at = origin(&flag.flag);
        let node = match &flag.value {
            FlagText::One(text) => Node::text(text, &at),
            FlagText::Many(list) => {
                let list = list.iter().map(|text| Node::text(text, &at)).collect();
                Node {
                    value: NodeValue::List(list),
                    at: at.clone(),
                }
            }
        };
        tree.set(&flag.key.split('.').collect::<Vec<_>>(), node);
    }
    tree
}

/// Puts `text` at `path`: read as TOML where the key is a map or a list, as it stands elsewhere.
fn assign(tree: &mut Node, path: &[String], text: &str, at: &Origin, problems: &mut Vec<Problem>) {
    if compat::is_left_alone(path) {
        return;
    }
    let shape = schema::shape(&compat::renamed(path).unwrap_or_else(|| path.to_vec()));
    let (open, kind) = match shape {
        Some(Shape::Map) => ('{', "map"),
        Some(Shape::List) => ('[', "list"),
        _ => return tree.set(path, Node::text(text, at)),
    };
    // What is no map or list at all, or the other of the two, is told by the check, with the key's own expectation.
    let written = text.trim();
    if !written.starts_with(['{', '[']) {
        return tree.set(path, Node::text(text, at));
    }
    match toml::value(written, at) {
        Ok(node) => tree.set(path, node),
        Err(_) if !written.starts_with(open) => tree.set(path, Node::text(text, at)),
        Err(malformed) => {
            let key = key_path(path);
            let message = format!("`{key}`: expected a TOML {kind}: {}", malformed.reason);
            problems.push(Problem::new(message).key(key).at(at));
        }
    }
}
