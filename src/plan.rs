//! What a sync of one project would change, and whether it may: a pure comparison of a snapshot with a listing of the
//! codex. Which paths a project owns is told in [`crate::workspace::mapping`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use bstr::{BStr, BString, ByteSlice};

use crate::config::Symlinks;
use crate::object::{self, Kind, Mode, ObjectId};
use crate::paths::{CodexPath, check_segment, escaped};
use crate::scan::{Snapshot, SourceFile};
use crate::text::pluralize;
use crate::workspace::Project;

/// The content of the codex at and below one project's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Files, links, submodules and empty directories by their path below the place, also those whose names could never be
    /// published. Other directories are implied.
    pub entries: BTreeMap<BString, Entry>,
    /// Something other than a directory that stands at the place itself or above it.
    pub obstacle: Option<(BString, Mode)>,
}

/// An entry of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub mode: Mode,
    /// Its object.
    pub id: ObjectId,
}

/// The plan for one project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectPlan {
    /// In path order.
    pub changes: Vec<Change>,
    /// Claimed files that are the same on both sides.
    pub unchanged: u64,
    /// Files under the place that are nobody's business here.
    pub unmanaged: u64,
}

/// One change to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Below the project's place.
    pub path: BString,
    /// What happens to it.
    pub op: Op,
}

/// What happens to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// It is new.
    Added(SourceFile),
    /// Its contents or mode become another.
    Modified(SourceFile),
    /// It goes.
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

    /// The file that will stand there.
    pub fn file(&self) -> Option<&SourceFile> {
        match self {
            Self::Added(file) | Self::Modified(file) => Some(file),
            Self::Deleted => None,
        }
    }
}

impl Listing {
    /// The listing as it is once `plan` was carried out.
    pub fn after(&self, plan: &ProjectPlan) -> Self {
        let mut after = self.clone();
        for Change { path, op } in &plan.changes {
            let Some(file) = op.file() else {
                after.entries.remove(path);
                continue;
            };
            // A directory above it is not empty any more.
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

/// Numbers of changes by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// New files.
    pub added: u64,
    /// Files with other contents or mode.
    pub modified: u64,
    /// Files that go.
    pub deleted: u64,
}

impl Counts {
    /// All changes together: `{count}` of a commit message.
    pub fn total(self) -> u64 {
        self.added + self.modified + self.deleted
    }
}

impl ProjectPlan {
    /// The files that are written.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.changes.iter().filter_map(|change| change.op.file())
    }

    /// The changes, counted.
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

    /// Bytes of the files that would be written.
    pub fn bytes(&self) -> u64 {
        self.files().map(|file| file.size).sum()
    }
}

/// Whether a plan may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing differs.
    UpToDate(ProjectPlan),
    /// There is something to do.
    Go(ProjectPlan),
    /// There is, but it is not done; the plan shows what it would have been.
    Withheld(ProjectPlan, Withheld),
}

/// Why a project is withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// A claimed path, or one above it, is not what could be replaced.
    Obstructed {
        /// The path that is claimed.
        claimed: BString,
        /// What is in the way.
        obstacle: BString,
        /// What it is.
        mode: Mode,
    },
    /// No source file matches, and files would be deleted from the codex.
    NothingMatches {
        /// Deletions.
        deleted: u64,
    },
    /// More deletions than the guard lets through.
    TooManyDeletions {
        /// Deletions of claimed files.
        deleted: u64,
        /// Deletions of unclaimed files, by `prune`.
        pruned: u64,
        /// Claimed files in the codex.
        claimed: u64,
    },
    /// Not one of at least five claimed files would survive.
    NoneSurvives {
        /// Claimed files in the codex.
        claimed: u64,
    },
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obstructed {
                claimed,
                obstacle,
                mode,
            } => {
                let what = match mode {
                    Mode::Directory => "directory",
                    Mode::Link => "symlink",
                    Mode::Submodule => "submodule",
                    Mode::File | Mode::Executable => "file",
                };
                let (claimed, obstacle) = (escaped(claimed), escaped(obstacle));
                write!(
                    f,
                    "`{claimed}` is claimed, but `{obstacle}` is a {what} in the codex"
                )
            }
            Self::NothingMatches { deleted } => {
                let files = pluralize(*deleted, "file");
                write!(
                    f,
                    "no source file matches, and {files} would be deleted from the codex"
                )
            }
            Self::TooManyDeletions {
                deleted,
                pruned: 0,
                claimed,
            } => {
                write!(
                    f,
                    "{deleted} of {claimed} files would be deleted from the codex"
                )
            }
            Self::TooManyDeletions {
                deleted,
                pruned,
                claimed,
            } => {
                let others = pluralize(*pruned, "unclaimed file");
                write!(
                    f,
                    "{deleted} of {claimed} files and {others} would be deleted from the codex"
                )
            }
            Self::NoneSurvives { claimed } => {
                write!(f, "all {claimed} files in the codex would be deleted")
            }
        }
    }
}

