//! Reads objects from packs without mapping them into memory, so that reading all files of a
//! large codex needs little memory, and in the order of the packs, which is fast.
//!
//! This is an addition to libgit2, which maps whole packs and opens them once per thread. An object
//! that is not found here, or whose entry is unusual, is left to libgit2, which also reports damage.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix_odb::pack::data::Entry;
use gix_odb::pack::data::entry::Header;
use gix_odb::pack::index;
use libdeflater::Decompressor;

use crate::object::{Kind, ObjectId, hash};
use crate::platform;

/// With more packs than this, a search through all of them is slower than libgit2.
const MAX_PACKS: usize = 64;
/// The maximum length of a chain of deltas. git creates chains of up to 50 unless it is configured
/// otherwise.
const MAX_CHAIN: usize = 500;
/// The total size of the contents that a reader keeps as bases of further deltas.
const KEPT_BASES: usize = 4 << 20;
/// The maximum ratio of compression: of the format, with two bits for 258 bytes.
const MAX_RATIO: u64 = 1032;
/// The maximum length of the head of an entry: its type and size, and the base of a delta.
const MAX_HEAD: usize = 32;
/// The length of the checksum at the end of a pack.
const CHECKSUM: u64 = 20;

/// The packs of some directories of objects.
pub(super) struct PackedObjects(Vec<Pack>);

/// A pack with its index.
struct Pack {
    index: index::File,
    file: File,
    /// The offsets of all entries and of the end of the last one, in ascending order.
    offsets: Vec<u64>,
}

/// The position of an object: the number of its pack, and the offset in it. In this order, reading
/// is fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackPosition(usize, u64);

impl PackedObjects {
    /// Opens the packs of these directories of objects. Packs that cannot be opened are left out.
    pub(super) fn open<'p>(objects: impl Iterator<Item = &'p Path>) -> Self {
        let is_index = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "idx");
        let indexes: Vec<PathBuf> = objects
            .filter_map(|objects| fs::read_dir(objects.join("pack")).ok())
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .filter(is_index)
            .collect();
        if indexes.len() > MAX_PACKS {
            return Self(Vec::new());
        }
        Self(indexes.iter().filter_map(|path| Pack::open(path)).collect())
    }

    /// Where the object is; `None` if no pack contains it.
    pub(super) fn position(&self, id: ObjectId) -> Option<PackPosition> {
        let mut packs = self.0.iter().enumerate();
        packs.find_map(|(number, pack)| Some(PackPosition(number, pack.offset(id)?)))
    }
}

impl Pack {
    fn open(path: &Path) -> Option<Self> {
        let index = index::File::at(path, gix_hash::Kind::Sha1).ok()?;
        let file = File::open(path.with_extension("pack")).ok()?;
        let end = file.metadata().ok()?.len().checked_sub(CHECKSUM)?;
        let mut offsets = index.sorted_offsets();
        offsets.push(end);
        offsets.is_sorted().then_some(Self {
            index,
            file,
            offsets,
        })
    }

    /// The offset of the entry of an object.
    fn offset(&self, id: ObjectId) -> Option<u64> {
        let number = self.index.lookup(gix_hash::ObjectId::Sha1(id.0))?;
        Some(self.index.pack_offset_at_index(number))
    }

    /// The bytes of the entry at `offset`.
    fn entry(&self, offset: u64) -> Option<Vec<u8>> {
        self.start_of_entry(offset, usize::MAX)
    }

    /// The first bytes of the entry at `offset`, at most `limit`.
    fn start_of_entry(&self, offset: u64, limit: usize) -> Option<Vec<u8>> {
        let number = self.offsets.binary_search(&offset).ok()?;
        let end = self.offsets.get(number + 1)?;
        let length = usize::try_from(end.checked_sub(offset)?).ok()?;
        let mut bytes = vec![0; length.min(limit)];
        platform::read_at(&self.file, &mut bytes, offset).ok()?;
        Some(bytes)
    }
}

/// A delta, and the position of its base.
struct Delta {
    instructions: Vec<u8>,
    base: u64,
}

/// An entry of a pack, inflated.
enum Inflated {
    Whole(Vec<u8>),
    Delta(Delta),
}

/// Reads objects for one thread.
pub(super) struct ObjectReader {
    inflater: Decompressor,
    /// The contents that were read last, as bases of deltas.
    bases: HashMap<PackPosition, Arc<Vec<u8>>>,
    /// The keys of `bases`, in the order in which they were read.
    order: VecDeque<PackPosition>,
    /// The total size of `bases`, in bytes.
    kept: usize,
}

impl ObjectReader {
    pub(super) fn new() -> Self {
        Self {
            inflater: Decompressor::new(),
            bases: HashMap::new(),
            order: VecDeque::new(),
            kept: 0,
        }
    }

