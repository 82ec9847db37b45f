//! Which transport the program uses to talk to remotes: git, or, with `CODEX_TEST_TRANSPORT=libgit2`, the embedded one.
//! Then git is hidden from the program, and from it alone: servers and the tests themselves go on using it.

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

/// Whether git is hidden, and a test is left out for it: `what` it is about is only there with git.
pub(crate) fn needs_git(what: &str) -> bool {
    let hidden = without_git();
    if hidden {
        skipped(&format!("only with git: {what}"));
    }
    hidden
}