/// How deletions are guarded in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeletePolicy {
    /// As the project's `delete_guard` says.
    #[default]
    Guarded,
    /// `--max-delete N`.
    AtMost(u64),
    /// `--max-delete P%`.
    AtMostPercent(u8),
    /// `--allow-mass-delete`.
    Unlimited,
}

/// Compares what a project has with what the codex holds of it.
///
/// ```
/// use fractary_codex::config::LoadRequest;
/// use fractary_codex::plan::{Decision, DeletePolicy, Listing, plan};
/// use fractary_codex::scan::Snapshot;
/// use fractary_codex::workspace;
///
/// # let root = tempfile::tempdir()?;
/// # std::fs::create_dir(root.path().join(".fractary"))?;
/// # let text = "codex: { organization: acme, codex_repo: codex, projects: { billing: {}, ledger: {} } }";
/// # std::fs::write(root.path().join(".fractary/config.yaml"), text)?;
/// # let cwd = root.path().to_owned();
/// let request = LoadRequest { cwd, ..LoadRequest::default() };
/// let (_, workspace) = workspace::load(&request).expect("no mistakes");
/// let nothing = plan(&workspace.projects[0], &Snapshot::default(), &Listing::default(), DeletePolicy::Guarded);
/// assert!(matches!(nothing, Decision::UpToDate(plan) if plan.changes.is_empty()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn plan(
    project: &Project,
    snapshot: &Snapshot,
    listing: &Listing,
    deletes: DeletePolicy,
) -> Decision {
    let kept = Kept::new(project, snapshot);
    let mut plan = ProjectPlan::default();
    let (mut claimed, mut pruned) = (0, 0);
    let mut obstruction = listing
        .obstacle
        .as_ref()
        .map(|(obstacle, mode)| Withheld::Obstructed {
            claimed: project.to.as_bstr().into(),
            obstacle: obstacle.clone(),
            mode: *mode,
        });
    // Entries that stay and that a source file does not replace: they must not be in a source file's way.
    let mut standing: BTreeMap<BString, Mode> = BTreeMap::new();
    for (path, entry) in &listing.entries {
        let file = snapshot.files.get(path);
        if file.is_none() && (entry.mode == Mode::Directory || !is_publishable(path)) {
            plan.unmanaged += u64::from(entry.mode != Mode::Directory);
            standing.insert(path.clone(), entry.mode);
            continue;
        }
        let owned = file.is_some() || project.claims.owns(path);
        claimed += u64::from(owned);
        let ours = entry.mode.is_file()
            || (entry.mode == Mode::Link && project.scan.symlinks == Symlinks::Preserve);
        if owned && !ours {
            let place = project.to.join(path.as_bstr());
            obstruction.get_or_insert(Withheld::Obstructed {
                claimed: place.clone(),
                obstacle: place,
                mode: entry.mode,
            });
            continue;
        }
        match file {
            Some(file) if file.id == entry.id && file.mode == entry.mode => plan.unchanged += 1,
            // Another source of this path is matched and not taken.
            Some(_) if kept.holds(project, path) => plan.unchanged += 1,
            Some(file) => plan.changes.push(Change {
                path: path.clone(),
                op: Op::Modified(file.clone()),
            }),
            None if owned && kept.holds(project, path) => {
                plan.unchanged += 1;
                standing.insert(path.clone(), entry.mode);
            }
            None if owned || (project.prune && !project.claims.is_excluded_path(path)) => {
                pruned += u64::from(!owned);
                plan.changes.push(Change {
                    path: path.clone(),
                    op: Op::Deleted,
                });
            }
            None => {
                plan.unmanaged += 1;
                standing.insert(path.clone(), entry.mode);
            }
        }
    }
    for (path, file) in &snapshot.files {
        if listing.entries.contains_key(path) {
            continue;
        }
        if let Some((obstacle, mode)) = in_the_way(&standing, path.as_bstr()) {
            let [claimed, obstacle] = [path.as_bstr(), obstacle].map(|path| project.to.join(path));
            obstruction.get_or_insert(Withheld::Obstructed {
                claimed,
                obstacle,
                mode,
            });
        }
        plan.changes.push(Change {
            path: path.clone(),
            op: Op::Added(file.clone()),
        });
    }
    plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
    let deletions = Deletions {
        deleted: plan.counts().deleted - pruned,
        pruned,
        claimed,
        nothing_matches: snapshot.files.is_empty() && snapshot.skipped.is_empty(),
    };
    match obstruction.or_else(|| deletions.guarded(project, deletes)) {
        Some(reason) => Decision::Withheld(plan, reason),
        None if plan.changes.is_empty() => Decision::UpToDate(plan),
        None => Decision::Go(plan),
    }
}

/// The deletions of a plan, to be guarded.
struct Deletions {
    /// Claimed files.
    deleted: u64,
    /// Unclaimed files.
    pruned: u64,
    /// Claimed files in the codex.
    claimed: u64,
    nothing_matches: bool,
}

