//! The boundary of a walk: the project's root, without the paths that are never published.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::links::Links;
use super::snapshot::SkipReason;
use crate::paths::FRACTARY_DIR;
use crate::workspace::Project;
use crate::workspace::project::{DenyList, is_private_name};

/// Directories in which a workspace keeps its cache and its state by default.
const OWN_DIRECTORIES: [&str; 2] = [".fractary/codex/cache", ".fractary/codex/state"];

/// Decides whether a walk may enter a path, whatever the patterns say and whatever symlink points
/// there.
///
/// Every check is made on the resolved path of an entry. Below a directory that was entered through
/// a symlink, the path that the walk reports is not the resolved one, so the symlinks are recorded
/// as they are followed.
pub(super) struct Boundary<L> {
    /// The project's root, resolved.
    root: PathBuf,
    /// Resolves symlinks.
    links: L,
    /// The paths of the deny list that are below the root.
    denied: HashSet<PathBuf>,
    /// The last names of the paths on the deny list. A name is faster to find than a path, and few
    /// entries have one of them.
    denied_names: HashSet<OsString>,
    list: Arc<DenyList>,
    /// The symlinks to directories that were followed, and their targets, resolved.
    followed: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl<L: Links> Boundary<L> {
    /// The boundary of a project whose resolved root is `root`.
    pub(super) fn new(project: &Project, root: &Path, links: L) -> Self {
        let list = project.scan.deny_list.clone();
        let denied: HashSet<PathBuf> = list.below(root).cloned().collect();

        Self {
            root: root.to_owned(),
            links,
            denied_names: denied
                .iter()
                .filter_map(|path| Some(path.file_name()?.to_owned()))
                .collect(),
            denied,
            list,
            followed: Mutex::default(),
        }
    }

    /// Resolves symlinks.
    pub(super) fn links(&self) -> &L {
        &self.links
    }

    /// Whether exactly this resolved path is on the deny list. A walk does not enter such a path,
    /// so paths below it need no check.
    pub(super) fn denies(&self, path: &Path, is_directory: bool) -> bool {
        let has_denied_name = path
            .file_name()
            .is_some_and(|name| self.denied_names.contains(name));
        (has_denied_name && self.denied.contains(path))
            || (is_directory && self.list.roots.contains(path))
            || self.is_private(path)
    }

    /// Checks the target of a symlink, and records it if the walk is to enter it.
    pub(super) fn check_link(&self, link: &Path, is_directory: bool) -> Result<(), SkipReason> {
        let Some(target) = self.links.resolve(link) else {
            return Err(SkipReason::Dangling);
        };
        if !target.starts_with(&self.root) {
            return Err(SkipReason::LeavesRoot);
        }
        if self.is_at_or_below_denied(&target) {
            return Err(SkipReason::Denied);
        }

        if is_directory {
            self.followed().insert(link.to_owned(), target);
        }
        Ok(())
    }

    /// Checks an entry that is not a symlink itself but may be below one that was followed.
    pub(super) fn check_below_links(
        &self,
        path: &Path,
        is_directory: bool,
    ) -> Result<(), SkipReason> {
        let followed = self.followed();
        if followed.is_empty() {
            return Ok(());
        }
        let resolved = path.ancestors().skip(1).find_map(|link| {
            let target = followed.get(link)?;
            Some(target.join(path.strip_prefix(link).ok()?))
        });

        match resolved {
            Some(resolved) if self.denies(&resolved, is_directory) => Err(SkipReason::Denied),
            _ => Ok(()),
        }
    }

    /// Whether `path`, a resolved path below the root, is on the deny list or below a path on it.
    fn is_at_or_below_denied(&self, path: &Path) -> bool {
        path.ancestors()
            .take_while(|path| *path != self.root)
            .any(|path| path.file_name() == Some(OsStr::new(".git")) || self.denies(path, true))
    }

    /// Whether a path is a configuration file with secrets, also a backup copy that an editor made
    /// of one, or the cache or state of another workspace.
    fn is_private(&self, path: &Path) -> bool {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        // The name is compared first, because few entries have such a name.
        let is_own = |own: &&str| Path::new(own).file_name() == Some(name) && path.ends_with(own);
        if OWN_DIRECTORIES.iter().any(is_own) {
            return true;
        }
        let is_fractary_dir = || {
            directory.file_name() == Some(OsStr::new(FRACTARY_DIR))
                || self.list.fractary_dirs.contains(directory)
        };
        is_private_name(name) && is_fractary_dir()
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<PathBuf, PathBuf>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
