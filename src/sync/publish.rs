//! From sources to commits that the remote was seen to hold.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bstr::ByteSlice;
use rayon::prelude::*;

use super::{Landing, SyncRequest, empty_outcome, report};
use crate::codex::commit::{self, NewCommit};
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::identity::{Identity, identity};
use crate::codex::lock;
use crate::codex::source::{self, SourceRevision};
use crate::codex::store::{self, Store, StoreError};
use crate::codex::transport::{Depth, PushReply, RemoteRefs, Transport};
use crate::codex::{git_config, listing};
use crate::event::{Event, Stage};
use crate::object::ObjectId;
use crate::outcome::{Pushed, SyncError, SyncOutcome};
use crate::paths::escaped;
use crate::plan::{Decision, ProjectPlan, plan, plan_id};
use crate::scan::{Counter, ScanError, Snapshot, SourceFile, SourceRoot, scan};
use crate::workspace::Project;

/// How far back the remote's history is searched for our commits when others pushed after us.
const VERIFY_DEPTH: Depth = Depth(256);
/// A refusal with the tip unchanged may be another push holding the ref's lock: so often it is tried again.
const SAME_TIP_TRIES: u32 = 2;
const SAME_TIP_DELAY: Duration = Duration::from_millis(100);

/// One run to the codex.
pub(super) struct Publish<'r> {
    request: &'r SyncRequest<'r>,
    outcome: SyncOutcome,
    snapshots: Vec<Snapshot>,
    /// Projects that could not be read, by number.
    failed: BTreeMap<usize, ScanError>,
    decisions: Vec<Decision>,
    commits: BTreeMap<usize, ObjectId>,
    revisions: BTreeMap<usize, Option<SourceRevision>>,
    written: HashSet<ObjectId>,
    landing: Landing,
}

/// The remote as this run found it.
struct Opened {
    transport: Box<dyn Transport>,
    store: Store,
    branch: String,
    /// The tip of the branch, as it was last seen.
    tip: Option<ObjectId>,
    /// What the commits go on top of: the tip, or for a new branch that of the remote's HEAD.
    base: Option<ObjectId>,
    /// This machine's turn at the remote.
    _turn: Option<lock::RemoteLock>,
}

/// What became of one push.
enum Sent {
    Landed,
    Moved { reason: String },
    SameTip { reason: String, words: Vec<String> },
}

enum WriteError {
    Source(usize, ScanError),
    Store(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Store(error)
    }
}

impl<'r> Publish<'r> {
    pub(super) fn new(request: &'r SyncRequest<'r>) -> Self {
        Self {
            request,
            outcome: empty_outcome(request),
            snapshots: Vec::new(),
            failed: BTreeMap::new(),
            decisions: Vec::new(),
            commits: BTreeMap::new(),
            revisions: BTreeMap::new(),
            written: HashSet::new(),
            landing: if request.dry_run { Landing::Planned } else { Landing::NotLanded },
        }
    }

    pub(super) fn run(&mut self) -> Result<(), SyncError> {
        let request = self.request;
        let (scanned, opened) = thread::scope(|scope| {
            let opening = scope.spawn(|| open(request));
            let scanned = scan_all(request);
            (scanned, opening.join())
        });
        self.take_scanned(scanned)?;
        let mut opened = opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.outcome.remote.branch = Some(opened.branch.clone());
        self.outcome.remote.before = opened.tip;
        self.outcome.remote.after = opened.tip;
        let identity = identity(&request.workspace.commit, request.environment, request.now);
        let mut delays = backoff(request.workspace.retries);
        let mut same_tip = 0;
        loop {
            request.interrupt.check()?;
            self.plan(&opened)?;
            let unready = !self.failed.is_empty() || self.decisions.iter().any(|d| matches!(d, Decision::Withheld(..)));
            if request.dry_run || !self.decisions.iter().any(|d| matches!(d, Decision::Go(_))) {
                return Ok(());
            }
            if request.atomic && unready {
                self.landing = Landing::HeldByOthers;
                return Err(SyncError::Atomic);
            }
            if !self.commit(&opened, &identity)? {
                continue;
            }
            request.interrupt.check()?;
            let moved = match self.push(&mut opened)? {
                Sent::Landed => return Ok(()),
                Sent::Moved { reason } => Some(reason),
                Sent::SameTip { reason, words } if same_tip == SAME_TIP_TRIES => {
                    let (place, branch) = (request.workspace.remote.url.place(), opened.branch);
                    return Err(SyncError::Declined { place, branch, reason, words });
                }
                Sent::SameTip { .. } => {
                    same_tip += 1;
                    None
                }
            };
            let (attempt, of) = (self.outcome.attempts, request.workspace.retries + 1);
            let delay = match (delays.next(), moved) {
                (Some(delay), Some(reason)) => {
                    request.reporter.event(&Event::Retrying { attempt, of, reason, delay });
                    delay
                }
                // Nobody was faster; the verdict is asked for again, whatever the number of retries.
                (delay, None) => delay.unwrap_or(SAME_TIP_DELAY),
                (None, Some(last)) => {
                    let (place, branch) = (request.workspace.remote.url.place(), opened.branch);
                    return Err(SyncError::RetriesExhausted { place, branch, attempts: attempt, last });
                }
            };
            request.interrupt.wait(delay)?;
            opened.fetch_again()?;
        }
    }

