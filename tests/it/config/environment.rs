//! Configuration by environment variables alone.

use super::run;
use crate::support::http::HttpServer;
use crate::support::{Codex, Sandbox};

/// Two projects, one of which has a name that must be quoted in TOML.
const PROJECTS: &str = "{billing-api={root=\"services/billing\"}, \"Docs.v1_2\"={root=\"manual\", to=\"manual\", \
                        sync={to_codex={include=[\"**/*.txt\"]}}}}";

fn sources() -> Sandbox {
    let sandbox = Sandbox::with_default_transport();
    for path in [
        "services/billing/wiki/a.md",
        "services/billing/README.md",
        "manual/x/y.txt",
        "manual/z.md",
    ] {
        sandbox.write(&format!("ws/{path}"), path);
    }
    sandbox
}

#[test]
fn variables_alone_define_remote_and_projects() {
    let sandbox = sources();
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    let variables = [
        ("FRACTARY_CODEX_REMOTE__URL", "../codex.git"),
        ("FRACTARY_CODEX_PROJECTS", PROJECTS),
        ("FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE", "[\"wiki/**\"]"),
        ("FRACTARY_CODEX_SYNC__TO_CODEX__EXCLUDE", "[\"**/draft*\"]"),
        (
            "FRACTARY_CODEX_COMMIT__MESSAGE",
            "[docs] {project}: {count}",
        ),
        ("CI", "true"),
    ];
    run(&sandbox, &variables, &["sync", "--all"]).code(0);
    assert_eq!(
        codex.paths(),
        ["manual/x/y.txt", "projects/billing-api/wiki/a.md"]
    );
    assert_eq!(
        codex.subjects(),
        ["[docs] billing-api: 1", "[docs] Docs.v1_2: 1"]
    );
    // The run has not created these directories.
    assert!(!sandbox.path("ws/.fractary").exists() && !sandbox.path("home/.config").exists());
}

