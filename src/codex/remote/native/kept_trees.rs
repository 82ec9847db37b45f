//! The trees of a remote's tip, kept between runs: a run that finds the tip unchanged fills its clone from here and
//! fetches nothing.
//!
//! The file is a pack without contents behind the id of its tip. It is indexed like one that a server sends, so a
//! damaged file is noticed and counts as none.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::failure::Failure;
use super::incoming_pack::{self, IncomingPack, PackParts};
use crate::codex::store::Store;
use crate::event::Silent;
use crate::object::ObjectId;

const HEAD: &[u8] = b"fractary-codex trees 1\n";
/// A larger file is not kept: fetching anew costs little beside it, and drops trees that are no longer used.
const MOST_BYTES: u64 = 8 << 20;

/// The kept trees of one remote.
pub(super) struct KeptTrees {
    path: PathBuf,
    is_writable: bool,
    /// Packs without contents that a fetch of this run brought, or the kept one; together they hold all trees of the tip.
    packs: Option<Vec<PathBuf>>,
}

impl KeptTrees {
    pub(super) fn new(path: PathBuf, is_writable: bool) -> Self {
        Self {
            path,
            is_writable,
            packs: None,
        }
    }

    /// Fills an empty clone with the trees of `tip`; whether they were kept.
    pub(super) fn restore(&mut self, store: &Store, tip: ObjectId) -> bool {
        match self.try_restore(store, tip) {
            Ok(restored) => restored,
            Err(failure) => {
                tracing::debug!(%failure, "the kept trees cannot be used");
                false
            }
        }
    }

    fn try_restore(&mut self, store: &Store, tip: ObjectId) -> Result<bool, Failure> {
        let Ok(mut file) = File::open(&self.path) else {
            return Ok(false);
        };
        let mut head = vec![0; HEAD.len()];
        let mut ids = [ObjectId([0; 20]); 2];
        file.read_exact(&mut head)?;
        for id in &mut ids {
            file.read_exact(&mut id.0)?;
        }
        let [kept, cut] = ids;
        if head != HEAD || kept != tip {
            return Ok(false);
        }
        let mut pack = IncomingPack::new(store, Arc::new(Silent))?;
        io::copy(&mut file, &mut pack)?;
        let pack = pack.finish()?;
        // Without its commit the pack is not what it says.
        if store.read_commit(tip).is_none() {
            return Ok(false);
        }
        incoming_pack::set_shallow(store, &BTreeSet::from([cut]))?;
        self.packs = pack.map(|pack| vec![pack]);
        tracing::debug!("the trees of the tip are known");
        Ok(true)
    }

    /// Takes note of a pack that a fetch brought; `is_all` says that the clone held nothing before.
    pub(super) fn fetched(&mut self, pack: Option<PathBuf>, is_all: bool) {
        if is_all {
            self.packs = Some(Vec::new());
        }
        if let Some(packs) = &mut self.packs {
            packs.extend(pack);
        }
    }

    /// Keeps the trees of `tip`, which was fetched or has just been pushed. If they cannot be kept, the next run fetches them.
    pub(super) fn keep(&self, store: &Store, tip: ObjectId) {
        let Some(packs) = self.packs.as_ref().filter(|_| self.is_writable) else {
            return;
        };
        if let Err(error) = self.try_keep(store, packs, tip) {
            tracing::debug!(%error, "the trees of the tip are not kept");
        }
    }

    fn try_keep(&self, store: &Store, packs: &[PathBuf], tip: ObjectId) -> io::Result<()> {
        let shallow = incoming_pack::shallow(store).map_err(io::Error::from)?;
        let mut parts = PackParts::default();
        for pack in packs {
            parts.add_whole(pack)?;
        }
        parts.add_new(store, tip);
        // A history that was cut in several places, or nowhere, is rare.
        let cut = match (shallow.first(), shallow.len()) {
            (Some(cut), 1) if parts.length() <= MOST_BYTES => *cut,
            _ => return self.forget(),
        };
        let directory = self.path.parent().unwrap_or(&self.path);
        fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(HEAD)?;
        file.write_all(&tip.0)?;
        file.write_all(&cut.0)?;
        parts.write(&mut file)?;
        file.persist(&self.path)?;
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
