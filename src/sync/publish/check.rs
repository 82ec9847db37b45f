//! The stage between plan and commit: checks the files that a plan adds or modifies, and withholds
//! the projects that must not be published because of a finding. [`CheckScope`] can widen it to all
//! files of the projects, or turn it off.
//!
//! A dry run is checked like any other run. The checked contents are those that are pushed: a file
//! is read in the same way as for the push, and a file whose contents are not those of the scan
//! fails its project.
//!
//! The results are remembered for the rest of the run, so that a retry, which plans again, only
//! reads files with broken links again. Without a file to check, nothing is read.
//!
//! [`check`] works in this order, and another one is added at its place:
//!
//! 1. A guard on a project that needs no contents replaces [`Decision::Ready`] by
//!    [`Decision::Withheld`] before any file is read: those on its sources are in
//!    [`source_guards`](super::source_guards). `--no-checks` does not turn them off.
//! 2. Checks of single files: [`checks::check_file`](crate::checks::check_file).
//! 3. Checks that need the whole plan, such as links between files. They add their findings to those
//!    of the files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bstr::{BString, ByteSlice};
use rayon::prelude::*;

use super::checked_file::{CheckedFile, checked_files};
use super::documents::Documents;
use super::link_check::{checks_links, files_with_broken_links};
use super::planned_codex::{CodexTrees, PlanInProgress};
use super::scan::Scanned;
use super::source_guards::GuardResults;
use crate::checks::links::DocumentKind;
use crate::checks::{
    CheckScope, CheckSettings, ContentCheck, FileToCheck, Finding, FoldedPaths, Severity, as_utf8,
    check_file, collision_findings, link_findings,
};
use crate::event::{Counter, Event, Stage};
use crate::interrupt::Interrupted;
use crate::object::{Mode, ObjectId};
use crate::plan::{Decision, Listing, Op, OtherDirectory, Withheld};
use crate::platform::{bytes_of, path_of};
use crate::scan::ScanError;
use crate::sync::orphans::recorded_directories;
use crate::sync::request::SyncRequest;
use crate::sync::sources::SourceContents;

/// The results of the checks of a run.
#[derive(Default)]
pub(super) struct CheckResults {
    /// The results of the guards on the state of the sources.
    pub(super) guards: GuardResults,
    /// The findings of every file that was checked.
    files: HashMap<FileVersion, Vec<Finding>>,
    /// The parsed files, for the check of links.
    documents: Documents,
    /// The findings of each project, by index, in the last plan in which it was checked.
    pub(super) projects: BTreeMap<usize, Vec<Finding>>,
    /// The directories of the codex that collide with those of projects, by index.
    other_directories: BTreeMap<usize, OtherDirectory>,
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

impl FileVersion {
    fn of(one: &CheckedFile<'_>) -> Self {
        Self {
            project: one.project,
            path: one.path.clone(),
            id: one.file.id,
        }
    }
}

/// Checks the files of projects, and withholds projects by their findings. A project whose files can
/// no longer be read is moved from `decisions`, which are by index, to those that failed. `listings`
/// are the files of the projects in the codex, and `trees` is the rest of it.
#[tracing::instrument(level = "debug", name = "check", skip_all, fields(projects = decisions.len()))]
pub(super) fn check(
    request: &SyncRequest<'_>,
    scanned: &mut Scanned,
    results: &mut CheckResults,
    decisions: &mut BTreeMap<usize, Decision>,
    listings: &BTreeMap<usize, Listing>,
    trees: Option<&CodexTrees<'_>>,
) -> Result<(), Interrupted> {
    results.guards.guard(request, decisions);
    if request.checks == CheckScope::Nothing {
        return Ok(());
    }

    let sources = SourceContents::new(&request.sources, &request.projects);
    let files = checked_files(request.checks, scanned, decisions);
    let failed = check_files(request, &sources, &files, results)?;
    move_to_failed(scanned, decisions, failed);
    let files = checked_files(request.checks, scanned, decisions);
    for (index, files) in &files {
        let found = files.iter().flat_map(|one| {
            let findings = results.files.get(&FileVersion::of(one));
            one.findings(findings.cloned().unwrap_or_default())
        });
        results.projects.insert(*index, found.collect());
    }
    check_paths(request, &files, (decisions, listings), trees, results);
    for (index, decision) in &mut *decisions {
        if let Some(findings) = results.projects.get(index) {
            let other_directory = results.other_directories.get(index);
            withhold(decision, findings, other_directory);
        }
    }

    // Links into the new files of a project that is withheld are broken, so the links of the other
    // projects are checked again.
    loop {
        let plan = PlanInProgress {
            request,
            scanned,
            sources: &sources,
            documents: &results.documents,
            decisions,
            listings,
        };
        let (mut found, failed) = check_links(plan, trees)?;
        let mut is_any_withheld = !failed.is_empty();
        move_to_failed(scanned, decisions, failed);
        for (index, decision) in &mut *decisions {
            if !checks_links(request.checks, decision) {
                continue;
            }
            let findings = results.projects.entry(*index).or_default();
            findings.retain(|finding| finding.check != ContentCheck::Links);
            findings.extend(found.remove(index).unwrap_or_default());
            is_any_withheld |= withhold(decision, findings, None);
        }
        if !is_any_withheld {
            break;
        }
    }
    for findings in results.projects.values_mut() {
        findings.sort_by(|a, b| (&a.path, a.line, a.column).cmp(&(&b.path, b.line, b.column)));
    }
    Ok(())
}

/// Adds the findings about the paths of files to those of their projects. The path of a file that
/// the plan modifies does not change, so it is only checked if all files are. Without `trees`, only
/// the files of the planned projects in the codex are known.
fn check_paths(
    request: &SyncRequest<'_>,
    files: &BTreeMap<usize, Vec<CheckedFile<'_>>>,
    plan: (&BTreeMap<usize, Decision>, &BTreeMap<usize, Listing>),
    trees: Option<&CodexTrees<'_>>,
    results: &mut CheckResults,
) {
    let has_new_path = |one: &&CheckedFile<'_>| {
        request.checks == CheckScope::AllFiles || matches!(one.change, Some(Op::Added(_)))
    };
    let checked: Vec<_> = files
        .iter()
        .filter(|(index, files)| {
            let checks = &request.projects[**index].checks;
            checks.is_enabled(ContentCheck::CaseCollisions)
                && files.iter().any(|one| has_new_path(&one))
        })
        .collect();
    if checked.is_empty() {
        return;
    }

