//! What a person sees on a terminal: progress, transcripts at several widths, and questions.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::forge::{Forge, Kind};
use crate::support::gate::Gate;
use crate::support::{Sandbox, World, masked, wait_until};

#[test]
fn progress_says_what_a_push_waits_for() {
    let World { sandbox, codex, .. } = World::new();
    if !sandbox.has_terminals() {
        return;
    }
    let gate = Gate::new(&sandbox);
    let words = r"printf 'checking \033[31m12 policies\n'";
    codex.hook("pre-receive", &format!("{words}\n{}", gate.script()));
    let mut child = sandbox
        .on_terminal(100, "sync --all")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    let shown = Arc::new(Mutex::new(String::new()));
    let mut output = child.stdout.take().unwrap();
    let reader = thread::spawn({
        let shown = shown.clone();
        move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                shown.lock().unwrap().push_str(&text);
            }
        }
    });
    let awaited = r"checking \u{1b}[31m12 policies";
    wait_until("the line of the hook is shown", || {
        let shown = shown.lock().unwrap();
        shown.contains("waiting for the server") && shown.contains(awaited)
    });
    gate.open();
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();

    let shown = shown.lock().unwrap();
    let (_, end) = shown.rsplit_once("waiting for the server").unwrap();
    let (line, end) = end.split_once("\u{1b}[2K").unwrap();
    assert!(!line.contains('\n') && !end.contains("waiting"), "{shown}");
    assert!(end.contains("synced"), "{shown}");
}

/// What a command shows, without what differs between two runs.
fn shown(sandbox: &Sandbox, command: Command, arguments: &str, code: i32) -> String {
    let output = sandbox.finish(command).code(code).shown().replace('\r', "");
    let output = output.strip_suffix("---\n").unwrap_or(&output);
    let mut shown = format!("$ fractary-codex {arguments}\n");
    for line in masked(output).lines() {
        // The duration always has as many characters.
        let line = match line.find(" in ").map(|at| line.split_at(at + 4)) {
            Some((start, end)) if end.starts_with(|c: char| c.is_ascii_digit()) => {
                format!("{start}0.0{}", &end[3..])
            }
            _ => line.to_owned(),
        };
        writeln!(shown, "{line}").unwrap();
    }
    shown
}

#[test]
fn help_fits_80_columns() {
    let sandbox = Sandbox::new();
    if !sandbox.has_terminals() {
        return;
    }
    for command in [
        "sync",
        "status",
        "init",
        "trace",
        "log",
        "fetch",
        "plan",
        "plan show",
        "retire",
        "rename",
    ] {
        let help = sandbox.finish(sandbox.on_terminal(80, &format!("{command} --help")));
        let help = help.code(0).stdout.replace('\r', "");
        let long: Vec<_> = help
            .lines()
            .filter(|line| line.chars().count() > 80)
            .collect();
        assert!(long.is_empty(), "{command}: {long:#?}");
        insta::assert_snapshot!(format!("help-{}", command.replace(' ', "-")), help);
    }
}

#[test]
fn log_lines_are_wrapped_on_a_terminal_only() {
    let World { sandbox, .. } = World::new();
    if !sandbox.has_terminals() {
        return;
    }
    let words = |text: &str| -> Vec<String> {
        // The clone has another name in each run.
        let words = text
            .split_whitespace()
            .filter(|word| !word.contains("/tmp/"));
        words.map(str::to_owned).collect()
    };
    let columns = 60;
    let arguments = "-v sync --all --dry-run";
    let terminal = sandbox.finish(sandbox.on_terminal(columns, arguments));
    let terminal = terminal.code(0).stdout.replace('\r', "");
    let outside = |line: &str| line.trim().split('`').step_by(2).collect::<String>();
    let is_too_long =
        |line: &&str| line.chars().count() > columns && outside(line).trim().contains(' ');
    let long: Vec<_> = terminal.lines().filter(is_too_long).collect();
    assert!(long.is_empty(), "{long:#?}\n{terminal}");
    assert!(terminal.contains("\n  "), "{terminal}");

    // In a pipe, each is one line with the same words.
    let piped = sandbox
        .run(&arguments.split(' ').collect::<Vec<_>>())
        .code(0);
    let is_logged = |line: &str| line.starts_with("info: ");
    assert!(piped.stderr.lines().all(is_logged), "{}", piped.stderr);
    let logged = words(&piped.stderr);
    assert_eq!(words(&terminal)[..logged.len()], logged);
}

