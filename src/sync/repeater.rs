//! Repeats requests that only read.

use std::thread;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::interrupt::Interrupt;
use crate::workspace::Timeouts;

/// The longest delay that a server can request (`Retry-After`). A longer one is an error instead.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60);

/// Repeats a request a few times if the server is temporarily unavailable or the connection breaks.
/// The request must only read, because it may be processed more than once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeater {
    /// The first delay. It is doubled each time, and a random part is added.
    delay: Duration,
}

impl Repeater {
    /// The delays depend on the time limit: if it is short, the server is near or the user does not
    /// want to wait.
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        let delay = timeouts.idle / 100;
        Self {
            delay: delay.clamp(Duration::from_millis(10), Duration::from_millis(500)),
        }
    }

    /// Sends a request, and repeats it up to three times after a temporary error. A signal ends a delay, if an
    /// `interrupt` is given.
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
            let requested = error.advice.retry_after.unwrap_or_default();
            let Some(delay) = delays.next().filter(|_| requested <= MAX_WAIT) else {
                return Err(error);
            };
            let delay = delay.max(requested);
            tracing::debug!(%error, detail = ?error.detail, ?delay, "repeating the request");
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
