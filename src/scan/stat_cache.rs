//! What is known of files from the last scan, so that an unchanged file is not read again.
//!
//! A file counts as unchanged when size, modification and change time and inode are what they were, and both times lie
//! before the moment of that scan as the file's own file system tells it: a file written within the clock's resolution
//! after it was hashed looks the same, so such entries are not believed (git's "racy" rule).

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bstr::{BStr, BString, ByteSlice};

use crate::object::{Kind, ObjectId, hash};
use crate::record::{self, Reader};

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
}

#[derive(Default)]
struct Seen {
    entries: Vec<(BString, Stat, ObjectId)>,
    news: bool,
}

/// Seconds and nanoseconds.
type Time = (i64, i64);

/// What tells a file from its later self.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size: u64,
    inode: u64,
    modified: Time,
    changed: Time,
}

impl Stat {
    pub(super) fn of(stat: &rustix::fs::Stat) -> Self {
        Self {
            size: stat.st_size.cast_unsigned(),
            inode: stat.st_ino,
            modified: (stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
            changed: (stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
        }
    }
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
}

impl StatCache {
    /// Opens the cache for the directory at `root`, empty where there is none or where it is not to be believed.
    pub fn open(policy: &StatCachePolicy, root: &Path) -> Self {
        let key = hash(Kind::Blob, root.as_os_str().as_bytes());
        let path = policy.directory.join("stat").join(key.to_string());
        let read = || record::read(&path, HEAD).and_then(|body| decode(&body, root));
        let (taken, known) = policy.trust.then(read).flatten().unwrap_or_default();
        let now = policy.keep.then(|| file_system_time(root)).flatten();
        Self { path: policy.keep.then_some(path), known, taken, now, seen: Mutex::default() }
    }

    /// The id of the file at `source`, if it is the one that was hashed before.
    pub(super) fn lookup(&self, source: &BStr, stat: Stat) -> Option<ObjectId> {
        let (known, id) = self.known.get(source)?;
        let settled = stat.modified < self.taken && stat.changed < self.taken;
        (settled && *known == stat).then_some(*id)
    }

    /// Takes notice of a file; `fresh` if it was read just now.
    pub(super) fn note(&self, source: &BStr, stat: Stat, id: ObjectId, fresh: bool) {
        if self.now.is_some() {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entries.push((source.into(), stat, id));
            seen.news |= fresh;
        }
    }

    /// Writes the cache if there is news. A cache that cannot be written is only slower.
    pub(super) fn save(self, root: &Path) {
        let (Some(path), Some(now)) = (self.path, self.now) else { return };
        let mut seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !seen.news && seen.entries.len() == self.known.len() {
            return;
        }
        seen.entries.sort_by(|a, b| a.0.cmp(&b.0));
        if let Err(error) = record::write(&path, HEAD, &encode(root, now, &seen.entries)) {
            tracing::debug!(path = %path.display(), %error, "the stat cache is not kept");
        }
    }
}

/// The file system's own idea of now: the time of a file without a name. `None` where it cannot have one.
fn file_system_time(root: &Path) -> Option<Time> {
    let meta = tempfile::tempfile_in(root).ok()?.metadata().ok()?;
    Some((meta.mtime(), meta.mtime_nsec()))
}

fn encode(root: &Path, now: Time, entries: &[(BString, Stat, ObjectId)]) -> Vec<u8> {
    let mut body = Vec::with_capacity(entries.len() * 140);
    record::push_bytes(&mut body, root.as_os_str().as_bytes());
    let push_time = |body: &mut Vec<u8>, time: Time| {
        body.extend_from_slice(&time.0.to_le_bytes());
        body.extend_from_slice(&time.1.to_le_bytes());
    };
    push_time(&mut body, now);
    for (source, stat, id) in entries {
        record::push_bytes(&mut body, source);
        body.extend_from_slice(&stat.size.to_le_bytes());
        body.extend_from_slice(&stat.inode.to_le_bytes());
        push_time(&mut body, stat.modified);
        push_time(&mut body, stat.changed);
        body.extend_from_slice(&id.0);
    }
    body
}

fn decode(body: &[u8], root: &Path) -> Option<(Time, Known)> {
    let mut reader = Reader(body);
    if reader.bytes()? != root.as_os_str().as_bytes() {
        return None;
    }
    let time = |reader: &mut Reader<'_>| Some((reader.number()?.cast_signed(), reader.number()?.cast_signed()));
    let taken = time(&mut reader)?;
    let mut known = HashMap::new();
    while !reader.0.is_empty() {
        let source = reader.bytes()?.as_bstr().to_owned();
        let (size, inode) = (reader.number()?, reader.number()?);
        let stat = Stat { size, inode, modified: time(&mut reader)?, changed: time(&mut reader)? };
        known.insert(source, (stat, ObjectId(reader.array()?)));
    }
    Some((taken, known))
}
