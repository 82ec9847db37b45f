//! Ids, kinds and modes of git objects, and the computation of ids. Nothing here needs a
//! repository.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

use sha1::{Digest, Sha1};

/// The id of a git object (SHA-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "an id always has 20 bytes")]
pub struct ObjectId(pub [u8; 20]);

impl ObjectId {
    /// Parses 40 hexadecimal digits; `None` for any other text.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 40 || !text.is_ascii() {
            return None;
        }

        let mut id = [0; 20];
        for (byte, digits) in id.iter_mut().zip(bytes.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }

    /// The abbreviated id: the first seven digits.
    pub fn short(&self) -> String {
        self.to_string()[..7].to_owned()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> serde::Deserialize<'de> for ObjectId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| {
            let expected = &"40 hexadecimal digits";
            serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), expected)
        })
    }
}

impl schemars::JsonSchema for ObjectId {
    fn schema_name() -> Cow<'static, str> {
        "ObjectId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The id of a git object: 40 hexadecimal digits.",
            "type": "string",
            "pattern": "^[0-9a-f]{40}$"
        })
    }
}

impl serde::Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The kind of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A commit.
    Commit,
    /// A directory.
    Tree,
    /// The contents of a file, or the target of a symlink.
    Blob,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
        }
    }
}

/// Computes an id incrementally, for contents that are not in memory as a whole.
struct Hasher(Sha1);

impl Hasher {
    /// Starts the id of an object of `size` bytes. The size is part of the hashed data, so it must
    /// be known in advance.
    fn new(kind: Kind, size: u64) -> Self {
        let mut sha = Sha1::new();
        sha.update(format!("{} {size}\0", kind.name()));
        Self(sha)
    }

    /// Adds contents.
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Returns the id. It is only valid if exactly the announced number of bytes was added.
    fn finish(self) -> ObjectId {
        ObjectId(self.0.finalize().into())
    }
}

/// Computes the id that git gives to an object with the contents `data`.
///
/// ```
/// use fractary_codex::object::{Kind, hash};
///
/// assert_eq!(hash(Kind::Blob, b"").to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
/// ```
pub fn hash(kind: Kind, data: &[u8]) -> ObjectId {
    let mut hasher = Hasher::new(kind, data.len() as u64);
    hasher.update(data);
    hasher.finish()
}

/// Computes the id of an object of `size` bytes that is read from `reader`.
///
/// Returns `None` if the reader has fewer or more bytes, for example because the file was written
/// meanwhile. At most one byte more than `size` is read.
pub fn hash_reader(kind: Kind, size: u64, mut reader: impl Read) -> io::Result<Option<ObjectId>> {
    let mut hasher = Hasher::new(kind, size);
    // With room for one byte more than expected, two reads are enough for a small file.
    let mut buffer = vec![0; (size as usize).saturating_add(1).min(128 << 10)];
    let mut rest = size;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((rest == 0).then(|| hasher.finish())),
            Ok(count) if count as u64 > rest => return Ok(None),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                rest -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The kind of a tree entry, as far as a sync distinguishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// A file.
    File,
    /// A file that its owner may execute.
    Executable,
    /// A symlink; its blob is the target.
    Link,
    /// A directory.
    Directory,
    /// A commit of another repository.
    Submodule,
}

impl Mode {
    /// Parses the octal digits of a tree entry; `None` if they are not octal.
    ///
    /// Historic and unusual modes are read as git reads them: `100664` is a file, and anything that
    /// is not a file, link or directory is a submodule.
    pub fn from_octal(digits: &[u8]) -> Option<Self> {
        if digits.is_empty() {
            return None;
        }
        let mode = digits.iter().try_fold(0u32, |mode, digit| {
            matches!(digit, b'0'..=b'7').then(|| (mode << 3) | u32::from(digit - b'0'))
        })?;

        match mode & 0o170_000 {
            0o100_000 if mode & 0o100 != 0 => Some(Self::Executable),
            0o100_000 => Some(Self::File),
            0o120_000 => Some(Self::Link),
            0o040_000 => Some(Self::Directory),
            _ => Some(Self::Submodule),
        }
    }

    /// The octal digits that git writes for this mode.
    pub fn octal(self) -> &'static [u8] {
        match self {
            Self::File => b"100644",
            Self::Executable => b"100755",
            Self::Link => b"120000",
            Self::Directory => b"40000",
            Self::Submodule => b"160000",
        }
    }

    /// Whether this is a regular file, executable or not.
    pub fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Executable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_git() {
        assert_eq!(
            hash(Kind::Blob, b"").to_string(),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
        assert_eq!(
            hash(Kind::Tree, b"").to_string(),
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        );
        let id = hash(Kind::Blob, b"hello\n");
        assert_eq!(ObjectId::from_hex(&id.to_string()), Some(id));
        assert_eq!(ObjectId::from_hex("x"), None);
    }

    #[test]
    fn a_reader_has_an_id_only_if_its_size_is_the_announced_one() {
        let contents = vec![7; 300_000];
        let id = hash(Kind::Blob, &contents);
        let read = |size| hash_reader(Kind::Blob, size, contents.as_slice()).unwrap();

        assert_eq!(read(300_000), Some(id));
        assert_eq!(read(299_999), None);
        assert_eq!(read(300_001), None);
        let empty = hash_reader(Kind::Blob, 0, io::empty()).unwrap();
        assert_eq!(empty, Some(hash(Kind::Blob, b"")));
    }
}
