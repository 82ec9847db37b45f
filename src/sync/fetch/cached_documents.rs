//! Documents in the local caches of the workspace.

#[cfg(feature = "mcp")]
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use bstr::{BStr, BString, ByteSlice};

use super::codex_document::{CodexDocument, ReadFrom};
use super::fetch_error::CopyFault;
use crate::cache::{Cache, CacheError, Condition, RequestRecord};
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::plan::Entry;
use crate::sync::SyncRequest;
use crate::workspace::document_uri::DocumentUri;

/// The caches, opened without a lock: each file is replaced as a whole, and its contents are
/// compared with the manifest.
#[derive(Default)]
pub(super) struct CachedDocuments {
    caches: Vec<Cache>,
    /// The URL of the codex, as the caches record it.
    remote: String,
    /// The selected branch; `None` if it is not known yet.
    branch: Option<String>,
    /// The error of the first cache that cannot be read.
    error: Option<CacheError>,
}

/// A requirement on the sync that wrote a cached document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Currency {
    /// It was made at this time, in seconds since the epoch, or later.
    Since(i64),
    /// The tip of the branch was this commit.
    Tip(ObjectId),
    /// None.
    Any,
}

impl Currency {
    fn is_met_by(self, record: &RequestRecord) -> bool {
        match self {
            Self::Since(time) => record.time >= time,
            Self::Tip(tip) => record.tip == Some(tip),
            Self::Any => true,
        }
    }
}

impl CachedDocuments {
    /// Opens the caches of all projects, and that of the workspace. One that cannot be read has no
    /// documents, and its error is kept for [`Self::check`].
    pub(super) fn open(request: &SyncRequest<'_>) -> Self {
        let workspace = request.workspace;
        let projects = workspace.projects.iter();
        let paths: BTreeSet<_> = projects
            .map(|project| &project.cache_dir)
            .chain([&workspace.cache_dir])
            .collect();
        let mut error = None;
        let opened = paths.into_iter().filter_map(|path| {
            let opened = Cache::open_read_only(path);
            opened
                .map_err(|unreadable| {
                    tracing::debug!(error = %unreadable, "the cache is not used");
                    error.get_or_insert(unreadable);
                })
                .ok()
        });
        Self {
            caches: opened.collect(),
            error,
            remote: workspace.remote.url.to_string(),
            branch: workspace.remote.branch.clone(),
        }
    }

    /// Returns the error of a cache that cannot be read. Without the remote, its documents are
    /// unknown.
    pub(super) fn check(&mut self) -> Result<(), SyncError> {
        match self.error.take() {
            Some(error) => Err(SyncError::Cache(error)),
            None => Ok(()),
        }
    }

    /// Sets the branch, once it is known.
    pub(super) fn set_branch(&mut self, branch: &str) {
        self.branch = Some(branch.to_owned());
    }

    /// The document that `uri` names, if it names only one, and a cache has a version that is
    /// `current`.
    pub(super) fn document(&self, uri: &DocumentUri, current: Currency) -> Option<CodexDocument> {
        self.find(uri.path()?.as_bstr(), current)
    }

    /// All cached documents that `uri` names, and the paths of copies that cannot be used.
    pub(super) fn matching(
        &self,
        uri: &DocumentUri,
    ) -> (Vec<CodexDocument>, Vec<(BString, CopyFault)>) {
        let files = self.caches.iter().flat_map(|cache| &cache.manifest().files);
        let paths: BTreeSet<&BStr> = match uri.path() {
            Some(path) => BTreeSet::from([path.as_bstr()]),
            None => files
                .map(|(path, _)| path.as_bstr())
                .filter(|path| uri.names(path))
                .collect(),
        };

        let mut documents = Vec::new();
        let mut unusable = Vec::new();
        for path in paths {
            match self.find(path, Currency::Any) {
                Some(document) => documents.push(document),
                None => {
                    let fault = self.fault_of(path);
                    unusable.extend(fault.map(|fault| (path.to_owned(), fault)));
                }
            }
        }
        (documents, unusable)
    }

