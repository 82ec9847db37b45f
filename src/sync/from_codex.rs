//! From the codex into the caches: ask for the tip, find what is wanted in its trees, fetch those contents at once, and
//! write. Where a cache already holds the answer to the same question about the same tip, nothing is fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::SyncRequest;
use super::opened::{Opened, look};
use super::routing;
use crate::cache::{Asked, Cache, CacheError, CachePlan, Owner, Question, Reason, Taken};
use crate::codex::store::{Store, StoreError};
use crate::config::Direction;
use crate::event::{Counter, Event, Stage};
use crate::object::{Kind, Mode, hash};
use crate::outcome::{
    LastSync, ProjectError, ProjectOutcome, ProjectReport, SyncError, SyncOutcome,
};
use crate::paths::escaped;
use crate::plan::{Entry, Op, ProjectPlan, plan_id};
use crate::pull::Wants;
use crate::workspace::Project;

/// How many files a warning names.
const NAMED: usize = 10;

/// One cache and the projects that share it.
struct Shelf<'r> {
    projects: Vec<&'r Project>,
    /// Entries that match and cannot be brought, by project.
    refused: Vec<Vec<(BString, String)>>,
    /// The cache and what would become of it; or why that cannot be said, by project: nothing of those that only share it.
    planned: Result<(Cache, CachePlan), Vec<Option<ProjectError>>>,
}

impl Shelf<'_> {
    /// What would become of the cache, if that can be said.
    fn taken(&self) -> impl Iterator<Item = &Taken> {
        self.planned.iter().flat_map(|(_, plan)| &plan.taken)
    }
}

/// Brings to `projects` what they want. `published` is what this run would have published before, were it not dry, and
/// `caches` are those that would not be now as they are.
pub(super) fn bring<'r>(
    request: &SyncRequest<'r>,
    projects: &[&'r Project],
    published: &[(&Project, &ProjectPlan)],
    caches: &mut BTreeMap<PathBuf, Cache>,
    outcome: &mut SyncOutcome,
) -> Result<Vec<ProjectReport>, SyncError> {
    // What a dry run did not publish has made no branch either.
    let mut opened = look(
        request,
        !published.is_empty() && request.workspace.remote.create,
    )?;
    let remote = &mut outcome.remote;
    remote.branch = Some(opened.branch.clone());
    // Where this run published first, the remote is told as it was before and after that.
    if outcome.direction == Direction::FromCodex {
        remote.url = opened.transport.url().clone();
        (remote.before, remote.after) = (opened.tip, opened.tip);
    }
    let mut groups: BTreeMap<&Path, Vec<&Project>> = BTreeMap::new();
    for project in projects {
        groups.entry(&project.cache_dir).or_default().push(project);
    }
    // All of them before the clone, and in the order of their paths, so that two runs never wait for each other in a ring.
    let open = |(path, projects): (&Path, _)| {
        let cache = match caches.remove(path) {
            Some(assumed) => Ok(assumed),
            None if request.dry_run => Ok(Cache::look(path)),
            None => Cache::open(path, &request.interrupt, || {
                request.reporter.event(&Event::Waiting)
            }),
        };
        (cache, projects)
    };
    let mut shelves = Vec::new();
    for (cache, projects) in groups.into_iter().map(open).collect::<Vec<_>>() {
        shelves.push(match cache {
            Ok(cache) => shelf(request, &mut opened, cache, projects, published, outcome)?,
            Err(error) => failed(projects, error)?,
        });
    }
    // Of a run that went the other way before, the plan is of the tip that it found.
    let planned_on = if outcome.direction == Direction::FromCodex {
        opened.base
    } else {
        outcome.remote.before
    };
    let id = plan_id(
        planned_on,
        shelves
            .iter()
            .flat_map(Shelf::taken)
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
    let wanted = shelves
        .iter()
        .flat_map(Shelf::taken)
        .flat_map(|taken| taken.plan.files())
        .map(|file| file.id);
    let ids: BTreeSet<_> = wanted.filter(|id| !new.contains(id)).collect();
    if !ids.is_empty() {
        opened.fetch_contents(request, &ids)?;
    }
    let mut reports = Vec::new();
    for shelf in shelves {
        reports.extend(put(request, &opened, shelf, published, outcome)?);
    }
    Ok(reports)
}

/// Plans what the projects of one cache come to.
fn shelf<'r>(
    request: &SyncRequest<'r>,
    opened: &mut Opened,
    cache: Cache,
    projects: Vec<&'r Project>,
    published: &[(&Project, &ProjectPlan)],
    outcome: &mut SyncOutcome,
) -> Result<Shelf<'r>, SyncError> {
    let mut questions = Vec::new();
    let mut refused = Vec::new();
    let mut unusable = Vec::new();
    for project in &projects {
        match question(request, opened, &cache, project, published, outcome)? {
            Ok((question, entries)) => {
                questions.push(question);
                refused.push(entries);
                unusable.push(None);
            }
            Err(error) => unusable.push(Some(error)),
        }
    }
    if unusable.iter().any(Option::is_some) {
        return Ok(Shelf {
            projects,
            refused,
            planned: Err(unusable),
        });
    }
    match cache.plan(questions, request.force) {
        Ok(plan) => Ok(Shelf {
            projects,
            refused,
            planned: Ok((cache, plan)),
        }),
        Err(error) => failed(projects, error),
    }
}

