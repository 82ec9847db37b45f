//! The third stage: builds one commit per project that changes, in name order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;

use rayon::prelude::*;

use super::credits::Credits;
use super::plan::Planned;
use super::scan::{Scanned, SourceFailure};
use crate::codex::objects::commit_builder::{self, Built, NewChain, NewCommit, NewMerge, Sign};
use crate::codex::objects::commit_message::{
    CommitMessage, merge_message, rename_message, retire_message,
};
use crate::codex::objects::pack::Encoded;
use crate::codex::push_contents::{FileContents, NewFile, PushContents};
use crate::codex::source_repository::UnreadableRepository;
use crate::codex::source_revision::{self, SourceRevision};
use crate::codex::store::Store;
use crate::event::{Counter, Event, Stage};
use crate::object::ObjectId;
use crate::outcome::{SyncError, Warning};
use crate::plan::ProjectPlan;
use crate::scan::SourceFile;
use crate::sync::authorship::Authorship;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::{SyncRequest, Task};
use crate::sync::sources::SourceContents;

/// The commits of one push. Only the contents of the files are missing, which are read when they
/// are sent.
pub(super) struct Committed {
    /// The branches of the push.
    pub(super) branches: Vec<CommittedBranch>,
    /// The commits and their new trees. A delta comes after its base.
    objects: Vec<Encoded>,
    /// The blobs that the trees need and the base may lack, each once.
    blobs: Vec<NewBlob>,
}

/// The commits for one branch.
pub(super) struct CommittedBranch {
    /// The index of the target.
    pub(super) target: usize,
    /// The commit that the branch is to point to: the last one, or the base if only a branch is
    /// created.
    pub(super) head: ObjectId,
    /// The commit that the first new commit is on top of.
    pub(super) base: Option<ObjectId>,
    /// The commits by project index.
    pub(super) commits: BTreeMap<usize, ObjectId>,
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
    credits: Credits,
    /// The texts that commits lack because they contain a secret, each with the index of the project.
    omissions: BTreeSet<(usize, OmittedText)>,
}

/// A part of a commit's message that is left out because it contains a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum OmittedText {
    /// The subject of the source commit.
    Subject,
    /// The template with its values.
    Message,
    /// The value of `--work-id`.
    WorkId,
}

impl OmittedText {
    fn warning(self) -> &'static str {
        match self {
            Self::Subject => {
                "the subject of the source commit contains a secret, so the commit does not have it"
            }
            Self::Message => {
                "the commit message (`--message`, `commit.message`) contains a secret, so the commit has the default one"
            }
            Self::WorkId => "`--work-id` contains a secret, so the commit does not have it",
        }
    }
}

impl<'r> Committer<'r> {
    pub(super) fn new(request: &'r SyncRequest<'r>) -> Self {
        Self {
            authorship: Authorship::new(request),
            revisions: BTreeMap::new(),
            credits: Credits::default(),
            omissions: BTreeSet::new(),
        }
    }

    /// The source revision of each project that was committed, by index.
    pub(super) fn revisions(&self) -> &BTreeMap<usize, Option<SourceRevision>> {
        &self.revisions
    }

    /// Builds the commits of the plans, each with the index of its target, in memory.
    #[tracing::instrument(level = "debug", name = "commit", skip_all, fields(projects))]
    pub(super) fn commit(
        &mut self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        scanned: &Scanned,
        plans: &[(usize, &Planned)],
        warnings: &mut Vec<Warning>,
    ) -> Result<Committed, SyncError> {
        let has_commits =
            |(_, planned): &(usize, &Planned)| planned.merge.is_some() || planned.has_changes();
        if !plans.iter().any(has_commits) {
            return Ok(Committed::new(plans, None));
        }
        let projects: usize = plans
            .iter()
            .map(|(_, planned)| planned.changes().count())
            .sum();
        tracing::Span::current().record("projects", projects);

        let reporter = request.reporter.as_ref();
        let signs = self.authorship.signer()?.is_some();
        let stage = if signs { Stage::Sign } else { Stage::Commit };
        reporter.event(&Event::Started { stage });
        for (_, planned) in plans {
            self.add_revisions(request, scanned, planned, warnings);
        }
        self.add_credits(request, plans, warnings);
        let mut omissions = BTreeSet::new();
        let chains: Vec<_> = plans
            .iter()
            .map(|(target, planned)| self.chain(request, session, *target, planned, &mut omissions))
            .collect();
        self.warn_of_omissions(request, omissions, warnings);
        let built = self.build(request, session, &chains)?;
        if signs {
            reporter.event(&Event::Finished { stage });
            reporter.event(&Event::Started {
                stage: Stage::Commit,
            });
        }

        Ok(Committed::new(plans, Some(built)))
    }

