//! From the codex into the caches: ask for the tip, find what is wanted in its trees, fetch those contents at once, and
//! write. Where a cache already holds the answer to the same question about the same tip, nothing is fetched.
//!
//! Files that were pulled for projects which the configuration no longer has are deleted on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::cache_update::warn_replaced;
use super::frontmatter;
use super::remote_session::{RemoteSession, connect};
use super::request::SyncRequest;
use crate::cache::{
    Cache, CacheError, CachePlan, Kept, Owner, Reason, Request, RequestRecord, RequestResult,
};
use crate::codex::store::{Store, StoreError};
use crate::config::Direction;
use crate::event::{Counter, Event, Stage};
use crate::names::ProjectName;
use crate::object::{Kind, Mode, hash};
use crate::outcome::{
    LastSync, ProjectError, ProjectOutcome, ProjectReport, SyncError, SyncOutcome,
};
use crate::paths::escaped;
use crate::plan::{Entry, Op, ProjectPlan, plan_id};
use crate::text::pluralize;
use crate::workspace::Project;
use crate::workspace::codex_selector::CodexSelector;

/// How many files a warning names.
const NAMED: usize = 10;

/// One cache and the projects that share it.
struct CacheGroup<'r> {
    projects: Vec<&'r Project>,
    /// Projects that have files in the cache and are no longer in the configuration. Their parts of the plan follow those
    /// of `projects`; one that published and pulled has two.
    left: Vec<ProjectName>,
    /// Entries that match and cannot be pulled, by project.
    refused: Vec<Vec<(BString, String)>>,
    /// The cache and its plan; or one slot per project: `Some` for those that failed, `None` for those that merely share
    /// the cache.
    planned: Result<(Cache, CachePlan), Vec<Option<ProjectError>>>,
}

impl CacheGroup<'_> {
    /// The plan of the cache, if there is one.
    fn taken(&self) -> impl Iterator<Item = &RequestResult> {
        self.planned.iter().flat_map(|(_, plan)| &plan.results)
    }
}

/// Brings to `projects` what they want. `published` is what this run would have published before, were it not dry, and
/// `caches` are those that would not be now as they are.
pub(super) fn pull<'r>(
    request: &SyncRequest<'r>,
    projects: &[&'r Project],
    published: &[(&Project, &ProjectPlan)],
    caches: &mut BTreeMap<PathBuf, Cache>,
    outcome: &mut SyncOutcome,
) -> Result<Vec<ProjectReport>, SyncError> {
    // A dry run does not make the branch that the run itself would make first.
    let made_first = !published.is_empty() || (request.dry_run && outcome.remote.creates_branch);
    let mut session = connect(request, made_first && request.workspace.remote.create)?;
    let remote = &mut outcome.remote;
    remote.branch = Some(session.target.branch.clone());
    // Where this run published first, the remote is told as it was before and after that.
    if outcome.direction == Direction::FromCodex {
        remote.url = session.transport.url().clone();
        (remote.before, remote.after) = (session.target.tip, session.target.tip);
    }
    let mut groups: BTreeMap<&Path, Vec<&Project>> = BTreeMap::new();
    for project in projects {
        groups.entry(&project.cache_dir).or_default().push(project);
    }
    if let Some(unused) = unused_cache(request) {
        groups.entry(unused).or_default();
    }
    // All of them before the clone, and in the order of their paths, so that two runs never wait for each other in a ring.
    let open = |(path, projects): (&Path, _)| {
        let cache = match caches.remove(path) {
            Some(assumed) => Ok(assumed),
            None if request.dry_run => Cache::open_read_only(path),
            None => Cache::open(path, &request.interrupt, || {
                request.reporter.event(&Event::Waiting)
            }),
        };
        (cache, projects)
    };
    let mut planned_groups = Vec::new();
    for (cache, projects) in groups.into_iter().map(open).collect::<Vec<_>>() {
        planned_groups.push(match cache {
            Ok(cache) => plan_group(request, &mut session, cache, projects, published, outcome)?,
            Err(error) => {
                if projects.is_empty() {
                    request.warn(&mut outcome.warnings, None, error.to_string());
                }
                failed(projects, error)?
            }
        });
    }
    // Of a run that went the other way before, the plan is of the tip that it found.
    let planned_on = if outcome.direction == Direction::FromCodex {
        session.base.tip
    } else {
        outcome.remote.before
    };
    let id = plan_id(
        planned_on,
        planned_groups
            .iter()
            .flat_map(CacheGroup::taken)
            .map(|taken| (None, &taken.plan)),
    );
    // Of both directions, where there are two.
    let both = |first| hash(Kind::Blob, format!("{first} {id}").as_bytes());
    outcome.plan_id = Some(outcome.plan_id.map_or(id, both));
    let new: BTreeSet<_> = published
        .iter()
        .flat_map(|(_, plan)| plan.files())
        .map(|file| file.id)
        .collect();
    let wanted = planned_groups
        .iter()
        .flat_map(CacheGroup::taken)
        .flat_map(|taken| taken.plan.files())
        .map(|file| file.id);
    let ids: BTreeSet<_> = wanted.filter(|id| !new.contains(id)).collect();
    if !ids.is_empty() {
        session.fetch_contents(request, &ids)?;
    }
    let mut reports = Vec::new();
    for group in planned_groups {
        reports.extend(apply_group(request, &session, group, published, outcome)?);
    }
    Ok(reports)
}

