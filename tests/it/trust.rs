//! Whom each layer of the configuration is trusted for: whose files are read, where tokens are
//! sent, and which directories are written to or published.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::process::Command;

use crate::support::http::HttpServer;
use crate::support::{Codex, Output, Sandbox, skipped};

const STRANGER: u32 = 54_321;

/// Whether files can be given to another user; says so where they cannot.
fn can_give_away() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skipped("only root can give files to another user");
    }
    is_root
}

/// Gives what is at these paths of the sandbox to another user.
fn give_away(sandbox: &Sandbox, paths: &[&str]) {
    for path in paths {
        lchown(sandbox.path(path), Some(STRANGER), Some(STRANGER)).unwrap();
    }
}

#[track_caller]
fn is_rejected(output: &Output, file: &str) {
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    for part in [
        file,
        "belongs to user 54321",
        "accepted owners: root (the current user)",
        "safe.directory",
        "FRACTARY_CODEX_SAFE_DIRECTORY",
    ] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
}

/// A workspace with one project and local configuration, variables and a member's own file.
fn workspace() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "  workspace: { members: ['services/*'] }\n");
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/services/api/README.md", "api");
    sandbox.write(
        "ws/services/api/.fractary/config.yaml",
        "codex: { project: api }\n",
    );
    sandbox.write("ws/.fractary/config.local.yaml", "codex: { jobs: 1 }\n");
    sandbox.write("ws/.fractary/env/.env", "A=b\n");
    (sandbox, codex)
}

#[test]
fn file_of_another_user_is_ignored() {
    if !can_give_away() {
        return;
    }
    for file in [
        "ws/.fractary/config.yaml",
        "ws/.fractary/config.local.yaml",
        "ws/.fractary/env/.env",
        "ws/.fractary/env",
        "ws/.fractary",
        "ws/services/api/.fractary/config.yaml",
        "ws/services/api/.fractary",
    ] {
        let (sandbox, codex) = workspace();
        give_away(&sandbox, &[file]);
        is_rejected(&sandbox.run(&["sync", "--all"]), &file[3..]);
        assert_eq!(codex.tip(), None, "{file}");
    }
}

#[test]
fn link_to_or_from_a_file_of_another_user_is_ignored() {
    if !can_give_away() {
        return;
    }
    // A stranger's link to a file of ours, our link to a stranger's file, and one link in between.
    for foreign in [
        "ws/.fractary/config.yaml",
        "ws/.fractary/second.yaml",
        "kept.yaml",
    ] {
        let (sandbox, _) = workspace();
        fs::rename(
            sandbox.path("ws/.fractary/config.yaml"),
            sandbox.path("kept.yaml"),
        )
        .unwrap();
        symlink("second.yaml", sandbox.path("ws/.fractary/config.yaml")).unwrap();
        symlink("../../kept.yaml", sandbox.path("ws/.fractary/second.yaml")).unwrap();
        sandbox.run(&["config", "validate"]).code(0);
        give_away(&sandbox, &[foreign]);
        is_rejected(&sandbox.run(&["config", "validate"]), "config.yaml");
    }
}

#[test]
fn file_of_the_owner_of_the_current_directory_is_read() {
    if !can_give_away() {
        return;
    }
    let (sandbox, codex) = workspace();
    // As in a container that runs as another user than the one who checked out.
    let given = Command::new("chown")
        .args(["-R", &STRANGER.to_string()])
        .arg(sandbox.path("ws"))
        .status();
    assert!(given.unwrap().success());
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.subjects().len(), 2);
    sandbox
        .run(&["-C", "services/api", "config", "validate"])
        .code(0);
}

