//! A request to stop, as a value: the command line sets it from a signal handler, long work asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Shared by everything that can take long. Cloning shares the same request.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicI32>);

/// Work stopped because signal `.0` asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted by signal {0}")]
pub struct Interrupted(pub i32);

impl Interrupt {
    /// Asks to stop, on behalf of `signal`.
    pub fn request(&self, signal: i32) {
        self.0.store(signal, Ordering::SeqCst);
    }

    /// Sleeps for `duration`, or until somebody asks to stop.
    pub fn wait(&self, duration: Duration) -> Result<(), Interrupted> {
        let end = Instant::now() + duration;
        loop {
            self.check()?;
            match end.checked_duration_since(Instant::now()) {
                Some(rest) if !rest.is_zero() => thread::park_timeout(rest.min(Duration::from_millis(50))),
                _ => return Ok(()),
            }
        }
    }

    /// An error if somebody asked to stop.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.0.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Interrupted(signal)),
        }
    }
}
