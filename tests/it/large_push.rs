//! A push that is sent while its files are read. Small pushes are read first; these are larger.

use std::fs;

use crate::support::http::{HttpServer, Reaction, Stage};
use crate::support::{Output, World, executable, noise};

/// The file that is read last.
const LAST: &str = "beta/docs/last.md";

/// Two projects, of which the second has files of several megabytes, and a codex behind http.
fn world() -> World {
    let world = World::builder()
        .default_transport()
        .projects(&["alpha", "beta"])
        .server(None)
        .build();
    let text = noise(1 << 20);
    for number in 0..8 {
        let path = format!("ws/beta/docs/{number}.md");
        world.sandbox.write(&path, format!("{number}\n{text}"));
    }
    world.sandbox.write(&format!("ws/{LAST}"), "last");
    world
}

impl World {
    fn sync_large(&self) -> Output {
        self.run(&["sync", "--all", "--json"])
    }

    /// A shell script that changes the file that is read last.
    fn change_last(&self) -> String {
        let path = self.sandbox.path("ws").join(LAST);
        format!("echo changed > '{}'", path.display())
    }

    /// How each push so far was sent: with its length, or in chunks.
    fn pushes(&self) -> Vec<&'static str> {
        let requests = self.server().requests().into_iter();
        let pushes = requests.filter(|request| request.target.ends_with("/git-receive-pack"));
        pushes
            .map(|request| {
                if request.headers.contains_key("content-length") {
                    "length"
                } else {
                    "chunked"
                }
            })
            .collect()
    }

    fn assert_all_landed(&self) {
        self.codex.assert_sound();
        assert_eq!(self.codex.file("projects/alpha/README.md"), "alpha");
        assert_eq!(self.codex.file(&format!("projects/{LAST}")), "last");
    }
}

/// Checks that the second project failed, and that only the first one landed.
fn assert_first_landed(world: &World, output: Output) {
    let document = output.code(1).json();
    let results: Vec<_> = document["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| project["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(results, ["synced", "failed"], "{document}");
    assert_eq!(document["attempts"], 1, "{document}");
    world.codex.assert_sound();
    assert_eq!(world.codex.file("projects/alpha/README.md"), "alpha");
    let paths = world.codex.paths();
    assert!(!paths.iter().any(|path| path.contains("beta")), "{paths:?}");
}

#[test]
fn file_that_changes_while_it_is_sent_fails_its_project_alone() {
    let world = world();
    // After the scan, and before the push is sent.
    let script = Reaction::Before(world.change_last());
    world.server().fail(Stage::ListToPush, script, 1);
    assert_first_landed(&world, world.sync_large());
    // The push that was given up has no end, so that the server records only the second one.
    assert_eq!(world.pushes(), ["length"]);
}

#[test]
fn file_that_changes_while_it_is_sent_to_a_local_path_fails_its_project_alone() {
    let world = world();
    let real = world
        .sandbox
        .git(&world.sandbox.path("ws"), &["--exec-path"]);
    let script = format!("{}\nexec {}/git \"$@\"", world.change_last(), real.trim());
    executable::script(&world.sandbox.path("bin/git"), &script);
    let output = world.sandbox.run(&["sync", "--all", "--json"]);
    assert_first_landed(&world, output);
}

#[test]
fn second_attempt_does_not_read_the_files_again() {
    let world = world();
    // Another commit moves the branch when the first attempt was sent, and the sources are gone.
    let sources = world.sandbox.path("ws/beta/docs");
    let codex = world.codex.path().display();
    let script = format!(
        "rm -r '{}'; cd '{codex}' && git update-ref refs/heads/main \
         $(git -c user.name=b -c user.email=b@b commit-tree -p main -m other main^{{tree}})",
        sources.display()
    );
    world
        .server()
        .fail(Stage::Push, Reaction::Before(script), 1);
    let document = world.sync_large().code(0).json();
    assert_eq!(document["attempts"], 2, "{document}");
    assert_eq!(world.pushes(), ["chunked", "length"]);
    world.assert_all_landed();
    assert!(world.codex.subjects().contains(&"other".to_owned()));
}

#[test]
fn server_that_requires_a_length_gets_it() {
    let world = world();
    world.server().require_length();
    world.sync_large().code(0);
    assert_eq!(world.pushes(), ["chunked", "length"]);
    world.assert_all_landed();
    // From then on at once.
    world.sandbox.write("ws/beta/docs/0.md", noise(5 << 20));
    world.sync_large().code(0);
    assert_eq!(world.pushes(), ["chunked", "length", "length"]);
    world.codex.assert_sound();
}

#[test]
fn rejection_in_the_middle_of_a_push_is_reported() {
    // A smaller push may be accepted.
    let parts = ["chunked", "length", "chunked"].as_slice();
    for (status, code, kind, pushes) in [
        (413, 5, "too-large", parts),
        (403, 4, "forbidden", &["chunked"]),
    ] {
        let world = world();
        world.server().reject_early(status);
        let document = world.sync_large().code(code).json();
        assert_eq!(document["error"]["kind"], kind, "{document}");
        assert_eq!(document["pushed"], false, "{document}");
        assert_eq!(world.pushes(), pushes);
        assert_eq!(world.codex.subjects().len(), 1);
    }
}

#[test]
fn login_in_the_middle_of_a_push_repeats_it() {
    let world = world();
    world.sync_large().code(0);
    let server = HttpServer::start(&world.sandbox.path(""), Some("ada:s3cret"));
    world.sandbox.write(
        "home/.netrc",
        "machine 127.0.0.1 login ada password s3cret\n",
    );
    world.sandbox.write("ws/beta/docs/0.md", noise(5 << 20));
    let mut command = world.sandbox.program(&["sync", "--all"]);
    command.env("FRACTARY_CODEX_REMOTE__URL", server.url("codex.git"));
    world.sandbox.finish(command).code(0);
    world.codex.assert_sound();
    let contents = fs::read_to_string(world.sandbox.path("ws/beta/docs/0.md")).unwrap();
    assert_eq!(world.codex.file("projects/beta/docs/0.md"), contents);
}