#[test]
fn directory_in_safe_directory_is_read_with_any_owner() {
    if !can_give_away() {
        return;
    }
    let (sandbox, _) = workspace();
    give_away(
        &sandbox,
        &["ws/.fractary/config.yaml", "ws/services/api/.fractary"],
    );
    let ws = fs::canonicalize(sandbox.path("ws")).unwrap();
    let ws = ws.to_str().unwrap();
    let (above, _) = ws.rsplit_once('/').unwrap();
    let validate = |variables: &[(&str, &str)]| {
        let mut command = sandbox.program(&["config", "validate"]);
        command.envs(variables.iter().copied());
        sandbox.finish(command)
    };

    for (value, is_safe) in [
        (ws, true),
        ("*", true),
        (&format!("{above}/*"), true),
        (&format!("/elsewhere:{ws}"), true),
        (".", true),
        ("/elsewhere", false),
        (above, false),
        (&format!("{ws}/*"), false),
    ] {
        let output = validate(&[("FRACTARY_CODEX_SAFE_DIRECTORY", value)]);
        assert_eq!(
            output.code,
            Some(if is_safe { 0 } else { 3 }),
            "{value}: {}",
            output.stderr
        );
    }

    for (value, is_safe) in [
        (ws, true),
        ("*", true),
        (&format!("{above}/*"), true),
        (above, false),
    ] {
        sandbox.write(
            "home/.gitconfig",
            format!("[safe]\n\tdirectory = {value}\n"),
        );
        let output = validate(&[]);
        assert_eq!(
            output.code,
            Some(if is_safe { 0 } else { 3 }),
            "{value}: {}",
            output.stderr
        );
        let of_command = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", ""),
        ];
        is_rejected(&validate(&of_command), ".fractary/config.yaml");
    }
}

#[test]
fn workspace_cannot_declare_itself_safe() {
    if !can_give_away() {
        return;
    }
    let (sandbox, _) = workspace();
    give_away(&sandbox, &["ws/.fractary/config.local.yaml"]);
    sandbox.git(&sandbox.path("ws"), &["init", "-q"]);
    sandbox.git(&sandbox.path("ws"), &["config", "safe.directory", "*"]);
    sandbox.write("ws/.fractary/env/.env", "FRACTARY_CODEX_SAFE_DIRECTORY=*\n");
    let output = sandbox.run(&["config", "validate"]);
    is_rejected(&output, "config.local.yaml");
    fs::remove_file(sandbox.path("ws/.fractary/config.local.yaml")).unwrap();
    let output = sandbox.run(&["config", "validate"]).code(0);
    assert!(
        output
            .stderr
            .contains("`FRACTARY_CODEX_SAFE_DIRECTORY` has no effect here"),
        "{}",
        output.stderr
    );
}

#[test]
fn file_of_another_user_in_a_parent_is_an_error_only_if_it_covers_the_directory() {
    if !can_give_away() {
        return;
    }
    for (outer, covers) in [
        ("codex: { workspace: { members: ['*'] } }\n", true),
        ("codex: { workspace: { members: ['other'] } }\n", false),
        ("codex: { jobs: [\n", false),
        ("codex: { workspace: { members: ['${NOT_SET}'] } }\n", false),
    ] {
        let (sandbox, _) = workspace();
        sandbox.write(".fractary/config.yaml", outer);
        give_away(&sandbox, &[".fractary", ".fractary/config.yaml"]);
        let output = sandbox.run(&["config", "validate"]);
        if covers {
            is_rejected(&output, ".fractary/config.yaml");
        } else {
            assert_eq!(output.code, Some(0), "{outer}: {}", output.stderr);
        }
    }
}

#[test]
fn file_that_is_named_by_the_user_is_read_with_any_owner() {
    if !can_give_away() {
        return;
    }
    let (sandbox, _) = workspace();
    give_away(
        &sandbox,
        &["ws/.fractary/config.yaml", "ws/.fractary/config.local.yaml"],
    );
    let arguments = [
        "--config-file",
        ".fractary/config.yaml",
        "config",
        "validate",
    ];
    sandbox.run(&arguments).code(0);
}

const TOKEN: &str = "t0ken-of-the-user-0123456789";

/// A codex behind two servers on different ports that both take the token.
struct Hosts {
    sandbox: Sandbox,
    codex: Codex,
    /// Where the token belongs.
    own: HttpServer,
    /// Where a checkout tries to send it.
    other: HttpServer,
}

