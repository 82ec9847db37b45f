//! A branch that another client deletes, renames or moves during the run, and a branch that the run
//! creates.

use serde_json::{Value, json};

use super::{SYNC, assert_error};
use crate::support::World;
use crate::support::gate::{Moment, Step};

#[test]
fn deleted_branch_is_never_created_again() {
    for others in [true, false] {
        for create in ["remote.create=false", "remote.create=true"] {
            let World { sandbox, codex, .. } = World::new();
            if others {
                codex.git(&["update-ref", "refs/heads/other", "main"]);
            }
            let path = codex.path().display().to_string();
            let delete = format!("git -C {path} update-ref -d refs/heads/main");
            sandbox.run_at(Step::Push, Moment::Before, &delete);
            let output = sandbox.run(&[SYNC, &["--config", create]].concat());
            let document = assert_error(output, 5, "branch-gone", json!(false));
            assert_eq!(document["attempts"], 1);
            assert_eq!(document["projects"][0]["status"], "failed");
            assert_eq!(codex.tip(), None, "{others} {create}");
        }
    }
}

#[test]
fn renamed_branch_is_never_created_again() {
    let World { sandbox, codex, .. } = World::new();
    let rename = format!(
        "git -C {} branch -m main trunk 2> /dev/null",
        codex.path().display()
    );
    sandbox.run_at(Step::Push, Moment::Before, &rename);
    let output = sandbox.run(&["sync", "--all", "--config", "remote.create=true"]);
    let error = output.code(5).stderr;
    assert!(
        error.contains("`main`") && error.contains("deleted or renamed"),
        "{error}"
    );
    assert!(error.contains("hint: "), "{error}");
    assert_eq!(codex.tip(), None);
}

#[test]
fn branch_that_is_deleted_between_attempts_is_never_created_again() {
    for step in [Step::Fetch, Step::Push] {
        let World { sandbox, codex, .. } = World::new();
        // The first attempt finds another tip; before a step of the second, the branch is deleted.
        let path = codex.path().display().to_string();
        let first = sandbox.path("first").display().to_string();
        let move_branch = format!(
            "touch {first}\n\
             id=$(git -C {path} -c user.name=x -c user.email=x commit-tree -p main -m faster 'main^{{tree}}')\n\
             git -C {path} update-ref refs/heads/main $id"
        );
        let delete = format!("git -C {path} update-ref -d refs/heads/main");
        let at = |of: Step| if of == step { delete.as_str() } else { ":" };
        let (push, fetch) = (at(Step::Push), at(Step::Fetch));
        let before_push = format!("if [ -e {first} ]; then {push}; else {move_branch}; fi");
        let before_fetch = format!("[ ! -e {first} ] || {fetch}");
        if sandbox.uses_git() {
            sandbox.wrap_git(&format!(
                "case \" $* \" in\n*' push '*) {before_push};;\n*' fetch '*) {before_fetch};;\nesac"
            ));
        } else {
            sandbox.run_at(Step::Push, Moment::Before, &before_push);
            sandbox.run_at(Step::Fetch, Moment::Before, &before_fetch);
        }
        let output = sandbox.run(&[SYNC, &["--config", "remote.create=true"]].concat());
        assert_error(output, 5, "branch-gone", json!(false));
        assert_eq!(codex.tip(), None, "{step:?}");
    }
}

