//! The results of `doctor`, against a server that has the problem in question. Nothing is pushed.

use crate::support::http::{Reaction, Stage};
use crate::support::{Codex, TOKEN, World, skipped};

impl World {
    /// The verdict, kind and first hint of the check `subject`, and the exit status. Asserts that
    /// the codex and the workspace are unchanged.
    fn examine(&self, subject: &str, variables: &[(&str, &str)]) -> (String, String, String, i32) {
        let (check, code) = self.check(subject, variables);
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&check["verdict"]),
            text(&check["kind"]),
            text(&check["hints"][0]),
            code,
        )
    }

    /// The message of the check `subject`.
    fn message(&self, subject: &str, variables: &[(&str, &str)]) -> String {
        self.check(subject, variables).0["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn check(&self, subject: &str, variables: &[(&str, &str)]) -> (serde_json::Value, i32) {
        let before = (
            self.sandbox.fingerprint("codex.git"),
            self.sandbox.fingerprint("ws"),
        );
        let mut command = self.command(&["doctor", "--json"]);
        command
            .env("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN)
            .envs(variables.iter().copied());
        let output = self.sandbox.finish(command);
        assert!(
            !output.stdout.contains(TOKEN)
                && output.stderr.lines().all(|line| line.starts_with("::"))
                && !output.stderr.contains(TOKEN),
            "{}{}",
            output.stdout,
            output.stderr
        );
        assert_eq!(
            (
                self.sandbox.fingerprint("codex.git"),
                self.sandbox.fingerprint("ws")
            ),
            before
        );
        assert_eq!(self.sandbox.leftovers(), [""; 0]);
        let document = output.json();
        assert_eq!(document["exit_code"], output.code.unwrap());
        let check = document["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["subject"] == subject)
            .unwrap();
        (check.clone(), output.code.unwrap())
    }

    #[track_caller]
    fn shows(&self, subject: &str, variables: &[(&str, &str)], expected: (&str, &str, &str, i32)) {
        let (verdict, kind, hint, code) = self.examine(subject, variables);
        assert_eq!(
            (verdict.as_str(), kind.as_str(), code),
            (expected.0, expected.1, expected.3),
            "{hint}"
        );
        assert!(hint.contains(expected.2), "{hint}");
    }
}

#[test]
fn correct_setup_passes_all_checks() {
    let world = World::behind_http();
    for subject in [
        "configuration",
        "roots",
        "patterns",
        "disk",
        "remote",
        "branch",
        "clock",
        "push",
    ] {
        world.shows(subject, &[], ("ok", "ok", "", 0));
    }
    let output = world.sandbox.run(&["doctor"]).code(0);
    assert_eq!(
        output
            .stdout
            .lines()
            .filter(|line| line.starts_with("ok "))
            .count(),
        8,
        "{}",
        output.stdout
    );
}

#[test]
fn missing_or_wrong_token_fails_the_remote_check() {
    let world = World::behind_http();
    let none = ("FRACTARY_CODEX_REMOTE__TOKEN", "");
    world.shows(
        "remote",
        &[none],
        ("failed", "no-credentials", "`remote.token`", 4),
    );
    world.shows("push", &[none], ("skipped", "skipped", "", 4));
    let wrong = ("FRACTARY_CODEX_REMOTE__TOKEN", "wrong");
    world.shows(
        "remote",
        &[wrong],
        ("failed", "wrong-credentials", "not expired", 4),
    );
}

#[test]
fn read_only_token_fails_the_push_check() {
    let world = World::behind_http();
    world.server().fail(
        Stage::ListToPush,
        Reaction::Status(403, "Write access to repository not granted."),
        3,
    );
    world.shows("remote", &[], ("ok", "ok", "", 5));
    world.shows(
        "push",
        &[],
        ("failed", "forbidden", "lack a permission or a scope", 5),
    );
    // In GitHub Actions, the job's own token can only write to the job's repository.
    world.shows(
        "push",
        &[("GITHUB_ACTIONS", "true")],
        ("failed", "forbidden", "as a secret", 5),
    );
}

#[test]
fn missing_credentials_for_pushing_fail_the_push_check() {
    let world = World::builder().server(None).build();
    let none = ("FRACTARY_CODEX_REMOTE__TOKEN", "");
    world
        .server()
        .fail(Stage::ListToPush, Reaction::Status(401, ""), 2);
    world.shows(
        "push",
        &[none],
        ("failed", "no-credentials", "set `remote.token`", 5),
    );
    // Without credentials, the message does not mention them.
    assert_eq!(
        world.message("remote", &[none]),
        format!("{} is reachable", world.server().url("codex.git"))
    );
    let path = world.codex.path().display().to_string();
    assert_eq!(
        world.message("remote", &[("FRACTARY_CODEX_REMOTE__URL", &path)]),
        format!("{path} is reachable")
    );
    assert!(
        world
            .message("remote", &[])
            .ends_with(" is reachable, credentials accepted for reading")
    );
}

#[test]
fn unavailable_server_is_not_a_missing_permission() {
    let world = World::behind_http();
    world
        .server()
        .fail(Stage::ListToPush, Reaction::Status(503, "later"), 1);
    world.shows(
        "push",
        &[],
        ("failed", "server-failure", "try again later", 4),
    );
    world.server().fail(Stage::ListToPush, Reaction::Stall, 1);
    let patience = (
        "FRACTARY_CODEX_REMOTE__TIMEOUT",
        "{connect='1s', idle='1s'}",
    );
    world.shows("push", &[patience], ("failed", "timed-out", "try again", 4));
}

#[test]
fn checks_after_a_failed_fetch_are_skipped() {
    let world = World::behind_http();
    let failing = "case \"$*\" in *' fetch '*) echo 'fatal: The requested URL returned error: 503' >&2; exit 128;; esac";
    world.sandbox.wrap_git(failing);
    world.shows("fetch", &[], ("failed", "server-failure", "", 4));
    for subject in ["clock", "push"] {
        world.shows(subject, &[], ("skipped", "skipped", "", 4));
    }
}

#[test]
fn signal_takes_precedence_in_the_exit_status() {
    let world = World::behind_http();
    world.sandbox.remove("ws/alpha");
    world
        .sandbox
        .wrap_git("case \"$*\" in *fetch*) kill -TERM $PPID; exec tail -f /dev/null;; esac");
    world.shows("roots", &[], ("failed", "root", "", 143));
}

#[test]
fn unwritable_directory_is_a_warning() {
    let world = World::behind_http();
    let warns = |arguments: &[(&str, &str)], directory: &str, hint: &str| {
        let message = world.message("disk", arguments);
        assert!(
            message.contains(directory) && message.contains("cannot be written: "),
            "{message}"
        );
        assert!(!message.contains(" at path "), "{message}");
        world.shows("disk", arguments, ("warning", "odd", hint, 0));
    };
    let nowhere = "/proc/none";
    warns(
        &[("FRACTARY_CODEX_CACHE__DIR", nowhere)],
        nowhere,
        "or set `cache.dir` to another directory",
    );
    let unused = [
        ("FRACTARY_CODEX_CACHE__DIR", nowhere),
        ("FRACTARY_CODEX_CACHE__ENABLED", "false"),
    ];
    world.shows("disk", &unused, ("ok", "ok", "", 0));
    let pulling = [
        unused[0],
        unused[1],
        ("FRACTARY_CODEX_SYNC__DIRECTION", "from-codex"),
    ];
    warns(&pulling, nowhere, "or set `cache.dir` to another directory");
    let clones = [
        ("XDG_CACHE_HOME", nowhere),
        ("FRACTARY_CODEX_CLONE__STRATEGY", "cached"),
    ];
    warns(&clones, nowhere, "or set `clone.strategy: temp`");
    world.shows("disk", &clones[..1], ("ok", "ok", "", 0));
}

#[test]
fn missing_repository_fails_and_empty_one_passes() {
    let world = World::behind_http();
    let url = world.server().url("nothing.git");
    world.shows(
        "remote",
        &[("FRACTARY_CODEX_REMOTE__URL", &url)],
        ("failed", "not-found", "`remote.url`", 4),
    );
    Codex::empty(&world.sandbox.path("empty.git"), &world.sandbox);
    let url = world.server().url("empty.git");
    for subject in ["branch", "push"] {
        world.shows(
            subject,
            &[("FRACTARY_CODEX_REMOTE__URL", &url)],
            ("ok", "ok", "", 0),
        );
    }
}

#[test]
fn missing_branch_fails() {
    let missing = [("FRACTARY_CODEX_REMOTE__BRANCH", "staging")];
    World::behind_http().shows(
        "branch",
        &missing,
        ("failed", "branch-missing", "`remote.create: true`", 4),
    );
}

#[test]
fn codex_of_another_user_fails_with_a_hint() {
    let world = World::behind_http();
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can change the owner of the codex");
    }
    std::os::unix::fs::chown(world.codex.path(), Some(65534), Some(65534)).unwrap();
    let path = world.codex.path().display().to_string();
    world.shows(
        "remote",
        &[("FRACTARY_CODEX_REMOTE__URL", &path)],
        ("failed", "dubious-ownership", "safe.directory", 4),
    );
    // The hint replaces git's own advice.
    let (check, _) = world.check("remote", &[("FRACTARY_CODEX_REMOTE__URL", &path)]);
    assert!(
        !check["causes"].to_string().contains("exception")
            && !check["causes"].to_string().contains("git config")
    );
}

#[test]
fn missing_root_fails_and_unmatched_pattern_is_a_warning() {
    let world = World::behind_http();
    world.shows(
        "roots",
        &[("FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE", "['nothing/**']")],
        ("warning", "odd", "`projects`", 0),
    );
    world.sandbox.remove("ws/alpha");
    world.shows("roots", &[], ("failed", "root", "`projects.alpha.root`", 1));
}

#[test]
fn clock_behind_the_codex_is_a_warning() {
    let world = World::behind_http();
    let tree = world.codex.git(&["rev-parse", "main^{tree}"]);
    let stamp = "Bob <b@b> 4102444800 +0000";
    let commit = format!(
        "tree {}\nauthor {stamp}\ncommitter {stamp}\n\nFrom the future\n",
        tree.trim()
    );
    std::fs::write(world.codex.path().join("future"), commit).unwrap();
    let commit = world
        .codex
        .git(&["hash-object", "-t", "commit", "-w", "future"]);
    world
        .codex
        .git(&["update-ref", "refs/heads/main", commit.trim()]);
    world.shows("clock", &[], ("warning", "odd", "clock", 0));
}

#[test]
fn invalid_configuration_fails() {
    let world = World::behind_http();
    world.shows(
        "configuration",
        &[("FRACTARY_CODEX_JOBS", "many")],
        ("failed", "configuration", "", 3),
    );
}

#[test]
fn repository_and_branch_to_be_created_pass() {
    let world = World::behind_http();
    let run = |more: &[&str]| {
        let arguments = [&["doctor", "--config", "remote.create=true"], more].concat();
        let output = world.sandbox.run(&arguments).code(0);
        assert!(!world.sandbox.path("new.git").exists());
        output.stdout
    };
    let text = run(&["--config", "remote.url=../new.git"]);
    assert!(
        text.contains("new.git` does not exist yet; the first sync will create it"),
        "{text}"
    );
    let text = run(&["--config", "remote.branch=next"]);
    assert!(
        text.contains("`next` does not exist yet; the first sync will create it from `main`"),
        "{text}"
    );
    assert!(text.contains("push: allowed"), "{text}");
    assert_eq!(world.codex.git(&["branch", "--list", "next"]), "");
}
