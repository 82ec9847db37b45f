//! What a pull request says and when it is confirmed, if a run ends early, publishes a part of the
//! projects, or meets what people did to the branch.

use serde_json::{Value, json};

use crate::pull_requests::{BRANCH, Hosted, state, status};
use crate::support::forge::{Kind, Merge, Reaction, Response};
use crate::support::{World, wait_until};

const PER_PROJECT: (&str, &str) = ("FRACTARY_CODEX_PUSH__BRANCH", "docs/{project}");

/// A workspace with several projects.
fn hosted(kind: Kind, projects: &[&'static str]) -> Hosted {
    Hosted::with(kind, World::builder().projects(projects).build())
}

/// The values of a field, one per entry of a list.
fn values<'d>(document: &'d Value, list: &str, field: &str) -> Vec<&'d str> {
    let list = document[list].as_array().unwrap();
    list.iter()
        .map(|entry| entry[field].as_str().unwrap())
        .collect()
}

fn statuses(document: &Value) -> Vec<&str> {
    values(document, "projects", "status")
}

fn states(document: &Value) -> Vec<&str> {
    values(document, "pull_requests", "state")
}

/// Makes a commit with the same files on top of a branch, as a person does.
fn commit_on(hosted: &Hosted, branch: &str) -> String {
    let codex = &hosted.world.codex;
    let tip = hosted.world.tip_of(branch).unwrap();
    let tree = format!("{tip}^{{tree}}");
    let theirs = codex.git(&["commit-tree", "-p", &tip, "-m", "Fix", &tree]);
    let name = format!("refs/heads/{branch}");
    codex.git(&["update-ref", &name, theirs.trim()]);
    theirs.trim().to_owned()
}

#[test]
fn landed_branch_is_proposed_if_another_one_fails() {
    let hosted = hosted(Kind::GitHub, &["alpha", "beta"]);
    let remove = "while read old new ref; do \
        case $ref in */beta) git update-ref -d $ref;; esac; done";
    hosted.world.codex.hook("post-receive", remove);
    let output = hosted.run(&["sync", "--all", "--json"], &[PER_PROJECT]);
    let document = output.code(5).json();
    assert_eq!(statuses(&document)[0], "proposed", "{document}");
    assert_eq!(states(&document), ["created"]);
    assert_eq!(hosted.forge.pulls()[0].branch, "docs/alpha");
}

/// The server refuses projects without naming them, so the others land in several pushes.
#[test]
fn isolated_project_is_not_in_the_list() {
    let hosted = hosted(Kind::Gitea, &["alpha", "beta", "gamma"]);
    let refuse = "while read old new ref; do \
        git ls-tree -r --name-only $new | grep -q '^projects/beta/' && { echo denied >&2; exit 1; }; \
        done; exit 0";
    hosted.world.codex.hook("pre-receive", refuse);
    let document = hosted.sync(1);
    assert_eq!(statuses(&document)[0], "proposed", "{document}");
    assert_eq!(statuses(&document)[2], "proposed", "{document}");
    let pull = &hosted.forge.pulls()[0];
    assert_eq!(pull.title, "Sync 2 files from alpha, gamma");
    assert!(!pull.body.contains("| `beta` |"), "{}", pull.body);
    let (_, rest) = pull.body.split_once("Not included:").unwrap();
    assert!(rest.contains("- `beta`: "), "{}", pull.body);
    let proposed = &document["pull_requests"][0]["projects"];
    assert_eq!(*proposed, json!(["alpha", "gamma"]));
}

/// The search for rejected projects ends after 64 pushes. The projects that have landed by then are
/// proposed, and the others are named.
#[test]
fn projects_that_landed_before_the_search_ended_are_proposed() {
    let names: Vec<_> = (0..40).map(|number| format!("p{number:02}")).collect();
    let names: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
    let hosted = hosted(Kind::GitHub, &names);
    let refuse = "git diff --name-only $2 $3 | grep -q '^projects/p.[13579]/' && exit 1; exit 0";
    let base = hosted.world.tip_of("main").unwrap();
    hosted
        .world
        .codex
        .hook("update", &refuse.replace("$2", &base));
    let document = hosted.sync(1);
    assert_eq!(document["attempts"], 64);
    let pull = &document["pull_requests"][0];
    let listed = pull["projects"].as_array().unwrap();
    let is_proposed = |status: &&&str| **status == "proposed";
    let proposed = statuses(&document).iter().filter(is_proposed).count();
    assert_eq!(
        (listed.len(), proposed > 0),
        (proposed, true),
        "{document:#}"
    );
    let body = &hosted.forge.pulls()[0].body;
    for (number, name) in names.iter().enumerate() {
        assert!(number % 2 == 0 || !body.contains(&format!("| `{name}` |")));
    }
    assert!(body.contains("Not included:"), "{body}");
}

