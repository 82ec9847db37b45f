//! The file of a plan: its contents, its schema, and what it does not contain.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::{apply, forge, save, save_of, saved};
use crate::support::{Sandbox, TOKEN, World};

/// A workspace with a project of each result, and files of each operation.
fn world() -> World {
    let world = World::builder()
        .projects(&["alpha", "beta", "gamma", "lost"])
        .files(&[
            ("alpha/README.md", "new"),
            ("alpha/docs/added.md", "added"),
            (
                "beta/README.md",
                "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n",
            ),
            ("gamma/README.md", "gamma"),
            (
                "gamma/docs/key.md",
                "token: ghp_016C7f8E4dE2a1B3c5D7e9F1a3B5c7D9e1F3\n",
            ),
        ])
        .codex_files(&[
            ("projects/alpha/README.md", "old"),
            ("projects/alpha/docs/gone.md", "gone"),
            ("projects/gamma/README.md", "gamma"),
            ("projects/gamma/notes.txt", "unmanaged"),
        ])
        .build();
    world
        .sandbox
        .write_bytes("ws/alpha/docs", b"caf\xe9\n|`<b>.md", "odd");
    world
}

#[test]
fn shown_plan_has_the_summary_of_the_dry_run() {
    let world = world();
    let summary = |arguments: &[&str], code: i32| {
        let mut command = world.command(arguments);
        command.env("GITHUB_STEP_SUMMARY", world.sandbox.path("summary.md"));
        world.sandbox.write("summary.md", "");
        world.sandbox.finish(command).code(code);
        let text = fs::read_to_string(world.sandbox.path("summary.md")).unwrap();
        let (heading, rest) = text.split_once('\n').unwrap();
        (heading.to_owned(), rest.to_owned())
    };
    let save = ["sync", "--all", "--dry-run", "--plan-out", "../plan.json"];
    let dry_run = summary(&save, 1);
    for format in ["human", "json", "markdown"] {
        let show = ["plan", "show", "../plan.json", "--format", format];
        let shown = summary(&show, 0);
        let heading = dry_run.0.replace(&save.join(" "), &show.join(" "));
        assert_eq!(shown, (heading, dry_run.1.clone()));
    }
    world.sandbox.write("plan.json", "{}");
    let (heading, rest) = summary(&["plan", "show", "../plan.json"], 2);
    assert!(heading.ends_with(": failed"), "{heading}");
    assert!(rest.contains("is not a usable plan"), "{rest}");
}

#[test]
fn shown_plan_is_that_of_the_dry_run() {
    let world = world();
    let without_time = |text: &str| {
        let mut document: Value = serde_json::from_str(text).unwrap();
        document["duration_ms"] = json!(0);
        // `plan show` succeeds, whatever the dry run found.
        document["exit_code"] = json!(0);
        document["status"] = json!("success");
        document
    };
    for more in [&[][..], &["-v"], &["--push-mode", "branch"]] {
        let dry_run = world
            .run(&[&["sync", "--all", "--dry-run"], more].concat())
            .code(1);
        save_of(&world, &[&["--all"], more].concat(), 1);
        let verbose = more.iter().copied().filter(|option| *option == "-v");
        let show = ["plan", "show", "../plan.json"].into_iter().chain(verbose);
        let shown = world.run(&show.collect::<Vec<_>>()).code(0);
        assert_eq!(shown.stdout, dry_run.stdout);
        let mut lines = [shown.stderr, dry_run.stderr].map(|text| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            // What a run decides is logged, and not a part of its plan.
            lines.retain(|line| !line.starts_with("info: "));
            lines.sort();
            lines
        });
        let second = lines[1].split_off(0);
        assert_eq!(lines[0], second);

        let dry_run = world.run(&[&["sync", "--all", "--dry-run", "--json"], more].concat());
        let shown = world
            .run(&["plan", "show", "../plan.json", "--json"])
            .code(0);
        assert_eq!(without_time(&shown.stdout), without_time(&dry_run.stdout));
    }
}

#[test]
fn file_has_the_schema_and_the_permissions_of_a_new_file() {
    let world = world();
    let plan = save_of(&world, &["--all"], 1);
    let schema = world.run(&["config", "schema", "plan"]).code(0).stdout;
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<_> = schema
        .iter_errors(&plan)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");

    let results = ["alpha", "beta", "gamma", "lost"].map(|name| {
        let projects = plan["projects"].as_array().unwrap();
        let project = projects
            .iter()
            .find(|project| project["name"] == name)
            .unwrap();
        project["result"].as_str().unwrap().to_owned()
    });
    assert_eq!(results, ["would-sync", "withheld", "would-sync", "failed"]);
    let text = plan.to_string();
    assert!(
        !text.contains("ghp_") && !text.contains("added\\n"),
        "{text}"
    );

    // The plan is replaced as a whole, and a new file gets what the umask allows.
    for (mask, mode) in [("077", 0o600), ("022", 0o644)] {
        let file = format!("../{mask}.json");
        let command = ["sync", "-p", "alpha", "--dry-run", "--plan-out", &file];
        world
            .sandbox
            .finish(world.sandbox.with_mask(mask, &command))
            .code(0);
        let meta = fs::metadata(world.sandbox.path(&file[3..])).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, mode);
    }
}

