//! Routing by frontmatter, as in the older tool.

use super::*;

#[test]
fn frontmatter_selects_the_pulled_documents() {
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
    // If there are patterns, the frontmatter is ignored.
    sandbox
        .run(&[
            "sync",
            "--from-codex",
            "--config",
            "sync.from_codex.include=['codex://acme/core/none.md']",
        ])
        .code(0);
    assert_eq!(
        names(&sandbox.path("ws/.fractary/codex/cache")),
        ["projects/core/none.md"]
    );
}

#[test]
fn dry_run_routes_the_documents_that_it_would_publish() {
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
