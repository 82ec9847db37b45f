//! The state that is recorded between runs, and that it is ignored when it no longer applies.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::gate::{Moment, Step};
use crate::support::{Codex, Sandbox, not_installed};

fn synced() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    for name in ["alpha", "beta"] {
        sandbox.write(&format!("ws/{name}/README.md"), name);
        sandbox.write(&format!("ws/{name}/docs/a.md"), name);
    }
    sandbox.run(&["sync", "--all"]).code(0);
    (sandbox, codex)
}

/// Runs the program and returns the requests that it sent, as its log shows them.
fn requests(sandbox: &Sandbox, arguments: &[&str]) -> Vec<&'static str> {
    let mut command = sandbox.program(&[arguments, &["--log-format", "json"]].concat());
    command.env("FRACTARY_CODEX_LOG", "fractary_codex=debug");
    let output = sandbox.finish(command).code(0);
    let spans = BTreeMap::from([
        ("ls-remote", "list"),
        ("clone", "fetch"),
        ("contents", "contents"),
        ("push", "push"),
    ]);
    let lines = output.stderr.lines();
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ended = lines.filter(|line| line["fields"]["message"] == "close");
    ended
        .filter_map(|line| spans.get(line["span"]["name"].as_str()?).copied())
        .collect()
}

#[test]
fn run_without_changes_sends_one_request() {
    let (sandbox, codex) = synced();
    assert_eq!(requests(&sandbox, &["sync", "--all"]), ["list"]);
    // After a commit of another client, the recorded state is out of date once.
    codex.commit(&[("100644", "other.md", "x")], &[]);
    assert_eq!(requests(&sandbox, &["sync", "--all"]), ["list", "fetch"]);
    assert_eq!(requests(&sandbox, &["sync", "--all"]), ["list"]);
    // As in a fresh checkout: the same contents, written now.
    for path in [
        "ws/alpha/README.md",
        "ws/alpha/docs/a.md",
        "ws/beta/README.md",
        "ws/beta/docs/a.md",
    ] {
        let same = fs::read(sandbox.path(path)).unwrap();
        sandbox.remove(path);
        sandbox.write(path, same);
    }
    assert_eq!(requests(&sandbox, &["sync", "--all"]), ["list"]);
    // A change is pushed on top of a fetched tip, and the state is recorded again.
    sandbox.write("ws/alpha/README.md", "changed");
    assert_eq!(
        requests(&sandbox, &["sync", "--all"]),
        ["list", "fetch", "push", "list"]
    );
    assert_eq!(requests(&sandbox, &["sync", "--all"]), ["list"]);
}

#[test]
fn damaged_state_is_ignored() {
    let (sandbox, codex) = synced();
    let state = sandbox.path("home/.local/state/fractary-codex");
    for directory in ["codex", "stat"] {
        for (path, data, ..) in
            sandbox.fingerprint(&format!("home/.local/state/fractary-codex/{directory}"))
        {
            if path.is_file() {
                fs::write(path, &data[..data.len() / 2]).unwrap();
            }
        }
    }
    assert_eq!(requests(&sandbox, &["sync", "--all"]), ["list", "fetch"]);
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "a file where the directory should be").unwrap();
    sandbox.write("ws/alpha/README.md", "changed");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.file("projects/alpha/README.md"), "changed");
}

#[test]
fn change_within_the_resolution_of_the_clock_is_detected() {
    let (sandbox, codex) = synced();
    // Same size, written right after the file was hashed, again and again.
    for round in 0..20 {
        sandbox.write("ws/alpha/README.md", format!("{round:05}"));
        sandbox.run(&["sync", "--all"]).code(0);
        assert_eq!(
            codex.file("projects/alpha/README.md"),
            format!("{round:05}")
        );
    }
}

