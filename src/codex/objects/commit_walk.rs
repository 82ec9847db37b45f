//! Reads the commits in the history of tips, newest first.

use std::collections::{BTreeMap, HashSet};

use super::commit::ParsedCommit;
use crate::object::ObjectId;

/// The commits in the history of tips, each once, newest first by their committer times. A commit is
/// only read when an item is requested.
pub(crate) struct CommitWalk<R> {
    /// Returns the bytes of a commit; `None` if the object is missing, as at the boundary of a shallow
    /// clone.
    read: R,
    seen: HashSet<ObjectId>,
    /// Commits that were not read yet.
    unread: Vec<ObjectId>,
    pending: BTreeMap<(i64, ObjectId), ParsedCommit>,
    /// The number of commits that were returned. A fetch of this depth contains them.
    pub commits: usize,
    /// Whether a commit was missing, so that there may be older commits.
    pub is_cut: bool,
}

impl<R: Fn(ObjectId) -> Option<Vec<u8>>> CommitWalk<R> {
    /// Starts at `tips`.
    pub(crate) fn new(tips: &[ObjectId], read: R) -> Self {
        Self {
            read,
            seen: tips.iter().copied().collect(),
            unread: tips.to_vec(),
            pending: BTreeMap::new(),
            commits: 0,
            is_cut: false,
        }
    }
}

impl<R: Fn(ObjectId) -> Option<Vec<u8>>> Iterator for CommitWalk<R> {
    type Item = (ObjectId, ParsedCommit);

    fn next(&mut self) -> Option<Self::Item> {
        for id in self.unread.drain(..) {
            match (self.read)(id).as_deref().and_then(ParsedCommit::parse) {
                Some(commit) => {
                    self.pending.insert((commit.time, id), commit);
                }
                None => self.is_cut = true,
            }
        }
        let ((_, id), commit) = self.pending.pop_last()?;
        self.commits += 1;
        let parents = commit.parents.iter().copied();
        self.unread
            .extend(parents.filter(|parent| self.seen.insert(*parent)));
        Some((id, commit))
    }
}
