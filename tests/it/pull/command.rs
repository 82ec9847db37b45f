//! `cache list`, `cache status` and `cache clear`.

use super::*;

#[test]
fn cache_is_listed_described_and_cleared() {
    let (sandbox, _codex) = world();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    let empty = sandbox.run(&["cache", "status"]).code(0);
    assert!(empty.stdout.contains("empty") && !cache.exists());
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let listed = sandbox.run(&["cache", "list"]).code(0);
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), names(&cache));
    sandbox.write("ws/.fractary/codex/cache/projects/core/docs/a.md", "edited");
    fs::remove_file(cache.join("projects/core/docs/run.sh")).unwrap();
    let before = sandbox.fingerprint("ws/.fractary/codex");
    let status = sandbox.run(&["cache", "status", "--json"]).code(0).json();
    assert_eq!(sandbox.fingerprint("ws/.fractary/codex"), before);
    let one = &status["caches"][0];
    assert_eq!(
        one["changed"],
        serde_json::json!(["projects/core/docs/a.md"])
    );
    assert_eq!(
        one["missing"],
        serde_json::json!(["projects/core/docs/run.sh"])
    );
    assert_eq!(
        (&one["projects"][0]["reason"], &one["projects"][0]["files"]),
        (&"pulled".into(), &3.into())
    );
    let human = sandbox.run(&["cache", "status"]).code(0).stdout;
    assert!(
        human.contains("modified locally projects/core/docs/a.md")
            && human.contains("3 files pulled"),
        "{human}"
    );
    let cleared = sandbox
        .run(&["cache", "clear", "--project", "alpha"])
        .code(0);
    assert!(
        cleared.stdout.contains("1 file removed")
            && cleared.stdout.contains("kept projects/core/docs/a.md")
    );
    assert_eq!(names(&cache), ["projects/core/docs/a.md"]);
    // The kept file is still tracked, so that it can be removed later.
    let forced = sandbox
        .run(&["cache", "clear", "--force", "--json"])
        .code(0)
        .json();
    assert_eq!(
        (&forced["caches"][0]["removed"], names(&cache).len()),
        (&1.into(), 0)
    );
    assert!(
        sandbox
            .run(&["cache", "status"])
            .code(0)
            .stdout
            .contains("empty")
    );
    sandbox.run(&["cache", "list", "-p", "unknown"]).code(2);
}

#[test]
fn file_that_cannot_be_removed_is_reported_and_stays_tracked() {
    let (sandbox, codex) = world();
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let file = sandbox.path("ws/.fractary/codex/cache/projects/core/docs/a.md");
    let stuck = format!("mount --bind {0} {0}", file.display());
    let Some(cleared) = sandbox.run_with_mounts(&stuck, &["cache", "clear"]) else {
        return;
    };
    let stdout = cleared.code(1).stdout;
    assert!(
        stdout.contains("cannot remove projects/core/docs/a.md: "),
        "{stdout}"
    );
    sandbox.run(&["sync", "--from-codex"]).code(0);
    codex.commit(&[], &["projects/core/docs/a.md"]);
    let incomplete = sandbox
        .run_with_mounts(&stuck, &["sync", "--from-codex"])
        .unwrap()
        .code(1);
    assert!(
        incomplete.stderr.contains("projects/core/docs/a.md"),
        "{}",
        incomplete.stderr
    );
    assert!(file.exists());
    sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(!file.exists());
}

#[test]
fn error_of_one_cache_does_not_hide_the_report_of_another() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha", "gamma"],
        "  sync: { from_codex: { include: ['codex://acme/core/**'] } }\n",
    );
    codex.commit(&[("100644", "projects/core/a.md", "a")], &[]);
    sandbox.write("ws/gamma/.fractary/notes", "this project has its own cache");
    let pull = ["sync", "--all", "--from-codex"];
    sandbox.run(&pull).code(0);
    let lock = "ws/gamma/.fractary/codex/cache/.fractary-codex/lock";
    sandbox.remove(lock);
    sandbox.pipe(lock);

    let cleared = sandbox.run(&["cache", "clear"]).code(1);
    assert!(
        cleared.stdout.contains("1 file removed"),
        "{}",
        cleared.stdout
    );
    assert!(
        cleared.stderr.contains("not a regular file"),
        "{}",
        cleared.stderr
    );

    sandbox.remove(lock);
    sandbox.run(&pull).code(0);
    sandbox.remove(lock);
    sandbox.pipe(lock);
    let document = sandbox.run(&["cache", "clear", "--json"]).code(1).json();
    assert_eq!(document["caches"][0]["removed"], 1);
    assert_eq!(document["caches"][1]["error"]["kind"], "cache");
}

