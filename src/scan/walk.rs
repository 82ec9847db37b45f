//! Finds the files that a project's patterns claim, entering only directories that can hold one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bstr::{BString, ByteSlice};

use super::{Found, ScanError, SkipReason, Skipped};
use crate::config::Symlinks;
use crate::paths::check_segment;
use crate::platform::{self, bytes_of};
use crate::workspace::Project;
use crate::workspace::project::DenyList;

/// What a walk found.
pub(super) struct Walked {
    /// The claimed files, by path.
    pub(super) found: Vec<Found>,
    /// Paths that are matched and cannot be published.
    pub(super) skipped: Vec<Skipped>,
    /// The rules that match no path.
    pub(super) unmatched: Vec<usize>,
}

/// Walks the project. Only directories that can hold a claimed file are entered.
pub(super) fn walk(project: &Project, real_root: &Path) -> Result<Walked, ScanError> {
    let policy = &project.scan;
    if policy.respect_gitignore {
        real_root.ancestors().try_for_each(check_ignore_files)?;
    }
    let skipped = Arc::new(Mutex::new(Vec::new()));
    let failed = Arc::new(Mutex::new(None));
    let walker = ignore::WalkBuilder::new(real_root)
        .standard_filters(false)
        .parents(policy.respect_gitignore)
        .git_ignore(policy.respect_gitignore)
        .git_global(policy.respect_gitignore)
        .git_exclude(policy.respect_gitignore)
        .follow_links(policy.symlinks == Symlinks::FollowInside)
        .filter_entry({
            let (project, skipped, failed) = (project.clone(), skipped.clone(), failed.clone());
            let never = Never::new(&project, real_root);
            move |entry| {
                if !enters(&project, &never, entry, &skipped) {
                    return false;
                }
                let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
                if !project.scan.respect_gitignore || !is_directory {
                    return true;
                }
                // The walker reads the ignore files of the directories that it enters.
                match check_ignore_files(entry.path()) {
                    Ok(()) => true,
                    Err(error) => {
                        lock(&failed).get_or_insert(error);
                        false
                    }
                }
            }
        })
        .build();
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for entry in walker {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                if let Some(skip) = unwalkable(project, real_root, &error)? {
                    push(&skipped, skip);
                }
                continue;
            }
        };
        let kind = entry.file_type();
        if kind.is_none_or(|kind| kind.is_dir()) {
            continue;
        }
        let source = below(real_root, entry.path());
        let rules = project.claims.matching(&source);
        if rules.is_empty() {
            if entry.path_is_symlink() && hides_files(project, entry.path(), &source) {
                let reason = SkipReason::NotFollowed;
                push(&skipped, Skipped { source, reason });
            }
            continue;
        }
        used.extend(rules.iter().copied());
        let claims: Vec<_> = project
            .claims
            .destinations(&source, &rules)
            .into_iter()
            .map(|c| (BString::from(c.destination), c.pattern))
            .collect();
        let special = kind.is_some_and(|kind| !kind.is_file() && !kind.is_symlink());
        let bad_name = claims
            .iter()
            .flat_map(|(to, _)| to.split(|b| *b == b'/'))
            .find_map(|s| check_segment(s).err());
        let reason = match bad_name {
            Some(name) => Some(SkipReason::Name(name)),
            None if special => Some(SkipReason::Special),
            None if kind.is_some_and(|kind| kind.is_symlink())
                && policy.symlinks == Symlinks::Skip =>
            {
                Some(SkipReason::Link)
            }
            None => None,
        };
        match reason {
            None => {
                if entry.path_is_symlink()
                    && hides_files_of_others(project, &entry, &source, &rules)
                {
                    let reason = SkipReason::Preserved;
                    push(
                        &skipped,
                        Skipped {
                            source: source.clone(),
                            reason,
                        },
                    );
                }
                found.push(Found { source, claims });
            }
            Some(reason) => push(&skipped, Skipped { source, reason }),
        }
    }
    if let Some(error) = lock(&failed).take() {
        return Err(error);
    }
    found.sort_by(|a, b| a.source.cmp(&b.source));
    let skipped = std::mem::take(&mut *lock(&skipped));
    for skip in &skipped {
        used.extend(project.claims.reaching(&skip.source));
    }
    let unmatched = project.claims.rules().filter(|rule| !used.contains(rule));
    Ok(Walked {
        unmatched: unmatched.collect(),
        found,
        skipped,
    })
}

