//! Invalid configurations, each with a snapshot of its error: file, line, key and hint.

use std::os::unix::fs::symlink;

use super::{ONE, run, workspace};
use crate::support::{Output, Sandbox};

/// Invalid workspace files: a name, the text, and whether the JSON schema rejects it too.
pub(super) const WRONG: &[(&str, &str, bool)] = &[
    (
        "wrong type: a list",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  jobs: [1]\n",
        true,
    ),
    (
        "wrong type: a text",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  remote: main\n",
        true,
    ),
    (
        "wrong type: no list",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  sync:\n    to_codex:\n      include: docs/**\n",
        true,
    ),
    (
        "wrong value",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  sync:\n    direction: to_codex\n    prune: maybe\n  \
         remote:\n    timeout: { idle: soon }\n",
        true,
    ),
    (
        "misspelled at the top",
        "codex:\n  organisation: acme\n  codex_repo: codex\n  project: p\n",
        true,
    ),
    (
        "misspelled in a section",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  remote:\n    brunch: main\n",
        true,
    ),
    (
        "misspelled deep down",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    p:\n      sync:\n        to_codex:\n          \
         exlude: [a]\n",
        true,
    ),
    (
        "at the wrong depth",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  include: [docs/**]\n",
        true,
    ),
    (
        "misspelled without a value",
        "codex:\n  organisation:\n  remote: { url: /codex.git, brunch: }\n  projects:\n    p: { too: }\n  commit: { sign: }\n",
        true,
    ),
    (
        "duplicate key",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  jobs: 1\n  jobs: 2\n",
        false,
    ),
    (
        "unset variable",
        "codex:\n  organization: ${ACME_ORGANIZATION}\n  codex_repo: codex\n  project: p\n",
        false,
    ),
    (
        "bad glob",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  sync:\n    to_codex:\n      include:\n        - docs/**\n        \
         - \"[a-\"\n",
        false,
    ),
    (
        "negated glob",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  sync: { to_codex: { include: [\"!docs/**\"] } }\n",
        true,
    ),
    (
        "overlapping destinations",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    a:\n      to: docs\n    b:\n      to: docs/b\n",
        false,
    ),
    (
        "the same destination",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    a:\n      to: docs\n    b:\n      to: docs/\n",
        false,
    ),
    (
        "case-only difference",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    Billing: {}\n    billing: {}\n",
        false,
    ),
    (
        "traversal in a name",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    ../p: {}\n",
        true,
    ),
    (
        "traversal in project",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: ..\n",
        true,
    ),
    (
        "traversal in to",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    p:\n      to: docs/../../p\n",
        true,
    ),
    (
        "empty paths",
        "codex:\n  remote: { url: /codex.git }\n  projects:\n    p: { root: '' }\n  cache: { dir: '' }\n  state: { dir: \"\" }\n",
        true,
    ),
    (
        "to is the root",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    p:\n      to: .\n",
        true,
    ),
    (
        "to is git's",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    p:\n      mappings: [{ from: 'a/**', to: .git/hooks/ }]\n",
        true,
    ),
    ("empty file", "", true),
    ("only a comment", "# nothing yet\n", true),
    ("without the section", "version: '2.0'\nwork: {}\n", false),
    ("empty section", "codex:\n", true),
    ("section is a list", "codex: [a]\n", true),
    (
        "not YAML",
        "codex:\n  organization: [acme\n  codex_repo: codex\n",
        false,
    ),
    ("a tab", "codex:\n\torganization: acme\n", false),
    (
        "a list for a map",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  sync: [docs/**]\n",
        true,
    ),
    (
        "a key that is no text",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  ~: 1\n",
        false,
    ),
    (
        "a shell's own forms",
        "codex:\n  organization: \"${ORG:?none}\"\n  codex_repo: ${REPO-codex}\n  project: \"${}\"\n",
        false,
    ),
    (
        "environments of a project",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    p: { sync: { environments: { prod: main } } }\n",
        true,
    ),
    (
        "unknown placeholder",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    p:\n      to: projects/{projekt}\n  \
         commit:\n    message: \"Sync {cuont} files\"\n",
        true,
    ),
    (
        "reserved keys",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  commit: { sign: true }\n  push:\n    branch: x\n    mode: pr\n  \
         sync:\n    checks: []\n    on_drift: fail\n",
        true,
    ),
    (
        "no project",
        "codex:\n  organization: acme\n  codex_repo: codex\n",
        false,
    ),
    ("no remote", "codex:\n  project: p\n", false),
    (
        "unknown scheme",
        "codex:\n  project: p\n  remote:\n    url: gopher://git.acme.com/codex\n",
        true,
    ),
    (
        "several at once",
        "codex:\n  organisation: acme\n  codex_repo: codex\n  project: p\n  jobs: many\n  sync: { pruned: true }\n  \
         commit: { message: \"{x}\" }\n",
        true,
    ),
];

/// Asserts that the exit status is 3 and that the output matches the snapshot `name`.
#[track_caller]
fn assert_error(name: &str, output: Output) {
    let output = output.code(3);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    insta::assert_snapshot!(
        name.replace(": ", "-").replace([' ', '\''], "-"),
        output.shown()
    );
}

#[test]
fn invalid_file_is_reported_with_position_and_hint() {
    for (name, text, _) in WRONG {
        assert_error(name, workspace(text).run(&["config", "validate"]));
    }
}

#[test]
fn missing_file() {
    assert_error("no file", Sandbox::new().run(&["config", "validate"]));
}

#[test]
fn two_files_in_one_layer() {
    let sandbox = workspace(ONE);
    sandbox.write(
        "ws/.fractary/config.toml",
        "[codex]\norganization = 'acme'\n",
    );
    assert_error("two files", sandbox.run(&["config", "validate"]));
}

#[test]
fn directory_instead_of_a_file() {
    let sandbox = Sandbox::new();
    sandbox.write("ws/.fractary/config.yaml/file", "");
    assert_error("a directory", sandbox.run(&["config", "validate"]));
}

#[test]
fn unreadable_file() {
    let sandbox = workspace(ONE);
    if rustix::process::geteuid().is_root() {
        // Root can read every file, but not a broken link.
        sandbox.remove("ws/.fractary/config.yaml");
        symlink("nowhere", sandbox.path("ws/.fractary/config.yaml")).unwrap();
        let output = sandbox.run(&["config", "validate"]).code(3);
        assert!(
            output.stderr.contains("[sandbox]") || output.stderr.contains("config.yaml"),
            "{}",
            output.stderr
        );
    } else {
        sandbox.set_mode("ws/.fractary/config.yaml", 0);
        let output = sandbox.run(&["config", "validate"]).code(3);
        assert!(
            output.stderr.contains("permission denied"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn broken_link() {
    let sandbox = Sandbox::new();
    sandbox.write("ws/.fractary/README", "");
    symlink("nowhere.yaml", sandbox.path("ws/.fractary/config.yaml")).unwrap();
    assert_error("a link to nowhere", sandbox.run(&["config", "validate"]));
}

#[test]
fn very_long_line() {
    let long = "x".repeat(1_000_000);
    let sandbox = workspace(format!("{ONE}  jobs: {long}\n"));
    assert_error("a long line", sandbox.run(&["config", "validate"]));
    let sandbox = workspace(format!("{ONE}  {long}: 1\n"));
    assert_error("a long key", sandbox.run(&["config", "validate"]));
}

#[test]
fn alias_bomb() {
    let mut bomb = format!("{ONE}  storage:\n    a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let last = format!("*a{}", level - 1);
        bomb += &format!(
            "    a{level}: &a{level} [{}]\n",
            [last.as_str(); 10].join(",")
        );
    }
    assert_error(
        "an alias bomb",
        workspace(bomb).run(&["config", "validate"]),
    );
}

#[test]
fn member_with_another_codex() {
    let sandbox = workspace(
        "codex:\n  organization: acme\n  codex_repo: codex\n  remote: { url: https://git.acme.com/codex.git }\n  \
         workspace: { members: ['*'] }\n",
    );
    sandbox.write(
        "ws/billing/.fractary/config.yaml",
        "codex:\n  organization: other\n  codex_repo: codex\n  remote:\n    url: https://git.other.com/codex.git\n",
    );
    assert_error(
        "a member of another codex",
        sandbox.run(&["config", "validate"]),
    );
}

#[test]
fn invalid_member_file() {
    let sandbox = workspace(
        "codex:\n  organization: acme\n  codex_repo: codex\n  workspace: { members: ['*'] }\n",
    );
    sandbox.write(
        "ws/billing/.fractary/config.yaml",
        "codex:\n  project: billing\n  sync:\n    prun: true\n",
    );
    sandbox.write(
        "ws/ledger/.fractary/config.yaml",
        "codex:\n  project: billing\n",
    );
    assert_error("a wrong member", sandbox.run(&["config", "validate"]));
}

#[test]
fn unknown_environment() {
    let sandbox = workspace(ONE);
    assert_error(
        "an unknown environment",
        sandbox.run(&["sync", "--all", "--env", "prd"]),
    );
    assert_error(
        "an unknown environment in a variable",
        run(
            &sandbox,
            &[("FRACTARY_CODEX_ENV", "prd")],
            &["config", "validate"],
        ),
    );
}

#[test]
fn unknown_variables_and_flags() {
    let sandbox = workspace(ONE);
    let variables = [
        ("FRACTARY_CODEX_REMOT__URL", "x"),
        ("FRACTARY_CODEX_SYNC__PRUN", "true"),
        ("FRACTARY_CODEX_JOBS", "many"),
        ("FRACTARY_CODEX_ALL", "true"),
        ("FRACTARY_CODEX_PROJECTS__A__ROOT", "a"),
        ("FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE", "docs/**"),
    ];
    assert_error(
        "unknown variables",
        run(&sandbox, &variables, &["config", "validate"]),
    );
    let flags = [
        "--config",
        "sync.prun=true",
        "--config",
        "jobs",
        "--config",
        "sync.to_codex.include=[\"a\"",
    ];
    let mut arguments = vec!["config", "validate"];
    arguments.extend(flags);
    assert_error("unknown flags", sandbox.run(&arguments));
}

#[test]
fn invalid_line_in_dotenv() {
    let sandbox = workspace(ONE);
    sandbox.write("ws/.fractary/env/.env", "A=1\nnot a variable s3cret\n");
    assert_error("a wrong dotenv", sandbox.run(&["config", "validate"]));
}

#[test]
fn crlf_and_byte_order_mark_are_accepted() {
    for text in [
        ONE.replace('\n', "\r\n"),
        format!("\u{feff}{ONE}"),
        format!("\u{feff}{ONE}").replace('\n', "\r\n"),
    ] {
        workspace(&text).run(&["config", "validate"]).code(0);
        let wrong = workspace(text.replace("codex_repo", "codex_rapo"))
            .run(&["config", "validate"])
            .code(3);
        assert!(
            wrong
                .stderr
                .contains("config.yaml:3:3: unknown key `codex_rapo`"),
            "{}",
            wrong.stderr
        );
    }
}
