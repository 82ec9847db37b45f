//! `push.mode: pull-request`: one pull request per sync branch, on every forge.

use serde_json::Value;

use crate::support::forge::{FORGE_TOKEN, Forge, Kind, Merge, Reaction, Response};
use crate::support::{Output, TOKEN, World, wait_until};

pub(crate) const BRANCH: &str = "codex-sync/ws";

/// A workspace, its codex, and the forge that hosts it.
pub(crate) struct Hosted {
    pub(crate) forge: Forge,
    pub(crate) world: World,
}

impl Hosted {
    pub(crate) fn new(kind: Kind) -> Self {
        Self::with(kind, World::new())
    }

    pub(crate) fn with(kind: Kind, world: World) -> Self {
        let forge = Forge::start(kind, &world.sandbox.path("codex.git"));
        Self { forge, world }
    }

    pub(crate) fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.world.command(arguments);
        command.envs(self.forge.variables());
        command.envs(variables.iter().copied());
        let output = self.world.sandbox.finish(command);
        for stream in [&output.stdout, &output.stderr] {
            assert!(!stream.contains(FORGE_TOKEN), "{stream}");
        }
        output
    }

    #[track_caller]
    pub(crate) fn sync(&self, code: i32) -> Value {
        self.run(&["sync", "--all", "--json"], &[])
            .code(code)
            .json()
    }

    pub(crate) fn write(&self, contents: &str) {
        self.world.sandbox.write("ws/alpha/README.md", contents);
    }

    pub(crate) fn tip(&self) -> Option<String> {
        self.world.tip_of(BRANCH)
    }

    /// The file of the project on a branch.
    pub(crate) fn published(&self, branch: &str) -> String {
        self.world.file_on(branch, "projects/alpha/README.md")
    }

    /// Asserts that no request since the last call has written.
    #[track_caller]
    pub(crate) fn only_read(&self) {
        let requests = self.forge.take_requests();
        let is_read = |request: &String| request.starts_with("GET ");
        assert!(requests.iter().all(is_read), "{requests:#?}");
    }
}

/// The status of the only project.
pub(crate) fn status(document: &Value) -> &str {
    document["projects"][0]["status"].as_str().unwrap()
}

/// The state of the only pull request.
pub(crate) fn state(document: &Value) -> &str {
    document["pull_requests"][0]["state"].as_str().unwrap()
}

#[test]
fn saved_plan_is_proposed() {
    let hosted = Hosted::new(Kind::GitHub);
    let save = ["sync", "--all", "--dry-run", "--plan-out", "../plan.json"];
    hosted.run(&save, &[]).code(0);
    hosted.only_read();
    let apply = ["sync", "--plan", "../plan.json", "--json"];
    let document = hosted.run(&apply, &[]).code(0).json();
    assert_eq!(
        (status(&document), state(&document)),
        ("proposed", "created")
    );
    assert_eq!(hosted.published(BRANCH), "alpha");

    // Another request does not open a second one.
    hosted.forge.take_requests();
    let document = hosted.run(&apply, &[]).code(5).json();
    assert_eq!(document["error"]["kind"], "plan-differs");
    hosted.only_read();
}

#[test]
fn pull_request_is_in_the_document() {
    let hosted = Hosted::new(Kind::GitHub);
    let document = hosted.sync(0);
    let pull = &document["pull_requests"][0];
    assert_eq!(pull["head"], hosted.tip().unwrap().as_str());
    assert_eq!(
        (&pull["number"], &pull["branch"]),
        (&1.into(), &BRANCH.into())
    );
    assert_eq!(document["totals"]["proposed"], 1);
    let pull = &hosted.forge.pulls()[0];
    assert_eq!(pull.title, "Sync 1 file from alpha");
    assert!(
        pull.body.contains("| `alpha` | 1 | 0 | 0 |"),
        "{}",
        pull.body
    );
}

#[test]
fn finding_is_in_the_pull_request() {
    let hosted = Hosted::new(Kind::GitHub);
    hosted.write("<<<<<<< HEAD\n=======\n>>>>>>> branch\n");
    let warn = ("FRACTARY_CODEX_SYNC__CHECKS__CONFLICT_MARKERS", "warn");
    hosted.run(&["sync", "--all"], &[warn]).code(0);
    let body = &hosted.forge.pulls()[0].body;
    let line = "alpha/README.md:1:1: a merge conflict is not resolved (conflict_markers, ";
    assert!(body.contains(line), "{body}");
}

