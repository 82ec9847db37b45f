//! Several projects that share a cache: the record of each one stays true whatever the others do.

use super::*;

const CACHE: &str = "ws/.fractary/codex/cache";

/// Two projects that select the same documents, which differ between two branches.
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
fn version_of_another_branch_is_replaced_by_the_next_pull() {
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
fn kept_file_is_incomplete_for_every_project() {
    let (sandbox, codex) = shared();
    let file = sandbox.path(CACHE).join("projects/core/docs/f.md");
    sandbox.write(
        &format!("{CACHE}/projects/core/docs/f.md"),
        "a file of the user",
    );
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    let again = sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    assert!(
        again.stdout.contains("except 1 file that was kept"),
        "{}",
        again.stdout
    );
    fs::rename(&file, sandbox.path("elsewhere")).unwrap();
    sandbox.run(&["sync", "-p", "b", "--from-codex"]).code(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "main");
    // A file that was modified locally and then removed from the codex is not written again for the
    // other project.
    fs::write(&file, "edited").unwrap();
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
fn kept_or_refused_file_counts_for_every_project() {
    let (sandbox, codex) = shared();
    let pull = ["sync", "--all", "--from-codex", "--json"];
    sandbox.run(&pull).code(0);
    let docs = format!("{CACHE}/projects/core/docs");
    sandbox.write(&format!("{docs}/f.md"), "edited");
    let document = sandbox.run(&pull).code(0).json();
    let numbers = |project: &Value| [project["unchanged"].clone(), project["unmanaged"].clone()];
    for project in document["projects"].as_array().unwrap() {
        assert_eq!(numbers(project), [1, 1], "{project}");
    }
    let warnings = document["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "a file is named once: {warnings:?}");

    codex.commit(&[("100644", "projects/core/docs/g.md", "new")], &[]);
    sandbox.set_mode(&docs, 0o555);
    let dry_run = ["sync", "--all", "--from-codex", "--dry-run"];
    let planned = sandbox.finish(sandbox.without_overrides(&dry_run)).code(1);
    let done = sandbox.finish(sandbox.without_overrides(&pull)).code(1);
    sandbox.set_mode(&docs, 0o755);
    let expected = "would be in the cache except 1 path";
    assert_eq!(
        planned.stdout.matches(expected).count(),
        2,
        "{}",
        planned.stdout
    );
    for project in done.json()["projects"].as_array().unwrap() {
        let error = &project["error"];
        assert_eq!(error["kind"], "incomplete", "{project}");
        assert!(error["causes"].to_string().contains("g.md"), "{error}");
        let hints = error["hints"].as_array().unwrap();
        assert!(hints[0].as_str().unwrap().contains("writable"), "{error}");
        assert_eq!(hints.len(), 1, "{error}");
    }
}

#[test]
fn shared_file_is_removed_with_its_last_owner() {
    let (sandbox, _codex) = shared();
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    sandbox.run(&["cache", "clear", "-p", "a"]).code(0);
    assert_eq!(names(&sandbox.path(CACHE)).len(), 2);
    let last = sandbox.run(&["cache", "clear", "-p", "b"]).code(0).stdout;
    assert!(last.contains("2 files removed"), "{last}");
    assert!(names(&sandbox.path(CACHE)).is_empty());
}

#[test]
fn name_that_is_too_long_is_rejected_alone() {
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
fn file_replaces_a_directory_without_needed_files() {
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
    // The directory stays as long as one of them needs a file in it, also in a dry run.
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
