//! The configuration and the commands of the older tool work.

use serde_json::Value;

use crate::support::{Codex, Sandbox};

/// A repository that is one project, with this configuration, and an empty codex.
fn repository(config: &str) -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    sandbox.write("ws/.fractary/config.yaml", config);
    for path in [
        "docs/a.md",
        "docs/dist/x.md",
        "docs/x/build/y.md",
        "coverage/z.md",
        "guides/g.md",
    ] {
        sandbox.write(&format!("ws/{path}"), path);
    }
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    (sandbox, codex)
}

/// The minimal configuration, with these lines under `sync`.
fn with_sync(sync: &str) -> String {
    format!(
        "codex:\n  organization: acme\n  codex_repo: codex\n  project: web\n  remote: {{ url: ../codex.git }}\n  sync:\n{sync}"
    )
}

/// The effective value of a key.
fn value(sandbox: &Sandbox, key: &str) -> Value {
    let explained = sandbox
        .run(&["config", "explain", key, "--json"])
        .code(0)
        .json();
    explained["keys"][0]["value"].clone()
}

#[test]
fn default_branch_is_that_of_the_environment_prod() {
    let (sandbox, codex) = repository(&with_sync(
        "    environments: { prod: release, dev: develop }\n",
    ));
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    codex.git(&["branch", "release"]);
    codex.git(&["branch", "other"]);
    let branch = |arguments: &[&str]| {
        let sync = [&["sync", "--json", "--dry-run"], arguments].concat();
        sandbox.run(&sync).code(0).json()["remote"]["branch"].clone()
    };
    assert_eq!(branch(&[]), "release");
    assert_eq!(branch(&["--config", "remote.branch=other"]), "other");
    // The default of `sync.environments` is not the user's choice.
    sandbox.write(
        "ws/.fractary/config.yaml",
        with_sync("    environments: { dev: develop }\n"),
    );
    codex.git(&["symbolic-ref", "HEAD", "refs/heads/other"]);
    assert_eq!(branch(&[]), "other");
    assert_eq!(
        branch(&["--config", "sync.environments.prod=release"]),
        "release"
    );
}

#[test]
fn older_keys_are_read_or_ignored_with_a_warning() {
    for (sync, warning, key, expected) in [
        (
            "defaultDirection: from-codex",
            "`sync.defaultDirection` is now `sync.direction`",
            "sync.direction",
            "from-codex".into(),
        ),
        (
            "bidirectional: true",
            "`sync.bidirectional: true` is now",
            "sync.direction",
            "bidirectional".into(),
        ),
        (
            "bidirectional: false",
            "`sync.bidirectional` is ignored",
            "sync.direction",
            "to-codex".into(),
        ),
        (
            "deleteOrphans: true",
            "`sync.deleteOrphans` is now `sync.prune`",
            "sync.prune",
            true.into(),
        ),
        (
            "defaultExcludes: ['*.bak']",
            "`sync.defaultExcludes` is now `sync.to_codex.exclude`",
            "sync.to_codex.exclude",
            serde_json::json!(["**/*.tmp", "*.bak"]),
        ),
        (
            "conflictResolution: newest",
            "`sync.conflictResolution` of the older tool has no effect",
            "sync.direction",
            "to-codex".into(),
        ),
        (
            "conflictStrategy: { a: b }",
            "`sync.conflictStrategy` of",
            "sync.direction",
            "to-codex".into(),
        ),
        (
            "rules: [{ pattern: x }]",
            "`sync.rules` of",
            "sync.direction",
            "to-codex".into(),
        ),
        (
            "patterns: [x]",
            "`sync.patterns` of",
            "sync.direction",
            "to-codex".into(),
        ),
    ] {
        let (sandbox, _codex) = repository(&with_sync(&format!("    {sync}\n")));
        let checked = sandbox.run(&["config-validate"]).code(0);
        assert!(
            checked.stderr.contains(warning),
            "{sync}: {}",
            checked.stderr
        );
        assert_eq!(value(&sandbox, key), expected, "{sync}");
    }
    let both = with_sync("    direction: from-codex\n    bidirectional: true\n");
    let (sandbox, _codex) = repository(&both);
    assert_eq!(value(&sandbox, "sync.direction"), "from-codex");
}

#[test]
fn flat_file_is_read_and_sections_of_other_tools_are_not() {
    let flat = "organization: acme\ncodex_repo: codex\nproject: web\nwork: { remote: x }\nsync:\n  to_codex: { include: ['docs/**'] }\n";
    let (sandbox, codex) = repository(flat);
    let sync = ["sync", "--config", "remote.url=../codex.git"];
    let output = sandbox.run(&sync).code(0);
    let expected = "the file has no section `codex`; its top level is read instead";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
    assert_eq!(codex.paths(), ["projects/web/docs/a.md"]);

    sandbox.write(
        "ws/.fractary/config.yaml",
        "organization: acme\nwork: { project: x }\n",
    );
    sandbox.run(&["config-validate"]).code(3);
}

