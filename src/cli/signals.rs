//! Handling of SIGINT, SIGTERM and SIGHUP. The first signal requests the run to stop and clean up;
//! a second one ends the process and its children immediately.
//!
//! SIGHUP is left alone if it was inherited as ignored, so that a run under `nohup` outlives its
//! terminal. SIGINT is handled even if it was inherited as ignored: shells do that for background
//! jobs, and a SIGINT that is sent to such a job is intentional.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::interrupt::Interrupt;
use crate::platform;

/// Handles signals from now on, and returns the interrupt that they request.
///
/// The handler itself requests the stop, so that a run on a busy machine cannot reach the push while
/// a thread that would request it waits for a processor. The second signal is left to a thread,
/// because ending the children takes more than a handler may do.
pub(crate) fn listen() -> Interrupt {
    let interrupt = Interrupt::default();
    let handled = handled();

    for signal in &handled {
        let number = signal.unsigned_abs() as usize;
        if let Err(error) = flag::register_usize(*signal, interrupt.flag(), number) {
            tracing::debug!(signal, %error, "the signal is not handled");
        }
    }
    if let Ok(mut signals) = Signals::new(&handled) {
        let interrupt = interrupt.clone();
        thread::spawn(move || {
            if let Some(second) = signals.forever().nth(1) {
                interrupt.end_children();
                std::process::exit(128 + second);
            }
        });
    }
    interrupt
}

/// Calls `notify` when the first signal arrives, for a command that waits for something else. It is
/// called on a thread of its own.
#[cfg(feature = "mcp")]
pub(crate) fn on_first(notify: impl FnOnce() + Send + 'static) {
    if let Ok(mut signals) = Signals::new(handled()) {
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                notify();
            }
        });
    }
}

/// The signals that request a stop.
fn handled() -> Vec<i32> {
    let hangup = Some(SIGHUP).filter(|signal| !platform::ignores(*signal));
    [SIGINT, SIGTERM].into_iter().chain(hangup).collect()
}
