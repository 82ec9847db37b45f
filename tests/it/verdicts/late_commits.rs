//! Commits that arrive later than the client expects, below the commits of others, or not in the
//! branch.

use std::fs;

use serde_json::{Value, json};

use super::{SYNC, assert_error};
use crate::support::gate::Step;
use crate::support::http::{Reaction, Stage};
use crate::support::{Codex, Sandbox, World};

/// The first push fails without being sent, and is sent before a later step, or never.
fn lose_first_push(sandbox: &Sandbox, codex: &Codex, step: Option<Step>) {
    if !sandbox.uses_git() {
        let server = sandbox.serve();
        let kept = sandbox.path("kept");
        let land = format!(
            "git receive-pack --stateless-rpc {} < {} > {}",
            codex.path().display(),
            kept.display(),
            sandbox.path("landed").display()
        );
        server.fail(Stage::Push, Reaction::Keep(kept), 1);
        let stage = match step {
            Some(Step::Fetch) => Stage::Fetch,
            Some(_) => Stage::Push,
            None => return,
        };
        server.fail_once_after(Stage::Push, stage, Reaction::Before(land));
        return;
    }
    let step = match step {
        Some(Step::Fetch) => "fetch",
        Some(_) => "push",
        None => "never",
    };
    let path = |name: &str| sandbox.path(name).display().to_string();
    let (lost, landed) = (path("lost"), path("landed"));
    sandbox.wrap_git(&format!(
        "case \" $* \" in\n\
         *' push '*) step=push\n\
           if [ ! -e {lost} ]; then\n\
             for last in \"$@\"; do :; done\n\
             echo \"$last\" > {lost}\n\
             echo 'Writing objects: 100% (3/3), done.' >&2\n\
             echo 'error: RPC failed; HTTP 504 curl 22 The requested URL returned error: 504' >&2\n\
             exit 1\n\
           fi;;\n\
         *' fetch '*) step=fetch;;\n\
         esac\n\
         if [ \"$step\" = {step} ] && [ -e {lost} ] && [ ! -e {landed} ]; then\n\
           touch {landed}\n\
           \"$(git --exec-path)/git\" --git-dir \"$2\" push -q codex \"$(cat {lost})\" >&2\n\
         fi"
    ));
}

#[test]
fn lost_push_that_lands_before_the_next_fetch_is_reported_as_pushed() {
    for step in [Step::Fetch, Step::Push] {
        let World { sandbox, codex, .. } = World::new();
        let before = codex.tip();
        lose_first_push(&sandbox, &codex, Some(step));
        let document = sandbox.run(SYNC).code(0).json();
        assert_eq!(document["pushed"], true, "{step:?}: {document:#}");
        let remote = &document["remote"];
        assert_eq!(
            (remote["before"].as_str(), remote["after"].as_str()),
            (before.as_deref(), codex.tip().as_deref()),
            "{step:?}"
        );
        let project = &document["projects"][0];
        assert_eq!(
            (&project["status"], &project["added"]),
            (&json!("synced"), &json!(1))
        );
        assert_eq!(project["commit"].as_str(), codex.tip().as_deref());
        assert_eq!(
            codex.subjects(),
            ["Sync 1 file from alpha", "Somebody else"]
        );
    }
}

#[test]
fn lost_push_that_lands_below_the_commits_of_others_is_reported_as_pushed() {
    let World { sandbox, codex, .. } = World::new();
    let before = codex.tip();
    lose_first_push(&sandbox, &codex, Some(Step::Fetch));
    // Another client pushes immediately afterwards.
    codex.hook(
        "post-receive",
        "id=$(git -c user.name=x -c user.email=x commit-tree -p main -m later 'main^{tree}'); git update-ref refs/heads/main $id",
    );
    let document = sandbox.run(SYNC).code(0).json();
    assert_eq!(document["pushed"], true, "{document:#}");
    let ours = codex.git(&["rev-parse", "main~1"]);
    let remote = &document["remote"];
    assert_eq!(
        (remote["before"].as_str(), remote["after"].as_str()),
        (before.as_deref(), Some(ours.trim()))
    );
    assert_eq!(document["projects"][0]["status"], "synced");
    assert_eq!(codex.subjects()[0], "later");
    // The recorded state is correct: nothing is left to do.
    let again = sandbox.run(SYNC).code(0).json();
    assert_eq!(again["pushed"], false);
}