#[test]
fn secret_in_a_configured_text_is_not_in_the_pull_request() {
    let hosted = Hosted::new(Kind::GitHub);
    let token = [
        "xoxb-",
        "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1",
    ]
    .concat();
    let text = format!("with {token}");
    let variables =
        ["TITLE", "BODY"].map(|key| format!("FRACTARY_CODEX_PUSH__PULL_REQUEST__{key}"));
    let variables: Vec<_> = variables
        .iter()
        .map(|key| (key.as_str(), text.as_str()))
        .collect();
    let output = hosted.run(&["sync", "--all"], &variables).code(0);
    let pull = &hosted.forge.pulls()[0];
    assert_eq!(pull.title, "Sync 1 file from alpha");
    assert!(
        pull.body.contains("published by fractary-codex"),
        "{}",
        pull.body
    );
    for text in [&pull.body, &output.stderr] {
        assert!(!text.contains(&token), "{text}");
    }
    for key in ["title", "body"] {
        let warning = format!("`push.pull_request.{key}` contains a secret");
        assert!(output.stderr.contains(&warning), "{}", output.stderr);
    }
}

/// [`Hosted::run`] asserts that no stream has the token.
#[test]
fn logs_show_the_requests_without_the_token() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        let output = hosted.run(&["-vv", "sync", "--all"], &[]).code(0);
        assert!(output.stderr.contains("api request"), "{}", output.stderr);

        let echo = format!("the token {FORGE_TOKEN} is not valid");
        let rejection = Reaction::Respond(Response::rejection(401, &echo));
        hosted.forge.fail("GET", "", rejection, 1);
        let output = hosted.run(&["-vv", "sync", "--all"], &[]).code(4);
        assert!(
            output.stderr.contains("the token *** is not valid"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn signal_while_the_forge_lags_leaves_a_pushed_branch() {
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
        let is_read = |target: &str| target.ends_with("/pulls/1");
        requests
            .iter()
            .filter(|request| is_read(&request.target))
            .count()
            > 2
    });
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let document = hosted.world.sandbox.ended(child).code(143).json();
    assert_eq!(
        (state(&document), &document["pushed"]),
        ("pushed-only", &true.into())
    );
    assert_eq!(document["pull_requests"][0]["number"], 1);

    hosted.forge.lag(0);
    assert_eq!(state(&hosted.sync(0)), "unchanged");
}

#[test]
fn texts_of_a_person_are_kept() {
    let hosted = Hosted::new(Kind::GitHub);
    hosted.sync(0);
    hosted.forge.edit(1, |pull| {
        pull.title = "Our documents".to_owned();
        pull.body = format!("Please read.\n\n{}\n\nThank you.", pull.body);
    });
    hosted.write("changed");
    hosted.world.sandbox.write("ws/alpha/docs/a.md", "a");
    hosted.sync(0);
    let requests = hosted.forge.requests();
    let update = requests.iter().find(|request| request.method == "PATCH");
    let update = &update.unwrap().body;
    assert!(
        update["title"].is_null() && update["body"].is_string(),
        "{update}"
    );

    let pull = &hosted.forge.pulls()[0];
    assert_eq!(pull.title, "Our documents");
    assert!(
        pull.body.starts_with("Please read.\n\n<!--"),
        "{}",
        pull.body
    );
    assert!(pull.body.ends_with("-->\n\nThank you."), "{}", pull.body);
    assert!(
        pull.body.contains("| `alpha` | 2 | 0 | 0 |"),
        "{}",
        pull.body
    );
}

