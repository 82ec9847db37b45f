//! The changes of one project: whether the changes of its repository are about it.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use super::quick_comparison::{UnmodifiedFiles, unmodified_files};
use super::repository_changes::RepositoryChanges;
use crate::codex::source_changes::ChangedPaths;
use crate::config::{ENDINGS, SourceState};
use crate::paths::{FRACTARY_DIR, absolute, join_below};
use crate::platform::{bytes_of, path_of};
use crate::scan;
use crate::workspace::Project;

/// The name of a file that decides which files are ignored.
const GITIGNORE: &str = ".gitignore";

/// The comparison of one project with the base.
pub(super) struct ProjectChanges<'c> {
    project: &'c Project,
    changes: &'c RepositoryChanges,
    /// The root, resolved.
    root: &'c Path,
    /// The path of the root in the repository.
    below: BString,
}

impl<'c> ProjectChanges<'c> {
    /// The comparison, unless everything in the project is new.
    fn new(project: &'c Project, changes: &'c RepositoryChanges) -> Option<Self> {
        let root = project.resolved_root.as_path();
        let below = changes.path_of(root).filter(|_| !changes.is_new())?;
        Some(Self {
            project,
            changes,
            root,
            below,
        })
    }

    /// Whether the project has changed.
    pub(super) fn exist(project: &'c Project, changes: &'c RepositoryChanges) -> bool {
        Self::new(project, changes).is_none_or(|comparison| {
            comparison.has_recorded_changes() || comparison.has_uncommitted(project.scan.source)
        })
    }

    /// Whether the project surely belongs to the repository of the directory that contains it, whose
    /// changes these are, and has not changed. Its directories are read once for both.
    pub(super) fn are_surely_none(project: &'c Project, changes: &'c RepositoryChanges) -> bool {
        let is_usual = project.scan.source == SourceState::Worktree
            && project.root.as_os_str() == project.resolved_root.as_os_str();
        let comparison = is_usual.then(|| Self::new(project, changes)).flatten();
        comparison.is_some_and(|comparison| {
            !comparison.has_recorded_changes()
                && !comparison.has_uncommitted_links()
                && comparison.unmodified_files().is_some_and(|found| {
                    let is_unmodified =
                        || !found.has_own_directory || !comparison.has_uncommitted_configuration();
                    !found.can_be_repository && is_unmodified()
                })
        })
    }

    /// Whether the commits since the base, or the index, have changed the project.
    fn has_recorded_changes(&self) -> bool {
        let mut paths = self.changes.paths(self.project.scan.source);
        paths.any(|paths| self.is_about_project(paths))
            || self.changes.has_changed_link_into(self.root)
    }

    /// The result of a quick comparison of the files on disk with the index.
    fn unmodified_files(&self) -> Option<UnmodifiedFiles> {
        let (index, below) = (&self.changes.index, self.below.as_bstr());
        unmodified_files(self.project, self.root, index, below)
    }

    /// Whether the files on disk that matter for the project differ from the commit.
    fn has_uncommitted(&self, state: SourceState) -> bool {
        if self.has_uncommitted_links() {
            return true;
        }
        if state == SourceState::Committed {
            return self.has_uncommitted_configuration();
        }
        match self.unmodified_files() {
            Some(found) => found.has_own_directory && self.has_uncommitted_configuration(),
            None => {
                self.has_uncommitted_configuration()
                    || self.has_uncommitted_ignore_files()
                    || self.has_uncommitted_files()
            }
        }
    }

    /// Whether a link below the root differs from the index. It can be a member of the workspace, so
    /// that the files of its target belong to this project without it.
    fn has_uncommitted_links(&self) -> bool {
        let index = &self.changes.index;
        let mut links = index
            .below(self.below.as_bstr())
            .filter(|one| one.is_link());
        links.any(|link| !index.is_unmodified(link))
    }

    /// Whether a file on disk that decides which files are ignored differs from the index, if the
    /// project respects it.
    fn has_uncommitted_ignore_files(&self) -> bool {
        if !self.project.scan.respect_gitignore {
            return false;
        }
        let index = &self.changes.index;
        let above = path_of(&self.below).ancestors();
        let inside = index.below(self.below.as_bstr());
        let inside = inside.flat_map(|entry| path_of(entry.path).ancestors().skip(1));
        let directories: BTreeSet<&Path> = above.chain(inside).collect();
        directories.into_iter().any(|directory| {
            let path = join_below(&bytes_of(directory), BStr::new(GITIGNORE));
            self.differs_from_index(path.as_bstr())
        })
    }

