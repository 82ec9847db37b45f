//! Errors of the local cache and of the clone of the codex.

use std::collections::BTreeSet;
use std::io;

use bstr::BString;

use super::wording::sources;
use crate::cache::{CONTROL, CacheError, Refusal, RefusalKind};
use crate::codex::store::StoreError;
use crate::paths::shown;
use crate::report::ErrorReport;

/// The hints for paths that could not be written to a cache, one for each kind of reason.
pub(super) fn refusal_hints(entries: &[(BString, Refusal)]) -> Vec<String> {
    let kinds: BTreeSet<_> = entries.iter().map(|(_, refusal)| refusal.kind).collect();
    let hints = kinds.into_iter().filter_map(|kind| match kind {
        RefusalKind::Name => Some(
            "paths that this file system cannot have: rename them in the codex, or exclude them with `sync.from_codex.exclude`",
        ),
        RefusalKind::Permission => {
            Some("make the directories of these paths in the cache writable for this user")
        }
        RefusalKind::Other => None,
    });
    hints.map(str::to_owned).collect()
}

/// Reports that a cache cannot be used.
pub(in crate::cli) fn of_cache(error: &CacheError) -> ErrorReport {
    let (kind, hint) = cache_kind_and_hint(error);
    ErrorReport {
        kind: kind.into(),
        message: error.to_string(),
        hints: hint.into_iter().collect(),
        causes: sources(error),
        ..ErrorReport::default()
    }
}

/// The identifier of an error of a cache, and the suggestion for it.
pub(super) fn cache_kind_and_hint(error: &CacheError) -> (&'static str, Option<String>) {
    let (kind, hint) = match error {
        CacheError::Write { source, .. } if is_full(source) => (
            "disk-full",
            "free some space; the existing files are unchanged",
        ),
        CacheError::Record { source, .. } if is_full(source) => {
            ("disk-full", "free some space, and run again")
        }
        CacheError::Open { .. } | CacheError::Write { .. } | CacheError::Record { .. } => (
            "cache",
            "make it writable, or set `cache.dir` to another directory",
        ),
        CacheError::Damaged { path, file } => {
            let hint = format!(
                "delete the directory, and the next sync writes it again; to keep local edits, delete only `{}`",
                shown(&path.join(CONTROL).join(file))
            );
            return ("cache", Some(hint));
        }
        CacheError::Interrupted(_) => return ("interrupted", None),
    };
    (kind, Some(hint.to_owned()))
}

/// Whether the disk is full, or the quota of the user is used up.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// The identifier of an error of the clone.
pub(super) fn store_kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Write { source, .. } if is_full(source) => "disk-full",
        StoreError::Write { kept: true, .. } => "kept-clone",
        StoreError::Write { .. } => "temporary-clone",
        StoreError::Git(_) | StoreError::Tree(_) | StoreError::Blob(_) => "codex-unreadable",
    }
}

/// The suggestion for an error of the clone: it depends on whether the clone is kept, and on
/// whether the disk is full.
pub(super) fn store_hint(error: &StoreError) -> String {
    let (is_kept, is_full) = match error {
        StoreError::Write { kept, source, .. } => (*kept, is_full(source)),
        StoreError::Git(_) | StoreError::Tree(_) | StoreError::Blob(_) => {
            return "check the codex with `git fsck --strict`".to_owned();
        }
    };
    let fix = if is_full {
        "free some space"
    } else if is_kept {
        "make it writable"
    } else {
        "make it a writable directory"
    };
    let alternative = if is_kept {
        "set `clone.strategy: temp`"
    } else {
        "set `TMPDIR` to another directory"
    };
    format!("{fix}, or {alternative}")
}
