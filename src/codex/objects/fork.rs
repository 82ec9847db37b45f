//! Finds where two histories parted.

use std::collections::{BTreeSet, HashMap};

use crate::object::ObjectId;

/// Finds where the histories of two tips parted. `read` returns the time and the parents of a commit;
/// `None` if it is missing.
pub(crate) fn fork(
    first: ObjectId,
    second: ObjectId,
    read: &dyn Fn(ObjectId) -> Option<(i64, Vec<ObjectId>)>,
) -> Fork {
    let mut search = ForkSearch {
        read,
        reached: HashMap::new(),
        order: Vec::new(),
        pending: BTreeSet::new(),
        is_cut: false,
    };
    search.reach(first, true, false, Reached::default());
    search.reach(second, false, true, Reached::default());
    search.run();

    let all = search.order.iter().map(|id| (*id, search.reached[id]));
    let mut nearest: Vec<_> = all
        .clone()
        .filter(|(_, reached)| reached.is_common() && !reached.is_below_common)
        .collect();
    nearest.sort_by_key(|(_, reached)| reached.depth);
    let own = all
        .filter(|(_, reached)| reached.from_first && !reached.from_second)
        .map(|(id, _)| id);
    Fork {
        depth: if nearest.is_empty() {
            0
        } else {
            search.depth()
        },
        own: own.collect(),
        is_complete: !nearest.is_empty() || !search.is_cut,
        ancestors: nearest.into_iter().map(|(id, _)| id).collect(),
    }
}

/// A commit that is reached from one or both of two tips.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    from_first: bool,
    from_second: bool,
    /// Whether a descendant is reached from both tips.
    is_below_common: bool,
    /// The length of the shortest known path from a tip.
    depth: u32,
}

impl Reached {
    fn is_common(self) -> bool {
        self.from_first && self.from_second
    }
}

/// Finds where two histories parted, newest commits first.
struct ForkSearch<'s> {
    /// The time and the parents of a commit; `None` if it is missing.
    read: &'s dyn Fn(ObjectId) -> Option<(i64, Vec<ObjectId>)>,
    reached: HashMap<ObjectId, Reached>,
    /// The commits in the order in which they were reached.
    order: Vec<ObjectId>,
    /// The commits whose parents are not up to date, by time.
    pending: BTreeSet<(i64, ObjectId)>,
    /// Whether a commit of only one history is missing.
    is_cut: bool,
}

impl ForkSearch<'_> {
    fn run(&mut self) {
        let is_open = |search: &Self| {
            let mut pending = search.pending.iter();
            pending.any(|(_, id)| !search.reached[id].is_below_common)
        };
        while is_open(self) {
            self.step(|_, _| true);
        }
        // If a clock was wrong, commits below common ones were reached before them.
        while !self.pending.is_empty() {
            self.step(|search, parent| search.reached.contains_key(&parent));
        }
    }

    /// Updates the parents of the newest pending commit that are `wanted`.
    fn step(&mut self, wanted: impl Fn(&Self, ObjectId) -> bool) {
        let Some((_, id)) = self.pending.pop_last() else {
            return;
        };
        let from = self.reached[&id];
        let Some((_, parents)) = (self.read)(id) else {
            self.is_cut |= !from.is_common();
            return;
        };
        for parent in parents {
            if wanted(self, parent) {
                self.reach(parent, from.from_first, from.from_second, from);
            }
        }
    }

    /// The depth of a fetch that contains all commits that were reached.
    fn depth(&self) -> u32 {
        let depths = self.reached.values().map(|reached| reached.depth);
        depths.max().unwrap_or_default()
    }

    /// Notes that a commit is reached from these tips, below `child`.
    fn reach(&mut self, id: ObjectId, from_first: bool, from_second: bool, child: Reached) {
        let before = self.reached.get(&id).copied();
        let known = before.unwrap_or(Reached {
            depth: child.depth + 1,
            ..Reached::default()
        });
        let now = Reached {
            from_first: known.from_first || from_first,
            from_second: known.from_second || from_second,
            is_below_common: known.is_below_common || child.is_common() || child.is_below_common,
            depth: known.depth.min(child.depth + 1),
        };
        let is_same = before.is_some_and(|before| {
            before.is_common() == now.is_common()
                && before.from_first == now.from_first
                && before.is_below_common == now.is_below_common
        });
        if before.is_none() {
            self.order.push(id);
        }
        self.reached.insert(id, now);
        if !is_same {
            let time = (self.read)(id).map_or(i64::MIN, |(time, _)| time);
            self.pending.insert((time, id));
        }
    }
}

/// The fork of two histories, as far as the repository has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fork {
    /// The merge bases: the newest commits that both histories contain, nearest first. There are
    /// several if each history has merged earlier commits of the other.
    pub ancestors: Vec<ObjectId>,
    /// The depth of a fetch of both tips that contains the ancestors.
    pub depth: u32,
    /// The commits down to the ancestors that the first history has and the second history lacks.
    pub own: Vec<ObjectId>,
    /// Whether the repository has both histories down to an ancestor or to their first commits.
    pub is_complete: bool,
}