    /// Whether the file at a path of the repository differs from the index. A link is in doubt: its
    /// target can have changed.
    fn differs_from_index(&self, path: &BStr) -> bool {
        let index = &self.changes.index;
        match index.entry(path) {
            Some(tracked) => tracked.is_link() || !index.is_unmodified(tracked),
            None => {
                let path = self.changes.directory.join(path_of(path));
                path.symlink_metadata().is_ok()
            }
        }
    }

    /// Whether one of the changed paths belongs to the project.
    fn is_about_project(&self, paths: &ChangedPaths) -> bool {
        if self.has_moved_root(paths)
            || self.has_changed_member(paths)
            || self.has_changed_ignore_files(paths)
        {
            return true;
        }
        let mut has_unclaimed = false;
        for (source, is_special) in self.sources(paths) {
            if self.is_published(source, is_special) || self.is_own_configuration(source) {
                return true;
            }
            has_unclaimed = true;
        }
        // A link can publish a file that no pattern claims at its own path.
        has_unclaimed && self.publishes_links()
    }

    /// The changed paths below the root that are not those of another project, with whether a link or a
    /// submodule is or was there.
    fn sources<'p>(&'p self, paths: &'p ChangedPaths) -> impl Iterator<Item = (&'p BStr, bool)> {
        let below = self.paths_below(paths);
        below.filter(|(source, _)| !self.is_of_other_project(source))
    }

    /// Whether the configuration file of a directory below the root has changed, or a link. Either can
    /// make a directory the root of another project, whose files this project leaves out.
    fn has_changed_member(&self, paths: &ChangedPaths) -> bool {
        let suffixes = ENDINGS.map(|ending| format!("/{FRACTARY_DIR}/config.{ending}"));
        let is_member = |source: &BStr| {
            let mut suffixes = suffixes.iter();
            suffixes.any(|suffix| source.ends_with(suffix.as_bytes()))
        };
        let is_link = |source: &BStr| {
            let path = join_below(self.below.as_bstr(), source);
            let entry = self.changes.index.entry(path.as_bstr());
            !entry.is_some_and(|entry| entry.is_submodule())
        };
        self.paths_below(paths)
            .any(|(source, is_special)| is_member(source) || (is_special && is_link(source)))
    }

    /// The changed paths below the root, also those of other projects.
    fn paths_below<'p>(
        &'p self,
        paths: &'p ChangedPaths,
    ) -> impl Iterator<Item = (&'p BStr, bool)> {
        let start = match self.below.is_empty() {
            true => BString::default(),
            false => join_below(self.below.as_bstr(), BStr::new("")),
        };
        let below = paths.range((Bound::Included(start.clone()), Bound::Unbounded));
        below.map_while(move |(path, is_special)| {
            let source = path.strip_prefix(start.as_bytes())?;
            Some((source.as_bstr(), *is_special))
        })
    }

    /// Whether a path below the root is in the root of another project.
    fn is_of_other_project(&self, source: &BStr) -> bool {
        let path = self.root.join(path_of(source));
        let roots = &self.project.scan.deny_list.roots;
        let mut inside = path.ancestors().take_while(|above| above != &self.root);
        inside.any(|above| roots.contains(above))
    }

    /// Whether a file is or was published from a path, directly or behind a link at this path.
    fn is_published(&self, source: &BStr, is_special: bool) -> bool {
        let claims = &self.project.claims;
        !claims.matching(source).is_empty() || (is_special && claims.can_hold(source))
    }

    /// Whether the path is that of the project's own configuration file.
    fn is_own_configuration(&self, source: &BStr) -> bool {
        let name = source
            .strip_prefix(FRACTARY_DIR.as_bytes())
            .unwrap_or_default();
        name.starts_with(b"/config.")
    }

    /// Whether a link or a submodule has changed at the root or above it.
    fn has_moved_root(&self, paths: &ChangedPaths) -> bool {
        let literal = self.changes.path_of(&self.project.root);
        let roots = literal.iter().chain([&self.below]);
        let mut above = roots.flat_map(|root| path_of(root).ancestors());
        above.any(|path| paths.get(&*bytes_of(path)) == Some(&true))
    }

    /// Whether a file that decides which files are ignored has changed, if the project respects it.
    fn has_changed_ignore_files(&self, paths: &ChangedPaths) -> bool {
        if !self.project.scan.respect_gitignore {
            return false;
        }
        let is_changed = |directory: &Path| {
            let directory = bytes_of(directory);
            paths.contains_key(&join_below(&directory, BStr::new(GITIGNORE)))
        };
        let mut inside = self.sources(paths);
        path_of(&self.below).ancestors().any(is_changed)
            || inside.any(|(source, _)| source.ends_with(GITIGNORE.as_bytes()))
    }

    /// Whether the commit has a link that can publish files of the project.
    fn publishes_links(&self) -> bool {
        let (repository, tree) = (&self.changes.repository, self.changes.tree);
        let is_relevant = |source: &BStr| self.is_published(source, true);
        let has_link = repository.has_link(tree, self.below.as_bstr(), is_relevant);
        has_link.unwrap_or(true)
    }

    /// Whether the project's own configuration file, which is always read from the disk, is not that of
    /// the commit.
    fn has_uncommitted_configuration(&self) -> bool {
        let index = &self.changes.index;
        let directory = join_below(self.below.as_bstr(), BStr::new(FRACTARY_DIR));
        let own = self.root.join(FRACTARY_DIR);
        let is_tracked = index.below(directory.as_bstr()).next().is_some();
        if !is_tracked && own.symlink_metadata().is_err() {
            return false;
        }
        // Nothing is known about the target of a link.
        if own.is_symlink() {
            return true;
        }
        ENDINGS.iter().any(|ending| {
            let source = format!("{FRACTARY_DIR}/config.{ending}");
            let path = join_below(self.below.as_bstr(), BStr::new(&source));
            let is_modified = self.differs_from_index(path.as_bstr());
            is_modified || self.changes.is_staged(&path)
        })
    }

    /// Whether files of the project differ from the index, or are not in it.
    fn has_uncommitted_files(&self) -> bool {
        // The run reports a project that cannot be read.
        let Ok(sources) = scan::claimed_sources(self.project, self.root) else {
            return true;
        };
        let index = &self.changes.index;
        // The files that are ignored can have changed.
        let is_left_out = |source: &BStr| {
            let is_published = sources
                .binary_search_by(|one| one.as_bstr().cmp(source))
                .is_ok();
            self.project.scan.respect_gitignore && !is_published
        };
        let mut has_files = false;
        for tracked in index.below(self.below.as_bstr()) {
            let source = self.source_of(tracked.path);
            // Files of a submodule are compared as files that are not in the index.
            let is_relevant = !tracked.is_submodule()
                && self.is_published(source, tracked.is_link())
                && !self.is_of_other_project(source);
            let is_changed = || {
                !index.is_unmodified(tracked)
                    || (tracked.is_file() && is_left_out(source))
                    || (tracked.is_link() && !self.is_target_unmodified(tracked.path))
            };
            if is_relevant && is_changed() {
                return true;
            }
            has_files |= is_relevant;
        }
        // The run reports a root that is missing.
        let is_missing = !has_files && !self.root.is_dir();
        is_missing
            || sources
                .iter()
                .any(|source| !self.is_tracked(source.as_bstr()))
    }

    /// Whether a published file is in the index. A file behind a link is if the link and its target
    /// are.
    fn is_tracked(&self, source: &BStr) -> bool {
        let index = &self.changes.index;
        let path = join_below(self.below.as_bstr(), source);
        if index.entry(path.as_bstr()).is_some() {
            return true;
        }
        let mut above = path_of(&path).ancestors().skip(1);
        let has_link = above.any(|above| {
            let entry = index.entry(&bytes_of(above));
            entry.is_some_and(|entry| entry.is_link() && index.is_unmodified(entry))
        });
        let real = || {
            self.changes
                .path_of(&dunce::canonicalize(self.root.join(path_of(source))).ok()?)
        };
        let is_unmodified = |real: BString| {
            let entry = index.entry(real.as_bstr());
            entry.is_some_and(|entry| index.is_unmodified(entry))
        };
        has_link && real().is_some_and(is_unmodified)
    }

    /// Whether everything behind a link is as in the index. In doubt it is not, for example if there
    /// are further links.
    fn is_target_unmodified(&self, link: &BStr) -> bool {
        let index = &self.changes.index;
        let link = self.changes.directory.join(path_of(link));
        let target = link.parent().zip(link.read_link().ok());
        let Some(target) = target.map(|(parent, target)| absolute(parent, &target)) else {
            return false;
        };
        if !dunce::canonicalize(&target).is_ok_and(|real| real == target) {
            return false;
        }
        let Some(path) = self.changes.path_of(&target) else {
            return false;
        };
        let is_unmodified = |entry| index.is_unmodified(entry);
        if let Some(entry) = index.entry(path.as_bstr()) {
            return entry.is_file() && is_unmodified(entry);
        }
        let mut entries = index.below(path.as_bstr()).peekable();
        entries.peek().is_some() && entries.all(|entry| entry.is_file() && is_unmodified(entry))
    }

    /// The path below the root of a path of the repository that is there.
    fn source_of<'p>(&self, path: &'p BStr) -> &'p BStr {
        let source = path.strip_prefix(self.below.as_bytes()).unwrap_or(path);
        source.strip_prefix(b"/").unwrap_or(source).as_bstr()
    }
}
