//! Reads loose objects: those that are in a file of their own. libgit2 never returns from reading one
//! whose file ends early, so objects that other programs wrote are read here first.

use std::path::{Path, PathBuf};

use gix_odb::{alternate, loose};

use crate::object::{Kind, ObjectId, hash};

/// The loose objects of a directory of objects, and of its alternates.
pub(super) struct LooseObjects(Vec<loose::Store>);

/// A loose object cannot be read, is damaged, or is of another kind than expected.
#[derive(Debug, thiserror::Error)]
#[error("a loose object is damaged")]
pub(super) struct UnusableLooseObject;

impl LooseObjects {
    /// Opens the directory at this absolute path. Alternates that cannot be found are left out.
    pub(super) fn open(objects: &Path) -> Self {
        let alternates = alternate::resolve(objects.to_owned(), Path::new("/"));
        let alternates = alternates.unwrap_or_default().into_iter();
        let store = |directory: PathBuf| loose::Store::at(directory, gix_hash::Kind::Sha1);
        let directories = [objects.to_owned()].into_iter().chain(alternates);
        Self(directories.map(store).collect())
    }

    /// The bytes of the object `id`; `None` if it is not loose.
    pub(super) fn read(
        &self,
        kind: Kind,
        id: ObjectId,
    ) -> Result<Option<Vec<u8>>, UnusableLooseObject> {
        for store in &self.0 {
            let mut data = Vec::new();
            let found = store.try_find(gix_hash::oid::from_bytes_unchecked(&id.0), &mut data);
            let is_found = found.map(|found| found.is_some()).map_err(|error| {
                tracing::debug!(%id, %error, "cannot read a loose object");
                UnusableLooseObject
            })?;
            if is_found {
                let is_sound = hash(kind, &data) == id;
                return is_sound.then_some(Some(data)).ok_or(UnusableLooseObject);
            }
        }
        Ok(None)
    }

    /// The header of the object `id`; `None` if it is not loose.
    pub(super) fn header(&self, id: ObjectId) -> Result<Option<Header>, UnusableLooseObject> {
        for store in &self.0 {
            let found = store.try_header(gix_hash::oid::from_bytes_unchecked(&id.0));
            let found = found.map_err(|error| {
                tracing::debug!(%id, %error, "cannot read the header of a loose object");
                UnusableLooseObject
            })?;
            if let Some((size, kind)) = found {
                let is_blob = kind.as_bytes() == b"blob";
                return Ok(Some(Header { is_blob, size }));
            }
        }
        Ok(None)
    }

    /// The id of a loose object that cannot be read, if there is one. Blobs are only read as far as
    /// their header.
    pub(super) fn find_damaged(&self) -> Option<ObjectId> {
        let ids = self.0.iter().flat_map(|store| {
            let ids = store.iter().flatten();
            ids.map(move |id| (store, id))
        });
        let mut data = Vec::new();
        for (store, id) in ids {
            let is_readable = match store.try_header(&id) {
                Ok(Some((_, kind))) if kind.as_bytes() == b"blob" => true,
                Ok(Some(_)) => store.try_find(&id, &mut data).is_ok(),
                Ok(None) => true,
                Err(_) => false,
            };
            if !is_readable {
                return <[u8; 20]>::try_from(id.as_slice()).ok().map(ObjectId);
            }
        }
        None
    }
}

/// The header of a loose object. The rest of the object is not checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) is_blob: bool,
    pub(super) size: u64,
}