impl Hosts {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let codex = Codex::empty(&sandbox.path("acme/codex.git"), &sandbox);
        sandbox.write("ws/alpha/README.md", "alpha");
        let credentials = format!("x-access-token:{TOKEN}");
        let server = || HttpServer::start(&sandbox.path(""), Some(&credentials));
        let (own, other) = (server(), server());
        Self {
            sandbox,
            codex,
            own,
            other,
        }
    }

    /// Writes the workspace's file; `more` are lines below `codex:`, with the servers' URLs and
    /// places put in.
    fn workspace(&self, more: &str) {
        let base = "codex:\n  organization: acme\n  codex_repo: codex\n  projects: { alpha: {} }\n";
        let text = self.filled(&format!("{base}{more}"));
        self.sandbox.write("ws/.fractary/config.yaml", text);
    }

    fn user(&self, text: &str) {
        let text = self.filled(text);
        self.sandbox
            .write("home/.config/fractary/config.yaml", text);
    }

    fn remove_user(&self) {
        self.sandbox.remove("home/.config/fractary/config.yaml");
    }

    fn filled(&self, text: &str) -> String {
        text.replace("OWN_URL", &self.own.url("acme/codex.git"))
            .replace("OTHER_URL", &self.other.url("acme/codex.git"))
            .replace("OWN", &self.own.place())
            .replace("OTHER", &self.other.place())
            .replace("SECRET", TOKEN)
    }

    fn sync(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = self.sandbox.program(&["sync", "--all"]);
        for (name, value) in variables {
            command.env(name, self.filled(value));
        }
        self.sandbox.finish(command)
    }

    /// The sync landed at the host that the token is for.
    #[track_caller]
    fn lands(&self, variables: &[(&str, &str)]) {
        let output = self.sync(variables).code(0);
        assert_eq!(self.codex.subjects().len(), 1, "{}", output.stderr);
        assert!(was_sent_to(&self.own));
    }

    /// The token was sent to nobody.
    #[track_caller]
    fn is_kept(&self, variables: &[(&str, &str)], code: i32, message: &str) {
        let output = self.sync(variables).code(code);
        let message = self.filled(message);
        assert!(
            output.stderr.contains(&message),
            "{message}: {}",
            output.stderr
        );
        assert!(!output.stderr.contains(TOKEN), "{}", output.stderr);
        assert!(!was_sent_to(&self.other) && !was_sent_to(&self.own));
        assert_eq!(self.codex.tip(), None);
    }
}

fn was_sent_to(server: &HttpServer) -> bool {
    let requests = server.requests();
    requests
        .iter()
        .any(|request| request.headers.contains_key("authorization"))
}

#[test]
fn token_of_the_user_is_sent_to_the_host_of_its_own_url() {
    let user = "codex: { remote: { url: OWN_URL, token: SECRET } }\n";
    let world = Hosts::new();
    world.user(user);
    world.workspace("");
    world.lands(&[]);

    let hosts = Hosts::new();
    hosts.user(user);
    // Another port, another name of the same machine, and the local file.
    hosts.workspace("  remote: { url: OTHER_URL }\n");
    hosts.is_kept(&[], 4, "is only for `OWN`");
    let renamed = hosts
        .own
        .url("acme/codex.git")
        .replace("127.0.0.1", "localhost");
    hosts.workspace(&format!("  remote: {{ url: '{renamed}' }}\n"));
    hosts.is_kept(&[], 4, "is only for `OWN`");
    hosts.workspace("");
    hosts.sandbox.write(
        "ws/.fractary/config.local.yaml",
        hosts.filled("codex: { remote: { url: OTHER_URL } }\n"),
    );
    hosts.is_kept(&[], 4, "is only for `OWN`");
}

