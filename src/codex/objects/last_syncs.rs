//! Finds the newest sync of each project in the history, and whether others have made commits since.
//! Only commits are read, no trees.

use std::collections::{BTreeMap, BTreeSet};

use super::commit_message::{MoveTrailers, RecordedChange, RecordedSyncs, is_merge_of_sync};
use super::commit_walk::CommitWalk;
use crate::object::ObjectId;
use crate::paths::CodexPath;

/// The newest syncs of projects.
#[derive(Debug, Default)]
pub(crate) struct LastSyncs {
    /// The sync of each project, by the project's name.
    syncs: BTreeMap<String, NewestSync>,
    /// The number of projects whose syncs were not found.
    missing: usize,
    /// The number of commits that were read. A fetch of this depth contains the syncs.
    pub commits: u32,
    /// Whether the search met a missing commit, so that older syncs may exist.
    pub is_cut: bool,
}

/// The newest sync of a project. A commit that only moved the directory of the project is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewestSync {
    /// The commit.
    pub commit: ObjectId,
    /// The directory that the project had then, if it was moved since.
    pub directory: Option<CodexPath>,
    /// Whether the commit also has changes of others.
    pub is_mixed: bool,
    /// Whether a commit that no sync has made was read before it.
    has_others: bool,
}

/// A project that is searched for.
struct Sought<'n> {
    name: &'n str,
    /// The newest move of its directory that was read.
    first_move: Option<ObjectId>,
    /// The oldest move of its directory that was read.
    moved: Option<MoveTrailers>,
}

impl Sought<'_> {
    /// The name that the project had at this point of the history.
    fn former_name(&self) -> &str {
        self.moved.as_ref().map_or(self.name, |moved| &moved.old)
    }
}

impl LastSyncs {
    /// Searches the history of `tips`, newest commits first, until the syncs of all projects with
    /// these names are found, under their earlier names too. `read` returns the bytes of a commit, or
    /// `None` if it is missing.
    pub(crate) fn search(
        tips: &[ObjectId],
        names: &BTreeSet<&str>,
        read: impl Fn(ObjectId) -> Option<Vec<u8>>,
    ) -> Self {
        let mut found = Self::default();
        let mut walk = CommitWalk::new(tips, read);
        let mut has_others = false;
        let sought = names.iter().map(|name| Sought {
            name,
            first_move: None,
            moved: None,
        });
        let mut sought: Vec<_> = sought.collect();
        while !sought.is_empty()
            && let Some((id, commit)) = walk.next()
        {
            let recorded = RecordedSyncs::parse(&commit.message);
            sought.retain_mut(|one| !found.add(one, id, &recorded, has_others));
            let is_of_sync = !recorded.only().is_empty() || is_merge_of_sync(&commit.message);
            has_others |= !is_of_sync;
        }
        found.missing = sought.len();
        for one in sought {
            // Without an older sync, the files of the move are the oldest ones that are known.
            let Some(commit) = one.first_move else {
                continue;
            };
            let sync = NewestSync {
                commit,
                directory: None,
                is_mixed: false,
                has_others: true,
            };
            found.syncs.insert(one.name.to_owned(), sync);
        }
        found.commits = walk.commits as u32;
        found.is_cut = walk.is_cut;
        found
    }

    /// Adds the sync of a project, if the commit `id` records it. Follows a move of its directory.
    fn add(
        &mut self,
        sought: &mut Sought<'_>,
        id: ObjectId,
        recorded: &RecordedSyncs,
        has_others: bool,
    ) -> bool {
        let syncs = recorded.syncs.iter();
        let mut changes = syncs
            .filter(|sync| sync.project == sought.former_name())
            .map(|sync| &sync.change)
            .peekable();
        if changes.peek().is_none() {
            return false;
        }
        let moved = changes.find_map(|change| match change {
            RecordedChange::Moved(moved) => Some(moved.clone()),
            RecordedChange::Synced | RecordedChange::Retired { .. } => None,
        });
        if moved.is_some() {
            sought.moved = moved;
            sought.first_move.get_or_insert(id);
            return false;
        }
        let sync = NewestSync {
            commit: id,
            directory: sought.moved.as_ref().map(|moved| moved.from.clone()),
            is_mixed: recorded.has_others,
            has_others: has_others || recorded.has_others,
        };
        self.syncs.insert(sought.name.to_owned(), sync);
        true
    }

    /// Whether the syncs of all projects were found.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Whether a sync of the project was found.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.syncs.contains_key(name)
    }

    /// The newest sync of a project, if others have made commits since.
    pub(crate) fn before_others(&self, name: &str) -> Option<&NewestSync> {
        self.syncs.get(name).filter(|sync| sync.has_others)
    }
}
