//! The codex's side of a run: which branch, at which tip, and what it holds.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::thread;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::repeater::Repeater;
use super::request::SyncRequest;
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::objects::listing::Lister;
use crate::codex::queue_lock::QueueLock;
use crate::codex::store::{self, Search, Store, StoreError};
use crate::codex::transport::{Depth, FIRST_BRANCH, OnSignal, RemoteRefs, Target, Transport};
use crate::config::CloneStrategy;
use crate::event::{Event, Stage};
use crate::lock::lock;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::SyncError;
use crate::paths::shown;
use crate::plan::Listing;
use crate::state::{Recorded, State};
use crate::workspace::Project;

/// How far back the remote's history is searched first for our commits when others pushed after us.
const FIRST_SEARCH: u32 = 256;
/// How much further each next search goes.
const SEARCH_GROWTH: u32 = 8;
/// The depth that git takes for the whole history.
const WHOLE_HISTORY: u32 = i32::MAX.cast_unsigned();

/// The remote as this run found it.
pub(super) struct RemoteSession {
    pub(super) transport: Box<dyn Transport>,
    /// The clone; not there as long as recorded listings of this very tip do instead.
    pub(super) store: Option<Store>,
    pub(super) recorded: Vec<Listing>,
    /// The blobs that this run wrote into the clone.
    pub(super) written_blobs: HashSet<ObjectId>,
    pub(super) base: Base,
    pub(super) target: PushTarget,
    /// Repeats requests that only read.
    repeater: Repeater,
    /// Why the tip could not be fetched ahead of need. It is told once the need is there.
    deferred_error: Option<SyncError>,
    /// What the remote answered after the last push; the next fetch goes by it.
    pub(super) refs_after_push: Option<RemoteRefs>,
    /// Held until the run ends: one run at a time per remote on this machine.
    pub(super) _queue_lock: Option<QueueLock>,
}

/// What the commits of a run go on top of: the target, or for a branch that does not exist yet the remote's HEAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    /// The branch that is fetched.
    pub(super) branch: String,
    /// Its tip, as it was last seen; `None` if it has no commits.
    pub(super) tip: Option<ObjectId>,
}

/// The branch that the commits of a run are pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PushTarget {
    pub(super) branch: String,
    /// Its tip, as it was last seen; `None` if it does not exist. A push replaces exactly this tip.
    pub(super) tip: Option<ObjectId>,
    /// Whether the branch existed at any time of this run. A branch that was deleted during the run is never created
    /// again.
    pub(super) existed: bool,
}

impl PushTarget {
    /// The branch and the tip that a push replaces.
    pub(super) fn for_transport(&self) -> Target<'_> {
        Target {
            branch: &self.branch,
            tip: self.tip,
        }
    }

    /// Whether a push creates the branch.
    pub(super) fn is_new(&self) -> bool {
        self.tip.is_none() && !self.existed
    }
}

/// Finds the branch, to read from it. Nothing is fetched yet. Where a run `may_make` what is missing, that is no error.
pub(super) fn connect(
    request: &SyncRequest<'_>,
    may_make: bool,
) -> Result<RemoteSession, SyncError> {
    let transport = request.transport()?;
    let refs = find_branch(request, transport.as_ref(), may_make)?;
    Ok(RemoteSession::new(request, transport, refs))
}

/// Finds the branch and fetches its tip into a clone, unless what it holds is known and there is no news: then there may be
/// nothing to do.
pub(super) fn connect_and_fetch(
    request: &SyncRequest<'_>,
    news: Receiver<()>,
) -> Result<RemoteSession, SyncError> {
    let remote = &request.workspace.remote;
    request.reporter.event(&Event::Started {
        stage: Stage::Fetch,
    });
    let transport = request.transport()?;
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
    let refs = find_branch(request, transport.as_ref(), remote.create)?;
    let mut session = RemoteSession::new(request, transport, refs);
    session._queue_lock = queue_lock;
    let matching = |recorded: Recorded| {
        let is_of_base = recorded.tip == session.base.tip && recorded.branch == session.base.branch;
        (is_of_base && !request.rescan).then_some(recorded.listing)
    };
    let state = State::of(request.workspace);
    let recorded: Option<Vec<Listing>> = request
        .projects
        .iter()
        .map(|project| state.read(project).and_then(matching))
        .collect();
    let known = recorded.is_some();
    session.recorded = recorded.unwrap_or_default();
    request.reporter.event(&Event::Finished {
        stage: Stage::Fetch,
    });
    if !known {
        session.fetch_to_push(request)?;
    } else if !request.dry_run && news.recv().is_ok() {
        match session.fetch_to_push(request) {
            // What was recorded is true of the tip before.
            Ok(()) => session.recorded.clear(),
            Err(error) => (session.store, session.deferred_error) = (None, Some(error)),
        }
    }
    Ok(session)
}

