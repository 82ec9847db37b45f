//! The keys of the older tool: those that are read under another name, and those that are ignored.
//! Also the keys that are reserved for later versions.

use super::diagnostics::Diagnostics;
use super::location::{LayerKind, Origin};
use super::problem::Problem;
use super::tree::{Map, Node, NodeValue, is_combined, key_path};

/// Pairs of an older key and the key it is read as.
pub(crate) const RENAMED: [(&[&str], &[&str]); 7] = [
    (&["sync", "include"], &["sync", "to_codex", "include"]),
    (
        &["sync", "default_to_codex"],
        &["sync", "to_codex", "include"],
    ),
    (&["sync", "exclude"], &["sync", "to_codex", "exclude"]),
    (
        &["sync", "default_from_codex"],
        &["sync", "from_codex", "include"],
    ),
    (&["sync", "defaultDirection"], &["sync", "direction"]),
    (
        &["sync", "defaultExcludes"],
        &["sync", "to_codex", "exclude"],
    ),
    (&["sync", "deleteOrphans"], &["sync", "prune"]),
];

/// The older switch for both directions.
pub(crate) const BIDIRECTIONAL: [&str; 2] = ["sync", "bidirectional"];

/// Keys below `sync` of the older tool that have no meaning here. They are ignored with a warning,
/// because a user may expect an effect on the sync.
pub(crate) const IGNORED: [&str; 4] = [
    "conflictResolution",
    "conflictStrategy",
    "rules",
    "patterns",
];

/// Keys that can also be a list, which is read as their key `include`.
pub(crate) const LISTS: [&[&str]; 2] = [&["sync", "to_codex"], &["sync", "from_codex"]];

/// The keys at the top of a file without a section `codex` that are read.
const FLAT_KEYS: [&str; 5] = ["organization", "codex_repo", "project", "sync", "remotes"];

/// The keys that the older tool does not have and that decide what is published, and where. Without a
/// section `codex`, they are an error: a run would publish something else.
const NEVER_FLAT: [&str; 4] = ["remote", "projects", "workspace", "push"];

/// Triples of a key, an older value, and the value it is read as.
pub(crate) const RENAMED_VALUES: [(&[&str], &str, &str); 1] =
    [(&["remote", "transport"], "libgit2", "native")];

/// Keys of the older tool that have no meaning here. Its key `remotes` is not one of them: the
/// tokens in it are used.
pub(crate) const OLDER_TOOLS: [&str; 11] = [
    "schema_version",
    "cacheDir",
    "storage",
    "types",
    "permissions",
    "mcp",
    "archive",
    "auth",
    "rules",
    "directories",
    "organizationSlug",
];

/// The key that selects the branch of a run, which is the same for all projects.
const ENVIRONMENTS: [&str; 2] = ["sync", "environments"];

/// Returns the key that the older key at `path` is read as; `None` if `path` is not an older key.
/// The keys of a project have the same older names.
pub(crate) fn renamed<S: AsRef<str>>(path: &[S]) -> Option<Vec<String>> {
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let (parent, key) = match path.as_slice() {
        ["projects", _, key @ ..] => path.split_at(path.len() - key.len()),
        _ => path.split_at(0),
    };
    let (_, new) = RENAMED.iter().find(|(old, _)| *old == key)?;
    Some(
        parent
            .iter()
            .chain(*new)
            .map(|segment| (*segment).to_owned())
            .collect(),
    )
}

/// Whether the key belongs to the older tool and is ignored.
pub(crate) fn is_left_alone<S: AsRef<str>>(path: &[S]) -> bool {
    path.first()
        .is_some_and(|first| OLDER_TOOLS.contains(&first.as_ref()))
}

/// Whether a file without a section `codex` has the keys of the older tool at its top: those that
/// other tools with the same file do not have.
pub(super) fn is_flat(document: &Node) -> bool {
    let names_owner = |key| document.get(&[key]).and_then(Node::as_text).is_some();
    let is_sync = |sync: &Node| sync.as_map().is_some();
    (names_owner("organization") || names_owner("organizationSlug"))
        && (names_owner("codex_repo") || document.get(&["sync"]).is_some_and(is_sync))
}

