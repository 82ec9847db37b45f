//! Messages of the server, which it sends with a push.

use rustix::process::Signal;
use serde_json::json;

use super::{SYNC, assert_error, causes};
use crate::support::gate::send;
use crate::support::{Sandbox, World};

#[test]
fn message_of_the_server_is_shown_once_and_complete() {
    let World { sandbox, codex, .. } = World::new();
    codex.hook(
        "pre-receive",
        "cat >&2 <<'END'\nPolicy:\n\n  coverage 71% (needs 80%)\n\thint: ask the owners\nhint: twice\nTotal 3 (delta 0)\nEND\nexit 1",
    );
    let output = sandbox.run(&["sync", "--all"]).code(5);
    let block = "\n  remote: Policy:\n  remote:\n  remote:   coverage 71% (needs 80%)\n  remote:     hint: ask the owners\n  remote: hint: twice\n  remote: Total 3 (delta 0)\n";
    assert!(output.stderr.contains(block), "{}", output.stderr);
    assert_eq!(output.stderr.matches("coverage 71%").count(), 1);
    assert!(!output.stderr.contains("caused by:"), "{}", output.stderr);

    let document = sandbox.run(SYNC).code(5).json();
    let expected = [
        "remote: Policy:",
        "remote:",
        "remote:   coverage 71% (needs 80%)",
        "remote:     hint: ask the owners",
        "remote: hint: twice",
        "remote: Total 3 (delta 0)",
    ];
    assert_eq!(causes(&document), expected);
    assert_eq!(document.to_string().matches("coverage 71%").count(), 1);
}

#[test]
fn long_message_of_the_server_is_cut() {
    let World { sandbox, codex, .. } = World::new();
    codex.hook("pre-receive", "seq 5000 >&2; exit 1");
    let document = sandbox.run(SYNC).code(5).json();
    let causes = causes(&document);
    assert_eq!(causes.len(), 201);
    assert!(causes[0].contains("4800 earlier lines"), "{}", causes[0]);
    assert_eq!(causes[200], "remote: 5000");
}

#[test]
fn reason_of_an_unpacker_error_is_shown() {
    let World { sandbox, codex, .. } = World::new();
    codex.git(&["config", "receive.maxInputSize", "10"]);
    let document = assert_error(sandbox.run(SYNC), 5, "too-large", json!(false));
    assert_eq!(document["attempts"], 1);
    let error = document["error"].to_string();
    assert!(error.contains("pack exceeds maximum"), "{error}");
    assert!(error.contains("unpacker error: "), "{error}");
}

#[test]
fn message_with_a_success_is_shown() {
    let World { sandbox, codex, .. } = World::new();
    codex.hook(
        "post-receive",
        "echo 'Bypassed rule violations for refs/heads/main' >&2",
    );
    let output = sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        output.stderr,
        "remote: Bypassed rule violations for refs/heads/main\n\
         warning: the credentials bypass rules of the branch, so nothing that they push is reviewed: \
         Bypassed rule violations for refs/heads/main\n"
    );
    let finding =
        "the last push bypassed rules of its branch: Bypassed rule violations for refs/heads/main";
    let doctor = sandbox.run(&["doctor"]);
    assert!(doctor.stdout.contains(finding), "{}", doctor.stdout);

    sandbox.write("ws/alpha/README.md", "2");
    let quiet = sandbox.run(&["sync", "--all", "-q"]).code(0);
    assert_eq!(quiet.stderr, "");
    sandbox.write("ws/alpha/README.md", "3");
    let lines = sandbox
        .run(&["sync", "--all", "--format", "ndjson"])
        .code(0);
    let event =
        r#"{"event":"server-words","lines":["Bypassed rule violations for refs/heads/main"]}"#;
    assert!(
        lines.stdout.lines().any(|line| line == event),
        "{}",
        lines.stdout
    );

    codex.hook("post-receive", "");
    sandbox.write("ws/alpha/README.md", "4");
    sandbox.run(&["sync", "--all"]).code(0);
    let doctor = sandbox.run(&["doctor"]);
    assert!(!doctor.stdout.contains(finding), "{}", doctor.stdout);
}

#[test]
fn interrupted_run_shows_the_message_of_the_server() {
    let World { sandbox, codex, .. } = World::new();
    let gate = codex.hold_pushes(&sandbox);
    codex.hook(
        "pre-receive",
        &format!("{}; echo 'frozen until Monday' >&2; exit 1", gate.script()),
    );
    let child = sandbox.start(&["sync", "--all"]);
    gate.wait();
    send(&child, Signal::TERM);
    gate.wait_on();
    gate.open();
    let output = sandbox.ended(child).code(143);
    assert!(
        output.stderr.contains("  remote: frozen until Monday\n"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.subjects().len(), 1);
}

#[test]
fn project_that_a_path_rule_rejects_is_named() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta", "gamma"], "");
    for project in ["alpha", "beta", "gamma"] {
        sandbox.write(&format!("ws/{project}/README.md"), project);
    }
    codex.hook(
        "update",
        "echo 'FATAL: W VREF/NAME/projects/beta/README.md acme/codex bot DENIED' >&2; exit 1",
    );
    let sync = [SYNC, &["--config", "push.on_declined=fail"]].concat();
    let document = sandbox.run(&sync).code(5).json();
    let hints = document["error"]["hints"].to_string();
    assert!(
        hints.contains("names `beta`") && hints.contains("`fractary-codex sync -p alpha -p gamma`"),
        "{hints}"
    );
    // If the message names no project, the hint says how to publish the others.
    codex.hook("update", "echo 'denied by rule 7' >&2; exit 1");
    let document = sandbox.run(&sync).code(5).json();
    let hints = document["error"]["hints"].to_string();
    assert!(hints.contains("`-p NAME`"), "{hints}");
}
