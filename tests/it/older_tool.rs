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
        (
            "to_codex: ['docs/**', a.md]",
            "the list `sync.to_codex` is now `sync.to_codex.include`",
            "sync.to_codex.include",
            serde_json::json!(["docs/**", "a.md"]),
        ),
        (
            "from_codex: ['codex://{org}/core/docs/**']",
            "the list `sync.from_codex` is now `sync.from_codex.include`",
            "sync.from_codex.include",
            serde_json::json!(["codex://{org}/core/docs/**"]),
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

    // A run without these keys would publish something else, or to somewhere else.
    for key in ["remote: { url: ../codex.git }", "projects: { a: {} }"] {
        let text = format!("{flat}{key}\n");
        sandbox.write("ws/.fractary/config.yaml", text);
        let rejected = sandbox.run(&["config-validate"]).code(3).stderr;
        assert!(
            rejected.contains("is only read in the section `codex`"),
            "{rejected}"
        );
    }
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

/// The section of another tool in the same file.
const OTHER: &str = "# all tools\nversion: '2.0'\nwork: # ours\n  handler: github\n";

#[test]
fn configuration_is_created_updated_and_validated() {
    let (sandbox, _codex) = repository(OTHER);
    let schema = |of: &str| {
        let schema = sandbox.run(&["config", "schema", of]).code(0).json();
        jsonschema::validator_for(&schema).unwrap()
    };
    let run = |line: &str, code: i32| {
        let words: Vec<_> = line.split(' ').collect();
        sandbox.run(&words).code(code)
    };
    let read = || std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();

    let init = "config-init --org acme --project web --codex-repo codex --sync-preset standard --no-mcp --json";
    let output = run(init, 0);
    let created = output.json();
    assert!(schema("init").is_valid(&created), "{created}");
    assert_eq!(
        ["status", "organization", "project", "codex_repo"].map(|key| created[key].clone()),
        ["success", "acme", "web", "codex"]
    );
    let warning = "warning: `--no-mcp` has no effect: `.mcp.json` is never changed\n";
    assert_eq!(output.stderr, warning);
    assert!(!sandbox.path("ws/.mcp.json").exists());
    assert!(read().starts_with(OTHER), "{}", read());
    let exclude = serde_json::json!(["**/*.tmp", "_archive/**"]);
    assert_eq!(value(&sandbox, "sync.to_codex.exclude"), exclude);
    for form in [init, "configure"] {
        let text = run(form, 2);
        let text = text.stdout + &text.stderr;
        assert!(text.contains("already exists"), "{text}");
    }

    sandbox.write(
        "ws/.fractary/config.yaml",
        read().replace("  project: web", "  # the name\n  project: web"),
    );
    for (form, updated) in [
        (
            "config-update --org other --project shop --codex-repo docs --json",
            vec!["organization", "project", "codex_repo"],
        ),
        ("config update --organization other --json", vec![]),
        (
            "config-update --sync-preset minimal --no-mcp --json",
            vec!["sync.to_codex.include"],
        ),
    ] {
        let document = run(form, 0).json();
        assert!(schema("update").is_valid(&document), "{document}");
        assert_eq!(document["updated"], serde_json::json!(updated), "{form}");
        // The excluded files must not be published by the next sync.
        let kept = ["to_codex", "from_codex"]
            .map(|direction| format!("`sync.{direction}.exclude` keeps `_archive/**`"));
        let kept = kept
            .iter()
            .filter(|_| form.contains("preset"))
            .collect::<Vec<_>>();
        assert_eq!(document["warnings"], serde_json::json!(kept), "{form}");
    }
    assert!(
        read().starts_with(OTHER) && read().contains("  # the name\n  project: shop"),
        "{}",
        read()
    );
    assert_eq!(value(&sandbox, "project"), "shop");
    assert_eq!(
        value(&sandbox, "sync.to_codex.include"),
        serde_json::json!(["docs/**", "README.md"])
    );
    run("config-update --json", 2);

    // A value that the program rejects is not written.
    let before = read();
    for arguments in [
        ["--organization", "../x"],
        ["--organization", "a\nb"],
        ["--organization", "${NOPE}"],
        ["--codex-repo", "~"],
    ] {
        let output = sandbox
            .run(&[&["config", "update"], &arguments[..]].concat())
            .code(3);
        assert!(
            output.stderr.contains("is not changed"),
            "{}",
            output.stderr
        );
        assert_eq!(read(), before);
    }
    let files = std::fs::read_dir(sandbox.path("ws/.fractary")).unwrap();
    assert_eq!(files.count(), 1);

    let files = run("config path --json", 0).json();
    assert!(schema("path").is_valid(&files), "{files}");
    assert_eq!(files["files"][0]["layer"], "workspace");

    let validate = |code| {
        let document = run("config-validate --json", code).json();
        assert!(schema("validate").is_valid(&document), "{document}");
        document
    };
    assert_eq!(validate(0)["valid"], true);
    sandbox.write(
        "ws/.fractary/config.yaml",
        read() + "  wrong: 1\n  sync_too: 2\n",
    );
    let invalid = validate(3);
    assert_eq!(invalid["valid"], false);
    let issues = invalid["errors"].as_array().unwrap();
    let fields: Vec<_> = issues.iter().map(|issue| issue["field"].clone()).collect();
    assert_eq!(fields, ["wrong", "sync_too"], "{invalid}");
    assert!(
        issues
            .iter()
            .all(|issue| issue["severity"] == "error" && issue["line"].is_u64())
    );

    // A file that cannot be changed line by line is left as it is.
    for text in ["codex: { project: web }\n", OTHER] {
        sandbox.write("ws/.fractary/config.yaml", text);
        run("config-update --project shop", 2);
        assert_eq!(read(), text);
    }
}

/// The command lines in the documentation and the automation of the older tool. Those in
/// MIGRATING.md that are not available exit with 2 and change nothing.
#[test]
fn command_lines_are_accepted() {
    let (sandbox, codex) = repository(&with_sync(
        "    to_codex: { include: ['docs/**'] }\n    from_codex: { include: ['codex://acme/{project}/**'] }\n",
    ));
    for (line, code) in [
        ("--version", 0),
        ("help", 0),
        ("sync --dry-run", 0),
        ("sync", 0),
        ("sync web", 0),
        ("sync web --force", 0),
        ("sync project", 0),
        ("sync project web --to-codex", 0),
        (
            "sync --direction to-codex --include docs/** --exclude docs/x/**",
            0,
        ),
        ("sync --direction from-codex --json", 0),
        ("sync --bidirectional --work-id 42", 0),
        ("sync --env prod --from-codex", 0),
        ("document-fetch codex://acme/web/docs/a.md", 0),
        (
            "document-fetch codex://acme/web/docs/a.md --bypass-cache --json",
            0,
        ),
        (
            "document-fetch codex://acme/web/docs/a.md --ttl 3600 --output ../a.md",
            0,
        ),
        ("fetch codex://acme/web/docs/a.md", 0),
        ("cache-list", 0),
        ("cache-list --status fresh --sort size --desc", 0),
        ("cache-list --verbose --limit 10 --sort createdAt --desc", 0),
        ("cache-list --status expired --sort expiresAt --json", 0),
        ("cache-list --status stale --sort uri", 0),
        ("cache list --json", 0),
        ("cache-stats --json", 0),
        ("cache stats", 0),
        ("cache-health --json", 0),
        ("cache health", 0),
        ("health --json", 0),
        ("config-validate", 0),
        ("config validate --json", 0),
        ("config show", 0),
        ("cache-clear --pattern codex://acme/* --dry-run", 0),
        ("cache-clear --all --dry-run", 0),
        // Not available.
        ("cache-clear", 2),
        ("cache clear --expired", 2),
        ("sync org --dry-run", 2),
        ("sync other", 2),
        ("sync --parallel 3", 2),
        ("config get organization", 2),
        ("config set organization x", 2),
        ("migrate --dry-run", 2),
        ("types list", 2),
        ("list --tag guide", 2),
        ("parse docs/a.md", 2),
        ("route docs/a.md", 2),
        ("check --fix", 2),
        ("validate docs", 2),
        ("document-fetch codex://docs/a.md", 2),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        sandbox.run(&words).code(code);
    }
    for (of, line) in [
        ("cache-list", "cache-list --json"),
        ("cache-status", "cache-health --json"),
        ("cache-clear", "cache-clear --all --dry-run --json"),
    ] {
        let schema = sandbox.run(&["config", "schema", of]).code(0).json();
        let words: Vec<_> = line.split(' ').collect();
        let document = sandbox.run(&words).code(0).json();
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(&document), "{line}: {document}");
        assert!(
            document["caches"][0]["path"].is_string(),
            "{line}: {document}"
        );
        assert!(!validator.is_valid(&serde_json::json!({ "caches": [{ "path": 1 }] })));
    }
    assert_eq!(codex.paths(), ["projects/web/docs/a.md"]);
    assert_eq!(std::fs::read(sandbox.path("a.md")).unwrap(), b"docs/a.md");
    let cached = sandbox.path("ws/.fractary/codex/cache/projects/web/docs/a.md");
    assert!(cached.exists());
    sandbox.run(&["cache-clear", "--all"]).code(0);
    assert!(!cached.exists());
}

