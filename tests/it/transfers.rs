//! Requests over slow and stalled links, to unavailable servers and to servers with fewer
//! capabilities, and the amount of data that is transferred.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::http::{HttpServer, Reaction, Stage};
use crate::support::link::SlowLink;
use crate::support::ssh::SshServer;
use crate::support::{Sandbox, TOKEN, World, noise};

const FROM_CODEX: &str = "sync.from_codex.include=['codex://acme/core/**']";

/// A workspace with a file to publish, and a codex with a file to pull.
fn world() -> World {
    World::builder()
        .codex_files(&[("projects/core/a.md", "from the codex")])
        .build()
}

/// The contents of the file that a sync from the codex pulls.
fn pulled(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path("ws/.fractary/codex/cache/projects/core/a.md")).unwrap()
}

#[test]
fn slow_link_does_not_time_out_while_bytes_move() {
    let limits = "remote.timeout={connect='4s', idle='4s', push_verdict='60s'}";
    let document = noise(1_500_000);
    let World { sandbox, codex, .. } = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let link = SlowLink::start(&server.place(), 100_000);
    let url = format!("http://{}/codex.git", link.place());
    // A single large file: the progress of git counts objects, so it does not change.
    sandbox.write("ws/alpha/README.md", &document);
    sandbox.sync_to(&url, &["--config", limits]).code(0);
    assert!(codex.file("projects/alpha/README.md") == document);
    codex.commit(&[("100644", "projects/core/a.md", &document)], &[]);
    let pull = ["--from-codex", "--config", FROM_CODEX, "--config", limits];
    sandbox.sync_to(&url, &pull).code(0);
    assert!(pulled(&sandbox) == document);
}

#[test]
fn transferred_bytes_reset_the_idle_time_limit_of_git() {
    let World { sandbox, codex, .. } = world();
    sandbox.serve();
    // The watched process moves bytes for longer than the idle time limit, and prints nothing.
    let busy = "i=0; while [ $i -lt 150 ]; do printf '%8192s' '' > /dev/null; sleep 0.1; i=$((i + 1)); done";
    sandbox.wrap_git(&format!("case \" $* \" in *' fetch '*) {busy};; esac"));
    let limits = "remote.timeout={connect='4s', idle='4s', push_verdict='60s'}";
    sandbox.run(&["sync", "--all", "--config", limits]).code(0);
    assert_eq!(codex.subjects().len(), 2);
}

#[test]
fn every_byte_resets_the_idle_time_limit_of_the_native_transport() {
    let World { sandbox, codex, .. } = World::builder().default_transport().build();
    let server = sandbox.serve();
    for stage in [Stage::ListToFetch, Stage::Push] {
        server.fail(stage, Reaction::Drip(4, Duration::from_secs(2)), 1);
    }
    // Far fewer bytes than git needs, in a longer time than the limit.
    let limits = "remote.timeout={connect='5s', idle='5s', push_verdict='5s'}";
    sandbox.run(&["sync", "--all", "--config", limits]).code(0);
    assert_eq!(codex.subjects().len(), 2);
}

#[test]
fn stalled_fetch_of_git_times_out() {
    let World { sandbox, codex, .. } = world();
    sandbox.serve();
    sandbox.wrap_git(
        "case \" $* \" in *' fetch '*) printf '%8192s' '' > /dev/null; exec sleep 600;; esac",
    );
    let limits = "remote.timeout={connect='1s', idle='1s', push_verdict='60s'}";
    let output = sandbox
        .run(&["sync", "--all", "--json", "--config", limits])
        .code(4);
    assert_eq!(output.json()["error"]["kind"], "timed-out");
    assert_eq!(codex.subjects().len(), 1);
}

