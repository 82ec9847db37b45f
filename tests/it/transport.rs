//! The selection of the transport, and the operations that work without git.

use std::fs;

use crate::support::http::{HttpServer, Reaction, Stage};
use crate::support::tls::TlsServer;
use crate::support::{Output, Sandbox, World, executable};

/// A workspace that uses the default transport, whatever transport the test run is for.
fn world() -> World {
    World::builder().default_transport().build()
}

/// Runs the program on a machine whose only `git` is this script, if there is one.
fn with_only(sandbox: &Sandbox, git: Option<&str>, arguments: &[&str]) -> Output {
    if let Some(script) = git {
        executable::script(&sandbox.path("bin/git"), script);
    }
    let mut command = sandbox.program(arguments);
    command.env("PATH", sandbox.path("bin"));
    sandbox.finish(command)
}

/// Asserts that a run failed with `kind`, and that its error contains all of `texts`.
#[track_caller]
fn fails(output: Output, kind: &str, texts: &[&str]) {
    let error = &output.code(4).json()["error"];
    assert_eq!(error["kind"], kind, "{error:#}");
    for text in texts {
        assert!(error.to_string().contains(text), "{error:#}");
    }
}

const SYNC: [&str; 3] = ["sync", "--all", "--json"];

#[test]
fn git_transport_needs_a_recent_git() {
    for git in [None, Some("echo git version 2.30.9; exit 1")] {
        let World { sandbox, .. } = world();
        let arguments = [&SYNC[..], &["--config", "remote.transport=git"]].concat();
        let output = with_only(&sandbox, git, &arguments);
        fails(output, "no-transport", &["no usable `git`", "git 2.31"]);
    }
}

#[test]
fn https_needs_no_git() {
    let World { sandbox, codex, .. } = world();
    let server = HttpServer::start(&sandbox.path(""), Some("x-access-token:s3cret"));
    let Some(tls) = TlsServer::start(&sandbox, server.url("").trim_end_matches('/')) else {
        return;
    };
    let config = fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    let remote = format!("url: {}\n    token: s3cret", tls.url("codex.git"));
    let pulled = "  sync: { from_codex: { include: ['codex://acme/other/**'] } }\n";
    sandbox.write(
        "ws/.fractary/config.yaml",
        config.replace("url: ../codex.git", &remote) + pulled,
    );
    let trusting = format!("[http]\n\tsslCAInfo = {}\n", tls.certificate());
    sandbox.write("home/.gitconfig", trusting);
    let run = |arguments: &[&str]| with_only(&sandbox, None, arguments);

    assert_eq!(run(&SYNC).code(0).json()["pushed"], true);
    assert_eq!(codex.file("projects/alpha/README.md"), "alpha");
    let unchanged = run(&SYNC).code(0).json();
    assert_eq!(unchanged["pushed"], false);
    assert_eq!(unchanged["projects"][0]["status"], "up-to-date");

    codex.commit(&[("100644", "projects/other/x.md", "theirs")], &[]);
    sandbox.write("ws/alpha/README.md", "changed");
    run(&["sync", "--all", "--bidirectional"]).code(0);
    assert_eq!(codex.file("projects/alpha/README.md"), "changed");
    let pulled = sandbox.path("ws/.fractary/codex/cache/projects/other/x.md");
    assert_eq!(fs::read_to_string(pulled).unwrap(), "theirs");
    codex.assert_sound();

    let checks = run(&["doctor", "--json"]).code(0).json()["checks"].to_string();
    assert!(!checks.contains("`git`"), "{checks}");
}

#[test]
fn without_git_missing_credentials_are_named() {
    let World { sandbox, .. } = world();
    let server = HttpServer::start(&sandbox.path(""), Some("ada:s3cret"));
    let url = format!("remote.url={}", server.url("codex.git"));
    let arguments = [&SYNC[..], &["--config", &url]].concat();
    let output = with_only(&sandbox, None, &arguments);
    fails(output, "no-credentials", &["`remote.token`"]);
}

#[test]
fn local_path_needs_git() {
    for url in ["../codex.git", "file://"] {
        let World { sandbox, codex, .. } = world();
        let url = match url {
            "file://" => format!("file://{}", codex.path().display()),
            path => path.to_owned(),
        };
        let url = format!("remote.url={url}");
        let output = with_only(&sandbox, None, &[&SYNC[..], &["--config", &url]].concat());
        fails(
            output,
            "no-transport",
            &["no usable `git`", "a local path", "git 2.31"],
        );
        assert_eq!(codex.subjects().len(), 1);
    }
}

/// Configures the remote so that only git can be used with it.
fn only_for_git(sandbox: &Sandbox) {
    sandbox.serve();
    sandbox.write("home/.gitconfig", "[http]\n\tcookieFile = /dev/null\n");
}

#[test]
fn fallback_to_git_names_the_reason() {
    let reason = "`http.cookieFile` is set";
    let World { sandbox, codex, .. } = world();
    only_for_git(&sandbox);
    let checks = sandbox.run(&["doctor", "--json"]).code(0).json()["checks"].to_string();
    assert!(checks.contains("the `git` program is used, because") && checks.contains(reason));

    let native = ["--config", "remote.transport=native"];
    let output = sandbox.run(&[&SYNC[..], &native].concat());
    fails(output, "needs-git", &[reason, "`remote.transport: auto`"]);
    let output = with_only(&sandbox, None, &SYNC);
    fails(output, "no-transport", &[reason, "git 2.31"]);
    assert_eq!(codex.subjects().len(), 1);

    let log = sandbox.run(&["sync", "--all", "-v"]).code(0).stderr;
    assert!(
        log.contains("the `git` program takes over") && log.contains(reason),
        "{log}"
    );
    assert_eq!(codex.subjects().len(), 2);
}

#[test]
fn libgit2_is_read_as_native_with_a_warning() {
    let World { sandbox, codex, .. } = world();
    let config = fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    let older = config.replace(
        "url: ../codex.git",
        "url: ../codex.git\n    transport: libgit2",
    );
    sandbox.write("ws/.fractary/config.yaml", &older);
    let output = sandbox.run(&["sync", "--all"]).code(0);
    let warning = "`remote.transport: libgit2` is read as `native`";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
    assert_eq!(codex.subjects().len(), 2);

    let shown = sandbox.run(&["config", "show"]).code(0).stdout;
    assert!(shown.contains("remote.transport = \"native\""), "{shown}");
    only_for_git(&sandbox);
    fails(sandbox.run(&SYNC), "needs-git", &["cookieFile"]);
}

#[test]
fn redirect_is_followed_if_no_token_is_attached() {
    let World { sandbox, codex, .. } = World::new();
    let old = HttpServer::start(&sandbox.path(""), None);
    let new = HttpServer::start(&sandbox.path(""), None);
    let to = new.url("").trim_end_matches('/').to_owned();
    for stage in [Stage::ListToFetch, Stage::ListToPush] {
        old.fail(stage, Reaction::Redirect(to.clone()), usize::MAX);
    }
    let mut command = sandbox.program(&["sync", "--all"]);
    command.env("FRACTARY_CODEX_REMOTE__URL", old.url("codex.git"));
    sandbox.finish(command).code(0);
    assert_eq!(
        codex.subjects(),
        ["Sync 1 file from alpha", "Somebody else"]
    );
    // The objects were sent directly to the new server.
    assert!(
        old.requests()
            .iter()
            .all(|request| request.target.contains("/info/refs"))
    );
}

#[test]
fn proxy_of_git_is_used() {
    let World { sandbox, codex, .. } = World::new();
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
