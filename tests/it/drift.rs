//! Drift: files that others have changed in the codex since the project's last sync.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::World;

const WITHHOLD: &str = "  sync:\n    on_drift: withhold\n";
const SHARED: &str = "  push:\n    mode: branch\n";

/// A project with three files, after a sync and a change of each file in its sources. Others have
/// then corrected `a.md` in the codex.
fn drifted(config: &str) -> World {
    let world = published(config);
    for name in ["a", "b", "c"] {
        world.edit_source(name, "changed in the sources");
    }
    world.correct("a");
    world
}

fn published(config: &str) -> World {
    let world = World::builder()
        .files(&[
            ("alpha/docs/a.md", "a"),
            ("alpha/docs/b.md", "b"),
            ("alpha/docs/c.md", "c"),
        ])
        .config(config)
        .build();
    world.run(&["sync"]).code(0);
    world
}

impl World {
    fn edit_source(&self, name: &str, contents: &str) {
        self.sandbox
            .write(&format!("ws/alpha/docs/{name}.md"), contents);
    }

    /// A commit of Bob that changes a file in the codex.
    fn correct(&self, name: &str) {
        let path = format!("projects/alpha/docs/{name}.md");
        self.codex
            .commit(&[("100644", &path, "corrected in the codex")], &[]);
    }

    /// Runs a command as on a machine without recorded state.
    fn run_elsewhere(&self, arguments: &[&str]) -> crate::support::Output {
        let mut command = self.command(arguments);
        command.env("FRACTARY_CODEX_STATE__DIR", self.sandbox.path("elsewhere"));
        self.sandbox.finish(command)
    }

    /// The drift in a document: the paths and authors.
    #[track_caller]
    fn assert_drift(&self, document: &Value, paths: &[&str]) {
        let tip = self.codex.tip_of_bob();
        let expected: Vec<_> = paths
            .iter()
            .map(|name| {
                let path = format!("projects/alpha/docs/{name}.md");
                json!({ "path": path, "commit": tip, "author": "Bob <b@b>" })
            })
            .collect();
        let found = document["projects"][0].get("drift").cloned();
        assert_eq!(found.unwrap_or(json!([])), json!(expected), "{document:#}");
    }
}

impl crate::support::Codex {
    /// The newest commit of Bob.
    fn tip_of_bob(&self) -> String {
        let log = self.git(&["log", "--all", "--grep=Somebody else", "-1", "--format=%H"]);
        log.trim().to_owned()
    }
}

#[test]
fn overwritten_correction_is_named_with_commit_and_author() {
    for is_recorded in [true, false] {
        let world = drifted("");
        let run = |arguments: &[&str]| match is_recorded {
            true => world.run(arguments),
            false => world.run_elsewhere(arguments),
        };
        let planned = run(&["status", "--json"]).code(0).json();
        world.assert_drift(&planned, &["a"]);
        let dry_run = run(&["sync", "--dry-run", "--json"]).code(0).json();
        world.assert_drift(&dry_run, &["a"]);
        let done = run(&["sync", "--json"]).code(0).json();
        world.assert_drift(&done, &["a"]);
        assert_eq!(dry_run["plan_id"], done["plan_id"]);
        let warnings = done["warnings"].to_string();
        assert!(warnings.contains("was overwritten"), "{warnings}");
        assert_eq!(done["projects"][0]["modified"], 3);
        let content = world
            .codex
            .git(&["show", "main~1:projects/alpha/docs/a.md"]);
        assert_eq!(content, "corrected in the codex");

        // The next change is no drift.
        world.edit_source("a", "changed again");
        let next = run(&["sync", "--json"]).code(0).json();
        world.assert_drift(&next, &[]);
        world.codex.assert_sound();
    }
}

#[test]
fn corrected_project_is_withheld_until_it_is_allowed() {
    for is_recorded in [true, false] {
        let world = drifted(WITHHOLD);
        let run = |arguments: &[&str]| match is_recorded {
            true => world.run(arguments),
            false => world.run_elsewhere(arguments),
        };
        let before = world.codex.tip();
        // Each run finds the drift again, also after one that has recorded the files.
        for arguments in [
            &["sync", "--json"][..],
            &["status", "--json"],
            &["sync", "--json"],
        ] {
            let output = run(arguments).code(1).json();
            world.assert_drift(&output, &["a"]);
            let error = &output["projects"][0]["error"];
            assert_eq!(error["kind"], "withheld");
            let message = error["message"].as_str().unwrap();
            assert!(
                message.starts_with("others have changed 1 file"),
                "{message}"
            );
            let hint = error["hints"].to_string();
            let command = "fractary-codex sync -p alpha --config sync.on_drift=overwrite";
            assert!(hint.contains(command), "{hint}");
        }
        assert_eq!(world.codex.tip(), before);

        // Once the sources have the correction, the project is published.
        world.edit_source("a", "corrected in the codex");
        let output = run(&["sync", "--json"]).code(0).json();
        world.assert_drift(&output, &[]);
        assert_eq!(output["projects"][0]["modified"], 2);

        // A correction of a file that has not changed in the sources.
        world.correct("b");
        run(&["sync"]).code(1);
        world.edit_source("b", "changed again");
        run(&["sync"]).code(1);
        run(&["sync", "--config", "sync.on_drift=overwrite"]).code(0);
        assert_eq!(
            world.codex.file("projects/alpha/docs/b.md"),
            "changed again"
        );
    }
}

