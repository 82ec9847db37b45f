//! Directories of the codex that projects of the workspace have left.

use serde_json::{Value, json};

use crate::support::{Output, World};

/// Two projects from a repository with this URL, after a sync.
fn synced(url: &str) -> World {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    let root = world.sandbox.path("ws");
    for arguments in [
        &["init", "-q"][..],
        &["remote", "add", "origin", url],
        &["add", "-A"],
        &[
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@a",
            "commit",
            "-qm",
            "x",
        ],
    ] {
        world.sandbox.git(&root, arguments);
    }
    world.run(&["sync", "--all"]).code(0);
    world
}

const URL: &str = "https://git.acme.example/acme/docs.git";

impl World {
    fn set_projects(&self, projects: &str) {
        self.sandbox.write(
            "ws/.fractary/config.yaml",
            format!("codex:\n  remote: {{ url: ../codex.git }}\n  projects: {projects}\n"),
        );
    }

    fn orphans(&self) -> Value {
        let document = self.run(&["status", "--json"]).code(0).json();
        document.get("orphans").cloned().unwrap_or(json!([]))
    }

    /// Runs a command as on a machine without recorded state.
    fn run_stateless(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.env("FRACTARY_CODEX_STATE__DIR", self.sandbox.path("stateless"));
        self.sandbox.finish(command)
    }
}

#[test]
fn left_directories_are_shown_with_the_commands_to_type() {
    let world = synced(URL);
    assert_eq!(world.orphans(), json!([]));

    // Removed.
    world.set_projects("{ beta: {} }");
    let retire = json!(["fractary-codex", "retire", "alpha"]);
    let orphan = |commands: Value| json!([{ "project": "alpha", "directory": "projects/alpha", "commands": commands }]);
    assert_eq!(world.orphans(), orphan(json!([retire])));
    let text = world.run(&["status", "--html", "page.html"]).code(0);
    let doctor = world.run(&["doctor"]);
    let page = std::fs::read_to_string(world.sandbox.path("ws/page.html")).unwrap();
    for text in [&text.stderr, &doctor.stdout, &page] {
        assert!(text.contains("fractary-codex retire alpha"), "{text}");
    }

    // Renamed: there is one project that was not published yet.
    world.set_projects("{ beta: {}, gamma: { root: alpha } }");
    let rename = json!(["fractary-codex", "rename", "alpha", "gamma"]);
    assert_eq!(world.orphans(), orphan(json!([rename, retire])));

    // Another directory.
    world.set_projects("{ alpha: { to: docs/alpha }, beta: {} }");
    let rename = json!(["fractary-codex", "rename", "alpha", "alpha"]);
    assert_eq!(world.orphans(), orphan(json!([rename, retire])));

    // The codex has moved on.
    world.codex.go_on(1);
    assert_eq!(world.orphans(), orphan(json!([rename, retire])));
    world.run(&["rename", "alpha", "alpha", "--yes"]).code(0);
    assert_eq!(world.orphans(), json!([]));
    world.set_projects("{ beta: {} }");
    world.run(&["retire", "alpha", "--yes"]).code(0);
    assert_eq!(world.orphans(), json!([]));
}

#[test]
fn projects_of_another_workspace_are_not_left_directories() {
    let world = synced(URL);
    world.sandbox.write("other/gamma/README.md", "gamma");
    world.sandbox.write(
        "other/.fractary/config.yaml",
        "codex:\n  remote: { url: ../codex.git }\n  projects: { gamma: {} }\n",
    );
    world.run(&["-C", "../other", "sync", "--all"]).code(0);
    for directory in ["../ws", "../other"] {
        let status = world.run(&["-C", directory, "status", "--json"]);
        assert_eq!(status.code(0).json().get("orphans"), None, "{directory}");
    }

    // The last sync of the other project is no sync of this one.
    world.sandbox.write("ws/taken/README.md", "taken");
    let projects = "projects={other={root=\"taken\",to=\"projects/gamma\"}}";
    let withhold = ["--config", projects, "--config", "sync.on_drift=withhold"];
    world
        .run(&[&["sync", "-p", "other"], &withhold[..]].concat())
        .code(1);
    assert_eq!(
        world.codex.git(&["show", "main:projects/gamma/README.md"]),
        "gamma"
    );
}

#[test]
fn history_is_evidence_for_projects_of_the_same_repository_only() {
    let world = synced(URL);
    world.set_projects("{ beta: {} }");
    let page = |world: &World| {
        let output = world.run_stateless(&["status", "--html", "-"]).code(0);
        output.stdout
    };
    // Without recorded state, only the history shows it.
    let plain = world.run_stateless(&["status", "--json"]).code(0).json();
    assert_eq!(plain.get("orphans"), None);
    assert!(page(&world).contains("fractary-codex retire alpha"));

    let root = world.sandbox.path("ws");
    let other = "https://git.acme.example/acme/other.git";
    world
        .sandbox
        .git(&root, &["remote", "set-url", "origin", other]);
    assert!(!page(&world).contains("retire alpha"));

    // After the project was retired, files of others may be left.
    world
        .sandbox
        .git(&root, &["remote", "set-url", "origin", URL]);
    let notes = [("100644", "projects/alpha/notes.md", "x")];
    world.codex.commit(&notes, &[]);
    world.run(&["retire", "alpha", "--yes"]).code(0);
    assert!(!page(&world).contains("retire alpha"));
}

#[test]
fn directory_of_a_name_that_changed_only_in_case_is_left() {
    let world = synced(URL);
    world.set_projects("{ Alpha: { root: alpha }, beta: {} }");
    let rename = ["fractary-codex", "rename", "alpha", "Alpha"];
    let retire = ["fractary-codex", "retire", "alpha"];
    let status = world.run(&["status", "--all", "--json"]).code(1).json();
    let left = json!([{ "project": "alpha", "directory": "projects/alpha", "commands": [rename, retire] }]);
    assert_eq!(status["orphans"], left, "{status:#}");

    // The new files are withheld, and the hint has the way to move the former ones.
    let options = ["sync", "--all", "--json", "--config", "push.retries=3"];
    let known = "`fractary-codex rename alpha Alpha --config=push.retries=3`";
    let unknown =
        "`fractary-codex rename OLD Alpha --directory projects/alpha --config=push.retries=3`";
    for (output, expected) in [
        (world.run(&options), known),
        (world.run_stateless(&options), unknown),
    ] {
        let document = output.code(1).json();
        let hint = document["projects"][0]["error"]["hints"][0]
            .as_str()
            .unwrap();
        assert!(hint.contains(expected), "{hint}");
    }

    world.run(&["rename", "alpha", "Alpha", "--yes"]).code(0);
    world.run(&["sync", "--all"]).code(0);
    assert_eq!(world.orphans(), json!([]));
}
