//! The fault matrix: every signal and every network fault in every stage of a sync. In each case
//! the codex is either unchanged or contains complete commits, the exit status and the messages are
//! correct, nothing is left behind, and the next sync completes the work.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Child;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::gate::{Gate, Moment, Step, send};
use crate::support::http::{HttpServer, Reaction, Stage};
use crate::support::{Codex, Output, Sandbox, World, wait_until};

const OURS: [&str; 3] = [
    "Sync 1 file from beta",
    "Sync 2 files from alpha",
    "Somebody else",
];

/// Two projects with files to publish, and a codex with a commit of another user.
fn world() -> World {
    World::builder()
        .projects(&["alpha", "beta"])
        .files(&[
            ("alpha/README.md", "alpha"),
            ("alpha/docs/a.md", "a"),
            ("beta/README.md", "beta"),
        ])
        .build()
}

/// Asserts that no process is left and that the codex is valid: unchanged, or with both commits.
/// Returns whether it has the commits.
#[track_caller]
fn assert_whole(sandbox: &Sandbox, codex: &Codex, case: &str) -> bool {
    wait_until(&format!("{case}: nothing runs any more"), || {
        sandbox.processes() == 0
    });
    codex.assert_sound();
    let subjects = codex.subjects();
    assert!(
        subjects == OURS || subjects == OURS[2..],
        "{case}: {subjects:?}"
    );
    subjects == OURS
}

/// Asserts that the next sync, without the fault, completes the work, and that the one after it has
/// nothing to do.
#[track_caller]
fn assert_completed(sandbox: &Sandbox, codex: &Codex, case: &str, run: impl Fn(&[&str]) -> Output) {
    let next = run(&["sync", "--all"]);
    assert_eq!(next.code, Some(0), "{case}: {}{}", next.stdout, next.stderr);
    assert_eq!(sandbox.leftovers(), [""; 0], "{case}");
    assert!(assert_whole(sandbox, codex, case));
    let ours = [
        "README.md",
        "projects/alpha/README.md",
        "projects/alpha/docs/a.md",
        "projects/beta/README.md",
    ];
    assert_eq!(codex.paths(), ours, "{case}");
    let again = run(&["sync", "--all"]).code(0);
    assert!(
        again.stdout.contains("nothing to push"),
        "{case}: {}",
        again.stdout
    );
    assert_eq!(codex.updates(), 2, "{case}");
}

/// The stage of the program when the signal arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Reading the configuration.
    Config,
    /// Scanning a project.
    Scan,
    Step(Step, Moment),
    /// Pushing, while this hook of the server runs.
    Hook(&'static str),
}

/// A pipe that is used as the configuration file.
const PIPED_CONFIG: &str = "ws/.fractary/piped.yaml";

const STAGES: [At; 11] = [
    At::Config,
    At::Scan,
    At::Step(Step::List, Moment::Before),
    At::Step(Step::Fetch, Moment::Before),
    At::Step(Step::Fetch, Moment::After),
    At::Step(Step::Push, Moment::Before),
    At::Hook("pre-receive"),
    At::Hook("post-receive"),
    At::Step(Step::Push, Moment::After),
    At::Step(Step::Verify, Moment::Before),
    At::Step(Step::Verify, Moment::After),
];

impl At {
    /// Whether the push was sent, so that the program awaits its result.
    fn pushing(self) -> bool {
        matches!(self, At::Hook(_) | At::Step(Step::Push | Step::Verify, _))
    }
}

/// Lets the held program continue.
enum Held {
    At(Gate),
    /// The pipe that the program reads from, opened for writing.
    Pipe(std::path::PathBuf, String),
}

impl Held {
    fn at(at: At, sandbox: &Sandbox, codex: &Codex) -> Self {
        let pipe = |path: &str, content: String| {
            sandbox.pipe(path);
            Held::Pipe(sandbox.path(path), content)
        };
        match at {
            At::Config => {
                let config =
                    std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
                pipe(PIPED_CONFIG, config)
            }
            // With `sync.respect_gitignore`, the walk reads this file of a linked working tree.
            At::Scan => {
                let git_directory = sandbox.path("ws/linked");
                std::fs::create_dir(&git_directory).unwrap();
                let link = format!("gitdir: {}\n", git_directory.display());
                sandbox.write("ws/alpha/.git", &link);
                pipe("ws/linked/commondir", "nowhere\n".to_owned())
            }
            At::Step(step, moment) => Held::At(sandbox.hold_at(step, moment)),
            At::Hook(name) => {
                let gate = Gate::new(sandbox);
                codex.hook(name, &gate.script());
                Held::At(gate)
            }
        }
    }

