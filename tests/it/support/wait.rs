//! Waiting for a condition, with a time limit.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` is true. The test fails if that takes longer than a minute.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "timed out waiting until {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