/// Removes the keys of other tools from such a file.
pub(super) fn keep_flat_keys(document: &mut Node) -> Result<(), Problem> {
    for key in NEVER_FLAT {
        if let Some(node) = document.get(&[key]) {
            let message = format!("`{key}` is only read in the section `codex`");
            return Err(Problem::new(message)
                .key(key)
                .at(&node.at)
                .hint("write the keys below `codex:`"));
        }
    }
    if let Some(map) = document.as_map_mut() {
        map.retain(|name, _| FLAT_KEYS.contains(&name.as_str()));
    }
    Ok(())
}

/// The warning about such a file.
pub(super) fn flat_file(at: &Origin) -> Problem {
    Problem::new("the file has no section `codex`; its top level is read instead")
        .key("codex")
        .at(at)
        .hint("write the keys below `codex:`")
}

/// Renames the older keys of a section and removes the ignored ones.
pub(crate) fn migrate_old_keys(tree: &mut Node, diagnostics: &mut Diagnostics) {
    for name in OLDER_TOOLS {
        tree.remove(&[name]);
    }
    keep_tokens_of_remotes(tree);

    let names: Vec<String> = tree
        .get(&["projects"])
        .and_then(Node::as_map)
        .into_iter()
        .flat_map(Map::keys)
        .cloned()
        .collect();
    let of_projects = names.iter().map(|name| vec!["projects", name.as_str()]);
    for parent in std::iter::once(Vec::new()).chain(of_projects) {
        check_environments(tree, &parent, diagnostics);
        read_lists(tree, &parent, &mut diagnostics.warnings);
        rename(tree, &parent, &mut diagnostics.warnings);
        rename_bidirectional(tree, &parent, &mut diagnostics.warnings);
        ignore_sync_keys(tree, &parent, &mut diagnostics.warnings);
    }
    ignore_unknown_cache_keys(tree, &mut diagnostics.warnings);
}

/// Removes all keys from the older tool's `remotes` except tokens and their hosts.
fn keep_tokens_of_remotes(tree: &mut Node) {
    let remotes = tree.get_mut(&["remotes"]).and_then(Node::as_map_mut);
    for entry in remotes.into_iter().flat_map(Map::values_mut) {
        if let Some(remote) = entry.node.as_map_mut() {
            remote.retain(|name, _| ["token", "host"].contains(&name.as_str()));
        }
    }
}

/// Removes `sync.environments` below `parent` if a project or a member gives it, because a run has
/// one branch. It is only ignored in a member's file, since the member can be a workspace of its
/// own at other times.
fn check_environments(tree: &mut Node, parent: &[&str], diagnostics: &mut Diagnostics) {
    let is_member = tree.at.source.layer == LayerKind::Member;
    let is_of_project = !parent.is_empty();
    let path = [parent, &ENVIRONMENTS].concat();
    let Some(at) = tree.key_at(&path).cloned() else {
        return;
    };
    if !is_of_project && !is_member {
        return;
    }
    tree.remove(&path);

    let key = key_path(&path);
    if is_of_project {
        let problem = Problem::new(format!("`{key}`: all projects of a run have one branch"));
        let hint = "set it under `sync.environments`";
        diagnostics
            .problems
            .push(problem.key(key).at(&at).hint(hint));
    } else {
        let keys = format!("`{key}`");
        diagnostics
            .warnings
            .push(ignored_in_member(&keys, key, &at));
    }
}

/// The warning about `keys` in a member's file, of which `first` is the first one.
pub(super) fn ignored_in_member(keys: &str, first: String, at: &Origin) -> Problem {
    Problem::new(format!("ignored in a member's configuration: {keys}"))
        .key(first)
        .at(at)
        .hint("set it in the workspace's configuration")
}

/// Reads the lists of patterns below `parent` as includes.
fn read_lists(tree: &mut Node, parent: &[&str], warnings: &mut Vec<Problem>) {
    for old in LISTS {
        let old = [parent, old].concat();
        if !tree.get(&old).is_some_and(Node::is_list) {
            continue;
        }
        let Some((at, list)) = tree.key_at(&old).cloned().zip(tree.remove(&old)) else {
            continue;
        };

        let new = [&old[..], &["include"]].concat();
        let (old_key, new_key) = (key_path(&old), key_path(&new));
        let problem = Problem::new(format!("the list `{old_key}` is now `{new_key}`"));
        let hint = format!("write `{new_key}`");
        warnings.push(problem.key(old_key).at(&at).hint(hint));
        tree.set(&new, list);
    }
}

