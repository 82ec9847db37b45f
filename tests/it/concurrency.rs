//! Concurrent runs into one codex.

use std::fs;
use std::process::Stdio;

use crate::support::gate::{Moment, Step};
use crate::support::http::HttpServer;
use crate::support::{Sandbox, wait_until};

#[test]
fn eight_syncs_at_once_all_land() {
    for _ in 0..20 {
        rounds_of(8, 1, false);
    }
}

#[test]
fn moved_branch_is_planned_again() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.commit(&[("100644", "README.md", "1")], &[]);
    // The branch moves during the first push, because the hook makes a competing commit.
    codex.hook(
        "pre-receive",
        &format!("[ -e raced ] && exit 0; touch raced; {ALWAYS_FASTER}"),
    );
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(output["attempts"], 2);
    assert_eq!(
        codex.subjects(),
        ["Sync 1 file from alpha", "faster", "Somebody else"]
    );
    codex.assert_sound();
}

/// A hook that makes a competing commit during every push.
const ALWAYS_FASTER: &str = "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
     id=$(git -c user.name=x -c user.email=x commit-tree -p main -m faster 'main^{tree}') && git update-ref refs/heads/main $id";

#[test]
fn commit_of_another_client_is_never_overwritten() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.commit(&[("100644", "README.md", "1")], &[]);
    codex.commit(&[("100644", "theirs.md", "somebody's work")], &[]);
    codex.git(&["update-ref", "refs/theirs", "main"]);
    codex.git(&["update-ref", "refs/heads/main", "main~1"]);
    // With a partial clone, git could not even attempt this push, because it would lack the
    // contents of the first commit.
    codex.git(&["config", "uploadpack.allowFilter", "false"]);
    // The branch moves before git queries the tip that the push replaces, so the server alone would
    // accept a forced push.
    let moved = format!(
        "git -C {} update-ref refs/heads/main refs/theirs",
        codex.path().display()
    );
    sandbox.run_at(Step::Push, Moment::Before, &moved);
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(output["attempts"], 2);
    assert_eq!(
        codex.paths(),
        ["README.md", "projects/alpha/README.md", "theirs.md"]
    );
    assert_eq!(
        codex.subjects(),
        ["Sync 1 file from alpha", "Somebody else", "Somebody else"]
    );
}

#[test]
fn exhausted_retries_report_the_last_rejection() {
    // Either git itself detects that the branch moved, or a hook rejects the push.
    for (hook, script, refusal) in [
        (
            "pre-receive",
            ALWAYS_FASTER.to_owned(),
            "failed to update ref",
        ),
        (
            "update",
            format!("{ALWAYS_FASTER}; echo 'somebody was faster' >&2; exit 1"),
            "hook declined",
        ),
    ] {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        sandbox.write("ws/alpha/README.md", "alpha");
        codex.commit(&[("100644", "README.md", "1")], &[]);
        codex.hook(hook, &script);
        let output = sandbox
            .run(&["sync", "--all", "--retries", "2", "--json"])
            .code(5);
        for tries in 1..=2 {
            let line = format!("trying again, {tries} of 3 tries used");
            assert!(output.stderr.contains(&line), "{}", output.stderr);
        }
        let document = output.json();
        let error = &document["error"];
        assert_eq!(error["kind"], "retries-exhausted");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("3 attempts") && message.contains(refusal),
            "{message}"
        );
        assert!(
            error["hints"][0]
                .as_str()
                .is_some_and(|hint| hint.contains("--retries")),
            "{error}"
        );
        assert_eq!(
            (&document["attempts"], &document["pushed"]),
            (&3.into(), &false.into())
        );
        assert_eq!(document["projects"][0]["status"], "failed");
        assert_eq!(codex.paths(), ["README.md"]);
        assert_eq!(
            codex.subjects(),
            ["faster", "faster", "faster", "Somebody else"]
        );
        assert_eq!(sandbox.leftovers(), [""; 0]);
        codex.hook(hook, "exit 0");
        sandbox.run(&["sync", "--all"]).code(0);
        assert_eq!(codex.subjects()[0], "Sync 1 file from alpha");
        codex.assert_sound();
    }
}

#[test]
fn locked_branch_is_retried_then_reported() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.commit(&[("100644", "README.md", "1")], &[]);
    let lock = codex.path().join("refs/heads/main.lock");
    std::fs::write(&lock, "").unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(5);
    assert!(
        output.stderr.contains("error: push to `main` rejected by "),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("  remote: ") && output.stderr.contains("main.lock"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("hint: "), "{}", output.stderr);
    assert_eq!(
        (codex.subjects().len(), sandbox.leftovers()),
        (1, Vec::new())
    );
    // The other process releases the lock after the first attempt.
    sandbox.run_at(
        Step::Push,
        Moment::After,
        &format!("rm -f {}", lock.display()),
    );
    let document = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(
        (&document["attempts"], &document["pushed"]),
        (&2.into(), &true.into())
    );
    assert_eq!(
        codex.subjects(),
        ["Sync 1 file from alpha", "Somebody else"]
    );
    codex.assert_sound();
}

