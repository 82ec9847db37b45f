//! Writes new objects as one pack and its index. The pack is streamed, so memory use does not
//! depend on its size.
//!
//! For many small documents, loose objects or a library's general pack builder take five to twenty
//! times as long. The formats are git's pack version 2 and index version 2.
//!
//! Blobs and the first version of each tree are stored whole. A tree that replaces one written in
//! the same run is stored as a delta of it, because a run makes one commit per project, and each
//! commit has a new version of the codex's large trees. Delta chains are at most [`MAX_CHAIN`]
//! long, because git is slow to resolve long ones.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use libdeflater::{CompressionLvl, Compressor};
use sha1::{Digest, Sha1};
use tempfile::NamedTempFile;

use crate::object::{Kind, ObjectId};

/// The maximum length of a chain of deltas.
pub(crate) const MAX_CHAIN: u32 = 50;

/// A compressed object, ready to be appended to a pack.
pub struct Encoded {
    /// The object's id.
    pub id: ObjectId,
    form: Form,
    /// The uncompressed size of the contents or the delta, in bytes.
    size: usize,
    compressed: Vec<u8>,
}

enum Form {
    Whole(Kind),
    /// A delta of this object, which comes earlier in the same pack.
    Delta(ObjectId),
}

impl Encoded {
    /// Writes the object as it is in any pack. Returns an error for a delta, which depends on its
    /// place in the pack.
    pub fn write_whole(&self, out: &mut dyn Write) -> io::Result<()> {
        let Form::Whole(kind) = self.form else {
            return Err(io::Error::other("a delta cannot be written alone"));
        };
        out.write_all(&self.head_of_whole(kind))?;
        out.write_all(&self.compressed)
    }

    fn head_of_whole(&self, kind: Kind) -> Vec<u8> {
        let code = match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
        };
        let mut head = Vec::with_capacity(8);
        push_head(&mut head, code, self.size);
        head
    }
}

/// Encodes the object with this id and the contents `data` as a whole.
pub fn whole(id: ObjectId, kind: Kind, data: &[u8]) -> Encoded {
    Encoded {
        id,
        form: Form::Whole(kind),
        size: data.len(),
        compressed: compress(data),
    }
}

/// Encodes the object with this id and the contents `data` as a delta of `base`, which must be of
/// the same kind and come earlier in the pack.
pub(crate) fn delta(id: ObjectId, data: &[u8], base: ObjectId, base_data: &[u8]) -> Encoded {
    let instructions = delta_instructions(base_data, data);
    Encoded {
        id,
        form: Form::Delta(base),
        size: instructions.len(),
        compressed: compress(&instructions),
    }
}

fn compress(data: &[u8]) -> Vec<u8> {
    thread_local! {
        // The fastest level: documents are small and are sent only once, so a higher level costs
        // more than it saves.
        static COMPRESSOR: RefCell<Compressor> = RefCell::new(Compressor::new(CompressionLvl::fastest()));
    }
    COMPRESSOR.with_borrow_mut(|compressor| {
        let mut out = vec![0; compressor.zlib_compress_bound(data.len())];
        match compressor.zlib_compress(data, &mut out) {
            Ok(length) => out.truncate(length),
            Err(_) => unreachable!("the buffer has the size that the compressor asked for"),
        }
        out.shrink_to_fit();
        out
    })
}

/// Computes a delta for contents that differ in a single range: copy the common prefix, insert the
/// new bytes, copy the common suffix.
fn delta_instructions(base: &[u8], data: &[u8]) -> Vec<u8> {
    let prefix = common_prefix(base, data);
    let rest = base.len().min(data.len()) - prefix;
    let suffix = common_suffix(&base[base.len() - rest..], &data[data.len() - rest..]);

    let mut out = Vec::new();
    push_size(&mut out, base.len());
    push_size(&mut out, data.len());
    push_copy(&mut out, 0, prefix);
    for chunk in data[prefix..data.len() - suffix].chunks(127) {
        out.push(chunk.len() as u8);
        out.extend_from_slice(chunk);
    }
    push_copy(&mut out, base.len() - suffix, suffix);
    out
}

/// Equal blocks of this size are skipped with one comparison: two versions of a tree with thousands
/// of entries usually differ in a single entry.
const BLOCK: usize = 4096;

/// The length of the common prefix.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let same = a
        .chunks_exact(BLOCK)
        .zip(b.chunks_exact(BLOCK))
        .take_while(|(a, b)| a == b)
        .count()
        * BLOCK;
    same + a[same..]
        .iter()
        .zip(&b[same..])
        .take_while(|(a, b)| a == b)
        .count()
}

