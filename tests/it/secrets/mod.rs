//! A token is sent to the host that it was configured for, and appears nowhere else: not in output,
//! logs, argument lists, files or the codex, whatever way it is configured and whatever fails.

mod children;
mod configured;
mod failures;
mod hosts;

use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::support::http::HttpServer;
use crate::support::{Output, World, process};

/// The secret.
const MARKER: &str = "m4rker-token-0123456789";

/// The variable that configures it.
const TOKEN_VARIABLE: [(&str, &str); 1] = [("FRACTARY_CODEX_REMOTE__TOKEN", MARKER)];

/// Time limits that expire in the test.
const SHORT_TIMEOUTS: (&str, &str) = (
    "FRACTARY_CODEX_REMOTE__TIMEOUT",
    "{connect='2s', idle='1s', push_verdict='3s'}",
);

/// One project with a change to publish, and a codex behind a server that requires these
/// credentials.
fn world(credentials: &str) -> World {
    World::builder().server(Some(credentials)).build()
}

/// The same, with the secret as the token that the server requires.
fn guarded_world() -> World {
    world(&format!("x-access-token:{MARKER}"))
}

/// The forms in which the secret could appear: plain, or encoded in a header.
fn forms() -> Vec<String> {
    let users = ["x-access-token", "ci", ""];
    let encoded = users.map(|user| BASE64_STANDARD.encode(format!("{user}:{MARKER}")));
    let as_user = ["", "x-oauth-basic"]
        .map(|password| BASE64_STANDARD.encode(format!("{MARKER}:{password}")));
    let forms = encoded
        .into_iter()
        .chain(as_user)
        .map(|form| form.trim_end_matches('=').to_owned());
    forms.chain([MARKER.to_owned()]).collect()
}

#[track_caller]
fn assert_no_secret(what: &str, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for form in forms() {
        assert!(!text.contains(&form), "{what} contains {form}:\n{text}");
    }
}

/// Whether a request carried credentials.
fn received_credentials(server: &HttpServer) -> bool {
    server
        .requests()
        .iter()
        .any(|request| request.headers.contains_key("authorization"))
}

impl World {
    /// A command with the most detailed log.
    fn traced(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = self.command(arguments);
        command
            .env("FRACTARY_CODEX_LOG", "trace")
            .envs(variables.iter().copied());
        command
    }

    /// Syncs with human output, with JSON output and as a dry run, and asserts that the secret
    /// appears nowhere. `given` are the files in which the test itself stored it. Returns the first
    /// output.
    #[track_caller]
    fn sync_and_search(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
        given: &[&str],
    ) -> Output {
        let run = |more: &[&str]| {
            let output = self
                .sandbox
                .finish(self.traced(&[&["sync", "--all"], arguments, more].concat(), variables));
            assert_no_secret("stdout", output.stdout.as_bytes());
            assert_no_secret("stderr", output.stderr.as_bytes());
            self.assert_not_on_disk(given);
            output
        };
        let first = run(&["-vv"]);
        run(&["--json", "-vv", "--log-format", "json"]);
        run(&["--dry-run", "-v"]);
        for request in self.server().requests() {
            assert_no_secret("a request's target", request.target.as_bytes());
        }
        first
    }

    /// Asserts that no file of the sandbox and no object of the codex contains the secret.
    #[track_caller]
    fn assert_not_on_disk(&self, given: &[&str]) {
        let given: Vec<PathBuf> = given.iter().map(|path| self.sandbox.path(path)).collect();
        for (path, data, ..) in self.sandbox.fingerprint("") {
            if !given.contains(&path) {
                assert_no_secret(
                    &path.display().to_string(),
                    path.as_os_str().as_encoded_bytes(),
                );
                assert_no_secret(&path.display().to_string(), &data);
            }
        }
        let objects = ["cat-file", "--batch-all-objects", "--batch"];
        let output = process::program("git")
            .args(objects)
            .current_dir(self.codex.path())
            .output()
            .unwrap();
        assert!(output.status.success());
        assert_no_secret("an object of the codex", &output.stdout);
    }
}
