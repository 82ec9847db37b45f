//! The remote's side of a run: the branches, their tips, and a clone of what they contain.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::thread;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::connection::Connection;
use super::repeater::Repeater;
use super::request::SyncRequest;
use crate::codex::objects::listing::Lister;
use crate::codex::queue_lock::QueueLock;
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::codex::remote::{Branches, Depth, FIRST_BRANCH, RefUpdate, RemoteRefs, Transport};
use crate::codex::store::{self, Search, Store, StoreError};
use crate::config::CloneStrategy;
use crate::event::{Event, Stage};
use crate::interrupt::OnSignal;
use crate::lock::lock;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::SyncError;
use crate::paths::shown;
use crate::plan::Listing;
use crate::platform;
use crate::state::{Recorded, State};
use crate::workspace::Project;

/// The number of commits that are searched first for the commits of this run, if others pushed
/// after it.
const FIRST_SEARCH: u32 = 256;
/// The factor by which each further search is deeper.
const SEARCH_GROWTH: u32 = 8;
/// The depth that git treats as the whole history.
const WHOLE_HISTORY: u32 = i32::MAX.cast_unsigned();

/// The remote as a run sees it.
pub(super) struct RemoteSession {
    pub(super) transport: Connection,
    /// The clone; `None` before the first fetch.
    pub(super) store: Option<Store>,
    /// The recorded listings of the base, which are used instead of a fetch. There is one per
    /// project or none at all.
    recorded: Vec<Listing>,
    pub(super) base: Base,
    pub(super) target: PushTarget,
    repeater: Repeater,
    /// The error of a fetch that was started before it was known to be necessary. The next fetch
    /// returns it.
    deferred_error: Option<SyncError>,
    /// The refs that the remote listed after the last push. The next fetch updates base and target
    /// from them.
    pub(super) refs_after_push: Option<RemoteRefs>,
    /// Held until the session is dropped: one run at a time per remote on this machine.
    _queue_lock: Option<QueueLock>,
}

/// The branch that the commits of a run go on top of: the target or, if that does not exist yet,
/// the remote's HEAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) branch: String,
    /// The tip of the branch, as it was last fetched; `None` if it has no commits.
    pub(super) tip: Option<ObjectId>,
}

/// The branch that the commits of a run are pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PushTarget {
    pub(super) branch: String,
    /// The tip of the branch, as it was last seen; `None` if the branch does not exist. A push
    /// replaces exactly this tip.
    pub(super) tip: Option<ObjectId>,
    /// Whether the branch existed at any time of this run. A branch that was deleted during the run
    /// is never created again.
    pub(super) existed: bool,
}

impl PushTarget {
    /// The update that makes `head` the tip.
    pub(super) fn update_to(&self, head: ObjectId) -> RefUpdate<'_> {
        RefUpdate {
            branch: &self.branch,
            old: self.tip,
            base: None,
            new: head,
        }
    }

    /// Whether a push creates the branch.
    pub(super) fn is_new(&self) -> bool {
        self.tip.is_none() && !self.existed
    }
}

/// Finds the branch and fetches nothing. A missing repository or branch is an error, unless the run
/// `may_create` it.
pub(super) fn connect(
    request: &SyncRequest<'_>,
    may_create: bool,
) -> Result<RemoteSession, SyncError> {
    let transport = request.connection()?;
    let refs = find_branch(request, &*transport, may_create)?;
    Ok(RemoteSession::new(request, transport, refs))
}

/// Finds the branch and fetches its tip.
///
/// If the listings of all projects were recorded for this tip, the fetch waits for a message in
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
    let refs = find_branch(request, &*transport, remote.create)?;
    let mut session = RemoteSession::new(request, transport, refs);
    session._queue_lock = queue_lock;
    let recorded = recorded_listings(request, &session.base);
    let is_recorded = recorded.is_some();
    session.recorded = recorded.unwrap_or_default();
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

/// The recorded listings of all projects, if all were recorded for `base`.
fn recorded_listings(request: &SyncRequest<'_>, base: &Base) -> Option<Vec<Listing>> {
    if request.rescan {
        return None;
    }
    let state = State::of(request.workspace);
    let of_base = |recorded: &Recorded| recorded.tip == base.tip && recorded.branch == base.branch;
    request
        .projects
        .iter()
        .map(|project| Some(state.read(project).filter(of_base)?.listing))
        .collect()
}

