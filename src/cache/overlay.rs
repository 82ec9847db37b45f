//! The files of a cache as simulated plans would leave them.

use std::collections::BTreeMap;

use bstr::{BStr, BString, ByteSlice};

use super::dir::DiskEntry;

/// The files that simulated plans wrote or removed, by path.
#[derive(Default)]
pub(super) struct Overlay(BTreeMap<BString, DiskEntry>);

impl Overlay {
    /// Sets the entry that a simulated plan leaves at `path`.
    pub(super) fn insert(&mut self, path: BString, entry: DiskEntry) {
        self.0.insert(path, entry);
    }

    /// The simulated entry at exactly this path.
    pub(super) fn get(&self, path: &BStr) -> Option<&DiskEntry> {
        self.0.get(path)
    }

    /// Combines the entry `found` on disk at `path`, for which there is no simulated entry, with
    /// the simulated entries above and below it.
    pub(super) fn merge(&self, path: &BStr, found: DiskEntry) -> DiskEntry {
        if self.0.is_empty() {
            return found;
        }
        let above = path
            .find_iter(b"/")
            .map(|slash| path[..slash].as_bstr())
            .find(|above| self.is_file(above));
        if let Some(above) = above {
            return DiskEntry::Blocked(above.to_owned());
        }

        let found = match found {
            DiskEntry::Blocked(above) if self.is_removed(above.as_bstr()) => DiskEntry::Absent,
            found => found,
        };
        let mut inside = match &found {
            DiskEntry::Directory(inside) => inside.clone(),
            DiskEntry::Absent | DiskEntry::Blocked(_) => Vec::new(),
            DiskEntry::File { .. } | DiskEntry::Other | DiskEntry::Unusable(_) => return found,
        };
        let prefix = BString::from([path.as_bytes(), b"/"].concat());
        let added = self
            .0
            .keys()
            .filter(|path| path.starts_with(&prefix) && self.is_file(path.as_bstr()));
        inside.retain(|path| !self.0.contains_key(path));
        inside.extend(added.cloned());
        match found {
            DiskEntry::Absent | DiskEntry::Blocked(_) if inside.is_empty() => found,
            _ => DiskEntry::Directory(inside),
        }
    }

    fn is_removed(&self, path: &BStr) -> bool {
        matches!(self.get(path), Some(DiskEntry::Absent))
    }

    fn is_file(&self, path: &BStr) -> bool {
        matches!(self.get(path), Some(DiskEntry::File { .. }))
    }
}
