//! A resolved project: its root, its directory in the codex, and the rules of its sync.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bstr::ByteSlice;

use super::claims::{ClaimPatterns, Claims};
use crate::checks::CheckSettings;
use crate::config::{Direction, DirtyMode, OnDrift, SourceState, Symlinks};
use crate::glob::Glob;
use crate::names::ProjectName;
use crate::object::{Kind, ObjectId, hash};
use crate::paths::CodexPath;

/// A resolved project.
#[derive(Debug, Clone)]
pub struct Project {
    /// The name.
    pub name: ProjectName,
    /// The directory, absolute. A missing directory is an error of the scan.
    pub root: PathBuf,
    /// The same directory without links.
    pub(crate) resolved_root: PathBuf,
    /// The directory in the codex.
    pub to: CodexPath,
    /// The direction of the sync.
    pub direction: Direction,
    /// Whether the configuration, without the options of the command line, publishes the project.
    pub(crate) is_configured_to_publish: bool,
    /// The files that are published, and the paths of the codex that the project owns.
    pub(crate) claims: Arc<Claims>,
    /// The files that `--from-codex` pulls.
    pub from_codex: FromCodex,
    /// How source files are read.
    pub(crate) scan: ScanPolicy,
    /// Whether files below `to` that no pattern claims are deleted, too.
    pub prune: bool,
    /// The treatment of files that others have changed in the codex.
    pub(crate) on_drift: OnDrift,
    /// The limits for deletions.
    pub(crate) delete_guard: DeleteGuard,
    /// The guards on the state of the sources.
    pub(crate) guards: SourceGuards,
    /// The checks of the files that are published.
    pub(crate) checks: CheckSettings,
    /// The cache for pulled files. Projects can share one.
    pub cache_dir: PathBuf,
}

/// The guards on the state of the sources.
#[derive(Debug, Clone)]
pub(crate) struct SourceGuards {
    /// The effect of files that are not committed.
    pub dirty: DirtyMode,
    /// The source branches that are published; none for all.
    pub branches: Vec<Glob>,
}

impl Default for SourceGuards {
    fn default() -> Self {
        Self {
            dirty: DirtyMode::Allow,
            branches: Vec::new(),
        }
    }
}

/// `sync.from_codex`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FromCodex {
    /// Patterns of the selected files. Placeholders are replaced.
    pub include: Vec<String>,
    /// Patterns of the files to leave out.
    pub exclude: Vec<String>,
    /// Whether, if `include` is empty, the frontmatter of a document decides that this project pulls
    /// the document.
    pub use_frontmatter: bool,
}

/// The prefix of a pattern of the codex.
pub(crate) const SCHEME: &str = "codex://";

/// How source files are read.
#[derive(Debug, Clone)]
pub(crate) struct ScanPolicy {
    /// Whether the files on disk or the committed ones are published.
    pub source: SourceState,
    /// The treatment of symlinks.
    pub symlinks: Symlinks,
    /// The greatest size of a file in bytes. A larger file is skipped with a warning.
    pub max_file_size: u64,
    /// Whether files that git ignores are left out.
    pub respect_gitignore: bool,
    /// The paths that are never published, the same list for all projects.
    pub deny_list: Arc<DenyList>,
}

/// The paths that are never published, whatever the patterns say. Every path in the list is
/// resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DenyList {
    /// Caches, recorded state, persistent clones, local configuration, and the git directories that
    /// a `.git` link names.
    pub paths: BTreeSet<PathBuf>,
    /// The `.fractary` directories of the workspace and of the projects. In them, and in any other
    /// directory of that name, `env` and `config.local.*` are never published.
    pub fractary_dirs: HashSet<PathBuf>,
    /// The configured directories of caches and of recorded state, outside `.fractary` directories.
    /// They are also in [`Self::paths`].
    pub own_directories: BTreeSet<PathBuf>,
    /// The roots of all projects: the files below a root belong to that project alone.
    pub roots: HashSet<PathBuf>,
    /// The digest of the list, once it was computed.
    pub(super) digest: OnceLock<ObjectId>,
}

impl Project {
    /// Whether a sync may change the file at the path `below` the project's `to`: a pattern claims
    /// it, or `prune` deletes it.
    pub(crate) fn may_change(&self, below: &[u8]) -> bool {
        self.claims.owns(below) || self.may_prune(below)
    }

