//! The stage between plan and commit: checks the files that a plan adds or modifies, and withholds
//! the projects that must not be published because of a finding.
//!
//! A dry run is checked like any other run. The checked contents are those that are pushed: a file
//! is read in the same way as for the push, and a file whose contents are not those of the scan
//! fails its project.
//! The results are remembered for the rest of the run, so that a retry, which plans again, reads no
//! file twice. Without a change, nothing is read.
//!
//! [`check`] works in this order, and another one is added at its place:
//!
//! 1. A guard on a project that needs no contents, such as its branch or its uncommitted changes,
//!    replaces [`Decision::Ready`] by [`Decision::Withheld`] before any file is read.
//! 2. Checks of single files: [`checks::check_file`](crate::checks::check_file).
//! 3. Checks that need the whole plan, such as links between files. They add their findings to those
//!    of the files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bstr::{BStr, BString, ByteSlice};
use rayon::prelude::*;

use super::scan::Scanned;
use crate::checks::{FileToCheck, Finding, Severity, check_file};
use crate::event::{Counter, Event, Stage};
use crate::interrupt::Interrupted;
use crate::object::{Mode, ObjectId};
use crate::plan::{Decision, Withheld};
use crate::platform::{bytes_of, path_of};
use crate::scan::{ScanError, SourceFile};
use crate::sync::request::SyncRequest;
use crate::sync::source_roots::SourceRoots;

/// The results of the checks of a run.
#[derive(Default)]
pub(super) struct CheckResults {
    /// The findings of every file that was checked.
    files: HashMap<FileVersion, Vec<Finding>>,
    /// The findings of each project, by index, in its last plan with changes.
    pub(super) projects: BTreeMap<usize, Vec<Finding>>,
}

/// A file with certain contents.
#[derive(PartialEq, Eq, Hash)]
struct FileVersion {
    /// The index of the project.
    project: usize,
    /// The path below the project's `to`.
    path: BString,
    /// The id of the contents.
    id: ObjectId,
}

/// Checks the files of a plan, and withholds projects by their findings. A project whose files can
/// no longer be read is moved from `decisions`, which are by index, to those that failed.
#[tracing::instrument(level = "debug", name = "check", skip_all)]
pub(super) fn check(
    request: &SyncRequest<'_>,
    scanned: &mut Scanned,
    results: &mut CheckResults,
    decisions: &mut BTreeMap<usize, Decision>,
) -> Result<(), Interrupted> {
    if !request.checks {
        return Ok(());
    }

    for (index, error) in check_files(request, decisions, results)? {
        decisions.remove(&index);
        scanned.failed.entry(index).or_insert(error);
    }
    for (index, decision) in decisions {
        let Decision::Ready(plan) = decision else {
            continue;
        };
        let found = plan.changes.iter().filter_map(|change| {
            let file = change.op.file()?;
            results.files.get(&version(*index, &change.path, file))
        });
        let findings: Vec<_> = found.flatten().cloned().collect();
        if let Some(reason) = reason_to_withhold(&findings) {
            *decision = Decision::Withheld(std::mem::take(plan), reason);
        }
        results.projects.insert(*index, findings);
    }
    Ok(())
}

/// Checks the files of all projects that are ready, unless they were checked before. Returns the
/// projects whose files could not be read, each with the error of the first one.
fn check_files(
    request: &SyncRequest<'_>,
    decisions: &BTreeMap<usize, Decision>,
    results: &mut CheckResults,
) -> Result<BTreeMap<usize, ScanError>, Interrupted> {
    let pending: Vec<_> = decisions
        .iter()
        .filter_map(|(index, decision)| match decision {
            Decision::Ready(plan) => Some((*index, plan)),
            _ => None,
        })
        .filter(|(index, _)| request.projects[*index].checks.read_files())
        .flat_map(|(index, plan)| {
            let files = plan.changes.iter();
            files.filter_map(move |change| Some((index, &change.path, change.op.file()?)))
        })
        .filter(|(.., file)| file.mode != Mode::Link)
        .map(|(index, path, file)| (version(index, path, file), file))
        .filter(|(version, _)| !results.files.contains_key(version))
        .collect();
    if pending.is_empty() {
        return Ok(BTreeMap::new());
    }

    let stage = Stage::Check;
    request.reporter.event(&Event::Started { stage });
    let counter = Counter::new(request.reporter.as_ref(), stage, Some(pending.len()));
    let roots = SourceRoots::new(&request.projects);
    let checked: Vec<_> = pending
        .into_par_iter()
        .map(|(version, file)| {
            let result = check_version(request, &roots, &version, file);
            counter.file();
            (version, result)
        })
        .collect();
    request.reporter.event(&Event::Finished { stage });

    let mut failed = BTreeMap::new();
    for (version, result) in checked {
        match result {
            Ok(findings) => {
                results.files.insert(version, findings);
            }
            Err(ScanError::Interrupted(interrupted)) => return Err(interrupted),
            Err(error) => {
                failed.entry(version.project).or_insert(error);
            }
        }
    }
    Ok(failed)
}

/// Reads a file and checks it.
fn check_version(
    request: &SyncRequest<'_>,
    roots: &SourceRoots<'_>,
    version: &FileVersion,
    file: &SourceFile,
) -> Result<Vec<Finding>, ScanError> {
    request.interrupt.check()?;
    let contents = roots.get(version.project)?.contents(file)?;
    let project = request.projects[version.project];
    let path = project.to.join(version.path.as_bstr());
    let on_disk = project.root.join(path_of(file.source.as_bstr()));
    let in_workspace = on_disk.strip_prefix(&request.workspace.root);
    let file = FileToCheck {
        path: path.as_bstr(),
        source: file.source.as_bstr(),
        file: BStr::new(bytes_of(in_workspace.unwrap_or(&on_disk))),
        contents: &contents,
    };
    Ok(check_file(file, &project.checks))
}

fn version(project: usize, path: &BString, file: &SourceFile) -> FileVersion {
    FileVersion {
        project,
        path: path.clone(),
        id: file.id,
    }
}

/// The reason to withhold a project with these findings, if there is one.
fn reason_to_withhold(findings: &[Finding]) -> Option<Withheld> {
    let withholding = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Withhold);
    let checks: BTreeSet<_> = withholding.clone().map(|one| one.check.key()).collect();
    (!checks.is_empty()).then(|| Withheld::Findings {
        count: withholding.count(),
        checks,
    })
}