    pub(super) fn into_outcome(mut self, failure: Option<SyncError>) -> SyncOutcome {
        self.decisions.resize(self.request.projects.len(), Decision::Go(ProjectPlan::default()));
        let decisions = self.decisions.into_iter().enumerate();
        self.outcome.projects = decisions
            .zip(&self.request.projects)
            .map(|((number, decision), project)| {
                let decision = self.failed.remove(&number).map_or(Ok(decision), Err);
                report(project, decision, self.commits.get(&number).copied(), self.landing)
            })
            .collect();
        self.outcome.failure = failure;
        self.outcome
    }

    fn take_scanned(&mut self, scanned: Vec<Result<Snapshot, ScanError>>) -> Result<(), SyncError> {
        let request = self.request;
        for (number, (result, project)) in scanned.into_iter().zip(&request.projects).enumerate() {
            let snapshot = match result {
                Ok(snapshot) => snapshot,
                Err(ScanError::Interrupted(interrupted)) => return Err(interrupted.into()),
                Err(error) => {
                    self.failed.insert(number, error);
                    Snapshot::default()
                }
            };
            for skipped in &snapshot.skipped {
                let message = format!("`{}` is not published: {}", escaped(&skipped.source), skipped.reason);
                request.warn(&mut self.outcome.warnings, Some(project), message);
            }
            self.snapshots.push(snapshot);
        }
        if request.workspace.commit.trailers && !request.dry_run && git_config::wants_signing(request.environment) {
            let message = "`commit.gpgsign` is set, but commits to the codex are not signed".to_owned();
            request.warn(&mut self.outcome.warnings, None, message);
        }
        Ok(())
    }

    /// Compares every project with the codex as it is now.
    #[tracing::instrument(level = "debug", skip_all)]
    fn plan(&mut self, opened: &Opened) -> Result<(), SyncError> {
        let request = self.request;
        let first = self.decisions.is_empty();
        let root = opened.base.map(|base| opened.store.root_tree(base)).transpose().map_err(StoreError::from)?;
        let read = |id| opened.store.read_tree(id);
        let mut decisions = Vec::with_capacity(request.projects.len());
        for (number, project) in request.projects.iter().enumerate() {
            if self.failed.contains_key(&number) {
                decisions.push(Decision::UpToDate(ProjectPlan::default()));
                continue;
            }
            let listing = listing::list(&read, root, &project.to).map_err(StoreError::from)?;
            let snapshot = &self.snapshots[number];
            let decision = plan(project, snapshot, &listing, request.deletes);
            if first
                && snapshot.files.is_empty()
                && matches!(&decision, Decision::UpToDate(plan) if plan.unchanged == 0)
            {
                let message = "no source file matches, and the codex holds none of it either".to_owned();
                request.warn(&mut self.outcome.warnings, Some(project), message);
            }
            decisions.push(decision);
        }
        self.decisions = decisions;
        self.outcome.plan_id = Some(plan_id(opened.base, self.going().map(|(_, project, plan)| (project, plan))));
        Ok(())
    }

    /// The projects that have something to do.
    fn going(&self) -> impl Iterator<Item = (usize, &'r Project, &ProjectPlan)> {
        self.decisions.iter().enumerate().filter_map(|(number, decision)| match decision {
            Decision::Go(plan) => Some((number, self.request.projects[number], plan)),
            _ => None,
        })
    }

