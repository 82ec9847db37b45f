//! Finds the files that git knows and has left out of the working tree: those of submodules that are
//! not checked out, those outside of a sparse checkout, and symlinks that it has written as files.
//!
//! Nobody has deleted these files, so their copies in the codex are kept.

use bstr::{BStr, BString, ByteSlice};

use super::source_index::TrackedEntry;
use super::source_repository::{SourceRepositories, SourceRepository};
use super::uncommitted::directory_of;
use crate::paths::join_below;
use crate::platform::path_of;
use crate::scan::{SkipReason, Skipped};
use crate::workspace::Project;

/// Returns what git has left out of the working tree below the root of a project, as far as the
/// project's patterns claim it. Nothing is known about a repository whose index cannot be read.
pub(crate) fn left_out_files(repositories: &SourceRepositories, project: &Project) -> Vec<Skipped> {
    let mut search = LeftOutSearch {
        repositories,
        project,
        found: Vec::new(),
    };
    if let Ok(Some(repository)) = repositories.of(&project.root)
        && let Some(below) = directory_of(&repository, project)
    {
        search.collect(&repository, below.as_bstr(), BStr::new(""));
    }
    search.found
}

struct LeftOutSearch<'s> {
    repositories: &'s SourceRepositories,
    project: &'s Project,
    found: Vec<Skipped>,
}

impl LeftOutSearch<'_> {
    /// Searches the directory `below` of a repository, which is at `at` in the project.
    fn collect(&mut self, repository: &SourceRepository, below: &BStr, at: &BStr) {
        let Ok(index) = repository.index() else {
            return;
        };
        if index.is_in_sparse_directory(below) {
            return self.skip(at.to_owned(), SkipReason::OutsideSparseCheckout);
        }
        let inside = |path: &BStr| {
            let path = path.strip_prefix(below.as_bytes()).unwrap_or(path);
            let path = path.strip_prefix(b"/").unwrap_or(path);
            // The path of a directory, which only a sparse index has, ends with a slash.
            join_below(at, path.strip_suffix(b"/").unwrap_or(path).as_bstr())
        };
        for entry in index.below(below) {
            let source = inside(entry.path);
            if entry.is_submodule() {
                self.visit_submodule(source);
            } else if entry.is_outside_sparse_checkout() {
                let is_left_out = |directory: &BStr| {
                    let above = below_of(below, at, directory);
                    let mut entries = index.below(above.as_bstr());
                    entries.all(|entry: TrackedEntry<'_>| entry.is_outside_sparse_checkout())
                };
                self.visit_sparse(source, is_left_out);
            } else if entry.is_link() && self.is_file(source.as_bstr()) {
                self.visit_link(source);
            }
        }
    }

    fn visit_submodule(&mut self, source: BString) {
        if !self.project.claims.can_hold(&source) {
            return;
        }
        let directory = self.project.root.join(path_of(&source));
        if !directory.join(".git").exists() {
            let mut entries = std::fs::read_dir(&directory).into_iter().flatten();
            if entries.next().is_none() {
                self.skip(source, SkipReason::SubmoduleLeftOut);
            }
        } else if let Ok(Some(repository)) = self.repositories.of(&directory)
            && repository.directory() == dunce::canonicalize(&directory).ok().as_deref()
        {
            self.collect(&repository, BStr::new(""), source.as_bstr());
        }
    }

    /// Skips a path outside of the sparse checkout, or the highest directory around it that does not
    /// exist either. `is_left_out` is whether git has left out all files of a directory.
    fn visit_sparse(&mut self, source: BString, is_left_out: impl Fn(&BStr) -> bool) {
        let is_covered = self.found.last().is_some_and(|last| {
            let below = source.strip_prefix(last.source.as_bytes());
            below.is_some_and(|below| below.starts_with(b"/"))
        });
        if is_covered || self.exists(source.as_bstr()) {
            return;
        }
        let claims = &self.project.claims;
        if claims.reaching(&source).is_empty() {
            return;
        }
        let directory = source
            .find_iter(b"/")
            .map(|slash| source[..slash].as_bstr())
            .find(|directory| !self.exists(directory));
        let directory = directory.filter(|directory| is_left_out(directory));
        let source = directory.map_or(source.clone(), ToOwned::to_owned);
        self.skip(source, SkipReason::OutsideSparseCheckout);
    }

    fn visit_link(&mut self, source: BString) {
        if !self.project.claims.reaching(&source).is_empty() {
            self.skip(source, SkipReason::LinkAsFile);
        }
    }

    fn skip(&mut self, source: BString, reason: SkipReason) {
        self.found.push(Skipped { source, reason });
    }

    fn exists(&self, source: &BStr) -> bool {
        let path = self.project.root.join(path_of(source));
        path.symlink_metadata().is_ok()
    }

    fn is_file(&self, source: &BStr) -> bool {
        let path = self.project.root.join(path_of(source));
        path.symlink_metadata().is_ok_and(|meta| meta.is_file())
    }
}

/// The path in a repository of `directory` of the project, if `below` of the repository is at `at`.
fn below_of(below: &BStr, at: &BStr, directory: &BStr) -> BString {
    let inside = directory.strip_prefix(at.as_bytes()).unwrap_or(directory);
    let inside = inside.strip_prefix(b"/").unwrap_or(inside);
    join_below(below, inside.as_bstr())
}
