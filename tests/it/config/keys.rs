//! Single keys whose effect is only visible in the whole program.

use std::os::unix::fs::symlink;

use super::{ONE, run, workspace};
use crate::support::http::HttpServer;
use crate::support::{Codex, Sandbox};

#[test]
fn defaults_match_the_contract() {
    let sandbox = Sandbox::with_default_transport();
    let shown = sandbox.run(&["config", "show", "--json"]).code(0).json();
    let keys = shown["keys"].as_array().unwrap().iter();
    let shown: Vec<String> = keys
        .filter(|key| !key["key"].as_str().unwrap().ends_with("dir"))
        .map(|key| format!("{} = {}", key["key"].as_str().unwrap(), key["value"]))
        .collect();
    insta::assert_snapshot!("defaults", shown.join("\n"));
}

#[test]
fn environment_selects_branch_and_placeholder() {
    let sandbox = Sandbox::with_default_transport();
    let codex = sandbox.workspace(
        &["p"],
        "      to: \"{env}/{branch}/{org}/{codex_repo}/{project}\"\n",
    );
    let config = std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml"))
        .unwrap()
        .replace("p: {}", "p:");
    sandbox.write(
        "ws/.fractary/config.yaml",
        config + "  sync: { environments: { qa: quality } }\n",
    );
    sandbox.write("ws/p/README.md", "x");
    sandbox.run(&["sync", "--all", "--env", "qa"]).code(0);
    assert_eq!(
        codex.git(&["ls-tree", "-r", "--name-only", "quality"]),
        "qa/quality/acme/codex/p/README.md\n"
    );
    // A missing branch is created from the branch that HEAD names.
    codex.git(&["symbolic-ref", "HEAD", "refs/heads/quality"]);
    // The flag overrides the variable, and an environment overrides `remote.branch`.
    let variables = [
        ("FRACTARY_CODEX_ENV", "qa"),
        ("FRACTARY_CODEX_REMOTE__BRANCH", "no-such"),
    ];
    let output = run(
        &sandbox,
        &variables,
        &[
            "sync",
            "--all",
            "--env",
            "dev",
            "--dry-run",
            "--config",
            "remote.create=true",
        ],
    );
    assert!(output.code(0).shown().contains("develop"));
    let without = sandbox.run(&["config", "validate"]).code(3);
    assert!(
        without
            .stderr
            .contains("`projects.p.to`: `{env}` has no value"),
        "{}",
        without.stderr
    );
    assert!(
        without
            .stderr
            .contains("hint: select an environment: set `FRACTARY_CODEX_ENV=NAME`"),
        "{}",
        without.stderr
    );
}

#[test]
fn own_files_are_never_published() {
    let sandbox = workspace(format!(
        "{ONE}  remote: {{ url: ../codex.git }}\n  cache: {{ dir: fetched }}\n"
    ));
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    for path in [
        "README.md",
        ".fractary/notes.md",
        ".fractary/env/.env",
        ".fractary/env/production",
        ".fractary/config.local.yaml",
        ".fractary/codex/cache/a.md",
        "fetched/b.md",
        "state/c.md",
    ] {
        sandbox.write(&format!("ws/{path}"), "");
    }
    let arguments = [
        "sync",
        "--all",
        "--config",
        "sync.to_codex.include=['**', '**/.env', '.fractary/**']",
        "--config",
        "sync.default_excludes=false",
        "--config",
        "state.dir=state",
    ];
    sandbox.run(&arguments).code(0);
    let expected = [".fractary/config.yaml", ".fractary/notes.md", "README.md"];
    assert_eq!(
        codex.paths(),
        expected.map(|path| format!("projects/billing/{path}"))
    );
}

