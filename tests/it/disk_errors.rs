//! Disks that are full, missing or read-only. The error names the directory and a fix; if only the
//! cache or the state is affected, it is a warning. The codex is either unchanged or complete.

use std::fs;

use crate::support::gate::{Moment, Step};
use crate::support::{Codex, Output, Sandbox, noise};

const STATE: &str = "home/.local/state/fractary-codex";
const CACHE: &str = "ws/.fractary/codex/cache";
const CLONES: &str = "home/.cache/fractary-codex";

fn world() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    codex.commit(&[("100644", "README.md", "the codex")], &[]);
    sandbox.write("ws/alpha/README.md", "alpha");
    for directory in [STATE, CLONES] {
        fs::create_dir_all(sandbox.path(directory)).unwrap();
    }
    (sandbox, codex)
}

/// The command that mounts a small disk at `directory`.
fn small(sandbox: &Sandbox, directory: &str, options: &str) -> String {
    format!(
        "mount -t tmpfs -o {options} tmpfs {}",
        sandbox.path(directory).display()
    )
}

/// The command that makes `directory` read-only.
fn read_only(sandbox: &Sandbox, directory: &str) -> String {
    let path = sandbox.path(directory);
    format!(
        "mount --bind {0} {0} && mount -o remount,ro,bind {0}",
        path.display()
    )
}

/// Asserts that the run failed with an error that names the directory and a fix, and changed
/// nothing, and that the next sync without the fault succeeds.
#[track_caller]
fn assert_fails(
    sandbox: &Sandbox,
    codex: &Codex,
    output: Output,
    kind: &str,
    directory: &str,
    fix: &str,
) {
    let document = output.code(4).json();
    let error = &document["error"];
    assert_eq!(
        (&error["kind"], &document["pushed"]),
        (&kind.into(), &false.into()),
        "{error}"
    );
    let directory = sandbox.path(directory).display().to_string();
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.contains(&directory)),
        "{error}"
    );
    assert!(
        error["hints"][0]
            .as_str()
            .is_some_and(|hint| hint.contains(fix)),
        "{error}"
    );
    assert!(!error["causes"].as_array().unwrap().is_empty(), "{error}");
    assert_eq!(codex.subjects().len(), 1);
    codex.assert_sound();
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        (codex.subjects().len(), sandbox.leftovers()),
        (2, Vec::new())
    );
}

/// Asserts that the run succeeded with one warning, which contains `about`.
#[track_caller]
fn assert_warns(sandbox: &Sandbox, codex: &Codex, output: Output, about: &str) {
    let document = output.code(0).json();
    let warnings = document["warnings"].as_array().unwrap();
    assert!(
        matches!(warnings.as_slice(), [one] if one["message"].as_str().unwrap().contains(about)),
        "{warnings:?}"
    );
    assert_eq!(
        (&document["pushed"], codex.subjects().len()),
        (&true.into(), 2)
    );
    codex.assert_sound();
    let next = sandbox.run(&["sync", "--all"]).code(0);
    assert!(next.stdout.contains("nothing to push"), "{}", next.stdout);
}

#[test]
fn full_disk_of_the_temporary_clone_is_an_error() {
    // No room to create the clone, to set it up, for fetched objects, and for new objects.
    for (disk, stage) in [
        ("nr_inodes=1", "created"),
        ("size=8k", "set up"),
        ("size=400k", "fetched"),
        ("size=2m", "written"),
    ] {
        let (sandbox, codex) = world();
        // The native transport reads a local codex in place, so that its clone needs little room.
        sandbox.use_git();
        if stage == "fetched" {
            sandbox.write("message", noise(1_000_000));
            let message = sandbox.path("message").display().to_string();
            let commit = codex.git(&["commit-tree", "-F", &message, "main^{tree}"]);
            codex.git(&["update-ref", "refs/heads/main", commit.trim()]);
        } else if stage == "written" {
            sandbox.write("ws/alpha/docs/large.md", noise(1_000_000));
            sandbox.write(
                "ws/alpha/docs/larger.md",
                noise(1_000_000) + &noise(1_000_000),
            );
        }
        let mounts = small(&sandbox, "tmp", disk);
        let Some(output) = sandbox.run_with_mounts(&mounts, &["sync", "--all", "--json"]) else {
            return;
        };
        assert_fails(&sandbox, &codex, output, "disk-full", "tmp", "`TMPDIR`");
    }
}

