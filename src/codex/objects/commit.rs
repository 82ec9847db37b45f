//! The parts of a commit that a search of the history uses.
//!
//! Every user with write access can write any commit. The values are therefore untrusted, and a
//! malformed commit is not an error.

use std::borrow::Cow;

use bstr::ByteSlice;
use encoding_rs::Encoding;

use crate::object::ObjectId;

/// A parsed commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParsedCommit {
    /// The root tree.
    pub tree: ObjectId,
    /// The parents, in the order in which the commit has them.
    pub parents: Vec<ObjectId>,
    /// The author as `NAME <EMAIL>`.
    pub author: String,
    /// The committer time, in seconds since the epoch.
    pub time: i64,
    /// The message with its trailers.
    pub message: String,
}

impl ParsedCommit {
    /// Parses the bytes of a commit; `None` if they are malformed.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let text = decoded(data);
        let (headers, message) = text.split_once("\n\n")?;
        let values = |label: &'static str| {
            headers
                .lines()
                .filter_map(move |line| line.strip_prefix(label))
        };

        // `Ada <ada@acme.example> 1700000000 +0000`
        let committer = values("committer ").next()?;
        let time = committer.rsplit(' ').nth(1)?.parse().ok()?;
        let author = values("author ").next()?;
        let end = author.rfind('>').map_or(author.len(), |end| end + 1);

        Some(Self {
            tree: ObjectId::from_hex(values("tree ").next()?)?,
            parents: values("parent ").filter_map(ObjectId::from_hex).collect(),
            author: author[..end].to_owned(),
            time,
            message: message.to_owned(),
        })
    }
}

/// The text of a commit, in the encoding that its header names (`i18n.commitEncoding`), or else in
/// UTF-8.
fn decoded(data: &[u8]) -> Cow<'_, str> {
    // Lines of a signature, which are also headers, are indented.
    let mut headers = data.lines().take_while(|line| !line.is_empty());
    let label = headers.find_map(|line| line.strip_prefix(b"encoding "));
    let encoding = label.and_then(Encoding::for_label_no_replacement);
    // The other headers are ASCII. Encodings in which they would be something else are ignored.
    match encoding.filter(|encoding| encoding.is_ascii_compatible()) {
        Some(encoding) => encoding.decode_without_bom_handling(data).0,
        None => String::from_utf8_lossy(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_the_encoding_of_the_header() {
        let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let commit = |header: &str, text: &[u8]| {
            let start = format!("tree {tree}\nauthor J");
            let middle = format!("rg <j@x> 1 +0000\ncommitter B <b@x> 2 +0000\n{header}\n");
            [
                start.as_bytes(),
                text,
                middle.as_bytes(),
                b"f",
                text,
                b"r\n",
            ]
            .concat()
        };
        for (header, text, expected) in [
            ("encoding ISO-8859-1\n", &b"\xf6"[..], "ö"),
            ("encoding windows-1251\n", b"\xe6", "ж"),
            ("encoding UTF-8\n", "ö".as_bytes(), "ö"),
            ("encoding UTF-16\n", "ö".as_bytes(), "ö"),
            ("encoding unknown\n", "ö".as_bytes(), "ö"),
            ("", "ö".as_bytes(), "ö"),
            ("", b"\xf6", "\u{fffd}"),
        ] {
            let parsed = ParsedCommit::parse(&commit(header, text)).unwrap();
            assert_eq!(parsed.author, format!("J{expected}rg <j@x>"), "{header}");
            assert_eq!(parsed.message, format!("f{expected}r\n"), "{header}");
        }
    }
}
