//! The facts that a plan depends on. A run that is to carry out a plan which was made before
//! collects them again, and compares both.

use std::collections::BTreeMap;

use bstr::{BString, ByteSlice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::object::{Kind, Mode, ObjectId, hash};
use crate::paths::escaped;
use crate::plan::{Change, Decision, Entry, Listing, Op, ProjectPlan, can_be_published};
use crate::scan::{Snapshot, SourceFile};
use crate::url::RemoteUrl;
use crate::workspace::Project;
use crate::workspace::claims::ClaimPatterns;

/// The version of this program.
pub(crate) const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The facts that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanFacts {
    /// The facts about the run as a whole.
    pub run: RunFacts,
    /// The projects, in name order.
    pub projects: Vec<ProjectFacts>,
}

/// The facts about a run as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RunFacts {
    /// The version of the program.
    pub program_version: String,
    /// The URL of the codex, without user name and password if they can be secret.
    pub url: String,
    /// The branch of the codex; `null` if no project is selected.
    pub branch: Option<String>,
    /// The tip of that branch; `null` if the branch does not exist.
    pub tip: Option<ObjectId>,
    /// Digests of the settings of all projects, by the name of their section in the configuration.
    pub settings: BTreeMap<String, ObjectId>,
}

/// The facts about one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ProjectFacts {
    /// The name of the project.
    pub name: String,
    /// The directory of the project in the codex.
    pub to: String,
    /// The sync branch; `null` if commits go to the branch of the codex.
    pub sync_branch: Option<String>,
    /// What a run does with the project.
    pub result: PlannedResult,
    /// The revision of the sources; `null` if nothing changes or the revision is not known. It is
    /// for readers: another revision with the same files is the same plan.
    pub revision: Option<PlannedRevision>,
    /// The patterns of the files that the project owns. They are for readers: `settings` has their
    /// digest.
    pub claims: PlannedClaims,
    /// Digests of the settings of the project, by the name of their section in the configuration.
    pub settings: BTreeMap<String, ObjectId>,
    /// All source files that a pattern matches.
    pub sources: FileSet,
    /// All files of the codex that the project claims.
    pub codex: FileSet,
    /// The changes, in path order.
    pub changes: Vec<PlannedChange>,
}

/// A text as a plan has it: without characters that could control a terminal.
pub(crate) fn escaped_text(text: &str) -> String {
    escaped(text.as_bytes()).to_string()
}

/// What a run does with a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlannedResult {
    /// The changes are published.
    WouldSync,
    /// Nothing differs.
    UpToDate,
    /// The changes are not published.
    Withheld,
    /// The sources cannot be read.
    Failed,
}

/// The revision of the sources of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlannedRevision {
    /// The URL of the repository, without user name and password; `null` if it has no remote.
    pub url: Option<String>,
    /// The commit.
    pub commit: ObjectId,
    /// Whether a file differs from that commit.
    pub dirty: bool,
}

/// The patterns of the files that a project owns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlannedClaims {
    /// The patterns of the files that are published at their own path.
    pub include: Vec<String>,
    /// The patterns of the files that are left out.
    pub exclude: Vec<String>,
    /// The patterns of the files that are published at another path, each as `FROM -> TO`.
    pub mappings: Vec<String>,
}

/// A set of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FileSet {
    /// The number of files.
    pub files: u64,
    /// A digest of their paths, modes and contents.
    pub digest: ObjectId,
}

/// A change to one file of the codex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlannedChange {
    /// The operation.
    pub op: PlannedOp,
    /// The path in the codex. Unprintable characters are escaped, as in all paths here.
    pub path: String,
    /// The path of the source file below the project's root; `null` for a deletion.
    pub source: Option<String>,
    /// The new size in bytes; `null` for a deletion.
    pub size: Option<u64>,
    /// The new version; `null` for a deletion.
    pub after: Option<PlannedVersion>,
    /// The version in the codex; `null` for a new file.
    pub before: Option<PlannedVersion>,
}

/// An operation on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlannedOp {
    /// The file is added.
    Added,
    /// The contents or the mode of the file change.
    Modified,
    /// The file is deleted.
    Deleted,
}

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlannedVersion {
    /// The mode, in the octal digits of git.
    pub mode: String,
    /// The id that git gives to the contents.
    pub id: ObjectId,
}

impl PlanFacts {
    /// The facts of a plan without projects, for which the codex is not read.
    pub(crate) fn empty(url: &RemoteUrl) -> Self {
        Self {
            run: RunFacts {
                program_version: PROGRAM_VERSION.to_owned(),
                url: escaped_text(&url.without_secrets()),
                branch: None,
                tip: None,
                settings: BTreeMap::new(),
            },
            projects: Vec::new(),
        }
    }
}