fn failed(projects: Vec<&Project>, error: CacheError) -> Result<Shelf<'_>, SyncError> {
    if let CacheError::Interrupted(interrupted) = error {
        return Err(interrupted.into());
    }
    let errors = of_all(&projects, error);
    Ok(Shelf {
        projects,
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

type Asking = Result<(Question, Vec<(BString, String)>), ProjectError>;

/// What a project wants of the codex, and the entries that it cannot have.
fn question(
    request: &SyncRequest<'_>,
    opened: &mut Opened,
    cache: &Cache,
    project: &Project,
    published: &[(&Project, &ProjectPlan)],
    outcome: &mut SyncOutcome,
) -> Result<Asking, SyncError> {
    let rules = &project.from_codex;
    let by_frontmatter = rules.include.is_empty() && rules.use_frontmatter;
    let wants = if by_frontmatter {
        Wants::markdown
    } else {
        Wants::new
    };
    let wants = match wants(project, request.workspace) {
        Ok(wants) => wants,
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
    let mut asked = Asked {
        remote: request.workspace.remote.url.to_string(),
        branch: opened.branch.clone(),
        tip: opened.tip,
        question: wants.digest(),
        complete: true,
        time: request.now,
    };
    let answered = cache
        .manifest()
        .owners
        .get(&owner)
        .is_some_and(|before| before.answers(&asked));
    if answered && published.is_empty() && !request.rescan {
        let files = cache.files_of(&owner);
        return Ok(Ok((
            Question {
                owner,
                asked,
                files,
            },
            Vec::new(),
        )));
    }
    let (store, tip) = opened.clone_of_tip(request)?;
    let root = tip
        .map(|tip| store.root_tree(tip))
        .transpose()
        .map_err(StoreError::from)?;
    let mut found = wants
        .find(&|id| store.read_tree(id), root)
        .map_err(StoreError::from)?;
    asked.tip = opened.tip;
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
        let path = crate::plan::in_codex(&project.to, change.path.as_bstr());
        match change
            .op
            .file()
            .filter(|file| file.mode.is_file() && wants.wants(&path))
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
    if by_frontmatter {
        routing::keep_routed(
            request,
            opened,
            project,
            published,
            &mut found.files,
            outcome,
        )?;
    }
    asked.complete = found.refused.is_empty();
    Ok(Ok((
        Question {
            owner,
            asked,
            files: found.files,
        },
        found.refused,
    )))
}

/// Writes one cache, unless the run is dry, and tells what became of each project.
fn put(
    request: &SyncRequest<'_>,
    opened: &Opened,
    shelf: Shelf<'_>,
    published: &[(&Project, &ProjectPlan)],
    outcome: &mut SyncOutcome,
) -> Result<Vec<ProjectReport>, SyncError> {
    let Shelf {
        projects,
        refused,
        planned,
    } = shelf;
    let errors = match planned {
        Ok((mut cache, mut plan)) => {
            measure(&mut plan, opened.store.as_ref(), published);
            let taken = if request.dry_run {
                Ok(std::mem::take(&mut plan.taken))
            } else {
                request.reporter.event(&Event::Started {
                    stage: Stage::Write,
                });
                let contents = opened.store.as_ref().map(Store::contents);
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
                Ok(taken) => {
                    let told = projects.into_iter().zip(taken).zip(refused);
                    return Ok(told
                        .map(|((project, taken), refused)| {
                            tell(request, project, taken, refused, outcome)
                        })
                        .collect());
                }
                Err(error) => of_all(&projects, error),
            }
        }
        Err(errors) => errors,
    };
    // Projects that share a cache share its fate.
    let reports = projects.into_iter().zip(errors).map(|(project, error)| {
        let outcome = error.map_or(ProjectOutcome::NotLanded, ProjectOutcome::Failed);
        report(project, outcome, ProjectPlan::default())
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
        .taken
        .iter_mut()
        .flat_map(|taken| &mut taken.plan.changes)
    {
        if let Op::Added(file) | Op::Modified(file) = &mut change.op {
            let size = new.get(&file.id).copied().or_else(|| store?.size(file.id));
            file.size = size.unwrap_or_default();
        }
    }
}

fn tell(
    request: &SyncRequest<'_>,
    project: &Project,
    mut taken: Taken,
    mut refused: Vec<(BString, String)>,
    outcome: &mut SyncOutcome,
) -> ProjectReport {
    for path in taken.kept.iter().take(NAMED) {
        let message = format!(
            "`{}` in the cache was changed by hand and is kept; `--force` gives it up",
            escaped(path)
        );
        request.warn(&mut outcome.warnings, Some(project), message);
    }
    if let Some(rest) = taken.kept.len().checked_sub(NAMED).filter(|rest| *rest > 0) {
        request.warn(
            &mut outcome.warnings,
            Some(project),
            format!("{rest} more files in the cache are kept"),
        );
    }
    refused.append(&mut taken.refused);
    let became = if !refused.is_empty() {
        ProjectOutcome::Incomplete(refused)
    } else if taken.plan.changes.is_empty() {
        ProjectOutcome::UpToDate
    } else if request.dry_run {
        ProjectOutcome::WouldSync
    } else {
        ProjectOutcome::Brought
    };
    report(project, became, taken.plan)
}

fn report(project: &Project, outcome: ProjectOutcome, plan: ProjectPlan) -> ProjectReport {
    let last_sync = LastSync::NotAsked;
    ProjectReport {
        name: project.name.clone(),
        direction: Direction::FromCodex,
        to: None,
        outcome,
        plan,
        last_sync,
    }
}
