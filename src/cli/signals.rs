//! Handling of the signals that ask the process to stop. The first one requests the run to stop and
//! clean up; a second one ends the process and its children immediately.

use crate::interrupt::Interrupt;
use crate::platform;

/// Handles signals from now on, and returns the interrupt that they request.
///
/// The handler itself requests the stop, so that a run on a busy machine cannot reach the push while
/// a thread that would request it waits for a processor. The second signal is left to a thread,
/// because ending the children takes more than a handler may do.
pub(crate) fn listen() -> Interrupt {
    let interrupt = Interrupt::default();
    let flag = interrupt.flag();
    let stopping = interrupt.clone();
    let mut is_second = false;

    platform::on_stop_signals(Some(flag), move |signal| {
        if is_second {
            stopping.end_children();
            std::process::exit(128 + signal);
        }
        is_second = true;
    });
    interrupt
}

/// Calls `notify` when the first signal arrives, for a command that waits for something else. It is
/// called on a thread of its own.
#[cfg(feature = "mcp")]
pub(crate) fn on_first(notify: impl FnOnce() + Send + 'static) {
    let mut notify = Some(notify);

    platform::on_stop_signals(None, move |_| {
        if let Some(notify) = notify.take() {
            notify();
        }
    });
}
