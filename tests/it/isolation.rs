//! Projects that the server rejects are withheld, and the others land (`push.on_declined`).

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::http::{Reaction, Stage};
use crate::support::{Codex, Output, Sandbox, World};

const SYNC: &[&str] = &["sync", "--all", "--json"];

/// The projects that the hooks of [`Fifty`] reject.
const BAD: [&str; 3] = ["p07", "p22", "p41"];

/// A workspace with fifty projects, and a codex that records its pushes.
struct Fifty {
    sandbox: Sandbox,
    codex: Codex,
}

impl Fifty {
    fn new() -> Self {
        let names: Vec<_> = (0..50).map(|number| format!("p{number:02}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        Self::with(&names)
    }

    fn with(names: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(names, "");
        codex.commit(&[("100644", "README.md", "codex")], &[]);
        for name in names {
            sandbox.write(&format!("ws/{name}/docs/a.md"), name);
        }
        Self { sandbox, codex }
    }

    /// Installs an `update` hook that records each push and then runs `rule`. There, `bad` prints
    /// the paths of [`BAD`] that the push changes, one per line.
    fn update_hook(&self, rule: &str) {
        let bad = BAD.map(|name| format!("projects/{name}/")).join("\\|");
        let pushes = self.sandbox.path("pushes");
        let script = format!(
            "echo push >> {}\nbad() {{ git diff --name-only $2 $3 | grep '^\\({bad}\\)'; }}\n{rule}",
            pushes.display()
        );
        self.codex.hook("update", &script);
    }

    /// The number of pushes since the last call.
    fn pushes(&self) -> usize {
        let path = self.sandbox.path("pushes");
        let pushes = fs::read_to_string(&path)
            .unwrap_or_default()
            .lines()
            .count();
        let _ = fs::remove_file(path);
        pushes
    }

    fn sync(&self, more: &[&str]) -> Output {
        self.sandbox.run(&[SYNC, more].concat())
    }

    /// Asserts that all projects landed except for [`BAD`], in one commit each, and that the
    /// document says so.
    #[track_caller]
    fn assert_others_landed(&self, document: &Value) {
        let withheld = by_status(document, "withheld");
        assert_eq!(withheld, BTreeSet::from(BAD), "{document:#}");
        assert_eq!(by_status(document, "synced").len(), 47);
        assert_eq!(document["error"], Value::Null);
        assert_eq!(document["pushed"], true);
        assert_eq!(
            document["remote"]["after"].as_str(),
            self.codex.tip().as_deref()
        );
        for project in document["projects"].as_array().unwrap() {
            let is_bad = project["status"] == "withheld";
            assert_eq!(is_bad, project["error"]["kind"] == "declined", "{project}");
            assert_eq!(project["added"], 1, "{project}");
        }

        let subjects: BTreeSet<_> = self.codex.subjects().into_iter().collect();
        assert_eq!((subjects.len(), self.codex.subjects().len()), (48, 48));
        assert_eq!(self.codex.paths().len(), 48);
        self.codex.assert_sound();
    }
}

/// The names of the projects with this status.
fn by_status<'d>(document: &'d Value, status: &str) -> BTreeSet<&'d str> {
    let projects = document["projects"].as_array().unwrap();
    projects
        .iter()
        .filter(|project| project["status"] == status)
        .map(|project| project["name"].as_str().unwrap())
        .collect()
}

/// The line of git that follows those of an `update` hook.
const OF_GIT: &str = "remote: error: hook declined to update refs/heads/main";

/// The lines of the server's hook about a project.
fn words<'d>(document: &'d Value, name: &str) -> Vec<&'d str> {
    let projects = document["projects"].as_array().unwrap();
    let project = projects
        .iter()
        .find(|project| project["name"] == name)
        .unwrap();
    let causes = project["error"]["causes"].as_array();
    causes
        .into_iter()
        .flatten()
        .map(|cause| cause.as_str().unwrap())
        .filter(|line| *line != OF_GIT)
        .collect()
}

