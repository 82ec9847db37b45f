//! `fetch`: single documents of the codex, from the caches and from the remote.

use std::fs;

use crate::support::{Output, World, WorldBuilder};

const LEDGER: &str = "codex://acme/billing/docs/ledger.md";

fn builder() -> WorldBuilder {
    World::builder()
        .codex_files(&[
            ("README.md", "codex"),
            ("projects/billing/README.md", "billing"),
            ("projects/billing/docs/ledger.md", "# Ledger\n"),
            ("projects/billing/docs/deep/er/note.md", "deep"),
            ("projects/payments/README.md", "payments"),
            ("projects/payments/docs/other.md", "other"),
        ])
        .config("  sync: { from_codex: { include: ['codex://acme/billing/**'] } }\n")
}

fn pulled(world: &World) {
    world.run(&["sync", "--all", "--from-codex"]).code(0);
}

/// The number of requests that fetch objects.
fn fetches(world: &World) -> usize {
    let requests = world.server().requests();
    let uploads = requests.iter();
    uploads
        .filter(|request| request.target.ends_with("/git-upload-pack"))
        .count()
}

fn ledger(world: &World, arguments: &[&str]) -> Output {
    world.run(&[&["fetch", LEDGER], arguments].concat())
}

#[test]
fn document_of_a_local_codex_is_printed_byte_for_byte() {
    let world = builder().build();
    let output = ledger(&world, &[]).code(0);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("# Ledger\n", "")
    );
    let output = world
        .run(&["document-fetch", LEDGER, "--output", "-"])
        .code(0);
    assert_eq!(output.stdout, "# Ledger\n");
    assert_eq!(world.sandbox.leftovers(), [""; 0]);
}

#[test]
fn only_the_trees_on_the_way_and_the_document_are_fetched() {
    let world = builder().server(None).build();
    let noise = crate::support::noise(300_000);
    world.codex.commit(
        &[
            ("100644", "projects/billing/docs/large.md", &noise),
            ("100644", "projects/payments/large.md", &noise),
        ],
        &[],
    );
    assert_eq!(ledger(&world, &[]).code(0).stdout, "# Ledger\n");
    let requests = world.server().requests();
    let down: usize = requests.iter().map(|request| request.bytes_down).sum();
    assert!(down < 20_000, "{down} bytes");
    assert_eq!(world.sandbox.leftovers(), [""; 0]);

    if !world.sandbox.uses_git() {
        // Refs, the tip, the trees of the project, the document.
        let before = fetches(&world);
        let deep = "codex://acme/billing/docs/deep/er/note.md";
        assert_eq!(world.run(&["fetch", deep]).code(0).stdout, "deep");
        assert_eq!(fetches(&world) - before, 4);
    }
}

#[test]
fn servers_that_cannot_filter_or_send_objects_by_id_work() {
    let world = builder().server(None).build();
    world
        .codex
        .git(&["config", "uploadpack.allowFilter", "false"]);
    assert_eq!(ledger(&world, &[]).code(0).stdout, "# Ledger\n");
    world
        .codex
        .git(&["config", "uploadpack.allowFilter", "true"]);
    world
        .codex
        .git(&["config", "uploadpackfilter.tree.allow", "false"]);
    assert_eq!(ledger(&world, &[]).code(0).stdout, "# Ledger\n");
    world
        .codex
        .git(&["config", "--unset", "uploadpackfilter.tree.allow"]);
    world
        .codex
        .git(&["config", "uploadpackfilter.combine.allow", "false"]);
    assert_eq!(ledger(&world, &[]).code(0).stdout, "# Ledger\n");

    let world = builder().server(None).build();
    world.server().speak_version_0();
    assert_eq!(ledger(&world, &[]).code(0).stdout, "# Ledger\n");
}