#[test]
fn branch_that_was_squashed_is_made_anew_over_http() {
    let hosted = Hosted::with(Kind::Gitea, World::behind_http());
    let token = [("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN)];
    hosted.run(&["sync", "--all"], &token).code(0);
    hosted.forge.merge(1, Merge::Squash);
    hosted.write("changed");
    let output = hosted.run(&["sync", "--all", "--json"], &token).code(0);
    assert_eq!(state(&output.json()), "created");
    let range = format!("main..{BRANCH}");
    let commits = hosted.world.codex.git(&["rev-list", "--count", &range]);
    assert_eq!(commits.trim(), "1");
}

#[test]
fn merged_branch_that_the_server_keeps_is_continued() {
    let hosted = Hosted::new(Kind::GitHub);
    hosted.sync(0);
    hosted.forge.merge(1, Merge::Squash);
    hosted
        .world
        .codex
        .git(&["config", "receive.denyDeletes", "true"]);
    hosted.write("changed");
    let document = hosted.sync(0);
    assert_eq!(state(&document), "created");
    let warning = document["warnings"][0]["message"].as_str().unwrap();
    assert!(warning.contains("cannot be deleted"), "{warning}");
    hosted.forge.merge(2, Merge::Commit);
    assert_eq!(hosted.published("main"), "changed");
}

#[test]
fn closed_pull_request_without_a_branch_withholds_the_same_contents() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.sync(0);
        hosted.forge.close(1);
        hosted.world.codex.git(&["branch", "-D", BRANCH]);
        hosted.forge.take_requests();
        let withheld = hosted.sync(1);
        assert_eq!(status(&withheld), "withheld", "{kind:?} {withheld}");
        let error = &withheld["projects"][0]["error"]["message"];
        assert!(error.as_str().unwrap().contains("https://"), "{error}");
        assert_eq!(hosted.tip(), None);
        hosted.only_read();

        hosted.write("changed");
        hosted.sync(0);
        let body = &hosted.forge.pulls()[1].body;
        assert!(body.contains("An earlier pull request"), "{body}");
    }
}

#[test]
fn forge_that_does_not_know_the_branch_yet_is_waited_for() {
    for kind in [Kind::GitHub, Kind::GitLab] {
        let hosted = Hosted::new(kind);
        hosted.forge.hide_branch(2);
        assert_eq!(state(&hosted.sync(0)), "created", "{kind:?}");
    }
}

#[test]
fn head_that_is_never_shown_is_not_proposed() {
    let hosted = Hosted::new(Kind::GitLab);
    hosted.sync(0);
    hosted.forge.lag(usize::MAX);
    hosted.write("changed");
    let limit = ("FRACTARY_CODEX_REMOTE__TIMEOUT__PUSH_VERDICT", "1s");
    let output = hosted.run(&["sync", "--all", "--json"], &[limit]).code(4);
    let document = output.json();
    assert_eq!(
        (status(&document), state(&document)),
        ("failed", "pushed-only")
    );
    assert_eq!(document["pushed"], true);
    assert_eq!(document["error"]["kind"], "not-proposed");

    hosted.forge.lag(0);
    assert_eq!(state(&hosted.sync(0)), "unchanged");
}

#[test]
fn failure_after_the_push_is_repaired_by_the_next_run() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        let rejection = Response::rejection(500, "Internal Server Error");
        let target = if kind == Kind::GitLab {
            "/merge_requests"
        } else {
            "/pulls"
        };
        hosted
            .forge
            .fail("POST", target, Reaction::Respond(rejection), 1);
        let output = hosted.run(&["sync", "--all"], &[]).code(4);
        let text = format!("{}{}", output.stdout, output.stderr);
        for part in [
            "pushed",
            "not proposed",
            "is pushed, but its pull request is not confirmed",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let tip = hosted.tip();
        assert!(tip.is_some() && hosted.forge.pulls().is_empty());

        let next = hosted.sync(0);
        assert_eq!(
            (status(&next), state(&next)),
            ("up-to-date", "created"),
            "{kind:?}"
        );
        assert_eq!(hosted.tip(), tip);
        assert_eq!(hosted.forge.pulls().len(), 1);
    }
}

#[test]
fn nothing_is_pushed_without_a_usable_token() {
    let hosted = Hosted::new(Kind::GitHub);
    for (token, kind) in [("", "no-credentials"), ("wrong", "wrong-credentials")] {
        let variables = [("FRACTARY_CODEX_FORGE__TOKEN", token)];
        let output = hosted.run(&["sync", "--all", "--json"], &variables).code(4);
        let document = output.json();
        assert_eq!(document["error"]["kind"], kind, "{document}");
        assert_eq!((&document["pushed"], hosted.tip()), (&false.into(), None));
    }
}