/// Runs many processes at once, in rounds, over `file://` and http. Half of them have their own
/// state directory, as if they ran on other machines. `CODEX_STRESS=64x3` sets 64 processes and
/// three rounds.
#[test]
fn stress() {
    let size = std::env::var("CODEX_STRESS").unwrap_or_else(|_| "12x1".to_owned());
    let (processes, rounds) = size
        .split_once('x')
        .and_then(|(p, r)| Some((p.parse().ok()?, r.parse().ok()?)))
        .unwrap();
    for over_http in [false, true] {
        rounds_of(processes, rounds, over_http);
    }
}

fn rounds_of(processes: usize, rounds: usize, over_http: bool) {
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..processes).map(|n| format!("p{n}")).collect();
    let codex = sandbox.workspace(&names.iter().map(String::as_str).collect::<Vec<_>>(), "");
    codex.commit(
        &[
            ("100644", "README.md", "the codex"),
            ("120000", "projects/link", "../README.md"),
        ],
        &[],
    );
    let others = codex.tree();
    let server = HttpServer::start(&sandbox.path(""), None);
    let url = if over_http {
        server.url("codex.git")
    } else {
        format!("file://{}", codex.path().display())
    };
    for round in 0..rounds {
        let children: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, name)| {
                sandbox.write(
                    &format!("ws/{name}/docs/{round}.md"),
                    format!("{name} {round}"),
                );
                let mut command = sandbox.program(&["sync", "-p", name]);
                command.env("FRACTARY_CODEX_REMOTE__URL", &url);
                if number % 2 == 1 {
                    command.env("XDG_STATE_HOME", sandbox.path(&format!("state{number}")));
                }
                command
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let streams = [output.stdout, output.stderr]
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            assert!(output.status.success(), "{streams:?}");
        }
    }
    codex.assert_sound();
    assert_eq!(codex.subjects().len(), 1 + processes * rounds);
    let tree = codex.tree();
    assert_eq!(tree.len(), others.len() + processes * rounds);
    assert!(
        others
            .iter()
            .all(|(path, entry)| tree.get(path) == Some(entry))
    );
    assert_eq!(sandbox.leftovers(), [""; 0]);
}

#[test]
fn runs_that_share_clone_and_cache_do_not_deadlock() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha"],
        "  clone: { strategy: cached }\n  sync: { from_codex: { include: ['codex://acme/*/**'] } }\n",
    );
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.commit(&[("100644", "projects/core/a.md", "core")], &[]);
    let gate = codex.hold_pushes(&sandbox);
    // This run holds the clone, and will need the cache.
    let publishing = sandbox.start(&["sync", "--all"]);
    gate.wait();
    // This run holds the cache, and needs the clone.
    let pulling = sandbox.start(&["sync", "--all", "--from-codex"]);
    let lock = sandbox.path("ws/.fractary/codex/cache/.fractary-codex/lock");
    wait_until("the cache is locked", || {
        fs::File::open(&lock).is_ok_and(|lock| lock.try_lock().is_err())
    });
    gate.open();
    for mut child in [publishing, pulling] {
        wait_until("it ends", || child.try_wait().unwrap().is_some());
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(
        sandbox.run(&["sync", "--all", "--json"]).code(0).json()["totals"]["up_to_date"],
        1
    );
}

#[test]
fn run_that_waits_for_a_cache_does_not_hold_the_clone() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha", "beta", "gamma"],
        "  clone: { strategy: cached }\n  sync: { direction: from-codex, from_codex: { include: ['codex://acme/*/**'] } }\n",
    );
    codex.commit(&[("100644", "projects/core/a.md", "core")], &[]);
    for project in ["alpha", "beta", "gamma"] {
        sandbox.write(&format!("ws/{project}/.fractary/config.yaml"), "");
    }
    sandbox.run(&["sync", "-p", "beta"]).code(0);
    let lock =
        fs::File::open(sandbox.path("ws/beta/.fractary/codex/cache/.fractary-codex/lock")).unwrap();
    lock.lock().unwrap();
    let all = sandbox.start(&["sync", "--all"]);
    let first = sandbox.path("ws/alpha/.fractary/codex/cache/.fractary-codex/lock");
    wait_until("the first cache is locked", || {
        fs::File::open(&first).is_ok_and(|lock| lock.try_lock().is_err())
    });
    // The cache of `gamma` is free, and the waiting run must not hold the clone.
    sandbox.run(&["sync", "-p", "gamma"]).code(0);
    drop(lock);
    sandbox.ended(all).code(0);
}

#[test]
fn cache_reached_through_a_link_is_locked_once() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha", "beta"],
        "  sync: { direction: from-codex, from_codex: { include: ['codex://acme/*/**'] } }\n",
    );
    codex.commit(&[("100644", "projects/core/a.md", "core")], &[]);
    sandbox.write("ws/alpha/.fractary/config.yaml", "");
    sandbox.write("ws/beta/README.md", "");
    std::os::unix::fs::symlink("../alpha/.fractary", sandbox.path("ws/beta/.fractary")).unwrap();
    let mut child = sandbox.start(&["sync", "--all"]);
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    sandbox.ended(child).code(0);
}
