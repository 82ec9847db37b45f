//! The remote's side of a run: the branches, their tips, and a clone of what they contain.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::thread;

use backon::{BackoffBuilder, ExponentialBuilder};
use bstr::BString;

use super::connection::Connection;
use super::parting::{Parting, PartingSearch, Partings};
use super::repeater::Repeater;
use super::request::SyncRequest;
use super::search_depths::search_depths;
use crate::codex::objects::last_syncs::LastSyncs;
use crate::codex::objects::listing::Lister;
use crate::codex::objects::path_history::{Origins, PathHistory};
use crate::codex::objects::tree::TreeError;
use crate::codex::queue_lock::QueueLock;
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::codex::remote::{
    self, Branches, Depth, FIRST_BRANCH, Purpose, PushReply, RefUpdate, RemoteRefs, Transport,
};
use crate::codex::store::{self, Search, Store, StoreError};
use crate::config::{CloneStrategy, TransportChoice};
use crate::event::{Event, Stage};
use crate::interrupt::OnSignal;
use crate::lock::lock;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::{ExistingBranches, SyncError};
use crate::paths::{escaped, shown};
use crate::plan::{Entry, Listing};
use crate::platform;
use crate::state::{Recorded, State};
use crate::workspace::Project;

/// How often one fetch is repeated because sync branches were deleted since they were listed.
const MAX_DELETIONS: u32 = 3;

/// The result of the deletion of a merged sync branch.
pub(super) enum Deletion {
    /// The branch does not exist any more.
    Done,
    /// Another run has deleted or moved the branch, and the current tips were fetched.
    Moved,
    /// The server keeps the branch, for this reason.
    Rejected(String),
}

/// The remote as a run sees it.
pub(super) struct RemoteSession {
    pub(super) transport: Connection,
    /// The clone; `None` before the first fetch, and after a failed one.
    pub(super) store: Option<Store>,
    /// The recorded listings of the projects by index, which are used instead of a fetch. There is
    /// one per project or none at all.
    recorded: BTreeMap<usize, Listing>,
    /// For each project, by index, the files that others may have changed, as far as the records show
    /// it.
    pub(super) recorded_drift: BTreeMap<usize, BTreeSet<BString>>,
    /// The tips of the target and of the base, for each target, if the listings of all projects were
    /// recorded for them, and no drift.
    recorded_tips: Vec<(Option<ObjectId>, Option<ObjectId>)>,
    pub(super) base: Base,
    /// The branches that are pushed to: the base itself, or sync branches.
    pub(super) targets: Vec<PushTarget>,
    /// How far each sync branch had diverged from the base at the last fetch. Empty if the only
    /// target is the base itself.
    pub(super) partings: Partings,
    /// Whether the targets are sync branches.
    pub(super) has_sync_branches: bool,
    repeater: Repeater,
    /// The error of a fetch that was started before it was known to be necessary. The next fetch
    /// returns it.
    deferred_error: Option<SyncError>,
    /// The refs that the remote listed last, if that was after the last fetch: after a push, after
    /// the deletion of a branch, or because a tip might have moved. The next fetch updates base and
    /// targets from them.
    pub(super) newer_refs: Option<RemoteRefs>,
    /// The lock that is held until the session is dropped, so that one run at a time on this machine
    /// works with the remote.
    _queue_lock: Option<QueueLock>,
}

/// The branch of the codex. If it does not exist yet, and is to be created, this is the remote's
/// HEAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) branch: String,
    /// The tip of the branch at the last fetch; `None` if the branch has no commits.
    pub(super) tip: Option<ObjectId>,
}

/// A branch that commits of a run are pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PushTarget {
    pub(super) branch: String,
    /// The tip of the branch, as it was last seen; `None` if the branch does not exist. A push
    /// replaces exactly this tip.
    pub(super) tip: Option<ObjectId>,
    /// Whether the branch existed at any time of this run. A branch that was deleted during the run
    /// is never created again.
    pub(super) existed: bool,
    /// The last tip of the merged branch of this name that the run deleted, or would delete.
    pub(super) deleted: Option<ObjectId>,
}

impl PushTarget {
    fn new(branch: String, tip: Option<ObjectId>) -> Self {
        Self {
            branch,
            tip,
            existed: tip.is_some(),
            deleted: None,
        }
    }

    /// Whether a push creates the branch.
    pub(super) fn is_new(&self) -> bool {
        self.tip.is_none() && !self.existed
    }
}

/// Finds the branches and fetches nothing. Without `sync_branches`, the branch of the codex is the
/// target. A missing repository or branch of the codex is an error, unless the run `may_create` it.
pub(super) fn connect(
    request: &SyncRequest<'_>,
    may_create: bool,
    sync_branches: &[String],
) -> Result<RemoteSession, SyncError> {
    let transport = request.connection()?;
    let refs = find_branches(request, &*transport, may_create, sync_branches)?;
    RemoteSession::new(request, transport, refs, sync_branches)
}