/// The first of two pushes ends the run.
#[test]
fn signal_between_two_pushes_reports_the_branches_that_landed() {
    let hosted = hosted(Kind::GitHub, &["alpha", "beta"]);
    let pid = hosted.world.sandbox.path("pid");
    let end = format!(
        "while ! [ -s {0} ]; do sleep 0.01; done; kill -TERM $(cat {0})",
        pid.display()
    );
    hosted.world.codex.hook("post-receive", &end);
    let mut command = hosted.world.command(&["sync", "--all", "--json"]);
    command.envs(hosted.forge.variables());
    command.envs([PER_PROJECT, ("FRACTARY_CODEX_PUSH__MAX_REFS", "1")]);
    let child = hosted.world.sandbox.spawn(command);
    std::fs::write(&pid, child.id().to_string()).unwrap();
    let document = hosted.world.sandbox.ended(child).code(143).json();
    assert_eq!(
        (&document["pushed"], &document["attempts"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(states(&document), ["pushed-only"]);
    assert_eq!(document["pull_requests"][0]["branch"], "docs/alpha");
    assert_eq!(hosted.world.tip_of("docs/beta"), None);
    assert!(hosted.forge.pulls().is_empty());

    hosted.world.codex.hook("post-receive", "exit 0");
    let output = hosted
        .run(&["sync", "--all", "--json"], &[PER_PROJECT])
        .code(0);
    assert_eq!(states(&output.json()), ["created"; 2]);
}

#[test]
fn update_of_one_project_keeps_the_others_in_the_list() {
    let hosted = hosted(Kind::GitHub, &["alpha", "beta"]);
    hosted.sync(0);
    hosted.write("changed");
    let output = hosted.run(&["sync", "-p", "alpha", "--json"], &[]).code(0);
    assert_eq!(state(&output.json()), "updated");
    let body = &hosted.forge.pulls()[0].body;
    for name in ["alpha", "beta"] {
        assert!(
            body.contains(&format!("| `{name}` | 1 | 0 | 0 |")),
            "{body}"
        );
    }
}

/// No sync changes an excluded file, so its difference between the branches is not counted.
#[test]
fn excluded_file_is_not_counted_with_prune() {
    let hosted = hosted(Kind::GitHub, &["alpha"]);
    let variables = [
        ("FRACTARY_CODEX_SYNC__PRUNE", "true"),
        (
            "FRACTARY_CODEX_SYNC__TO_CODEX__EXCLUDE",
            "['docs/private/**']",
        ),
    ];
    hosted.run(&["sync", "--all"], &variables).code(0);
    let private = "projects/alpha/docs/private/note.md";
    hosted
        .world
        .codex
        .commit(&[("100644", private, "note")], &[]);
    hosted.write("changed");

    hosted.run(&["sync", "--all"], &variables).code(0);
    let body = &hosted.forge.pulls()[0].body;
    assert!(body.contains("| `alpha` | 1 | 0 | 0 |"), "{body}");
}

#[test]
fn closed_pull_request_withholds_a_part_of_its_projects() {
    for is_kept in [true, false] {
        let hosted = hosted(Kind::GitLab, &["alpha", "beta"]);
        hosted.sync(0);
        hosted.forge.close(1);
        if !is_kept {
            hosted.world.codex.git(&["branch", "-D", BRANCH]);
        }
        let output = hosted.run(&["sync", "-p", "alpha", "--json"], &[]).code(1);
        assert_eq!(status(&output.json()), "withheld", "{is_kept}");

        // The other project cannot be read.
        std::fs::remove_dir_all(hosted.world.sandbox.path("ws/beta")).unwrap();
        let document = hosted.sync(1);
        assert_eq!(statuses(&document), ["withheld", "failed"], "{is_kept}");
        assert_eq!(hosted.forge.pulls().len(), 1);
    }
}

/// Somebody deletes the branch while the forge does not know it yet.
#[test]
fn branch_that_is_removed_after_the_push_is_not_reported_as_pushed() {
    let hosted = Hosted::new(Kind::GitHub);
    hosted.forge.hide_branch(usize::MAX);
    let mut command = hosted.world.command(&["sync", "--all", "--json"]);
    command.envs(hosted.forge.variables());
    let child = hosted.world.sandbox.spawn(command);
    wait_until("the run tries to open the pull request", || {
        let requests = hosted.forge.requests();
        requests.iter().any(|request| request.method == "POST")
    });
    let name = format!("refs/heads/{BRANCH}");
    hosted.world.codex.git(&["update-ref", "-d", &name]);
    let document = hosted.world.sandbox.ended(child).code(5).json();
    assert_eq!(document["error"]["kind"], "landed-then-removed");
    assert_eq!(
        (status(&document), &document["pushed"]),
        ("failed", &json!(false))
    );
    assert_eq!(document["pull_requests"], json!([]));
}

#[test]
fn rate_limit_or_a_missing_right_ends_the_requests_for_all_branches() {
    for status in [429, 403] {
        requests_end_after(status);
    }
}

fn requests_end_after(status: u16) {
    let hosted = hosted(Kind::GitHub, &["alpha", "beta", "gamma"]);
    let rejection = Response {
        status,
        headers: "Retry-After: 600\r\n".to_owned(),
        body: "{}".to_owned(),
    };
    let rejection = match status {
        429 => rejection,
        _ => Response::rejection(status, "not permitted"),
    };
    let fault = Reaction::Respond(rejection);
    hosted.forge.fail("POST", "/pulls", fault, usize::MAX);
    let output = hosted.run(&["sync", "--all", "--json"], &[PER_PROJECT]);
    let document = output.code(4).json();
    assert_eq!(states(&document), ["pushed-only"; 3]);
    assert_eq!(statuses(&document), ["failed"; 3]);
    let requests = hosted.forge.take_requests();
    let posts = requests.iter().filter(|one| one.starts_with("POST "));
    assert_eq!(posts.count(), 1, "{requests:#?}");
}

#[test]
fn opened_pull_request_that_the_forge_shows_late_is_complete() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.forge.lag(usize::MAX);
        let settings = [
            ("FRACTARY_CODEX_PUSH__PULL_REQUEST__LABELS", "['docs']"),
            ("FRACTARY_CODEX_REMOTE__TIMEOUT__PUSH_VERDICT", "1s"),
        ];
        let output = hosted.run(&["sync", "--all", "--json"], &settings).code(4);
        let document = output.json();
        let pull = &document["pull_requests"][0];
        assert_eq!(
            (&pull["state"], &pull["number"]),
            (&json!("pushed-only"), &json!(1))
        );
        assert!(pull["url"].as_str().unwrap().starts_with("https://"));
        assert_eq!(hosted.forge.pulls()[0].labels, ["docs"], "{kind:?}");
    }
}

#[test]
fn branch_of_a_person_is_never_deleted() {
    for kind in Kind::EACH_API {
        for is_theirs in [true, false] {
            let hosted = Hosted::new(kind);
            hosted.sync(0);
            let merged = hosted.tip().unwrap();
            if is_theirs {
                hosted
                    .forge
                    .edit(1, |pull| pull.body = "By hand".to_owned());
            } else {
                hosted.world.codex.git(&["branch", "release", "main"]);
                hosted.forge.open(BRANCH, "release");
            }
            hosted.forge.merge(1, Merge::Squash);
            hosted.write("changed");
            hosted.sync(0);
            let ancestry = ["merge-base", "--is-ancestor", &merged, BRANCH];
            hosted.world.codex.git(&ancestry);
        }
    }
}

#[test]
fn pull_request_to_another_base_is_not_used() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.sync(0);
        hosted.write("changed");
        let change = Reaction::Edit(|pull| pull.base = "release".to_owned());
        hosted.forge.fail("GET", "/1", change, 1);
        let document = hosted.sync(0);
        assert_eq!(document["pull_requests"][0]["number"], 2, "{kind:?}");
        assert_eq!(hosted.forge.pulls()[1].base, "main");

        let change = Reaction::Edit(|pull| pull.base = "main".to_owned());
        hosted.forge.close(2);
        hosted.forge.fail("GET", "", change, 1);
        assert_eq!(hosted.sync(0)["pull_requests"][0]["number"], 1, "{kind:?}");
    }
}

