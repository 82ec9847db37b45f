//! The plan of a sync: compares the sources of a project with its files in the codex, and decides
//! whether the changes may be made. This is pure computation.
//!
//! [`crate::workspace::claims`] decides which paths of the codex a project owns.

mod delete_guard;
mod listing;
mod moved_directory;
mod others_change;
mod uncommitted_files;
mod withheld;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bstr::{BStr, BString, ByteSlice};

use crate::config::Symlinks;
use crate::object::{self, Kind, Mode, ObjectId};
use crate::paths::{CodexPath, check_segment};
use crate::platform::mode_to_publish;
use crate::scan::{Snapshot, SourceFile};
use crate::workspace::Project;

pub use delete_guard::DeletePolicy;
pub(crate) use delete_guard::Deletions;
pub use listing::{Entry, Listing};
pub use moved_directory::MovedDirectory;
pub use others_change::OthersChange;
pub use uncommitted_files::UncommittedFiles;
pub use withheld::{DeletedFrom, OtherDirectory, Withheld};

/// The plan for one project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProjectPlan {
    /// The changes, in path order.
    pub changes: Vec<Change>,
    /// The number of claimed files that are the same on both sides or are kept.
    pub unchanged: u64,
    /// The number of files below the project's `to` that no pattern claims; for `retire`, of those
    /// that are kept.
    pub unmanaged: u64,
    /// The directories of the cache and of recorded state, below the project's root, that keep
    /// files of the codex from being deleted.
    pub keeping_directories: BTreeSet<BString>,
    /// For `rename`: the directory that is moved to the project's `to`. There are no other changes.
    pub moved: Option<MovedDirectory>,
    /// The files that others have changed in the codex since the project was last synced, and that
    /// the plan overwrites or deletes.
    pub drift: Vec<OthersChange>,
    /// The number of files that the plan overwrites or deletes although no sync of the project has ever
    /// published one.
    pub foreign: usize,
    /// For `retire`: the files that are kept because no sync of the project has published them.
    pub kept: Vec<OthersChange>,
}

/// A change to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The path below the project's `to`.
    pub path: BString,
    /// The operation.
    pub op: Op,
}

/// An operation on a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// The file is added.
    Added(SourceFile),
    /// The contents or the mode of the file change.
    Modified(SourceFile),
    /// The file is deleted.
    Deleted,
}

impl Op {
    /// The name of the operation in every output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Modified(_) => "modified",
            Self::Deleted => "deleted",
        }
    }

    /// The new file; `None` for a deletion.
    pub fn file(&self) -> Option<&SourceFile> {
        match self {
            Self::Added(file) | Self::Modified(file) => Some(file),
            Self::Deleted => None,
        }
    }
}

/// The numbers of changes by operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// The number of added files.
    pub added: u64,
    /// The number of files with other contents or another mode.
    pub modified: u64,
    /// The number of deleted files.
    pub deleted: u64,
}

impl Counts {
    /// The number of all changes: `{count}` of a commit message.
    pub fn total(self) -> u64 {
        self.added + self.modified + self.deleted
    }
}

impl ProjectPlan {
    /// The added and modified files.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.changes.iter().filter_map(|change| change.op.file())
    }

    /// Counts the changes.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for change in &self.changes {
            match change.op {
                Op::Added(_) => counts.added += 1,
                Op::Modified(_) => counts.modified += 1,
                Op::Deleted => counts.deleted += 1,
            }
        }
        counts
    }

    /// The total size of the added and modified files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files().map(|file| file.size).sum()
    }

    /// Whether the plan modifies or deletes files of the codex.
    pub(crate) fn overwrites(&self) -> bool {
        self.overwritten().next().is_some()
    }

    /// The files of the codex that the plan adds, modifies or deletes.
    pub(crate) fn changed_paths(&self) -> BTreeSet<&BString> {
        self.changes.iter().map(|change| &change.path).collect()
    }

    /// The files of the codex that the plan modifies or deletes.
    pub(crate) fn overwritten(&self) -> impl Iterator<Item = &BString> {
        let changes = self.changes.iter();
        let changes = changes.filter(|change| !matches!(change.op, Op::Added(_)));
        changes.map(|change| &change.path)
    }

    /// The files of the codex that the plan modifies or deletes and whose present versions, in
    /// `listing`, are others than those that the last sync has left, which `synced` returns. Each
    /// with the latter version.
    pub(crate) fn drifted(
        &self,
        listing: &Listing,
        synced: impl Fn(&BString) -> Option<Entry>,
    ) -> BTreeMap<BString, Option<Entry>> {
        let mut drifted = BTreeMap::new();
        for path in self.overwritten() {
            let before = synced(path);
            if before.as_ref() != listing.entries.get(path) {
                drifted.insert(path.clone(), before);
            }
        }
        drifted
    }

    /// The listing after the changes of this plan were made.
    pub fn apply_to(&self, listing: &Listing) -> Listing {
        if let Some(moved) = &self.moved {
            return moved.files.clone();
        }
        let mut after = listing.clone();
        for Change { path, op } in &self.changes {
            let Some(file) = op.file() else {
                after.entries.remove(path);
                continue;
            };
            // A directory above the file is no longer empty.
            for slash in path.find_iter(b"/") {
                after.entries.remove(path[..slash].as_bstr());
            }
            let entry = Entry {
                mode: file.mode,
                id: file.id,
            };
            after.entries.insert(path.clone(), entry);
        }
        after
    }
}

