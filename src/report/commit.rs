//! Commits of the codex, and the source revisions that they record, for JSON documents.

use schemars::JsonSchema;
use serde::Serialize;

use super::rfc3339;
use crate::codex::objects::commit::ParsedCommit;
use crate::codex::source_revision::SourceRevision;
use crate::forge::web_page::{KnownForges, WebPages};
use crate::object::ObjectId;

/// A commit of the codex. Names and subject are texts of its author.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Commit")]
pub(crate) struct CommitDocument {
    /// The id.
    pub id: String,
    /// The committer time, in RFC 3339 format and UTC; `null` if it is out of range.
    pub time: Option<String>,
    /// The author.
    pub author: AuthorDocument,
    /// The first line of the message.
    pub subject: String,
    /// The page of the commit; `null` if the forge of the codex is not known.
    pub url: Option<String>,
}

/// The author of a commit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Author")]
pub(crate) struct AuthorDocument {
    /// The name.
    pub name: String,
    /// The address for mail, without brackets.
    pub email: String,
}

/// A commit of a source repository, as a commit of the codex records it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SourceRevision")]
pub(crate) struct SourceRevisionDocument {
    /// The URL of the repository, without user name and password; `null` if it has none.
    pub repository: Option<String>,
    /// The id of the commit.
    pub commit: String,
    /// Whether published files differed from that commit.
    pub dirty: bool,
    /// The page of the commit; `null` if the forge of the repository is not known.
    pub url: Option<String>,
}

impl CommitDocument {
    /// The abbreviated id for people.
    pub(crate) fn short(&self) -> &str {
        &self.id[..7]
    }

    /// Describes a commit. `pages` are those of the codex.
    pub(crate) fn new(id: ObjectId, commit: &ParsedCommit, pages: Option<&WebPages>) -> Self {
        let author = &commit.author;
        let (name, email) = author.rsplit_once('<').unwrap_or((author, ""));
        Self {
            id: id.to_string(),
            time: rfc3339(commit.time),
            author: AuthorDocument {
                name: name.trim().to_owned(),
                email: email.trim_end_matches('>').to_owned(),
            },
            subject: commit.message.lines().next().unwrap_or_default().to_owned(),
            url: pages.map(|pages| pages.commit(id)),
        }
    }
}

impl SourceRevisionDocument {
    pub(crate) fn new(revision: &SourceRevision, forges: &KnownForges) -> Self {
        let pages = revision.url.as_ref().and_then(|url| forges.of_source(url));
        Self {
            repository: revision.url.clone(),
            commit: revision.commit.to_string(),
            dirty: revision.dirty,
            url: pages.map(|pages| pages.commit(revision.commit)),
        }
    }

    /// The abbreviated commit for people, as `git describe --dirty` marks it.
    pub(crate) fn short(&self) -> String {
        let dirty = if self.dirty { "-dirty" } else { "" };
        let end = self.commit.len().min(7);
        format!("{}{dirty}", &self.commit[..end])
    }
}
