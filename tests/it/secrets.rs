//! A token is sent to the host it was given for and shows up nowhere else: not in what is printed or logged, not in an
//! argument list, not in a file, not in the codex, whatever way it was given and whatever goes wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::support::http::{HttpServer, Reaction, Stage};
use crate::support::{Codex, Output, Sandbox, executable, process, wait_until};

const MARKER: &str = "m4rker-token-0123456789";

struct World {
    sandbox: Sandbox,
    codex: Codex,
    server: HttpServer,
}

/// One project with a change to publish, and a codex behind http that wants these credentials.
fn world(credentials: Option<&str>) -> World {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    sandbox.write("ws/alpha/README.md", "alpha");
    let server = HttpServer::start(&sandbox.path(""), credentials);
    World {
        sandbox,
        codex,
        server,
    }
}

fn guarded() -> World {
    world(Some(&format!("x-access-token:{MARKER}")))
}

/// The forms in which the secret could show: itself, and as a header carries it.
fn forms() -> Vec<String> {
    let users = ["x-access-token", "ci", ""];
    let encoded = users.map(|user| BASE64_STANDARD.encode(format!("{user}:{MARKER}")));
    let as_user = ["", "x-oauth-basic"]
        .map(|password| BASE64_STANDARD.encode(format!("{MARKER}:{password}")));
    let forms = encoded
        .into_iter()
        .chain(as_user)
        .map(|form| form.trim_end_matches('=').to_owned());
    forms.chain([MARKER.to_owned()]).collect()
}

#[track_caller]
fn is_free(what: &str, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for form in forms() {
        assert!(!text.contains(&form), "{what} holds {form}:\n{text}");
    }
}

/// Time-outs that are to run out.
const IMPATIENT: (&str, &str) = (
    "FRACTARY_CODEX_REMOTE__TIMEOUT",
    "{connect='2s', idle='1s', push_verdict='3s'}",
);

impl World {
    /// A sync that tells all it knows.
    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = self.sandbox.program(arguments);
        command.env("FRACTARY_CODEX_REMOTE__URL", self.server.url("codex.git"));
        // Short only where it is to run out: the machine may be slow.
        let patience = "{connect='60s', idle='60s', push_verdict='60s'}";
        command.env("FRACTARY_CODEX_REMOTE__TIMEOUT", patience);
        command
            .env("FRACTARY_CODEX_LOG", "trace")
            .envs(variables.iter().copied());
        command
    }

    /// Syncs, for people and for programs, and looks for the secret wherever it could be; `given` are the files that
    /// hold it by the test's own doing. Gives the first of the outputs.
    #[track_caller]
    fn sync(&self, arguments: &[&str], variables: &[(&str, &str)], given: &[&str]) -> Output {
        let run = |more: &[&str]| {
            let output = self
                .sandbox
                .finish(self.command(&[&["sync", "--all"], arguments, more].concat(), variables));
            is_free("stdout", output.stdout.as_bytes());
            is_free("stderr", output.stderr.as_bytes());
            self.nowhere_on_disk(given);
            output
        };
        let first = run(&["-vv"]);
        run(&["--json", "-vv", "--log-format", "json"]);
        run(&["--dry-run", "-v"]);
        for request in self.server.requests() {
            is_free("a request's target", request.target.as_bytes());
        }
        first
    }

    /// No file of the sandbox holds the secret, and no object of the codex.
    #[track_caller]
    fn nowhere_on_disk(&self, given: &[&str]) {
        let given: Vec<PathBuf> = given.iter().map(|path| self.sandbox.path(path)).collect();
        for (path, data, ..) in self.sandbox.fingerprint("") {
            if !given.contains(&path) {
                is_free(
                    &path.display().to_string(),
                    path.as_os_str().as_encoded_bytes(),
                );
                is_free(&path.display().to_string(), &data);
            }
        }
        let objects = ["cat-file", "--batch-all-objects", "--batch"];
        let output = process::program("git")
            .args(objects)
            .current_dir(self.codex.path())
            .output()
            .unwrap();
        assert!(output.status.success());
        is_free("an object of the codex", &output.stdout);
    }

    fn token() -> [(&'static str, &'static str); 1] {
        [("FRACTARY_CODEX_REMOTE__TOKEN", MARKER)]
    }

    fn was_told(&self) -> bool {
        self.server
            .requests()
            .iter()
            .any(|request| request.headers.contains_key("authorization"))
    }
}

