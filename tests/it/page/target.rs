//! The target of a page, and the errors if it cannot be written.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

use super::world;
use crate::support::Sandbox;

/// Asserts that `file` is rejected as a target, in text and in JSON output.
#[track_caller]
fn rejected(sandbox: &Sandbox, file: &str, reason: &str) {
    let output = sandbox.run(&["status", "--all", "--html", file]).code(2);
    assert!(
        output.stderr.starts_with(&format!(
            "error: cannot write the report to `{file}`: {reason}"
        )),
        "{}",
        output.stderr
    );
    assert!(
        !output.stdout.contains("wrote the report"),
        "{}",
        output.stdout
    );
    let document = sandbox
        .run(&["status", "--all", "--json", "--html", file])
        .code(2)
        .json();
    assert_eq!(
        (&document["error"]["kind"], &document["exit_code"]),
        (&"page".into(), &2.into())
    );
}

#[test]
fn page_replaces_a_file_atomically() {
    let (sandbox, _codex) = world();
    sandbox.write("ws/page.html", "old");
    fs::hard_link(sandbox.path("ws/page.html"), sandbox.path("ws/kept")).unwrap();
    sandbox
        .run(&["status", "--all", "--html", "page.html"])
        .code(1);
    assert_eq!(fs::read_to_string(sandbox.path("ws/kept")).unwrap(), "old");
    let mode = fs::metadata(sandbox.path("ws/page.html"))
        .unwrap()
        .permissions()
        .mode();
    let umask = fs::metadata(sandbox.path("ws/kept"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode, umask, "the default permissions of a new file");
    // A link is kept and its target replaced. The path is relative to the directory of `-C`.
    fs::create_dir(sandbox.path("ws/out")).unwrap();
    symlink("../page.html", sandbox.path("ws/out/link.html")).unwrap();
    sandbox.write("ws/page.html", "old");
    sandbox
        .run(&["-C", "out", "status", "--all", "--html", "link.html"])
        .code(1);
    assert!(
        fs::symlink_metadata(sandbox.path("ws/out/link.html"))
            .unwrap()
            .is_symlink()
    );
    assert!(
        fs::read_to_string(sandbox.path("ws/page.html"))
            .unwrap()
            .starts_with("<!doctype html>")
    );
    assert_eq!(fs::read_dir(sandbox.path("ws/out")).unwrap().count(), 1);
}

#[test]
fn impossible_target_is_rejected_before_the_run() {
    let (sandbox, _codex) = world();
    fs::create_dir(sandbox.path("ws/directory")).unwrap();
    sandbox.pipe("ws/pipe");
    sandbox.wrap_git("echo 'git was run' >&2; exit 1");
    rejected(&sandbox, "directory", "it is a directory");
    rejected(
        &sandbox,
        "nowhere/page.html",
        "its directory does not exist",
    );
    rejected(&sandbox, "pipe", "it is not a regular file");
    symlink("not-there.html", sandbox.path("ws/link.html")).unwrap();
    rejected(&sandbox, "link.html", "it is a broken link");
    assert!(
        fs::symlink_metadata(sandbox.path("ws/link.html"))
            .unwrap()
            .is_symlink()
    );
    assert!(
        fs::symlink_metadata(sandbox.path("ws/pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
}

#[test]
fn unwritable_page_is_reported_before_the_run_or_after_the_result() {
    let (sandbox, _codex) = world();
    sandbox.write("ws/out/page.html", "old");
    let out = sandbox.path("ws/out");
    let read_only = format!(
        "mount --bind {0} {0} && mount -o remount,ro,bind {0}",
        out.display()
    );
    let arguments = ["status", "--all", "--check", "--html", "out/page.html"];
    let Some(output) = sandbox.run_with_mounts(&read_only, &arguments) else {
        return;
    };
    let output = output.code(2);
    assert_eq!(output.stdout, "");
    assert!(
        !output.stderr.contains(".fractary-codex-"),
        "{}",
        output.stderr
    );
    let why = "error: cannot write the report to `out/page.html`: Read-only file system";
    assert!(output.stderr.contains(why), "{}", output.stderr);
    let full = format!("mount -t tmpfs -o size=8k tmpfs {}", out.display());
    let Some(output) =
        sandbox.run_between_mounts(&full, &arguments, &format!("ls -A {}", out.display()))
    else {
        return;
    };
    let output = output.code(1);
    assert!(
        output.stdout.contains("1 would sync") && !output.stdout.contains("wrote the report"),
        "{}",
        output.stdout
    );
    assert!(
        output.stderr.contains("No space left on device"),
        "{}",
        output.stderr
    );
    assert!(
        !output.stdout.contains(".fractary-codex-"),
        "{}",
        output.stdout
    );
    assert_eq!(fs::read_to_string(out.join("page.html")).unwrap(), "old");
}

#[test]
fn unwritable_page_does_not_hide_other_failures() {
    let (sandbox, _codex) = world();
    // The directory of the page is deleted during the run.
    sandbox.write("ws/out/.keep", "");
    sandbox.wrap_git(&format!("rm -rf {}", sandbox.path("ws/out").display()));
    let arguments = ["status", "--all", "--check", "--html", "out/page.html"];
    let stderr = sandbox.run(&arguments).code(1).stderr;
    let error = "error: cannot write the report to `out/page.html`: No such file or directory (os error 2)\n";
    assert!(stderr.contains(error), "{stderr}");
    sandbox.write("ws/out/.keep", "");
    let document = sandbox
        .run(&[&arguments[..], &["--json"]].concat())
        .code(1)
        .json();
    assert_eq!(
        (&document["error"]["kind"], &document["exit_code"]),
        (&"page".into(), &1.into())
    );
}

#[test]
fn failed_run_keeps_the_previous_page() {
    let (sandbox, _codex) = world();
    sandbox.write("ws/page.html", "old");
    for (more, code) in [("remote.url=../nothing.git", 4), ("nonsense=1", 3)] {
        let output = sandbox
            .run(&["status", "--all", "--html", "page.html", "--config", more])
            .code(code);
        assert!(
            !output.stdout.contains("wrote the report"),
            "{}",
            output.stdout
        );
        assert_eq!(
            fs::read_to_string(sandbox.path("ws/page.html")).unwrap(),
            "old"
        );
    }
}

#[test]
fn exit_status_is_that_of_the_run() {
    let (sandbox, _codex) = world();
    for (projects, check, code) in [
        ("handbook", true, 0),
        ("billing", true, 6),
        ("billing", false, 0),
        ("*", true, 1),
    ] {
        let mut arguments = vec!["status", "-p", projects, "--html", "page.html"];
        arguments.extend(check.then_some("--check"));
        sandbox.run(&arguments).code(code);
        let page = fs::read_to_string(sandbox.path("ws/page.html")).unwrap();
        assert_eq!(
            page.contains(">handbook "),
            ["handbook", "*"].contains(&projects)
        );
    }
}

#[test]
fn page_on_stdout_is_the_only_output() {
    let (sandbox, _codex) = world();
    sandbox
        .run(&["status", "--all", "--html", "page.html"])
        .code(1);
    let output = sandbox.run(&["status", "--all", "--html", "-"]).code(1);
    assert_eq!(
        output.stdout,
        fs::read_to_string(sandbox.path("ws/page.html")).unwrap()
    );
    assert!(!sandbox.path("ws/-").exists());
    let output = sandbox
        .run(&[
            "status",
            "--all",
            "--html",
            "-",
            "--config",
            "remote.url=../nothing.git",
        ])
        .code(4);
    assert!(
        output.stdout.is_empty() && output.stderr.contains("error: there is no repository"),
        "{}",
        output.stderr
    );
    let document = sandbox
        .run(&["status", "--all", "--html", "-", "--json"])
        .code(2)
        .json();
    assert_eq!(document["error"]["kind"], "usage");
}
