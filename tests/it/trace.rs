//! `trace` and `log`: where the files of a codex come from, and the syncs in its history.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};

use crate::support::{Output, World, WorldBuilder};

const SOURCE: &str = "https://github.com/acme/docs.git";

fn builder() -> WorldBuilder {
    World::builder()
        .projects(&["alpha", "beta", "old"])
        .files(&[
            ("alpha/README.md", "alpha"),
            ("alpha/docs/a.md", "a"),
            ("alpha/docs/a-b.md", "a-b"),
            ("beta/README.md", "beta"),
            ("beta/docs/deep/er/b.md", "b"),
            ("old/README.md", "old"),
        ])
        .config("  sync: { to_codex: { include: [README.md, 'docs/**'] } }\n")
}

fn configure(world: &World, projects: &str) {
    world.sandbox.write(
        "ws/.fractary/config.yaml",
        format!(
            "codex:\n  organization: acme\n  remote: {{ url: ../codex.git }}\n  projects: {projects}\n  sync: {{ to_codex: {{ include: [README.md, 'docs/**'] }} }}\n"
        ),
    );
}

/// Commits the sources, and returns the commit.
fn commit_sources(world: &World) -> String {
    let ws = world.sandbox.path("ws");
    let git = |arguments: &[&str]| world.sandbox.git(&ws, arguments);
    git(&["init", "-q", "-b", "main", "--template="]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "sources"]);
    git(&["rev-parse", "HEAD"]).trim().to_owned()
}

/// A codex with syncs of several projects, commits of a person, a merge, a rename and a retirement.
/// Returns the source commit of the first syncs, too.
fn history() -> (World, String) {
    let world = builder().build();
    let ws = world.sandbox.path("ws");
    let source = commit_sources(&world);
    world.sandbox.git(&ws, &["remote", "add", "origin", SOURCE]);
    world.run(&["sync", "--all", "--work-id", "W-1"]).code(0);

    world.sandbox.write("ws/alpha/docs/a.md", "a, changed");
    world.run(&["sync", "-p", "alpha"]).code(0);
    let by_hand = [
        ("100644", "projects/beta/notes.md", "by hand"),
        ("100755", "projects/alpha/docs/a-b.md", "a-b"),
    ];
    world.codex.commit(&by_hand, &[]);

    // Two branches, one of which changes a file to the version that the other one keeps.
    let codex = &world.codex;
    let fork = codex.tip().unwrap();
    codex.commit(
        &[("100644", "ours.md", "1"), ("100644", "both.md", "1")],
        &[],
    );
    let ours = codex.tip().unwrap();
    codex.git(&["update-ref", "refs/heads/main", &fork]);
    codex.commit(
        &[("100644", "theirs.md", "1"), ("100644", "both.md", "1")],
        &[],
    );
    let theirs = codex.tip().unwrap();
    let tree = codex.git(&["merge-tree", "--write-tree", &ours, &theirs]);
    let merge = [
        "commit-tree",
        tree.trim(),
        "-p",
        &ours,
        "-p",
        &theirs,
        "-m",
        "Merge",
    ];
    let merge = codex.git(&merge);
    codex.git(&["update-ref", "refs/heads/main", merge.trim()]);

    configure(&world, "{ alpha: {}, gamma: { root: beta } }");
    world.run(&["rename", "beta", "gamma", "--yes"]).code(0);
    world.run(&["retire", "old", "--yes"]).code(0);
    (world, source)
}

/// The output without times and ages.
fn timeless(output: &Output) -> String {
    let time = Regex::new(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ)?").unwrap();
    let age = Regex::new(r"\((just now|[^)]* ago)\)").unwrap();
    let shown = output.shown();
    age.replace_all(&time.replace_all(&shown, "[time]"), "([age])")
        .into_owned()
}

/// The traced files of a run, by their paths.
fn traced(world: &World, paths: &[&str]) -> BTreeMap<String, Value> {
    let document = world
        .run(&[&["trace", "--json"], paths].concat())
        .code(0)
        .json();
    let files = document["files"].as_array().unwrap().iter();
    files
        .map(|file| (file["path"].as_str().unwrap().to_owned(), file.clone()))
        .collect()
}