/// Returns an error if an ignore file of `directory` is a pipe, socket or device: reading it could block for ever.
fn check_ignore_files(directory: &Path) -> Result<(), ScanError> {
    for name in [".gitignore", ".git/info/exclude"] {
        let path = directory.join(name);
        if platform::is_special(&path) {
            return Err(ScanError::IgnoreFile { path });
        }
    }
    Ok(())
}

/// Whether a link that is not followed, and that no pattern matches, may hide claimed files below it.
fn hides_files(project: &Project, link: &Path, source: &[u8]) -> bool {
    let is_file = || fs::metadata(link).is_ok_and(|target| !target.is_dir());
    project.scan.symlinks != Symlinks::FollowInside && project.claims.can_hold(source) && !is_file()
}

/// Whether a link that `rules` publish as a link hides files that other rules claim.
fn hides_files_of_others(
    project: &Project,
    link: &ignore::DirEntry,
    source: &[u8],
    rules: &[usize],
) -> bool {
    let reaching = || project.claims.reaching(source);
    project.scan.symlinks == Symlinks::Preserve
        && reaching().iter().any(|rule| !rules.contains(rule))
        && fs::metadata(link.path()).is_ok_and(|target| target.is_dir())
}

/// Whether the walk continues with `entry`. It enters no directory that cannot hold a claimed file, nothing on the deny
/// list and nothing outside the root; a link is judged by the path it resolves to.
fn enters(
    project: &Project,
    never: &Never,
    entry: &ignore::DirEntry,
    skipped: &Mutex<Vec<Skipped>>,
) -> bool {
    if entry.depth() == 0 {
        return true;
    }

    let source = below(&never.root, entry.path());
    let directory = entry.file_type().is_some_and(|kind| kind.is_dir());
    // A link to a directory may be in the place of a file that is matched.
    let is_wanted = || {
        project.claims.can_hold(&source)
            || (entry.path_is_symlink() && !project.claims.matching(&source).is_empty())
    };
    if directory && (!is_wanted() || entry.file_name() == ".git") {
        return false;
    }
    if never.holds(entry.path(), directory) {
        return false;
    }

    let reason = if entry.path_is_symlink() {
        if project.scan.symlinks == Symlinks::Skip {
            return true;
        }
        if !directory && project.claims.claim(&source).is_empty() {
            // A preserved link may hide claimed files; the walk reports it.
            return project.scan.symlinks == Symlinks::Preserve;
        }
        never.follow(entry.path(), directory)
    } else {
        never.inside_a_link(entry.path(), directory)
    };
    let Err(reason) = reason else {
        return true;
    };

    if directory || !project.claims.claim(&source).is_empty() {
        push(skipped, Skipped { source, reason });
    }
    false
}

/// A walk error: a bad link is skipped with its reason, anything else is the project's failure.
fn unwalkable(
    project: &Project,
    root: &Path,
    error: &ignore::Error,
) -> Result<Option<Skipped>, ScanError> {
    let Some((path, is_loop)) = error_path(error) else {
        return Err(ScanError::Read {
            path: BString::default(),
            source: io::Error::other(error.to_string()),
        });
    };
    let source = below(root, path);
    let wanted = !project.claims.claim(&source).is_empty() || project.claims.can_hold(&source);
    let link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    let reason = match error.io_error().map(io::Error::kind) {
        _ if !wanted => return Ok(None),
        _ if is_loop => SkipReason::Loop,
        Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) if link => {
            SkipReason::Dangling
        }
        _ if link && fs::canonicalize(path).is_err_and(|e| platform::is_link_loop(&e)) => {
            SkipReason::Loop
        }
        _ => {
            let source_error = error.io_error().map_or_else(
                || io::Error::other(error.to_string()),
                |e| {
                    e.raw_os_error()
                        .map_or_else(|| io::Error::from(e.kind()), io::Error::from_raw_os_error)
                },
            );
            return Err(ScanError::Read {
                path: source,
                source: source_error,
            });
        }
    };
    Ok(Some(Skipped { source, reason }))
}

