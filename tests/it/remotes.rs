//! The errors of remotes, against real servers. Each has its own message, a hint and the documented
//! exit status, and leaves nothing behind.

use serde_json::Value;

use crate::support::gate::Gate;
use crate::support::http::{HttpServer, Reaction, Stage};
use crate::support::ssh::SshServer;
use crate::support::tls::TlsServer;
use crate::support::{Output, Sandbox, TOKEN, World, wait_until};

impl World {
    fn sync(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = self.command(&["sync", "--all", "-vv"]);
        command
            .env("FRACTARY_CODEX_LOG", "off")
            .envs(variables.iter().copied());
        let output = self.sandbox.finish(command);
        assert!(
            !output.stdout.contains(TOKEN) && !output.stderr.contains(TOKEN),
            "{}",
            output.stderr
        );
        assert_eq!(self.sandbox.leftovers(), [""; 0]);
        output
    }

    /// Syncs with the correct token.
    fn sync_with_token(&self) -> Output {
        self.sync(&[("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN)])
    }

    /// Asserts that the sync failed with this error and hint and did not change the codex, and that
    /// the next sync works.
    #[track_caller]
    fn fails(&self, output: Output, code: i32, error: &str, hint: &str) {
        let tip = self.codex.tip();
        let output = output.code(code);
        let head = output
            .stderr
            .lines()
            .find(|line| line.starts_with("error: "))
            .unwrap_or_default();
        assert!(head.contains(error), "{}", output.stderr);
        assert!(
            output.stderr.contains("hint: ") && output.stderr.contains(hint),
            "{}",
            output.stderr
        );
        assert_eq!(self.codex.tip(), tip);
        self.sync_with_token().code(0);
        assert!(
            self.codex
                .paths()
                .contains(&"projects/alpha/README.md".to_owned())
        );
    }
}

#[test]
fn no_credentials() {
    let world = World::behind_http();
    let output = world.sync(&[]);
    world.fails(
        output,
        4,
        "authentication required: no credentials for",
        "`remote.token`",
    );
}

#[test]
fn wrong_token() {
    let world = World::behind_http();
    let output = world.sync(&[("FRACTARY_CODEX_REMOTE__TOKEN", "wrong")]);
    world.fails(output, 4, "rejected the credentials", "not expired");
}

#[test]
fn github_token_is_only_sent_to_github() {
    let world = World::behind_http();
    let output = world.sync(&[("GITHUB_TOKEN", TOKEN)]);
    assert!(
        world
            .server()
            .requests()
            .iter()
            .all(|request| !request.headers.contains_key("authorization"))
    );
    world.fails(output, 4, "authentication required", "`remote.token`");
}

#[test]
fn password_in_the_url_is_used_and_masked() {
    let world = World::behind_http();
    let url = world
        .server()
        .url("codex.git")
        .replace("http://", &format!("http://x-access-token:{TOKEN}@"));
    let output = world.sync(&[("FRACTARY_CODEX_REMOTE__URL", &url)]).code(0);
    assert!(
        output
            .stdout
            .contains("http://x-access-token:***@127.0.0.1"),
        "{}",
        output.stdout
    );
}

#[test]
fn http_error_statuses_have_their_own_message() {
    for (status, error, hint) in [
        (403, "access denied to", "write access"),
        (404, "not found", "`remote.url`"),
        (503, "failed to respond", "try again"),
    ] {
        let world = World::behind_http();
        world.server().fail(
            Stage::ListToFetch,
            Reaction::Status(status, "words of the server"),
            usize::MAX,
        );
        let output = world.sync_with_token();
        world.server().mend();
        world.fails(output, 4, error, hint);
    }
}

#[test]
fn response_that_is_not_from_git_is_not_an_empty_codex() {
    for body in ["", "<html>please log in</html>"] {
        let world = World::behind_http();
        world
            .server()
            .fail(Stage::ListToFetch, Reaction::Status(200, body), usize::MAX);
        for arguments in [
            &["sync", "--all"][..],
            &["sync", "--all", "--from-codex"],
            &["status", "--check"],
        ] {
            let mut command = world.sandbox.program(arguments);
            command.env(
                "FRACTARY_CODEX_REMOTE__URL",
                world.server().url("codex.git"),
            );
            command.env("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN);
            let output = world.sandbox.finish(command).code(4);
            assert!(
                output.stderr.contains("is not a git repository"),
                "{}",
                output.stderr
            );
            assert!(
                output.stderr.contains("is this a git repository?"),
                "{}",
                output.stderr
            );
        }
    }
}

#[test]
fn redirect_is_not_followed_with_a_token() {
    let world = World::behind_http();
    let other = HttpServer::start(&world.sandbox.path(""), None);
    // git repeats the request to get the new URL for the error message.
    let redirect = Reaction::Redirect(other.url("").trim_end_matches('/').to_owned());
    world
        .server()
        .fail(Stage::ListToFetch, redirect, usize::MAX);
    let output = world.sync_with_token();
    world.server().mend();
    assert!(other.requests().is_empty());
    assert!(
        output
            .stderr
            .contains(&format!("it leads to {}", other.url("codex.git"))),
        "{}",
        output.stderr
    );
    world.fails(output, 4, "redirects; tokens are not sent", "`remote.url`");
}

#[test]
fn lost_response_to_a_push_is_replaced_by_a_query() {
    let world = World::behind_http();
    world.server().fail(Stage::Push, Reaction::LoseAnswer, 1);
    let output = world.sync_with_token().code(0);
    assert!(output.stdout.contains("confirmed"), "{}", output.stdout);
    assert_eq!(
        world.codex.subjects(),
        ["Sync 1 file from alpha", "Somebody else"]
    );
    assert_eq!(world.codex.updates(), 2);
}

#[test]
fn push_that_is_cut_off_is_repeated() {
    let world = World::behind_http();
    world.server().fail(Stage::Push, Reaction::Reset, 1);
    world.sync_with_token().code(0);
    assert_eq!(world.codex.subjects().len(), 2);
}

#[test]
fn failed_query_after_a_push_is_reported_as_unknown() {
    let world = World::behind_http();
    // The push is accepted; all queries after it fail.
    let output = {
        let mut command = world.sandbox.program(&["sync", "--all", "--json"]);
        command.env(
            "FRACTARY_CODEX_REMOTE__URL",
            world.server().url("codex.git"),
        );
        command.env("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN);
        world.codex.hook(
            "post-receive",
            "mv ../codex.git/HEAD ../codex.git/HEAD.away",
        );
        world.sandbox.finish(command)
    };
    std::fs::rename(
        world.codex.path().join("HEAD.away"),
        world.codex.path().join("HEAD"),
    )
    .unwrap();
    let document = output.code(4).json();
    assert_eq!(document["error"]["kind"], "unverified");
    assert!(document["pushed"].is_null());
    assert_eq!(world.codex.subjects().len(), 2);
}

#[test]
fn push_that_is_accepted_and_undone_is_not_a_success() {
    let world = World::behind_http();
    world.codex.hook(
        "post-receive",
        "git update-ref refs/heads/main $(git rev-parse main~1)",
    );
    let output = world.sync_with_token().code(5);
    assert!(
        output.stderr.contains("landed, then removed"),
        "{}",
        output.stderr
    );
}

#[test]
fn push_without_a_result_is_reported_as_unknown() {
    let world = World::behind_http();
    // The hook takes longer than the time limit for the result.
    let gate = Gate::new(&world.sandbox);
    world.codex.hook("pre-receive", &gate.script());
    let mut command = world.sandbox.program(&["sync", "--all", "--json"]);
    command.env(
        "FRACTARY_CODEX_REMOTE__URL",
        world.server().url("codex.git"),
    );
    command.env("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN);
    command.env(
        "FRACTARY_CODEX_REMOTE__TIMEOUT",
        "{connect='20s', idle='20s', push_verdict='1s'}",
    );
    let document = world.sandbox.finish(command).code(4).json();
    assert_eq!(
        (&document["error"]["kind"], &document["pushed"]),
        (&"no-verdict".into(), &Value::Null),
        "{document}"
    );
    assert!(
        document["error"]["hints"][0]
            .as_str()
            .unwrap()
            .contains("run again"),
        "{document}"
    );
    assert_eq!(world.codex.subjects().len(), 1);
    // Later the hook accepts the push.
    gate.open();
    wait_until("it landed", || world.codex.subjects().len() == 2);
    let next = world.sync_with_token().code(0);
    assert!(next.stdout.contains("nothing to push"), "{}", next.stdout);
    world.codex.assert_sound();
}

#[test]
fn push_of_another_client_after_ours_is_not_a_failure() {
    let world = World::behind_http();
    let script = "id=$(git -c user.name=x -c user.email=x commit-tree -p main -m later 'main^{tree}'); git update-ref refs/heads/main $id";
    world.codex.hook("post-receive", script);
    let output = world.sync_with_token().code(0);
    assert!(output.stdout.contains("confirmed"), "{}", output.stdout);
    assert_eq!(
        world.codex.subjects(),
        ["later", "Sync 1 file from alpha", "Somebody else"]
    );
}

#[test]
fn message_of_a_rejecting_hook_is_shown() {
    let world = World::behind_http();
    world.codex.hook(
        "pre-receive",
        "echo 'documents are frozen until Monday' >&2; exit 1",
    );
    let output = world.sync_with_token().code(5);
    assert!(
        output.stderr.contains("rejected by `127.0.0.1:"),
        "{}",
        output.stderr
    );
    assert!(
        output
            .stderr
            .contains("  remote: documents are frozen until Monday"),
        "{}",
        output.stderr
    );
    assert_eq!(world.codex.subjects().len(), 1);
}

#[test]
fn unreachable_host_has_its_own_message() {
    let world = World::behind_http();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = world.sync(&[(
        "FRACTARY_CODEX_REMOTE__URL",
        &format!("http://{free}/codex.git"),
    )]);
    world.fails(output, 4, "cannot connect to", "host and port");
    let output = world.sync(&[(
        "FRACTARY_CODEX_REMOTE__URL",
        "http://codex.invalid/codex.git",
    )]);
    world.fails(output, 4, "could not resolve host", "`remote.url`");
}

#[test]
fn token_is_not_sent_over_plain_http() {
    let world = World::behind_http();
    let url = (
        "FRACTARY_CODEX_REMOTE__URL",
        "http://git.acme.invalid/codex.git",
    );
    let output = world.sync(&[url, ("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN)]);
    world.fails(
        output,
        4,
        "over plain http",
        "`remote.allow_insecure: true`",
    );
}

#[test]
fn server_without_partial_clone_is_fetched_completely() {
    let world = World::behind_http();
    world
        .codex
        .git(&["config", "uploadpack.allowFilter", "false"]);
    world.sync_with_token().code(0);
    assert_eq!(world.codex.subjects().len(), 2);
    world.codex.assert_sound();
}

#[test]
fn ssh_keys_and_host_keys_are_verified() {
    let world = World::behind_http();
    let Some(ssh) = SshServer::start(&world.sandbox) else {
        return;
    };
    let url = ssh.url(world.codex.path());
    let sync = |key: &str, hosts: &str| {
        let client = ssh.client(&world.sandbox, key, hosts);
        world.sync(&[
            ("FRACTARY_CODEX_REMOTE__URL", &url),
            ("GIT_SSH_COMMAND", &client),
        ])
    };
    let refused = sync("stranger", "known_hosts").code(4);
    assert!(
        refused.stderr.contains("accepts none of the ssh keys"),
        "{}",
        refused.stderr
    );
    let unknown = sync("user", "nothing").code(4);
    assert!(
        unknown.stderr.contains("ssh-keyscan -p "),
        "{}",
        unknown.stderr
    );
    let changed = sync("user", "others_known_hosts").code(4);
    let removal = format!("-R '[127.0.0.1]:{}'`", ssh.port());
    assert!(
        ["has changed", "attack", "`ssh-keygen -f ", &removal]
            .iter()
            .all(|text| changed.stderr.contains(text)),
        "{}",
        changed.stderr
    );
    assert_eq!(world.codex.subjects().len(), 1);
    world.codex.hook(
        "pre-receive",
        "[ -e go ] && exit 0; echo 'not over ssh either' >&2; exit 1",
    );
    let declined = sync("user", "known_hosts").code(5);
    assert!(
        declined.stderr.contains("  remote: not over ssh either"),
        "{}",
        declined.stderr
    );
    std::fs::write(world.codex.path().join("go"), "").unwrap();
    sync("user", "known_hosts").code(0);
    assert_eq!(world.codex.subjects().len(), 2);
}

#[test]
fn transferred_bytes_depend_on_the_change_not_on_the_codex() {
    let world = World::behind_http();
    // Six megabytes of incompressible data.
    let mut random = 1u64;
    let mut noise = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b' ' + (random >> 33) as u8 % 95)
    };
    let files: Vec<_> = (0..60)
        .map(|n| {
            (
                format!("projects/other/{n}.md"),
                (0..100_000).map(|_| noise()).collect::<String>(),
            )
        })
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(path, content)| ("100644", path.as_str(), content.as_str()))
        .collect();
    world.codex.commit(&files, &[]);
    world.sync_with_token().code(0);
    let moved: usize = world
        .server()
        .requests()
        .iter()
        .map(|request| request.bytes_up + request.bytes_down)
        .sum();
    assert!(moved < 20_000, "{moved} bytes moved");
    assert_eq!(world.codex.paths().len(), 62);
}

#[test]
fn push_that_cannot_be_found_is_reported_as_unknown() {
    let world = World::behind_http();
    // Our push is accepted, another client pushes immediately afterwards, and then the server does
    // not respond.
    let script = "id=$(git -c user.name=x -c user.email=x commit-tree -p main -m later 'main^{tree}'); git update-ref refs/heads/main $id";
    world.codex.hook("post-receive", script);
    world.sync_with_token().code(0);
    world.sandbox.write("ws/alpha/README.md", "changed");
    let mut command =
        world
            .sandbox
            .program(&["sync", "--all", "--json", "--config", "clone.strategy=temp"]);
    command
        .env(
            "FRACTARY_CODEX_REMOTE__URL",
            world.server().url("codex.git"),
        )
        .env("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN);
    world
        .server()
        .fail_after(Stage::Push, Stage::Fetch, Reaction::Status(403, "enough"));
    let document = world.sandbox.finish(command).code(4).json();
    assert_eq!(document["error"]["kind"], "unverified");
    assert!(document["pushed"].is_null());
}

#[test]
fn untrusted_certificate_is_rejected_and_one_trusted_by_git_is_accepted() {
    let world = World::behind_http();
    let Some(tls) = TlsServer::start(&world.sandbox, world.server().url("").trim_end_matches('/'))
    else {
        return;
    };
    let url = tls.url("codex.git");
    let sync = |variables: &[(&str, &str)]| {
        let own = [
            ("FRACTARY_CODEX_REMOTE__URL", url.as_str()),
            ("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN),
        ];
        world.sync(&[&own, variables].concat())
    };
    let output = sync(&[]);
    assert!(
        output.stderr.contains("caused by: ") && output.stderr.contains("certificate"),
        "{}",
        output.stderr
    );
    // Without trust, no request was sent.
    assert!(world.server().requests().is_empty());
    world.fails(
        output,
        4,
        "no trusted TLS connection to `127.0.0.1:",
        "`http.sslCAInfo`",
    );
    // The same for a server without TLS, and for a certificate with another host name.
    let output = sync(&[(
        "FRACTARY_CODEX_REMOTE__URL",
        &world.server().url("codex.git").replace("http:", "https:"),
    )]);
    world.fails(output, 4, "serves plain http, not https", "`http://…`");
    let output = sync(&[
        (
            "FRACTARY_CODEX_REMOTE__URL",
            &url.replace("127.0.0.1", "localhost"),
        ),
        ("GIT_SSL_CAINFO", tls.certificate()),
    ]);
    world.fails(
        output,
        4,
        "no trusted TLS connection to `localhost:",
        "`http.sslCAInfo`",
    );
    // All of git's settings for trusted certificates apply.
    for variables in [
        vec![("GIT_SSL_CAINFO", tls.certificate())],
        vec![("GIT_SSL_NO_VERIFY", "1")],
        vec![],
    ] {
        if variables.is_empty() {
            let trusting = format!("[http]\n\tsslCAInfo = {}\n", tls.certificate());
            world.sandbox.write("home/.gitconfig", trusting);
        }
        let content = format!("{variables:?}");
        world.sandbox.write("ws/alpha/README.md", &content);
        sync(&variables).code(0);
        assert_eq!(world.codex.file("projects/alpha/README.md"), content);
    }
}

#[test]
fn missing_local_repository_is_only_created_if_allowed() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    let sync = |create: &str| {
        let create = format!("remote.create={create}");
        sandbox.run(&[
            "sync",
            "--all",
            "--config",
            "remote.url=../new.git",
            "--config",
            &create,
        ])
    };
    let refused = sync("false").code(4);
    assert!(
        refused.stderr.contains("there is no repository at")
            && refused.stderr.contains("`remote.create: true`")
    );
    assert!(!sandbox.path("new.git").exists());
    sync("true").code(0);
    assert!(sandbox.path("new.git").exists());
}