/// The decision on a project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// There is nothing to change.
    UpToDate(ProjectPlan),
    /// The changes can be made.
    Ready(ProjectPlan),
    /// The changes must not be made, for this reason.
    Withheld(ProjectPlan, Withheld),
}

impl Decision {
    /// Withholds the project for this reason, if its changes could be made.
    pub(crate) fn withhold(&mut self, reason: Withheld) {
        if let Self::Ready(plan) = self {
            *self = Self::Withheld(std::mem::take(plan), reason);
        }
    }

    /// The plan.
    pub fn plan(&self) -> &ProjectPlan {
        match self {
            Self::UpToDate(plan) | Self::Ready(plan) | Self::Withheld(plan, _) => plan,
        }
    }
}

/// Compares the sources of a project with its files in the codex.
pub fn plan(
    project: &Project,
    snapshot: &Snapshot,
    listing: &Listing,
    deletes: DeletePolicy,
) -> Decision {
    let mut comparison = Comparison::new(project, snapshot);
    if let Some((obstacle, mode)) = &listing.obstacle {
        comparison.obstruct(project.to.as_bstr().into(), obstacle.clone(), *mode);
    }
    for (path, entry) in &listing.entries {
        comparison.compare(path, *entry);
    }
    for (path, file) in &snapshot.files {
        if !listing.entries.contains_key(path) {
            comparison.add(path, file);
        }
    }
    comparison.decide(deletes)
}

/// Plans the removal of a project, given the files in its directory. A file is kept if
/// `change_of_others` returns the change that gave it its present version. Entries that no sync
/// could have published are always kept.
pub(crate) fn retire(
    listing: &Listing,
    change_of_others: impl Fn(&BString) -> Option<OthersChange>,
) -> ProjectPlan {
    let mut plan = ProjectPlan::default();
    for (path, entry) in &listing.entries {
        if !can_be_published(path, *entry) {
            plan.unmanaged += 1;
            let change = change_of_others(path);
            plan.kept
                .push(change.unwrap_or_else(|| OthersChange::new(path, None)));
        } else if let Some(change) = change_of_others(path) {
            plan.unmanaged += 1;
            plan.kept.push(change);
        } else {
            let path = path.clone();
            let op = Op::Deleted;
            plan.changes.push(Change { path, op });
        }
    }
    plan
}

/// Plans the move of the directory `from`, with these files, to the directory of another project.
/// If an entry cannot be moved, its path below `from` is the error.
pub(crate) fn rename(from: CodexPath, files: Listing) -> Result<ProjectPlan, BString> {
    let mut entries = files.entries.iter();
    if let Some((path, _)) = entries.find(|(path, entry)| !can_be_published(path, **entry)) {
        return Err(path.clone());
    }
    Ok(ProjectPlan {
        unchanged: files.entries.len() as u64,
        moved: Some(MovedDirectory::new(from, files)),
        ..ProjectPlan::default()
    })
}

/// A comparison in progress.
struct Comparison<'p> {
    project: &'p Project,
    snapshot: &'p Snapshot,
    skipped: SkippedSources<'p>,
    plan: ProjectPlan,
    /// The number of claimed files in the codex.
    claimed: u64,
    /// The number of unclaimed files that are deleted.
    pruned: u64,
    /// Entries of the codex that are kept and not replaced by a source file. They can obstruct
    /// source files.
    remaining: BTreeMap<BString, Mode>,
    /// The first obstruction.
    obstruction: Option<Withheld>,
}

impl<'p> Comparison<'p> {
    fn new(project: &'p Project, snapshot: &'p Snapshot) -> Self {
        Self {
            project,
            snapshot,
            skipped: SkippedSources::new(project, snapshot),
            plan: ProjectPlan::default(),
            claimed: 0,
            pruned: 0,
            remaining: BTreeMap::new(),
            obstruction: None,
        }
    }

    fn obstruct(&mut self, claimed: BString, obstacle: BString, mode: Mode) {
        self.obstruction.get_or_insert(Withheld::Obstructed {
            claimed,
            obstacle,
            mode,
        });
    }

