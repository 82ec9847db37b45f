//! A quick comparison of the files of a project on disk with the index. It recognizes the usual case,
//! in which nothing differs: each directory is opened once, and the metadata of its files is read by
//! their names. Whatever is not as usual, such as a link, is left to the thorough comparison.

use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use crate::codex::source_index::{SourceIndex, TrackedEntry};
use crate::codex::source_repository::GIT_ENTRIES;
use crate::paths::{FRACTARY_DIR, join_below};
use crate::platform::{FileKind, Look, OpenDirectory, path_of};
use crate::workspace::Project;

/// What a quick comparison knows of a project whose files are surely those of the index.
pub(super) struct UnmodifiedFiles {
    /// Whether the root has a `.fractary` directory, on disk or in the index.
    pub(super) has_own_directory: bool,
    /// Whether the root has an entry that it would have as the root of another repository.
    pub(super) can_be_repository: bool,
}

/// Compares the files below `root`, the resolved root, with the index. `below` is the path of the root
/// in the repository. Returns `None` if files may differ.
pub(super) fn unmodified_files(
    project: &Project,
    root: &Path,
    index: &SourceIndex,
    below: &BStr,
) -> Option<UnmodifiedFiles> {
    // Ignored files need the rules of `.gitignore`.
    if project.scan.respect_gitignore {
        return None;
    }
    let skipped = below.len() + usize::from(!below.is_empty());
    let tracked: Vec<_> = index
        .below(below)
        .map(|entry| Tracked {
            source: entry.path[skipped..].as_bstr(),
            is_published: is_published(project, entry, entry.path[skipped..].as_bstr()),
            entry,
        })
        .collect();
    let published = tracked.iter().filter(|one| one.is_published).count();
    let own = [FRACTARY_DIR.as_bytes(), b"/"].concat();
    let is_own_tracked = tracked.iter().any(|one| one.source.starts_with(&own));

    let mut comparison = QuickComparison {
        project,
        root,
        index,
        tracked,
        unmodified: 0,
        has_own_directory: is_own_tracked,
        can_be_repository: false,
    };
    let directory = OpenDirectory::open(None, root).ok()?;
    comparison.compare(directory, BStr::new(""))?;
    // Each file was found once, so none is missing if the numbers are equal.
    (comparison.unmodified == published && published > 0).then_some(UnmodifiedFiles {
        has_own_directory: comparison.has_own_directory,
        can_be_repository: comparison.can_be_repository,
    })
}

/// Whether the project can publish an entry of the index.
fn is_published(project: &Project, entry: TrackedEntry<'_>, source: &BStr) -> bool {
    let claims = &project.claims;
    let is_special = !entry.is_file();
    !claims.matching(source).is_empty() || (is_special && claims.can_hold(source))
}

/// An entry of the index below the root of the project.
struct Tracked<'i> {
    /// The path below the root.
    source: &'i BStr,
    entry: TrackedEntry<'i>,
    is_published: bool,
}

struct QuickComparison<'c> {
    project: &'c Project,
    root: &'c Path,
    index: &'c SourceIndex,
    /// The entries of the index below the root, in path order.
    tracked: Vec<Tracked<'c>>,
    /// The number of published files that are surely those of the index.
    unmodified: usize,
    has_own_directory: bool,
    can_be_repository: bool,
}

impl QuickComparison<'_> {
    /// Compares the entries of a directory. Returns `None` if one of them may differ.
    fn compare(&mut self, mut directory: OpenDirectory, below: &BStr) -> Option<()> {
        let claims = &self.project.claims;
        while let Some(entry) = directory.next_entry() {
            let (name, kind) = entry.ok()?;
            let source = join_below(below, name.as_bstr());
            if below.is_empty() {
                self.has_own_directory |= name == FRACTARY_DIR.as_bytes();
                self.can_be_repository |= GIT_ENTRIES.contains(&name.as_slice());
            }
            match kind? {
                FileKind::File => {
                    let look = || directory.look(&name).ok();
                    self.compare_file(source.as_bstr(), look)?;
                }
                FileKind::Directory => {
                    if name != b".git" && claims.can_hold(&source) {
                        self.enter(&directory, &name, source)?;
                    }
                }
                FileKind::Link | FileKind::Special => {
                    let is_claimed = !claims.matching(&source).is_empty();
                    (!is_claimed && !claims.can_hold(&source)).then_some(())?;
                }
            }
        }
        Some(())
    }

    /// Compares a directory below the root. The root of another project is not as usual.
    fn enter(&mut self, parent: &OpenDirectory, name: &[u8], source: BString) -> Option<()> {
        let roots = &self.project.scan.deny_list.roots;
        if roots.contains(&self.root.join(path_of(&source))) {
            return None;
        }
        let directory = OpenDirectory::open(Some(parent), path_of(name)).ok()?;
        self.compare(directory, source.as_bstr())
    }

    fn compare_file(&mut self, source: &BStr, look: impl FnOnce() -> Option<Look>) -> Option<()> {
        let found = self.tracked.binary_search_by(|one| one.source.cmp(source));
        let Ok(found) = found else {
            let is_claimed = !self.project.claims.matching(source).is_empty();
            return (!is_claimed).then_some(());
        };
        let tracked = &self.tracked[found];
        if tracked.is_published {
            let is_unmodified = self.index.is_surely_unmodified(tracked.entry, &look()?);
            is_unmodified.then_some(())?;
            self.unmodified += 1;
        }
        Some(())
    }
}
