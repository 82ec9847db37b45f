//! The messages about plans.

use super::{apply, save, save_of};
use crate::support::World;

#[test]
fn saved_plan() {
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .empty_codex()
        .build();
    let save = ["sync", "--all", "--dry-run", "--plan-out", "../plan.json"];
    insta::assert_snapshot!(world.run(&save).code(0).shown());

    let global = ["-C", "../ws", "--config", "sync.prune=true", "-q"];
    let saved = world.run(&[&global[..], &save].concat()).code(0).stdout;
    assert!(
        saved.contains(
            "`fractary-codex sync -C=../ws --config=sync.prune=true --plan ../plan.json`"
        ),
        "{saved}"
    );
}

#[test]
fn comment() {
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .files(&[
            ("alpha/README.md", "a"),
            ("beta/README.md", "<<<<<<< a\n=======\n>>>>>>> b\n"),
        ])
        .build();
    world
        .sandbox
        .write_bytes("ws/alpha/docs", b"a|`<b>@you #7.md", "odd");
    save_of(&world, &["--all"], 1);
    let comment = ["plan", "show", "../plan.json", "--format", "markdown"];
    insta::assert_snapshot!(world.run(&comment).code(0).shown());
}

#[test]
fn differences() {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    save(&world, &[]);
    world.sandbox.write("ws/alpha/README.md", "alpha, again");
    for number in 0..30 {
        world
            .sandbox
            .write(&format!("ws/beta/docs/{number:02}.md"), "new");
    }
    insta::assert_snapshot!(
        apply(&world, &["--config", "sync.prune=true"])
            .code(5)
            .shown()
    );
}

#[test]
fn projects_that_are_no_longer_configured() {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    save(&world, &[]);
    let projects = [
        "--config",
        "projects={alpha={}}",
        "--config-file",
        "other.yaml",
    ];
    let config = "codex: { remote: { url: ../codex.git }, projects: { alpha: {} } }";
    world.sandbox.write("ws/other.yaml", config);
    insta::assert_snapshot!(apply(&world, &projects[2..]).code(5).shown());
}

#[test]
fn other_id() {
    let world = World::new();
    let expect = [
        "sync",
        "--all",
        "--expect",
        "1234567812345678123456781234567812345678",
    ];
    insta::assert_snapshot!(world.run(&expect).code(5).shown());
}

#[test]
fn wrong_usage() {
    let world = World::new();
    save(&world, &[]);
    world.sandbox.pipe("pipe");
    world.sandbox.write("list.json", "[1]");
    world
        .sandbox
        .write("other.json", "{ \"schema_version\": 1 }");
    world.sandbox.write(
        "later.json",
        "{ \"schema_version\": 7, \"format\": \"fractary-codex plan\" }",
    );
    let dry_run = ["sync", "--all", "--dry-run"];
    let plan = ["sync", "--plan"];
    world.sandbox.write("other/.git/HEAD", "");
    world.sandbox.write("ws/alpha/docs/a.md", "a");
    let cases: [(&[&str], &[&str]); 23] = [
        (&["sync", "--all"], &["--plan-out", "../p"]),
        (&dry_run, &["--plan-out", ".."]),
        (&dry_run, &["--plan-out", "../none/p"]),
        (&dry_run, &["--plan-out", "../list.json"]),
        (&dry_run, &["--plan-out", ".fractary/config.yaml"]),
        (&dry_run, &["--plan-out", "plan.json/"]),
        (&dry_run, &["--plan-out", "../other/.git/HEAD"]),
        (&dry_run, &["--plan-out", "alpha/docs/plan.json"]),
        (&dry_run, &["--plan-out", "/proc/plan.json"]),
        (&dry_run, &["--plan-out", "../p", "--bidirectional"]),
        (&dry_run, &["--plan-out", "../p", "--offline"]),
        (&dry_run, &["--expect", "12345"]),
        (
            &["sync", "--all", "--from-codex"],
            &["--expect", "1234567812345678123456781234567812345678"],
        ),
        (&plan, &["../plan.json", "--all"]),
        (&plan, &["../plan.json", "alpha"]),
        (&plan, &["../plan.json", "--include", "docs/**"]),
        (&plan, &["../plan.json", "--dry-run", "--plan-out", "../p"]),
        (&plan, &["../none.json"]),
        (&plan, &[".."]),
        (&plan, &["../pipe"]),
        (&plan, &["../list.json"]),
        (&plan, &["../other.json"]),
        (&plan, &["../later.json"]),
    ];
    let mut text = String::new();
    for (command, more) in cases {
        let arguments = [command, more].concat();
        let output = world.run(&arguments).code(2);
        let shown = output.shown();
        let lines = shown.split_once("---\n").unwrap().1;
        let lines = lines.split("\n\nUsage:").next().unwrap();
        text.push_str(&format!(
            "$ {}\n{}\n\n",
            arguments.join(" "),
            lines.trim_end()
        ));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn suggested_command_has_the_options_of_the_plan() {
    let world = World::new();
    for number in 0..30 {
        let name = format!("ws/alpha/docs/{number}.md");
        world.sandbox.write(&name, "text");
    }
    world.run(&["sync"]).code(0);
    world.sandbox.remove("ws/alpha/docs");
    let options = ["--all", "--prune", "--work-id", "7"];
    save_of(&world, &options, 1);
    let output = apply(&world, &["--json", "--config", "push.retries=3"]);
    let error = output.code(1).json()["projects"][0]["error"].take();
    let expected = "fractary-codex sync -p alpha --config=push.retries=3 --to-codex --prune --work-id=7 --max-delete 30";
    let words: Vec<_> = expected.split(' ').collect();
    assert_eq!(error["commands"], serde_json::json!([words]), "{error:#}");
}
