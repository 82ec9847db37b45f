//! `retire` and `rename`: remove or move a project in the codex.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::pull_requests::{BRANCH, Hosted};
use crate::support::forge::Kind;
use crate::support::{Output, World};

/// The files of the codex, each with its mode and id.
type Tree = BTreeMap<String, (String, String)>;

/// Two projects with a few files each, after a sync. Others have added a file to the directory of
/// `alpha`, and have changed another one.
fn synced(config: &str) -> World {
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .files(&[
            ("alpha/README.md", "alpha"),
            ("alpha/docs/a.md", "a"),
            ("alpha/docs/b.md", "b"),
            ("beta/README.md", "beta"),
        ])
        .config(config)
        .build();
    world
        .run(&["sync", "--all", "--push-mode", "direct"])
        .code(0);
    world.codex.commit(
        &[
            ("100644", "projects/alpha/notes.md", "notes of Bob"),
            ("100644", "projects/alpha/docs/b.md", "corrected by Bob"),
        ],
        &[],
    );
    world
}

impl World {
    /// Replaces the projects of the configuration.
    fn configure(&self, projects: &str) {
        self.sandbox.write(
            "ws/.fractary/config.yaml",
            format!("codex:\n  remote: {{ url: ../codex.git }}\n  projects: {projects}\n"),
        );
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).code(0).json()
    }

    #[track_caller]
    fn refuses(&self, code: i32, arguments: &[&str], expected: &str) {
        let output = self.run(arguments).code(code);
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}

fn below<'t>(tree: &'t Tree, directory: &str) -> Vec<&'t str> {
    let files = tree.keys().filter_map(|path| path.strip_prefix(directory));
    files.collect()
}

#[test]
fn retired_project_leaves_the_files_of_others() {
    let world = synced("");
    world.configure("{ beta: {} }");
    let before = world.codex.tree();

    let planned = world.json(&["retire", "alpha", "--dry-run"]);
    assert_eq!(world.codex.tree(), before);
    let done = world.json(&["retire", "alpha", "--yes"]);
    for document in [&planned, &done] {
        let project = &document["projects"][0];
        assert_eq!(
            [&project["name"], &project["deleted"], &project["unmanaged"]],
            [&json!("alpha"), &json!(2), &json!(2)]
        );
        let kept = project["kept"].as_array().unwrap();
        let paths: Vec<_> = kept.iter().map(|kept| kept["path"].as_str()).collect();
        assert_eq!(
            paths,
            [
                Some("projects/alpha/docs/b.md"),
                Some("projects/alpha/notes.md")
            ]
        );
        assert!(kept.iter().all(|kept| kept["author"] == "Bob <b@b>"));
    }
    for field in ["plan_id", "totals"] {
        let (planned, done) = (&planned[field], &done[field]);
        assert!(field == "totals" || planned == done);
    }
    assert_eq!(
        planned["projects"][0]["changes"],
        done["projects"][0]["changes"]
    );

    let after = world.codex.tree();
    assert_eq!(below(&after, "projects/alpha/"), ["docs/b.md", "notes.md"]);
    let is_kept = |(path, entry): (&String, _)| before.get(path) == Some(entry);
    assert!(after.iter().all(is_kept));
    assert_eq!(world.codex.subjects()[0], "Retire alpha");
    let message = world.codex.git(&["log", "-1", "--format=%b", "main"]);
    assert_eq!(
        message.trim(),
        "Codex-Project: alpha\nCodex-Retired: projects/alpha"
    );
    world.codex.assert_sound();

    // What is left needs an explicit option.
    world.refuses(
        1,
        &["retire", "alpha", "--yes"],
        "no sync of `alpha` is known to have published any of the 2 files in `projects/alpha`",
    );
    let rest = world.json(&["retire", "alpha", "--yes", "--include-others"]);
    assert_eq!(rest["projects"][0]["deleted"], 2);
    assert_eq!(below(&world.codex.tree(), "projects/"), ["beta/README.md"]);
    world.refuses(
        2,
        &["retire", "alpha", "--yes"],
        "the codex has no directory `projects/alpha` of `alpha`",
    );
}

