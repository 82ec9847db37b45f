//! The address of the remote. The configured URL or path, which only git's configuration can
//! rewrite, is the one that is fetched from, pushed to, verified and printed.

use std::fs;

use crate::support::http::HttpServer;
use crate::support::{Codex, Output, Sandbox, World, executable};

/// A workspace with a file to publish, and an empty codex, which is not always the remote.
fn world() -> World {
    World::builder().empty_codex().build()
}

/// Creates an empty codex in the sandbox.
fn codex_at(sandbox: &Sandbox, name: &str) -> Codex {
    Codex::empty(&sandbox.path(name), sandbox)
}

#[track_caller]
fn assert_pushed_to(codex: &Codex, output: Output, url: &str) {
    let document = output.code(0).json();
    assert_eq!(document["pushed"], true);
    assert_eq!(document["remote"]["url"], url);
    assert_eq!(codex.subjects(), ["Sync 1 file from alpha"]);
}

#[test]
fn path_is_used_byte_for_byte() {
    for name in [
        "a%20b.git",
        "a#b?c.git",
        "a:b.git",
        "a b.git",
        "~",
        "ä%.git",
        "a\nb.git",
    ] {
        let World {
            sandbox,
            codex: other,
            ..
        } = world();
        if name != "a b.git" {
            codex_at(&sandbox, "a b.git");
        }
        let codex = codex_at(&sandbox, name);
        let path = codex.path().display().to_string();
        let printed = path.replace('\n', "\\n");
        assert_pushed_to(&codex, sandbox.sync_to(&path, &[]), &printed);
        assert_eq!(other.tip(), None);
    }
}

#[test]
fn file_url_is_decoded_as_in_git() {
    for (name, written) in [
        ("a b.git", "a%20b.git"),
        ("a%20b.git", "a%2520b.git"),
        ("a%zz.git", "a%zz.git"),
    ] {
        let World { sandbox, .. } = world();
        let codex = codex_at(&sandbox, name);
        let root = sandbox.path("").display().to_string();
        for (number, host) in ["", "localhost"].iter().enumerate() {
            let url = format!("file://{host}{root}{written}");
            let listed = sandbox.git(&sandbox.path(""), &["ls-remote", &url]);
            assert_eq!(listed.is_empty(), number == 0, "git reads the same");
            let document = sandbox.sync_to(&url, &[]).code(0).json();
            assert_eq!(document["pushed"], number == 0);
            assert_eq!(codex.subjects().len(), 1);
        }
    }
}

#[test]
fn missing_repository_is_created_at_the_configured_path() {
    let World { sandbox, .. } = world();
    let create = ["--config", "remote.create=true"];
    let path = sandbox.path("a%20b.git").display().to_string();
    sandbox.sync_to(&path, &create).code(0);
    assert!(sandbox.path("a%20b.git/HEAD").exists() && !sandbox.path("a b.git").exists());
    let url = format!("file://{}", sandbox.path("c%20d.git").display());
    sandbox.sync_to(&url, &create).code(0);
    assert!(sandbox.path("c d.git/HEAD").exists() && !sandbox.path("c%20d.git").exists());
}

#[test]
fn parent_of_a_symlink_is_resolved_by_the_system() {
    let World {
        sandbox,
        codex: other,
        ..
    } = world();
    fs::create_dir_all(sandbox.path("far/away")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("far/away"), sandbox.path("link")).unwrap();
    let codex = codex_at(&sandbox, "far/codex.git");
    let path = sandbox.path("link/../codex.git").display().to_string();
    assert_pushed_to(&codex, sandbox.sync_to(&path, &[]), &path);
    assert_eq!(other.tip(), None);
}

#[test]
fn path_without_its_suffix_is_found_as_in_git() {
    for (place, written) in [
        ("codex2.git", "codex2"),
        ("codex2/.git", "codex2"),
        ("codex2.git/.git", "codex2"),
    ] {
        let World { sandbox, .. } = world();
        let codex = codex_at(&sandbox, place);
        let path = sandbox.path(written).display().to_string();
        for create in ["false", "true"] {
            sandbox.write("ws/alpha/README.md", create);
            let create = format!("remote.create={create}");
            sandbox.sync_to(&path, &["--config", &create]).code(0);
        }
        assert_eq!(codex.subjects().len(), 2, "{place}");
        assert!(!sandbox.path("codex2/HEAD").exists());
    }
}

