//! Python: the workspaces of uv, Rye, PDM and Hatch, and the path dependencies of Poetry, in
//! `pyproject.toml`.

use std::path::Path;

use toml::{Table, Value};

use super::manifest_file::{read_toml, toml_at, toml_strings};
use super::member_list::MemberList;

const MANIFEST: [&str; 1] = ["pyproject.toml"];

/// The packages of the workspace in `root`.
pub(super) fn members(root: &Path) -> Option<MemberList> {
    let project = match read_toml(&root.join(MANIFEST[0]))? {
        Ok(project) => project,
        Err(error) => {
            let mut list = MemberList::new("Python workspace (pyproject.toml)");
            list.remark(error);
            return Some(list);
        }
    };
    let mut list = of_tool(root, &project)
        .or_else(|| of_hatch(root, &project))
        .or_else(|| of_poetry(root, &project))?;
    if project.contains_key("project") || toml_at(&project, &["tool", "poetry", "name"]).is_some() {
        list.directories.insert("".into());
    }
    Some(list)
}

/// `tool.NAME.workspace`, with `members` and `exclude`.
fn of_tool(root: &Path, project: &Table) -> Option<MemberList> {
    let tools = [("uv", "uv"), ("rye", "Rye"), ("pdm", "PDM")];
    let found = |(key, name): &(&str, &'static str)| {
        Some((toml_at(project, &["tool", key, "workspace"])?, *name))
    };
    let (workspace, name) = tools.iter().find_map(found)?;

    let mut list = MemberList::new(&format!("{name} workspace (pyproject.toml)"));
    add(&mut list, root, workspace);
    Some(list)
}

/// `tool.hatch.envs.NAME.workspace`. Different environments can have different members.
fn of_hatch(root: &Path, project: &Table) -> Option<MemberList> {
    let environments = toml_at(project, &["tool", "hatch", "envs"])?.as_table()?;
    let mut workspaces = environments
        .values()
        .filter_map(|environment| environment.get("workspace"))
        .peekable();
    workspaces.peek()?;

    let mut list = MemberList::new("Hatch workspace (pyproject.toml)");
    for workspace in workspaces {
        add(&mut list, root, workspace);
    }
    Some(list)
}

fn add(list: &mut MemberList, root: &Path, workspace: &Value) {
    let members = workspace.get("members").and_then(Value::as_array);
    for member in members.into_iter().flatten() {
        // In Hatch, a member can be a table with a path and features.
        let path = member.as_str().or_else(|| member.get("path")?.as_str());
        if let Some(pattern) = path {
            list.add_matches(root, pattern, &MANIFEST);
        }
    }
    for pattern in toml_strings(workspace.get("exclude")) {
        list.remove_matches(pattern);
    }
}

/// The dependencies with `path` in `tool.poetry`, its groups included.
fn of_poetry(root: &Path, project: &Table) -> Option<MemberList> {
    let poetry = toml_at(project, &["tool", "poetry"])?.as_table()?;
    let groups = poetry.get("group").and_then(Value::as_table);
    let groups = groups.into_iter().flat_map(Table::values);
    let tables = groups.filter_map(|group| group.get("dependencies")).chain(
        ["dependencies", "dev-dependencies"]
            .map(|name| poetry.get(name))
            .into_iter()
            .flatten(),
    );
    let paths: Vec<&str> = tables
        .filter_map(Value::as_table)
        .flat_map(Table::values)
        .filter_map(|dependency| dependency.get("path")?.as_str())
        .filter(|path| root.join(path).join(MANIFEST[0]).is_file())
        .collect();
    if paths.is_empty() {
        return None;
    }

    let mut list = MemberList::new("Poetry path dependencies (pyproject.toml)");
    for path in paths {
        list.add_directory(root, root, Path::new(path), path);
    }
    Some(list)
}
