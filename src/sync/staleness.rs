//! Finds out since when the codex lacks changes of a project: the time of the oldest source commit
//! among those that made the present versions of the changed files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bstr::BString;
use rayon::prelude::*;

use super::request::SyncRequest;
use crate::codex::source_repository::{SourceCommit, SourceRepository};
use crate::codex::uncommitted::committed_changes;
use crate::object::ObjectId;
use crate::outcome::{ProjectReport, SyncOutcome};

/// The out-of-date projects whose sources are in one commit.
struct StaleSources {
    repository: Arc<SourceRepository>,
    commit: SourceCommit,
    /// The changed paths in the repository, by the index of the report.
    paths: BTreeMap<usize, BTreeSet<BString>>,
}

/// Adds the times to the projects of an outcome. The time of a project remains unknown if its changes
/// are not committed, or if its history cannot be read.
pub(super) fn add_stale_since(request: &SyncRequest<'_>, outcome: &mut SyncOutcome) {
    let mut sources: BTreeMap<(usize, ObjectId), StaleSources> = BTreeMap::new();
    for (index, report) in outcome.projects.iter().enumerate() {
        if let Some((repository, commit, paths)) = changed_paths(request, report) {
            let key = (Arc::as_ptr(&repository) as usize, commit.id);
            let entry = sources.entry(key).or_insert_with(|| StaleSources {
                repository,
                commit,
                paths: BTreeMap::new(),
            });
            entry.paths.insert(index, paths);
        }
    }

    let sources: Vec<_> = sources.into_values().collect();
    let times: Vec<_> = sources
        .par_iter()
        .flat_map_iter(StaleSources::times)
        .collect();
    for (index, time) in times {
        outcome.projects[index].stale_since = Some(time);
    }
}

/// The committed changes of a project that is published.
fn changed_paths(
    request: &SyncRequest<'_>,
    report: &ProjectReport,
) -> Option<(Arc<SourceRepository>, SourceCommit, BTreeSet<BString>)> {
    let plan = report
        .plan
        .as_ref()
        .filter(|plan| !plan.changes.is_empty())?;
    let mut projects = request.projects.iter();
    let project = projects.find(|project| project.root == report.root)?;
    let (repository, commit) = request.sources.commit(project).ok()??;
    let paths = committed_changes(&repository, &commit, project, plan).ok()?;
    Some((repository, commit, paths))
}

impl StaleSources {
    /// The time of each project whose commits are found.
    fn times(&self) -> Vec<(usize, i64)> {
        let all: BTreeSet<_> = self.paths.values().flatten().cloned().collect();
        let commits = self.repository.last_changes(&self.commit, &all);
        let of_path: BTreeMap<_, _> = commits
            .iter()
            .flat_map(|commit| commit.paths.iter().map(|path| (path, commit.time)))
            .collect();
        let oldest = |paths: &BTreeSet<BString>| {
            let times = paths.iter().filter_map(|path| of_path.get(path));
            times.min().copied()
        };
        let known = self.paths.iter();
        known
            .filter_map(|(index, paths)| Some((*index, oldest(paths)?)))
            .collect()
    }
}