#[test]
fn each_file_has_the_commit_that_git_finds() {
    let (world, source) = history();
    let paths = world.codex.paths();
    let arguments: Vec<_> = paths.iter().map(String::as_str).collect();
    let files = traced(&world, &arguments);
    assert_eq!(files.len(), paths.len());
    for path in &paths {
        let found = world
            .codex
            .git(&["log", "-1", "--format=%H %an <%ae>", "main", "--", path]);
        let commit = &files[path]["commit"];
        let author = &commit["author"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (name, email) = (text(&author["name"]), text(&author["email"]));
        assert_eq!(
            format!("{} {name} <{email}>", text(&commit["id"])),
            found.trim(),
            "{path}"
        );
    }

    let published = |path: &str| files[path]["published"].clone();
    let a = published("projects/alpha/docs/a.md");
    assert_eq!(a["source"]["dirty"], true);
    assert_eq!(
        (&a["source_file"], &a["source_url"]),
        (&json!("docs/a.md"), &Value::Null)
    );
    let readme = published("projects/alpha/README.md");
    assert_eq!(readme["source"]["commit"], json!(source));
    let page = format!("https://github.com/acme/docs/blob/{source}/alpha/README.md");
    assert_eq!(readme["source_url"], json!(page));
    // A person has changed the mode of the one, and added the other.
    for path in ["projects/alpha/docs/a-b.md", "projects/gamma/notes.md"] {
        assert_eq!(
            (&files[path]["origin"], published(path)),
            (&json!("other"), Value::Null)
        );
    }
    let moved = &files["projects/gamma/docs/deep/er/b.md"];
    assert_eq!(moved["published"]["project"], "beta");
    assert_eq!(moved["published"]["source_file"], "docs/deep/er/b.md");
    assert_eq!(
        moved["moved_from"]["path"],
        "projects/beta/docs/deep/er/b.md"
    );
    let subject = moved["moved_from"]["commit"]["subject"].as_str().unwrap();
    assert!(subject.starts_with("Sync"), "{subject}");

    // The same file is named in four ways.
    world
        .sandbox
        .write("ws/.fractary/codex/cache/projects/alpha/README.md", "x");
    for (name, local_differs) in [
        ("codex://acme/alpha/README.md", Value::Null),
        ("alpha/README.md", json!(false)),
        ("./alpha/docs/../README.md", json!(false)),
        (
            ".fractary/codex/cache/projects/alpha/README.md",
            json!(true),
        ),
    ] {
        let named = traced(&world, &[name]);
        let named = &named["projects/alpha/README.md"];
        assert_eq!(named["published"], readme, "{name}");
        assert_eq!(named["local_differs"], local_differs, "{name}");
    }
    assert_eq!(traced(&world, &["codex://acme/*/docs/**"]).len(), 3);

    let shown = ["alpha/README.md", "projects/gamma/README.md", "ours.md"];
    let output = world.run(&[&["trace"], &shown[..]].concat()).code(0);
    insta::assert_snapshot!("lines", timeless(&output));
    assert_eq!(world.sandbox.leftovers(), [""; 0]);
    log_lists_all_changes(&world, &source);
}

/// The history of [`history`], as `log` shows it.
fn log_lists_all_changes(world: &World, source: &str) {
    let output = world.run(&["log"]).code(0);
    insta::assert_snapshot!("table", timeless(&output));

    let document = world
        .run(&["log", "--json", "-p", "alpha", "-n", "5"])
        .code(0)
        .json();
    assert_eq!(document["has_older"], false);
    let syncs = document["syncs"].as_array().unwrap();
    let counts: Vec<_> = syncs.iter().map(|sync| sync["counts"].clone()).collect();
    let count = |added, modified| json!({ "added": added, "modified": modified, "deleted": 0 });
    assert_eq!(counts, [count(0, 1), count(3, 0)]);
    assert_eq!(syncs[1]["source"]["commit"], json!(source));
    let page = format!("https://github.com/acme/docs/commit/{source}");
    assert_eq!(syncs[1]["source"]["url"], json!(page));
    assert_eq!(syncs[1]["work_id"], "W-1");

    // All syncs of the project that was renamed, under its two names.
    let document = world
        .run(&["log", "--json", "-p", "beta", "-p", "g*"])
        .code(0)
        .json();
    let kinds = document["syncs"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds
        .map(|sync| (&sync["kind"], &sync["counts"]["added"]))
        .collect();
    assert_eq!(
        kinds,
        [(&json!("moved"), &json!(3)), (&json!("synced"), &json!(2))]
    );
    let limited = world.run(&["log", "--json", "-n", "1"]).code(0).json();
    assert_eq!(
        (
            limited["syncs"].as_array().unwrap().len(),
            &limited["has_older"]
        ),
        (1, &json!(true))
    );
}

#[test]
fn history_is_fetched_only_as_deep_as_needed() {
    let world = builder().server(None).build();
    world.run(&["sync", "--all", "--no-cache"]).code(0);
    let noise = crate::support::noise(200_000);
    world
        .codex
        .commit(&[("100644", "projects/alpha/large.md", &noise)], &[]);
    world.codex.go_on(300);
    world
        .codex
        .commit(&[("100644", "projects/alpha/new.md", "new")], &[]);

    let measured = |arguments: &[&str]| {
        let before = world.server().requests().len();
        let document = world.run(&[arguments, &["--json"]].concat()).code(0).json();
        let requests = world.server().requests().split_off(before);
        let fetches = requests
            .iter()
            .filter(|one| one.target.ends_with("/git-upload-pack"));
        let bytes: usize = requests.iter().map(|request| request.bytes_down).sum();
        assert!(bytes < 150_000, "{arguments:?}: {bytes} bytes");
        (document, fetches.count())
    };
    let (new, shallow) = measured(&["trace", "projects/alpha/new.md"]);
    assert_eq!(new["files"][0]["origin"], "other");
    let paths = ["trace", "projects/beta/README.md", "alpha/README.md"];
    let (old, deep) = measured(&paths);
    let found = world.codex.git(&[
        "log",
        "-1",
        "--format=%H",
        "main",
        "--",
        "projects/beta/README.md",
    ]);
    assert_eq!(old["files"][0]["commit"]["id"], json!(found.trim()));
    assert_eq!(old["files"][1]["published"]["project"], "alpha");
    // The first run fetched the tip and 256 commits, which do not contain the file. They are kept,
    // so this run starts with them, and the next one needs no fetch.
    if !world.sandbox.uses_git() {
        assert_eq!([shallow, deep], [3, 3]);
        assert_eq!(measured(&paths).1, 1);
    }

    let (log, _) = measured(&["log"]);
    let counts = log["syncs"].as_array().unwrap().iter();
    let counts: Vec<_> = counts.map(|sync| sync["counts"]["added"].clone()).collect();
    assert_eq!(counts, [json!(1), json!(2), json!(3)]);
    assert_eq!(world.sandbox.leftovers(), [""; 0]);
}

#[test]
fn wrong_inputs_are_explained() {
    let world = builder().build();
    world.run(&["sync", "-p", "alpha"]).code(0);
    world.sandbox.write("ws/alpha/private.txt", "x");
    world.sandbox.write("ws/stray.md", "x");
    let mut shown = String::new();
    let validators = ["log", "trace"].map(|of| {
        let schema = world.run(&["config", "schema", of]).code(0).json();
        jsonschema::validator_for(&schema).unwrap()
    });
    for (arguments, code) in [
        (&["trace", "projects/alpha/docs/aa.md"][..], 1),
        (&["trace", "codex://acme/alpah/README.md"], 1),
        (&["trace", "codex://acme/alpha/*.txt"], 1),
        (&["trace", "projects/alpha/docs"], 1),
        (&["trace", "alpha/docs"], 1),
        (&["trace", "alpha/private.txt"], 1),
        (&["trace", "beta/README.md"], 1),
        (&["trace", "stray.md"], 1),
        (&["trace", "/nowhere/x.md"], 1),
        (&["trace", "a\u{1b}[2J"], 1),
        (&["trace", "codex://other/alpha/README.md"], 2),
        (&["trace"], 2),
        (&["log", "-n", "0"], 2),
        (&["log", "-p", "alpah"], 2),
        (&["log", "-p", "x*"], 2),
        (&["log", "-p", "beta"], 0),
        (&["log", "-p", "alpha"], 0),
        (&["trace", "beta/README.md", "alpha/README.md"], 1),
    ] {
        let json = world
            .run(&[arguments, &["--json"]].concat())
            .code(code)
            .json();
        assert_eq!(json["exit_code"], code, "{arguments:?}");
        let validator = &validators[usize::from(arguments[0] == "trace")];
        assert!(validator.is_valid(&json), "{arguments:?}: {json:#}");
        if code != 0 && arguments.len() > 1 {
            let output = world.run(arguments).code(code);
            let arguments = arguments.join(" ").escape_default().to_string();
            shown.push_str(&format!("$ {arguments}\n{}\n", output.stderr));
        }
    }
    insta::assert_snapshot!(shown);

    let empty = World::builder().empty_codex().build();
    assert_eq!(empty.run(&["log"]).code(0).stdout, "no syncs\n");
    empty.run(&["trace", "alpha/README.md"]).code(1);
}

#[test]
fn history_that_is_cut_is_reported() {
    let world = builder().build();
    world.run(&["sync", "--all", "--no-cache"]).code(0);
    let tip = world.codex.tip().unwrap();
    world.codex.go_on(1);
    assert_eq!(world.run(&["log"]).code(0).stderr, "");
    let parent = world.codex.git(&["rev-parse", &format!("{tip}~1")]);
    let (directory, name) = parent.trim().split_at(2);
    let object = world
        .codex
        .path()
        .join("objects")
        .join(directory)
        .join(name);
    std::fs::remove_file(object).unwrap();
    let output = world.run(&["log", "--json"]).code(0);
    let document = output.json();
    assert_eq!(document["has_older"], true, "{document:#}");
    let warning = document["warnings"][0]["message"].as_str().unwrap();
    assert!(warning.contains("lacks a part of its history"), "{warning}");
}
