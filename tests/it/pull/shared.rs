//! One cache of several projects: what one of them does, the others are not told wrongly of.

use super::*;

const CACHE: &str = "ws/.fractary/codex/cache";

/// Two projects that want the same documents, which differ between two branches.
fn shared() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["a", "b"],
        "  sync: { from_codex: { include: ['codex://acme/core/docs/**'] } }\n",
    );
    codex.commit(&[("100644", "projects/core/docs/f.md", "staging")], &[]);
    codex.git(&["branch", "staging"]);
    codex.commit(
        &[
            ("100644", "projects/core/docs/f.md", "main"),
            ("100644", "projects/core/docs/g.md", "g"),
        ],
        &[],
    );
    (sandbox, codex)
}

#[test]
fn another_projects_version_is_not_taken_for_ones_own() {
    for last in [&["-p", "a"][..], &["--all"]] {
        let (sandbox, _codex) = shared();
        sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
        sandbox
            .run(&["sync", "-p", "b", "--from-codex", "--env", "staging"])
            .code(0);
        let document = |name: &str| {
            fs::read_to_string(sandbox.path(CACHE).join("projects/core/docs").join(name)).unwrap()
        };
        assert_eq!(document("f.md"), "staging");
        sandbox
            .run(&[&["sync", "--from-codex"], last].concat())
            .code(0);
        assert_eq!(document("f.md"), "main", "{last:?}");
        let status = sandbox.run(&["cache", "status", "--json"]).code(0).json();
        assert_eq!(status["caches"][0]["changed"], serde_json::json!([]));
    }
}

#[test]
fn what_was_kept_back_from_one_is_had_by_none() {
    let (sandbox, codex) = shared();
    let file = sandbox.path(CACHE).join("projects/core/docs/f.md");
    sandbox.write(
        &format!("{CACHE}/projects/core/docs/f.md"),
        "somebody's own",
    );
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    fs::rename(&file, sandbox.path("elsewhere")).unwrap();
    sandbox.run(&["sync", "-p", "b", "--from-codex"]).code(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "main");
    // Changed by hand, and then gone from the codex: what is given up does not come back for the other.
    fs::write(&file, "notes in the margin").unwrap();
    codex.commit(&[], &["projects/core/docs/f.md"]);
    let kept = sandbox
        .run(&["sync", "--all", "--from-codex"])
        .code(0)
        .stderr;
    assert!(
        kept.contains("f.md` in the cache was modified locally"),
        "{kept}"
    );
    sandbox
        .run(&["sync", "--all", "--from-codex", "--force"])
        .code(0);
    assert_eq!(names(&sandbox.path(CACHE)), ["projects/core/docs/g.md"]);
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    assert_eq!(names(&sandbox.path(CACHE)), ["projects/core/docs/g.md"]);
}

#[test]
fn what_all_let_go_of_goes_with_the_last() {
    let (sandbox, _codex) = shared();
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    sandbox.run(&["cache", "clear", "-p", "a"]).code(0);
    assert_eq!(names(&sandbox.path(CACHE)).len(), 2);
    let last = sandbox.run(&["cache", "clear", "-p", "b"]).code(0).stdout;
    assert!(last.contains("2 files removed"), "{last}");
    assert!(names(&sandbox.path(CACHE)).is_empty());
}

#[test]
fn a_name_that_is_too_long_here_is_refused_alone() {
    let (sandbox, codex) = shared();
    let long = format!("projects/core/docs/{}.md", "n".repeat(300));
    codex.commit(&[("100644", &long, "long")], &[]);
    for more in ["--dry-run", "--force", "--no-progress"] {
        let output = sandbox
            .run(&["sync", "--all", "--from-codex", more])
            .code(1);
        assert!(output.stderr.contains("nnn.md"), "{}", output.stderr);
    }
    assert_eq!(
        names(&sandbox.path(CACHE)),
        ["projects/core/docs/f.md", "projects/core/docs/g.md"]
    );
}

#[test]
fn a_file_goes_where_a_directory_is_that_holds_nothing_else() {
    let (sandbox, codex) = shared();
    codex.commit(
        &[
            ("100644", "projects/core/docs/d/x.md", "x"),
            ("100644", "projects/core/docs/d/y.md", "y"),
        ],
        &[],
    );
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    fs::remove_file(sandbox.path(CACHE).join("projects/core/docs/d/y.md")).unwrap();
    codex.commit(
        &[("100644", "projects/core/docs/d", "a file")],
        &["projects/core/docs/d/x.md", "projects/core/docs/d/y.md"],
    );
    // As long as one of them wants what is in it, it stays, and a dry run knows.
    let alone = ["sync", "-p", "a", "--from-codex", "--json"];
    let plan = sandbox
        .run(&[&alone[..], &["--dry-run"]].concat())
        .code(0)
        .json();
    let done = sandbox.run(&alone).code(0).json();
    assert_eq!(
        plan["projects"][0]["changes"],
        done["projects"][0]["changes"]
    );
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    assert_eq!(
        fs::read_to_string(sandbox.path(CACHE).join("projects/core/docs/d")).unwrap(),
        "a file"
    );
}
