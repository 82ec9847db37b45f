//! Branches of the codex that do not exist.

use super::wording::listed;
use crate::config::tree::key_path;
use crate::outcome::ExistingBranches;
use crate::paths::escaped;

/// The maximum number of branches that the hint for a missing branch names.
const MAX_BRANCHES: usize = 5;

/// The hint to create a missing branch.
pub(super) fn creation_hint(branch: &str, existing: &ExistingBranches, is_created: bool) -> String {
    let branch = escaped(branch.as_bytes());
    match is_created {
        _ if !existing.allow_creation(true) => format!(
            "create `{branch}` on the server: a sync does not create it, because HEAD names no existing branch to start from"
        ),
        true => format!("the next sync that publishes creates `{branch}`"),
        false => format!(
            "a sync that publishes creates `{branch}` from the default branch with `remote.create: true`, unless the server hides `{branch}` from you"
        ),
    }
}

/// The hints to use a branch that exists.
pub(super) fn branch_hints(existing: &ExistingBranches) -> impl Iterator<Item = String> {
    let ExistingBranches {
        default,
        all,
        environment,
        ..
    } = existing;
    let key = match environment {
        Some(environment) => key_path(&["sync", "environments", environment]),
        None => "remote.branch".to_owned(),
    };
    let of_default = default.as_ref().map(|default| {
        let default = escaped(default.as_bytes());
        format!("or use the default branch: `--config {key}={default}`")
    });
    let mut others: Vec<_> = all
        .iter()
        .filter(|name| Some(*name) != default.as_ref())
        .map(|name| escaped(name.as_bytes()).to_string())
        .collect();
    // Names with a slash are mostly those of working branches.
    others.sort_by_key(|name| (name.contains('/'), name.clone()));
    let of_others = (!others.is_empty()).then(|| {
        let listed = listed(&others, MAX_BRANCHES);
        match default {
            Some(_) => format!("the other branches are {listed}"),
            None => format!("set `{key}` to an existing branch: {listed}"),
        }
    });
    of_default.into_iter().chain(of_others)
}
