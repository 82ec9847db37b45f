//! Programs that a test starts: they inherit nothing but the search path, whatever the tests
//! themselves were started with.

use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use rustix::fs::Mode;
use rustix::process::{Signal, umask};

/// A program in an environment of its own.
pub(crate) fn program(name: &str) -> Command {
    isolate();
    let mut command = Command::new(name);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("LC_ALL", "C")
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

/// Takes back what this process inherited and children would: the mask for new files, and ignored
/// signals (as from `nohup`, or from a shell's background jobs).
pub(crate) fn isolate() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        umask(Mode::from_raw_mode(0o022));
        for signal in [
            Signal::HUP,
            Signal::INT,
            Signal::QUIT,
            Signal::TERM,
            Signal::CHILD,
        ] {
            if fractary_codex::internals::ignores(signal.as_raw()) {
                // This process goes on without the signal, for it has a handler now; a program that
                // it runs has the default again.
                let flag = Arc::new(AtomicBool::new(false));
                signal_hook::flag::register(signal.as_raw(), flag).unwrap();
            }
        }
    });
}
