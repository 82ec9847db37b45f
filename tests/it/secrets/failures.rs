//! Failures of the remote, and responses that contain the token.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{MARKER, SHORT_TIMEOUTS, TOKEN_VARIABLE, assert_no_secret, guarded_world, world};
use crate::support::World;
use crate::support::http::{HttpServer, Reaction, Stage};

#[test]
fn failed_query_of_the_tip_does_not_show_the_token() {
    assert_failures_are_silent(Stage::ListToFetch);
}

#[test]
fn failed_fetch_does_not_show_the_token() {
    assert_failures_are_silent(Stage::Fetch);
}

#[test]
fn failed_preparation_of_a_push_does_not_show_the_token() {
    assert_failures_are_silent(Stage::ListToPush);
}

#[test]
fn failed_push_does_not_show_the_token() {
    assert_failures_are_silent(Stage::Push);
}

/// Asserts that no failure in this stage shows the token.
///
/// The idle time limit is short because the delay between repeated requests depends on it.
fn assert_failures_are_silent(stage: Stage) {
    let timeouts = "{connect='60s', idle='5s', push_verdict='60s'}";
    let variables = [
        TOKEN_VARIABLE[0],
        ("FRACTARY_CODEX_REMOTE__TIMEOUT", timeouts),
    ];

    for reaction in [
        Reaction::Echo(400),
        Reaction::Echo(401),
        Reaction::Echo(403),
        Reaction::Echo(404),
        Reaction::Echo(503),
        Reaction::Reset,
        Reaction::Garbage,
        Reaction::Truncate(200),
        Reaction::LoseAnswer,
    ] {
        let world = guarded_world();
        world.server().fail(stage, reaction.clone(), usize::MAX);
        // Commands that do not push do not reach the other stages.
        let readers: &[&[_]] = match stage {
            Stage::ListToFetch | Stage::Fetch => &[
                &["doctor"],
                &["sync", "--from-codex", "--include", "codex://acme/x/**"],
            ],
            _ => &[],
        };
        for command in readers {
            let output = world.sandbox.finish(world.traced(command, &variables));
            assert_no_secret("stdout", output.stdout.as_bytes());
            assert_no_secret("stderr", output.stderr.as_bytes());
        }
        let output = world.sync_and_search(&[], &variables, &[]);
        // After a lost response the remote is queried, and the push can be confirmed.
        let landed = matches!(
            (stage, &reaction),
            (Stage::Push, Reaction::LoseAnswer | Reaction::Truncate(_))
        );
        let expected = if landed && output.code == Some(0) {
            0
        } else {
            4
        };
        assert_eq!(
            output.code,
            Some(expected),
            "{stage:?} {reaction:?}: {}",
            output.stderr
        );
    }
}

#[test]
fn rejected_token_and_hook_that_prints_it_do_not_show_it() {
    let world = world("x-access-token:another");
    assert!(
        world
            .sync_and_search(&[], &TOKEN_VARIABLE, &[])
            .code(4)
            .stderr
            .contains("rejected the credentials")
    );
    let world = guarded_world();
    world.server().fail(Stage::Fetch, Reaction::Stall, 1);
    world.sync_and_search(&[], &[TOKEN_VARIABLE[0], SHORT_TIMEOUTS], &[]);
    let world = guarded_world();
    let encoded = BASE64_STANDARD.encode(format!("x-access-token:{MARKER}"));
    world.codex.hook(
        "pre-receive",
        &format!("echo 'go away {MARKER}' >&2; echo 'Basic {encoded}' >&2; exit 1"),
    );
    let output = world
        .sync_and_search(&[], &TOKEN_VARIABLE, &["codex.git/hooks/pre-receive"])
        .code(5);
    assert!(
        output.stderr.contains("  remote: go away ***"),
        "{}",
        output.stderr
    );
    // A persistent clone does not contain it either.
    let world = guarded_world();
    world
        .sync_and_search(&["--config", "clone.strategy=cached"], &TOKEN_VARIABLE, &[])
        .code(0);
    assert!(
        world
            .sandbox
            .path("home/.cache/fractary-codex/clones")
            .exists()
    );
}

#[test]
fn hook_that_repeats_a_login_of_git_does_not_show_it() {
    let encoded = BASE64_STANDARD.encode(format!("x-access-token:{MARKER}"));
    let helper = format!("!f() {{ echo username=x-access-token; echo password={MARKER}; }}; f");
    let header = format!("Authorization: Basic {encoded}");
    for (key, value) in [("credential.helper", helper), ("http.extraHeader", header)] {
        let world = guarded_world();
        world.codex.hook(
            "pre-receive",
            &format!("echo 'go away {MARKER}' >&2; echo 'Basic {encoded}' >&2; exit 1"),
        );
        let settings = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", key),
            ("GIT_CONFIG_VALUE_0", value.as_str()),
            ("FRACTARY_CODEX_REMOTE__TRANSPORT", "native"),
        ];
        let output = world
            .sync_and_search(&[], &settings, &["codex.git/hooks/pre-receive"])
            .code(5);
        let shown = "  remote: go away ***";
        assert!(output.stderr.contains(shown), "{key}: {}", output.stderr);
    }
}

