//! The check of the links in the files that a plan adds or modifies.

use std::collections::BTreeSet;
use std::sync::Arc;

use bstr::{BString, ByteSlice};
use rayon::prelude::*;

use super::planned_codex::{CodexTrees, PlanInProgress, PlannedCodex};
use crate::checks::ContentCheck;
use crate::checks::links::{BrokenLink, Document, DocumentKind, broken_links};
use crate::interrupt::Interrupted;
use crate::plan::Decision;
use crate::scan::SourceFile;

/// A file with broken links.
pub(super) struct FileWithBrokenLinks<'p> {
    /// The index of the project.
    pub(super) project: usize,
    /// The path below the project's `to`.
    pub(super) path: &'p BString,
    pub(super) file: &'p SourceFile,
    pub(super) broken: Vec<BrokenLink>,
}

/// Checks the links in the files of a plan. `trees` is the rest of the codex; `None` if it was not
/// fetched. Only projects that are ready and that check links are looked at.
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
                project: one.project,
                path: one.path,
                file: one.file,
                broken: broken_links(one.codex_path.as_bstr(), &one.document, &codex),
            })
        })
        .filter(|result| !matches!(result, Ok(one) if one.broken.is_empty()))
        .collect()
}

/// A file of a plan with links.
struct LinkingFile<'p> {
    project: usize,
    path: &'p BString,
    /// The path in the codex.
    codex_path: BString,
    file: &'p SourceFile,
    document: Arc<Document>,
}

/// The files of a plan with links.
fn linking_files(plan: PlanInProgress<'_>) -> Vec<LinkingFile<'_>> {
    let ready = plan.decisions.iter().filter_map(|(index, decision)| {
        let checks = &plan.request.projects[*index].checks;
        match decision {
            Decision::Ready(ready) if checks.is_enabled(ContentCheck::Links) => {
                Some((*index, ready))
            }
            _ => None,
        }
    });
    let changes = ready.flat_map(|(project, ready)| {
        let changes = ready.changes.iter();
        changes.filter_map(move |change| Some((project, &change.path, change.op.file()?)))
    });
    let linking = changes.filter_map(|(project, path, file)| {
        let kind = DocumentKind::of(path.as_bstr())?;
        let document = plan.documents.parsed(file.id, kind)?;
        document.has_links().then(|| LinkingFile {
            project,
            path,
            codex_path: plan.request.projects[project].to.join(path.as_bstr()),
            file,
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
