//! Packs on the side of the clone: fetched packs, packs that consist of parts of others, and the
//! boundary of the history.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use crate::codex::objects::pack::HashingWriter;
use crate::codex::remote::error::RemoteErrorKind;
use crate::codex::store::{Store, io_error};
use crate::event::{Event, Reporter, Stage};
use crate::object::ObjectId;

/// The length of the header of a pack: `PACK`, version, number of objects.
const HEADER: usize = 12;
/// The length of the checksum after the objects.
const CHECKSUM: u64 = 20;
/// The number of objects between two reports of progress.
const STEP: usize = 64;

/// A pack that is being received. It is indexed meanwhile, and added to the clone by
/// [`IncomingPack::finish`].
pub(super) struct IncomingPack<'s> {
    store: &'s Store,
    header: Vec<u8>,
    indexer: git2::Indexer<'s>,
}

impl<'s> IncomingPack<'s> {
    pub(super) fn new(store: &'s Store, reporter: Arc<dyn Reporter>) -> Result<Self, Failure> {
        let directory = packs(store);
        fs::create_dir_all(&directory).map_err(disk)?;
        let objects = store.repository().odb().map_err(indexing)?;
        let mut indexer =
            git2::Indexer::new(Some(&objects), &directory, 0o444, false).map_err(indexing)?;
        let mut next = 0;
        indexer.progress(move |progress| {
            let (done, total) = (progress.received_objects(), progress.total_objects());
            if done >= next || done == total {
                next = done + STEP;
                reporter.event(&Event::Progress {
                    stage: Stage::Fetch,
                    done: done as u64,
                    total: Some(total as u64),
                    files: None,
                    bytes: Some(progress.received_bytes() as u64),
                });
            }
            true
        });
        Ok(Self {
            store,
            header: Vec::with_capacity(HEADER),
            indexer,
        })
    }

    /// Adds the pack to the clone, and returns its path. A pack without objects is not added.
    pub(super) fn finish(self) -> Result<Option<PathBuf>, Failure> {
        let incomplete = || Failure::invalid("the server sent no pack");
        let count = self.header.get(HEADER - 4..).ok_or_else(incomplete)?;
        if count == [0; 4] {
            return Ok(None);
        }
        let name = self.indexer.commit().map_err(indexing)?;
        // Without this file, git would report the omitted objects as missing.
        let pack = packs(self.store).join(format!("pack-{name}.pack"));
        fs::write(pack.with_extension("promisor"), "").map_err(disk)?;
        let objects = self.store.repository().odb().map_err(indexing)?;
        objects.refresh().map_err(indexing)?;
        Ok(Some(pack))
    }
}

impl Write for IncomingPack<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let rest = HEADER - self.header.len();
        self.header.extend_from_slice(&data[..rest.min(data.len())]);
        self.indexer.write_all(data).map_err(|error| {
            let error = error.downcast::<git2::Error>();
            error.map_or_else(disk, indexing)
        })?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn packs(store: &Store) -> PathBuf {
    store.path().join("objects/pack")
}

/// The failure for an error of the disk.
fn disk(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Failure::new(RemoteErrorKind::DiskFull, error.to_string())
        }
        _ => Failure::new(RemoteErrorKind::Other, format!("the clone: {error}")),
    }
}

/// The failure for a damaged pack or an error of the disk, which libgit2 reports only as text.
fn indexing(error: git2::Error) -> Failure {
    match io_error(&error) {
        full if full.kind() != io::ErrorKind::Other => disk(full),
        _ => Failure::invalid(format!(
            "the pack that the server sent: {}",
            error.message()
        )),
    }
}

/// The commits whose parents are missing from the clone.
pub(super) fn shallow(store: &Store) -> Result<BTreeSet<ObjectId>, Failure> {
    match fs::read_to_string(store.path().join("shallow")) {
        Ok(text) => Ok(text.lines().filter_map(ObjectId::from_hex).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(disk(error)),
    }
}

/// Records the commits whose parents are missing from the clone.
pub(super) fn set_shallow(store: &Store, commits: &BTreeSet<ObjectId>) -> Result<(), Failure> {
    let path = store.path().join("shallow");
    if commits.is_empty() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(error)),
            _ => Ok(()),
        };
    }
    let text: String = commits.iter().map(|id| format!("{id}\n")).collect();
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(store.path())?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(disk)
}

