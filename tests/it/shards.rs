//! `--shard K/N` and `projects --matrix N`: several runs that share the projects of a workspace.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::support::{Codex, Output, Sandbox};

/// A workspace of projects `p000`, `p001` …, with 1 to 12 files each.
fn world(projects: usize, more: &str) -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let names: Vec<_> = (0..projects)
        .map(|number| format!("p{number:03}"))
        .collect();
    let listed: Vec<_> = names.iter().map(String::as_str).collect();
    let codex = sandbox.workspace(&listed, more);
    for (number, name) in names.iter().enumerate() {
        for file in 0..=(number * number) % 12 {
            sandbox.write(
                &format!("ws/{name}/docs/{file}.md"),
                format!("{name} {file}"),
            );
        }
    }
    (sandbox, codex)
}

fn commit(sandbox: &Sandbox) {
    let ws = sandbox.path("ws");
    sandbox.git(&ws, &["init", "-q", "-b", "main", "--template="]);
    sandbox.git(&ws, &["add", "-A"]);
    sandbox.git(&ws, &["commit", "-q", "-m", "one"]);
}

fn names(document: &Value) -> Vec<String> {
    let projects = document["projects"].as_array().unwrap().iter();
    projects
        .map(|project| project["name"].as_str().unwrap().to_owned())
        .collect()
}

fn matrix(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    sandbox
        .run(&[&["projects", "--matrix"], arguments].concat())
        .code(0)
        .json()
}

#[test]
fn shards_at_once_publish_what_one_run_publishes() {
    let (sandbox, codex) = world(400, "");
    commit(&sandbox);
    let one = sandbox.path("one.git");
    sandbox.git(
        &sandbox.path("ws"),
        &["init", "-q", "--bare", "-b", "main", one.to_str().unwrap()],
    );
    sandbox.sync_to("../one.git", &[]).code(0);

    let start =
        |number: usize| sandbox.start(&["sync", "--shard", &format!("{number}/8"), "--json"]);
    let runs: Vec<_> = (1..=8).map(start).collect();
    let outputs: Vec<Output> = runs
        .into_iter()
        .map(|run| sandbox.ended(run).code(0))
        .collect();

    let tree = |directory| sandbox.git(directory, &["rev-parse", "main^{tree}"]);
    assert_eq!(tree(&sandbox.path("codex.git")), tree(&one));
    let commits = codex.git(&["rev-list", "--parents", "main"]);
    assert_eq!(commits.lines().count(), 400);
    let parents = commits.lines().map(|line| line.split(' ').count() - 1);
    assert!(parents.clone().all(|count| count <= 1), "a merge");

    let mut all = BTreeSet::new();
    let mut files = Vec::new();
    for output in &outputs {
        let document = output.json();
        let names = names(&document);
        assert_eq!(document["selection"]["selected"], names.len());
        assert_eq!(document["selection"]["other_shards"], 400 - names.len());
        assert_eq!(document["totals"]["synced"], names.len());
        for name in names {
            assert!(all.insert(name.clone()), "{name} is in two shards");
        }
        files.push(document["totals"]["added"].as_u64().unwrap() as f64);
    }
    assert_eq!(all.len(), 400);
    let mean = files.iter().sum::<f64>() / 8.0;
    assert!(
        files.iter().all(|files| (files / mean - 1.0).abs() <= 0.2),
        "{files:?}"
    );
}

