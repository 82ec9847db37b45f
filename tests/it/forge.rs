//! The API of the forge: who may use it, where its token goes, and the errors that a user can meet.

use std::process::Command;

use crate::support::forge::{FORGE_TOKEN, Forge, Kind, Reaction, Response};
use crate::support::{TOKEN, World};

impl World {
    fn forge(&self, kind: Kind) -> Forge {
        Forge::start(kind, &self.sandbox.path("codex.git"))
    }

    /// The verdict, kind, and all texts of the check of pull requests.
    fn examine_forge(&self, forge: &Forge, variables: &[(&str, &str)]) -> [String; 3] {
        let mut command = self.command(&["doctor", "--json"]);
        command.envs(forge.variables());
        self.examine_with(command, variables)
    }

    /// The same without a token among the variables of the run.
    fn examine_without_token(&self, forge: &Forge, variables: &[(&str, &str)]) -> [String; 3] {
        let mut command = self.command(&["doctor", "--json"]);
        command.envs(forge.variables());
        command.env_remove("FRACTARY_CODEX_FORGE__TOKEN");
        self.examine_with(command, variables)
    }

    fn examine_with(&self, mut command: Command, variables: &[(&str, &str)]) -> [String; 3] {
        command.envs(variables.iter().copied());
        let output = self.sandbox.finish(command);
        for stream in [&output.stdout, &output.stderr] {
            assert!(!stream.contains(FORGE_TOKEN), "{stream}");
        }
        let document = output.json();
        let checks = document["checks"].as_array().unwrap();
        let check = checks
            .iter()
            .find(|check| check["subject"] == "pull requests")
            .unwrap_or_else(|| panic!("{document}"));
        [
            check["verdict"].as_str().unwrap().to_owned(),
            check["kind"].as_str().unwrap().to_owned(),
            check.to_string(),
        ]
    }

    #[track_caller]
    fn forge_shows(
        &self,
        forge: &Forge,
        variables: &[(&str, &str)],
        verdict: &str,
        kind: &str,
        text: &str,
    ) {
        let found = self.examine_forge(forge, variables);
        assert_eq!(
            (found[0].as_str(), found[1].as_str()),
            (verdict, kind),
            "{}",
            found[2]
        );
        assert!(found[2].contains(text), "{text}: {}", found[2]);
    }
}

#[test]
fn rights_of_the_token_are_read_from_every_forge() {
    for kind in Kind::EACH_API {
        let world = World::new();
        let forge = world.forge(kind);
        world.forge_shows(&forge, &[], "ok", "ok", "may write to `acme/codex`");
        assert_eq!(forge.requests().len(), 1);

        forge.make_read_only();
        world.forge_shows(&forge, &[], "warning", "odd", "may not push");
        forge.archive();
        world.forge_shows(&forge, &[], "warning", "odd", "archived");
    }
}

#[test]
fn refusals_of_a_forge_have_hints() {
    let world = World::new();
    let forge = world.forge(Kind::GitHub);
    let fail = |response| forge.fail("GET", "/repos", Reaction::Respond(response), 1);

    let wrong = [("FRACTARY_CODEX_FORGE__TOKEN", "wrong")];
    world.forge_shows(
        &forge,
        &wrong,
        "failed",
        "wrong-credentials",
        "`forge.token`",
    );
    let none = [("FRACTARY_CODEX_FORGE__TOKEN", "")];
    world.forge_shows(
        &forge,
        &none,
        "failed",
        "no-credentials",
        "FRACTARY_CODEX_FORGE__TOKEN",
    );

    let needed = "X-Accepted-GitHub-Permissions: metadata=read\r\n";
    let mut denied = Response::rejection(403, "Resource not accessible by integration");
    denied.headers.push_str(needed);
    fail(denied);
    world.forge_shows(&forge, &[], "failed", "forbidden", "metadata=read");
    fail(Response::rejection(404, "Not Found"));
    world.forge_shows(&forge, &[], "failed", "not-found", "`forge.repository`");

    let mut moved = Response::rejection(301, "Moved Permanently");
    moved
        .headers
        .push_str("Location: https://evil.example/repositories/1\r\n");
    fail(moved);
    world.forge_shows(&forge, &[], "failed", "redirected", "evil.example");

    let mut page = Response::rejection(200, "");
    page.body = "<html>log in</html>".to_owned();
    fail(page);
    world.forge_shows(&forge, &[], "failed", "unexpected-response", "login page");
}

