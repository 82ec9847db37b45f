//! Handling of SIGINT, SIGTERM and SIGHUP. The first signal requests the run to stop and clean up;
//! a second one ends the process and its children immediately.
//!
//! SIGHUP is left alone if it was inherited as ignored, so that a run under `nohup` outlives its
//! terminal. SIGINT is handled even if it was inherited as ignored: shells do that for background
//! jobs, and a SIGINT that is sent to such a job is intentional.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::interrupt::Interrupt;
use crate::platform;

/// Starts a thread that handles signals, and returns the interrupt that it requests.
pub(crate) fn listen() -> Interrupt {
    let interrupt = Interrupt::default();

    let hangup = Some(SIGHUP).filter(|signal| !platform::ignores(*signal));
    if let Ok(mut signals) = Signals::new([SIGINT, SIGTERM].into_iter().chain(hangup)) {
        let request = interrupt.clone();
        thread::spawn(move || {
            for signal in signals.forever() {
                if request.check().is_err() {
                    request.end_children();
                    std::process::exit(128 + signal);
                }
                request.request(signal);
            }
        });
    }
    interrupt
}