/// The length of the common suffix.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let same = a
        .rchunks_exact(BLOCK)
        .zip(b.rchunks_exact(BLOCK))
        .take_while(|(a, b)| a == b)
        .count()
        * BLOCK;
    same + a[..a.len() - same]
        .iter()
        .rev()
        .zip(b[..b.len() - same].iter().rev())
        .take_while(|(a, b)| a == b)
        .count()
}

/// Appends a size in the header of a delta: seven bits per byte, lowest first.
fn push_size(out: &mut Vec<u8>, mut size: usize) {
    while size >= 0x80 {
        out.push(size as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
}

/// Appends the instructions that copy a range of the base. One instruction copies less than 16 MiB;
/// bytes of offset and length that are zero are left out.
fn push_copy(out: &mut Vec<u8>, mut offset: usize, mut length: usize) {
    while length > 0 {
        let step = length.min(0xff_ffff);
        let command = out.len();
        out.push(0x80);
        for (bit, byte) in (offset as u32)
            .to_le_bytes()
            .into_iter()
            .chain((step as u32).to_le_bytes().into_iter().take(3))
            .enumerate()
        {
            if byte != 0 {
                out[command] |= 1 << bit;
                out.push(byte);
            }
        }
        offset += step;
        length -= step;
    }
}

/// A complete pack, with the position of each object.
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// The number of objects.
    pub count: u32,
    /// The offset of the checksum, which follows the last object.
    pub end: u64,
    /// File contents, each with its offset. They are stored whole.
    pub blobs: HashMap<ObjectId, Range<u64>>,
    /// Trees and commits.
    others: HashSet<ObjectId>,
}

impl Written {
    /// Whether the pack holds this tree or commit.
    pub fn contains(&self, id: ObjectId) -> bool {
        self.others.contains(&id)
    }
}

/// Writes a pack to a temporary file. Nothing is visible to git before [`finish`](Self::finish).
pub struct PackWriter {
    file: BufWriter<NamedTempFile>,
    sha: Sha1,
    offset: u64,
    expected: u32,
    index: Vec<IndexEntry>,
    /// Offsets of the objects that may be the base of a delta: all except blobs.
    offsets: HashMap<ObjectId, u64>,
}

struct IndexEntry {
    id: ObjectId,
    crc: u32,
    offset: u64,
}

impl PackWriter {
    /// Starts a pack of exactly `count` objects in `directory` (a repository's `objects/pack`).
    pub fn create(directory: &Path, count: u32) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = tempfile::Builder::new()
            .prefix("tmp_pack_")
            .tempfile_in(directory)?;
        let mut writer = Self {
            file: BufWriter::with_capacity(1 << 18, file),
            sha: Sha1::new(),
            offset: 0,
            expected: count,
            index: Vec::with_capacity(count as usize),
            offsets: HashMap::new(),
        };

        writer.put(b"PACK")?;
        writer.put(&2u32.to_be_bytes())?;
        writer.put(&count.to_be_bytes())?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sha.update(bytes);
        self.offset += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Appends one object. Returns an error if it is a delta whose base has not been appended
    /// before.
    pub fn append(&mut self, object: &Encoded) -> io::Result<()> {
        let head = self.head(object)?;

        let mut crc = libdeflater::Crc::new();
        crc.update(&head);
        crc.update(&object.compressed);
        self.index.push(IndexEntry {
            id: object.id,
            crc: crc.sum(),
            offset: self.offset,
        });
        if !matches!(object.form, Form::Whole(Kind::Blob)) {
            self.offsets.insert(object.id, self.offset);
        }
        self.put(&head)?;
        self.put(&object.compressed)
    }

    /// The bytes before the compressed data of an object that is appended next.
    fn head(&self, object: &Encoded) -> io::Result<Vec<u8>> {
        match object.form {
            Form::Whole(kind) => Ok(object.head_of_whole(kind)),
            Form::Delta(base) => {
                let base = self
                    .offsets
                    .get(&base)
                    .ok_or_else(|| io::Error::other("the base of a delta is not in the pack"))?;
                let mut head = Vec::with_capacity(32);
                push_head(&mut head, 6, object.size);
                push_distance(&mut head, self.offset - base);
                Ok(head)
            }
        }
    }

    /// The number of objects that were appended.
    pub fn count(&self) -> u32 {
        self.index.len() as u32
    }

    /// Writes the trailer and the index, and renames both files to their final names. Returns an
    /// error if the number of objects is not the one announced to [`create`](Self::create).
    pub fn finish(mut self) -> io::Result<Written> {
        if self.count() != self.expected {
            return Err(io::Error::other(
                "the pack does not hold the announced number of objects",
            ));
        }
        let checksum: [u8; 20] = self.sha.clone().finalize().into();
        self.file.write_all(&checksum)?;
        self.publish(checksum)
    }

    /// Like [`finish`](Self::finish), for a pack that has fewer objects than announced: the number
    /// in its header is corrected, and the file is read once more for its checksum.
    pub fn finish_early(mut self) -> io::Result<Written> {
        self.file.flush()?;
        let file = self.file.get_mut().as_file_mut();
        file.seek(SeekFrom::Start(8))?;
        file.write_all(&(self.index.len() as u32).to_be_bytes())?;

        file.seek(SeekFrom::Start(0))?;
        let mut hashing = HashingWriter::new(io::sink());
        io::copy(file, &mut hashing)?;
        let checksum = hashing.checksum();
        file.write_all(&checksum)?;
        self.publish(checksum)
    }

    /// Writes the index and renames both files to their final names.
    fn publish(mut self, checksum: [u8; 20]) -> io::Result<Written> {
        let pack = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        let blobs = blobs(&self.index, &self.offsets, self.offset);
        let directory = pack.path().parent().map(Path::to_owned).unwrap_or_default();

        let mut index = tempfile::Builder::new()
            .prefix("tmp_idx_")
            .tempfile_in(&directory)?;
        self.index.sort_by_key(|entry| entry.id);
        index.write_all(&encode_index(&self.index, checksum))?;

        // The index comes last, because git uses a pack as soon as its index exists.
        let name = directory.join(format!("pack-{}", ObjectId(checksum)));
        for (file, extension) in [(pack, "pack"), (index, "idx")] {
            file.persist(name.with_extension(extension))
                .map_err(|error| error.error)?;
        }
        Ok(Written {
            path: name.with_extension("pack"),
            count: self.index.len() as u32,
            end: self.offset,
            blobs,
            others: self.offsets.into_keys().collect(),
        })
    }
}

/// The offset and length of each object that is not in `others`. `index` is in the order of the
/// pack, and `end` is the end of the last object.
fn blobs(
    index: &[IndexEntry],
    others: &HashMap<ObjectId, u64>,
    end: u64,
) -> HashMap<ObjectId, Range<u64>> {
    let ends = index.iter().skip(1).map(|entry| entry.offset).chain([end]);
    let places = index.iter().zip(ends);
    places
        .filter(|(entry, _)| !others.contains_key(&entry.id))
        .map(|(entry, end)| (entry.id, entry.offset..end))
        .collect()
}

/// Computes the checksum of the pack that is written through it.
pub(crate) struct HashingWriter<W> {
    out: W,
    sha: Sha1,
}

impl<W> HashingWriter<W> {
    /// Writes to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            sha: Sha1::new(),
        }
    }

    /// The checksum of everything that was written.
    pub(crate) fn checksum(self) -> [u8; 20] {
        self.sha.finalize().into()
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.out.write(data)?;
        self.sha.update(&data[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Appends an object's header: the type code and the uncompressed size.
fn push_head(out: &mut Vec<u8>, code: u8, size: usize) {
    let mut byte = (code << 4) | (size & 0x0f) as u8;
    let mut rest = size >> 4;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

/// Appends the distance back to a delta's base, in git's offset encoding: seven bits per byte,
/// highest first. Each continuation adds one, so that no value has two encodings.
fn push_distance(out: &mut Vec<u8>, mut distance: u64) {
    let mut bytes = vec![(distance & 0x7f) as u8];
    distance >>= 7;
    while distance > 0 {
        distance -= 1;
        bytes.push((distance & 0x7f) as u8 | 0x80);
        distance >>= 7;
    }
    out.extend(bytes.iter().rev());
}

/// Encodes an index of version 2: fan-out table, ids, checksums, offsets, large offsets, and
/// trailers. `entries` must be sorted by id.
fn encode_index(entries: &[IndexEntry], pack_checksum: [u8; 20]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1100 + entries.len() * 28);
    out.extend_from_slice(b"\xfftOc");
    out.extend_from_slice(&2u32.to_be_bytes());

    for first in 0..=255u8 {
        let up_to = entries.partition_point(|entry| entry.id.0[0] <= first) as u32;
        out.extend_from_slice(&up_to.to_be_bytes());
    }
    for entry in entries {
        out.extend_from_slice(&entry.id.0);
    }
    for entry in entries {
        out.extend_from_slice(&entry.crc.to_be_bytes());
    }

    // Offsets of 2 GiB and more are stored in a table of their own, and the top bit marks an index
    // into that table.
    let mut large: Vec<u64> = Vec::new();
    for entry in entries {
        let short = u32::try_from(entry.offset)
            .ok()
            .filter(|offset| offset >> 31 == 0)
            .unwrap_or_else(|| {
                large.push(entry.offset);
                0x8000_0000 | (large.len() - 1) as u32
            });
        out.extend_from_slice(&short.to_be_bytes());
    }
    for offset in large {
        out.extend_from_slice(&offset.to_be_bytes());
    }

    out.extend_from_slice(&pack_checksum);
    let checksum: [u8; 20] = Sha1::digest(&out).into();
    out.extend_from_slice(&checksum);
    out
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::object::hash;

    /// Writes a pack and checks that git reads every object from it, byte for byte.
    fn read_back(objects: &[(Kind, Vec<u8>)], encoded: &[Encoded]) {
        read_back_with(objects, |packs| {
            let mut writer = PackWriter::create(packs, encoded.len() as u32).unwrap();
            encoded
                .iter()
                .for_each(|object| writer.append(object).unwrap());
            writer.finish().unwrap();
        });
    }

    /// The same for a pack that `write` writes into a directory.
    fn read_back_with(objects: &[(Kind, Vec<u8>)], write: impl FnOnce(&Path)) {
        let directory = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .args(arguments)
                .env("GIT_DIR", directory.path())
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            output.stdout
        };
        git(&["init", "-q", "--bare"]);
        let packs = directory.path().join("objects/pack");
        write(&packs);
        let index = fs::read_dir(&packs)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|p| p.extension().unwrap() == "idx");
        git(&["verify-pack", index.unwrap().to_str().unwrap()]);
        for (kind, data) in objects {
            let id = hash(*kind, data).to_string();
            let name = match kind {
                Kind::Blob => "blob",
                Kind::Tree => "tree",
                Kind::Commit => "commit",
            };
            assert_eq!(git(&["cat-file", name, &id]), *data);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn git_reads_what_is_written(
            blobs in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 0..5000), 1..12),
            versions in prop::collection::vec((0..3000usize, prop::collection::vec(any::<u8>(), 0..300), 0..3000usize), 1..60),
        ) {
            let mut objects: Vec<_> = blobs.into_iter().map(|data| (Kind::Blob, data)).collect();
            let mut encoded: Vec<_> = objects.iter().map(|(kind, data)| whole(hash(*kind, data), *kind, data)).collect();
            // A chain of versions, each of which replaces one range of the previous one. Commits
            // are used here for any kind of object that may be a delta, because git does not parse
            // their contents here.
            let mut base = vec![7u8; 2000];
            base.extend((0..2000u32).flat_map(u32::to_be_bytes));
            encoded.push(whole(hash(Kind::Commit, &base), Kind::Commit, &base));
            let mut known = std::collections::HashSet::from([hash(Kind::Commit, &base)]);
            for (from, insert, length) in versions {
                let mut next = base.clone();
                let from = from.min(next.len());
                next.splice(from..(from + length).min(next.len()), insert);
                if known.insert(hash(Kind::Commit, &next)) {
                    encoded.push(delta(hash(Kind::Commit, &next), &next, hash(Kind::Commit, &base), &base));
                    objects.push((Kind::Commit, next.clone()));
                    base = next;
                }
            }
            read_back(&objects, &encoded);
        }
    }

    #[test]
    fn long_copy_takes_several_instructions() {
        let base = vec![1u8; 40 << 20];
        let mut next = base.clone();
        next[20 << 20] = 2;
        let encoded = [
            whole(hash(Kind::Tree, b""), Kind::Tree, b""),
            whole(hash(Kind::Commit, &base), Kind::Commit, &base),
            delta(
                hash(Kind::Commit, &next),
                &next,
                hash(Kind::Commit, &base),
                &base,
            ),
        ];
        assert!(encoded[2].compressed.len() < 200);
        read_back(&[(Kind::Commit, next)], &encoded);
    }

    #[test]
    fn pack_that_ends_early_is_complete_in_itself() {
        let blobs = [b"first".as_slice(), b"second"];
        let objects = blobs.map(|data| (Kind::Blob, data.to_vec()));
        let encoded = blobs.map(|data| whole(hash(Kind::Blob, data), Kind::Blob, data));
        read_back_with(&objects, |packs| {
            let mut writer = PackWriter::create(packs, 300_000).unwrap();
            encoded
                .iter()
                .for_each(|object| writer.append(object).unwrap());
            let written = writer.finish_early().unwrap();
            assert_eq!((written.count, written.blobs.len()), (2, 2));
        });
    }

    #[test]
    fn wrong_number_of_objects_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(
            PackWriter::create(directory.path(), 1)
                .unwrap()
                .finish()
                .is_err()
        );
    }
}
