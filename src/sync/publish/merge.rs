//! Decides whether the branch of the codex is merged into a sync branch before the commits of the
//! projects, and what the merge contains.
//!
//! A sync branch is to be merged into the branch of the codex. If both have changed the same claimed
//! path since they parted, the server would find a conflict, or show old changes again. If the
//! branch of the codex has changed a claimed path that the sync branch has not changed, the merged
//! codex would not have the contents of the source. Then, and only then, a merge commit comes first.
//! It has the tree of the branch of the codex, with the changes that only the sync branch has made. So
//! a version of a person is never lost in a merge: the commits of the projects replace it, which is
//! shown as drift, or withheld (`on_drift`).
//!
//! Only the projects count that the run publishes to this branch. A conflict about other paths alone,
//! also of projects with another sync branch, is left to people.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BStr, BString, ByteSlice};

use crate::codex::objects::commit_builder::list_merged;
use crate::codex::objects::tree::{Edit, TreeError};
use crate::codex::objects::tree_merge::{Ancestors, Changes, Overlap, merged, overlap};
use crate::codex::store::{Store, StoreError};
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::plan::Listing;
use crate::sync::parting::Parting;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;
use crate::workspace::Project;

/// A merge of the branch of the codex into a sync branch.
pub(super) struct PlannedMerge {
    /// The tip of the branch of the codex.
    pub(super) base: ObjectId,
    /// The differences of the merged tree from that of `base`.
    pub(super) edits: Changes,
    /// The unclaimed paths that both branches have changed. The merge contains the version of the
    /// branch of the codex.
    pub(super) replaced: Vec<BString>,
}

impl PlannedMerge {
    /// The files of the projects, given their indexes, in the merged tree.
    pub(super) fn listings(
        &self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        projects: &[usize],
    ) -> Result<BTreeMap<usize, Listing>, SyncError> {
        let indexes = projects.iter();
        let listed: Vec<_> = indexes.map(|index| request.projects[*index]).collect();
        let listings = self.listings_of(session, &listed)?;
        Ok(projects.iter().copied().zip(listings).collect())
    }

    /// The files of `projects` in the merged tree, in their order.
    pub(super) fn listings_of(
        &self,
        session: &RemoteSession,
        projects: &[&Project],
    ) -> Result<Vec<Listing>, SyncError> {
        let listings = list_merged(session.store(), self.base, &self.edits, projects);
        Ok(listings.map_err(StoreError::from)?)
    }
}

/// The changes that a sync branch and the branch of the codex have made since they parted.
pub(super) struct Divergence<'p> {
    /// The projects that the run publishes to the sync branch.
    projects: Vec<&'p Project>,
    /// The tip of the branch of the codex.
    base: ObjectId,
    ours: Changes,
    theirs: Changes,
}

impl<'p> Divergence<'p> {
    /// The divergence of a target, to which the run publishes `projects`; `None` if one of the
    /// branches contains the other.
    pub(super) fn of(
        session: &RemoteSession,
        target: usize,
        projects: Vec<&'p Project>,
    ) -> Result<Option<Self>, SyncError> {
        match session.partings.each.get(target) {
            Some(Parting::Diverged { ancestors, earlier }) => {
                Self::since(session, target, ancestors, earlier, projects)
            }
            _ => Ok(None),
        }
    }

    /// Whether a sync branch has changes that the branch of the codex lacks, of paths that none of
    /// the `projects` claims.
    pub(super) fn has_other_changes(
        session: &RemoteSession,
        target: usize,
        projects: Vec<&'p Project>,
    ) -> Result<bool, SyncError> {
        let (ancestors, earlier) = match session.partings.each.get(target) {
            Some(Parting::Diverged { ancestors, earlier }) => (ancestors.as_slice(), &earlier[..]),
            Some(Parting::Ahead) => (session.base.tip.as_slice(), [].as_slice()),
            // Nothing shows what the branch has changed.
            Some(Parting::Unrelated) => return Ok(true),
            Some(Parting::Contained) | None => return Ok(false),
        };
        let Some(divergence) = Self::since(session, target, ancestors, earlier, projects)? else {
            return Ok(false);
        };
        let is_in_base =
            |path: &BString, edit: &Edit| match overlap(path.as_bstr(), &divergence.theirs) {
                Overlap::Same(other) => other == *edit,
                Overlap::None | Overlap::Nested => false,
            };
        let is_claimed = |path: &BString| claims(&divergence.projects, path.as_bstr());
        let mut ours = divergence.ours.iter();
        Ok(ours.any(|(path, edit)| !is_claimed(path) && !is_in_base(path, edit)))
    }