    /// Waits until the program is held in this stage.
    fn wait(&self) -> Option<std::fs::File> {
        match self {
            Held::At(gate) => {
                gate.wait();
                None
            }
            Held::Pipe(path, _) => {
                // Opening succeeds once the program reads from the other end.
                let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
                let open = || {
                    OpenOptions::new()
                        .write(true)
                        .custom_flags(flags)
                        .open(path)
                };
                let opened = std::cell::RefCell::new(None);
                wait_until("the pipe is read", || {
                    *opened.borrow_mut() = open().ok();
                    opened.borrow().is_some()
                });
                opened.into_inner()
            }
        }
    }

    fn goes_on(&self) {
        if let Held::At(gate) = self {
            gate.wait_on();
        }
    }

    fn let_go(&self, pipe: Option<std::fs::File>) {
        match (self, pipe) {
            (Held::At(gate), _) => gate.open(),
            (Held::Pipe(path, content), Some(mut pipe)) => {
                let _ = pipe.write_all(content.as_bytes());
                std::fs::remove_file(path).unwrap();
                std::fs::write(path, content).unwrap();
            }
            (Held::Pipe(..), None) => unreachable!("a pipe was waited for"),
        }
    }
}

/// Sends `signal` to the program in every stage.
fn signal_in_every_stage(signal: Signal) {
    for at in STAGES {
        let case = format!("{signal:?} at {at:?}");
        let World { sandbox, codex, .. } = world();
        let held = Held::at(at, &sandbox, &codex);
        let mut arguments = vec![
            "sync",
            "--all",
            "--json",
            "--config",
            "sync.respect_gitignore=true",
        ];
        let piped = sandbox.path(PIPED_CONFIG).display().to_string();
        if at == At::Config {
            arguments.extend(["--config-file", &piped]);
        }
        let child = sandbox.start(&arguments);
        let pipe = held.wait();
        send(&child, signal);
        if signal == Signal::KILL {
            // The child processes of the program end on their own.
            let status = child.wait_with_output().unwrap().status;
            assert!(!status.success(), "{case}");
            held.let_go(pipe);
            assert_whole(&sandbox, &codex, &case);
            // A clone whose creation was interrupted is removed after a day.
            for name in sandbox.leftovers() {
                if name.starts_with(".fractary-codex-making-") {
                    sandbox.age(&format!("tmp/{name}"));
                }
            }
        } else {
            if at.pushing() {
                // Without the test, the program would have continued after the signal.
                held.goes_on();
            }
            let output = ended(at, &sandbox, child, || held.let_go(pipe));
            assert_ended_by(signal, at, &output, &codex, &case);
            assert_eq!(
                assert_whole(&sandbox, &codex, &case),
                at.pushing(),
                "{case}"
            );
            assert_eq!(sandbox.leftovers(), [""; 0], "{case}");
        }
        assert_completed(&sandbox, &codex, &case, |arguments| sandbox.run(arguments));
    }
}

/// Waits until the program has ended. Before the push it must not wait for the server; during the
/// push it must.
fn ended(at: At, sandbox: &Sandbox, child: Child, let_go: impl FnOnce()) -> Output {
    let ends_by_itself = matches!(at, At::Step(Step::List | Step::Fetch, _));
    if ends_by_itself {
        let output = sandbox.ended(child);
        let_go();
        output
    } else {
        let_go();
        sandbox.ended(child)
    }
}

/// Asserts that the program exited with the status of the signal, and reported the result of the
/// push correctly.
#[track_caller]
fn assert_ended_by(signal: Signal, at: At, output: &Output, codex: &Codex, case: &str) {
    let code = 128 + signal.as_raw();
    let text = format!("{case}: {}{}", output.stdout, output.stderr);
    assert_eq!(output.code, Some(code), "{text}");
    let document = output.json();
    assert_eq!(
        (&document["exit_code"], &document["pushed"]),
        (&json!(code), &json!(at.pushing())),
        "{text}"
    );
    let statuses: Vec<_> = document["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["status"].clone())
        .collect();
    if at.pushing() {
        assert_eq!(
            document["remote"]["after"].as_str(),
            codex.tip().as_deref(),
            "{text}"
        );
        assert_eq!(statuses, ["synced", "synced"], "{text}");
    } else {
        assert_eq!(document["error"]["kind"], "interrupted", "{text}");
        assert!(
            document["error"]["message"]
                .as_str()
                .unwrap()
                .contains("nothing was pushed"),
            "{text}"
        );
        assert!(!statuses.contains(&json!("synced")), "{text}");
    }
}

#[test]
fn sigint_in_every_stage() {
    signal_in_every_stage(Signal::INT);
}

#[test]
fn sigterm_in_every_stage() {
    signal_in_every_stage(Signal::TERM);
}

#[test]
fn sighup_in_every_stage() {
    signal_in_every_stage(Signal::HUP);
}

#[test]
fn sigkill_in_every_stage() {
    signal_in_every_stage(Signal::KILL);
}

/// A stage of a sync over http.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Http(Stage),
    /// The query of the tip after the push.
    Verify,
}

