//! Finds the last sync of each project in the history of the codex, by the trailers of the commits
//! that syncs make.
//!
//! Every user with write access can make such a commit. The values are therefore untrusted: they
//! are only shown, never used for a decision, and malformed ones are ignored.

use std::collections::{BTreeMap, BTreeSet};

use super::commit::ParsedCommit;
use super::commit_message::{RecordedChange, SyncTrailers};
use super::commit_walk::CommitWalk;
use crate::codex::source_revision::SourceRevision;
use crate::object::ObjectId;

/// A commit of the codex that synced a project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncCommit {
    /// The commit.
    pub id: ObjectId,
    /// The committer time, in seconds since the epoch.
    pub time: i64,
    /// The name of the author.
    pub author: String,
    /// The source revision, if the commit has trailers for it.
    pub source: Option<SourceRevision>,
}

/// The result of [`search`].
#[derive(Debug, Default)]
pub(crate) struct SyncHistory {
    /// The newest sync of each project, by the project's name.
    pub syncs: BTreeMap<String, SyncCommit>,
    /// The result of [`other_projects`].
    pub others: BTreeMap<String, Option<String>>,
    /// The number of commits that were read.
    pub commits: usize,
    /// Whether the search met a missing commit, so that older syncs may exist.
    pub is_cut: bool,
}

/// Searches the history of `tip` for the last sync of each of `projects`, newest commits first,
/// until all are found.
///
/// `read` returns the contents of a commit, or `None` if the object is missing, as at the boundary
/// of a shallow clone.
pub(crate) fn search(
    tip: ObjectId,
    projects: &BTreeSet<&str>,
    read: impl Fn(ObjectId) -> Option<Vec<u8>>,
) -> SyncHistory {
    let mut history = SyncHistory::default();
    let mut walk = CommitWalk::new(&[tip], read);
    while history.syncs.len() < projects.len()
        && let Some((
            id,
            ParsedCommit {
                time,
                message,
                author,
                ..
            },
        )) = walk.next()
    {
        if let Some(SyncTrailers {
            project, source, ..
        }) = SyncTrailers::parse(&message)
            && projects.contains(project.as_str())
        {
            let name = author.rsplit_once('<').map_or(&*author, |(name, _)| name);
            let author = name.trim().to_owned();
            let commit = SyncCommit {
                id,
                time,
                author,
                source,
            };
            history.syncs.entry(project).or_insert(commit);
        }
    }
    history.commits = walk.commits;
    history.is_cut = walk.is_cut;
    history
}

/// The number of commits that are searched for other projects.
const MAX_OTHERS: usize = 4096;

/// Searches the newest commits in the history of `tip` for projects that are not in `known`, and
/// that syncs have published and not removed or renamed since. Returns each with the URL of its
/// source repository. `read` is the same function as for [`search`].
pub(crate) fn other_projects(
    tip: ObjectId,
    known: &BTreeSet<&str>,
    read: impl Fn(ObjectId) -> Option<Vec<u8>>,
) -> BTreeMap<String, Option<String>> {
    let mut others = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for (_, commit) in CommitWalk::new(&[tip], read).take(MAX_OTHERS) {
        let Some(sync) = SyncTrailers::parse(&commit.message) else {
            continue;
        };
        match sync.change {
            RecordedChange::Retired { .. } => {
                gone.insert(sync.project);
                continue;
            }
            RecordedChange::Moved(moved) => {
                gone.insert(moved.old);
            }
            RecordedChange::Synced => {}
        }
        if !gone.contains(&sync.project) && !known.contains(sync.project.as_str()) {
            let url = sync.source.and_then(|source| source.url);
            others.entry(sync.project).or_insert(url);
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, hash};

    /// A linear history of commits with these messages, oldest first and one second apart. Returns
    /// its tip and the contents of all commits.
    fn history(messages: &[&str]) -> (ObjectId, BTreeMap<ObjectId, Vec<u8>>) {
        let mut commits = BTreeMap::new();
        let mut tip: Option<ObjectId> = None;
        for (number, message) in messages.iter().enumerate() {
            let parent = tip.map(|tip| format!("parent {tip}\n")).unwrap_or_default();
            let who = format!("Ada <a@a> {} +0000", 1000 + number);
            let data = format!(
                "tree {}\n{parent}author {who}\ncommitter {who}\n\n{message}",
                "1".repeat(40)
            );
            let id = hash(Kind::Commit, data.as_bytes());
            commits.insert(id, data.into_bytes());
            tip = Some(id);
        }
        (tip.unwrap(), commits)
    }

    const REVISION: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn newest_sync_of_each_project_is_found() {
        let trailers = format!(
            "Sync\n\nCodex-Project: a\nCodex-Source: https://h/o/r.git\nCodex-Source-Commit: {REVISION}-dirty\n"
        );
        let messages = [
            "Sync\n\nCodex-Project: a\n",
            "Sync\n\nCodex-Project: b\n",
            &trailers,
            "By hand\n",
        ];
        let (tip, mut commits) = history(&messages);
        let wanted = BTreeSet::from(["a", "b", "c"]);
        let found = search(tip, &wanted, |id| commits.get(&id).cloned());
        assert_eq!((found.commits, found.is_cut), (4, false));
        let times: Vec<_> = found
            .syncs
            .iter()
            .map(|(name, sync)| (name.as_str(), sync.time))
            .collect();
        assert_eq!(times, [("a", 1002), ("b", 1001)]);
        let source = found.syncs["a"].source.clone().unwrap();
        assert_eq!(
            (source.url.as_deref(), source.dirty),
            (Some("https://h/o/r.git"), true)
        );
        assert_eq!(source.commit.to_string(), REVISION);
        // Once every project is found, older commits are not read.
        assert_eq!(
            search(tip, &BTreeSet::from(["a"]), |id| commits.get(&id).cloned()).commits,
            2
        );
        let first = *commits
            .keys()
            .find(|id| commits[*id].windows(6).all(|part| part != b"parent"))
            .unwrap();
        commits.remove(&first);
        assert!(search(tip, &wanted, |id| commits.get(&id).cloned()).is_cut);
    }

    #[test]
    fn malformed_trailers_are_ignored() {
        for (message, expected) in [
            ("Codex-Project: a\n\nmore", None),
            ("Sync\n\nCodex-Project:a", None),
            (
                "Sync\n\nCodex-Project: a\nCodex-Source-Commit: HEAD",
                Some(None),
            ),
            (
                "Sync\n\nCodex-Project: a\nCodex-Source-Commit: ",
                Some(None),
            ),
            ("Sync\n\nCodex-Project: <b>", None),
        ] {
            let (tip, commits) = history(&[message]);
            let mut found = search(tip, &BTreeSet::from(["a"]), |id| commits.get(&id).cloned());
            assert_eq!(
                found.syncs.remove("a").map(|sync| sync.source),
                expected,
                "{message}"
            );
        }
        let secret = format!(
            "x\n\nCodex-Project: a\nCodex-Source: https://u:pw@h/r\nCodex-Source-Commit: {REVISION}\n"
        );
        let (tip, commits) = history(&[&secret]);
        let found = search(tip, &BTreeSet::from(["a"]), |id| commits.get(&id).cloned());
        assert_eq!(
            found.syncs["a"].source.clone().unwrap().url.as_deref(),
            Some("https://h/r")
        );
    }
}
