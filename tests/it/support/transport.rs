//! Which transport the program uses to talk to remotes: git, or the one that `CODEX_TEST_TRANSPORT` names.
//!
//! With `native` the program speaks git's protocol itself. With `libgit2` git is hidden from the program, and from it
//! alone: servers and the tests themselves go on using it.

use super::skipped;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tested {
    Git,
    Native,
    Libgit2,
}

fn tested() -> Tested {
    match std::env::var("CODEX_TEST_TRANSPORT").as_deref() {
        Err(_) | Ok("git") => Tested::Git,
        Ok("native") => Tested::Native,
        Ok("libgit2") => {
            if !cfg!(feature = "embedded-transport") {
                panic!("`libgit2` is tested with `--features embedded-transport`");
            }
            Tested::Libgit2
        }
        Ok(other) => {
            panic!("`CODEX_TEST_TRANSPORT` is `git`, `native` or `libgit2`, not `{other}`")
        }
    }
}

/// The value of `remote.transport` that the program is given, unless a test gives it another.
pub(crate) fn chosen_transport() -> Option<&'static str> {
    (tested() == Tested::Native).then_some("native")
}

/// Whether git is hidden from the program.
pub(crate) fn without_git() -> bool {
    tested() == Tested::Libgit2
}

/// Whether no `git` child moves objects, so that a test cannot put a script around one.
pub(crate) fn without_git_children() -> bool {
    tested() != Tested::Git
}

/// Whether git is hidden, and a test is left out for it: `what` it is about is only there with git.
pub(crate) fn needs_git(what: &str) -> bool {
    left_out(without_git(), what)
}

/// Whether git moves no objects, and a test is left out for it: it puts a script around git, or looks at what git does.
pub(crate) fn needs_git_children(what: &str) -> bool {
    left_out(without_git_children(), what)
}

fn left_out(is_left_out: bool, what: &str) -> bool {
    if is_left_out {
        skipped(&format!("only with git: {what}"));
    }
    is_left_out
}