#[test]
fn token_of_the_user_without_a_host_is_rejected() {
    let hosts = Hosts::new();
    hosts.user("codex: { remote: { token: SECRET } }\n");
    // A host that the workspace names is none that the user chose, and neither is one from its
    // `.env`.
    for workspace in [
        "",
        "  remote: { url: OTHER_URL }\n",
        "  remote: { url: OTHER_URL, token_host: OTHER }\n",
    ] {
        hosts.workspace(workspace);
        hosts.is_kept(&[], 3, "add `remote.token_host: HOST` to that file");
    }
    hosts.sandbox.write(
        "ws/.fractary/env/.env",
        hosts.filled("FRACTARY_CODEX_REMOTE__TOKEN_HOST=OTHER\n"),
    );
    hosts.is_kept(&[], 3, "`remote.token` in the user's file has no host");
    fs::remove_file(hosts.sandbox.path("ws/.fractary/env/.env")).unwrap();

    hosts.workspace("  remote: { url: OWN_URL }\n");
    hosts.lands(&[("FRACTARY_CODEX_REMOTE__TOKEN_HOST", "127.0.0.1")]);
}

#[test]
fn token_with_a_host_is_an_error_for_another_host() {
    for (user, pin) in [
        (
            "codex: { remote: { token: SECRET, token_host: OWN } }\n",
            None,
        ),
        (
            "codex: { remote: { token: SECRET, token_host: OWN, url: OTHER_URL } }\n",
            None,
        ),
        // The workspace's own pin does not replace the user's.
        (
            "codex: { remote: { token: SECRET, token_host: OWN } }\n",
            Some("OTHER"),
        ),
    ] {
        let hosts = Hosts::new();
        hosts.user(user);
        let pin = pin
            .map(|pin| format!(", token_host: '{pin}'"))
            .unwrap_or_default();
        hosts.workspace(&format!("  remote: {{ url: OTHER_URL{pin} }}\n"));
        hosts.is_kept(
            &[],
            3,
            "`remote.token_host` is `OWN`, but the remote is on `OTHER`",
        );
        hosts.workspace("  remote: { url: OWN_URL }\n");
        hosts.lands(&[]);
    }
}

#[test]
fn token_of_the_run_is_sent_to_the_resolved_url_unless_it_has_a_host() {
    let token = ("FRACTARY_CODEX_REMOTE__TOKEN", "SECRET");
    let hosts = Hosts::new();
    hosts.workspace("  remote: { url: OTHER_URL }\n");
    let pin = ("FRACTARY_CODEX_REMOTE__TOKEN_HOST", "OWN");
    hosts.is_kept(&[token, pin], 3, "but the remote is on `OTHER`");
    // A pin of the checkout or of its `.env` does not replace the run's.
    hosts.workspace("  remote: { url: OTHER_URL, token_host: OTHER }\n");
    hosts.sandbox.write(
        "ws/.fractary/env/.env",
        hosts.filled("FRACTARY_CODEX_REMOTE__URL=OTHER_URL\n"),
    );
    hosts.is_kept(&[token, pin], 3, "but the remote is on `OTHER`");
    // Not by another name of the same key either.
    hosts.sandbox.write(
        "ws/.fractary/env/.env",
        hosts.filled(
            "FRACTARY_CODEX_REMOTE__TOKEN_HOST=OTHER\nFRACTARY_CODEX_REMOTE__URL=OTHER_URL\n",
        ),
    );
    let map = (
        "FRACTARY_CODEX_REMOTE",
        "{token_host='OWN', token='SECRET'}",
    );
    hosts.is_kept(&[map], 3, "but the remote is on `OTHER`");
    hosts.is_kept(&[token, pin], 3, "but the remote is on `OTHER`");
    hosts.sandbox.write("ws/.fractary/env/.env", "A=b\n");
    // A pin that the user or the workspace wrote counts as well.
    hosts.user("codex: { remote: { token_host: OWN } }\n");
    hosts.is_kept(&[token], 3, "but the remote is on `OTHER`");
    hosts.remove_user();
    hosts.workspace("  remote: { token_host: 'elsewhere.example' }\n");
    hosts.is_kept(&[token], 3, "`remote.token_host` is `elsewhere.example`");

    fs::remove_file(hosts.sandbox.path("ws/.fractary/env/.env")).unwrap();
    hosts.workspace("  remote: { url: OWN_URL }\n");
    hosts.lands(&[token]);
}