/// The expected result of a network fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Nothing was pushed, and the error has this kind.
    Failed(&'static str),
    /// The response was lost, but the query showed that the push was accepted.
    Landed,
    /// The push was sent and its result is unknown; the error has this kind.
    Unknown(&'static str),
}

/// The response to the push was lost, and the branch does not contain it so far.
const NO_VERDICT: Expected = Expected::Unknown("no-verdict");
/// The push was accepted, but the query failed.
const UNVERIFIED: Expected = Expected::Unknown("unverified");

/// Repeats a fault in every stage of a sync over HTTP, for as long as the sync runs. `expected` are
/// the results.
fn fault_in_every_stage(reaction: &Reaction, expected: [Expected; 5]) {
    let stages = [
        Over::Http(Stage::ListToFetch),
        Over::Http(Stage::Fetch),
        Over::Http(Stage::ListToPush),
        Over::Http(Stage::Push),
        Over::Verify,
    ];
    for (stage, expected) in stages.into_iter().zip(expected) {
        let case = format!("{reaction:?} at {stage:?}");
        let World { sandbox, codex, .. } = world();
        let server = HttpServer::start(&sandbox.path(""), None);
        match stage {
            Over::Http(stage) => server.fail(stage, reaction.clone(), usize::MAX),
            Over::Verify => server.fail_after(Stage::Push, Stage::ListToFetch, reaction.clone()),
        }
        let finish = |arguments: &[&str], patience: &str| {
            let mut command = sandbox.program(arguments);
            command.env("FRACTARY_CODEX_REMOTE__URL", server.url("codex.git"));
            let timeout =
                format!("{{connect='{patience}', idle='{patience}', push_verdict='{patience}'}}");
            command.env("FRACTARY_CODEX_REMOTE__TIMEOUT", timeout);
            sandbox.finish(command)
        };
        // Only short if it has to expire, because the machine may be slow.
        let patience = if matches!(reaction, Reaction::Stall) {
            "1s"
        } else {
            "30s"
        };
        let output = finish(&["sync", "--all", "--json"], patience);
        let text = format!("{case}: {}{}", output.stdout, output.stderr);
        let document = output.json();
        let error = &document["error"];
        let (code, pushed) = match expected {
            Expected::Failed(kind) => {
                assert_eq!(error["kind"], kind, "{text}");
                (4, json!(false))
            }
            Expected::Landed => (0, json!(true)),
            Expected::Unknown(kind) => {
                assert_eq!(error["kind"], kind, "{text}");
                (4, Value::Null)
            }
        };
        assert_eq!(
            (output.code, &document["pushed"]),
            (Some(code), &pushed),
            "{text}"
        );
        assert!(
            code == 0
                || error["hints"]
                    .as_array()
                    .is_some_and(|hints| !hints.is_empty()),
            "{text}"
        );
        assert_eq!(sandbox.leftovers(), [""; 0], "{case}");
        let landed = [Expected::Landed, UNVERIFIED].contains(&expected);
        assert_eq!(assert_whole(&sandbox, &codex, &case), landed, "{text}");
        server.mend();
        assert_completed(&sandbox, &codex, &case, |arguments| {
            finish(arguments, "30s")
        });
    }
}

#[test]
fn connection_reset_in_every_stage() {
    let failed = Expected::Failed("server-failure");
    fault_in_every_stage(
        &Reaction::Reset,
        [failed, failed, failed, NO_VERDICT, UNVERIFIED],
    );
}

#[test]
fn stalled_server_in_every_stage() {
    let failed = Expected::Failed("timed-out");
    fault_in_every_stage(
        &Reaction::Stall,
        [failed, failed, failed, NO_VERDICT, UNVERIFIED],
    );
}

#[test]
fn truncated_response_in_every_stage() {
    let failed = Expected::Failed("server-failure");
    fault_in_every_stage(
        &Reaction::Truncate(200),
        [failed, failed, failed, Expected::Landed, UNVERIFIED],
    );
}

#[test]
fn invalid_response_in_every_stage() {
    let (failed, no_codex) = (
        Expected::Failed("server-failure"),
        Expected::Failed("not-git"),
    );
    fault_in_every_stage(
        &Reaction::Garbage,
        [no_codex, failed, no_codex, NO_VERDICT, UNVERIFIED],
    );
}

#[test]
fn unavailable_server_in_every_stage() {
    let failed = Expected::Failed("server-failure");
    fault_in_every_stage(
        &Reaction::Status(503, "later"),
        [failed, failed, failed, NO_VERDICT, UNVERIFIED],
    );
}

#[test]
fn lost_response_in_every_stage() {
    let failed = Expected::Failed("server-failure");
    fault_in_every_stage(
        &Reaction::LoseAnswer,
        [failed, failed, failed, Expected::Landed, UNVERIFIED],
    );
}