/// Asks the remote, making it first where it may be made and is a path of this machine.
fn find_branch(
    request: &SyncRequest<'_>,
    transport: &dyn Transport,
    may_make: bool,
) -> Result<RemoteRefs, SyncError> {
    let remote = &request.workspace.remote;
    let is_missing = |path: &&Path| !path.exists() && !store::is_repository(path);
    if let Some(path) = transport.url().local_path().filter(is_missing) {
        let branch = remote
            .branch
            .clone()
            .unwrap_or_else(|| FIRST_BRANCH.to_owned());
        if !may_make {
            let path = shown(path).to_string();
            return Err(SyncError::LocalMissing { path });
        }
        if request.dry_run {
            return Ok(RemoteRefs {
                branch,
                tip: None,
                head: None,
                is_empty: true,
            });
        }
        store::create_remote(path, &branch)?;
    }
    let repeater = Repeater::new(&remote.timeout);
    let refs = repeater.run(Some(&request.interrupt), || {
        transport.refs(remote.branch.as_deref(), OnSignal::Stop)
    })?;
    if refs.tip.is_none() && !refs.is_empty && !may_make {
        return Err(SyncError::BranchMissing {
            branch: refs.branch,
            url: transport.url().to_string(),
            head: refs.head.map(|(name, _)| name),
            environment: request.workspace.environment.clone(),
        });
    }
    Ok(refs)
}

/// A clone for this run: temporary, or the kept one. A dry run writes nothing that stays.
fn new_store(request: &SyncRequest<'_>, transport: &dyn Transport) -> Result<Store, SyncError> {
    let kept = request
        .cache_home
        .as_ref()
        .filter(|_| request.workspace.clone == CloneStrategy::Cached && !request.dry_run);
    let store = match kept {
        Some(home) => {
            let name = hash(Kind::Blob, transport.clone_key().as_bytes()).to_string();
            Store::keep(
                &home.join("clones").join(name),
                |file| -> Result<_, SyncError> {
                    Ok(lock(file, &request.interrupt, || {
                        request.reporter.event(&Event::Waiting)
                    })?)
                },
            )?
        }
        None => Store::create(&request.temporary)?,
    };
    transport.prepare(&store)?;
    Ok(store)
}