#[test]
fn offline_dry_run_compares_with_the_recorded_state() {
    let (sandbox, codex) = synced();
    sandbox.write("ws/alpha/docs/new.md", "new");
    sandbox.write("ws/alpha/README.md", "changed");
    let online = sandbox
        .run(&["sync", "--all", "--dry-run", "--json"])
        .code(0)
        .json();
    let tip = codex.tip();
    // The codex cannot be reached, and it is not contacted.
    fs::rename(codex.path(), sandbox.path("gone.git")).unwrap();
    let before = (
        sandbox.fingerprint("ws"),
        sandbox.fingerprint("home"),
        sandbox.fingerprint("tmp"),
    );
    let offline = sandbox
        .run(&["sync", "--all", "--dry-run", "--offline", "--json"])
        .code(0)
        .json();
    assert_eq!(
        before,
        (
            sandbox.fingerprint("ws"),
            sandbox.fingerprint("home"),
            sandbox.fingerprint("tmp")
        )
    );
    assert_eq!(
        (&offline["projects"], &offline["plan_id"]),
        (&online["projects"], &online["plan_id"])
    );
    assert_eq!(offline["remote"]["before"].as_str(), tip.as_deref());
    let human = sandbox
        .run(&["sync", "--all", "--dry-run", "--offline"])
        .code(0);
    assert!(
        human.stdout.contains(", as recorded at 20"),
        "{}",
        human.stdout
    );
    assert_eq!(
        requests(&sandbox, &["sync", "--all", "--dry-run", "--offline"]),
        [""; 0]
    );
}

#[test]
fn records_of_different_commits_are_a_warning() {
    let (sandbox, _codex) = synced();
    let sync_offline = |warns: bool| {
        let output = sandbox
            .run(&["sync", "--all", "--dry-run", "--offline", "--json"])
            .code(0)
            .json();
        assert_eq!(
            output["warnings"]
                .to_string()
                .contains("from different commits"),
            warns,
            "{output}"
        );
    };
    sync_offline(false);
    sandbox.write("ws/alpha/docs/new.md", "new");
    sandbox.run(&["sync", "-p", "alpha"]).code(0);
    sync_offline(true);
}

#[test]
fn offline_without_records_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    let output = sandbox
        .run(&["sync", "--all", "--dry-run", "--offline", "--json"])
        .code(4)
        .json();
    assert_eq!(output["error"]["kind"], "nothing-recorded");
    sandbox.run(&["sync", "--all", "--offline"]).code(2);
}

#[test]
fn offline_pull_is_an_error() {
    let (sandbox, _codex) = synced();
    let output = sandbox
        .run(&[
            "sync",
            "-p",
            "alpha",
            "--from-codex",
            "--dry-run",
            "--offline",
        ])
        .code(4);
    assert_eq!(
        output.stderr,
        "error: pulling `alpha` needs the network
  hint: drop `--offline`
"
    );
}

#[test]
fn state_is_recorded_per_remote_and_branch() {
    let (sandbox, _codex) = synced();
    let offline = |setting: &str| {
        let output = sandbox.run(&[
            "sync",
            "--all",
            "--dry-run",
            "--offline",
            "--json",
            "--config",
            setting,
        ]);
        (output.code, output.json()["error"]["kind"].clone())
    };
    assert_eq!(
        offline("remote.url=../codex.git"),
        (Some(0), serde_json::Value::Null)
    );
    for setting in ["remote.url=../other.git", "remote.branch=other"] {
        assert_eq!(
            offline(setting),
            (Some(4), "nothing-recorded".into()),
            "{setting}"
        );
    }
}

#[test]
fn persistent_clone_is_reused_and_replaced_if_damaged() {
    let (sandbox, codex) = synced();
    let cached = |content: &str| {
        sandbox.write("ws/alpha/README.md", content);
        sandbox
            .run(&["sync", "--all", "--config", "clone.strategy=cached"])
            .code(0);
        assert_eq!(codex.file("projects/alpha/README.md"), content);
        assert_eq!(sandbox.leftovers(), [""; 0]);
    };
    cached("1");
    let clones = "home/.cache/fractary-codex/clones";
    let packs = || {
        sandbox
            .fingerprint(clones)
            .into_iter()
            .filter(|(path, ..)| path.extension().is_some_and(|e| e == "pack"))
            .count()
    };
    let first = packs();
    cached("2");
    assert!(packs() > first, "the clone was reused");
    for (path, data, ..) in sandbox.fingerprint(clones) {
        if path.extension().is_some_and(|e| e == "pack" || e == "idx") {
            sandbox.set_mode(
                path.strip_prefix(sandbox.path(""))
                    .unwrap()
                    .to_str()
                    .unwrap(),
                0o644,
            );
            fs::write(path, &data[..data.len() / 2]).unwrap();
        }
    }
    cached("3");
    for (path, ..) in sandbox.fingerprint(clones) {
        if path.file_name().is_some_and(|name| name == "HEAD") {
            fs::write(path, "nonsense").unwrap();
        }
    }
    cached("4");
    codex.assert_sound();
}

