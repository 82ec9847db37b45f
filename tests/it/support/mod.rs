//! A sealed environment, the real binary in it, and repositories to look at.

pub(crate) mod browser;
mod codex;
pub(crate) mod executable;
pub(crate) mod gate;
pub(crate) mod http;
mod mounts;
mod output;
mod sandbox;
pub(crate) mod ssh;
pub(crate) mod tls;
mod transport;
mod wait;

pub(crate) use codex::Codex;
pub(crate) use output::{Output, masked};
pub(crate) use sandbox::Sandbox;
pub(crate) use transport::{needs_git, needs_git_children, without_git, without_git_children};
pub(crate) use wait::wait_until;

/// Waits until a server listens on this port of loopback.
#[track_caller]
fn listens(port: u16) {
    wait_until("a server listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
}

/// Says that a test was left out for want of a program; fails where none may be, for a program can be installed.
pub(crate) fn not_installed(programs: &str) {
    assert!(
        std::env::var_os("CODEX_TEST_REQUIRE_SERVERS").is_none(),
        "not installed: {programs}"
    );
    skipped(&format!("not installed: {programs}"));
}

/// Says that a test was left out, and why: what it needs is not granted here (a container without mounts, say).
#[expect(
    clippy::print_stderr,
    reason = "who runs the tests should know what was left out"
)]
pub(crate) fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}