/// The workspace's own cache, if no project uses it any more and it holds files.
fn unused_cache<'r>(request: &SyncRequest<'r>) -> Option<&'r Path> {
    let workspace = request.workspace;
    let path = workspace.cache_dir.as_path();
    let is_used = workspace
        .projects
        .iter()
        .any(|project| project.cache_dir == path);
    if is_used || workspace.projects_vary || !workspace.owns_cache(path) {
        return None;
    }
    let cache = Cache::open_read_only(path).ok()?;
    (!cache.manifest().owners.is_empty()).then_some(path)
}

/// Questions of the projects that have files in `cache` and are no longer in the configuration: they want nothing. None,
/// where another workspace or another run may have these projects.
fn left_questions(request: &SyncRequest<'_>, cache: &Cache) -> Vec<Request> {
    let workspace = request.workspace;
    if workspace.projects_vary || !workspace.owns_cache(cache.path()) {
        return Vec::new();
    }
    cache.removal_requests(|owner| !workspace.uses_cache(&owner.project, cache.path()))
}

/// Plans the cache of some projects.
fn plan_group<'r>(
    request: &SyncRequest<'r>,
    session: &mut RemoteSession,
    cache: Cache,
    projects: Vec<&'r Project>,
    published: &[(&Project, &ProjectPlan)],
    outcome: &mut SyncOutcome,
) -> Result<CacheGroup<'r>, SyncError> {
    let mut questions = Vec::new();
    let mut refused = Vec::new();
    let mut unusable = Vec::new();
    for project in &projects {
        match question(request, session, &cache, project, published, outcome)? {
            Ok((question, entries)) => {
                questions.push(question);
                refused.push(entries);
                unusable.push(None);
            }
            Err(error) => unusable.push(Some(error)),
        }
    }
    if unusable.iter().any(Option::is_some) {
        return Ok(CacheGroup {
            projects,
            left: Vec::new(),
            refused,
            planned: Err(unusable),
        });
    }
    let left_questions = left_questions(request, &cache);
    let left = left_questions
        .iter()
        .map(|question| question.owner.project.clone())
        .collect();
    questions.extend(left_questions);
    match cache.plan(questions, request.force) {
        Ok(plan) => Ok(CacheGroup {
            projects,
            left,
            refused,
            planned: Ok((cache, plan)),
        }),
        Err(error) => failed(projects, error),
    }
}

fn failed(projects: Vec<&Project>, error: CacheError) -> Result<CacheGroup<'_>, SyncError> {
    if let CacheError::Interrupted(interrupted) = error {
        return Err(interrupted.into());
    }
    let errors = of_all(&projects, error);
    Ok(CacheGroup {
        projects,
        left: Vec::new(),
        refused: Vec::new(),
        planned: Err(errors),
    })
}

/// The error of a cache as that of each project that shares it.
fn of_all(projects: &[&Project], error: CacheError) -> Vec<Option<ProjectError>> {
    let error = Arc::new(error);
    projects
        .iter()
        .map(|_| Some(ProjectError::Cache(error.clone())))
        .collect()
}

type Asking = Result<(Request, Vec<(BString, String)>), ProjectError>;