#[test]
fn pull_request_that_is_merged_during_the_push_is_not_opened_again() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.sync(0);
        hosted.write("changed");
        hosted.forge.take_requests();
        hosted
            .forge
            .fail("GET", "/1", Reaction::Merge(Merge::Commit), 1);
        let document = hosted.sync(0);
        assert_eq!(status(&document), "proposed", "{kind:?}");
        let warning = document["warnings"][0]["message"].as_str().unwrap();
        assert!(warning.contains("is merged already"), "{warning}");
        hosted.only_read();
    }
}

#[test]
fn branch_that_is_merged_during_the_run_is_compared_again() {
    for has_change in [false, true] {
        let hosted = Hosted::new(Kind::GitHub);
        hosted.sync(0);
        std::fs::remove_dir_all(hosted.world.sandbox.path("home/.local")).unwrap();
        if has_change {
            hosted.write("changed");
        }
        let merge = Reaction::Merge(Merge::Squash);
        hosted.forge.fail("GET", "/pulls?", merge, 1);
        let document = hosted.sync(0);
        assert_eq!(hosted.forge.pulls().len(), 1 + usize::from(has_change));
        if has_change {
            assert_eq!(state(&document), "created");
            let range = format!("main..{BRANCH}");
            let commits = hosted.world.codex.git(&["rev-list", "--count", &range]);
            assert_eq!(commits.trim(), "1");
        } else {
            assert_eq!(status(&document), "up-to-date");
        }
    }
}

