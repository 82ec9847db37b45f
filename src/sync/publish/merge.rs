//! Decides whether the branch of the codex is merged into a sync branch before the commits of the
//! projects, and what the merge contains.
//!
//! A sync branch is to be merged into the branch of the codex. If both have changed the same path
//! since they parted, the server would find a conflict, or show old changes again. Then, and only
//! then, a merge commit comes first. It has the tree of the branch of the codex, with the changes
//! that only the sync branch has made, and with its version of the paths that the projects claim.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BStr, BString, ByteSlice};

use crate::codex::objects::commit_builder::list_merged;
use crate::codex::objects::tree_merge::{Changes, Overlap, changes, merged, overlap};
use crate::codex::store::StoreError;
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::plan::Listing;
use crate::sync::parting::Parting;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;
use crate::workspace::Workspace;

/// A merge of the branch of the codex into a sync branch.
pub(super) struct PlannedMerge {
    /// The tip of the branch of the codex.
    pub(super) base: ObjectId,
    /// The differences of the merged tree from that of `base`.
    pub(super) edits: Changes,
}

impl PlannedMerge {
    /// The files of the projects, given their indexes, in the merged tree.
    pub(super) fn listings(
        &self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        projects: &[usize],
    ) -> Result<BTreeMap<usize, Listing>, SyncError> {
        let listed: Vec<_> = projects
            .iter()
            .map(|number| request.projects[*number])
            .collect();
        let listings = list_merged(session.store(), self.base, &self.edits, &listed);
        let listings = listings.map_err(StoreError::from)?;
        Ok(projects.iter().copied().zip(listings).collect())
    }
}

/// The merge that comes before commits that change the paths `published`; `None` if the branches
/// have changed different paths.
///
/// If nothing else is to be published, a path that both branches have changed in the same way needs
/// no merge.
pub(super) fn needed_merge(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    target: usize,
    published: &BTreeSet<BString>,
) -> Result<Option<PlannedMerge>, SyncError> {
    let parting = session.partings.each.get(target);
    let tips = (session.targets[target].tip, session.base.tip);
    let (Some(Parting::Diverged { ancestor }), (Some(tip), Some(base))) = (parting, tips) else {
        return Ok(None);
    };

    let store = session.store();
    let read = |id| store.read_tree(id);
    let compare = || {
        let ancestor = store.root_tree(*ancestor)?;
        let ours = changes(&read, ancestor, store.root_tree(tip)?)?;
        let theirs = changes(&read, ancestor, store.root_tree(base)?)?;
        Ok((ours, theirs))
    };
    let (ours, theirs) = compare().map_err(StoreError::Tree)?;

    let is_in_conflict = |path: &BString| match overlap(path.as_bstr(), &theirs) {
        Overlap::None => false,
        Overlap::Same(edit) => !published.is_empty() || ours.get(path) != Some(&edit),
        Overlap::Nested => true,
    };
    if !ours.keys().chain(published).any(is_in_conflict) {
        return Ok(None);
    }
    let is_claimed = |path: &BStr| claims(request.workspace, path);
    let edits = merged(&ours, &theirs, is_claimed);
    Ok(Some(PlannedMerge { base, edits }))
}

/// Whether a project of the workspace claims the path of the codex.
fn claims(workspace: &Workspace, path: &BStr) -> bool {
    workspace.projects.iter().any(|project| {
        let below = path.strip_prefix(project.to.as_bstr().as_bytes());
        let below = below.and_then(|rest| rest.strip_prefix(b"/"));
        below.is_some_and(|below| project.claims.owns(below))
    })
}