#[test]
fn pull_request_of_another_run_at_the_same_moment_is_used() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.sync(0);
        hosted.write("changed");
        // The list does not have the pull request yet, so the run tries to open another one.
        let target = if kind == Kind::GitLab {
            "/merge_requests?"
        } else {
            "/pulls?"
        };
        let empty = Response::json(200, &serde_json::json!([]));
        let times = if kind == Kind::Gitea { 2 } else { 1 };
        hosted
            .forge
            .fail("GET", target, Reaction::Respond(empty), times);
        assert_eq!(state(&hosted.sync(0)), "updated", "{kind:?}");
        assert_eq!(hosted.forge.pulls().len(), 1);
    }
}

#[test]
fn labels_reviewers_drafts_and_auto_merge_are_requested() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        // GitLab shows the pipeline of a new merge request late.
        hosted.forge.run_checks(5);
        let settings = [
            ("FRACTARY_CODEX_PUSH__PULL_REQUEST__LABELS", "['docs']"),
            ("FRACTARY_CODEX_PUSH__PULL_REQUEST__REVIEWERS", "['ada']"),
            ("FRACTARY_CODEX_PUSH__PULL_REQUEST__DRAFT", "true"),
            ("FRACTARY_CODEX_PUSH__PULL_REQUEST__AUTO_MERGE", "squash"),
            // The delays between two requests depend on it.
            ("FRACTARY_CODEX_REMOTE__TIMEOUT__IDLE", "1s"),
        ];
        let output = hosted.run(&["sync", "--all", "--json"], &settings).code(0);
        assert_eq!(output.json()["warnings"], serde_json::json!([]));
        let pull = &hosted.forge.pulls()[0];
        assert_eq!(
            (&pull.labels[..], &pull.reviewers[..]),
            (&["docs".to_owned()][..], &["ada".to_owned()][..])
        );
        assert!(pull.draft, "{kind:?}");
        let auto_merge = pull.auto_merge.as_ref().unwrap().to_string();
        let tip = hosted.tip().unwrap();
        assert!(auto_merge.contains(&tip), "{auto_merge}");
    }
}

#[test]
fn failures_after_the_opening_are_warnings() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        let settings = [
            (
                "FRACTARY_CODEX_PUSH__PULL_REQUEST__LABELS",
                "['a, b', 'unknown']",
            ),
            (
                "FRACTARY_CODEX_PUSH__PULL_REQUEST__REVIEWERS",
                "['author', 'ada']",
            ),
        ];
        let fault = Reaction::Respond(Response::rejection(403, "no labels"));
        hosted.forge.fail("POST", "/labels", fault, 1);
        let document = hosted
            .run(&["sync", "--all", "--json"], &settings)
            .code(0)
            .json();
        assert_eq!(
            (status(&document), state(&document)),
            ("proposed", "created")
        );
        assert_eq!(
            document["warnings"].as_array().unwrap().len(),
            2,
            "{document}"
        );
        assert_eq!(hosted.forge.pulls()[0].reviewers, ["ada"], "{kind:?}");
    }
}

/// Without checks, GitLab and Gitea would merge at once.
#[test]
fn nothing_is_merged_without_checks() {
    let settings = [
        ("FRACTARY_CODEX_PUSH__PULL_REQUEST__AUTO_MERGE", "merge"),
        // The delays between two requests depend on it.
        ("FRACTARY_CODEX_REMOTE__TIMEOUT__IDLE", "1s"),
    ];
    for (kind, reason) in [
        (Kind::GitLab, "no pipeline runs"),
        (Kind::Gitea, "neither checks nor approvals"),
    ] {
        let hosted = Hosted::new(kind);
        let document = hosted
            .run(&["sync", "--all", "--json"], &settings)
            .code(0)
            .json();
        let warning = document["warnings"][0]["message"].as_str().unwrap();
        assert!(warning.contains(reason), "{warning}");
        assert!(hosted.forge.pulls()[0].auto_merge.is_none());
    }
}