/// The files that a `cache` command lists.
fn listed(sandbox: &Sandbox, arguments: &[&str]) -> Vec<String> {
    let output = sandbox.run(&[&["cache", "list"], arguments].concat());
    output.code(0).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn listed_files_are_filtered_sorted_and_limited() {
    let (sandbox, _codex) = world();
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let [a, run, b] = [
        "projects/core/docs/a.md",
        "projects/core/docs/run.sh",
        "projects/other/docs/deep/b.md",
    ];
    sandbox.write(&format!("ws/.fractary/codex/cache/{a}"), "edited");
    sandbox.remove(&format!("ws/.fractary/codex/cache/{b}"));

    for (arguments, expected) in [
        (&[][..], &[a, run, b][..]),
        (&["--status", "fresh"], &[run]),
        (&["--status", "modified"], &[a]),
        (&["--status", "missing"], &[b]),
        (&["--status", "stale"], &[a, b]),
        (&["--status", "expired"], &[]),
        (&["--desc"], &[b, run, a]),
        (&["--sort", "uri", "--limit", "2"], &[a, run]),
        (&["--sort", "size", "--desc", "--limit", "1"], &[run]),
        (&["--sort", "createdAt"], &[a, run, b]),
        (&["--pattern", "codex://acme/core"], &[a, run]),
        (&["--pattern", "codex://acme/core/*"], &[a, run]),
        (&["--pattern", "codex://acme/*/**/*.md"], &[a, b]),
        (&["--pattern", "**/deep"], &[b]),
        (&["--pattern", "codex://acme/unknown"], &[]),
    ] {
        assert_eq!(listed(&sandbox, arguments), expected, "{arguments:?}");
    }
    for pattern in ["codex://other/core", "codex://acme", "docs/@(a|b)"] {
        let rejected = sandbox
            .run(&["cache", "list", "--pattern", pattern])
            .code(2);
        assert!(rejected.stderr.contains("error: "), "{}", rejected.stderr);
    }

    let document = sandbox
        .run(&["cache-list", "--json", "--limit", "2"])
        .code(0)
        .json();
    let files = document["caches"][0]["files"].as_array().unwrap();
    let fields = |file: &Value| {
        let path = file["path"].as_str().unwrap().to_owned();
        (path, file["size"].clone(), file["status"].clone())
    };
    assert_eq!(
        files.iter().map(fields).collect::<Vec<_>>(),
        [
            (a.to_owned(), 1.into(), "modified".into()),
            (run.to_owned(), 3.into(), "fresh".into())
        ]
    );
}

#[test]
fn pattern_clears_only_the_files_that_it_covers() {
    let (sandbox, _codex) = world();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let [a, run, b] = [
        "projects/core/docs/a.md",
        "projects/core/docs/run.sh",
        "projects/other/docs/deep/b.md",
    ];
    sandbox.write(&format!("ws/.fractary/codex/cache/{b}"), "edited");
    sandbox.remove(&format!("ws/.fractary/codex/cache/{a}"));

    let before = sandbox.fingerprint("ws/.fractary");
    let clear = [
        "cache",
        "clear",
        "--pattern",
        "codex://acme/core/docs/*",
        "--json",
    ];
    let planned = sandbox
        .run(&[&clear[..], &["--dry-run"]].concat())
        .code(0)
        .json();
    assert_eq!(
        planned["caches"][0]["removed_files"],
        serde_json::json!([run])
    );
    assert_eq!(planned["caches"][0]["dry_run"], true);
    let text = sandbox
        .run(&["cache", "clear", "--dry-run", "--force"])
        .code(0);
    assert!(
        text.stdout.contains("2 files would be removed"),
        "{}",
        text.stdout
    );
    assert_eq!(sandbox.fingerprint("ws/.fractary"), before);

    let cleared = sandbox.run(&clear).code(0).json();
    assert_eq!(cleared["caches"][0]["removed"], 1);
    assert_eq!(cleared["caches"][0]["kept"], serde_json::json!([]));
    assert_eq!(names(&cache), [b]);
    // The edit is still known, and the next pull restores the other files.
    let pulled = sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(
        pulled
            .stderr
            .contains("deep/b.md` in the cache was modified locally")
    );
    assert_eq!(names(&cache), [a, run, b]);
}

#[test]
fn older_names_of_the_commands_work() {
    let (sandbox, _codex) = world();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let list = [
        "cache-list",
        "--status",
        "all",
        "--sort",
        "size",
        "--desc",
        "--verbose",
    ];
    assert_eq!(sandbox.run(&list).code(0).stdout.lines().count(), 3);
    let stats = sandbox.run(&["cache-stats", "--json"]).code(0).json();
    let health = sandbox.run(&["cache-health", "--json"]).code(0).json();
    assert_eq!(stats, health);
    let one = &stats["caches"][0];
    assert_eq!((&one["files"], &one["bytes"]), (&3.into(), &5.into()));
    assert_eq!(one["status"], "healthy");
    fs::remove_file(cache.join("projects/core/docs/a.md")).unwrap();
    let health = sandbox.run(&["cache-health", "--json"]).code(0).json();
    assert_eq!(health["caches"][0]["status"], "degraded");

    // As in the older tool, nothing is cleared without a selection.
    let refused = sandbox.run(&["cache-clear"]).code(2);
    assert!(refused.stderr.contains("--pattern"), "{}", refused.stderr);
    sandbox.run(&["cache-clear", "--all", "--dry-run"]).code(0);
    assert_eq!(names(&cache).len(), 2);
    sandbox.run(&["cache-clear", "--all"]).code(0);
    assert_eq!(names(&cache), [""; 0]);
}