#[test]
fn every_way_to_give_a_token_works_and_shows_it_nowhere() {
    let config = "ws/.fractary/config.yaml";
    let insert = |world: &World, text: &str| {
        let old = fs::read_to_string(world.sandbox.path(config)).unwrap();
        world
            .sandbox
            .write(config, old.replace("  remote:\n", text));
    };
    type Prepare<'p> =
        &'p dyn Fn(&World) -> (Vec<String>, Vec<(String, String)>, Vec<&'static str>);
    let here = |world: &World| world.server.url("").trim_end_matches('/').to_owned();
    let variable = |name: &str, value: String| (name.to_owned(), value);
    let in_url = |world: &World, user: &str| {
        let url = world
            .server
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
    for (way, prepare) in ways {
        let credentials = match way {
            "another user" => format!("ci:{MARKER}"),
            "a token as user" | "a token as user, and nothing" => format!("{MARKER}:"),
            "a token as user, GitHub's old way" => format!("{MARKER}:x-oauth-basic"),
            _ => format!("x-access-token:{MARKER}"),
        };
        let world = world(Some(&credentials));
        let (arguments, variables, given) = prepare(&world);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let output = world.sync(&arguments, &variables, &given);
        assert_eq!(output.code, Some(0), "{way}: {}", output.stderr);
        assert_eq!(world.codex.paths().len(), 2, "{way}");
        // And the same where the server gives it all back.
        world.sandbox.write("ws/alpha/README.md", "changed");
        world
            .server
            .fail(Stage::ListToFetch, Reaction::Echo(403), 3);
        let output = world.sync(&arguments, &variables, &given).code(4);
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
            for format in [&[][..], &["--json"]] {
                let all = [command, format, &arguments].concat();
                let output = world
                    .sandbox
                    .finish(world.command(&all, &variables))
                    .code(0);
                is_free(way, output.stdout.as_bytes());
                is_free(way, output.stderr.as_bytes());
            }
        }
        assert!(
            world.sandbox.path("ws/.fractary/codex/cache").exists(),
            "{way}"
        );
        world.nowhere_on_disk(&given);
    }
}

#[test]
fn no_failure_of_a_remote_shows_the_token() {
    let stages = [
        Stage::ListToFetch,
        Stage::Fetch,
        Stage::ListToPush,
        Stage::Push,
    ];
    std::thread::scope(|scope| {
        for stage in stages {
            scope.spawn(move || no_failure_at_shows_the_token(stage));
        }
    });
}

fn no_failure_at_shows_the_token(stage: Stage) {
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
        let world = guarded();
        world.server.fail(stage, reaction.clone(), usize::MAX);
        for command in [
            &["doctor"][..],
            &["sync", "--from-codex", "--include", "codex://acme/x/**"],
        ] {
            let output = world
                .sandbox
                .finish(world.command(command, &World::token()));
            is_free("stdout", output.stdout.as_bytes());
            is_free("stderr", output.stderr.as_bytes());
        }
        let output = world.sync(&[], &World::token(), &[]);
        // A lost answer is asked for: then it is no failure.
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
fn a_wrong_token_a_stall_and_a_hook_that_tells_all_show_nothing() {
    let world = world(Some("x-access-token:another"));
    assert!(
        world
            .sync(&[], &World::token(), &[])
            .code(4)
            .stderr
            .contains("rejected the credentials")
    );
    let world = guarded();
    world.server.fail(Stage::Fetch, Reaction::Stall, 1);
    world.sync(
        &[],
        &[World::token().as_slice(), &[IMPATIENT]].concat(),
        &[],
    );
    let world = guarded();
    let encoded = BASE64_STANDARD.encode(format!("x-access-token:{MARKER}"));
    world.codex.hook(
        "pre-receive",
        &format!("echo 'go away {MARKER}' >&2; echo 'Basic {encoded}' >&2; exit 1"),
    );
    let output = world
        .sync(&[], &World::token(), &["codex.git/hooks/pre-receive"])
        .code(5);
    assert!(
        output.stderr.contains("  remote: go away ***"),
        "{}",
        output.stderr
    );
    // Nor where the clone is kept.
    let world = guarded();
    world
        .sync(&["--config", "clone.strategy=cached"], &World::token(), &[])
        .code(0);
    assert!(
        world
            .sandbox
            .path("home/.cache/fractary-codex/clones")
            .exists()
    );
}

#[test]
fn a_redirect_gets_no_token_in_any_stage_and_shows_none() {
    for stage in [
        Stage::ListToFetch,
        Stage::Fetch,
        Stage::ListToPush,
        Stage::Push,
    ] {
        for credentials in [None, Some("x-access-token:other")] {
            let world = guarded();
            let other = HttpServer::start(&world.sandbox.path(""), credentials);
            let encoded = BASE64_STANDARD.encode(format!("x-access-token:{MARKER}"));
            let to = other
                .url("")
                .replace("http://", &format!("http://x:{MARKER}@"));
            let to = format!("{to}{MARKER}/{encoded}");
            world.server.fail(stage, Reaction::Redirect(to), 20);
            world.sync(&[], &World::token(), &[]).code(4);
            assert!(other.requests().is_empty(), "{stage:?}");
            assert_eq!(world.codex.subjects().len(), 1);
        }
    }
}

#[test]
fn urls_that_lead_nowhere_are_shown_without_their_password() {
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
        let world = guarded();
        let variables = [("FRACTARY_CODEX_REMOTE__URL", url.as_str())];
        let output = world.sync(&[], &variables, &[]);
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
            let output = world.sandbox.finish(world.command(command, &variables));
            is_free(url, output.stdout.as_bytes());
            is_free(url, output.stderr.as_bytes());
        }
    }
}

