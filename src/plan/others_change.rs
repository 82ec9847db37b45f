//! A file of the codex that others have changed.

use std::fmt;

use bstr::{BString, ByteSlice};

use crate::object::ObjectId;
use crate::paths::{CodexPath, escaped};

/// A file whose present version in the codex is not that of a sync of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OthersChange {
    /// The path below the project's `to`.
    pub path: BString,
    /// The commit with the present version; `None` if the history does not show it.
    pub commit: Option<ObjectId>,
    /// The author of the commit as `NAME <EMAIL>`.
    pub author: Option<String>,
    /// If the commit is unknown: a commit that is older.
    pub since: Option<ObjectId>,
}

impl OthersChange {
    /// The change of a file by a commit, given its id and its author, if they are known.
    pub(crate) fn new(path: &BString, origin: Option<(ObjectId, &String)>) -> Self {
        Self {
            path: path.clone(),
            commit: origin.map(|(id, _)| id),
            author: origin.map(|(_, author)| author.clone()),
            since: None,
        }
    }

    /// A clause for a message, with the path in the codex: that of the project is `to`.
    pub(crate) fn description(&self, to: &CodexPath) -> String {
        let path = to.join(self.path.as_bstr());
        let (path, origin) = (escaped(&path), self.origin());
        format!("`{path}` was changed in the codex since the last sync, in {origin}")
    }

    /// The commit and its author, for a message: `1a2b3c4 by Ada <ada@acme.example>`.
    pub fn origin(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| {
            match (self.commit, self.since) {
                (Some(commit), _) => f.write_str(&commit.short())?,
                (None, Some(since)) => write!(f, "an unknown commit since {}", since.short())?,
                (None, None) => f.write_str("an unknown commit")?,
            }
            match &self.author {
                Some(author) => write!(f, " by {}", escaped(author.as_bytes())),
                None => Ok(()),
            }
        })
    }
}
