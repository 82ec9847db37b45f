//! The output for people, pipes and programs.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Sandbox, World};

/// Two projects with files to publish, and an empty codex.
fn world() -> World {
    World::builder()
        .projects(&["alpha", "beta"])
        .files(&[
            ("alpha/docs/a.md", "a"),
            ("alpha/README.md", "alpha"),
            ("beta/README.md", "beta"),
        ])
        .empty_codex()
        .build()
}

#[test]
fn transcripts() {
    let World { sandbox, codex, .. } = world();
    let show = |name: &str, arguments: &[&str], code: i32| {
        insta::assert_snapshot!(name, sandbox.run(arguments).code(code).shown());
    };
    show("dry-run", &["sync", "--all", "--dry-run"], 0);
    show("first-sync", &["sync", "--all"], 0);
    show("nothing-to-do", &["sync", "--all"], 0);
    sandbox.write("ws/alpha/docs/a.md", "changed");
    show("status", &["status", "--all"], 0);
    sandbox.remove("ws/beta");
    show("partial-failure", &["sync", "--all"], 1);
    sandbox.write("ws/beta/README.md", "beta");
    sandbox.write("ws/alpha/docs/a.md", "again");
    codex.hook(
        "pre-receive",
        "echo 'documents are frozen until Monday' >&2; exit 1",
    );
    show("declined", &["sync", "--all"], 5);
    show("help-short", &["sync", "-h"], 0);
    show("help", &["--help"], 0);
}

#[test]
fn short_help_fits_a_screen() {
    let World { sandbox, .. } = world();
    for arguments in [
        &["-h"][..],
        &["sync", "-h"],
        &["status", "-h"],
        &["doctor", "-h"],
    ] {
        let lines = sandbox.run(arguments).code(0).stdout.lines().count();
        assert!(lines <= 40, "{arguments:?}: {lines} lines");
    }
}

#[test]
fn check_exits_6_if_anything_is_out_of_date() {
    let World { sandbox, codex, .. } = world();
    let before = (sandbox.fingerprint("ws"), sandbox.fingerprint("codex.git"));
    sandbox.run(&["status", "--all", "--check"]).code(6);
    assert_eq!(
        (sandbox.fingerprint("ws"), sandbox.fingerprint("codex.git")),
        before
    );
    sandbox.run(&["status", "--all"]).code(0);
    sandbox.run(&["sync", "--all"]).code(0);
    let document = sandbox
        .run(&["status", "--all", "--check", "--json"])
        .code(0)
        .json();
    assert_eq!(
        (&document["command"], &document["dry_run"]),
        (&"status".into(), &true.into())
    );
    sandbox
        .run(&["status", "--all", "--check", "--offline"])
        .code(0);
    // A failed project takes precedence over one that is out of date.
    sandbox.write("ws/alpha/docs/new.md", "new");
    sandbox.remove("ws/beta");
    sandbox.run(&["status", "--all", "--check"]).code(1);
    assert_eq!(codex.subjects().len(), 2);
}

#[test]
fn ndjson_has_one_event_per_line_and_the_document_last() {
    let World { sandbox, codex, .. } = world();
    let schema =
        serde_json::from_str(&sandbox.run(&["config", "schema", "events"]).code(0).stdout).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let lines = |arguments: &[&str], code: i32| {
        let output = sandbox
            .run(&[arguments, &["--format", "ndjson"]].concat())
            .code(code);
        let lines: Vec<serde_json::Value> = output
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for line in &lines {
            assert!(schema.is_valid(line), "{line}");
        }
        let (last, events) = lines.split_last().unwrap();
        assert_eq!(
            (&last["event"], &last["document"]["exit_code"]),
            (&"result".into(), &code.into())
        );
        assert!(events.iter().all(|event| event["event"] != "result"));
        (events.to_vec(), last["document"].clone())
    };
    let (events, document) = lines(&["sync", "--all"], 0);
    assert_eq!(document["remote"]["after"].as_str(), codex.tip().as_deref());
    for stage in ["scan", "fetch", "commit", "push", "verify"] {
        for event in ["started", "finished"] {
            assert!(
                events
                    .iter()
                    .any(|e| e["event"] == event && e["stage"] == stage),
                "{event} {stage}"
            );
        }
    }
    sandbox.remove("ws/beta");
    lines(&["sync", "--all"], 1);
    assert!(
        lines(
            &["sync", "--all", "--config", "remote.url=../nothing.git"],
            4
        )
        .0
        .len()
            < 10
    );
    assert!(
        lines(&["sync", "--all", "--config", "nonsense=1"], 3)
            .0
            .is_empty()
    );
    assert!(lines(&["sync", "-p", "nobody"], 2).0.is_empty());
}

