//! The pull requests of a run: those that the forge has, and the result for each lane.

use std::collections::{BTreeMap, BTreeSet};

use super::check::CheckResults;
use super::lane::Lane;
use super::scan::Scanned;
use crate::codex::source_revision::SourceRevision;
use crate::forge::pull_request::{Forge, PullRequest, PullRequestState};
use crate::forge::pull_request_text::contents_in;
use crate::forge::{self, ForgeError};
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::outcome::{ProjectOutcome, Proposal, Warning};
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;

/// The pull requests of a run.
#[derive(Default)]
pub(super) struct Proposals {
    forge: Option<Box<dyn Forge>>,
    /// The pull requests that were read before the push, by lane.
    pub(super) found: BTreeMap<usize, Vec<PullRequest>>,
    /// The results, by lane.
    pub(super) results: BTreeMap<usize, LaneProposal>,
    /// Whether the pull requests could not be read, in a run that only shows the plan.
    pub(super) is_unreadable: bool,
}

/// The values of a run that proposals are made from.
pub(super) struct ProposalRun<'v> {
    pub(super) scanned: &'v Scanned,
    pub(super) checked: &'v CheckResults,
    pub(super) lanes: &'v mut [Lane],
    /// The source revisions of the projects that were committed, by index.
    pub(super) revisions: &'v BTreeMap<usize, Option<SourceRevision>>,
    pub(super) proposals: &'v mut Proposals,
    pub(super) warnings: &'v mut Vec<Warning>,
}

/// The result for one lane.
pub(super) enum LaneProposal {
    /// The commits of the lane are in an open pull request.
    Open(Proposal),
    /// The commits of the lane were pushed, and the forge confirmed no pull request.
    PushedOnly(Proposal),
    /// A person closed the pull request with the same contents. `projects` has the indexes of the
    /// projects whose changes the codex lacks.
    Closed {
        number: u64,
        url: String,
        projects: BTreeSet<usize>,
    },
}

impl Proposals {
    /// The forge, which is opened by the first call.
    pub(super) fn forge(
        &mut self,
        request: &SyncRequest<'_>,
    ) -> Result<&mut dyn Forge, ForgeError> {
        let forge = match self.forge.take() {
            Some(forge) => forge,
            None => forge::open(
                request.workspace,
                request.environment,
                &request.interrupt,
                &request.reporter,
            )?,
        };
        Ok(self.forge.insert(forge).as_mut())
    }

    /// The pull requests of a lane: those that were read before the push, or the current ones.
    pub(super) fn of_lane(
        &mut self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        lane: usize,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        if let Some(found) = self.found.remove(&lane) {
            return Ok(found);
        }
        let branch = &session.targets[lane].branch;
        self.forge(request)?.find(branch, &session.base.branch)
    }

    /// Whether a person closed the pull request of a lane with the contents of this project.
    pub(super) fn is_closed(&self, lane: usize, project: usize) -> bool {
        matches!(
            self.results.get(&lane),
            Some(LaneProposal::Closed { projects, .. }) if projects.contains(&project)
        )
    }

    /// The proposals for the outcome of the run.
    pub(super) fn reports(&self) -> Vec<Proposal> {
        let results = self.results.values();
        results
            .filter_map(|result| match result {
                LaneProposal::Open(proposal) | LaneProposal::PushedOnly(proposal) => {
                    Some(proposal.clone())
                }
                LaneProposal::Closed { .. } => None,
            })
            .collect()
    }

    /// The result of a project, given its result without pull requests.
    pub(super) fn outcome_of(
        &self,
        lane: usize,
        project: usize,
        outcome: ProjectOutcome,
    ) -> ProjectOutcome {
        match (self.results.get(&lane), outcome) {
            (Some(LaneProposal::Open(_)), ProjectOutcome::Synced(commit)) => {
                ProjectOutcome::Proposed(commit)
            }
            (Some(LaneProposal::PushedOnly(_)), ProjectOutcome::Synced(commit)) => {
                ProjectOutcome::PushedOnly(commit)
            }
            (
                Some(LaneProposal::Closed {
                    number,
                    url,
                    projects,
                }),
                ProjectOutcome::NotLanded | ProjectOutcome::UpToDate | ProjectOutcome::WouldSync,
            ) if projects.contains(&project) => ProjectOutcome::PullRequestClosed {
                number: *number,
                url: url.clone(),
            },
            (_, outcome) => outcome,
        }
    }
}

/// The names of the projects of a lane whose current files are on its sync branch.
pub(super) fn names(request: &SyncRequest<'_>, scanned: &Scanned, lane: &Lane) -> Vec<ProjectName> {
    let indexes = lane.projects.iter();
    indexes
        .filter(|index| lane.reason_for_exclusion(scanned, **index).is_none())
        .map(|index| request.projects[*index].name.clone())
        .collect()
}

/// The result of a lane if a person closed its newest pull request, and it had the same contents.
/// `contents` has the digests of the projects that the branch of the codex lacks, by index. `tip` is
/// that of the sync branch, if nothing is to be pushed to it.
pub(super) fn closed_by_person(
    newest: &PullRequest,
    contents: BTreeMap<usize, String>,
    tip: Option<ObjectId>,
) -> Option<LaneProposal> {
    if newest.state != PullRequestState::Closed || contents.is_empty() {
        return None;
    }
    let recorded = contents_in(&newest.body);
    let is_recorded = contents
        .values()
        .all(|digest| recorded.contains(digest.as_str()));
    let is_same = is_recorded || (tip.is_some() && newest.head == tip);
    is_same.then(|| LaneProposal::Closed {
        number: newest.number,
        url: newest.url.clone(),
        projects: contents.into_keys().collect(),
    })
}
