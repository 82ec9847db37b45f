//! Collects what the resolution of a workspace reports.

use rayon::prelude::*;

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

    /// Calls `resolve` for each item, in parallel. The results and the findings are in the order of the
    /// items.
    pub(super) fn of_each<T: Sync, R: Send>(
        &mut self,
        items: &[T],
        resolve: impl Fn(&T, &mut Self) -> R + Sync,
    ) -> Vec<R> {
        let each = items.par_iter().map(|item| {
            let mut findings = Self::default();
            let result = resolve(item, &mut findings);
            (result, findings)
        });
        let each: Vec<_> = each.collect();
        let add = |(result, findings): (R, Self)| {
            self.errors.extend(findings.errors);
            self.missing.extend(findings.missing);
            self.warnings.extend(findings.warnings);
            result
        };
        each.into_iter().map(add).collect()
    }

    pub(super) fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }
}