    /// Writes the commits; `false` if a project failed meanwhile, so that there is another plan to make.
    #[tracing::instrument(level = "debug", skip_all)]
    fn commit(&mut self, opened: &Opened, identity: &Identity) -> Result<bool, SyncError> {
        let request = self.request;
        request.reporter.event(&Event::Started { stage: Stage::Commit });
        let unknown: Vec<_> =
            self.going().map(|(n, p, _)| (n, p)).filter(|(n, _)| !self.revisions.contains_key(n)).collect();
        let snapshots = &self.snapshots;
        let found: Vec<_> =
            unknown.into_par_iter().map(|(n, project)| (n, source::revision(project, &snapshots[n]))).collect();
        self.revisions.extend(found);
        let going: Vec<_> = self.going().collect();
        let new: Vec<_> = going
            .iter()
            .map(|(number, project, plan)| {
                let revision = self.revisions.get(number).and_then(Option::as_ref);
                let work_id = request.work_id.as_deref();
                let message = commit::message(request.workspace, &opened.branch, project, plan, revision, work_id);
                NewCommit { project, plan, message }
            })
            .collect();
        let built = commit::build(&opened.store, opened.base, &new, identity).map_err(StoreError::from)?;
        let mut blobs = Vec::new();
        let mut seen = HashSet::new();
        for (number, _, plan) in &going {
            for file in plan.changes.iter().filter_map(|change| change.op.file()) {
                if !self.written.contains(&file.id) && seen.insert(file.id) {
                    blobs.push((file.id, file.size, (*number, file)));
                }
            }
        }
        let roots = Roots { projects: &request.projects, open: Mutex::default() };
        let read = |(number, file): &(usize, &SourceFile)| {
            let contents = roots.get(*number).and_then(|root| root.contents(file));
            contents.map_err(|error| WriteError::Source(*number, error))
        };
        let written = opened.store.write_pack(&built.objects, &blobs, read);
        let commits = going.iter().map(|(number, ..)| *number).zip(built.commits).collect();
        let unchanged = match written {
            Ok(()) => {
                self.written.extend(seen);
                self.commits = commits;
                true
            }
            Err(WriteError::Store(error)) => return Err(StoreError::Write(error).into()),
            Err(WriteError::Source(number, error)) => {
                self.failed.insert(number, error);
                false
            }
        };
        request.reporter.event(&Event::Finished { stage: Stage::Commit });
        Ok(unchanged)
    }

