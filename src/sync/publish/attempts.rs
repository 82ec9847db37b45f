//! The memory of the pushes of a run. The response to a push can be lost and the push can still land later, so every
//! attempt is remembered until the remote was seen to hold it, or until it cannot land any more.

use std::collections::BTreeMap;

use super::commit::Committed;
use super::plan::Planned;
use super::push::PushOutcome;
use super::report::LandedCommit;
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::plan::ProjectPlan;
use crate::sync::remote_session::RemoteSession;

/// One push.
struct Attempt {
    /// The commit that the branch is to point to.
    head: ObjectId,
    /// The tip of the branch that it replaces; `None` if it creates the branch.
    replaces: Option<ObjectId>,
    /// The commit that the commits are on top of.
    base: Option<ObjectId>,
    /// The commits by project index.
    commits: BTreeMap<usize, ObjectId>,
    /// The changes of the commits, by project index. They are only kept here if the run makes another plan while the
    /// attempt may still land.
    plans: BTreeMap<usize, ProjectPlan>,
}

/// All pushes of a run.
#[derive(Default)]
pub(super) struct Attempts {
    /// The number of pushes.
    pub(super) count: u32,
    /// Attempts that may have landed, oldest first.
    pending: Vec<Attempt>,
    /// Attempts that the remote was seen to hold, in the order in which they were seen.
    verified: Vec<Attempt>,
}

impl Attempts {
    /// Remembers a push that is about to begin. The same commits can be pushed twice, and are remembered once.
    pub(super) fn begin(&mut self, session: &RemoteSession, committed: &Committed) {
        self.count += 1;
        self.pending
            .retain(|earlier| earlier.head != committed.head);
        self.pending.push(Attempt {
            head: committed.head,
            replaces: session.target.tip,
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
        self.pending.first().and_then(|attempt| attempt.base)
    }

    /// Notes the result of the push that began last, of `planned`.
    pub(super) fn note(&mut self, planned: &Planned, result: &Result<PushOutcome, SyncError>) {
        match result {
            Ok(PushOutcome::Verified { heads, .. }) => {
                let last = self.pending.last().map(|attempt| attempt.head);
                self.verify(heads);
                // An earlier attempt landed instead, so that the last one cannot.
                self.pending.retain(|attempt| Some(attempt.head) != last);
            }
            Ok(PushOutcome::BranchMoved(setback) | PushOutcome::RetryableFailure(setback))
                if setback.is_undetermined() =>
            {
                if let Some(attempt) = self.pending.last_mut() {
                    attempt.plans = planned
                        .changes()
                        .map(|(number, plan)| (number, plan.clone()))
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

    /// Looks for the attempts that may have landed in a tip that was fetched since.
    pub(super) fn recognize(&mut self, session: &RemoteSession) -> Result<(), SyncError> {
        let is_replaced = |attempt: &Attempt| attempt.replaces != session.target.tip;
        let Some(tip) = session
            .target
            .tip
            .filter(|_| self.pending.iter().any(is_replaced))
        else {
            return Ok(());
        };

        let (heads, boundary) = (self.heads(), self.boundary());
        let found = if heads.contains(&tip) {
            session.store().search(tip, &heads, boundary).found
        } else {
            session.search_branch(&heads, boundary)?.found
        };
        self.verify(&found);
        Ok(())
    }

    /// Notes that the branch contains these heads.
    fn verify(&mut self, heads: &[ObjectId]) {
        let (found, pending): (Vec<_>, _) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|attempt| heads.contains(&attempt.head));
        self.pending = pending;
        self.verified.extend(found);
    }

    /// Whether commits of this run may be in the branch without having been seen there.
    pub(super) fn is_any_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The tip that the first verified attempt replaced, and the head of the last one; `None` if nothing was verified.
    pub(super) fn verified_range(&self) -> Option<(Option<ObjectId>, ObjectId)> {
        let first = self.verified.first()?;
        let last = self.verified.last()?;
        Some((first.replaces, last.head))
    }

    /// Splits the attempts into the verified commits and those of the last pending attempt, both by project index.
    pub(super) fn into_commits(
        mut self,
    ) -> (BTreeMap<usize, LandedCommit>, BTreeMap<usize, ObjectId>) {
        let mut landed = BTreeMap::new();
        for mut attempt in self.verified {
            for (number, commit) in attempt.commits {
                let plan = attempt.plans.remove(&number);
                landed.insert(number, LandedCommit { commit, plan });
            }
        }
        let pending = self.pending.pop().map(|attempt| attempt.commits);
        (landed, pending.unwrap_or_default())
    }
}
