//! The projects and the organization that a pattern of the codex names.

use super::{Codex, Sandbox, names};

/// A project `alpha` that pulls `include`, beside `beta`, whose directory in the codex is not the
/// default one.
fn world(include: &str) -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/beta/README.md", "beta");
    sandbox.write(
        "ws/.fractary/config.yaml",
        format!(
            "codex:\n  organization: acme\n  codex_repo: codex\n  remote: {{ url: ../codex.git }}\n  projects:\n    \
             alpha: {{ sync: {{ from_codex: {{ include: ['{include}'] }} }} }}\n    beta: {{ to: elsewhere/b }}\n"
        ),
    );
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    codex.commit(
        &[
            ("100644", "elsewhere/b/docs/of-beta.md", "beta"),
            ("100644", "projects/beta/docs/old.md", "not beta's"),
            ("100644", "projects/core/docs/of-core.md", "core"),
        ],
        &[],
    );
    (sandbox, codex)
}

const PULL: [&str; 4] = ["sync", "--from-codex", "-p", "alpha"];

#[test]
fn a_project_glob_matches_configured_directories() {
    for (include, expected) in [
        (
            "codex://acme/*/docs/**",
            vec![
                "elsewhere/b/docs/of-beta.md",
                "projects/core/docs/of-core.md",
            ],
        ),
        (
            "codex://acme/b*/docs/**",
            vec!["elsewhere/b/docs/of-beta.md"],
        ),
        (
            "codex://acme/beta/docs/**",
            vec!["elsewhere/b/docs/of-beta.md"],
        ),
        (
            "codex://acme/{core,x}/",
            vec!["projects/core/docs/of-core.md"],
        ),
    ] {
        let (sandbox, _) = world(include);
        sandbox.run(&PULL).code(0);
        let cache = sandbox.path("ws/.fractary/codex/cache");
        assert_eq!(names(&cache), expected, "{include}");
    }
}

#[test]
fn an_excluded_project_glob_matches_configured_directories() {
    let (sandbox, _) = world("codex://acme/*/docs/**");
    let exclude = "sync.from_codex.exclude=['codex://acme/bet?/']";
    sandbox
        .run(&[&PULL[..], &["--config", exclude]].concat())
        .code(0);
    let cache = sandbox.path("ws/.fractary/codex/cache");
    assert_eq!(names(&cache), ["projects/core/docs/of-core.md"]);
}

#[test]
fn a_pattern_of_another_organization_is_an_error() {
    for (include, is_own) in [
        ("codex://other/core/docs/**", false),
        ("codex://{other,x}/core/docs/**", false),
        ("codex://ACME/core/docs/**", true),
        ("codex://*/core/docs/**", true),
        ("codex://{org}/core/docs/**", true),
    ] {
        let (sandbox, _) = world(include);
        let output = sandbox.run(&PULL).code(if is_own { 0 } else { 3 });
        let error = "but the codex belongs to `acme`";
        assert_eq!(output.stderr.contains(error), !is_own, "{}", output.stderr);
    }

    // The codex of a remote without an organization can belong to any.
    let (sandbox, _) = world("codex://other/core/docs/**");
    let config = std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    let without = config.replace("  organization: acme\n", "");
    sandbox.write("ws/.fractary/config.yaml", without);
    sandbox.run(&PULL).code(0);
    let cache = sandbox.path("ws/.fractary/codex/cache");
    assert_eq!(names(&cache), ["projects/core/docs/of-core.md"]);
}
