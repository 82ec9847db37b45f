//! Which projects a command is about: `--all`, `-p NAME-OR-GLOB`, or the one that the current directory is in.

use std::path::Path;

use crate::config::problem::closest;
use crate::glob::{self, Glob};
use crate::paths::resolved;
use crate::workspace::{Project, Workspace};

/// Why no projects could be selected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectError {
    /// A name that no project has.
    #[error("there is no project `{}`", crate::paths::escaped(.name.as_bytes()))]
    Unknown {
        /// As given.
        name: String,
        /// The name that was probably meant.
        close: Option<String>,
        /// The names there are.
        known: Vec<String>,
    },
    /// A glob that matches none.
    #[error("no project matches `{}`", crate::paths::escaped(.pattern.as_bytes()))]
    NoMatch {
        /// As given.
        pattern: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A glob that is none.
    #[error("{0}")]
    BadPattern(String),
    /// Nothing was said, and the current directory does not decide.
    #[error("which project? There are {}, and the current directory is in none of them", .known.len())]
    Unclear {
        /// The names there are.
        known: Vec<String>,
    },
}

/// Selects projects, in name order, each once. Without `all` and `patterns`: the innermost project whose root holds
/// `cwd`, or the only one there is.
///
/// ```
/// use fractary_codex::config::LoadRequest;
/// use fractary_codex::workspace::{self, SelectError, select};
///
/// # let root = tempfile::tempdir()?;
/// # std::fs::create_dir(root.path().join(".fractary"))?;
/// # let text = "codex: { organization: acme, codex_repo: codex, projects: { billing: {}, ledger: {} } }";
/// # std::fs::write(root.path().join(".fractary/config.yaml"), text)?;
/// # let cwd = root.path().to_owned();
/// let request = LoadRequest { cwd: cwd.clone(), ..LoadRequest::default() };
/// let (_, workspace) = workspace::load(&request).expect("no mistakes");
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

fn innermost<'w>(workspace: &'w Workspace, cwd: &Path) -> Option<&'w Project> {
    // The current directory may have been reached through a link, or a root may be one.
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
