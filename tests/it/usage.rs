//! Errors in the command line, and their messages.

use crate::support::Sandbox;

#[test]
fn similar_project_name_is_suggested() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["billing"], "");
    let output = sandbox.run(&["sync", "biling"]).code(2);
    assert_eq!(
        output.stderr,
        "error: there is no project `biling`\n  hint: did you mean `billing`?\n"
    );
}

#[test]
fn project_of_the_current_directory_is_the_default() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    sandbox.write("ws/alpha/docs/deep/a.md", "a");
    sandbox.write("ws/beta/README.md", "b");
    sandbox.run(&["-C", "alpha/docs/deep", "sync"]).code(0);
    assert_eq!(codex.subjects(), ["Sync 1 file from alpha"]);
}

#[test]
fn directory_of_a_project_selects_it() {
    let sandbox = Sandbox::new();
    sandbox.workspace(
        &["alpha"],
        "    api: { root: services/api }\n    beta.v2: { root: link }\n",
    );
    for path in [
        "alpha/docs/a.md",
        "services/api/README.md",
        "elsewhere/README.md",
    ] {
        sandbox.write(&format!("ws/{path}"), path);
    }
    std::os::unix::fs::symlink("elsewhere", sandbox.path("ws/link")).unwrap();
    let absolute = sandbox.path("ws/alpha").display().to_string();
    for (directory, selection, name) in [
        (".", "./alpha", "alpha"),
        (".", "alpha/", "alpha"),
        (".", "./services/../services/api/", "api"),
        (".", absolute.as_str(), "alpha"),
        (".", "./elsewhere", "beta.v2"),
        (".", "./link", "beta.v2"),
        ("alpha", ".", "alpha"),
        ("alpha/docs", "..", "alpha"),
        ("alpha", "../services/api", "api"),
    ] {
        for arguments in [
            &["status", "-p", selection][..],
            &["sync", "--dry-run", "-p", selection],
            &["sync", "--dry-run", selection],
        ] {
            let arguments = [&["-C", directory], arguments, &["--json"]].concat();
            let document = sandbox.run(&arguments).code(0).json();
            let projects = document["projects"].as_array().unwrap();
            let names: Vec<_> = projects.iter().map(|project| &project["name"]).collect();
            assert_eq!(names, [name], "{arguments:?}");
        }
    }

    // A directory that is not exactly one project's root selects none.
    for (selection, hint) in [
        ("./alpha/docs", "did you mean `alpha`?"),
        ("./services", "the projects are `alpha`, `api`, `beta.v2`"),
        ("./none", "the projects are `alpha`, `api`, `beta.v2`"),
    ] {
        let stderr = sandbox.run(&["sync", "-p", selection]).code(2).stderr;
        let message = format!("error: there is no project `{selection}`\n");
        assert!(
            stderr.starts_with(&message) && stderr.contains(hint),
            "{stderr}"
        );
    }
}

#[test]
fn rejected_push_shows_the_message_of_the_server() {
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
fn two_names_without_an_option_are_rejected() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha", "beta"], "");
    let output = sandbox.run(&["sync", "alpha", "beta"]).code(2);
    let expected = "error: `sync` accepts only one project name without `-p`
  hint: select several with `-p`: `fractary-codex sync -p alpha -p beta`
";
    assert_eq!(output.stderr, expected);
}

#[test]
fn paths_that_differ_only_in_case_folding_overlap() {
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
fn branch_of_the_first_sync_is_used_by_the_next_one() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    // `git init --bare` with its defaults: HEAD names a branch that no sync creates.
    codex.git(&["symbolic-ref", "HEAD", "refs/heads/master"]);
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write("ws/alpha/README.md", "again");
    sandbox.run(&["doctor"]).code(0);
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.subjects().len(), 2);
}

/// The JSON document of a usage error.
fn rejected(sandbox: &Sandbox, arguments: &[&str]) -> serde_json::Value {
    let document = sandbox.run(arguments).code(2).json();
    assert_eq!(
        (&document["error"]["kind"], &document["exit_code"]),
        (&"usage".into(), &2.into())
    );
    document
}