#[test]
fn a_mistake_in_a_file_with_a_token_does_not_quote_it() {
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
        yaml(&format!("  remote:\n    TOKEN: {MARKER}\n")),
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
        ("env/.env", format!("REMOTE TOKEN={MARKER}\n")),
        ("env/.env", format!("TOKEN=\"{MARKER}\n")),
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
            &["config", "validate"][..],
            &["config", "show", "--origin"],
            &["config", "show", "--json"],
            &["config", "explain", "remotes"],
            &["sync", "--all", "--offline", "--dry-run", "-vv"],
            &["sync", "--all", "--offline", "--dry-run", "--json"],
        ] {
            let mut command = sandbox.program(command);
            command.env("FRACTARY_CODEX_LOG", "trace");
            let output = sandbox.finish(command);
            assert_ne!(output.code, Some(70));
            is_free(&text, output.stdout.as_bytes());
            is_free(&text, output.stderr.as_bytes());
        }
    }
}

#[test]
fn children_see_no_token_in_their_arguments_and_nothing_of_dotenv() {
    let world = guarded();
    let here = world.sandbox.path("");
    let here = here.display();
    world.sandbox.wrap_git(&format!(
        "echo \"$@\" >> {here}/arguments; env >> {here}/variables"
    ));
    let dotenv = format!("FRACTARY_CODEX_REMOTE__TOKEN={MARKER}\nOTHER_SECRET=do-not-pass-on\n");
    world.sandbox.write("ws/.fractary/env/.env", dotenv);
    world
        .sandbox
        .finish(world.command(&["sync", "--all"], &[]))
        .code(0);
    let read = |name: &str| fs::read_to_string(world.sandbox.path(name)).unwrap();
    let (arguments, variables) = (read("arguments"), read("variables"));
    assert!(arguments.contains("push"));
    is_free("the arguments of a child", arguments.as_bytes());
    // The header is all that a child gets to know.
    assert!(
        variables.contains("Authorization: Basic ") && !variables.contains(MARKER),
        "{variables}"
    );
    assert!(!variables.contains("do-not-pass-on"));
}

