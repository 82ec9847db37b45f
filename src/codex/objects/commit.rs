//! The parts of a commit that a search of the history uses.
//!
//! Every user with write access can write any commit. The values are therefore untrusted, and a
//! malformed commit is not an error.

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
        let text = String::from_utf8_lossy(data);
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