#[test]
fn deletion_of_a_merged_branch_is_reported_if_no_push_follows() {
    let hosted = Hosted::new(Kind::GitHub);
    hosted.sync(0);
    let merged = hosted.tip().unwrap();
    hosted.forge.merge(1, Merge::Squash);
    let refuse = "case $3 in *[!0]*) echo frozen; exit 1;; esac";
    hosted.world.codex.hook("update", refuse);
    hosted.write("changed");
    let document = hosted.sync(5);
    assert_eq!(hosted.tip(), None);
    let branch = &document["remote"]["sync_branches"][0];
    assert_eq!(
        (&branch["before"], &branch["after"]),
        (&json!(merged), &Value::Null)
    );
    let warnings = document["warnings"].to_string();
    assert!(
        warnings.contains("was deleted, and the new commits are not on the server"),
        "{warnings}"
    );
}

/// GitLab takes labels and reviewers in the request that opens the merge request.
#[test]
fn rejected_labels_do_not_prevent_a_merge_request() {
    let settings = [
        ("FRACTARY_CODEX_PUSH__PULL_REQUEST__LABELS", "['docs']"),
        ("FRACTARY_CODEX_PUSH__PULL_REQUEST__REVIEWERS", "['ada']"),
    ];
    let rejection = || Reaction::Respond(Response::rejection(400, "labels is invalid"));
    for (rejections, expected) in [(0, [1, 0]), (1, [2, 2]), (2, [2, 2])] {
        let hosted = Hosted::new(Kind::GitLab);
        if rejections > 0 {
            hosted.forge.fail("POST", "/merge_requests", rejection(), 1);
        }
        if rejections > 1 {
            hosted
                .forge
                .fail("PUT", "/merge_requests/1", rejection(), 1);
        }
        let output = hosted.run(&["sync", "--all", "--json"], &settings).code(0);
        let warnings = output.json()["warnings"].as_array().unwrap().len();
        assert_eq!(warnings, usize::from(rejections == 2));
        let requests = hosted.forge.take_requests();
        let count = |method: &str| {
            let of_method = requests.iter().filter(|one| one.starts_with(method));
            of_method.count()
        };
        assert_eq!([count("POST"), count("PUT")], expected, "{requests:#?}");
        let pull = &hosted.forge.pulls()[0];
        assert_eq!(pull.labels.is_empty(), rejections == 2);
        assert_eq!(pull.reviewers, ["ada"]);
    }
}

