//! Finds the newest sync of each project in the history, and whether others have made commits since.
//! Only commits are read, no trees.

use std::collections::{BTreeMap, BTreeSet};

use super::commit_message::{is_merge_of_sync, named_projects};
use super::commit_walk::CommitWalk;
use crate::object::ObjectId;

/// The newest syncs of projects.
#[derive(Debug, Default)]
pub(crate) struct LastSyncs {
    /// The commit of each project, and whether a commit that no sync has made was read before it.
    syncs: BTreeMap<String, (ObjectId, bool)>,
    /// The number of commits that were read. A fetch of this depth contains the syncs.
    pub commits: u32,
    /// Whether the search met a missing commit, so that older syncs may exist.
    pub is_cut: bool,
}

impl LastSyncs {
    /// Searches the history of `tips`, newest commits first, until the syncs of all projects with
    /// these names are found. `read` returns the bytes of a commit, or `None` if it is missing.
    pub(crate) fn search(
        tips: &[ObjectId],
        names: &BTreeSet<&str>,
        read: impl Fn(ObjectId) -> Option<Vec<u8>>,
    ) -> Self {
        let mut found = Self::default();
        let mut walk = CommitWalk::new(tips, read);
        let mut has_others = false;
        while !found.is_complete(names)
            && let Some((id, commit)) = walk.next()
        {
            let mut is_of_sync = is_merge_of_sync(&commit.message);
            for name in named_projects(&commit.message) {
                is_of_sync = true;
                if names.contains(name) {
                    let sync = (id, has_others);
                    found.syncs.entry(name.to_owned()).or_insert(sync);
                }
            }
            has_others |= !is_of_sync;
        }
        found.commits = walk.commits as u32;
        found.is_cut = walk.is_cut;
        found
    }

    /// Whether the syncs of all projects with these names were found.
    pub(crate) fn is_complete(&self, names: &BTreeSet<&str>) -> bool {
        self.syncs.len() == names.len()
    }

    /// The newest sync of a project, if others have made commits since.
    pub(crate) fn before_others(&self, name: &str) -> Option<ObjectId> {
        let (id, has_others) = self.syncs.get(name)?;
        has_others.then_some(*id)
    }
}