#[test]
fn renamed_project_keeps_every_object_and_needs_no_sync() {
    let world = synced("");
    let before = world.codex.tree();
    world.configure("{ beta: {}, gamma: { root: alpha, to: docs/gamma } }");
    world
        .sandbox
        .write("ws/alpha/docs/b.md", "corrected by Bob");
    let objects = || {
        let listed = world
            .codex
            .git(&["cat-file", "--batch-all-objects", "--batch-check"]);
        listed.lines().count()
    };
    let count = objects();

    let planned = world.json(&["rename", "alpha", "gamma", "--dry-run"]);
    assert_eq!(world.codex.tree(), before);
    let done = world.json(&["rename", "alpha", "gamma", "--yes"]);
    let moved = json!({ "from": "projects/alpha", "to": "docs/gamma", "files": 4 });
    for document in [&planned, &done] {
        let project = &document["projects"][0];
        assert_eq!(
            (&project["name"], &project["moved"]),
            (&json!("gamma"), &moved)
        );
        assert_eq!(project["unchanged"], 4);
    }
    assert_eq!(planned["plan_id"], done["plan_id"]);

    let expected: Tree = before
        .into_iter()
        .map(|(path, entry)| (path.replace("projects/alpha/", "docs/gamma/"), entry))
        .collect();
    assert_eq!(world.codex.tree(), expected);
    // A commit, and the trees `/`, `docs` and `projects`.
    assert_eq!(objects(), count + 4);
    assert_eq!(world.codex.subjects()[0], "Rename alpha to gamma");
    world.codex.assert_sound();

    let updates = world.codex.updates();
    let next = world.json(&["sync", "--all"]);
    assert_eq!(next["totals"]["up_to_date"], 2);
    assert_eq!(world.codex.updates(), updates);

    // The files that others added are still known as theirs.
    world.configure("{ beta: {} }");
    let retired = world.json(&["retire", "gamma", "--yes"]);
    assert_eq!(retired["projects"][0]["deleted"], 2);
    assert_eq!(
        below(&world.codex.tree(), "docs/gamma/"),
        ["docs/b.md", "notes.md"]
    );
}

#[test]
fn directory_is_moved_after_a_change_of_to() {
    let world = synced("");
    world.configure("{ alpha: { to: docs/alpha }, beta: {} }");
    let done = world.json(&["rename", "alpha", "alpha", "--yes"]);
    assert_eq!(done["projects"][0]["moved"]["from"], "projects/alpha");
    assert_eq!(world.codex.subjects()[0], "Move alpha to docs/alpha");
    world.codex.assert_sound();

    // After a sync, the directory that was left behind can only be removed.
    world.configure("{ alpha: { to: handbook }, beta: {} }");
    world.run(&["sync", "--all"]).code(0);
    world.refuses(
        1,
        &["rename", "alpha", "alpha", "--yes"],
        "the codex already has `handbook`",
    );
    world.run(&["retire", "alpha", "--yes"]).code(0);
    let tree = world.codex.tree();
    assert_eq!(below(&tree, "docs/alpha/"), ["docs/b.md", "notes.md"]);
    assert_eq!(below(&tree, "handbook/").len(), 3);
}

#[test]
fn entries_that_git_would_not_write_are_named() {
    let world = synced("");
    world.configure("{ beta: {} }");
    let modules = "projects/alpha/.gitmodules";
    world.codex.commit(&[("100644", modules, "")], &[]);
    let done = world.json(&["retire", "alpha", "--yes", "--include-others"]);
    assert_eq!(done["projects"][0]["deleted"], 4);
    assert_eq!(done["projects"][0]["kept"][0]["path"], modules);
    let warning = done["warnings"][0]["message"].as_str().unwrap();
    let expected = format!("`{modules}` is kept: git would not write such an entry");
    assert!(warning.starts_with(&expected), "{warning}");
    for more in ["--no-progress", "--include-others"] {
        let expected = format!("`{modules}` cannot be deleted");
        world.refuses(1, &["retire", "alpha", "--yes", more], &expected);
    }
}

#[test]
fn name_can_change_only_in_case() {
    let world = synced("");
    world.configure("{ Alpha: { root: alpha }, beta: {} }");
    let done = world.json(&["rename", "alpha", "Alpha", "--yes"]);
    assert_eq!(done["projects"][0]["moved"]["to"], "projects/Alpha");
    let next = world
        .run(&["sync", "--all", "--json", "--dry-run"])
        .code(0)
        .json();
    assert_eq!(next["totals"]["withheld"], 0, "{next}");
    // The directory of the other case is another one.
    let other = "projects/alpha/README.md";
    world.codex.commit(&[("100644", other, "")], &[]);
    world.json(&["retire", "alpha", "--yes", "--include-others"]);
    let tree = world.codex.tree();
    assert!(below(&tree, "projects/alpha/").is_empty(), "{tree:?}");
    assert_eq!(below(&tree, "projects/Alpha/").len(), 4);
}

