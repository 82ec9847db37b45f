//! The older tool's routing by frontmatter.

use super::*;

#[test]
fn documents_say_who_gets_them() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["billing"],
        "  sync: { routing: { use_frontmatter: true } }\n",
    );
    let with = |names: &str| format!("---\ntitle: x\ncodex_sync_include: {names}\n---\n# Text\n");
    let (all, some, own) = (with("['*']"), with("[auth-*]"), with("['*']"));
    codex.commit(
        &[
            ("100644", "projects/core/all.md", &all),
            ("100644", "projects/core/some.md", &some),
            ("100644", "projects/core/none.md", "# No frontmatter\n"),
            ("100644", "projects/core/all.txt", &all),
            ("100644", "projects/billing/own.md", &own),
        ],
        &[],
    );
    let output = sandbox.run(&["sync", "--from-codex"]).code(0);
    assert_eq!(
        names(&sandbox.path("ws/.fractary/codex/cache")),
        ["projects/core/all.md"]
    );
    assert!(output.stderr.contains("deprecated"), "{}", output.stderr);
    // Patterns, once there are some, decide alone.
    sandbox
        .run(&[
            "sync",
            "--from-codex",
            "--include",
            "codex://acme/core/none.md",
        ])
        .code(0);
    assert_eq!(
        names(&sandbox.path("ws/.fractary/codex/cache")),
        ["projects/core/none.md"]
    );
}

#[test]
fn what_a_dry_run_would_publish_is_routed_as_well() {
    let sandbox = Sandbox::new();
    let more = "  cache: { enabled: false }\n  sync: { direction: bidirectional, routing: { use_frontmatter: true } }\n";
    let codex = sandbox.workspace(&["billing", "core"], more);
    codex.commit(&[("100644", "README.md", "the codex")], &[]);
    sandbox.write(
        "ws/core/docs/all.md",
        "---\ncodex_sync_include: ['billing']\n---\n# Text\n",
    );
    sandbox.write("ws/billing/docs/own.md", "# Own\n");
    let plan = changes(&sandbox, &["--dry-run"]);
    assert!(
        plan[1].to_string().contains("projects/core/docs/all.md"),
        "{plan:?}"
    );
    assert_eq!(plan, changes(&sandbox, &[]));
}
