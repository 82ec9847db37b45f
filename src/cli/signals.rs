//! SIGINT, SIGTERM and SIGHUP: the first asks the run to stop and clean up, the second ends it at once,
//! with its children. A run under `nohup` outlives its terminal. A SIGINT that was ignored is listened to all the same:
//! shells ignore it for all that they put into the background, and whoever sends it there means it.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::interrupt::Interrupt;
use crate::platform;

/// Turns signals into a request to stop.
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
