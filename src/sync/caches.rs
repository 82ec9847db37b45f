//! Work on the local caches that both directions of a sync share: open them, write them, remove the
//! files of projects that are no longer configured, and warn about files that are kept or replaced.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use bstr::BString;

use super::request::SyncRequest;
use crate::cache::{Cache, CacheError, CachePlan, CacheRequest, KeepReason, RequestResult};
use crate::event::{Counter, Event, Stage};
use crate::names::ProjectName;
use crate::outcome::Warning;
use crate::paths::escaped;
use crate::scan::SourceFile;
use crate::text::pluralize;

/// The number of kept files that are named in warnings of their own. The rest is only counted.
const MAX_NAMED: usize = 10;

/// Opens a cache for writing, or in a dry run for simulation.
pub(super) fn open_cache(request: &SyncRequest<'_>, path: &Path) -> Result<Cache, CacheError> {
    if request.dry_run {
        return Cache::open_simulated(path);
    }
    Cache::open(path, &request.interrupt, || {
        request.reporter.event(&Event::Waiting)
    })
}

/// The same for a cache that was opened without write access.
pub(super) fn reopen_cache(request: &SyncRequest<'_>, cache: Cache) -> Result<Cache, CacheError> {
    if request.dry_run {
        return cache.reopen_simulated();
    }
    cache.reopen(&request.interrupt, || {
        request.reporter.event(&Event::Waiting)
    })
}

/// Applies a plan to a cache, or in a dry run simulates it. `contents` returns the content of a
/// file; it is called in the order of `position`.
pub(super) fn apply_plan<P: Ord>(
    request: &SyncRequest<'_>,
    cache: &mut Cache,
    plan: CachePlan,
    position: impl Fn(&SourceFile) -> P,
    contents: impl Fn(&SourceFile) -> Result<Vec<u8>, String> + Sync,
) -> Result<Vec<RequestResult>, CacheError> {
    if request.dry_run {
        return cache.simulate(plan);
    }

    let reporter = request.reporter.as_ref();
    let stage = Stage::Write;
    reporter.event(&Event::Started { stage });
    let counter = Counter::new(reporter, stage, None);
    let results = cache.apply(plan, position, |file| {
        counter.file();
        contents(file)
    });
    reporter.event(&Event::Finished { stage });
    results
}

/// The workspace's own cache, if it has files but no project of the configuration uses it.
pub(super) fn unused_cache<'r>(request: &SyncRequest<'r>) -> Option<&'r Path> {
    let workspace = request.workspace;
    let path = workspace.cache_dir.as_path();
    let mut projects = workspace.projects.iter();
    let is_used = projects.any(|project| project.cache_dir == path);
    if is_used || workspace.projects_vary || !workspace.owns_cache(path) {
        return None;
    }
    // If the manifest cannot be read, there may be files. The error is reported when the cache is
    // opened again.
    let cache = Cache::open_read_only(path);
    let is_empty = cache.is_ok_and(|cache| cache.manifest().owners.is_empty());
    (path.is_dir() && !is_empty).then_some(path)
}

/// The message of an error that is only a warning, with its cause.
pub(super) fn message_of(error: &CacheError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Requests that remove the files of projects which are no longer configured. There are none if
/// another workspace uses the cache too, or if the next run may have other projects.
pub(super) fn removed_project_requests(
    request: &SyncRequest<'_>,
    cache: &Cache,
) -> Vec<CacheRequest> {
    let workspace = request.workspace;
    if workspace.projects_vary || !workspace.owns_cache(cache.path()) {
        return Vec::new();
    }
    cache.removal_requests(|owner| !workspace.uses_cache(&owner.project, cache.path()))
}

/// Merges the results of the requests for `projects` by project, because a project that published
/// and pulled has two. Empty results are left out.
pub(super) fn merge_results(
    projects: Vec<ProjectName>,
    results: Vec<RequestResult>,
) -> Vec<(ProjectName, RequestResult)> {
    let mut merged: BTreeMap<ProjectName, RequestResult> = BTreeMap::new();
    for (project, result) in projects.into_iter().zip(results) {
        let all = merged.entry(project).or_default();
        all.plan.changes.extend(result.plan.changes);
        all.plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        all.plan.unmanaged += result.plan.unmanaged;
        all.kept.extend(result.kept);
        all.refused.extend(result.refused);
    }
    let is_empty = |result: &RequestResult| *result == RequestResult::default();
    merged
        .into_iter()
        .filter(|(_, result)| !is_empty(result))
        .collect()
}

/// Warns that the files of a project were removed because it is no longer configured.
pub(super) fn warn_removed(
    request: &SyncRequest<'_>,
    project: &ProjectName,
    result: &RequestResult,
    warnings: &mut Vec<Warning>,
) {
    let verb = if request.dry_run {
        "would delete"
    } else {
        "deleted"
    };
    let files = pluralize(result.plan.changes.len(), "file");
    let message = format!("no longer in the configuration: {verb} {files} from the cache");
    request.warn_of(warnings, project, message);
}

/// Warns about files that are kept, by name up to a limit.
pub(super) fn warn_kept(
    request: &SyncRequest<'_>,
    project: &ProjectName,
    kept: &[(BString, KeepReason)],
    warnings: &mut Vec<Warning>,
) {
    for (path, reason) in kept.iter().take(MAX_NAMED) {
        let path = escaped(path);
        let message = match reason {
            KeepReason::Edited => format!(
                "`{path}` in the cache was modified locally and is kept; `--force` discards it"
            ),
            KeepReason::InUse(other) => format!(
                "`{path}` is not written to the cache: another project needs `{}`",
                escaped(other)
            ),
        };
        request.warn_of(warnings, project, message);
    }
    if kept.len() > MAX_NAMED {
        let more = pluralize(kept.len() - MAX_NAMED, "more file");
        request.warn_of(warnings, project, format!("kept {more} in the cache"));
    }
}

/// Warns about files that the cache did not write and that were deleted to make room for others,
/// because of `--force`.
pub(super) fn warn_replaced(
    request: &SyncRequest<'_>,
    project: &ProjectName,
    replaced: &[BString],
    warnings: &mut Vec<Warning>,
) {
    let Some(first) = replaced.first() else {
        return;
    };
    let verb = if request.dry_run {
        "would delete"
    } else {
        "deleted"
    };
    let message = format!(
        "{verb} {} in the cache that no sync wrote, to make room for others (`--force`), for example `{}`",
        pluralize(replaced.len(), "file"),
        escaped(first)
    );
    request.warn_of(warnings, project, message);
}