#[test]
fn default_excludes_and_gitignore_are_options() {
    let sandbox = workspace(format!("{ONE}  remote: {{ url: ../codex.git }}\n"));
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    for path in [
        "docs/a.md",
        "docs/deep/node_modules/x.md",
        "docs/run.log",
        "docs/.envrc",
        "docs/built/b.md",
    ] {
        sandbox.write(&format!("ws/{path}"), "x");
    }
    // Like ripgrep, `.gitignore` only applies inside a repository.
    sandbox.git(&sandbox.path("ws"), &["init", "-q"]);
    sandbox.write("ws/.gitignore", "built/\n");
    let names = |more: &[&str]| {
        sandbox.run(&[&["sync", "--all"], more].concat()).code(0);
        let paths = codex.paths();
        paths
            .iter()
            .map(|path| path.rsplit('/').next().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(&[]), "a.md b.md");
    assert_eq!(names(&["--config", "sync.respect_gitignore=true"]), "a.md");
    assert_eq!(
        names(&["--config", "sync.default_excludes=false"]),
        ".envrc a.md b.md x.md run.log"
    );
}

#[test]
fn documents_in_a_cache_or_state_directory_stay_in_the_codex() {
    for key in ["cache.dir", "state.dir"] {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        for path in ["docs/a.md", "docs/own/b.md", "docs/own/c.md"] {
            sandbox.write(&format!("ws/alpha/{path}"), "x");
        }
        sandbox.run(&["sync", "--all"]).code(0);
        let published = codex.paths();

        // Neither the first run nor one that finds the directory in use deletes them.
        let setting = format!("{key}={}", sandbox.path("ws/alpha/docs/own").display());
        for content in ["y", "z"] {
            sandbox.write("ws/alpha/docs/a.md", content);
            sandbox.remove("ws/alpha/docs/own/b.md");
            let sync = ["sync", "--all", "--bidirectional", "--config", &setting];
            let output = sandbox.run(&sync).code(0);
            let warning = "`docs/own` is a directory of the cache or the state";
            assert!(output.stderr.contains(warning), "{key}: {}", output.stderr);
            assert_eq!(codex.paths(), published, "{key}");
            assert_eq!(codex.file("projects/alpha/docs/a.md"), content);
            sandbox.write("ws/alpha/docs/own/b.md", "x");
        }

        // Without documents there, nothing is reported.
        let elsewhere = format!("{key}={}", sandbox.path("ws/alpha/own").display());
        let output = sandbox
            .run(&["sync", "--all", "--config", &elsewhere])
            .code(0);
        assert!(
            !output.stderr.contains("is a directory of"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn an_ignore_file_that_is_a_pipe_is_an_error() {
    for pipe in [
        "ws/.gitignore",
        "ws/alpha/.gitignore",
        "ws/alpha/docs/.gitignore",
        "ws/alpha/docs/.git/info/exclude",
    ] {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        sandbox.write("ws/alpha/docs/a.md", "a");
        std::fs::create_dir_all(sandbox.path(pipe).parent().unwrap()).unwrap();
        sandbox.pipe(pipe);

        let respect = ["sync", "--all", "--config", "sync.respect_gitignore=true"];
        let output = sandbox.run(&respect).code(1);
        let expected = format!(
            "cannot read the ignore rules: `{}` is not a regular file",
            sandbox.path(pipe).display()
        );
        assert!(output.stderr.contains(&expected), "{}", output.stderr);
        assert_eq!(codex.paths(), [""; 0], "{pipe}");
        sandbox.run(&["sync", "--all"]).code(0);
    }
}

#[test]
fn null_key_has_no_effect_but_null_project_exists() {
    let yaml =
        format!("{ONE}  jobs:\n  remote:\n    branch: ~\n  sync:\n  projects:\n    a:\n    b:\n");
    let json = r#"{"codex": {"remote": {"url": "/c.git", "branch": null}, "project": "billing", "jobs": null,
        "projects": {"a": null, "b": null}}}"#;
    for (ending, text) in [("yaml", yaml.as_str()), ("json", json)] {
        let sandbox = Sandbox::with_default_transport();
        sandbox.write(&format!("ws/.fractary/config.{ending}"), text);
        sandbox.write("ws/a/.fractary/config.yaml", "codex: { project: a }\n");
        let listed = sandbox.run(&["projects", "--json"]).code(0).json();
        let names: Vec<_> = listed["projects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|project| &project["name"])
            .collect();
        assert_eq!(names, ["a", "b", "billing"]);
        let inside = sandbox
            .run(&["-C", "a", "projects", "--json"])
            .code(0)
            .json();
        assert_eq!(inside, listed);
    }
}

#[test]
fn files_below_the_root_of_another_project_are_not_published() {
    let sandbox = workspace(format!(
        "{ONE}  remote: {{ url: ../codex.git }}\n  projects: {{ inner: {{ root: docs/inner }} }}\n  \
         sync: {{ to_codex: {{ include: ['**/*.md'] }} }}\n"
    ));
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    sandbox.write("ws/docs/a.md", "a");
    sandbox.write("ws/docs/inner/b.md", "b");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        codex.paths(),
        ["projects/billing/docs/a.md", "projects/inner/b.md"]
    );
}

#[test]
fn sources_that_differ_only_in_case_or_unicode_form_are_rejected() {
    for (one, other) in [
        ("docs/Guide.md", "docs/guide.md"),
        ("docs/caf\u{e9}.md", "docs/cafe\u{301}.md"),
    ] {
        let sandbox = workspace(format!("{ONE}  remote: {{ url: ../codex.git }}\n"));
        let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
        sandbox.write(&format!("ws/{one}"), "1");
        sandbox.write(&format!("ws/{other}"), "2");
        let output = sandbox.run(&["sync", "--all"]);
        assert_ne!(output.code, Some(0));
        for part in [one, other, "`docs/**`"] {
            assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
        }
        assert_eq!(codex.tip(), None);
    }
}

#[test]
fn authentication_error_names_the_unset_token_variable() {
    let sandbox = Sandbox::with_default_transport();
    Codex::empty(&sandbox.path("acme/codex.git"), &sandbox);
    let server = HttpServer::start(&sandbox.path(""), Some("x-access-token:s3cret"));
    let config = format!(
        "{ONE}  remote: {{ url: '{}', token: '${{CODEX_TOKEN}}' }}\n  remotes: {{ other/codex: {{ token: '${{OTHERS}}' }} }}\n",
        server.url("acme/codex.git")
    );
    sandbox.write("ws/.fractary/config.yaml", config);
    sandbox.write("ws/README.md", "x");
    sandbox.run(&["config", "validate"]).code(0);
    let output = sandbox.run(&["sync", "--all"]).code(4);
    assert!(
        output.stderr.contains("CODEX_TOKEN") && !output.stderr.contains("OTHERS"),
        "{}",
        output.stderr
    );
    run(&sandbox, &[("CODEX_TOKEN", "s3cret")], &["sync", "--all"]).code(0);
}

#[test]
fn token_of_the_older_tool_is_sent_to_its_repository_only() {
    let sandbox = Sandbox::with_default_transport();
    for path in ["acme/codex.git", "acme/other.git"] {
        Codex::empty(&sandbox.path(path), &sandbox);
    }
    let server = HttpServer::start(&sandbox.path(""), Some("x-access-token:s3cret"));
    sandbox.write(
        "ws/.fractary/config.yaml",
        format!("{ONE}  remotes: {{ Acme/codex: {{ token: s3cret, branch: x }} }}\n"),
    );
    sandbox.write("ws/README.md", "x");
    for (path, code) in [("acme/codex.git", 0), ("acme/other.git", 4)] {
        let url = server.url(path);
        run(
            &sandbox,
            &[("FRACTARY_CODEX_REMOTE__URL", &url)],
            &["sync", "--all"],
        )
        .code(code);
    }
}

#[test]
fn organization_is_detected_from_the_remote_of_the_workspace() {
    let sandbox = workspace("codex:\n  codex_repo: codex\n  workspace: { members: ['*'] }\n");
    for (path, url) in [
        ("ws", "git@github.com:acme/platform.git"),
        ("ws/billing", "https://github.com/elsewhere/b.git"),
    ] {
        std::fs::create_dir_all(sandbox.path(path)).unwrap();
        sandbox.git(&sandbox.path(path), &["init", "-q"]);
        sandbox.git(&sandbox.path(path), &["remote", "add", "origin", url]);
    }
    // The result is the same inside a member that is a repository itself.
    for directory in [".", "billing"] {
        let output = sandbox
            .run(&["-C", directory, "config", "validate"])
            .code(0);
        assert!(
            output.stdout.contains("https://github.com/acme/codex.git"),
            "{}",
            output.stdout
        );
    }
}

#[test]
fn user_file_is_read_from_xdg_config_home() {
    let sandbox = workspace(ONE);
    sandbox.write("elsewhere/fractary/config.toml", "[codex]\njobs = 7\n");
    let elsewhere = sandbox.path("elsewhere").display().to_string();
    let output = run(
        &sandbox,
        &[("XDG_CONFIG_HOME", &elsewhere)],
        &["config", "explain", "jobs"],
    )
    .code(0);
    assert!(output.stdout.starts_with("jobs = 7\n"), "{}", output.stdout);
    assert_eq!(
        sandbox
            .run(&["config", "explain", "jobs", "--json"])
            .code(0)
            .json()["keys"][0]["value"],
        0
    );
}

#[test]
fn workspace_is_found_through_a_link() {
    let sandbox = workspace(
        "codex:\n  organization: acme\n  codex_repo: codex\n  workspace: { members: ['services/*'] }\n",
    );
    sandbox.write(
        "ws/services/billing/.fractary/config.yaml",
        "codex: { project: billing }\n",
    );
    symlink("ws", sandbox.path("link")).unwrap();
    let output = sandbox
        .run(&["-C", "../link/services/billing", "projects", "--json"])
        .code(0)
        .json();
    assert_eq!(output["projects"][0]["root"], "services/billing");
}

#[test]
fn root_of_a_member_with_settings_is_explained_by_the_members() {
    let sandbox = workspace(
        "codex:\n  organization: acme\n  codex_repo: codex\n  workspace: { members: [svc/a] }\n  projects: { beta: {} }\n",
    );
    sandbox.write(
        "ws/svc/a/.fractary/config.yaml",
        "codex: { project: alpha, sync: { prune: true } }\n",
    );
    std::fs::create_dir(sandbox.path("ws/beta")).unwrap();
    for (name, source) in [
        ("alpha", "`workspace.members`"),
        ("beta", "the directory with the name of the project"),
    ] {
        let key = format!("projects.{name}.root");
        let text = sandbox.run(&["config", "explain", &key]).code(0).stdout;
        assert!(text.contains(source), "{text}");
    }
}
