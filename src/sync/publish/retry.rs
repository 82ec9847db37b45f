//! Decides whether a push is tried again, and after which delay.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::push::Setback;
use crate::sync::repeater::MAX_WAIT;

/// How often a push is tried again if it failed while the tip stayed the same.
const SAME_TIP_TRIES: u32 = 2;

/// The retries of a run.
pub(super) struct Retries {
    limit: u32,
    /// The delays, which depend on the duration of the first attempt; `None` until the first attempt
    /// has ended.
    delays: Option<Box<dyn Iterator<Item = Duration>>>,
    /// How many attempts, up to the last one, have failed in a row while the tip stayed the same.
    at_same_tip: u32,
}

impl Retries {
    /// At most `limit` retries.
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            delays: None,
            at_same_tip: 0,
        }
    }

    /// Returns the delay before the next attempt, or `None` if no attempt is left. `duration` is
    /// the duration of the attempt that just failed.
    pub(super) fn next_delay(
        &mut self,
        has_moved: bool,
        setback: &Setback,
        duration: Duration,
    ) -> Option<Duration> {
        self.at_same_tip = if has_moved { 0 } else { self.at_same_tip + 1 };
        let limit = self.limit;
        let delay = self
            .delays
            .get_or_insert_with(|| Box::new(backoff(limit, duration)))
            .next()?;

        let min_delay = setback.min_delay(self.at_same_tip);
        let is_possible = self.at_same_tip <= SAME_TIP_TRIES && min_delay <= MAX_WAIT;
        is_possible.then(|| delay.max(min_delay))
    }
}

/// Exponential backoff with full jitter. The first bound is the duration of the attempt that just
/// failed, so that runs which lost the same race spread out.
///
/// The bounds grow slowly, so that a few runs do not wait longer than they need. They grow up to 30 s,
/// so that 500 runs that start at once all land within the default number of retries.
/// `benches/network/fleet.py` computes both.
fn backoff(retries: u32, attempt: Duration) -> impl Iterator<Item = Duration> {
    let bounds = ExponentialBuilder::default()
        .with_min_delay(attempt.clamp(Duration::from_millis(20), Duration::from_millis(500)))
        .with_factor(1.4)
        .with_max_delay(Duration::from_secs(30))
        .with_max_times(retries as usize)
        .build();
    bounds.map(|bound| bound.mul_f32(fastrand::f32()))
}