#[test]
fn redirect_gets_no_token_in_any_stage() {
    for stage in [
        Stage::ListToFetch,
        Stage::Fetch,
        Stage::ListToPush,
        Stage::Push,
    ] {
        for credentials in [None, Some("x-access-token:other")] {
            let world = guarded_world();
            let other = HttpServer::start(&world.sandbox.path(""), credentials);
            let encoded = BASE64_STANDARD.encode(format!("x-access-token:{MARKER}"));
            let to = other
                .url("")
                .replace("http://", &format!("http://x:{MARKER}@"));
            let to = format!("{to}{MARKER}/{encoded}");
            world.server().fail(stage, Reaction::Redirect(to), 20);
            world.sync_and_search(&[], &TOKEN_VARIABLE, &[]).code(4);
            assert!(other.requests().is_empty(), "{stage:?}");
            assert_eq!(world.codex.subjects().len(), 1);
        }
    }
}

#[test]
fn invalid_url_is_shown_without_its_password() {
    for url in [
        &format!("http://x-access-token:{MARKER}@codex.invalid/acme/codex.git"),
        &format!("http://x-access-token:{MARKER}@127.0.0.1:1/acme/codex.git"),
        &format!("https://{MARKER}:x-oauth-basic@127.0.0.1:1/acme/codex.git"),
        &format!("https://{MARKER}@127.0.0.1:1/acme/codex.git"),
        &format!("http://x:{MARKER}@host:port/acme/codex.git"),
        &format!("htps://x:{MARKER}@codex.invalid/acme/codex.git"),
        &format!("https:/x:{MARKER}@codex.invalid/acme/codex.git"),
        &format!("https//x:{MARKER}@codex.invalid/acme/codex.git"),
        &format!("x-access-token:{MARKER}@codex.invalid/acme/codex.git"),
        &format!("ssh://git:{MARKER}@127.0.0.1:1/acme/codex.git"),
        &format!("git://git:{MARKER}@127.0.0.1:1/acme/codex.git"),
        &format!("ftp://x:{MARKER}@codex.invalid/acme/codex.git"),
        &format!("ext::curl http://x:{MARKER}@codex.invalid"),
        &format!("https://x:{MARKER}@/acme/codex.git"),
        &format!("https://x:{MARKER}@[::1/acme/codex.git"),
        &format!("https://x:a/{MARKER}@codex.invalid/codex.git"),
    ] {
        let world = guarded_world();
        let variables = [("FRACTARY_CODEX_REMOTE__URL", url.as_str())];
        let output = world.sync_and_search(&[], &variables, &[]);
        assert!(
            matches!(output.code, Some(3 | 4)),
            "{url}: {}",
            output.stderr
        );
        for command in [
            &["config", "show", "--origin"][..],
            &["config", "validate"],
            &["config", "show", "--json"],
        ] {
            let output = world.sandbox.finish(world.traced(command, &variables));
            assert_no_secret(url, output.stdout.as_bytes());
            assert_no_secret(url, output.stderr.as_bytes());
        }
    }
}

#[test]
fn servers_and_git_that_repeat_a_url_do_not_show_its_secrets() {
    let world = World::builder().server(None).build();
    world
        .server()
        .fail(Stage::ListToFetch, Reaction::Echo(404), usize::MAX);
    let url = world.server().url("codex.git");
    let with_user = url.replace("://", &format!("://{MARKER}.@"));
    for (url, transport) in [
        (with_user.clone(), "auto"),
        (with_user, "git"),
        (format!("{url}?access_token={MARKER}"), "auto"),
        (format!("{url}?access_token={MARKER}"), "git"),
    ] {
        let variables = [
            ("FRACTARY_CODEX_REMOTE__URL", url.as_str()),
            ("FRACTARY_CODEX_REMOTE__TRANSPORT", transport),
            ("FRACTARY_CODEX_LOG", "debug"),
        ];
        for (command, code) in [
            (&["sync", "--all"][..], 4),
            (&["doctor", "--json"], 4),
            (&["config", "show", "--origin"], 0),
            (&["config", "explain", "remote.url"], 0),
        ] {
            let mut command = world.command(command);
            command.envs(variables);
            let output = world.sandbox.finish(command).code(code);
            assert_no_secret(&url, output.stdout.as_bytes());
            assert_no_secret(&url, output.stderr.as_bytes());
        }
    }
}
