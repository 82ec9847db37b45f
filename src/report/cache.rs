//! The JSON documents of `cache list`, `cache status` and `cache clear`. Their schemas are
//! `schemas/cache-*.schema.json`.

use schemars::JsonSchema;
use serde::Serialize;

use super::ErrorReport;

/// The result of a `cache` command. If no cache can be read, the document has `error` and `exit_code`
/// instead of `caches`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Document")]
pub(crate) struct CacheDocument<T> {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The caches, in the order of their paths.
    pub caches: Vec<CachePart<T>>,
}

/// One cache.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum CachePart<T> {
    /// The command was carried out.
    Done(T),
    /// The command failed for this cache.
    Failed(FailedCache),
}

/// A cache for which a command failed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FailedCache {
    /// The directory of the cache.
    pub path: String,
    /// The reason.
    pub error: ErrorReport,
}

/// The files of a cache (`cache list`).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ListedCache {
    /// The directory of the cache.
    pub path: String,
    /// The selected files.
    pub files: Vec<ListedFileDocument>,
}

/// A file of a cache.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListedFile")]
pub(crate) struct ListedFileDocument {
    /// The path in the cache and in the codex.
    pub path: String,
    /// The id of the contents in git, as a sync wrote them.
    pub id: String,
    /// The projects that the file belongs to.
    pub projects: Vec<String>,
    /// The size in bytes; `null` if it is not recorded.
    pub size: Option<u64>,
    /// The time of the last sync that requested the file, in seconds since the epoch.
    pub time: i64,
    /// The difference from the version that a sync wrote.
    pub status: ListedFileStatus,
}

/// The status of a file of a cache.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ListedFileStatus {
    /// As a sync wrote it.
    Fresh,
    /// Modified locally.
    Modified,
    /// Deleted locally.
    Missing,
}

/// The state of a cache (`cache status`).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CacheState {
    /// The directory of the cache.
    pub path: String,
    /// Whether all files are complete and as syncs wrote them.
    pub status: CacheHealth,
    /// The number of files.
    pub files: usize,
    /// Their size in bytes, as far as it is recorded.
    pub bytes: u64,
    /// The syncs that the files are from, one per project and reason.
    pub projects: Vec<CachedSync>,
    /// The paths of the files that were modified locally.
    pub changed: Vec<String>,
    /// The paths of the files that were deleted locally.
    pub missing: Vec<String>,
}

/// Whether a cache can be used as it is.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CacheHealth {
    /// All files are complete and as syncs wrote them.
    Healthy,
    /// Files are missing or were modified locally, or a sync was not complete.
    Degraded,
}

/// The last sync of a project that wrote to a cache.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CachedSync {
    /// The project.
    pub project: String,
    /// Whether the project published the files or pulled them.
    pub reason: CachedSyncReason,
    /// The number of files.
    pub files: usize,
    /// The URL of the codex, without secrets.
    pub remote: String,
    /// The branch of the codex.
    pub branch: String,
    /// The commit that the files are from; `null` for a codex without commits.
    pub tip: Option<String>,
    /// The time of the sync, in seconds since the epoch.
    pub time: i64,
    /// Whether all files are in the cache.
    pub complete: bool,
}

/// The reason why a project has files in a cache.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CachedSyncReason {
    /// The project published them.
    Published,
    /// The project pulled them.
    Pulled,
}

/// The result for a cache (`cache clear`).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ClearedCache {
    /// The directory of the cache.
    pub path: String,
    /// Whether the files were only listed.
    pub dry_run: bool,
    /// The number of removed files.
    pub removed: usize,
    /// Their paths.
    pub removed_files: Vec<String>,
    /// The paths of the files that are kept because they were modified locally.
    pub kept: Vec<String>,
    /// The files that cannot be removed.
    pub failed: Vec<UnremovedFile>,
}

/// A file that cannot be removed from a cache.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UnremovedFile {
    /// The path.
    pub path: String,
    /// The reason.
    pub error: String,
}