    /// The commits of one plan. Texts that they lack because of a secret are added to `omissions`.
    fn chain<'p>(
        &self,
        request: &'p SyncRequest<'_>,
        session: &RemoteSession,
        target: usize,
        planned: &'p Planned,
        omissions: &mut BTreeSet<(usize, OmittedText)>,
    ) -> NewChain<'p> {
        let target = &session.targets[target].branch;
        // Sync branches are to be merged into the base, which is the branch that a message names.
        let branch = if session.has_sync_branches {
            &session.base.branch
        } else {
            target
        };
        let has_trailers = request.workspace.commit.trailers;
        let commits = planned.changes().map(|(index, plan)| NewCommit {
            project: request.projects[index],
            plan,
            message: self.message(request, branch, index, plan, omissions),
        });
        NewChain {
            parent: planned.base,
            merge: planned.merge.as_ref().map(|merge| NewMerge {
                base: merge.base,
                edits: &merge.edits,
                message: merge_message(branch, target, has_trailers),
            }),
            commits: commits.collect(),
        }
    }

    /// The message of the commit of a project, given its index.
    fn message(
        &self,
        request: &SyncRequest<'_>,
        branch: &str,
        index: usize,
        plan: &ProjectPlan,
        omissions: &mut BTreeSet<(usize, OmittedText)>,
    ) -> String {
        let (workspace, project) = (request.workspace, request.projects[index]);
        let mut omits = |text: &str, kind| {
            let has_secret = request.finds_secret(project, text);
            omissions.extend(has_secret.then_some((index, kind)));
            has_secret
        };
        let work_id = request.work_id.as_deref();
        let work_id = work_id.filter(|id| !omits(id, OmittedText::WorkId));
        match &request.task {
            Task::Sync => {
                let message = CommitMessage {
                    workspace,
                    branch,
                    project,
                    plan,
                    revision: self.revisions.get(&index).and_then(Option::as_ref),
                    work_id,
                    credit: self.credits.of(index),
                };
                let mut body = message.body();
                if omits(&body, OmittedText::Message) {
                    body = message.default_subject();
                }
                message.with_trailers(&body)
            }
            Task::Retire { .. } => retire_message(workspace, project, work_id),
            Task::Rename { old, from } => rename_message(workspace, project, (old, from), work_id),
        }
    }

    /// Builds the commits, and signs them if they are to be signed.
    fn build(
        &self,
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        chains: &[NewChain<'_>],
    ) -> Result<Built, SyncError> {
        let (store, identity) = (session.store(), &self.authorship.identity);
        let Some(signer) = self.authorship.signer()? else {
            return Ok(commit_builder::build(store, chains, identity, None)?);
        };

        let count = |chain: &NewChain<'_>| chain.commits.len() + usize::from(chain.merge.is_some());
        let total = chains.iter().map(count).sum();
        let counter = Counter::new(request.reporter.as_ref(), Stage::Sign, Some(total));
        let sign: Sign<'_> = &|data| signer.sign(data).inspect(|_| counter.unit());
        Ok(commit_builder::build(store, chains, identity, Some(sign))?)
    }

    /// Determines the source revision of each project that changes, and warns about those that
    /// cannot be read.
    fn add_revisions(
        &mut self,
        request: &SyncRequest<'_>,
        scanned: &Scanned,
        planned: &Planned,
        warnings: &mut Vec<Warning>,
    ) {
        for error in self.find_revisions(request, scanned, planned) {
            let message = format!("commits do not name their source revision: {error}");
            request.warn(warnings, None, message);
        }
    }

    /// Finds the source commits of the projects that change, if the messages depend on them, and warns
    /// about repositories that cannot be read.
    fn add_credits(
        &mut self,
        request: &SyncRequest<'_>,
        plans: &[(usize, &Planned)],
        warnings: &mut Vec<Warning>,
    ) {
        let own = self.authorship.identity.author.email();
        for error in self.credits.find(request, plans, own) {
            // The warning about source revisions has the same reason.
            if !request.workspace.commit.trailers {
                let message = format!("commits do not name their source commits: {error}");
                request.warn(warnings, None, message);
            }
        }
    }

    /// Warns about the texts that commits lack because they contain a secret, each once in a run.
    fn warn_of_omissions(
        &mut self,
        request: &SyncRequest<'_>,
        mut omissions: BTreeSet<(usize, OmittedText)>,
        warnings: &mut Vec<Warning>,
    ) {
        let subjects = self.credits.with_secret().iter();
        omissions.extend(subjects.map(|index| (*index, OmittedText::Subject)));
        for (index, text) in omissions {
            if self.omissions.insert((index, text)) {
                let message = text.warning().to_owned();
                request.warn(warnings, Some(request.projects[index]), message);
            }
        }
    }

    /// Determines the source revision of each project that changes, unless an earlier attempt has
    /// done so. Returns the reasons why revisions cannot be read, each once.
    pub(super) fn find_revisions(
        &mut self,
        request: &SyncRequest<'_>,
        scanned: &Scanned,
        planned: &Planned,
    ) -> BTreeSet<UnreadableRepository> {
        if !request.workspace.commit.trailers || request.task != Task::Sync {
            return BTreeSet::new();
        }

        let missing: Vec<_> = planned
            .changes()
            .map(|(index, _)| index)
            .filter(|index| !self.revisions.contains_key(index))
            .collect();
        let revisions: Vec<_> = missing
            .into_par_iter()
            .map(|index| {
                let (project, snapshot) = (request.projects[index], &scanned.snapshots[index]);
                let commit = request.sources.commit(project);
                let revision = commit.map(|commit| {
                    let (repository, commit) = commit?;
                    source_revision::revision(&repository, &commit, project, snapshot)
                });
                (index, revision)
            })
            .collect();

        let mut unreadable = BTreeSet::new();
        for (index, revision) in revisions {
            let revision = revision.unwrap_or_else(|error| {
                unreadable.insert(error);
                None
            });
            self.revisions.insert(index, revision);
        }
        unreadable
    }
}

