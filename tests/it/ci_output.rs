//! The output for CI systems: the step summary, annotations and outputs of GitHub Actions, and the
//! code quality report of GitLab.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Output, World, masked};

const CONFLICT: &str = "# Guide\n\n<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> branch\n";

/// Three projects with files to publish, and an empty codex.
fn world() -> World {
    let files = [
        ("alpha/README.md", "alpha"),
        ("beta/README.md", "beta"),
        ("gamma/README.md", "gamma"),
    ];
    let builder = World::builder().projects(&["alpha", "beta", "gamma"]);
    builder.files(&files).empty_codex().build()
}

/// Runs the program as a step of a job whose checkout is the directory above the workspace.
fn step(world: &World, arguments: &[&str], more: &[(&str, &str)]) -> Output {
    let sandbox = &world.sandbox;
    let mut command = sandbox.program(arguments);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", sandbox.path(""))
        .env("GITHUB_STEP_SUMMARY", sandbox.path("summary.md"))
        .env("GITHUB_OUTPUT", sandbox.path("outputs"))
        .envs(more.iter().copied());
    sandbox.finish(command)
}

fn annotations(output: &Output) -> Vec<&str> {
    let lines = output.stderr.lines();
    lines.filter(|line| line.starts_with("::")).collect()
}

#[test]
fn summary_has_a_section_per_run() {
    let world = world();
    let summary = || fs::read_to_string(world.sandbox.path("summary.md")).unwrap();
    world.run(&["sync", "--all"]).code(0);
    world.sandbox.write("ws/alpha/README.md", "changed");
    world.sandbox.remove("ws/beta");
    let secret = "commit.message=not for the summary";
    let arguments = ["sync", "--all", "--config", secret];
    step(&world, &arguments, &[("GITHUB_ACTION", "publish")]).code(1);
    step(&world, &["status"], &[("GITHUB_ACTION", "__run")]).code(1);
    step(&world, &["sync", "--all", "--config=jobs=many"], &[]).code(3);
    step(&world, &["sync", "--bogus"], &[]).code(2);
    step(&world, &["plan", "show", "--bogus"], &[]).code(2);
    step(&world, &["doctor"], &[]).code(1);
    // A commit is a link if the forge of the codex is known. The URL is one of the forge, and git's
    // configuration rewrites it.
    let rewritten = world.codex.path().display();
    world.sandbox.write(
        "home/.gitconfig",
        format!("[url \"{rewritten}\"]\n\tinsteadOf = https://github.com/acme/codex.git\n"),
    );
    world.sandbox.write("ws/alpha/README.md", "again");
    let url = "remote.url=https://github.com/acme/codex.git";
    step(&world, &["sync", "-p", "alpha", "--config", url], &[]).code(0);
    let sandbox = world.sandbox.path("").display().to_string();
    let shown = masked(&summary().replace(&sandbox, "[sandbox]/"));
    insta::assert_snapshot!(shown);

    // GitHub shows nothing of a summary that is larger than 1 MiB.
    let limit = 1 << 20;
    world.sandbox.write("summary.md", "x".repeat(limit - 1000));
    step(&world, &["status"], &[]).code(1);
    let text = summary();
    let section = text.trim_start_matches('x');
    assert!(text.len() <= limit, "{}", text.len());
    assert!(
        section.starts_with("### `fractary-codex status`, `main`"),
        "{section}"
    );
    assert!(
        section.contains("did not fit into the step summary"),
        "{section}"
    );
    world.sandbox.write("summary.md", "x".repeat(limit - 10));
    let output = step(&world, &["status"], &[]).code(1);
    assert!(
        output.stderr.contains("the summary of the step is full"),
        "{}",
        output.stderr
    );
    assert_eq!(summary().len(), limit - 10);
}

