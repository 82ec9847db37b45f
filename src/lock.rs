//! Waiting for a locked file without becoming deaf to signals.

use std::fs::File;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::interrupt::{Interrupt, Interrupted};

/// Locks `file` against other processes; held until the value is dropped, or the process ends however it ends. Calls
/// `waiting` if somebody else has it. `None` where the file system knows no locks.
pub fn lock(
    file: File,
    interrupt: &Interrupt,
    waiting: impl FnOnce(),
) -> Result<Option<File>, Interrupted> {
    if file.try_lock().is_ok() {
        return Ok(Some(file));
    }
    waiting();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let locked = file.lock().ok().map(|()| file);
        let _ = sender.send(locked);
    });
    loop {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(file) => return Ok(file),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => interrupt.check()?,
        }
    }
}
