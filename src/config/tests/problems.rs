//! Error messages.

use super::*;

#[test]
fn all_problems_are_reported_with_location_and_hint() {
    let text = "codex:\n  organisation: acme\n  codex_repo: c\n  project: ../up\n  remote:\n    brunch: main\n    \
                timeout: { idle: soon }\n  sync:\n    to_codex: { include: ['[a'], exclud: [] }\n    direction: to-codx\n  \
                commit: { sign: true, message: '{cuont}' }\n  jobs: [1]\n  cache: { ttl: 1 }\n";
    let world = World::new(&[("ws/.fractary/config.yaml", text)])
        .env(&[("FRACTARY_CODEX_REMOT__URL", "x")]);
    let expected = "\
/T/ws/.fractary/config.yaml:2:3: unknown key `organisation` [did you mean `organization`?]
/T/ws/.fractary/config.yaml:4:12: `../up` is not a project name: 1 to 100 letters, digits, `.`, `_` or `-`, starting with a letter or digit
/T/ws/.fractary/config.yaml:6:5: unknown key `remote.brunch` [did you mean `remote.branch`?]
/T/ws/.fractary/config.yaml:7:22: `remote.timeout.idle`: expected a duration of at most 24h, such as `30s` or `5m`, found `soon`
/T/ws/.fractary/config.yaml:9:27: `sync.to_codex.include`: `[a`: unclosed character class; missing ']'
/T/ws/.fractary/config.yaml:9:34: unknown key `sync.to_codex.exclud` [did you mean `sync.to_codex.exclude`?]
/T/ws/.fractary/config.yaml:10:16: `sync.direction`: expected one of `to-codex`, `from-codex`, `bidirectional`, found `to-codx` [did you mean `to-codex`?]
/T/ws/.fractary/config.yaml:11:19: `commit.sign`: expected one of `auto`, `always`, `never`, found `true`
/T/ws/.fractary/config.yaml:11:34: `commit.message`: unknown placeholder `{cuont}` [did you mean `{count}`?]
/T/ws/.fractary/config.yaml:12:9: `jobs`: expected a number of threads from 0 to 1024, found a list
environment variable `FRACTARY_CODEX_REMOT__URL`: there is no key `remot` [did you mean `FRACTARY_CODEX_REMOTE__URL`?]
";
    assert_eq!(world.problems(), expected);
}

#[test]
fn paths_in_the_codex_must_not_collide() {
    for (a, b, how) in [
        ("x/y", "x/y", "have the same directory `x/y`"),
        ("x", "x/y", "overlap"),
        ("Docs", "docs", "differ only in case"),
        (
            "caf\u{e9}",
            "cafe\u{301}",
            "differ only in case or Unicode form",
        ),
    ] {
        let text = format!(
            "codex: {{ remote: {{ url: /c.git }}, projects: {{ a: {{ to: '{a}' }}, b: {{ to: '{b}' }} }} }}"
        );
        let problems = World::new(&[("ws/.fractary/config.yaml", &text)]).problems();
        assert!(
            problems.contains(how) && problems.contains("`a`") && problems.contains("`b`"),
            "{problems}"
        );
    }
}

#[test]
fn secrets_are_masked_in_all_output() {
    let text = format!(
        "{ONE}  remote: {{ token: s3cret, url: 'https://me:s3cret@h/x.git' }}\n  remotes: {{ o/r: {{ token: s3cret }} }}\n"
    );
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
    let (configuration, workspace) = world.load();
    let shown = format!(
        "{:?}{configuration:?}{workspace:?}",
        configuration.effective()
    );
    assert!(!shown.contains("s3cret"), "{shown}");
    let explained = configuration.explain("codex.remote.url").unwrap();
    assert_eq!(explained[0].value, Some("https://me:***@h/x.git".into()));
    assert!(
        configuration
            .explain("remote.tokn")
            .unwrap_err()
            .hint
            .is_some()
    );
    assert_eq!(configuration.explain("remote").unwrap().len(), 10);
}

