//! Runs a sync: `publish` to the codex, then `pull` from it.
//!
//! Success is reported only for commits that the remote has confirmed. A project that fails or is
//! withheld does not affect the others, unless the run is `--atomic`. No push is ever forced.

mod authorship;
mod cache_update;
mod caches;
pub(crate) mod changed_since;
mod ci_system;
mod commit_search;
mod committed_cache;
mod connection;
mod decisions;
pub mod doctor;
pub(crate) mod expectation;
pub(crate) mod fetch;
mod former_directory;
pub mod history;
pub mod orphans;
mod parting;
mod publish;
mod pull;
mod remote_session;
mod repeater;
mod request;
pub mod retire;
mod search_depths;
pub(crate) mod shard_weights;
mod source_branch;
pub(crate) mod sources;
mod staleness;
pub(crate) mod sync_log;
pub(crate) mod trace;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::codex::temp_clone;
use crate::config::Direction;
use crate::forge::web_page::KnownForges;
use crate::outcome::{ProjectOutcome, Pushed, RemoteState, SyncError, SyncOutcome};
use crate::workspace::Project;

use expectation::Expectation;

pub use crate::checks::CheckScope;
pub use crate::plan::DeletePolicy;
pub use former_directory::FormerDirectoryError;
pub use request::SyncRequest;

/// Syncs the selected projects, each in its direction: first all that publish, then all that pull,
/// unless publishing failed as a whole. A dry run only plans. An error of the run is a part of the
/// outcome.
pub fn sync(request: &SyncRequest<'_>) -> SyncOutcome {
    let started = Instant::now();
    if !request.offline {
        temp_clone::sweep(&request.temporary);
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(request.workspace.jobs)
        // Trees are edited recursively, and a path may have two thousand levels. Unused stack costs
        // nothing.
        .stack_size(64 << 20)
        .build();
    let mut outcome = match pool {
        Ok(pool) => pool.install(|| sync_both_ways(request)),
        // Without a pool of its own, the run uses the global one.
        Err(_) => sync_both_ways(request),
    };
    outcome.duration = started.elapsed();
    decisions::log(&outcome, request.workspace);
    outcome
}

/// Publishes first, then pulls, so that the caches contain the published files. A publish that ends
/// with an error prevents the pull.
fn sync_both_ways(request: &SyncRequest<'_>) -> SyncOutcome {
    let published = in_direction(request, Direction::ToCodex);
    let pulled = in_direction(request, Direction::FromCodex);
    let direction = match (published.is_empty(), pulled.is_empty()) {
        (true, false) => Direction::FromCodex,
        (_, true) => Direction::ToCodex,
        (false, false) => Direction::Bidirectional,
    };

    let mut outcome = empty_outcome(request, direction);
    if let (Expectation::Id(expected), true) = (&request.expectation, published.is_empty()) {
        let expected = *expected;
        outcome.failure = Some(SyncError::UnexpectedPlan {
            expected,
            id: None,
            options: Vec::new(),
        });
        return outcome;
    }
    let mut caches = BTreeMap::new();
    if !published.is_empty() {
        let request = SyncRequest {
            projects: published.clone(),
            ..request.clone()
        };
        (outcome, caches) = publish::publish(&request, outcome);
    }
    if pulled.is_empty() || outcome.failure.is_some() {
        return outcome;
    }
    if let Err(interrupted) = request.interrupt.check() {
        outcome.failure = Some(interrupted.into());
        return outcome;
    }
    if request.offline {
        let projects = pulled
            .iter()
            .map(|project| format!("`{}`", project.name))
            .collect();
        outcome.failure = Some(SyncError::OfflinePull { projects });
        return outcome;
    }

    // A dry run pulls as if these projects had been published. The files of a sync branch are not
    // in the branch that is pulled.
    let reports = std::mem::take(&mut outcome.projects);
    let planned: Vec<_> = published
        .iter()
        .zip(&reports)
        .filter(|(_, report)| {
            matches!(report.outcome, ProjectOutcome::WouldSync) && report.sync_branch.is_none()
        })
        .filter_map(|(project, report)| {
            let plan = report.plan.as_ref()?;
            Some(pull::PlannedPublish { project, plan })
        })
        .collect();
    let result = pull::pull(request, &pulled, &planned, caches, &mut outcome);
    outcome.projects = reports;
    match result {
        Ok(reports) => outcome.projects.extend(reports),
        Err(error) => outcome.failure = Some(error),
    }
    outcome.projects.sort_by(|a, b| a.name.cmp(&b.name));
    outcome
}

/// The projects that are synced in a direction, including those that are synced in both.
fn in_direction<'w>(request: &SyncRequest<'w>, direction: Direction) -> Vec<&'w Project> {
    request
        .projects
        .iter()
        .copied()
        .filter(|project| [direction, Direction::Bidirectional].contains(&project.direction))
        .collect()
}

/// The outcome of a run that has done nothing yet.
fn empty_outcome(request: &SyncRequest<'_>, direction: Direction) -> SyncOutcome {
    let remote = &request.workspace.remote;
    SyncOutcome {
        direction,
        dry_run: request.dry_run,
        recorded: None,
        plan_id: None,
        plan_facts: None,
        root: request.workspace.root.clone(),
        remote: RemoteState {
            url: remote.url.clone(),
            forges: KnownForges::new(request.workspace, request.environment),
            branch: remote.branch.clone(),
            before: None,
            after: None,
            creates_branch: false,
            base: None,
            sync_branches: Vec::new(),
        },
        pull_requests: Vec::new(),
        orphans: Vec::new(),
        selection: None,
        projects: Vec::new(),
        pushed: Pushed::No,
        kept_in_cache: 0,
        attempts: 0,
        warnings: Vec::new(),
        failure: None,
        duration: Default::default(),
    }
}
