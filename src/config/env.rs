//! The layer of the environment: `FRACTARY_CODEX_*`, in which `__` descends into a map.

use std::path::Path;

use super::assign::assign;
use super::location::{LayerKind, Origin};
use super::problem::Problem;
use super::tree::Node;
use super::variables::{PREFIX, Variables, variable};
use crate::environment::SOURCE_DATE;

/// Builds the layer. Relative paths in it start from `cwd`.
pub(crate) fn layer(variables: &Variables, cwd: &Path, problems: &mut Vec<Problem>) -> Node {
    let origin = |name: &str| Origin::whole(LayerKind::Environment, variables.location(name), cwd);
    if let Err(error) = variables.all().source_date() {
        let hint = format!("set it to a time such as `$(date +%s)`, or unset `{SOURCE_DATE}`");
        let problem = Problem::new(error.to_string()).hint(hint);
        problems.push(problem.at(&origin(SOURCE_DATE)));
    }

    let mut tree = Node::map(&origin(PREFIX));
    for (name, rest, value) in variables.keys() {
        let at = origin(name);
        let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        if path.len() > 1 && matches!(path[0].as_str(), "projects" | "remotes") {
            problems.push(name_in_variable(&path).at(&at));
            continue;
        }
        assign(&mut tree, &path, value, &at, problems);
    }
    tree
}

/// The error for a variable such as `FRACTARY_CODEX_PROJECTS__BILLING`.
fn name_in_variable(path: &[String]) -> Problem {
    let message = if path[0] == "projects" {
        "project names are not allowed in variable names; use an inline map"
    } else {
        "repository names are not allowed in variable names; use an inline map"
    };
    let inline = variable(&path[..1]);
    Problem::new(message).hint(format!("write `{inline}='{{name={{…}}}}'`"))
}