/// Finds the branches that the projects are pushed to, and fetches their tips.
///
/// If the listings of all projects were recorded for these tips, the fetch waits for a message in
/// `changes`, which says that a source file has changed. Without such a message there may be
/// nothing to publish, and nothing is fetched.
pub(super) fn connect_and_fetch(
    request: &SyncRequest<'_>,
    changes: Receiver<()>,
) -> Result<RemoteSession, SyncError> {
    let remote = &request.workspace.remote;
    request.reporter.event(&Event::Started {
        stage: Stage::Fetch,
    });
    let transport = request.connection()?;
    let queue_lock = if request.dry_run {
        None
    } else {
        let key = remote.url.for_git();
        Some(QueueLock::acquire(
            &request.workspace.shared_state_dir,
            &key,
            &request.interrupt,
            request.reporter.as_ref(),
        )?)
    };
    let sync_branches = request.sync_branches();
    let refs = find_branches(request, &*transport, remote.create, &sync_branches)?;
    let mut session = RemoteSession::new(request, transport, refs, &sync_branches)?;
    session._queue_lock = queue_lock;
    let recorded = current_records(request, &session);
    let is_recorded = recorded.is_some();
    session.log_base(remote.transport, is_recorded);
    for (index, recorded) in recorded.into_iter().flatten() {
        session.recorded.insert(index, recorded.listing);
        let drifted = recorded.drifted.into_keys().chain(recorded.unknown);
        let drifted: BTreeSet<_> = drifted.collect();
        if !drifted.is_empty() {
            session.recorded_drift.insert(index, drifted);
        }
    }
    if is_recorded && session.recorded_drift.is_empty() {
        let tips = session.targets.iter();
        session.recorded_tips = tips.map(|one| session.tips_to_record(one)).collect();
    }
    request.reporter.event(&Event::Finished {
        stage: Stage::Fetch,
    });

    if !is_recorded {
        session.fetch_to_push(request)?;
    } else if !request.dry_run && changes.recv().is_ok() {
        // The base is known, so that a change will be pushed unless something is wrong with it.
        session.transport.expect_push();
        match session.fetch_to_push(request) {
            // The fetched tip can be a later one.
            Ok(()) => session.recorded.clear(),
            Err(error) => {
                session.store = None;
                session.deferred_error = Some(error);
            }
        }
    }
    Ok(session)
}

/// The records of all projects by index, if all were made for the tips of the session.
fn current_records(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
) -> Option<BTreeMap<usize, Recorded>> {
    if request.rescan {
        return None;
    }
    let mut records = BTreeMap::new();
    for (target, lane) in session.targets.iter().zip(request.lanes()) {
        let state = State::of(request.workspace, lane.sync_branch.as_deref());
        let is_current = |recorded: &Recorded| {
            let tips = (recorded.tip, recorded.base);
            tips == session.tips_to_record(target) && recorded.branch == session.base.branch
        };
        for index in lane.projects {
            let recorded = state.read(request.projects[index]).filter(is_current)?;
            records.insert(index, recorded);
        }
    }
    Some(records)
}

/// Queries the branches. A repository at a local path that does not exist is created first, if the
/// run `may_create` it. A sync branch can be missing, but the branch that it is to be merged into
/// must exist.
///
/// A branch is created from the one that HEAD names. If there is none, the branch is only created in a
/// repository without branches: its history would have no commit in common with the others.
pub(super) fn find_branches(
    request: &SyncRequest<'_>,
    transport: &dyn Transport,
    may_create: bool,
    sync_branches: &[String],
) -> Result<RemoteRefs, SyncError> {
    let remote = &request.workspace.remote;
    let may_create = may_create && sync_branches.is_empty();
    let is_missing = |path: &&Path| !path.exists() && !store::is_repository(path);
    if let Some(path) = transport.url().local_path().filter(is_missing) {
        let branch = remote
            .branch
            .clone()
            .unwrap_or_else(|| FIRST_BRANCH.to_owned());
        if !may_create {
            let path = shown(path).to_string();
            return Err(SyncError::LocalMissing { path });
        }
        if request.dry_run {
            return Ok(RemoteRefs {
                branch,
                tip: None,
                head: None,
                is_empty: true,
                existing: Vec::new(),
                others: BTreeMap::new(),
            });
        }
        store::create_remote(path, &branch).map_err(|error| {
            let detail = vec![platform::words_of(&error)];
            RemoteError::new(RemoteErrorKind::NotCreated, &remote.url, detail)
        })?;
    }

    let repeater = Repeater::new(&remote.timeout);
    let refs = repeater.run(Some(&request.interrupt), || {
        let branches = Branches {
            synced: remote.branch.as_deref(),
            others: sync_branches,
        };
        transport.refs(branches, OnSignal::Stop)
    })?;
    if refs.tip.is_some() {
        return Ok(refs);
    }
    let existing = Box::new(ExistingBranches {
        default: refs.head.as_ref().map(|(name, _)| name.clone()),
        all: refs.existing.clone(),
        is_empty: refs.is_empty,
        environment: request.workspace.environment_name.clone(),
    });
    if sync_branches.is_empty() && existing.allow_creation(may_create) {
        return Ok(refs);
    }

    let url = transport.url().to_string();
    let branch = refs.branch;
    Err(match (&remote.branch, sync_branches) {
        (None, _) if !refs.is_empty => SyncError::NoDefaultBranch { url, existing },
        (_, []) => SyncError::BranchMissing {
            branch,
            url,
            existing,
            is_created: remote.create,
        },
        _ => SyncError::NothingToMergeInto {
            branch,
            url,
            existing,
        },
    })
}