/// Renames the older keys below `parent`.
fn rename(tree: &mut Node, parent: &[&str], warnings: &mut Vec<Problem>) {
    for (old, new) in RENAMED {
        let old = [parent, old].concat();
        let new = [parent, new].concat();
        let Some(at) = tree.key_at(&old).cloned() else {
            continue;
        };
        let Some(node) = tree.remove(&old) else {
            continue;
        };

        let is_overridden = tree.get(&new).is_some() && !is_combined(&new);
        let old_key = key_path(&old);
        let new_key = key_path(&new);
        let message = if is_overridden {
            format!("`{old_key}` is overridden by `{new_key}`")
        } else {
            format!("`{old_key}` is now `{new_key}`")
        };
        let problem = Problem::new(message).key(old_key).at(&at);
        warnings.push(problem.hint(format!("write `{new_key}`")));
        if !is_overridden {
            tree.set(&new, node);
        }
    }
}

/// Reads `sync.bidirectional: true` below `parent` as a direction.
fn rename_bidirectional(tree: &mut Node, parent: &[&str], warnings: &mut Vec<Problem>) {
    let old = [parent, &BIDIRECTIONAL].concat();
    let new = [parent, &["sync", "direction"]].concat();
    let Some(at) = tree.key_at(&old).cloned() else {
        return;
    };
    let Some(node) = tree.remove(&old) else {
        return;
    };

    let key = key_path(&old);
    let new_key = key_path(&new);
    let problem = if node.as_text() == Some("true") && tree.get(&new).is_none() {
        tree.set(&new, Node::text("bidirectional", &node.at));
        Problem::new(format!("`{key}: true` is now `{new_key}: bidirectional`"))
            .hint(format!("write `{new_key}: bidirectional`"))
    } else {
        Problem::new(format!("`{key}` is ignored: `{new_key}` decides")).hint("remove the key")
    };
    warnings.push(problem.key(key).at(&at));
}

/// Removes older keys below `sync` that have no meaning here.
fn ignore_sync_keys(tree: &mut Node, parent: &[&str], warnings: &mut Vec<Problem>) {
    for name in IGNORED {
        let path = [parent, &["sync", name]].concat();
        let Some(at) = tree.key_at(&path).cloned() else {
            continue;
        };
        tree.remove(&path);
        let key = key_path(&path);
        let problem = Problem::new(format!("`{key}` of the older tool has no effect"));
        warnings.push(problem.key(key).at(&at).hint("remove the key"));
    }
}

/// Replaces older values by their current names. Variables must be expanded already.
pub(crate) fn rename_values(tree: &mut Node, warnings: &mut Vec<Problem>) {
    for (path, old, new) in RENAMED_VALUES {
        let Some(node) = tree
            .get_mut(path)
            .filter(|node| node.as_text() == Some(old))
        else {
            continue;
        };
        node.value = NodeValue::Text(new.to_owned());

        let key = key_path(path);
        let hint = format!("write `{key}: {new}`, or remove the key");
        let problem = Problem::new(format!("`{key}: {old}` is read as `{new}`"));
        warnings.push(problem.key(key).at(&node.at).hint(hint));
    }
}

/// Removes unknown keys below `cache`, which the older tool has, with a warning.
fn ignore_unknown_cache_keys(tree: &mut Node, warnings: &mut Vec<Problem>) {
    let Some(cache) = tree.get_mut(&["cache"]).and_then(Node::as_map_mut) else {
        return;
    };
    cache.retain(|name, entry| {
        let is_known = ["enabled", "dir"].contains(&name.as_str());
        if !is_known {
            let key = key_path(&["cache", name.as_str()]);
            let problem = Problem::new(format!("unknown key `{key}` is ignored"));
            warnings.push(problem.key(key).at(&entry.key));
        }
        is_known
    });
}
