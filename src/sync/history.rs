//! Finds out when each project was last synced, and from which revision. A sync does not need this,
//! so it is only done for output that shows it. A failure is not an error of the run: it becomes
//! the reason why the value is unknown.
//!
//! For published projects the source is the history of the codex, which includes the syncs of other
//! people and machines. For pulled projects it is the manifest of the local cache.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::commit_search::search_commits;
use super::orphans::{FormerProjects, former_projects};
use super::request::SyncRequest;
use super::staleness::add_stale_since;
use crate::cache::{Cache, CacheOwner, Reason};
use crate::codex::objects::sync_history::{SyncHistory, other_projects, search};
use crate::codex::store::Store;
use crate::config::Direction;
use crate::event::{Event, Stage};
use crate::object::ObjectId;
use crate::outcome::{LastSync, ProjectReport, SyncError, SyncOutcome};
use crate::workspace::Project;

/// The numbers of commits to fetch. Each step is only taken while a project has not been found.
const DEPTHS: [u32; 3] = [256, 4096, 65_536];
/// The maximum depth if the server ignores the filter and sends the contents of every commit as
/// well.
const UNFILTERED_DEPTH: u32 = 4096;

/// The result of the search for the syncs of published projects.
enum Lookup {
    /// The history was read.
    Found(SyncHistory),
    /// The branch has no commits.
    Empty,
    /// The history was not read, for this reason.
    Unavailable(String),
}

/// Adds the last sync of each project, and since when it is out of date, to the outcome of a run that succeeded. The history is
/// fetched into a temporary clone, and nothing else is written.
///
/// An interruption becomes the failure of the run; any other failure is added to the projects and
/// as a warning. Returns the projects of the workspace in the history that the configuration does not
/// have.
pub fn add_last_syncs(request: &SyncRequest<'_>, outcome: &mut SyncOutcome) -> FormerProjects {
    let mut lookup = match look_up(request, outcome) {
        Ok(lookup) => lookup,
        Err(error @ SyncError::Interrupted(_)) => {
            outcome.failure = Some(error);
            return FormerProjects::default();
        }
        Err(error) => {
            let reason = format!("cannot read the history of the codex: {error}");
            request.warn(&mut outcome.warnings, None, reason.clone());
            Lookup::Unavailable(reason)
        }
    };

    let former = match &lookup {
        Lookup::Found(history) => former_projects(request, history),
        _ => FormerProjects::default(),
    };
    let branch = outcome.remote.branch.as_deref();
    let projects: BTreeMap<_, _> = request
        .projects
        .iter()
        .map(|project| (&project.name, *project))
        .collect();
    for report in &mut outcome.projects {
        let project = projects.get(&report.name);
        report.last_sync = match (&mut lookup, project) {
            (_, Some(project)) if report.direction == Direction::FromCodex => {
                last_pull(request, project, branch)
            }
            (Lookup::Unavailable(reason), _) => LastSync::Unknown(reason.clone()),
            (Lookup::Empty, _) => LastSync::Never,
            (Lookup::Found(history), _) => match history.syncs.remove(report.name.as_str()) {
                Some(commit) => LastSync::Published(commit),
                None => not_found(request, report, history),
            },
        };
        report.source_directory = match (&report.last_sync, project) {
            (LastSync::Published(commit), Some(project)) => {
                let source = commit.source.as_ref();
                let url = source.and_then(|source| source.url.as_ref());
                url.and_then(|url| request.sources.path_in_repository(project, url))
            }
            _ => None,
        };
    }
    add_stale_since(request, outcome);
    former
}

/// Fetches and searches the history for all published projects of the run.
fn look_up(request: &SyncRequest<'_>, outcome: &SyncOutcome) -> Result<Lookup, SyncError> {
    if request.offline {
        let reason = "the history is not read with `--offline`".to_owned();
        return Ok(Lookup::Unavailable(reason));
    }
    let (Some(branch), Some(tip)) = (&outcome.remote.branch, outcome.remote.before) else {
        return Ok(Lookup::Empty);
    };
    let names: BTreeSet<&str> = outcome
        .projects
        .iter()
        .filter(|report| report.direction != Direction::FromCodex)
        .map(|report| report.name.as_str())
        .collect();
    if names.is_empty() {
        return Ok(Lookup::Found(SyncHistory::default()));
    }

    request.reporter.event(&Event::Started {
        stage: Stage::Fetch,
    });
    let history = fetch(request, branch, tip, &names)?;
    request.reporter.event(&Event::Finished {
        stage: Stage::Fetch,
    });
    Ok(Lookup::Found(history))
}

/// Fetches the history of `branch` in steps of [`DEPTHS`] until the last sync of every project in
/// `names` is found.
///
/// The search starts at `tip`, the commit that the plan was compared with, even if the branch has
/// moved since.
fn fetch(
    request: &SyncRequest<'_>,
    branch: &str,
    tip: ObjectId,
    names: &BTreeSet<&str>,
) -> Result<SyncHistory, SyncError> {
    let transport = request.connection()?;
    let search = |store: &Store, fetched, depth| {
        // `tip` can be missing if so many commits were pushed since that it is below the depth, or
        // after a force push.
        let start = if store.read_commit(tip).is_some() {
            tip
        } else {
            fetched
        };
        let mut history = search(start, names, |id| store.read_commit(id));

        let is_filtered = store
            .root_tree(fetched)
            .is_ok_and(|tree| store.read_tree(tree).is_err());
        if !history.is_cut
            || history.syncs.len() == names.len()
            || (!is_filtered && depth >= UNFILTERED_DEPTH)
        {
            let projects = request.workspace.projects.iter();
            let known = projects.map(|project| project.name.as_str()).collect();
            history.others = other_projects(start, &known, |id| store.read_commit(id));
            return ControlFlow::Break(history);
        }
        ControlFlow::Continue(history)
    };
    let (_, history) = search_commits(request, &*transport, branch, DEPTHS, search)?;
    Ok(history)
}

/// The last sync of a project that the history does not mention.
fn not_found(request: &SyncRequest<'_>, report: &ProjectReport, history: &SyncHistory) -> LastSync {
    let has_files = report
        .counts()
        .is_some_and(|[_, modified, deleted, unchanged]| modified + deleted + unchanged > 0);

    if !request.workspace.commit.trailers {
        let reason = "`commit.trailers` is off, so commits do not name their project";
        LastSync::Unknown(reason.to_owned())
    } else if history.is_cut {
        LastSync::Unknown(format!(
            "not synced within the last {} commits",
            history.commits
        ))
    } else if has_files {
        let reason = "the codex has files of the project, but no commit made by a sync of it";
        LastSync::Unknown(reason.to_owned())
    } else {
        LastSync::Never
    }
}

/// The last pull of a project into its cache from this remote and branch.
fn last_pull(request: &SyncRequest<'_>, project: &Project, branch: Option<&str>) -> LastSync {
    let cache = match Cache::open_read_only(&project.cache_dir) {
        Ok(cache) => cache,
        Err(error) => return LastSync::Unknown(error.to_string()),
    };
    let owner = CacheOwner {
        project: project.name.clone(),
        reason: Reason::Pulled,
    };
    let url = request.workspace.remote.url.to_string();

    match cache.manifest().owners.get(&owner) {
        Some(record) if record.remote == url && Some(record.branch.as_str()) == branch => {
            LastSync::Pulled {
                time: record.time,
                tip: record.tip,
            }
        }
        _ => LastSync::Unknown("the local cache has no files for the project".to_owned()),
    }
}