#[test]
fn reading_is_repeated_after_failures_and_rate_limits() {
    let world = World::new();
    let forge = world.forge(Kind::GitLab);
    forge.fail("GET", "/projects", Reaction::CutOff, 1);
    forge.fail(
        "GET",
        "/projects",
        Reaction::Respond(Response::rejection(502, "Bad Gateway")),
        1,
    );
    let mut limited = Response::rejection(429, "Retry later");
    limited.headers.push_str("Retry-After: 0\r\n");
    forge.fail("GET", "/projects", Reaction::Respond(limited.clone()), 1);
    world.forge_shows(&forge, &[], "ok", "ok", "");
    assert_eq!(forge.requests().len(), 4);

    limited.headers = "Retry-After: 3600\r\n".to_owned();
    forge.fail("GET", "/projects", Reaction::Respond(limited), 1);
    world.forge_shows(&forge, &[], "failed", "rate-limited", "run again in 1h");
}

#[test]
fn response_that_repeats_the_token_does_not_show_it() {
    let world = World::new();
    let forge = world.forge(Kind::Gitea);
    let echo = Response::rejection(403, &format!("token {FORGE_TOKEN}\u{1b}[2J is read only"));
    forge.fail("GET", "/repos", Reaction::Respond(echo), 1);
    world.forge_shows(&forge, &[], "failed", "forbidden", "token ***");

    // The message is cut in the middle of the token.
    let long = format!("{}{FORGE_TOKEN}", "x".repeat(490));
    let echo = Response::rejection(403, &long);
    forge.fail("GET", "/repos", Reaction::Respond(echo), 1);
    let [.., check] = world.examine_forge(&forge, &[]);
    assert!(!check.contains(&FORGE_TOKEN[..6]), "{check}");
    assert!(check.contains("xxx***"), "{check}");

    // The message about a document of another form quotes it.
    let other = Response::json(200, &serde_json::json!({ "permissions": FORGE_TOKEN }));
    forge.fail("GET", "/repos", Reaction::Respond(other), 1);
    world.forge_shows(&forge, &[], "failed", "unexpected-response", "***");
}

/// The token in the file of the user has the host that the file names.
#[test]
fn token_of_the_user_is_only_for_its_host() {
    for (host, verdict, kind, text) in [
        ("127.0.0.1", "ok", "ok", "may write to `acme/codex`"),
        (
            "git.acme.com",
            "failed",
            "no-credentials",
            "is only for `git.acme.com`",
        ),
    ] {
        let world = World::builder().server(None).build();
        let forge = world.forge(Kind::Gitea);
        let user = format!(
            "codex: {{ forge: {{ token: {FORGE_TOKEN} }}, remote: {{ token_host: {host} }} }}\n"
        );
        world
            .sandbox
            .write("home/.config/fractary/config.yaml", user);
        let found = world.examine_without_token(&forge, &[]);
        assert_eq!((found[0].as_str(), found[1].as_str()), (verdict, kind));
        assert!(found[2].contains(text), "{}", found[2]);
        assert_eq!(forge.requests().is_empty(), kind != "ok");
    }
}

#[test]
fn workspace_cannot_allow_plain_http_for_the_api_token_of_the_user() {
    let world = World::behind_http();
    let forge = world.forge(Kind::Gitea);
    let user = format!(
        "codex: {{ forge: {{ token: {FORGE_TOKEN} }}, remote: {{ token_host: 127.0.0.1 }} }}\n"
    );
    world
        .sandbox
        .write("home/.config/fractary/config.yaml", user);
    let local = format!("codex: {{ remote: {{ token: {TOKEN}, allow_insecure: true }} }}\n");
    world.sandbox.write("ws/.fractary/config.local.yaml", local);
    let exposed = ("FRACTARY_CODEX_FORGE__API", "http://git.invalid/api/v1");
    let found = world.examine_without_token(&forge, &[exposed]);
    assert_eq!(
        (found[0].as_str(), found[1].as_str()),
        ("failed", "insecure"),
        "{}",
        found[2]
    );

    // Allowed by the run, it gets as far as the name that has no address.
    let allowed = ("FRACTARY_CODEX_REMOTE__ALLOW_INSECURE", "true");
    let found = world.examine_without_token(&forge, &[exposed, allowed]);
    assert!(
        found[2].contains("could not resolve host `git.invalid`"),
        "{}",
        found[2]
    );
}

#[test]
fn token_of_the_job_is_only_for_the_server_of_the_job() {
    let world = World::builder().server(None).build();
    let forge = world.forge(Kind::GitHub);
    let own = world.server().url("");
    for (server, verdict, kind) in [
        (own.trim_end_matches('/'), "ok", "ok"),
        ("https://git.acme.com", "failed", "no-credentials"),
    ] {
        let variables = [("GITHUB_TOKEN", FORGE_TOKEN), ("GITHUB_SERVER_URL", server)];
        let found = world.examine_without_token(&forge, &variables);
        assert_eq!(
            (found[0].as_str(), found[1].as_str()),
            (verdict, kind),
            "{}",
            found[2]
        );
    }
}

