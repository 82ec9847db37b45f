//! The directory of a temporary clone, and the removal of directories that killed runs left behind.
//!
//! A directory is created and locked under a preliminary name, and then renamed. A directory with
//! the final name and no lock therefore belongs to a run that has ended. A directory that has kept
//! the preliminary name for a day is removed as well.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_std::fs::Dir;

use crate::{lock, platform};

/// The file in the directory that is locked while the run uses it.
pub(super) const LOCK: &str = "lock";
/// The start of the preliminary name.
const MAKING: &str = ".fractary-codex-making-";
/// The start of the final name.
const CLONE: &str = "fractary-codex-clone-";

/// A directory that is deleted when the value is dropped.
pub(super) struct TempCloneDir(PathBuf);

impl TempCloneDir {
    /// Creates the directory in `temporary`. The returned file holds the lock.
    pub(super) fn locked_in(temporary: &Path) -> io::Result<(Self, File)> {
        let making = tempfile::Builder::new()
            .prefix(MAKING)
            .tempdir_in(temporary)?;
        let lock = File::create(making.path().join(LOCK))?;
        lock.lock()?;
        let unique = making
            .path()
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix(MAKING))
            .unwrap_or_default();
        let path = temporary.join(format!("{CLONE}{unique}"));
        fs::rename(making.path(), &path)?;
        drop(making.keep());
        Ok((Self(path), lock))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempCloneDir {
    fn drop(&mut self) {
        let _span = tracing::debug_span!("cleanup").entered();
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove the temporary clone");
        }
    }
}

/// Removes the clones of killed runs from `temporary`: directories with a name of this program that
/// belong to this user and are not locked.
pub(crate) fn sweep(temporary: &Path) {
    let entries = fs::read_dir(temporary).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let being_made = name.starts_with(MAKING);
        if !being_made && !name.starts_with(CLONE) {
            continue;
        }
        // The metadata of a link itself, which is not followed.
        let Ok(meta) = entry.metadata() else { continue };
        if !meta.is_dir()
            || !platform::is_own(&entry.path(), &meta)
            || (being_made && !is_old(&meta))
        {
            continue;
        }
        let lock = Dir::open_ambient_dir(entry.path(), cap_std::ambient_authority())
            .and_then(|directory| lock::open_existing_in(&directory, Path::new(LOCK)));
        let free = match lock {
            Ok(lock) => lock.try_lock().is_ok(),
            // A clone gets its lock file before its final name, so one without it is already partly
            // removed.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if free {
            tracing::debug!(path = %entry.path().display(), "removing the clone of a killed run");
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::debug!(%error, "cannot remove it");
            }
        }
    }
}

/// Whether nothing was created in the directory for a day. A new directory is renamed within
/// moments.
fn is_old(directory: &fs::Metadata) -> bool {
    let age = directory
        .modified()
        .ok()
        .and_then(|made| made.elapsed().ok());
    age.is_some_and(|age| age > Duration::from_secs(24 * 60 * 60))
}
