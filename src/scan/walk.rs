//! Finds the files that a project's patterns claim, entering only directories that can hold one.

use std::collections::{BTreeSet, HashSet};
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
    let skipped = Arc::new(Mutex::new(Vec::new()));
    let walker = ignore::WalkBuilder::new(real_root)
        .standard_filters(false)
        .parents(policy.respect_gitignore)
        .git_ignore(policy.respect_gitignore)
        .git_global(policy.respect_gitignore)
        .git_exclude(policy.respect_gitignore)
        .follow_links(policy.symlinks == Symlinks::FollowInside)
        .filter_entry({
            let (project, skipped) = (project.clone(), skipped.clone());
            let never = Never::new(&project, real_root);
            move |entry| enters(&project, &never, entry, &skipped)
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
            None => found.push(Found { source, claims }),
            Some(reason) => push(&skipped, Skipped { source, reason }),
        }
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

/// Whether a link that is not followed, and that no pattern matches, may hide claimed files below it.
fn hides_files(project: &Project, link: &Path, source: &[u8]) -> bool {
    let is_file = || fs::metadata(link).is_ok_and(|target| !target.is_dir());
    project.scan.symlinks != Symlinks::FollowInside && project.claims.can_hold(source) && !is_file()
}

/// Whether the walk goes on with `entry`: not into what cannot match, what is never a source, or out of the root.
fn enters(
    project: &Project,
    never: &Never,
    entry: &ignore::DirEntry,
    skipped: &Mutex<Vec<Skipped>>,
) -> bool {
    if entry.depth() == 0 {
        return true;
    }
    let root = never.root.as_path();
    let source = below(root, entry.path());
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
    if !entry.path_is_symlink() || project.scan.symlinks != Symlinks::FollowInside {
        return true;
    }
    if !directory && project.claims.claim(&source).is_empty() {
        return false;
    }
    let reason = match entry.path().canonicalize() {
        Err(_) => SkipReason::Dangling,
        Ok(real) if !real.starts_with(root) => SkipReason::LeavesRoot,
        Ok(real)
            if real.components().any(|c| c.as_os_str() == ".git")
                && below(root, &real).contains_str(".git") =>
        {
            SkipReason::NeverASource
        }
        Ok(real) if never.leads_to(&real) => SkipReason::NeverASource,
        Ok(_) => return true,
    };
    push(skipped, Skipped { source, reason });
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

/// What is never a source, whatever the patterns say.
struct Never {
    /// The project's own root, with every link resolved.
    root: PathBuf,
    paths: HashSet<PathBuf>,
    marks: Vec<PathBuf>,
    roots: Arc<HashSet<PathBuf>>,
}

impl Never {
    fn new(project: &Project, root: &Path) -> Self {
        let policy = &project.scan;
        // Usually none is below: then nothing is compared with them.
        let paths = policy
            .never
            .iter()
            .filter(|path| path.starts_with(root))
            .cloned()
            .collect();
        let (root, marks, roots) = (root.to_owned(), policy.marks.clone(), policy.roots.clone());
        Self {
            root,
            paths,
            marks,
            roots,
        }
    }

    /// Whether this very path, below the root, is none. The walk does not go below it.
    fn holds(&self, path: &Path, is_directory: bool) -> bool {
        self.paths.contains(path)
            || (is_directory && self.roots.contains(path))
            || self.is_private(path)
    }

    /// Whether `real` is, or lies below, what is none.
    fn leads_to(&self, real: &Path) -> bool {
        real.ancestors()
            .take_while(|path| *path != self.root)
            .any(|path| self.holds(path, true))
    }

    /// Local configuration and variables, and what editors leave beside them.
    fn is_private(&self, path: &Path) -> bool {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        if directory.file_name() != Some(OsStr::new(".fractary"))
            && self.marks.iter().all(|mark| mark != directory)
        {
            return false;
        }
        let name = name.as_encoded_bytes().to_ascii_lowercase();
        name == b"env"
            || name
                .trim_start_with(|c| c == '.')
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
