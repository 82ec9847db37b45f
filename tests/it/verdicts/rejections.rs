//! Pushes that the server rejects, by a hook or by its own rules, or turns into a review.

use std::fs;

use serde_json::json;

use super::{SYNC, assert_error};
use crate::support::{Codex, World};

#[test]
fn rejected_push_is_made_once() {
    for hook in ["pre-receive", "update"] {
        let World { sandbox, codex, .. } = World::new();
        let runs = sandbox.path("runs");
        codex.hook(
            hook,
            &format!("echo run >> {}; echo no >&2; exit 1", runs.display()),
        );
        let document = assert_error(sandbox.run(SYNC), 5, "declined", json!(false));
        assert_eq!(document["attempts"], 1);
        assert_eq!(fs::read_to_string(runs).unwrap(), "run\n", "{hook}");
    }
}

#[test]
fn transaction_that_a_hook_aborts_is_rejected_once() {
    let World { sandbox, codex, .. } = World::new();
    codex.hook(
        "reference-transaction",
        "[ \"$1\" = prepared ] && exit 1; exit 0",
    );
    let document = assert_error(sandbox.run(SYNC), 5, "declined", json!(false));
    assert_eq!(document["attempts"], 1);
}

#[test]
fn branch_name_that_is_a_directory_is_rejected_once() {
    let World { sandbox, codex, .. } = World::new();
    codex.git(&["update-ref", "refs/heads/docs/old", "main"]);
    let branch = [
        "--config",
        "remote.create=true",
        "--config",
        "remote.branch=docs",
    ];
    let output = sandbox.run(&[SYNC, &branch].concat());
    let document = assert_error(output, 5, "declined", json!(false));
    assert_eq!(document["attempts"], 1);
}

#[test]
fn rejected_bidirectional_sync_reports_both_directions() {
    let World { sandbox, codex, .. } = World::new();
    codex.hook("pre-receive", "exit 1");
    let both = [
        "--bidirectional",
        "--config",
        "sync.from_codex.include=['codex://acme/*/**']",
    ];
    let output = sandbox.run(&[SYNC, &both].concat());
    let document = assert_error(output, 5, "declined", json!(false));
    assert_eq!(document["direction"], "bidirectional");
    assert_eq!(document["totals"]["projects"], 1);

    codex.hook("pre-receive", "exit 0");
    let document = sandbox.run(&[SYNC, &both].concat()).code(0).json();
    assert_eq!(document["projects"].as_array().unwrap().len(), 2);
    assert_eq!(document["totals"]["projects"], 1);
}

/// Makes the server turn pushes into reviews. `report` is its response for the ref.
fn review(codex: &Codex, report: &str) {
    codex.git(&["config", "receive.procReceiveRefs", "refs/heads/main"]);
    codex.hook(
        "proc-receive",
        &format!("printf '000eversion=1\\n0000{report}0000'; cat > /dev/null"),
    );
}

#[test]
fn push_that_became_a_review_is_not_a_success() {
    let accepted = "0016ok refs/heads/main";
    let redirected = format!("{accepted}0026option refname refs/changes/1/head");
    for (report, says) in [
        (accepted, "turned the push into a review"),
        (redirected.as_str(), "`refs/changes/1/head`"),
    ] {
        let World { sandbox, codex, .. } = World::new();
        review(&codex, report);
        let document = assert_error(sandbox.run(SYNC), 5, "not-in-branch", json!(false));
        assert_eq!(document["attempts"], 1);
        let error = document["error"].to_string();
        assert!(
            error.contains("accepted the push") && error.contains("does not contain"),
            "{error}"
        );
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("rewrote"), "{error}");
        assert_eq!(codex.subjects().len(), 1);
    }
}