/// Makes another client change a file of `alpha` just before the first push, and runs `signal`
/// after the next fetch.
fn overtaken(sandbox: &Sandbox, codex: &Codex, signal: &str) {
    let before = codex.tip().unwrap();
    codex.commit(
        &[("100644", "projects/alpha/README.md", "of another client")],
        &[],
    );
    codex.git(&["update-ref", "refs/heads/other", "refs/heads/main"]);
    codex.git(&["update-ref", "refs/heads/main", &before]);
    let (mark, path) = (sandbox.path("pushed"), codex.path().display());
    let mark = mark.display();
    if !sandbox.uses_git() {
        let others = format!("git --git-dir={path} update-ref refs/heads/main refs/heads/other");
        return sandbox.run_at(
            Step::Push,
            Moment::Before,
            &format!("[ -e {mark} ] || {{ touch {mark}; {others}; }}"),
        );
    }
    sandbox.wrap_git(&format!(
        "real=${{PATH#*:}}; case \"$*\" in\n\
         *' push '*) [ -e {mark} ] || {{ touch {mark}; PATH=$real git --git-dir={path} update-ref refs/heads/main \
         refs/heads/other; }};;\n\
         *' --depth=1 '*) if [ -e {mark} ]; then PATH=$real git \"$@\"; status=$?; {signal}; exit $status; fi;;\nesac"
    ));
}

#[test]
fn state_is_not_recorded_between_a_fetch_and_the_next_plan() {
    let (sandbox, codex) = synced();
    // The wrapper of git sends the signal.
    sandbox.use_git();
    sandbox.write("ws/alpha/docs/a.md", "changed");
    overtaken(&sandbox, &codex, "exec >&- 2>&-; kill -INT $PPID");
    sandbox.run(&["sync", "--all"]).code(130);
    sandbox.remove("bin/git");
    // The source is as in the first sync. With a wrong record, the project would seem to be up to
    // date.
    sandbox.write("ws/alpha/docs/a.md", "alpha");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.file("projects/alpha/README.md"), "alpha");
}

#[test]
fn overtaken_run_reports_the_tip_below_its_commits() {
    let (sandbox, codex) = synced();
    sandbox.write("ws/alpha/docs/a.md", "changed");
    overtaken(&sandbox, &codex, ":");
    let output = sandbox
        .run(&["sync", "--all", "--json", "--config", "cache.enabled=false"])
        .code(0)
        .json();
    let theirs = codex.git(&["rev-parse", "refs/heads/other"]);
    assert_eq!(
        (output["remote"]["before"].as_str(), &output["attempts"]),
        (Some(theirs.trim()), &2.into())
    );
}

/// Makes an image of a file system without nanoseconds that contains `a.md`. Inode, size and all
/// times are the same in every image. Returns `None` and prints a message if the programs are
/// missing.
fn image(sandbox: &Sandbox, name: &str, contents: &str) -> Option<()> {
    let (mke2fs, debugfs) = ("/usr/sbin/mke2fs", "/usr/sbin/debugfs");
    if !std::path::Path::new(mke2fs).exists() || !std::path::Path::new(debugfs).exists() {
        not_installed("mke2fs or debugfs");
        return None;
    }
    sandbox.write(&format!("{name}/a.md"), contents);
    let (directory, image) = (sandbox.path(name), sandbox.path(&format!("{name}.img")));
    let mut command = sandbox.command(mke2fs);
    command
        .args(["-q", "-t", "ext2", "-I", "128", "-O", "^resize_inode", "-d"])
        .args([&directory, &image])
        .arg("256k");
    sandbox.finish(command).code(0);
    for field in ["mtime", "ctime"] {
        let mut command = sandbox.command(debugfs);
        let set = format!("set_inode_field /a.md {field} 20240101000000");
        command.args(["-w", "-R", &set]).arg(&image);
        sandbox.finish(command).code(0);
    }
    Some(())
}

#[test]
fn files_without_a_real_change_time_are_read_again() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    fs::create_dir_all(sandbox.path("ws/alpha/docs")).unwrap();

    for contents in ["first", "other"] {
        if image(&sandbox, contents, contents).is_none() {
            return;
        }
        let mount = format!(
            "mount -o loop,ro {} {}",
            sandbox.path(&format!("{contents}.img")).display(),
            sandbox.path("ws/alpha/docs").display()
        );
        let Some(output) = sandbox.run_with_mounts(&mount, &["sync", "--all"]) else {
            return;
        };
        output.code(0);
        assert_eq!(codex.file("projects/alpha/docs/a.md"), contents);
    }
}