/// The path of the remote's URL would lead to another document of the API.
#[test]
fn path_that_is_not_the_name_of_a_repository_is_not_requested() {
    let world = World::new();
    let forge = world.forge(Kind::Gitea);
    let url = "git@git.acme.com:acme/codex?admin.git";
    let local = format!(
        "url.{}.insteadOf",
        world.sandbox.path("codex.git").display()
    );
    let variables = [
        ("FRACTARY_CODEX_FORGE__REPOSITORY", ""),
        ("FRACTARY_CODEX_REMOTE__URL", url),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", local.as_str()),
        ("GIT_CONFIG_VALUE_0", url),
    ];
    world.forge_shows(
        &forge,
        &variables,
        "failed",
        "not-found",
        "name of the repository",
    );
    assert!(forge.requests().is_empty());
}

#[test]
fn kind_is_known_from_the_path_of_the_api() {
    let world = World::behind_http();
    let forge = world.forge(Kind::Gitea);
    let auto = [
        ("FRACTARY_CODEX_FORGE__KIND", "auto"),
        ("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN),
    ];
    world.forge_shows(&forge, &auto, "ok", "ok", "Gitea");
}

#[test]
fn server_without_a_known_api_is_asked_without_a_token() {
    let world = World::behind_http();
    let forge = world.forge(Kind::Gitea);
    let auto = [
        ("FRACTARY_CODEX_FORGE__KIND", "auto"),
        ("FRACTARY_CODEX_FORGE__API", ""),
        ("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN),
    ];
    world.forge_shows(&forge, &auto, "failed", "unknown-forge", "`forge.kind`");
    for request in world.server().requests() {
        let is_probe = request.target.starts_with("/api/");
        assert!(
            !is_probe || !request.headers.contains_key("authorization"),
            "{request:?}"
        );
    }
}

/// The token is sent to an API that a workspace chose only if the workspace also has the token.
#[test]
fn workspace_cannot_lead_a_token_to_its_api() {
    let run_token = ("FRACTARY_CODEX_FORGE__TOKEN", FORGE_TOKEN);
    let remote_token = ("FRACTARY_CODEX_REMOTE__TOKEN", TOKEN);
    for (in_file, variables, is_sent, kind) in [
        ("", vec![run_token, remote_token], false, "configuration"),
        ("", vec![remote_token], false, "no-credentials"),
        (FORGE_TOKEN, vec![remote_token], true, "ok"),
    ] {
        let world = World::behind_http();
        let forge = world.forge(Kind::GitHub);
        let token = match in_file {
            "" => String::new(),
            token => format!(", token: {token}"),
        };
        let local = format!(
            "codex: {{ forge: {{ kind: github, api: '{}', repository: acme/codex{token} }} }}\n",
            forge.api()
        );
        world.sandbox.write("ws/.fractary/config.local.yaml", local);
        let mut command = world.command(&["doctor", "--json"]);
        command.envs(variables);
        let output = world.sandbox.finish(command);
        assert!(output.stdout.contains(kind), "{}", output.stdout);
        assert!(!output.stdout.contains(FORGE_TOKEN) && !output.stdout.contains(TOKEN));
        assert_eq!(!forge.requests().is_empty(), is_sent, "{}", output.stdout);
    }
}

#[test]
fn forges_without_support_are_named() {
    for (url, forge) in [
        ("https://dev.azure.com/acme/docs/_git/codex", "Azure DevOps"),
        ("git@bitbucket.org:acme/codex.git", "Bitbucket"),
        ("https://acme.googlesource.com/codex", "Gerrit"),
    ] {
        let world = World::new();
        let run = |arguments: &[&str]| {
            let mut command = world.sandbox.program(arguments);
            command.env("FRACTARY_CODEX_REMOTE__URL", url);
            // The remote of another transport than http is replaced by the local codex.
            command.env("GIT_CONFIG_COUNT", "1");
            let local = format!(
                "url.{}.insteadOf",
                world.sandbox.path("codex.git").display()
            );
            command.env("GIT_CONFIG_KEY_0", local);
            command.env("GIT_CONFIG_VALUE_0", url);
            command.env("FRACTARY_CODEX_FORGE__REPOSITORY", "acme/codex");
            world.sandbox.finish(command)
        };
        let sync = ["sync", "--all", "--json", "--push-mode"];
        let doctor = run(&["doctor", "--json"]);
        let proposed = run(&[&sync[..], &["pull-request"]].concat()).code(4);
        assert_eq!(proposed.json()["pushed"], false);
        for output in [doctor, proposed] {
            let text = output.stdout;
            assert!(
                text.contains("unsupported-forge") && text.contains(forge),
                "{text}"
            );
        }
        run(&[&sync[..], &["branch"]].concat()).code(0);
        assert!(world.tip_of("codex-sync/ws").is_some(), "{forge}");
    }
}
