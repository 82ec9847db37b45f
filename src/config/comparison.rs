//! Compares two versions of the workspace's configuration file.

use std::collections::BTreeSet;
use std::path::Path;

use super::file;
use super::location::LayerKind;
use super::tree::{Map, Node};

/// The projects that a change of the configuration file is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigChange {
    /// Some projects; none if nothing has changed.
    Projects(ChangedEntries),
    /// All projects.
    All,
}

/// The entries of `projects` that have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChangedEntries {
    /// The names of the projects.
    pub(crate) names: BTreeSet<String>,
    /// The roots that were added or removed, as they are written. A project that contains one of them
    /// publishes other files than before, because it leaves out the roots of other projects.
    pub(crate) roots: BTreeSet<String>,
}

/// Compares two versions of the file at `path`. Only a change of `projects.NAME` is about one
/// project. Comments and the order of keys do not matter.
pub(crate) fn compare(path: &Path, before: &[u8], after: &[u8]) -> ConfigChange {
    let section = |bytes| file::section_of_text(path, bytes, LayerKind::Workspace, Path::new("/"));
    let sections = (section(before), section(after));
    let (Ok(Some(before)), Ok(Some(after))) = sections else {
        return ConfigChange::All;
    };
    let (before, after) = (before.tree, after.tree);
    let projects = |section: &Node| -> Map {
        let projects = section.get(&["projects"]).and_then(Node::as_map);
        projects.cloned().unwrap_or_default()
    };
    let (old, new) = (projects(&before), projects(&after));
    let without_projects = |mut section: Node| {
        section.remove(&["projects"]);
        section.to_json()
    };
    if without_projects(before) != without_projects(after) {
        return ConfigChange::All;
    }

    let names = old.keys().chain(new.keys());
    let value = |map: &Map, name: &str| map.get(name).map(|entry| entry.node.to_json());
    let changed = names.filter(|name| value(&old, name) != value(&new, name));
    let mut entries = ChangedEntries::default();
    for name in changed {
        let roots = [root(&old, name), root(&new, name)];
        if roots[0] != roots[1] {
            entries.roots.extend(roots.into_iter().flatten());
        }
        entries.names.insert(name.clone());
    }
    // Such a root is only known after its variables have been filled in.
    match entries.roots.iter().any(|root| root.contains(['$', '~'])) {
        true => ConfigChange::All,
        false => ConfigChange::Projects(entries),
    }
}

/// The root of a project; `None` without such a project.
fn root(projects: &Map, name: &str) -> Option<String> {
    let entry = projects.get(name)?;
    let root = entry.node.get(&["root"]).map(Node::to_json);
    let root = root.as_ref().and_then(|root| root.as_str());
    Some(root.unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(before: &str, after: &str) -> ConfigChange {
        let path = Path::new("/ws/.fractary/config.yaml");
        compare(path, before.as_bytes(), after.as_bytes())
    }

    #[test]
    fn change_of_a_project_is_about_that_project() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let projects = |names: &[&str], roots: &[&str]| {
            ConfigChange::Projects(ChangedEntries {
                names: set(names),
                roots: set(roots),
            })
        };
        let before = "codex: { jobs: 1, projects: { a: {}, b: { root: x }, c: { to: c } } }";
        for (after, names, roots) in [
            (
                "codex: { projects: { c: { to: c }, b: { root: x }, a: {} }, jobs: 1 } # same",
                vec![],
                vec![],
            ),
            (
                "other: {}\ncodex: { jobs: 1, projects: { a: {}, b: { root: y }, c: { to: c } } }",
                vec!["b"],
                vec!["x", "y"],
            ),
            (
                "codex: { jobs: 1, projects: { a: {}, c: {}, d: {} } }",
                vec!["b", "c", "d"],
                vec!["d", "x"],
            ),
        ] {
            assert_eq!(compared(before, after), projects(&names, &roots), "{after}");
        }
        for after in [
            "",
            "codex: [",
            "codex: { jobs: 1, projects: { a: {}, b: { root: '${HOME}/x' }, c: { to: c } } }",
            "codex: { jobs: 2, projects: { a: {}, b: { root: x }, c: { to: c } } }",
        ] {
            assert_eq!(compared(before, after), ConfigChange::All, "{after}");
        }
    }
}
