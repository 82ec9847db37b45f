//! The files that a run checks.

use std::collections::BTreeMap;

use bstr::BString;

use super::scan::Scanned;
use crate::checks::{CheckScope, Finding, Severity};
use crate::plan::{Decision, Op};
use crate::scan::SourceFile;

/// A file that a run checks.
#[derive(Clone, Copy)]
pub(super) struct CheckedFile<'p> {
    /// The index of the project.
    pub(super) project: usize,
    /// The path below the project's `to`.
    pub(super) path: &'p BString,
    pub(super) file: &'p SourceFile,
    /// The change that the plan makes to the file, if it makes one.
    pub(super) change: Option<&'p Op>,
}

/// The files to check of each project whose files are checked, by index and in path order.
pub(super) fn checked_files<'p>(
    scope: CheckScope,
    scanned: &'p Scanned,
    decisions: &'p BTreeMap<usize, Decision>,
) -> BTreeMap<usize, Vec<CheckedFile<'p>>> {
    let of_project = |(index, decision): (&usize, &'p Decision)| {
        let files = match (scope, decision) {
            (CheckScope::ChangedFiles, Decision::Ready(_)) => changed_files(*index, decision),
            (CheckScope::AllFiles, _) => all_files(*index, scanned, decision),
            (CheckScope::Nothing | CheckScope::ChangedFiles, _) => return None,
        };
        Some((*index, files))
    };
    decisions.iter().filter_map(of_project).collect()
}

/// The files that a plan adds or modifies.
fn changed_files(project: usize, decision: &Decision) -> Vec<CheckedFile<'_>> {
    let changes = decision.plan().changes.iter();
    let files = changes.filter_map(|change| {
        Some(CheckedFile {
            project,
            path: &change.path,
            file: change.op.file()?,
            change: Some(&change.op),
        })
    });
    files.collect()
}

/// All files of a project.
fn all_files<'p>(
    project: usize,
    scanned: &'p Scanned,
    decision: &'p Decision,
) -> Vec<CheckedFile<'p>> {
    let changes = &decision.plan().changes;
    let files = scanned.snapshots[project].files.iter();
    let files = files.map(|(path, file)| {
        let change = changes.binary_search_by(|change| change.path.cmp(path));
        CheckedFile {
            project,
            path,
            file,
            change: change.ok().map(|at| &changes[at].op),
        }
    });
    files.collect()
}

impl CheckedFile<'_> {
    /// The findings in the file. The codex has a file that does not change already, so nothing is
    /// withheld because of it.
    pub(super) fn findings(&self, findings: Vec<Finding>) -> Vec<Finding> {
        match self.change {
            Some(_) => findings,
            None => as_warnings(findings),
        }
    }

    /// The findings about the path of the file, which only withhold a file that is new.
    pub(super) fn path_findings(&self, findings: Vec<Finding>) -> Vec<Finding> {
        match self.change {
            Some(Op::Added(_)) => findings,
            _ => as_warnings(findings),
        }
    }
}

fn as_warnings(mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut findings {
        finding.severity = Severity::Warn;
    }
    findings
}