#[test]
fn signal_after_a_lost_push_leaves_the_result_unknown() {
    let World { sandbox, codex, .. } = World::new();
    sandbox.use_git();
    lose_first_push(&sandbox, &codex, None);
    let script = fs::read_to_string(sandbox.path("bin/git")).unwrap();
    let lost = format!("[ ! -e {} ]", sandbox.path("lost").display());
    let killed = sandbox.path("killed").display().to_string();
    let kill = format!("[ -e {killed} ] || kill -TERM $PPID; touch {killed}; exit 1\n");
    let script = script.replace("exit 1\n", &kill).replacen(&lost, "true", 1);
    sandbox.wrap_git(script.rsplit_once("\nexec ").unwrap().0);
    let document = sandbox.run(SYNC).code(143).json();
    assert_eq!(document["pushed"], Value::Null, "{document:#}");
    assert_eq!(codex.subjects().len(), 1);
}

#[test]
fn own_commits_are_found_below_many_commits_of_others() {
    let World { sandbox, codex, .. } = World::new();
    // Other clients push three hundred commits before the branch is queried.
    codex.hook(
        "post-receive",
        "unset GIT_QUARANTINE_PATH\n\
         { echo 'reset refs/heads/main'; echo 'from refs/heads/main^0'; echo\n\
         for number in $(seq 300); do\n\
         printf 'commit refs/heads/main\\ncommitter B <b@b> 1700000000 +0000\\ndata 5\\nlater\\n\\n'\n\
         done; } | git fast-import --quiet",
    );
    let document = sandbox.run(SYNC).code(0).json();
    assert_eq!(document["pushed"], true);
    let ours = codex.git(&["rev-parse", "main~300"]);
    assert_eq!(document["remote"]["after"].as_str(), Some(ours.trim()));
    codex.assert_sound();
}

#[test]
fn rewritten_history_is_checked_down_to_the_root() {
    let World { sandbox, codex, .. } = World::new();
    codex.go_on(600);
    // The branch is rewritten and only shares its oldest commits with the previous history.
    codex.hook(
        "post-receive",
        "id=$(git -c user.name=x -c user.email=x commit-tree -p main~500 -m rewritten 'main^{tree}'); git update-ref refs/heads/main $id",
    );
    let document = assert_error(sandbox.run(SYNC), 5, "landed-then-removed", json!(false));
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("landed, then removed"), "{message}");
}

#[test]
fn replica_that_lags_is_queried_again() {
    let World { sandbox, codex, .. } = World::new();
    if sandbox.uses_git() {
        let old = codex.tip().unwrap();
        let path = |name: &str| sandbox.path(name).display().to_string();
        let (pushed, lag) = (path("pushed"), path("lag"));
        sandbox.wrap_git(&format!(
            "case \" $* \" in\n\
             *' push '*) touch {pushed};;\n\
             *' ls-remote '*) if [ -e {pushed} ] && [ \"$(cat {lag} 2> /dev/null | wc -l)\" -lt 3 ]; then\n\
               echo asked >> {lag}; printf '{old}\\trefs/heads/main\\n'; exit\n\
             fi;;\n\
             esac"
        ));
    } else {
        let server = sandbox.serve();
        for _ in 0..3 {
            server.fail_once_after(Stage::Push, Stage::ListToFetch, Reaction::Replay);
        }
    }
    let document = sandbox.run(SYNC).code(0).json();
    assert_eq!(
        (&document["attempts"], &document["pushed"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(codex.subjects().len(), 2);
}
