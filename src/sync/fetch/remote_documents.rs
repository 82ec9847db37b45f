//! Documents at the tip of the codex: only the trees on the way to them are fetched, and their
//! contents.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BStr, BString, ByteSlice};

use super::fetch_error::FetchError;
use super::missing_document::explain;
use crate::codex::objects::sync_history;
use crate::codex::objects::tree::{self, TreeError};
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::codex::remote::{Depth, Transport, TreeLevels};
use crate::codex::source_revision::SourceRevision;
use crate::codex::store::{Contents, Store, StoreError};
use crate::interrupt::OnSignal;
use crate::object::{Mode, ObjectId};
use crate::outcome::SyncError;
use crate::paths::{check_file_name, join_below};
use crate::plan::Entry;
use crate::sync::SyncRequest;
use crate::sync::repeater::Repeater;
use crate::workspace::document_uri::DocumentUri;

/// The number of commits that are read to find the last sync of a project. There are so many only
/// if the codex is a repository on this machine.
const MAX_COMMITS: usize = 1000;

/// The tip of the codex, of which a clone has some objects.
pub(super) struct RemoteDocuments<'r> {
    request: &'r SyncRequest<'r>,
    transport: &'r dyn Transport,
    repeater: Repeater,
    branch: &'r str,
    store: Store,
    /// The tip that was fetched.
    pub(super) tip: ObjectId,
}

/// The entries of the codex that URIs name.
#[derive(Default)]
pub(super) struct FoundEntries {
    /// Files, links and submodules by their paths.
    pub(super) entries: BTreeMap<BString, Entry>,
    /// The paths of entries that are skipped, because a file system could not have their names.
    pub(super) unusable: Vec<BString>,
}

impl<'r> RemoteDocuments<'r> {
    /// Fetches the tip of `branch` and the upper trees.
    pub(super) fn fetch(
        request: &'r SyncRequest<'r>,
        transport: &'r dyn Transport,
        branch: &'r str,
    ) -> Result<Self, SyncError> {
        let store = Store::create(&request.temporary)?.of_upper_trees();
        let mut documents = Self {
            request,
            transport,
            repeater: Repeater::new(&request.workspace.remote.timeout),
            branch,
            store,
            tip: ObjectId([0; 20]),
        };
        match documents.fetch_tip() {
            Err(error) if is_about_filter(&error) => documents.refetch(error)?,
            fetched => fetched?,
        }
        Ok(documents)
    }

    fn fetch_tip(&mut self) -> Result<(), RemoteError> {
        let fetch = || {
            let branches = [self.branch];
            self.transport
                .fetch(&self.store, &branches, Depth(1), OnSignal::Stop)
        };
        let tips = self.repeater.run(Some(&self.request.interrupt), fetch)?;
        self.tip = tips[0];
        Ok(())
    }

    /// Fetches the tip again, because the server has rejected a request with `error`: with all
    /// trees if it rejects the filter, and with everything if it does not send objects by their
    /// ids. Any other error is returned.
    fn refetch(&mut self, error: RemoteError) -> Result<(), SyncError> {
        let is_unadvertised = error.kind == RemoteErrorKind::Unadvertised;
        if !is_unadvertised && !is_about_filter(&error) {
            return Err(error.into());
        }
        tracing::debug!(%error, detail = ?error.detail, "fetching more of the tip");
        if is_unadvertised {
            self.store.renew_with_contents()?;
        } else {
            self.store.renew_with_trees()?;
        }
        Ok(self.fetch_tip()?)
    }

    /// Finds the entries that `uris` name, level by level.
    pub(super) fn find(&mut self, uris: &[&DocumentUri]) -> Result<FoundEntries, SyncError> {
        loop {
            if let Some(found) = self.try_find(uris)? {
                return Ok(found);
            }
        }
    }

