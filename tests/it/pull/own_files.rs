//! The program's own files: pipes, links and damage in their place, and their permissions.

use std::os::unix::fs::FileTypeExt;

use super::*;

const CACHE: &str = "ws/.fractary/codex/cache";
const STATE: &str = "home/.local/state/fractary-codex";

/// Runs the program, which must not hang.
#[track_caller]
fn ends(sandbox: &Sandbox, arguments: &[&str]) -> crate::support::Output {
    let mut command = sandbox.command("timeout");
    command
        .args(["--kill-after=1", "60"])
        .arg(env!("CARGO_BIN_EXE_fractary-codex"))
        .args(arguments);
    let output = sandbox.finish(command);
    assert_ne!(output.code, Some(124), "{arguments:?} hangs");
    output
}

/// Every regular file below a directory of the sandbox, relative to the sandbox.
fn files(sandbox: &Sandbox, directory: &str) -> Vec<String> {
    let all = sandbox.fingerprint(directory);
    let files = all.iter().filter(|(path, ..)| path.is_file());
    files
        .map(|(path, ..)| {
            let below = path.strip_prefix(sandbox.path("")).unwrap();
            below.to_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn pipe_in_place_of_a_cache_record_is_an_error() {
    for name in ["lock", "manifest", "begun"] {
        let (sandbox, _codex) = world();
        sandbox.run(&["sync", "--from-codex"]).code(0);
        let file = format!("{CACHE}/.fractary-codex/{name}");
        let _ = fs::remove_file(sandbox.path(&file));
        sandbox.pipe(&file);

        for command in [&["sync", "--from-codex"][..], &["cache", "clear"]] {
            let output = ends(&sandbox, command).code(1);
            assert!(
                output
                    .stderr
                    .contains(&format!("`.fractary-codex/{name}`: not a regular file")),
                "{}",
                output.stderr
            );
        }
        if name != "lock" {
            for command in [&["cache", "list"][..], &["cache", "status"]] {
                ends(&sandbox, command).code(1);
            }
        }
        ends(&sandbox, &["sync", "--from-codex", "--dry-run"]).code(1);
        // After a publication, it is a warning.
        sandbox.write("ws/alpha/README.md", "alpha");
        let published = ends(&sandbox, &["sync", "--to-codex", "--force", "--json"]).code(0);
        let warnings = published.json()["warnings"].to_string();
        assert!(warnings.contains("not a regular file"), "{warnings}");
    }
}

#[test]
fn pipes_in_place_of_recorded_state_do_not_block() {
    let (sandbox, codex) = world();
    sandbox.write("ws/alpha/README.md", "alpha");
    let sync = ["sync", "--all", "--config", "clone.strategy=cached"];
    sandbox.run(&sync).code(0);
    let planted = files(&sandbox, STATE);
    for kind in ["codex/", "stat/", "locks/"] {
        assert!(
            planted.iter().any(|file| file.contains(kind)),
            "{planted:?}"
        );
    }
    for file in &planted {
        sandbox.remove(file);
        sandbox.pipe(file);
    }

    sandbox.write("ws/alpha/README.md", "changed");
    ends(&sandbox, &[&sync[..], &["--dry-run"]].concat()).code(0);
    ends(&sandbox, &sync).code(0);
    assert_eq!(codex.file("projects/alpha/README.md"), "changed");
}

#[test]
fn pipe_in_place_of_the_lock_of_a_cached_clone_is_an_error() {
    let (sandbox, _codex) = world();
    sandbox.write("ws/alpha/README.md", "alpha");
    let sync = ["sync", "--all", "--config", "clone.strategy=cached"];
    sandbox.run(&sync).code(0);
    let clones = files(&sandbox, "home/.cache/fractary-codex");
    let lock = clones.iter().find(|file| file.ends_with("/lock")).unwrap();
    sandbox.remove(lock);
    sandbox.pipe(lock);

    sandbox.write("ws/alpha/README.md", "changed");
    let output = ends(&sandbox, &sync).code(4);
    assert!(
        output.stderr.contains("not a regular file"),
        "{}",
        output.stderr
    );
}

#[test]
fn pipe_in_place_of_the_lock_of_another_clone_does_not_block() {
    let (sandbox, _codex) = world();
    fs::create_dir(sandbox.path("tmp/fractary-codex-clone-dead")).unwrap();
    sandbox.pipe("tmp/fractary-codex-clone-dead/lock");
    ends(&sandbox, &["sync", "--from-codex"]).code(0);
    // It is unknown whether the run of that clone has ended, so it stays.
    let pipe = sandbox.path("tmp/fractary-codex-clone-dead/lock");
    assert!(fs::metadata(pipe).unwrap().file_type().is_fifo());
}

#[test]
fn links_in_place_of_own_files_are_not_followed() {
    let (sandbox, codex) = world();
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.run(&["sync", "--all", "--bidirectional"]).code(0);
    sandbox.write("outside/precious", "precious");
    let mut own = files(&sandbox, STATE);
    own.extend(files(&sandbox, &format!("{CACHE}/.fractary-codex")));
    for file in &own {
        sandbox.remove(file);
        std::os::unix::fs::symlink(sandbox.path("outside/precious"), sandbox.path(file)).unwrap();
    }
    let dangling = sandbox.path(CACHE).join(".fractary-codex/begun");
    let _ = fs::remove_file(&dangling);
    std::os::unix::fs::symlink(sandbox.path("outside/new"), &dangling).unwrap();
    let before = sandbox.fingerprint("outside");

    sandbox.write("ws/alpha/README.md", "changed");
    ends(&sandbox, &["sync", "--all"]).code(0);
    assert_eq!(codex.file("projects/alpha/README.md"), "changed");
    ends(&sandbox, &["sync", "--all", "--from-codex"]).code(1);
    assert_eq!(sandbox.fingerprint("outside"), before);
}

#[test]
fn unreadable_manifest_is_an_error() {
    let (sandbox, codex) = world();
    sandbox.run(&["sync", "--from-codex"]).code(0);
    sandbox.set_mode(&format!("{CACHE}/.fractary-codex/manifest"), 0o000);
    codex.commit(&[], &["projects/core/docs/a.md"]);
    let before = names(&sandbox.path(CACHE));

    for arguments in [
        &["sync", "--from-codex"][..],
        &["sync", "--from-codex", "--dry-run"],
        &["cache", "status"],
        &["cache", "list"],
        &["cache", "clear"],
    ] {
        let output = sandbox.finish(sandbox.without_overrides(arguments)).code(1);
        assert!(
            output
                .stderr
                .contains("`.fractary-codex/manifest`: Permission denied"),
            "{arguments:?}: {}",
            output.stderr
        );
    }
    assert_eq!(names(&sandbox.path(CACHE)), before);
}

#[test]
fn cache_and_state_get_the_permissions_of_the_umask() {
    for (mask, file, directory) in [("002", 0o664, 0o775), ("027", 0o640, 0o750)] {
        let (sandbox, codex) = world();
        sandbox.write("ws/alpha/README.md", "alpha");
        let sync = ["sync", "--all", "--bidirectional"];
        sandbox.finish(sandbox.with_mask(mask, &sync)).code(0);
        // The second run replaces the files of the first one.
        codex.commit(&[("100644", "projects/core/docs/a.md", "changed")], &[]);
        sandbox.finish(sandbox.with_mask(mask, &sync)).code(0);

        for tree in [CACHE, STATE] {
            for (path, _, mode, _) in sandbox.fingerprint(tree) {
                let executable = path.extension().is_some_and(|name| name == "sh");
                let expected = if path.is_dir() || executable {
                    directory
                } else {
                    file
                };
                assert_eq!(mode & 0o777, expected, "{mask}: {}", path.display());
            }
        }
    }
}

#[test]
fn incomplete_records_of_a_killed_run_are_removed() {
    let (sandbox, _codex) = world();
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let control = format!("{CACHE}/.fractary-codex");
    sandbox.write(&format!("{control}/.manifest.0123456789abcdef"), "half");
    sandbox.write(&format!("{control}/tmp/0/1-1"), "half");

    sandbox.run(&["sync", "--from-codex"]).code(0);
    let names = files(&sandbox, &control);
    assert_eq!(
        names,
        [format!("{control}/lock"), format!("{control}/manifest")]
    );
}

/// Damages a file with `damage`, and returns its path.
fn damaged(sandbox: &Sandbox, name: &str, damage: fn(&mut Vec<u8>)) -> std::path::PathBuf {
    let path = sandbox.path(CACHE).join(".fractary-codex").join(name);
    let mut data = fs::read(sandbox.path(CACHE).join(".fractary-codex/manifest")).unwrap();
    damage(&mut data);
    fs::write(&path, data).unwrap();
    path
}

#[test]
fn damaged_manifest_is_an_error_and_no_cached_file_changes() {
    let damages: [fn(&mut Vec<u8>); 3] = [
        |data| data.clear(),
        |data| data[40] ^= 1,
        |data| data.truncate(100),
    ];
    for (name, damage) in ["manifest", "begun"]
        .into_iter()
        .flat_map(|name| damages.map(|damage| (name, damage)))
    {
        let (sandbox, codex) = world();
        sandbox.write("ws/alpha/README.md", "alpha");
        sandbox.run(&["sync", "--all", "--bidirectional"]).code(0);
        damaged(&sandbox, name, damage);
        codex.commit(
            &[("100755", "projects/core/docs/run.sh", "changed")],
            &["projects/core/docs/a.md"],
        );
        let before = sandbox.fingerprint(&format!("{CACHE}/projects"));

        let message = format!("`.fractary-codex/{name}` is damaged");
        for arguments in [
            &["sync", "--from-codex"][..],
            &["sync", "--from-codex", "--force"],
            &["sync", "--from-codex", "--dry-run"],
            &["cache", "status"],
            &["cache", "list"],
            &["cache", "clear", "--force"],
            &["fetch", "--offline", "codex://*/core/docs/a.md"],
        ] {
            let stderr = sandbox.run(arguments).code(1).stderr;
            assert!(stderr.contains(&message), "{arguments:?}: {stderr}");
            assert!(stderr.contains("hint: delete"), "{arguments:?}: {stderr}");
        }
        sandbox.write("ws/alpha/README.md", "changed");
        let published = sandbox.run(&["sync", "--to-codex", "--force"]).code(0);
        assert!(published.stderr.contains(&message), "{}", published.stderr);
        assert_eq!(sandbox.fingerprint(&format!("{CACHE}/projects")), before);
    }
}

#[test]
fn without_its_damaged_manifest_a_cache_keeps_local_edits() {
    let (sandbox, codex) = world();
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let edited = format!("{CACHE}/projects/core/docs/a.md");
    sandbox.write(&edited, "edited");
    let manifest = damaged(&sandbox, "manifest", |data| data.clear());

    // The hint suggests this.
    fs::remove_file(manifest).unwrap();
    codex.commit(&[], &["projects/other/docs/deep/b.md"]);
    sandbox.run(&["sync", "--from-codex"]).code(0);
    assert_eq!(fs::read_to_string(sandbox.path(&edited)).unwrap(), "edited");
    sandbox.run(&["sync", "--from-codex", "--force"]).code(0);
    assert_eq!(fs::read_to_string(sandbox.path(&edited)).unwrap(), "a");
}
