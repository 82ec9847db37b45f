//! Cooperative cancellation. The command line requests it when a signal arrives, and long
//! operations check for it. The running child processes are registered here too, so that none
//! outlives a run that ends immediately.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::platform;

/// A request to stop, shared by all long operations. Clones share the same request.
///
/// ```
/// use fractary_codex::interrupt::Interrupt;
///
/// let interrupt = Interrupt::default();
/// assert_eq!(interrupt.check(), Ok(()));
/// interrupt.clone().request(15);
/// assert_eq!(interrupt.check().map_err(|interrupted| interrupted.0), Err(15));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The signal that requested the stop; 0 if there was none.
    signal: Arc<AtomicUsize>,
    /// The process ids of the running children, each the leader of a process group.
    groups: Arc<Mutex<BTreeSet<u32>>>,
}

/// Keeps a child registered with an [`Interrupt`] until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(Interrupt, u32);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.groups().remove(&self.1);
    }
}

/// The error of an operation that stopped because of signal `.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted by signal {0}")]
#[non_exhaustive]
pub struct Interrupted(pub i32);

/// The effect of a signal on an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnSignal {
    /// The operation stops.
    Stop,
    /// The operation continues: data was sent, so the result must be awaited and reported.
    GoOn,
}

impl Interrupt {
    /// Requests a stop because of `signal`.
    pub fn request(&self, signal: i32) {
        self.0
            .signal
            .store(signal.unsigned_abs() as usize, Ordering::SeqCst);
    }

    /// A request of its own, for one of several operations that can stop without the others. Its
    /// children are still registered with this one.
    #[cfg(feature = "mcp")]
    pub(crate) fn separate(&self) -> Self {
        Self(Arc::new(Shared {
            signal: Arc::default(),
            groups: self.0.groups.clone(),
        }))
    }

    /// The number of the signal that requests the stop, for a signal handler, which can only store
    /// a number.
    pub(crate) fn flag(&self) -> Arc<AtomicUsize> {
        self.0.signal.clone()
    }

    /// Registers a running child with process id `leader`, which leads a process group.
    pub(crate) fn running(&self, leader: u32) -> Running {
        self.groups().insert(leader);
        Running(self.clone(), leader)
    }

    /// Sends SIGTERM to every registered process group, rather than SIGKILL: a killed git leaves its
    /// lock files in a codex on this machine.
    pub(crate) fn end_children(&self) {
        for leader in self.groups().iter() {
            platform::ask_to_end(*leader);
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.0.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for `duration`. Returns an error as soon as a stop is requested.
    pub(crate) fn wait(&self, duration: Duration) -> Result<(), Interrupted> {
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

    /// Returns an error if a stop was requested.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.0.signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Interrupted(signal as i32)),
        }
    }
}