impl Deletions {
    /// Why they are not made, if they are too many.
    fn guarded(&self, project: &Project, policy: DeletePolicy) -> Option<Withheld> {
        let &Self {
            deleted,
            pruned,
            claimed,
            ..
        } = self;
        let all = deleted + pruned;
        if policy == DeletePolicy::Unlimited || all == 0 {
            return None;
        }
        if self.nothing_matches {
            return Some(Withheld::NothingMatches { deleted: all });
        }
        let exceeds_share = |percent: u8| all * 100 > claimed * u64::from(percent);
        let exceeded = match policy {
            DeletePolicy::Guarded => {
                all > project.delete_guard.files && exceeds_share(project.delete_guard.percent)
            }
            DeletePolicy::AtMost(files) => all > files,
            DeletePolicy::AtMostPercent(percent) => exceeds_share(percent),
            DeletePolicy::Unlimited => false,
        };
        if exceeded {
            Some(Withheld::TooManyDeletions {
                deleted,
                pruned,
                claimed,
            })
        } else if claimed >= 5 && deleted == claimed {
            Some(Withheld::NoneSurvives { claimed })
        } else {
            None
        }
    }
}

/// Whether a source file can be published to this path.
fn is_publishable(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/')
        .all(|segment| check_segment(segment).is_ok())
}

/// The entry that is where `path` needs a directory, or below where it needs a file.
fn in_the_way<'s>(standing: &'s BTreeMap<BString, Mode>, path: &BStr) -> Option<(&'s BStr, Mode)> {
    let above = path
        .find_iter(b"/")
        .filter_map(|slash| standing.get_key_value(path[..slash].as_bstr()))
        .find(|(_, mode)| **mode != Mode::Directory);
    if let Some((path, mode)) = above {
        return Some((path.as_bstr(), *mode));
    }
    let directory = [path.as_bytes(), b"/"].concat();
    let mut behind =
        standing.range::<BStr, _>((Bound::Included(directory.as_bstr()), Bound::Unbounded));
    let (below, _) = behind
        .next()
        .filter(|(below, _)| below.starts_with(&directory))?;
    Some((below[..path.len()].as_bstr(), Mode::Directory))
}

/// The paths that stay because a source of theirs is matched and not taken.
struct Kept<'s> {
    snapshot: &'s Snapshot,
    /// The sources that are not taken, and whether files below them may be hidden.
    sources: BTreeMap<&'s BStr, bool>,
    /// The files that one of them could be published to under another path.
    files: BTreeSet<&'s [u8]>,
}

impl<'s> Kept<'s> {
    fn new(project: &'s Project, snapshot: &'s Snapshot) -> Self {
        let mut kept = Self {
            snapshot,
            sources: BTreeMap::new(),
            files: BTreeSet::new(),
        };
        for skipped in &snapshot.skipped {
            let (source, hides) = (skipped.source.as_bstr(), skipped.reason.may_hide_files());
            kept.sources.insert(source, hides);

            let files = project.claims.files_fed_by(source, hides).into_iter();
            kept.files
                .extend(files.filter(|path| !is_replaced(snapshot, path, source)));
        }
        kept
    }

    fn holds(&self, project: &Project, path: &BString) -> bool {
        let is_kept_by = |skipped: &[u8]| !is_replaced(self.snapshot, path, skipped.as_bstr());
        let is_skipped = |source: Vec<u8>| {
            let mut above = source.find_iter(b"/").map(|slash| &source[..slash]);
            above.any(|above| self.sources.get(above.as_bstr()) == Some(&true) && is_kept_by(above))
                || (self.sources.contains_key(source.as_bstr()) && is_kept_by(&source))
        };

        !self.sources.is_empty()
            && (self.files.contains(path.as_bytes())
                || project.claims.sources(path).into_iter().any(is_skipped))
    }
}

/// Whether the file at `source` is itself published to `path`, or to a path above it: a link that is published replaces
/// the directory that was there before.
fn is_replaced(snapshot: &Snapshot, path: &[u8], source: &BStr) -> bool {
    let above = path.find_iter(b"/").map(|slash| &path[..slash]);
    above.chain([path]).any(|path| {
        let file = snapshot.files.get(path.as_bstr());
        file.is_some_and(|file| file.source == source)
    })
}

/// A digest of the tip and of everything that would change on top of it: the same plan has the same id.
/// The paths of a plan begin at its place, or are whole where it has none.
pub fn plan_id<'p>(
    tip: Option<ObjectId>,
    plans: impl Iterator<Item = (Option<&'p CodexPath>, &'p ProjectPlan)>,
) -> ObjectId {
    let mut text: Vec<u8> = tip
        .map(|tip| tip.to_string())
        .unwrap_or_default()
        .into_bytes();
    for (place, plan) in plans {
        for change in &plan.changes {
            text.extend_from_slice(b"\0");
            text.extend(
                place
                    .iter()
                    .flat_map(|place| [place.as_bstr().as_bytes(), b"/"].concat()),
            );
            text.extend_from_slice(&change.path);
            text.extend_from_slice(b"\0");
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
