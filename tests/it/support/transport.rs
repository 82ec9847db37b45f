//! How the program exchanges objects with remotes: it speaks git's protocol itself, or runs the
//! `git` program.

/// A value of `remote.transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// The program's default: its own client of git's protocol.
    Native,
    /// The `git` program, as for remotes that only it can talk to.
    Git,
}

impl Transport {
    /// The transport of this test run, which `CODEX_TEST_TRANSPORT` names.
    pub(super) fn of_run() -> Self {
        match std::env::var("CODEX_TEST_TRANSPORT").as_deref() {
            Err(_) | Ok("native") => Self::Native,
            Ok("git") => Self::Git,
            Ok(other) => panic!("`CODEX_TEST_TRANSPORT` is `native` or `git`, not `{other}`"),
        }
    }
}