#[test]
fn full_disk_of_the_persistent_clone_is_an_error() {
    for disk in ["nr_inodes=1", "size=8k", "size=400k"] {
        let (sandbox, codex) = world();
        sandbox.write("ws/alpha/docs/large.md", noise(1_000_000));
        let arguments = [
            "sync",
            "--all",
            "--json",
            "--config",
            "clone.strategy=cached",
        ];
        let Some(output) = sandbox.run_with_mounts(&small(&sandbox, CLONES, disk), &arguments)
        else {
            return;
        };
        assert_fails(
            &sandbox,
            &codex,
            output,
            "disk-full",
            CLONES,
            "`clone.strategy: temp`",
        );
    }
}

#[test]
fn persistent_clone_is_usable_after_a_fetch_without_room() {
    let (sandbox, codex) = world();
    let cached = [
        "sync",
        "--all",
        "--json",
        "--config",
        "clone.strategy=cached",
    ];
    sandbox.run(&cached).code(0);
    sandbox.write("message", noise(1_000_000));
    let message = sandbox.path("message").display().to_string();
    let commit = codex.git(&["commit-tree", "-p", "main", "-F", &message, "main^{tree}"]);
    codex.git(&["update-ref", "refs/heads/main", commit.trim()]);
    sandbox.write("ws/alpha/README.md", "changed");
    // The persistent clone, on a disk that has just enough room for it.
    let (clones, disk) = (sandbox.path(CLONES), sandbox.path("disk"));
    let mounts = format!(
        "mkdir {1} && mount -t tmpfs -o size=400k tmpfs {1} && cp -r {0}/. {1} && mount --bind {1} {0}",
        clones.display(),
        disk.display()
    );
    let Some(output) = sandbox.run_with_mounts(&mounts, &cached) else {
        return;
    };
    assert_eq!(output.code(4).json()["error"]["kind"], "disk-full");
    sandbox.run(&cached).code(0);
    assert_eq!(codex.subjects()[0], "Sync 1 file from alpha");
    codex.assert_sound();
}

#[test]
fn full_disk_of_the_state_is_a_warning() {
    let (sandbox, codex) = world();
    let mounts = small(&sandbox, STATE, "nr_inodes=1");
    let Some(output) = sandbox.run_with_mounts(&mounts, &["sync", "--all", "--json"]) else {
        return;
    };
    assert_warns(&sandbox, &codex, output, "cannot write state to");
}

#[test]
fn read_only_state_is_a_warning() {
    let (sandbox, codex) = world();
    let mounts = read_only(&sandbox, STATE);
    let Some(output) = sandbox.run_with_mounts(&mounts, &["sync", "--all", "--json"]) else {
        return;
    };
    assert_warns(&sandbox, &codex, output, "cannot write state to");
}

#[test]
fn state_below_a_file_is_a_warning() {
    let (sandbox, codex) = world();
    sandbox.write("file", "");
    let state = format!("state.dir={}", sandbox.path("file/state").display());
    let output = sandbox.run(&["sync", "--all", "--json", "--config", &state]);
    assert_warns(&sandbox, &codex, output, "`state.dir`");
}

#[test]
fn full_disk_of_the_cache_after_a_push_is_a_warning() {
    let (sandbox, codex) = world();
    fs::create_dir_all(sandbox.path(CACHE)).unwrap();
    let mounts = small(&sandbox, CACHE, "nr_inodes=1");
    let Some(output) = sandbox.run_with_mounts(&mounts, &["sync", "--all", "--json"]) else {
        return;
    };
    assert_warns(&sandbox, &codex, output, "the codex is not affected");
}

#[test]
fn full_disk_during_a_pull_leaves_the_cache_as_it_was() {
    let (sandbox, codex) = world();
    let (noise, include) = (
        noise(1_000_000),
        "sync.from_codex.include=['codex://acme/core/**']",
    );
    let pull = [
        "sync",
        "--all",
        "--from-codex",
        "--json",
        "--config",
        include,
    ];
    let file = |name: &str| format!("projects/core/{name}.md");
    codex.commit(
        &[
            ("100644", &file("a"), "old"),
            ("100644", &file("b"), "old"),
            ("100644", &file("gone"), "old"),
        ],
        &[],
    );
    sandbox.run(&pull).code(0);
    let (a, b, large, gone) = (file("a"), file("b"), file("large"), file("gone"));
    codex.commit(
        &[
            ("100644", &a, "new"),
            ("100644", &b, &noise),
            ("100644", &large, &noise),
        ],
        &[&gone],
    );
    // The cache, on a disk that has room for one of the large files.
    let (cache, disk, after) = (
        sandbox.path(CACHE),
        sandbox.path("disk"),
        sandbox.path("after"),
    );
    let (cache, disk) = (cache.display(), disk.display());
    let mounts = format!(
        "mkdir {disk} && mount -t tmpfs -o size=1400k tmpfs {disk} && cp -a {cache}/. {disk} && mount --bind {disk} {cache}"
    );
    let copy = format!("cp -a {cache} {}", after.display());
    let Some(output) = sandbox.run_between_mounts(&mounts, &pull, &copy) else {
        return;
    };
    let error = output.code(1).json()["projects"][0]["error"].take();
    assert_eq!(error["kind"], "disk-full", "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains(&cache.to_string())
            && error["hints"][0].is_string(),
        "{error}"
    );
    for (path, before) in [(&a, "old"), (&b, "old"), (&large, "none"), (&gone, "old")] {
        let is = fs::read_to_string(after.join(path)).unwrap_or_else(|_| "none".to_owned());
        assert!(is == before, "{path}: {} bytes", is.len());
    }
    sandbox.run(&pull).code(0);
    for (path, new) in [(&a, "new"), (&b, &*noise), (&large, &*noise)] {
        assert!(
            fs::read_to_string(sandbox.path(CACHE).join(path)).unwrap() == *new,
            "{path}"
        );
    }
}