    /// Like [`Self::find`]; `None` if the clone was replaced by a larger one meanwhile.
    fn try_find(&mut self, uris: &[&DocumentUri]) -> Result<Option<FoundEntries>, SyncError> {
        let root = self.store.root_tree(self.tip).map_err(StoreError::from)?;
        let mut found = FoundEntries::default();
        let mut level = vec![(BString::default(), root)];
        while !level.is_empty() {
            if !self.fetch_level(&level, uris)? {
                return Ok(None);
            }
            let mut next = Vec::new();
            for (directory, id) in level {
                let data = self.store.read_tree(id).map_err(StoreError::from)?;
                let entries = tree::decode(&data).ok_or(TreeError::Damaged(id));
                for entry in entries.map_err(StoreError::from)? {
                    let path = join_below(directory.as_bstr(), entry.name.as_bstr());
                    let is_directory = entry.mode == Mode::Directory;
                    let is_wanted = uris.iter().any(|uri| match is_directory {
                        true => uri.can_be_below(path.as_bstr()),
                        false => uri.names(path.as_bstr()),
                    });
                    if !is_wanted {
                        continue;
                    }
                    if check_file_name(&entry.name).is_err() {
                        found.unusable.push(path);
                    } else if is_directory {
                        next.push((path, entry.id));
                    } else {
                        let (mode, id) = (entry.mode, entry.id);
                        found.entries.entry(path).or_insert(Entry { mode, id });
                    }
                }
            }
            level = next;
        }
        Ok(Some(found))
    }

    /// Fetches the trees of one level that the clone lacks, with those below them that the URIs can
    /// need. Returns `false` if the clone was replaced by a larger one.
    fn fetch_level(
        &mut self,
        level: &[(BString, ObjectId)],
        uris: &[&DocumentUri],
    ) -> Result<bool, SyncError> {
        let ids = level.iter().map(|(_, id)| *id).collect();
        let missing = self.store.missing(&ids)?;
        if missing.is_empty() {
            return Ok(true);
        }
        let depth = level[0].0.split_str("/").count();
        let segments = uris.iter().map(|uri| uri.max_segments());
        let levels = match segments.collect::<Option<Vec<_>>>() {
            Some(segments) => {
                let most = segments.into_iter().max().unwrap_or_default();
                TreeLevels::Some(most.saturating_sub(depth + 1))
            }
            None => TreeLevels::All,
        };
        let fetch = || self.transport.fetch_trees(&self.store, &missing, levels);
        match self.repeater.run(Some(&self.request.interrupt), fetch) {
            Ok(()) => Ok(true),
            Err(error) => self.refetch(error).map(|()| false),
        }
    }

    /// Fetches the contents with these ids, and returns a reader.
    pub(super) fn contents(&mut self, ids: &BTreeSet<ObjectId>) -> Result<Contents, SyncError> {
        let missing = self.store.missing(ids)?;
        if !missing.is_empty() {
            let fetch = || self.transport.fetch_contents(&self.store, &missing);
            if let Err(error) = self.repeater.run(Some(&self.request.interrupt), fetch) {
                self.refetch(error.clone())?;
                // Another commit may have replaced the tip in the meantime.
                if !self.store.missing(ids)?.is_empty() {
                    return Err(error.into());
                }
            }
        }
        Ok(self.store.contents())
    }

    /// The source revisions of the last syncs of projects, as far as the clone has their commits.
    pub(super) fn sources(&self, projects: &BTreeSet<&str>) -> BTreeMap<String, SourceRevision> {
        let left = std::cell::Cell::new(MAX_COMMITS);
        let read = |id| {
            left.set(left.get().checked_sub(1)?);
            self.store.read_commit(id)
        };
        let history = sync_history::search(self.tip, projects, read);
        let syncs = history.syncs.into_iter();
        syncs
            .filter_map(|(project, commit)| Some((project, commit.source?)))
            .collect()
    }

    /// The reason why there is no document at `path`, which the URI `uri` names.
    pub(super) fn explain(&self, uri: &DocumentUri, path: &BStr) -> Result<FetchError, SyncError> {
        let root = self.store.root_tree(self.tip).map_err(StoreError::from)?;
        let read = |id| self.store.read_tree(id);
        let explained = explain(uri.as_str(), path, &read, root, self.request.workspace);
        Ok(explained.map_err(StoreError::from)?)
    }
}

/// Whether the server rejects the filter of a request.
fn is_about_filter(error: &RemoteError) -> bool {
    error.detail.iter().any(|line| line.contains("filter"))
}
