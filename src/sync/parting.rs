//! Finds where sync branches parted from the base that they are to be merged into.

use std::collections::{BTreeMap, BTreeSet};

use super::repeater::Repeater;
use super::request::SyncRequest;
use super::search_depths::search_depths;
use crate::codex::objects::commit_message::{SyncTrailers, is_of_sync};
use crate::codex::objects::fork::Fork;
use crate::codex::remote::{Depth, Transport};
use crate::codex::source_revision::SourceRevision;
use crate::codex::store::{Store, StoreError};
use crate::interrupt::OnSignal;
use crate::object::ObjectId;
use crate::outcome::SyncError;

/// The relation of a sync branch to the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parting {
    /// The sync branch does not exist, or the base contains it: new commits go on top of the base.
    Contained,
    /// The sync branch contains the base: new commits go on top of the sync branch.
    Ahead,
    /// The sync branch and the base have no commit in common, so that no server can merge the sync
    /// branch. New commits go on top of the sync branch all the same.
    Unrelated,
    /// The sync branch and the base each have commits that the other lacks. New commits go on top
    /// of the sync branch, and may have to merge the base first.
    Diverged {
        /// The nearest commits that both branches contain.
        ancestors: Vec<ObjectId>,
        /// The nearest commits that all `ancestors` have in common, if there are several
        /// `ancestors`.
        earlier: Vec<ObjectId>,
    },
}

/// The sync branches of a run, compared with the base.
#[derive(Debug, Default)]
pub(super) struct Partings {
    /// The relation of each target, in the order of the targets.
    pub(super) each: Vec<Parting>,
    /// For each target, the commits that no sync has made and that the base lacks, as far as their
    /// trailers show it.
    pub(super) foreign: Vec<Vec<ObjectId>>,
    /// For each target, the source revisions in the trailers of the commits that the base lacks, by
    /// the name of the project. Only the newest commit of a project counts.
    pub(super) revisions: Vec<BTreeMap<String, SourceRevision>>,
}

/// The comparison of sync branches with the base.
pub(super) struct PartingSearch<'s> {
    pub(super) request: &'s SyncRequest<'s>,
    pub(super) transport: &'s dyn Transport,
    pub(super) repeater: Repeater,
    /// The clone, which has the tips.
    pub(super) store: &'s Store,
    /// The name and the tip of the base.
    pub(super) base: (&'s str, ObjectId),
}

/// A sync branch with its tip, and where it parted from the base.
struct ForkOf<'s> {
    branch: &'s str,
    tip: ObjectId,
    fork: Fork,
    /// The forks of the nearest common ancestors, if there are several.
    earlier: Vec<Fork>,
}

impl<'s> ForkOf<'s> {
    fn new(store: &Store, branch: &'s str, tip: ObjectId, base_tip: ObjectId) -> Self {
        let fork = store.fork(tip, base_tip);
        let pairs = fork.ancestors.windows(2);
        Self {
            branch,
            tip,
            earlier: pairs.map(|pair| store.fork(pair[0], pair[1])).collect(),
            fork,
        }
    }

    fn is_complete(&self) -> bool {
        self.fork.is_complete && self.earlier.iter().all(|fork| fork.is_complete)
    }

    /// The depth of a fetch that contains all ancestors.
    fn depth(&self) -> u32 {
        let below = self.earlier.iter().map(|fork| fork.depth).max();
        self.fork.depth.saturating_add(below.unwrap_or_default())
    }

    /// The nearest commits that the nearest common ancestors have in common.
    fn earlier_ancestors(&self) -> Vec<ObjectId> {
        let ancestors = self.earlier.iter().flat_map(|fork| &fork.ancestors);
        let ancestors: BTreeSet<_> = ancestors.copied().collect();
        ancestors.into_iter().collect()
    }
}

impl<'s> PartingSearch<'s> {
    /// Compares sync branches, given by their names and tips, with the base. Fetches history in
    /// growing steps until all common ancestors are found, and the trees of those that may be needed
    /// for a merge.
    pub(super) fn find(
        &self,
        targets: impl Iterator<Item = (&'s str, Option<ObjectId>)>,
    ) -> Result<Partings, SyncError> {
        let (_, base_tip) = self.base;
        let mut forks: Vec<_> = targets
            .map(|(branch, tip)| {
                let tip = tip?;
                Some(ForkOf::new(self.store, branch, tip, base_tip))
            })
            .collect();
        let history = self.complete_forks(&mut forks)?;
        self.fetch_ancestors(&forks)?;

        let read = |id: &ObjectId| {
            let in_history = || history.as_ref()?.read_commit(*id);
            self.store.read_commit(*id).or_else(in_history)
        };
        let is_foreign = |id: &ObjectId| read(id).is_some_and(|commit| !is_of_sync(&commit));
        let foreign = |fork: &Option<ForkOf<'_>>| match fork {
            // Without trailers, the commits of a sync cannot be distinguished from others.
            Some(of) if self.request.workspace.commit.trailers => {
                let own = of.fork.own.iter().copied();
                own.filter(is_foreign).collect()
            }
            _ => Vec::new(),
        };
        Ok(Partings {
            each: forks.iter().map(|fork| parting(fork, base_tip)).collect(),
            foreign: forks.iter().map(foreign).collect(),
            revisions: forks
                .iter()
                .map(|fork| {
                    let own = fork.iter().flat_map(|of| &of.fork.own);
                    revisions(own.filter_map(read))
                })
                .collect(),
        })
    }

