//! The check of links in the files that a run checks.

use std::collections::BTreeSet;
use std::sync::Arc;

use bstr::{BString, ByteSlice};
use rayon::prelude::*;

use super::checked_file::{CheckedFile, checked_files};
use super::planned_codex::{CodexTrees, PlanInProgress, PlannedCodex};
use crate::checks::links::{BrokenLink, Document, DocumentKind, broken_links};
use crate::checks::{CheckScope, ContentCheck};
use crate::interrupt::Interrupted;
use crate::plan::Decision;

/// A file with broken links.
pub(super) struct FileWithBrokenLinks<'p> {
    pub(super) checked: CheckedFile<'p>,
    pub(super) broken: Vec<BrokenLink>,
}

/// Whether the links of a project are checked, if it enables that. The new files of a project that is
/// withheld are not in the codex, so links between them would be reported as broken.
pub(super) fn checks_links(scope: CheckScope, decision: &Decision) -> bool {
    match decision {
        Decision::Ready(_) => true,
        Decision::UpToDate(_) => scope == CheckScope::AllFiles,
        Decision::Withheld(..) => false,
    }
}

/// Checks the links in files. `trees` is the rest of the codex; `None` if it was not fetched.
pub(super) fn files_with_broken_links<'p>(
    plan: PlanInProgress<'p>,
    trees: Option<&CodexTrees<'_>>,
) -> Result<Vec<FileWithBrokenLinks<'p>>, Interrupted> {
    let files = linking_files(plan);
    if files.is_empty() {
        return Ok(Vec::new());
    }

    let mut codex = PlannedCodex::new(plan);
    if let Some(trees) = trees {
        codex.look_outside(paths_outside(&files, &codex), trees);
    }
    files
        .into_par_iter()
        .map(|one| {
            plan.request.interrupt.check()?;
            Ok(FileWithBrokenLinks {
                checked: one.checked,
                broken: broken_links(one.codex_path.as_bstr(), &one.document, &codex),
            })
        })
        .filter(|result| !matches!(result, Ok(one) if one.broken.is_empty()))
        .collect()
}

/// A file with links.
struct LinkingFile<'p> {
    checked: CheckedFile<'p>,
    /// The path in the codex.
    codex_path: BString,
    document: Arc<Document>,
}

/// The files with links whose links are checked.
fn linking_files(plan: PlanInProgress<'_>) -> Vec<LinkingFile<'_>> {
    let scope = plan.request.checks;
    let files = checked_files(scope, plan.scanned, plan.decisions).into_iter();
    let files = files.filter(|(index, _)| {
        let checks = &plan.request.projects[*index].checks;
        checks.is_enabled(ContentCheck::Links) && checks_links(scope, &plan.decisions[index])
    });
    let linking = files.flat_map(|(_, files)| files).filter_map(|checked| {
        let CheckedFile { path, file, .. } = checked;
        let kind = DocumentKind::of(path.as_bstr())?;
        let document = plan.documents.parsed(file.id, kind)?;
        let to = &plan.request.projects[checked.project].to;
        document.has_links().then(|| LinkingFile {
            checked,
            codex_path: to.join(path.as_bstr()),
            document,
        })
    });
    linking.collect()
}

/// The paths of no planned project that the links of the files lead to.
fn paths_outside(files: &[LinkingFile<'_>], codex: &PlannedCodex<'_>) -> BTreeSet<BString> {
    let paths = files.par_iter().flat_map_iter(|one| {
        let targets = one.document.target_paths(one.codex_path.as_bstr());
        targets.filter(|path| codex.is_outside(path.as_bstr()))
    });
    paths.collect()
}