#[test]
fn read_only_workspace_is_published() {
    let (sandbox, codex) = world();
    let mounts = read_only(&sandbox, "ws");
    let Some(output) = sandbox.run_with_mounts(&mounts, &["sync", "--all", "--json"]) else {
        return;
    };
    let document = output.code(0).json();
    assert_eq!(
        (&document["pushed"], codex.subjects().len()),
        (&true.into(), 2),
        "{document}"
    );
}

#[test]
fn unusable_temporary_directory_is_an_error() {
    let (sandbox, codex) = world();
    if let Some(output) =
        sandbox.run_with_mounts(&read_only(&sandbox, "tmp"), &["sync", "--all", "--json"])
    {
        assert_fails(
            &sandbox,
            &codex,
            output,
            "temporary-clone",
            "tmp",
            "`TMPDIR`",
        );
    }
    for path in ["nowhere", "ws/alpha/README.md"] {
        let (sandbox, codex) = world();
        let mut command = sandbox.program(&["sync", "--all", "--json"]);
        command.env("TMPDIR", sandbox.path(path));
        let output = sandbox.finish(command);
        assert_fails(
            &sandbox,
            &codex,
            output,
            "temporary-clone",
            path,
            "`TMPDIR`",
        );
    }
}

#[test]
fn read_only_persistent_clone_is_an_error() {
    let (sandbox, codex) = world();
    let arguments = [
        "sync",
        "--all",
        "--json",
        "--config",
        "clone.strategy=cached",
    ];
    let Some(output) = sandbox.run_with_mounts(&read_only(&sandbox, CLONES), &arguments) else {
        return;
    };
    assert_fails(
        &sandbox,
        &codex,
        output,
        "kept-clone",
        CLONES,
        "`clone.strategy: temp`",
    );
}

#[test]
fn clone_that_cannot_be_removed_does_not_fail_the_run() {
    let (sandbox, codex) = world();
    // The wrapper of git, which sees the program's mounts, mounts a file system inside the clone.
    sandbox.use_git();
    let clone = sandbox.path("tmp").join("fractary-codex-clone-*");
    let script = format!(
        "cd {} && mkdir busy && mount -t tmpfs tmpfs busy",
        clone.display()
    );
    sandbox.run_at(Step::Verify, Moment::After, &script);
    let mounts = small(&sandbox, CLONES, "size=1m");
    let Some(output) = sandbox.run_with_mounts(&mounts, &["sync", "--all", "--json"]) else {
        return;
    };
    assert_eq!(output.code(0).json()["pushed"], true);
    assert_eq!((codex.subjects().len(), sandbox.leftovers().len()), (2, 1));
    sandbox.remove("bin/git");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(sandbox.leftovers(), [""; 0]);
}

#[test]
fn clones_of_killed_runs_are_removed_by_a_run_without_a_clone() {
    let (sandbox, _codex) = world();
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write("tmp/fractary-codex-clone-dead/lock", "");
    sandbox.write("tmp/fractary-codex-clone-dead/codex.git/HEAD", "");
    // Killed before the clone had its final name: a new one may belong to a running program, an old
    // one does not.
    for name in ["old", "new"] {
        sandbox.write(&format!("tmp/.fractary-codex-making-{name}/lock"), "");
    }
    sandbox.age("tmp/.fractary-codex-making-old");
    let output = sandbox.run(&["sync", "--all"]).code(0);
    assert!(
        output.stdout.contains("nothing to push"),
        "{}",
        output.stdout
    );
    assert_eq!(sandbox.leftovers(), [".fractary-codex-making-new"]);
}
