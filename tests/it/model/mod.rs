//! Generated workspaces, synced by the program and by a specification of what it must do.
//!
//! The cases are the same in every run. `CODEX_MODEL_CASES=1000` runs more of them,
//! `CODEX_MODEL_SEED=N` begins with case N: a failure names the seed that reproduces it alone.

mod spec;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use fractary_codex::object::{Kind, hash};
use serde_json::{Value, json};

use crate::support::{Codex, Sandbox};
use spec::{Expected, Plan};
use world::{Bytes, Case, Guard, Node, Project};

const CASES: u64 = 10;

#[test]
fn a_sync_changes_what_the_rules_of_ownership_allow() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |value| value.parse::<u64>().unwrap())
    };
    let first = number("CODEX_MODEL_SEED", 0);
    for seed in first..first + number("CODEX_MODEL_CASES", CASES) {
        check(seed);
    }
}

/// Mode and object of every file.
type Tree = BTreeMap<Bytes, (String, String)>;

fn check(seed: u64) {
    let case = world::case(&mut fastrand::Rng::with_seed(seed));
    let about = format!(
        "CODEX_MODEL_SEED={seed} CODEX_MODEL_CASES=1\n{}",
        described(&case)
    );
    let sandbox = Sandbox::new();
    let codex = build(&sandbox, &case);
    let before = tree(&sandbox, &codex);
    let base = codex.tip().unwrap();
    let flags: Vec<String> = match case.guard {
        Guard::Configured => Vec::new(),
        Guard::AtMost(files) => vec!["--max-delete".to_owned(), files.to_string()],
        Guard::AtMostPercent(percent) => vec!["--max-delete".to_owned(), format!("{percent}%")],
        Guard::Lifted => vec!["--allow-mass-delete".to_owned()],
    };
    let run = |arguments: &[&str]| {
        let flags = flags
            .iter()
            .map(String::as_str)
            .filter(|_| arguments[0] == "sync");
        let all: Vec<_> = arguments
            .iter()
            .copied()
            .chain(["--all", "--json"])
            .chain(flags)
            .collect();
        let output = sandbox.run(&all);
        (output.code, output.json())
    };

    let expected: Vec<_> = case
        .projects
        .iter()
        .map(|project| spec::expected(project, &case.guard))
        .collect();
    let held_up = expected
        .iter()
        .any(|one| !matches!(one, Expected::Planned(_)));
    let code = Some(i32::from(held_up));

    let planned = run(&["sync", "--dry-run"]);
    assert_eq!(
        tree(&sandbox, &codex),
        before,
        "a dry run changed the codex: {about}"
    );
    let done = run(&["sync"]);
    let after = tree(&sandbox, &codex);
    for (number, (project, expected)) in case.projects.iter().zip(&expected).enumerate() {
        compare(
            project,
            expected,
            &done.1["projects"][number],
            "synced",
            &about,
        );
        compare(
            project,
            expected,
            &planned.1["projects"][number],
            "would-sync",
            &about,
        );
        assert_eq!(
            done.1["projects"][number]["changes"], planned.1["projects"][number]["changes"],
            "run and dry run differ: {} {about}",
            project.name
        );
    }
    assert_eq!((planned.0, done.0), (code, code), "{about}");

    let mut result = before.clone();
    let changed: Vec<_> = case
        .projects
        .iter()
        .zip(&expected)
        .filter_map(changing)
        .collect();
    for (project, plan) in &changed {
        apply(project, plan, &mut result);
    }
    assert_eq!(after, result, "the codex is not as expected: {about}");
    check_commits(&sandbox, &codex, &base, &changed, &about);

    let tip = codex.tip();
    let again = run(&["sync"]);
    assert_eq!(codex.tip(), tip, "a second run made a commit: {about}");
    assert_eq!(again.1["pushed"], false, "{about}");
    let held_up = |document: &Value| -> Vec<Value> {
        let projects = document["projects"].as_array().unwrap().iter();
        projects
            .filter(|project| ["withheld", "failed"].contains(&project["status"].as_str().unwrap()))
            .cloned()
            .collect()
    };
    assert_eq!(held_up(&again.1), held_up(&done.1), "{about}");
}

fn changing<'c>(
    (project, expected): (&'c Project, &'c Expected),
) -> Option<(&'c Project, &'c Plan)> {
    match expected {
        Expected::Planned(plan) if !plan.changes.is_empty() => Some((project, plan)),
        _ => None,
    }
}

fn compare(project: &Project, expected: &Expected, reported: &Value, changed: &str, about: &str) {
    let name = &project.name;
    let status = match expected {
        Expected::Failed => "failed",
        Expected::Withheld => "withheld",
        Expected::Planned(plan) if plan.changes.is_empty() => "up-to-date",
        Expected::Planned(_) => changed,
    };
    assert_eq!(
        reported["status"], status,
        "{name}: {expected:?}\n{reported:#}\n{about}"
    );
    if let Expected::Planned(plan) = expected {
        let counts = json!([
            plan.added,
            plan.modified,
            plan.deleted,
            plan.unchanged,
            plan.unmanaged
        ]);
        let counted =
            ["added", "modified", "deleted", "unchanged", "unmanaged"].map(|key| &reported[key]);
        assert_eq!(
            json!(counted),
            counts,
            "{name}: {expected:?}\n{reported:#}\n{about}"
        );
    }
}

