//! Results of pushes. The result is what a second query of the branch shows, rejections are final,
//! commits of others are never overwritten, and a deleted branch is not created again.

mod branches;
mod failures;
mod late_commits;
mod rejections;
mod server_messages;

use serde_json::{Value, json};

use crate::support::http::HttpServer;
use crate::support::{Output, World};

const SYNC: &[&str] = &["sync", "--all", "--json"];

/// A workspace with a file to publish, and a codex behind a server.
fn world_behind_http() -> World {
    World::builder().server(None).build()
}

/// The number of requests that sent objects.
fn pushes(server: &HttpServer) -> usize {
    let is_push = |target: &str| target.ends_with("/git-receive-pack");
    let requests = server.requests();
    requests
        .iter()
        .filter(|request| is_push(&request.target))
        .count()
}

#[track_caller]
fn assert_error(output: Output, code: i32, kind: &str, pushed: Value) -> Value {
    let document = output.code(code).json();
    assert_eq!(
        (&document["error"]["kind"], &document["pushed"]),
        (&json!(kind), &pushed),
        "{document:#}"
    );
    document
}

#[track_caller]
fn causes(document: &Value) -> Vec<String> {
    let causes = document["error"]["causes"].as_array();
    let causes = causes.into_iter().flatten();
    causes
        .map(|cause| cause.as_str().unwrap().to_owned())
        .collect()
}
