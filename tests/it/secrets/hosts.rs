//! The host that each token is sent to.

use super::{MARKER, guarded_world, received_credentials};

#[test]
fn token_is_only_sent_to_its_host_and_repository() {
    let elsewhere = [
        ("GITHUB_TOKEN", MARKER),
        ("GITHUB_SERVER_URL", "http://localhost:80"),
        ("GH_TOKEN", MARKER),
    ];
    let world = guarded_world();
    world.sync_and_search(&[], &elsewhere, &[]).code(4);
    world.sync_and_search(&[], &elsewhere[..1], &[]).code(4);
    assert!(!received_credentials(world.server()));
    // A name that only begins or ends like the host's is another host.
    for server in [
        "http://127.0.0.1.evil.example",
        "http://evil.example/127.0.0.1",
        "http://127.0.0.1@evil.example",
    ] {
        world
            .sync_and_search(
                &[],
                &[("GITHUB_TOKEN", MARKER), ("GITHUB_SERVER_URL", server)],
                &[],
            )
            .code(4);
        assert!(!received_credentials(world.server()), "{server}");
    }
    let other =
        format!("{{\"acme/other\"={{token=\"{MARKER}\"}}, \"acme/codex\"={{token=\"{MARKER}\"}}}}");
    world
        .sync_and_search(&[], &[("FRACTARY_CODEX_REMOTES", &other)], &[])
        .code(4);
    assert!(!received_credentials(world.server()));
}

#[test]
fn dotenv_cannot_redirect_the_token_of_the_job() {
    let world = guarded_world();
    let host = world.server().url("");
    world.sandbox.write(
        "ws/.fractary/env/.env",
        format!("GITHUB_SERVER_URL={host}\n"),
    );
    world
        .sync_and_search(&[], &[("GITHUB_TOKEN", MARKER)], &[])
        .code(4);
    assert!(
        world
            .server()
            .requests()
            .iter()
            .all(|request| !request.headers.contains_key("authorization"))
    );
    // As a variable of the process, it sets the host of the token.
    world
        .sync_and_search(
            &[],
            &[("GITHUB_TOKEN", MARKER), ("GITHUB_SERVER_URL", &host)],
            &[],
        )
        .code(0);
}
