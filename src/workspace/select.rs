//! Which projects a command is about.

use std::path::Path;

use super::mapping::glob;
use super::{Project, Workspace};
use crate::config::problem::closest;
use crate::paths::escaped;

/// Why no project was chosen: always a matter of usage.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectError {
    /// A name that is none.
    #[error("there is no project `{}`", escaped(name.as_bytes()))]
    Unknown {
        /// As typed.
        name: String,
        /// One that may be meant.
        close: Option<String>,
        /// All there are.
        known: Vec<String>,
    },
    /// A glob without a match.
    #[error("no project matches `{}`", escaped(pattern.as_bytes()))]
    NoMatch {
        /// As typed.
        pattern: String,
        /// All there are.
        known: Vec<String>,
    },
    /// A glob that is none.
    #[error("{0}")]
    BadPattern(String),
    /// Nothing said, and it is not clear.
    #[error("which project? There are {}, and the current directory is in none of them", known.len())]
    Unclear {
        /// All there are.
        known: Vec<String>,
    },
}

/// The chosen projects in name order: all, those that `patterns` name, else the one around `directory`, else the only one.
pub fn select<'w>(
    workspace: &'w Workspace,
    all: bool,
    patterns: &[String],
    directory: &Path,
) -> Result<Vec<&'w Project>, SelectError> {
    let projects = &workspace.projects;
    let known = || projects.iter().map(|project| project.name.to_string()).collect::<Vec<_>>();
    if all {
        return Ok(projects.iter().collect());
    }
    if patterns.is_empty() {
        let around = projects.iter().filter(|project| directory.starts_with(&project.root));
        return match (around.max_by_key(|project| project.root.components().count()), projects.as_slice()) {
            (Some(project), _) | (None, [project]) => Ok(vec![project]),
            _ => Err(SelectError::Unclear { known: known() }),
        };
    }
    let mut chosen = vec![false; projects.len()];
    for pattern in patterns {
        let is_glob = pattern.contains(['*', '?', '[', '{']);
        let matcher = glob(pattern).map_err(|error| SelectError::BadPattern(error.to_string()))?.compile_matcher();
        let mut matched = false;
        for (project, chosen) in projects.iter().zip(&mut chosen) {
            let hit = if is_glob { matcher.is_match(project.name.as_str()) } else { project.name.as_str() == pattern };
            *chosen |= hit;
            matched |= hit;
        }
        if !matched && is_glob {
            return Err(SelectError::NoMatch { pattern: pattern.clone(), known: known() });
        }
        if !matched {
            let close = closest(pattern, projects.iter().map(|project| project.name.as_str())).map(str::to_owned);
            return Err(SelectError::Unknown { name: pattern.clone(), close, known: known() });
        }
    }
    Ok(projects.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(project, _)| project).collect())
}
