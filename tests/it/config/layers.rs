//! The layers of the configuration, from the user's file to the flags, and their precedence.

use std::fs;

use serde_json::Value;

use super::{ONE, run, workspace};
use crate::support::{Output, Sandbox};

/// The single key in the output of `config explain --json`.
#[track_caller]
fn explained(output: Output) -> Value {
    let document = output.code(0).json();
    assert_eq!(
        document["keys"].as_array().unwrap().len(),
        1,
        "{document:#}"
    );
    document["keys"][0].clone()
}

/// The layers that have a value for the key, highest first, and whether each one is used.
fn layers(key: &Value) -> Vec<(String, bool)> {
    let given = key["given"].as_array().unwrap().iter();
    given
        .map(|given| {
            (
                given["layer"].as_str().unwrap().to_owned(),
                given["counts"].as_bool().unwrap(),
            )
        })
        .collect()
}

/// The name and root of each project in the output of `projects --json`.
fn projects(output: Output) -> Vec<String> {
    let document = output.code(0).json();
    let projects = document["projects"].as_array().unwrap().iter();
    projects
        .map(|project| {
            format!(
                "{} {}",
                project["name"].as_str().unwrap(),
                project["root"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn each_layer_overrides_those_below() {
    let key = "projects.p.sync.max_file_size";
    let files = [
        (
            "home/.config/fractary/config.yaml",
            "codex: { projects: { p: { sync: { max_file_size: 1MB } } } }",
            "user",
        ),
        (
            "ws/.fractary/config.toml",
            "[codex]\nremote.url = '../codex.git'\nworkspace.members = ['d']\nprojects.p.sync.max_file_size = '2MB'\n",
            "workspace",
        ),
        (
            "ws/.fractary/config.local.json",
            r#"{"codex": {"projects": {"p": {"sync": {"max_file_size": "3MB"}}}}}"#,
            "local",
        ),
        (
            "ws/d/.fractary/config.yml",
            "codex:\n  project: p\n  sync: { max_file_size: 4MB }\n",
            "member",
        ),
    ];
    let sandbox = Sandbox::with_default_transport();
    sandbox.write("ws/d/README.md", "");
    let variable = (
        "FRACTARY_CODEX_PROJECTS",
        "{p={sync={max_file_size=\"5MB\"}}}",
    );
    let flag = format!("--config={key}=6MB");
    let mut expected: Vec<(String, bool)> = vec![("default".to_owned(), false)];
    for (number, (path, text, layer)) in files.iter().enumerate() {
        sandbox.write(path, text);
        expected.iter_mut().for_each(|(_, counts)| *counts = false);
        expected.insert(0, ((*layer).to_owned(), true));
        let key = explained(sandbox.run(&["config", "explain", key, "--json"]));
        assert_eq!(layers(&key), expected);
        assert_eq!(key["value"], format!("{}MB", number + 1));
        let origin = key["given"][0]["origin"].as_str().unwrap();
        assert!(origin.contains(&format!("{path}:")), "{origin}");
    }
    for (arguments, layer, value) in [
        (vec![], "environment", "5MB"),
        (vec![flag.as_str()], "flag", "6MB"),
    ] {
        expected.iter_mut().for_each(|(_, counts)| *counts = false);
        expected.insert(0, (layer.to_owned(), true));
        let arguments = [&["config", "explain", key, "--json"], arguments.as_slice()].concat();
        let key = explained(run(&sandbox, &[variable], &arguments));
        assert_eq!(
            (layers(&key), key["value"].as_str()),
            (expected.clone(), Some(value))
        );
    }
}

#[test]
fn explain_shows_defaults_and_overrides() {
    let sandbox = workspace(ONE);
    let key = explained(sandbox.run(&["config", "explain", "push.retries", "--json"]));
    assert_eq!(
        (layers(&key), &key["value"]),
        (vec![("default".to_owned(), true)], &50.into())
    );
    let shown = sandbox
        .run(&[
            "config",
            "explain",
            "push.retries",
            "--config",
            "push.retries=3",
        ])
        .code(0);
    insta::assert_snapshot!(shown.stdout, @"
    push.retries = 3
      The maximum number of retries of a push if the branch moved.
      the default is 50
      from `--config push.retries` (flag)
      overrides the built-in defaults (default): 50
    ");
    let shown = sandbox.run(&["config", "show", "--origin"]).code(0).stdout;
    assert!(shown.contains("config.yaml:4:12 (workspace)"), "{shown}");
    let path = sandbox.run(&["config", "path"]).code(0).stdout;
    assert!(
        path.trim_end().ends_with("ws/.fractary/config.yaml") && path.lines().count() == 1,
        "{path}"
    );
}

/// Keys without a value of their own, and keys that an environment replaces.
#[test]
fn explain_shows_derived_values_and_their_source() {
    let text = "codex:\n  organization: acme\n  codex_repo: codex\n  workspace: { members: [libs/*] }\n  \
                remote: { branch: trunk }\n  sync: { prune: true }\n  projects: { billing: {} }\n";
    let sandbox = workspace(text);
    sandbox.write("ws/libs/log/README.md", "log");
    let mut shown = String::new();
    for arguments in [
        &["remote.url"][..],
        &["remote.branch"],
        &["remote.branch", "--config", "sync.direction=to-codex"],
        &["commit.author"],
        &["projects.billing.root"],
        &["projects.billing.to"],
        &["projects.billing.sync.prune"],
        &["projects.log.root"],
        &["projects.log.sync.delete_guard"],
        &["sync.on_drift"],
        &["sync.to_codex.include.0"],
    ] {
        // The second run of a key has an environment.
        let variables = [("FRACTARY_CODEX_ENV", "test")];
        let variables = &variables[..usize::from(arguments.len() > 1)];
        let arguments = [&["config", "explain"], arguments].concat();
        let output = run(&sandbox, variables, &arguments).code(0);
        shown.push_str(&output.shown());
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn maps_merge_lists_replace_exclude_accumulates() {
    let sandbox = workspace(format!(
        "{ONE}  sync:\n    environments: {{ prod: release }}\n    to_codex: {{ include: [a, b], exclude: [one] }}\n"
    ));
    sandbox.write(
        "ws/.fractary/config.local.yaml",
        "codex:\n  sync:\n    environments: { dev: mine }\n    to_codex: { include: [c], exclude: [two] }\n",
    );
    let value =
        |key: &str| explained(sandbox.run(&["config", "explain", key, "--json"]))["value"].clone();
    assert_eq!(value("sync.to_codex.include"), serde_json::json!(["c"]));
    assert_eq!(
        value("sync.to_codex.exclude"),
        serde_json::json!(["**/*.tmp", "one", "two"])
    );
    assert_eq!(value("sync.environments.prod"), "release");
    assert_eq!(value("sync.environments.dev"), "mine");
    assert_eq!(value("sync.environments.test"), "test");
}

#[test]
fn workspace_file_can_be_named() {
    let sandbox = workspace(ONE);
    sandbox.write(
        "ws/deep/other.yaml",
        "codex: { remote: { url: here.git }, projects: { other: {} } }",
    );
    let elsewhere = ["projects", "--json", "--config-file", "deep/other.yaml"];
    assert_eq!(projects(sandbox.run(&elsewhere)), ["other other"]);
    let key = explained(sandbox.run(&[
        "config",
        "explain",
        "remote.url",
        "--json",
        "--config-file",
        "deep/other.yaml",
    ]));
    assert!(
        key["value"].as_str().unwrap().ends_with("ws/deep/here.git"),
        "{key}"
    );
    let variable = ("FRACTARY_CODEX_CONFIG", "deep/other.yaml");
    assert_eq!(
        projects(run(&sandbox, &[variable], &["projects", "--json"])),
        ["other other"]
    );
    // The flag overrides the variable, and a missing file is an error instead of a search for
    // another one.
    let both = run(
        &sandbox,
        &[variable],
        &[
            "projects",
            "--json",
            "--config-file",
            ".fractary/config.yaml",
        ],
    );
    assert_eq!(projects(both), ["billing ."]);
    let missing = run(
        &sandbox,
        &[("FRACTARY_CODEX_CONFIG", "no.yaml")],
        &["projects"],
    )
    .code(3);
    assert!(
        missing
            .stderr
            .contains("ws/no.yaml: the file does not exist"),
        "{}",
        missing.stderr
    );
}

#[test]
fn dotenv_sets_variables_that_are_not_set() {
    let sandbox = workspace(format!("{ONE}  remote: {{ branch: \"${{BRANCH}}\" }}\n"));
    sandbox.write(
        "ws/.fractary/env/.env",
        "# ours\nexport BRANCH=from-file\nFRACTARY_CODEX_JOBS='3'\nFRACTARY_CODEX_ENV=\nGITHUB_TOKEN=s3cret\n",
    );
    let explain = |variables: &[(&str, &str)], key: &str| {
        explained(run(
            &sandbox,
            variables,
            &["config", "explain", key, "--json"],
        ))
    };
    assert_eq!(explain(&[], "remote.branch")["value"], "from-file");
    assert_eq!(
        explain(&[("BRANCH", "set")], "remote.branch")["value"],
        "set"
    );
    let jobs = explain(&[], "jobs");
    assert_eq!(
        (&jobs["value"], &jobs["given"][0]["layer"]),
        (&3.into(), &"environment".into())
    );
    assert!(
        jobs["given"][0]["origin"]
            .as_str()
            .unwrap()
            .contains("`FRACTARY_CODEX_JOBS` from "),
        "{jobs}"
    );
    assert_eq!(explain(&[("FRACTARY_CODEX_JOBS", "4")], "jobs")["value"], 4);
}

#[test]
fn dotenv_values_are_not_expanded() {
    let sandbox = workspace(format!("{ONE}  commit: {{ message: \"${{TEXT}}\" }}\n"));
    for (written, expected) in [
        ("abc$def", "abc$def"),
        ("${HOME} {count} $1  # why", "${HOME} {count} $1"),
        ("'a $b' ", "a $b"),
        ("\"two words\"", "two words"),
    ] {
        sandbox.write("ws/.fractary/env/.env", format!("TEXT={written}\n"));
        let key = explained(sandbox.run(&["config", "explain", "commit.message", "--json"]));
        assert_eq!(key["value"], expected, "{written}");
    }
    sandbox.write(
        "ws/.fractary/env/.env",
        "TEXT=x\nFRACTARY_CODEX_CONFIG=other.yaml\n",
    );
    let output = sandbox.run(&["config", "validate"]).code(0);
    assert!(
        output
            .stderr
            .contains("`FRACTARY_CODEX_CONFIG` has no effect here"),
        "{}",
        output.stderr
    );
}

#[test]
fn variables_are_expanded_once_and_only_in_section_codex() {
    let sandbox = workspace(format!(
        "other: ${{NOT_SET}}\n{ONE}  commit: {{ message: \"${{A}} ${{B:-b}} $C\" }}\n"
    ));
    let key = explained(run(
        &sandbox,
        &[("A", "${B}")],
        &["config", "explain", "commit.message", "--json"],
    ));
    assert_eq!(key["value"], "${B} b $C");
}

#[test]
fn relative_path_is_relative_to_its_definition() {
    let sandbox = workspace(format!(
        "{ONE}  remote: {{ url: ../codex.git }}\n  cache: {{ dir: c }}\n"
    ));
    sandbox.write(
        "home/.config/fractary/config.yaml",
        "codex: { state: { dir: state } }\n",
    );
    sandbox.write("ws/sub/README.md", "");
    let value = |key: &str, more: &[&str]| {
        let arguments = [&["-C", "sub", "config", "explain", key, "--json"], more].concat();
        let variables = [("FRACTARY_CODEX_PROJECTS", "{other={root='here'}}")];
        let value = explained(run(&sandbox, &variables, &arguments))["value"]
            .as_str()
            .unwrap()
            .to_owned();
        let base = fs::canonicalize(sandbox.path("")).unwrap();
        value
            .strip_prefix(&format!("{}/", base.display()))
            .map(str::to_owned)
            .unwrap_or(value)
    };
    assert!(
        value("remote.url", &[]).ends_with("codex.git")
            && !value("remote.url", &[]).contains("ws/codex.git")
    );
    assert_eq!(value("cache.dir", &[]), "ws/c");
    assert_eq!(value("cache.dir", &["--config", "cache.dir=d"]), "ws/sub/d");
    assert!(
        value("state.dir", &[]).ends_with("home/.config/fractary/state"),
        "{}",
        value("state.dir", &[])
    );
    assert_eq!(value("projects.other.root", &[]), "ws/sub/here");
}

#[test]
fn outer_workspace_takes_precedence_if_it_covers_the_inner_one() {
    let outer = |more: &str| {
        format!("codex: {{ organization: acme, codex_repo: codex, project: outer, {more} }}\n")
    };
    let sandbox = workspace(outer("workspace: { members: ['services/*'] }"));
    sandbox.write("ws/services/billing/.fractary/config.yaml", ONE);
    let inside = ["-C", "services/billing", "projects", "--json"];
    assert_eq!(
        projects(sandbox.run(&inside)),
        ["billing services/billing", "outer ."]
    );
    sandbox.write(
        "ws/.fractary/config.yaml",
        outer("projects: { billing: { root: services/billing } }"),
    );
    assert_eq!(
        projects(sandbox.run(&inside)),
        ["billing services/billing", "outer ."]
    );
    sandbox.write("ws/.fractary/config.yaml", outer("jobs: 1"));
    assert_eq!(projects(sandbox.run(&inside)), ["billing ."]);
}

#[test]
fn what_an_outer_workspace_covers_is_decided_on_the_merged_layers() {
    let outer = "codex: { organization: acme, codex_repo: codex, project: outer, projects: { x: { root: svc/x } } }\n";
    let inside = |sandbox: &Sandbox, variables: &[(&str, &str)]| {
        sandbox.write("ws/x/.fractary/config.yaml", ONE);
        sandbox.write("ws/svc/x/.fractary/config.yaml", ONE);
        let is_covered = |directory| {
            let arguments = ["-C", directory, "projects", "--json"];
            let found = projects(run(sandbox, variables, &arguments));
            found.iter().any(|project| project.starts_with("outer "))
        };
        (is_covered("x"), is_covered("svc/x"))
    };

    let sandbox = workspace(outer);
    assert_eq!(inside(&sandbox, &[]), (false, true));
    // The local file mentions the project without a root, and keeps the one that the workspace
    // gives.
    sandbox.write(
        "ws/.fractary/config.local.yaml",
        "codex: { projects: { x: { sync: { prune: true } } } }\n",
    );
    assert_eq!(inside(&sandbox, &[]), (false, true));
    // It gives another root.
    sandbox.write(
        "ws/.fractary/config.local.yaml",
        "codex: { projects: { x: { root: x } } }\n",
    );
    assert_eq!(inside(&sandbox, &[]), (true, false));
    // A variable does.
    let svc = sandbox.path("ws/svc/x").display().to_string();
    let variables = [("FRACTARY_CODEX_PROJECTS", format!("{{x={{root='{svc}'}}}}"))];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    assert_eq!(inside(&sandbox, &variables), (false, true));
    // The local file replaces the list of members.
    sandbox.write(
        "ws/.fractary/config.yaml",
        "codex: { organization: acme, codex_repo: codex, project: outer, workspace: { members: ['*'] } }\n",
    );
    sandbox.write(
        "ws/.fractary/config.local.yaml",
        "codex: { workspace: { members: ['svc/*'] } }\n",
    );
    assert_eq!(inside(&sandbox, &[]), (false, true));
}

#[test]
fn project_key_overrides_general_key_and_flag_overrides_both() {
    let sandbox = Sandbox::with_default_transport();
    let codex = sandbox.workspace(&["p"], "      sync: { to_codex: { include: [own.md] } }\n");
    let config = fs::read_to_string(sandbox.path("ws/.fractary/config.yaml"))
        .unwrap()
        .replace("p: {}", "p:");
    sandbox.write(
        "ws/.fractary/config.yaml",
        config + "  sync: { to_codex: { include: [general.md] } }\n",
    );
    for name in ["own", "general", "variable", "flag"] {
        sandbox.write(&format!("ws/p/{name}.md"), name);
    }
    // A higher layer's value for all projects does not override a project's own value.
    let variable = [("FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE", "['variable.md']")];
    run(&sandbox, &variable, &["sync", "--all"]).code(0);
    assert_eq!(codex.paths(), ["projects/p/own.md"]);
    run(
        &sandbox,
        &variable,
        &[
            "sync",
            "--all",
            "--config",
            "sync.to_codex.include=['flag.md', 'own.md']",
        ],
    )
    .code(0);
    assert_eq!(codex.paths(), ["projects/p/flag.md", "projects/p/own.md"]);
}

#[test]
fn older_keys_are_read_with_a_warning() {
    let sandbox = workspace(format!(
        "{ONE}  schema_version: '2.0'\n  organizationSlug: acme\n  archive: {{ a: [1] }}\n  cache: {{ ttl: 1 }}\n  \
         sync:\n    default_to_codex: [wiki/**]\n    exclude: [x]\n    from_codex: {{ include: [projects/other/docs/**] }}\n"
    ));
    let output = sandbox.run(&["config", "validate"]).code(0);
    insta::assert_snapshot!("older-keys", output.shown());
    let include = explained(sandbox.run(&["config", "explain", "sync.to_codex.include", "--json"]));
    assert_eq!(include["value"], serde_json::json!(["wiki/**"]));
}

#[test]
fn secrets_are_masked_everywhere() {
    let sandbox = workspace(format!(
        "{ONE}  remote: {{ url: 'https://me:s3cret@127.0.0.1:1/codex.git', token: s3cret }}\n  \
         remotes: {{ acme/codex: {{ token: s3cret }} }}\n  push: {{ retries: 0 }}\n"
    ));
    sandbox.write("ws/README.md", "x");
    let variables = [
        ("FRACTARY_CODEX_REMOTE__TOKEN", "s3cret-too"),
        ("FRACTARY_CODEX_LOG", "trace"),
    ];
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--origin"],
        &["config", "show", "--json"],
        &["config", "explain", "remote.token"],
        &["config", "explain", "remote.url", "--json"],
        &["config", "explain", "remotes.\"acme/codex\".token"],
        &["config", "validate"],
        &["sync", "--all", "-vv"],
        &["sync", "--all", "--json"],
        &["config", "validate", "--config", "remote.tokn=s3cret"],
        &["config", "validate", "--config", "remote.token=['s3cret']"],
        &["config", "validate", "--config", "remote=s3cret"],
        &[
            "config",
            "validate",
            "--config",
            "remote.url=ftp://me:s3cret@h/x",
        ],
    ] {
        let output = run(&sandbox, &variables, arguments);
        assert!(
            !output.stdout.contains("s3cret") && !output.stderr.contains("s3cret"),
            "{arguments:?}: {}",
            output.shown()
        );
    }
    let token = sandbox
        .run(&["config", "explain", "remote.token"])
        .code(0)
        .stdout;
    assert!(token.starts_with("remote.token = \"***\"\n"), "{token}");
}

#[test]
fn config_flag_is_accepted_before_and_after_the_command() {
    let sandbox = workspace(ONE);
    let shown = sandbox.run(&[
        "--config",
        "jobs=3",
        "config",
        "--config=push.retries=8",
        "show",
        "--config",
        "push.retries=7",
    ]);
    let shown = shown.code(0).stdout;
    assert!(
        shown.contains("jobs = 3\n") && shown.contains("push.retries = 7\n"),
        "{shown}"
    );
}

#[test]
fn dotenv_only_affects_keys_and_tokens() {
    let sandbox = Sandbox::with_default_transport();
    sandbox.workspace(&["alpha"], "  commit: { message: '${TEXT}' }\n");
    sandbox.write(
        "ws/.fractary/env/.env",
        "TEXT=from the file\nCI=true\nGIT_CONFIG_COUNT=1\nFRACTARY_CODEX_JOBS=2\n",
    );
    let value =
        |key: &str| explained(sandbox.run(&["config", "explain", key, "--json"]))["value"].clone();
    assert_eq!(
        (value("commit.message"), value("jobs")),
        ("from the file".into(), 2.into())
    );
    // If these variables reached the run, git would fail because of `GIT_CONFIG_COUNT` without
    // keys, and `CI` would disable the cache.
    sandbox.write("ws/alpha/README.md", "x");
    sandbox.run(&["sync", "--all"]).code(0);
    assert!(
        sandbox
            .path("ws/.fractary/codex/cache/projects/alpha/README.md")
            .exists()
    );
}
