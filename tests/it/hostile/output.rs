//! Names, values and messages of the server in the output. They can control neither a terminal nor
//! a GitHub Actions runner.

use std::fs;
use std::os::unix::fs::symlink;

use super::codex_entries::GONE;
use super::{assert_harmless, path_of, workspace};
use crate::support::{Codex, Sandbox, World};

#[test]
fn message_of_the_server_cannot_control_the_terminal() {
    let World { sandbox, codex, .. } = workspace("");
    codex.hook(
        "pre-receive",
        "printf 'clear \\033[2J and \\033]0;title\\007 \\342\\200\\256evil\\n' >&2; exit 1",
    );
    let output = sandbox.run(&["sync", "--all", "-vv"]).code(5);
    assert_harmless(&output);
    assert!(
        output.stderr.contains("  remote: clear \\u{1b}[2J"),
        "{}",
        output.stderr
    );
}

#[test]
fn branch_name_cannot_control_the_terminal() {
    let World { sandbox, codex, .. } = workspace("");
    // A name that git would neither accept nor send.
    sandbox.wrap_git(&format!(
        "case \"$*\" in *ls-remote*) printf 'ref: refs/heads/\\033[31mred\\tHEAD\\n{GONE}\\tHEAD\\n'; exit;; esac"
    ));
    let output = sandbox.run(&["sync", "--all"]).code(4);
    sandbox.remove("bin/git");
    assert_harmless(&output);
    assert!(
        output.stderr.contains("names no existing branch"),
        "{}",
        output.stderr
    );
    // A name that git accepts, and that is shown in another order than it is written.
    let branch = "a\u{202e}niam";
    let output = sandbox
        .run(&[
            "sync",
            "--all",
            "--config",
            &format!("remote.branch={branch}"),
        ])
        .code(0);
    assert_harmless(&output);
    assert!(
        output.stdout.contains("`a\\u{202e}niam`"),
        "{}",
        output.stdout
    );
    codex.hook("pre-receive", "exit 1");
    sandbox.write("ws/alpha/docs/a.md", "changed");
    let output = sandbox
        .run(&[
            "sync",
            "--all",
            "--config",
            &format!("remote.branch={branch}"),
        ])
        .code(5);
    assert_harmless(&output);
}

#[test]
fn directory_names_and_values_cannot_control_the_terminal() {
    let sandbox = Sandbox::new();
    let (place, root) = ("\u{1b}[31m\u{202e}ws", "ro\u{1b}ot\u{9b}");
    let config = "codex:\n  organization: acme\n  codex_repo: codex\n  remote: { url: ../codex.git }\n  projects:\n    \
                  a: { root: \"ro\\eot\\u009b\", to: \"places/\\e[1m\" }\n    gone: { root: \"go\\ene\" }\n  \
                  commit: { message: \"a\\u202e\\u009b\" }\n  cache: { dir: \"ca\\eche\" }\n";
    sandbox.write(&format!("{place}/.fractary/config.yaml"), config);
    sandbox.write(&format!("{place}/{root}/README.md"), "a");
    Codex::empty(&sandbox.path("codex.git"), &sandbox);
    let inside = sandbox.path(place);
    let run = |arguments: &[&str], code: i32| {
        let mut command = sandbox.program(arguments);
        command.current_dir(&inside);
        let output = sandbox.finish(command).code(code);
        assert_harmless(&output);
        output
    };
    for (arguments, code) in [
        (&["sync", "-p", "a"][..], 0),
        (&["sync", "--all"], 1),
        (&["projects"], 0),
        (&["doctor"], 1),
        (&["config", "path"], 0),
        (&["config", "show"], 0),
        (&["config", "show", "--origin"], 0),
        (&["config", "explain", "commit.message"], 0),
        (&["cache", "status"], 0),
        (&["cache", "list"], 0),
        (&["cache", "clear"], 0),
        (&["init"], 2),
        (&["init", "--force", "--organization", "acme"], 0),
        (&["-C", "\u{1b}none", "sync"], 2),
        (&["man", ".fractary/config.yaml/\u{1b}none"], 2),
        (&["sync", "--all", "--max-delete", "\u{1b}1"], 2),
        (&["sync", "\u{1b}a", "b"], 2),
    ] {
        run(arguments, code);
    }
}

