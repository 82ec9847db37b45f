//! Withholds the projects whose pull would delete too many files of the cache, as when the branch
//! of the codex was emptied or their patterns no longer match.

use bstr::BString;

use super::super::committed_cache::in_commit;
use super::super::request::SyncRequest;
use crate::cache::{Cache, CacheError, CachePlan, CacheRequest, Refusal};
use crate::plan::{DeletedFrom, Deletions, ProjectPlan, Withheld};
use crate::workspace::Project;

/// A project that is withheld, and the changes that it would have made.
pub(super) struct WithheldPull<'r> {
    pub(super) project: &'r Project,
    pub(super) plan: ProjectPlan,
    pub(super) reason: Withheld,
}

/// A plan of a cache without the changes of withheld projects.
pub(super) struct GuardedPlan<'r> {
    pub(super) plan: CachePlan,
    pub(super) withheld: Vec<WithheldPull<'r>>,
}

/// Checks a plan with the deletion guard of each project. The first requests of the plan are those
/// of `projects`, and `refused` has the files of each that match and cannot be pulled. If projects are
/// withheld, the others are planned again, because they may share files with them.
pub(super) fn withhold_mass_deletions<'r>(
    request: &SyncRequest<'_>,
    cache: &Cache,
    projects: &[&'r Project],
    refused: &[Vec<(BString, Refusal)>],
    mut plan: CachePlan,
) -> Result<GuardedPlan<'r>, CacheError> {
    let mut reasons: Vec<_> = projects
        .iter()
        .zip(plan.requests())
        .zip(refused)
        .map(|((project, of_project), refused)| {
            let nothing_matches = of_project.files.is_empty() && refused.is_empty();
            deletions(cache, &plan, of_project, nothing_matches).check(project, request.deletes)
        })
        .collect();
    if reasons.iter().all(Option::is_none) {
        return Ok(GuardedPlan {
            plan,
            withheld: Vec::new(),
        });
    }

    let mut withheld = Vec::new();
    for ((project, reason), result) in projects.iter().zip(&mut reasons).zip(&mut plan.results) {
        if let Some(reason) = reason.take() {
            withheld.push(WithheldPull {
                project,
                plan: std::mem::take(&mut result.plan),
                reason,
            });
        }
    }
    let is_withheld = |of_project: &CacheRequest| {
        let mut withheld = withheld.iter();
        withheld.any(|pull| pull.project.name == of_project.owner.project)
    };
    // Without a request, an owner keeps its files.
    let mut requests = plan.into_requests();
    requests.retain(|of_project| !is_withheld(of_project));
    let plan = cache.plan(requests, request.force, &|files| {
        in_commit(cache.path(), files)
    })?;
    Ok(GuardedPlan { plan, withheld })
}

/// The numbers of the deletion guard for one request. A file that several projects need counts for
/// each of them.
fn deletions(
    cache: &Cache,
    plan: &CachePlan,
    of_project: &CacheRequest,
    nothing_matches: bool,
) -> Deletions {
    let files = &cache.manifest().files;
    let owner = &of_project.owner;
    let deleted = plan.deleted().filter(|path| {
        let file = files.get(*path);
        file.is_some_and(|file| file.owners.contains(owner))
    });
    let deleted = deleted.count() as u64;
    let claimed = match deleted {
        0 => 0,
        _ => files
            .values()
            .filter(|file| file.owners.contains(owner))
            .count() as u64,
    };
    Deletions {
        from: DeletedFrom::Cache,
        deleted,
        pruned: 0,
        claimed,
        nothing_matches,
    }
}
