//! Selects the projects of a command: by `--all`, by the name, glob or directory of `-p`, or by the
//! current directory.

use std::path::Path;

use super::project::Project;
use super::settings::Workspace;
use crate::config::problem::closest;
use crate::glob::{self, Glob};
use crate::paths::resolved;

/// Why no project is selected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelectError {
    /// No project has this name.
    #[error("there is no project `{}`", crate::paths::escaped(.name.as_bytes()))]
    Unknown {
        /// The unknown name.
        name: String,
        /// The closest name of a project, if one is similar.
        close: Option<String>,
        /// The names of all projects.
        known: Vec<String>,
    },
    /// The glob matches no project.
    #[error("no project matches `{}`", crate::paths::escaped(.pattern.as_bytes()))]
    NoMatch {
        /// The glob.
        pattern: String,
        /// The names of all projects.
        known: Vec<String>,
    },
    /// The glob is invalid, for this reason.
    #[error("{0}")]
    BadPattern(String),
    /// Neither an option nor the current directory selects a project.
    #[error("no project selected: the current directory is not inside a project")]
    Unclear {
        /// The names of all projects.
        known: Vec<String>,
    },
}

/// Selects projects, in the order of their names. Without `all` and `patterns`, it selects the
/// innermost project whose root contains `cwd`, or the only project of the workspace. A pattern such
/// as `.`, `./api` or `api/` is the root of a project.
///
/// ```
/// use fractary_codex::config::LoadRequest;
/// use fractary_codex::environment::Environment;
/// use fractary_codex::workspace::{self, SelectError, select};
///
/// # let root = tempfile::tempdir()?;
/// # std::fs::create_dir(root.path().join(".fractary"))?;
/// # let text = "codex: { organization: acme, codex_repo: codex, projects: { billing: {}, ledger: {} } }";
/// # std::fs::write(root.path().join(".fractary/config.yaml"), text)?;
/// # let cwd = root.path().to_owned();
/// let request = LoadRequest::new(cwd.clone(), Environment::default());
/// let (_, workspace) = workspace::load(&request).expect("no problems");
/// let selected = select(&workspace, false, &["bill*".to_owned()], &cwd).expect("one matches");
/// assert_eq!(selected[0].name.as_str(), "billing");
/// let unknown = select(&workspace, false, &["legder".to_owned()], &cwd);
/// assert!(matches!(unknown, Err(SelectError::Unknown { close: Some(close), .. }) if close == "ledger"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn select<'w>(
    workspace: &'w Workspace,
    all: bool,
    patterns: &[String],
    cwd: &Path,
) -> Result<Vec<&'w Project>, SelectError> {
    if all {
        return Ok(workspace.projects.iter().collect());
    }
    let known = || {
        workspace
            .projects
            .iter()
            .map(|project| project.name.to_string())
            .collect::<Vec<_>>()
    };
    if patterns.is_empty() {
        return match (innermost(workspace, cwd), workspace.projects.as_slice()) {
            (Some(project), _) | (None, [project]) => Ok(vec![project]),
            _ => Err(SelectError::Unclear { known: known() }),
        };
    }
    let mut selected = vec![false; workspace.projects.len()];
    for pattern in patterns {
        if is_directory(pattern) {
            let root = resolved(&cwd.join(pattern));
            let is_root = |project: &Project| resolved(&project.root) == root;
            let Some(index) = workspace.projects.iter().position(is_root) else {
                return Err(SelectError::Unknown {
                    name: pattern.clone(),
                    close: innermost(workspace, &root).map(|project| project.name.to_string()),
                    known: known(),
                });
            };
            selected[index] = true;
            continue;
        }
        let is_glob = glob::is_pattern(pattern);
        let glob = if is_glob {
            let compiled = Glob::new(pattern);
            Some(compiled.map_err(|error| SelectError::BadPattern(error.to_string()))?)
        } else {
            None
        };
        let mut any = false;
        for (project, selected) in workspace.projects.iter().zip(&mut selected) {
            let name = project.name.as_str();
            if glob
                .as_ref()
                .map_or(name == pattern, |glob| glob.matches(name.as_bytes()))
            {
                *selected = true;
                any = true;
            }
        }
        if !any {
            let known = known();
            let pattern = pattern.clone();
            return Err(if is_glob {
                SelectError::NoMatch { pattern, known }
            } else {
                let close = closest(&pattern, known.iter().map(String::as_str)).map(str::to_owned);
                SelectError::Unknown {
                    name: pattern,
                    close,
                    known,
                }
            });
        }
    }
    Ok(workspace
        .projects
        .iter()
        .zip(selected)
        .filter_map(|(project, selected)| selected.then_some(project))
        .collect())
}

/// Whether a selection has the form of a directory, which no name of a project has.
fn is_directory(pattern: &str) -> bool {
    let starts = ["./", "../", "/"];
    matches!(pattern, "." | "..")
        || starts.iter().any(|start| pattern.starts_with(start))
        || pattern.ends_with('/')
}

fn innermost<'w>(workspace: &'w Workspace, cwd: &Path) -> Option<&'w Project> {
    // Links are resolved, because the current directory can be entered through one, and a root can
    // be one.
    let cwd = resolved(cwd);
    let holding = workspace.projects.iter().filter_map(|project| {
        let root = resolved(&project.root);
        cwd.starts_with(&root)
            .then(|| (root.components().count(), project))
    });
    holding
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, project)| project)
}
