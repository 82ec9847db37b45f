//! The ways to configure a token.

use std::fs;

use super::{MARKER, assert_no_secret, world};
use crate::support::http::{Reaction, Stage};
use crate::support::{Sandbox, World};

#[test]
fn every_way_to_configure_a_token_works_and_shows_it_nowhere() {
    let config = "ws/.fractary/config.yaml";
    let insert = |world: &World, text: &str| {
        let old = fs::read_to_string(world.sandbox.path(config)).unwrap();
        world
            .sandbox
            .write(config, old.replace("  remote:\n", text));
    };
    type Prepare<'p> =
        &'p dyn Fn(&World) -> (Vec<String>, Vec<(String, String)>, Vec<&'static str>);
    let here = |world: &World| world.server().url("").trim_end_matches('/').to_owned();
    let variable = |name: &str, value: String| (name.to_owned(), value);
    let in_url = |world: &World, user: &str| {
        let url = world
            .server()
            .url("codex.git")
            .replace("http://", &format!("http://{user}@"));
        vec![variable("FRACTARY_CODEX_REMOTE__URL", url)]
    };
    let ways: [(&str, Prepare<'_>); 13] = [
        ("remote.token", &|world| {
            insert(world, &format!("  remote:\n    token: {MARKER}\n"));
            (vec![], vec![], vec![config])
        }),
        ("a variable", &|world| {
            insert(world, "  remote:\n    token: ${CI_SECRET}\n");
            (
                vec![],
                vec![variable("CI_SECRET", MARKER.to_owned())],
                vec![],
            )
        }),
        (".env", &|world| {
            world.sandbox.write(
                "ws/.fractary/env/.env",
                format!("FRACTARY_CODEX_REMOTE__TOKEN={MARKER}\n"),
            );
            (vec![], vec![], vec!["ws/.fractary/env/.env"])
        }),
        ("the key's variable", &|_| {
            (
                vec![],
                vec![variable("FRACTARY_CODEX_REMOTE__TOKEN", MARKER.to_owned())],
                vec![],
            )
        }),
        ("a flag", &|_| {
            (
                vec!["--config".to_owned(), format!("remote.token={MARKER}")],
                vec![],
                vec![],
            )
        }),
        ("another user", &|_| {
            let token = variable("FRACTARY_CODEX_REMOTE__TOKEN", MARKER.to_owned());
            (
                vec![],
                vec![
                    token,
                    variable("FRACTARY_CODEX_REMOTE__USERNAME", "ci".to_owned()),
                ],
                vec![],
            )
        }),
        ("GITHUB_TOKEN", &|world| {
            let server = variable("GITHUB_SERVER_URL", here(world));
            (
                vec![],
                vec![variable("GITHUB_TOKEN", MARKER.to_owned()), server],
                vec![],
            )
        }),
        ("GH_TOKEN", &|world| {
            let server = variable("GITHUB_SERVER_URL", here(world));
            (
                vec![],
                vec![variable("GH_TOKEN", MARKER.to_owned()), server],
                vec![],
            )
        }),
        ("remotes", &|world| {
            insert(
                world,
                &format!("  remotes:\n    codex: {{ token: {MARKER} }}\n  remote:\n"),
            );
            (vec![], vec![], vec![config])
        }),
        ("a password in the URL", &|world| {
            (
                vec![],
                in_url(world, &format!("x-access-token:{MARKER}")),
                vec![],
            )
        }),
        ("a token as user", &|world| {
            (vec![], in_url(world, MARKER), vec![])
        }),
        ("a token as user, and nothing", &|world| {
            (vec![], in_url(world, &format!("{MARKER}:")), vec![])
        }),
        ("a token as user, GitHub's old way", &|world| {
            (
                vec![],
                in_url(world, &format!("{MARKER}:x-oauth-basic")),
                vec![],
            )
        }),
    ];
    for (index, (way, prepare)) in ways.into_iter().enumerate() {
        let credentials = match way {
            "another user" => format!("ci:{MARKER}"),
            "a token as user" | "a token as user, and nothing" => format!("{MARKER}:"),
            "a token as user, GitHub's old way" => format!("{MARKER}:x-oauth-basic"),
            _ => format!("x-access-token:{MARKER}"),
        };
        let world = world(&credentials);
        let (arguments, variables, given) = prepare(&world);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let output = world.sync_and_search(&arguments, &variables, &given);
        assert_eq!(output.code, Some(0), "{way}: {}", output.stderr);
        assert_eq!(world.codex.paths().len(), 2, "{way}");
        // The same if the response of the server contains the credentials.
        world.sandbox.write("ws/alpha/README.md", "changed");
        world
            .server()
            .fail(Stage::ListToFetch, Reaction::Echo(403), 3);
        let output = world
            .sync_and_search(&arguments, &variables, &given)
            .code(4);
        assert!(
            output.stderr.contains("was asked with Basic ***"),
            "{way}: {}",
            output.stderr
        );
        for command in [
            &["config", "show", "--origin"][..],
            &["config", "explain", "remote.token"],
            &["projects"],
            &[
                "sync",
                "--all",
                "--from-codex",
                "--include",
                "codex://acme/alpha/**",
                "-vv",
            ],
            &["cache", "list"],
            &["cache", "status"],
            &["doctor"],
        ] {
            // Every format with many ways, and every way with one format.
            let format: &[_] = if index % 2 == 0 { &["--json"] } else { &[] };
            let all = [command, format, &arguments].concat();
            let output = world.sandbox.finish(world.traced(&all, &variables)).code(0);
            assert_no_secret(way, output.stdout.as_bytes());
            assert_no_secret(way, output.stderr.as_bytes());
        }
        assert!(
            world.sandbox.path("ws/.fractary/codex/cache").exists(),
            "{way}"
        );
        world.assert_not_on_disk(&given);
    }
}