#[test]
fn patterns_of_a_pull_have_the_forms_of_the_older_tool() {
    let (sandbox, codex) = repository(&with_sync("    direction: from-codex\n"));
    let [own, own_doc, json, md, api, shared] = [
        "web/README.md",
        "web/docs/api.md",
        "etl.acme.ai/docs/schema/deep/data.json",
        "etl.acme.ai/docs/guide.md",
        "api.acme.ai/docs/schema/data.json",
        "codex/docs/standard.md",
    ];
    let paths = [own, own_doc, json, md, api, shared].map(|path| format!("projects/{path}"));
    let files = paths
        .each_ref()
        .map(|path| ("100644", path.as_str(), "text"));
    codex.commit(&files, &[]);

    for (pattern, expected) in [
        ("etl.acme.ai/docs/schema/**/*.json", vec![json]),
        ("etl.acme.ai/**/schema/**/*.json", vec![json]),
        ("projects/etl.acme.ai/docs/**/*.md", vec![md]),
        ("README.md", vec![own]),
        ("docs/**/*.md", vec![own_doc]),
        ("codex://acme/etl.acme.ai/docs/schema/**/*.json", vec![json]),
        ("codex://acme/{project}/docs/**", vec![own_doc]),
        ("codex://acme/{codex_repo}/docs/**", vec![shared]),
        ("codex://{org}/etl.acme.ai/docs/**", vec![md, json]),
        ("codex://acme/etl.acme.ai", vec![md, json]),
        ("{project}/**", vec![own, own_doc]),
    ] {
        let pull = ["sync", "--include", pattern, "--dry-run", "--json"];
        let document = sandbox.run(&pull).code(0).json();
        let changes = document["projects"][0]["changes"].as_array().unwrap();
        let pulled: Vec<_> = changes
            .iter()
            .map(|change| change["path"].clone())
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|path| format!("projects/{path}"))
            .collect();
        assert_eq!(pulled, expected, "{pattern}");
    }
    // A URI without a project is an error here.
    sandbox.run(&["sync", "--include", "codex://acme"]).code(3);
}