#[test]
fn remotes_of_the_user_configuration_have_no_effect() {
    let World { sandbox, codex, .. } = world();
    let other = codex_at(&sandbox, "other.git");
    let there = other.path().display();
    let here = sandbox.path("codex.git");
    let here = here.display();
    let mut config = String::new();
    for name in [
        "codex",
        "origin",
        &here.to_string(),
        &format!("file://{here}"),
    ] {
        config += &format!(
            "[remote \"{name}\"]\n\turl = {there}\n\tpushurl = {there}\n\tpush = +refs/*:refs/*\n\tmirror = true\n"
        );
    }
    config += &format!(
        "[remote]\n\tpushDefault = origin\n[remotes]\n\tcodex = origin\n[url \"{there}\"]\n\tinsteadOf = nowhere:\n"
    );
    config +=
        "[color]\n\tui = always\n[push]\n\tdefault = matching\n[submodule]\n\trecurse = true\n";
    sandbox.write("home/.gitconfig", config);
    for variant in ["temp", "cached", "cached"] {
        sandbox.write(
            "ws/alpha/README.md",
            variant.to_owned() + &codex.updates().to_string(),
        );
        let strategy = format!("clone.strategy={variant}");
        let document = sandbox
            .run(&["sync", "--all", "--json", "--config", &strategy])
            .code(0)
            .json();
        assert_eq!(document["pushed"], true);
    }
    assert_eq!((codex.subjects().len(), other.tip()), (3, None));
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
}

#[test]
fn push_url_is_verified_and_printed() {
    let World {
        sandbox,
        codex: mirror,
        ..
    } = world();
    let codex = codex_at(&sandbox, "real.git");
    let server = HttpServer::start(&sandbox.path(""), None);
    mirror.commit(&[("100644", "README.md", "of the mirror")], &[]);
    let real = server.url("real.git");
    for key in ["pushInsteadOf", "insteadOf"] {
        sandbox.write(
            "home/.gitconfig",
            format!("[url \"{real}\"]\n\t{key} = {}\n", mirror.path().display()),
        );
        sandbox.write("ws/alpha/README.md", key);
        let document = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
        assert_eq!(document["pushed"], true);
        assert_eq!(document["remote"]["url"], real.as_str());
    }
    assert_eq!((codex.subjects().len(), mirror.subjects().len()), (2, 1));
    // A run that only reads can use the other URL.
    sandbox.write(
        "home/.gitconfig",
        format!(
            "[url \"http://127.0.0.1:1/\"]\n\tpushInsteadOf = {}\n",
            mirror.path().display()
        ),
    );
    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
}

#[test]
fn token_is_not_sent_to_the_host_of_a_rewritten_url() {
    let World { sandbox, codex, .. } = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let configured = server.url("codex.git");
    let port = configured
        .rsplit(':')
        .next()
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    sandbox.write(
        "home/.gitconfig",
        format!("[url \"http://localhost:{port}/\"]\n\tinsteadOf = http://127.0.0.1:{port}/\n"),
    );
    sandbox
        .sync_to(&configured, &["--config", "remote.token=t0ken"])
        .code(0);
    assert_eq!(codex.subjects().len(), 1);
    let authorized =
        |request: &crate::support::http::Request| request.headers.contains_key("authorization");
    assert!(!server.requests().iter().any(authorized));
    // It is sent to another path of the same host.
    sandbox.write(
        "home/.gitconfig",
        format!(
            "[url \"http://127.0.0.1:{port}/codex\"]\n\tinsteadOf = http://127.0.0.1:{port}/docs\n"
        ),
    );
    let renamed = configured.replace("codex.git", "docs.git");
    sandbox
        .sync_to(&renamed, &["--config", "remote.token=t0ken"])
        .code(0);
    assert!(server.requests().iter().any(authorized));
}

#[test]
fn rewritten_url_is_used_for_ssh() {
    let World { sandbox, codex, .. } = world();
    // An `ssh` that runs the remote command on this machine.
    let record = sandbox.path("arguments");
    executable::script(
        &sandbox.path("bin/ssh"),
        &format!(
            "echo \"$@\" >> {}\nfor last; do :; done\neval \"$last\"",
            record.display()
        ),
    );
    sandbox.write(
        "home/.gitconfig",
        "[url \"ssh://git@Codex-Host/\"]\n\tinsteadOf = https://git.acme.example/\n",
    );
    let url = format!("https://git.acme.example{}", codex.path().display());
    let document = sandbox.sync_to(&url, &[]).code(0).json();
    assert_eq!(
        document["remote"]["url"],
        format!("ssh://git@Codex-Host{}", codex.path().display())
    );
    assert_eq!(codex.subjects().len(), 1);
    let arguments = fs::read_to_string(&record).unwrap();
    assert!(arguments.lines().count() >= 2);
    for line in arguments.lines() {
        assert!(line.contains("BatchMode=yes"), "{line}");
        assert!(line.contains(" git@Codex-Host "), "{line}");
    }
}

