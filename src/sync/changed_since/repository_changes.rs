//! The changes of one repository since the base.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::{BStr, BString, ByteSlice};

use crate::codex::source_changes::{BaseError, ChangedPaths};
use crate::codex::source_index::SourceIndex;
use crate::codex::source_repository::{SourceCommit, SourceRepository};
use crate::config::comparison::{self, ChangedEntries, ConfigChange};
use crate::config::{Configuration, LayerKind, SourceState};
use crate::object::ObjectId;
use crate::outcome::TreeError;
use crate::paths::{FRACTARY_DIR, absolute, resolved};
use crate::platform::{bytes_of, path_of};

/// The changes of a repository since the base.
pub(super) struct RepositoryChanges {
    pub(super) repository: Arc<SourceRepository>,
    /// The directory of the working tree, resolved.
    pub(super) directory: PathBuf,
    /// The tree of the commit that is published.
    pub(super) tree: ObjectId,
    /// The tree of the base; `None` if the repository has none, so that everything is new.
    base: Option<ObjectId>,
    /// The paths that the commits since the base have changed.
    committed: ChangedPaths,
    /// The paths that differ between the commit that is checked out and the index.
    staged: ChangedPaths,
    pub(super) index: Arc<SourceIndex>,
    /// The directories that changed symlinks lead to or led to.
    link_targets: BTreeSet<PathBuf>,
}

impl RepositoryChanges {
    /// Compares the commit `head` of a repository with the base.
    pub(super) fn new(
        repository: Arc<SourceRepository>,
        head: &SourceCommit,
        base: Option<&SourceCommit>,
    ) -> Result<Self, BaseError> {
        let unreadable = |reason: String| BaseError::Unreadable(reason);
        let damaged = |error: TreeError| BaseError::Unreadable(error.to_string());
        let index = repository.index().map_err(unreadable)?;
        let directory = repository.directory();
        let directory = directory.ok_or_else(|| unreadable("it is bare".to_owned()))?;
        let committed = match base {
            Some(base) => repository
                .changed_paths(base.tree, head.tree)
                .map_err(damaged)?,
            None => ChangedPaths::new(),
        };
        let checked_out = repository.head()?.map_or(head.tree, |head| head.tree);
        let staged = repository
            .staged_paths(&index, checked_out)
            .map_err(damaged)?;
        let mut changes = Self {
            directory: directory.to_owned(),
            link_targets: BTreeSet::new(),
            tree: head.tree,
            base: base.map(|base| base.tree),
            committed,
            staged,
            index,
            repository,
        };
        changes.link_targets = changes.targets_of_changed_links(checked_out);
        Ok(changes)
    }

    /// Finds the directories that symlinks lead to or led to which the commits, the index or the
    /// working tree have changed. `checked_out` is the tree of HEAD.
    fn targets_of_changed_links(&self, checked_out: ObjectId) -> BTreeSet<PathBuf> {
        let mut links: BTreeSet<&BStr> = [&self.committed, &self.staged]
            .into_iter()
            .flatten()
            .filter_map(|(path, is_special)| is_special.then_some(path.as_bstr()))
            .collect();
        let tracked = self.index.below(BStr::new(""));
        let modified = tracked.filter(|one| one.is_link() && !self.index.is_unmodified(*one));
        links.extend(modified.map(|one| one.path));

        let trees = [self.base, Some(self.tree), Some(checked_out)];
        let mut targets = BTreeSet::new();
        for path in links {
            let link = self.directory.join(path_of(path));
            let committed = trees.into_iter().flatten();
            let committed = committed.filter_map(|tree| self.repository.link_at(tree, path));
            let entry = self.index.entry(path);
            let staged = entry.and_then(|entry| self.repository.target_of(entry));
            let known = committed
                .chain(staged)
                .map(|target| path_of(&target).to_owned());
            for target in known.chain(link.read_link().ok()) {
                let parent = link.parent().unwrap_or(&self.directory);
                let target = resolved(&absolute(parent, &target));
                if target.is_dir() {
                    targets.insert(target);
                }
            }
        }
        targets
    }

    /// Whether a symlink has changed that leads or led to a directory below `root`. It can be a member
    /// of the workspace, so that these files belong to the project of `root` without it.
    pub(super) fn has_changed_link_into(&self, root: &Path) -> bool {
        let mut targets = self.link_targets.iter();
        targets.any(|target| target.starts_with(root) && target != root)
    }

    /// Whether everything in the repository is new.
    pub(super) fn is_new(&self) -> bool {
        self.base.is_none()
    }

