//! The trees of a remote's tip, kept between runs: if the tip is unchanged, a run fills its clone
//! with them instead of fetching.
//!
//! The file contains the id of the tip, the commits at which its history is cut after their number,
//! and packs without blobs, each after its length. The packs are indexed like those from a server, so
//! a damaged file is detected and ignored. They stay separate because a server repeats trees when it
//! sends more of the history, and no pack may contain an object twice.

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

const HEAD: &[u8] = b"fractary-codex trees 2\n";
/// The maximum size of the file. Above it, a fetch costs little in comparison, and removes unused
/// trees.
const MAX_BYTES: u64 = 8 << 20;

/// The kept trees of one remote.
pub(super) struct KeptTrees {
    path: PathBuf,
    is_writable: bool,
    /// The packs without blobs that this run has fetched, or those of an earlier run. Together they
    /// contain all trees of the tip.
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

    /// Fills an empty clone with the trees of `tip`, and returns whether they were kept.
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
        let mut kept = ObjectId([0; 20]);
        let mut length = [0; 8];
        file.read_exact(&mut head)?;
        file.read_exact(&mut kept.0)?;
        file.read_exact(&mut length)?;
        if head != HEAD || kept != tip {
            return Ok(false);
        }
        let mut cut = BTreeSet::new();
        for _ in 0..u64::from_be_bytes(length) {
            let mut id = ObjectId([0; 20]);
            file.read_exact(&mut id.0)?;
            cut.insert(id);
        }
        let mut packs = Vec::new();
        while file.read_exact(&mut length).is_ok() {
            let length = u64::from_be_bytes(length);
            let mut pack = IncomingPack::new(store, Arc::new(Silent))?;
            io::copy(&mut (&mut file).take(length), &mut pack)?;
            packs.extend(pack.finish()?);
        }
        // Without its commit, the pack does not belong to the tip.
        if store.read_commit(tip).is_none() {
            return Ok(false);
        }
        incoming_pack::set_shallow(store, &cut)?;
        self.packs = Some(packs);
        tracing::debug!("the trees of the tip are known");
        Ok(true)
    }

    /// Adds a fetched pack. With `is_all`, the clone was empty before.
    pub(super) fn fetched(&mut self, pack: Option<PathBuf>, is_all: bool) {
        if is_all {
            self.packs = Some(Vec::new());
        }
        if let Some(packs) = &mut self.packs {
            packs.extend(pack);
        }
    }

    /// Keeps nothing more in this run, because its clone has the trees of several tips.
    pub(super) fn give_up(&mut self) {
        self.packs = None;
    }

    /// Writes the trees of `tip`, which was fetched or pushed. After an error, the next run fetches
    /// them.
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
        let fetched = packs.iter().map(|pack| PackParts::of_whole(pack));
        let mut packs = fetched.collect::<io::Result<Vec<_>>>()?;
        let own = PackParts::of_push(store, &[tip], &[]);
        packs.extend((own.count() > 0).then_some(own));
        let length: u64 = packs.iter().map(PackParts::length).sum();
        if length > MAX_BYTES {
            return self.forget();
        }
        let directory = self.path.parent().unwrap_or(&self.path);
        fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(HEAD)?;
        file.write_all(&tip.0)?;
        file.write_all(&(shallow.len() as u64).to_be_bytes())?;
        for cut in &shallow {
            file.write_all(&cut.0)?;
        }
        for pack in packs {
            file.write_all(&pack.length().to_be_bytes())?;
            pack.write(&mut file)?;
        }
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