#[test]
fn merge_at_once_is_a_warning() {
    let hosted = Hosted::new(Kind::Gitea);
    hosted.forge.run_checks(0);
    let merged = Reaction::Respond(Response::json(200, &serde_json::json!({})));
    hosted.forge.fail("POST", "/merge", merged, 1);
    let settings = [("FRACTARY_CODEX_PUSH__PULL_REQUEST__AUTO_MERGE", "merge")];
    let output = hosted.run(&["sync", "--all", "--json"], &settings).code(0);
    let document = output.json();
    let warning = document["warnings"][0]["message"].as_str().unwrap();
    assert!(
        warning.contains("has merged the pull request at once"),
        "{warning}"
    );
}

#[test]
fn draft_that_the_forge_refuses_is_opened_without_it() {
    let hosted = Hosted::new(Kind::GitHub);
    let rejection = Response::rejection(
        422,
        "Draft pull requests are not supported in this repository.",
    );
    hosted
        .forge
        .fail("POST", "/pulls", Reaction::Respond(rejection), 1);
    let settings = [("FRACTARY_CODEX_PUSH__PULL_REQUEST__DRAFT", "true")];
    let output = hosted.run(&["sync", "--all", "--json"], &settings).code(0);
    let document = output.json();
    assert_eq!(state(&document), "created");
    let warning = document["warnings"][0]["message"].as_str().unwrap();
    assert!(warning.contains("is not a draft"), "{warning}");
}

#[test]
fn label_that_is_too_long_is_left_out() {
    let labels = format!("['docs', '{}']", "x".repeat(256));
    let settings = [("FRACTARY_CODEX_PUSH__PULL_REQUEST__LABELS", labels.as_str())];
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        let output = hosted.run(&["sync", "--all", "--json"], &settings).code(0);
        let warnings = output.json()["warnings"].as_array().unwrap().len();
        assert_eq!(warnings, 1, "{kind:?}");
        assert_eq!(hosted.forge.pulls()[0].labels, ["docs"], "{kind:?}");
    }
}

/// GitLab executes the lines of a description that begin with `/` with the rights of the token.
#[test]
fn description_with_a_command_is_left_alone() {
    let hosted = Hosted::new(Kind::GitLab);
    hosted.sync(0);
    hosted
        .forge
        .edit(1, |pull| pull.body = format!("{}\n\n/approve", pull.body));
    let before = hosted.forge.pulls()[0].body.clone();
    hosted.write("changed");
    hosted.world.sandbox.write("ws/alpha/docs/a.md", "a");
    let document = hosted.sync(0);
    assert_eq!(state(&document), "updated");
    let warning = document["warnings"][0]["message"].as_str().unwrap();
    assert!(warning.contains("begins with `/`"), "{warning}");
    assert_eq!(hosted.forge.pulls()[0].body, before);
}

/// The list of Gitea has 50 entries per page, and no filter for the branch.
#[test]
fn lists_of_gitea_are_read_once_by_page() {
    let world = World::builder()
        .projects(&["alpha", "beta", "gamma"])
        .build();
    let hosted = Hosted::with(Kind::Gitea, world);
    let variables = [("FRACTARY_CODEX_PUSH__BRANCH", "docs/{project}")];
    hosted.run(&["sync", "--all"], &variables).code(0);
    hosted.forge.open_others(120);
    hosted.forge.take_requests();
    hosted.write("changed");
    hosted.run(&["sync", "--all"], &variables).code(0);
    let requests = hosted.forge.take_requests();
    let lists = requests
        .iter()
        .filter(|request| *request == "GET /repos/acme/codex/pulls");
    assert_eq!(lists.count(), 3, "{requests:#?}");
    assert!(!requests.iter().any(|request| request.starts_with("POST ")));
}

#[test]
fn request_that_a_rate_limit_rejected_is_sent_again() {
    for (kind, status) in [(Kind::GitHub, 403), (Kind::GitLab, 429), (Kind::Gitea, 429)] {
        let hosted = Hosted::new(kind);
        let mut limited = Response::rejection(status, "Retry later");
        limited.headers.push_str("Retry-After: 0\r\n");
        hosted.forge.fail("POST", "", Reaction::Respond(limited), 2);
        assert_eq!(state(&hosted.sync(0)), "created", "{kind:?}");
        let requests = hosted.forge.take_requests();
        let posts = requests
            .iter()
            .filter(|request| request.starts_with("POST "));
        assert_eq!((posts.count(), hosted.forge.pulls().len()), (3, 1));
    }
}

