//! The reasons to withhold a project.

use std::collections::BTreeSet;
use std::fmt;

use bstr::BString;

use super::uncommitted_files::UncommittedFiles;
use crate::names::ProjectName;
use crate::object::Mode;
use crate::paths::{CodexPath, escaped};
use crate::text::pluralize;

/// The reason why a project is withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Withheld {
    /// An entry of the codex is in the place of a claimed path, or of a directory above it, and
    /// must not be replaced.
    Obstructed {
        /// The claimed path in the codex.
        claimed: BString,
        /// The path of the entry.
        obstacle: BString,
        /// The kind of the entry.
        mode: Mode,
    },
    /// No source file matches, or no file of the codex, and files would be deleted.
    NothingMatches {
        /// The place that they would be deleted from.
        from: DeletedFrom,
        /// The number of deletions.
        deleted: u64,
    },
    /// The guard does not allow so many deletions.
    TooManyDeletions {
        /// The place that the files would be deleted from.
        from: DeletedFrom,
        /// The number of claimed files that would be deleted.
        deleted: u64,
        /// The number of unclaimed files that `prune` would delete.
        pruned: u64,
        /// The number of claimed files in that place.
        claimed: u64,
    },
    /// The files to publish have findings of checks that withhold their project.
    Findings {
        /// The number of these findings.
        count: usize,
        /// The checks, as the names of their keys.
        checks: BTreeSet<&'static str>,
        /// The directory with the files that the new ones collide with, if it is another one.
        other_directory: Option<OtherDirectory>,
    },
    /// Files of the plan are not as in the commit that is checked out.
    Uncommitted(UncommittedFiles),
    /// The state of the sources cannot be compared with a commit.
    UnknownSourceState {
        /// The reason.
        reason: String,
    },
    /// Nothing is published from the branch that is checked out.
    SourceBranch {
        /// The branch.
        branch: String,
        /// The patterns of the branches to publish from.
        allowed: Vec<String>,
    },
    /// The branch of the sources is not known.
    UnknownSourceBranch {
        /// The reason.
        reason: String,
    },
    /// Others have changed files in the codex that would be overwritten or deleted.
    Drift {
        /// The number of files.
        count: usize,
    },
    /// Files in the codex would be overwritten or deleted, and it is not known whether others have
    /// changed them.
    UnknownDrift {
        /// The number of files.
        count: usize,
        /// The reason.
        reason: String,
    },
    /// All claimed files, at least five, would be deleted.
    NoneSurvives {
        /// The place that they would be deleted from.
        from: DeletedFrom,
        /// The number of claimed files in that place.
        claimed: u64,
    },
}

impl Withheld {
    /// The reason in a few words, without numbers and names.
    pub fn in_short(&self) -> &'static str {
        match self {
            Self::Obstructed { .. } => "path taken in the codex",
            Self::NothingMatches { .. } => "nothing matches",
            Self::TooManyDeletions { .. } => "too many deletions",
            Self::Findings { .. } => "findings of checks",
            Self::Uncommitted(_) => "uncommitted files",
            Self::UnknownSourceState { .. } => "unknown source state",
            Self::SourceBranch { .. } => "other source branch",
            Self::UnknownSourceBranch { .. } => "unknown source branch",
            Self::Drift { .. } => "changed by others",
            Self::UnknownDrift { .. } => "unknown changes of others",
            Self::NoneSurvives { .. } => "all files deleted",
        }
    }
}

/// A directory of the codex whose path differs from that of a project only in case or Unicode form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtherDirectory {
    /// The directory.
    pub path: CodexPath,
    /// The project that has published it from this workspace and has left it, if there is one.
    pub left_by: Option<ProjectName>,
}

/// The place that files would be deleted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeletedFrom {
    /// A publish would delete them from the codex.
    Codex,
    /// A pull would delete them from the local cache.
    Cache,
}

impl fmt::Display for DeletedFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Codex => "codex",
            Self::Cache => "cache",
        })
    }
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
            Self::NothingMatches { from, deleted } => {
                let what = match from {
                    DeletedFrom::Codex => "no source file",
                    DeletedFrom::Cache => "no file of the codex",
                };
                let files = pluralize(*deleted, "file");
                write!(
                    f,
                    "{what} matches, and {files} would be deleted from the {from}"
                )
            }
            Self::TooManyDeletions {
                from,
                deleted,
                pruned: 0,
                claimed,
            } => {
                write!(
                    f,
                    "{deleted} of {claimed} files would be deleted from the {from}"
                )
            }
            Self::TooManyDeletions {
                from,
                deleted,
                pruned,
                claimed,
            } => {
                let others = pluralize(*pruned, "unclaimed file");
                write!(
                    f,
                    "{deleted} of {claimed} files and {others} would be deleted from the {from}"
                )
            }
            Self::Drift { count } => {
                let files = pluralize(*count, "file");
                write!(
                    f,
                    "others have changed {files} in the codex since the last sync, which would be overwritten"
                )
            }
            Self::UnknownDrift { count, reason } => {
                let files = pluralize(*count, "file");
                write!(
                    f,
                    "{files} in the codex would be overwritten, and whether others have changed them is unknown: {reason}"
                )
            }
            Self::Findings { count, checks, .. } => {
                let checks: Vec<_> = checks.iter().map(|check| format!("`{check}`")).collect();
                let findings = pluralize(*count, "finding");
                write!(
                    f,
                    "{findings} of {} in the files to publish",
                    checks.join(", ")
                )
            }
            Self::Uncommitted(files) => write!(f, "{files}"),
            Self::UnknownSourceState { reason } => {
                write!(f, "the files cannot be compared with a commit: {reason}")
            }
            Self::SourceBranch { branch, allowed } => {
                let branch = escaped(branch.as_bytes());
                let allowed: Vec<_> = allowed.iter().map(|one| format!("`{one}`")).collect();
                let allowed = allowed.join(", ");
                write!(
                    f,
                    "the source branch is `{branch}`, and `branches` has {allowed}"
                )
            }
            Self::UnknownSourceBranch { reason } => {
                write!(f, "the source branch is not known: {reason}")
            }
            Self::NoneSurvives { from, claimed } => {
                write!(f, "all {claimed} files in the {from} would be deleted")
            }
        }
    }
}
