//! Wrong input, and what a user reads then.

use crate::support::Sandbox;

#[test]
fn a_close_name_is_suggested() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["billing"], "");
    let output = sandbox.run(&["sync", "biling"]).code(2);
    assert_eq!(
        output.stderr,
        "error: there is no project `biling`\n  hint: did you mean `billing`?\n"
    );
}

#[test]
fn the_project_around_the_current_directory_is_meant() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    sandbox.write("ws/alpha/docs/deep/a.md", "a");
    sandbox.write("ws/beta/README.md", "b");
    sandbox.run(&["-C", "alpha/docs/deep", "sync"]).code(0);
    assert_eq!(codex.subjects(), ["Sync 1 files from alpha"]);
}

#[test]
fn a_declined_push_is_told_in_the_servers_words() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    codex.hook(
        "pre-receive",
        "echo 'GL-HOOK: documents are frozen' >&2; exit 1",
    );
    sandbox.write("ws/alpha/README.md", "alpha");
    let output = sandbox.run(&["sync", "--all"]).code(5);
    insta::assert_snapshot!(output.shown());
    assert_eq!(codex.tip(), None);
}

#[test]
fn two_names_are_no_name_and_something_to_pass_over() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha", "beta"], "");
    let output = sandbox.run(&["sync", "alpha", "beta"]).code(2);
    let expected = "error: `sync` accepts only one project name without `-p`
  hint: select several with `-p`: `fractary-codex sync -p alpha -p beta`
";
    assert_eq!(output.stderr, expected);
}

#[test]
fn places_that_some_file_systems_merge_are_one() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&[], "");
    let mut command = sandbox.program(&["config", "validate"]);
    command.env(
        "FRACTARY_CODEX_PROJECTS",
        "{ a = { root = '.', to = 'ΟΔΟΣ' }, b = { root = '.', to = 'οδοσ' } }",
    );
    let output = sandbox.finish(command).code(3);
    assert!(
        output
            .stderr
            .contains("differ only in case or Unicode form"),
        "{}",
        output.stderr
    );
}

#[test]
fn what_the_first_sync_makes_the_next_one_finds() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    // As `git init --bare` makes it where nobody said otherwise: HEAD names a branch that no sync makes.
    codex.git(&["symbolic-ref", "HEAD", "refs/heads/master"]);
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write("ws/alpha/README.md", "again");
    sandbox.run(&["doctor"]).code(0);
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.subjects().len(), 2);
}

/// The document of wrong usage.
fn refused(sandbox: &Sandbox, arguments: &[&str]) -> serde_json::Value {
    let document = sandbox.run(arguments).code(2).json();
    assert_eq!(
        (&document["error"]["kind"], &document["exit_code"]),
        (&"usage".into(), &2.into())
    );
    document
}

#[test]
fn a_document_says_all_that_is_wrong_with_a_command_line() {
    let sandbox = Sandbox::new();
    for (arguments, message) in [
        (
            &["sync", "--json", "--offline"][..],
            "the following required arguments were not provided: --dry-run",
        ),
        (
            &["sync", "--direction", "sideways", "--json"],
            "invalid value 'sideways' for '--direction <DIR>' \
             [possible values: to-codex, from-codex, bidirectional]",
        ),
        (
            &["sync", "--json", "--to-codex", "--from-codex"],
            "the argument '--to-codex' cannot be used with '--from-codex'",
        ),
    ] {
        assert_eq!(refused(&sandbox, arguments)["error"]["message"], message);
    }
    let hints = &refused(&sandbox, &["sync", "--json", "--dry-rum"])["error"]["hints"];
    assert!(
        hints[0].as_str().unwrap().contains("'--dry-run'"),
        "{hints}"
    );
    let told = sandbox
        .run(&["sync", "--direction", "sideways"])
        .code(2)
        .stderr;
    assert!(
        told.contains("[possible values: to-codex, from-codex, bidirectional]"),
        "{told}"
    );
}

#[test]
fn a_document_of_wrong_usage_is_that_of_its_command() {
    let sandbox = Sandbox::new();
    for command in ["sync", "status"] {
        assert_eq!(
            refused(&sandbox, &["-C", "sync", command, "--json", "--bogus"])["command"],
            command
        );
    }
    for command in [
        &["projects"][..],
        &["doctor"],
        &["config", "show"],
        &["cache", "list"],
        &[],
    ] {
        let document = refused(&sandbox, &[command, &["--json", "--bogus"]].concat());
        let fields: Vec<_> = document.as_object().unwrap().keys().collect();
        assert_eq!(
            fields,
            ["schema_version", "error", "exit_code"],
            "{command:?}"
        );
    }
}