    /// Searches deeper history for the ancestors that the clone does not have. Returns a second,
    /// temporary clone with the commits of that history; `None` if it was not needed.
    fn complete_forks(&self, forks: &mut [Option<ForkOf<'s>>]) -> Result<Option<Store>, SyncError> {
        let (base, base_tip) = self.base;
        let is_open = |of: &&mut ForkOf<'_>| !of.is_complete();
        let mut open: Vec<_> = forks.iter_mut().flatten().filter(is_open).collect();
        if open.is_empty() {
            return Ok(None);
        }

        let history = Store::create(&self.request.temporary)?.of_commits_alone();
        for depth in search_depths() {
            let others = open.iter().map(|of| of.branch);
            let branches: Vec<_> = [base].into_iter().chain(others).collect();
            self.fetch(&history, &branches, depth)?;
            for of in &mut open {
                **of = ForkOf::new(&history, of.branch, of.tip, base_tip);
            }
            open.retain(|of| !of.is_complete());
            if open.is_empty() {
                break;
            }
        }
        Ok(Some(history))
    }

    /// Fetches the trees of the common ancestors of branches that have diverged.
    fn fetch_ancestors(&self, forks: &[Option<ForkOf<'_>>]) -> Result<(), SyncError> {
        let (base, base_tip) = self.base;
        let lacks_tree = |ancestor: ObjectId| {
            let root = self.store.root_tree(ancestor);
            root.and_then(|root| self.store.read_tree(root)).is_err()
        };
        let missing: Vec<_> = forks
            .iter()
            .flatten()
            .flat_map(|of| {
                let ancestors = of.fork.ancestors.iter().copied();
                let all = ancestors.chain(of.earlier_ancestors());
                all.map(move |id| (of, id))
            })
            .filter(|(of, ancestor)| *ancestor != base_tip && *ancestor != of.tip)
            .filter(|(_, ancestor)| lacks_tree(*ancestor))
            .collect();
        let Some(depth) = missing.iter().map(|(of, _)| of.depth()).max() else {
            return Ok(());
        };

        let others = missing.iter().map(|(of, _)| of.branch);
        let branches: Vec<_> = [base].into_iter().chain(others).collect();
        self.fetch(self.store, &branches, depth)?;
        for (_, ancestor) in &missing {
            self.store.root_tree(*ancestor).map_err(StoreError::from)?;
        }
        Ok(())
    }

    fn fetch(&self, store: &Store, branches: &[&str], depth: u32) -> Result<(), SyncError> {
        let fetch = || {
            self.transport
                .fetch(store, branches, Depth(depth), OnSignal::Stop)
        };
        let interrupt = Some(&self.request.interrupt);
        self.repeater.run(interrupt, fetch)?;
        Ok(())
    }
}

/// The source revisions in the trailers of commits, given their bytes, the newest first.
fn revisions(commits: impl Iterator<Item = Vec<u8>>) -> BTreeMap<String, SourceRevision> {
    let mut revisions = BTreeMap::new();
    for commit in commits {
        let text = String::from_utf8_lossy(&commit);
        let trailers = SyncTrailers::parse(&text);
        if let Some((project, source)) = trailers.and_then(|one| Some((one.project, one.source?))) {
            revisions.entry(project).or_insert(source);
        }
    }
    revisions
}

fn parting(fork: &Option<ForkOf<'_>>, base_tip: ObjectId) -> Parting {
    let Some(of) = fork else {
        return Parting::Contained;
    };
    let ancestors = &of.fork.ancestors;
    if ancestors.contains(&of.tip) {
        Parting::Contained
    } else if ancestors.is_empty() {
        Parting::Unrelated
    } else if ancestors.contains(&base_tip) {
        Parting::Ahead
    } else {
        Parting::Diverged {
            ancestors: ancestors.clone(),
            earlier: of.earlier_ancestors(),
        }
    }
}
