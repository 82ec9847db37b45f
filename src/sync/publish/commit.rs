//! The third stage: builds one commit per project that changes, in name order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;

use rayon::prelude::*;

use super::plan::Planned;
use super::scan::{Scanned, SourceFailure};
use crate::codex::objects::commit_builder::{self, Built, NewCommit, Sign};
use crate::codex::objects::commit_message::CommitMessage;
use crate::codex::objects::pack::Encoded;
use crate::codex::push_contents::{FileContents, NewFile, PushContents};
use crate::codex::source_revision::{self, SourceRevision};
use crate::codex::store::Store;
use crate::event::{Counter, Event, Stage};
use crate::object::ObjectId;
use crate::outcome::{SyncError, Warning};
use crate::scan::SourceFile;
use crate::sync::authorship::Authorship;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;
use crate::sync::source_roots::SourceRoots;

/// The commits of a plan. Only the contents of the files are missing, which are read when they are
/// sent.
pub(super) struct Committed {
    /// The commit that the branch is to point to: the last one, or the base if only a branch is
    /// created.
    pub(super) head: ObjectId,
    /// The commit that the first one is on top of.
    pub(super) base: Option<ObjectId>,
    /// The commits by project index.
    pub(super) commits: BTreeMap<usize, ObjectId>,
    /// The commits and their new trees. A delta comes after its base.
    objects: Vec<Encoded>,
    /// The blobs that the trees need and the base may lack, each once.
    blobs: Vec<NewBlob>,
}

/// A blob and the file that has its contents.
struct NewBlob {
    /// The index of the project.
    project: usize,
    file: SourceFile,
}

/// Builds the commits of a run. It keeps the values that do not change between attempts.
pub(super) struct Committer<'r> {
    authorship: Authorship<'r>,
    /// The source revision of each project that was committed before, by index.
    revisions: BTreeMap<usize, Option<SourceRevision>>,
}

impl<'r> Committer<'r> {
    pub(super) fn new(request: &'r SyncRequest<'r>) -> Self {
        Self {
            authorship: Authorship::new(request),
            revisions: BTreeMap::new(),
        }
    }

    /// Builds the commits of `planned` in memory.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) fn commit(
        &mut self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        scanned: &Scanned,
        planned: &Planned,
        warnings: &mut Vec<Warning>,
    ) -> Result<Committed, SyncError> {
        if planned.changes().next().is_none() {
            return Ok(Committed::without_commits(planned));
        }

        let reporter = request.reporter.as_ref();
        let signs = self.authorship.signer()?.is_some();
        let stage = if signs { Stage::Sign } else { Stage::Commit };
        reporter.event(&Event::Started { stage });
        self.add_revisions(request, scanned, planned, warnings);

        let new: Vec<_> = planned
            .changes()
            .map(|(number, plan)| NewCommit {
                project: request.projects[number],
                plan,
                message: CommitMessage {
                    workspace: request.workspace,
                    branch: &session.target.branch,
                    project: request.projects[number],
                    plan,
                    revision: self.revisions.get(&number).and_then(Option::as_ref),
                    work_id: request.work_id.as_deref(),
                }
                .text(),
            })
            .collect();
        let built = self.build(request, session, planned.base, &new)?;
        if signs {
            reporter.event(&Event::Finished { stage });
            reporter.event(&Event::Started {
                stage: Stage::Commit,
            });
        }

        let numbers = planned.changes().map(|(number, _)| number);
        let commits: BTreeMap<_, _> = numbers.zip(built.commits).collect();
        let Some(head) = commits.values().next_back().copied() else {
            unreachable!("each project that changes has a commit");
        };
        Ok(Committed {
            head,
            base: planned.base,
            commits,
            objects: built.objects,
            blobs: new_blobs(planned),
        })
    }

    /// Builds the commits on top of `base`, and signs them if they are to be signed.
    fn build(
        &self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        base: Option<ObjectId>,
        new: &[NewCommit<'_>],
    ) -> Result<Built, SyncError> {
        let (store, identity) = (session.store(), &self.authorship.identity);
        let Some(signer) = self.authorship.signer()? else {
            return Ok(commit_builder::build(store, base, new, identity, None)?);
        };

        let counter = Counter::new(request.reporter.as_ref(), Stage::Sign, Some(new.len()));
        let mut sign = |data: &[u8]| signer.sign(data).inspect(|_| counter.unit());
        let sign: Sign<'_> = &mut sign;
        Ok(commit_builder::build(
            store,
            base,
            new,
            identity,
            Some(sign),
        )?)
    }

    /// Determines the source revision of each project that changes, unless an earlier attempt has
    /// done so.
    fn add_revisions(
        &mut self,
        request: &SyncRequest<'_>,
        scanned: &Scanned,
        planned: &Planned,
        warnings: &mut Vec<Warning>,
    ) {
        if !request.workspace.commit.trailers {
            return;
        }

        let missing: Vec<_> = planned
            .changes()
            .map(|(number, _)| number)
            .filter(|number| !self.revisions.contains_key(number))
            .collect();
        let revisions: Vec<_> = missing
            .into_par_iter()
            .map(|number| {
                let (project, snapshot) = (request.projects[number], &scanned.snapshots[number]);
                (number, source_revision::revision(project, snapshot))
            })
            .collect();

        // One warning per reason, not per project.
        let mut unreadable = BTreeSet::new();
        for (number, revision) in revisions {
            let revision = revision.unwrap_or_else(|error| {
                unreadable.insert(error);
                None
            });
            self.revisions.insert(number, revision);
        }
        for error in unreadable {
            let message = format!("commits do not name their source revision: {error}");
            request.warn(warnings, None, message);
        }
    }
}

