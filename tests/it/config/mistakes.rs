//! Invalid configurations, each with a snapshot of its error: file, line, key and hint.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
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
        "codex:\n  organisation:\n  remote: { url: /codex.git, brunch: }\n  projects:\n    p: { too: }\n  sync: { on_drift: }\n",
        true,
    ),
    (
        "duplicate key",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  jobs: 1\n  jobs: 2\n",
        false,
    ),
    (
        "duplicate project",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects: { a: {}, b: {}, a: { root: c } }\n",
        false,
    ),
    (
        "two projects with one root",
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    a: { root: docs/../x }\n    b: { root: ./x/ }\n",
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
        "unknown value",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  \
         sync:\n    on_drift: fail\n",
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
    (
        "none hides another",
        "codex:\n  jobs: many\n  sync: { to_codex: { include: [\"docs/@(a|b)/**\"] } }\n  projects:\n    \
         a: { to: x }\n    b: { to: x/y, root: a, mappings: [{ from: \"!x\", to: \"{y}\" }, {}] }\n    \
         c: { to: ../z, root: a, mappings: [{ form: x }] }\n",
        true,
    ),
    (
        "a glob without quotes",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  sync:\n    to_codex:\n      include:\n        - *.md\n",
        false,
    ),
    (
        "a tag",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  sync:\n    to_codex:\n      exclude: [!x, a]\n",
        true,
    ),
    (
        "beside a token",
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: p\n  remote: { token: s3cret, brunch: x }\n",
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
    assert_error(
        "no file",
        Sandbox::with_default_transport().run(&["config", "validate"]),
    );
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
    let sandbox = Sandbox::with_default_transport();
    sandbox.write("ws/.fractary/config.yaml/file", "");
    assert_error("a directory", sandbox.run(&["config", "validate"]));
}

#[test]
fn pipe_instead_of_a_file_is_an_error() {
    for file in [
        "ws/.fractary/config.yaml",
        "ws/.fractary/config.local.yaml",
        "ws/.fractary/env/.env",
    ] {
        let sandbox = Sandbox::with_default_transport();
        sandbox.workspace(&["alpha"], "");
        sandbox.write(file, "");
        sandbox.remove(file);
        sandbox.pipe(file);
        let error = sandbox.run(&["sync", "--all"]).code(3).stderr;
        assert!(error.contains("not a regular file"), "{file}: {error}");
        sandbox.run(&["init", "--force"]);
    }
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
    let sandbox = Sandbox::with_default_transport();
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
        ("FRACTARY_CODEX_TOKEN", "x"),
        ("FRACTARY_CODEX_REMOTE__PRUNE", "true"),
        ("FRACTARY_CODEX_PROJECTS", "{\"a\": {\"root\": \"a\"}}"),
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
fn duplicate_project_in_a_variable() {
    let sandbox = Sandbox::with_default_transport();
    let variables = [
        ("FRACTARY_CODEX_REMOTE__URL", "../codex.git"),
        (
            "FRACTARY_CODEX_PROJECTS",
            "{billing={}, ledger={}, billing={root=\"other\"}}",
        ),
    ];
    assert_error(
        "duplicate project in a variable",
        run(&sandbox, &variables, &["config", "validate"]),
    );
}

#[test]
fn link_to_the_root_of_another_project() {
    let sandbox = workspace(
        "codex:\n  organization: acme\n  codex_repo: codex\n  projects:\n    a: {}\n    b: { root: link }\n",
    );
    sandbox.write("ws/a/README.md", "a");
    symlink("a", sandbox.path("ws/link")).unwrap();
    assert_error("one root by a link", sandbox.run(&["sync", "--all"]));
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

#[test]
fn a_variable_that_is_not_text_is_an_error_that_names_it() {
    for (name, of_the_file) in [
        ("FRACTARY_CODEX_REMOTE__BRANCH", false),
        ("FRACTARY_CODEX_ENV", false),
        ("FRACTARY_CODEX_CONFIG", false),
        ("GITHUB_TOKEN", false),
        ("GIT_AUTHOR_NAME", false),
        ("MESSAGE", true),
        ("CODEX_TOKEN", true),
    ] {
        let text =
            "  commit: { message: '${MESSAGE:-x}' }\n  remote: { token: '${CODEX_TOKEN}' }\n";
        let sandbox = workspace(format!("{ONE}{text}"));
        // A value from the file must not take its place.
        sandbox.write("ws/.fractary/env/.env", format!("{name}=x\n"));
        let mut command = sandbox.program(&["config", "validate"]);
        command.env(name, OsStr::from_bytes(b"caf\xe9"));
        let output = sandbox.finish(command).code(3);
        let expected = if of_the_file {
            format!("the variable `{name}` is not UTF-8 text")
        } else {
            format!("environment variable `{name}`: the variable is not UTF-8 text")
        };
        assert!(
            output.stderr.contains(&expected),
            "{name}: {}",
            output.stderr
        );
    }

    let sandbox = workspace(ONE);
    let mut command = sandbox.program(&["config", "validate"]);
    command.env(OsStr::from_bytes(b"FRACTARY_CODEX_R\xe9MOTE"), "x");
    command.env("UNRELATED", OsStr::from_bytes(b"\xff"));
    let output = sandbox.finish(command).code(3);
    assert!(
        output.stderr.contains("`FRACTARY_CODEX_R\u{fffd}MOTE`"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("UNRELATED"), "{}", output.stderr);
}

#[test]
fn a_variable_inside_a_variable_and_one_that_is_not_closed() {
    for (value, expected) in [
        (
            "${A:-${B}}",
            "`remote.branch`: the default of `${A…}` contains another variable",
        ),
        (
            "${A:-${B:-main}}",
            "`remote.branch`: the default of `${A…}` contains another variable",
        ),
        ("${A", "`remote.branch`: `${A` has no closing `}`"),
        (
            "main-${A:-s3cret",
            "`remote.branch`: `${A…` has no closing `}`",
        ),
        ("${A}${", "`remote.branch`: `${` has no closing `}`"),
    ] {
        let sandbox = workspace(format!("{ONE}  remote: {{ branch: '{value}' }}\n"));
        // Whether the variable is set or not.
        for variables in [&[][..], &[("A", "a")]] {
            let output = run(&sandbox, variables, &["config", "validate"]).code(3);
            let is_unset = value.starts_with("${A}") && variables.is_empty();
            assert!(
                is_unset || output.stderr.contains(expected),
                "{value}: {}",
                output.stderr
            );
            assert!(
                output.stderr.contains("config.yaml:5:"),
                "{value}: {}",
                output.stderr
            );
            assert!(!output.stderr.contains("s3cret"), "{}", output.stderr);
        }
    }
}

#[test]
fn two_files_for_one_layer_are_an_error_whatever_they_hold() {
    let other = "work: { tracker: x }\n";
    let ours = "[codex]\norganization = 'inner'\ncodex_repo = 'codex'\nproject = 'inner'\n";
    for (yaml, toml) in [
        (other, ours),
        (ONE, "work = 1\n"),
        (other, "work = 1\n"),
        ("", ""),
    ] {
        // The outer workspace must not be taken instead.
        let sandbox = workspace(ONE);
        sandbox.write("ws/inner/.fractary/config.yaml", yaml);
        sandbox.write("ws/inner/.fractary/config.toml", toml);
        let output = sandbox.run(&["-C", "inner", "config", "validate"]).code(3);
        assert!(
            output.stderr.contains("two files for one layer"),
            "{yaml}: {}",
            output.stderr
        );
    }

    for (first, second) in [
        (
            "ws/.fractary/config.local.yaml",
            "ws/.fractary/config.local.json",
        ),
        (
            "home/.config/fractary/config.yaml",
            "home/.config/fractary/config.toml",
        ),
        (
            "ws/services/a/.fractary/config.yaml",
            "ws/services/a/.fractary/config.yml",
        ),
    ] {
        let sandbox = workspace(format!("{ONE}  workspace: {{ members: ['services/*'] }}\n"));
        sandbox.write(
            first,
            if first.ends_with("yaml") {
                "other: {}\n"
            } else {
                ""
            },
        );
        sandbox.write(second, if second.ends_with("json") { "{}" } else { "" });
        let output = sandbox.run(&["config", "validate"]).code(3);
        assert!(
            output.stderr.contains("two files for one layer"),
            "{first}: {}",
            output.stderr
        );
    }
}

#[test]
fn two_files_further_out_are_an_error_where_one_of_them_covers() {
    for covers in [true, false] {
        let sandbox = workspace("other: {}\n");
        let root = if covers { "inner" } else { "elsewhere" };
        let outer =
            format!("[codex]\norganization = 'o'\ncodex_repo = 'c'\nprojects.x.root = '{root}'\n");
        sandbox.write("ws/.fractary/config.toml", outer);
        sandbox.write("ws/inner/.fractary/config.yaml", ONE);
        let output = sandbox.run(&["-C", "inner", "config", "validate"]);
        assert_eq!(
            output.code,
            Some(if covers { 3 } else { 0 }),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn errors_that_are_not_listed_are_counted() {
    let keys = (0..150).map(|number| format!("  k{number:03}: 1\n"));
    let sandbox = workspace(ONE.to_owned() + &keys.collect::<String>());
    let output = sandbox.run(&["config", "validate"]).code(3);
    let text = output.stderr;
    assert!(
        text.starts_with("error: 150 configuration errors\n"),
        "{text}"
    );
    assert!(text.contains("at least 50 from here on are not"), "{text}");
}

#[test]
fn branches_of_all_environments_are_checked() {
    let sandbox = workspace(format!(
        "{ONE}  sync: {{ environments: {{ staging: 'x y' }} }}\n"
    ));
    let text = sandbox.run(&["config", "validate"]).code(3).stderr;
    assert!(text.contains("`x y` is not a branch name"), "{text}");
    let text = sandbox.run(&["sync", "--all", "--env", "staging"]).stderr;
    assert_eq!(text.matches("is not a branch name").count(), 1, "{text}");
}

#[test]
fn path_of_the_workspace_that_is_not_text_is_named() {
    let sandbox = workspace(ONE);
    sandbox.write_bytes("ws", b"s\xff/.fractary/config.yaml", ONE);
    let mut command = sandbox.program(&["config", "validate"]);
    command.current_dir(sandbox.path("ws").join(OsStr::from_bytes(b"s\xff")));
    let text = sandbox.finish(command).code(3).stderr;
    assert!(
        text.contains("is not UTF-8") && !text.contains("cache.dir"),
        "{text}"
    );
}
