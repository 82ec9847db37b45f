//! A codex that moves while a plan is carried out, after both were compared.

use serde_json::json;

use super::{apply, differences, save};
use crate::support::gate::{Moment, Step};
use crate::support::{Output, World};

const THEIRS: &str = "projects/alpha/README.md";

/// Runs the program, and makes a commit of another user at `path` right before the push.
fn moved(world: &World, arguments: &[&str], path: &str) -> Output {
    let gate = world.sandbox.hold_at(Step::Push, Moment::Before);
    let child = world.sandbox.start(arguments);
    gate.wait();
    world.codex.commit(&[("100644", path, "theirs")], &[]);
    gate.open();
    world.sandbox.ended(child)
}

/// The arguments that carry out the plan of `world`, which is known by a file or by its id.
fn with_each_expectation(test: impl Fn(&World, &[&str])) {
    for by_id in [false, true] {
        let world = World::new();
        world.sandbox.serve();
        let plan = save(&world, &[]);
        let id = plan["plan_id"].as_str().unwrap();
        let expect = ["sync", "--all", "--json", "--expect", id];
        let apply = ["sync", "--json", "--plan", "../plan.json"];
        test(&world, if by_id { &expect } else { &apply });
    }
}

#[test]
fn commit_at_another_path_before_the_push_is_accepted() {
    with_each_expectation(|world, arguments| {
        let output = moved(world, arguments, "NEWS.md").code(0);
        assert_eq!(output.json()["attempts"], 2);
        assert_eq!(world.codex.file(THEIRS), "alpha");
        assert_eq!(world.codex.file("NEWS.md"), "theirs");
        world.codex.assert_sound();
    });
}

#[test]
fn commit_at_a_planned_path_before_the_push_is_refused() {
    with_each_expectation(|world, arguments| {
        let output = moved(world, arguments, THEIRS).code(5);
        assert_eq!(output.json()["error"]["kind"], "plan-differs");
        assert_eq!(output.json()["pushed"], false);
        let path = format!("alpha `{THEIRS}`");
        assert_eq!(differences(&output), [path]);
        assert_eq!(world.codex.file(THEIRS), "theirs");
    });
}

#[test]
fn id_is_refused_after_any_commit() {
    let world = World::new();
    let plan = save(&world, &[]);
    let id = plan["plan_id"].as_str().unwrap();
    let expect = ["sync", "--all", "--json", "--expect", id];
    world.codex.commit(&[("100644", "NEWS.md", "theirs")], &[]);
    let tip = world.codex.tip();

    let output = world.run(&expect).code(5);
    let error = &output.json()["error"];
    assert_eq!(error["kind"], "unexpected-plan");
    assert!(error["message"].as_str().unwrap().contains(id), "{error}");
    assert_eq!(world.codex.tip(), tip);
    // The id is that of every command that plans.
    let status = world.run(&["status", "--json"]).code(0).json();
    let now = status["plan_id"].as_str().unwrap();
    world.run(&["sync", "--all", "--expect", now]).code(0);
    assert_eq!(world.codex.file(THEIRS), "alpha");
}

#[test]
fn server_that_rejects_one_project_gets_nothing() {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    save(&world, &[]);
    let rule = "git diff --name-only $2 $3 | grep -q '^projects/beta/' && exit 1; exit 0";
    world.codex.hook("update", rule);
    let tip = world.codex.tip();

    let output = apply(&world, &["--json"]).code(5);
    assert_eq!(output.json()["error"]["kind"], "declined");
    assert_eq!(world.codex.tip(), tip);
    // Without a plan, the other project is published.
    world.run(&["sync", "--all"]).code(1);
    assert_ne!(world.codex.tip(), tip);
}

#[test]
fn plan_for_a_sync_branch_is_carried_out_there() {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    let per_project = [
        "--push-mode",
        "branch",
        "--config",
        "push.branch=sync/{project}",
    ];
    for (more, branch) in [
        (&["--push-mode", "branch"][..], "codex-sync/ws"),
        (&per_project, "sync/beta"),
    ] {
        save(&world, more);
        let configuration = &more[2..];
        let output = apply(&world, &[&["--json"], configuration].concat()).code(0);
        let project = &output.json()["projects"][1];
        assert_eq!(
            (&project["status"], &project["branch"]),
            (&json!("synced"), &json!(branch))
        );
        assert_eq!(world.file_on(branch, "projects/beta/README.md"), "beta");
        // The branch has the files now, so that the plan does not apply again.
        apply(&world, configuration).code(5);
    }

    // A shard has a branch of its own, which the plan keeps.
    save(&world, &["--push-mode", "branch", "--shard", "1/1"]);
    apply(&world, &[]).code(0);
    assert_eq!(
        world.file_on("codex-sync/ws-1-of-1", "projects/beta/README.md"),
        "beta"
    );

    // Another commit at a planned path of the codex is noticed for a sync branch, too.
    world.sandbox.write("ws/beta/README.md", "beta, again");
    save(&world, &["--push-mode", "branch"]);
    let before = world.tip_of("codex-sync/ws");
    world.commit_on("codex-sync/ws", "projects/beta/README.md", "theirs");
    let moved = world.tip_of("codex-sync/ws");
    assert_ne!(before, moved);
    let output = apply(&world, &["--json"]).code(5);
    assert_eq!(differences(&output), ["beta `projects/beta/README.md`"]);
    assert_eq!(world.tip_of("codex-sync/ws"), moved);
}

#[test]
fn id_is_about_one_branch_of_one_codex() {
    let world = World::new();
    world.codex.git(&["branch", "other", "main"]);
    let id = |world: &World, more: &[&str]| {
        let dry_run = [&["sync", "--all", "--dry-run", "--json"], more].concat();
        let document = world.run(&dry_run).code(0).json();
        document["plan_id"].as_str().unwrap().to_owned()
    };
    let on_main = id(&world, &[]);
    let other = ["--config", "remote.branch=other"];
    assert_ne!(on_main, id(&world, &other));
    let expect = ["sync", "--all", "--expect", &on_main];
    world.run(&[&expect, &other[..]].concat()).code(5);

    // A copy of the codex has the same tip and the same files.
    let copy = world.sandbox.path("copy.git");
    world
        .codex
        .git(&["clone", "-q", "--bare", ".", copy.to_str().unwrap()]);
    let url = format!("remote.url={}", copy.display());
    let copied = ["--config", &url];
    assert_ne!(on_main, id(&world, &copied));
    world.run(&[&expect, &copied[..]].concat()).code(5);

    world.run(&expect).code(0);
}