    /// The contents of the object `id`; `None` if libgit2 has to read it.
    pub(super) fn read(
        &mut self,
        packed: &PackedObjects,
        kind: Kind,
        id: ObjectId,
    ) -> Option<Vec<u8>> {
        let position = packed.position(id)?;
        let contents = self.resolve(packed.0.get(position.0)?, position)?;
        (hash(kind, &contents) == id)
            .then(|| Arc::try_unwrap(contents).unwrap_or_else(|shared| (*shared).clone()))
    }

    /// The size of the blob `id`; `None` if libgit2 has to find it. The contents are not checked.
    pub(super) fn size(&mut self, packed: &PackedObjects, id: ObjectId) -> Option<u64> {
        let PackPosition(number, offset) = packed.position(id)?;
        let pack = packed.0.get(number)?;
        let head = pack.start_of_entry(offset, MAX_HEAD)?;
        let entry = Entry::from_bytes(&head, offset, gix_hash::Kind::Sha1).ok()?;
        match entry.header {
            Header::Blob => Some(entry.decompressed_size),
            Header::OfsDelta { .. } | Header::RefDelta { .. } => {
                let Inflated::Delta(delta) = self.inflate(pack, offset)? else {
                    return None;
                };
                let mut sizes = delta.instructions.as_slice();
                take_size(&mut sizes)?;
                take_size(&mut sizes).map(|size| size as u64)
            }
            Header::Commit | Header::Tree | Header::Tag => None,
        }
    }

    /// The contents of the entry at `position`, with all deltas applied.
    fn resolve(&mut self, pack: &Pack, position: PackPosition) -> Option<Arc<Vec<u8>>> {
        let PackPosition(number, mut offset) = position;
        let mut deltas: Vec<(PackPosition, Delta)> = Vec::new();
        let mut contents = loop {
            let at = PackPosition(number, offset);
            if let Some(base) = self.bases.get(&at) {
                break base.clone();
            }
            match self.inflate(pack, offset)? {
                Inflated::Whole(contents) => break Arc::new(contents),
                Inflated::Delta(delta) if deltas.len() < MAX_CHAIN => {
                    offset = delta.base;
                    deltas.push((at, delta));
                }
                Inflated::Delta(_) => return None,
            }
        };
        self.keep(PackPosition(number, offset), &contents);
        while let Some((at, delta)) = deltas.pop() {
            contents = Arc::new(apply(&contents, &delta.instructions)?);
            self.keep(at, &contents);
        }
        Some(contents)
    }

    /// Keeps contents as the base of further deltas, in place of those that were read first.
    fn keep(&mut self, position: PackPosition, contents: &Arc<Vec<u8>>) {
        if self.bases.contains_key(&position) || contents.len() > KEPT_BASES / 8 {
            return;
        }
        self.kept += contents.len();
        self.bases.insert(position, contents.clone());
        self.order.push_back(position);
        while self.kept > KEPT_BASES
            && let Some(oldest) = self.order.pop_front()
        {
            let removed = self.bases.remove(&oldest);
            self.kept -= removed.map_or(0, |removed| removed.len());
        }
    }

    fn inflate(&mut self, pack: &Pack, offset: u64) -> Option<Inflated> {
        let bytes = pack.entry(offset)?;
        let entry = Entry::from_bytes(&bytes, offset, gix_hash::Kind::Sha1).ok()?;
        let head = usize::try_from(entry.data_offset.checked_sub(offset)?).ok()?;
        let compressed = bytes.get(head..)?;
        // A damaged size must not reserve memory without limit.
        if entry.decompressed_size > compressed.len() as u64 * MAX_RATIO {
            return None;
        }
        let mut data = vec![0; usize::try_from(entry.decompressed_size).ok()?];
        let length = self.inflater.zlib_decompress(compressed, &mut data).ok()?;
        if length != data.len() {
            return None;
        }
        let base = match entry.header {
            Header::Blob | Header::Tree | Header::Commit => return Some(Inflated::Whole(data)),
            Header::OfsDelta { base_distance } => offset.checked_sub(base_distance)?,
            Header::RefDelta { base_id } => {
                let id = <[u8; 20]>::try_from(base_id.as_slice()).ok()?;
                pack.offset(ObjectId(id))?
            }
            Header::Tag => return None,
        };
        Some(Inflated::Delta(Delta {
            instructions: data,
            base,
        }))
    }
}