#[test]
fn github_actions_get_a_summary_and_annotations() {
    let World { sandbox, codex, .. } = world();
    sandbox.remove("ws/beta");
    let run = |arguments: &[&str], code: i32| {
        let mut command = sandbox.program(arguments);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", sandbox.path("summary.md"));
        sandbox.finish(command).code(code)
    };
    let output = run(&["sync", "--all"], 1);
    assert!(!output.stdout.contains("::error"));
    let annotations: Vec<_> = output
        .stderr
        .lines()
        .filter(|line| line.starts_with("::"))
        .collect();
    assert_eq!(annotations.len(), 1, "{annotations:?}");
    assert!(
        annotations[0].starts_with("::error title=fractary-codex::beta: the root"),
        "{annotations:?}"
    );
    let summary = std::fs::read_to_string(sandbox.path("summary.md")).unwrap();
    assert!(
        summary
            .starts_with("### `fractary-codex sync --all`, `main`: 1 synced, 1 failed\n\nCodex `"),
        "{summary}"
    );
    assert!(
        summary.contains("| beta | - | - | - | - | **failed**: `the root '"),
        "{summary}"
    );
    run(&["sync", "--all", "--dry-run", "--rescan"], 1);
    let dry = std::fs::read_to_string(sandbox.path("summary.md")).unwrap();
    assert!(dry.contains("`main`: 1 up to date, 1 failed\n"), "{dry}");
    run(&["sync", "--all", "--json"], 1).json();
    assert!(
        std::fs::read_to_string(sandbox.path("summary.md"))
            .unwrap()
            .len()
            > summary.len()
    );
    assert_eq!(codex.subjects().len(), 1);

    // A run that ends early has a section with the reason.
    let id = "1234567812345678123456781234567812345678";
    for (more, code, reason) in [
        (["--expect", id], 5, "**Error:** `the plan is "),
        (["--config", "nonsense=1"], 3, "unknown key 'nonsense'"),
    ] {
        sandbox.write("summary.md", "");
        run(&[&["sync", "--all"], &more[..]].concat(), code);
        let summary = std::fs::read_to_string(sandbox.path("summary.md")).unwrap();
        let heading = "### `fractary-codex sync --all ";
        assert!(
            summary.starts_with(heading)
                && summary.contains("failed\n\n")
                && summary.contains(reason),
            "{summary}"
        );
    }
}

