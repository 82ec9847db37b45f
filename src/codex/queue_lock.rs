//! One run at a time per remote on this machine: queueing here is cheaper than losing a race at the server.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::event::{Event, Reporter};
use crate::interrupt::{Interrupt, Interrupted};
use crate::lock;
use crate::object::{Kind, hash};

/// Held until dropped; the system lets go of it when the process ends, however it ends.
pub struct QueueLock {
    _file: Option<File>,
}

/// Waits for this machine's turn at the remote `key`. Where no lock file can be made (a read-only home) the run goes
/// on without: the push itself is safe against others, only slower.
pub fn acquire(
    state: &Path,
    key: &str,
    interrupt: &Interrupt,
    reporter: &dyn Reporter,
) -> Result<QueueLock, Interrupted> {
    let directory = state.join("locks");
    let path = directory.join(format!("{}.lock", hash(Kind::Blob, key.as_bytes())));
    let opened = fs::create_dir_all(&directory).and_then(|()| lock::open(&path));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            tracing::warn!(path = %path.display(), %error, "going on without a lock");
            return Ok(QueueLock { _file: None });
        }
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "going on without a lock");
            return Ok(QueueLock { _file: None });
        }
    };
    let file = lock::lock(file, interrupt, || reporter.event(&Event::Waiting))?;
    Ok(QueueLock { _file: file })
}