#[test]
fn documents_escape_paths_in_the_same_way() {
    let World { sandbox, .. } = workspace("");
    let more = "    odd: { root: \"ro\\eot\", to: \"places/\\e[1m\" }\n";
    let config = std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    sandbox.write(
        "ws/.fractary/config.yaml",
        config.replace("  projects:\n", &format!("  projects:\n{more}")),
    );
    sandbox.write("ws/ro\u{1b}ot/README.md", "a");
    let listed = sandbox.run(&["projects", "--json"]).code(0).json();
    let project = listed["projects"]
        .as_array()
        .unwrap()
        .iter()
        .find(|project| project["name"] == "odd")
        .unwrap();
    assert_eq!(
        (&project["root"], &project["to"]),
        (&r"ro\u{1b}ot".into(), &r"places/\u{1b}[1m".into())
    );
    let planned = sandbox
        .run(&["sync", "-p", "odd", "--dry-run", "--json"])
        .code(0)
        .json();
    assert_eq!(
        planned["projects"][0]["changes"][0]["path"],
        r"places/\u{1b}[1m/README.md"
    );
}

#[test]
fn names_and_messages_cannot_inject_workflow_commands() {
    let World { sandbox, codex, .. } = workspace("");
    let names = [
        "##[stop-commands]x.md",
        "\u{2003}::error::x.md",
        "::add-mask::docs.md",
        "a::b##[group].md",
    ];
    for name in names {
        fs::write(path_of(&sandbox, "ws/alpha/docs", name.as_bytes()), name).unwrap();
    }
    symlink(
        "nowhere",
        path_of(&sandbox, "ws/alpha/docs", b"##[error]link"),
    )
    .unwrap();
    codex.hook(
        "pre-receive",
        "printf '::error::from the hook\\n  ::add-mask::a\\n##[add-path]b\\nx\\r::set-env::c\\n' >&2; exit 1",
    );

    let run = |arguments: &[&str], in_workflow: bool| {
        let mut command = sandbox.program(arguments);
        command.env("FRACTARY_CODEX_LOG", "trace");
        if in_workflow {
            command.env("GITHUB_ACTIONS", "true");
        }
        sandbox.finish(command)
    };
    // A runner reads `::` at the start of a line (after white space), or `##[` anywhere, as a
    // command.
    let commands = |text: &str| {
        let lines = text
            .split(['\n', '\r'])
            .filter(|line| line.contains("##[") || line.trim_start().starts_with("::"));
        let own = [
            "::error title=fractary-codex::",
            "::warning title=fractary-codex::",
        ];
        let foreign = lines
            .filter(|line| line.contains("##[") || !own.iter().any(|own| line.starts_with(own)));
        foreign.map(str::to_owned).collect::<Vec<_>>()
    };
    for arguments in [
        &["sync", "--all", "-v"][..],
        &["sync", "--all", "--dry-run", "-v"],
        &["sync", "--all", "--json", "-vv"],
        &["sync", "--all", "--format", "ndjson"],
        &["sync", "--all", "-vv", "--log-format", "json"],
        &["status", "--all", "-v"],
        &["projects"],
        &["doctor"],
        &["sync", "-p", "##[error]x"],
        &["sync", "--config", "jobs=##[error]"],
        &["config", "explain", "##[error]x"],
        &["config", "show", "--config", "commit.message=##[error]x"],
    ] {
        let output = run(arguments, true);
        assert_eq!(commands(&output.stdout), [""; 0], "{arguments:?}");
        assert_eq!(commands(&output.stderr), [""; 0], "{arguments:?}");
    }

    // The value of a document stays the same, and outside of a workflow names are shown unchanged.
    let planned = |in_workflow| {
        let output = run(&["sync", "--all", "--dry-run", "--json"], in_workflow).code(0);
        output.json()["projects"][0]["changes"].clone()
    };
    assert_eq!(planned(true), planned(false));
    assert!(planned(true).to_string().contains("##[stop-commands]x.md"));
    let shown = run(&["sync", "--all", "--dry-run", "-v"], false)
        .code(0)
        .stdout;
    assert!(shown.contains("docs/##[stop-commands]x.md"), "{shown}");
    // Output that the program generates itself is not changed.
    for arguments in [&["completions", "zsh"][..], &["man"]] {
        assert_eq!(run(arguments, true).stdout, run(arguments, false).stdout);
    }
}
