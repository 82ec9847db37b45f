//! One project: its root, its place in the codex and the rules between the two.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::claims::Claims;
use crate::config::{Direction, Symlinks};
use crate::names::ProjectName;
use crate::paths::CodexPath;

/// A project, resolved. Every key of `sync` and of the project itself has been weighed already.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// Its directory, absolute. It may be missing: that is found out by the scan, and is that project's failure.
    pub root: PathBuf,
    /// Its place in the codex.
    pub to: CodexPath,
    /// Which way it is synced.
    pub direction: Direction,
    /// Which source file goes where, and which path of the codex is the project's.
    pub claims: Claims,
    /// What `--from-codex` brings back.
    pub from_codex: FromCodex,
    /// How its files are read.
    pub scan: ScanPolicy,
    /// Whether unclaimed files under `to` are deleted as well.
    pub prune: bool,
    /// When a sync that deletes is withheld.
    pub delete_guard: DeleteGuard,
    /// Where the codex's files are put: its own cache, or one that it shares with others.
    pub cache_dir: PathBuf,
}

/// `sync.from_codex`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FromCodex {
    /// Patterns, placeholders already replaced.
    pub include: Vec<String>,
    /// Patterns whose matches stay out.
    pub exclude: Vec<String>,
    /// Whether documents say in their frontmatter who gets them, where `include` is empty.
    pub use_frontmatter: bool,
}

/// The prefix of a pattern of the codex.
pub const SCHEME: &str = "codex://";

/// How a project's files are read.
#[derive(Debug, Clone)]
pub struct ScanPolicy {
    /// What becomes of symlinks.
    pub symlinks: Symlinks,
    /// Bytes; a larger file is skipped with a warning.
    pub max_file_size: u64,
    /// Whether `.gitignore` files count.
    pub respect_gitignore: bool,
    /// The paths that are never published, the same list for all projects.
    pub deny_list: Arc<DenyList>,
}

/// The paths that are never published, whatever the patterns say. Every path in the list is resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DenyList {
    /// Caches, recorded state, persistent clones, local configuration, and the git directories that a `.git` link names.
    pub paths: BTreeSet<PathBuf>,
    /// The `.fractary` directories of the workspace and of the projects. In them, and in any other directory of that
    /// name, `env` and `config.local.*` are never published.
    pub fractary_dirs: HashSet<PathBuf>,
    /// The configured directories of caches and of recorded state, outside `.fractary` directories. They are also in
    /// [`Self::paths`].
    pub own_directories: BTreeSet<PathBuf>,
    /// The roots of all projects: the files below a root belong to that project alone.
    pub roots: HashSet<PathBuf>,
}

impl DenyList {
    /// The entries of [`DenyList::paths`] that are `root` or below it.
    pub fn below<'d>(&'d self, root: &'d Path) -> impl Iterator<Item = &'d PathBuf> {
        // Paths are ordered by component, so all that is below a directory follows it directly.
        self.paths
            .range(root.to_owned()..)
            .take_while(move |path| path.starts_with(root))
    }
}

/// `sync.delete_guard`: a sync is withheld when its deletions exceed both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteGuard {
    /// A number of files.
    pub files: u64,
    /// A share of the claimed files in the codex.
    pub percent: u8,
}

#[cfg(test)]
impl Project {
    /// A project `alpha` with these patterns.
    pub(crate) fn claiming(patterns: crate::workspace::claims::ClaimPatterns) -> Self {
        Self {
            name: "alpha".parse().unwrap(),
            root: "/nowhere".into(),
            to: CodexPath::new(b"projects/alpha").unwrap(),
            direction: Direction::ToCodex,
            claims: Claims::new(patterns).unwrap(),
            from_codex: FromCodex::default(),
            scan: ScanPolicy {
                symlinks: Symlinks::FollowInside,
                max_file_size: u64::MAX,
                respect_gitignore: false,
                deny_list: Arc::default(),
            },
            prune: false,
            delete_guard: DeleteGuard {
                files: 20,
                percent: 50,
            },
            cache_dir: PathBuf::default(),
        }
    }
}
