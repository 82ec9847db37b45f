//! Lists the syncs that the history of the codex records, newest first, for `log`.
//!
//! Every user with write access can write the trailers of a sync by hand. The values are therefore
//! only shown.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::ControlFlow;

use bstr::{BStr, ByteSlice};
use rayon::prelude::*;

use super::commit_search::search_commits;
use super::former_directory::default_directory;
use super::remote_session::find_branches;
use super::repeater::Repeater;
use super::request::SyncRequest;
use super::search_depths::search_depths;
use crate::codex::objects::commit::ParsedCommit;
use crate::codex::objects::commit_message::{RecordedChange, RecordedSyncs, SyncTrailers};
use crate::codex::objects::commit_walk::CommitWalk;
use crate::codex::objects::listing::list_all;
use crate::codex::objects::tree::{TreeError, entry_at};
use crate::codex::objects::tree_merge::changes;
use crate::codex::remote::{Depth, Transport};
use crate::codex::store::{Contents, Store};
use crate::codex::temp_clone;
use crate::event::{Event, Stage};
use crate::glob::Glob;
use crate::interrupt::OnSignal;
use crate::names::ProjectName;
use crate::object::{Mode, ObjectId};
use crate::outcome::{SyncError, Warning};
use crate::paths::CodexPath;
use crate::workspace::Workspace;

/// The maximum number of commits whose trees are fetched to count changed files.
const MAX_COUNTED: usize = 4096;
/// The number of syncs that a thread compares with their parents before it takes others.
const SYNCS_PER_TASK: usize = 128;

/// The syncs to list.
pub(crate) struct LogQuery {
    /// Patterns of project names; none for all projects.
    pub projects: Vec<Glob>,
    /// The maximum number of syncs.
    pub limit: usize,
}

impl LogQuery {
    fn selects(&self, project: &str) -> bool {
        let matches = |glob: &Glob| glob.matches(project.as_bytes());
        self.projects.is_empty() || self.projects.iter().any(matches)
    }
}

/// The listed syncs.
#[derive(Debug, Default)]
pub(crate) struct SyncLog {
    /// The branch of the codex.
    pub branch: String,
    /// The tip of the branch; `None` if the branch has no commits.
    pub tip: Option<ObjectId>,
    /// The syncs, newest first.
    pub syncs: Vec<LoggedSync>,
    /// Whether there may be older syncs that were not listed.
    pub has_older: bool,
    /// Problems that did not stop the search. They are also reported as events.
    pub warnings: Vec<Warning>,
}

/// A commit that a sync made, for one project.
#[derive(Debug)]
pub(crate) struct LoggedSync {
    /// The commit.
    pub id: ObjectId,
    pub commit: ParsedCommit,
    /// The project and its source revision.
    pub trailers: SyncTrailers,
    /// The directory that the project had in the codex at that time.
    directory: Option<CodexPath>,
    /// The numbers of added, modified and deleted files in the directory of the project; `None` if
    /// they are not known.
    pub counts: Option<[u64; 3]>,
}

/// Reads the history of the codex, only as deep as needed.
pub(crate) fn read(request: &SyncRequest<'_>, query: &LogQuery) -> Result<SyncLog, SyncError> {
    temp_clone::sweep(&request.temporary);
    let transport = request.connection()?;
    let refs = find_branches(request, &*transport, false, &[])?;
    let mut log = SyncLog {
        branch: refs.branch,
        ..SyncLog::default()
    };
    if refs.tip.is_none() {
        return Ok(log);
    }
    let stage = Stage::Fetch;
    request.reporter.event(&Event::Started { stage });
    let search = |store: &Store, tip, _| {
        let found = FoundSyncs::search(store, tip, query, request.workspace);
        match found.is_full || !found.is_cut {
            true => ControlFlow::Break(found),
            false => ControlFlow::Continue(found),
        }
    };
    let (store, mut found) =
        search_commits(request, &*transport, &log.branch, search_depths(), search)?;
    found.count(request, &*transport, &log.branch, store)?;
    request.reporter.event(&Event::Finished { stage });

    log.tip = Some(found.tip);
    if found.is_cut && !found.is_full {
        let message = "the codex lacks a part of its history, because its repository is shallow or damaged: older syncs are not listed";
        request.warn(&mut log.warnings, None, message.to_owned());
    }
    log.has_older = found.is_full || found.is_cut;
    log.syncs = found.syncs;
    Ok(log)
}

/// The result of a search of fetched commits.
struct FoundSyncs {
    tip: ObjectId,
    syncs: Vec<LoggedSync>,
    /// The number of commits that were read.
    commits: usize,
    /// Whether the maximum number of syncs was found and older commits were not read.
    is_full: bool,
    /// Whether the search met a missing commit.
    is_cut: bool,
}

impl FoundSyncs {
    fn search(store: &Store, tip: ObjectId, query: &LogQuery, workspace: &Workspace) -> Self {
        let contents = store.contents();
        let mut walk = CommitWalk::new(&[tip], |id| contents.read_commit(id));
        let mut directories = ProjectDirectories::new(workspace);
        let mut syncs = Vec::new();
        let mut is_full = false;
        while !is_full && let Some((id, commit)) = walk.next() {
            for trailers in RecordedSyncs::parse(&commit.message).syncs {
                let directory = directories.before(&trailers);
                if query.selects(&trailers.project) {
                    is_full = syncs.len() == query.limit;
                    if is_full {
                        break;
                    }
                    syncs.push(LoggedSync {
                        id,
                        commit: commit.clone(),
                        trailers,
                        directory,
                        counts: None,
                    });
                }
            }
        }
        Self {
            tip,
            syncs,
            commits: walk.commits,
            is_full,
            is_cut: walk.is_cut,
        }
    }

