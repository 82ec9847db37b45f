//! Pulls files of the codex into the local caches: queries the tip, selects files from its trees,
//! fetches their contents in one request, and writes them. A cache that already has the files for
//! the same patterns and the same tip needs no fetch.
//!
//! Files of projects that are no longer configured are removed from the caches as well.

mod frontmatter;
mod pull_run;
mod report;
mod selection;
mod withheld_pulls;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::BString;

use super::caches::{
    apply_plan, merge_results, message_of, open_cache, removed_project_requests, unused_cache,
    warn_removed,
};
use super::committed_cache::in_commit;
use super::request::SyncRequest;
use crate::cache::{Cache, CacheError, CachePlan, Refusal, RequestResult};
use crate::codex::store::{Contents, Store};
use crate::config::Direction;
use crate::names::ProjectName;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::{ProjectError, ProjectReport, SyncError, SyncOutcome};
use crate::plan::{Op, ProjectPlan, plan_id};
use crate::scan::SourceFile;
use crate::workspace::Project;
pub(super) use pull_run::PlannedPublish;
use pull_run::PullRun;
use withheld_pulls::{GuardedPlan, WithheldPull, withhold_mass_deletions};

/// A cache, the projects that share it, and its plan.
struct CacheGroup<'r> {
    /// Without those that are withheld.
    projects: Vec<&'r Project>,
    withheld: Vec<WithheldPull<'r>>,
    /// For each project, the selected files that cannot be pulled, with the reason.
    refused: Vec<Vec<(BString, Refusal)>>,
    /// The projects of the removal requests. These requests follow those of `projects`.
    removed: Vec<ProjectName>,
    planned: PlannedCache,
}

/// A cache with its plan. If the cache cannot be planned, one value per project of the cache: the
/// error of a project that failed, or `None` for a project that is not pulled because it shares the
/// cache with one that failed.
type PlannedCache = Result<(Cache, CachePlan), Vec<Option<ProjectError>>>;

/// Pulls the files of `projects` into their caches, and returns a report per project.
///
/// In a dry run of both directions, `planned_publishes` has the plans that would be published before,
/// and `simulated_caches` the caches as they would be then.
pub(super) fn pull<'r>(
    request: &'r SyncRequest<'r>,
    projects: &[&'r Project],
    planned_publishes: &'r [PlannedPublish<'r>],
    simulated_caches: BTreeMap<PathBuf, Cache>,
    outcome: &'r mut SyncOutcome,
) -> Result<Vec<ProjectReport>, SyncError> {
    let mut run = PullRun::start(request, planned_publishes, outcome)?;
    let caches = run.open_caches(projects, simulated_caches);
    let mut groups = Vec::new();
    for (cache, projects) in caches {
        groups.push(run.plan_group(cache, projects)?);
    }
    run.set_plan_id(&groups);
    run.fetch_contents(&groups)?;

    let mut reports = Vec::new();
    for group in groups {
        reports.extend(run.apply_group(group)?);
    }
    Ok(reports)
}

impl<'r> PullRun<'r> {
    /// Opens the cache of each project, and a cache that only has files of removed projects, so that
    /// these files are deleted. All caches are locked before the clone is used, and in the order of
    /// their paths, so that concurrent runs cannot deadlock.
    fn open_caches(
        &self,
        projects: &[&'r Project],
        mut simulated: BTreeMap<PathBuf, Cache>,
    ) -> Vec<(Result<Cache, CacheError>, Vec<&'r Project>)> {
        let mut groups: BTreeMap<&Path, Vec<&Project>> = BTreeMap::new();
        for project in projects {
            groups.entry(&project.cache_dir).or_default().push(project);
        }
        if let Some(unused) = unused_cache(self.request) {
            groups.entry(unused).or_default();
        }

        let mut open = |path| match simulated.remove(path) {
            Some(cache) => Ok(cache),
            None => open_cache(self.request, path),
        };
        groups
            .into_iter()
            .map(|(path, projects)| (open(path), projects))
            .collect()
    }

    /// Plans one group. A cache that could not be opened is an error of its projects.
    fn plan_group(
        &mut self,
        cache: Result<Cache, CacheError>,
        projects: Vec<&'r Project>,
    ) -> Result<CacheGroup<'r>, SyncError> {
        let mut group = CacheGroup {
            projects,
            withheld: Vec::new(),
            refused: Vec::new(),
            removed: Vec::new(),
            planned: Err(Vec::new()),
        };
        group.planned = match cache {
            Ok(cache) => self.plan_cache(&mut group, cache)?,
            Err(error) => {
                if group.projects.is_empty() {
                    let warnings = &mut self.outcome.warnings;
                    self.request.warn(warnings, None, message_of(&error));
                }
                Err(error_of_each(&group.projects, error)?)
            }
        };
        Ok(group)
    }

