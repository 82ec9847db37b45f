//! Finds the files that a project's patterns claim. Only directories that can contain such a file
//! are entered.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bstr::BString;

use super::boundary::Boundary;
use super::claimed_file::ClaimedFile;
use super::error::ScanError;
use super::snapshot::{SkipReason, Skipped};
use crate::config::Symlinks;
use crate::paths::check_segment;
use crate::platform::{self, bytes_of};
use crate::workspace::Project;

/// The result of a walk.
pub(super) struct Walked {
    /// The claimed files, in path order.
    pub(super) files: Vec<ClaimedFile>,
    /// Paths that a pattern matches and that are not published.
    pub(super) skipped: Vec<Skipped>,
    /// The indexes of the rules that match no path.
    pub(super) unmatched: Vec<usize>,
}

/// Walks a project whose resolved root is `root`.
pub(super) fn walk(project: &Project, root: &Path) -> Result<Walked, ScanError> {
    let policy = &project.scan;
    if policy.respect_gitignore {
        root.ancestors().try_for_each(check_ignore_files)?;
    }

    let filter = Arc::new(EntryFilter::new(project, root));
    let walker = ignore::WalkBuilder::new(root)
        .standard_filters(false)
        .parents(policy.respect_gitignore)
        .git_ignore(policy.respect_gitignore)
        .git_global(policy.respect_gitignore)
        .git_exclude(policy.respect_gitignore)
        .follow_links(policy.symlinks == Symlinks::FollowInside)
        .filter_entry({
            let filter = filter.clone();
            move |entry| filter.admits(entry)
        })
        .build();

    let mut files = Vec::new();
    let mut skipped = Vec::new();
    let mut used = BTreeSet::new();
    for entry in walker {
        match entry {
            Ok(entry) if entry.file_type().is_none_or(|kind| kind.is_dir()) => {}
            Ok(entry) => {
                let source = below(root, entry.path());
                let rules = project.claims.matching(&source);
                let visited = visit(project, &entry, source, &rules);
                used.extend(rules);
                files.extend(visited.file);
                skipped.extend(visited.skipped);
            }
            Err(error) => skipped.extend(skip_or_fail(project, root, &error)?),
        }
    }
    if let Some(error) = lock(&filter.error).take() {
        return Err(error);
    }

    files.sort_by(|a: &ClaimedFile, b| a.source.cmp(&b.source));
    skipped.append(&mut lock(&filter.skipped));
    for skip in &skipped {
        used.extend(project.claims.reaching(&skip.source));
    }
    let unmatched = project.claims.rules().filter(|rule| !used.contains(rule));
    Ok(Walked {
        unmatched: unmatched.collect(),
        files,
        skipped,
    })
}

/// The result for one entry. A preserved symlink can be published and hide files at the same time.
struct Visited {
    file: Option<ClaimedFile>,
    skipped: Option<Skipped>,
}

/// Decides whether the entry at `source`, which is not a directory, is published. `rules` are those
/// that match it.
fn visit(project: &Project, entry: &ignore::DirEntry, source: BString, rules: &[usize]) -> Visited {
    let skipped = |source: BString, reason| Some(Skipped { source, reason });

    if rules.is_empty() {
        let hides_files = entry.path_is_symlink() && hides_files(project, entry.path(), &source);
        return Visited {
            file: None,
            skipped: skipped(source, SkipReason::NotFollowed).filter(|_| hides_files),
        };
    }

    let claims = project.claims.destinations(&source, rules);
    let invalid_name = claims
        .iter()
        .flat_map(|claim| claim.destination.split(|byte| *byte == b'/'))
        .find_map(|segment| check_segment(segment).err());
    let reason = if let Some(error) = invalid_name {
        Some(SkipReason::Name(error))
    } else if entry
        .file_type()
        .is_some_and(|kind| !kind.is_file() && !kind.is_symlink())
    {
        Some(SkipReason::Special)
    } else if entry.file_type().is_some_and(|kind| kind.is_symlink())
        && project.scan.symlinks == Symlinks::Skip
    {
        Some(SkipReason::Link)
    } else {
        None
    };
    if let Some(reason) = reason {
        return Visited {
            file: None,
            skipped: skipped(source, reason),
        };
    }

    let hides_files =
        entry.path_is_symlink() && hides_files_of_others(project, entry, &source, rules);
    Visited {
        skipped: skipped(source.clone(), SkipReason::Preserved).filter(|_| hides_files),
        file: Some(ClaimedFile { source, claims }),
    }
}

/// Whether a symlink that is not followed and that no pattern matches may hide claimed files below
/// it.
fn hides_files(project: &Project, link: &Path, source: &[u8]) -> bool {
    let is_file = || fs::metadata(link).is_ok_and(|target| !target.is_dir());
    project.scan.symlinks != Symlinks::FollowInside && project.claims.can_hold(source) && !is_file()
}

/// Whether a symlink that `rules` publish as a symlink hides files that other rules claim.
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

