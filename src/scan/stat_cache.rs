//! Remembers the ids of files from the last scan, so that an unchanged file is not read again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bstr::{BStr, BString, ByteSlice};

use crate::object::{Kind, ObjectId, hash};
use crate::platform::{self, ChangeTimes, bytes_of};
use crate::record::{self, RecordDirectory, RecordReader};
use crate::stat::{Stat, Time};

const HEAD: &str = "fractary-codex stat cache 1";

/// The files of the last scan, by path below the root.
type Known = HashMap<BString, (Stat, ObjectId)>;

/// The cache of one root.
pub struct StatCache {
    /// The record that the cache is written to; `None` if it is not written.
    record: Option<(RecordDirectory, String)>,
    known: Known,
    /// The file system's time before the last scan read its first file.
    known_since: Time,
    /// The file system's time before this scan read its first file; `None` if it is unknown.
    now: OnceLock<Option<Time>>,
    pub(super) change_times: Arc<ChangeTimes>,
    seen: Mutex<Seen>,
    changed: Option<Sender<()>>,
}

/// The files of this scan.
#[derive(Default)]
struct Seen {
    entries: Vec<(BString, Stat, ObjectId)>,
    /// Whether a file was read, so that the cache has to be written.
    is_any_read: bool,
}

/// The use of the caches in a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StatCachePolicy {
    /// Whether the entries are used. `--rescan` reads every file again.
    pub trust: bool,
    /// Whether the caches are written. A dry run writes nothing.
    pub keep: bool,
    /// Notified as soon as a file differs from the last scan, so that the fetch can start before
    /// the scan ends.
    pub changed: Option<Sender<()>>,
    change_times: Arc<ChangeTimes>,
    /// The caches of this kind.
    records: RecordDirectory,
    /// The records of committed files.
    pub(super) committed: RecordDirectory,
}

impl StatCachePolicy {
    /// The caches in `directory`, used and written.
    pub fn new(directory: &Path) -> Self {
        Self {
            trust: true,
            keep: true,
            changed: None,
            change_times: Arc::default(),
            records: RecordDirectory::new(directory.join("stat")),
            committed: RecordDirectory::new(directory.join("committed")),
        }
    }
}

impl StatCache {
    /// Opens the cache for the directory at `root`. It is empty if it does not exist or if its
    /// entries are not to be used.
    pub fn open(policy: &StatCachePolicy, root: &Path) -> Self {
        let name = hash(Kind::Blob, &bytes_of(root)).to_string();
        let read = || decode(&policy.records.read(&name, HEAD)?, root);
        let (known_since, known) = policy.trust.then(read).flatten().unwrap_or_default();
        Self {
            record: policy.keep.then(|| (policy.records.clone(), name)),
            known,
            known_since,
            now: OnceLock::new(),
            change_times: policy.change_times.clone(),
            seen: Mutex::default(),
            changed: policy.changed.clone(),
        }
    }

    /// Takes the file system's time before the first file is read. A write after this moment gives a
    /// file a time that is not before it, and such times are not trusted. A scan that reads no file
    /// does not need the time, which costs a temporary file.
    pub(super) fn before_reading(&self, root: &Path) {
        if self.record.is_some() {
            self.now.get_or_init(|| platform::file_system_time(root));
        }
    }

    /// The id of the file at `source`, if it is certain that the file is the one that was hashed
    /// before. For `keeps_change_times` see [`Stat::is_surely`].
    pub(super) fn lookup(
        &self,
        source: &BStr,
        stat: Stat,
        keeps_change_times: impl FnOnce() -> bool,
    ) -> Option<ObjectId> {
        let (known, id) = self.known.get(source)?;
        stat.is_surely(known, self.known_since, keeps_change_times)
            .then_some(*id)
    }

    /// Records a file. `is_read` is whether it was read in this scan.
    pub(super) fn record(&self, source: &BStr, stat: Stat, id: ObjectId, is_read: bool) {
        let has_changed = || {
            self.known
                .get(source)
                .map_or(!self.known.is_empty(), |(_, before)| *before != id)
        };
        if let Some(changed) = self.changed.as_ref().filter(|_| is_read && has_changed()) {
            // The receiver is closed after the first notification.
            let _ = changed.send(());
        }
        if self.record.is_some() {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entries.push((source.into(), stat, id));
            seen.is_any_read |= is_read;
        }
    }

    /// Writes the cache if anything changed. If that fails, the next scan is only slower.
    pub(super) fn save(self, root: &Path) {
        // If no file was read, all entries are those of the last scan, with its time.
        let now = self.now.into_inner().unwrap_or(Some(self.known_since));
        let (Some((records, name)), Some(now)) = (self.record, now) else {
            return;
        };
        let mut seen = self
            .seen
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if !seen.is_any_read && seen.entries.len() == self.known.len() {
            return;
        }
        seen.entries.sort_by(|a, b| a.0.cmp(&b.0));
        let body = encode(root, now, &seen.entries);
        if let Err(error) = records.write(&name, HEAD, &body) {
            let path = records.path().join(name);
            tracing::debug!(path = %path.display(), %error, "cannot write the stat cache");
        }
    }
}

fn encode(root: &Path, now: Time, entries: &[(BString, Stat, ObjectId)]) -> Vec<u8> {
    let mut body = Vec::with_capacity(entries.len() * 140);
    record::push_bytes(&mut body, &bytes_of(root));
    record::push_time(&mut body, now);
    for (source, stat, id) in entries {
        record::push_bytes(&mut body, source);
        record::push_stat(&mut body, stat);
        body.extend_from_slice(&id.0);
    }
    body
}

fn decode(body: &[u8], root: &Path) -> Option<(Time, Known)> {
    let mut reader = RecordReader(body);
    if reader.bytes()? != bytes_of(root).as_bytes() {
        return None;
    }
    let since = reader.time()?;
    let mut known = HashMap::new();
    while !reader.0.is_empty() {
        let source = reader.bytes()?.as_bstr().to_owned();
        known.insert(source, (reader.stat()?, ObjectId(reader.array()?)));
    }
    Some((since, known))
}