/// Opens or creates the clone for this run: a persistent one if that is configured, otherwise a
/// temporary one. A dry run writes nothing persistent.
fn new_store(request: &SyncRequest<'_>, transport: &dyn Transport) -> Result<Store, SyncError> {
    let is_persistent = request.workspace.clone == CloneStrategy::Cached && !request.dry_run;
    let store = match request.cache_home.as_ref().filter(|_| is_persistent) {
        Some(home) => {
            let name = hash(Kind::Blob, transport.url().for_git().as_bytes()).to_string();
            let wait = |file| -> Result<_, SyncError> {
                let waiting = || request.reporter.event(&Event::Waiting);
                Ok(lock(file, &request.interrupt, waiting)?)
            };
            Store::keep(&home.join("clones").join(name), wait)?
        }
        None => Store::create(&request.temporary)?,
    };
    Ok(store)
}

/// Whether a new clone may fix the error: the clone is damaged, or git rejects it. The connection
/// to the server is fine.
fn is_fixed_by_reclone(error: &SyncError) -> bool {
    match error {
        SyncError::Store(StoreError::Git(_) | StoreError::Tree(_) | StoreError::Blob(_)) => true,
        SyncError::Remote(error) => matches!(
            error.kind,
            RemoteErrorKind::Other | RemoteErrorKind::NotFound | RemoteErrorKind::Unadvertised
        ),
        _ => false,
    }
}

impl RemoteSession {
    fn new(
        request: &SyncRequest<'_>,
        transport: Connection,
        refs: RemoteRefs,
        sync_branches: &[String],
    ) -> Result<Self, SyncError> {
        if sync_branches.contains(&refs.branch) {
            let branch = refs.branch;
            return Err(SyncError::SyncBranchIsBase { branch });
        }
        let targets = match sync_branches {
            [] => vec![PushTarget::new(refs.branch.clone(), refs.tip)],
            branches => branches
                .iter()
                .map(|branch| PushTarget::new(branch.clone(), refs.others.get(branch).copied()))
                .collect(),
        };
        let base = match (refs.tip, refs.head) {
            (None, Some((branch, tip))) => Base {
                branch,
                tip: Some(tip),
            },
            (tip, _) => Base {
                branch: refs.branch,
                tip,
            },
        };
        Ok(Self {
            transport,
            store: None,
            recorded: BTreeMap::new(),
            recorded_drift: BTreeMap::new(),
            recorded_tips: Vec::new(),
            base,
            targets,
            partings: Partings::default(),
            has_sync_branches: !sync_branches.is_empty(),
            repeater: Repeater::new(&request.workspace.remote.timeout),
            deferred_error: None,
            newer_refs: None,
            _queue_lock: None,
        })
    }

    /// The name of the branch of the codex.
    pub(super) fn branch(&self) -> &str {
        match self.targets.first() {
            Some(target) if !self.has_sync_branches => &target.branch,
            _ => &self.base.branch,
        }
    }

    /// The tip of the branch of the codex; `None` if the branch does not exist.
    pub(super) fn tip(&self) -> Option<ObjectId> {
        match self.targets.first() {
            Some(target) if !self.has_sync_branches => target.tip,
            _ => self.base.tip,
        }
    }

    /// The commit that new commits for a target go on top of; `None` if there is none, so that the
    /// first commit starts the history. Only known after a fetch, unless the target is the base.
    pub(super) fn start(&self, target: usize) -> Option<ObjectId> {
        match self.partings.each.get(target) {
            None | Some(Parting::Contained) => self.base.tip,
            Some(Parting::Ahead | Parting::Unrelated | Parting::Diverged { .. }) => {
                self.targets[target].tip
            }
        }
    }

