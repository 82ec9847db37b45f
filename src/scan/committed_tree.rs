//! The tree of a commit, and access to the objects of its repository.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bstr::BString;

use crate::object::{Mode, ObjectId};

/// The entries of a tree by name.
pub(crate) type EntriesByName = HashMap<BString, (Mode, ObjectId)>;

/// The objects of a repository.
pub(crate) trait SourceObjects: Sync {
    /// The entries of a tree. Every name is a single valid segment.
    fn tree(&self, id: ObjectId) -> Result<Vec<CommittedEntry>, UnreadableObject>;

    /// The same entries by name. Projects share the trees above them, so a large tree is decoded
    /// only once for all of them.
    fn tree_by_name(&self, id: ObjectId) -> Result<Arc<EntriesByName>, UnreadableObject>;

    /// The size of a blob, in bytes.
    fn size(&self, id: ObjectId) -> Result<u64, UnreadableObject>;

    /// The contents of a blob.
    fn blob(&self, id: ObjectId) -> Result<Vec<u8>, UnreadableObject>;
}

/// An entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommittedEntry {
    /// The name.
    pub name: BString,
    /// The mode.
    pub mode: Mode,
    /// The object.
    pub id: ObjectId,
}

/// An object of a source repository cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableObject {
    /// The repository does not have the object.
    #[error("the object {0} is missing in the repository")]
    Missing(ObjectId),
    /// The data of the object is invalid.
    #[error("the object {id} is damaged: {reason}")]
    Damaged {
        /// The object.
        id: ObjectId,
        /// The reason.
        reason: String,
    },
}

/// The tree of the commit that a project is published from.
#[derive(Clone, Copy)]
pub(crate) struct CommittedTree<'t> {
    /// The objects of the repository.
    pub objects: &'t dyn SourceObjects,
    /// The commit.
    pub commit: ObjectId,
    /// The root tree of the commit.
    pub id: ObjectId,
    /// The directory of the working tree, resolved.
    pub directory: &'t Path,
}