/// Makes the workspace and the codex.
fn build(sandbox: &Sandbox, case: &Case) -> Codex {
    let projects: serde_json::Map<_, _> = case
        .projects
        .iter()
        .map(|project| (project.name.clone(), project.configuration()))
        .collect();
    let configuration = json!({ "codex": {
        "organization": "acme", "codex_repo": "codex", "remote": { "url": "../codex.git" },
        "cache": { "enabled": false }, "projects": projects,
    }});
    sandbox.write("ws/.fractary/config.json", configuration.to_string());
    sandbox.write("ws/outside/a.md", "outside");
    for project in &case.projects {
        let root = format!("ws/{}", project.name);
        std::fs::create_dir(sandbox.path(&root)).unwrap();
        for (path, node) in &project.source {
            let at = sandbox.path(&root).join(std::ffi::OsStr::from_bytes(path));
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            put(sandbox, &at, path, node);
        }
    }
    let codex = Codex::empty(&sandbox.path("codex.git"), sandbox);
    let mut entries = vec![(
        "100644".to_owned(),
        b"README.md".to_vec(),
        b"codex".to_vec(),
    )];
    for project in &case.projects {
        let place = project.to.as_bytes();
        if project.place_is_a_file {
            entries.push(("100644".to_owned(), place.to_vec(), b"a file".to_vec()));
        }
        for (path, (mode, content)) in &project.codex {
            entries.push((mode.clone(), [place, b"/", path].concat(), content.clone()));
        }
    }
    codex.import_entries(&entries);
    codex
}

fn put(sandbox: &Sandbox, at: &Path, path: &[u8], node: &Node) {
    match node {
        Node::File {
            content,
            executable,
        } => {
            std::fs::write(at, content).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(if *executable {
                0o755
            } else {
                0o644
            });
            std::fs::set_permissions(at, mode).unwrap();
        }
        Node::Link(target) => symlink(target.text(path), at).unwrap(),
        Node::Pipe => {
            let made = sandbox.command("mkfifo").arg(at).status().unwrap();
            assert!(made.success());
        }
    }
}

fn apply(project: &Project, plan: &Plan, tree: &mut Tree) {
    for (path, entry) in &plan.changes {
        let path = [project.to.as_bytes(), b"/", path].concat();
        match entry {
            Some(entry) => {
                let id = hash(Kind::Blob, &entry.content).to_string();
                tree.insert(path, (entry.mode.to_owned(), id));
            }
            None => drop(tree.remove(&path)),
        }
    }
}

/// Everything that `main` holds.
fn tree(sandbox: &Sandbox, codex: &Codex) -> Tree {
    let listing = git(sandbox, codex, &["ls-tree", "-r", "-z", "main"]);
    let entries = listing
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty());
    entries
        .map(|line| {
            let tab = line.iter().position(|byte| *byte == b'\t').unwrap();
            let words: Vec<_> = std::str::from_utf8(&line[..tab])
                .unwrap()
                .split(' ')
                .collect();
            (
                line[tab + 1..].to_vec(),
                (words[0].to_owned(), words[2].to_owned()),
            )
        })
        .collect()
}

/// One commit per changed project, in order, that changes exactly the paths of its plan.
fn check_commits(
    sandbox: &Sandbox,
    codex: &Codex,
    base: &str,
    changed: &[(&Project, &Plan)],
    about: &str,
) {
    let range = format!("{base}..main");
    let format = "--format=%x01%s%x01";
    let log = git(
        sandbox,
        codex,
        &[
            "log",
            "--reverse",
            "--no-renames",
            "--name-only",
            "-z",
            format,
            &range,
        ],
    );
    let mut found: Vec<(String, Vec<Bytes>)> = Vec::new();
    let mut parts = log.split(|byte| *byte == 1).skip(1);
    while let (Some(subject), Some(paths)) = (parts.next(), parts.next()) {
        let paths = paths
            .split(|byte| matches!(byte, 0 | b'\n'))
            .filter(|path| !path.is_empty());
        let mut paths: Vec<Bytes> = paths.map(<[u8]>::to_vec).collect();
        paths.sort();
        found.push((String::from_utf8(subject.to_vec()).unwrap(), paths));
    }
    let expected: Vec<(String, Vec<Bytes>)> = changed
        .iter()
        .map(|(project, plan)| {
            let place = project.to.as_bytes();
            let mut paths: Vec<Bytes> = plan
                .changes
                .keys()
                .map(|path| [place, b"/", path].concat())
                .collect();
            paths.sort();
            (
                match paths.len() {
                    1 => format!("Sync 1 file from {}", project.name),
                    count => format!("Sync {count} files from {}", project.name),
                },
                paths,
            )
        })
        .collect();
    assert_eq!(found, expected, "{about}");
}

fn git(sandbox: &Sandbox, codex: &Codex, arguments: &[&str]) -> Bytes {
    let mut command = sandbox.command("git");
    let output = command
        .args(arguments)
        .current_dir(codex.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn described(case: &Case) -> String {
    let mut text = format!("{:?}\n", case.guard);
    for project in &case.projects {
        let _ = writeln!(text, "{}: {}", project.name, project.configuration());
        for (path, node) in &project.source {
            let _ = writeln!(text, "  source {} {node:?}", path.escape_ascii());
        }
        for (path, (mode, content)) in &project.codex {
            let _ = writeln!(
                text,
                "  codex {mode} {} {}",
                path.escape_ascii(),
                content.escape_ascii()
            );
        }
    }
    text
}