impl Committed {
    /// The result for plans and their commits; `None` if they only create branches.
    fn new(plans: &[(usize, &Planned)], built: Option<Built>) -> Self {
        let (chains, objects) = match built {
            Some(built) => (built.chains, built.objects),
            None => Default::default(),
        };
        let mut chains = chains.into_iter();
        let branch = |(target, planned): &(usize, &Planned)| {
            let indexes = planned.changes().map(|(index, _)| index);
            let (head, commits) = match chains.next() {
                Some(chain) => (chain.head, indexes.zip(chain.commits).collect()),
                None => (None, BTreeMap::new()),
            };
            let Some(head) = head.or(planned.base) else {
                unreachable!("a branch without commits of this run starts from another branch");
            };
            CommittedBranch {
                target: *target,
                head,
                base: planned.base,
                commits,
            }
        };
        Self {
            branches: plans.iter().map(branch).collect(),
            objects,
            blobs: new_blobs(plans),
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
        let sources = SourceContents::new(&request.sources, &request.projects);
        let read = |blob: &&NewBlob| {
            let contents = sources.read(blob.project, &blob.file);
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

/// The blobs of the plans. Each is listed once, even if several projects publish it.
fn new_blobs(plans: &[(usize, &Planned)]) -> Vec<NewBlob> {
    let mut seen = HashSet::new();
    plans
        .iter()
        .flat_map(|(_, planned)| planned.changes())
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
