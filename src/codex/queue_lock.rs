//! A lock per remote, so that the runs on this machine push one after the other. Waiting here is
//! cheaper than a push that the server rejects because another run was faster.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::event::{Event, Reporter};
use crate::interrupt::{Interrupt, Interrupted};
use crate::lock;
use crate::object::{Kind, hash};

/// Guard of the lock. The operating system releases the lock when the process ends, even after
/// SIGKILL.
pub(crate) struct QueueLock {
    /// `None` if the run continues without the lock.
    _file: Option<File>,
}

impl QueueLock {
    /// Waits for the lock of the remote `key`. The lock file is in the directory `state`. If it
    /// cannot be created, for example in a read-only home directory, the run continues without the
    /// lock. That is safe, but a push can be rejected and repeated more often.
    pub(crate) fn acquire(
        state: &Path,
        key: &str,
        interrupt: &Interrupt,
        reporter: &dyn Reporter,
    ) -> Result<Self, Interrupted> {
        let directory = state.join("locks");
        let path = directory.join(format!("{}.lock", hash(Kind::Blob, key.as_bytes())));
        let opened = fs::create_dir_all(&directory).and_then(|()| lock::open(&path));
        let file = match opened {
            Ok(file) => lock::lock(file, interrupt, || reporter.event(&Event::Waiting))?,
            Err(error) => {
                let path = path.display();
                if error.kind() == io::ErrorKind::InvalidInput {
                    // Something other than a regular file has its name.
                    tracing::warn!(%path, %error, "continuing without a lock");
                } else {
                    tracing::debug!(%path, %error, "continuing without a lock");
                }
                None
            }
        };
        Ok(Self { _file: file })
    }
}
