//! What a sync of one project would change, and whether it may: a pure comparison of a snapshot with a listing of the
//! codex. Which paths a project owns is told in [`crate::workspace::mapping`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use bstr::{BStr, BString, ByteSlice};

use crate::config::Symlinks;
use crate::object::{self, Kind, Mode, ObjectId};
use crate::paths::{CodexPath, escaped};
use crate::scan::{Snapshot, SourceFile};
use crate::text::pluralize;
use crate::workspace::Project;

/// What stands in the codex at and below one project's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Files, links and submodules by their path below the place; directories are implied.
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
            match op.file() {
                Some(file) => after.entries.insert(
                    path.clone(),
                    Entry {
                        mode: file.mode,
                        id: file.id,
                    },
                ),
                None => after.entries.remove(path),
            };
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
    /// No source file matches, but the codex holds claimed ones.
    NothingMatches {
        /// How many it holds.
        claimed: u64,
    },
    /// More deletions than the guard lets through.
    TooManyDeletions {
        /// Deletions.
        deleted: u64,
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
            Self::NothingMatches { claimed } => {
                let files = pluralize(*claimed, "file");
                write!(
                    f,
                    "no source file matches, and {files} would be deleted from the codex"
                )
            }
            Self::TooManyDeletions { deleted, claimed } => {
                write!(
                    f,
                    "{deleted} of {claimed} files would be deleted from the codex"
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
    let mut claimed = 0;
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
        let owned = file.is_some() || project.claims.owns(path);
        claimed += u64::from(owned);
        let ours = entry.mode.is_file()
            || (entry.mode == Mode::Link && project.scan.symlinks == Symlinks::Preserve);
        if owned && !ours {
            let place = in_codex(&project.to, path.as_bstr());
            obstruction.get_or_insert(Withheld::Obstructed {
                claimed: place.clone(),
                obstacle: place,
                mode: entry.mode,
            });
            continue;
        }
        match file {
            Some(file) if file.id == entry.id && file.mode == entry.mode => plan.unchanged += 1,
            Some(file) => plan.changes.push(Change {
                path: path.clone(),
                op: Op::Modified(file.clone()),
            }),
            None if owned && kept.holds(project, path) => {
                plan.unchanged += 1;
                standing.insert(path.clone(), entry.mode);
            }
            None if owned || (project.prune && !project.claims.is_excluded_path(path)) => {
                claimed += u64::from(!owned);
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
            let [claimed, obstacle] =
                [path.as_bstr(), obstacle].map(|path| in_codex(&project.to, path));
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
    let deleted = plan.counts().deleted;
    let nothing_matches = snapshot.files.is_empty() && snapshot.skipped.is_empty();
    match obstruction.or_else(|| guard(project, deletes, deleted, claimed, nothing_matches)) {
        Some(reason) => Decision::Withheld(plan, reason),
        None if plan.changes.is_empty() => Decision::UpToDate(plan),
        None => Decision::Go(plan),
    }
}

fn guard(
    project: &Project,
    deletes: DeletePolicy,
    deleted: u64,
    claimed: u64,
    nothing_matches: bool,
) -> Option<Withheld> {
    if deletes == DeletePolicy::Unlimited || deleted == 0 {
        return None;
    }
    if nothing_matches {
        return Some(Withheld::NothingMatches { claimed });
    }
    let exceeds_share = |percent: u8| deleted * 100 > claimed * u64::from(percent);
    let exceeded = match deletes {
        DeletePolicy::Guarded => {
            deleted > project.delete_guard.files && exceeds_share(project.delete_guard.percent)
        }
        DeletePolicy::AtMost(files) => deleted > files,
        DeletePolicy::AtMostPercent(percent) => exceeds_share(percent),
        DeletePolicy::Unlimited => false,
    };
    if exceeded {
        Some(Withheld::TooManyDeletions { deleted, claimed })
    } else if claimed >= 5 && deleted == claimed {
        Some(Withheld::NoneSurvives { claimed })
    } else {
        None
    }
}

/// What stands where `path` needs a directory, or below where it needs a file.
fn in_the_way<'s>(standing: &'s BTreeMap<BString, Mode>, path: &BStr) -> Option<(&'s BStr, Mode)> {
    let above = path
        .find_iter(b"/")
        .find_map(|slash| standing.get_key_value(path[..slash].as_bstr()));
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

/// Paths that stay because their source was matched but not taken.
struct Kept<'s> {
    sources: BTreeSet<&'s BStr>,
    destinations: BTreeSet<BString>,
}

impl<'s> Kept<'s> {
    fn new(project: &Project, snapshot: &'s Snapshot) -> Self {
        let sources: BTreeSet<_> = snapshot
            .skipped
            .iter()
            .map(|skipped| skipped.source.as_bstr())
            .collect();
        let claims = sources
            .iter()
            .flat_map(|source| project.claims.claim(source));
        Self {
            destinations: claims.map(|claim| claim.destination.into()).collect(),
            sources,
        }
    }

    fn holds(&self, project: &Project, path: &BString) -> bool {
        let below_skipped = |source: &[u8]| {
            source
                .find_iter(b"/")
                .any(|slash| self.sources.contains(source[..slash].as_bstr()))
        };
        !self.sources.is_empty()
            && (self.destinations.contains(path)
                || project
                    .claims
                    .sources(path)
                    .iter()
                    .any(|s| below_skipped(s)))
    }
}

/// `path`, below the project's place, as a path of the codex.
pub fn in_codex(to: &CodexPath, path: &BStr) -> BString {
    bstr::join("/", [to.as_bstr(), path]).into()
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