#[test]
fn annotations_are_written_in_every_format() {
    let World { sandbox, .. } = world();
    sandbox.remove("ws/beta");
    std::os::unix::fs::symlink("nowhere", sandbox.path("ws/alpha/docs/link.md")).unwrap();
    let annotations = |arguments: &[&str], code: i32| {
        let mut command = sandbox.program(arguments);
        command.env("GITHUB_ACTIONS", "true");
        let output = sandbox.finish(command).code(code);
        assert!(!output.stdout.contains("::error"), "{}", output.stdout);
        let lines = output
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("::"));
        lines
            .map(|line| line.replace(" title=fractary-codex::", ": "))
            .collect::<Vec<_>>()
    };
    #[track_caller]
    fn assert_starts(lines: &[String], expected: &[&str]) {
        let matches = lines.len() == expected.len()
            && lines
                .iter()
                .zip(expected)
                .all(|(line, start)| line.starts_with(start));
        assert!(matches, "{lines:#?}");
    }
    let failed = ["warning: alpha: ", "error: beta: the root"];
    for more in [
        &[][..],
        &["--json"],
        &["--format", "ndjson"],
        &["-q"],
        &["-q", "--json"],
    ] {
        assert_starts(
            &annotations(&[&["sync", "--all", "--dry-run"], more].concat(), 1),
            &failed,
        );
        assert_starts(
            &annotations(&[&["sync", "-p", "none"], more].concat(), 2),
            &["error: there is no project `none`"],
        );
        assert_starts(
            &annotations(&[&["sync", "--bogus"], more].concat(), 2),
            &["error: unexpected argument '--bogus' found"],
        );
        let mistakes = ["--config", "jobs=many", "--config", "nonsense=1"];
        let lines = annotations(&[&["sync", "--all"], &mistakes[..], more].concat(), 3);
        assert!(
            lines.len() == 2
                && lines
                    .iter()
                    .all(|line| line.starts_with("error: `--config")),
            "{lines:#?}"
        );
        let nowhere = ["--config", "remote.url=../nothing.git"];
        let lines = annotations(&[&["sync", "-p", "alpha"], &nowhere[..], more].concat(), 4);
        assert_starts(&lines[lines.len() - 1..], &["error: "]);
    }
    assert_starts(
        &annotations(&["projects", "--json", "--config", "jobs=many"], 3),
        &["error: `--config"],
    );
}

#[test]
fn colour_follows_terminal_variables_and_flag() {
    let World { sandbox, .. } = world();
    sandbox.run(&["sync", "--all"]).code(0);
    let colours = |on_terminal: bool, variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = if on_terminal {
            let mut command = sandbox.command("script");
            let program = format!(
                "{} {}",
                env!("CARGO_BIN_EXE_fractary-codex"),
                arguments.join(" ")
            );
            command
                .args(["-qec", &program, "/dev/null"])
                .env("TERM", "xterm");
            command
        } else {
            sandbox.program(arguments)
        };
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success());
        output.stdout.contains(&0x1b)
    };
    let terminals = sandbox.has_terminals();
    let plain = ["status", "--all"];
    for (on_terminal, variables, arguments, expected) in [
        (true, &[][..], &plain[..], true),
        (false, &[], &plain, false),
        (true, &[("NO_COLOR", "1")], &plain, false),
        (false, &[("CLICOLOR_FORCE", "1")], &plain, true),
        (false, &[("CLICOLOR_FORCE", "0")], &plain, false),
        (
            false,
            &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
            &plain,
            false,
        ),
        (true, &[("TERM", "dumb")], &plain, false),
        (false, &[("CI", "true")], &plain, false),
        (true, &[], &["status", "--all", "--color", "never"], false),
        (
            false,
            &[("NO_COLOR", "1")],
            &["status", "--all", "--color", "always"],
            true,
        ),
    ] {
        if on_terminal && !terminals {
            continue;
        }
        assert_eq!(
            colours(on_terminal, variables, arguments),
            expected,
            "{on_terminal} {variables:?} {arguments:?}"
        );
    }
}

#[test]
fn long_lists_are_shortened_without_verbose() {
    let World { sandbox, .. } = world();
    for file in 0..25 {
        sandbox.write(&format!("ws/alpha/docs/{file:02}.md"), "a");
        std::os::unix::fs::symlink("nowhere", sandbox.path(&format!("ws/beta/docs-{file:02}")))
            .unwrap();
    }
    let plan = |more: &[&str]| {
        let include = [
            "--config",
            "sync.to_codex.include=['docs/**', 'README.md', 'docs-*']",
        ];
        let output = sandbox
            .run(&[&["sync", "--all", "--dry-run"], &include[..], more].concat())
            .code(0);
        let count =
            |text: &str, word: &str| text.lines().filter(|line| line.contains(word)).count();
        (
            count(&output.stdout, "added    "),
            count(&output.stderr, "warning: beta: "),
            output,
        )
    };
    let (changes, warnings, output) = plan(&[]);
    assert_eq!(
        (changes, warnings),
        (11, 21),
        "{}{}",
        output.stdout,
        output.stderr
    );
    assert!(
        output.stdout.contains("… and 17 more; -v shows all"),
        "{}",
        output.stdout
    );
    assert!(
        output
            .stderr
            .contains("warning: beta: and 5 more warnings; -v shows all"),
        "{}",
        output.stderr
    );
    let (changes, warnings, _) = plan(&["-v"]);
    assert_eq!((changes, warnings), (28, 25));
    assert_eq!(
        plan(&["--json"]).2.json()["warnings"]
            .as_array()
            .unwrap()
            .len(),
        25
    );
}