    /// Whether `prune` deletes a file at this path, if no pattern claims it.
    pub(crate) fn may_prune(&self, below: &[u8]) -> bool {
        self.prune && !self.claims.is_excluded_path(below)
    }
}

/// Whether a file or directory of this name in a `.fractary` directory can contain secrets: local
/// configuration, a backup copy that an editor made of it, or the files of variables. File systems
/// may ignore case, so the rule does too.
pub(crate) fn is_private_name(name: &OsStr) -> bool {
    const LOCAL: &[u8] = b"config.local.";
    let name = name.as_encoded_bytes();
    let after_marks = name.trim_start_with(|c| matches!(c, '.' | '#' | '~'));
    name.eq_ignore_ascii_case(b"env")
        || after_marks
            .get(..LOCAL.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(LOCAL))
}

impl DenyList {
    /// The entries of [`DenyList::paths`] that are `root` or below it.
    pub(crate) fn below<'d>(&'d self, root: &'d Path) -> impl Iterator<Item = &'d PathBuf> {
        // Paths are ordered by component, so all that is below a directory follows it directly.
        self.paths
            .range(root.to_owned()..)
            .take_while(move |path| path.starts_with(root))
    }

    /// A digest of the whole list.
    pub(crate) fn digest(&self) -> ObjectId {
        *self.digest.get_or_init(|| {
            let sorted = |paths: &HashSet<PathBuf>| paths.iter().cloned().collect::<BTreeSet<_>>();
            let text = format!(
                "{:?} {:?} {:?}",
                self.paths,
                sorted(&self.fractary_dirs),
                sorted(&self.roots)
            );
            hash(Kind::Blob, text.as_bytes())
        })
    }
}

/// The limits for deletions. A project that exceeds both is withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeleteGuard {
    /// The limit as a number of files.
    pub files: u64,
    /// The limit as a percentage of the claimed files in the codex.
    pub percent: u8,
}

impl Project {
    /// A project without sources that is not in the configuration, and that owns all files in its
    /// directory of the codex.
    pub(crate) fn of_directory(name: ProjectName, to: CodexPath) -> Self {
        let all = ClaimPatterns {
            include: vec!["**".to_owned()],
            ..ClaimPatterns::default()
        };
        let claims = Claims::new(all).unwrap_or_else(|_| unreachable!("`**` is a valid pattern"));
        Self {
            name,
            root: PathBuf::default(),
            resolved_root: PathBuf::default(),
            to,
            direction: Direction::ToCodex,
            is_configured_to_publish: true,
            claims: Arc::new(claims),
            from_codex: FromCodex::default(),
            scan: ScanPolicy {
                source: SourceState::Worktree,
                symlinks: Symlinks::Preserve,
                max_file_size: u64::MAX,
                respect_gitignore: false,
                deny_list: Arc::default(),
            },
            guards: SourceGuards::default(),
            checks: CheckSettings::default(),
            prune: false,
            on_drift: OnDrift::Overwrite,
            delete_guard: DeleteGuard {
                files: u64::MAX,
                percent: 100,
            },
            cache_dir: PathBuf::default(),
        }
    }
}

#[cfg(test)]
impl Project {
    /// A project `alpha` with these patterns.
    pub(crate) fn claiming(patterns: crate::workspace::claims::ClaimPatterns) -> Self {
        Self {
            name: "alpha".parse().unwrap(),
            root: "/nowhere".into(),
            resolved_root: "/nowhere".into(),
            to: CodexPath::new(b"projects/alpha").unwrap(),
            direction: Direction::ToCodex,
            is_configured_to_publish: true,
            claims: Arc::new(Claims::new(patterns).unwrap()),
            from_codex: FromCodex::default(),
            scan: ScanPolicy {
                source: SourceState::Worktree,
                symlinks: Symlinks::FollowInside,
                max_file_size: u64::MAX,
                respect_gitignore: false,
                deny_list: Arc::default(),
            },
            prune: false,
            on_drift: OnDrift::Overwrite,
            delete_guard: DeleteGuard {
                files: 20,
                percent: 50,
            },
            guards: SourceGuards::default(),
            checks: CheckSettings::default(),
            cache_dir: PathBuf::default(),
        }
    }
}
