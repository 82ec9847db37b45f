//! The older tool's configuration: its keys that are read under another name, its keys that are left alone, and the
//! keys that are reserved for later.

use super::location::{LayerKind, Origin};
use super::problem::Problem;
use super::tree::{Node, NodeValue, adds_up, key_path};

/// Older key, and the key it is read as.
pub(crate) const RENAMED: [(&[&str], &[&str]); 4] = [
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
];

/// Key, older value, and the value it is read as.
pub(crate) const RENAMED_VALUES: [(&[&str], &str, &str); 1] =
    [(&["remote", "transport"], "libgit2", "native")];

/// Keys of the older tool that mean nothing here. (`remotes` is another of its own; its tokens are used.)
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

/// Keys that will mean something one day. Refused until then, so that nobody believes them to work.
const RESERVED: [&[&str]; 4] = [
    &["push", "branch"],
    &["push", "mode"],
    &["sync", "checks"],
    &["sync", "on_drift"],
];

/// Chooses the branch of a run, which is that of all its projects.
const ENVIRONMENTS: [&str; 2] = ["sync", "environments"];

/// Where an older key is read as another one, the other. A project's own keys are as old.
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

/// Whether the key belongs to the older tool and is left alone.
pub(crate) fn is_left_alone<S: AsRef<str>>(path: &[S]) -> bool {
    path.first()
        .is_some_and(|first| OLDER_TOOLS.contains(&first.as_ref()))
}

/// Brings a layer's section into today's form.
pub(crate) fn migrate_old_keys(
    tree: &mut Node,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    for name in OLDER_TOOLS {
        tree.remove(&[name]);
    }
    // Of the older tool's remotes only the tokens mean something, and the hosts that they are for.
    for (_, entry) in tree
        .get_mut(&["remotes"])
        .and_then(Node::as_map_mut)
        .into_iter()
        .flatten()
    {
        if let Some(remote) = entry.node.as_map_mut() {
            remote.retain(|name, _| ["token", "host"].contains(&name.as_str()));
        }
    }
    refuse_reserved(tree, problems, warnings);
    rename(tree, &[], warnings);
    let projects: Vec<String> = tree
        .get(&["projects"])
        .and_then(Node::as_map)
        .into_iter()
        .flatten()
        .map(|(n, _)| n.clone())
        .collect();
    for name in &projects {
        rename(tree, &["projects", name], warnings);
    }
    let unknown = |name: &String| !["enabled", "dir"].contains(&name.as_str());
    if let Some(NodeValue::Map(cache)) = tree.get_mut(&["cache"]).map(|node| &mut node.value) {
        let names: Vec<String> = cache.keys().filter(|name| unknown(name)).cloned().collect();
        for name in names {
            if let Some(entry) = cache.remove(&name) {
                let key = key_path(&["cache", &name]);
                warnings.push(
                    Problem::new(format!("`{key}` is not a key of ours and is left alone"))
                        .key(key)
                        .at(&entry.key),
                );
            }
        }
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
        let problem = Problem::new(format!("`{key}: {old}` is read as `{new}`"));
        warnings.push(
            problem
                .key(key.clone())
                .at(&node.at)
                .hint(format!("write `{key}: {new}`, or remove the key")),
        );
    }
}

fn refuse_reserved(tree: &mut Node, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) {
    let mut parents: Vec<Vec<String>> = vec![Vec::new()];
    let projects = tree.get(&["projects"]).and_then(Node::as_map);
    parents.extend(
        projects
            .into_iter()
            .flatten()
            .map(|(name, _)| vec!["projects".to_owned(), name.clone()]),
    );
    let is_member = tree.at.source.layer == LayerKind::Member;
    for parent in parents {
        let mut refuse = |key: &[&str], why: &str, hint: &str| {
            let path: Vec<String> = parent
                .iter()
                .cloned()
                .chain(key.iter().map(|s| (*s).to_owned()))
                .collect();
            let Some(at) = tree.key_at(&path).cloned() else {
                return;
            };
            tree.remove(&path);
            let key = key_path(&path);
            problems.push(
                Problem::new(format!("`{key}`{why}"))
                    .key(key)
                    .at(&at)
                    .hint(hint),
            );
        };
        for reserved in RESERVED {
            refuse(
                reserved,
                " is reserved for a later version",
                "remove it until then",
            );
        }
        if !parent.is_empty() {
            refuse(
                &ENVIRONMENTS,
                ": a run has one branch",
                "put it under `sync.environments`",
            );
        } else if is_member && let Some(at) = tree.key_at(&ENVIRONMENTS).cloned() {
            // A checkout may well be a workspace of its own at other times.
            tree.remove(&ENVIRONMENTS);
            let key = key_path(&ENVIRONMENTS);
            let problem = Problem::new(format!(
                "without effect in the file of a project of a workspace: `{key}`"
            ));
            warnings.push(
                problem
                    .key(key)
                    .at(&at)
                    .hint("the workspace's own file can say it"),
            );
        }
    }
}

fn rename(tree: &mut Node, parent: &[&str], warnings: &mut Vec<Problem>) {
    for (old, new) in RENAMED {
        let old: Vec<&str> = parent.iter().chain(old).copied().collect();
        let new: Vec<&str> = parent.iter().chain(new).copied().collect();
        let Some(at) = tree.key_at(&old).cloned() else {
            continue;
        };
        let Some(node) = tree.remove(&old) else {
            continue;
        };
        let taken = tree.get(&new).is_some() && !adds_up(&new);
        warnings.push(warning(&old, &new, taken, &at));
        if !taken {
            tree.set(&new, node);
        }
    }
}

fn warning(old: &[&str], new: &[&str], taken: bool, at: &Origin) -> Problem {
    let (old, new) = (key_path(old), key_path(new));
    let what = if taken {
        format!("`{old}` gives way to `{new}`")
    } else {
        format!("`{old}` is now `{new}`")
    };
    Problem::new(what)
        .key(old)
        .at(at)
        .hint(format!("write `{new}`"))
}