#[test]
fn temporary_fault_of_a_read_request_is_retried() {
    for reaction in [
        Reaction::Status(503, "later"),
        Reaction::Headers(429, "Retry-After: 1\r\n"),
        Reaction::Headers(403, "X-RateLimit-Remaining: 0\r\n"),
        Reaction::Reset,
        Reaction::Truncate(120),
    ] {
        let World { sandbox, codex, .. } = world();
        let server = HttpServer::start(&sandbox.path(""), None);
        let url = server.url("codex.git");
        for stage in [Stage::ListToFetch, Stage::Fetch] {
            server.fail(stage, reaction.clone(), 1);
        }
        sandbox.sync_to(&url, &[]).code(0);
        assert_eq!(codex.subjects().len(), 2, "{reaction:?}");
        // Both fetches fail once: that of the commits, and that of the contents.
        server.fail(Stage::Fetch, reaction.clone(), 2);
        let pull = ["--from-codex", "--config", FROM_CODEX];
        let output = sandbox.sync_to(&url, &pull);
        assert_eq!(output.code, Some(0), "{reaction:?}: {}", output.stdout);
        assert_eq!(pulled(&sandbox), "from the codex", "{reaction:?}");
    }
}

#[test]
fn query_after_a_push_is_retried() {
    for reaction in [Reaction::Status(503, "later"), Reaction::Reset] {
        let World { sandbox, codex, .. } = world();
        let server = sandbox.serve();
        server.fail_once_after(Stage::Push, Stage::ListToFetch, reaction);
        let document = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
        assert_eq!(document["pushed"], true);
        assert_eq!(codex.subjects().len(), 2);
    }
}

#[test]
fn requested_delay_is_limited_and_reported() {
    let World { sandbox, codex, .. } = world();
    let server = sandbox.serve();
    server.fail(
        Stage::ListToFetch,
        Reaction::Headers(429, "Retry-After: 3600\r\n"),
        usize::MAX,
    );
    let error = sandbox.run(&["sync", "--all", "--json"]).code(4).json()["error"].take();
    assert_eq!(error["kind"], "rate-limited", "{error}");
    assert_eq!(error["hints"][0], "run again in 1h", "{error}");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(codex.subjects().len(), 1);
}

#[test]
fn unusable_responses_have_their_own_message() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let page = Reaction::Headers(200, "Content-Type: text/html\r\n");
    let limited = Reaction::Status(403, "API rate limit exceeded for 127.0.0.1");
    for (reaction, proxy, kind, hint) in [
        (Some(page), None, "not-git", "`git clone` accepts"),
        (Some(limited), None, "rate-limited", "run again"),
        (
            None,
            Some(format!("http://{free}")),
            "proxy",
            "`http.proxy`",
        ),
        (
            None,
            Some("http://proxy.invalid:1".to_owned()),
            "proxy",
            "`http.proxy`",
        ),
    ] {
        let World { sandbox, .. } = world();
        let server = sandbox.serve();
        if let Some(reaction) = reaction {
            server.fail(Stage::ListToFetch, reaction, usize::MAX);
        }
        let mut command = sandbox.program(&["sync", "--all", "--json"]);
        command.envs(proxy.map(|proxy| ("http_proxy", proxy)));
        let error = sandbox.finish(command).code(4).json()["error"].take();
        assert_eq!(error["kind"], kind, "{error}");
        assert!(
            error["hints"][0].as_str().unwrap().contains(hint),
            "{error}"
        );
    }
}

#[test]
fn https_to_a_port_without_tls_is_reported() {
    let World { sandbox, .. } = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let url = server.url("codex.git").replace("http:", "https:");
    let error = sandbox.sync_to(&url, &[]).code(4).json()["error"].take();
    assert_eq!(error["kind"], "plain-http", "{error}");
}

#[test]
fn codex_of_another_object_format_is_reported_even_if_empty() {
    for with_commit in [false, true] {
        let World { sandbox, .. } = world();
        let path = sandbox.path("sha256.git");
        sandbox.git(
            &sandbox.path(""),
            &[
                "init",
                "-q",
                "--bare",
                "--object-format=sha256",
                "-b",
                "main",
                path.to_str().unwrap(),
            ],
        );
        sandbox.git(&path, &["config", "http.receivepack", "true"]);
        if with_commit {
            let tree = sandbox.git(&path, &["hash-object", "-t", "tree", "-w", "/dev/null"]);
            let commit = sandbox.git(&path, &["commit-tree", "-m", "first", tree.trim()]);
            sandbox.git(&path, &["update-ref", "refs/heads/main", commit.trim()]);
        }
        let server = HttpServer::start(&sandbox.path(""), None);
        for url in [server.url("sha256.git"), path.display().to_string()] {
            let error = sandbox.sync_to(&url, &[]).code(4).json()["error"].take();
            assert_eq!(error["kind"], "object-format", "{url}: {error}");
        }
    }
}

