//! Reads, compresses, sends and keeps the file contents of a push in one pass.
//!
//! A push carries trees and commits, which are in the clone, and the contents of new files, which
//! are read when they are sent. So a push takes as long as the slower of reading and sending, and
//! memory holds a few megabytes whatever the size of the push. The contents are also written to a
//! pack in the clone, because they may have to be sent again: after a login, or on top of another
//! commit.

use std::collections::HashSet;
use std::io::{self, Write};

use rayon::prelude::*;

use super::objects::pack::{self, Encoded, PackWriter};
use super::store::Store;
use crate::object::{Kind, ObjectId};

/// The uncompressed size of the contents that are in memory at a time, twice: read and compressed,
/// and being written.
const BATCH: u64 = 8 << 20;
/// The size of the first batch. It is smaller, so that the first bytes are sent early.
const FIRST_BATCH: u64 = 512 << 10;
/// The maximum number of files in a batch.
const BATCH_FILES: usize = 512;

/// The contents of new files, as a transport needs them. After an error in reading them the push
/// cannot be completed.
pub(crate) trait PushContents {
    /// The ids of all contents of the push, each once. Those that are not [pending](Self::pending)
    /// are in packs of the clone.
    fn ids(&self) -> &[ObjectId];

    /// The contents that no pack of the clone holds yet.
    fn pending(&self) -> Pending;

    /// Reads the pending contents into a pack of the clone. `done` is called with the number of
    /// contents so far.
    fn keep(&mut self, done: &mut dyn FnMut(u32)) -> io::Result<()>;

    /// Reads the contents and sends them to `out`, as objects of a pack. Nothing may have been read
    /// before.
    fn send(&mut self, out: &mut dyn Write, done: &mut dyn FnMut(u32)) -> io::Result<()>;
}

/// Contents that are not in the clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The number of files.
    pub count: u32,
    /// The size of all contents together, uncompressed.
    pub bytes: u64,
    /// Whether some of these contents were read and sent before.
    pub is_begun: bool,
}

/// A new file of a push.
pub(crate) struct NewFile<S> {
    /// The id of the blob with the contents.
    pub id: ObjectId,
    /// The size of the contents, in bytes.
    pub size: u64,
    /// The source from which the contents are read.
    pub source: S,
}

/// The contents of files that `read` reads from a source `S`.
pub(crate) struct FileContents<'s, S, E, R> {
    store: &'s Store,
    ids: Vec<ObjectId>,
    /// The files whose contents no pack of the clone held at the beginning.
    files: Vec<NewFile<S>>,
    read: R,
    /// The pack of these contents, once reading began and until it is complete.
    writer: Option<PackWriter>,
    is_complete: bool,
    failure: Option<E>,
}

impl<'s, S, E, R> FileContents<'s, S, E, R>
where
    S: Sync,
    E: Send + From<io::Error>,
    R: Fn(&S) -> Result<Vec<u8>, E> + Sync,
{
    /// The contents of `files`, for a push from `store`. Contents that an earlier push of this run
    /// has read are not read again, and contents of several files are read once.
    pub(crate) fn new(store: &'s Store, files: Vec<NewFile<S>>, read: R) -> Self {
        let mut seen = HashSet::new();
        let mut files = files;
        files.retain(|file| seen.insert(file.id));
        let ids = files.iter().map(|file| file.id).collect();

        let packs = store.written();
        files.retain(|file| !packs.iter().any(|pack| pack.blobs.contains_key(&file.id)));
        drop(packs);
        Self {
            store,
            ids,
            is_complete: files.is_empty(),
            files,
            read,
            writer: None,
            failure: None,
        }
    }

    /// The reason why the push cannot be completed, if there is one.
    pub(crate) fn into_failure(mut self) -> Option<E> {
        self.failure.take()
    }

    /// Reads the rest of the files, and passes each on to the pack in the clone and to `out`.
    fn read_rest(&mut self, out: &mut dyn Write, done: &mut dyn FnMut(u32)) -> io::Result<()> {
        if self.is_complete {
            return Ok(());
        }
        let _span = tracing::debug_span!("copy", files = self.files.len()).entered();
        match self.try_read_rest(out, done) {
            Ok(()) => Ok(()),
            Err(Stop::Out(error)) => Err(error),
            Err(Stop::Contents(failure)) => {
                self.failure = Some(failure);
                Err(io::Error::other("the contents of the push are incomplete"))
            }
        }
    }

    /// Reads the files that no earlier attempt has passed on, in batches that double up to a limit.
    /// The pack in the clone keeps each file, so that another attempt does not read it again.
    fn try_read_rest(
        &mut self,
        out: &mut dyn Write,
        done: &mut dyn FnMut(u32),
    ) -> Result<(), Stop<E>> {
        let Self {
            store, files, read, ..
        } = self;
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => store.new_pack(files.len() as u32)?,
        };
        let writer = self.writer.insert(writer);

        let mut rest = &files[writer.count() as usize..];
        let mut limit = FIRST_BATCH;
        let mut ready: Vec<Encoded> = Vec::new();
        while !rest.is_empty() || !ready.is_empty() {
            let (batch, behind) = rest.split_at(batch_length(rest, limit));
            rest = behind;
            limit = (limit * 2).min(BATCH);

            // One batch is passed on while the next is read and compressed. `out` cannot move to
            // another thread.
            let mut encoded = Ok(Vec::new());
            let mut passed = Ok(());
            rayon::in_place_scope(|scope| {
                scope.spawn(|_| encoded = encode(batch, &*read));
                passed = ready
                    .iter()
                    .try_for_each(|object| pass_on(object, writer, out));
            });
            passed?;
            done(writer.count());
            ready = encoded.map_err(Stop::Contents)?;
        }

        if let Some(writer) = self.writer.take() {
            store.add_pack(writer.finish()?);
        }
        self.is_complete = true;
        Ok(())
    }
}