/// Whether a new clone may fix it: git or its data is at fault, not the connection to the server.
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
    fn new(request: &SyncRequest<'_>, transport: Box<dyn Transport>, refs: RemoteRefs) -> Self {
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
            written_blobs: HashSet::new(),
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

    /// What the codex holds of each project. What was recorded is given away: whoever asks again has fetched.
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
        let listings = projects.iter().map(|project| lister.list(&project.to));
        Ok(listings
            .collect::<Result<_, _>>()
            .map_err(StoreError::from)?)
    }

    /// The clone, and the tip that is in it.
    pub(super) fn clone_of_tip(
        &mut self,
        request: &SyncRequest<'_>,
    ) -> Result<(&Store, Option<ObjectId>), SyncError> {
        if self.store.is_none() {
            self.fetch(request)?;
        }
        Ok((self.store(), self.base.tip))
    }

    /// The clone, of who fetched before.
    pub(super) fn store(&self) -> &Store {
        self.store
            .as_ref()
            .unwrap_or_else(|| unreachable!("a fetch makes the clone"))
    }

    /// Fetches the contents with these ids, as far as the clone lacks them.
    pub(super) fn fetch_contents(
        &mut self,
        request: &SyncRequest<'_>,
        ids: &BTreeSet<ObjectId>,
    ) -> Result<(), SyncError> {
        let missing = self.clone_of_tip(request)?.0.missing(ids)?;
        if !missing.is_empty() {
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
        }
        Ok(())
    }

    /// Fetches the tip with all file contents, for servers that send none by their ids.
    fn fetch_all_contents(
        &mut self,
        request: &SyncRequest<'_>,
        ids: &BTreeSet<ObjectId>,
        error: RemoteError,
    ) -> Result<(), SyncError> {
        tracing::debug!(%error, "fetching all contents of the tip");
        if let Some(store) = &mut self.store {
            store.renew_with_contents()?;
            self.written_blobs.clear();
        }
        self.fetch(request)?;
        match self.store().missing(ids)?.is_empty() {
            true => Ok(()),
            // Another commit replaced the tip in between.
            false => Err(error.into()),
        }
    }

    /// Fetches the tip of the base as it is now, into a clone that is made the first time. After an error, base and target
    /// are still as they were before.
    pub(super) fn fetch(&mut self, request: &SyncRequest<'_>) -> Result<(), SyncError> {
        if let Some(error) = self.deferred_error.take() {
            return Err(error);
        }

        request.reporter.event(&Event::Started {
            stage: Stage::Fetch,
        });
        let mut store = match self.store.take() {
            Some(store) => store,
            None => new_store(request, self.transport.as_ref())?,
        };
        let (mut base, mut target) = self.after_push();
        self.target.existed |= target.existed;
        if base.tip.is_some() {
            let fetched = match self.fetch_into(&store, &base.branch, request, Check::Trees) {
                Err(error) if store.is_kept() && is_fixed_by_reclone(&error) => {
                    tracing::debug!(%error, "the kept clone is fetched anew");
                    store.renew()?;
                    self.written_blobs.clear();
                    self.transport.prepare(&store)?;
                    self.fetch_into(&store, &base.branch, request, Check::Root)?
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

    /// Base and target as the remote showed them after the last push, or as they are if nothing was pushed since the last
    /// fetch. Once the target has commits, it is the base.
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

    /// Fetches the tip into `store` and checks that it can be read.
    fn fetch_into(
        &self,
        store: &Store,
        branch: &str,
        request: &SyncRequest<'_>,
        check: Check,
    ) -> Result<ObjectId, SyncError> {
        let fetch = || {
            self.transport
                .fetch(store, branch, Depth(1), OnSignal::Stop)
        };
        let tip =
            self.repeater
                .run(Some(&request.interrupt), fetch)
                .map_err(|error| match error.kind {
                    RemoteErrorKind::DiskFull => {
                        let own = error
                            .detail
                            .iter()
                            .filter(|line| !line.starts_with("remote:"));
                        let words = own.map(String::as_str).collect::<Vec<_>>().join("; ");
                        store
                            .unwritable(io::Error::new(io::ErrorKind::StorageFull, words))
                            .into()
                    }
                    _ => SyncError::from(error),
                })?;
        let checked = match check {
            Check::Trees if store.is_kept() => store.check_trees(tip),
            _ => store
                .root_tree(tip)
                .and_then(|root| store.read_tree(root))
                .map(drop),
        };
        checked.map_err(StoreError::from)?;
        Ok(tip)
    }

    /// Like [`RemoteSession::fetch`], for a run that pushes: a branch that was deleted during the run is an error of its own, and
    /// is never created again.
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

    /// Whether the server shows the branch only as the target of its HEAD, so that it can be seen but not fetched.
    fn is_hidden(&self) -> bool {
        self.transport
            .refs(Some(&self.target.branch), OnSignal::Stop)
            .is_ok_and(|refs| {
                refs.head
                    .is_some_and(|(name, _)| name == self.target.branch)
            })
    }

    /// The error for a branch that was deleted or renamed during the run.
    pub(super) fn gone(&self) -> SyncError {
        SyncError::BranchGone {
            place: self.transport.url().place(),
            branch: self.target.branch.clone(),
        }
    }

    /// Looks for commits of ours in the branch, on which others may have pushed since. History is fetched in growing
    /// steps, until they are found or cannot be there: all of them are on top of `boundary`.
    pub(super) fn search_branch(
        &self,
        wanted: &[ObjectId],
        boundary: Option<ObjectId>,
    ) -> Result<Search, RemoteError> {
        let store = self.store();
        let mut depth = FIRST_SEARCH;
        loop {
            let tip = self.repeater.run(None, || {
                self.transport
                    .fetch(store, &self.target.branch, Depth(depth), OnSignal::GoOn)
            })?;
            let search = store.search(tip, wanted, boundary);
            let all_found = search.found.len() == wanted.len();
            if all_found || search.is_complete || depth == WHOLE_HISTORY {
                return Ok(search);
            }
            depth = depth.saturating_mul(SEARCH_GROWTH).min(WHOLE_HISTORY);
        }
    }

    /// Asks for the tip after a push. Success depends on the response, so that time-outs are repeated too.
    pub(super) fn ask_again(&self) -> Result<RemoteRefs, RemoteError> {
        let mut delays = ExponentialBuilder::default()
            .with_jitter()
            .with_max_times(2)
            .build();
        let ask = || {
            self.transport
                .refs(Some(&self.target.branch), OnSignal::GoOn)
        };
        loop {
            match self.repeater.run(None, ask) {
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

/// How much of a fetched tip is read to check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    /// All trees, where the clone is a kept one: what it held before may be damaged.
    Trees,
    /// The root tree: the rest was just fetched.
    Root,
}