#[test]
fn file_has_no_token_of_any_kind() {
    let world = World::behind_http();
    let url = world.server().url("codex.git");
    let with_user = url.replace("http://", &format!("http://x-access-token:{TOKEN}@"));
    let query = format!("{url}?private_token={TOKEN}");
    for (url, token) in [(&url, TOKEN), (&with_user, "")] {
        let run = |arguments: &[&str]| {
            let mut command = world.command(arguments);
            command
                .env("FRACTARY_CODEX_REMOTE__URL", url)
                .env("FRACTARY_CODEX_REMOTE__TOKEN", token)
                .env("GITHUB_TOKEN", "another-t0ken");
            world.sandbox.finish(command)
        };
        world.sandbox.write("ws/alpha/README.md", url);
        run(&["sync", "--all", "--dry-run", "--plan-out", "../plan.json"]).code(0);
        let text = saved(&world.sandbox).to_string();
        assert!(
            !text.contains(TOKEN) && !text.contains("another-t0ken"),
            "{text}"
        );
        assert!(text.contains("/codex.git"), "{text}");
        let shown = run(&["plan", "show", "../plan.json"]).code(0);
        assert!(!shown.stdout.contains(TOKEN) && !shown.stderr.contains(TOKEN));
        run(&["sync", "--plan", "../plan.json"]).code(0);
    }

    let mut command = world.command(&["sync", "--all", "--dry-run", "--plan-out", "../plan.json"]);
    command.env("FRACTARY_CODEX_REMOTE__URL", &query);
    world.sandbox.finish(command);
    assert!(!saved(&world.sandbox).to_string().contains(TOKEN));
}

/// Changes the values of a document, one at a time: all at the top, and the first one of each kind of
/// object below.
fn edits(plan: &Value) -> Vec<(String, Value)> {
    fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => fields
                .iter()
                .for_each(|(name, value)| paths(value, &format!("{path}/{name}"), found)),
            Value::Array(list) if !list.is_empty() => list
                .iter()
                .enumerate()
                .for_each(|(at, value)| paths(value, &format!("{path}/{at}"), found)),
            _ => found.push(path.to_owned()),
        }
    }
    let mut found = Vec::new();
    paths(plan, "", &mut found);
    let mut seen = BTreeSet::new();
    found.retain(|path| match path[1..].rsplit_once('/') {
        Some((above, _)) => seen.insert(above.replace(char::is_numeric, "")),
        None => path.len() > 1,
    });
    let edit = |path: String| {
        let mut edited = plan.clone();
        let value = edited.pointer_mut(&path).unwrap();
        *value = match &*value {
            Value::String(text) => json!(format!("{text}x")),
            Value::Number(number) => json!(number.as_u64().unwrap() + 1),
            Value::Bool(is) => json!(!is),
            _ => json!("x"),
        };
        (path, edited)
    };
    found.into_iter().map(edit).collect()
}

#[test]
fn edited_plan_is_refused_whatever_was_edited() {
    let world = World::new();
    let plan = save(&world, &["--message", "Publish {project}"]);
    let edits = edits(&plan);
    assert!(edits.len() > 20);
    for (path, edited) in edits {
        world.sandbox.write("plan.json", edited.to_string());
        let output = world.run(&["plan", "show", "../plan.json"]).code(2);
        let expected = match path.as_str() {
            "/format" => "another JSON document",
            "/schema_version" => "it has version 2 of the format, and this program reads version 1",
            _ => "it was edited after it was saved",
        };
        assert!(
            output.stderr.contains(expected),
            "{path}: {}",
            output.stderr
        );
    }

    // White space is no edit.
    world.sandbox.write("plan.json", plan.to_string());
    apply(&world, &[]).code(0);
}

#[test]
fn edited_plan_with_a_correct_digest_must_be_one_that_a_run_can_save() {
    let world = World::new();
    let plan = save(&world, &[]);
    let project = plan["projects"][0].clone();
    let mut renamed = project.clone();
    renamed["name"] = json!("other");
    for (projects, expected) in [
        (json!([]), "it has an id and no projects"),
        (
            json!([project, project]),
            "the project `alpha` is in it twice",
        ),
        (
            json!([project, renamed]),
            "the directory `projects/alpha` is in it twice",
        ),
    ] {
        let mut edited = plan.clone();
        edited["projects"] = projects;
        forge(&world.sandbox, edited);
        let show = ["plan", "show", "../plan.json"];
        for arguments in [&show[..], &["sync", "--plan", "../plan.json"]] {
            let output = world.run(arguments).code(2);
            assert!(output.stderr.contains(expected), "{}", output.stderr);
        }
    }
}