#[test]
fn colour_settings_apply_to_help_and_usage_errors() {
    let World { sandbox, .. } = world();
    for (variables, arguments, expected) in [
        (&[][..], &[][..], false),
        (&[], &["--color", "always"], true),
        (&[], &["--color=always"], true),
        (&[("CLICOLOR_FORCE", "1")], &[], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[], false),
        (&[("CLICOLOR_FORCE", "1")], &["--color", "never"], false),
    ] {
        for (asked, code) in [("--help", 0), ("--bogus", 2)] {
            let mut command = sandbox.program(&[&["sync", asked], arguments].concat());
            command.envs(variables.iter().copied());
            let output = sandbox.finish(command).code(code);
            let coloured = format!("{}{}", output.stdout, output.stderr).contains('\u{1b}');
            assert_eq!(coloured, expected, "{variables:?} {arguments:?} {asked}");
        }
    }
}

/// Runs the program on a terminal of this many columns. On a slow machine, progress would be shown
/// as well.
fn on_terminal(sandbox: &Sandbox, columns: usize, arguments: &str) -> String {
    let command = sandbox.on_terminal(columns, &format!("--no-progress {arguments}"));
    sandbox.finish(command).code(0).stdout.replace('\r', "")
}

#[test]
fn tables_fit_the_terminal() {
    let sandbox = Sandbox::new();
    if !sandbox.has_terminals() {
        return;
    }
    let names: Vec<String> = (0..50)
        .map(|number| format!("a-project-of-some-length-{number:02}"))
        .collect();
    let codex = sandbox.workspace(&names.iter().map(String::as_str).collect::<Vec<_>>(), "");
    for name in &names {
        sandbox.write(&format!("ws/{name}/README.md"), name);
    }
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write("ws/a-project-of-some-length-07/README.md", "changed");
    for (columns, head) in [
        (60, " project                      +  ~  -  =  result"),
        (100, " project  "),
    ] {
        let shown = on_terminal(&sandbox, columns, "status --all");
        assert!(shown.starts_with(head), "{shown}");
        // On a terminal, many projects that are up to date are only counted.
        assert_eq!(
            shown
                .lines()
                .filter(|line| line.contains("a-project-of"))
                .count(),
            1,
            "{shown}"
        );
        assert!(
            shown.contains("… and 49 up to date; -v shows all"),
            "{shown}"
        );
        let table = shown
            .lines()
            .take_while(|line| !line.contains("50 projects"));
        assert!(
            table.clone().all(|line| line.chars().count() <= columns),
            "{shown}"
        );
    }
    assert_eq!(
        on_terminal(&sandbox, 100, "status --all -v")
            .matches("\n a-project-of-some-length")
            .count(),
        50
    );
    assert_eq!(
        sandbox
            .run(&["status", "--all"])
            .code(0)
            .stdout
            .matches("a-project-of-some-length")
            .count(),
        50
    );
    assert_eq!(codex.subjects().len(), 50);
}

