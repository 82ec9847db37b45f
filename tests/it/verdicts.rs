//! Verdicts of pushes: what is reported is what the branch shows when it is asked again, refusals are final, nothing is
//! overwritten or made again, and the server's words are shown.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::gate::{Moment, Step, send};
use crate::support::http::{HttpServer, Reaction, Stage};
use crate::support::{Codex, Output, Sandbox};

const SYNC: &[&str] = &["sync", "--all", "--json"];

/// One project to publish into a codex with a commit of another client.
fn world() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    sandbox.write("ws/alpha/README.md", "alpha");
    (sandbox, codex)
}

/// A run over http. No test waits for its time-outs.
fn over_http(sandbox: &Sandbox, server: &HttpServer, arguments: &[&str]) -> Output {
    let mut command = sandbox.program(arguments);
    command
        .env("FRACTARY_CODEX_REMOTE__URL", server.url("codex.git"))
        .env(
            "FRACTARY_CODEX_REMOTE__TIMEOUT",
            "{connect='60s', idle='60s', push_verdict='60s'}",
        );
    sandbox.finish(command)
}

/// How often objects were sent.
fn pushes(server: &HttpServer) -> usize {
    let is_push = |target: &str| target.ends_with("/git-receive-pack");
    let requests = server.requests();
    requests
        .iter()
        .filter(|request| is_push(&request.target))
        .count()
}

#[track_caller]
fn assert_error(output: Output, code: i32, kind: &str, pushed: Value) -> Value {
    let document = output.code(code).json();
    assert_eq!(
        (&document["error"]["kind"], &document["pushed"]),
        (&json!(kind), &pushed),
        "{document:#}"
    );
    document
}

#[track_caller]
fn causes(document: &Value) -> Vec<String> {
    let causes = document["error"]["causes"].as_array();
    let causes = causes.into_iter().flatten();
    causes
        .map(|cause| cause.as_str().unwrap().to_owned())
        .collect()
}

// A branch that is not where the run found it.

