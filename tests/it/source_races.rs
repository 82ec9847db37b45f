//! Sources that change between the scan and the time when files are read for the push. Either the
//! planned contents are published, or the project fails and the others are published.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::gate::{Moment, Step};
use crate::support::{Codex, Output, Sandbox, wait_until};

/// Two projects that were synced and have changed since.
fn world() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    for content in ["as it was", "as it was scanned"] {
        sandbox.write("ws/alpha/docs/a.md", content);
        sandbox.write("ws/alpha/docs/deep/a.md", content);
        sandbox.write("ws/beta/docs/b.md", content);
        if codex.tip().is_none() {
            sandbox.run(&["sync", "--all"]).code(0);
        }
    }
    (sandbox, codex)
}

/// Syncs, and runs `change` after everything was scanned and before anything is read again.
fn sync_with(sandbox: &Sandbox, change: impl FnOnce(&Sandbox), arguments: &[&str]) -> Output {
    let gate = sandbox.hold_at(Step::List, Moment::Before);
    let mut command = sandbox.program(&["sync", "--all", "--json"]);
    command
        .args(arguments)
        .env("FRACTARY_CODEX_STATE__DIR", sandbox.path("state"));
    let child = sandbox.spawn(command);
    gate.wait();
    // The stat cache of a project is written at the end of its scan.
    let scanned = || fs::read_dir(sandbox.path("state/stat")).map_or(0, Iterator::count) == 2;
    wait_until("both projects are scanned", scanned);
    change(sandbox);
    gate.open();
    sandbox.ended(child)
}

#[test]
fn file_that_changes_after_the_scan_fails_only_its_project() {
    let file = "ws/alpha/docs/a.md";
    type Change = fn(&Sandbox, &str);
    let changes: [(&str, &str, Change); 9] = [
        ("vanishes", "read", |sandbox, file| sandbox.remove(file)),
        ("grows", "changed", |sandbox, file| {
            sandbox.write(file, "as it was scanned, and more")
        }),
        ("shrinks", "changed", |sandbox, file| {
            sandbox.write(file, "as it")
        }),
        ("is emptied", "changed", |sandbox, file| {
            sandbox.write(file, "")
        }),
        ("is rewritten", "changed", |sandbox, file| {
            sandbox.write(file, "as it was painted")
        }),
        ("becomes a link out of the root", "read", |sandbox, file| {
            sandbox.write("secret", "not to be published");
            sandbox.remove(file);
            symlink(sandbox.path("secret"), sandbox.path(file)).unwrap();
        }),
        (
            "becomes a link to another file",
            "changed",
            |sandbox, file| {
                sandbox.write("ws/alpha/docs/other.md", "another");
                sandbox.remove(file);
                symlink("other.md", sandbox.path(file)).unwrap();
            },
        ),
        ("becomes a pipe", "changed", |sandbox, file| {
            sandbox.remove(file);
            sandbox.pipe(file);
        }),
        ("becomes a directory", "read", |sandbox, file| {
            sandbox.remove(file);
            sandbox.write(&format!("{file}/inside.md"), "inside");
        }),
    ];
    for (what, kind, change) in changes {
        let (sandbox, codex) = world();
        let before = codex.tree();
        let output = sync_with(&sandbox, |sandbox| change(sandbox, file), &[]);
        assert_only_alpha_failed(&sandbox, &codex, output, kind, "`docs/a.md`", what);
        let after = codex.tree();
        for path in ["projects/alpha/docs/a.md", "projects/alpha/docs/deep/a.md"] {
            assert_eq!(after[path], before[path], "{what}");
        }
        assert_completed(&sandbox, &codex, what);
    }
}

