//! Finds directories of the codex that projects of this workspace have left: the configuration no
//! longer has the project, or has another directory for it.
//!
//! A codex has the projects of many repositories, so a directory is only reported with evidence that
//! it is from this workspace: the recorded state of a sync or, if the history was read, the commit of
//! a sync from one of its source repositories.

use std::collections::{BTreeMap, BTreeSet};

use super::former_directory::{check_former, default_directory};
use super::remote_session::{RemoteSession, connect};
use super::request::SyncRequest;
use crate::codex::objects::sync_history::SyncHistory;
use crate::codex::source_repository::SourceRepositories;
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::outcome::{Orphan, SyncError, SyncOutcome, WarningSubject};
use crate::paths::CodexPath;
use crate::state::State;
use crate::workspace::{Project, PushBranches};

/// The directories that may have been left, each with the project.
type Candidates = BTreeMap<CodexPath, LeftDirectory>;

/// The projects that the history of the codex names as published from the source repositories of the
/// workspace, and that the configuration does not have.
#[derive(Default)]
pub struct FormerProjects(Candidates);

/// A directory that a project may have left.
struct LeftDirectory {
    project: ProjectName,
    /// The tip for which the directory is known to have files, if it is.
    known_at: Option<ObjectId>,
}

/// Adds the directories that projects have left to the outcome of a run of `status`, and warns about
/// each. Nothing is requested unless there is evidence of one. A failure is only a warning.
/// `history` has the evidence of [`super::history`], if it was read.
pub fn add_orphans(request: &SyncRequest<'_>, outcome: &mut SyncOutcome, history: FormerProjects) {
    let mut candidates = history.0;
    candidates.extend(recorded(request));
    let tip = outcome.remote.before;
    if candidates.is_empty() || outcome.failure.is_some() {
        return;
    }
    let is_known = |candidate: &LeftDirectory| request.offline || candidate.known_at == tip;
    let found = match candidates.values().all(is_known) {
        true => Ok(candidates.into_iter().collect()),
        false => connect(request, false, &[]).and_then(|mut session| {
            let candidates = candidates.into_iter().collect();
            existing(request, &mut session, candidates)
        }),
    };
    match found {
        Ok(found) => {
            let unpublished = unpublished(outcome);
            for (directory, candidate) in found {
                let orphan = orphan(request, directory, candidate.project, &unpublished);
                let message = orphan.to_string();
                let subject = WarningSubject::Orphan;
                request.warn_about(&mut outcome.warnings, &orphan.project, subject, message);
                outcome.orphans.push(orphan);
            }
        }
        Err(SyncError::Interrupted(interrupted)) => outcome.failure = Some(interrupted.into()),
        Err(error) => {
            let message = format!("cannot look for directories of removed projects: {error}");
            request.warn(&mut outcome.warnings, None, message);
        }
    }
}

/// The directories that projects have left, for `doctor`, which has fetched the codex.
pub(super) fn orphans(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
) -> Result<Vec<Orphan>, SyncError> {
    let candidates = recorded(request).into_iter().collect();
    let found = existing(request, session, candidates)?.into_iter();
    let none = BTreeSet::new();
    Ok(found
        .map(|(directory, candidate)| orphan(request, directory, candidate.project, &none))
        .collect())
}

/// The directories that projects have left, as far as this workspace has recorded it, each with its
/// project.
pub(super) fn recorded_directories(request: &SyncRequest<'_>) -> BTreeMap<CodexPath, ProjectName> {
    let candidates = recorded(request).into_iter();
    candidates
        .map(|(directory, candidate)| (directory, candidate.project))
        .collect()
}

/// The directories for which a sync of this workspace has recorded state, and that no project of the
/// configuration has.
fn recorded(request: &SyncRequest<'_>) -> Candidates {
    let workspace = request.workspace;
    let sync_branch = match &workspace.push_branches {
        PushBranches::Direct => None,
        PushBranches::Shared(branch) => Some(branch.as_str()),
        // The records of each project are those of its own branch.
        PushBranches::PerProject(_) => return Candidates::new(),
    };
    if workspace.projects_vary {
        return Candidates::new();
    }
    let known = workspace.projects.iter().map(|project| &project.to);
    let others = State::of(workspace, sync_branch).others(known).into_iter();
    let others = others.filter(|recorded| !recorded.listing.entries.is_empty());
    others
        .filter_map(|recorded| {
            let directory = CodexPath::new(&recorded.to).ok()?;
            let candidate = LeftDirectory {
                project: recorded.name.parse().ok()?,
                known_at: recorded.base,
            };
            Some((directory, candidate))
        })
        .filter(|(directory, _)| check_former(request, directory).is_ok())
        .collect()
}

/// Selects the former projects of this workspace in the history.
pub(super) fn former_projects(request: &SyncRequest<'_>, history: &SyncHistory) -> FormerProjects {
    if request.workspace.projects_vary || history.others.is_empty() {
        return FormerProjects::default();
    }
    let repositories = SourceRepositories::default();
    let projects = request.workspace.projects.iter();
    let urls: BTreeSet<_> = projects
        .filter_map(|project| repositories.of(&project.root).ok()??.url())
        .collect();
    let others = history.others.iter();
    let found = others
        .filter(|(_, url)| url.as_ref().is_some_and(|url| urls.contains(url)))
        .filter_map(|(name, _)| {
            let project: ProjectName = name.parse().ok()?;
            let directory = default_directory(&project);
            let is_free = check_former(request, &directory).is_ok();
            let known_at = None;
            is_free.then_some((directory, LeftDirectory { project, known_at }))
        })
        .collect();
    FormerProjects(found)
}

/// The directories that the codex has at its tip.
fn existing(
    request: &SyncRequest<'_>,
    session: &mut RemoteSession,
    candidates: Vec<(CodexPath, LeftDirectory)>,
) -> Result<Vec<(CodexPath, LeftDirectory)>, SyncError> {
    let projects: Vec<_> = candidates
        .iter()
        .map(|(directory, candidate)| {
            Project::of_directory(candidate.project.clone(), directory.clone())
        })
        .collect();
    let projects: Vec<_> = projects.iter().collect();
    let listings = session.listings_at_tip(request, &projects)?;
    let with_files = candidates.into_iter().zip(listings);
    Ok(with_files
        .filter(|(_, listing)| !listing.entries.is_empty())
        .map(|(candidate, _)| candidate)
        .collect())
}

/// The projects that have changes to publish and no files in the codex yet.
fn unpublished(outcome: &SyncOutcome) -> BTreeSet<ProjectName> {
    let is_new = |counts: [u64; 4]| counts[0] > 0 && counts[1..] == [0; 3];
    let projects = outcome.projects.iter();
    projects
        .filter(|project| project.counts().is_some_and(is_new))
        .map(|project| project.name.clone())
        .collect()
}

fn orphan(
    request: &SyncRequest<'_>,
    directory: CodexPath,
    project: ProjectName,
    unpublished: &BTreeSet<ProjectName>,
) -> Orphan {
    let configured = request.workspace.project(project.as_str());
    let successor = match (configured, unpublished.len()) {
        (Some(_), _) => unpublished.contains(&project).then(|| project.clone()),
        (None, 1) => unpublished.first().cloned(),
        (None, _) => None,
    };
    Orphan {
        moved_to: configured.map(|project| project.to.clone()),
        project,
        directory,
        successor,
    }
}