#[test]
fn while_a_push_is_under_way_no_process_and_no_file_shows_the_token() {
    for url in [None, Some(format!("x-access-token:{MARKER}@"))] {
        let world = guarded();
        let gate = world.codex.hold_pushes(&world.sandbox);
        let with_password = url.map(|user| {
            world
                .server
                .url("codex.git")
                .replace("http://", &format!("http://{user}"))
        });
        let mut command = match &with_password {
            Some(url) => world.command(&["sync", "--all"], &[("FRACTARY_CODEX_REMOTE__URL", url)]),
            None => world.command(&["sync", "--all"], &World::token()),
        };
        command.env("FRACTARY_CODEX_REMOTE__TIMEOUT", "{push_verdict='1m'}");
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        gate.wait();
        let home = format!("HOME={}", world.sandbox.path("home").display());
        let mut seen = 0;
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
            if read("environ")
                .split(|byte| *byte == 0)
                .any(|variable| variable == home.as_bytes())
            {
                seen += 1;
                is_free("an argument list", &read("cmdline"));
            }
        }
        // The program, git, and the helper that speaks http at least.
        assert!(
            seen >= if world.sandbox.uses_git() { 3 } else { 1 },
            "{seen}"
        );
        world.nowhere_on_disk(&[]);
        gate.open();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn each_token_goes_to_its_own_host_and_repository() {
    let elsewhere = [
        ("GITHUB_TOKEN", MARKER),
        ("GITHUB_SERVER_URL", "http://localhost:80"),
        ("GH_TOKEN", MARKER),
    ];
    let world = guarded();
    world.sync(&[], &elsewhere, &[]).code(4);
    world.sync(&[], &elsewhere[..1], &[]).code(4);
    assert!(!world.was_told());
    // A name that only begins or ends like the host's is another host.
    for server in [
        "http://127.0.0.1.evil.example",
        "http://evil.example/127.0.0.1",
        "http://127.0.0.1@evil.example",
    ] {
        world
            .sync(
                &[],
                &[("GITHUB_TOKEN", MARKER), ("GITHUB_SERVER_URL", server)],
                &[],
            )
            .code(4);
        assert!(!world.was_told(), "{server}");
    }
    let other =
        format!("{{\"acme/other\"={{token=\"{MARKER}\"}}, \"acme/codex\"={{token=\"{MARKER}\"}}}}");
    world
        .sync(&[], &[("FRACTARY_CODEX_REMOTES", &other)], &[])
        .code(4);
    assert!(!world.was_told());
}

#[test]
fn the_users_own_credential_helpers_are_asked() {
    let helper = format!("!f() {{ echo username=x-access-token; echo password={MARKER}; }}; f");
    let world = guarded();
    world.sandbox.write(
        "home/.gitconfig",
        format!("[credential]\n\thelper = \"{}\"\n", helper),
    );
    world.sync(&[], &[], &["home/.gitconfig"]).code(0);
    let world = guarded();
    let carried = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "credential.helper"),
        ("GIT_CONFIG_VALUE_0", helper.as_str()),
    ];
    world.sync(&[], &carried, &[]).code(0);
    assert_eq!(world.codex.paths().len(), 2);
    // But where a token was given, that one is judged: what a helper holds is neither used nor, as git does with what was
    // refused, erased.
    let world = guarded();
    let asked = world.sandbox.path("asked");
    world.sandbox.write(
        "home/.gitconfig",
        format!("[credential]\n\thelper = \"!touch {};\"\n", asked.display()),
    );
    world
        .sync(&[], &[("FRACTARY_CODEX_REMOTE__TOKEN", "wrong")], &[])
        .code(4);
    assert!(!asked.exists());
}

