//! The transport under test: git or, with `CODEX_TEST_TRANSPORT=libgit2`, the embedded one. In the second case git is
//! hidden from the program, while the servers and the tests themselves still use it.

use super::skipped;

/// Whether git is hidden from the program.
pub(crate) fn without_git() -> bool {
    match std::env::var("CODEX_TEST_TRANSPORT").as_deref() {
        Err(_) | Ok("git") => false,
        Ok("libgit2") => {
            if !cfg!(feature = "embedded-transport") {
                panic!("`libgit2` is tested with `--features embedded-transport`");
            }
            true
        }
        Ok(other) => panic!("`CODEX_TEST_TRANSPORT` is `git` or `libgit2`, not `{other}`"),
    }
}

/// Returns whether git is hidden, and if so reports that a test of `what` is skipped, because it needs git.
pub(crate) fn needs_git(what: &str) -> bool {
    let hidden = without_git();
    if hidden {
        skipped(&format!("only with git: {what}"));
    }
    hidden
}