#[test]
fn workspace_chooses_the_host_of_its_own_token() {
    let hosts = Hosts::new();
    // The user's pin is for the user's token.
    hosts.user("codex: { remote: { token: other, token_host: git.acme.com } }\n");
    hosts.workspace("  remote: { url: OWN_URL, token: '${MINE}' }\n");
    hosts.lands(&[("MINE", "SECRET")]);
}

#[test]
fn token_in_the_remotes_of_the_user_has_its_own_host() {
    // GitHub's where the entry names none.
    for (entry, host) in [
        ("acme/codex: { token: SECRET }", "github.com"),
        (
            "acme/codex: { token: SECRET, host: git.acme.com }",
            "git.acme.com",
        ),
        ("git.acme.com/acme/codex: { token: SECRET }", "git.acme.com"),
        ("'OWN/acme/codex': { token: SECRET }", "OWN"),
    ] {
        let hosts = Hosts::new();
        hosts.user(&format!("codex: {{ remotes: {{ {entry} }} }}\n"));
        for workspace in [
            "  remote: { url: OTHER_URL }\n",
            // The workspace cannot give the user's entry another host.
            "  remote: { url: OTHER_URL, token_host: OTHER }\n  remotes: { acme/codex: { host: 'OTHER' } }\n",
        ] {
            hosts.workspace(workspace);
            let host = format!("is only for `{host}`");
            hosts.is_kept(&[], 4, &host);
        }
    }

    for entry in [
        "acme/codex: { token: SECRET, host: 'OWN' }",
        "'OWN/Acme/codex': { token: SECRET }",
    ] {
        let hosts = Hosts::new();
        hosts.user(&format!("codex: {{ remotes: {{ {entry} }} }}\n"));
        hosts.workspace("  remote: { url: OWN_URL }\n");
        hosts.lands(&[]);
    }
}

#[test]
fn token_of_the_job_is_sent_to_github_and_to_the_server_of_the_job() {
    for name in ["GITHUB_TOKEN", "GH_TOKEN"] {
        let hosts = Hosts::new();
        hosts.workspace("  remote: { url: OTHER_URL, token_host: OTHER, allow_insecure: true }\n");
        let server = hosts.own.url("");
        let server = ("GITHUB_SERVER_URL", server.trim_end_matches('/'));
        hosts.is_kept(
            &[(name, "SECRET"), server],
            4,
            "no token applies to this host",
        );
        // A server that the workspace's own `.env` names is not the job's.
        hosts.sandbox.write(
            "ws/.fractary/env/.env",
            format!("GITHUB_SERVER_URL={}\n", hosts.other.url("")),
        );
        hosts.is_kept(&[(name, "SECRET")], 4, "no token applies to this host");
        fs::remove_file(hosts.sandbox.path("ws/.fractary/env/.env")).unwrap();
        hosts.workspace("  remote: { url: OWN_URL }\n");
        hosts.lands(&[(name, "SECRET"), server]);
    }
}

#[test]
fn variables_of_a_workspace_are_not_expanded_in_the_file_of_the_user() {
    let hosts = Hosts::new();
    hosts.user("codex: { remote: { url: '${CODEX_URL:-OWN_URL}', token: SECRET } }\n");
    hosts.workspace("  remote: { url: OTHER_URL }\n");
    hosts.sandbox.write(
        "ws/.fractary/env/.env",
        hosts.filled("CODEX_URL=OTHER_URL\n"),
    );
    hosts.is_kept(&[], 4, "is only for `OWN`");
}