    /// Counts the changed files of each sync. The trees are fetched if the clone lacks them.
    fn count(
        &mut self,
        request: &SyncRequest<'_>,
        transport: &dyn Transport,
        branch: &str,
        commits: Store,
    ) -> Result<(), SyncError> {
        let Some(newest) = self.syncs.first() else {
            return Ok(());
        };
        let mut store = commits;
        if store.read_tree(newest.commit.tree).is_err() {
            if self.commits > MAX_COUNTED {
                return Ok(());
            }
            store = Store::create(&request.temporary)?;
            // The parent of the oldest sync is one commit deeper.
            let depth = Depth(self.commits as u32 + 1);
            Repeater::new(&request.workspace.remote.timeout)
                .run(Some(&request.interrupt), || {
                    transport.fetch(&store, &[branch], depth, OnSignal::Stop)
                })?;
        }
        let contents = store.contents();
        self.syncs.par_chunks_mut(SYNCS_PER_TASK).for_each(|syncs| {
            let trees = RecentTrees::new(&contents);
            for sync in syncs {
                // A tree that is missing is not an error: the branch may have moved between the
                // fetches.
                sync.counts = sync.counted(&trees).ok().flatten();
            }
        });
        Ok(())
    }
}

/// The trees that were read last. A commit shares most of its trees with its parent, which is often
/// the next sync.
struct RecentTrees<'c> {
    contents: &'c Contents,
    read: RefCell<HashMap<ObjectId, Vec<u8>>>,
    /// The size of the trees in `read`, in bytes.
    size: Cell<usize>,
}

impl<'c> RecentTrees<'c> {
    /// The maximum size of the trees to keep, in bytes.
    const MAX_SIZE: usize = 8 << 20;

    fn new(contents: &'c Contents) -> Self {
        Self {
            contents,
            read: RefCell::default(),
            size: Cell::default(),
        }
    }

    /// The root tree of a commit.
    fn root_of(&self, commit: ObjectId) -> Result<ObjectId, TreeError> {
        let data = self.contents.read_commit(commit);
        let parsed = data.as_deref().and_then(ParsedCommit::parse);
        Ok(parsed.ok_or(TreeError::NoCommit(commit))?.tree)
    }

    fn read(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
        let mut read = self.read.borrow_mut();
        if let Some(tree) = read.get(&id) {
            return Ok(tree.clone());
        }
        let tree = self.contents.read_tree(id)?;
        if self.size.get() > Self::MAX_SIZE {
            read.clear();
            self.size.set(0);
        }
        self.size.set(self.size.get() + tree.len());
        read.insert(id, tree.clone());
        Ok(tree)
    }
}

/// The directories of projects, while the history is read backwards.
struct ProjectDirectories<'w> {
    workspace: &'w Workspace,
    /// The directories that follow from newer commits, by the names of the projects.
    known: HashMap<String, CodexPath>,
}

impl<'w> ProjectDirectories<'w> {
    fn new(workspace: &'w Workspace) -> Self {
        Self {
            workspace,
            known: HashMap::new(),
        }
    }

    /// The directory that a commit has changed, given its trailers. For older commits, notes the
    /// directory that a project had before.
    fn before(&mut self, trailers: &SyncTrailers) -> Option<CodexPath> {
        let project = &trailers.project;
        let directory = match &trailers.change {
            RecordedChange::Retired { directory } => {
                let directory = directory.clone()?;
                self.known.insert(project.clone(), directory.clone());
                return Some(directory);
            }
            RecordedChange::Synced | RecordedChange::Moved(_) => match self.known.get(project) {
                Some(known) => Some(known.clone()),
                None => self.configured(project),
            },
        };
        if let RecordedChange::Moved(moved) = &trailers.change {
            self.known.insert(moved.old.clone(), moved.from.clone());
        }
        directory
    }

    fn configured(&self, project: &str) -> Option<CodexPath> {
        match self.workspace.project(project) {
            Some(known) => Some(known.to.clone()),
            None => Some(default_directory(&project.parse::<ProjectName>().ok()?)),
        }
    }
}

impl LoggedSync {
    /// Compares the directory of the project with that of the first parent. `None` if there are no
    /// differences: then the project had another directory.
    fn counted(&self, trees: &RecentTrees<'_>) -> Result<Option<[u64; 3]>, TreeError> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let read = |id| trees.read(id);
        let tree_in = |root| -> Result<_, TreeError> {
            let entry = entry_at(&read, root, directory.as_bstr())?;
            Ok(entry.and_then(|(mode, id)| (mode == Mode::Directory).then_some(id)))
        };
        let count = |tree| Ok::<_, TreeError>(list_all(&read, tree)?.entries.len() as u64);

        let after = tree_in(self.commit.tree)?;
        let before = match self.commit.parents.first() {
            Some(parent) => tree_in(trees.root_of(*parent)?)?,
            None => None,
        };
        let counts = match (before, after) {
            (None, None) => [0; 3],
            (None, Some(after)) => [count(after)?, 0, 0],
            (Some(before), None) => [0, 0, count(before)?],
            (Some(before), Some(after)) => {
                let was_file = |path: &BStr| {
                    let entry = entry_at(&read, before, path)?;
                    Ok::<_, TreeError>(entry.is_some_and(|(mode, _)| mode != Mode::Directory))
                };
                let mut counts = [0; 3];
                for (path, change) in changes(&read, before, after)? {
                    let kind = match change {
                        None => 2,
                        Some(_) if was_file(path.as_bstr())? => 1,
                        Some(_) => 0,
                    };
                    counts[kind] += 1;
                }
                counts
            }
        };
        Ok((counts != [0; 3]).then_some(counts))
    }
}