    /// The reason why the copies of the document at `path` cannot be used; `None` if there is no copy
    /// from the remote and the branch.
    fn fault_of(&self, path: &BStr) -> Option<CopyFault> {
        self.caches.iter().find_map(|cache| {
            let file = cache.manifest().files.get(path)?;
            let mut records = file.owners.iter();
            let is_of_codex = records.any(|owner| {
                let record = cache.manifest().owners.get(owner);
                record.is_some_and(|record| self.is_of_codex(record))
            });
            if !is_of_codex {
                return None;
            }
            match cache.condition(&path.to_owned(), file) {
                Ok(Some(Condition::Missing)) => Some(CopyFault::Removed),
                Ok(Some(_)) | Err(_) => Some(CopyFault::Modified),
                Ok(None) => Some(CopyFault::Outdated),
            }
        })
    }

    /// Whether a sync was one of the selected branch of the codex.
    fn is_of_codex(&self, record: &RequestRecord) -> bool {
        let branch = self.branch.as_ref();
        record.remote == self.remote && branch.is_none_or(|branch| *branch == record.branch)
    }

    /// The files that `uri` names, by their paths, as the caches record them.
    #[cfg(feature = "mcp")]
    pub(super) fn entries(&self, uri: &DocumentUri) -> BTreeMap<BString, Entry> {
        let records = self.caches.iter().flat_map(|cache| {
            let files = cache.manifest().files.keys();
            files.map(move |path| (cache, path))
        });
        let named = records.filter(|(_, path)| uri.names(path.as_bstr()));
        named
            .filter_map(|(cache, path)| {
                let (entry, _) = self.recorded(cache, path.as_bstr(), Currency::Any)?;
                Some((path.clone(), entry))
            })
            .collect()
    }

    /// Whether a cache has recorded the file at `path` with this id.
    #[cfg(feature = "mcp")]
    pub(super) fn has(&self, path: &BStr, id: ObjectId) -> bool {
        self.with_version(path, id).next().is_some()
    }

    /// The contents of the file at `path`, if a cache has them with this id.
    pub(super) fn contents(&self, path: &BStr, id: ObjectId) -> Option<Vec<u8>> {
        self.with_version(path, id)
            .find_map(|cache| cache.contents(path))
    }

    /// The caches that have recorded the file at `path` with this id.
    fn with_version(&self, path: &BStr, id: ObjectId) -> impl Iterator<Item = &Cache> {
        self.caches.iter().filter(move |cache| {
            let file = cache.manifest().files.get(path);
            file.is_some_and(|file| file.entry.id == id)
        })
    }

    /// The newest version of the document at `path` that is `current`, without local edits.
    fn find(&self, path: &BStr, current: Currency) -> Option<CodexDocument> {
        let mut candidates: Vec<_> = self
            .caches
            .iter()
            .filter_map(|cache| {
                let (entry, record) = self.recorded(cache, path, current)?;
                Some((record.time, cache, entry, record.tip))
            })
            .collect();
        candidates.sort_by_key(|(time, ..)| std::cmp::Reverse(*time));
        candidates.into_iter().find_map(|(_, cache, entry, tip)| {
            Some(CodexDocument {
                path: path.to_owned(),
                entry,
                contents: cache.contents(path)?,
                origin: ReadFrom::Cache,
                tip,
                source: None,
            })
        })
    }

    /// The record of a cache about the file at `path`, with the newest sync that is `current`. A sync
    /// that did not write all of its files does not count, because the file may be an older version.
    fn recorded<'c>(
        &self,
        cache: &'c Cache,
        path: &BStr,
        current: Currency,
    ) -> Option<(Entry, &'c RequestRecord)> {
        let manifest = cache.manifest();
        let file = manifest.files.get(path)?;
        let is_usable = |record: &&RequestRecord| {
            record.complete && self.is_of_codex(record) && current.is_met_by(record)
        };
        let records = file.owners.iter();
        let record = records
            .filter_map(|owner| manifest.owners.get(owner))
            .filter(is_usable)
            .max_by_key(|record| record.time)?;
        Some((file.entry, record))
    }
}