#[test]
fn matrix_has_a_shard_per_job() {
    let (sandbox, _codex) = world(10, "");
    commit(&sandbox);
    let github = matrix(&sandbox, &["4"]);
    let include = github["include"].as_array().unwrap();
    assert_eq!(include.len(), 4);
    let sum = |key: &str| {
        include
            .iter()
            .map(|entry| entry[key].as_u64().unwrap())
            .sum::<u64>()
    };
    let listed = sandbox.run(&["projects", "--json"]).code(0).json();
    let listed = listed["projects"].as_array().unwrap().iter();
    let files: u64 = listed
        .map(|project| project["files"].as_u64().unwrap())
        .sum();
    assert_eq!((sum("projects"), sum("files")), (10, files));

    let mut found = Vec::new();
    for entry in include {
        let shard = entry["shard"].as_str().unwrap();
        let status = sandbox
            .run(&["status", "--shard", shard, "--json"])
            .code(0)
            .json();
        assert_eq!(
            names(&status).len() as u64,
            entry["projects"].as_u64().unwrap()
        );
        assert_eq!(status["totals"]["added"], entry["files"]);
        found.extend(names(&status));
    }
    found.sort();
    assert_eq!(found.len(), 10);
    found.dedup();
    assert_eq!(found.len(), 10);

    // GitLab, fewer projects than jobs, and none.
    let gitlab = matrix(&sandbox, &["4", "--matrix-format", "gitlab"]);
    let shards: Vec<_> = include.iter().map(|entry| entry["shard"].clone()).collect();
    assert_eq!(gitlab, serde_json::json!([{ "SHARD": shards }]));
    assert_eq!(
        matrix(&sandbox, &["8", "-p", "p00[0-2]"])["include"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    sandbox.write("ws/p004/docs/0.md", "new");
    let changed = matrix(&sandbox, &["8", "--changed-since", "HEAD"]);
    let [only] = changed["include"].as_array().unwrap().as_slice() else {
        panic!("{changed}");
    };
    let shard = only["shard"].as_str().unwrap();
    let status = [
        "status",
        "--changed-since",
        "HEAD",
        "--shard",
        shard,
        "--json",
    ];
    assert_eq!(names(&sandbox.run(&status).code(0).json()), ["p004"]);
    sandbox.git(&sandbox.path("ws"), &["commit", "-qam", "two"]);
    let none = sandbox
        .run(&["projects", "--matrix", "8", "--changed-since", "HEAD"])
        .code(0);
    assert_eq!(none.stdout, "{\"include\":[]}\n");
    let none = [
        "projects",
        "--matrix",
        "8",
        "--matrix-format",
        "gitlab",
        "--changed-since",
        "HEAD",
    ];
    assert_eq!(sandbox.run(&none).code(0).stdout, "[]\n");
}

/// The schema describes both forms.
#[test]
fn matrix_matches_its_schema() {
    let (sandbox, _codex) = world(5, "");
    let schema: Value =
        serde_json::from_str(&sandbox.run(&["config", "schema", "matrix"]).code(0).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for format in ["github", "gitlab"] {
        let document = matrix(&sandbox, &["3", "--matrix-format", format]);
        assert!(validator.is_valid(&document), "{document}");
    }
    assert!(!validator.is_valid(&serde_json::json!({ "include": [{ "shard": 1 }] })));
}

/// Recorded state and files that only one machine has do not change the shards.
#[test]
fn every_machine_computes_the_same_shards() {
    let (sandbox, _codex) = world(12, "");
    commit(&sandbox);
    let before = matrix(&sandbox, &["3"]);
    sandbox.run(&["sync", "--shard", "2/3"]).code(0);
    for number in 0..40 {
        sandbox.write(&format!("ws/p003/docs/built-{number}.md"), "built");
    }
    assert_eq!(matrix(&sandbox, &["3"]), before);

    // Another commit has other shards, which a job of an older matrix rejects.
    sandbox.write("ws/.fractary/config.yaml", {
        let config = fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
        config.replace("    p003: {}\n", "    p003: {}\n    new: {}\n")
    });
    sandbox.write("ws/new/docs/a.md", "new");
    let shard = before["include"][0]["shard"].as_str().unwrap();
    let output = sandbox.run(&["sync", "--shard", shard]).code(2);
    let error = output.stderr;
    assert!(
        error.contains("the shard 1/3 is from another assignment of the projects"),
        "{error}"
    );
    assert!(error.contains("hint: use the same commits"), "{error}");
}

#[test]
fn shards_without_projects_have_nothing_to_do() {
    let (sandbox, codex) = world(2, "");
    let run = |number: usize| {
        let shard = format!("{number}/5");
        sandbox
            .run(&["sync", "--shard", &shard, "--json"])
            .code(0)
            .json()
    };
    let selected: u64 = (1..=5)
        .map(|number| run(number)["selection"]["selected"].as_u64().unwrap())
        .sum();
    assert_eq!(selected, 2);
    assert_eq!(codex.git(&["rev-list", "--count", "main"]).trim(), "2");
}

#[test]
fn invalid_shards_are_usage_errors() {
    let (sandbox, _codex) = world(2, "");
    for shard in ["0/2", "3/2", "1", "1/0", "a/b", "1/2:"] {
        let output = sandbox.run(&["sync", "--shard", shard]).code(2);
        assert!(output.stderr.contains("expected K/N"), "{}", output.stderr);
    }
    sandbox.run(&["projects", "--matrix", "0"]).code(2);
    sandbox
        .run(&["projects", "--matrix", "2", "--json"])
        .code(2);
    sandbox
        .run(&["projects", "--matrix-format", "gitlab"])
        .code(2);
}

#[test]
fn each_shard_has_its_sync_branch() {
    let (sandbox, codex) = world(6, "  push: { mode: branch }\n");
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    for number in 1..=2 {
        let shard = format!("{number}/2");
        let output = sandbox
            .run(&["sync", "--shard", &shard, "--json"])
            .code(0)
            .json();
        let branch = &output["remote"]["sync_branches"][0]["branch"];
        assert_eq!(branch, &format!("codex-sync/ws-{number}-of-2"));
    }
    // Branches of single projects need no others.
    let template = "push.branch=docs/{project}";
    let output = sandbox
        .run(&["sync", "--shard", "1/2", "--config", template, "--json"])
        .code(0);
    for branch in output.json()["remote"]["sync_branches"].as_array().unwrap() {
        assert!(
            branch["branch"].as_str().unwrap().starts_with("docs/p00"),
            "{branch}"
        );
    }
}