#[test]
fn silent_hook_withholds_its_projects_alone() {
    let fifty = Fifty::new();
    fifty.update_hook("bad \"$@\" > /dev/null && exit 1; exit 0");
    let document = fifty.sync(&[]).code(1).json();
    fifty.assert_others_landed(&document);
    let pushes = fifty.pushes();
    assert!(pushes <= 21, "{pushes}");
    assert_eq!(document["attempts"], pushes);
    assert_eq!(words(&document, "p07"), [""; 0]);

    // The next run tries the withheld projects again, and only these.
    let document = fifty.sync(&[]).code(1).json();
    assert_eq!(by_status(&document, "withheld"), BTreeSet::from(BAD));
    assert_eq!(by_status(&document, "up-to-date").len(), 47);
    assert_eq!(document["pushed"], false);
    assert!(fifty.pushes() <= 4);
    fifty.update_hook("exit 0");
    let document = fifty.sync(&[]).code(0).json();
    assert_eq!(by_status(&document, "synced"), BTreeSet::from(BAD));
    assert_eq!(fifty.pushes(), 1);
    assert_eq!(fifty.codex.paths().len(), 51);
}

#[test]
fn projects_whose_paths_are_named_take_one_push_each() {
    let fifty = Fifty::new();
    fifty.update_hook(
        "bad \"$@\" > named || exit 0\n\
         echo 'push policy:' >&2\n\
         while read path; do echo \"FATAL: W VREF/NAME/$path acme/codex bot DENIED by NAME\" >&2; done < named\n\
         exit 1",
    );
    let document = fifty.sync(&[]).code(1).json();
    fifty.assert_others_landed(&document);
    assert_eq!(fifty.pushes(), 5);
    assert_eq!(document["attempts"], 5);
    // Each project has the lines that are about it.
    for name in BAD {
        let line = format!(
            "remote: FATAL: W VREF/NAME/projects/{name}/docs/a.md acme/codex bot DENIED by NAME"
        );
        assert_eq!(words(&document, name), ["remote: push policy:", &line]);
    }
}

#[test]
fn projects_whose_commits_are_named_take_one_push_each() {
    for rule in [
        "Push cannot contain secrets",
        "Commits must have verified signatures.",
    ] {
        let fifty = Fifty::new();
        fifty.update_hook(&format!(
            "bad \"$@\" > named || exit 0\n\
             echo 'error: GH013: Repository rule violations found for refs/heads/main.' >&2\n\
             echo '- {rule}' >&2\n\
             while read path; do echo \"- commit: $(git rev-list $2..$3 -- $path)\" >&2; done < named\n\
             exit 1",
        ));
        let document = fifty.sync(&[]).code(1).json();
        fifty.assert_others_landed(&document);
        assert_eq!(fifty.pushes(), 5);
        assert_eq!(words(&document, "p22").len(), 3);
    }
}

#[test]
fn projects_that_are_named_one_at_a_time_take_one_push_each() {
    let fifty = Fifty::new();
    fifty.update_hook(
        "path=$(bad \"$@\" | head -n 1); [ \"$path\" ] || exit 0\n\
         echo \"branch main is protected from changing file $path\" >&2; exit 1",
    );
    let document = fifty.sync(&[]).code(1).json();
    fifty.assert_others_landed(&document);
    let pushes = fifty.pushes();
    assert!(pushes <= 6, "{pushes}");
}