    /// Selects the files of each project, and plans the changes of the cache.
    fn plan_cache(
        &mut self,
        group: &mut CacheGroup<'r>,
        cache: Cache,
    ) -> Result<PlannedCache, SyncError> {
        let mut requests = Vec::new();
        let mut errors = Vec::new();
        for project in &group.projects {
            match self.selector(project) {
                Ok(selector) => {
                    let (request, refused) = self.select_files(project, &selector, &cache)?;
                    requests.push(request);
                    group.refused.push(refused);
                    errors.push(None);
                }
                Err(invalid) => errors.push(Some(ProjectError::Patterns(invalid))),
            }
        }
        if errors.iter().any(Option::is_some) {
            return Ok(Err(errors));
        }

        let removals = removed_project_requests(self.request, &cache);
        let removed = removals.iter().map(|request| &request.owner.project);
        group.removed = removed.cloned().collect();
        requests.extend(removals);
        let guarded = cache.plan(requests, self.request.force, &|files| {
            in_commit(cache.path(), files)
        });
        let guarded = guarded.and_then(|plan| {
            let (projects, refused) = (&group.projects, &group.refused);
            withhold_mass_deletions(self.request, &cache, projects, refused, plan)
        });
        Ok(match guarded {
            Ok(GuardedPlan { plan, withheld }) => {
                group.withhold(withheld);
                Ok((cache, plan))
            }
            Err(error) => Err(error_of_each(&group.projects, error)?),
        })
    }

