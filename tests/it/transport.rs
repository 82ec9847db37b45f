//! Which transport is chosen, and what the embedded one does in its own way.

use crate::support::http::{HttpServer, Reaction, Stage};
use crate::support::{Codex, Output, Sandbox, executable};

/// One project with a change to publish.
fn world() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    codex.commit(&[("100644", "README.md", "the codex")], &[]);
    sandbox.write("ws/alpha/README.md", "alpha");
    (sandbox, codex)
}

/// Syncs by the transport of this name, with no other `git` than a script that leaves a trace and then does this.
fn sync(sandbox: &Sandbox, transport: &str, git: Option<&str>) -> Output {
    if let Some(script) = git {
        let traced = format!("echo >> {}\n{script}", sandbox.path("asked").display());
        executable::script(&sandbox.path("bin/git"), &traced);
    }
    let transport = format!("remote.transport={transport}");
    let mut command = sandbox.program(&["sync", "--all", "--json", "--config", &transport]);
    command.env("PATH", sandbox.path("bin"));
    sandbox.finish(command)
}

#[track_caller]
fn no_transport(output: Output, message: &str, hint: &str) {
    let error = &output.code(4).json()["error"];
    assert_eq!(error["kind"], "no-transport");
    assert!(
        error["message"].as_str().unwrap().contains(message),
        "{error}"
    );
    assert!(
        error["hints"][0].as_str().unwrap().contains(hint),
        "{error}"
    );
}

#[test]
fn git_that_is_asked_for_and_not_there_is_an_error() {
    let (sandbox, _codex) = world();
    no_transport(sync(&sandbox, "git", None), "no usable `git`", "git 2.31");
    no_transport(
        sync(&sandbox, "git", Some("echo git version 2.30.9; exit 1")),
        "no usable `git`",
        "git 2.31",
    );
}

#[cfg(not(feature = "embedded-transport"))]
#[test]
fn a_build_without_the_embedded_transport_says_so() {
    let (sandbox, _codex) = world();
    no_transport(
        sync(&sandbox, "libgit2", None),
        "has no embedded transport",
        "`remote.transport: git`",
    );
    no_transport(
        sync(&sandbox, "auto", None),
        "no usable `git`",
        "`embedded-transport`",
    );
}

#[test]
fn a_redirect_is_followed_where_no_token_is_attached() {
    let (sandbox, codex) = world();
    let (old, new) = (
        HttpServer::start(&sandbox.path(""), None),
        HttpServer::start(&sandbox.path(""), None),
    );
    let to = new.url("").trim_end_matches('/').to_owned();
    for stage in [Stage::ListToFetch, Stage::ListToPush] {
        old.fail(stage, Reaction::Redirect(to.clone()), usize::MAX);
    }
    let mut command = sandbox.program(&["sync", "--all"]);
    command.env("FRACTARY_CODEX_REMOTE__URL", old.url("codex.git"));
    sandbox.finish(command).code(0);
    assert_eq!(
        codex.subjects(),
        ["Sync 1 files from alpha", "Somebody else"]
    );
    // Objects went straight to the new place.
    assert!(
        old.requests()
            .iter()
            .all(|request| request.target.contains("/info/refs"))
    );
}

#[test]
fn the_users_proxy_is_used() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    sandbox.write(
        "home/.gitconfig",
        format!("[http]\n\tproxy = http://{free}\n"),
    );
    let sync = || {
        let mut command = sandbox.program(&["sync", "--all"]);
        command.env("FRACTARY_CODEX_REMOTE__URL", server.url("codex.git"));
        sandbox.finish(command)
    };
    let output = sync().code(4);
    assert!(
        output.stderr.contains("cannot connect to"),
        "{}",
        output.stderr
    );
    assert!(server.requests().is_empty());
    sandbox.remove("home/.gitconfig");
    sync().code(0);
    assert_eq!(codex.subjects().len(), 2);
}

#[cfg(feature = "embedded-transport")]
mod embedded {
    use super::*;