#[test]
fn server_without_object_requests_is_fetched_completely() {
    let World { sandbox, codex, .. } = world();
    codex.git(&["config", "uploadpack.allowAnySHA1InWant", "false"]);
    let http = HttpServer::start(&sandbox.path(""), None);
    http.speak_version_0();
    let mut urls = vec![(http.url("codex.git"), String::new())];
    // With an sshd that accepts no variables, git also speaks version 0.
    let ssh = SshServer::start(&sandbox);
    if let Some(ssh) = &ssh {
        urls.push((
            ssh.url(codex.path()),
            ssh.client(&sandbox, "user", "known_hosts"),
        ));
    }
    for (number, (url, ssh)) in urls.iter().enumerate() {
        for direction in ["--from-codex", "--bidirectional"] {
            let content = format!("{direction} over {url}");
            codex.commit(&[("100644", "projects/core/a.md", &content)], &[]);
            sandbox.write("ws/alpha/README.md", &content);
            let url = format!("remote.url={url}");
            let mut command = sandbox.program(&["sync", "--all", direction, "--config", &url]);
            command.args(["--config", FROM_CODEX, "--config", "clone.strategy=cached"]);
            if !ssh.is_empty() {
                command.env("GIT_SSH_COMMAND", ssh);
            }
            sandbox.finish(command).code(0);
            assert_eq!(pulled(&sandbox), content);
        }
        assert_eq!(
            codex.file("projects/alpha/README.md"),
            format!("--bidirectional over {}", urls[number].0)
        );
    }
}

#[test]
fn server_without_capabilities_is_fetched_in_another_way() {
    for version in [2, 0] {
        for missing in [&["shallow"][..], &["filter"], &["shallow", "filter"]] {
            let World { sandbox, codex, .. } = world();
            codex.go_on(3);
            let server = HttpServer::start(&sandbox.path(""), None);
            if version == 0 {
                server.speak_version_0();
            }
            for name in missing {
                server.hide_capability(name);
            }
            let url = server.url("codex.git");
            sandbox.sync_to(&url, &[]).code(0);
            let case = format!("version {version} without {missing:?}");
            assert_eq!(codex.subjects().len(), 5, "{case}");
            sandbox
                .sync_to(&url, &["--from-codex", "--config", FROM_CODEX])
                .code(0);
            assert_eq!(pulled(&sandbox), "from the codex", "{case}");
            codex.assert_sound();
        }
    }
}

#[test]
fn only_requested_refs_are_transferred() {
    let World { sandbox, codex, .. } = world();
    let tip = codex.tip().unwrap();
    let refs: String = (0..10_000)
        .map(|number| format!("{tip} refs/heads/other-{number:05}\n"))
        .collect();
    fs::write(
        codex.path().join("packed-refs"),
        format!("# pack-refs with: peeled fully-peeled sorted \n{refs}"),
    )
    .unwrap();
    let server = HttpServer::start(&sandbox.path(""), None);
    let url = server.url("codex.git");
    let listed = |from: usize| -> usize {
        let requests = server.requests();
        let pushing = |target: &str| target.contains("receive-pack");
        requests[from..]
            .iter()
            .filter(|request| !pushing(&request.target))
            .map(|request| request.bytes_down)
            .sum()
    };
    for branch in [None, Some("remote.branch=main")] {
        let from = server.requests().len();
        sandbox.write("ws/alpha/README.md", format!("{branch:?}"));
        let more: Vec<_> = branch
            .iter()
            .flat_map(|branch| ["--config", branch])
            .collect();
        sandbox.sync_to(&url, &more).code(0);
        assert!(listed(from) < 10_000, "{} bytes", listed(from));
    }
    assert_eq!(codex.subjects().len(), 3);
}