    /// The changed paths that matter for projects whose files are read like this.
    pub(super) fn paths(&self, state: SourceState) -> impl Iterator<Item = &ChangedPaths> {
        let staged = (state == SourceState::Worktree).then_some(&self.staged);
        [Some(&self.committed), staged].into_iter().flatten()
    }

    /// Whether the index differs from the commit at a path.
    pub(super) fn is_staged(&self, path: &BString) -> bool {
        self.staged.contains_key(path)
    }

    /// The path of a resolved path in the repository, if it is inside.
    pub(super) fn path_of(&self, path: &Path) -> Option<BString> {
        let below = path.strip_prefix(&self.directory).ok()?;
        Some(bytes_of(below).into_owned())
    }

    /// Whether the resolved directory is a submodule.
    pub(super) fn has_submodule(&self, directory: &Path) -> bool {
        let path = self.path_of(directory);
        let entry = path.and_then(|path| Some(self.index.entry(path.as_bstr())?.is_submodule()));
        entry.unwrap_or(false)
    }

    /// The commit of a submodule that the base has recorded.
    pub(super) fn submodule_at_base(&self, directory: &Path) -> Option<ObjectId> {
        let path = self.path_of(directory)?;
        self.repository.submodule(self.base?, path.as_bstr())
    }

    /// The projects whose configuration has changed in a file of the workspace. Files that git does not
    /// know are not compared, except the workspace's own file.
    pub(super) fn configuration_change(&self, configuration: &Configuration) -> ConfigChange {
        let mut files = configuration.files();
        files.retain(|(kind, _)| matches!(kind, LayerKind::Workspace | LayerKind::Local));
        if self.is_new() || self.has_removed_configuration(configuration, &files) {
            return ConfigChange::All;
        }

        let mut entries = ChangedEntries::default();
        for (kind, file) in &files {
            match self.file_change(*kind, file) {
                ConfigChange::All => return ConfigChange::All,
                ConfigChange::Projects(changed) => {
                    entries.names.extend(changed.names);
                    entries.roots.extend(changed.roots);
                }
            }
        }
        ConfigChange::Projects(entries)
    }

    /// Compares a configuration file on disk with that of the base.
    fn file_change(&self, kind: LayerKind, file: &Path) -> ConfigChange {
        let none = ConfigChange::Projects(ChangedEntries::default());
        let directory = file.parent().map(resolved).unwrap_or_default();
        let path = directory.join(file.file_name().unwrap_or_default());
        let Some(path) = self.path_of(&path) else {
            return none;
        };
        let before = self
            .base
            .and_then(|base| self.repository.file_at(base, path.as_bstr()));
        match (before, fs::read(file)) {
            (Some(before), Ok(after)) if before == after => none,
            (Some(before), Ok(after)) => comparison::compare(file, &before, &after),
            (None, _) if kind == LayerKind::Local && self.index.entry(path.as_bstr()).is_none() => {
                none
            }
            _ => ConfigChange::All,
        }
    }

    /// Whether a file of the workspace's configuration was removed, one that is not among `files`, or
    /// the file of variables has changed.
    fn has_removed_configuration(
        &self,
        configuration: &Configuration,
        files: &[(LayerKind, PathBuf)],
    ) -> bool {
        let own = resolved(&configuration.root).join(FRACTARY_DIR);
        let Some(own) = self.path_of(&own) else {
            return false;
        };
        let is_present = |name: &[u8]| {
            let mut names = files.iter().filter_map(|(_, file)| file.file_name());
            names.any(|present| present.as_encoded_bytes() == name)
        };
        let is_configuration = |path: &BString| {
            let name = path.strip_prefix(own.as_bytes()).unwrap_or_default();
            let name = name.strip_prefix(b"/").unwrap_or_default();
            let is_file = name.starts_with(b"config.") && !name.contains(&b'/');
            (is_file && !is_present(name)) || name == b"env/.env"
        };
        let mut paths = self
            .paths(SourceState::Worktree)
            .flat_map(|paths| paths.keys());
        if paths.any(is_configuration) {
            return true;
        }

        // Nothing is known about the target of a link.
        let is_link = |path: &BString| {
            let entry = self.index.entry(path.as_bstr());
            entry.is_some_and(|entry| entry.is_link())
        };
        let mut tracked = self.index.below(own.as_bstr());
        is_link(&own)
            || tracked.any(|entry| {
                let is_modified = || entry.is_link() || !self.index.is_unmodified(entry);
                is_configuration(&entry.path.into()) && is_modified()
            })
    }
}
