//! Who was published last and from where, as the codex's own commits say it in their trailers.

use std::collections::BTreeMap;

use super::store::Store;
use crate::object::ObjectId;
use crate::paths::escaped;

/// The last commit of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSync {
    /// The commit.
    pub commit: ObjectId,
    /// When, in seconds since the epoch.
    pub time: i64,
    /// The repository that it came from.
    pub source: Option<String>,
    /// The commit there, with `-dirty` behind it where not all was committed.
    pub revision: Option<String>,
}

/// The last sync of every project that the history behind `tip` names, as far as it was fetched, and how many commits that is.
pub fn last_syncs(store: &Store, tip: ObjectId) -> (BTreeMap<String, LastSync>, usize) {
    let (mut found, mut count) = (BTreeMap::new(), 0);
    for (commit, time, message) in store.history(tip) {
        count += 1;
        let trailer = |key: &str| {
            message
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix(key))
                .map(|text| escaped(text.as_bytes()).to_string())
        };
        if let Some(project) = trailer("Codex-Project: ") {
            let (source, revision) = (trailer("Codex-Source: "), trailer("Codex-Source-Commit: "));
            found.entry(project).or_insert(LastSync { commit, time, source, revision });
        }
    }
    (found, count)
}
