//! Signals that end a run, and cleaning up after a killed one.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::gate::{Gate, send};
use crate::support::{Codex, Sandbox, wait_until};

/// A workspace, and a codex with a hook that makes the push wait until the gate is opened.
fn held(sandbox: &Sandbox) -> (Codex, Gate) {
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    let gate = codex.hold_pushes(sandbox);
    (codex, gate)
}

#[test]
fn second_signal_ends_run_and_children_immediately() {
    let sandbox = Sandbox::new();
    let (codex, gate) = held(&sandbox);
    let mut child = sandbox.start(&["sync", "--all"]);
    gate.wait();
    send(&child, Signal::INT);
    // The hook still waits, so only a second signal can end the run.
    let end = Instant::now() + Duration::from_secs(30);
    let status = loop {
        send(&child, Signal::TERM);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end);
        std::thread::park_timeout(Duration::from_millis(5));
    };
    // If two signals are pending, either one may be handled first.
    assert!(matches!(status.code(), Some(130 | 143)), "{status}");
    wait_until("nothing runs any more", || sandbox.processes() == 0);
    // The codex is unchanged, and contains no lock files.
    assert_eq!(codex.tip(), None);
    let files = sandbox
        .fingerprint("codex.git")
        .into_iter()
        .map(|(path, ..)| path.display().to_string());
    assert_eq!(
        files
            .filter(|path| path.ends_with(".lock"))
            .collect::<Vec<_>>(),
        [""; 0]
    );
    gate.open();
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(sandbox.leftovers(), [""; 0]);
    codex.assert_sound();
}

#[test]
fn signal_during_push_reports_the_push_and_stops_before_the_pull() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha"],
        "  sync: { direction: bidirectional, from_codex: { include: ['codex://acme/*/**'] } }\n",
    );
    sandbox.write("ws/alpha/README.md", "alpha");
    let gate = codex.hold_pushes(&sandbox);
    let child = sandbox.start(&["sync", "--all", "--json", "--config", "cache.enabled=false"]);
    gate.wait();
    send(&child, Signal::TERM);
    gate.open();
    let output = child.wait_with_output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (
            output.status.code(),
            &document["exit_code"],
            &document["pushed"]
        ),
        (Some(143), &143.into(), &true.into())
    );
    assert_eq!(document["error"]["message"], "interrupted by signal 15");
    assert!(codex.tip().is_some() && !sandbox.path("ws/.fractary/codex/cache").exists());
}

#[test]
fn inherited_ignored_hangup_stays_ignored() {
    let sandbox = Sandbox::new();
    let (codex, gate) = held(&sandbox);
    let mut command = sandbox.command("/bin/sh");
    let script = format!(
        "trap '' HUP; exec {} sync --all",
        env!("CARGO_BIN_EXE_fractary-codex")
    );
    command.args(["-c", &script]);
    let child = sandbox.spawn(command);
    gate.wait();
    send(&child, Signal::HUP);
    gate.open();
    sandbox.ended(child).code(0);
    assert!(codex.tip().is_some());
}

#[test]
fn signal_before_the_push_changes_nothing() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    // The test holds the lock for this remote, so the run waits before it fetches.
    sandbox.run(&["sync", "--all"]).code(0);
    let locks = sandbox.path("home/.local/state/fractary-codex/locks");
    let lock = fs::File::open(
        fs::read_dir(&locks)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
    )
    .unwrap();
    lock.lock().unwrap();
    let tip = codex.tip();
    sandbox.write("ws/alpha/README.md", "changed");
    let child = sandbox.start(&["sync", "--all"]);
    let waiting = format!("/proc/{}/wchan", child.id());
    wait_until("it waits", || {
        fs::read_to_string(format!("/proc/{}/status", child.id())).is_ok()
            && Path::new(&waiting).exists()
    });
    wait_until("it listens to signals", || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .unwrap()
            .trim()
            .to_owned();
        u64::from_str_radix(&caught, 16).unwrap() & (1 << (15 - 1)) != 0
    });
    send(&child, Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(143),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was pushed"));
    assert_eq!((codex.tip(), sandbox.leftovers()), (tip, Vec::new()));
}

#[test]
fn signal_during_fetch_stops_before_the_push() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    let tip = codex.tip();
    sandbox.wrap_git("case \"$*\" in *' fetch '*) kill -INT $PPID;; esac");
    let document = sandbox.run(&["sync", "--all", "--json"]).code(130).json();
    assert_eq!(
        (&document["pushed"], &document["exit_code"]),
        (&false.into(), &130.into())
    );
    assert_eq!((codex.tip(), sandbox.leftovers()), (tip, Vec::new()));
}

#[test]
fn clone_of_a_killed_run_is_removed_by_the_next() {
    let sandbox = Sandbox::new();
    let (codex, gate) = held(&sandbox);
    let mut child = sandbox.start(&["sync", "--all"]);
    gate.wait();
    send(&child, Signal::KILL);
    child.wait().unwrap();
    assert_eq!(sandbox.leftovers().len(), 1);
    // A clone that is in use, a file and a link of such a name are not removed.
    let other = sandbox.start(&["sync", "--all"]);
    fs::write(sandbox.path("tmp/fractary-codex-clone-file"), "").unwrap();
    fs::create_dir(sandbox.path("precious")).unwrap();
    std::os::unix::fs::symlink(
        sandbox.path("precious"),
        sandbox.path("tmp/fractary-codex-clone-link"),
    )
    .unwrap();
    gate.open();
    let output = other.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    sandbox.run(&["sync", "--all"]).code(0);
    let mut left = sandbox.leftovers();
    left.sort();
    assert_eq!(
        left,
        ["fractary-codex-clone-file", "fractary-codex-clone-link"]
    );
    assert!(sandbox.path("precious").exists());
    assert_eq!(codex.paths(), ["projects/alpha/README.md"]);
    codex.assert_sound();
}