    /// The update of a target that makes `head` its tip.
    pub(super) fn update(&self, target: usize, head: ObjectId) -> RefUpdate<'_> {
        let parting = self.partings.each.get(target);
        let PushTarget { branch, tip, .. } = &self.targets[target];
        RefUpdate {
            branch,
            old: *tip,
            // The history of the base contains the old tip, but the clone need not have it.
            base: self
                .base
                .tip
                .filter(|_| parting == Some(&Parting::Contained)),
            new: head,
        }
    }

    /// Deletes the sync branch of a target, which was merged with its tip, so that the next commits
    /// create it again from the base.
    pub(super) fn delete_merged(
        &mut self,
        request: &SyncRequest<'_>,
        target: usize,
    ) -> Result<Deletion, SyncError> {
        let PushTarget { branch, tip, .. } = &self.targets[target];
        let Some(tip) = *tip else {
            return Ok(Deletion::Done);
        };
        let branch = branch.clone();
        // A connection of its own: those of the run remember the refs.
        let transport = remote::open(
            &request.workspace.remote,
            request.environment,
            &request.interrupt,
            request.reporter.clone(),
            Purpose::Publish,
            None,
        )?;
        let rejection = match transport.delete(self.store(), &branch, tip)? {
            PushReply::Accepted { .. } => {
                self.note_deletion(target);
                return Ok(Deletion::Done);
            }
            PushReply::Rejected(rejection) => rejection,
            PushReply::Lost(error) => return Err(error.into()),
        };
        let refs = self.query_targets()?;
        let current = self.tip_in(&refs, &branch);
        if current == Some(tip) {
            return Ok(Deletion::Rejected(rejection.reason));
        }
        // Another run has deleted the branch, and may have made it anew.
        self.start_anew(target);
        self.newer_refs = Some(refs);
        self.fetch(request)?;
        Ok(Deletion::Moved)
    }

    /// Notes that the run has deleted the branch of a target, or would delete it.
    pub(super) fn note_deletion(&mut self, target: usize) {
        let deleted = self.targets[target].tip;
        self.start_anew(target);
        self.targets[target].deleted = deleted;
    }

    /// Forgets the tip of a target, so that new commits go on top of the base.
    fn start_anew(&mut self, target: usize) {
        let branch = self.targets[target].branch.clone();
        self.targets[target] = PushTarget::new(branch, None);
        if let Some(parting) = self.partings.each.get_mut(target) {
            *parting = Parting::Contained;
        }
        if let Some(foreign) = self.partings.foreign.get_mut(target) {
            foreign.clear();
        }
        if let Some(revisions) = self.partings.revisions.get_mut(target) {
            revisions.clear();
        }
    }

    /// The tips that a recorded listing belongs to: that of the target, and that of the base.
    pub(super) fn tips_to_record(
        &self,
        target: &PushTarget,
    ) -> (Option<ObjectId>, Option<ObjectId>) {
        if self.has_sync_branches {
            (target.tip, self.base.tip)
        } else {
            (self.base.tip, self.base.tip)
        }
    }

    /// Returns the listings of the projects of a target, given their indexes, at the commit that new
    /// commits go on top of. The recorded listings are moved out by the first call; any later call
    /// must be preceded by a fetch.
    pub(super) fn listings(
        &mut self,
        request: &SyncRequest<'_>,
        target: usize,
        projects: &[usize],
    ) -> Result<BTreeMap<usize, Listing>, SyncError> {
        let Some(store) = &self.store else {
            let take = |index: &usize| Some((*index, self.recorded.remove(index)?));
            return Ok(projects.iter().filter_map(take).collect());
        };
        self.listings_at(request, store, self.start(target), projects)
    }

    /// Returns the listings of `projects`, in their order, at the commit that new commits for a target
    /// go on top of, which was fetched.
    pub(super) fn listings_at_start(
        &self,
        target: usize,
        projects: &[&Project],
    ) -> Result<Vec<Listing>, SyncError> {
        list_projects(self.store(), self.start(target), projects)
    }

    /// Returns the listings of `projects`, in their order, at the tip of the branch of the codex, which
    /// is fetched unless that was done before.
    pub(super) fn listings_at_tip(
        &mut self,
        request: &SyncRequest<'_>,
        projects: &[&Project],
    ) -> Result<Vec<Listing>, SyncError> {
        let (store, tip) = self.clone_of_tip(request)?;
        list_projects(store, tip, projects)
    }

    /// The commits whose files a listing for a target has: the commit that new commits go on top of,
    /// and the one that is `merged` into it.
    pub(super) fn tips_of_listing(&self, target: usize, merged: Option<ObjectId>) -> Vec<ObjectId> {
        self.start(target).into_iter().chain(merged).collect()
    }

    /// Whether a target and the base have not changed since the listings of all projects were
    /// recorded.
    pub(super) fn is_as_recorded(&self, target: usize) -> bool {
        let tips = self.tips_to_record(&self.targets[target]);
        self.recorded_tips.get(target) == Some(&tips)
    }

    /// Finds the newest syncs of the projects with these names in the history of `tips`. The commits
    /// are only fetched if the clone lacks some that are needed, in steps of `depths`.
    pub(super) fn last_syncs(
        &self,
        request: &SyncRequest<'_>,
        target: usize,
        (tips, names): (&[ObjectId], &BTreeSet<&str>),
        depths: impl Iterator<Item = u32>,
    ) -> Result<LastSyncs, SyncError> {
        let store = self.store();
        let mut found = LastSyncs::search(tips, names, |id| store.read_commit(id));
        let mut commits = None;
        for depth in depths {
            if !found.is_cut || found.is_complete() {
                break;
            }
            let commits = match &commits {
                Some(commits) => commits,
                None => commits.insert(Store::create(&request.temporary)?.of_commits_alone()),
            };
            self.deepen(request, commits, target, depth)?;
            found = LastSyncs::search(tips, names, |id| commits.read_commit(id));
        }
        Ok(found)
    }

    /// The root tree of a commit that `syncs` has found, which is fetched unless the clone has it.
    pub(super) fn root_tree(
        &self,
        request: &SyncRequest<'_>,
        target: usize,
        commit: ObjectId,
        syncs: &LastSyncs,
    ) -> Result<ObjectId, SyncError> {
        let store = self.store();
        let read = || -> Result<_, TreeError> {
            let tree = store.root_tree(commit)?;
            store.read_tree(tree).map(|_| tree)
        };
        if let Ok(tree) = read() {
            return Ok(tree);
        }
        self.deepen(request, store, target, syncs.commits)?;
        Ok(read().map_err(StoreError::from)?)
    }

    /// Finds the commits that gave files, by their paths in the codex, their present versions at
    /// `tips`. The history is only fetched if the clone lacks a part of it that is needed, in steps of `depths`.
    pub(super) fn origins(
        &self,
        request: &SyncRequest<'_>,
        target: usize,
        (tips, files): (&[ObjectId], &BTreeMap<BString, Entry>),
        mut depths: impl Iterator<Item = u32>,
    ) -> Result<Origins, SyncError> {
        let store = self.store();
        loop {
            // A fetch adds packs.
            let contents = store.contents();
            let history = PathHistory {
                read_commit: &|id| contents.read_commit(id),
                read_tree: &|id| contents.read_tree(id),
            };
            let origins = history.origins(tips, files);
            let origins = origins.map_err(StoreError::from)?;
            let depth = depths.next().filter(|_| origins.is_cut);
            let Some(depth) = depth else {
                return Ok(origins);
            };
            self.deepen(request, store, target, depth)?;
        }
    }

    /// Fetches the history of the branches that the files of a target come from, to this depth.
    fn deepen(
        &self,
        request: &SyncRequest<'_>,
        store: &Store,
        target: usize,
        depth: u32,
    ) -> Result<(), SyncError> {
        let branches = existing_branches(&self.base, &self.targets[target..=target]);
        let branches: Vec<_> = branches.iter().map(String::as_str).collect();
        self.repeater.run(Some(&request.interrupt), || {
            self.transport
                .fetch(store, &branches, Depth(depth), OnSignal::Stop)
        })?;
        Ok(())
    }

    /// Returns the listings of projects, given their indexes, on the branch of the codex. Panics if
    /// nothing was fetched yet.
    pub(super) fn base_listings(
        &self,
        request: &SyncRequest<'_>,
        projects: &[usize],
    ) -> Result<BTreeMap<usize, Listing>, SyncError> {
        self.listings_at(request, self.store(), self.base.tip, projects)
    }

    fn listings_at(
        &self,
        request: &SyncRequest<'_>,
        store: &Store,
        commit: Option<ObjectId>,
        projects: &[usize],
    ) -> Result<BTreeMap<usize, Listing>, SyncError> {
        let indexes = projects.iter();
        let listed: Vec<_> = indexes.map(|index| request.projects[*index]).collect();
        let listings = list_projects(store, commit, &listed)?;
        Ok(projects.iter().copied().zip(listings).collect())
    }

    /// Returns the listings of `projects` on the branch of the codex and at `tip`, in their order,
    /// both of which were fetched.
    pub(super) fn listings_of_both(
        &self,
        projects: &[&Project],
        tip: ObjectId,
    ) -> Result<Vec<(Listing, Listing)>, SyncError> {
        let on_base = list_projects(self.store(), self.base.tip, projects)?;
        let on_branch = list_projects(self.store(), Some(tip), projects)?;
        Ok(on_base.into_iter().zip(on_branch).collect())
    }

    /// Whether the clone contains the files of a commit.
    pub(super) fn has_fetched(&self, commit: ObjectId) -> bool {
        let store = self.store.as_ref();
        store.is_some_and(|store| store.root_tree(commit).is_ok())
    }

    /// Fetches unless that was done before, and returns the clone and the tip that was fetched.
    pub(super) fn clone_of_tip(
        &mut self,
        request: &SyncRequest<'_>,
    ) -> Result<(&Store, Option<ObjectId>), SyncError> {
        if self.store.is_none() {
            self.fetch(request)?;
        }
        Ok((self.store(), self.base.tip))
    }

    /// The clone. Panics if nothing was fetched yet.
    pub(super) fn store(&self) -> &Store {
        self.store
            .as_ref()
            .unwrap_or_else(|| unreachable!("a fetch makes the clone"))
    }

    /// Fetches the blobs with these ids that the clone does not contain.
    pub(super) fn fetch_contents(
        &mut self,
        request: &SyncRequest<'_>,
        ids: &BTreeSet<ObjectId>,
    ) -> Result<(), SyncError> {
        let missing = self.clone_of_tip(request)?.0.missing(ids)?;
        if missing.is_empty() {
            return Ok(());
        }

        request.reporter.event(&Event::Started {
            stage: Stage::Fetch,
        });
        let fetch = || self.transport.fetch_contents(self.store(), &missing);
        match self.repeater.run(Some(&request.interrupt), fetch) {
            Err(error) if error.kind == RemoteErrorKind::Unadvertised => {
                self.fetch_all_contents(request, ids, error)?;
            }
            fetched => fetched?,
        }
        request.reporter.event(&Event::Finished {
            stage: Stage::Fetch,
        });
        Ok(())
    }

    /// Fetches the tip with the contents of all files, because the server does not send blobs by
    /// their ids.
    fn fetch_all_contents(
        &mut self,
        request: &SyncRequest<'_>,
        ids: &BTreeSet<ObjectId>,
        error: RemoteError,
    ) -> Result<(), SyncError> {
        tracing::debug!(%error, "fetching all contents of the tip");
        if let Some(store) = &mut self.store {
            store.renew_with_contents()?;
        }
        self.fetch(request)?;
        match self.store().missing(ids)?.is_empty() {
            true => Ok(()),
            // Another commit replaced the tip in the meantime.
            false => Err(error.into()),
        }
    }

    /// Whether all commits of the target are known to be in the branch of the codex.
    pub(super) fn is_contained(&self, target: usize) -> bool {
        self.partings.each.get(target) == Some(&Parting::Contained)
    }

    /// Fetches the current tips of base and targets. The first fetch creates the clone. After an
    /// error, the branches and their tips are unchanged.
    pub(super) fn fetch(&mut self, request: &SyncRequest<'_>) -> Result<(), SyncError> {
        if let Some(error) = self.deferred_error.take() {
            return Err(error);
        }

        request.reporter.event(&Event::Started {
            stage: Stage::Fetch,
        });
        let is_first = self.store.is_none();
        let mut store = match self.store.take() {
            Some(store) => store,
            None => new_store(request, &*self.transport)?,
        };
        let (mut base, mut targets) = self.with_newer_refs();
        for (before, target) in self.targets.iter_mut().zip(&targets) {
            before.existed |= target.existed;
        }
        let mut branches = existing_branches(&base, &targets);
        if !branches.is_empty() {
            let mut deletions = 0;
            let tips = loop {
                match self.fetch_into(&store, &branches, request, CheckedTrees::All) {
                    Err(error) if store.is_kept() && is_fixed_by_reclone(&error) => {
                        tracing::debug!(%error, "fetching into a new clone");
                        store.renew()?;
                        break self.fetch_into(&store, &branches, request, CheckedTrees::Root)?;
                    }
                    Err(error) if is_branch_missing(&error) && deletions < MAX_DELETIONS => {
                        deletions += 1;
                        if !self.forget_deleted(&mut targets, is_first)? {
                            return Err(error);
                        }
                        branches = existing_branches(&base, &targets);
                    }
                    fetched => break fetched?,
                }
            };
            let fetched: BTreeMap<_, _> = branches.into_iter().zip(tips).collect();
            base.tip = fetched.get(&base.branch).copied();
            for target in targets.iter_mut().filter(|target| target.tip.is_some()) {
                target.tip = fetched.get(&target.branch).copied();
            }
        }
        let partings = match base.tip.filter(|_| self.has_sync_branches) {
            Some(tip) => PartingSearch {
                request,
                transport: &*self.transport,
                repeater: self.repeater,
                store: &store,
                base: (&base.branch, tip),
            }
            .find(
                targets
                    .iter()
                    .map(|target| (target.branch.as_str(), target.tip)),
            )?,
            None => Partings::default(),
        };

        self.store = Some(store);
        self.base = base;
        self.targets = targets;
        self.partings = partings;
        request.reporter.event(&Event::Finished {
            stage: Stage::Fetch,
        });
        Ok(())
    }

    /// Forgets the tips of sync branches that were deleted since they were listed. Before the
    /// first fetch of a run, such a branch counts as one that never existed. Returns whether there is
    /// one.
    fn forget_deleted(
        &self,
        targets: &mut [PushTarget],
        is_first: bool,
    ) -> Result<bool, SyncError> {
        if !self.has_sync_branches {
            return Ok(false);
        }
        let refs = self.query_targets()?;
        let mut is_any = false;
        for target in targets {
            if target.tip.is_some() && !refs.others.contains_key(&target.branch) {
                is_any = true;
                target.tip = None;
                target.existed &= !is_first;
            }
        }
        Ok(is_any)
    }

    /// Queries the tips again. If one has moved, fetches the current ones, and returns `true`.
    pub(super) fn fetch_if_moved(&mut self, request: &SyncRequest<'_>) -> Result<bool, SyncError> {
        let refs = self.query_targets()?;
        let is_same = |target: &PushTarget| self.tip_in(&refs, &target.branch) == target.tip;
        if refs.tip == self.base.tip && self.targets.iter().all(is_same) {
            return Ok(false);
        }
        self.newer_refs = Some(refs);
        self.fetch_to_push(request)?;
        Ok(true)
    }

    /// Returns base and targets, updated from [`Self::newer_refs`], which are taken. Once the branch
    /// of the codex has commits, it is the base.
    fn with_newer_refs(&mut self) -> (Base, Vec<PushTarget>) {
        let (mut base, mut targets) = (self.base.clone(), self.targets.clone());
        if let Some(refs) = self.newer_refs.take() {
            for target in &mut targets {
                target.tip = self.tip_in(&refs, &target.branch);
                target.existed |= target.tip.is_some();
            }
            if refs.tip.is_some() {
                base.branch.clone_from(&refs.branch);
                base.tip = refs.tip;
            } else if refs.is_empty {
                base.tip = None;
            }
        }
        (base, targets)
    }

    /// The tip of a target in a list of refs.
    pub(super) fn tip_in(&self, refs: &RemoteRefs, branch: &str) -> Option<ObjectId> {
        if self.has_sync_branches {
            refs.others.get(branch).copied()
        } else {
            refs.tip
        }
    }

    /// Fetches the tips of `branches` into `store` and checks that they can be read.
    fn fetch_into(
        &self,
        store: &Store,
        branches: &[String],
        request: &SyncRequest<'_>,
        check: CheckedTrees,
    ) -> Result<Vec<ObjectId>, SyncError> {
        let branches: Vec<_> = branches.iter().map(String::as_str).collect();
        let fetch = || {
            self.transport
                .fetch(store, &branches, Depth(1), OnSignal::Stop)
        };
        let tips =
            self.repeater
                .run(Some(&request.interrupt), fetch)
                .map_err(|error| match error.kind {
                    RemoteErrorKind::DiskFull => disk_full(store, &error),
                    _ => error.into(),
                })?;
        let checked = tips.iter().try_for_each(|tip| match check {
            CheckedTrees::All if store.is_kept() => store.check_trees(*tip),
            _ => store
                .root_tree(*tip)
                .and_then(|root| store.read_tree(root))
                .map(drop),
        });
        checked.map_err(StoreError::from)?;
        Ok(tips)
    }

    /// Logs the branch that the sources are compared with, and whether a record replaces its fetch.
    fn log_base(&self, transport: TransportChoice, is_recorded: bool) {
        let (url, branch) = (self.transport.url(), escaped(self.base.branch.as_bytes()));
        let tip = match self.base.tip {
            Some(tip) => format!("at {}", tip.short()),
            None => "without commits".to_owned(),
        };
        let transport = match (transport, self.transport.fallback()) {
            (TransportChoice::Git, _) => "`git`, as `remote.transport` says".to_owned(),
            (_, Some(reason)) => format!("`git`, because {reason}"),
            (_, None) => "native".to_owned(),
        };
        tracing::info!("remote: `{branch}` of {url} {tip}; transport: {transport}");
        let reason = match is_recorded {
            true => "its files are recorded from the last sync, so it is fetched only for changes",
            false => "its files are not recorded for all projects, so it is fetched",
        };
        tracing::info!("compared with `{branch}`: {reason}");
        for target in self.targets.iter().filter(|_| self.has_sync_branches) {
            let target = escaped(target.branch.as_bytes());
            tracing::info!("pushed to the sync branch `{target}`");
        }
    }

    /// Like [`RemoteSession::fetch`], for a run that pushes. A branch that was deleted during the
    /// run has an error of its own, because it must not be created again.
    pub(super) fn fetch_to_push(&mut self, request: &SyncRequest<'_>) -> Result<(), SyncError> {
        self.fetch(request)
            .map_err(|error| match self.deleted_branch() {
                Some(branch) if is_branch_missing(&error) => self.gone(branch),
                _ => error,
            })
    }

    /// A branch that existed at the beginning of the run and that the server no longer lists. A
    /// branch that the server lists only as the target of its HEAD is hidden: it can be seen but
    /// not fetched.
    fn deleted_branch(&self) -> Option<String> {
        let sync_branches = self.sync_branches();
        let branches = Branches {
            synced: Some(&self.base.branch),
            others: &sync_branches,
        };
        let refs = self.transport.refs(branches, OnSignal::Stop).ok()?;
        let is_listed = |branch: &str| {
            let is_base = branch == refs.branch && refs.tip.is_some();
            let head = refs.head.as_ref();
            is_base
                || refs.others.contains_key(branch)
                || head.is_some_and(|(name, _)| name == branch)
        };
        let existing = self.targets.iter().filter(|target| target.existed);
        existing
            .map(|target| &target.branch)
            .chain(self.base.tip.map(|_| &self.base.branch))
            .find(|branch| !is_listed(branch))
            .cloned()
    }

    /// The names of the targets, if they are sync branches.
    fn sync_branches(&self) -> Vec<String> {
        let targets = self.targets.iter().filter(|_| self.has_sync_branches);
        targets.map(|target| target.branch.clone()).collect()
    }

    /// The error for a branch that was deleted or renamed during the run.
    pub(super) fn gone(&self, branch: String) -> SyncError {
        SyncError::BranchGone {
            place: self.transport.url().host_or_path(),
            is_sync_branch: branch != self.branch(),
            branch,
        }
    }

    /// Searches a target for the commits in `wanted`, on top of which others may have pushed. All
    /// of them are on top of `boundary`. The history is fetched in growing steps, until all are
    /// found or it is certain that they are missing.
    pub(super) fn search_branch(
        &self,
        target: usize,
        wanted: &[ObjectId],
        boundary: Option<ObjectId>,
    ) -> Result<Search, RemoteError> {
        let store = self.store();
        let branches = [self.targets[target].branch.as_str()];
        let mut search = None;
        for depth in search_depths() {
            let tips = self.repeater.run(None, || {
                self.transport
                    .fetch(store, &branches, Depth(depth), OnSignal::GoOn)
            })?;
            let found = search.insert(store.search(tips[0], wanted, boundary));
            if found.found.len() == wanted.len() || found.is_complete {
                break;
            }
        }
        let Some(search) = search else {
            unreachable!("there is at least one depth");
        };
        Ok(search)
    }

    /// Queries the tips of base and targets again. After a push, the result of the run depends on
    /// the response, so the query is also repeated after a time-out.
    pub(super) fn query_targets(&self) -> Result<RemoteRefs, RemoteError> {
        let mut delays = ExponentialBuilder::default()
            .with_jitter()
            .with_max_times(2)
            .build();
        let sync_branches = self.sync_branches();
        let branches = Branches {
            synced: Some(self.branch()),
            others: &sync_branches,
        };
        let query = || self.transport.refs(branches, OnSignal::GoOn);
        loop {
            match self.repeater.run(None, query) {
                Err(error) if error.kind.is_transient() && !error.kind.is_repeated() => {
                    match delays.next() {
                        Some(delay) => thread::sleep(delay),
                        None => return Err(error),
                    }
                }
                response => return response,
            }
        }
    }
}