#[test]
fn workspace_cannot_allow_plain_http_for_the_token_of_the_user() {
    let hosts = Hosts::new();
    hosts.user("codex: { remote: { token: SECRET, token_host: codex.invalid } }\n");
    let remote = "url: 'http://codex.invalid/acme/codex.git', allow_insecure: true";
    hosts.workspace(&format!("  remote: {{ {remote} }}\n"));
    hosts.is_kept(
        &[],
        4,
        "a token would be sent to `http://codex.invalid/acme/codex.git` over plain http",
    );
    // Allowed by the user, it gets as far as the name that has no address.
    let allowed = ("FRACTARY_CODEX_REMOTE__ALLOW_INSECURE", "true");
    hosts.is_kept(&[allowed], 4, "could not resolve host `codex.invalid`");
}

#[test]
fn workspace_cannot_allow_plain_http_for_the_password_in_the_url_of_the_user() {
    let hosts = Hosts::new();
    let url = "http://ada:SECRET@codex.invalid/acme/codex.git";
    let remote = format!("codex: {{ remote: {{ url: '{url}' }} }}\n");
    hosts.user(&remote);
    hosts.workspace("  remote: { allow_insecure: true }\n");
    hosts.is_kept(
        &[],
        4,
        "a token would be sent to `http://ada:***@codex.invalid/acme/codex.git` over plain http",
    );
    // A token of the workspace beside it changes nothing: the password is sent instead.
    hosts.workspace("  remote: { allow_insecure: true, token: own }\n");
    hosts.is_kept(&[], 4, "over plain http");

    // The run that gives the URL trusts the workspace, and so does a workspace that has its own.
    let resolves = |variables: &[(&str, &str)]| {
        hosts.is_kept(variables, 4, "could not resolve host `codex.invalid`");
    };
    resolves(&[("FRACTARY_CODEX_REMOTE__URL", url)]);
    hosts.workspace(&format!(
        "  remote: {{ url: '{url}', allow_insecure: true }}\n"
    ));
    resolves(&[]);
    // The user can allow it, too.
    hosts.user(&format!(
        "codex: {{ remote: {{ url: '{url}', allow_insecure: true }} }}\n"
    ));
    hosts.workspace("");
    resolves(&[]);
}

#[test]
fn workspace_cannot_allow_plain_http_for_a_password_in_the_git_configuration_of_the_user() {
    let hosts = Hosts::new();
    let rewrite = format!(
        "[url \"http://ada:{TOKEN}@codex.invalid/\"]\n\tinsteadOf = http://alias.invalid/\n"
    );
    hosts.sandbox.write("home/.gitconfig", rewrite);
    let url = "http://alias.invalid/acme/codex.git";
    let remote = format!("url: '{url}', token: own, allow_insecure: true");
    hosts.workspace(&format!("  remote: {{ {remote} }}\n"));
    hosts.is_kept(&[], 4, "codex.invalid/acme/codex.git` over plain http");

    let allowed = ("FRACTARY_CODEX_REMOTE__ALLOW_INSECURE", "true");
    hosts.is_kept(&[allowed], 4, "could not resolve host `codex.invalid`");
}

#[test]
fn token_host_is_explained_and_an_invalid_one_is_an_error() {
    let hosts = Hosts::new();
    hosts.workspace("  remote: { url: OWN_URL, token_host: Git.Acme.com }\n");
    let explained = hosts
        .sandbox
        .run(&["config", "explain", "remote.token_host"])
        .code(0);
    assert!(
        explained
            .stdout
            .starts_with("remote.token_host = \"Git.Acme.com\"\n  from ")
            || explained
                .stdout
                .starts_with("remote.token_host = \"Git.Acme.com\"\n"),
        "{}",
        explained.stdout
    );
    let shown = hosts
        .sandbox
        .run(&["config", "show", "--origin"])
        .code(0)
        .stdout;
    assert!(
        shown.contains("remote.token_host = \"Git.Acme.com\""),
        "{shown}"
    );
    hosts.workspace("  remote: { url: OWN_URL, token_host: 'https://git.acme.com' }\n");
    let wrong = hosts.sandbox.run(&["config", "validate"]).code(3).stderr;
    assert!(
        wrong.contains("`remote.token_host`: expected a host, such as `git.acme.com`"),
        "{wrong}"
    );
}