/// A rejection that is not about a commit that the forge does not know yet is not waited for.
#[test]
fn other_refusals_to_open_a_pull_request_are_errors_at_once() {
    let invalid = serde_json::json!({
        "message": "Validation Failed",
        "errors": [{ "resource": "PullRequest", "field": "head", "code": "invalid" }],
    });
    for (kind, response) in [
        (Kind::GitHub, Response::json(422, &invalid)),
        (Kind::GitLab, Response::rejection(400, "title is missing")),
        (
            Kind::Gitea,
            Response::rejection(404, "The target couldn't be found."),
        ),
    ] {
        let hosted = Hosted::new(kind);
        hosted
            .forge
            .fail("POST", "", Reaction::Respond(response), 1);
        let document = hosted.sync(4);
        assert_eq!(state(&document), "pushed-only", "{kind:?}");
        assert_eq!(state(&hosted.sync(0)), "created", "{kind:?}");
    }
}

/// The request is not sent again, because it may have been handled.
#[test]
fn connection_that_breaks_after_the_opening_opens_no_second_one() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.forge.fail("POST", "", Reaction::HandleAndCutOff, 1);
        let document = hosted.sync(4);
        assert_eq!(
            (state(&document), &document["pushed"]),
            ("pushed-only", &true.into())
        );
        assert_eq!(state(&hosted.sync(0)), "unchanged", "{kind:?}");
        assert_eq!(hosted.forge.pulls().len(), 1);
    }
}

