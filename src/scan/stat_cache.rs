//! What is known of files from the last scan, so that an unchanged file is not read again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use bstr::{BStr, BString, ByteSlice};

use crate::object::{Kind, ObjectId, hash};
use crate::platform::{self, bytes_of};
use crate::record::{self, Reader};
use crate::stat::{self, Stat, Time};

const HEAD: &str = "fractary-codex stat cache 1";

/// What is known, by path below the root.
type Known = HashMap<BString, (Stat, ObjectId)>;

/// The cache of one root.
pub struct StatCache {
    path: Option<PathBuf>,
    known: Known,
    /// The file system's time when the known entries were taken.
    taken: Time,
    /// The file system's time at the start of this scan; without it nothing is kept.
    now: Option<Time>,
    seen: Mutex<Seen>,
    news: Option<Sender<()>>,
}

#[derive(Default)]
struct Seen {
    entries: Vec<(BString, Stat, ObjectId)>,
    news: bool,
}

/// How the caches of a run are used.
#[derive(Debug, Clone)]
pub struct StatCachePolicy {
    /// Where they lie.
    pub directory: PathBuf,
    /// Whether entries are believed (`--rescan` does not).
    pub trust: bool,
    /// Whether they are written; a dry run writes nothing.
    pub keep: bool,
    /// Is told of each file whose contents are found to be others than at the last scan: whoever needs to know whether
    /// anything changed need not wait for the end.
    pub news: Option<Sender<()>>,
}

impl StatCache {
    /// Opens the cache for the directory at `root`, empty where there is none or where it is not to be believed.
    pub fn open(policy: &StatCachePolicy, root: &Path) -> Self {
        let key = hash(Kind::Blob, bytes_of(root));
        let path = policy.directory.join("stat").join(key.to_string());
        let read = || record::read(&path, HEAD).and_then(|body| decode(&body, root));
        let (taken, known) = policy.trust.then(read).flatten().unwrap_or_default();
        let now = policy
            .keep
            .then(|| platform::file_system_time(root))
            .flatten();
        let (seen, news) = (Mutex::default(), policy.news.clone());
        Self {
            path: policy.keep.then_some(path),
            known,
            taken,
            now,
            seen,
            news,
        }
    }

    /// The id of the file at `source`, if it is surely the one that was hashed before. `keeps_change_times` is as in
    /// [`Stat::is_surely`].
    pub(super) fn lookup(
        &self,
        source: &BStr,
        stat: Stat,
        keeps_change_times: impl FnOnce() -> bool,
    ) -> Option<ObjectId> {
        let (known, id) = self.known.get(source)?;
        stat.is_surely(known, self.taken, keeps_change_times)
            .then_some(*id)
    }

    /// Takes notice of a file; `fresh` if it was read just now.
    pub(super) fn note(&self, source: &BStr, stat: Stat, id: ObjectId, fresh: bool) {
        let is_another = || {
            self.known
                .get(source)
                .map_or(!self.known.is_empty(), |(_, before)| *before != id)
        };
        if let Some(news) = self.news.as_ref().filter(|_| fresh && is_another()) {
            // Nobody listens any more once they know.
            let _ = news.send(());
        }
        if self.now.is_some() {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entries.push((source.into(), stat, id));
            seen.news |= fresh;
        }
    }

    /// Writes the cache if there is news. A cache that cannot be written is only slower.
    pub(super) fn save(self, root: &Path) {
        let (Some(path), Some(now)) = (self.path, self.now) else {
            return;
        };
        let mut seen = self
            .seen
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if !seen.news && seen.entries.len() == self.known.len() {
            return;
        }
        seen.entries.sort_by(|a, b| a.0.cmp(&b.0));
        if let Err(error) = record::write(&path, HEAD, &encode(root, now, &seen.entries)) {
            tracing::debug!(path = %path.display(), %error, "the stat cache is not kept");
        }
    }
}

fn encode(root: &Path, now: Time, entries: &[(BString, Stat, ObjectId)]) -> Vec<u8> {
    let mut body = Vec::with_capacity(entries.len() * 140);
    record::push_bytes(&mut body, bytes_of(root));
    stat::push_time(&mut body, now);
    for (source, stat, id) in entries {
        record::push_bytes(&mut body, source);
        stat.push(&mut body);
        body.extend_from_slice(&id.0);
    }
    body
}

fn decode(body: &[u8], root: &Path) -> Option<(Time, Known)> {
    let mut reader = Reader(body);
    if reader.bytes()? != bytes_of(root) {
        return None;
    }
    let taken = stat::read_time(&mut reader)?;
    let mut known = HashMap::new();
    while !reader.0.is_empty() {
        let source = reader.bytes()?.as_bstr().to_owned();
        known.insert(
            source,
            (Stat::read(&mut reader)?, ObjectId(reader.array()?)),
        );
    }
    Some((taken, known))
}
