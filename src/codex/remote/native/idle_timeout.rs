//! The idle time limit of all reads and writes of a conversation.
//!
//! The time is measured from the last transferred byte, so a slow transfer never times out and a
//! silent server always does.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::Failure;
use crate::codex::remote::error::RemoteErrorKind;
use crate::interrupt::{Interrupt, OnSignal};
use crate::platform::{self, AsFd, BorrowedFd, Ready};

/// The interval at which a waiting thread checks for signals.
const TICK: Duration = Duration::from_millis(50);

/// The time limit for the next byte, and the effect of a signal. Clones share the limits.
#[derive(Clone)]
pub(super) struct IdleTimeout {
    interrupt: Interrupt,
    limits: Arc<Mutex<Limits>>,
}

#[derive(Clone, Copy)]
struct Limits {
    on_signal: OnSignal,
    idle: Duration,
}

impl IdleTimeout {
    pub(super) fn new(interrupt: Interrupt, idle: Duration) -> Self {
        let limits = Limits {
            on_signal: OnSignal::Stop,
            idle,
        };
        Self {
            interrupt,
            limits: Arc::new(Mutex::new(limits)),
        }
    }

    /// Sets time limit and effect of a signal from now on.
    pub(super) fn set(&self, on_signal: OnSignal, idle: Duration) {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = Limits { on_signal, idle };
    }

    /// Sets the time limit from now on.
    pub(super) fn set_idle(&self, idle: Duration) {
        let on_signal = self.limits().on_signal;
        self.set(on_signal, idle);
    }

    fn limits(&self) -> Limits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if a signal was received and may stop the operation.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.limits().on_signal == OnSignal::GoOn {
            return Ok(());
        }
        let interrupted = |signal| Failure::of(RemoteErrorKind::Interrupted(signal));
        self.interrupt.check().map_err(interrupted)
    }

    /// Calls `poll` with a short time limit until it returns `true`, `limit` expires or a signal
    /// stops the operation.
    pub(super) fn until(
        &self,
        limit: Duration,
        mut poll: impl FnMut(Duration) -> io::Result<bool>,
    ) -> io::Result<()> {
        let start = Instant::now();
        while !poll(TICK)? {
            self.check()?;
            if start.elapsed() > limit {
                let limit = humantime::format_duration(limit);
                let detail = format!("nothing moved for {limit}");
                return Err(Failure::new(RemoteErrorKind::TimedOut, detail).into());
            }
        }
        Ok(())
    }

    /// Waits until `fd` is ready.
    fn ready(&self, fd: BorrowedFd<'_>, ready: Ready) -> io::Result<()> {
        self.until(self.limits().idle, |tick| platform::poll(fd, ready, tick))
    }
}

/// A non-blocking socket or pipe with the idle time limit.
pub(super) struct TimedStream<T> {
    inner: T,
    idle_timeout: IdleTimeout,
}

impl<T: AsFd> TimedStream<T> {
    pub(super) fn new(inner: T, idle_timeout: IdleTimeout) -> io::Result<Self> {
        platform::set_nonblocking(inner.as_fd())?;
        Ok(Self {
            inner,
            idle_timeout,
        })
    }

    /// Whether bytes, or the end, can be read at once.
    pub(super) fn has_input(&self) -> io::Result<bool> {
        platform::poll(self.inner.as_fd(), Ready::ToRead, Duration::ZERO)
    }
}

impl<T: AsFd + Read> Read for TimedStream<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.idle_timeout.ready(self.inner.as_fd(), Ready::ToRead)?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

impl<T: AsFd + Write> Write for TimedStream<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            match self.inner.write(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self
                    .idle_timeout
                    .ready(self.inner.as_fd(), Ready::ToWrite)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter};

    use super::*;

    fn wire(idle: Duration, interrupt: &Interrupt) -> (TimedStream<PipeReader>, PipeWriter) {
        let (ours, theirs) = io::pipe().unwrap();
        let idle_timeout = IdleTimeout::new(interrupt.clone(), idle);
        (TimedStream::new(ours, idle_timeout).unwrap(), theirs)
    }

    fn kind(error: io::Error) -> Option<RemoteErrorKind> {
        Failure::from(error).kind()
    }

    #[test]
    fn silence_times_out() {
        let (mut wire, _theirs) = wire(Duration::ZERO, &Interrupt::default());
        let error = wire.read(&mut [0]).unwrap_err();
        assert_eq!(kind(error), Some(RemoteErrorKind::TimedOut));
    }

    #[test]
    fn signal_ends_the_wait_except_during_a_push() {
        let interrupt = Interrupt::default();
        interrupt.request(2);
        let (mut wire, _theirs) = wire(Duration::from_secs(600), &interrupt);
        let error = wire.read(&mut [0]).unwrap_err();
        assert!(matches!(kind(error), Some(RemoteErrorKind::Interrupted(_))));
        wire.idle_timeout.set(OnSignal::GoOn, Duration::ZERO);
        let error = wire.read(&mut [0]).unwrap_err();
        assert_eq!(kind(error), Some(RemoteErrorKind::TimedOut));
    }
}
