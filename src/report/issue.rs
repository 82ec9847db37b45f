//! An error or a warning about the configuration, with its position as fields.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::source_line::SourceLine;
use crate::config::{Location, Problem};

/// An error or a warning about the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Issue {
    /// The key; `null` if the issue is not about a single one.
    pub field: Option<String>,
    /// The message.
    pub message: String,
    /// Whether it is an error.
    pub severity: IssueSeverity,
    /// The file; `null` if the issue is not about a file.
    pub file: Option<String>,
    /// The line in the file, counted from 1.
    pub line: Option<u32>,
    /// The column in the line, counted from 1.
    pub column: Option<u32>,
    /// A way to fix it.
    pub hint: Option<String>,
    /// The location and the message, for people.
    #[serde(skip)]
    pub text: String,
    /// The line of the file, for people.
    #[serde(skip)]
    pub source: Option<SourceLine>,
}

/// The severity of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IssueSeverity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used.
    Warning,
}

impl Issue {
    pub(crate) fn new(problem: &Problem, severity: IssueSeverity) -> Self {
        let origin = problem.origin.as_ref();
        let in_file = |number: u32| (number > 0).then_some(number);
        Self {
            field: problem.key.clone(),
            message: problem.message.clone(),
            severity,
            file: origin.and_then(|origin| match &origin.source.location {
                Location::File(path) => Some(crate::paths::shown(path).to_string()),
                _ => None,
            }),
            line: origin.and_then(|origin| in_file(origin.line)),
            column: origin.and_then(|origin| in_file(origin.column)),
            hint: problem.hint.clone(),
            text: problem.to_string(),
            source: None,
        }
    }

    /// Adds the line of the file that the issue is about.
    pub(crate) fn with_source(mut self, problem: &Problem) -> Self {
        let origin = problem.origin.as_ref().filter(|_| !problem.hides_line);
        self.source = origin.and_then(SourceLine::read);
        self
    }
}
