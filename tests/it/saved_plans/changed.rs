//! What a plan contains, and what differs if it no longer applies.

use std::fs;

use super::{apply, differences, save, save_of};
use crate::support::World;

#[test]
fn options_and_projects_are_those_of_the_plan() {
    let world = World::builder()
        .projects(&["alpha", "beta", "gamma"])
        .build();
    world.sandbox.write("ws/alpha/guide/a.md", "guide");
    world.sandbox.write("ws/beta/guide/b.md", "guide");
    let options = [
        "-p",
        "alpha",
        "-p",
        "b*",
        "--include",
        "guide/**",
        "--message",
        "Publish {project}",
        "--work-id",
        "W-7",
        "--max-delete",
        "100%",
    ];
    let plan = save_of(&world, &options, 0);
    assert_eq!(
        plan["options"].as_array().unwrap().len(),
        // With the direction, and without the projects.
        5
    );
    apply(&world, &["--jobs", "1", "--retries", "3", "--no-cache"]).code(0);
    assert_eq!(
        world.codex.subjects()[..2],
        ["Publish beta", "Publish alpha"]
    );
    assert_eq!(
        world.codex.paths(),
        [
            "README.md",
            "projects/alpha/guide/a.md",
            "projects/beta/guide/b.md"
        ]
    );
    let trailers = world.codex.git(&[
        "log",
        "-1",
        "--format=%(trailers:key=Codex-Work-Id)",
        "main",
    ]);
    assert_eq!(trailers.trim(), "Codex-Work-Id: W-7");
}

#[test]
fn plan_applies_in_another_checkout_with_another_revision() {
    let world = World::new();
    let commit = |message: &str| {
        let workspace = world.sandbox.path("ws");
        world.sandbox.git(&workspace, &["add", "-A"]);
        world.sandbox.git(
            &workspace,
            &["commit", "-q", "--allow-empty", "-m", message],
        );
    };
    let url = format!("url: {}", world.codex.path().display());
    let file = "ws/.fractary/config.yaml";
    let config = fs::read_to_string(world.sandbox.path(file)).unwrap();
    world
        .sandbox
        .write(file, config.replace("url: ../codex.git", &url));
    world
        .sandbox
        .git(&world.sandbox.path("ws"), &["init", "-q"]);
    commit("first");
    let plan = save(&world, &["--source", "committed"]);
    assert!(
        plan["projects"][0]["revision"]["commit"].is_string(),
        "{plan}"
    );

    // The merge of a pull request has another commit with the same files.
    commit("merge");
    world
        .sandbox
        .git(&world.sandbox.path(""), &["clone", "-q", "ws", "other"]);
    let output = world.run(&["-C", "../other", "sync", "--plan", "../plan.json"]);
    // The path of the plan is relative to the directory.
    output.code(0);
    assert_eq!(world.codex.file("projects/alpha/README.md"), "alpha");
}

#[test]
fn atomic_run_has_a_plan_only_if_every_project_is_ready() {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    let tip = world.codex.tip();
    save(&world, &["--atomic"]);
    world.sandbox.remove("ws/beta");
    apply(&world, &[]).code(5);
    assert_eq!(world.codex.tip(), tip);

    world.sandbox.remove("plan.json");
    let save = [
        "sync",
        "--all",
        "--atomic",
        "--dry-run",
        "--plan-out",
        "../plan.json",
    ];
    world.run(&save).code(1);
    assert!(!world.sandbox.path("plan.json").exists());
}

#[test]
fn plan_that_was_carried_out_is_already_in_the_codex() {
    let world = World::new();
    save(&world, &[]);
    apply(&world, &[]).code(0);
    let output = apply(&world, &[]).code(5);
    let words = "now: no change, it is already in the codex";
    assert!(output.stderr.contains(words), "{}", output.stderr);
}

#[test]
fn project_that_is_only_pulled_now_is_refused() {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    save(&world, &[]);
    let more = ["--config", "sync.direction=from-codex"];
    // An option of this run is no change of the configuration.
    apply(&world, &[&more[..], &["--dry-run"]].concat()).code(0);
    let config = "ws/.fractary/config.yaml";
    let text = fs::read_to_string(world.sandbox.path(config)).unwrap();
    let pulled = text.replace("beta: {}", "beta: { sync: { direction: from-codex } }");
    assert_ne!(text, pulled);
    world.sandbox.write(config, pulled);
    let output = apply(&world, &["--json"]).code(5);
    assert_eq!(
        differences(&output),
        ["beta configuration of `sync.direction`"]
    );
}

#[test]
fn differences_are_listed_by_project_and_path() {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    save(&world, &[]);
    world.sandbox.write("ws/alpha/docs/new.md", "new");
    world.sandbox.remove("ws/beta");
    let output = apply(&world, &["--json"]).code(5);
    assert_eq!(
        differences(&output),
        [
            "alpha `projects/alpha/docs/new.md`",
            "beta `projects/beta/README.md`",
            "beta result"
        ]
    );
}

#[test]
fn plan_of_changed_projects_has_those_projects() {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    let workspace = world.sandbox.path("ws");
    for arguments in [
        &["init", "-q"][..],
        &["add", "-A"],
        &["commit", "-q", "-m", "first"],
    ] {
        world.sandbox.git(&workspace, arguments);
    }
    let tip = world.codex.tip();
    let since = ["--changed-since", "HEAD"];

    // Without a changed project, the plan is empty, and its id is that of no plan.
    let plan = save_of(&world, &since, 0);
    assert_eq!(plan["projects"].as_array().unwrap().len(), 0);
    let shown = world.run(&["plan", "show", "../plan.json"]).code(0);
    assert_eq!(
        shown.stdout,
        "0 of 2 projects selected: changed since HEAD\nnothing to do\n"
    );
    apply(&world, &[]).code(0);
    let id = "1234567812345678123456781234567812345678";
    world
        .run(&[&["sync", "--expect", id], &since[..]].concat())
        .code(5);
    assert_eq!(world.codex.tip(), tip);

    // The plan has the projects that changed when it was saved.
    world.sandbox.write("ws/beta/README.md", "beta, changed");
    save_of(&world, &since, 0);
    world.sandbox.write("ws/alpha/README.md", "alpha, changed");
    apply(&world, &[]).code(0);
    assert_eq!(
        world.codex.paths(),
        ["README.md", "projects/beta/README.md"]
    );
    let output = apply(&world, &since).code(2);
    let message = "`--changed-since` cannot be combined with `--plan`";
    assert!(output.stderr.contains(message), "{}", output.stderr);
}