#[test]
fn accepted_projects_that_the_server_mentions_land() {
    // Each server rejects `p04` alone.
    for rule in [
        "for p in $(echo \"$d\" | cut -d/ -f2); do \
             [ $p = p04 ] && { echo \"projects/$p: denied\"; exit 1; }; echo \"projects/$p: ok\"; done",
        "echo \"$d\" | grep -q /p04/ || exit 0; echo 'see projects/p00/README.md'; exit 1",
        "echo \"$d\" | grep -q /p04/ || exit 0; echo 'please read the docs'; exit 1",
    ] {
        let names: Vec<_> = (0..10).map(|number| format!("p{number:02}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let fifty = Fifty::with(&names);
        fifty.update_hook(&format!(
            "d=$(git diff --name-only $2 $3 | grep ^projects/)\n{rule}"
        ));
        let document = fifty.sync(&[]).code(1).json();
        assert_eq!(by_status(&document, "withheld"), BTreeSet::from(["p04"]));
        assert_eq!(by_status(&document, "synced").len(), 9, "{document:#}");
        assert!(fifty.pushes() <= 12);
    }
}

/// The new tip is that of the last project, and the hook prints it for every push.
#[test]
fn tip_in_the_words_of_a_hook_withholds_nobody() {
    let fifty = Fifty::new();
    for words in [
        "rejected: $1 $2..$3",
        "first: $(git diff --name-only $2 $3 | head -n 1)",
    ] {
        fifty.sandbox.write("ws/p00/docs/a.md", words);
        fifty.update_hook(&format!(
            "git diff --name-only $2 $3 | grep -q ^projects/p00/ || exit 0; echo \"{words}\" >&2; exit 1"
        ));
        let document = fifty.sync(&[]).code(1).json();
        assert_eq!(by_status(&document, "withheld"), BTreeSet::from(["p00"]));
        let pushes = fifty.pushes();
        assert!(pushes <= 21, "{words}: {pushes}");
        for number in 1..50 {
            let file = format!("ws/p{number:02}/docs/a.md");
            fifty.sandbox.write(&file, format!("changed {words}"));
        }
    }
}

#[test]
fn protected_branch_is_tried_once() {
    for words in [
        "error: GH006: Protected branch update failed for refs/heads/main.",
        "- Changes must be made through a pull request.",
        "GitLab: You are not allowed to push code to protected branches on this project.",
        "Gitea: Not allowed to push to protected branch main",
        "FATAL: W refs/heads/main acme/codex bot DENIED by fallthru",
        "TF402455: Pushes to this branch are not permitted; you must use a pull request.",
        "Permission denied to update branch main.",
        "Commits must have verified signatures.",
    ] {
        let fifty = Fifty::with(&["alpha", "beta", "gamma"]);
        fifty.update_hook(&format!("echo '{words}' >&2; exit 1"));
        let document = fifty.sync(&[]).code(5).json();
        assert_eq!(document["error"]["kind"], "declined", "{words}");
        assert_eq!((fifty.pushes(), &document["attempts"]), (1, &json!(1)));
        assert_eq!(by_status(&document, "failed").len(), 3, "{document:#}");
        assert_eq!(document.to_string().matches(words).count(), 1);
        let hint = document["error"]["hints"][0].as_str().unwrap();
        let expected = ["accepts no push to this branch", "sign the commits"];
        assert!(expected.iter().any(|text| hint.contains(text)), "{hint}");
    }
}

#[test]
fn commits_of_others_during_the_search_are_kept() {
    let fifty = Fifty::new();
    // Another user commits during each of the first five pushes.
    let other = "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
        echo push >> raced; [ $(wc -l < raced) -gt 5 ] && exit 0
        id=$(git -c user.name=x -c user.email=x commit-tree -p main -m other 'main^{tree}')
        git update-ref refs/heads/main $id";
    fifty.codex.hook("pre-receive", other);
    fifty.update_hook("bad \"$@\" > /dev/null && exit 1; exit 0");
    let document = fifty.sync(&[]).code(1).json();
    assert_eq!(by_status(&document, "withheld"), BTreeSet::from(BAD));
    assert_eq!(by_status(&document, "synced").len(), 47);
    let subjects = fifty.codex.subjects();
    let others = subjects.iter().filter(|subject| *subject == "other");
    assert_eq!(others.count(), 5);
    assert_eq!(subjects.len(), 1 + 5 + 47);
    fifty.codex.assert_sound();
}

#[test]
fn nothing_lands_if_isolation_is_off_or_the_run_is_atomic() {
    let fifty = Fifty::new();
    fifty.update_hook("bad \"$@\" > /dev/null && exit 1; exit 0");
    for more in [
        ["--atomic"].as_slice(),
        &["--config", "push.on_declined=fail"],
    ] {
        let document = fifty.sync(more).code(5).json();
        assert_eq!(document["error"]["kind"], "declined");
        assert_eq!(fifty.pushes(), 1, "{more:?}");
        assert_eq!(by_status(&document, "failed").len(), 50);
    }
    assert_eq!(fifty.codex.paths().len(), 1);
}

#[test]
fn rejected_project_does_not_keep_a_new_branch_from_being_created() {
    for names in [["alpha", "p07"].as_slice(), &["p07"]] {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(names, "");
        for name in names {
            sandbox.write(&format!("ws/{name}/README.md"), name);
        }
        codex.hook(
            "pre-receive",
            "read old new ref; git ls-tree -r --name-only $new | grep '^projects/p07/' >&2 && exit 1; exit 0",
        );
        let output = sandbox.run(SYNC);
        let has_other = names.len() > 1;
        assert_eq!(
            output.code,
            Some(if has_other { 1 } else { 5 }),
            "{}",
            output.stdout
        );
        let paths = codex.paths();
        assert_eq!(
            paths,
            if has_other {
                vec!["projects/alpha/README.md"]
            } else {
                vec![]
            }
        );
    }
}

#[test]
fn server_that_rejects_each_project_is_an_error() {
    let fifty = Fifty::with(&["alpha", "beta", "gamma"]);
    fifty.update_hook("git diff --name-only $2 $3 | cut -d / -f 2 | xargs echo no >&2; exit 1");
    let document = fifty.sync(&[]).code(5).json();
    assert_eq!(document["error"]["kind"], "declined");
    assert_eq!(document["pushed"], false);
    assert_eq!(by_status(&document, "withheld").len(), 3);
    assert_eq!(words(&document, "beta"), ["remote: no beta"]);
    assert_eq!(fifty.pushes(), 4);

    // The same message for all of them is about the push as a whole.
    fifty.update_hook("echo 'not today' >&2; exit 1");
    let output = fifty.sync(&[]).code(5);
    assert_eq!(output.json()["error"]["causes"][0], "remote: not today");
    assert_eq!(output.stdout.matches("not today").count(), 1);
    assert_eq!(by_status(&output.json(), "failed").len(), 3);
    assert_eq!(fifty.pushes(), 4);
    assert_eq!(fifty.codex.subjects().len(), 1);
}

#[test]
fn server_that_rejects_every_push_is_tried_a_few_times() {
    let fifty = Fifty::new();
    fifty.update_hook("echo 'frozen until Monday' >&2; exit 1");
    let output = fifty.sync(&[]).code(5);
    let document = output.json();
    assert_eq!(document["error"]["kind"], "declined");
    assert_eq!(
        document["error"]["causes"],
        json!(["remote: frozen until Monday", OF_GIT])
    );
    assert_eq!(output.stdout.matches("frozen").count(), 1);
    assert_eq!(by_status(&document, "failed").len(), 50);
    let pushes = fifty.pushes();
    assert!(pushes <= 12, "{pushes}");
}

#[test]
fn only_changed_project_is_withheld_if_it_is_named() {
    let fifty = Fifty::with(&["alpha", "beta"]);
    fifty.sync(&[]).code(0);
    fifty.sandbox.write("ws/beta/docs/b.md", "b");
    fifty.update_hook("echo 'projects/beta is frozen' >&2; exit 1");
    let document = fifty.sync(&[]).code(1).json();
    assert_eq!(
        by_status(&document, "up-to-date"),
        BTreeSet::from(["alpha"])
    );
    assert_eq!(
        words(&document, "beta"),
        ["remote: projects/beta is frozen"]
    );
    assert_eq!(fifty.pushes(), 1);

    // The server may reject every push.
    fifty.update_hook("echo 'not today' >&2; exit 1");
    let document = fifty.sync(&[]).code(5).json();
    assert_eq!(document["error"]["kind"], "declined");
    assert_eq!(fifty.pushes(), 1);
}

#[test]
fn search_among_many_rejected_projects_ends_and_goes_on_in_the_next_run() {
    let names: Vec<_> = (0..40).map(|number| format!("p{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let fifty = Fifty::with(&names);
    // Every other project is rejected.
    fifty.update_hook(
        "git diff --name-only $2 $3 | grep -q '^projects/p.[13579]/' && exit 1; exit 0",
    );
    let document = fifty.sync(&[]).code(1).json();
    assert_eq!((fifty.pushes(), &document["attempts"]), (64, &json!(64)));
    let is_bad = |name: &&str| name.ends_with(['1', '3', '5', '7', '9']);
    let synced = by_status(&document, "synced");
    let withheld = by_status(&document, "withheld");
    assert_eq!(synced.len() + withheld.len(), 40);
    assert!(!synced.iter().any(is_bad), "{synced:?}");
    let undecided = document["projects"].as_array().unwrap().iter();
    let undecided = undecided.filter(|project| {
        let message = project["error"]["message"].as_str();
        message.is_some_and(|message| message.contains("the search for them has ended"))
    });
    assert!(undecided.count() > 0, "{document:#}");

    let document = fifty.sync(&[]).code(1).json();
    assert!(!by_status(&document, "synced").is_empty(), "{document:#}");
    fifty.codex.assert_sound();
}

#[test]
fn push_that_is_too_large_is_sent_in_parts() {
    let names = ["alpha", "beta", "delta", "gamma"];
    let fifty = Fifty::with(&names);
    for (seed, name) in (1..).zip(names) {
        // The contents compress badly, and have nothing in common.
        let digits: String = (0..3_000_u32)
            .map(|number| {
                format!(
                    "{:x}",
                    number.wrapping_mul(2_654_435_761).wrapping_mul(seed)
                )
            })
            .collect();
        fifty.sandbox.write(&format!("ws/{name}/docs/a.md"), digits);
    }
    fifty
        .codex
        .git(&["config", "receive.maxInputSize", "60000"]);
    let document = fifty.sync(&[]).code(0).json();
    assert_eq!(by_status(&document, "synced").len(), 4, "{document:#}");
    assert_eq!(document["attempts"], 3);
    assert_eq!(fifty.codex.paths().len(), 5);
}

#[test]
fn size_limit_of_an_http_server_does_not_hold_up_small_pushes() {
    let world = World::builder()
        .projects(&["alpha", "beta", "delta", "gamma"])
        .server(None)
        .build();
    let server = world.server();
    server.fail(Stage::Push, Reaction::Status(413, "too large"), 1);
    let document = world.run(SYNC).code(0).json();
    assert_eq!(document["attempts"], 3);
    assert_eq!(by_status(&document, "synced").len(), 4);

    // Every push of beta is too large.
    for name in ["alpha", "beta"] {
        world
            .sandbox
            .write(&format!("ws/{name}/README.md"), "changed");
    }
    server.fail(Stage::Push, Reaction::Status(413, "too large"), 2);
    let document = world.run(SYNC).code(1).json();
    assert_eq!(by_status(&document, "withheld"), BTreeSet::from(["alpha"]));
    assert_eq!(by_status(&document, "synced"), BTreeSet::from(["beta"]));
    let error = &document["projects"][0]["error"];
    assert_eq!(error["kind"], "too-large", "{document:#}");
    world.codex.assert_sound();
}

#[test]
fn lost_response_during_the_search_is_resolved() {
    for (reaction, attempts) in [
        (Reaction::LoseAnswer, 2),
        (Reaction::Status(503, "later"), 3),
    ] {
        let world = World::builder()
            .projects(&["alpha", "beta", "p07"])
            .server(None)
            .build();
        world.codex.hook(
            "update",
            "git diff --name-only $2 $3 | grep '^projects/p07/' >&2 && exit 1; exit 0",
        );
        // The first push is rejected, and the response to the second one is lost.
        let no_fault = Reaction::Before("true".to_owned());
        world.server().fail(Stage::Push, no_fault, 1);
        world.server().fail(Stage::Push, reaction.clone(), 1);
        let document = world.run(SYNC).code(1).json();
        assert_eq!(document["attempts"], attempts, "{reaction:?}");
        assert_eq!(document["pushed"], true);
        assert_eq!(by_status(&document, "withheld"), BTreeSet::from(["p07"]));
        assert_eq!(
            by_status(&document, "synced"),
            BTreeSet::from(["alpha", "beta"])
        );
        assert_eq!(world.codex.subjects().len(), 3);
        world.codex.assert_sound();
    }
}

#[test]
fn withheld_projects_are_shown_in_every_output() {
    let fifty = Fifty::with(&["alpha", "beta", "p07"]);
    fifty.update_hook(
        "path=$(bad \"$@\"); [ \"$path\" ] || exit 0\n\
         echo \"<file> | $path: not allowed\" >&2; echo 'ask the owners' >&2; exit 1",
    );
    let mut command = fifty.sandbox.program(&["sync", "--all"]);
    let summary = fifty.sandbox.path("summary.md");
    command.env("GITHUB_STEP_SUMMARY", &summary);
    let output = fifty.sandbox.finish(command).code(1);
    let summary = fs::read_to_string(summary).unwrap();
    insta::assert_snapshot!(output.shown());
    assert!(
        summary.contains(
            "| p07 | 1 | 0 | 0 | 0 | withheld: `rejected by the server: hook declined` |"
        ),
        "{summary}"
    );
}

#[test]
fn local_cache_and_pull_have_only_the_files_that_landed() {
    let fifty = Fifty::with(&["alpha", "p07"]);
    fifty.update_hook("bad \"$@\" >&2 && exit 1; exit 0");
    let document = fifty
        .sync(&[
            "--bidirectional",
            "--config",
            "sync.from_codex.include=['codex://acme/*/**']",
        ])
        .code(1)
        .json();
    assert_eq!(document["error"], Value::Null);
    let cache = fifty.sandbox.path("ws/.fractary/codex/cache");
    let names: BTreeSet<_> = walk(&cache);
    assert!(
        names.iter().any(|name| name.ends_with("alpha/docs/a.md")),
        "{names:?}"
    );
    assert!(!names.iter().any(|name| name.contains("p07")), "{names:?}");
}

/// The paths of all files below `directory`.
fn walk(directory: &std::path::Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.insert(path.display().to_string());
        }
    }
    found
}
