//! The environment of the tests: a sandbox in which the real binary runs, repositories, and servers
//! on loopback.

pub(crate) mod browser;
mod codex;
pub(crate) mod executable;
pub(crate) mod forge;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod link;
mod mounts;
mod output;
pub(crate) mod process;
pub(crate) mod proxy;
mod sandbox;
pub(crate) mod signing;
pub(crate) mod ssh;
mod terminal;
pub(crate) mod tls;
mod transport;
mod wait;
mod world;

pub(crate) use codex::{Codex, tree_entry};
pub(crate) use output::{Output, masked};
pub(crate) use sandbox::Sandbox;
pub(crate) use terminal::ShellSession;
pub(crate) use wait::wait_until;
pub(crate) use world::{TOKEN, World, WorldBuilder};

/// Waits until a server listens on this loopback port.
#[track_caller]
fn listens(port: u16) {
    wait_until("a server listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
}

/// Reports that a test was skipped because programs are not installed. With
/// `CODEX_TEST_REQUIRE_SERVERS`, the test fails instead.
pub(crate) fn not_installed(programs: &str) {
    assert!(
        std::env::var_os("CODEX_TEST_REQUIRE_SERVERS").is_none(),
        "not installed: {programs}"
    );
    skipped(&format!("not installed: {programs}"));
}

/// Reports that a test was skipped because this machine does not allow what it needs, such as
/// mounts in a container.
#[expect(clippy::print_stderr, reason = "the output lists the skipped tests")]
pub(crate) fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// Text of this many bytes that does not compress to much less.
pub(crate) fn noise(length: usize) -> String {
    let mut state = 1u64;
    let letters = (0..length).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b' ' + (state >> 33) as u8 % 95)
    });
    letters.collect()
}