/// Applies a delta to `base`; `None` if it is invalid. The format is that of gitformat-pack: the
/// sizes of base and result, and then instructions to copy from the base or to insert bytes.
fn apply(base: &[u8], mut delta: &[u8]) -> Option<Vec<u8>> {
    if take_size(&mut delta)? != base.len() {
        return None;
    }
    let size = take_size(&mut delta)?;
    // The size is not known to be true.
    let mut out = Vec::with_capacity(size.min(base.len() + delta.len()));
    while let Some(command) = take_byte(&mut delta) {
        if command & 0x80 != 0 {
            let mut number = [0u8; 8];
            for (bit, byte) in number.iter_mut().enumerate().take(7) {
                if command & (1 << bit) != 0 {
                    *byte = take_byte(&mut delta)?;
                }
            }
            let [a, b, c, d, e, f, g, _] = number;
            let start = u32::from_le_bytes([a, b, c, d]) as usize;
            let length = match u32::from_le_bytes([e, f, g, 0]) as usize {
                0 => 0x1_0000,
                length => length,
            };
            out.extend_from_slice(base.get(start..start.checked_add(length)?)?);
        } else {
            // The command 0 is reserved.
            let length = usize::from(command);
            let (inserted, rest) = delta.split_at_checked(length).filter(|_| length > 0)?;
            out.extend_from_slice(inserted);
            delta = rest;
        }
        if out.len() > size {
            return None;
        }
    }
    (out.len() == size).then_some(out)
}

fn take_byte(data: &mut &[u8]) -> Option<u8> {
    let (first, rest) = data.split_first()?;
    *data = rest;
    Some(*first)
}

/// Takes a size: seven bits per byte, lowest first.
fn take_size(data: &mut &[u8]) -> Option<usize> {
    let mut size = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = take_byte(data)?;
        size |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(size);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn git(repository: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(repository)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        output.stdout
    }

    /// Documents that differ in a few bytes, so that git stores deltas of them.
    fn documents() -> Vec<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut text = String::new();
        while text.len() < 2000 {
            text.push_str(&format!("{:x} ", random.u64(..)));
        }
        let version = |number| format!("{text}{number}\n{text}").into_bytes();
        let mut documents: Vec<_> = (0..12).map(version).collect();
        documents.push(Vec::new());
        documents
    }

    #[test]
    fn objects_are_read_as_git_packed_them_or_not_at_all() {
        for by_offset in ["true", "false"] {
            let directory = tempfile::tempdir().unwrap();
            let repository = directory.path();
            git(repository, &["init", "-q", "--bare"], b"");
            let head = b"commit refs/heads/main\ncommitter b <b@b> 1 +0000\ndata 0\n";
            let mut stream = head.to_vec();
            for (number, document) in documents().iter().enumerate() {
                let length = document.len();
                let head = format!("M 644 inline {number}.md\ndata {length}\n");
                stream.extend([head.as_bytes(), document, b"\n"].concat());
            }
            git(repository, &["fast-import", "--quiet"], &stream);
            let setting = format!("repack.useDeltaBaseOffset={by_offset}");
            git(repository, &["-c", &setting, "repack", "-adfq"], b"");

            let whole_objects = [(Kind::Commit, "commit"), (Kind::Tree, "tree")]
                .map(|(kind, name)| (kind, git(repository, &["cat-file", name, "main"], b"")));

            let packs = fs::read_dir(repository.join("objects/pack")).unwrap();
            let mut packs = packs.map(|entry| entry.unwrap().path());
            let pack = packs.find(|path| path.extension().unwrap() == "pack");
            let pack = pack.unwrap();
            let whole = fs::read(&pack).unwrap();
            assert!(whole.len() < 4000, "{} bytes without deltas", whole.len());
            let read_all = || {
                let packed =
                    PackedObjects::open([repository.join("objects").as_path()].into_iter());
                let mut reader = ObjectReader::new();
                let mut read = |document: &Vec<u8>| {
                    let id = hash(Kind::Blob, document);
                    let contents = reader.read(&packed, Kind::Blob, id)?;
                    assert_eq!(reader.size(&packed, id), Some(contents.len() as u64));
                    Some(contents)
                };
                let mut contents: Vec<_> = documents().iter().map(&mut read).collect();
                for (kind, data) in &whole_objects {
                    contents.push(reader.read(&packed, *kind, hash(*kind, data)));
                }
                contents
            };
            let others = whole_objects.iter().map(|(_, data)| data.clone());
            let expected: Vec<_> = documents().into_iter().chain(others).map(Some).collect();
            assert_eq!(read_all(), expected);

            // git makes packs read-only.
            fs::remove_file(&pack).unwrap();
            for damage in (0..whole.len()).step_by(11) {
                let mut data = whole.clone();
                data[damage] ^= 1 << (damage % 8);
                fs::write(&pack, &data).unwrap();
                for (read, expected) in read_all().iter().zip(&expected) {
                    assert!(read.is_none() || read == expected, "byte {damage}");
                }
            }
        }
    }
}