#[test]
fn deleted_branch_is_never_created_again() {
    for others in [true, false] {
        for create in ["remote.create=false", "remote.create=true"] {
            let (sandbox, codex) = world();
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
    let (sandbox, codex) = world();
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
    for step in ["fetch", "push"] {
        let (sandbox, codex) = world();
        // The first attempt finds another tip; before a step of the second, the branch is deleted.
        let path = codex.path().display().to_string();
        let first = sandbox.path("first").display().to_string();
        sandbox.wrap_git(&format!(
            "case \" $* \" in\n\
             *' push '*) if [ -e {first} ]; then again=push; else touch {first}\n\
               id=$(git -C {path} -c user.name=x -c user.email=x commit-tree -p main -m faster 'main^{{tree}}')\n\
               git -C {path} update-ref refs/heads/main $id\n\
             fi;;\n\
             *' fetch '*) [ -e {first} ] && again=fetch;;\n\
             esac\n\
             [ \"$again\" = {step} ] && git -C {path} update-ref -d refs/heads/main"
        ));
        let output = sandbox.run(&[SYNC, &["--config", "remote.create=true"]].concat());
        assert_error(output, 5, "branch-gone", json!(false));
        assert_eq!(codex.tip(), None, "{step}");
    }
}

#[test]
fn rewound_branch_is_not_restored() {
    let (sandbox, codex) = world();
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
    let (sandbox, codex) = world();
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
    assert_eq!(subjects, "Sync 1 files from alpha\ntheirs\nSomebody else\n");
}

#[test]
fn branch_that_only_pushes_do_not_see_is_declined() {
    let (sandbox, codex) = world();
    codex.git(&["config", "receive.hideRefs", "refs/heads/main"]);
    let document = assert_error(sandbox.run(SYNC), 5, "declined", json!(false));
    let message = document["error"]["message"].as_str().unwrap();
    // git compares the tips itself; the native transport leaves that to the server, which gives the reason.
    let (attempts, reason) = if sandbox.uses_git() {
        (3, "another tip to pushes")
    } else {
        (1, "hidden ref")
    };
    assert_eq!(document["attempts"], attempts);
    assert!(message.contains(reason), "{message}");
}

// A branch that is to be created.

#[test]
fn created_branch_exists_even_if_no_file_differs() {
    let (sandbox, codex) = world();
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
fn created_branch_is_reported_to_people() {
    let (sandbox, _codex) = world();
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
fn both_directions_can_start_with_a_created_branch() {
    let (sandbox, codex) = world();
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

// Failures of the transport.

#[test]
fn failed_transport_is_never_a_moved_branch() {
    for (stage, kind, pushed) in [
        (Stage::ListToPush, "server-failure", json!(false)),
        (Stage::Push, "no-verdict", Value::Null),
    ] {
        for (retries, attempts) in [("0", 1), ("1", 2), ("50", 3)] {
            let (sandbox, codex) = world();
            let server = HttpServer::start(&sandbox.path(""), None);
            server.fail(stage, Reaction::Reset, usize::MAX);
            let arguments = [SYNC, &["--retries", retries]].concat();
            let output = over_http(&sandbox, &server, &arguments);
            let document = assert_error(output, 4, kind, pushed.clone());
            assert_eq!(document["attempts"], attempts, "{stage:?} {retries}");
            let message = document["error"]["message"].as_str().unwrap();
            assert!(!message.contains("moved"), "{message}");
            assert_eq!(codex.subjects().len(), 1);
        }
    }
}

#[test]
fn failed_transport_on_a_moving_branch_is_a_failed_transport() {
    let (sandbox, codex) = world();
    sandbox.use_git();
    let server = HttpServer::start(&sandbox.path(""), None);
    server.fail(Stage::ListToPush, Reaction::Reset, usize::MAX);
    let path = codex.path().display().to_string();
    let faster = format!(
        "id=$(git -C {path} -c user.name=x -c user.email=x commit-tree -p main -m faster 'main^{{tree}}')\n\
         git -C {path} update-ref refs/heads/main $id"
    );
    sandbox.run_at(Step::Push, Moment::Before, &faster);
    let arguments = [SYNC, &["--retries", "1"]].concat();
    let output = over_http(&sandbox, &server, &arguments);
    let document = assert_error(output, 4, "server-failure", json!(false));
    assert_eq!(document["attempts"], 2);
    assert_eq!(codex.subjects().len(), 3);
}

#[test]
fn push_that_was_not_sent_is_not_an_open_outcome() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    // From the push on, the server does not answer any request.
    server.fail(Stage::ListToPush, Reaction::Reset, usize::MAX);
    server.fail_after(Stage::ListToPush, Stage::ListToFetch, Reaction::Reset);
    let output = over_http(&sandbox, &server, SYNC);
    assert_error(output, 4, "server-failure", json!(false));
    assert_eq!(codex.subjects().len(), 1);
}

#[test]
fn definite_answers_to_a_push_are_refusals() {
    for (status, code, kind) in [
        (400, 4, "request-refused"),
        (405, 4, "request-refused"),
        (411, 4, "request-refused"),
        (409, 5, "declined"),
        (422, 5, "declined"),
        (413, 5, "too-large"),
    ] {
        let (sandbox, codex) = world();
        let server = HttpServer::start(&sandbox.path(""), None);
        server.fail(Stage::Push, Reaction::Status(status, "no"), usize::MAX);
        let document = assert_error(over_http(&sandbox, &server, SYNC), code, kind, json!(false));
        assert_eq!(document["attempts"], 1, "{status}");
        assert_eq!(pushes(&server), 1, "{status}");
        let error = &document["error"];
        assert!(
            error.to_string().contains(&status.to_string()),
            "{document:#}"
        );
        assert!(error["hints"][0].is_string(), "{document:#}");
        assert_eq!(codex.subjects().len(), 1);
        server.mend();
        over_http(&sandbox, &server, SYNC).code(0);
    }
}

#[test]
fn rate_limited_push_is_tried_again() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    server.fail(Stage::Push, Reaction::Status(429, "slowly"), 1);
    let document = over_http(&sandbox, &server, SYNC).code(0).json();
    assert_eq!(
        (&document["attempts"], &document["pushed"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(codex.updates(), 2);

    sandbox.write("ws/alpha/README.md", "changed");
    server.fail(Stage::Push, Reaction::Status(429, "slowly"), usize::MAX);
    let arguments = [SYNC, &["--retries", "1"]].concat();
    let output = over_http(&sandbox, &server, &arguments);
    assert_error(output, 4, "rate-limited", json!(false));
}

// Refusals.

#[test]
fn refused_push_is_made_once() {
    for hook in ["pre-receive", "update"] {
        let (sandbox, codex) = world();
        let runs = sandbox.path("runs");
        codex.hook(
            hook,
            &format!("echo run >> {}; echo no >&2; exit 1", runs.display()),
        );
        let document = assert_error(sandbox.run(SYNC), 5, "declined", json!(false));
        assert_eq!(document["attempts"], 1);
        assert_eq!(fs::read_to_string(runs).unwrap(), "run\n", "{hook}");
    }
}

#[test]
fn transaction_that_a_hook_aborts_is_refused_once() {
    let (sandbox, codex) = world();
    codex.hook(
        "reference-transaction",
        "[ \"$1\" = prepared ] && exit 1; exit 0",
    );
    let document = assert_error(sandbox.run(SYNC), 5, "declined", json!(false));
    assert_eq!(document["attempts"], 1);
}

#[test]
fn branch_name_that_is_a_directory_is_refused_once() {
    let (sandbox, codex) = world();
    codex.git(&["update-ref", "refs/heads/docs/old", "main"]);
    let branch = [
        "--config",
        "remote.create=true",
        "--config",
        "remote.branch=docs",
    ];
    let output = sandbox.run(&[SYNC, &branch].concat());
    let document = assert_error(output, 5, "declined", json!(false));
    assert_eq!(document["attempts"], 1);
}

#[test]
fn refused_run_in_both_directions_reports_both() {
    let (sandbox, codex) = world();
    codex.hook("pre-receive", "exit 1");
    let both = [
        "--bidirectional",
        "--config",
        "sync.from_codex.include=['codex://acme/*/**']",
    ];
    let output = sandbox.run(&[SYNC, &both].concat());
    let document = assert_error(output, 5, "declined", json!(false));
    assert_eq!(document["direction"], "bidirectional");
    assert_eq!(document["totals"]["projects"], 1);

    codex.hook("pre-receive", "exit 0");
    let document = sandbox.run(&[SYNC, &both].concat()).code(0).json();
    assert_eq!(document["projects"].as_array().unwrap().len(), 2);
    assert_eq!(document["totals"]["projects"], 1);
}

// Commits that land late, below others, or not in the branch.

/// Git that loses the first push before it is made, and makes it at a later step.
fn lose_first_push(sandbox: &Sandbox, step: &str) {
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
fn noise_beside_a_lost_connection_is_not_a_refusal() {
    for noise in [
        "-bash: pyenv: command not found",
        "NOTICE: the file does not exist",
        "secret-tool: no certificate",
    ] {
        let (sandbox, _) = world();
        sandbox.wrap_git(&format!(
            "case \" $* \" in\n\
             *' push '*)\n\
               echo '{noise}' >&2\n\
               echo 'Writing objects: 100% (3/3), done.' >&2\n\
               echo 'fatal: the remote end hung up unexpectedly' >&2\n\
               exit 128;;\n\
             esac"
        ));
        let output = sandbox.run(&[SYNC, &["--retries", "0"]].concat());
        assert_error(output, 4, "no-verdict", Value::Null);
    }
}

#[test]
fn lost_push_that_lands_before_the_next_fetch_is_reported_as_pushed() {
    for step in ["fetch", "push"] {
        let (sandbox, codex) = world();
        let before = codex.tip();
        lose_first_push(&sandbox, step);
        let document = sandbox.run(SYNC).code(0).json();
        assert_eq!(document["pushed"], true, "{step}: {document:#}");
        let remote = &document["remote"];
        assert_eq!(
            (remote["before"].as_str(), remote["after"].as_str()),
            (before.as_deref(), codex.tip().as_deref()),
            "{step}"
        );
        let project = &document["projects"][0];
        assert_eq!(
            (&project["status"], &project["added"]),
            (&json!("synced"), &json!(1))
        );
        assert_eq!(project["commit"].as_str(), codex.tip().as_deref());
        assert_eq!(
            codex.subjects(),
            ["Sync 1 files from alpha", "Somebody else"]
        );
    }
}

#[test]
fn lost_push_that_lands_below_the_commits_of_others_is_reported_as_pushed() {
    let (sandbox, codex) = world();
    let before = codex.tip();
    lose_first_push(&sandbox, "fetch");
    // Right behind it comes another client.
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
    // What was recorded is true: there is nothing left to do.
    let again = sandbox.run(SYNC).code(0).json();
    assert_eq!(again["pushed"], false);
}

#[test]
fn signal_after_a_lost_push_leaves_the_outcome_open() {
    let (sandbox, codex) = world();
    lose_first_push(&sandbox, "never");
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
fn commits_are_found_below_many_of_others() {
    let (sandbox, codex) = world();
    // Three hundred commits of others before the branch is asked for.
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
fn rewritten_history_is_proven_to_the_root() {
    let (sandbox, codex) = world();
    codex.go_on(600);
    // The branch becomes one that shares only the beginning with what was there.
    codex.hook(
        "post-receive",
        "id=$(git -c user.name=x -c user.email=x commit-tree -p main~500 -m rewritten 'main^{tree}'); git update-ref refs/heads/main $id",
    );
    let document = assert_error(sandbox.run(SYNC), 5, "landed-then-removed", json!(false));
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("landed, then removed"), "{message}");
}

/// A server that turns pushes into reviews: `report` is what it answers for the ref.
fn review(codex: &Codex, report: &str) {
    codex.git(&["config", "receive.procReceiveRefs", "refs/heads/main"]);
    codex.hook(
        "proc-receive",
        &format!("printf '000eversion=1\\n0000{report}0000'; cat > /dev/null"),
    );
}

#[test]
fn push_that_became_a_review_is_no_success() {
    let accepted = "0016ok refs/heads/main";
    let redirected = format!("{accepted}0026option refname refs/changes/1/head");
    for (report, says) in [
        (accepted, "turned the push into a review"),
        (redirected.as_str(), "`refs/changes/1/head`"),
    ] {
        let (sandbox, codex) = world();
        review(&codex, report);
        let document = assert_error(sandbox.run(SYNC), 5, "not-in-branch", json!(false));
        assert_eq!(document["attempts"], 1);
        let error = document["error"].to_string();
        assert!(
            error.contains("accepted the push") && error.contains("does not contain"),
            "{error}"
        );
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("rewrote"), "{error}");
        assert_eq!(codex.subjects().len(), 1);
    }
}

#[test]
fn replica_that_lags_is_asked_again() {
    let (sandbox, codex) = world();
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
    let document = sandbox.run(SYNC).code(0).json();
    assert_eq!(
        (&document["attempts"], &document["pushed"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(codex.subjects().len(), 2);
}

// The server's words.

#[test]
fn words_of_the_server_are_whole() {
    let (sandbox, codex) = world();
    codex.hook(
        "pre-receive",
        "cat >&2 <<'END'\nPolicy:\n\n  coverage 71% (needs 80%)\n\thint: ask the owners\nhint: twice\nTotal 3 (delta 0)\nEND\nexit 1",
    );
    let output = sandbox.run(&["sync", "--all"]).code(5);
    let block = "\n  remote: Policy:\n  remote:\n  remote:   coverage 71% (needs 80%)\n  remote:     hint: ask the owners\n  remote: hint: twice\n  remote: Total 3 (delta 0)\n";
    assert!(output.stderr.contains(block), "{}", output.stderr);
    assert_eq!(output.stderr.matches("coverage 71%").count(), 1);
    assert!(!output.stderr.contains("caused by:"), "{}", output.stderr);

    let document = sandbox.run(SYNC).code(5).json();
    let expected = [
        "remote: Policy:",
        "remote:",
        "remote:   coverage 71% (needs 80%)",
        "remote:     hint: ask the owners",
        "remote: hint: twice",
        "remote: Total 3 (delta 0)",
    ];
    assert_eq!(causes(&document), expected);
    assert_eq!(document.to_string().matches("coverage 71%").count(), 1);
}

#[test]
fn words_of_the_server_are_bounded() {
    let (sandbox, codex) = world();
    codex.hook("pre-receive", "seq 5000 >&2; exit 1");
    let document = sandbox.run(SYNC).code(5).json();
    let causes = causes(&document);
    assert_eq!(causes.len(), 201);
    assert!(causes[0].contains("4800 earlier lines"), "{}", causes[0]);
    assert_eq!(causes[200], "remote: 5000");
}

#[test]
fn reason_of_an_unpacker_error_is_shown() {
    let (sandbox, codex) = world();
    codex.git(&["config", "receive.maxInputSize", "10"]);
    let document = assert_error(sandbox.run(SYNC), 5, "too-large", json!(false));
    assert_eq!(document["attempts"], 1);
    let error = document["error"].to_string();
    assert!(error.contains("pack exceeds maximum"), "{error}");
    assert!(error.contains("unpacker error: "), "{error}");
}

#[test]
fn words_with_a_success_are_shown() {
    let (sandbox, codex) = world();
    codex.hook(
        "post-receive",
        "echo 'Bypassed rule violations for refs/heads/main' >&2",
    );
    let output = sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        output.stderr,
        "remote: Bypassed rule violations for refs/heads/main\n"
    );
    sandbox.write("ws/alpha/README.md", "2");
    let quiet = sandbox.run(&["sync", "--all", "-q"]).code(0);
    assert_eq!(quiet.stderr, "");
    sandbox.write("ws/alpha/README.md", "3");
    let lines = sandbox
        .run(&["sync", "--all", "--format", "ndjson"])
        .code(0);
    let event =
        r#"{"event":"server-words","lines":["Bypassed rule violations for refs/heads/main"]}"#;
    assert!(
        lines.stdout.lines().any(|line| line == event),
        "{}",
        lines.stdout
    );
}

#[test]
fn interrupted_run_shows_the_words_of_the_server() {
    let (sandbox, codex) = world();
    let gate = codex.hold_pushes(&sandbox);
    codex.hook(
        "pre-receive",
        &format!("{}; echo 'frozen until Monday' >&2; exit 1", gate.script()),
    );
    let child = sandbox.start(&["sync", "--all"]);
    gate.wait();
    send(&child, Signal::TERM);
    gate.wait_on();
    gate.open();
    let output = sandbox.ended(child).code(143);
    assert!(
        output.stderr.contains("  remote: frozen until Monday\n"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.subjects().len(), 1);
}

#[test]
fn project_that_a_path_rule_refuses_is_named() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta", "gamma"], "");
    for project in ["alpha", "beta", "gamma"] {
        sandbox.write(&format!("ws/{project}/README.md"), project);
    }
    codex.hook(
        "update",
        "echo 'FATAL: W VREF/NAME/projects/beta/README.md acme/codex bot DENIED' >&2; exit 1",
    );
    let document = sandbox.run(SYNC).code(5).json();
    let hints = document["error"]["hints"].to_string();
    assert!(
        hints.contains("names `beta`") && hints.contains("`fractary-codex sync -p alpha -p gamma`"),
        "{hints}"
    );
    // Words that name nothing: the way to find out is named.
    codex.hook("update", "echo 'denied by rule 7' >&2; exit 1");
    let document = sandbox.run(SYNC).code(5).json();
    let hints = document["error"]["hints"].to_string();
    assert!(hints.contains("`-p NAME`"), "{hints}");
}