#[test]
fn usage_error_document_contains_the_full_message() {
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
        assert_eq!(rejected(&sandbox, arguments)["error"]["message"], message);
    }
    let hints = &rejected(&sandbox, &["sync", "--json", "--dry-rum"])["error"]["hints"];
    assert!(
        hints[0].as_str().unwrap().contains("'--dry-run'"),
        "{hints}"
    );
    let text = sandbox
        .run(&["sync", "--direction", "sideways"])
        .code(2)
        .stderr;
    assert!(
        text.contains("[possible values: to-codex, from-codex, bidirectional]"),
        "{text}"
    );
}

#[test]
fn usage_error_document_has_the_form_of_its_command() {
    let sandbox = Sandbox::new();
    for command in ["sync", "status"] {
        assert_eq!(
            rejected(&sandbox, &["-C", "sync", command, "--json", "--bogus"])["command"],
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
        let document = rejected(&sandbox, &[command, &["--json", "--bogus"]].concat());
        let fields: Vec<_> = document.as_object().unwrap().keys().collect();
        assert_eq!(
            fields,
            ["schema_version", "error", "exit_code"],
            "{command:?}"
        );
    }
}

#[test]
fn reserved_flags_have_their_own_error() {
    let sandbox = Sandbox::new();
    let message = "`--watch` is reserved for a later version";
    assert_eq!(
        sandbox.run(&["sync", "--watch"]).code(2).stderr,
        format!("error: {message}\n")
    );
    assert_eq!(
        rejected(&sandbox, &["sync", "--watch", "--json"])["error"]["message"],
        message
    );
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
fn help_names_a_variable_only_if_it_means_the_same_as_the_flag() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["sync", "--help"]).code(0).stdout;
    // The head of an entry is followed by its text, with a blank line after it.
    let entries = help.split("\n\n").filter_map(|entry| {
        let entry = &entry[entry.find("      --")?..];
        let (head, text) = entry.split_once('\n')?;
        Some((head.trim(), text))
    });
    let flags = entries.filter(|(head, text)| !head.contains('<') && text.contains("[env:"));
    let flags: Vec<_> = flags.map(|(head, _)| head).collect();
    assert_eq!(flags, ["--prune"], "{help}");
}

#[test]
fn help_works_at_every_level() {
    let sandbox = Sandbox::new();
    for path in [&["sync"][..], &["cache"], &["cache", "list"]] {
        let expected = sandbox.run(&[path, &["--help"]].concat()).code(0).stdout;
        for prefix in [&["help"][..], &["codex", "help"]] {
            let shown = sandbox.run(&[prefix, path].concat()).code(0).stdout;
            assert_eq!(shown, expected, "{prefix:?} {path:?}");
        }
    }
}

#[test]
fn invalid_log_filter_is_a_warning() {
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
fn values_for_commits_must_not_be_empty() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    for id in ["X\nCodex-Project: evil", "X\r", "X\u{1b}[31m", "", " "] {
        let text = sandbox
            .run(&["sync", "--all", "--work-id", id])
            .code(2)
            .stderr;
        assert_eq!(
            text,
            "error: `--work-id` must be one line of text without control characters\n"
        );
    }
    for message in ["", " \n"] {
        let text = sandbox
            .run(&["sync", "--all", "--message", message])
            .code(2)
            .stderr;
        assert_eq!(text, "error: `--message` must not be empty\n");
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
fn empty_project_name_is_rejected() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    for arguments in [
        &["sync", "-p", ""][..],
        &["status", "-p", ""],
        &["cache", "list", "-p", ""],
    ] {
        let text = sandbox.run(arguments).code(2).stderr;
        assert!(
            text.contains("a value is required for '--project <NAME>' but none was supplied"),
            "{text}"
        );
    }
}

#[test]
fn file_is_rejected_as_the_working_directory() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/file", "");
    for command in [&["sync", "--all"][..], &["config", "show"], &["init"]] {
        let text = sandbox
            .run(&[&["-C", "file"], command].concat())
            .code(2)
            .stderr;
        assert!(
            text.contains("file` as the directory: not a directory"),
            "{text}"
        );
    }
}

#[test]
fn absolute_directory_works_from_a_deleted_directory() {
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
