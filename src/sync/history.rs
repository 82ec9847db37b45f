//! When each project was last synced, and from which revision. No sync needs to know, so it is asked only where it is
//! to be shown, and what cannot be found out is told as that, with the reason.
//!
//! Of what was published the codex's commits tell, whoever made them and wherever; of what was brought, the local cache.

use std::collections::{BTreeMap, BTreeSet};

use super::SyncRequest;
use super::opened::Repeater;
use crate::cache::{Cache, Owner, Reason};
use crate::codex::history::{History, search};
use crate::codex::store::Store;
use crate::codex::transport::{Depth, OnSignal};
use crate::config::Direction;
use crate::event::{Event, Stage};
use crate::object::ObjectId;
use crate::outcome::{LastSync, ProjectReport, SyncError, SyncOutcome};
use crate::workspace::Project;

/// How many commits back the history is fetched, step by step, as long as a project is not found.
const DEPTHS: [u32; 3] = [256, 4096, 65_536];
/// Where the server sends all that the commits hold along with them.
const UNFILTERED_DEPTH: u32 = 4096;

/// Adds to a run that went through when each of its projects was last synced. Nothing is written that stays. An
/// interruption becomes what ended the run; other failures are told with the projects.
pub fn add(request: &SyncRequest<'_>, outcome: &mut SyncOutcome) {
    let is_published = |report: &&ProjectReport| report.direction != Direction::FromCodex;
    let names: BTreeSet<String> = outcome
        .projects
        .iter()
        .filter(is_published)
        .map(|report| report.name.to_string())
        .collect();
    let mut found = match look(request, outcome, &names) {
        Ok(found) => found,
        Err(error @ SyncError::Interrupted(_)) => {
            outcome.failure = Some(error);
            return;
        }
        Err(error) => {
            request.warn(
                &mut outcome.warnings,
                None,
                format!("the codex's history cannot be read: {error}"),
            );
            Err(format!("the codex's history cannot be read: {error}"))
        }
    };
    let projects: BTreeMap<_, _> = request
        .projects
        .iter()
        .map(|project| (&project.name, *project))
        .collect();
    for report in &mut outcome.projects {
        report.last_sync = match (&mut found, projects.get(&report.name)) {
            (_, Some(project)) if report.direction == Direction::FromCodex => {
                brought(request, project, outcome.remote.branch.as_deref())
            }
            (Err(reason), _) => LastSync::Unknown(reason.clone()),
            (Ok(history), _) => match history.syncs.remove(report.name.as_str()) {
                Some(commit) => LastSync::Published(commit),
                None => not_found(request, report, history),
            },
        };
    }
}

/// What the history tells, or why it was not asked.
fn look(
    request: &SyncRequest<'_>,
    outcome: &SyncOutcome,
    names: &BTreeSet<String>,
) -> Result<Result<History, String>, SyncError> {
    if request.offline {
        return Ok(Err("`--offline` asks nobody".to_owned()));
    }
    let (Some(branch), Some(tip)) = (&outcome.remote.branch, outcome.remote.before) else {
        return Ok(Err("the branch has no commits yet".to_owned()));
    };
    if names.is_empty() {
        return Ok(Ok(History::default()));
    }
    request.reporter.event(&Event::Started {
        stage: Stage::Fetch,
    });
    let history = fetch(
        request,
        branch,
        tip,
        &names.iter().map(String::as_str).collect(),
    )?;
    request.reporter.event(&Event::Finished {
        stage: Stage::Fetch,
    });
    Ok(Ok(history))
}

fn fetch(
    request: &SyncRequest<'_>,
    branch: &str,
    tip: ObjectId,
    names: &BTreeSet<&str>,
) -> Result<History, SyncError> {
    let transport = request.transport()?;
    let store = Store::create(&request.temporary)?.of_commits_alone();
    transport.prepare(&store)?;
    let repeater = Repeater::new(&request.workspace.remote.timeout);
    let mut history = History::default();
    for depth in DEPTHS {
        let fetched = repeater.run(Some(&request.interrupt), || {
            transport.fetch(&store, branch, Depth(depth), OnSignal::Stop)
        })?;
        // The plan is of that tip; what others pushed since is not what it was compared with.
        let from = if store.read_commit(tip).is_some() {
            tip
        } else {
            fetched
        };
        history = search(from, names, |id| store.read_commit(id));
        let is_filtered = store
            .root_tree(fetched)
            .is_ok_and(|tree| store.read_tree(tree).is_err());
        if !history.is_cut
            || history.syncs.len() == names.len()
            || (!is_filtered && depth >= UNFILTERED_DEPTH)
        {
            break;
        }
    }
    Ok(history)
}

fn not_found(request: &SyncRequest<'_>, report: &ProjectReport, history: &History) -> LastSync {
    let counts = report.plan.counts();
    let is_there = counts.modified + counts.deleted + report.plan.unchanged > 0;
    match history {
        _ if !request.workspace.commit.trailers => {
            LastSync::Unknown("its commits do not tell: `commit.trailers` is off".to_owned())
        }
        History {
            is_cut: true,
            commits,
            ..
        } => LastSync::Unknown(format!(
            "none of the last {commits} commits is a sync of it"
        )),
        _ if is_there => {
            LastSync::Unknown("no commit of the codex says that it is a sync of it".to_owned())
        }
        _ => LastSync::Never,
    }
}

fn brought(request: &SyncRequest<'_>, project: &Project, branch: Option<&str>) -> LastSync {
    let cache = Cache::look(&project.cache_dir);
    let owner = Owner {
        project: project.name.clone(),
        reason: Reason::Wanted,
    };
    let url = request.workspace.remote.url.to_string();
    match cache.manifest().owners.get(&owner) {
        Some(asked) if asked.remote == url && Some(asked.branch.as_str()) == branch => {
            LastSync::Brought {
                time: asked.time,
                tip: asked.tip,
            }
        }
        _ => LastSync::Unknown("the local cache holds nothing of it".to_owned()),
    }
}
