//! Decides which entries of a project a walk enters and publishes, whether they are on disk or in a
//! commit.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bstr::BString;

use super::boundary::Boundary;
use super::claimed_file::ClaimedFile;
use super::links::Links;
use super::snapshot::{SkipReason, Skipped};
use crate::config::Symlinks;
use crate::paths::check_segment;
use crate::platform::FileKind;
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

/// An entry below the root that a walk has found.
pub(super) struct WalkEntry<'e> {
    /// The path by which the walk reached it, below the resolved root.
    pub(super) path: &'e Path,
    /// The same path, relative to the root.
    pub(super) source: BString,
    /// The kind of the entry, or of the target of a symlink that is followed.
    pub(super) kind: FileKind,
    /// Whether the entry is a symlink.
    pub(super) is_link: bool,
}

impl WalkEntry<'_> {
    fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }
}

/// The rules for the entries of one project.
pub(super) struct EntryRules<L> {
    project: Project,
    root: PathBuf,
    boundary: Boundary<L>,
    /// Matching paths that the walk does not enter. A walker calls the rules from its iterator, so
    /// results are collected here.
    skipped: Mutex<Vec<Skipped>>,
}

impl<L: Links> EntryRules<L> {
    /// The rules for a project whose resolved root is `root`.
    pub(super) fn new(project: &Project, root: &Path, links: L) -> Self {
        Self {
            project: project.clone(),
            root: root.to_owned(),
            boundary: Boundary::new(project, root, links),
            skipped: Mutex::default(),
        }
    }

    /// The project.
    pub(super) fn project(&self) -> &Project {
        &self.project
    }

    /// The root, resolved.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Resolves symlinks.
    pub(super) fn links(&self) -> &L {
        self.boundary.links()
    }

    /// Whether `entry` is inside the boundary and can be, or contain, a claimed file. A symlink is
    /// judged by its target.
    pub(super) fn admits(&self, entry: &WalkEntry<'_>) -> bool {
        let is_directory = entry.is_directory();
        let is_unclaimed_directory = is_directory && !self.may_be_claimed(entry);
        let is_git = is_directory && entry.path.file_name() == Some(OsStr::new(".git"));
        if is_unclaimed_directory || is_git || self.boundary.denies(entry.path, is_directory) {
            return false;
        }

        let is_claimed = || !self.project.claims.claim(&entry.source).is_empty();
        let checked = match (entry.is_link, self.project.scan.symlinks) {
            (false, _) => self.boundary.check_below_links(entry.path, is_directory),
            // `visit` reports the skipped symlink.
            (true, Symlinks::Skip) => return true,
            (true, symlinks) if !is_directory && !is_claimed() => {
                // A preserved symlink may hide claimed files, which `visit` reports.
                return symlinks == Symlinks::Preserve;
            }
            (true, _) => self.boundary.check_link(entry.path, is_directory),
        };
        let Err(reason) = checked else {
            return true;
        };

        if is_directory || is_claimed() {
            self.skip(entry.source.clone(), reason);
        }
        false
    }

    /// Whether the directory `entry` can contain a claimed file. A symlink to a directory can also
    /// be at the path of a file that a pattern matches.
    fn may_be_claimed(&self, entry: &WalkEntry<'_>) -> bool {
        let claims = &self.project.claims;
        claims.can_hold(&entry.source)
            || (entry.is_link && !claims.matching(&entry.source).is_empty())
    }

    /// Whether a pattern matches `source`, or can match a path below it.
    pub(super) fn may_hold_claimed(&self, source: &[u8]) -> bool {
        let claims = &self.project.claims;
        !claims.claim(source).is_empty() || claims.can_hold(source)
    }

    /// Records a path that is not published.
    pub(super) fn skip(&self, source: BString, reason: SkipReason) {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.push(Skipped { source, reason });
    }

    /// Decides whether an entry that is not a directory is published. `rules` are those that match
    /// it. A preserved symlink can be published and hide files at the same time.
    pub(super) fn visit(&self, entry: WalkEntry<'_>, rules: &[usize]) -> Option<ClaimedFile> {
        if rules.is_empty() {
            if self.hides_files(&entry) {
                self.skip(entry.source, SkipReason::NotFollowed);
            }
            return None;
        }

        let claims = self.project.claims.destinations(&entry.source, rules);
        let invalid_name = claims
            .iter()
            .flat_map(|claim| claim.destination.split(|byte| *byte == b'/'))
            .find_map(|segment| check_segment(segment).err());
        let reason = match (invalid_name, entry.kind, self.project.scan.symlinks) {
            (Some(error), ..) => Some(SkipReason::Name(error)),
            (None, FileKind::Special, _) => Some(SkipReason::Special),
            (None, FileKind::Link, Symlinks::Skip) => Some(SkipReason::Link),
            _ => None,
        };
        if let Some(reason) = reason {
            self.skip(entry.source, reason);
            return None;
        }

        if self.hides_files_of_others(&entry, rules) {
            self.skip(entry.source.clone(), SkipReason::Preserved);
        }
        Some(ClaimedFile {
            source: entry.source,
            claims,
        })
    }

    /// Whether a symlink that is not followed and that no pattern matches may hide claimed files
    /// below it.
    fn hides_files(&self, entry: &WalkEntry<'_>) -> bool {
        let leads_to_file = || self.links().leads_to_directory(entry.path) == Some(false);
        entry.is_link
            && self.project.scan.symlinks != Symlinks::FollowInside
            && self.project.claims.can_hold(&entry.source)
            && !leads_to_file()
    }

    /// Whether a symlink that `rules` publish as a symlink hides files that other rules claim.
    fn hides_files_of_others(&self, entry: &WalkEntry<'_>, rules: &[usize]) -> bool {
        let reaching = || self.project.claims.reaching(&entry.source);
        entry.is_link
            && self.project.scan.symlinks == Symlinks::Preserve
            && reaching().iter().any(|rule| !rules.contains(rule))
            && self.links().leads_to_directory(entry.path) == Some(true)
    }

    /// The result of the walk. `used` are the rules that match an entry.
    pub(super) fn finish(&self, mut files: Vec<ClaimedFile>, mut used: BTreeSet<usize>) -> Walked {
        let claims = &self.project.claims;
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = std::mem::take(&mut *skipped);
        for skip in &skipped {
            used.extend(claims.reaching(&skip.source));
        }

        files.sort_by(|a, b| a.source.cmp(&b.source));
        Walked {
            unmatched: claims.rules().filter(|rule| !used.contains(rule)).collect(),
            files,
            skipped,
        }
    }
}