#[test]
fn a_trace_that_the_user_orders_from_git_shows_no_token() {
    let world = guarded();
    world.sandbox.use_git();
    let here = world.sandbox.path("").display().to_string();
    let files = [
        "GIT_TRACE",
        "GIT_TRACE_CURL",
        "GIT_TRACE_PACKET",
        "GIT_TRACE_SETUP",
        "GIT_TRACE2",
        "GIT_TRACE2_EVENT",
    ]
    .map(|name| (name, format!("{here}{name}")));
    let trace2 = "[trace2]\n\tconfigParams = http.*\n\tenvVars = GIT_CONFIG_VALUE_6,GIT_CONFIG_VALUE_7,GIT_CONFIG_VALUE_8\n";
    let mut variables: Vec<_> = files
        .iter()
        .map(|(name, file)| (*name, file.as_str()))
        .collect();
    let values: Vec<_> = (0..20)
        .map(|number| format!("GIT_CONFIG_VALUE_{number}"))
        .collect();
    let values = values.join(",");
    variables.extend([
        ("GIT_TRACE_REDACT", "0"),
        ("GIT_TRACE2_ENV_VARS", values.as_str()),
        ("GIT_TRACE2_CONFIG_PARAMS", "http.*,credential.*"),
    ]);
    world
        .sync(&[], &[variables.as_slice(), &World::token()].concat(), &[])
        .code(0);
    // Or orders for good.
    world.sandbox.write("home/.gitconfig", trace2);
    world.sandbox.write("ws/alpha/README.md", "changed");
    world
        .sync(
            &[],
            &[&variables[..files.len()], &World::token()].concat(),
            &[],
        )
        .code(0);
    let missing: Vec<_> = files
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_variables_of_a_hook_lead_nothing_astray() {
    let world = guarded();
    let ws = world.sandbox.path("ws");
    world.sandbox.git(&ws, &["init", "-q"]);
    world.sandbox.git(&ws, &["add", "alpha"]);
    world.sandbox.git(&ws, &["commit", "-qm", "source"]);
    let path = |name: &str| world.sandbox.path(name).display().to_string();
    let (git, index, objects) = (
        path("ws/.git"),
        path("ws/.git/index"),
        path("ws/.git/objects"),
    );
    let before = world.sandbox.fingerprint("ws/.git");
    let inside = [
        ("GIT_DIR", git.as_str()),
        ("GIT_COMMON_DIR", &git),
        ("GIT_WORK_TREE", "/nowhere"),
        ("GIT_INDEX_FILE", &index),
        ("GIT_OBJECT_DIRECTORY", &objects),
        ("GIT_PREFIX", "alpha/"),
    ];
    world
        .sync(&[], &[inside.as_slice(), &World::token()].concat(), &[])
        .code(0);
    assert_eq!(
        world.codex.subjects(),
        ["Sync 1 files from alpha", "Somebody else"]
    );
    assert!(world.sandbox.fingerprint("ws/.git") == before);
}

#[test]
fn a_program_that_answers_for_the_user_is_asked_and_one_that_does_not_is_not_waited_for() {
    for name in ["GIT_ASKPASS", "SSH_ASKPASS"] {
        let world = guarded();
        let script = |text: &str| {
            let path = world.sandbox.path("askpass");
            executable::script(&path, text);
            path.display().to_string()
        };
        // Where a token was given, nobody is asked.
        let asked = world.sandbox.path("asked");
        let askpass = script(&format!("touch {}", asked.display()));
        world
            .sync(
                &[],
                &[(name, &askpass), ("FRACTARY_CODEX_REMOTE__TOKEN", "wrong")],
                &[],
            )
            .code(4);
        assert!(!asked.exists());
        let pid = world.sandbox.path("pid");
        let askpass = script(&format!(
            "echo $$ > {}; while :; do sleep 0.05; done",
            pid.display()
        ));
        let output = world
            .sandbox
            .finish(world.command(&["sync", "--all"], &[(name, &askpass), IMPATIENT]))
            .code(4);
        assert!(
            output.stderr.contains("stopped answering"),
            "{}",
            output.stderr
        );
        let process = Path::new("/proc").join(fs::read_to_string(&pid).unwrap().trim());
        wait_until("nobody waits any more", || !process.join("exe").exists());
        let askpass = script(&format!(
            "case $1 in User*) echo x-access-token;; *) echo {MARKER};; esac"
        ));
        world.sync(&[], &[(name, &askpass)], &["askpass"]).code(0);
        assert_eq!(world.codex.paths().len(), 2);
    }
}

#[test]
fn ssh_never_asks_unless_the_user_runs_it_otherwise() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    let record = sandbox.path("ssh-arguments");
    executable::script(
        &sandbox.path("bin/ssh"),
        &format!("echo \"$@\" > {}\nexit 255", record.display()),
    );
    let path = format!(
        "{}:{}",
        sandbox.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let arguments = |variables: &[(&str, &str)]| {
        let mut command = sandbox.program(&[
            "sync",
            "--all",
            "--config",
            "remote.url=ssh://git.acme.example/x.git",
        ]);
        command.env("PATH", &path).envs(variables.iter().copied());
        sandbox.finish(command).code(4);
        fs::read_to_string(&record).unwrap()
    };
    let ours = arguments(&[]);
    assert!(
        ours.contains("BatchMode=yes") && !ours.contains("StrictHostKeyChecking"),
        "{ours}"
    );
    for variables in [
        &[("GIT_SSH_COMMAND", "ssh -o MyOwn=yes")][..],
        &[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "core.sshCommand"),
            ("GIT_CONFIG_VALUE_0", "ssh -o MyOwn=yes"),
        ],
    ] {
        let theirs = arguments(variables);
        assert!(
            theirs.contains("MyOwn=yes") && !theirs.contains("BatchMode"),
            "{theirs}"
        );
    }
    sandbox.write(
        "home/.gitconfig",
        "[core]\n\tsshCommand = ssh -o MyOwn=yes\n",
    );
    assert!(arguments(&[]).contains("MyOwn=yes"));
}

#[test]
fn a_file_of_variables_sends_the_jobs_token_nowhere() {
    let world = guarded();
    let host = world.server.url("");
    world.sandbox.write(
        "ws/.fractary/env/.env",
        format!("GITHUB_SERVER_URL={host}\n"),
    );
    world.sync(&[], &[("GITHUB_TOKEN", MARKER)], &[]).code(4);
    assert!(
        world
            .server
            .requests()
            .iter()
            .all(|request| !request.headers.contains_key("authorization"))
    );
    // Of the process, it names the host that the token is for.
    world
        .sync(
            &[],
            &[("GITHUB_TOKEN", MARKER), ("GITHUB_SERVER_URL", &host)],
            &[],
        )
        .code(0);
}