fn is_branch_missing(error: &SyncError) -> bool {
    matches!(error, SyncError::Remote(remote) if remote.kind == RemoteErrorKind::BranchMissing)
}

/// The listings of projects at a commit, in their order.
fn list_projects(
    store: &Store,
    commit: Option<ObjectId>,
    projects: &[&Project],
) -> Result<Vec<Listing>, SyncError> {
    let root = commit
        .map(|tip| store.root_tree(tip))
        .transpose()
        .map_err(StoreError::from)?;
    let read = |id| store.read_tree(id);
    let mut lister = Lister::new(&read, root);
    let listings: Result<_, TreeError> = projects
        .iter()
        .map(|project| lister.list(&project.to))
        .collect();
    Ok(listings.map_err(StoreError::from)?)
}

/// The branches that have commits, each once, the base first.
fn existing_branches(base: &Base, targets: &[PushTarget]) -> Vec<String> {
    let base = base.tip.map(|_| base.branch.clone());
    let mut branches: Vec<_> = base.into_iter().collect();
    for target in targets.iter().filter(|target| target.tip.is_some()) {
        if !branches.contains(&target.branch) {
            branches.push(target.branch.clone());
        }
    }
    branches
}

/// The error of a full disk, in terms of the clone's directory. Lines of the server are about
/// another disk.
fn disk_full(store: &Store, error: &RemoteError) -> SyncError {
    let lines: Vec<_> = error
        .detail
        .iter()
        .filter(|line| !line.starts_with("remote:"))
        .map(String::as_str)
        .collect();
    let source = io::Error::new(io::ErrorKind::StorageFull, lines.join("; "));
    store.unwritable(source).into()
}

/// The trees of a fetched tip that are read to check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckedTrees {
    /// All trees if the clone is persistent, because older objects in it may be damaged.
    All,
    /// The root tree, because all others were just fetched.
    Root,
}
