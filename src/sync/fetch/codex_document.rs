//! A document that was fetched.

use bstr::BString;

use crate::codex::source_revision::SourceRevision;
use crate::object::ObjectId;
use crate::plan::Entry;

/// A document of the codex.
#[derive(Debug, Clone)]
pub(crate) struct CodexDocument {
    /// The path in the codex.
    pub path: BString,
    /// The mode, and the id of the contents.
    pub entry: Entry,
    /// The contents.
    pub contents: Vec<u8>,
    /// The place of the contents.
    pub origin: ReadFrom,
    /// The tip of the codex that has this version; `None` if a cache does not record it.
    pub tip: Option<ObjectId>,
    /// The source revision of the last sync of its project, if it was known without a further
    /// request.
    pub source: Option<SourceRevision>,
}

/// The place of the contents of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadFrom {
    /// In a local cache.
    Cache,
    /// In the remote.
    Remote,
}