    let directories = checked
        .iter()
        .map(|(index, _)| (**index, &request.projects[**index].to));
    let others = trees.map(|trees| trees.other_spellings(directories));
    // What cannot be read is not known.
    let others = others.and_then(Result::ok).unwrap_or_default();
    let is_any_other = others.values().any(|files| !files.is_empty());
    let left = is_any_other.then(|| recorded_directories(request));
    let (decisions, listings) = plan;
    for (index, files) in checked {
        let project = request.projects[*index];
        let other_directory = others.get(index).and_then(|files| {
            let path = project.to.same_level_above(files.first()?.as_bstr())?;
            let left_by = left.as_ref().and_then(|left| left.get(&path)).cloned();
            Some(OtherDirectory { path, left_by })
        });
        let other_directory = other_directory.map(|directory| (*index, directory));
        results.other_directories.extend(other_directory);
        let after = decisions[index].plan().apply_to(&listings[index]);
        let entries = after.entries.iter();
        let entries = entries.filter(|(_, entry)| entry.mode != Mode::Directory);
        let own: Vec<_> = entries
            .map(|(path, _)| project.to.join(path.as_bstr()))
            .collect();
        let paths = own.iter().chain(others.get(index).into_iter().flatten());
        let folded: FoldedPaths<'_> = paths.map(|path| path.as_bstr()).collect();
        let found = files.iter().filter(has_new_path).flat_map(|one| {
            let findings = with_path(request, one, b"", |file| {
                collision_findings(file, &folded, &project.checks)
            });
            one.path_findings(findings)
        });
        results.projects.entry(*index).or_default().extend(found);
    }
}

/// Moves projects whose files could not be read to those that failed.
fn move_to_failed(
    scanned: &mut Scanned,
    decisions: &mut BTreeMap<usize, Decision>,
    failed: BTreeMap<usize, ScanError>,
) {
    for (index, error) in failed {
        decisions.remove(&index);
        scanned.failed.entry(index).or_insert(error);
    }
}

/// Withholds a project with these findings, if there is a reason. Returns whether there is one.
fn withhold(
    decision: &mut Decision,
    findings: &[Finding],
    other_directory: Option<&OtherDirectory>,
) -> bool {
    if !matches!(decision, Decision::Ready(_)) {
        return false;
    }
    let Some(reason) = reason_to_withhold(findings, other_directory) else {
        return false;
    };
    decision.withhold(reason);
    true
}

/// The findings of the check of links, and the projects whose files could not be read, by index.
type LinkFindings = (BTreeMap<usize, Vec<Finding>>, BTreeMap<usize, ScanError>);