    fn change(&mut self, path: &BString, op: Op) {
        let path = path.clone();
        self.plan.changes.push(Change { path, op });
    }

    /// Compares an entry of the codex with the source file for its path.
    fn compare(&mut self, path: &BString, entry: Entry) {
        let project = self.project;
        let source = self.snapshot.files.get(path);
        // Only looked at without a source: most entries have one, and the check costs more than the
        // rest of the comparison.
        let is_claimed =
            source.is_some() || (can_be_published(path, entry) && project.claims.owns(path));
        if !is_claimed {
            self.compare_unclaimed(path, entry);
            return;
        }

        self.claimed += 1;
        let can_be_replaced = entry.mode.is_file()
            || (entry.mode == Mode::Link && project.scan.symlinks == Symlinks::Preserve);
        if !can_be_replaced {
            let path = project.to.join(path.as_bstr());
            self.obstruct(path.clone(), path, entry.mode);
            return;
        }

        match source {
            Some(file)
                if file.id == entry.id && mode_to_publish(file.mode, entry.mode) == entry.mode =>
            {
                self.plan.unchanged += 1;
            }
            // Another source of this path is skipped.
            Some(_) if self.skipped.keep(project, path) => self.plan.unchanged += 1,
            Some(file) => {
                let mode = mode_to_publish(file.mode, entry.mode);
                let file = SourceFile {
                    mode,
                    ..file.clone()
                };
                self.change(path, Op::Modified(file));
            }
            None if self.skipped.keep(project, path) || self.keep_in_own_directory(path) => {
                self.plan.unchanged += 1;
                self.remaining.insert(path.clone(), entry.mode);
            }
            None => self.change(path, Op::Deleted),
        }
    }

    /// Prunes an entry of the codex that the project does not claim, or keeps it.
    fn compare_unclaimed(&mut self, path: &BString, entry: Entry) {
        let project = self.project;
        if can_be_published(path, entry) && project.may_prune(path) {
            self.pruned += 1;
            self.change(path, Op::Deleted);
            return;
        }
        self.plan.unmanaged += u64::from(entry.mode != Mode::Directory);
        self.remaining.insert(path.clone(), entry.mode);
    }

    /// Whether the copy at `path` in the codex is kept, because one of its sources is in the
    /// directory of the cache or of recorded state. Such a source is never published, so it is
    /// unknown whether it exists.
    fn keep_in_own_directory(&mut self, path: &BString) -> bool {
        let sources = self.project.claims.sources(path);
        let is_below = |source: &[u8], directory: &[u8]| {
            let below = source.strip_prefix(directory);
            below.is_some_and(|below| below.starts_with(b"/"))
        };
        let mut directories = self.snapshot.own_directories.iter();
        let directory = directories.find(|directory| {
            let fed = self.project.claims.files_fed_by(directory, true);
            sources.iter().any(|source| is_below(source, directory))
                || fed.contains(&path.as_slice())
        });

        self.plan.keeping_directories.extend(directory.cloned());
        directory.is_some()
    }

    /// Adds a source file whose path has no entry in the codex. All entries must have been compared
    /// before.
    fn add(&mut self, path: &BString, file: &SourceFile) {
        let to = &self.project.to;
        let obstacle = obstacle_of(&self.remaining, path.as_bstr());
        if let Some((obstacle, mode)) = obstacle.map(|(path, mode)| (to.join(path), mode)) {
            self.obstruct(to.join(path.as_bstr()), obstacle, mode);
        }
        self.change(path, Op::Added(file.clone()));
    }

    fn decide(mut self, deletes: DeletePolicy) -> Decision {
        self.plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        let deletions = Deletions {
            from: DeletedFrom::Codex,
            deleted: self.plan.counts().deleted - self.pruned,
            pruned: self.pruned,
            claimed: self.claimed,
            nothing_matches: self.snapshot.files.is_empty() && self.snapshot.skipped.is_empty(),
        };

        let reason = self
            .obstruction
            .or_else(|| deletions.check(self.project, deletes));
        match reason {
            Some(reason) => Decision::Withheld(self.plan, reason),
            None if self.plan.changes.is_empty() => Decision::UpToDate(self.plan),
            None => Decision::Ready(self.plan),
        }
    }
}

/// Whether a source file could have been published as this entry of the codex.
pub(crate) fn can_be_published(path: &[u8], entry: Entry) -> bool {
    entry.mode != Mode::Directory && is_publishable(path)
}

/// Whether a source file could have been published at this path below the directory of a project.
pub(crate) fn is_publishable(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/');
    segments.all(|segment| check_segment(segment).is_ok())
}

