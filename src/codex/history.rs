//! Who was last synced when, as the codex's own history tells it: the trailers of the commits that syncs make.
//!
//! Anybody who may push may write such a commit, so what stands there is shown and never acted upon, and nothing in it
//! is taken for what it does not look like.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::source::SourceRevision;
use crate::object::ObjectId;
use crate::url::RemoteUrl;

/// A commit of the codex that synced a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncCommit {
    /// The commit.
    pub id: ObjectId,
    /// When it was made, in seconds since the epoch.
    pub time: i64,
    /// From where, if it tells.
    pub source: Option<SourceRevision>,
}

/// What a walk through the history found.
#[derive(Debug, Default)]
pub struct History {
    /// The newest sync of each project, by its name.
    pub syncs: BTreeMap<String, SyncCommit>,
    /// How many commits were looked at.
    pub commits: usize,
    /// Whether commits were missing: older ones may tell more.
    pub is_cut: bool,
}

/// Walks back from `tip`, newest first, until every one of `projects` is found or there is no more. `read` gives the
/// contents of a commit, or `None` where it is not there.
pub fn search(
    tip: ObjectId,
    projects: &BTreeSet<&str>,
    read: impl Fn(ObjectId) -> Option<Vec<u8>>,
) -> History {
    let mut history = History::default();
    let mut seen = HashSet::from([tip]);
    let mut pending = BTreeMap::new();
    let mut next = vec![tip];
    loop {
        for id in next.drain(..) {
            match read(id).as_deref().and_then(Commit::parse) {
                Some(commit) => drop(pending.insert((commit.time, id), commit)),
                None => history.is_cut = true,
            }
        }
        let Some(((time, id), Commit { parents, sync, .. })) = pending.pop_last() else {
            return history;
        };
        history.commits += 1;
        if let Some((project, source)) =
            sync.filter(|(project, _)| projects.contains(project.as_str()))
        {
            history
                .syncs
                .entry(project)
                .or_insert(SyncCommit { id, time, source });
            if history.syncs.len() == projects.len() {
                return history;
            }
        }
        next.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
    }
}

struct Commit {
    time: i64,
    parents: Vec<ObjectId>,
    /// The project that it synced, and from where.
    sync: Option<(String, Option<SourceRevision>)>,
}

impl Commit {
    fn parse(data: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(data);
        let (headers, message) = text.split_once("\n\n")?;
        let values = |label: &'static str| {
            headers
                .lines()
                .filter_map(move |line| line.strip_prefix(label))
        };
        // `Ada <ada@acme.example> 1700000000 +0000`
        let time = values("committer ")
            .next()?
            .rsplit(' ')
            .nth(1)?
            .parse()
            .ok()?;
        let parents = values("parent ").filter_map(ObjectId::from_hex).collect();
        let trailers = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
        let trailer = |key: &str| {
            trailers
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        };
        let sync = trailer("Codex-Project").map(|project| {
            let revision = trailer("Codex-Source-Commit").and_then(|text| {
                let (id, dirty) = text
                    .strip_suffix("-dirty")
                    .map_or((text, false), |id| (id, true));
                let url = trailer("Codex-Source")
                    .and_then(|url| RemoteUrl::parse(url, Path::new("/")).ok()?.public());
                Some(SourceRevision {
                    url,
                    commit: ObjectId::from_hex(id)?,
                    dirty,
                })
            });
            (project.to_owned(), revision)
        });
        Some(Self {
            time,
            parents,
            sync,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, hash};

    /// A history of messages, oldest first, a second apart, and its tip.
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
    fn the_newest_sync_of_each_project_is_found() {
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
        // With nobody left to look for, the rest is not read.
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
    fn what_is_no_trailer_of_ours_tells_nothing() {
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