#[test]
fn only_the_user_can_choose_a_cache_or_state_outside_the_workspace() {
    for (key, variable) in [
        ("cache", "FRACTARY_CODEX_CACHE__DIR"),
        ("state", "FRACTARY_CODEX_STATE__DIR"),
    ] {
        let (sandbox, codex) = workspace();
        let config = fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
        let outside = sandbox.path("outside").display().to_string();
        symlink("../outside", sandbox.path("ws/link")).unwrap();
        symlink("../missing", sandbox.path("ws/dangling")).unwrap();
        for value in [
            outside.as_str(),
            "../outside",
            "${OUTSIDE}",
            "link",
            "link/below",
            "dangling",
        ] {
            for file in ["config.yaml", "config.local.yaml", "env/.env"] {
                sandbox.write("ws/.fractary/config.yaml", &config);
                sandbox.write("ws/.fractary/config.local.yaml", "codex: { jobs: 1 }\n");
                sandbox.write("ws/.fractary/env/.env", "A=b\n");
                match file {
                    "config.yaml" => sandbox.write(
                        "ws/.fractary/config.yaml",
                        format!("{config}  {key}: {{ dir: '{value}' }}\n"),
                    ),
                    "config.local.yaml" => sandbox.write(
                        "ws/.fractary/config.local.yaml",
                        format!("codex: {{ {key}: {{ dir: '{value}' }} }}\n"),
                    ),
                    _ if value.starts_with('$') => continue,
                    _ => sandbox.write("ws/.fractary/env/.env", format!("{variable}={value}\n")),
                }
                let mut command = sandbox.program(&["sync", "--all"]);
                command.env("OUTSIDE", &outside);
                let output = sandbox.finish(command).code(3);
                assert!(
                    output.stderr.contains(&format!("`{key}.dir`: "))
                        && output.stderr.contains("which is outside the workspace")
                        && output.stderr.contains(variable),
                    "{value} {file}: {}",
                    output.stderr
                );
                assert!(!sandbox.path("outside").exists() && !sandbox.path("missing").exists());
            }
        }
        assert_eq!(codex.tip(), None);

        sandbox.write("ws/.fractary/config.yaml", &config);
        sandbox.write("ws/.fractary/env/.env", "A=b\n");
        let mut command = sandbox.program(&["sync", "--all"]);
        command.env(variable, &outside);
        sandbox.finish(command).code(0);
        assert!(sandbox.path("outside").exists());
    }
}

#[test]
fn committed_link_does_not_move_the_cache_out_of_the_workspace() {
    for link in [
        "ws/.fractary/codex/cache",
        "ws/.fractary/codex",
        "ws/services/api/.fractary/codex",
    ] {
        let (sandbox, codex) = workspace();
        fs::create_dir_all(sandbox.path(link).parent().unwrap()).unwrap();
        symlink(sandbox.path("home"), sandbox.path(link)).unwrap();
        let before = sandbox.fingerprint("home");
        let output = sandbox.run(&["sync", "--all"]).code(3);
        assert!(
            output.stderr.contains("which is outside the workspace"),
            "{}",
            output.stderr
        );
        assert_eq!(sandbox.fingerprint("home"), before, "{link}");
        assert_eq!(codex.tip(), None);
    }
}