/// Queries the branch. A repository at a local path that does not exist is created first, if the
/// run `may_create` it.
fn find_branch(
    request: &SyncRequest<'_>,
    transport: &dyn Transport,
    may_create: bool,
) -> Result<RemoteRefs, SyncError> {
    let remote = &request.workspace.remote;
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
            others: &[],
        };
        transport.refs(branches, OnSignal::Stop)
    })?;
    if refs.tip.is_none() && !refs.is_empty && !may_create {
        return Err(SyncError::BranchMissing {
            branch: refs.branch,
            url: transport.url().to_string(),
            head: refs.head.map(|(name, _)| name),
            environment: request.workspace.environment.clone(),
        });
    }
    Ok(refs)
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
        SyncError::Store(StoreError::Git(_) | StoreError::Tree(_)) => true,
        SyncError::Remote(error) => matches!(
            error.kind,
            RemoteErrorKind::Other | RemoteErrorKind::NotFound | RemoteErrorKind::Unadvertised
        ),
        _ => false,
    }
}

impl RemoteSession {
    fn new(request: &SyncRequest<'_>, transport: Connection, refs: RemoteRefs) -> Self {
        let base = match (refs.tip, refs.head) {
            (None, Some((branch, tip))) => Base {
                branch,
                tip: Some(tip),
            },
            (tip, _) => Base {
                branch: refs.branch.clone(),
                tip,
            },
        };
        Self {
            transport,
            store: None,
            recorded: Vec::new(),
            base,
            target: PushTarget {
                branch: refs.branch,
                tip: refs.tip,
                existed: refs.tip.is_some(),
            },
            repeater: Repeater::new(&request.workspace.remote.timeout),
            deferred_error: None,
            refs_after_push: None,
            _queue_lock: None,
        }
    }