fn error_path(error: &ignore::Error) -> Option<(&Path, bool)> {
    match error {
        ignore::Error::WithPath { path, .. } => Some((path, false)),
        ignore::Error::Loop { child, .. } => Some((child, true)),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            error_path(err)
        }
        _ => None,
    }
}

/// The deny list of one walk: paths that are never a source, whatever the patterns say and whatever link leads there.
///
/// Every check is made on the resolved path of an entry. Below a directory that was entered through a link, the path
/// that the walk reports is not the resolved one, so the walk's links are recorded as they are followed.
struct Never {
    /// The project's own root, resolved.
    root: PathBuf,
    /// The entries of the list that are below the root.
    paths: HashSet<PathBuf>,
    list: Arc<DenyList>,
    /// Directories that were entered through a link, with the directory that each resolves to.
    followed: Mutex<HashMap<PathBuf, PathBuf>>,
}

/// Where a workspace keeps its cache and its state by default.
const OWN_DIRECTORIES: [&str; 2] = [".fractary/codex/cache", ".fractary/codex/state"];

impl Never {
    fn new(project: &Project, root: &Path) -> Self {
        let list = project.scan.deny_list.clone();

        Self {
            root: root.to_owned(),
            paths: list.below(root).cloned().collect(),
            list,
            followed: Mutex::default(),
        }
    }

    /// Checks the path that the link at `link` resolves to, and records it if it is a directory to enter.
    fn follow(&self, link: &Path, is_directory: bool) -> Result<(), SkipReason> {
        let Ok(real) = link.canonicalize() else {
            return Err(SkipReason::Dangling);
        };
        if !real.starts_with(&self.root) {
            return Err(SkipReason::LeavesRoot);
        }
        if self.leads_to(&real) {
            return Err(SkipReason::NeverASource);
        }

        if is_directory {
            lock(&self.followed).insert(link.to_owned(), real);
        }
        Ok(())
    }

    /// Checks the resolved path of an entry that is no link itself but may be below a directory entered through one.
    fn inside_a_link(&self, path: &Path, is_directory: bool) -> Result<(), SkipReason> {
        let followed = lock(&self.followed);
        if followed.is_empty() {
            return Ok(());
        }
        let real = path.ancestors().skip(1).find_map(|above| {
            let real = followed.get(above)?;
            Some(real.join(path.strip_prefix(above).ok()?))
        });

        match real {
            Some(real) if self.holds(&real, is_directory) => Err(SkipReason::NeverASource),
            _ => Ok(()),
        }
    }

    /// Whether exactly this resolved path is on the deny list. The walk does not enter it, so nothing below is asked for.
    fn holds(&self, path: &Path, is_directory: bool) -> bool {
        self.paths.contains(path)
            || (is_directory && self.list.roots.contains(path))
            || self.is_private(path)
    }

    /// Whether `real`, a resolved path below the root, is on the deny list or below an entry of it.
    fn leads_to(&self, real: &Path) -> bool {
        real.ancestors()
            .take_while(|path| *path != self.root)
            .any(|path| path.file_name() == Some(OsStr::new(".git")) || self.holds(path, true))
    }

    /// Whether the path is local configuration, a file of variables, or a copy of one that an editor left there, or the
    /// cache or state of a workspace that is no project of this one.
    fn is_private(&self, path: &Path) -> bool {
        if OWN_DIRECTORIES.iter().any(|own| path.ends_with(own)) {
            return true;
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        if directory.file_name() != Some(OsStr::new(".fractary"))
            && !self.list.fractary_dirs.contains(directory)
        {
            return false;
        }
        let name = name.as_encoded_bytes().to_ascii_lowercase();
        name == b"env"
            || name
                .trim_start_with(|c| matches!(c, '.' | '#' | '~'))
                .starts_with(b"config.local.")
    }
}

fn below(root: &Path, path: &Path) -> BString {
    bytes_of(path.strip_prefix(root).unwrap_or(path)).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn push(skipped: &Mutex<Vec<Skipped>>, skip: Skipped) {
    lock(skipped).push(skip);
}

#[cfg(test)]
mod tests;
