//! Waiting on conditions, with an end.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds; the test fails if it takes too long.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
