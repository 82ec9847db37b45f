//! The guard against too many deletions, in the codex and in the local cache.

use super::withheld::{DeletedFrom, Withheld};
use crate::workspace::Project;

/// If a project has at least this number of claimed files, one of them must survive.
const MIN_TO_SURVIVE: u64 = 5;

/// The guard that a run uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeletePolicy {
    /// The project's `delete_guard`.
    #[default]
    Guarded,
    /// At most this number of deletions per project (`--max-delete N`). As with the others, a
    /// project of which nothing would be left is withheld.
    AtMost(u64),
    /// At most this percentage of a project's claimed files (`--max-delete P%`).
    AtMostPercent(u8),
    /// Any number of deletions (`--allow-mass-delete`).
    Unlimited,
}

/// The numbers that the guard depends on.
pub(crate) struct Deletions {
    /// The place.
    pub(crate) from: DeletedFrom,
    /// Claimed files that would be deleted. In the cache, a project claims the files that it has
    /// pulled.
    pub(crate) deleted: u64,
    /// Unclaimed files that `prune` would delete.
    pub(crate) pruned: u64,
    /// Claimed files in that place.
    pub(crate) claimed: u64,
    /// Whether no source file, or no file of the codex, matches any pattern.
    pub(crate) nothing_matches: bool,
}

impl Deletions {
    /// Returns the reason to withhold the project, if the deletions are too many.
    pub(crate) fn check(&self, project: &Project, policy: DeletePolicy) -> Option<Withheld> {
        let &Self {
            from,
            deleted,
            pruned,
            claimed,
            nothing_matches,
        } = self;
        let all = deleted + pruned;
        if policy == DeletePolicy::Unlimited || all == 0 {
            return None;
        }
        if nothing_matches {
            return Some(Withheld::NothingMatches { from, deleted: all });
        }

        let guard = &project.delete_guard;
        let exceeds_share = |percent: u8| all * 100 > claimed * u64::from(percent);
        let is_exceeded = match policy {
            DeletePolicy::Guarded => all > guard.files && exceeds_share(guard.percent),
            DeletePolicy::AtMost(files) => all > files,
            DeletePolicy::AtMostPercent(percent) => exceeds_share(percent),
            DeletePolicy::Unlimited => false,
        };
        if is_exceeded {
            Some(Withheld::TooManyDeletions {
                from,
                deleted,
                pruned,
                claimed,
            })
        } else if claimed >= MIN_TO_SURVIVE && deleted == claimed {
            Some(Withheld::NoneSurvives { from, claimed })
        } else {
            None
        }
    }
}
