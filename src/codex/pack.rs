//! Writes new objects as one pack with its index beside it, streamed: memory stays flat whatever the size.
//!
//! A loose object a file, or a library's general pack builder, costs five to twenty times as much for many small
//! documents. The format is git's pack version 2 and index version 2. Blobs and first versions of trees are stored
//! whole; a tree that replaces one written in the same run is stored as a delta of it, so that a run of many commits
//! does not store the codex's big trees once a commit. Chains are at most [`MAX_CHAIN`] long, for git resolves long
//! ones slowly.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use libdeflater::{CompressionLvl, Compressor};
use sha1::{Digest, Sha1};
use tempfile::NamedTempFile;

use crate::object::{Kind, ObjectId};

/// The longest chain of deltas.
pub const MAX_CHAIN: u32 = 50;

/// An object ready to be written.
pub struct Encoded {
    /// Its id.
    pub id: ObjectId,
    form: Form,
    /// Bytes before compression: of the contents, or of the delta.
    size: usize,
    compressed: Vec<u8>,
}

enum Form {
    Whole(Kind),
    /// A delta of an object that stands earlier in the same pack.
    Delta(ObjectId),
}

/// Compresses `data`, whose id is known.
pub fn whole(id: ObjectId, kind: Kind, data: &[u8]) -> Encoded {
    Encoded {
        id,
        form: Form::Whole(kind),
        size: data.len(),
        compressed: compress(data),
    }
}

/// Compresses `data` as a delta of `base`, an object of the same kind that stands earlier in the pack.
pub fn delta(id: ObjectId, data: &[u8], base: ObjectId, base_data: &[u8]) -> Encoded {
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
        // The fastest level: documents are small, and the bytes travel once. (A level above 1 costs more than it saves.)
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

/// A delta for contents that differ in one stretch: what is before, what is new, what is behind.
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

/// Compared whole, for speed: trees of thousands of entries differ in one.
const BLOCK: usize = 4096;

/// How many bytes both begin with.
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

/// How many bytes both end with.
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

fn push_size(out: &mut Vec<u8>, mut size: usize) {
    while size >= 0x80 {
        out.push(size as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
}

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

/// A pack that is complete, and where its objects are in it.
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// The number of objects.
    pub count: u32,
    /// Where the objects end and the checksum begins.
    pub end: u64,
    /// Contents, each with its place. They are stored whole.
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

/// A pack in the making.
pub struct PackWriter {
    file: BufWriter<NamedTempFile>,
    sha: Sha1,
    offset: u64,
    expected: u32,
    index: Vec<IndexEntry>,
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

    /// Appends one object. A delta's base must have been appended before.
    pub fn append(&mut self, object: &Encoded) -> io::Result<()> {
        let offset = self.offset;
        let mut head = Vec::with_capacity(32);
        match object.form {
            Form::Whole(kind) => {
                let code = match kind {
                    Kind::Commit => 1,
                    Kind::Tree => 2,
                    Kind::Blob => 3,
                };
                push_head(&mut head, code, object.size);
                if kind != Kind::Blob {
                    self.offsets.insert(object.id, offset);
                }
            }
            Form::Delta(base) => {
                push_head(&mut head, 6, object.size);
                let base = self
                    .offsets
                    .get(&base)
                    .ok_or_else(|| io::Error::other("the base of a delta is not in the pack"))?;
                push_distance(&mut head, offset - base);
                self.offsets.insert(object.id, offset);
            }
        }
        let mut crc = libdeflater::Crc::new();
        crc.update(&head);
        crc.update(&object.compressed);
        self.index.push(IndexEntry {
            id: object.id,
            crc: crc.sum(),
            offset,
        });
        self.put(&head)?;
        self.put(&object.compressed)
    }

    /// Writes trailer and index and puts both in place under the pack's name.
    pub fn finish(mut self) -> io::Result<Written> {
        if self.index.len() != self.expected as usize {
            return Err(io::Error::other(
                "the pack does not hold the announced number of objects",
            ));
        }
        let checksum: [u8; 20] = self.sha.clone().finalize().into();
        self.file.write_all(&checksum)?;
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
        let name = directory.join(format!("pack-{}", ObjectId(checksum)));
        // The index last: git takes a pack for there once its index is.
        for (file, extension) in [(pack, "pack"), (index, "idx")] {
            file.persist(name.with_extension(extension))
                .map_err(|error| error.error)?;
        }
        Ok(Written {
            path: name.with_extension("pack"),
            count: self.expected,
            end: self.offset,
            blobs,
            others: self.offsets.into_keys().collect(),
        })
    }
}

/// The place of each object that is not in `others`; `index` is in the order of the pack, whose objects end at `end`.
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

/// The distance back to a delta's base, in git's variable-length form, in which each further byte adds one.
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

/// Index version 2: fan-out, ids, checksums, offsets, large offsets, trailers. `entries` are sorted by id.
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

    /// Git's own reader of packs is the judge: every object comes back, byte for byte.
    fn read_back(objects: &[(Kind, Vec<u8>)], encoded: &[Encoded]) {
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
        let mut writer = PackWriter::create(&packs, encoded.len() as u32).unwrap();
        encoded
            .iter()
            .for_each(|object| writer.append(object).unwrap());
        writer.finish().unwrap();
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
            // A chain of versions, each the one before with one stretch replaced; blobs too may be deltas.
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
    fn a_copy_longer_than_one_instruction() {
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
    fn the_announced_number_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        assert!(
            PackWriter::create(directory.path(), 1)
                .unwrap()
                .finish()
                .is_err()
        );
    }
}