/// What a project wants of the codex, and the entries that it cannot have.
fn question(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    cache: &Cache,
    project: &Project,
    published: &[(&Project, &ProjectPlan)],
    outcome: &mut SyncOutcome,
) -> Result<Asking, SyncError> {
    let rules = &project.from_codex;
    let by_frontmatter = rules.include.is_empty() && rules.use_frontmatter;
    let new_selector = if by_frontmatter {
        CodexSelector::markdown
    } else {
        CodexSelector::new
    };
    let selector = match new_selector(project, request.workspace) {
        Ok(selector) => selector,
        Err(errors) => return Ok(Err(ProjectError::Patterns(errors))),
    };
    if rules.include.is_empty() && !by_frontmatter {
        let message = "`sync.from_codex.include` names nothing to bring from the codex".to_owned();
        request.warn(&mut outcome.warnings, Some(project), message);
    }
    let owner = Owner {
        project: project.name.clone(),
        reason: Reason::Wanted,
    };
    let mut record = RequestRecord {
        remote: request.workspace.remote.url.to_string(),
        branch: session.target.branch.clone(),
        tip: session.target.tip,
        digest: selector.digest(),
        complete: true,
        time: request.now,
    };
    let answered = cache
        .manifest()
        .owners
        .get(&owner)
        .is_some_and(|before| before.satisfies(&record));
    if answered && published.is_empty() && !request.rescan {
        let files = cache.files_of(&owner);
        warn_of_unmatched(request, project, &selector, &files, outcome);
        return Ok(Ok((
            Request {
                owner,
                record,
                files,
                removes_owner: false,
            },
            Vec::new(),
        )));
    }
    let (store, tip) = session.clone_of_tip(request)?;
    let root = tip
        .map(|tip| store.root_tree(tip))
        .transpose()
        .map_err(StoreError::from)?;
    let mut found = selector
        .find(&|id| store.read_tree(id), root)
        .map_err(StoreError::from)?;
    record.tip = session.target.tip;
    for (path, mode) in &found.passed_over {
        let what = if *mode == Mode::Link {
            "symlink"
        } else {
            "submodule"
        };
        let message = format!(
            "`{}` is a {what} in the codex and is not brought",
            escaped(path)
        );
        request.warn(&mut outcome.warnings, Some(project), message);
    }
    let changes = published
        .iter()
        .flat_map(|(project, plan)| plan.changes.iter().map(move |change| (project, change)));
    for (project, change) in changes {
        let path = project.to.join(change.path.as_bstr());
        match change
            .op
            .file()
            .filter(|file| file.mode.is_file() && selector.selects(&path))
        {
            Some(file) => drop(found.files.insert(
                path,
                Entry {
                    mode: file.mode,
                    id: file.id,
                },
            )),
            None => drop(found.files.remove(&path)),
        }
    }
    warn_of_unmatched(request, project, &selector, &found.files, outcome);
    if by_frontmatter {
        frontmatter::keep_routed(
            request,
            session,
            project,
            published,
            &mut found.files,
            outcome,
        )?;
    }
    record.complete = found.refused.is_empty();
    Ok(Ok((
        Request {
            owner,
            record,
            files: found.files,
            removes_owner: false,
        },
        found.refused,
    )))
}

/// Warns of includes that match nothing; projects that share one are warned once.
fn warn_of_unmatched(
    request: &SyncRequest<'_>,
    project: &Project,
    selector: &CodexSelector,
    files: &BTreeMap<BString, Entry>,
    outcome: &mut SyncOutcome,
) {
    for message in selector.unmatched(project, files.keys()) {
        if outcome
            .warnings
            .iter()
            .all(|known| known.message != message)
        {
            request.warn(&mut outcome.warnings, Some(project), message);
        }
    }
}

/// Writes one cache, unless the run is dry, and tells what became of each project.
fn apply_group(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    group: CacheGroup<'_>,
    published: &[(&Project, &ProjectPlan)],
    outcome: &mut SyncOutcome,
) -> Result<Vec<ProjectReport>, SyncError> {
    let CacheGroup {
        projects,
        left,
        refused,
        planned,
    } = group;
    let errors = match planned {
        Ok((mut cache, mut plan)) => {
            measure(&mut plan, session.store.as_ref(), published);
            let taken = if request.dry_run {
                Ok(std::mem::take(&mut plan.results))
            } else {
                request.reporter.event(&Event::Started {
                    stage: Stage::Write,
                });
                let contents = session.store.as_ref().map(Store::contents);
                let counter = Counter::new(request.reporter.as_ref(), Stage::Write, None);
                let taken = cache.apply(plan, |file| {
                    counter.file();
                    let contents = contents.as_ref().ok_or("it was not fetched")?;
                    contents.read(file.id).map_err(|error| error.to_string())
                });
                request.reporter.event(&Event::Finished {
                    stage: Stage::Write,
                });
                taken
            };
            match taken {
                Ok(mut taken) => {
                    let of_left = taken.split_off(projects.len());
                    let pulled = projects.into_iter().zip(taken).zip(refused);
                    let mut reports: Vec<_> = pulled
                        .map(|((project, taken), refused)| {
                            let name = &project.name;
                            report(request, name, taken, refused, outcome)
                        })
                        .collect();
                    for (name, taken) in merged(left, of_left) {
                        report_left(request, &name, &taken, outcome);
                        reports.push(report(request, &name, taken, Vec::new(), outcome));
                    }
                    return Ok(reports);
                }
                Err(error) => of_all(&projects, error),
            }
        }
        Err(errors) => errors,
    };
    // Projects that share a cache share its fate.
    let reports = projects.into_iter().zip(errors).map(|(project, error)| {
        let outcome = error.map_or(ProjectOutcome::NotLanded, ProjectOutcome::Failed);
        project_report(&project.name, outcome, ProjectPlan::default())
    });
    Ok(reports.collect())
}