#[test]
fn flags_of_later_versions_are_told_apart_from_unknown_ones() {
    let sandbox = Sandbox::new();
    for flag in [
        "--shard=1/2",
        "--changed-since",
        "--plan",
        "--plan-out",
        "--expect",
        "--watch",
    ] {
        let message = format!(
            "`{}` is reserved for a later version",
            flag.split('=').next().unwrap()
        );
        assert_eq!(
            sandbox.run(&["sync", flag]).code(2).stderr,
            format!("error: {message}\n")
        );
        assert_eq!(
            refused(&sandbox, &["sync", flag, "--json"])["error"]["message"],
            message
        );
    }
    assert!(
        !sandbox
            .run(&["sync", "--help"])
            .code(0)
            .stdout
            .contains("--watch")
    );
    assert!(
        sandbox
            .run(&["status", "--watch"])
            .code(2)
            .stderr
            .contains("unexpected argument")
    );
}

#[test]
fn a_filter_of_logs_that_cannot_be_read_is_told() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    let mut command = sandbox.program(&["config", "path"]);
    command.env("FRACTARY_CODEX_LOG", "fractary_codex=loud");
    let output = sandbox.finish(command).code(0);
    assert!(
        output
            .stderr
            .starts_with("warning: invalid `FRACTARY_CODEX_LOG`, ignored: "),
        "{}",
        output.stderr
    );
}

#[test]
fn texts_for_commits_are_one_line_and_say_something() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    for id in ["X\nCodex-Project: evil", "X\r", "X\u{1b}[31m", "", " "] {
        let told = sandbox
            .run(&["sync", "--all", "--work-id", id])
            .code(2)
            .stderr;
        assert_eq!(
            told,
            "error: `--work-id` must be one line of text without control characters\n"
        );
    }
    for message in ["", " \n"] {
        let told = sandbox
            .run(&["sync", "--all", "--message", message])
            .code(2)
            .stderr;
        assert_eq!(told, "error: `--message` must not be empty\n");
    }
    assert_eq!(codex.tip(), None);
    sandbox
        .run(&["sync", "--all", "--work-id", "WORK 12 / \u{e9}"])
        .code(0);
    let message = codex.git(&["log", "-1", "--format=%B", "main"]);
    assert!(
        message.ends_with("\nCodex-Work-Id: WORK 12 / \u{e9}\n\n"),
        "{message:?}"
    );
}

#[test]
fn names_that_are_empty_name_nothing() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    for arguments in [
        &["sync", "-p", ""][..],
        &["status", "-p", ""],
        &["cache", "list", "-p", ""],
    ] {
        let told = sandbox.run(arguments).code(2).stderr;
        assert!(
            told.contains("a value is required for '--project <NAME>' but none was supplied"),
            "{told}"
        );
    }
}

#[test]
fn a_file_is_no_place_to_work_in() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/file", "");
    for command in [&["sync", "--all"][..], &["config", "show"], &["init"]] {
        let told = sandbox
            .run(&[&["-C", "file"], command].concat())
            .code(2)
            .stderr;
        assert!(
            told.contains("file` as the directory: not a directory"),
            "{told}"
        );
    }
}

#[test]
fn from_a_deleted_directory_an_absolute_directory_works() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    let from_nowhere = |arguments: &[&str]| {
        let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$@\"";
        let mut command = sandbox.command("sh");
        command
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_fractary-codex")])
            .args(arguments);
        sandbox.finish(command)
    };

    for arguments in [
        &["sync", "--all"][..],
        &["-C", "alpha", "sync"],
        &["-C", ".", "doctor"],
    ] {
        let refused = from_nowhere(arguments).code(2);
        let shown = refused.stdout + &refused.stderr;
        assert!(
            shown.contains("the current directory cannot be used") && shown.contains("hint: "),
            "{shown}"
        );
    }
    let workspace = sandbox.path("ws").display().to_string();
    from_nowhere(&["-C", &workspace, "sync", "--all"]).code(0);
    assert_eq!(codex.file("projects/alpha/README.md"), "alpha");
}
