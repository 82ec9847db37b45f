//! The stage between plan and commit in a run that is to carry out a plan which was made before:
//! compares both, and stops the run if they differ.
//!
//! The stage follows every plan of the run, also after the branch has moved. Then the plan that was
//! pushed before it moved is the expected one. So a codex that moves at other paths never stops a
//! run, whether the expected plan was saved or is only known by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::commit::Committer;
use super::publish_run::Run;
use crate::outcome::SyncError;
use crate::plan::Listing;
use crate::saved_plan::differences::differences;
use crate::saved_plan::facts::{
    PROGRAM_VERSION, PlanFacts, PlannedResult, PlannedRevision, ProjectFacts, RunFacts,
    escaped_text,
};
use crate::scan::Snapshot;
use crate::sync::expectation::Expectation;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;

/// Compares the plans of all lanes with the expected plan, if there is one. An error means that they
/// differ, and that they must not be carried out.
pub(super) fn compare(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    committer: &mut Committer<'_>,
    run: &mut Run,
) -> Result<(), SyncError> {
    match &request.expectation {
        Expectation::Nothing => Ok(()),
        Expectation::Keep => {
            let mut facts = facts(request, session, run);
            add_revisions(request, committer, run, &mut facts);
            run.expected = Some(Arc::new(facts));
            Ok(())
        }
        Expectation::Plan(planned) => {
            run.expected.get_or_insert_with(|| planned.clone());
            compare_with_expected(request, session, run)
        }
        Expectation::Id(_) => compare_with_expected(request, session, run),
    }
}

/// Compares the plans with the expected plan. Of a plan that is only known by its id, the id is
/// compared first, and its facts are known from then on.
#[tracing::instrument(level = "debug", name = "compare", skip_all)]
fn compare_with_expected(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    run: &mut Run,
) -> Result<(), SyncError> {
    if let Expectation::Id(expected) = request.expectation
        && run.expected.is_none()
    {
        let id = run.plan_id();
        if id != Some(expected) {
            return Err(SyncError::UnexpectedPlan {
                expected,
                id,
                options: Vec::new(),
            });
        }
    }

    let now = facts(request, session, run);
    let landed = landed(request, run);
    let expected = run.expected.get_or_insert_with(|| Arc::new(now.clone()));
    let differences = differences(expected, &now, &landed);
    match differences.is_empty() {
        true => Ok(()),
        false => Err(SyncError::PlanDiffers {
            differences,
            options: Vec::new(),
        }),
    }
}

/// The facts of the plans of all lanes.
fn facts(request: &SyncRequest<'_>, session: &RemoteSession, run: &Run) -> PlanFacts {
    let (no_sources, no_files) = (Snapshot::default(), Listing::default());
    let mut projects: BTreeMap<usize, ProjectFacts> = BTreeMap::new();
    for lane in &run.lanes {
        for index in &lane.projects {
            let project = request.projects[*index];
            let planned = lane.planned.as_ref();
            let listing = planned.and_then(|planned| planned.listings.get(index));
            let decision = planned.and_then(|planned| planned.decisions.get(index));
            let is_failed = run.scanned.failed.contains_key(index);
            let mut facts = ProjectFacts::new(
                project,
                request.workspace.settings_digests_of(project),
                run.scanned.snapshots.get(*index).unwrap_or(&no_sources),
                listing.unwrap_or(&no_files),
                decision.filter(|_| !is_failed),
            );
            let sync_branch = request.workspace.push_branches.of(&project.name);
            facts.sync_branch = sync_branch.as_deref().map(escaped_text);
            if run.proposals.is_closed(lane.target, *index) {
                facts.result = PlannedResult::Withheld;
            }
            projects.insert(*index, facts);
        }
    }

    PlanFacts {
        run: RunFacts {
            program_version: PROGRAM_VERSION.to_owned(),
            url: escaped_text(&session.transport.url().without_secrets()),
            branch: Some(escaped_text(session.branch())),
            tip: session.tip(),
            settings: request.workspace.settings_digests(),
        },
        projects: projects.into_values().collect(),
    }
}

/// Adds the source revisions of the projects that change.
fn add_revisions(
    request: &SyncRequest<'_>,
    committer: &mut Committer<'_>,
    run: &Run,
    facts: &mut PlanFacts,
) {
    for planned in run.lanes.iter().filter_map(|lane| lane.planned.as_ref()) {
        committer.find_revisions(request, &run.scanned, planned);
    }
    // The facts are in the order of the projects of the request.
    for (index, facts) in facts.projects.iter_mut().enumerate() {
        let revision = committer.revisions().get(&index);
        facts.revision = revision
            .and_then(Option::as_ref)
            .map(|revision| PlannedRevision {
                url: revision.url.clone(),
                commit: revision.commit,
                dirty: revision.dirty,
            });
    }
}

/// The projects whose commits have landed in this run.
fn landed(request: &SyncRequest<'_>, run: &Run) -> BTreeSet<String> {
    let lanes = run.lanes.iter();
    let landed = lanes.flat_map(|lane| {
        let projects = lane.projects.iter();
        projects.filter(|index| lane.attempts.has_landed(**index))
    });
    landed
        .map(|index| request.projects[*index].name.to_string())
        .collect()
}