#[test]
fn branch_that_the_server_hides_is_reported() {
    let World { sandbox, codex, .. } = world();
    codex.git(&["config", "transfer.hideRefs", "refs/heads/main"]);
    let server = sandbox.serve();
    let named = |error: &Value, kind: &str| {
        assert_eq!(error["kind"], kind, "{error}");
        let hint = error["hints"][0].as_str().unwrap();
        assert!(hint.contains("hide"), "{error}");
    };
    // HEAD still points to it. git cannot fetch it by its name; the native transport fetches the
    // commit, and the server rejects the push.
    let (code, kind) = if sandbox.uses_git() {
        (4, "branch-missing")
    } else {
        (5, "declined")
    };
    let output = sandbox.run(&["sync", "--all", "--json"]).code(code);
    named(&output.json()["error"], kind);
    // If there are other branches, it appears to be missing.
    codex.git(&["branch", "other", "main"]);
    codex.git(&["symbolic-ref", "HEAD", "refs/heads/other"]);
    let url = server.url("codex.git");
    let error = sandbox
        .sync_to(&url, &["--config", "remote.branch=main"])
        .code(4)
        .json()["error"]
        .take();
    named(&error, "branch-missing");
    // If it is to be created, the server rejects that.
    let create = [
        "--config",
        "remote.branch=main",
        "--config",
        "remote.create=true",
    ];
    let error = sandbox.sync_to(&url, &create).code(5).json()["error"].take();
    named(&error, "declined");
    assert_eq!(codex.subjects().len(), 1);
}

impl World {
    fn over_ssh(&self, url: &str, ssh: &str) -> Value {
        let mut command = self.sandbox.program(&["sync", "--all", "--json"]);
        command
            .env("FRACTARY_CODEX_REMOTE__URL", url)
            .env("GIT_SSH_COMMAND", ssh);
        let output = self.sandbox.finish(command);
        assert!(!output.stderr.contains(TOKEN));
        output.code(4).json()["error"].take()
    }
}

#[test]
fn errors_over_ssh_have_their_own_message() {
    let world = World::behind_http();
    let Some(ssh) = SshServer::start(&world.sandbox) else {
        return;
    };
    let url = ssh.url(world.codex.path());
    let client = ssh.client(&world.sandbox, "user", "known_hosts");
    let run = "eval \"$SSH_ORIGINAL_COMMAND\"";
    for (command, kind, hint) in [
        (
            format!("PATH=/nowhere; {run}"),
            "server-without-git",
            "install git",
        ),
        (
            format!("echo Welcome to the server; {run}"),
            "shell-noise",
            "silent",
        ),
        (
            "echo 'FATAL: R any codex tester DENIED by fallthru' >&2; exit 1".to_owned(),
            "forbidden",
            "access",
        ),
        (
            format!(
                "case \"$SSH_ORIGINAL_COMMAND\" in git-receive-pack*) echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2; exit 1;; *) {run};; esac"
            ),
            "forbidden",
            "write access",
        ),
        (
            format!("export GIT_TEST_ASSUME_DIFFERENT_OWNER=1; {run}"),
            "server-ownership",
            "on the server",
        ),
    ] {
        ssh.force(&command);
        let error = world.over_ssh(&url, &client);
        assert_eq!(error["kind"], kind, "{error}");
        assert!(
            error["hints"][0].as_str().unwrap().contains(hint),
            "{error}"
        );
    }
    assert_eq!(world.codex.subjects().len(), 1);
}

#[test]
fn command_for_an_unknown_ssh_host_resolves_the_alias() {
    let world = World::behind_http();
    let Some(ssh) = SshServer::start(&world.sandbox) else {
        return;
    };
    let hosts = world.sandbox.path("home/hosts").display().to_string();
    world.sandbox.write(
        "ssh_config",
        format!(
            "Host Codex-Alias\n  HostName 127.0.0.1\n  Port {}\n  UserKnownHostsFile {hosts}\n",
            ssh.port()
        ),
    );
    let client = format!(
        "ssh -o BatchMode=yes -F {}",
        world.sandbox.path("ssh_config").display()
    );
    let url = format!("Codex-Alias:{}", world.codex.path().display());
    let error = world.over_ssh(&url, &client);
    assert_eq!(error["kind"], "ssh-host-unknown", "{error}");
    let scan = format!("`ssh-keyscan -p {} 127.0.0.1 >> ~/hosts`", ssh.port());
    assert!(
        error["hints"][0].as_str().unwrap().contains(&scan),
        "{error}"
    );
}