    /// Returns each project's listing. The recorded listings are moved out on the first call; any
    /// later call must be preceded by a fetch.
    pub(super) fn listings(&mut self, projects: &[&Project]) -> Result<Vec<Listing>, SyncError> {
        let Some(store) = &self.store else {
            return Ok(std::mem::take(&mut self.recorded));
        };
        let root = self
            .base
            .tip
            .map(|tip| store.root_tree(tip))
            .transpose()
            .map_err(StoreError::from)?;
        let read = |id| store.read_tree(id);
        let mut lister = Lister::new(&read, root);
        let listings: Result<_, _> = projects
            .iter()
            .map(|project| lister.list(&project.to))
            .collect();
        Ok(listings.map_err(StoreError::from)?)
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

    /// Fetches the current tip of the base. The first fetch creates the clone. After an error, base
    /// and target are unchanged.
    pub(super) fn fetch(&mut self, request: &SyncRequest<'_>) -> Result<(), SyncError> {
        if let Some(error) = self.deferred_error.take() {
            return Err(error);
        }

        request.reporter.event(&Event::Started {
            stage: Stage::Fetch,
        });
        let mut store = match self.store.take() {
            Some(store) => store,
            None => new_store(request, &*self.transport)?,
        };
        let (mut base, mut target) = self.after_push();
        self.target.existed |= target.existed;
        if base.tip.is_some() {
            let fetched = match self.fetch_into(&store, &base.branch, request, CheckedTrees::All) {
                Err(error) if store.is_kept() && is_fixed_by_reclone(&error) => {
                    tracing::debug!(%error, "fetching into a new clone");
                    store.renew()?;
                    self.fetch_into(&store, &base.branch, request, CheckedTrees::Root)?
                }
                fetched => fetched?,
            };
            base.tip = Some(fetched);
            if target.tip.is_some() && target.branch == base.branch {
                target.tip = Some(fetched);
            }
        }

        self.store = Some(store);
        self.base = base;
        self.target = target;
        request.reporter.event(&Event::Finished {
            stage: Stage::Fetch,
        });
        Ok(())
    }

    /// Returns base and target, updated from the refs that the remote listed after the last push.
    /// Once the target has commits, it is the base.
    fn after_push(&mut self) -> (Base, PushTarget) {
        let (mut base, mut target) = (self.base.clone(), self.target.clone());
        if let Some(refs) = self.refs_after_push.take() {
            target.tip = refs.tip;
            target.existed |= refs.tip.is_some();
            if refs.tip.is_some() {
                base.branch.clone_from(&target.branch);
                base.tip = refs.tip;
            } else if refs.is_empty {
                base.tip = None;
            }
        }
        (base, target)
    }

    /// Fetches the tip of `branch` into `store` and checks that it can be read.
    fn fetch_into(
        &self,
        store: &Store,
        branch: &str,
        request: &SyncRequest<'_>,
        check: CheckedTrees,
    ) -> Result<ObjectId, SyncError> {
        let fetch = || {
            self.transport
                .fetch(store, &[branch], Depth(1), OnSignal::Stop)
        };
        let tips =
            self.repeater
                .run(Some(&request.interrupt), fetch)
                .map_err(|error| match error.kind {
                    RemoteErrorKind::DiskFull => disk_full(store, &error),
                    _ => error.into(),
                })?;
        let tip = tips[0];
        let checked = match check {
            CheckedTrees::All if store.is_kept() => store.check_trees(tip),
            _ => store
                .root_tree(tip)
                .and_then(|root| store.read_tree(root))
                .map(drop),
        };
        checked.map_err(StoreError::from)?;
        Ok(tip)
    }

    /// Like [`RemoteSession::fetch`], for a run that pushes. A branch that was deleted during the
    /// run has an error of its own, because it must not be created again.
    pub(super) fn fetch_to_push(&mut self, request: &SyncRequest<'_>) -> Result<(), SyncError> {
        self.fetch(request).map_err(|error| {
            let is_missing = matches!(
                &error,
                SyncError::Remote(remote) if remote.kind == RemoteErrorKind::BranchMissing
            );
            if is_missing && self.target.existed && !self.is_hidden() {
                self.gone()
            } else {
                error
            }
        })
    }

    /// Whether the server lists the branch only as the target of its HEAD. Such a branch can be
    /// seen but not fetched.
    fn is_hidden(&self) -> bool {
        self.transport
            .refs(Branches::one(&self.target.branch), OnSignal::Stop)
            .is_ok_and(|refs| {
                refs.head
                    .is_some_and(|(name, _)| name == self.target.branch)
            })
    }

    /// The error for a branch that was deleted or renamed during the run.
    pub(super) fn gone(&self) -> SyncError {
        SyncError::BranchGone {
            place: self.transport.url().host_or_path(),
            branch: self.target.branch.clone(),
        }
    }

    /// Searches the target for the commits in `wanted`, on top of which others may have pushed. All
    /// of them are on top of `boundary`. The history is fetched in growing steps, until all are
    /// found or it is certain that they are missing.
    pub(super) fn search_branch(
        &self,
        wanted: &[ObjectId],
        boundary: Option<ObjectId>,
    ) -> Result<Search, RemoteError> {
        let store = self.store();
        let mut depth = FIRST_SEARCH;
        loop {
            let tips = self.repeater.run(None, || {
                let branches = [self.target.branch.as_str()];
                self.transport
                    .fetch(store, &branches, Depth(depth), OnSignal::GoOn)
            })?;
            let search = store.search(tips[0], wanted, boundary);
            let all_found = search.found.len() == wanted.len();
            if all_found || search.is_complete || depth == WHOLE_HISTORY {
                return Ok(search);
            }
            depth = depth.saturating_mul(SEARCH_GROWTH).min(WHOLE_HISTORY);
        }
    }

    /// Queries the target's tip after a push. The result of the run depends on the response, so the
    /// query is also repeated after a time-out.
    pub(super) fn query_target(&self) -> Result<RemoteRefs, RemoteError> {
        let mut delays = ExponentialBuilder::default()
            .with_jitter()
            .with_max_times(2)
            .build();
        let query = || {
            self.transport
                .refs(Branches::one(&self.target.branch), OnSignal::GoOn)
        };
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