/// The entry that obstructs a file at `path`: a file in the place of a directory above it, or a
/// directory at `path`.
fn obstacle_of<'s>(
    remaining: &'s BTreeMap<BString, Mode>,
    path: &BStr,
) -> Option<(&'s BStr, Mode)> {
    let above = path
        .find_iter(b"/")
        .filter_map(|slash| remaining.get_key_value(path[..slash].as_bstr()))
        .find(|(_, mode)| **mode != Mode::Directory);
    if let Some((path, mode)) = above {
        return Some((path.as_bstr(), *mode));
    }

    let directory = [path.as_bytes(), b"/"].concat();
    let range = (Bound::Included(directory.as_bstr()), Bound::Unbounded);
    let (below, _) = remaining
        .range::<BStr, _>(range)
        .next()
        .filter(|(below, _)| below.starts_with(&directory))?;
    Some((below[..path.len()].as_bstr(), Mode::Directory))
}

/// The skipped sources of a project. Their copies in the codex are kept.
struct SkippedSources<'s> {
    snapshot: &'s Snapshot,
    /// The skipped sources, and whether each may hide files below it.
    sources: BTreeMap<&'s BStr, bool>,
    /// Paths in the codex with a literal mapping that one of the skipped sources could fill.
    destinations: BTreeSet<&'s [u8]>,
}

impl<'s> SkippedSources<'s> {
    fn new(project: &'s Project, snapshot: &'s Snapshot) -> Self {
        let mut skipped = Self {
            snapshot,
            sources: BTreeMap::new(),
            destinations: BTreeSet::new(),
        };
        for skip in &snapshot.skipped {
            let (source, hides_files) = (skip.source.as_bstr(), skip.reason.may_hide_files());
            skipped.sources.insert(source, hides_files);

            let destinations = project.claims.files_fed_by(source, hides_files);
            skipped.destinations.extend(
                destinations
                    .into_iter()
                    .filter(|path| !is_replaced(snapshot, path, source)),
            );
        }
        skipped
    }

    /// Whether the copy at `path` in the codex is kept, because one of its sources is skipped.
    fn keep(&self, project: &Project, path: &BString) -> bool {
        let keeps = |skipped: &[u8]| !is_replaced(self.snapshot, path, skipped.as_bstr());
        let is_skipped = |source: Vec<u8>| {
            let mut above = source.find_iter(b"/").map(|slash| &source[..slash]);
            above.any(|above| self.sources.get(above.as_bstr()) == Some(&true) && keeps(above))
                || (self.sources.contains_key(source.as_bstr()) && keeps(&source))
        };

        let is_root_skipped = self.sources.contains_key(BStr::new(""));
        !self.sources.is_empty()
            && (is_root_skipped
                || self.destinations.contains(path.as_bytes())
                || project.claims.sources(path).into_iter().any(is_skipped))
    }
}

/// Whether the file at `source` is itself published to `path`, or to a path above it. A published
/// symlink replaces the directory that was at its path before.
fn is_replaced(snapshot: &Snapshot, path: &[u8], source: &BStr) -> bool {
    let above = path.find_iter(b"/").map(|slash| &path[..slash]);
    above.chain([path]).any(|path| {
        let file = snapshot.files.get(path.as_bstr());
        file.is_some_and(|file| file.source == source)
    })
}

/// Computes a digest of the tip and of all changes on top of it. The same plan always has the same
/// id.
///
/// The paths of each plan are relative to the given path, or to the root of the codex without one.
pub(crate) fn plan_id<'p>(
    tip: Option<ObjectId>,
    plans: impl Iterator<Item = (Option<&'p CodexPath>, &'p ProjectPlan)>,
) -> ObjectId {
    let tip = tip.map(|tip| tip.to_string()).unwrap_or_default();
    let mut text = tip.into_bytes();
    for (to, plan) in plans {
        if let Some(moved) = &plan.moved {
            text.push(0);
            text.extend_from_slice(moved.from.as_bstr());
            for (path, entry) in &moved.files.entries {
                text.push(0);
                text.extend_from_slice(path);
                text.push(0);
                text.extend_from_slice(entry.mode.octal());
                text.extend_from_slice(&entry.id.0);
            }
        }
        for change in &plan.changes {
            text.push(0);
            if let Some(to) = to {
                text.extend_from_slice(to.as_bstr());
                text.push(b'/');
            }
            text.extend_from_slice(&change.path);
            text.push(0);
            text.extend_from_slice(change.op.name().as_bytes());
            if let Some(file) = change.op.file() {
                text.extend_from_slice(file.mode.octal());
                text.extend_from_slice(&file.id.0);
            }
        }
    }
    object::hash(Kind::Blob, &text)
}

#[cfg(test)]
mod tests;