#[test]
fn committed_cache_is_taken_over() {
    let (sandbox, codex) = repository(&with_sync(
        "    from_codex: { include: ['codex://acme/core/**'] }\n",
    ));
    let [a, b] = ["projects/core/a.md", "projects/core/b.md"];
    codex.commit(&[("100644", a, "one"), ("100644", b, "one")], &[]);
    let pull = || {
        let dry = sandbox
            .run(&["sync", "--from-codex", "--dry-run", "--json"])
            .code(0)
            .json();
        let pulled = sandbox
            .run(&["sync", "--from-codex", "--json"])
            .code(0)
            .json();
        assert_eq!(dry["totals"]["modified"], pulled["totals"]["modified"]);
    };
    let cache = "ws/.fractary/codex/cache";
    let read = || {
        [a, b]
            .map(|path| std::fs::read_to_string(sandbox.path(&format!("{cache}/{path}"))).unwrap())
    };
    let git = |arguments: &[&str]| sandbox.git(&sandbox.path("ws"), arguments);
    let checkout = || sandbox.remove(&format!("{cache}/.fractary-codex"));
    pull();
    git(&["init", "-q"]);
    git(&["add", "-f", ".fractary/codex/cache/projects"]);
    git(&["commit", "-q", "-m", "cache"]);

    // A checkout has the files without the manifest. Contents that no commit has are kept, even if
    // they are staged.
    checkout();
    codex.commit(&[("100644", a, "two"), ("100644", b, "two")], &[]);
    sandbox.write(&format!("{cache}/{b}"), "edited");
    pull();
    assert_eq!(read(), ["two", "edited"]);
    git(&["add", "-f", ".fractary/codex/cache/projects"]);
    pull();
    assert_eq!(read(), ["two", "edited"]);

    // Another checkout commits other versions, and this one gets them by a pull of the repository.
    sandbox.write(&format!("{cache}/{a}"), "other");
    git(&["commit", "-q", "-am", "other"]);
    pull();
    assert_eq!(read(), ["two", "two"]);
}