#[test]
fn current_cache_costs_one_request_and_an_outdated_one_is_not_used() {
    let world = builder().server(None).build();
    pulled(&world);
    let before = world.server().requests().len();
    let document = ledger(&world, &["--json"]).code(0).json();
    assert_eq!(document["documents"][0]["from"], "cache");
    assert_eq!(document["documents"][0]["tip"], document["remote"]["tip"]);
    if !world.sandbox.uses_git() {
        assert_eq!(world.server().requests().len() - before, 1);
    }
    let bypassed = ledger(&world, &["--json", "--bypass-cache"]).code(0).json();
    assert_eq!(bypassed["documents"][0]["from"], "remote");

    let newer = ("100644", "projects/billing/docs/ledger.md", "newer");
    world.codex.commit(&[newer], &[]);
    assert_eq!(ledger(&world, &[]).code(0).stdout, "newer");
    // Another document has not changed, so its contents are in the cache.
    let document = world
        .run(&["fetch", "--json", "codex://acme/billing/README.md"])
        .code(0)
        .json();
    assert_eq!(document["documents"][0]["from"], "cache");

    let before = world.server().requests().len();
    assert_eq!(
        ledger(&world, &["--ttl", "1h"]).code(0).stdout,
        "# Ledger\n"
    );
    assert_eq!(ledger(&world, &["--offline"]).code(0).stdout, "# Ledger\n");
    assert_eq!(world.server().requests().len(), before);
    assert_eq!(ledger(&world, &["--ttl", "0"]).code(0).stdout, "newer");
}

#[test]
fn local_edits_are_never_fetched() {
    let world = builder().build();
    pulled(&world);
    let cached = "ws/.fractary/codex/cache/projects/billing/docs/ledger.md";
    world.sandbox.write(cached, "edited");
    for more in [&[][..], &["--ttl", "1h"]] {
        assert_eq!(ledger(&world, more).code(0).stdout, "# Ledger\n");
    }
    let all = "codex://acme/billing/**";
    let offline = |uri: &str, code: i32, expected: &str| {
        let output = world.run(&["fetch", uri, "--offline"]).code(code);
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    };
    offline(LEDGER, 4, "in the local cache was modified locally");
    offline(
        all,
        0,
        "skipped `projects/billing/docs/ledger.md`: it was modified",
    );
    world.sandbox.remove(cached);
    offline(LEDGER, 4, "in the local cache was removed locally");
    // After a sync that did not write all files, the others may be older than the tip.
    world.sandbox.write(cached, "edited");
    let newer = [("100644", "projects/billing/README.md", "newer")];
    world.codex.commit(&newer, &[]);
    pulled(&world);
    offline("codex://acme/billing/README.md", 4, "may be outdated");
    offline(
        "codex://acme/payments/README.md",
        4,
        "is not in the local cache",
    );
}

#[test]
fn globs_and_several_uris_are_fetched_at_once() {
    let world = builder().server(None).build();
    let arguments = [
        "fetch",
        "--json",
        "codex://acme/*/README.md",
        LEDGER,
        LEDGER,
    ];
    let document = world.run(&arguments).code(0).json();
    let uris = document["documents"].as_array().unwrap().iter();
    let uris: Vec<_> = uris.map(|one| one["uri"].as_str().unwrap()).collect();
    let readme = |project: &str| format!("codex://acme/{project}/README.md");
    assert_eq!(uris, [&readme("billing"), &readme("payments"), LEDGER]);

    // The URI of a document names it, whatever characters its name has.
    let special = ("100644", "projects/payments/a[1]{b}.md", "special");
    world.codex.commit(&[special], &[]);
    let arguments = ["fetch", "--json", "codex://acme/payments/a*.md"];
    let document = world.run(&arguments).code(0).json();
    let uri = document["documents"][0]["uri"].as_str().unwrap();
    assert_eq!(world.run(&["fetch", uri]).code(0).stdout, "special");

    let arguments = ["fetch", "codex://acme/billing/**", "--output", "out/"];
    assert_eq!(world.run(&arguments).code(0).stdout, "");
    let saved = world.sandbox.path("ws/out/billing/docs/deep/er/note.md");
    assert_eq!(fs::read_to_string(saved).unwrap(), "deep");
    assert!(!world.sandbox.path("ws/out/payments").exists());
}

#[test]
fn file_is_replaced_and_nothing_is_written_outside_of_a_directory() {
    let world = builder().build();
    world.sandbox.write("ws/saved.md", "old");
    ledger(&world, &["-o", "saved.md"]).code(0);
    let saved = world.sandbox.path("ws/saved.md");
    assert_eq!(fs::read_to_string(saved).unwrap(), "# Ledger\n");

    fs::create_dir_all(world.sandbox.path("outside")).unwrap();
    fs::create_dir_all(world.sandbox.path("ws/out/billing")).unwrap();
    let link = world.sandbox.path("ws/out/billing/docs");
    std::os::unix::fs::symlink(world.sandbox.path("outside"), link).unwrap();
    ledger(&world, &["-o", "out"]).code(1);
    let outside = fs::read_dir(world.sandbox.path("outside")).unwrap();
    assert_eq!(outside.count(), 0);

    ledger(&world, &["-o", "missing/x.md"]).code(2);
    world
        .run(&["fetch", "codex://acme/billing/*.md", "-o", "x.md"])
        .code(2);
}