    /// Sets the id of the plan. In a run in both directions, it is made of both plans.
    fn set_plan_id(&mut self, groups: &[CacheGroup<'_>]) {
        let outcome = &mut self.outcome;
        // The plan to publish was made for the tip before the push, and so both ids name that tip.
        let tip = if outcome.direction == Direction::FromCodex {
            self.session.base.tip
        } else {
            outcome.remote.before
        };
        let results = groups.iter().flat_map(CacheGroup::results);
        let id = plan_id(tip, results.map(|result| (None, &result.plan)));
        outcome.plan_id = Some(match outcome.plan_id {
            Some(published) => hash(Kind::Blob, format!("{published} {id}").as_bytes()),
            None => id,
        });
    }

    /// Fetches the contents of all files to write. In a dry run, those of the planned publishes are
    /// not in the codex.
    fn fetch_contents(&mut self, groups: &[CacheGroup<'_>]) -> Result<(), SyncError> {
        let unpublished: BTreeSet<_> = self.unpublished_files().map(|file| file.id).collect();
        let ids: BTreeSet<ObjectId> = groups
            .iter()
            .flat_map(CacheGroup::plans)
            .flat_map(ProjectPlan::files)
            .map(|file| file.id)
            .filter(|id| !unpublished.contains(id))
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.session.fetch_contents(self.request, &ids)
    }

    /// The files of the planned publishes, which only the source directories have.
    fn unpublished_files(&self) -> impl Iterator<Item = &'r SourceFile> {
        self.planned_publishes
            .iter()
            .flat_map(|publish| publish.plan.files())
    }

    /// Writes one cache, or simulates that in a dry run, and reports on its projects.
    fn apply_group(&mut self, group: CacheGroup<'_>) -> Result<Vec<ProjectReport>, SyncError> {
        let CacheGroup {
            projects,
            mut withheld,
            refused,
            removed,
            planned,
        } = group;
        let (mut cache, mut plan) = match planned {
            Ok(planned) => planned,
            Err(errors) => return Ok(report::failed(&projects, errors)),
        };

        let contents = self.session.store.as_ref().map(Store::contents);
        let planned = plan.results.iter_mut().map(|result| &mut result.plan);
        let withheld_plans = withheld.iter_mut().map(|pull| &mut pull.plan);
        self.set_sizes(contents.as_ref(), planned.chain(withheld_plans));
        let mut reports: Vec<_> = withheld.into_iter().map(report::withheld).collect();
        let position = |file: &SourceFile| contents.as_ref()?.position(file.id);
        let applied = apply_plan(self.request, &mut cache, plan, position, |file| {
            let contents = contents.as_ref().ok_or("the file was not fetched")?;
            let unreadable = |error| format!("{error}; check the codex with `git fsck --strict`");
            contents.read(file.id).map_err(unreadable)
        });
        let mut results = match applied {
            Ok(results) => results,
            Err(error) => {
                let errors = error_of_each(&projects, error)?;
                reports.extend(report::failed(&projects, errors));
                return Ok(reports);
            }
        };

        let of_removed = results.split_off(projects.len());
        let mut warned = BTreeSet::new();
        for ((project, result), refused) in projects.into_iter().zip(results).zip(refused) {
            self.warn_of_kept(&project.name, &result, &mut warned);
            reports.push(self.report(&project.name, result, refused));
        }
        for (project, result) in merge_results(removed, of_removed) {
            let warnings = &mut self.outcome.warnings;
            warn_removed(self.request, &project, &result, warnings);
            self.warn_of_kept(&project, &result, &mut warned);
            reports.push(self.report(&project, result, Vec::new()));
        }
        self.outcome.kept_in_cache += warned.len();
        Ok(reports)
    }

    /// Sets the sizes of the files to write, which trees do not contain.
    fn set_sizes<'p>(
        &self,
        contents: Option<&Contents>,
        plans: impl Iterator<Item = &'p mut ProjectPlan>,
    ) {
        let unpublished: BTreeMap<_, _> = self
            .unpublished_files()
            .map(|file| (file.id, file.size))
            .collect();
        for change in plans.flat_map(|plan| &mut plan.changes) {
            if let Op::Added(file) | Op::Modified(file) = &mut change.op {
                let size = unpublished.get(&file.id).copied();
                let size = size.or_else(|| contents?.size(file.id));
                file.size = size.unwrap_or_default();
            }
        }
    }
}

impl<'r> CacheGroup<'r> {
    /// Takes the withheld projects out of the group. Their files are not planned.
    fn withhold(&mut self, withheld: Vec<WithheldPull<'r>>) {
        let is_withheld = |project: &Project| {
            let mut withheld = withheld.iter();
            withheld.any(|pull| pull.project.name == project.name)
        };
        let projects = std::mem::take(&mut self.projects).into_iter();
        let refused = std::mem::take(&mut self.refused);
        (self.projects, self.refused) = projects
            .zip(refused)
            .filter(|(project, _)| !is_withheld(project))
            .unzip();
        self.withheld = withheld;
    }

    /// The plans of all projects, including those that are withheld.
    fn plans(&self) -> impl Iterator<Item = &ProjectPlan> {
        let planned = self.results().map(|result| &result.plan);
        planned.chain(self.withheld.iter().map(|pull| &pull.plan))
    }

    /// The results of the plan; none if the group failed.
    fn results(&self) -> impl Iterator<Item = &RequestResult> {
        self.planned.iter().flat_map(|(_, plan)| &plan.results)
    }
}

/// Turns the error of a cache into an error of each project that uses it. An interrupt ends the
/// whole run instead.
fn error_of_each(
    projects: &[&Project],
    error: CacheError,
) -> Result<Vec<Option<ProjectError>>, SyncError> {
    if let CacheError::Interrupted(interrupted) = error {
        return Err(interrupted.into());
    }
    let error = Arc::new(error);
    Ok(projects
        .iter()
        .map(|_| Some(ProjectError::Cache(error.clone())))
        .collect())
}
