//! Compares two versions of the workspace's configuration file.

use std::collections::BTreeSet;
use std::path::Path;

use super::file;
use super::tree::{Map, Node};

/// The projects that a change of the configuration file is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigChange {
    /// The projects with these names; none if nothing has changed.
    Projects(BTreeSet<String>),
    /// All projects.
    All,
}

/// Compares two versions of the file at `path`. Only a change of `projects.NAME` is about one
/// project. Comments and the order of keys do not matter.
pub(crate) fn compare(path: &Path, before: &[u8], after: &[u8]) -> ConfigChange {
    let sections = (
        file::earlier_section(path, before),
        file::earlier_section(path, after),
    );
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
    ConfigChange::Projects(changed.cloned().collect())
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
        let projects = |names: &[&str]| {
            ConfigChange::Projects(names.iter().map(|name| (*name).to_owned()).collect())
        };
        let before = "codex: { jobs: 1, projects: { a: {}, b: { root: x }, c: { to: c } } }";
        for (after, expected) in [
            (
                "codex: { projects: { c: { to: c }, b: { root: x }, a: {} }, jobs: 1 } # same",
                vec![],
            ),
            (
                "other: {}\ncodex: { jobs: 1, projects: { a: {}, b: { root: y }, c: { to: c } } }",
                vec!["b"],
            ),
            (
                "codex: { jobs: 1, projects: { a: {}, c: {}, d: {} } }",
                vec!["b", "c", "d"],
            ),
        ] {
            assert_eq!(compared(before, after), projects(&expected), "{after}");
        }
        for after in [
            "",
            "codex: [",
            "codex: { jobs: 2, projects: { a: {}, b: { root: x }, c: { to: c } } }",
        ] {
            assert_eq!(compared(before, after), ConfigChange::All, "{after}");
        }
    }
}
