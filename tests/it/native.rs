//! The native transport: how few requests a run needs, what it remembers, and what it does when a
//! server surprises it.

use std::fs;
use std::path::PathBuf;

use crate::support::http::{Reaction, Stage};
use crate::support::link::SlowLink;
use crate::support::ssh::SshServer;
use crate::support::tls::TlsServer;
use crate::support::{Output, Sandbox, World, executable};

impl World {
    /// The world of a test of the native transport. Servers require `credentials` if they are
    /// given.
    fn native(credentials: Option<&str>) -> Self {
        Self::builder()
            .default_transport()
            .server(credentials)
            .build()
    }

    fn publish(&self, more: &[&str]) -> Output {
        self.run(&[&["sync", "--all"], more].concat())
    }

    /// Publishes new contents; the requests of that run.
    fn change(&self, content: &str) -> Vec<String> {
        self.sandbox.write("ws/alpha/README.md", content);
        let before = self.server().requests().len();
        self.publish(&[]).code(0);
        assert_eq!(self.codex.file("projects/alpha/README.md"), content);
        self.codex.assert_sound();
        let requests = self.server().requests();
        let targets = requests[before..].iter().map(|request| &request.target);
        targets
            .map(|target| target.trim_start_matches("/codex.git/").to_owned())
            .collect()
    }

    /// The only file with this ending in the notes about servers.
    fn note(&self, ending: &str) -> PathBuf {
        let directory = self
            .sandbox
            .path("home/.local/state/fractary-codex/servers");
        let mut entries = fs::read_dir(directory).unwrap().flatten();
        let found = entries.find(|entry| {
            let path = entry.path();
            path.extension().unwrap_or_default() == ending
        });
        found.unwrap().path()
    }
}

const UPLOAD: &str = "git-upload-pack";
const RECEIVE: &str = "git-receive-pack";

#[test]
fn a_known_server_gets_no_request_that_is_not_needed() {
    let world = World::native(None);
    let greeting = |service: &str| format!("info/refs?service={service}");
    // List, fetch, push, and list again, each service greeted once.
    assert_eq!(
        world.change("first"),
        [
            &greeting(UPLOAD),
            UPLOAD,
            UPLOAD,
            &greeting(RECEIVE),
            RECEIVE,
            UPLOAD
        ]
    );
    // The capabilities and the trees of the tip are known.
    assert_eq!(world.change("second"), [UPLOAD, RECEIVE, UPLOAD]);
    let before = world.server().requests().len();
    world.publish(&[]).code(0);
    assert_eq!(world.server().requests().len(), before + 1);
    // After somebody else's commit there is something to fetch.
    world
        .codex
        .commit(&[("100644", "projects/other/x.md", "theirs")], &[]);
    assert_eq!(world.change("third"), [UPLOAD, UPLOAD, RECEIVE, UPLOAD]);
    assert_eq!(world.codex.file("projects/other/x.md"), "theirs");
}

#[test]
fn a_run_takes_one_connection() {
    let world = World::native(None);
    let upstream = world.server().url("");
    let Some(tls) = TlsServer::start(&world.sandbox, upstream.trim_end_matches('/')) else {
        return;
    };
    let link = SlowLink::start(&tls.place(), 100_000_000);
    let connections = |arguments: &[&str]| {
        let before = link.connections();
        let mut command = world.command(arguments);
        let url = format!("https://{}/codex.git", link.place());
        command
            .env("FRACTARY_CODEX_REMOTE__URL", url)
            .env("GIT_SSL_CAINFO", tls.certificate());
        world.sandbox.finish(command).code(0);
        link.connections() - before
    };
    let sync = ["sync", "--all"];
    assert_eq!(connections(&sync), 1, "on a fresh machine");
    world.sandbox.write("ws/alpha/README.md", "second");
    assert_eq!(connections(&sync), 1, "on a known tip");
    assert_eq!(world.codex.file("projects/alpha/README.md"), "second");
    assert_eq!(connections(&sync), 1, "with nothing to do");
    let selected = "sync.from_codex.include=['codex://acme/**']";
    let pull = ["--config", selected, "--from-codex"];
    assert_eq!(connections(&[&sync, &pull[..]].concat()), 1, "to pull");
    world.sandbox.write("ws/alpha/README.md", "third");
    let both = ["--config", selected, "--bidirectional"];
    assert_eq!(connections(&[&sync, &both[..]].concat()), 1, "both ways");
    assert_eq!(world.codex.file("projects/alpha/README.md"), "third");
    let page = ["status", "--html", "status.html"];
    assert_eq!(connections(&page), 1, "for a page");
}

#[test]
fn a_page_takes_one_request_more_than_a_status() {
    let world = World::native(None);
    world.change("first");
    let before = world.server().requests().len();
    world.run(&["status", "--html", "status.html"]).code(0);
    // The refs, and the history of the tip.
    assert_eq!(world.server().requests().len(), before + 2);
}

