//! Lock files. Another kind of file with the name of a lock cannot block a run, and signals are
//! handled while a run waits for a lock.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use cap_std::fs::{Dir, OpenOptions};

use crate::interrupt::{Interrupt, Interrupted};
use crate::platform;

/// Opens the lock file at `path`, and creates it if it does not exist. An error if something other
/// than a regular file is there.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let directory = Dir::open_ambient_dir(directory, cap_std::ambient_authority())?;
    open_in(&directory, Path::new(path.file_name().unwrap_or_default()))
}

/// The same for the lock file `name` in `directory`.
pub(crate) fn open_in(directory: &Dir, name: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).write(true);
    match platform::open_own_file(directory, name, &options) {
        // The file belongs to another user. It can be locked all the same.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            match open_existing_in(directory, name) {
                // The file does not exist and cannot be created.
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => Err(error),
                opened => opened,
            }
        }
        opened => Ok(opened?.into_std()),
    }
}

/// Opens a lock file that another run made.
pub(crate) fn open_existing_in(directory: &Dir, name: &Path) -> io::Result<File> {
    let file = platform::open_own_file(directory, name, OpenOptions::new().read(true))?;
    Ok(file.into_std())
}

/// Locks `file` against other processes until the value is dropped or the process ends. Calls
/// `waiting` if another process holds the lock. Returns `None` if the file system has no locks.
pub(crate) fn lock(
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
