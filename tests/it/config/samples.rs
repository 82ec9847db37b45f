//! Configuration files of the older tool's users, which work unchanged, alone and as members of a
//! workspace.

use super::run;
use crate::support::{Codex, Sandbox};

/// The names of the projects, and their configuration files.
pub(crate) const SAMPLES: [(&str, &str); 2] = [
    ("ledger", include_str!("samples/ledger.config.yaml")),
    ("storefront", include_str!("samples/storefront.config.yaml")),
];

/// Writes a checkout of the project below `at`: its configuration, and files that are published and
/// that are not.
fn checkout(sandbox: &Sandbox, at: &str, name: &str, config: &str) {
    for (path, content) in [
        (".fractary/config.yaml", config),
        ("README.md", name),
        ("CLAUDE.md", "for agents"),
        ("docs/guide/start.md", "start"),
        ("docs/guide/draft.tmp", "not yet"),
        ("scratch.tmp", "not yet"),
        ("src/main.rs", "fn main() {}"),
        ("docs/.env", "PASSWORD=x"),
        (".fractary/codex/memory/decisions.md", "decided"),
        (".fractary/codex/cache/other/docs/a.md", "fetched"),
        (".fractary/env/.env", "UNUSED=1"),
    ] {
        sandbox.write(&format!("{at}/{path}"), content);
    }
}

/// The paths of the project's files in the codex.
fn codex_paths(name: &str) -> Vec<String> {
    let memory = (name == "ledger").then_some(".fractary/codex/memory/decisions.md");
    let files = memory
        .into_iter()
        .chain(["CLAUDE.md", "README.md", "docs/guide/start.md"]);
    files
        .map(|file| format!("projects/{name}/{file}"))
        .collect()
}

#[test]
fn sample_works_alone() {
    for (name, config) in SAMPLES {
        let sandbox = Sandbox::with_default_transport();
        checkout(&sandbox, "ws", name, config);
        let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
        let output = sandbox.run(&["config", "validate"]).code(0);
        let expected = "the configuration is valid: 1 project, codex https://github.com/acme/codex.acme.com.git\n";
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            (expected, "")
        );
        let listed = sandbox.run(&["projects", "--json"]).code(0).json();
        let files = codex_paths(name).len();
        let project = serde_json::json!({
            "name": name, "root": ".", "to": format!("projects/{name}"), "files": files, "error": null,
        });
        assert_eq!(listed["projects"], serde_json::json!([project]));
        // The command works in any directory of the checkout.
        let variables = [
            ("FRACTARY_CODEX_REMOTE__URL", "../../codex.git"),
            ("GITHUB_TOKEN", "t"),
        ];
        run(&sandbox, &variables, &["-C", "docs", "sync"]).code(0);
        assert_eq!(codex.paths(), codex_paths(name));
        assert_eq!(
            codex.subjects(),
            [format!("Sync {files} files from {name}")]
        );
    }
}

#[test]
fn samples_work_as_members_of_a_workspace() {
    let sandbox = Sandbox::with_default_transport();
    sandbox.write(
        "ws/.fractary/config.yaml",
        "codex:\n  organization: acme\n  codex_repo: codex.acme.com\n  workspace: { members: ['repos/*'] }\n  \
         remote: { token: '${GITHUB_TOKEN}' }\n",
    );
    for (name, config) in SAMPLES {
        // The directory may have another name than the project, which is named by its file.
        checkout(&sandbox, &format!("ws/repos/{name}-checkout"), name, config);
    }
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    let output = sandbox.run(&["config", "validate"]).code(0);
    assert!(
        output
            .stdout
            .starts_with("the configuration is valid: 2 projects, "),
        "{}",
        output.stdout
    );
    assert_eq!(output.stderr, "");
    // A pipeline may use another remote than the files, and may start inside a member.
    let url = sandbox.path("codex.git").display().to_string();
    for directory in [".", "repos/ledger-checkout/docs"] {
        run(
            &sandbox,
            &[("FRACTARY_CODEX_REMOTE__URL", &url)],
            &["-C", directory, "sync", "--all"],
        )
        .code(0);
        assert_eq!(
            codex.paths(),
            SAMPLES
                .iter()
                .flat_map(|(name, _)| codex_paths(name))
                .collect::<Vec<_>>()
        );
    }
    assert_eq!(codex.subjects().len(), 2);
}