#[test]
fn project_is_withheld_if_its_drift_cannot_be_known() {
    let adopted = World::builder()
        .files(&[("alpha/docs/a.md", "a")])
        .config(WITHHOLD)
        .build();
    adopted.correct("a");
    let shallow = drifted(WITHHOLD);
    let tip = shallow.codex.tip().unwrap();
    shallow
        .sandbox
        .write("codex.git/shallow", format!("{tip}\n"));
    let without_trailers = drifted(&format!("{WITHHOLD}  commit:\n    trailers: false\n"));
    for (world, reason) in [
        (
            adopted,
            "the history of the codex has no sync of the project",
        ),
        (
            shallow,
            "the history of the codex that was read has no sync of the project",
        ),
        (
            without_trailers,
            "no earlier sync is recorded on this machine",
        ),
    ] {
        let before = world.codex.tip();
        let output = world.run_elsewhere(&["sync", "--json"]).code(1).json();
        let error = &output["projects"][0]["error"];
        assert_eq!(error["kind"], "withheld");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(reason), "{message}");
        // The first run has recorded the files, which is no sync of them.
        world.run_elsewhere(&["sync"]).code(1);
        assert_eq!(world.codex.tip(), before);

        let overwrite = ["sync", "--config", "sync.on_drift=overwrite"];
        world.run_elsewhere(&overwrite).code(0);
        world.codex.assert_sound();
    }
}

#[test]
fn first_sync_counts_the_files_of_others_that_it_overwrites() {
    let world = World::builder().files(&[("alpha/docs/a.md", "a")]).build();
    world.correct("a");
    world.correct("b");
    let warning = |arguments: &[&str]| {
        let document = world.run(arguments).code(0).json();
        let messages = document["warnings"].as_array().unwrap().iter();
        let messages = messages.map(|warning| warning["message"].as_str().unwrap().to_owned());
        messages.collect::<Vec<_>>().join("\n")
    };
    for (arguments, fate) in [
        (&["sync", "--dry-run", "--json"][..], "would be"),
        (&["sync", "--json"], "were"),
    ] {
        let expected = format!(
            "this is the first sync of the project: 2 files of others in `projects/alpha` {fate} overwritten or deleted (their versions stay in the history)"
        );
        assert_eq!(warning(arguments), expected);
    }
    world.edit_source("a", "changed");
    assert_eq!(warning(&["sync", "--json"]), "");
}

/// Runs that do not overwrite a file of others say nothing about who has made it: the run that would
/// overwrite it finds the drift all the same.
#[test]
fn files_of_others_stay_theirs_after_runs_that_leave_them() {
    let kept = |world: &World, name: &str| {
        let path = format!("main:projects/alpha/docs/{name}.md");
        assert_eq!(
            world.codex.git(&["show", &path]),
            "corrected in the codex",
            "{name}"
        );
    };
    for is_recorded in [true, false] {
        let world = drifted(WITHHOLD);
        let run = |arguments: &[&str]| match is_recorded {
            true => world.run(arguments),
            false => world.run_elsewhere(arguments),
        };

        // A sync of another file.
        run(&["sync", "--include", "docs/b.md"]).code(0);
        run(&["sync"]).code(1);
        run(&["sync"]).code(1);
        kept(&world, "a");

        // A file that the patterns do not match at first.
        world.edit_source("a", "corrected in the codex");
        let (narrow, wide) = (["--include", "docs/*.md"], ["--include", "docs/**"]);
        world.correct("more/d");
        run(&[&["sync"], &narrow[..]].concat()).code(0);
        world.edit_source("more/d", "new in the sources");
        run(&[&["sync"], &wide[..]].concat()).code(1);
        kept(&world, "more/d");
    }
}