impl Committed {
    /// The result for a plan that only creates a branch.
    fn without_commits(planned: &Planned) -> Self {
        let Some(head) = planned.base else {
            unreachable!("a branch without commits of this run starts from another branch");
        };
        Self {
            head,
            base: planned.base,
            commits: BTreeMap::new(),
            objects: Vec::new(),
            blobs: Vec::new(),
        }
    }

    /// Writes the commits and their trees into the clone, as one pack.
    pub(super) fn write_objects(
        &self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
    ) -> Result<(), SyncError> {
        if self.objects.is_empty() {
            return Ok(());
        }

        let store = session.store();
        store
            .write_objects(&self.objects)
            .map_err(|error| store.unwritable(error))?;
        request.reporter.event(&Event::Finished {
            stage: Stage::Commit,
        });
        Ok(())
    }

    /// Calls `work` with the contents of the new files, which are read when they are sent. Returns
    /// its result, or why the contents could not be read or kept in the clone.
    pub(super) fn with_contents<T>(
        &self,
        request: &SyncRequest<'_>,
        store: &Store,
        work: impl FnOnce(&mut dyn PushContents) -> T,
    ) -> Result<T, ContentsFailure> {
        let files = self.blobs.iter().map(|blob| NewFile {
            id: blob.file.id,
            size: blob.file.size,
            source: blob,
        });
        let roots = SourceRoots::new(&request.projects);
        let read = |blob: &&NewBlob| {
            let contents = roots
                .get(blob.project)
                .and_then(|root| root.contents(&blob.file));
            contents.map_err(|error| {
                ContentsFailure::Source(SourceFailure {
                    project: blob.project,
                    error,
                })
            })
        };
        let mut contents = FileContents::new(store, files.collect(), read);
        let result = work(&mut contents);
        match contents.into_failure() {
            Some(failure) => Err(failure),
            None => Ok(result),
        }
    }
}

/// The blobs of a plan. Each is listed once, even if several projects publish it.
fn new_blobs(planned: &Planned) -> Vec<NewBlob> {
    let mut seen = HashSet::new();
    planned
        .changes()
        .flat_map(|(project, plan)| plan.files().map(move |file| (project, file)))
        .filter(|(_, file)| seen.insert(file.id))
        .map(|(project, file)| NewBlob {
            project,
            file: file.clone(),
        })
        .collect()
}

/// Why the contents of a push are incomplete.
pub(super) enum ContentsFailure {
    /// The sources of a project could not be read.
    Source(SourceFailure),
    /// The clone could not be written.
    Store(io::Error),
}

impl From<io::Error> for ContentsFailure {
    fn from(error: io::Error) -> Self {
        Self::Store(error)
    }
}