#[test]
fn root_that_disappears_after_the_scan_fails_only_its_project() {
    type Change = fn(&Sandbox);
    let changes: [(&str, &str, Change); 2] = [
        ("the root is removed", "root", |sandbox| {
            sandbox.remove("ws/alpha")
        }),
        ("the root becomes another", "changed", |sandbox| {
            sandbox.write("elsewhere/docs/a.md", "not to be published");
            sandbox.write("elsewhere/docs/deep/a.md", "not to be published");
            sandbox.remove("ws/alpha");
            symlink(sandbox.path("elsewhere"), sandbox.path("ws/alpha")).unwrap();
        }),
    ];
    for (what, kind, change) in changes {
        let (sandbox, codex) = world();
        let output = sync_with(&sandbox, change, &[]);
        assert_only_alpha_failed(&sandbox, &codex, output, kind, "a", what);
        assert_eq!(
            codex.file("projects/alpha/docs/a.md"),
            "as it was",
            "{what}"
        );
        assert_completed(&sandbox, &codex, what);
    }
}

/// Asserts that `alpha` failed with an error, `beta` was published, and no partly read file is in
/// the codex.
#[track_caller]
fn assert_only_alpha_failed(
    sandbox: &Sandbox,
    codex: &Codex,
    output: Output,
    kind: &str,
    named: &str,
    what: &str,
) {
    assert_eq!(
        output.code,
        Some(1),
        "{what}: {}{}",
        output.stdout,
        output.stderr
    );
    let document = output.json();
    let [alpha, beta] = [&document["projects"][0], &document["projects"][1]];
    assert_eq!(
        (&alpha["status"], &beta["status"]),
        (&"failed".into(), &"synced".into()),
        "{what}: {document}"
    );
    let error = &alpha["error"];
    assert_eq!(error["kind"], kind, "{what}: {error}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.contains(named)),
        "{what}: {error}"
    );
    assert!(
        !error["hints"].as_array().unwrap().is_empty(),
        "{what}: {error}"
    );
    assert_eq!(
        (&document["pushed"], &document["exit_code"]),
        (&true.into(), &1.into()),
        "{what}"
    );
    assert_eq!(codex.subjects()[0], "Sync 1 file from beta", "{what}");
    assert_eq!(codex.subjects().len(), 3, "{what}");
    codex.assert_sound();
    // All blobs in the codex have contents of one of the scans.
    let objects = codex.git(&["cat-file", "--batch-all-objects", "--batch-check"]);
    for line in objects.lines().filter(|line| line.contains(" blob ")) {
        let content = codex.git(&["cat-file", "blob", line.split(' ').next().unwrap()]);
        assert!(
            ["as it was", "as it was scanned"].contains(&content.as_str()),
            "{what}: {content:?}"
        );
    }
    assert_eq!(sandbox.leftovers(), [""; 0], "{what}");
}

/// Asserts that the next sync with correct sources completes the work.
#[track_caller]
fn assert_completed(sandbox: &Sandbox, codex: &Codex, what: &str) {
    if sandbox.path("ws/alpha").exists() {
        sandbox.remove("ws/alpha");
    }
    for file in ["ws/alpha/docs/a.md", "ws/alpha/docs/deep/a.md"] {
        sandbox.write(file, "as it is now");
    }
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        codex.file("projects/alpha/docs/a.md"),
        "as it is now",
        "{what}"
    );
}

#[test]
fn atomic_run_pushes_nothing_if_a_file_changes_after_the_scan() {
    let (sandbox, codex) = world();
    let tip = codex.tip();
    let output = sync_with(
        &sandbox,
        |sandbox| sandbox.remove("ws/alpha/docs/a.md"),
        &["--atomic"],
    );
    assert_eq!(output.code(1).json()["pushed"], false);
    assert_eq!((codex.tip(), sandbox.leftovers()), (tip, Vec::new()));
}

#[test]
fn file_that_is_rewritten_with_the_same_contents_is_published() {
    let (sandbox, codex) = world();
    let again = |sandbox: &Sandbox| {
        sandbox.remove("ws/alpha/docs/a.md");
        sandbox.write("ws/alpha/docs/a.md", "as it was scanned");
    };
    sync_with(&sandbox, again, &[]).code(0);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "as it was scanned");
}