/// A pack that consists of parts of other packs. Deltas refer to their bases by a distance within
/// their part, so a part is valid at any position.
#[derive(Default)]
pub(super) struct PackParts {
    parts: Vec<(PathBuf, Vec<Range<u64>>)>,
    count: u32,
}

impl PackParts {
    /// The new trees and commits up to `commits`, and those of the blobs `contents` that packs of
    /// this run contain.
    pub(super) fn of_push(store: &Store, commits: &[ObjectId], contents: &[ObjectId]) -> Self {
        let mut parts = Self::default();
        for commit in commits {
            parts.add_new(store, *commit);
        }
        for pack in &*store.written() {
            let places = contents.iter().filter_map(|id| pack.blobs.get(id));
            let mut places: Vec<_> = places.cloned().collect();
            places.sort_by_key(|place| place.start);
            for place in places {
                parts.add(&pack.path, place, 1);
            }
        }
        parts
    }

    /// Adds to the pack the trees and commits that this run created, up to `commit`. If `commit` was
    /// fetched, there are none.
    fn add_new(&mut self, store: &Store, commit: ObjectId) {
        let written = store.written();
        let own = written.iter().rfind(|pack| pack.contains(commit));
        let is_added = |path: &Path| self.parts.iter().any(|(added, _)| added == path);
        // The commits of one push are in one pack, so that no object is sent twice.
        if let Some(own) = own.filter(|own| !is_added(&own.path)) {
            self.add(&own.path, HEADER as u64..own.end, own.count);
        }
    }

    /// All objects of a pack.
    pub(super) fn of_whole(pack: &Path) -> io::Result<Self> {
        let mut header = [0; HEADER];
        let mut file = File::open(pack)?;
        file.read_exact(&mut header)?;
        let count = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        let end = file.metadata()?.len().saturating_sub(CHECKSUM);
        let mut parts = Self::default();
        parts.add(pack, HEADER as u64..end, count);
        Ok(parts)
    }

    /// Adds a range of a pack with `count` objects. Adjacent ranges are joined.
    fn add(&mut self, path: &Path, range: Range<u64>, count: u32) {
        self.count += count;
        match self.parts.last_mut() {
            Some((last, ranges)) if last == path => match ranges.last_mut() {
                Some(before) if before.end == range.start => before.end = range.end,
                _ => ranges.push(range),
            },
            _ => self.parts.push((path.to_owned(), Vec::from([range]))),
        }
    }

    /// The number of bytes that [`PackParts::write`] writes.
    pub(super) fn length(&self) -> u64 {
        let ranges = self.parts.iter().flat_map(|(_, ranges)| ranges);
        let body: u64 = ranges
            .map(|range| range.end.saturating_sub(range.start))
            .sum();
        HEADER as u64 + body + CHECKSUM
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Writes the pack.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_with(0, out, |_| Ok(()))
    }

    /// Writes the pack with `more` additional objects, which `rest` writes.
    pub(super) fn write_with(
        &self,
        more: u32,
        out: &mut dyn Write,
        rest: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut hashing = HashingWriter::new(&mut *out);
        hashing.write_all(b"PACK")?;
        hashing.write_all(&2u32.to_be_bytes())?;
        hashing.write_all(&(self.count + more).to_be_bytes())?;
        for (path, ranges) in &self.parts {
            let mut file = File::open(path)?;
            for range in ranges {
                file.seek(SeekFrom::Start(range.start))?;
                let length = range.end.saturating_sub(range.start);
                let copied = io::copy(&mut (&mut file).take(length), &mut hashing)?;
                if copied != length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        rest(&mut hashing)?;
        let checksum = hashing.checksum();
        out.write_all(&checksum)
    }
}