impl<S, E, R> PushContents for FileContents<'_, S, E, R>
where
    S: Sync,
    E: Send + From<io::Error>,
    R: Fn(&S) -> Result<Vec<u8>, E> + Sync,
{
    fn ids(&self) -> &[ObjectId] {
        &self.ids
    }

    fn pending(&self) -> Pending {
        let files: &[_] = if self.is_complete { &[] } else { &self.files };
        Pending {
            count: files.len() as u32,
            bytes: files.iter().map(|file| file.size).sum(),
            is_begun: self.writer.is_some(),
        }
    }

    fn keep(&mut self, done: &mut dyn FnMut(u32)) -> io::Result<()> {
        self.read_rest(&mut io::sink(), done)
    }

    fn send(&mut self, out: &mut dyn Write, done: &mut dyn FnMut(u32)) -> io::Result<()> {
        self.read_rest(out, done)
    }
}

/// Contents that were read and not completed are of use for the next push of the run.
impl<S, E, R> Drop for FileContents<'_, S, E, R> {
    fn drop(&mut self) {
        let begun = self.writer.take().filter(|writer| writer.count() > 0);
        match begun.map(PackWriter::finish_early) {
            Some(Ok(written)) => self.store.add_pack(written),
            Some(Err(error)) => tracing::debug!(%error, "the contents that were read are not kept"),
            None => {}
        }
    }
}

/// Why not all contents were passed on.
enum Stop<E> {
    /// A file could not be read, or the clone not be written.
    Contents(E),
    /// The receiver failed.
    Out(io::Error),
}

/// An error in writing the clone.
impl<E: From<io::Error>> From<io::Error> for Stop<E> {
    fn from(error: io::Error) -> Self {
        Self::Contents(error.into())
    }
}

/// Reads and compresses files in parallel.
fn encode<S: Sync, E: Send>(
    files: &[NewFile<S>],
    read: &(impl Fn(&S) -> Result<Vec<u8>, E> + Sync),
) -> Result<Vec<Encoded>, E> {
    files
        .par_iter()
        .map(|file| Ok(pack::whole(file.id, Kind::Blob, &read(&file.source)?)))
        .collect()
}

/// Keeps and sends one object.
fn pass_on<E: From<io::Error>>(
    object: &Encoded,
    writer: &mut PackWriter,
    out: &mut dyn Write,
) -> Result<(), Stop<E>> {
    writer.append(object)?;
    object.write_whole(out).map_err(Stop::Out)
}

/// The number of the next files that make a batch of at most `limit` bytes, but at least one.
fn batch_length<S>(files: &[NewFile<S>], limit: u64) -> usize {
    let mut total = 0;
    let fits = files.iter().take(BATCH_FILES).take_while(|file| {
        total += file.size;
        total <= limit
    });
    fits.count().max(1).min(files.len())
}
