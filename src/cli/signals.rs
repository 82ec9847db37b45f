//! SIGINT, SIGTERM and SIGHUP: the first asks the run to stop and clean up, the second ends it at once,
//! with its children.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::interrupt::Interrupt;

/// Turns signals into a request to stop.
pub(crate) fn listen() -> Interrupt {
    let interrupt = Interrupt::default();
    if let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) {
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
