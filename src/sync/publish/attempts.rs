//! Remembers the pushes of a run to one branch. The reply to a push can be lost, and the push can still land
//! later. So every attempt is remembered until the remote has confirmed it, or until it can no
//! longer land.

use std::collections::BTreeMap;

use super::commit::CommittedBranch;
use super::plan::Planned;
use super::push::PushOutcome;
use super::report::LandedCommit;
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::plan::{Decision, ProjectPlan};
use crate::sync::remote_session::RemoteSession;

/// One push.
struct Attempt {
    /// The commit that the branch is to point to.
    head: ObjectId,
    /// The tip of the branch that the push replaces; `None` if the push creates the branch.
    replaces: Option<ObjectId>,
    /// The commit that the commits are on top of.
    base: Option<ObjectId>,
    /// The commits by project index.
    commits: BTreeMap<usize, ObjectId>,
    /// The changes of the commits by project index, if the run makes another plan while the attempt
    /// may still land or after it has landed.
    plans: BTreeMap<usize, ProjectPlan>,
}

/// All pushes of a run.
#[derive(Default)]
pub(super) struct Attempts {
    /// The number of pushes that were completed.
    pub(super) count: u32,
    /// Attempts that may have landed, oldest first.
    pending: Vec<Attempt>,
    /// Attempts that the remote has confirmed, in the order of the confirmations.
    verified: Vec<Attempt>,
}

impl Attempts {
    /// Remembers a push that is about to begin. The same commits can be pushed twice, and are
    /// remembered once.
    pub(super) fn begin(&mut self, replaces: Option<ObjectId>, committed: &CommittedBranch) {
        self.count += 1;
        self.pending
            .retain(|earlier| earlier.head != committed.head);
        self.pending.push(Attempt {
            head: committed.head,
            replaces,
            base: committed.base,
            commits: committed.commits.clone(),
            plans: BTreeMap::new(),
        });
    }

    /// The heads of the attempts that may have landed, oldest first.
    pub(super) fn heads(&self) -> Vec<ObjectId> {
        self.pending.iter().map(|attempt| attempt.head).collect()
    }

    /// A commit that all of these attempts are on top of.
    pub(super) fn boundary(&self) -> Option<ObjectId> {
        let first = self.pending.first()?;
        first.replaces.or(first.base)
    }

    /// Updates the last attempt, which pushed `planned`, with its result.
    pub(super) fn note(&mut self, planned: &Planned, result: &Result<PushOutcome, SyncError>) {
        match result {
            Ok(PushOutcome::Verified { heads, .. }) => {
                let last = self.pending.last().map(|attempt| attempt.head);
                self.verify(heads);
                // If only an earlier attempt has landed, the tip that the last one replaces is no
                // longer that of the branch.
                self.pending.retain(|attempt| Some(attempt.head) != last);
            }
            Ok(PushOutcome::BranchMoved(setback) | PushOutcome::RetryableFailure(setback))
                if setback.is_undetermined() =>
            {
                if let Some(attempt) = self.pending.last_mut() {
                    attempt.plans = planned
                        .changes()
                        .map(|(index, plan)| (index, plan.clone()))
                        .collect();
                }
            }
            Ok(PushOutcome::Unknown(_)) => {}
            Ok(
                PushOutcome::BranchMoved(_)
                | PushOutcome::RetryableFailure(_)
                | PushOutcome::Rejected(_),
            )
            | Err(_) => {
                self.pending.pop();
            }
        }
    }

    /// Forgets the last attempt, because it was not sent completely.
    pub(super) fn forget_last(&mut self) {
        self.count -= 1;
        self.pending.pop();
    }

    /// Keeps the plan of the last verified attempt, because the run makes another plan.
    pub(super) fn keep_plan(&mut self, planned: Planned) {
        let Some(attempt) = self
            .verified
            .last_mut()
            .filter(|last| last.plans.is_empty())
        else {
            return;
        };
        let plans = planned
            .decisions
            .into_iter()
            .filter(|(index, _)| attempt.commits.contains_key(index))
            .filter_map(|(index, decision)| match decision {
                Decision::Ready(plan) => Some((index, plan)),
                _ => None,
            });
        attempt.plans = plans.collect();
    }

    /// Searches a newly fetched tip for attempts that may have landed.
    pub(super) fn recognize(
        &mut self,
        session: &RemoteSession,
        target: usize,
    ) -> Result<(), SyncError> {
        let tip = session.targets[target].tip;
        let is_replaced = |attempt: &Attempt| attempt.replaces != tip;
        let Some(tip) = tip.filter(|_| self.pending.iter().any(is_replaced)) else {
            return Ok(());
        };

        let (heads, boundary) = (self.heads(), self.boundary());
        let found = if heads.contains(&tip) {
            session.store().search(tip, &heads, boundary).found
        } else {
            session.search_branch(target, &heads, boundary)?.found
        };
        self.verify(&found);
        Ok(())
    }

    /// Forgets the verified attempts, because the branch does not contain them any more.
    pub(super) fn forget_verified(&mut self) {
        self.verified.clear();
    }

    /// Marks the attempts with these heads as verified.
    fn verify(&mut self, heads: &[ObjectId]) {
        let (found, pending): (Vec<_>, _) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|attempt| heads.contains(&attempt.head));
        self.pending = pending;
        self.verified.extend(found);
    }

    /// Whether an attempt may have landed without having been seen in the branch.
    pub(super) fn is_any_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the remote has confirmed commits of a project, given its index.
    pub(super) fn has_landed(&self, project: usize) -> bool {
        let mut verified = self.verified.iter();
        verified.any(|attempt| attempt.commits.contains_key(&project))
    }

    /// Whether the remote has confirmed an attempt.
    pub(super) fn is_any_verified(&self) -> bool {
        !self.verified.is_empty()
    }

    /// The tip that the first verified attempt replaced, and the head of the last one; `None` if
    /// nothing was verified.
    pub(super) fn verified_range(&self) -> Option<(Option<ObjectId>, ObjectId)> {
        let first = self.verified.first()?;
        let last = self.verified.last()?;
        Some((first.replaces, last.head))
    }

    /// Splits the attempts into the verified commits and those of the last pending attempt, both by
    /// project index.
    pub(super) fn into_commits(
        mut self,
    ) -> (BTreeMap<usize, LandedCommit>, BTreeMap<usize, ObjectId>) {
        let mut landed = BTreeMap::new();
        for mut attempt in self.verified {
            for (index, commit) in attempt.commits {
                let plan = attempt.plans.remove(&index);
                landed.insert(index, LandedCommit { commit, plan });
            }
        }
        let pending = self.pending.pop().map(|attempt| attempt.commits);
        (landed, pending.unwrap_or_default())
    }
}
