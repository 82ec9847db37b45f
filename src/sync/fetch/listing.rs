//! The documents of the codex that a URI names, without their contents: those at the tip, or with
//! `request.offline` those in the local caches. Only the trees on the way to them are fetched.

use std::collections::BTreeMap;

use bstr::{BString, ByteSlice};

use super::cached_documents::CachedDocuments;
use super::remote_documents::RemoteDocuments;
use crate::codex::temp_clone;
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::plan::Entry;
use crate::sync::SyncRequest;
use crate::sync::remote_session::find_branches;
use crate::workspace::document_uri::DocumentUri;

/// The documents that a URI names, in the order of their paths.
pub(crate) struct CodexListing {
    /// The branch and the tip that have them.
    pub tip: TipOfBranch,
    pub documents: Vec<ListedDocument>,
}

/// The branch of the codex, and its tip.
#[derive(Debug, Clone, Default)]
pub(crate) struct TipOfBranch {
    /// The branch; `None` if the remote was not queried.
    pub branch: Option<String>,
    /// The tip; `None` if the remote was not queried, or has no commits.
    pub tip: Option<ObjectId>,
}

/// A document in a listing.
pub(crate) struct ListedDocument {
    /// The path in the codex.
    pub path: BString,
    /// The id of the contents.
    pub id: ObjectId,
    /// Whether a local cache has this version.
    pub is_cached: bool,
}

/// The files that a URI names, and the places that have their contents.
pub(super) struct NamedFiles<'d, 'r> {
    /// Files by their paths, without symlinks and submodules.
    pub(super) files: BTreeMap<BString, Entry>,
    pub(super) cache: &'d CachedDocuments,
    /// `None` if the remote was not queried, or has no commits.
    pub(super) remote: Option<&'d mut RemoteDocuments<'r>>,
}

/// Lists the documents that `uri` names.
pub(crate) fn list(
    request: &SyncRequest<'_>,
    uri: &DocumentUri,
) -> Result<CodexListing, SyncError> {
    let (tip, documents) = with_named(request, uri, |named| {
        let files = named.files.into_iter();
        let listed = files.map(|(path, entry)| ListedDocument {
            is_cached: named.cache.has(path.as_bstr(), entry.id),
            path,
            id: entry.id,
        });
        Ok(listed.collect())
    })?;
    Ok(CodexListing { tip, documents })
}

/// Finds the documents that `uri` names, and passes them to `read` while the tip can be read.
pub(super) fn with_named<T>(
    request: &SyncRequest<'_>,
    uri: &DocumentUri,
    read: impl FnOnce(NamedFiles<'_, '_>) -> Result<T, SyncError>,
) -> Result<(TipOfBranch, T), SyncError> {
    let mut cache = CachedDocuments::open(request);
    if request.offline {
        cache.check()?;
        let named = NamedFiles {
            files: cache.entries(uri),
            cache: &cache,
            remote: None,
        };
        return Ok((TipOfBranch::default(), read(named)?));
    }

    temp_clone::sweep(&request.temporary);
    let transport = request.connection()?;
    let refs = find_branches(request, &*transport, false, &[])?;
    cache.set_branch(&refs.branch);
    if refs.tip.is_none() {
        let named = NamedFiles {
            files: BTreeMap::new(),
            cache: &cache,
            remote: None,
        };
        let tip = TipOfBranch {
            branch: Some(refs.branch),
            tip: None,
        };
        return Ok((tip, read(named)?));
    }

    let mut remote = RemoteDocuments::fetch(request, &*transport, &refs.branch)?;
    let entries = remote.find(&[uri])?.entries.into_iter();
    let tip = TipOfBranch {
        branch: Some(refs.branch.clone()),
        tip: Some(remote.tip),
    };
    let named = NamedFiles {
        files: entries.filter(|(_, entry)| entry.mode.is_file()).collect(),
        cache: &cache,
        remote: Some(&mut remote),
    };
    Ok((tip, read(named)?))
}