#[test]
fn suggested_command_repeats_the_options_that_choose_the_codex() {
    let world = drifted(WITHHOLD);
    let options = [
        "--direction",
        "to-codex",
        "--push-mode",
        "branch",
        "--config",
        "remote.token=s3cret",
    ];
    let arguments = [&["sync", "--json", "--jobs", "2"][..], &options].concat();
    let output = world.run(&arguments).code(1);
    assert!(!output.stdout.contains("s3cret"));
    let hint = output.json()["projects"][0]["error"]["hints"][0].to_string();
    let command = "sync -p alpha --to-codex --config=remote.token=… --push-mode=branch --config sync.on_drift=overwrite";
    assert!(hint.contains(command), "{hint}");
}

#[test]
fn changes_that_are_no_drift_are_not_reported() {
    let world = published(WITHHOLD);
    // A file that the plan does not touch, one that nobody claims, and one that was deleted.
    world.correct("b");
    world.codex.commit(
        &[("100644", "projects/alpha/notes.txt", "x")],
        &["projects/alpha/docs/c.md"],
    );
    // A correction that was taken back.
    world.correct("a");
    let path = "projects/alpha/docs/a.md";
    world.codex.commit(&[("100644", path, "a")], &[]);
    world.edit_source("b", "corrected in the codex");
    world.edit_source("a", "changed in the sources");
    let output = world.run(&["sync", "--json"]).code(0).json();
    world.assert_drift(&output, &[]);

    // Syncs of the project on another machine.
    for (version, elsewhere) in [
        ("1", true),
        ("2", false),
        ("3", true),
        ("4", true),
        ("5", false),
    ] {
        world.edit_source("a", version);
        let output = match elsewhere {
            true => world.run_elsewhere(&["sync", "--json"]),
            false => world.run(&["sync", "--json"]),
        };
        world.assert_drift(&output.code(0).json(), &[]);
    }

    // A new file of others at a path that the project has not published yet.
    world.correct("new");
    world.edit_source("new", "new");
    let output = world.run(&["sync", "--json"]).code(1).json();
    world.assert_drift(&output, &["new"]);
}

#[test]
fn correction_that_quotes_the_trailers_of_a_sync_is_drift() {
    let quotations = [
        "Its commit says:\nCodex-Project: alpha\n\nso I correct it here.",
        "Codex-Project: alpha\nCodex-Source-Commit: 1\n\nso I correct it here.",
        "I correct a sync with\nCodex-Project: alpha",
        "* Sync 1 file from alpha\n\nCodex-Project: alpha\n\n* Correct it",
    ];
    let world = published(WITHHOLD);
    world.edit_source("a", "changed in the sources");
    let (tip, path) = (world.codex.tip(), "projects/alpha/docs/a.md");
    for quotation in quotations {
        world
            .codex
            .git(&["update-ref", "refs/heads/main", tip.as_deref().unwrap()]);
        let message = format!("Somebody else\n\n{quotation}");
        let files = [("100644", path, "corrected in the codex")];
        world.codex.commit_with(&message, &files, &[]);
        for output in [
            world.run(&["sync", "--json"]),
            world.run_elsewhere(&["sync", "--json"]),
        ] {
            world.assert_drift(&output.code(1).json(), &["a"]);
        }
    }
    world
        .codex
        .git(&["update-ref", "refs/heads/main", tip.as_deref().unwrap()]);
    for quotation in &quotations[..3] {
        let message = format!("Somebody else\n\n{quotation}");
        world
            .codex
            .commit_with(&message, &[("100644", path, quotation)], &[]);
    }
    let log = world.run(&["log", "--json"]).code(0).json();
    assert_eq!(log["syncs"].as_array().unwrap().len(), 1, "{log:#}");
}

#[test]
fn correction_before_a_rename_is_drift() {
    for (rename_elsewhere, sync_elsewhere) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let run = |world: &World, elsewhere: bool, arguments: &[&str]| match elsewhere {
            true => world.run_elsewhere(arguments),
            false => world.run(arguments),
        };
        let world = published(WITHHOLD);
        world.correct("a");
        world.sandbox.write(
            "ws/.fractary/config.yaml",
            "codex:\n  remote: { url: ../codex.git }\n  projects: { gamma: { root: alpha } }\n\
             \x20 sync: { on_drift: withhold }\n",
        );
        run(
            &world,
            rename_elsewhere,
            &["rename", "alpha", "gamma", "--yes"],
        )
        .code(0);
        for _ in 0..2 {
            let output = run(&world, sync_elsewhere, &["sync", "--json"])
                .code(1)
                .json();
            let drift = &output["projects"][0]["drift"];
            assert_eq!(drift[0]["path"], "projects/gamma/docs/a.md", "{output:#}");
            assert_eq!(drift[0]["commit"], world.codex.tip_of_bob());
        }

        // Other files that the sources change are no drift.
        world.edit_source("a", "corrected in the codex");
        world.edit_source("b", "changed in the sources");
        run(&world, sync_elsewhere, &["sync"]).code(0);
    }
}

