//! Completion at the prompt of bash, as a person types: with the tab key, quotes, `~` and files.

use std::path::Path;

use crate::support::{Sandbox, ShellSession, World};

/// The words of a line as the program would get them, each in brackets, without the last bracket.
fn words(shell: &mut ShellSession, sandbox: &Sandbox, line: &str) -> String {
    // Control-A goes to the start of the line, so that the words are printed instead of used.
    let shown = shell.run(&format!("{line}\u{1}printf '[%s]' "));
    let words = shown.lines().find(|line| line.starts_with("[fractary"));
    let words = words.unwrap_or_else(|| panic!("{line:?}: {shown}"));
    let (words, _) = words.rsplit_once(']').unwrap();
    words.replace(&sandbox.path("home").display().to_string(), "HOME")
}

#[test]
fn bash_completes_what_is_typed() {
    let World { sandbox, .. } = World::builder().projects(&["alpha"]).build();
    if !sandbox.has_terminals() {
        return;
    }
    let other =
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects: { billing-api: {} }\n";
    sandbox.write("home/my docs/.fractary/config.yaml", other);
    sandbox.write("ws/plans/next plan.json", "{}");
    let script = sandbox.run(&["completions", "bash"]).code(0).stdout;
    sandbox.write("completion", script);
    let programs = Path::new(env!("CARGO_BIN_EXE_fractary-codex")).parent();
    let programs = programs.unwrap().display();

    let mut shell = ShellSession::start(&sandbox);
    shell.run(&format!("PATH={programs}:$PATH; source ../completion"));
    for (line, expected) in [
        (
            "fractary-codex sync -p al\t",
            "[fractary-codex][sync][-p][alpha",
        ),
        (
            "fractary-codex sync -p 'al\t",
            "[fractary-codex][sync][-p][alpha",
        ),
        (
            "fractary-codex -C ~/my\\ docs sync -p bil\t",
            "[fractary-codex][-C][HOME/my docs][sync][-p][billing-api",
        ),
        (
            "fractary-codex -C \"../home/my docs\" sync -p bil\t",
            "[fractary-codex][-C][../home/my docs][sync][-p][billing-api",
        ),
        (
            "fractary codex -C '../home/my docs' log -p bil\t",
            "[fractary][codex][-C][../home/my docs][log][-p][billing-api",
        ),
        // A value follows without a space.
        (
            "fractary-codex --config remote.br\tnext status",
            "[fractary-codex][--config][remote.branch=next][status",
        ),
        (
            "fractary-codex status --config=remote.br\tnext",
            "[fractary-codex][status][--config=remote.branch=next",
        ),
        // Paths are completed by the shell, also where nothing is typed yet.
        (
            "fractary-codex plan show plans/\t",
            "[fractary-codex][plan][show][plans/next plan.json",
        ),
        (
            "fractary-codex sync --plan pl\tne\t",
            "[fractary-codex][sync][--plan][plans/next plan.json",
        ),
        (
            "fractary-codex trace al\tR\t",
            "[fractary-codex][trace][alpha/README.md",
        ),
    ] {
        assert_eq!(words(&mut shell, &sandbox, line), expected, "{line:?}");
    }
    shell.run("cd plans");
    for (line, expected) in [
        (
            "fractary-codex plan show \t",
            "[fractary-codex][plan][show][next plan.json",
        ),
        (
            "fractary-codex trace \t",
            "[fractary-codex][trace][next plan.json",
        ),
    ] {
        assert_eq!(words(&mut shell, &sandbox, line), expected, "{line:?}");
    }
}