#[test]
fn unusable_files_are_reported_with_their_location() {
    let long = format!(
        "codex:\n  organization: {}\n  codex_repo: c\n  project: p\n",
        "x".repeat(1_000_000)
    );
    let cases: [(&str, &str, &str); 12] = [
        (
            "empty",
            "",
            "/T/ws/.fractary/config.yaml: the file has no section `codex`, or the section is empty",
        ),
        (
            "a list",
            "- a\n",
            "/T/ws/.fractary/config.yaml:1:1: expected a map with the section `codex`",
        ),
        (
            "a text",
            "codex: yes\n",
            "/T/ws/.fractary/config.yaml:1:8: `codex`: expected a map",
        ),
        ("not YAML", "codex: [\n", "/T/ws/.fractary/config.yaml:"),
        (
            "twice",
            "codex:\n  jobs: 1\n  jobs: 2\n",
            "config.yaml:3:3: not valid YAML: duplicate key `jobs`",
        ),
        (
            "not UTF-8",
            "codex: \u{0}\n",
            "/T/ws/.fractary/config.yaml:1:8: not valid YAML",
        ),
        ("long", &long, ""),
        (
            "to",
            "codex: { remote: { url: /c }, projects: { a: { to: ../b } } }",
            "`projects.a.to`: `../b`: the path has an",
        ),
        (
            "dot git",
            "codex: { remote: { url: /c }, projects: { a: { to: .git/b } } }",
            "`.git` segment",
        ),
        (
            "name",
            "codex: { remote: { url: /c }, projects: { ../a: {} } }",
            ":1:43: `../a` is not a project name",
        ),
        (
            "mapping",
            "codex: { remote: { url: /c }, projects: { a: { mappings: [{ from: x }] } } }",
            "`projects.a.mappings[0]` has no `to`",
        ),
        (
            "url",
            "codex: { project: p, remote: { url: 'ext::sh -c x' } }",
            ":1:37: `remote.url`: the scheme `ext` is not supported",
        ),
    ];
    for (name, text, expected) in cases {
        let world = World::new(&[("ws/.fractary/config.yaml", text)]);
        match workspace::load(&world.request) {
            Ok(_) => assert!(expected.is_empty(), "{name}"),
            Err(problems) => {
                let shown = world.shown(&problems);
                assert!(
                    !expected.is_empty() && shown.contains(expected),
                    "{name}: {shown}"
                );
            }
        }
    }
    let world = World::new(&[("ws/.fractary/config.yaml/x", "")]);
    assert!(
        world
            .problems()
            .contains("config.yaml: the file cannot be read: it is a directory"),
        "{}",
        world.problems()
    );
    let mut world = World::new(&[]);
    world.request.config_file = Some("no.yaml".into());
    assert!(
        world
            .problems()
            .starts_with("/T/ws/no.yaml: the file does not exist"),
        "{}",
        world.problems()
    );
}

#[test]
fn the_schema_contains_every_default() {
    let schema = schema();
    for (path, default) in crate::config::layers::default_values() {
        let pointer: String = path
            .iter()
            .map(|segment| format!("/properties/{segment}"))
            .collect();
        let found = schema.pointer(&format!("/properties/codex{pointer}"));
        let of_map = path.starts_with(&["sync".to_owned(), "environments".to_owned()]);
        assert!(
            of_map || found.is_some_and(|found| found.get("default").is_some()),
            "{path:?} {default}"
        );
    }
    let environments =
        schema.pointer("/properties/codex/properties/sync/properties/environments/default");
    assert_eq!(
        environments,
        Some(
            &serde_json::json!({ "prod": "main", "staging": "staging", "test": "test", "dev": "develop" })
        )
    );
    assert_eq!(
        schema.pointer("/properties/codex/additionalProperties"),
        Some(&false.into())
    );
    let validator = jsonschema::validator_for(&schema).unwrap();
    let example = serde_json::json!({ "codex": { "organization": "acme", "remote": { "branch": 1.1 } }, "x": 1 });
    assert!(validator.is_valid(&example));
    assert!(!validator.is_valid(&serde_json::json!({ "codex": { "sync": { "to_codx": {} } } })));
}