#[test]
fn commands_are_guarded() {
    let world = synced("");
    let before = world.codex.tip();
    let plant = [("100644", "projects/delta/README.md", "other")];
    for (code, arguments, expected) in [
        (
            2,
            &["retire", "alpha", "--yes"][..],
            "`alpha` is still in the configuration",
        ),
        (
            2,
            &["rename", "alpha", "gamma", "--yes"],
            "`alpha` is still in the configuration",
        ),
        (
            2,
            &["retire", "unknown", "--yes"],
            "the codex has no directory `projects/unknown`",
        ),
        (
            2,
            &["rename", "old", "beta", "--yes"],
            "the codex has no directory `projects/old`",
        ),
        (2, &["retire", "old"], "`retire` needs a confirmation"),
        (
            2,
            &["rename", "old", "new"],
            "`rename` needs a confirmation",
        ),
        (2, &["retire", "../x", "--yes"], "is not a project name"),
        (
            2,
            &["retire", "old", "--yes", "--directory", "projects"],
            "`projects` and the directory `projects/alpha` of the project `alpha` overlap",
        ),
        (
            2,
            &["retire", "old", "--yes", "--directory", "Projects/BETA"],
            "the codex has no directory `Projects/BETA` of `old`",
        ),
        (
            2,
            &[
                "rename",
                "old",
                "new",
                "--yes",
                "--directory",
                "projects/new/sub",
            ],
            "`projects/new/sub` and `projects/new` overlap",
        ),
    ] {
        world.refuses(code, arguments, expected);
    }
    assert_eq!(world.codex.tip(), before);

    world.codex.commit(&plant, &[]);
    world.configure("{ beta: {} }");
    world.refuses(
        1,
        &["rename", "alpha", "delta", "--yes"],
        "the codex already has `projects/delta`",
    );
    let output = world.run(&["retire", "alpha", "--json"]).code(2).json();
    assert_eq!(output["command"], "retire");
    assert_eq!(output["error"]["kind"], "usage");
}

#[test]
fn question_is_asked_on_a_terminal() {
    let world = synced("");
    world.configure("{ beta: {} }");
    let answer = |answer: &str| -> Output {
        let mut command = world.sandbox.command("bash");
        let program = env!("CARGO_BIN_EXE_fractary-codex");
        let line = format!(
            "printf '{answer}\\n' | script -qec \"{program} --no-progress retire alpha\" /dev/null"
        );
        command.args(["-o", "pipefail", "-c", &line]);
        command.current_dir(world.sandbox.path("ws"));
        world.sandbox.finish(command)
    };
    let before = world.codex.tip();
    let output = answer("n").code(1);
    let question =
        "delete 2 files in `projects/alpha`, and keep 2 files of others, from `main` of ";
    assert!(output.stdout.contains(question), "{}", output.stdout);
    assert_eq!(world.codex.tip(), before);
    answer("y").code(0);
    assert_eq!(world.codex.subjects()[0], "Retire alpha");
}

#[test]
fn commands_land_on_top_of_commits_that_others_push_meanwhile() {
    let world = synced("");
    world.configure("{ beta: {}, gamma: { root: alpha } }");
    // Another user pushes while the first attempt is under way.
    let codex = world.codex.path().to_owned();
    world.codex.hook(
        "pre-receive",
        &format!(
            "[ -e {done} ] && exit 0; touch {done}
             unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
             blob=$(echo late | git hash-object -w --stdin)
             export GIT_INDEX_FILE={done}.index
             git read-tree main
             git update-index --add --cacheinfo 100644,$blob,projects/alpha/late.md
             commit=$(GIT_COMMITTER_NAME=Eve GIT_COMMITTER_EMAIL=e@e GIT_AUTHOR_NAME=Eve GIT_AUTHOR_EMAIL=e@e \
                git commit-tree -p main -m Late $(git write-tree))
             git update-ref refs/heads/main $commit",
            done = codex.join("done").display()
        ),
    );
    let done = world.json(&["rename", "alpha", "gamma", "--yes"]);
    assert_eq!(done["attempts"], 2);
    assert_eq!(done["projects"][0]["moved"]["files"], 5);
    assert_eq!(world.codex.file("projects/gamma/late.md"), "late\n");
    world.codex.assert_sound();

    world.configure("{ beta: {} }");
    std::fs::remove_file(codex.join("done")).unwrap();
    let done = world.json(&["retire", "gamma", "--yes"]);
    assert_eq!(done["projects"][0]["deleted"], 2);
    let tree = world.codex.tree();
    assert_eq!(
        below(&tree, "projects/gamma/"),
        ["docs/b.md", "late.md", "notes.md"]
    );
    assert_eq!(below(&tree, "projects/alpha/"), ["late.md"]);
}