    #[test]
    fn libgit2_is_used_when_it_is_named_or_git_is_missing_or_too_old() {
        for (transport, git, asked) in [
            ("libgit2", Some("exit 1"), 0),
            ("auto", None, 0),
            // Its version is looked at, and that is all.
            ("auto", Some("echo git version 2.30.9"), 1),
            ("auto", Some("exit 1"), 1),
        ] {
            for over_http in [false, true] {
                let (sandbox, codex) = world();
                if over_http {
                    sandbox.serve();
                }
                let document = sync(&sandbox, transport, git).code(0).json();
                assert_eq!(document["pushed"], true);
                let trace = std::fs::read_to_string(sandbox.path("asked")).unwrap_or_default();
                assert_eq!(trace.lines().count(), asked, "{transport} {git:?}");
                assert_eq!(
                    codex.subjects(),
                    ["Sync 1 files from alpha", "Somebody else"]
                );
                codex.assert_sound();
            }
        }
    }

    #[test]
    fn where_a_hook_of_a_path_could_decline_nothing_is_pushed() {
        let (sandbox, codex) = world();
        codex.hook("post-receive", "exit 1");
        codex.hook("update.sample", "exit 1");
        sync(&sandbox, "libgit2", None).code(0);
        for name in ["pre-receive", "update"] {
            sandbox.write("ws/alpha/README.md", name);
            codex.hook(name, "exit 0");
            let document = sync(&sandbox, "libgit2", None).code(5).json();
            let error = &document["error"];
            assert_eq!(
                (&error["kind"], &document["pushed"]),
                (&"declined".into(), &false.into())
            );
            let message = error["message"].as_str().unwrap();
            assert!(
                message.contains(&format!("its hook `{name}`")) && message.contains("git alone"),
                "{message}"
            );
            sandbox.remove(&format!("codex.git/hooks/{name}"));
        }
        assert_eq!(codex.subjects().len(), 2);
        sync(&sandbox, "libgit2", None).code(0);
    }

    #[test]
    fn a_branch_that_is_checked_out_is_left_alone() {
        let (sandbox, codex) = world();
        let tree = sandbox.path("tree");
        sandbox.git(&sandbox.path(""), &["clone", "-q", "codex.git", "tree"]);
        let sync = |more: &[&str]| {
            let config = [
                "--config",
                "remote.transport=libgit2",
                "--config",
                "remote.url=../tree",
            ];
            sandbox.run(&[&["sync", "--all"], &config[..], more].concat())
        };
        let output = sync(&[]).code(5);
        assert!(
            output.stderr.contains("branch is currently checked out"),
            "{}",
            output.stderr
        );
        sandbox.git(&tree, &["checkout", "-q", "--detach"]);
        sync(&["--config", "remote.branch=main"]).code(0);
        assert_eq!(
            sandbox
                .git(&tree, &["log", "--format=%s", "main"])
                .lines()
                .count(),
            codex.subjects().len() + 1
        );
    }

    #[test]
    fn a_branch_that_is_another_ones_second_name_stays_that() {
        let (sandbox, codex) = world();
        codex.git(&["symbolic-ref", "refs/heads/docs", "refs/heads/main"]);
        let config = [
            "--config",
            "remote.transport=libgit2",
            "--config",
            "remote.branch=docs",
        ];
        sandbox
            .run(&[&["sync", "--all"], &config[..]].concat())
            .code(0);
        assert_eq!(
            codex.git(&["symbolic-ref", "refs/heads/docs"]).trim(),
            "refs/heads/main"
        );
        assert_eq!(
            codex.subjects(),
            ["Sync 1 files from alpha", "Somebody else"]
        );
    }

    #[test]
    fn the_users_configuration_leads_nowhere_else() {
        let (sandbox, codex) = world();
        let server = sandbox.serve();
        let elsewhere = HttpServer::start(&sandbox.path(""), None);
        let (from, to) = (server.url(""), elsewhere.url(""));
        let rewrites = format!(
            "[url \"{to}\"]\n\tinsteadOf = {from}\n\tinsteadOf = codex+{from}\n\tpushInsteadOf = {from}\n"
        );
        sandbox.write("home/.gitconfig", rewrites);
        sync(&sandbox, "libgit2", None).code(0);
        assert!(elsewhere.requests().is_empty());
        assert_eq!(codex.subjects().len(), 2);
    }
}
