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
        (&"brought".into(), &3.into())
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