    /// Sends the last commit and finds out what became of it.
    fn push(&mut self, opened: &mut Opened) -> Result<Sent, SyncError> {
        let request = self.request;
        let Some(commit) = self.commits.values().next_back().copied() else { return Ok(Sent::Landed) };
        self.outcome.attempts += 1;
        request.reporter.event(&Event::Started { stage: Stage::Push });
        let reply = opened.transport.push(&opened.store, commit, &opened.branch);
        request.reporter.event(&Event::Finished { stage: Stage::Push });
        let _span = tracing::debug_span!("verify").entered();
        request.reporter.event(&Event::Started { stage: Stage::Verify });
        let place = || request.workspace.remote.url.place();
        let asked = ask_again(opened);
        let (refs, reply) = match (asked, reply) {
            (Ok(refs), reply) => (refs, reply),
            // Refused, whatever else: it did not land.
            (Err(error), Ok(PushReply::Refused { .. })) => return Err(error.into()),
            // It never got through, and it still does not.
            (Err(_), Err(error)) if never_sent(&error) => return Err(error.into()),
            (Err(source), _) => {
                self.landing = Landing::Unknown;
                self.outcome.pushed = Pushed::Unknown;
                return Err(SyncError::Unverified { place: place(), source: Box::new(source) });
            }
        };
        let ours = refs.tip == Some(commit) || (refs.tip != opened.tip && opened.holds(commit)?);
        if ours {
            self.landing = Landing::Landed;
            self.outcome.pushed = Pushed::Verified;
            self.outcome.remote.after = Some(commit);
            request.reporter.event(&Event::Finished { stage: Stage::Verify });
            return Ok(Sent::Landed);
        }
        let moved = refs.tip != opened.tip;
        match reply {
            Ok(PushReply::Accepted) => {
                Err(SyncError::LandedThenRemoved { place: place(), branch: opened.branch.clone(), commit })
            }
            Ok(PushReply::Refused { reason, .. }) if moved => Ok(Sent::Moved { reason }),
            Ok(PushReply::Refused { reason, words }) => Ok(Sent::SameTip { reason, words }),
            Err(error) if moved => Ok(Sent::Moved { reason: error.to_string() }),
            Err(error) if error.kind.is_transient() && self.outcome.attempts <= SAME_TIP_TRIES => {
                Ok(Sent::Moved { reason: error.to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Open roots, a bounded number of them: a workspace may have more projects than a process may have open files.
struct Roots<'r> {
    projects: &'r [&'r Project],
    open: Mutex<BTreeMap<usize, Arc<SourceRoot>>>,
}

impl Roots<'_> {
    const LIMIT: usize = 64;

    fn get(&self, number: usize) -> Result<Arc<SourceRoot>, ScanError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = open.get(&number) {
            return Ok(root.clone());
        }
        if open.len() >= Self::LIMIT {
            open.clear();
        }
        let root = Arc::new(SourceRoot::open(self.projects[number])?);
        open.insert(number, root.clone());
        Ok(root)
    }
}

impl Opened {
    /// Fetches the tip as it is now.
    fn fetch_again(&mut self) -> Result<(), SyncError> {
        let refs = self.transport.refs(Some(&self.branch))?;
        self.tip = match refs.tip {
            Some(_) => Some(self.transport.fetch(&self.store, &self.branch, Depth(1))?),
            None => None,
        };
        self.base = self.tip.or(self.base.filter(|_| !refs.is_empty));
        Ok(())
    }

    /// Whether the branch, on which others may have pushed since, holds `commit`.
    fn holds(&self, commit: ObjectId) -> Result<bool, SyncError> {
        match self.transport.fetch(&self.store, &self.branch, VERIFY_DEPTH) {
            Ok(tip) => Ok(self.store.is_ancestor(commit, tip)),
            Err(error) if error.kind == RemoteErrorKind::BranchMissing => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Asks for the tip after a push; a passing fault is given three chances, for the answer is what success hangs on.
fn ask_again(opened: &Opened) -> Result<RemoteRefs, RemoteError> {
    let mut delays = ExponentialBuilder::default().with_jitter().with_max_times(2).build();
    loop {
        match opened.transport.refs(Some(&opened.branch)) {
            Err(error) if error.kind.is_transient() => match delays.next() {
                Some(delay) => thread::park_timeout(delay),
                None => return Err(error),
            },
            answer => return answer,
        }
    }
}

/// Errors from before anything could have been sent.
fn never_sent(error: &RemoteError) -> bool {
    !error.kind.is_transient() && error.kind != RemoteErrorKind::Other
}

fn backoff(retries: u32) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(retries as usize)
        .build()
}

fn scan_all(request: &SyncRequest<'_>) -> Vec<Result<Snapshot, ScanError>> {
    request.reporter.event(&Event::Started { stage: Stage::Scan });
    let counter = Counter::new(request.reporter.as_ref());
    let scanned = request.projects.par_iter().map(|project| scan(project, &request.interrupt, &counter)).collect();
    request.reporter.event(&Event::Finished { stage: Stage::Scan });
    scanned
}

/// Finds the branch and fetches its tip into a new temporary clone.
fn open(request: &SyncRequest<'_>) -> Result<Opened, SyncError> {
    let remote = &request.workspace.remote;
    request.reporter.event(&Event::Started { stage: Stage::Fetch });
    let transport = request.transport()?;
    let turn = if request.dry_run {
        None
    } else {
        let key = remote.url.for_git();
        Some(lock::acquire(&request.workspace.state_dir, &key, &request.interrupt, request.reporter.as_ref())?)
    };
    let refs = find_branch(request, transport.as_ref())?;
    let store = Store::create(&request.temporary)?;
    store.set_remote(&remote.url.for_git())?;
    let (tip, base) = match (refs.tip, &refs.head) {
        (Some(_), _) => {
            let tip = transport.fetch(&store, &refs.branch, Depth(1))?;
            (Some(tip), Some(tip))
        }
        (None, Some((head, _))) => (None, Some(transport.fetch(&store, head, Depth(1))?)),
        (None, None) => (None, None),
    };
    request.reporter.event(&Event::Finished { stage: Stage::Fetch });
    Ok(Opened { transport, store, branch: refs.branch, tip, base, _turn: turn })
}

/// Asks the remote, making it first where `remote.create` says so and it is a path of this machine.
fn find_branch(request: &SyncRequest<'_>, transport: &dyn Transport) -> Result<RemoteRefs, SyncError> {
    let remote = &request.workspace.remote;
    if let Some(path) = remote.url.local_path().filter(|path| !path.exists()) {
        let branch = remote.branch.clone().unwrap_or_else(|| "main".to_owned());
        if !remote.create {
            let path = escaped(path.as_os_str().as_encoded_bytes().as_bstr()).to_string();
            return Err(SyncError::LocalMissing { path });
        }
        if request.dry_run {
            return Ok(RemoteRefs { branch, tip: None, head: None, is_empty: true });
        }
        store::create_remote(&path, &branch)?;
    }
    let refs = transport.refs(remote.branch.as_deref())?;
    if refs.tip.is_none() && !refs.is_empty && !remote.create {
        return Err(SyncError::BranchMissing {
            branch: refs.branch,
            url: remote.url.to_string(),
            head: refs.head.map(|(name, _)| name),
        });
    }
    Ok(refs)
}
