//! Projects that are withheld or fail, while the others are published.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Codex, Sandbox, executable, process};

/// Two projects with ten files each, after a sync.
fn synced() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    for file in 0..10 {
        sandbox.write(&format!("ws/alpha/docs/{file}.md"), format!("alpha {file}"));
        sandbox.write(&format!("ws/beta/docs/{file}.md"), format!("beta {file}"));
    }
    sandbox.run(&["sync", "--all"]).code(0);
    (sandbox, codex)
}

#[test]
fn missing_root_fails_only_its_project() {
    let (sandbox, codex) = synced();
    sandbox.remove("ws/alpha");
    sandbox.write("ws/beta/docs/new.md", "new");
    let output = sandbox.run(&["sync", "--all", "--json"]).code(1).json();
    assert_eq!(output["projects"][0]["status"], "failed");
    assert_eq!(output["projects"][0]["error"]["kind"], "root");
    assert_eq!(output["projects"][1]["status"], "synced");
    assert_eq!(codex.subjects()[0], "Sync 1 file from beta");
    assert!(
        codex
            .paths()
            .contains(&"projects/alpha/docs/0.md".to_owned())
    );
}

#[test]
fn counts_of_an_unreadable_project_are_unknown() {
    let (sandbox, _codex) = synced();
    sandbox.remove("ws/alpha");

    let output = sandbox.run(&["sync", "--all", "--json"]).code(1).json();
    let [failed, compared] = [&output["projects"][0], &output["projects"][1]];
    for count in [
        "added",
        "modified",
        "deleted",
        "unchanged",
        "unmanaged",
        "bytes",
    ] {
        assert_eq!(failed[count], Value::Null, "{count}");
        assert!(compared[count].is_u64(), "{count}");
    }
    assert_eq!(failed["changes"], json!([]));
    assert_eq!(output["totals"]["unchanged"], 10);

    let output = sandbox.run(&["sync", "--all"]).code(1);
    let row = output.stdout.lines().find(|line| line.contains("alpha"));
    let cells: Vec<_> = row.unwrap().split_whitespace().collect();
    assert_eq!(cells[..5], ["alpha", "-", "-", "-", "-"]);
}