#[test]
fn rewound_branch_is_not_restored() {
    let World { sandbox, codex, .. } = World::new();
    codex.commit(&[("100644", "removed.md", "removed on purpose")], &[]);
    codex.git(&["config", "receive.denyNonFastForwards", "true"]);
    // A clone without contents could not send the removed file again.
    codex.git(&["config", "uploadpack.allowFilter", "false"]);
    let once = sandbox.path("once").display().to_string();
    let rewind = format!(
        "[ -e {once} ] || {{ touch {once}; git -C {} update-ref refs/heads/main main~1; }}",
        codex.path().display()
    );
    sandbox.run_at(Step::Push, Moment::Before, &rewind);
    let document = sandbox.run(SYNC).code(0).json();
    assert_eq!(
        (&document["attempts"], &document["pushed"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(codex.paths(), ["README.md", "projects/alpha/README.md"]);
    codex.assert_sound();
}

#[test]
fn two_clients_that_create_a_branch_keep_both_commits() {
    let World { sandbox, codex, .. } = World::new();
    let path = codex.path().display().to_string();
    let once = sandbox.path("once").display().to_string();
    let create = format!(
        "[ -e {once} ] || {{ touch {once}\n\
         id=$(git -C {path} -c user.name=x -c user.email=x commit-tree -p main -m theirs 'main^{{tree}}')\n\
         git -C {path} update-ref refs/heads/staging $id; }}"
    );
    sandbox.run_at(Step::Push, Moment::Before, &create);
    let staging = [
        "--config",
        "remote.create=true",
        "--config",
        "remote.branch=staging",
    ];
    let document = sandbox.run(&[SYNC, &staging].concat()).code(0).json();
    assert_eq!(document["attempts"], 2);
    let subjects = codex.git(&["log", "--format=%s", "staging"]);
    assert_eq!(subjects, "Sync 1 file from alpha\ntheirs\nSomebody else\n");
}

#[test]
fn branch_that_is_hidden_from_pushes_is_rejected() {
    let World { sandbox, codex, .. } = World::new();
    codex.git(&["config", "receive.hideRefs", "refs/heads/main"]);
    let document = assert_error(sandbox.run(SYNC), 5, "declined", json!(false));
    let message = document["error"]["message"].as_str().unwrap();
    // git compares the tips itself; the native transport leaves that to the server, which gives the
    // reason.
    let (attempts, reason) = if sandbox.uses_git() {
        (3, "another tip to pushes")
    } else {
        (1, "hidden ref")
    };
    assert_eq!(document["attempts"], attempts);
    assert!(message.contains(reason), "{message}");
}

#[test]
fn created_branch_exists_even_if_no_file_differs() {
    let World { sandbox, codex, .. } = World::new();
    sandbox.run(SYNC).code(0);
    let tip = codex.tip();
    let staging = |command: &[&str]| {
        let branch = [
            "--config",
            "remote.create=true",
            "--config",
            "remote.branch=staging",
        ];
        sandbox.run(&[command, &branch].concat())
    };
    let planned = staging(&["sync", "--all", "--dry-run", "--json"]).code(0);
    let planned = planned.json();
    assert_eq!(planned["remote"]["creates_branch"], true, "{planned:#}");
    let shown = staging(&["sync", "--all", "--dry-run"]).code(0).stdout;
    assert!(shown.contains("does not exist yet"), "{shown}");
    staging(&["status", "--all", "--check"]).code(6);

    let document = staging(SYNC).code(0).json();
    assert_eq!(
        (&document["pushed"], &document["attempts"]),
        (&json!(true), &json!(1)),
        "{document:#}"
    );
    assert_eq!(document["remote"]["before"], Value::Null);
    assert_eq!(document["remote"]["after"].as_str(), tip.as_deref());
    assert_eq!(document["projects"][0]["status"], "up-to-date");
    assert_eq!(
        document["plan_id"], planned["plan_id"],
        "the plan is what was done"
    );
    assert_eq!(
        Some(codex.git(&["rev-parse", "staging"]).trim()),
        tip.as_deref()
    );

    staging(&["status", "--all", "--check"]).code(0);
    let again = staging(SYNC).code(0).json();
    assert_eq!(again["pushed"], false);
    let include = "sync.from_codex.include=['codex://acme/*/**']";
    staging(&["sync", "--all", "--from-codex", "--config", include]).code(0);
}

#[test]
fn created_branch_is_shown_in_the_human_output() {
    let World { sandbox, .. } = World::new();
    sandbox.run(SYNC).code(0);
    let output = sandbox.run(&[
        "sync",
        "--all",
        "--config",
        "remote.create=true",
        "--config",
        "remote.branch=staging",
    ]);
    let text = output.code(0).stdout;
    assert!(text.contains("created `staging` of "), "{text}");
}

#[test]
fn bidirectional_sync_can_create_the_branch() {
    let World { sandbox, codex, .. } = World::new();
    sandbox.run(SYNC).code(0);
    let both = [
        "sync",
        "--all",
        "--bidirectional",
        "--config",
        "remote.create=true",
        "--config",
        "remote.branch=staging",
        "--config",
        "sync.from_codex.include=['codex://acme/*/**']",
    ];
    sandbox.run(&[&both[..], &["--dry-run"]].concat()).code(0);
    sandbox.run(&both).code(0);
    codex.git(&["rev-parse", "--verify", "staging"]);
}

#[test]
fn missing_branch_is_not_created_beside_branches_that_it_cannot_start_from() {
    for configured in [true, false] {
        let World { sandbox, codex, .. } = World::new();
        codex.git(&["branch", "-m", "main", "trunk"]);
        codex.git(&["branch", "work/a", "trunk"]);
        codex.git(&["symbolic-ref", "HEAD", "refs/heads/unborn"]);
        let branches = codex.git(&["for-each-ref"]);
        let mut options = vec!["--config", "remote.create=true"];
        if configured {
            options.extend(["--config", "remote.branch=staging"]);
        }
        for more in [&[][..], &["--dry-run"]] {
            let output = sandbox.run(&[SYNC, &options, more].concat()).code(4).json();
            let error = &output["error"];
            assert_eq!(error["kind"], "branch-missing", "{error:#}");
            let hints = error["hints"].to_string();
            assert!(
                hints.contains("existing branch: `trunk`, `work/a`"),
                "{hints}"
            );
            assert_eq!(codex.git(&["for-each-ref"]), branches);
        }
    }
}

#[test]
fn first_branch_is_created_if_the_codex_has_only_tags() {
    let World { sandbox, codex, .. } = World::new();
    codex.git(&["tag", "v1", "main"]);
    codex.git(&["update-ref", "-d", "refs/heads/main"]);
    sandbox.run(SYNC).code(0);
    assert_eq!(codex.subjects(), ["Sync 1 file from alpha"]);
}

#[test]
fn error_about_a_missing_branch_names_those_that_exist() {
    let World { sandbox, codex, .. } = World::new();
    for name in ["a/work", "b", "c", "d", "e", "f", "g"] {
        codex.git(&["branch", name, "main"]);
    }
    for more in [&[][..], &["--push-mode", "branch"]] {
        let missing = ["--config", "remote.branch=staging"];
        let output = sandbox.run(&[SYNC, &missing, more].concat()).code(4).json();
        let hints = output["error"]["hints"].to_string();
        let (default, others) = (
            "or use the default branch: `--config remote.branch=main`",
            "the other branches are `b`, `c`, `d`, `e`, `f` and 2 more",
        );
        assert!(hints.contains(default) && hints.contains(others), "{hints}");
    }
}
