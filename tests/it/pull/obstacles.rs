//! Files of the user at paths that the cache needs. Only `--force` deletes them, and a dry run
//! reports what the run does.

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

/// Checks that a dry run and the run after it report the same about the project. Returns the
/// document of the run.
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
fn users_file_in_a_directory_that_becomes_a_file_needs_force() {
    let (sandbox, _codex) = directory_becomes_a_file();
    let notes = format!("{CACHE}/projects/core/docs/d/deep/notes.txt");
    sandbox.write(&notes, "a file of the user");

    for _ in 0..2 {
        let kept = planned_and_done(&sandbox, &[]);
        assert_eq!(kept["projects"][0]["unmanaged"], 1);
        assert!(sandbox.path(&notes).exists());
        assert!(kept["warnings"].to_string().contains("docs/d`"), "{kept}");
    }

    let forced = planned_and_done(&sandbox, &["--force"]);
    assert_eq!(document(&sandbox).as_deref(), Some("a file"));
    // The deleted file is named.
    let warnings = forced["warnings"].to_string();
    assert!(warnings.contains("docs/d/deep/notes.txt"), "{warnings}");

    let again = planned_and_done(&sandbox, &[]);
    assert_eq!(again["totals"]["up_to_date"], 1);
}

#[test]
fn edited_file_in_a_directory_that_becomes_a_file_needs_force() {
    let (sandbox, _codex) = directory_becomes_a_file();
    sandbox.write(&format!("{CACHE}/projects/core/docs/d/x.md"), "edited");

    planned_and_done(&sandbox, &[]);
    assert_eq!(document(&sandbox), None);

    planned_and_done(&sandbox, &["--force"]);
    assert_eq!(document(&sandbox).as_deref(), Some("a file"));
}

#[test]
fn empty_directories_are_replaced_by_a_file() {
    let (sandbox, _codex) = directory_becomes_a_file();
    fs::create_dir_all(sandbox.path(CACHE).join("projects/core/docs/d/empty/too")).unwrap();

    let done = planned_and_done(&sandbox, &[]);
    assert_eq!(done["projects"][0]["added"], 1);
    assert_eq!(document(&sandbox).as_deref(), Some("a file"));
}

#[test]
fn link_in_a_replaced_directory_is_not_followed() {
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
fn file_at_the_path_of_a_directory_needs_force() {
    let (sandbox, codex) = world();
    sandbox.write(
        &format!("{CACHE}/projects/core/docs/d"),
        "a file of the user",
    );
    codex.commit(&[("100644", "projects/core/docs/d/x.md", "x")], &[]);

    planned_and_done(&sandbox, &[]);
    assert_eq!(document(&sandbox).as_deref(), Some("a file of the user"));

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

    // The file of the other project stays even with `--force`, and a warning names it.
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

    // No project needs the directory any more, so the file is written.
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    assert_eq!(document(&sandbox).as_deref(), Some("a file"));
}

#[test]
fn file_without_read_permission_is_kept_unless_forced() {
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

    // The same after the codex removed the file.
    sandbox.write(&file, "edited");
    sandbox.set_mode(&file, 0o000);
    codex.commit(&[], &["projects/core/docs/a.md"]);
    let forced = sandbox.without_overrides(&["sync", "--from-codex", "--force"]);
    sandbox.finish(forced).code(0);
    assert!(!sandbox.path(&file).exists());
}
