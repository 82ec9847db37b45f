//! The parsed documents of a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::checks::links::{Document, DocumentKind};
use crate::object::ObjectId;

/// The documents that were parsed in a run, by their contents. A retry, which plans again, does not
/// parse them again.
#[derive(Default)]
pub(super) struct Documents(Mutex<ParsedDocuments>);

/// Documents by their contents and format; `None` if they could not be read.
type ParsedDocuments = HashMap<(ObjectId, DocumentKind), Option<Arc<Document>>>;

impl Documents {
    /// The document with these contents, which `read` returns, unless they cannot be read.
    pub(super) fn get(
        &self,
        id: ObjectId,
        kind: DocumentKind,
        read: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Arc<Document>> {
        if let Some(document) = self.known().get(&(id, kind)) {
            return document.clone();
        }
        // The lock is not held meanwhile, so that other threads can parse other documents.
        let document = read().map(|contents| Arc::new(kind.parse(&contents)));
        self.known().insert((id, kind), document.clone());
        document
    }

    /// The document with these contents, if it was parsed.
    pub(super) fn parsed(&self, id: ObjectId, kind: DocumentKind) -> Option<Arc<Document>> {
        self.known().get(&(id, kind)).cloned().flatten()
    }

    /// Parses a file of the plan, if it can have links.
    pub(super) fn add(&self, id: ObjectId, kind: DocumentKind, contents: &[u8]) {
        if kind.can_have_links(contents) && self.parsed(id, kind).is_none() {
            let document = Arc::new(kind.parse(contents));
            self.known().insert((id, kind), Some(document));
        }
    }

    fn known(&self) -> MutexGuard<'_, ParsedDocuments> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