#[test]
fn root_outside_the_workspace_must_be_named() {
    let (sandbox, codex) = workspace();
    sandbox.write("other-repo/README.md", "theirs");
    symlink(sandbox.path("other-repo"), sandbox.path("ws/services/zz")).unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(3);
    let real = fs::canonicalize(sandbox.path("other-repo")).unwrap();
    let hint = format!("set `projects.zz.root: {}`", real.display());
    assert!(
        output.stderr.contains("services/zz") && output.stderr.contains(&hint),
        "{}",
        output.stderr
    );
    assert_eq!(codex.tip(), None);

    // A project of that name without a root does not name it, whatever path leads there.
    let config = fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    fs::rename(sandbox.path("ws/services/zz"), sandbox.path("ws/zz")).unwrap();
    let named =
        |project: &str| config.replace("  projects:\n", &format!("  projects:\n    {project}\n"));
    sandbox.write("ws/.fractary/config.yaml", named("zz: {}"));
    sandbox.run(&["sync", "--all"]).code(3);
    for members in ["['z*']", "['services/*', zz]"] {
        sandbox.write(
            "ws/.fractary/config.yaml",
            config.replace("['services/*']", members),
        );
        sandbox.run(&["sync", "--all"]).code(3);
    }
    assert_eq!(codex.tip(), None);

    // Its root names it; it is one project also where a member is the same directory.
    fs::rename(sandbox.path("ws/zz"), sandbox.path("ws/services/zz")).unwrap();
    sandbox.write(
        "ws/.fractary/config.yaml",
        named("zz: { root: ../other-repo }"),
    );
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.file("projects/zz/README.md"), "theirs");
}

#[test]
fn run_can_name_members_outside_the_workspace() {
    let (sandbox, codex) = workspace();
    sandbox.write("other-repo/README.md", "theirs");
    symlink("../other-repo", sandbox.path("ws/zz")).unwrap();
    let mut command = sandbox.program(&["sync", "--all"]);
    command.env("FRACTARY_CODEX_WORKSPACE__MEMBERS", "['z*']");
    sandbox.finish(command).code(0);
    assert_eq!(codex.file("projects/zz/README.md"), "theirs");
}

#[test]
fn two_projects_with_the_same_root_are_an_error() {
    let (sandbox, codex) = workspace();
    sandbox.write("ws/services/plain/README.md", "plain");
    symlink("plain", sandbox.path("ws/services/link")).unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(3);
    assert!(
        output
            .stderr
            .contains("the projects `link` and `plain` have the same root"),
        "{}",
        output.stderr
    );
    fs::remove_file(sandbox.path("ws/services/link")).unwrap();
    let output = sandbox
        .run(&[
            "sync",
            "--all",
            "--config",
            "projects={b={root='services/api/../../alpha'}}",
        ])
        .code(3);
    assert!(
        output
            .stderr
            .contains("the projects `alpha` and `b` have the same root"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.tip(), None);
}

#[test]
fn token_of_a_pipeline_is_sent_to_the_url_of_the_workspace() {
    // As the action in the README gives it, and as the README's workspace reads it.
    for (remote, variable) in [
        ("url: OWN_URL", "FRACTARY_CODEX_REMOTE__TOKEN"),
        ("url: OWN_URL, token: '${CODEX_TOKEN}'", "CODEX_TOKEN"),
    ] {
        let hosts = Hosts::new();
        hosts.workspace(&format!("  remote: {{ {remote} }}\n"));
        hosts.lands(&[
            (variable, "SECRET"),
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
        ]);
    }
}

#[test]
fn cache_cannot_be_in_git_or_configuration_or_contain_a_project() {
    for (directory, reason) in [
        (".git", "is reserved"),
        ("sub/.git/hooks", "is reserved"),
        (".", "is reserved"),
        (".fractary", "is reserved"),
        (".fractary/env", "is reserved"),
        ("alpha", "contains the root of the project `alpha`"),
    ] {
        let (sandbox, codex) = workspace();
        let tip = codex.tip();
        let cache = format!("cache.dir={}", sandbox.path("ws").join(directory).display());
        let output = sandbox.run(&["sync", "--all", "--config", &cache]).code(3);
        assert!(
            output.stderr.contains(reason),
            "{directory}: {}",
            output.stderr
        );
        assert_eq!(codex.tip(), tip);
    }
    // A committed link leads there as well.
    let (sandbox, _) = workspace();
    sandbox.write("ws/.git/config", "");
    sandbox.write("ws/.fractary/codex/keep", "");
    symlink("../../.git", sandbox.path("ws/.fractary/codex/cache")).unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(3);
    assert!(output.stderr.contains("is reserved"), "{}", output.stderr);
}