/// Names and messages of others are no Markdown, whatever their first characters are.
#[test]
fn summary_has_no_heading_of_others() {
    let world = world();
    let secret = ".fractary/##config.local.yaml";
    world.sandbox.write(&format!("ws/alpha/{secret}"), "secret");
    let link = world.sandbox.path("ws/alpha/docs/## link.md");
    world.sandbox.write("ws/alpha/docs/a.md", "a");
    std::os::unix::fs::symlink(format!("../{secret}"), link).unwrap();
    world.sandbox.write("ws/beta/docs/## Results.md", CONFLICT);
    world.codex.hook(
        "pre-receive",
        "echo '## Frozen'; echo '##[error]frozen'; exit 1",
    );
    let output = step(&world, &["sync", "--all"], &[]).code(5);
    assert!(!output.stderr.contains("##["), "{}", output.stderr);
    let reason = "skipped `docs/## link.md`: the symlink points to a path that is never published";
    assert!(output.stderr.contains(reason), "{}", output.stderr);

    step(&world, &["sync", "--all", "--message", "## {project}"], &[]).code(5);
    step(&world, &["plan", "show", "## plan.json"], &[]).code(2);
    let summary = fs::read_to_string(world.sandbox.path("summary.md")).unwrap();
    let headings: Vec<_> = summary
        .lines()
        .filter(|line| line.trim_start().starts_with('#'))
        .collect();
    assert_eq!(headings.len(), 3, "{summary}");
    assert!(
        headings
            .iter()
            .all(|line| line.starts_with("### `fractary-codex ")),
        "{headings:#?}"
    );
    assert!(
        summary.contains("## Frozen") && summary.contains("## Results.md"),
        "{summary}"
    );
}

#[test]
fn annotations_have_the_paths_of_the_checkout() {
    let world = world();
    world.sandbox.write("ws/alpha/docs/guide.md", CONFLICT);
    let output = step(&world, &["status", "-p", "alpha"], &[]).code(1);
    let place = "::error file=ws/alpha/docs/guide.md,line=3,col=1,title=fractary-codex::alpha: ";
    assert!(
        annotations(&output)[0].starts_with(place),
        "{:?}",
        annotations(&output)
    );

    // GitHub shows ten errors per step.
    for number in 0..12 {
        world
            .sandbox
            .write(&format!("ws/alpha/docs/{number}.md"), CONFLICT);
    }
    let output = step(&world, &["sync", "--all"], &[]).code(1);
    let found = annotations(&output);
    assert_eq!(found.len(), 10, "{found:?}");
    assert!(
        found[9].starts_with("::error title=fractary-codex::and 5 more errors; "),
        "{found:?}"
    );

    let config = fs::read_to_string(world.sandbox.path("ws/.fractary/config.yaml")).unwrap();
    let broken = config.replace(
        "  organization: acme\n",
        "  organization: acme\n  nonsense: 1\n",
    );
    world.sandbox.write("ws/.fractary/config.yaml", broken);
    for command in [
        &["sync", "--all"][..],
        &["doctor"],
        &["config", "validate"],
        &["-C", "alpha", "status"],
    ] {
        let output = step(&world, command, &[]).code(3);
        let place = "::error file=ws/.fractary/config.yaml,line=3,col=3,title=fractary-codex::";
        assert!(
            annotations(&output)[0].starts_with(place),
            "{:?}",
            annotations(&output)
        );
    }

    world.sandbox.write("ws/.fractary/config.yaml", config);
    world.sandbox.remove("ws/beta");
    let output = step(&world, &["doctor", "--json"], &[]).code(1);
    let found = annotations(&output);
    assert!(
        found[0].starts_with("::error title=fractary-codex::roots: "),
        "{found:?}"
    );
}

