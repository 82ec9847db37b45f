//! Being asked to stop, and being killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Codex, Sandbox, wait_until};

/// A codex whose hook says that it was reached and then waits until it is let go.
fn held(sandbox: &Sandbox) -> Codex {
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.hold_pushes(sandbox);
    codex
}

fn start(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    sandbox.program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn touch(path: &Path) {
    fs::write(path, "").unwrap();
}

#[test]
fn a_signal_during_the_push_waits_for_the_verdict_and_tells_it() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let sandbox = Sandbox::new();
        let codex = held(&sandbox);
        let child = start(&sandbox, &["sync", "--all", "--json"]);
        wait_until("the server has the push", || sandbox.path("reached").exists());
        send(&child, signal);
        // A push that the signal ended would take the hook along.
        let lived = || fs::metadata(sandbox.path("reached")).unwrap().len();
        let until_now = lived();
        wait_until("the push has gone on for a while", || lived() > until_now + 30);
        touch(&sandbox.path("go"));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&document["pushed"], &document["exit_code"]), (&true.into(), &code.into()));
        assert_eq!(document["remote"]["after"].as_str(), codex.tip().as_deref());
        assert_eq!(sandbox.leftovers(), [""; 0]);
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let sandbox = Sandbox::new();
    let _codex = held(&sandbox);
    let mut child = start(&sandbox, &["sync", "--all"]);
    wait_until("the server has the push", || sandbox.path("reached").exists());
    send(&child, Signal::INT);
    // The hook is still held: only the second signal can end it.
    let end = Instant::now() + Duration::from_secs(30);
    let status = loop {
        send(&child, Signal::TERM);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end);
        std::thread::park_timeout(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(143));
    touch(&sandbox.path("go"));
}

#[test]
fn a_signal_before_the_push_changes_nothing() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    // Another run has this machine's turn, so the run waits before it fetches.
    sandbox.run(&["sync", "--all"]).code(0);
    let locks = sandbox.path("home/.local/state/fractary-codex/locks");
    let lock = fs::File::open(fs::read_dir(&locks).unwrap().next().unwrap().unwrap().path()).unwrap();
    lock.lock().unwrap();
    let tip = codex.tip();
    sandbox.write("ws/alpha/README.md", "changed");
    let child = start(&sandbox, &["sync", "--all"]);
    let waiting = format!("/proc/{}/wchan", child.id());
    wait_until("it waits", || {
        fs::read_to_string(format!("/proc/{}/status", child.id())).is_ok() && Path::new(&waiting).exists()
    });
    wait_until("it listens to signals", || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&caught, 16).unwrap() & (1 << (15 - 1)) != 0
    });
    send(&child, Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was pushed"));
    assert_eq!((codex.tip(), sandbox.leftovers()), (tip, Vec::new()));
}

#[test]
fn a_signal_during_the_fetch_changes_nothing() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    let tip = codex.tip();
    let path = sandbox.wrapped_git("case \"$*\" in *' fetch '*) kill -INT $PPID;; esac");
    let mut command = sandbox.program(&["sync", "--all", "--json"]);
    command.env("PATH", path);
    let document = sandbox.finish(command).code(130).json();
    assert_eq!((&document["pushed"], &document["exit_code"]), (&false.into(), &130.into()));
    assert_eq!((codex.tip(), sandbox.leftovers()), (tip, Vec::new()));
}

#[test]
fn what_a_killed_run_left_is_swept_by_the_next() {
    let sandbox = Sandbox::new();
    let codex = held(&sandbox);
    let mut child = start(&sandbox, &["sync", "--all"]);
    wait_until("the server has the push", || sandbox.path("reached").exists());
    send(&child, Signal::KILL);
    child.wait().unwrap();
    assert_eq!(sandbox.leftovers().len(), 1);
    // Neither a clone in use, nor a file, nor a link of that name is touched.
    let other = start(&sandbox, &["sync", "--all"]);
    fs::write(sandbox.path("tmp/fractary-codex-clone-file"), "").unwrap();
    fs::create_dir(sandbox.path("precious")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("precious"), sandbox.path("tmp/fractary-codex-clone-link")).unwrap();
    touch(&sandbox.path("go"));
    let output = other.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sandbox.run(&["sync", "--all"]).code(0);
    let mut left = sandbox.leftovers();
    left.sort();
    assert_eq!(left, ["fractary-codex-clone-file", "fractary-codex-clone-link"]);
    assert!(sandbox.path("precious").exists());
    assert_eq!(codex.paths(), ["projects/alpha/README.md"]);
    codex.assert_sound();
}