#[test]
fn deleted_file_with_a_correction_is_drift() {
    let world = published(WITHHOLD);
    world.correct("a");
    world.sandbox.remove("ws/alpha/docs/a.md");
    let output = world.run(&["sync", "--json"]).code(1).json();
    world.assert_drift(&output, &["a"]);
    assert_eq!(output["projects"][0]["deleted"], 1);
}

#[test]
fn commits_of_others_on_a_sync_branch_are_drift() {
    let world = World::builder()
        .files(&[("alpha/docs/a.md", "a")])
        .config(&format!("{SHARED}{WITHHOLD}"))
        .build();
    world.run(&["sync"]).code(0);
    let branch = "refs/heads/codex-sync/ws";
    world.codex.git(&["update-ref", "refs/heads/saved", "main"]);
    world.codex.git(&["update-ref", "refs/heads/main", branch]);
    world.correct("a");
    world.codex.git(&["update-ref", branch, "main"]);
    world.codex.git(&["update-ref", "refs/heads/main", "saved"]);

    world.edit_source("a", "changed in the sources");
    for elsewhere in [false, true] {
        let output = match elsewhere {
            true => world.run_elsewhere(&["sync", "--json"]),
            false => world.run(&["sync", "--json"]),
        };
        world.assert_drift(&output.code(1).json(), &["a"]);
    }
}

#[test]
fn drift_is_found_over_a_network_with_few_requests() {
    let world = World::builder()
        .default_transport()
        .files(&[("alpha/docs/a.md", "a")])
        .server(None)
        .build();
    world.run(&["sync"]).code(0);
    let requests = || world.server().requests().len();
    let sync = |contents: &str, elsewhere: bool| {
        world.edit_source("a", contents);
        let output = match elsewhere {
            true => world.run_elsewhere(&["sync", "--json"]),
            false => world.run(&["sync", "--json"]),
        };
        output.code(0).json()
    };
    // Others have changed other files. A run that overwrites a file requests no more than one that
    // only adds one.
    let mut counts = [0; 2];
    for (count, name) in counts.iter_mut().zip(["new", "a"]) {
        world.codex.go_on(1);
        world.edit_source(name, "1");
        let before = requests();
        world.run(&["sync"]).code(0);
        *count = requests() - before;
    }
    assert_eq!(counts[0], counts[1]);

    world.correct("a");
    world.codex.go_on(300);
    let document = sync("3", false);
    world.assert_drift(&document, &["a"]);
    world.correct("a");
    let document = sync("4", true);
    world.assert_drift(&document, &["a"]);
}

#[test]
fn version_that_no_push_has_replaced_would_be_overwritten() {
    let world = drifted("");
    world.codex.hook("pre-receive", "echo no >&2; exit 1");
    let tip = world.codex.tip();
    let other_plan = "0".repeat(40);
    for (arguments, code) in [
        (&["sync", "--json"][..], 5),
        (&["sync", "--json", "--expect", &other_plan], 5),
        (&["sync", "--json", "--dry-run"], 0),
    ] {
        assert_not_overwritten(&world.run(arguments).code(code).json());
    }

    world.sandbox.write(
        "ws/.fractary/config.yaml",
        "codex:\n  remote: { url: ../codex.git }\n  projects: { alpha: {}, beta: { root: missing } }\n",
    );
    let output = world.run(&["sync", "--all", "--atomic", "--json"]);
    assert_not_overwritten(&output.code(1).json());
    assert_eq!(world.codex.tip(), tip);
}

/// Asserts that a document warns about the overwritten file, and does not say that it was.
#[track_caller]
fn assert_not_overwritten(document: &Value) {
    let warnings = document["warnings"].to_string();
    let fate = "; it would be overwritten (its version stays in the history)";
    assert!(warnings.contains(fate), "{document:#}");
    assert!(!warnings.contains("was overwritten"), "{warnings}");
}

