//! A request to stop, as a value: the command line sets it from a signal handler, long work asks for it. It also knows
//! the children that run, so that none outlives an end at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::platform;

/// Shared by everything that can take long. Cloning shares the same request.
///
/// ```
/// use fractary_codex::interrupt::{Interrupt, Interrupted};
///
/// let interrupt = Interrupt::default();
/// assert_eq!(interrupt.check(), Ok(()));
/// interrupt.clone().request(15);
/// assert_eq!(interrupt.check(), Err(Interrupted(15)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    signal: AtomicI32,
    /// The children that run, each the leader of a process group.
    groups: Mutex<BTreeSet<u32>>,
}

/// A child that is known to an [`Interrupt`] as long as this value lives.
#[derive(Debug)]
pub struct Running(Interrupt, u32);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.groups().remove(&self.1);
    }
}

/// Work stopped because signal `.0` asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted by signal {0}")]
pub struct Interrupted(pub i32);

impl Interrupt {
    /// Asks to stop, on behalf of `signal`.
    pub fn request(&self, signal: i32) {
        self.0.signal.store(signal, Ordering::SeqCst);
    }

    /// Takes notice of a child that runs and leads a process group.
    pub fn running(&self, leader: u32) -> Running {
        self.groups().insert(leader);
        Running(self.clone(), leader)
    }

    /// Asks every child and what it started to end. Asked, git takes its lock files away; killed, it would leave them in
    /// a codex on this machine.
    pub fn end_children(&self) {
        for leader in self.groups().iter() {
            platform::ask_to_end(*leader);
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.0.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for `duration`, or until somebody asks to stop.
    pub fn wait(&self, duration: Duration) -> Result<(), Interrupted> {
        let end = Instant::now() + duration;
        loop {
            self.check()?;
            match end.checked_duration_since(Instant::now()) {
                Some(rest) if !rest.is_zero() => {
                    thread::park_timeout(rest.min(Duration::from_millis(50)))
                }
                _ => return Ok(()),
            }
        }
    }

    /// An error if somebody asked to stop.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.0.signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Interrupted(signal)),
        }
    }
}