#[test]
fn branch_in_a_variable_is_plain_text() {
    for branch in ["1.10", "true", "0x10", "1e3", "null", "007", "[x"] {
        let sandbox = sources();
        let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
        let variables = [
            ("FRACTARY_CODEX_REMOTE__URL", "../codex.git"),
            ("FRACTARY_CODEX_REMOTE__BRANCH", branch),
            ("FRACTARY_CODEX_PROJECTS", PROJECTS),
        ];
        let output = run(&sandbox, &variables, &["sync", "--all", "--json"]);
        if branch == "[x" {
            assert!(
                output.code(3).json()["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("`[x`")
            );
            continue;
        }
        assert_eq!(output.code(0).json()["remote"]["branch"], branch);
        let refs = codex.git(&["for-each-ref", "--format=%(refname)"]);
        assert_eq!(refs, format!("refs/heads/{branch}\n"));
        let flag = format!("remote.branch={branch}");
        let explained = run(
            &sandbox,
            &[],
            &[
                "config",
                "explain",
                "remote.branch",
                "--json",
                "--config",
                &flag,
            ],
        );
        assert_eq!(explained.code(0).json()["keys"][0]["value"], branch);
    }
}

#[test]
fn token_in_a_variable_is_plain_text() {
    for token in ["0070", "1234567890", "1e5"] {
        let sandbox = sources();
        let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
        // The server accepts no other token, so the commits were sent with this one.
        let server = HttpServer::start(&sandbox.path(""), Some(&format!("ci:{token}")));
        let url = server.url("codex.git");
        let variables = [
            ("FRACTARY_CODEX_REMOTE__URL", url.as_str()),
            ("FRACTARY_CODEX_REMOTE__TOKEN", token),
            ("FRACTARY_CODEX_REMOTE__USERNAME", "ci"),
            ("FRACTARY_CODEX_PROJECTS", PROJECTS),
        ];
        run(&sandbox, &variables, &["sync", "--all"]).code(0);
        assert_eq!(
            codex.paths(),
            ["manual/x/y.txt", "projects/billing-api/README.md"]
        );
        use base64::Engine;
        let expected = format!(
            "Basic {}",
            base64::prelude::BASE64_STANDARD.encode(format!("ci:{token}"))
        );
        let mut sent = server
            .requests()
            .into_iter()
            .filter_map(|request| request.headers.get("authorization").cloned());
        assert!(sent.next_back().is_some_and(|sent| sent == expected));
    }
}

#[test]
fn dotenv_token_is_sent_to_github_only() {
    let sandbox = sources();
    Codex::empty(&sandbox.path("codex.git"), &sandbox);
    let server = HttpServer::start(&sandbox.path(""), Some("x-access-token:0070"));
    let url = server.url("codex.git");
    sandbox.write(
        "ws/.fractary/config.yaml",
        format!("codex:\n  remote: {{ url: {url} }}\n  project: p\n"),
    );
    sandbox.write("ws/README.md", "x");
    sandbox.write("ws/.fractary/env/.env", "GITHUB_TOKEN=0070\n");
    let rejected = sandbox.run(&["sync", "--all"]).code(4);
    assert!(!rejected.stderr.contains("0070"), "{}", rejected.stderr);
    // On GitHub Enterprise, the pipeline names the server in this variable.
    let here = url.trim_end_matches("/codex.git");
    run(&sandbox, &[("GITHUB_SERVER_URL", here)], &["sync", "--all"]).code(0);
    // A variable of the environment takes precedence over the file, even if its token is invalid.
    sandbox.write("ws/README.md", "y");
    run(
        &sandbox,
        &[("GITHUB_SERVER_URL", here), ("GITHUB_TOKEN", "other")],
        &["sync", "--all"],
    )
    .code(4);
}

#[test]
fn empty_variable_counts_as_not_set() {
    let sandbox = sources();
    let variables = [
        ("FRACTARY_CODEX_REMOTE__URL", "../codex.git"),
        ("FRACTARY_CODEX_REMOTE__BRANCH", ""),
        ("FRACTARY_CODEX_ENV", ""),
        ("FRACTARY_CODEX_JOBS", ""),
        ("FRACTARY_CODEX_PROJECTS", PROJECTS),
    ];
    run(&sandbox, &variables, &["config", "validate"]).code(0);
}

#[test]
fn last_value_of_a_repeated_dotenv_variable_counts() {
    let sandbox = sources();
    sandbox.write(
        "ws/.fractary/config.yaml",
        "codex:\n  remote: { url: ../codex.git }\n  project: '${NAME}'\n",
    );
    sandbox.write("ws/.fractary/env/.env", "NAME=first\nNAME=last\n");
    let listed = sandbox.run(&["projects"]).code(0).stdout;
    assert!(
        listed.contains("last") && !listed.contains("first"),
        "{listed}"
    );
}

/// The last map replaces the first one: the projects of both are not combined.
#[test]
fn last_projects_of_a_dotenv_file_count() {
    let sandbox = sources();
    let config = "codex: { remote: { url: ../codex.git } }\n";
    sandbox.write("ws/.fractary/config.yaml", config);
    sandbox.write(
        "ws/.fractary/env/.env",
        "FRACTARY_CODEX_PROJECTS='{first={root=\"services/billing\"}, both={root=\"services/billing\"}}'\n\
         FRACTARY_CODEX_PROJECTS='{both={root=\"manual\"}, last={root=\"services\"}}'\n",
    );
    let listed = sandbox.run(&["projects", "--json"]).code(0).json();
    let projects = listed["projects"].as_array().unwrap();
    let roots: Vec<_> = projects
        .iter()
        .map(|project| {
            let root = project["root"].as_str().unwrap();
            (
                project["name"].as_str().unwrap(),
                root.rsplit('/').next().unwrap(),
            )
        })
        .collect();
    assert_eq!(roots, [("both", "manual"), ("last", "services")]);
}

#[test]
fn action_flags_have_no_variable() {
    let sandbox = sources();
    for name in ["ALL", "DRY_RUN", "FORCE", "MAX_DELETE", "CHECK"] {
        let variables = [
            ("FRACTARY_CODEX_REMOTE__URL", "../codex.git"),
            ("FRACTARY_CODEX_PROJECTS", PROJECTS),
            (&*format!("FRACTARY_CODEX_{name}"), "true"),
        ];
        let output = run(&sandbox, &variables, &["sync"]).code(3);
        let expected = format!("environment variable `FRACTARY_CODEX_{name}`: there is no key");
        assert!(output.stderr.contains(&expected), "{}", output.stderr);
    }
}
