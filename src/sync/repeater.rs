//! Repeats requests that only read.

use std::thread;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::interrupt::Interrupt;
use crate::workspace::Timeouts;

/// The longest wait that a server can ask for (`Retry-After`) before a request is given up instead.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Repeats requests that only read, a few times, while the server answers that it cannot now or the connection breaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeater {
    /// The first delay. It doubles, and a random part is added.
    delay: Duration,
}

impl Repeater {
    /// Short time limits mean a server that is near, or a user who does not wait.
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        let delay = timeouts.idle / 100;
        Self {
            delay: delay.clamp(Duration::from_millis(10), Duration::from_millis(500)),
        }
    }

    /// Sends a request until it is answered. An interrupt, where one is given, ends the waiting.
    pub(super) fn run<T>(
        self,
        interrupt: Option<&Interrupt>,
        send: impl Fn() -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(self.delay)
            .with_max_times(3)
            .with_jitter()
            .build();
        loop {
            let error = match send() {
                Err(error) if error.kind.is_repeated() => error,
                result => return result,
            };
            let asked = error.advice.retry_after.unwrap_or_default();
            let Some(delay) = delays.next().filter(|_| asked <= LONGEST_WAIT) else {
                return Err(error);
            };
            let delay = delay.max(asked);
            tracing::debug!(%error, detail = ?error.detail, ?delay, "asking again");
            match interrupt {
                Some(interrupt) => {
                    if let Err(interrupted) = interrupt.wait(delay) {
                        let kind = RemoteErrorKind::Interrupted(interrupted);
                        return Err(RemoteError { kind, ..error });
                    }
                }
                None => thread::sleep(delay),
            }
        }
    }
}
