//! Collects what the resolution of a workspace reports.

use crate::config::{Configuration, Problem};

/// The errors and warnings of a resolution.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<Problem>,
    /// The errors about required keys that are not set.
    pub(super) missing: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Findings {
    pub(super) fn error(&mut self, problem: Problem) {
        self.errors.push(problem);
    }

    /// Adds the error that a required key is not set. Its location is the workspace's file, if
    /// there is one.
    pub(super) fn missing(&mut self, configuration: &Configuration, problem: Problem) {
        let file = configuration.file_origin();
        self.missing.push(problem.maybe_at(file.as_ref()));
    }

    pub(super) fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }
}