impl ProjectFacts {
    /// The facts about a project with these files in the sources and in the codex. Without a
    /// decision, the project has failed.
    pub(crate) fn new(
        project: &Project,
        settings: BTreeMap<String, ObjectId>,
        snapshot: &Snapshot,
        listing: &Listing,
        decision: Option<&Decision>,
    ) -> Self {
        let result = match decision {
            Some(Decision::Ready(_)) => PlannedResult::WouldSync,
            Some(Decision::UpToDate(_)) => PlannedResult::UpToDate,
            Some(Decision::Withheld(..)) => PlannedResult::Withheld,
            None => PlannedResult::Failed,
        };
        let changes = decision.map_or(&[][..], |decision| &decision.plan().changes);
        Self {
            name: project.name.to_string(),
            to: escaped_text(&project.to.to_string()),
            sync_branch: None,
            result,
            revision: None,
            claims: PlannedClaims::new(project.claims.patterns()),
            settings,
            sources: FileSet::of_sources(snapshot),
            codex: FileSet::of_codex(project, snapshot, listing),
            changes: changes
                .iter()
                .map(|change| PlannedChange::new(project, change, listing))
                .collect(),
        }
    }

    /// The plan that the facts describe, with the numbers of files that do not change; `None` if a
    /// change is not one that a plan can have.
    pub(crate) fn plan(&self, unchanged: u64, unmanaged: u64) -> Option<ProjectPlan> {
        let changes = self.changes.iter().map(|change| change.change(&self.to));
        Some(ProjectPlan {
            changes: changes.collect::<Option<_>>()?,
            unchanged,
            unmanaged,
            ..ProjectPlan::default()
        })
    }
}

impl PlannedClaims {
    fn new(patterns: &ClaimPatterns) -> Self {
        let mapping = |(from, to)| format!("{from} -> {to}");
        let mappings = patterns.mappings.iter().map(|one| (&one.from, &one.to));
        Self {
            include: patterns.include.clone(),
            exclude: patterns.exclude.clone(),
            mappings: mappings.map(mapping).collect(),
        }
    }
}

impl FileSet {
    fn of_sources(snapshot: &Snapshot) -> Self {
        let files = snapshot.files.iter().map(|(path, file)| {
            let version = Entry {
                mode: file.mode,
                id: file.id,
            };
            (path, version, file.source.as_bytes())
        });
        Self::new(files)
    }

    /// The entries of the codex that the project claims.
    fn of_codex(project: &Project, snapshot: &Snapshot, listing: &Listing) -> Self {
        let is_claimed = |path: &BString, entry: Entry| {
            snapshot.files.contains_key(path)
                || (can_be_published(path, entry) && project.claims.owns(path))
        };
        let entries = listing.entries.iter();
        let claimed = entries.filter(|(path, entry)| is_claimed(path, **entry));
        Self::new(claimed.map(|(path, entry)| (path, *entry, &[][..])))
    }

    /// The set of these files, each with its path and with the path of its source.
    fn new<'f>(files: impl Iterator<Item = (&'f BString, Entry, &'f [u8])>) -> Self {
        let mut count = 0;
        let mut text = Vec::new();
        for (path, entry, source) in files {
            count += 1;
            for part in [path.as_bytes(), source] {
                text.extend_from_slice(&(part.len() as u64).to_le_bytes());
                text.extend_from_slice(part);
            }
            text.extend_from_slice(entry.mode.octal());
            text.extend_from_slice(&entry.id.0);
        }
        Self {
            files: count,
            digest: hash(Kind::Blob, &text),
        }
    }
}

impl PlannedChange {
    fn new(project: &Project, change: &Change, listing: &Listing) -> Self {
        let file = change.op.file();
        let before = listing.entries.get(&change.path);
        Self {
            op: match change.op {
                Op::Added(_) => PlannedOp::Added,
                Op::Modified(_) => PlannedOp::Modified,
                Op::Deleted => PlannedOp::Deleted,
            },
            path: escaped(&project.to.join(change.path.as_bstr())).to_string(),
            source: file.map(|file| escaped(&file.source).to_string()),
            size: file.map(|file| file.size),
            after: file.map(|file| PlannedVersion::new(file.mode, file.id)),
            before: before.map(|entry| PlannedVersion::new(entry.mode, entry.id)),
        }
    }

    /// The change of a plan, whose paths are relative to the directory `to`.
    fn change(&self, to: &str) -> Option<Change> {
        let path = self.path.strip_prefix(to)?.strip_prefix('/')?;
        let file = || {
            let after = self.after.as_ref()?;
            Some(SourceFile {
                source: self.source.as_deref()?.into(),
                id: after.id,
                mode: Mode::from_octal(after.mode.as_bytes())?,
                size: self.size?,
            })
        };
        Some(Change {
            path: path.into(),
            op: match self.op {
                PlannedOp::Added => Op::Added(file()?),
                PlannedOp::Modified => Op::Modified(file()?),
                PlannedOp::Deleted => Op::Deleted,
            },
        })
    }
}

impl PlannedVersion {
    fn new(mode: Mode, id: ObjectId) -> Self {
        Self {
            mode: mode.octal().as_bstr().to_string(),
            id,
        }
    }
}