#[test]
fn warning_names_the_sync_branch_that_has_lost_the_version() {
    let (branch, path) = ("codex-sync/ws", "projects/alpha/docs/a.md");
    let world = published(SHARED);
    world.commit_on(branch, path, "corrected in the codex");
    world.edit_source("a", "changed in the sources");
    for (arguments, fate) in [
        (
            &["sync", "--json", "--dry-run"][..],
            "it would be overwritten in `codex-sync/ws` (",
        ),
        (
            &["sync", "--json"],
            "it was overwritten in `codex-sync/ws` (",
        ),
    ] {
        let document = world.run(arguments).code(0).json();
        let warnings = document["warnings"].to_string();
        assert!(warnings.contains(fate), "{document:#}");
    }
    let content = world.file_on("codex-sync/ws~", path);
    assert_eq!(content, "corrected in the codex");
}

/// The files of the project, of the codex, or of a past moment, by name.
type Files = BTreeMap<&'static str, String>;

/// Random changes of the sources and of the codex, with a sync after each. A model decides what is
/// drift: the codex has another version than the last sync has left, and the sources have yet
/// another one.
#[test]
fn drift_is_exact_and_nothing_of_others_is_lost() {
    for seed in 0..5 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let world = published("");
        let mut sources = Files::from([("a", "a"), ("b", "b"), ("c", "c")].map(owned));
        let (mut codex, mut synced) = (sources.clone(), sources.clone());
        let mut written_by_others = BTreeSet::new();
        for step in 0..5 {
            let name = *rng.choice(&["a", "b", "c", "d"]).unwrap();
            let contents = format!("source {}", rng.u8(..3));
            world.edit_source(name, &contents);
            sources.insert(name, contents);
            for name in ["a", "b", "c", "d"] {
                if !sources.contains_key(name) || !rng.bool() {
                    continue;
                }
                let contents = format!("{} of Bob in {step}", rng.u8(..2));
                let path = format!("projects/alpha/docs/{name}.md");
                world.codex.commit(&[("100644", &path, &contents)], &[]);
                written_by_others.insert(contents.clone());
                codex.insert(name, contents);
            }
            let note = format!("projects/alpha/note{step}.txt");
            world.codex.commit(&[("100644", &note, "unclaimed")], &[]);

            let is_drift = |name: &&&str| {
                let present = codex.get(**name);
                present.is_some() && present != synced.get(**name) && present != sources.get(**name)
            };
            let expected: Vec<_> = sources
                .keys()
                .filter(is_drift)
                .map(|name| format!("projects/alpha/docs/{name}.md"))
                .collect();
            let changed =
                |name: &&&str| codex.get(**name).is_some_and(|one| *one != sources[**name]);
            let modified = sources.keys().filter(changed).count();
            let elsewhere = rng.bool();
            let run = |arguments: &[&str]| match elsewhere {
                true => world.run_elsewhere(arguments),
                false => world.run(arguments),
            };
            let planned = run(&["sync", "--dry-run", "--json"]).code(0).json();
            let done = run(&["sync", "--json"]).code(0).json();
            for document in [&planned, &done] {
                let project = &document["projects"][0];
                let drift = project["drift"].as_array().into_iter().flatten();
                let found: Vec<_> = drift.map(|one| one["path"].as_str().unwrap()).collect();
                assert_eq!(found, expected, "seed {seed}, step {step}");
                assert_eq!(project["modified"], modified);
            }
            assert_eq!(
                planned["projects"][0]["drift"],
                done["projects"][0]["drift"]
            );
            codex.extend(sources.clone());
            synced.clone_from(&codex);
            for (name, contents) in &sources {
                let path = format!("projects/alpha/docs/{name}.md");
                assert_eq!(world.codex.file(&path), *contents);
            }
        }
        let notes = world.codex.paths().into_iter();
        assert_eq!(notes.filter(|path| path.contains("note")).count(), 5);
        let history = world.codex.git(&["log", "-p", "--format=", "main"]);
        for contents in written_by_others {
            assert!(history.contains(&format!("+{contents}")), "{contents}");
        }
        world.codex.assert_sound();
    }
}

fn owned((name, contents): (&'static str, &str)) -> (&'static str, String) {
    (name, contents.to_owned())
}

#[test]
fn output_of_drift() {
    let world = drifted("");
    let planned = world.run(&["status"]).code(0);
    let withheld = world
        .run(&["sync", "--config", "sync.on_drift=withhold"])
        .code(1);
    let mut command = world.command(&["sync"]);
    let summary = world.sandbox.path("summary");
    command.env("GITHUB_STEP_SUMMARY", &summary);
    let done = world.sandbox.finish(command).code(0);
    let summary = std::fs::read_to_string(summary).unwrap();
    let drift = summary.lines().filter(|line| line.starts_with("- "));
    let mut shown: Vec<_> = [planned, withheld, done]
        .map(|output| output.shown())
        .to_vec();
    shown.extend(drift.map(crate::support::masked));
    insta::assert_snapshot!(shown.join("\n=====\n"));
}