#[test]
fn build_directories_are_left_out_in_both_directions() {
    let (sandbox, codex) = repository(&with_sync(
        "    to_codex: { include: ['{docs,guides,coverage}/**', 'docs/dist/**'] }\n    from_codex: { include: ['codex://acme/*/**', 'codex://acme/core/build/**'] }\n",
    ));
    let published = sandbox.run(&["sync", "--no-cache"]).code(0);
    assert_eq!(
        codex.paths(),
        ["projects/web/docs/a.md", "projects/web/guides/g.md"]
    );
    let named = "`docs/dist/**` names files that the default exclude `dist` leaves out";
    assert!(published.stderr.contains(named), "{}", published.stderr);

    // A project may have the name of such a directory.
    codex.commit(
        &[
            ("100644", "projects/build/docs/a.md", "a"),
            ("100644", "projects/core/build/a.md", "a"),
            ("100644", "projects/core/x/coverage/a.md", "a"),
            ("100644", "projects/core/x/.env.local", "a"),
            ("100644", "projects/core/x/.hidden.md", "a"),
        ],
        &[],
    );
    let cached = |arguments: &[&str]| {
        let pulled = sandbox
            .run(&[&["sync", "--from-codex"], arguments].concat())
            .code(0);
        let listed = sandbox.run(&["cache", "list"]).code(0).stdout;
        (
            pulled.stderr,
            listed.lines().map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    let (stderr, files) = cached(&[]);
    assert_eq!(
        files,
        [
            "projects/build/docs/a.md",
            "projects/core/x/.hidden.md",
            "projects/web/docs/a.md",
            "projects/web/guides/g.md"
        ]
    );
    let named =
        "`codex://acme/core/build/**` names files that the default exclude `build` leaves out";
    assert!(stderr.contains(named), "{stderr}");
    let (stderr, files) = cached(&["--config", "sync.default_excludes=false"]);
    assert_eq!(files.len(), 7, "{files:?}");
    assert!(!stderr.contains("default exclude"), "{stderr}");
}

#[test]
fn include_of_a_pull_removes_nothing_else() {
    let (sandbox, codex) = repository(&with_sync(
        "    from_codex: { include: ['codex://acme/core/**'] }\n",
    ));
    let [a, b, c] = ["a", "b", "c"].map(|name| format!("projects/core/{name}/x.md"));
    let files = [a.as_str(), b.as_str(), c.as_str()].map(|path| ("100644", path, "one"));
    codex.commit(&files, &[]);
    sandbox.run(&["sync", "--from-codex"]).code(0);
    codex.commit(&[("100644", &a, "two"), ("100644", &b, "two")], &[&c]);
    sandbox.write(&format!("ws/.fractary/codex/cache/{b}"), "edited");

    let pull = |include: &str| {
        let pull = ["sync", "--from-codex", "--include", include, "--json"];
        sandbox.run(&pull).code(0).json()["totals"].clone()
    };
    let read = |path: &str| {
        std::fs::read_to_string(sandbox.path(&format!("ws/.fractary/codex/cache/{path}")))
            .unwrap_or_default()
    };
    let totals = pull("codex://acme/core/a/**");
    assert_eq!(
        (&totals["modified"], &totals["deleted"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        [&a, &b, &c].map(|path| read(path)),
        ["two", "edited", "one"]
    );
    // Within the pattern, the cache follows the codex. The guard counts the files within.
    let withheld = [
        "sync",
        "--from-codex",
        "--include",
        "codex://acme/core/c/**",
    ];
    sandbox.run(&withheld).code(1);
    sandbox
        .run(&[&withheld[..], &["--allow-mass-delete"]].concat())
        .code(0);
    assert_eq!([&a, &b, &c].map(|path| read(path)), ["two", "edited", ""]);
    // The other files are still those of the project, and the next complete pull updates them.
    sandbox.run(&["sync", "--from-codex", "--force"]).code(0);
    assert_eq!([&a, &b].map(|path| read(path)), ["two", "two"]);
}

#[test]
fn document_has_the_status_of_the_older_tool() {
    let (sandbox, codex) = repository(&with_sync("    to_codex: { include: ['docs/**'] }\n"));
    let status = |arguments: &[&str], code| {
        let sync = [&["sync", "--json"], arguments].concat();
        let output = sandbox.run(&sync).code(code).json();
        assert_eq!(output["exit_code"], code);
        output["status"].clone()
    };
    assert_eq!(status(&["--dry-run"], 0), "success");
    assert_eq!(status(&[], 0), "success");
    assert_eq!(status(&["-p", "unknown"], 2), "failure");
    sandbox.remove("ws/docs");
    assert_eq!(status(&[], 1), "failure");
    codex.hook("pre-receive", "exit 1");
    sandbox.write("ws/docs/a.md", "b");
    assert_eq!(status(&["--config", "push.on_declined=fail"], 5), "failure");
}
