//! `cache list`, `cache status` and `cache clear`.

use super::*;

#[test]
fn the_cache_can_be_looked_at_and_emptied() {
    let (sandbox, _codex) = world();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    let empty = sandbox.run(&["cache", "status"]).code(0);
    assert!(empty.stdout.contains("empty") && !cache.exists());
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let listed = sandbox.run(&["cache", "list"]).code(0);
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), names(&cache));
    sandbox.write("ws/.fractary/codex/cache/projects/core/docs/a.md", "by hand");
    fs::remove_file(cache.join("projects/core/docs/run.sh")).unwrap();
    let before = sandbox.fingerprint("ws/.fractary/codex");
    let status = sandbox.run(&["cache", "status", "--json"]).code(0).json();
    assert_eq!(sandbox.fingerprint("ws/.fractary/codex"), before);
    let one = &status["caches"][0];
    assert_eq!(one["changed"], serde_json::json!(["projects/core/docs/a.md"]));
    assert_eq!(one["missing"], serde_json::json!(["projects/core/docs/run.sh"]));
    assert_eq!((&one["projects"][0]["reason"], &one["projects"][0]["files"]), (&"brought".into(), &3.into()));
    let human = sandbox.run(&["cache", "status"]).code(0).stdout;
    assert!(human.contains("changed by hand projects/core/docs/a.md") && human.contains("3 files brought"), "{human}");
    let cleared = sandbox.run(&["cache", "clear", "--project", "alpha"]).code(0);
    assert!(cleared.stdout.contains("1 file removed") && cleared.stdout.contains("kept projects/core/docs/a.md"));
    assert_eq!(names(&cache), ["projects/core/docs/a.md"]);
    sandbox.run(&["cache", "list", "-p", "nobody"]).code(2);
}
