//! Reads the sources of projects: the files in their directories, or those of a commit of their
//! repositories (`sync.to_codex.source`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bstr::{BStr, BString};

use crate::codex::left_out_files::left_out_files;
use crate::codex::source_repository::{
    SourceCommit, SourceRepositories, SourceRepository, UnreadableRepository,
};
use crate::config::SourceState;
use crate::event::Counter;
use crate::interrupt::Interrupt;
use crate::scan::{
    self, CommittedTree, ScanError, Skipped, Snapshot, SourceFile, SourceRoot, StatCachePolicy,
    Survey, UnusableRepository,
};
use crate::workspace::Project;

/// The sources of a run.
#[derive(Default)]
pub struct Sources {
    repositories: SourceRepositories,
    /// The revision to publish, of each repository; `None` for HEAD.
    revision: Option<String>,
}

impl Sources {
    /// The sources at `revision` of their repositories, for projects whose committed files are
    /// published. `None` is HEAD.
    pub fn at(revision: Option<String>) -> Self {
        Self {
            revision,
            ..Self::default()
        }
    }

    /// The repository that contains a project; `None` if it is not in one.
    pub(super) fn repository(
        &self,
        project: &Project,
    ) -> Result<Option<Arc<SourceRepository>>, UnreadableRepository> {
        self.repositories.of(&project.root)
    }

    /// The repository that contains a directory; `None` if it is not in one.
    pub(super) fn repository_of(
        &self,
        directory: &Path,
    ) -> Result<Option<Arc<SourceRepository>>, UnreadableRepository> {
        self.repositories.of(directory)
    }

    /// The path of a project's root in its repository, if that is the one with the URL `url`.
    pub(super) fn path_in_repository(&self, project: &Project, url: &str) -> Option<BString> {
        self.repositories.path_in(&project.root, url)
    }

    /// Whether a project is published from a revision that was given for the run.
    pub(super) fn is_at_revision(&self, project: &Project) -> bool {
        project.scan.source == SourceState::Committed && self.revision.is_some()
    }

    /// The repository that contains a project, and the commit whose files are published or that is
    /// checked out. `None` if there is no repository, or no commit yet.
    pub(crate) fn commit(
        &self,
        project: &Project,
    ) -> Result<Option<(Arc<SourceRepository>, SourceCommit)>, UnreadableRepository> {
        let Some(repository) = self.repositories.of(&project.root)? else {
            return Ok(None);
        };
        let commit = match (project.scan.source, &self.revision) {
            (SourceState::Committed, Some(revision)) => repository.commit(revision).ok(),
            _ => repository.head()?,
        };
        Ok(commit.map(|commit| (repository, commit)))
    }

    /// The repository and the commit that a project is published from.
    fn published_commit(
        &self,
        project: &Project,
    ) -> Result<(Arc<SourceRepository>, SourceCommit), ScanError> {
        let unusable = |reason| unusable(project, reason);
        let unreadable = |error: UnreadableRepository| {
            unusable(UnusableRepository::Unreadable(error.to_string()))
        };
        let repository = self.repositories.of(&project.root).map_err(unreadable)?;
        let repository = repository.ok_or_else(|| unusable(UnusableRepository::None))?;
        let commit = match &self.revision {
            Some(revision) => repository.commit(revision).map_err(unusable)?,
            None => {
                let head = repository.head().map_err(unreadable)?;
                head.ok_or_else(|| unusable(UnusableRepository::NoCommit))?
            }
        };
        Ok((repository, commit))
    }

    /// Scans one project.
    pub fn scan(
        &self,
        project: &Project,
        caches: &StatCachePolicy,
        interrupt: &Interrupt,
        progress: &Counter<'_>,
    ) -> Result<Snapshot, ScanError> {
        if project.scan.source == SourceState::Worktree {
            return scan::scan(project, caches, interrupt, progress);
        }
        let (repository, commit) = self.published_commit(project)?;
        let tree = tree(&repository, &commit, project)?;
        scan::scan_committed(project, tree, caches, interrupt, progress)
    }

    /// The claimed paths that git has left out of the working tree of a project whose files are
    /// published from there.
    pub(super) fn left_out_files(&self, project: &Project) -> Vec<Skipped> {
        match project.scan.source {
            SourceState::Worktree => left_out_files(&self.repositories, project),
            SourceState::Committed => Vec::new(),
        }
    }

    /// Counts the files of a project that would be published.
    pub(crate) fn count(&self, project: &Project) -> Result<Survey, ScanError> {
        if project.scan.source == SourceState::Worktree {
            return scan::count(project);
        }
        let (repository, commit) = self.published_commit(project)?;
        scan::count_committed(project, tree(&repository, &commit, project)?)
    }
}

/// The tree of a commit that a project is published from.
fn tree<'r>(
    repository: &'r SourceRepository,
    commit: &SourceCommit,
    project: &Project,
) -> Result<CommittedTree<'r>, ScanError> {
    let tree = repository.tree_of(commit);
    tree.map_err(|reason| unusable(project, reason))
}

fn unusable(project: &Project, reason: UnusableRepository) -> ScanError {
    ScanError::Repository {
        root: project.root.clone(),
        reason,
    }
}

/// Reads the files that are published. Directories are opened on demand, at most
/// [`SourceContents::LIMIT`] at a time, because a workspace may have more projects than the process
/// may have open files.
pub(super) struct SourceContents<'r> {
    sources: &'r Sources,
    projects: &'r [&'r Project],
    open: Mutex<BTreeMap<usize, Arc<OpenSource>>>,
}

impl<'r> SourceContents<'r> {
    const LIMIT: usize = 64;

    pub(super) fn new(sources: &'r Sources, projects: &'r [&'r Project]) -> Self {
        Self {
            sources,
            projects,
            open: Mutex::default(),
        }
    }

    /// Reads a scanned file of the project at `index`. It is an error if its contents are not those
    /// of the scan.
    pub(super) fn read(&self, index: usize, file: &SourceFile) -> Result<Vec<u8>, ScanError> {
        match &*self.open(index)? {
            OpenSource::Directory(root) => root.contents(file),
            OpenSource::Commit(repository, _) => scan::committed_contents(&**repository, file),
        }
    }

    /// Whether the project at `index` has a file, a directory or a link at `source`.
    pub(super) fn contains(&self, index: usize, source: &BStr) -> Result<bool, ScanError> {
        match &*self.open(index)? {
            OpenSource::Directory(root) => Ok(root.contains(source)),
            OpenSource::Commit(repository, commit) => {
                let project = self.projects[index];
                scan::is_committed(project, tree(repository, commit, project)?, source)
            }
        }
    }

    /// The opened source of the project at `index`.
    fn open(&self, index: usize) -> Result<Arc<OpenSource>, ScanError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = open.get(&index) {
            return Ok(source.clone());
        }

        if open.len() >= Self::LIMIT {
            open.clear();
        }
        let project = self.projects[index];
        let source = Arc::new(match project.scan.source {
            SourceState::Worktree => OpenSource::Directory(SourceRoot::open(project)?),
            SourceState::Committed => {
                let (repository, commit) = self.sources.published_commit(project)?;
                OpenSource::Commit(repository, commit)
            }
        });
        open.insert(index, source.clone());
        Ok(source)
    }
}

/// The opened source of a project.
enum OpenSource {
    Directory(SourceRoot),
    Commit(Arc<SourceRepository>, SourceCommit),
}
