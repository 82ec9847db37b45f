//! Files of the user where the cache is to write: a dry run reports what a run does, and only `--force` deletes them.

use super::*;

const CACHE: &str = "ws/.fractary/codex/cache";

/// A cache with `d/x.md`, and a codex in which `d` has become a file.
fn directory_becomes_a_file() -> (Sandbox, Codex) {
    let (sandbox, codex) = world();
    let x = "projects/core/docs/d/x.md";
    codex.commit(&[("100644", x, "x")], &[]);
    sandbox.run(&["sync", "--from-codex"]).code(0);
    codex.commit(&[("100644", "projects/core/docs/d", "a file")], &[x]);
    (sandbox, codex)
}

/// The project's entry of a dry run and of the run after it, which must be the same.
fn planned_and_done(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let sync = [&["sync", "--from-codex", "--json"], arguments].concat();
    let before = sandbox.fingerprint(CACHE);
    let plan = sandbox
        .run(&[&sync[..], &["--dry-run"]].concat())
        .code(0)
        .json();
    assert_eq!(
        sandbox.fingerprint(CACHE),
        before,
        "a dry run writes nothing"
    );

    let done = sandbox.run(&sync).code(0).json();
    let (plan, entry) = (&plan["projects"][0], &done["projects"][0]);
    for key in [
        "changes",
        "added",
        "modified",
        "deleted",
        "unchanged",
        "unmanaged",
    ] {
        assert_eq!(plan[key], entry[key], "{key}");
    }
    done
}

fn document(sandbox: &Sandbox) -> Option<String> {
    fs::read_to_string(sandbox.path(CACHE).join("projects/core/docs/d")).ok()
}

#[test]
fn users_file_in_a_directory_that_becomes_a_file_is_deleted_by_force_alone() {
    let (sandbox, _codex) = directory_becomes_a_file();
    let notes = format!("{CACHE}/projects/core/docs/d/deep/notes.txt");
    sandbox.write(&notes, "the user's own");

    for _ in 0..2 {
        let kept = planned_and_done(&sandbox, &[]);
        assert_eq!(kept["projects"][0]["unmanaged"], 1);
        assert!(sandbox.path(&notes).exists());
        assert!(kept["warnings"].to_string().contains("docs/d`"), "{kept}");
    }

    let forced = planned_and_done(&sandbox, &["--force"]);
    assert_eq!(document(&sandbox).as_deref(), Some("a file"));
    // What was deleted is named.
    let warnings = forced["warnings"].to_string();
    assert!(warnings.contains("docs/d/deep/notes.txt"), "{warnings}");

    let again = planned_and_done(&sandbox, &[]);
    assert_eq!(again["totals"]["up_to_date"], 1);
}

#[test]
fn edited_file_in_a_directory_that_becomes_a_file_is_deleted_by_force_alone() {
    let (sandbox, _codex) = directory_becomes_a_file();
    sandbox.write(&format!("{CACHE}/projects/core/docs/d/x.md"), "edited");

    planned_and_done(&sandbox, &[]);
    assert_eq!(document(&sandbox), None);

    planned_and_done(&sandbox, &["--force"]);
    assert_eq!(document(&sandbox).as_deref(), Some("a file"));
}

#[test]
fn empty_directories_are_not_in_the_way() {
    let (sandbox, _codex) = directory_becomes_a_file();
    fs::create_dir_all(sandbox.path(CACHE).join("projects/core/docs/d/empty/too")).unwrap();

    let done = planned_and_done(&sandbox, &[]);
    assert_eq!(done["projects"][0]["added"], 1);
    assert_eq!(document(&sandbox).as_deref(), Some("a file"));
}

#[test]
fn link_in_a_directory_that_is_replaced_is_not_followed() {
    let (sandbox, _codex) = directory_becomes_a_file();
    sandbox.write("outside/precious.md", "precious");
    let link = sandbox.path(CACHE).join("projects/core/docs/d/outside");
    std::os::unix::fs::symlink(sandbox.path("outside"), link).unwrap();
    let before = sandbox.fingerprint("outside");

    planned_and_done(&sandbox, &["--force"]);
    assert_eq!(document(&sandbox).as_deref(), Some("a file"));
    assert_eq!(sandbox.fingerprint("outside"), before);
}

#[test]
fn file_in_the_place_of_a_directory_is_replaced_by_force_alone() {
    let (sandbox, codex) = world();
    sandbox.write(&format!("{CACHE}/projects/core/docs/d"), "the user's own");
    codex.commit(&[("100644", "projects/core/docs/d/x.md", "x")], &[]);

    planned_and_done(&sandbox, &[]);
    assert_eq!(document(&sandbox).as_deref(), Some("the user's own"));

    planned_and_done(&sandbox, &["--force"]);
    assert!(names(&sandbox.path(CACHE)).contains(&"projects/core/docs/d/x.md".to_owned()));
}

#[test]
fn file_and_directory_of_two_projects_are_never_both_written() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["a", "b"],
        "  sync: { from_codex: { include: ['codex://acme/core/docs/**'] } }\n",
    );
    codex.commit(&[("100644", "projects/core/docs/d/x.md", "x")], &[]);
    codex.git(&["branch", "staging"]);
    codex.commit(
        &[("100644", "projects/core/docs/d", "a file")],
        &["projects/core/docs/d/x.md"],
    );
    sandbox
        .run(&["sync", "-p", "b", "--from-codex", "--env", "staging"])
        .code(0);

    // The other project's file stays, forced or not, and the reason is given.
    for arguments in [&["-p", "a"][..], &["-p", "a", "--force"]] {
        let kept = planned_and_done(&sandbox, arguments);
        let warnings = kept["warnings"].to_string();
        assert!(warnings.contains("docs/d/x.md"), "{warnings}");
        assert_eq!(
            names(&sandbox.path(CACHE)),
            ["projects/core/docs/d/x.md"],
            "{arguments:?}"
        );
    }

    // Both let go of it: the file comes.
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    assert_eq!(document(&sandbox).as_deref(), Some("a file"));
}

#[test]
fn file_that_may_not_be_read_is_kept_and_replaced_by_force() {
    let (sandbox, codex) = world();
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let file = format!("{CACHE}/projects/core/docs/a.md");
    sandbox.write(&file, "edited");
    sandbox.set_mode(&file, 0o000);

    let output = sandbox.finish(sandbox.without_overrides(&["sync", "--from-codex"]));
    assert!(
        output
            .code(0)
            .stderr
            .contains("docs/a.md` in the cache was modified locally"),
    );
    let forced = sandbox.without_overrides(&["sync", "--from-codex", "--force"]);
    sandbox.finish(forced).code(0);
    assert_eq!(fs::read_to_string(sandbox.path(&file)).unwrap(), "a");

    // The same where the codex lets go of it.
    sandbox.write(&file, "edited");
    sandbox.set_mode(&file, 0o000);
    codex.commit(&[], &["projects/core/docs/a.md"]);
    let forced = sandbox.without_overrides(&["sync", "--from-codex", "--force"]);
    sandbox.finish(forced).code(0);
    assert!(!sandbox.path(&file).exists());
}