/// Decides which entries a walk visits. The walker calls it from its iterator, so results are
/// collected here.
struct EntryFilter {
    project: Project,
    root: PathBuf,
    boundary: Boundary,
    /// Matching paths that the walk does not enter.
    skipped: Mutex<Vec<Skipped>>,
    /// The first error.
    error: Mutex<Option<ScanError>>,
}

impl EntryFilter {
    fn new(project: &Project, root: &Path) -> Self {
        Self {
            project: project.clone(),
            root: root.to_owned(),
            boundary: Boundary::new(project, root),
            skipped: Mutex::default(),
            error: Mutex::default(),
        }
    }

    /// Whether the walk visits `entry`.
    fn admits(&self, entry: &ignore::DirEntry) -> bool {
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        if !self.is_inside(entry, is_directory) {
            return false;
        }
        if !self.project.scan.respect_gitignore || !is_directory {
            return true;
        }

        // The walker reads the ignore files of the directories that it enters.
        match check_ignore_files(entry.path()) {
            Ok(()) => true,
            Err(error) => {
                lock(&self.error).get_or_insert(error);
                false
            }
        }
    }

    /// Whether `entry` is inside the boundary and can be, or contain, a claimed file. A symlink is
    /// judged by its target.
    fn is_inside(&self, entry: &ignore::DirEntry, is_directory: bool) -> bool {
        if entry.depth() == 0 {
            return true;
        }

        let source = below(&self.root, entry.path());
        let is_unclaimed_directory = is_directory && !self.may_be_claimed(entry, &source);
        if is_unclaimed_directory || (is_directory && entry.file_name() == ".git") {
            return false;
        }
        if self.boundary.denies(entry.path(), is_directory) {
            return false;
        }

        let is_claimed = || !self.project.claims.claim(&source).is_empty();
        let checked = match (entry.path_is_symlink(), self.project.scan.symlinks) {
            (false, _) => self.boundary.check_below_links(entry.path(), is_directory),
            // `visit` reports the skipped symlink.
            (true, Symlinks::Skip) => return true,
            (true, symlinks) if !is_directory && !is_claimed() => {
                // A preserved symlink may hide claimed files, which `visit` reports.
                return symlinks == Symlinks::Preserve;
            }
            (true, _) => self.boundary.check_link(entry.path(), is_directory),
        };
        let Err(reason) = checked else {
            return true;
        };

        if is_directory || is_claimed() {
            lock(&self.skipped).push(Skipped { source, reason });
        }
        false
    }

    /// Whether the directory `entry` can contain a claimed file. A symlink to a directory can also
    /// be at the path of a file that a pattern matches.
    fn may_be_claimed(&self, entry: &ignore::DirEntry, source: &BString) -> bool {
        let claims = &self.project.claims;
        claims.can_hold(source) || (entry.path_is_symlink() && !claims.matching(source).is_empty())
    }
}

/// Returns an error if an ignore file of `directory` is a pipe, socket or device: reading it could
/// block for ever.
fn check_ignore_files(directory: &Path) -> Result<(), ScanError> {
    for name in [".gitignore", ".git/info/exclude"] {
        let path = directory.join(name);
        if platform::is_special(&path) {
            return Err(ScanError::IgnoreFile { path });
        }
    }
    Ok(())
}

/// Handles an error of the walker: a broken symlink is skipped, and a path that no pattern can
/// match is ignored. Any other error fails the project.
fn skip_or_fail(
    project: &Project,
    root: &Path,
    error: &ignore::Error,
) -> Result<Option<Skipped>, ScanError> {
    let Some((path, is_loop)) = error_path(error) else {
        return Err(ScanError::Read {
            path: BString::default(),
            source: io_error(error),
        });
    };

    let source = below(root, path);
    if project.claims.claim(&source).is_empty() && !project.claims.can_hold(&source) {
        return Ok(None);
    }
    match skip_reason(error, path, is_loop) {
        Some(reason) => Ok(Some(Skipped { source, reason })),
        None => Err(ScanError::Read {
            path: source,
            source: io_error(error),
        }),
    }
}

/// The reason for which the symlink at `path` leads nowhere. `None` if the error has another cause.
fn skip_reason(error: &ignore::Error, path: &Path, is_loop: bool) -> Option<SkipReason> {
    if is_loop {
        return Some(SkipReason::Loop);
    }
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return None;
    }
    match error.io_error().map(io::Error::kind) {
        Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Some(SkipReason::Dangling),
        _ => fs::canonicalize(path)
            .is_err_and(|error| platform::is_link_loop(&error))
            .then_some(SkipReason::Loop),
    }
}

/// The path that an error of the walker is about, and whether it is a loop of symlinks.
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

/// The cause of an error of the walker, as an error of its own.
fn io_error(error: &ignore::Error) -> io::Error {
    match error.io_error() {
        None => io::Error::other(error.to_string()),
        Some(cause) => match cause.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::from(cause.kind()),
        },
    }
}

/// The path of an entry below `root`. The walker reports each entry with the same bytes of the root
/// before it, so that the components need not be compared.
fn below(root: &Path, path: &Path) -> BString {
    let path = bytes_of(path);
    let below = path.strip_prefix(bytes_of(root)).unwrap_or(path);
    below.strip_prefix(b"/").unwrap_or(below).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