#[test]
fn ssh_host_is_passed_on_unchanged() {
    let World { sandbox, codex, .. } = world();
    let record = sandbox.path("arguments");
    executable::script(
        &sandbox.path("bin/ssh"),
        &format!(
            "echo \"$@\" >> {}\nfor last; do :; done\neval \"$last\"",
            record.display()
        ),
    );
    let url = format!("git@Codex-Host:{}", codex.path().display());
    let document = sandbox.sync_to(&url, &[]).code(0).json();
    assert_eq!(document["remote"]["url"], url.as_str());
    let arguments = fs::read_to_string(&record).unwrap();
    assert!(
        arguments
            .lines()
            .all(|line| line.contains(" git@Codex-Host ")),
        "{arguments}"
    );
}

#[test]
fn variables_that_would_redirect_git_are_not_passed_on() {
    let World { sandbox, codex, .. } = world();
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    let elsewhere = sandbox.path("elsewhere");
    for (number, (name, value)) in [
        ("GIT_NAMESPACE", "other"),
        ("GIT_QUARANTINE_PATH", "/tmp"),
        ("GIT_DIR", "/nowhere"),
        ("GIT_COMMON_DIR", "/nowhere"),
        ("GIT_SHALLOW_FILE", "/nowhere"),
        ("GIT_OBJECT_DIRECTORY", elsewhere.to_str().unwrap()),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", "/nowhere"),
        ("GIT_CEILING_DIRECTORIES", "/"),
        ("GIT_DEFAULT_HASH", "sha256"),
        ("GIT_DEFAULT_REF_FORMAT", "reftable"),
        ("GIT_ATTR_SOURCE", "nothing"),
        ("GIT_PROTOCOL", "version=0"),
        ("GIT_CONFIG", "/nowhere"),
        ("GIT_TRACE", "1"),
        ("GIT_TRACE_PACKET", "2"),
        ("GIT_TRACE2", "true"),
        ("GIT_CURL_VERBOSE", "1"),
        ("GIT_NO_LAZY_FETCH", "0"),
    ]
    .iter()
    .enumerate()
    {
        sandbox.write("ws/alpha/README.md", *name);
        let mut command = sandbox.program(&["sync", "--all", "--json"]);
        command.env(name, value);
        let document = sandbox.finish(command).code(0).json();
        assert_eq!(document["pushed"], true, "{name}");
        assert_eq!(codex.subjects().len(), number + 2, "{name}");
    }
    let refs = codex.git(&["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs.trim(), "refs/heads/main");
    assert!(!elsewhere.exists());
}

#[test]
fn error_in_the_git_configuration_is_reported() {
    let World { sandbox, codex, .. } = world();
    sandbox.write("home/.gitconfig", "[user\n\tname = Ada\n");
    // With a local path, git reads the file; over HTTP the program itself reads it.
    for served in [false, true] {
        if served {
            sandbox.serve();
        }
        for more in ["--atomic", "--dry-run"] {
            let sync = ["sync", "--all", "--json", more];
            let error = sandbox.run(&sync).code(4).json()["error"].take();
            assert_eq!(error["kind"], "git-configuration", "{error}");
            assert!(
                error["causes"][0].as_str().unwrap().contains(".gitconfig"),
                "{error}"
            );
            assert!(
                error["hints"][0]
                    .as_str()
                    .unwrap()
                    .contains("--show-origin"),
                "{error}"
            );
        }
    }
    assert_eq!(codex.tip(), None);
}

#[test]
fn url_that_is_rewritten_to_an_unknown_scheme_is_rejected() {
    let World { sandbox, codex, .. } = world();
    sandbox.write(
        "home/.gitconfig",
        format!(
            "[url \"ext::sh -c \"]\n\tinsteadOf = {}\n",
            codex.path().display()
        ),
    );
    let error = sandbox.run(&["sync", "--all", "--json"]).code(4).json()["error"].take();
    assert_eq!(error["kind"], "rewritten-url", "{error}");
}

#[test]
fn configured_authorization_header_is_not_sent_beside_the_token() {
    let World { sandbox, codex, .. } = world();
    let server = HttpServer::start(&sandbox.path(""), Some("x-access-token:t0ken"));
    sandbox.write(
        "home/.gitconfig",
        "[http]\n\textraHeader = AUTHORIZATION: basic abcd\n\textraHeader = X-Door: 7\n",
    );
    let url = server.url("codex.git");
    sandbox
        .sync_to(&url, &["--config", "remote.token=t0ken"])
        .code(0);
    assert_eq!(codex.subjects().len(), 1);
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.headers["x-door"] == "7")
    );
}

#[test]
fn repository_of_the_current_directory_is_ignored() {
    let World { sandbox, codex, .. } = world();
    let other = codex_at(&sandbox, "other.git");
    let ws = sandbox.path("ws");
    sandbox.git(&ws, &["init", "-q"]);
    let key = format!("url.{}.insteadOf", other.path().display());
    sandbox.git(&ws, &["config", &key, &codex.path().display().to_string()]);
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!((codex.subjects().len(), other.tip()), (1, None));
}