#[test]
fn branch_that_another_run_has_deleted_is_made_anew() {
    let hosted = Hosted::new(Kind::GitHub);
    hosted.sync(0);
    hosted.forge.merge(1, Merge::Squash);
    let delete = "while read old new ref; do \
        case $new in *[!0]*) ;; *) env -u GIT_QUARANTINE_PATH git update-ref -d $ref; exit 1;; esac; \
        done";
    hosted.world.codex.hook("pre-receive", delete);
    hosted.write("changed");
    let document = hosted.sync(0);
    assert_eq!(state(&document), "created", "{document}");
    assert_eq!(document["warnings"], json!([]));
    let range = format!("main..{BRANCH}");
    let commits = hosted.world.codex.git(&["rev-list", "--count", &range]);
    assert_eq!(commits.trim(), "1");
}

#[test]
fn file_that_the_codex_lost_after_a_squash_is_proposed_again() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.sync(0);
        hosted.forge.merge(1, Merge::Squash);
        hosted
            .world
            .codex
            .commit(&[], &["projects/alpha/README.md"]);

        let tip = hosted.tip();
        hosted.forge.take_requests();
        let output = hosted.run(&["sync", "--all", "--dry-run", "--json"], &[]);
        assert_eq!(status(&output.json()), "would-sync", "{kind:?}");
        assert_eq!(hosted.tip(), tip);
        hosted.only_read();

        let document = hosted.sync(0);
        assert_eq!(
            (status(&document), state(&document)),
            ("proposed", "created")
        );
        hosted.forge.merge(2, Merge::Squash);
        assert_eq!(hosted.published("main"), hosted.published(BRANCH));
    }
}

#[test]
fn status_shows_that_a_person_closed_the_pull_request() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.sync(0);
        hosted.forge.close(1);
        let output = hosted.run(&["status", "--all", "--json"], &[]).code(1);
        assert_eq!(status(&output.json()), "withheld", "{kind:?}");
    }
}

#[test]
fn commit_on_top_during_the_run_is_accepted() {
    let hosted = Hosted::new(Kind::Gitea);
    hosted.sync(0);
    hosted.forge.take_requests();
    hosted.forge.lag(usize::MAX);
    hosted.write("changed");
    let mut command = hosted.world.command(&["sync", "--all", "--json"]);
    command.envs(hosted.forge.variables());
    let child = hosted.world.sandbox.spawn(command);
    wait_until("the forge is asked for the pull request", || {
        let requests = hosted.forge.requests();
        let reads = requests
            .iter()
            .filter(|one| one.target.ends_with("/pulls/1"));
        reads.count() > 2
    });
    let theirs = commit_on(&hosted, BRANCH);
    hosted.forge.lag(0);
    let document = hosted.world.sandbox.ended(child).code(0).json();
    assert_eq!(
        (status(&document), state(&document)),
        ("proposed", "updated")
    );
    assert_eq!(document["pull_requests"][0]["head"], theirs.as_str());
}

#[test]
fn text_that_could_not_be_updated_is_updated_by_the_next_run() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.sync(0);
        hosted.world.sandbox.write("ws/alpha/docs/a.md", "a");
        let method = if kind == Kind::GitLab { "PUT" } else { "PATCH" };
        let rejection = Reaction::Respond(Response::rejection(500, "Internal Server Error"));
        hosted.forge.fail(method, "/1", rejection, 1);
        let document = hosted.sync(4);
        assert_eq!(document["pull_requests"][0]["number"], 1, "{kind:?}");

        assert_eq!(state(&hosted.sync(0)), "updated", "{kind:?}");
        let body = &hosted.forge.pulls()[0].body;
        assert!(body.contains("| `alpha` | 2 | 0 | 0 |"), "{body}");
        hosted.forge.take_requests();
        assert_eq!(state(&hosted.sync(0)), "unchanged", "{kind:?}");
        hosted.only_read();
    }
}
