//! Finds the files that a project's patterns claim. Only directories that can contain such a file
//! are entered.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bstr::{BString, ByteSlice};

use super::entry_rules::{EntryRules, WalkEntry, Walked};
use super::error::ScanError;
use super::links::DiskLinks;
use super::snapshot::SkipReason;
use crate::config::Symlinks;
use crate::platform::{self, FileKind, bytes_of};
use crate::workspace::Project;

/// Walks a project whose resolved root is `root`.
pub(super) fn walk(project: &Project, root: &Path) -> Result<Walked, ScanError> {
    let policy = &project.scan;
    if policy.respect_gitignore {
        root.ancestors().try_for_each(check_ignore_files)?;
    }

    let filter = Arc::new(EntryFilter {
        rules: EntryRules::new(project, root, DiskLinks),
        error: Mutex::default(),
    });
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

    let rules = &filter.rules;
    let mut files = Vec::new();
    let mut used = BTreeSet::new();
    for entry in walker {
        match entry {
            Ok(entry) if entry.file_type().is_none_or(|kind| kind.is_dir()) => {}
            Ok(entry) => {
                let entry = walk_entry(root, &entry);
                let matching = project.claims.matching(&entry.source);
                files.extend(rules.visit(entry, &matching));
                used.extend(matching);
            }
            Err(error) => skip_or_fail(rules, &error)?,
        }
    }
    if let Some(error) = filter.error().take() {
        return Err(error);
    }
    Ok(rules.finish(files, used))
}

/// Decides which entries a walk visits. The walker calls it from its iterator, so an error is
/// collected here.
struct EntryFilter {
    rules: EntryRules<DiskLinks>,
    /// The first error.
    error: Mutex<Option<ScanError>>,
}

impl EntryFilter {
    /// Whether the walk visits `entry`.
    fn admits(&self, entry: &ignore::DirEntry) -> bool {
        if entry.depth() > 0 && !self.rules.admits(&walk_entry(self.rules.root(), entry)) {
            return false;
        }
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        if !self.rules.project().scan.respect_gitignore || !is_directory {
            return true;
        }

        // The walker reads the ignore files of the directories that it enters.
        match check_ignore_files(entry.path()) {
            Ok(()) => true,
            Err(error) => {
                self.error().get_or_insert(error);
                false
            }
        }
    }

    fn error(&self) -> MutexGuard<'_, Option<ScanError>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry that the walker has found below `root`.
fn walk_entry<'e>(root: &Path, entry: &'e ignore::DirEntry) -> WalkEntry<'e> {
    let kind = match entry.file_type() {
        Some(kind) if kind.is_file() => FileKind::File,
        Some(kind) if kind.is_dir() => FileKind::Directory,
        Some(kind) if kind.is_symlink() => FileKind::Link,
        _ => FileKind::Special,
    };
    WalkEntry {
        path: entry.path(),
        source: below(root, entry.path()),
        kind,
        is_link: entry.path_is_symlink(),
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
fn skip_or_fail(rules: &EntryRules<DiskLinks>, error: &ignore::Error) -> Result<(), ScanError> {
    let Some((path, is_loop)) = error_path(error) else {
        return Err(ScanError::Read {
            path: BString::default(),
            source: io_error(error),
        });
    };

    let source = below(rules.root(), path);
    if source.is_empty() {
        return Err(ScanError::Root {
            root: rules.project().root.clone(),
            source: io_error(error),
        });
    }
    if !rules.may_hold_claimed(&source) {
        return Ok(());
    }
    let Some(reason) = skip_reason(error, path, is_loop) else {
        return Err(ScanError::Read {
            path: source,
            source: io_error(error),
        });
    };
    rules.skip(source, reason);
    Ok(())
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
        _ => dunce::canonicalize(path)
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
    let (path, root) = (bytes_of(path), bytes_of(root));
    let below = path.strip_prefix(root.as_bytes()).unwrap_or(&path);
    below.strip_prefix(b"/").unwrap_or(below).into()
}

#[cfg(test)]
mod tests;