#[test]
fn transcripts_fit_the_terminal() {
    let names = ["api", "billing-and-invoices-of-all-regions", "gone", "web"];
    let World { sandbox, codex, .. } = World::builder()
        .projects(&names)
        .files(&[
            ("api/README.md", "api"),
            ("api/docs/a.md", "a"),
            ("billing-and-invoices-of-all-regions/README.md", "billing"),
            ("gone/README.md", "gone"),
            ("web/README.md", "web"),
        ])
        .empty_codex()
        .server(None)
        .build();
    if !sandbox.has_terminals() {
        return;
    }
    let forge = Forge::start(Kind::GitHub, codex.path());
    let reset = || {
        for branch in ["main", "codex-sync/ws"] {
            sandbox.git(
                codex.path(),
                &["update-ref", "-d", &format!("refs/heads/{branch}")],
            );
        }
    };

    for columns in [40, 60, 80, 120, 200] {
        let mut transcript = String::new();
        let mut show = |arguments: &str, variables: Vec<(&str, String)>, code| {
            let mut command = sandbox.on_terminal(columns, &format!("--no-progress {arguments}"));
            command.envs(variables);
            writeln!(transcript, "{}", shown(&sandbox, command, arguments, code)).unwrap();
        };
        sandbox.write("ws/gone/README.md", "gone");
        show("sync --all --dry-run", Vec::new(), 0);
        show("sync --all", Vec::new(), 0);
        sandbox.write("ws/api/docs/a.md", columns.to_string());
        sandbox.remove("ws/gone/README.md");
        sandbox.write("ws/billing-and-invoices-of-all-regions/README.md", "");
        codex.hook(
            "pre-receive",
            "echo 'documents are frozen until Monday'; exit 1",
        );
        show("sync -p api", Vec::new(), 5);
        std::fs::remove_file(codex.path().join("hooks/pre-receive")).unwrap();
        show("sync --all --max-delete 0", Vec::new(), 1);
        sandbox.write("ws/web/README.md", columns.to_string());
        show("sync -p web", forge.variables(), 0);
        let doctor = sandbox.on_terminal(columns, "doctor");
        // It contains the free space of the disk, which differs between runs.
        let doctor = shown(&sandbox, doctor, "doctor", 0);
        reset();
        let lines = transcript.lines().chain(doctor.lines());
        let long = lines.filter(|line| line.chars().count() > columns);
        // What can be copied may be longer, as may lines of the server, and the paths of a plan.
        let verbatim = ["$ ", "  remote: ", "  added ", "  modified ", "  deleted "];
        let is_verbatim = |line: &&str| verbatim.iter().any(|start| line.starts_with(start));
        let outside = |line: &str| line.trim().split('`').step_by(2).collect::<String>();
        let long: Vec<_> = long
            .filter(|line| !is_verbatim(line) && outside(line).contains(' '))
            .collect();
        assert!(long.is_empty(), "{columns}: {long:#?}");
        insta::assert_snapshot!(format!("terminal-{columns}"), transcript);
    }
}

#[test]
fn init_asks_for_what_it_cannot_find() {
    let sandbox = Sandbox::with_default_transport();
    if !sandbox.has_terminals() {
        return;
    }
    for checkout in ["api", "web"] {
        sandbox.write(&format!("ws/{checkout}/README.md"), "x");
        sandbox.git(&sandbox.path(&format!("ws/{checkout}")), &["init", "-q"]);
    }
    let answer = |answers: &str, code: i32| {
        let mut command = sandbox.on_terminal(80, "init");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(answers.as_bytes()).unwrap();
        drop(input);
        sandbox.ended(child).code(code).stdout
    };
    let config = sandbox.path("ws/.fractary/config.yaml");
    let written = || std::fs::read_to_string(&config).unwrap_or_default();

    // Without an answer, nothing is written.
    let shown = answer("", 2);
    assert!(shown.contains("no answer; nothing was written"), "{shown}");
    assert_eq!(written(), "");

    // An invalid number is asked for again.
    let shown = answer("7\n2\nacme\n", 0);
    for text in [
        "What are the projects in this directory?",
        "  1. 2 checkouts",
        "  2. one directory: 1 project",
        "Number (1 to 2) [1]:",
        "Organization (owner of the codex's repository):",
        "organization: acme (from your answer)",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert_eq!(shown.matches("Number (1 to 2) [1]:").count(), 2, "{shown}");
    assert!(written().contains("organization: acme"), "{}", written());

    // The defaults, without an organization.
    std::fs::remove_file(&config).unwrap();
    let shown = answer("\n\n", 0);
    assert!(
        shown.contains("could not detect the organization"),
        "{shown}"
    );
    assert!(written().contains("members:"), "{}", written());
}
