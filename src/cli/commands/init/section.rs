//! The text of a new section `codex`, with comments.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::codex_names::CodexNames;
use super::documents::patterns;
use super::layout::ProjectLayout;
use super::project_names::FoundProject;
use crate::cli::args::SyncPreset;
use crate::config::yaml_edit::quoted;
use crate::glob;

/// The longest list that is written on one line, in characters.
const LINE: usize = 80;

/// Formats the section for the projects of `layout`.
pub(super) fn section(
    names: &CodexNames,
    preset: Option<SyncPreset>,
    root: &Path,
    layout: &ProjectLayout,
) -> String {
    let sync = match preset {
        Some(preset) => preset_lines(preset),
        None => detected_lines(root, &layout.projects),
    };
    format!(
        "codex:\n{}\n{}\n  sync:\n{sync}",
        codex_lines(names),
        project_lines(root, &layout.projects)
    )
}

/// The keys that name the codex. Unknown ones are comments, so that a command reports what is
/// missing.
fn codex_lines(names: &CodexNames) -> String {
    let mut lines = match &names.organization {
        Some(organization) => format!("  organization: {}\n", quoted(&organization.value)),
        None => "  # organization: the owner of the codex's repository; could not be detected\n"
            .to_owned(),
    };
    lines.push_str(&match names.repository() {
        Some(repository) => format!("  codex_repo: {}\n", quoted(&repository.value)),
        None => {
            "  # codex_repo: the name of the codex's repository (default: codex.ORGANIZATION.com)\n"
                .to_owned()
        }
    });
    let default = names
        .default_url()
        .map(|url| format!("   # default: {url}"));
    lines.push_str(&match names.url() {
        Some(url) => format!("  remote:\n    url: {}\n", quoted(&url.value)),
        None => format!(
            "  # remote:\n  #   url: https://git.example.com/docs/codex.git{}\n",
            default.unwrap_or_default()
        ),
    });
    lines
}

/// The keys that list the projects.
fn project_lines(root: &Path, projects: &[FoundProject]) -> String {
    let mut lines = String::new();
    let members = MemberPatterns::of(root, projects);
    if let Some(project) = projects.iter().find(|project| project.is_root()) {
        let remark = match members.members.is_empty() {
            true => "this repository is one project",
            false => "the documents outside of the members",
        };
        lines.push_str(&format!(
            "  project: {}   # {remark}\n",
            quoted(&project.name)
        ));
    }

    if !members.members.is_empty() {
        lines.push_str("  workspace:   # each directory is a project, named after itself\n");
        lines.push_str(&list_lines("    ", "members", &members.members));
        if !members.excluded.is_empty() {
            lines.push_str(&list_lines("    ", "exclude", &members.excluded));
        }
    }

    let mut named = projects
        .iter()
        .filter(|project| project.is_given)
        .peekable();
    if named.peek().is_some() {
        lines.push_str(
            "  projects:   # the names of these directories are not unique, or not valid\n",
        );
    }
    for project in named {
        let directory = project.directory.to_string_lossy();
        lines.push_str(&format!(
            "    {}: {{ root: {} }}\n",
            quoted(&project.name),
            quoted(&directory)
        ));
    }
    lines
}

/// The values of `workspace.members` and `workspace.exclude` for a set of directories.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MemberPatterns {
    pub(super) members: Vec<String>,
    pub(super) excluded: Vec<String>,
}

impl MemberPatterns {
    /// A directory of which most subdirectories are projects becomes `DIRECTORY/*`, so that later
    /// ones are projects too. The others are listed.
    pub(super) fn of(root: &Path, projects: &[FoundProject]) -> Self {
        let directories: BTreeSet<&Path> = projects
            .iter()
            .filter(|project| !project.is_root())
            .map(|project| project.directory.as_path())
            .collect();
        let mut by_parent: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
        for directory in &directories {
            let parent = directory.parent().unwrap_or(Path::new(""));
            by_parent.entry(parent).or_default().push(directory);
        }

        let mut patterns = Self::default();
        for (parent, members) in by_parent {
            let others = matched_by_star(&root.join(parent));
            let others: Vec<PathBuf> = others
                .into_iter()
                .map(|name| parent.join(name))
                .filter(|directory| !directories.contains(directory.as_path()))
                .collect();
            // An excluded directory covers all directories below it.
            let hides_a_member = others
                .iter()
                .any(|other| directories.iter().any(|one| one.starts_with(other)));
            let is_hidden = |directory: &&Path| {
                let name = directory.file_name().unwrap_or_default();
                name.as_encoded_bytes().starts_with(b".")
            };
            let is_collection = parent != Path::new("")
                && members.len() >= 2
                && others.len() * 4 <= members.len()
                && !hides_a_member
                && !members.iter().any(is_hidden);
            if is_collection {
                patterns.members.push(format!("{}/*", literal(parent)));
                patterns
                    .excluded
                    .extend(others.iter().map(|other| literal(other)));
            } else {
                patterns.members.extend(members.into_iter().map(literal));
            }
        }
        patterns
    }
}

/// The pattern that matches this path alone.
fn literal(path: &Path) -> String {
    glob::escape(&path.to_string_lossy())
}

/// The names of the subdirectories that `*` matches in `workspace.members`.
fn matched_by_star(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "node_modules")
        .collect();
    names.sort();
    names
}

/// The patterns of a preset.
fn preset_lines(preset: SyncPreset) -> String {
    let [to_codex, from_codex] = [preset.published(), preset.pulled()];
    let mut lines = String::new();
    for (direction, patterns) in [("to_codex", to_codex), ("from_codex", from_codex)] {
        lines.push_str(&format!("    {direction}:\n"));
        lines.push_str(&list_lines("      ", "include", patterns.include));
        if !patterns.exclude.is_empty() {
            lines.push_str(&list_lines("      ", "exclude", patterns.exclude));
        }
    }
    lines
}

/// Patterns for the documentation that exists in the projects.
fn detected_lines(root: &Path, projects: &[FoundProject]) -> String {
    let list = list_lines("      ", "include", &patterns(root, projects));
    format!(
        "    to_codex:\n{list}      # exclude: [\"**/drafts/**\"]     # adds to the built-in excludes\n"
    )
}

/// A key with a list: on one line if it is short.
fn list_lines(indent: &str, key: &str, elements: &[impl AsRef<str>]) -> String {
    let elements: Vec<_> = elements
        .iter()
        .map(|element| quoted(element.as_ref()))
        .collect();
    let line = format!("{indent}{key}: [{}]\n", elements.join(", "));
    if line.len() <= LINE {
        return line;
    }
    let lines = elements
        .iter()
        .map(|element| format!("{indent}  - {element}\n"));
    format!("{indent}{key}:\n{}", lines.collect::<String>())
}
