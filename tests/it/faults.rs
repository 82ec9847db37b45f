//! The fault matrix: every stage of a sync, and what can happen to it there. Whatever it is, the codex is at its old
//! tip or holds whole commits, the exit status and the words are true, nothing is left behind, and the next sync does
//! what is left to do.

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
    "Sync 1 files from beta",
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

/// Nothing runs on, and the codex is sound: as it was, or with both commits.
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

/// Without the fault the next sync completes the job, and the one after that has nothing to do.
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

/// Where the program is when a signal comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It reads its configuration.
    Config,
    /// It walks a project.
    Scan,
    Step(Step, Moment),
    /// The server asks this hook.
    Hook(&'static str),
}

/// A pipe that is named as the configuration file.
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
    /// Whether the push is on its way, so that its verdict is awaited.
    fn pushing(self) -> bool {
        matches!(self, At::Hook(_) | At::Step(Step::Push | Step::Verify, _))
    }
}

/// What lets the held program go on.
enum Held {
    At(Gate),
    /// It reads from this pipe, which a test writes to.
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

    /// Waits until the program is held there.
    fn wait(&self) -> Option<std::fs::File> {
        match self {
            Held::At(gate) => {
                gate.wait();
                None
            }
            Held::Pipe(path, _) => {
                // Opens once somebody waits at the other end.
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

/// Ends the program with `signal` in every stage.
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
            // What the program had started ends on its own.
            let status = child.wait_with_output().unwrap().status;
            assert!(!status.success(), "{case}");
            held.let_go(pipe);
            assert_whole(&sandbox, &codex, &case);
        } else {
            if at.pushing() {
                // What the signal ended would not go on standing there.
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

/// Waits until the program has ended: before the push it must not wait for the other side, at the verdict it must.
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

/// The program has ended with the signal's status and says truly what became of the push.
#[track_caller]
fn assert_ended_by(signal: Signal, at: At, output: &Output, codex: &Codex, case: &str) {
    let code = 128 + signal.as_raw();
    let told = format!("{case}: {}{}", output.stdout, output.stderr);
    assert_eq!(output.code, Some(code), "{told}");
    let document = output.json();
    assert_eq!(
        (&document["exit_code"], &document["pushed"]),
        (&json!(code), &json!(at.pushing())),
        "{told}"
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
            "{told}"
        );
        assert_eq!(statuses, ["synced", "synced"], "{told}");
    } else {
        assert_eq!(document["error"]["kind"], "interrupted", "{told}");
        assert!(
            document["error"]["message"]
                .as_str()
                .unwrap()
                .contains("nothing was pushed"),
            "{told}"
        );
        assert!(!statuses.contains(&json!("synced")), "{told}");
    }
}

#[test]
fn interrupted_from_the_keyboard_in_every_stage() {
    signal_in_every_stage(Signal::INT);
}

#[test]
fn asked_to_end_in_every_stage() {
    signal_in_every_stage(Signal::TERM);
}

#[test]
fn hung_up_in_every_stage() {
    signal_in_every_stage(Signal::HUP);
}

#[test]
fn killed_in_every_stage() {
    signal_in_every_stage(Signal::KILL);
}

/// A stage of a sync over http.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Http(Stage),
    /// Asking for the tip after the push.
    Verify,
}

/// What a fault of the network comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// Nothing landed, and the error is of this kind.
    Failed(&'static str),
    /// The answer was lost, but asking showed that the push landed.
    Landed,
    /// The push was sent, and nobody can say what becomes of it: this kind of error tells why.
    Unknown(&'static str),
}

/// The answer to the push got lost, and it is not there so far.
const NO_VERDICT: Comes = Comes::Unknown("no-verdict");
/// The push landed, but nobody could be asked.
const UNVERIFIED: Comes = Comes::Unknown("unverified");

/// The same fault in every stage of a sync over http, as long as the sync runs; `comes` is what it comes to.
fn fault_in_every_stage(reaction: &Reaction, comes: [Comes; 5]) {
    let stages = [
        Over::Http(Stage::ListToFetch),
        Over::Http(Stage::Fetch),
        Over::Http(Stage::ListToPush),
        Over::Http(Stage::Push),
        Over::Verify,
    ];
    for (stage, comes) in stages.into_iter().zip(comes) {
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
        // Short only where it is to run out: the machine may be slow.
        let patience = if matches!(reaction, Reaction::Stall) {
            "1s"
        } else {
            "30s"
        };
        let output = finish(&["sync", "--all", "--json"], patience);
        let told = format!("{case}: {}{}", output.stdout, output.stderr);
        let document = output.json();
        let error = &document["error"];
        let (code, pushed) = match comes {
            Comes::Failed(kind) => {
                assert_eq!(error["kind"], kind, "{told}");
                (4, json!(false))
            }
            Comes::Landed => (0, json!(true)),
            Comes::Unknown(kind) => {
                assert_eq!(error["kind"], kind, "{told}");
                (4, Value::Null)
            }
        };
        assert_eq!(
            (output.code, &document["pushed"]),
            (Some(code), &pushed),
            "{told}"
        );
        assert!(
            code == 0
                || error["hints"]
                    .as_array()
                    .is_some_and(|hints| !hints.is_empty()),
            "{told}"
        );
        assert_eq!(sandbox.leftovers(), [""; 0], "{case}");
        let landed = [Comes::Landed, UNVERIFIED].contains(&comes);
        assert_eq!(assert_whole(&sandbox, &codex, &case), landed, "{told}");
        server.mend();
        assert_completed(&sandbox, &codex, &case, |arguments| {
            finish(arguments, "30s")
        });
    }
}

#[test]
fn connections_are_reset_in_every_stage() {
    let failed = Comes::Failed("server-failure");
    fault_in_every_stage(
        &Reaction::Reset,
        [failed, failed, failed, NO_VERDICT, UNVERIFIED],
    );
}

#[test]
fn the_server_stalls_in_every_stage() {
    let failed = Comes::Failed("timed-out");
    fault_in_every_stage(
        &Reaction::Stall,
        [failed, failed, failed, NO_VERDICT, UNVERIFIED],
    );
}

#[test]
fn answers_are_cut_off_in_every_stage() {
    let failed = Comes::Failed("server-failure");
    fault_in_every_stage(
        &Reaction::Truncate(200),
        [failed, failed, failed, Comes::Landed, UNVERIFIED],
    );
}

#[test]
fn answers_are_garbage_in_every_stage() {
    let (failed, no_codex) = (Comes::Failed("server-failure"), Comes::Failed("not-git"));
    fault_in_every_stage(
        &Reaction::Garbage,
        [no_codex, failed, no_codex, NO_VERDICT, UNVERIFIED],
    );
}

#[test]
fn the_server_cannot_answer_in_any_stage() {
    let failed = Comes::Failed("server-failure");
    fault_in_every_stage(
        &Reaction::Status(503, "later"),
        [failed, failed, failed, NO_VERDICT, UNVERIFIED],
    );
}

#[test]
fn answers_are_lost_after_the_work_in_every_stage() {
    let failed = Comes::Failed("server-failure");
    fault_in_every_stage(
        &Reaction::LoseAnswer,
        [failed, failed, failed, Comes::Landed, UNVERIFIED],
    );
}
