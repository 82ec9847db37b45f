//! The request of one owner for files in a cache, and its result.

use std::collections::{BTreeMap, BTreeSet};

use bstr::BString;

use super::refusal::Refusal;
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::plan::{Entry, ProjectPlan};

/// The complete list of files that one owner needs in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheRequest {
    /// The project, and the reason for which it needs the files.
    pub owner: CacheOwner,
    /// The record of this request in the manifest.
    pub record: RequestRecord,
    /// Regular files by their path in the codex. Files that the owner had and that are not in this
    /// map nor in `kept` are removed, unless another owner needs them.
    pub files: BTreeMap<BString, Entry>,
    /// Paths of other files that stay as they are if the owner has them.
    pub kept: BTreeSet<BString>,
    /// Whether the owner is removed from the manifest as soon as no file belongs to it.
    pub removes_owner: bool,
}

/// An owner of files. A project that publishes and pulls is two owners.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CacheOwner {
    /// The project.
    pub project: ProjectName,
    /// The reason for which the project needs the files.
    pub reason: Reason,
}

/// The reason why a project needs a file in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The project published the files.
    Published,
    /// The project's `from_codex` patterns select the files.
    Pulled,
}

/// The record of an owner's last request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestRecord {
    /// The codex's URL, without secrets.
    pub remote: String,
    /// The branch of the codex.
    pub branch: String,
    /// The commit that the files are from; `None` for a codex without commits.
    pub tip: Option<ObjectId>,
    /// A digest of the selected files or patterns. With the same digest and tip, the files are the
    /// same.
    pub digest: ObjectId,
    /// Whether all files are in the cache, none of them kept or refused.
    pub complete: bool,
    /// The time of the run, in seconds since the epoch.
    pub time: i64,
}

impl RequestRecord {
    /// Whether this request already got everything that `other` asks for.
    pub(crate) fn satisfies(&self, other: &Self) -> bool {
        self.tip == other.tip && self.satisfies_at_any_tip(other)
    }

    /// The same without comparing the tip, for requests whose digest covers the contents.
    pub(crate) fn satisfies_at_any_tip(&self, other: &Self) -> bool {
        self.complete
            && (&self.remote, &self.branch, self.digest)
                == (&other.remote, &other.branch, other.digest)
    }
}

/// The result of one request: the planned changes, or the changes that were made, once the plan was
/// applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestResult {
    /// The written and removed files. `unmanaged` counts the kept ones.
    pub plan: ProjectPlan,
    /// Paths that are not changed, with the reason.
    pub kept: Vec<(BString, KeepReason)>,
    /// Files that the cache did not write and that are deleted to make room for others. Empty
    /// unless `force` is set.
    pub replaced: Vec<BString>,
    /// Files that cannot be written or removed, with the reason.
    pub refused: Vec<(BString, Refusal)>,
}

/// The reason why a path is not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeepReason {
    /// The file differs from the version that the cache wrote. With `force` it is replaced or
    /// removed.
    Edited,
    /// Another request or owner has this file, which is above or below the path. Both cannot exist.
    InUse(BString),
}