#[test]
fn text_of_an_edited_plan_cannot_control_the_terminal() {
    let world = World::builder().projects(&["alpha", "lost"]).build();
    world.sandbox.remove("ws/lost");
    let plan = save_of(&world, &["--all"], 1);
    let evil = "\u{1b}]0;x\u{7}\u{202e}";
    let show = |edited: Value, code: i32| {
        forge(&world.sandbox, edited);
        for arguments in [
            &["plan", "show", "../plan.json", "-v"][..],
            &["plan", "show", "../plan.json", "--format", "markdown"],
            &["sync", "--plan", "../plan.json", "--dry-run"],
        ] {
            let output = world.run(arguments);
            let text = output.stdout.clone() + &output.stderr;
            assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
            let expected = if arguments[0] == "plan" {
                code
            } else {
                output.code.unwrap()
            };
            output.code(expected);
        }
    };

    let mut edited = plan.clone();
    edited["url"] = json!(format!("{}{evil}", plan["url"].as_str().unwrap()));
    edited["branch"] = json!(evil);
    edited["warnings"] = json!([{ "project": null, "message": evil }]);
    edited["settings"][evil] = plan["settings"]["commit"].clone();
    let project = &mut edited["projects"][0];
    let path = format!("projects/alpha/{evil}");
    project["changes"][0]["path"] = json!(path);
    project["changes"][0]["source"] = json!(evil);
    edited["projects"][1]["error"]["message"] = json!(format!("one\ntwo{evil}"));
    edited["projects"][1]["error"]["hints"] = json!([evil]);
    show(edited, 0);

    for pointer in ["/projects/0/name", "/projects/0/result", "/schema_version"] {
        let mut edited = plan.clone();
        *edited.pointer_mut(pointer).unwrap() = json!(evil);
        show(edited, 2);
    }
}

#[test]
fn plan_of_another_program_version_does_not_apply() {
    let world = World::new();
    let mut plan = save(&world, &[]);
    plan["program_version"] = json!("0.0.1");
    forge(&world.sandbox, plan);
    let tip = world.codex.tip();
    let output = apply(&world, &[]).code(5);
    let line = "version of fractary-codex: planned: 0.0.1; now: ";
    assert!(output.stderr.contains(line), "{}", output.stderr);
    assert_eq!(world.codex.tip(), tip);
}

#[test]
fn only_options_that_decide_what_is_published_are_accepted() {
    let world = World::new();
    let plan = save(&world, &["--message", "Publish {project}"]);
    let tip = world.codex.tip();
    let added = [
        "--",
        "--",
        "--",
        "alpha",
        "--all",
        "--project=alpha",
        "-palpha",
        "-C.",
        "--config=remote.branch=other",
        "--offline",
        "--dry-run",
        "--jobs=1",
        "--plan=other.json",
        "--plan-out=other.json",
        "--from-codex",
        "--no-such-option",
    ];
    for (at, added) in added.into_iter().enumerate() {
        let mut forged = plan.clone();
        let options = forged["options"].as_array_mut().unwrap();
        options.insert(at % 3, json!(added));
        forge(&world.sandbox, forged);
        let output = apply(&world, &[]).code(2);
        let expected = "is not a usable plan: `options`";
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
    assert_eq!(world.codex.tip(), tip);
    assert!(!world.sandbox.path("ws/other.json").exists());
}

#[test]
fn cut_plan_is_refused_wherever_it_is_cut() {
    let world = World::new();
    save(&world, &[]);
    let text = fs::read(world.sandbox.path("plan.json")).unwrap();
    for part in 0..8 {
        let end = (text.len() - 2) * part / 7;
        world.sandbox.write("plan.json", &text[..end]);
        let output = world.run(&["plan", "show", "../plan.json"]).code(2);
        let expected = "it is not a complete JSON document";
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}

#[test]
fn plan_passes_through_pipes() {
    let world = World::new();
    let plan = world
        .run(&["sync", "--all", "--dry-run", "--plan-out", "-"])
        .code(0)
        .stdout;
    let document: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(document["format"], "fractary-codex plan");
    world.sandbox.write("plan.json", plan);
    let mut command = world.command(&["sync", "--plan", "-"]);
    command.stdin(fs::File::open(world.sandbox.path("plan.json")).unwrap());
    world.sandbox.finish(command).code(0);
    assert_eq!(world.codex.file("projects/alpha/README.md"), "alpha");
}

#[test]
fn comment_fits_a_pull_request() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    for number in 0..600 {
        let path = format!("ws/alpha/docs/{}/{number}.md", "long".repeat(40));
        sandbox.write(&path, "x");
    }
    sandbox.write("ws/beta/README.md", "beta");
    sandbox
        .run(&["sync", "--all", "--dry-run", "--plan-out", "../plan.json"])
        .code(0);
    let text = sandbox
        .run(&["plan", "show", "../plan.json", "--format", "markdown"])
        .code(0)
        .stdout;
    assert!(text.chars().count() <= 65_536);
    assert_eq!(
        text.matches("<details>").count(),
        text.matches("</details>").count()
    );
    let note = text.lines().last().unwrap();
    assert!(
        note.starts_with("**Not complete:** ") && note.ends_with("shows all of it."),
        "{note}"
    );
}