#[test]
fn outputs_are_set_in_every_outcome() {
    let world = world();
    let names = [
        "changed",
        "pushed",
        "tip",
        "plan-id",
        "failed",
        "pull-request-url",
    ];
    let outputs = |arguments: &[&str], code: i32| {
        let _ = fs::remove_file(world.sandbox.path("outputs"));
        step(&world, arguments, &[]).code(code);
        let text = fs::read_to_string(world.sandbox.path("outputs")).unwrap();
        let lines = text.lines().map(|line| line.split_once('=').unwrap());
        let (found, values): (Vec<_>, Vec<_>) = lines.unzip();
        assert_eq!(found, names, "{arguments:?}");
        [0, 1, 4].map(|index| values[index].to_owned())
    };
    for (arguments, code, expected) in [
        (&["sync", "--bogus"][..], 2, ["false", "false", "true"]),
        (
            &["sync", "--all", "--config", "jobs=x"],
            3,
            ["false", "false", "true"],
        ),
        (
            &["sync", "--all", "--config", "remote.url=../none.git"],
            4,
            ["false", "false", "true"],
        ),
        (&["status", "--check"], 6, ["true", "false", "false"]),
        (&["sync", "--all"], 0, ["true", "true", "false"]),
        (&["sync", "--all"], 0, ["false", "false", "false"]),
    ] {
        assert_eq!(outputs(arguments, code), expected, "{arguments:?}");
    }
}

/// What GitLab documents of a code quality report.
fn schema() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "properties": {
                "description": { "type": "string", "minLength": 1 },
                "check_name": { "type": "string", "minLength": 1 },
                "fingerprint": { "type": "string", "minLength": 1 },
                "severity": { "enum": ["info", "minor", "major", "critical", "blocker"] },
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        "path": { "type": "string", "pattern": "^[^./]" },
                        "lines": {
                            "type": "object",
                            "required": ["begin"],
                            "properties": { "begin": { "type": "integer", "minimum": 1 } },
                        },
                    },
                },
            },
        },
    })
}

#[test]
fn code_quality_report_is_that_of_gitlab() {
    let world = world();
    let file = world.sandbox.path("ws/quality.json");
    let report = |arguments: &[&str], code: i32| -> Vec<Value> {
        let _ = fs::remove_file(&file);
        let arguments = [arguments, &["--code-quality", "quality.json"]].concat();
        let mut command = world.sandbox.program(&arguments);
        command.env("CI_PROJECT_DIR", world.sandbox.path(""));
        world.sandbox.finish(command).code(code);
        let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let valid = jsonschema::validate(&schema(), &report);
        assert!(valid.is_ok(), "{valid:?}\n{report:#}");
        report.as_array().unwrap().clone()
    };
    assert!(report(&["status"], 0).is_empty());
    world.sandbox.write("ws/alpha/docs/guide.md", CONFLICT);
    let first = report(&["status"], 1);
    assert_eq!(first.len(), 1);
    let location = json!({ "path": "ws/alpha/docs/guide.md", "lines": { "begin": 3 } });
    assert_eq!(first[0]["location"], location);
    assert_eq!(
        (&first[0]["severity"], &first[0]["check_name"]),
        (&"critical".into(), &"conflict_markers".into())
    );

    // The fingerprint stays if the line moves, and each of two equal findings has its own.
    world.sandbox.write(
        "ws/alpha/docs/guide.md",
        format!("\n\n{CONFLICT}{CONFLICT}"),
    );
    let second = report(&["sync", "--all", "--dry-run"], 1);
    assert_eq!(second.len(), 2);
    assert_eq!(second[0]["fingerprint"], first[0]["fingerprint"]);
    assert_ne!(second[0]["fingerprint"], second[1]["fingerprint"]);

    let config = fs::read_to_string(world.sandbox.path("ws/.fractary/config.yaml")).unwrap();
    let broken = config.replace(
        "  organization: acme\n",
        "  organization: acme\n  nonsense: 1\n",
    );
    world.sandbox.write("ws/.fractary/config.yaml", broken);
    let errors = report(&["sync", "--all"], 3);
    let location = json!({ "path": "ws/.fractary/config.yaml", "lines": { "begin": 3 } });
    assert_eq!(errors[0]["location"], location);
    assert_eq!(errors[0]["severity"], "blocker");
    world.sandbox.write("ws/.fractary/config.yaml", config);

    for (target, reason) in [
        ("-", "cannot use standard output"),
        ("none/x.json", "its directory does not exist"),
        ("alpha/docs/x.md", "publishes this file"),
    ] {
        world.sandbox.write("ws/alpha/docs/kept.md", "kept");
        let output = world.run(&["status", "--code-quality", target]).code(2);
        assert!(output.stderr.contains(reason), "{}", output.stderr);
    }
}
