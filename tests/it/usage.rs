//! Wrong input, and what a user reads then.

use crate::support::Sandbox;

#[test]
fn a_close_name_is_suggested() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["billing"], "");
    let output = sandbox.run(&["sync", "biling"]).code(2);
    assert_eq!(output.stderr, "error: there is no project `biling`\n  hint: did you mean `billing`?\n");
}

#[test]
fn the_project_around_the_current_directory_is_meant() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    sandbox.write("ws/alpha/docs/deep/a.md", "a");
    sandbox.write("ws/beta/README.md", "b");
    sandbox.run(&["-C", "alpha/docs/deep", "sync"]).code(0);
    assert_eq!(codex.subjects(), ["Sync 1 files from alpha"]);
}

#[test]
fn a_declined_push_is_told_in_the_servers_words() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.serve_without_git();
    codex.hook("pre-receive", "echo 'GL-HOOK: documents are frozen' >&2; exit 1");
    sandbox.write("ws/alpha/README.md", "alpha");
    let output = sandbox.run(&["sync", "--all"]).code(5);
    insta::assert_snapshot!(output.shown());
    assert_eq!(codex.tip(), None);
}