/// Checks the links of the projects that are not withheld. Files with broken links are read again,
/// for the positions of the links.
fn check_links(
    plan: PlanInProgress<'_>,
    trees: Option<&CodexTrees<'_>>,
) -> Result<LinkFindings, Interrupted> {
    let PlanInProgress {
        request, sources, ..
    } = plan;
    let files = files_with_broken_links(plan, trees)?;
    let read: Vec<_> = files
        .par_iter()
        .map(|one| {
            let findings = with_file(request, sources, &one.checked, |file, settings| {
                link_findings(file, &one.broken, settings)
            });
            let findings = findings.map(|findings| one.checked.findings(findings));
            (one.checked.project, findings)
        })
        .collect();

    let (mut found, mut failed) = LinkFindings::default();
    for (index, result) in read {
        match result {
            Ok(findings) => found.entry(index).or_default().extend(findings),
            Err(ScanError::Interrupted(interrupted)) => return Err(interrupted),
            Err(error) => {
                failed.entry(index).or_insert(error);
            }
        }
    }
    Ok((found, failed))
}

/// Checks the contents of files that were not checked before. Returns the projects whose files could
/// not be read, each with the error of the first one.
fn check_files(
    request: &SyncRequest<'_>,
    sources: &SourceContents<'_>,
    files: &BTreeMap<usize, Vec<CheckedFile<'_>>>,
    results: &mut CheckResults,
) -> Result<BTreeMap<usize, ScanError>, Interrupted> {
    let pending: Vec<_> = files
        .iter()
        .filter(|(index, _)| request.projects[**index].checks.needs_contents())
        .flat_map(|(_, files)| files)
        .filter(|one| one.file.mode != Mode::Link)
        .map(|one| (FileVersion::of(one), one))
        .filter(|(version, _)| !results.files.contains_key(version))
        .collect();
    if pending.is_empty() {
        return Ok(BTreeMap::new());
    }

    let stage = Stage::Check;
    request.reporter.event(&Event::Started { stage });
    let counter = Counter::new(request.reporter.as_ref(), stage, Some(pending.len()));
    let documents = &results.documents;
    let checked: Vec<_> = pending
        .into_par_iter()
        .map(|(version, one)| {
            let result = with_file(request, sources, one, |file, settings| {
                parse(documents, version.id, file, settings);
                check_file(file, settings)
            });
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

/// Parses a file for the check of links, if that is enabled.
fn parse(documents: &Documents, id: ObjectId, file: FileToCheck<'_>, settings: &CheckSettings) {
    if settings.is_enabled(ContentCheck::Links)
        && let Some(kind) = DocumentKind::of(file.path)
    {
        documents.add(id, kind, file.contents);
    }
}

/// Reads a file and passes it to `check` with the settings of its project.
fn with_file(
    request: &SyncRequest<'_>,
    sources: &SourceContents<'_>,
    one: &CheckedFile<'_>,
    check: impl FnOnce(FileToCheck<'_>, &CheckSettings) -> Vec<Finding>,
) -> Result<Vec<Finding>, ScanError> {
    request.interrupt.check()?;
    let contents = sources.read(one.project, one.file)?;
    let settings = &request.projects[one.project].checks;
    let check = |file: FileToCheck<'_>| check(file, settings);
    Ok(with_path(request, one, &contents, check))
}

/// Passes a file with these contents to `check`.
fn with_path(
    request: &SyncRequest<'_>,
    one: &CheckedFile<'_>,
    contents: &[u8],
    check: impl FnOnce(FileToCheck<'_>) -> Vec<Finding>,
) -> Vec<Finding> {
    let project = request.projects[one.project];
    let path = project.to.join(one.path.as_bstr());
    let on_disk = project.root.join(path_of(one.file.source.as_bstr()));
    let in_workspace = on_disk.strip_prefix(&request.workspace.root);
    let file = bytes_of(in_workspace.unwrap_or(&on_disk));
    let text = as_utf8(contents);
    check(FileToCheck {
        path: path.as_bstr(),
        source: one.file.source.as_bstr(),
        file: &file,
        contents: &text,
        size: one.file.size,
    })
}

/// The reason to withhold a project with these findings, if there is one. `other_directory` is the one
/// that its new files collide with.
fn reason_to_withhold(
    findings: &[Finding],
    other_directory: Option<&OtherDirectory>,
) -> Option<Withheld> {
    let withholding = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Withhold);
    let checks: BTreeSet<_> = withholding.clone().map(|one| one.check.key()).collect();
    let collides = checks.contains(ContentCheck::CaseCollisions.key());
    (!checks.is_empty()).then(|| Withheld::Findings {
        count: withholding.count(),
        checks,
        other_directory: other_directory.filter(|_| collides).cloned(),
    })
}
