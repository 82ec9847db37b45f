//! Errors before a run: of the configuration, of the selection of projects, and of the former directory
//! of a project.

use super::wording::{MAX_LISTED, listed};
use crate::config::problem::Problems;
use crate::report::ErrorReport;
use crate::report::issue::{Issue, IssueSeverity};
use crate::sync::FormerDirectoryError;
use crate::sync::changed_since::ChangedSinceError;
use crate::text::pluralize;
use crate::workspace::SelectError;

/// Reports the errors of a configuration. A single error is the message itself; of several, each
/// one is a cause.
pub(in crate::cli) fn of_configuration(problems: &Problems) -> ErrorReport {
    let issues: Box<[Issue]> = problems
        .iter()
        .map(|problem| Issue::new(problem, IssueSeverity::Error).with_source(problem))
        .collect();
    if let [issue] = &*issues {
        return ErrorReport {
            kind: "configuration".into(),
            message: issue.text.clone(),
            hints: issue.hint.iter().cloned().collect(),
            causes: Vec::new(),
            issues,
        };
    }

    let causes = issues.iter().map(|issue| match &issue.hint {
        Some(hint) => format!("{} ({hint})", issue.text),
        None => issue.text.clone(),
    });
    ErrorReport {
        kind: "configuration".into(),
        message: pluralize(problems.total(), "configuration error"),
        hints: Vec::new(),
        causes: causes.collect(),
        issues,
    }
}

/// Reports that no projects could be selected.
pub(in crate::cli) fn of_selection(error: &SelectError) -> ErrorReport {
    let hints = match error {
        SelectError::Unknown {
            close: Some(close), ..
        } => vec![format!("did you mean `{close}`?")],
        SelectError::Unknown { known, .. } | SelectError::NoMatch { known, .. } => {
            vec![known_projects(known)]
        }
        SelectError::BadPattern(_) => Vec::new(),
        SelectError::Unclear { known } => vec![
            "select projects with `-p NAME`, or use `--all`".to_owned(),
            known_projects(known),
        ],
    };
    ErrorReport {
        kind: "usage".into(),
        message: error.to_string(),
        hints,
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// Reports why the changed projects cannot be selected.
pub(in crate::cli) fn of_changed_since(error: &ChangedSinceError) -> ErrorReport {
    let hint = match error {
        ChangedSinceError::UnknownRevision { .. } => {
            "fetch the revision, or use another one, e.g. `--changed-since origin/main`".to_owned()
        }
        ChangedSinceError::Shallow { hint, .. } => {
            format!("clone more commits: {hint}")
        }
        ChangedSinceError::NoBuild => {
            "name a revision, e.g. `--changed-since origin/main`".to_owned()
        }
    };
    ErrorReport {
        kind: "usage".into(),
        message: error.to_string(),
        hints: vec![hint],
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

fn known_projects(names: &[String]) -> String {
    format!("the projects are {}", listed(names, MAX_LISTED))
}

/// Reports that a project cannot be retired or renamed.
pub(in crate::cli) fn of_former_directory(error: &FormerDirectoryError) -> ErrorReport {
    let hint = match error {
        FormerDirectoryError::StillConfigured { .. } => {
            "remove it from the configuration, or rename it there, before you run this command"
        }
        FormerDirectoryError::Overlaps { .. } | FormerDirectoryError::Nested { .. } => {
            "give the former directory of the project with `--directory DIR`"
        }
        FormerDirectoryError::Ambiguous { .. } => "select one of them with `--directory DIR`",
    };
    ErrorReport {
        kind: "usage".into(),
        message: error.to_string(),
        hints: vec![hint.to_owned()],
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}
