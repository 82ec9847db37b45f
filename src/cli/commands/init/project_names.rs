//! The names of the projects that were found. Each is unique, also if case is ignored.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::names::ProjectName;

/// A project that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundProject {
    /// The name.
    pub(super) name: String,
    /// The directory, relative to the workspace. It is empty for the workspace itself.
    pub(super) directory: PathBuf,
    /// Whether the configuration must give the name, because it is neither that of the directory
    /// nor that of the project's own file.
    pub(super) is_given: bool,
}

impl FoundProject {
    /// The workspace itself as a project.
    pub(super) fn root(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            directory: PathBuf::new(),
            is_given: false,
        }
    }

    /// Whether this is the workspace itself.
    pub(super) fn is_root(&self) -> bool {
        self.directory.as_os_str().is_empty()
    }
}

/// Names the projects in `directories`, and the workspace itself if it has a name, in the order of
/// their directories. `own_name` is the name in the file of a directory.
///
/// A name that two projects would share, or that is none, is replaced by the path with `-` between
/// its segments. The workspace itself gives way to a project of its name.
pub(super) fn named(
    directories: BTreeSet<PathBuf>,
    root: Option<&str>,
    own_name: impl Fn(&Path) -> Option<String>,
) -> Vec<FoundProject> {
    let usual: Vec<(PathBuf, String)> = directories
        .into_iter()
        .map(|directory| {
            let name = own_name(&directory).unwrap_or_else(|| file_name(&directory));
            (directory, name)
        })
        .collect();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (_, name) in &usual {
        *counts.entry(name.to_lowercase()).or_default() += 1;
    }
    let is_usable =
        |name: &str| counts[&name.to_lowercase()] == 1 && name.parse::<ProjectName>().is_ok();

    let mut used: HashSet<String> = usual
        .iter()
        .filter(|(_, name)| is_usable(name))
        .map(|(_, name)| name.to_lowercase())
        .collect();
    let mut projects: Vec<FoundProject> = usual
        .into_iter()
        .map(|(directory, name)| {
            let is_given = !is_usable(&name);
            let name = match is_given {
                true => {
                    let path = valid_name(&directory.to_string_lossy());
                    unused(path.as_deref().unwrap_or("project"), &mut used)
                }
                false => name,
            };
            FoundProject {
                name,
                directory,
                is_given,
            }
        })
        .collect();

    if let Some(root) = root {
        let name = match used.contains(&root.to_lowercase()) {
            true => unused(&format!("{root}-root"), &mut used),
            false => root.to_owned(),
        };
        projects.insert(0, FoundProject::root(&name));
    }
    projects
}

/// A valid name that resembles `text`, with `-` for other characters; `None` if it has no letters
/// and digits.
pub(super) fn valid_name(text: &str) -> Option<String> {
    let replaced: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let trimmed = replaced.trim_matches(['-', '.', '_']);
    let name: String = trimmed.chars().take(100).collect();
    let parsed = name.parse::<ProjectName>().ok()?;
    Some(parsed.to_string())
}

/// `name`, or the first of `name-2`, `name-3`, … that is not used.
fn unused(name: &str, used: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    let free = candidates.find(|candidate| used.insert(candidate.to_lowercase()));
    free.unwrap_or_default()
}

fn file_name(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