#[test]
fn closed_pipe_is_not_an_error() {
    let World { sandbox, codex, .. } = world();
    for arguments in [
        "sync --all --dry-run",
        "status --all --json",
        "config show",
        "sync --all --format ndjson",
    ] {
        let script = format!(
            "{} {arguments} | head -c 1 >/dev/null",
            env!("CARGO_BIN_EXE_fractary-codex")
        );
        let mut command: Command = sandbox.command("bash");
        let output = command
            .args(["-o", "pipefail", "-c", &script])
            .stdout(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(
            (
                output.status.code(),
                String::from_utf8_lossy(&output.stderr).as_ref()
            ),
            (Some(0), ""),
            "{arguments}"
        );
    }
    // The sync is completed although its output was not read.
    assert_eq!(codex.subjects().len(), 2);
}

#[test]
fn unwritable_result_fails_the_command() {
    let World { sandbox, codex, .. } = world();
    let full = |arguments: &[&str], code: i32| {
        let mut command = sandbox.program(arguments);
        let device = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = sandbox
            .ended(
                command
                    .stdout(device)
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap(),
            )
            .code(code);
        let count = output
            .stderr
            .matches("error: standard output cannot be written: No space left on device")
            .count();
        assert_eq!(count, 1, "{arguments:?}: {}", output.stderr);
    };
    for arguments in [
        &["sync", "--all", "--json"][..],
        &["sync", "--all", "--format", "ndjson"],
        &["status", "--all"],
        &["status", "--all", "--html", "-"],
        &["config", "show"],
        &["doctor"],
        &["man"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ] {
        full(arguments, 1);
    }
    // The exit status of any other failure takes precedence.
    full(&["sync", "--json", "--bogus"], 2);
    full(
        &[
            "sync",
            "--all",
            "--json",
            "--config",
            "remote.url=../nothing.git",
        ],
        4,
    );
    // The sync itself is completed.
    assert_eq!(codex.subjects().len(), 2);
}

#[test]
fn verbosity_does_not_change_the_document() {
    let World { sandbox, codex, .. } = world();
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    let plan = |more: &[&str]| {
        sandbox
            .run(&[&["sync", "--all", "--dry-run", "--json"], more].concat())
            .code(0)
    };
    let mut plain = plan(&[]).json();
    plain["duration_ms"] = 0.into();
    for more in ["-q", "-v", "-vv", "--log-format=json"] {
        let mut other = plan(&[more]).json();
        other["duration_ms"] = 0.into();
        assert_eq!(other, plain, "{more}");
    }
    assert_eq!(plan(&["-q"]).stderr, "");
}

#[test]
fn verbose_pull_says_what_was_compared_with_the_cache() {
    let World { sandbox, codex, .. } = world();
    codex.commit(&[("100644", "projects/other/a.md", "a")], &[]);
    let pull = || {
        let include = "codex://acme/other/**";
        let arguments = ["sync", "alpha", "--from-codex", "--include", include, "-v"];
        sandbox.run(&arguments).code(0).stderr
    };
    let first = pull();
    assert!(
        first.contains("alpha: synced: 1 change from the codex to the cache `"),
        "{first}"
    );
    codex.commit(&[("100644", "projects/other/b.md", "b")], &[]);
    let second = pull();
    assert!(second.contains("and 1 file the same\n"), "{second}");
    let third = pull();
    assert!(
        third.contains("alpha: up to date: all 2 matching files of the codex are the same in the"),
        "{third}"
    );
}

#[test]
fn verbose_says_what_was_decided_and_the_log_has_the_stages() {
    let World { sandbox, codex, .. } = world();
    sandbox.run(&["sync", "--all"]).code(0);
    codex.commit(&[("100644", "projects/beta/other.md", "other")], &[]);
    let log = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = sandbox.program(&[&["sync", "--all"], arguments].concat());
        command.envs(variables.iter().copied());
        sandbox.finish(command).code(0)
    };

    // Also if nothing changes.
    let output = log(&["-v", "--config", "jobs=2"], &[]);
    for text in [
        "info: configuration: `",
        "/ws/.fractary/config.yaml` (workspace), ",
        "options for `jobs`\n",
        "info: remote: `main` of ",
        "; transport: ",
        "info: compared with `main`: its files are not recorded for all projects, so it is fetched\n",
        "info: clone: temporary, `",
        "info: alpha: up to date: all 2 matching files of `",
        "` are the same in `projects/alpha` of the codex\n",
        "info: beta: up to date: the only matching file of `",
        "; 1 file there that no pattern matches\n",
    ] {
        assert!(output.stderr.contains(text), "{text}: {}", output.stderr);
    }
    assert!(!output.stderr.contains("debug: "), "{}", output.stderr);

    // The stages of a sync with a change.
    sandbox.write("ws/alpha/docs/a.md", "changed");
    let stages = log(&["-vv"], &[]).stderr;
    for text in [
        "debug: read the configuration in ",
        "debug: alpha: scanned in ",
        "debug: pushed in ",
        "debug: verified the push in ",
        " (branches: main)\n",
    ] {
        assert!(stages.contains(text), "{text}: {stages}");
    }
    assert!(!stages.contains("expected plan"), "{stages}");
    let plan = sandbox.run(&["status", "--json"]).code(0).json();
    let expected = ["-vv", "--expect", plan["plan_id"].as_str().unwrap()];
    let compared = log(&expected, &[]).stderr;
    assert!(
        compared.contains("debug: compared with the expected plan in "),
        "{compared}"
    );
    sandbox.write("ws/alpha/docs/a.md", "again");
    let spans = log(&["--log-format", "json"], &[]).stderr;
    let spans: Vec<serde_json::Value> = spans
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for stage in [
        "config", "scan", "clone", "copy", "plan", "check", "add", "commit", "push", "verify",
        "cleanup",
    ] {
        let closes = |span: &serde_json::Value| {
            span["span"]["name"] == stage && span["fields"]["time.busy"].is_string()
        };
        assert!(spans.iter().any(closes), "{stage}: {spans:#?}");
    }

    // The variable selects modules and levels, whatever the options say.
    let filter = [("FRACTARY_CODEX_LOG", "fractary_codex::scan=debug")];
    let filtered = log(&["-v"], &filter).stderr;
    let is_scan = |line: &str| line.contains(": scanned in ");
    assert!(filtered.lines().all(is_scan), "{filtered}");
    assert_eq!(filtered.lines().count(), 2, "{filtered}");
}

#[test]
fn completions_suggest_commands_options_and_values() {
    let World { sandbox, .. } = world();
    for (shell, text) in [
        ("bash", "fractary"),
        ("zsh", "#compdef fractary-codex fractary\n"),
        ("fish", "complete -c fractary "),
        ("elvish", "from-codex"),
        ("powershell", "from-codex"),
    ] {
        let script = sandbox.run(&["completions", shell]).code(0).stdout;
        assert!(script.contains(text), "{shell}");
    }
    // As bash calls it when the user presses tab: with separate words for `=`, also through the
    // launcher.
    sandbox.write(
        "completion",
        sandbox.run(&["completions", "bash"]).code(0).stdout,
    );
    let programs = Path::new(env!("CARGO_BIN_EXE_fractary-codex"))
        .parent()
        .unwrap();
    let mut script = format!("PATH={}:$PATH; source ../completion\n", programs.display());
    let mut all_expected = String::new();
    for (line, expected) in [
        ("fractary-codex sy", "sync"),
        ("fractary-codex f", "fetch"),
        ("fractary-codex document", "document-fetch"),
        ("fractary-codex sync --from", "--from-codex"),
        ("fractary-codex sync --pru", "--prune"),
        ("fractary-codex config exp", "explain"),
        ("fractary-codex sync ''", "alpha beta"),
        ("fractary-codex sync -p al", "alpha"),
        ("fractary-codex sync --project = ''", "alpha beta"),
        ("fractary-codex sync --project = b", "beta"),
        ("fractary-codex rename former b", "beta"),
        ("fractary-codex codex log -p b", "beta"),
        ("fractary-codex status --env st", "staging"),
        ("fractary-codex config explain remote.br", "remote.branch"),
        ("fractary-codex --config remote.br", "remote.branch="),
        ("fractary-codex -C beta sync -p al", "alpha"),
        ("fractary hel", "help"),
        ("fractary codex cache st", "status"),
        ("fractary codex sync --env = st", "staging"),
        ("fractary codex sync -p al", "alpha"),
        // Files are left to the shell, and errors have no output.
        ("fractary-codex sync --plan ''", ""),
        ("fractary-codex -C none sync -p al", ""),
        ("fractary-codex --config-file none.yaml sync -p al", ""),
        ("fractary-codex none --none al", ""),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let [.., before, typed] = words.as_slice() else {
            panic!("{line}")
        };
        let program = words[0];
        let function = program.replace('-', "_");
        script += &format!(
            "COMP_WORDS=({line}); COMP_CWORD={}; _{function} {program} {typed} {before}; \
             echo \"${{COMPREPLY[*]}}\"\n",
            words.len() - 1,
        );
        all_expected += &format!("{expected}\n");
    }
    let mut command: Command = sandbox.command("bash");
    command.args(["-c", &script]);
    command.env("FRACTARY_CODEX_SYNC__ENVIRONMENTS", "{staging='next'}");
    let output = sandbox.finish(command).code(0);
    assert_eq!(output.stdout, all_expected);
    assert_eq!(output.stderr, "");
}

#[test]
fn man_pages_have_the_usual_sections() {
    let World { sandbox, .. } = world();
    std::fs::create_dir(sandbox.path("ws/below")).unwrap();
    sandbox.run(&["-C", "below", "man", "../pages"]).code(0);
    let page =
        |name: &str| std::fs::read_to_string(sandbox.path(&format!("ws/pages/{name}.1"))).unwrap();
    assert_eq!(sandbox.run(&["man"]).code(0).stdout, page("fractary-codex"));

    let all = [
        "EXAMPLES",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "SEE ALSO",
    ];
    for (name, last_sections, texts) in [
        (
            "fractary-codex",
            &all[..],
            &[
                ".SH COMMANDS\n",
                "\n.TP\n\\fBfractary\\-codex doctor\\fR\ncheck configuration, credentials and remote\n",
                "\n.TP\n\\fB0\\fR\ndone, or nothing to do\n.TP\n\\fB1\\fR\nsome projects failed",
                "\n.TP\n\\fB128+n\\fR\nended by signal n",
                "\n.TP\n\\fBFRACTARY_CODEX_CONFIG\\fR\n",
                "\n.TP\n\\fB.fractary/config.yaml\\fR\n",
            ][..],
        ),
        (
            "fractary-codex-sync",
            &["EXAMPLES", "SEE ALSO"],
            &[
                "\\-\\-max\\-delete",
                // An option that `-h` hides, and the arguments.
                "Number of threads (0 = one per core)",
                "\\fBfractary\\-codex sync\\fR [OPTIONS] [NAME]...",
                "\n.PP\n\\fBfractary\\-codex sync \\-p old \\-\\-max\\-delete 200\\fR\n",
            ],
        ),
        (
            "fractary-codex-cache-clear",
            &["SEE ALSO"],
            &["\\fBfractary\\-codex\\-cache\\fR(1)\n"],
        ),
        (
            "fractary-codex-mcp",
            &["SEE ALSO"],
            &[".nf\n{\"mcpServers\": "],
        ),
    ] {
        let page = page(name);
        let title = format!(
            ".TH {name} 1 \"\" \"fractary-codex {}\"\n",
            env!("CARGO_PKG_VERSION")
        );
        for text in [&[title.as_str()], texts].concat() {
            assert!(page.contains(text), "{text:?}: {page}");
        }
        let headings = page.lines().filter_map(|line| line.strip_prefix(".SH "));
        let headings: Vec<_> = headings.map(|name| name.trim_matches('"')).collect();
        assert!(headings.starts_with(&["NAME", "SYNOPSIS", "DESCRIPTION"]));
        assert!(headings.ends_with(last_sections), "{name}: {headings:?}");
    }
    assert!(!sandbox.path("ws/pages/fractary-codex-help.1").exists());
    assert!(
        !sandbox
            .path("ws/pages/fractary-codex-cache-help.1")
            .exists()
    );

    sandbox.write("ws/file", "");
    sandbox.run(&["man", "file/pages"]).code(2);
}
