//! Wrong input, and what a user reads then.

use crate::support::Sandbox;

#[test]
fn exit_statuses() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha", "beta"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/beta/README.md", "beta");
    for (arguments, code) in [
        (&["sync", "--no-such-flag"][..], 2),
        (&["sync", "--all", "--from-codex", "--no-cache"], 2),
        (&["sync", "--all", "--from-codex", "--to-codex"], 2),
        (&["sync", "--all", "--offline"], 2),
        (&["sync", "-p", "gamma"], 2),
        (&["sync", "-p", "g*"], 2),
        (&["sync"], 2),
        (&["sync", "--all", "--max-delete", "many"], 2),
        (&["-C", "nowhere", "sync"], 2),
        (&["sync", "--all", "--config", "remote.timeot=1"], 3),
        (&["sync", "--all", "--env", "prd"], 3),
        (&["sync", "--all", "--config", "remote.url=../nothing.git"], 4),
        (&["sync", "--all"], 0),
        (&["sync", "--all", "--config", "remote.branch=missing"], 4),
        (&["codex", "sync", "--all", "--dry-run"], 0),
    ] {
        for json in [false, true] {
            let mut arguments = arguments.to_vec();
            arguments.extend(json.then_some("--json"));
            let output = sandbox.run(&arguments).code(code);
            if json {
                assert_eq!(output.json()["exit_code"], code, "{arguments:?}");
                assert_eq!(output.json()["error"].is_null(), code == 0, "{arguments:?}");
            } else if code != 0 {
                assert!(output.stderr.starts_with("error: "), "{}", output.stderr);
                assert_eq!(output.stdout, "");
            }
        }
    }
}

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
    codex.hook("pre-receive", "echo 'GL-HOOK: documents are frozen' >&2; exit 1");
    sandbox.write("ws/alpha/README.md", "alpha");
    let output = sandbox.run(&["sync", "--all"]).code(5);
    insta::assert_snapshot!(output.shown());
    assert_eq!(codex.tip(), None);
}