#[test]
fn run_that_is_killed_after_the_push_is_continued() {
    for kind in [Kind::GitHub, Kind::GitLab] {
        let hosted = Hosted::new(kind);
        hosted.forge.hide_branch(usize::MAX);
        let mut command = hosted.world.command(&["sync", "--all", "--json"]);
        command.envs(hosted.forge.variables());
        let mut child = hosted.world.sandbox.spawn(command);
        wait_until("the run tries to open the pull request", || {
            let requests = hosted.forge.requests();
            requests.iter().any(|request| request.method == "POST")
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let tip = hosted.tip();
        assert!(tip.is_some() && hosted.forge.pulls().is_empty());

        hosted.forge.hide_branch(0);
        let document = hosted.sync(0);
        assert_eq!(
            (status(&document), state(&document)),
            ("up-to-date", "created"),
            "{kind:?}"
        );
        assert_eq!(hosted.tip(), tip);
    }
}

#[test]
fn status_shows_open_pull_requests_and_writes_nothing() {
    for kind in Kind::EACH_API {
        let hosted = Hosted::new(kind);
        hosted.sync(0);
        hosted.write("changed");
        hosted.forge.take_requests();
        let output = hosted.run(&["status", "--all"], &[]).code(0);
        let line = output
            .stdout
            .lines()
            .find(|line| line.starts_with("pull request 1 open"));
        let line = line.unwrap_or_else(|| panic!("{}", output.stdout));
        assert!(line.contains("since 2026-11-26"), "{line}");
        let page = hosted.run(&["status", "--all", "--html", "-"], &[]).code(0);
        assert!(
            page.stdout.contains(">pull request 1</a>"),
            "{}",
            page.stdout
        );
        hosted.only_read();

        hosted.forge.close(1);
        hosted.world.codex.git(&["branch", "-D", BRANCH]);
        hosted.write("alpha");
        let output = hosted.run(&["status", "--all", "--json"], &[]).code(1);
        assert_eq!(status(&output.json()), "withheld", "{kind:?}");
        hosted.only_read();
    }
}

#[test]
fn each_project_has_its_own_pull_request() {
    let world = World::builder()
        .projects(&["alpha", "beta", "gamma"])
        .build();
    let hosted = Hosted::with(Kind::GitHub, world);
    let variables = [
        ("FRACTARY_CODEX_PUSH__BRANCH", "docs/{project}"),
        ("FRACTARY_CODEX_PUSH__MAX_REFS", "2"),
    ];
    let sync = || {
        hosted
            .run(&["sync", "--all", "--json"], &variables)
            .code(0)
            .json()
    };
    let document = sync();
    let branches: Vec<_> = document["pull_requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pull| pull["branch"].as_str().unwrap())
        .collect();
    assert_eq!(branches, ["docs/alpha", "docs/beta", "docs/gamma"]);
    assert_eq!(hosted.forge.pulls().len(), 3);

    hosted.forge.merge(2, Merge::Squash);
    hosted.forge.close(3);
    hosted.write("changed");
    let output = hosted.run(&["sync", "--all", "--json"], &variables).code(1);
    let document = output.json();
    let statuses: Vec<_> = document["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| project["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["proposed", "up-to-date", "withheld"]);
    assert_eq!(hosted.forge.pulls().len(), 3);
}

#[test]
fn foreign_text_has_no_meaning_in_a_pull_request() {
    let world = World::builder().projects(&["alpha", "beta"]).build();
    world.sandbox.write("ws/beta/docs/@ada.md", "a");
    let link = [("120000", "projects/beta/docs/@ada.md", "x")];
    world.codex.commit(&link, &[]);
    let hosted = Hosted::with(Kind::GitLab, world);
    let body = (
        "FRACTARY_CODEX_PUSH__PULL_REQUEST__BODY",
        "Published.\n/merge\n <!-- x",
    );
    let output = hosted.run(&["sync", "--all", "--json"], &[body]).code(1);
    assert_eq!(output.json()["projects"][1]["status"], "withheld");
    let body = &hosted.forge.pulls()[0].body;
    assert!(body.contains("Not included:"), "{body}");
    for line in body.lines() {
        assert!(!line.trim_start().starts_with('/'), "{body}");
        let outside: String = line.split('`').step_by(2).collect();
        assert!(!outside.contains('@'), "{body}");
    }
    assert_eq!(body.matches("<!--").count(), 2, "{body}");
}

#[test]
fn step_of_a_workflow_has_outputs() {
    let hosted = Hosted::new(Kind::GitHub);
    let (output, summary) = (
        hosted.world.sandbox.path("output"),
        hosted.world.sandbox.path("summary"),
    );
    let variables = [
        ("GITHUB_OUTPUT", output.to_str().unwrap()),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
    ];
    hosted.run(&["sync", "--all"], &variables).code(0);
    let url = "https://github.example/acme/codex/pull/1";
    let written = std::fs::read_to_string(&output).unwrap();
    let tip = hosted.tip().unwrap();
    let (id, rest) = written.split_once("plan-id=").unwrap();
    assert_eq!(id, format!("changed=true\npushed=true\ntip={tip}\n"));
    let (id, rest) = rest.split_once('\n').unwrap();
    assert_eq!(id.len(), 40);
    assert_eq!(rest, format!("failed=false\npull-request-url={url}\n"));
    let summary = std::fs::read_to_string(&summary).unwrap();
    let commit = format!("| proposed `{}` |", &tip[..7]);
    assert!(
        summary.contains(url) && summary.contains(&commit),
        "{summary}"
    );

    let broken = [&variables[..1], &[("FRACTARY_CODEX_JOBS", "many")]].concat();
    std::fs::remove_file(variables[0].1).unwrap();
    hosted.run(&["sync", "--all"], &broken).code(3);
    let written = std::fs::read_to_string(variables[0].1).unwrap();
    let expected = "changed=false\npushed=false\ntip=\nplan-id=\nfailed=true\npull-request-url=\n";
    assert_eq!(written, expected);
}

#[test]
fn doctor_checks_auto_merge() {
    let hosted = Hosted::new(Kind::GitHub);
    let settings = [("FRACTARY_CODEX_PUSH__PULL_REQUEST__AUTO_MERGE", "merge")];
    let output = hosted.run(&["doctor"], &settings).code(0);
    let line = "pull requests: `acme/codex` on GitHub does not allow auto-merge";
    assert!(output.stdout.contains(line), "{}", output.stdout);
}