/// Notes how large the files are.
fn measure(plan: &mut CachePlan, store: Option<&Store>, published: &[(&Project, &ProjectPlan)]) {
    let new: BTreeMap<_, _> = published
        .iter()
        .flat_map(|(_, plan)| plan.files())
        .map(|file| (file.id, file.size))
        .collect();
    for change in plan
        .results
        .iter_mut()
        .flat_map(|taken| &mut taken.plan.changes)
    {
        if let Op::Added(file) | Op::Modified(file) = &mut change.op {
            let size = new.get(&file.id).copied().or_else(|| store?.size(file.id));
            file.size = size.unwrap_or_default();
        }
    }
}

/// What became of each project that is no longer in the configuration: whatever it had, as one.
fn merged(left: Vec<ProjectName>, taken: Vec<RequestResult>) -> Vec<(ProjectName, RequestResult)> {
    let mut by_name: BTreeMap<ProjectName, RequestResult> = BTreeMap::new();
    for (name, taken) in left.into_iter().zip(taken) {
        let one = by_name.entry(name).or_default();
        one.plan.changes.extend(taken.plan.changes);
        one.plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        one.plan.unmanaged += taken.plan.unmanaged;
        one.kept.extend(taken.kept);
        one.refused.extend(taken.refused);
    }
    let is_something = |taken: &RequestResult| *taken != RequestResult::default();
    by_name
        .into_iter()
        .filter(|(_, taken)| is_something(taken))
        .collect()
}

fn report_left(
    request: &SyncRequest<'_>,
    name: &ProjectName,
    taken: &RequestResult,
    outcome: &mut SyncOutcome,
) {
    let files = pluralize(taken.plan.changes.len(), "file");
    let verb = if request.dry_run {
        "would be deleted"
    } else {
        "deleted"
    };
    let message = format!("no longer in the configuration: {files} {verb} from the cache");
    request.warn_of(&mut outcome.warnings, name, message);
}

/// Reports one project, with warnings about what was kept or replaced.
fn report(
    request: &SyncRequest<'_>,
    project: &ProjectName,
    mut taken: RequestResult,
    mut refused: Vec<(BString, String)>,
    outcome: &mut SyncOutcome,
) -> ProjectReport {
    for (path, why) in taken.kept.iter().take(NAMED) {
        let path = escaped(path);
        let message = match why {
            Kept::Edited => {
                format!(
                    "`{path}` in the cache was changed by hand and is kept; `--force` gives it up"
                )
            }
            Kept::InUse(other) => format!(
                "`{path}` is not written to the cache: another project has `{}` there",
                escaped(other)
            ),
        };
        request.warn_of(&mut outcome.warnings, project, message);
    }
    if let Some(rest) = taken.kept.len().checked_sub(NAMED).filter(|rest| *rest > 0) {
        let message = format!("{rest} more files in the cache are kept");
        request.warn_of(&mut outcome.warnings, project, message);
    }
    warn_replaced(request, project, &taken, &mut outcome.warnings);
    refused.append(&mut taken.refused);
    let became = if !refused.is_empty() {
        ProjectOutcome::Incomplete(refused)
    } else if taken.plan.changes.is_empty() {
        ProjectOutcome::UpToDate
    } else if request.dry_run {
        ProjectOutcome::WouldSync
    } else {
        ProjectOutcome::Pulled
    };
    project_report(project, became, taken.plan)
}

fn project_report(name: &ProjectName, outcome: ProjectOutcome, plan: ProjectPlan) -> ProjectReport {
    ProjectReport {
        name: name.clone(),
        direction: Direction::FromCodex,
        to: None,
        outcome,
        plan,
        last_sync: LastSync::NotRequested,
    }
}