#[test]
fn a_dry_run_remembers_nothing() {
    let world = World::native(None);
    world.publish(&["--dry-run"]).code(0);
    assert!(!world.sandbox.path("home/.local").exists());
}

#[test]
fn damaged_notes_only_cost_requests() {
    let world = World::native(None);
    world.change("first");
    for ending in ["trees", ""] {
        let note = world.note(ending);
        let whole = fs::read(&note).unwrap();
        for (number, damaged) in [&whole[..whole.len() / 2], &[], &whole[1..]]
            .into_iter()
            .enumerate()
        {
            fs::write(&note, damaged).unwrap();
            world.change(&format!("{ending} {number}"));
        }
    }
}

#[test]
fn a_server_that_wants_to_be_greeted_is_greeted() {
    for (stage, status) in [(Stage::ListToFetch, 400), (Stage::Push, 405)] {
        let world = World::native(None);
        world.change("first");
        world
            .server()
            .fail(stage, Reaction::Status(status, "greet me"), 1);
        let requests = world.change(&format!("{stage:?}"));
        assert!(
            requests
                .iter()
                .any(|target| target.starts_with("info/refs")),
            "{requests:?}"
        );
        // From then on it is not trusted to be as it says.
        let requests = world.change("last");
        assert!(requests[0].starts_with("info/refs"), "{requests:?}");
    }
}

#[test]
fn push_that_is_rejected_by_its_status_has_a_known_result() {
    for (status, code) in [(400, 4), (405, 4), (413, 5)] {
        let world = World::native(None);
        world
            .server()
            .fail(Stage::Push, Reaction::Status(status, "no"), usize::MAX);
        world.sandbox.write("ws/alpha/README.md", "changed");
        let document = world.publish(&["--json"]).code(code).json();
        assert_eq!(document["pushed"], false, "{document}");
        let pushes = world.server().requests().into_iter();
        let pushes = pushes.filter(|request| request.target.ends_with("/git-receive-pack"));
        assert_eq!(pushes.count(), 1);
    }
}

#[test]
fn one_failure_of_an_overloaded_server_is_repeated() {
    for stage in [Stage::ListToFetch, Stage::Fetch] {
        for reaction in [
            Reaction::Status(503, "later"),
            Reaction::Status(429, "slowly"),
            Reaction::Reset,
        ] {
            let world = World::native(None);
            world.server().fail(stage, reaction, 1);
            world.change("first");
        }
    }
}

#[test]
fn a_server_of_version_0_is_served() {
    let world = World::native(None);
    world
        .sandbox
        .write("home/.gitconfig", "[protocol]\n\tversion = 0\n");
    world.change("first");
    world
        .codex
        .git(&["config", "uploadpack.allowFilter", "false"]);
    world.change("second");
    assert_eq!(world.codex.subjects().len(), 3);
}

#[test]
fn netrc_is_read() {
    let world = World::native(Some("ada:s3cret"));
    world.sandbox.write(
        "home/.netrc",
        "machine 127.0.0.1 login ada password s3cret\n",
    );
    world.change("first");
    world.sandbox.write(
        "home/.netrc",
        "machine 127.0.0.1 login ada password wrong\n",
    );
    let output = world.publish(&[]).code(4);
    assert!(
        output.stderr.contains("rejected the credentials") && !output.stderr.contains("wrong"),
        "{}",
        output.stderr
    );
}

#[test]
fn ssh_takes_one_session_to_read_and_one_to_push() {
    let sandbox = Sandbox::with_default_transport();
    let codex = sandbox.workspace(&["alpha"], "");
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    let Some(server) = SshServer::start_with(&sandbox, "AcceptEnv GIT_PROTOCOL\n") else {
        return;
    };
    let client = server.client(&sandbox, "user", "known_hosts");
    let sessions = sandbox.path("sessions");
    executable::script(
        &sandbox.path("bin/ssh"),
        &format!(
            "echo >> {}\nPATH=${{PATH#*:}}\nexec ssh \"$@\"",
            sessions.display()
        ),
    );
    let path = format!(
        "{}:{}",
        sandbox.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let run = || {
        let _ = fs::remove_file(&sessions);
        let mut command = sandbox.program(&["sync", "--all"]);
        command
            .env("PATH", &path)
            .env("GIT_SSH_COMMAND", &client)
            .env("FRACTARY_CODEX_REMOTE__URL", server.url(codex.path()));
        sandbox.finish(command).code(0);
        fs::read_to_string(&sessions).unwrap().lines().count()
    };
    sandbox.write("ws/alpha/README.md", "first");
    assert_eq!(run(), 2);
    assert_eq!(run(), 1);
    sandbox.write("ws/alpha/README.md", "second");
    assert_eq!(run(), 2);
    assert_eq!(codex.file("projects/alpha/README.md"), "second");
}