#[test]
fn binary_contents_are_encoded_in_json() {
    let world = builder().build();
    let blob = world.codex.blob(b"\xff\x00\x1b");
    let mut git = world.codex.git(&["rev-parse", "main^{tree}"]);
    git.truncate(40);
    world
        .codex
        .commit(&[("100644", "projects/billing/c1.md", "\u{9b}2J")], &[]);
    let contents = b"\xff\x00\x1b".to_vec();
    let logo = ("projects/billing/logo.png".to_owned(), contents);
    world.codex.import(&[logo]);
    let uri = "codex://acme/billing/logo.png";
    let document = world.run(&["fetch", "--json", uri]).code(0).json();
    let document = &document["documents"][0];
    assert_eq!(
        (document["encoding"].as_str(), document["content"].as_str()),
        (Some("base64"), Some("/wAb"))
    );
    assert_eq!(document["id"], blob.trim());
}

#[test]
fn each_error_has_its_message_and_exit_status() {
    let world = builder().build();
    world.codex.commit(
        &[("120000", "projects/billing/link.md", "docs/ledger.md")],
        &[],
    );
    let mut shown = String::new();
    for (uri, code) in [
        ("codex://acme/billing/docs/leger.md", 1),
        ("codex://acme/biling/README.md", 1),
        ("codex://acme/billing/README.md/x", 1),
        ("codex://acme/billing/*.txt", 1),
        ("codex://acme/billing/docs", 1),
        ("codex://acme/billing/link.md", 1),
        ("codex://acme/billing/docs/", 2),
        ("codex://acme/billing", 2),
        ("codex://other/billing/README.md", 2),
        ("codex://acme/billing/../../x", 2),
        ("codex://acme/billing/.git/config", 2),
        ("https://acme/billing/x", 2),
        ("file:///etc/passwd", 2),
        ("/etc/passwd", 2),
        ("codex://acme/billing/a\u{1b}[2J", 2),
    ] {
        let output = world.run(&["fetch", uri]).code(code);
        shown.push_str(&format!(
            "$ fetch {}\n{}\n",
            uri.escape_default(),
            output.shown()
        ));
        let json = world.run(&["fetch", "--json", uri]).code(code).json();
        assert_eq!(json["exit_code"], code, "{uri}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn documents_that_exist_are_fetched_beside_missing_ones() {
    let world = builder().build();
    let output = world
        .run(&["fetch", "codex://acme/billing/x.md", LEDGER])
        .code(1);
    assert_eq!(output.stdout, "# Ledger\n");
}

#[test]
fn source_revision_is_that_of_the_last_sync() {
    let world = builder().server(None).build();
    let ws = world.sandbox.path("ws");
    world
        .sandbox
        .git(&ws, &["init", "-q", "-b", "main", "--template="]);
    world.sandbox.git(&ws, &["add", "-A"]);
    world.sandbox.git(&ws, &["commit", "-q", "-m", "one"]);
    let head = world.sandbox.git(&ws, &["rev-parse", "HEAD"]);
    world.run(&["sync", "--all", "--no-cache"]).code(0);
    let arguments = ["fetch", "--json", "codex://acme/alpha/README.md", LEDGER];
    let document = world.run(&arguments).code(0).json();
    assert_eq!(document["documents"][0]["source_revision"], head.trim());
    assert!(document["documents"][1]["source_revision"].is_null());
}

#[test]
fn json_documents_match_the_schema() {
    let world = builder().build();
    let schema = world.run(&["config", "schema", "fetch"]).code(0).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for arguments in [
        &["fetch", "--json", LEDGER, "codex://acme/billing/x.md"][..],
        &["fetch", "--json", LEDGER, "-o", "x.md"],
        &["fetch", "--json", "https://x"],
        &["fetch", "--json"],
    ] {
        let document = world.run(arguments).json();
        assert!(validator.is_valid(&document), "{document:#}");
        assert_eq!(
            document.as_object().unwrap().keys().next().unwrap(),
            "schema_version"
        );
    }
}

#[test]
fn empty_codex_has_no_documents() {
    let world = World::builder().empty_codex().build();
    let output = ledger(&world, &[]).code(1);
    assert!(
        output.stderr.contains("does not exist"),
        "{}",
        output.stderr
    );
}
