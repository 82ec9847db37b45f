//! Pushes that fail because of the transport: the connection, or a status of the server.

use serde_json::{Value, json};

use super::{SYNC, assert_error, pushes, world_behind_http};
use crate::support::World;
use crate::support::gate::{Moment, Step};
use crate::support::http::{Reaction, Stage};

#[test]
fn failed_transport_is_never_a_moved_branch() {
    for (stage, kind, pushed) in [
        (Stage::ListToPush, "server-failure", json!(false)),
        (Stage::Push, "no-verdict", Value::Null),
    ] {
        for (retries, attempts) in [("0", 1), ("1", 2), ("50", 3)] {
            let world = world_behind_http();
            world.server().fail(stage, Reaction::Reset, usize::MAX);
            let arguments = [SYNC, &["--retries", retries]].concat();
            let output = world.run(&arguments);
            let document = assert_error(output, 4, kind, pushed.clone());
            assert_eq!(document["attempts"], attempts, "{stage:?} {retries}");
            let message = document["error"]["message"].as_str().unwrap();
            assert!(!message.contains("moved"), "{message}");
            assert_eq!(world.codex.subjects().len(), 1);
        }
    }
}

#[test]
fn failed_transport_on_a_moving_branch_is_reported_as_such() {
    let world = world_behind_http();
    world.sandbox.use_git();
    world
        .server()
        .fail(Stage::ListToPush, Reaction::Reset, usize::MAX);
    let path = world.codex.path().display().to_string();
    let faster = format!(
        "id=$(git -C {path} -c user.name=x -c user.email=x commit-tree -p main -m faster 'main^{{tree}}')\n\
         git -C {path} update-ref refs/heads/main $id"
    );
    world.sandbox.run_at(Step::Push, Moment::Before, &faster);
    let arguments = [SYNC, &["--retries", "1"]].concat();
    let output = world.run(&arguments);
    let document = assert_error(output, 4, "server-failure", json!(false));
    assert_eq!(document["attempts"], 2);
    assert_eq!(world.codex.subjects().len(), 3);
}

#[test]
fn push_that_was_not_sent_has_a_known_result() {
    let world = world_behind_http();
    // From the push on, the server does not answer any request.
    world
        .server()
        .fail(Stage::ListToPush, Reaction::Reset, usize::MAX);
    world
        .server()
        .fail_after(Stage::ListToPush, Stage::ListToFetch, Reaction::Reset);
    let output = world.run(SYNC);
    assert_error(output, 4, "server-failure", json!(false));
    assert_eq!(world.codex.subjects().len(), 1);
}

#[test]
fn client_error_status_rejects_the_push_once() {
    for (status, code, kind) in [
        (400, 4, "request-refused"),
        (405, 4, "request-refused"),
        (411, 4, "request-refused"),
        (409, 5, "declined"),
        (422, 5, "declined"),
        (413, 5, "too-large"),
    ] {
        let world = world_behind_http();
        world
            .server()
            .fail(Stage::Push, Reaction::Status(status, "no"), usize::MAX);
        let document = assert_error(world.run(SYNC), code, kind, json!(false));
        assert_eq!(document["attempts"], 1, "{status}");
        assert_eq!(pushes(world.server()), 1, "{status}");
        let error = &document["error"];
        assert!(
            error.to_string().contains(&status.to_string()),
            "{document:#}"
        );
        assert!(error["hints"][0].is_string(), "{document:#}");
        assert_eq!(world.codex.subjects().len(), 1);
        world.server().mend();
        world.run(SYNC).code(0);
    }
}

#[test]
fn rate_limited_push_is_retried() {
    let world = world_behind_http();
    world
        .server()
        .fail(Stage::Push, Reaction::Status(429, "slowly"), 1);
    let document = world.run(SYNC).code(0).json();
    assert_eq!(
        (&document["attempts"], &document["pushed"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(world.codex.updates(), 2);

    world.sandbox.write("ws/alpha/README.md", "changed");
    world
        .server()
        .fail(Stage::Push, Reaction::Status(429, "slowly"), usize::MAX);
    let arguments = [SYNC, &["--retries", "1"]].concat();
    let output = world.run(&arguments);
    assert_error(output, 4, "rate-limited", json!(false));
}

#[test]
fn unrelated_output_beside_a_lost_connection_is_not_a_rejection() {
    for noise in [
        "-bash: pyenv: command not found",
        "NOTICE: the file does not exist",
        "secret-tool: no certificate",
    ] {
        let World { sandbox, .. } = World::new();
        sandbox.wrap_git(&format!(
            "case \" $* \" in\n\
             *' push '*)\n\
               echo '{noise}' >&2\n\
               echo 'Writing objects: 100% (3/3), done.' >&2\n\
               echo 'fatal: the remote end hung up unexpectedly' >&2\n\
               exit 128;;\n\
             esac"
        ));
        let output = sandbox.run(&[SYNC, &["--retries", "0"]].concat());
        assert_error(output, 4, "no-verdict", Value::Null);
    }
}
