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

#[test]
fn two_names_are_no_name_and_something_to_pass_over() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha", "beta"], "");
    let output = sandbox.run(&["sync", "alpha", "beta"]).code(2);
    let expected = "error: `sync` takes one name without `-p`
  hint: name several with `-p`: `fractary-codex sync -p alpha -p beta`
";
    assert_eq!(output.stderr, expected);
}

#[test]
fn places_that_some_file_systems_merge_are_one() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&[], "");
    let mut command = sandbox.program(&["config", "validate"]);
    command.env("FRACTARY_CODEX_PROJECTS", "{ a = { root = '.', to = 'ΟΔΟΣ' }, b = { root = '.', to = 'οδοσ' } }");
    let output = sandbox.finish(command).code(3);
    assert!(output.stderr.contains("differ only in case or Unicode form"), "{}", output.stderr);
}

#[test]
fn what_the_first_sync_makes_the_next_one_finds() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    // As `git init --bare` makes it where nobody said otherwise: HEAD names a branch that no sync makes.
    codex.git(&["symbolic-ref", "HEAD", "refs/heads/master"]);
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write("ws/alpha/README.md", "again");
    sandbox.run(&["doctor"]).code(0);
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.subjects().len(), 2);
}