    /// The changes of both branches since these commits, as in [`Parting::Diverged`].
    fn since(
        session: &RemoteSession,
        target: usize,
        ancestors: &[ObjectId],
        earlier: &[ObjectId],
        projects: Vec<&'p Project>,
    ) -> Result<Option<Self>, SyncError> {
        let (Some(tip), Some(base)) = (session.targets[target].tip, session.base.tip) else {
            return Ok(None);
        };
        let [ours, theirs] = changes_of_both(session.store(), ancestors, earlier, [tip, base])
            .map_err(StoreError::Tree)?;
        Ok(Some(Self {
            projects,
            base,
            ours,
            theirs,
        }))
    }

    /// The merge of the branch of the codex into the sync branch.
    pub(super) fn merge(&self) -> PlannedMerge {
        let edits = merged(&self.ours, &self.theirs);
        let is_replaced = |(path, edit): &(&BString, &Edit)| {
            let is_different = match overlap(path.as_bstr(), &self.theirs) {
                Overlap::None => false,
                Overlap::Same(other) => other != **edit,
                Overlap::Nested => edit.is_some(),
            };
            is_different && !claims(&self.projects, path.as_bstr())
        };
        let replaced = self.ours.iter().filter(is_replaced);
        PlannedMerge {
            base: self.base,
            replaced: replaced.map(|(path, _)| path.clone()).collect(),
            edits,
        }
    }

    /// Whether the merge comes before commits that change the paths `published`.
    ///
    /// If nothing else is to be published, a path that both branches have changed in the same way
    /// needs no merge.
    pub(super) fn needs_merge(&self, published: &BTreeSet<BString>) -> bool {
        let is_in_conflict = |path: &&BString| match overlap(path.as_bstr(), &self.theirs) {
            Overlap::None => false,
            Overlap::Same(edit) => !published.is_empty() || self.ours.get(*path) != Some(&edit),
            Overlap::Nested => true,
        };
        let is_reason = |path: &BString| claims(&self.projects, path.as_bstr());
        self.ours
            .keys()
            .chain(published)
            .filter(is_in_conflict)
            .any(is_reason)
    }
}

/// The changes of two branches with these tips since they parted.
fn changes_of_both(
    store: &Store,
    ancestors: &[ObjectId],
    earlier: &[ObjectId],
    [one, other]: [ObjectId; 2],
) -> Result<[Changes; 2], TreeError> {
    let read = |id| store.read_tree(id);
    let trees = |commits: &[ObjectId]| -> Result<Vec<_>, _> {
        commits
            .iter()
            .map(|commit| store.root_tree(*commit))
            .collect()
    };
    let ancestors = Ancestors::new(&read, &trees(ancestors)?, &trees(earlier)?)?;
    let since = |tip| ancestors.changes_to(&read, store.root_tree(tip)?);
    Ok([since(one)?, since(other)?])
}

/// Whether one of the projects claims the path of the codex.
fn claims(projects: &[&Project], path: &BStr) -> bool {
    projects.iter().any(|project| may_change(project, path))
}

/// Whether a sync of the project may change the path of the codex.
fn may_change(project: &Project, path: &BStr) -> bool {
    let below = path.strip_prefix(project.to.as_bstr().as_bytes());
    let below = below.and_then(|rest| rest.strip_prefix(b"/"));
    below.is_some_and(|below| project.may_change(below))
}
