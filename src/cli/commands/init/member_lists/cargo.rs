//! Cargo: `workspace.members` and `workspace.exclude` of `Cargo.toml`, and the path dependencies of
//! the members, which Cargo adds to the workspace.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::manifest_file::{read_toml, toml_strings};
use super::member_list::{MemberList, below, relative_pattern};
use crate::config::member_search::matching_directories;
use crate::glob::{Glob, is_pattern};
use crate::paths::absolute;

const MANIFEST: &str = "Cargo.toml";

/// The members of the workspace in `root`.
pub(super) fn members(root: &Path) -> Option<MemberList> {
    let mut list = MemberList::new("Cargo workspace (Cargo.toml)");
    let manifest = match read_toml(&root.join(MANIFEST))? {
        Ok(manifest) => manifest,
        Err(error) => {
            list.remark(error);
            return Some(list);
        }
    };
    let workspace = manifest.get("workspace")?.as_table()?;
    let workspace = CargoWorkspace {
        root,
        members: toml_strings(workspace.get("members")),
        excluded: toml_strings(workspace.get("exclude")),
        dependencies: workspace.get("dependencies").and_then(Value::as_table),
    };

    let mut pending = workspace.listed(&mut list);
    if manifest.contains_key("package") {
        pending.push(root.to_owned());
    }
    while let Some(directory) = pending.pop() {
        let Some(relative) = below(root, &directory) else {
            continue;
        };
        if workspace.excludes(&directory) || list.directories.contains(&relative) {
            continue;
        }
        match read_toml(&directory.join(MANIFEST)) {
            Some(Ok(member)) => {
                list.directories.insert(relative);
                pending.extend(workspace.path_dependencies(&member, &directory));
            }
            Some(Err(error)) => list.remark(error),
            None => {}
        }
    }
    Some(list)
}

/// The section `workspace` of the root's manifest.
struct CargoWorkspace<'m> {
    root: &'m Path,
    members: Vec<&'m str>,
    excluded: Vec<&'m str>,
    dependencies: Option<&'m Table>,
}

impl CargoWorkspace<'_> {
    /// The directories that `members` lists. A path without wildcards must exist.
    fn listed(&self, list: &mut MemberList) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for pattern in &self.members {
            let directory = absolute(self.root, Path::new(pattern));
            if !is_pattern(pattern) {
                if below(self.root, &directory).is_none() {
                    list.remark(format!("`{pattern}` is outside of this directory"));
                } else if !directory.join(MANIFEST).is_file() {
                    list.remark(format!("`{pattern}` has no {MANIFEST}"));
                }
                found.push(directory);
                continue;
            }
            match Glob::new(relative_pattern(pattern)) {
                Ok(glob) => found.extend(matching_directories(self.root, &glob)),
                Err(error) => list.remark(error),
            }
        }
        found
    }

    /// Whether `exclude` names the directory or one above it, and `members` names neither. Both
    /// lists are compared as paths here, as Cargo does it.
    fn excludes(&self, directory: &Path) -> bool {
        let is_in = |paths: &[&str]| {
            paths
                .iter()
                .any(|path| directory.starts_with(absolute(self.root, Path::new(path))))
        };
        is_in(&self.excluded) && !is_in(&self.members)
    }

    /// The directories of the path dependencies of a member.
    fn path_dependencies(&self, member: &Table, directory: &Path) -> Vec<PathBuf> {
        const KINDS: [&str; 5] = [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "dev_dependencies",
            "build_dependencies",
        ];
        let targets = member.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flat_map(Table::values);
        let tables = targets.filter_map(Value::as_table).chain([member]);
        let dependencies = tables
            .flat_map(|table| KINDS.map(|kind| table.get(kind)))
            .flatten()
            .filter_map(Value::as_table)
            .flatten();

        let path_of = |dependency: &Value, base: &Path| {
            let path = dependency.get("path")?.as_str()?;
            Some(absolute(base, Path::new(path)))
        };
        dependencies
            .filter_map(|(name, dependency)| {
                let is_inherited = dependency.get("workspace").and_then(Value::as_bool);
                if is_inherited == Some(true) {
                    return path_of(self.dependencies?.get(name)?, self.root);
                }
                path_of(dependency, directory)
            })
            .collect()
    }
}