#[test]
fn project_without_matching_files_is_withheld_unless_allowed() {
    let (sandbox, codex) = synced();
    sandbox.remove("ws/alpha/docs");
    let output = sandbox.run(&["sync", "--all"]).code(1);
    assert!(
        output
            .stderr
            .contains("error: alpha: no source file matches, and 10 files would be deleted"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.paths().len(), 20);
    sandbox
        .run(&["sync", "-p", "alpha", "--allow-mass-delete"])
        .code(0);
    assert_eq!(codex.paths().len(), 10);
}

#[test]
fn deletions_above_both_limits_are_withheld() {
    let (sandbox, codex) = synced();
    for file in 0..6 {
        sandbox.remove(&format!("ws/alpha/docs/{file}.md"));
    }
    // Six of ten files are more than half, but not more than twenty files. Both limits must be
    // exceeded.
    let guard = ["--config", "sync.delete_guard.files=5"];
    sandbox
        .run(&["sync", "-p", "alpha", guard[0], guard[1]])
        .code(1);
    assert_eq!(codex.paths().len(), 20);
    sandbox
        .run(&["sync", "-p", "alpha", "--max-delete", "5"])
        .code(1);
    sandbox
        .run(&["sync", "-p", "alpha", "--max-delete", "50%"])
        .code(1);
    assert_eq!(codex.paths().len(), 20);
    sandbox
        .run(&["sync", "-p", "alpha", "--max-delete", "60%"])
        .code(0);
    assert_eq!(codex.paths().len(), 14);
}

#[test]
fn replacing_all_files_is_withheld() {
    let (sandbox, codex) = synced();
    for file in 0..10 {
        sandbox.remove(&format!("ws/alpha/docs/{file}.md"));
    }
    sandbox.write("ws/alpha/docs/other.md", "other");
    let output = sandbox.run(&["sync", "-p", "alpha"]).code(1);
    assert!(
        output
            .stderr
            .contains("all 10 files in the codex would be deleted"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.paths().len(), 20);
    sandbox
        .run(&["sync", "-p", "alpha", "--max-delete", "10"])
        .code(1);
    sandbox
        .run(&["sync", "-p", "alpha", "--allow-mass-delete"])
        .code(0);
    assert_eq!(codex.paths().len(), 11);
}

#[test]
fn atomic_run_pushes_nothing_unless_all_projects_are_ready() {
    let (sandbox, codex) = synced();
    let tip = codex.tip();
    sandbox.remove("ws/alpha/docs");
    sandbox.write("ws/beta/docs/new.md", "new");
    let output = sandbox
        .run(&["sync", "--all", "--atomic", "--json"])
        .code(1)
        .json();
    assert_eq!(output["error"]["kind"], "atomic");
    assert_eq!(output["projects"][1]["status"], "withheld");
    assert_eq!(codex.tip(), tip);
}

#[test]
fn unreadable_file_or_root_fails_only_its_project() {
    let (sandbox, _codex) = synced();
    sandbox.set_mode("ws/alpha/docs/1.md", 0o000);
    sandbox.write("ws/beta/docs/0.md", "changed");
    let program = env!("CARGO_BIN_EXE_fractary-codex");
    let program_of_nobody = sandbox.path("program");
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        // Root can read every file, so the program runs as the user nobody, who gets all files.
        let given = process::program("chown")
            .args(["-R", "65534:65534"])
            .arg(sandbox.path(""))
            .status()
            .unwrap();
        assert!(given.success());
        executable::copy(Path::new(program), &program_of_nobody);
    }
    let run = |arguments: &[&str]| {
        let mut command = if is_root {
            let mut command = sandbox.command("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(&program_of_nobody);
            command
        } else {
            sandbox.command(program)
        };
        command.args(arguments);
        sandbox.finish(command)
    };

    let output = run(&["sync", "--all", "--json"]).code(1).json();
    assert_eq!(output["projects"][0]["error"]["kind"], "read");
    assert_eq!(output["projects"][1]["status"], "synced");
    assert_eq!(output["projects"][0]["changes"], json!([]));
    assert_eq!(output["pushed"], true);

    // The same for a root. It is not missing.
    sandbox.set_mode("ws/alpha", 0o000);
    let output = run(&["sync", "--all"]).code(1);
    sandbox.set_mode("ws/alpha", 0o755);
    assert!(
        output.stdout.contains("failed: root unreadable"),
        "{}",
        output.stdout
    );
    assert!(
        output.stderr.contains("ws/alpha` cannot be read"),
        "{}",
        output.stderr
    );

    // A codex that this user cannot write to.
    sandbox.set_mode("codex.git/objects", 0o555);
    let output = run(&["doctor"]);
    sandbox.set_mode("codex.git/objects", 0o755);
    let expected = "codex.git/objects` cannot be written: permission denied";
    let text = output.stdout.to_lowercase();
    assert!(
        text.contains("push: would be rejected") && text.contains(expected),
        "{}",
        output.stdout
    );
}

#[test]
fn project_without_files_on_either_side_is_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/src/a.rs", "code");
    let output = sandbox.run(&["sync", "--all"]).code(0);
    assert!(
        output.stderr.contains("warning: alpha: no files match"),
        "{}",
        output.stderr
    );
}

#[test]
fn file_with_a_wrong_size_fails_its_project() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    // The size of this file is reported as 0, but it has contents.
    let alpha = "projects.alpha={root='/proc/sys/kernel', sync={to_codex={include=['ostype']}}}";
    let output = sandbox
        .run(&["sync", "--all", "--dry-run", "--config", alpha])
        .code(1);
    assert!(
        output
            .stderr
            .contains("`ostype` changed while it was being read"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.tip(), None);
}
