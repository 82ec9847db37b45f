//! Patterns: which files they select and leave out, which are refused, and which are reported
//! because they match nothing.

use std::os::unix::fs::symlink;

use crate::support::{Codex, Sandbox};

/// A workspace with one project `alpha` and these keys under `sync.to_codex`.
fn workspace(sandbox: &Sandbox, to_codex: &str) -> Codex {
    let more = format!("  sync:\n    to_codex: {to_codex}\n");
    sandbox.workspace(&["alpha"], &more)
}

fn published(codex: &Codex) -> Vec<String> {
    let below = |path: String| path.strip_prefix("projects/alpha/").unwrap().to_owned();
    codex.paths().into_iter().map(below).collect()
}

#[test]
fn character_class_does_not_match_a_slash() {
    let sandbox = Sandbox::new();
    let codex = workspace(&sandbox, r#"{ include: ["docs/*[!_]*.md"] }"#);
    let theirs = "projects/alpha/docs/sub/theirs.md";
    let both = "projects/alpha/docs/sub/both.md";
    codex.commit(
        &[("100644", theirs, "theirs"), ("100644", both, "both")],
        &[],
    );
    sandbox.write("ws/alpha/docs/sub/both.md", "both");
    sandbox.write("ws/alpha/docs/ours.md", "ours");
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(output["projects"][0]["unmanaged"], 2);
    assert_eq!(
        published(&codex),
        ["docs/ours.md", "docs/sub/both.md", "docs/sub/theirs.md"]
    );
}

#[test]
fn excluded_directory_is_not_published() {
    for exclude in [
        "docs/private",
        "docs/private/",
        "docs/private/*",
        "docs/private/**",
        "docs/private/**/",
        "**/private",
        "**/private/",
        "./docs/private",
        "docs/{private,secret}",
        "docs/{secret,private/**}",
        "docs/p*/",
        "docs/[!a]*",
    ] {
        let sandbox = Sandbox::new();
        let codex = workspace(
            &sandbox,
            &format!(r#"{{ include: ["**"], exclude: ["{exclude}"] }}"#),
        );
        sandbox.write("ws/alpha/docs/a.md", "a");
        sandbox.write("ws/alpha/docs/private/key.md", "key");
        sandbox.write("ws/alpha/docs/private/deep/key.md", "key");
        sandbox.run(&["sync", "--all"]).code(0);
        assert_eq!(published(&codex), ["docs/a.md"], "{exclude}");
    }
}

#[test]
fn literal_include_matches_everything_below_a_directory() {
    for (to_codex, expected) in [
        (r#"{ include: ["docs"] }"#, "docs/x/a.md"),
        (r#"{ include: ["docs/"] }"#, "docs/x/a.md"),
        (r#"{ include: ["./docs/x"] }"#, "docs/x/a.md"),
        (r#"{ include: ["{docs,lib}/x"] }"#, "docs/x/a.md"),
    ] {
        let sandbox = Sandbox::new();
        let codex = workspace(&sandbox, to_codex);
        sandbox.write("ws/alpha/docs/x/a.md", "a");
        sandbox.run(&["sync", "--all"]).code(0);
        assert_eq!(published(&codex), [expected], "{to_codex}");
    }
    for (from, expected) in [
        ("docs", "g/docs/x/a.md"),
        ("docs/", "g/x/a.md"),
        ("docs/x", "g/x/a.md"),
    ] {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        sandbox.write("ws/alpha/docs/x/a.md", "a");
        let mapping = format!("projects.alpha.mappings=[{{from='{from}', to='g/'}}]");
        sandbox
            .run(&["sync", "--all", "--config", &mapping])
            .code(0);
        assert_eq!(published(&codex), [expected], "{from}");
    }
}

#[test]
fn question_mark_matches_a_character_instead_of_a_byte() {
    let sandbox = Sandbox::new();
    let codex = workspace(&sandbox, r#"{ include: ["docs/?.md", "lib/[äöü].md"] }"#);
    sandbox.write("ws/alpha/docs/ü.md", "u");
    sandbox.write("ws/alpha/docs/üü.md", "uu");
    sandbox.write("ws/alpha/lib/ö.md", "o");
    sandbox.write_bytes("ws/alpha/docs", b"\xff.md", "invalid");
    sandbox.write_bytes("ws/alpha/docs", b"\xff\xfe.md", "invalid");
    sandbox.run(&["sync", "--all"]).code(0);
    let quoted = codex.git(&[
        "-c",
        "core.quotePath=true",
        "ls-tree",
        "-r",
        "--name-only",
        "main",
    ]);
    let expected = [
        r#""projects/alpha/docs/\303\274.md""#,
        r#""projects/alpha/docs/\377.md""#,
        r#""projects/alpha/lib/\303\266.md""#,
    ];
    assert_eq!(quoted.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn braces_can_contain_double_stars_and_slashes() {
    let sandbox = Sandbox::new();
    let codex = workspace(
        &sandbox,
        r#"{ include: ["docs/{**,x}", "{lib,a/**}/b.md"] }"#,
    );
    for file in [
        "docs/y/z.md",
        "docs/x",
        "lib/b.md",
        "a/c/d/b.md",
        "a/b.md",
        "lib/c/b.md",
    ] {
        sandbox.write(&format!("ws/alpha/{file}"), file);
    }
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        published(&codex),
        ["a/b.md", "a/c/d/b.md", "docs/x", "docs/y/z.md", "lib/b.md"]
    );
}

#[test]
fn unsupported_constructs_are_rejected_by_name() {
    for (pattern, construct) in [
        ("docs/@(secret|private)/**", "`@(`"),
        ("docs/!(a)/**", "`!(`"),
        ("docs/{1..2}/**", "`{1..2}`"),
        ("docs/[[:alpha:]]*", "`[:alpha:]`"),
        ("docs/a**", "`** as a part of a segment`"),
        ("!docs/**", "`!` does not negate"),
        ("docs//a", "`//`"),
    ] {
        let from_codex = format!("codex://acme/core/{pattern}");
        for key in [
            format!("sync.to_codex.include=['{pattern}']"),
            format!("sync.to_codex.exclude=['{pattern}']"),
            format!("projects.alpha.sync.to_codex.exclude=['{pattern}']"),
            format!("projects.alpha.mappings=[{{from='{pattern}', to='x/'}}]"),
            format!("projects.alpha.mappings=[{{from='a', to='x/', exclude=['{pattern}']}}]"),
            format!("sync.from_codex.include=['{from_codex}']"),
            format!("sync.from_codex.exclude=['{pattern}']"),
            format!("workspace.members=['{pattern}']"),
            format!("workspace.exclude=['{pattern}']"),
        ] {
            let sandbox = Sandbox::new();
            sandbox.workspace(&["alpha"], "");
            sandbox.write("ws/alpha/docs/secret/key.md", "key");
            let output = sandbox.run(&["sync", "--all", "--config", &key]).code(3);
            assert!(
                output.stderr.contains(construct),
                "{key}: {}",
                output.stderr
            );
        }
    }
}

#[test]
fn negated_pattern_has_a_hint_for_its_list() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    let narrower = "hint: an exclude cannot be undone: write narrower excludes instead";
    let exclude = "hint: put the pattern under `exclude`, without `!`";
    let mapping = "--config=projects.alpha.mappings=[{from='a', to='b', exclude=['!x']}]";
    for (arguments, hint) in [
        (["--exclude", "!x"].as_slice(), narrower),
        (&["--include", "!x"], exclude),
        (&[mapping], narrower),
        (
            &["--config=projects.alpha.mappings=[{from='!a', to='b'}]"],
            exclude,
        ),
        (&["--config=sync.from_codex.exclude=['!x']"], narrower),
        (
            &["--config=sync.from_codex.include=['codex://acme/a/!x']"],
            exclude,
        ),
    ] {
        let output = sandbox
            .run(&[&["sync", "--all"], arguments].concat())
            .code(3);
        assert!(output.stderr.contains(hint), "{}", output.stderr);
    }
}

#[test]
fn oversized_pattern_is_rejected_and_shown_in_part() {
    let braces = "{".repeat(100_000) + "a,b" + &"}".repeat(100_000);
    let long = "a".repeat(1 << 20);
    for pattern in [braces, long] {
        for key in [
            "to_codex: { include: [",
            "to_codex: { exclude: [",
            "from_codex: { exclude: [",
        ] {
            let sandbox = Sandbox::new();
            let more = format!("  sync:\n    {key}\"{pattern}\"] }}\n");
            sandbox.workspace(&["alpha"], &more);
            let output = sandbox.run(&["sync", "--all"]).code(3);
            let error = output.stderr.lines().next().unwrap();
            assert!(error.contains(&format!("`{}", &pattern[..40])), "{error}");
            assert!(
                error.contains("more than 4096") && error.len() < 400,
                "{error}"
            );
        }
    }
}

#[test]
fn directory_in_the_codex_is_not_replaced_by_a_file() {
    for name in [".gitmodules", ".git", "..", "a/b", "git~1"] {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        let blob = codex.blob(b"theirs");
        let inner = codex.plant(&[("100644", name.as_bytes(), &blob)]);
        plant_library(&sandbox, &codex, &inner);
    }
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    let empty = codex.plant(&[]);
    plant_library(&sandbox, &codex, &empty);
}

/// Syncs a source file `docs/lib` into a codex that has the tree `library` there.
fn plant_library(sandbox: &Sandbox, codex: &Codex, library: &str) {
    let docs = codex.plant(&[("40000", b"lib", library)]);
    let alpha = codex.plant(&[("40000", b"docs", &docs)]);
    let projects = codex.plant(&[("40000", b"alpha", &alpha)]);
    codex.set_root(&codex.plant(&[("40000", b"projects", &projects)]));
    let tip = codex.tip();
    sandbox.write("ws/alpha/docs/lib", "a file");
    // The second run compares with what the first one recorded.
    for _ in 0..2 {
        let output = sandbox.run(&["sync", "--all"]).code(1);
        let expected = "`projects/alpha/docs/lib` is claimed, but `projects/alpha/docs/lib` is a directory in the codex";
        assert!(output.stderr.contains(expected), "{}", output.stderr);
        assert_eq!(codex.tip(), tip);
    }
    // The neighbour of such a directory is published, and the directory stays.
    sandbox.remove("ws/alpha/docs/lib");
    sandbox.write("ws/alpha/docs/a.md", "a");
    sandbox.run(&["sync", "--all"]).code(0);
    let there = codex.git(&["rev-parse", "main:projects/alpha/docs/lib"]);
    assert_eq!(there.trim(), library);
}

#[test]
fn skipped_source_keeps_the_file_that_a_glob_maps_to() {
    for (target, symlinks) in [
        ("../../outside", "follow-inside"),
        ("nowhere", "follow-inside"),
        ("..", "follow-inside"),
        ("../../outside", "skip"),
        ("../other", "skip"),
        ("../other", "preserve"),
    ] {
        let sandbox = Sandbox::new();
        let more = format!("  sync: {{ symlinks: {symlinks} }}\n");
        let codex = sandbox.workspace(&["alpha"], &more);
        let config = "projects.alpha.mappings=[{from='docs/*/x.md', to='one.md'}, {from='docs/*/y.md', to='kept/'}, {from='lib/**', to='lib/'}]";
        let sync = ["sync", "--all", "--allow-mass-delete", "--config", config];
        sandbox.write("ws/alpha/docs/ext/x.md", "x");
        sandbox.write("ws/alpha/docs/ext/y.md", "y");
        sandbox.write("ws/alpha/lib/gone.md", "gone");
        sandbox.write("ws/alpha/lib/stays.md", "stays");
        sandbox.write("ws/outside/x.md", "not ours");
        sandbox.write("ws/alpha/other/x.md", "other");
        sandbox.run(&sync).code(0);
        sandbox.remove("ws/alpha/docs/ext");
        sandbox.remove("ws/alpha/lib/gone.md");
        symlink(target, sandbox.path("ws/alpha/docs/ext")).unwrap();
        let output = sandbox.run(&sync).code(0);
        assert!(
            output.stderr.contains("skipped `docs/ext`: "),
            "{target} {symlinks}: {}",
            output.stderr
        );
        assert_eq!(
            published(&codex),
            ["kept/ext/y.md", "lib/stays.md", "one.md"],
            "{target} {symlinks}"
        );
    }
}

#[test]
fn preserved_link_hides_only_files_of_other_rules() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "  sync: { symlinks: preserve }\n");
    let config = "projects.alpha={mappings=[{from='docs/**/x.md', to='one.md'}, {from='docs/*/y.md', to='kept/'}], \
        sync={to_codex={include=['docs/**']}}}";
    let sync = ["sync", "--all", "--allow-mass-delete", "--config", config];
    sandbox.write("ws/alpha/docs/lib/x.md", "x");
    sandbox.write("ws/alpha/docs/lib/y.md", "y");
    sandbox.run(&sync).code(0);

    sandbox.remove("ws/alpha/docs/lib");
    sandbox.write("ws/alpha/other/x.md", "other");
    symlink("../other", sandbox.path("ws/alpha/docs/lib")).unwrap();
    let output = sandbox.run(&sync).code(0);
    let warning = "skipped the files below `docs/lib`: the symlink is preserved and not followed";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
    assert_eq!(published(&codex), ["docs/lib", "kept/lib/y.md", "one.md"]);

    // The link itself is published as before.
    sandbox.remove("ws/alpha/docs/lib");
    sandbox.write("ws/alpha/third/a.md", "a");
    symlink("../third", sandbox.path("ws/alpha/docs/lib")).unwrap();
    sandbox.run(&sync).code(0);
    assert_eq!(codex.file("projects/alpha/docs/lib"), "../third");
    assert_eq!(codex.file("projects/alpha/one.md"), "x");
}

#[test]
fn skipped_source_keeps_the_copy_that_several_sources_map_to() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    let config = "projects.alpha.mappings=[{from='a.md', to='one.md'}, {from='b.md', to='one.md'}]";
    let sync = ["sync", "--all", "--config", config];
    sandbox.write("ws/alpha/a.md", "first");
    sandbox.run(&sync).code(0);
    sandbox.remove("ws/alpha/a.md");
    symlink("nowhere", sandbox.path("ws/alpha/a.md")).unwrap();
    sandbox.run(&sync).code(0);
    sandbox.write("ws/alpha/b.md", "second");
    sandbox.run(&sync).code(0);
    assert_eq!(codex.file("projects/alpha/one.md"), "first");
    sandbox.remove("ws/alpha/a.md");
    sandbox.write("ws/alpha/a.md", "too large to be published");
    let limit = ["--config", "sync.max_file_size=10B"];
    sandbox.run(&[sync.as_slice(), &limit].concat()).code(0);
    assert_eq!(codex.file("projects/alpha/one.md"), "first");
    sandbox.remove("ws/alpha/a.md");
    sandbox.run(&sync).code(0);
    assert_eq!(codex.file("projects/alpha/one.md"), "second");
}

#[test]
fn file_whose_sources_are_all_excluded_is_not_owned() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    codex.commit(&[("100644", "projects/alpha/one.md", "theirs")], &[]);
    let config = "projects.alpha={mappings=[{from='docs/**/x.md', to='one.md'}, {from='lib/**', to='lib/'}], sync={to_codex={exclude=['docs']}}}";
    sandbox.write("ws/alpha/docs/x.md", "x");
    sandbox.write("ws/alpha/lib/a.md", "a");
    sandbox.run(&["sync", "--all", "--config", config]).code(0);
    assert_eq!(published(&codex), ["lib/a.md", "one.md"]);
    assert_eq!(codex.file("projects/alpha/one.md"), "theirs");
}

#[test]
fn patterns_that_match_nothing_are_reported() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/docs/a.md", "a");
    sandbox.write("ws/alpha/docs/.env.example", "example");
    let config = "projects.alpha={mappings=[{from='docs/*', to='docs/'}, {from='absent.md', to='a.md'}], \
        sync={to_codex={include=['docs/a.md', 'dosc/**', 'docs/.env.example']}}}";
    let expected = [
        "`projects.alpha.sync.to_codex.include`: `dosc/**` matches no file",
        "`projects.alpha.sync.to_codex.include`: `docs/.env.example` names files that the default exclude `.env*` leaves out",
        "`projects.alpha.mappings[1].from`: `absent.md` matches no file",
    ];
    let messages_of = |warnings: &serde_json::Value| -> Vec<String> {
        let warnings = warnings.as_array().unwrap().iter();
        warnings
            .map(|warning| {
                assert_eq!(warning["project"], "alpha");
                warning["message"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    for arguments in [
        ["sync", "--all"].as_slice(),
        &["sync", "--all", "--dry-run"],
        &["status"],
        &["projects"],
    ] {
        let arguments = [arguments, &["--json", "--config", config]].concat();
        let output = sandbox.run(&arguments).code(0);
        let messages = messages_of(&output.json()["warnings"]);
        assert_eq!(messages.len(), 3, "{messages:?}");
        for (message, expected) in messages.iter().zip(expected) {
            assert!(message.starts_with(expected), "{message}");
        }
        let stderr = sandbox.run(&arguments[..arguments.len()]).stderr;
        assert_eq!(stderr.matches("warning: alpha: ").count(), 3, "{stderr}");
    }
    let doctor = sandbox
        .run(&["doctor", "--json", "--config", config])
        .code(0)
        .json();
    let checks = doctor["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["subject"] == "patterns")
        .unwrap();
    assert_eq!(check["verdict"], "warning");
    for expected in expected {
        assert!(
            check["message"].as_str().unwrap().contains(expected),
            "{check}"
        );
    }
}

#[test]
fn defaults_that_match_nothing_are_not_reported() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "a");
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(output["warnings"], serde_json::json!([]));
    let output = sandbox.run(&["projects", "--json"]).code(0).json();
    assert_eq!(output["warnings"], serde_json::json!([]));
}

#[test]
fn shared_pattern_that_matches_in_no_project_is_reported_once() {
    let sandbox = Sandbox::new();
    let include = "  sync: { to_codex: { include: ['docs/**', 'README.md', 'dosc/**'] } }\n";
    sandbox.workspace(&["alpha", "beta"], include);
    sandbox.write("ws/alpha/docs/a.md", "a");
    sandbox.write("ws/beta/README.md", "b");
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    let expected = serde_json::json!([
        { "project": null, "message": "`sync.to_codex.include`: `dosc/**` matches no file" }
    ]);
    assert_eq!(output["warnings"], expected);
}

#[test]
fn pattern_that_pulls_nothing_is_reported() {
    let sandbox = Sandbox::new();
    let more = "  sync: { from_codex: { include: ['codex://acme/core/docs', 'codex://acme/croe/docs/**'] } }\n";
    let codex = sandbox.workspace(&["alpha"], more);
    codex.commit(&[("100644", "projects/core/docs/a.md", "a")], &[]);
    sandbox.write("ws/alpha/docs/a.md", "a");
    let expected =
        "`sync.from_codex.include`: `codex://acme/croe/docs/**` matches nothing in the codex";
    // The second run has the answer in its cache.
    for _ in 0..2 {
        let output = sandbox
            .run(&["sync", "--all", "--from-codex", "--json"])
            .code(0)
            .json();
        let warnings = serde_json::json!([{ "project": "alpha", "message": expected }]);
        assert_eq!(output["warnings"], warnings);
    }
    let projects = sandbox.run(&["projects", "--json"]).code(0).json();
    let warnings = serde_json::json!([{ "project": "alpha", "message": expected }]);
    assert_eq!(projects["warnings"], warnings);
    let doctor = sandbox.run(&["doctor", "--json"]).code(0).json();
    let checks = doctor["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["subject"] == "pulled patterns")
        .unwrap();
    assert_eq!(
        (&check["verdict"], &check["message"]),
        (&"warning".into(), &expected.into())
    );
}

#[test]
fn excluded_directory_has_no_members_below() {
    let sandbox = Sandbox::new();
    for member in ["l/old/a", "l/new", "l/old2", "x/a/b"] {
        sandbox.write(&format!("ws/{member}/README.md"), "a");
    }
    sandbox.write(
        "ws/.fractary/config.yaml",
        "codex:\n  organization: acme\n  codex_repo: codex\n  workspace: { members: ['l/*', 'l/old/*', 'x/{a/b,c}', '**/b'], exclude: [l/old] }\n",
    );
    let output = sandbox.run(&["projects", "--json"]).code(0).json();
    let roots: Vec<_> = output["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| project["root"].clone())
        .collect();
    assert_eq!(roots, ["x/a/b", "l/new", "l/old2"]);
}