#[test]
fn sync_branch_and_pull_request_are_used() {
    let world = synced("");
    world.configure("{ beta: {}, gamma: { root: alpha } }");
    let hosted = Hosted::with(Kind::GitHub, world);
    let before = hosted.world.codex.tip();
    let run = |arguments: &[&str]| {
        let options = ["--yes", "--push-mode", "pull-request", "--json"];
        hosted
            .run(&[arguments, &options].concat(), &[])
            .code(0)
            .json()
    };
    let done = run(&["rename", "alpha", "gamma"]);
    assert_eq!(done["projects"][0]["status"], "proposed");
    assert_eq!(done["projects"][0]["moved"]["files"], 4);
    let body = &hosted.forge.pulls()[0].body;
    assert!(body.contains("alpha") && body.contains("gamma"), "{body}");
    assert_eq!(hosted.world.codex.tip(), before);

    hosted.world.configure("{ beta: {} }");
    let done = run(&["retire", "gamma"]);
    assert_eq!(done["projects"][0]["status"], "proposed");
    assert_eq!(done["projects"][0]["deleted"], 2);
    let names = ["ls-tree", "-r", "--name-only", BRANCH, "projects/"];
    let names = hosted.world.codex.git(&names);
    let names: Vec<_> = names.lines().collect();
    assert_eq!(
        names,
        [
            "projects/beta/README.md",
            "projects/gamma/docs/b.md",
            "projects/gamma/notes.md"
        ]
    );
    assert_eq!(hosted.world.codex.tip(), before);
}

/// The sync branch and the branch of the codex have both changed a file: that of others is kept.
#[test]
fn changes_of_others_that_a_sync_branch_lacks_are_kept() {
    for (projects, command, directory) in [
        ("{ beta: {} }", &["retire", "alpha"][..], "alpha"),
        (
            "{ beta: {}, gamma: { root: alpha } }",
            &["rename", "alpha", "gamma"],
            "gamma",
        ),
    ] {
        let world = synced("");
        world.sandbox.write("ws/alpha/README.md", "ours");
        world
            .run(&["sync", "--all", "--push-mode", "branch"])
            .code(0);
        let theirs = ("100644", "projects/alpha/README.md", "corrected by Bob");
        world.codex.commit(&[theirs], &[]);

        world.configure(projects);
        let options = ["--yes", "--push-mode", "branch"];
        world.run(&[command, &options].concat()).code(0);
        let path = format!("{BRANCH}:projects/{directory}/README.md");
        assert_eq!(world.codex.git(&["show", &path]), "corrected by Bob");
    }
}

#[test]
fn cache_drops_the_files_of_a_retired_project() {
    let world = synced("");
    let cached = || {
        world
            .sandbox
            .path("ws/.fractary/codex/cache/projects/alpha")
            .exists()
    };
    assert!(cached());
    world.configure("{ beta: {} }");
    world.run(&["retire", "alpha", "--yes"]).code(0);
    world.run(&["sync", "--all"]).code(0);
    assert!(!cached());
}

#[test]
fn output_of_both_commands() {
    let world = synced("");
    world.configure("{ beta: {}, gamma: { root: alpha } }");
    let renamed = world.run(&["rename", "alpha", "gamma", "--yes"]).code(0);
    world.configure("{ beta: {} }");
    let planned = world.run(&["retire", "gamma", "--dry-run"]).code(0);
    let retired = world.run(&["retire", "gamma", "--yes"]).code(0);
    let shown = [renamed, planned, retired].map(|output| output.shown());
    insta::assert_snapshot!(shown.join("\n=====\n"));
}