#[test]
fn configuration_error_does_not_quote_the_token() {
    let codex = "codex:\n  organization: acme\n  codex_repo: codex\n  projects: { alpha: {} }\n";
    let yaml = |rest: &str| ("config.yaml", format!("{codex}{rest}"));
    for (name, text) in [
        yaml(&format!("  remote:\n    token: \"{MARKER}\n")),
        yaml(&format!("  remote:\n    token: {MARKER}: x\n")),
        yaml(&format!("  remote:\n\ttoken: {MARKER}\n")),
        yaml(&format!(
            "  remote:\n    token: {MARKER}\n    token: {MARKER}\n"
        )),
        yaml(&format!("  remote:\n    token: [{MARKER}]\n")),
        yaml(&format!("  remote:\n    token: {{ value: {MARKER} }}\n")),
        yaml(&format!("  remote:\n    tokn: {MARKER}\n")),
        yaml(&format!("  remote:\n    TOKEN_VARIABLE: {MARKER}\n")),
        yaml(&format!("  token: {MARKER}\n")),
        yaml(&format!("  remote.token: {MARKER}\n")),
        yaml(&format!("  remote: {{ token: {MARKER}, url: 'x y://' }}\n")),
        yaml(&format!("  remotes:\n    acme/codex: {MARKER}\n")),
        yaml(&format!(
            "  remotes:\n    acme/codex: {{ tokn: {MARKER} }}\n"
        )),
        yaml(&format!(
            "  remotes:\n    acme/codex: {{ token: [{MARKER}] }}\n"
        )),
        yaml(&format!("  remotes: [{MARKER}]\n")),
        yaml(&format!(
            "  auth: {{ password: {MARKER}, default: {{ token: {MARKER} }} }}\n"
        )),
        yaml(&format!(
            "  storage: {{ key: {MARKER}, list: [{MARKER}] }}\n  mcp: {{ env: {{ API_KEY: {MARKER} }} }}\n"
        )),
        (
            "config.toml",
            format!("[codex.remote]\ntoken = \"{MARKER}\n"),
        ),
        ("config.toml", format!("[codex.remote]\ntoken = {MARKER}\n")),
        (
            "config.toml",
            format!("[codex.remote]\ntoken = [\"{MARKER}\"]\n"),
        ),
        (
            "config.json",
            format!("{{\"codex\": {{\"remote\": {{\"token\": \"{MARKER}\" \"branch\": 1}}}}}}"),
        ),
        (
            "config.json",
            format!("{{\"codex\": {{\"remote\": {{\"token\": \"{MARKER}"),
        ),
        ("env/.env", format!("REMOTE TOKEN_VARIABLE={MARKER}\n")),
        ("env/.env", format!("TOKEN_VARIABLE=\"{MARKER}\n")),
        (
            "env/.env",
            format!("FRACTARY_CODEX_REMOTE__TOKN={MARKER}\n"),
        ),
        (
            "env/.env",
            format!("FRACTARY_CODEX_REMOTE={{token={MARKER}\n"),
        ),
        ("env/.env", format!("FRACTARY_CODEX_REMOTE={MARKER}\n")),
        (
            "env/.env",
            format!("FRACTARY_CODEX_REMOTES={{acme={MARKER}}}\n"),
        ),
    ] {
        let sandbox = Sandbox::new();
        if name != "config.yaml" {
            sandbox.write("ws/.fractary/config.local.yaml", codex);
        }
        sandbox.write(&format!("ws/.fractary/{name}"), &text);
        for command in [
            &["config", "show", "--origin"][..],
            &["config", "show", "--json"],
            &["sync", "--all", "--offline", "--dry-run", "-vv"],
            &["sync", "--all", "--offline", "--dry-run", "--json"],
        ] {
            let mut command = sandbox.program(command);
            command.env("FRACTARY_CODEX_LOG", "trace");
            let output = sandbox.finish(command);
            assert_ne!(output.code, Some(70));
            assert_no_secret(&text, output.stdout.as_bytes());
            assert_no_secret(&text, output.stderr.as_bytes());
        }
    }
}
