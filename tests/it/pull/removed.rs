//! The cached files of projects that were removed from the configuration.

use super::*;

const CACHE: &str = "ws/.fractary/codex/cache";
const CONFIG: &str = "ws/.fractary/config.yaml";

/// A cache with files of `alpha` and `beta`. Only `alpha` is still in the configuration.
fn beta_removed() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha", "beta"],
        "  sync: { from_codex: { include: ['codex://{org}/{project}-selects/**'] } }\n",
    );
    codex.commit(
        &[
            ("100644", "projects/alpha-selects/a.md", "a"),
            ("100644", "projects/beta-selects/b.md", "b"),
        ],
        &[],
    );
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/beta/README.md", "beta");
    sandbox.run(&["sync", "--all", "--bidirectional"]).code(0);
    assert_eq!(names(&sandbox.path(CACHE)).len(), 4);
    remove(&sandbox, "beta");
    (sandbox, codex)
}

fn remove(sandbox: &Sandbox, project: &str) {
    let config = fs::read_to_string(sandbox.path(CONFIG)).unwrap();
    sandbox.write(
        CONFIG,
        config.replace(&format!("    {project}: {{}}\n"), ""),
    );
}

const OF_ALPHA: [&str; 2] = ["projects/alpha-selects/a.md", "projects/alpha/README.md"];

#[test]
fn pull_deletes_their_files_and_a_dry_run_shows_it() {
    let (sandbox, _codex) = beta_removed();
    let sync = ["sync", "--all", "--from-codex", "--json"];

    let before = sandbox.fingerprint(CACHE);
    let plan = sandbox
        .run(&[&sync[..], &["--dry-run"]].concat())
        .code(0)
        .json();
    assert_eq!(sandbox.fingerprint(CACHE), before);
    assert_eq!(plan["projects"][1]["name"], "beta");
    assert_eq!(plan["projects"][1]["status"], "would-sync");
    assert_eq!(plan["totals"]["deleted"], 2);

    let done = sandbox.run(&sync).code(0).json();
    assert_eq!(
        done["projects"][1]["changes"],
        plan["projects"][1]["changes"]
    );
    assert_eq!(done["plan_id"], plan["plan_id"]);
    let warnings = done["warnings"].to_string();
    assert!(
        warnings.contains("no longer in the configuration"),
        "{warnings}"
    );
    assert_eq!(names(&sandbox.path(CACHE)), OF_ALPHA);

    // The project is not in the manifest any more.
    let again = sandbox.run(&sync).code(0).json();
    assert_eq!(again["projects"].as_array().unwrap().len(), 1);
    assert_eq!(again["warnings"], serde_json::json!([]));
}

#[test]
fn publication_deletes_their_files_and_a_dry_run_shows_it() {
    let (sandbox, _codex) = beta_removed();
    let sync = ["sync", "--all", "--to-codex", "--json"];

    let before = sandbox.fingerprint(CACHE);
    let plan = sandbox.run(&[&sync[..], &["--dry-run"]].concat()).code(0);
    assert_eq!(sandbox.fingerprint(CACHE), before);
    let warnings = plan.json()["warnings"].to_string();
    assert!(
        warnings.contains("no longer in the configuration: would delete 2 files"),
        "{warnings}"
    );

    let done = sandbox.run(&sync).code(0).json();
    let warnings = done["warnings"].to_string();
    assert!(
        warnings.contains("no longer in the configuration: deleted 2 files"),
        "{warnings}"
    );
    assert_eq!(names(&sandbox.path(CACHE)), OF_ALPHA);
    let again = sandbox.run(&sync).code(0).json();
    assert_eq!(again["warnings"], serde_json::json!([]));
}

#[test]
fn publication_empties_a_cache_that_no_project_uses_any_more() {
    let (sandbox, _codex) = beta_removed();
    sandbox.write("ws/alpha/.fractary/notes", "alpha has its own cache");

    sandbox.run(&["sync", "--all", "--to-codex"]).code(0);
    assert!(names(&sandbox.path(CACHE)).is_empty());
}

#[test]
fn run_in_both_directions_reports_their_deletion_as_a_pull() {
    let (sandbox, _codex) = beta_removed();
    let sync = ["sync", "--all", "--bidirectional", "--json"];
    let plan = sandbox.run(&[&sync[..], &["--dry-run"]].concat()).code(0);
    let done = sandbox.run(&sync).code(0).json();
    for document in [plan.json(), done] {
        let beta = &document["projects"][2];
        assert_eq!(
            (&beta["name"], &beta["deleted"]),
            (&"beta".into(), &2.into())
        );
        assert_eq!(beta["direction"], "from-codex");
    }
    assert_eq!(names(&sandbox.path(CACHE)), OF_ALPHA);
}

#[test]
fn publication_keeps_their_edited_files_until_forced() {
    let (sandbox, _codex) = beta_removed();
    sandbox.write(&format!("{CACHE}/projects/beta/README.md"), "edited");

    let kept = sandbox.run(&["sync", "--all", "--to-codex"]).code(0);
    let message = "`projects/beta/README.md` in the cache was modified locally and is kept";
    assert!(kept.stderr.contains(message), "{}", kept.stderr);
    let sync = ["sync", "--all", "--to-codex", "--force"];
    sandbox.run(&sync).code(0);
    assert_eq!(names(&sandbox.path(CACHE)), OF_ALPHA);
}

#[test]
fn publication_warns_about_files_that_it_cannot_delete() {
    let (sandbox, _codex) = beta_removed();
    let directory = format!("{CACHE}/projects/beta");
    sandbox.set_mode(&directory, 0o555);
    for more in ["--dry-run", "--no-progress"] {
        let sync = ["sync", "--all", "--to-codex", more];
        let output = sandbox.finish(sandbox.without_overrides(&sync)).code(0);
        let message =
            "cannot delete 1 file in the local cache, for example `projects/beta/README.md`";
        assert!(output.stderr.contains(message), "{}", output.stderr);
    }
    sandbox.set_mode(&directory, 0o755);
    sandbox.run(&["sync", "--all", "--to-codex"]).code(0);
    assert_eq!(names(&sandbox.path(CACHE)), OF_ALPHA);
}

#[test]
fn their_edited_files_are_kept_until_forced() {
    let (sandbox, _codex) = beta_removed();
    sandbox.write(&format!("{CACHE}/projects/beta/README.md"), "edited");

    for _ in 0..2 {
        let kept = sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
        assert!(
            kept.stderr
                .contains("`projects/beta/README.md` in the cache was modified locally"),
            "{}",
            kept.stderr
        );
    }
    assert!(names(&sandbox.path(CACHE)).contains(&"projects/beta/README.md".to_owned()));
    sandbox
        .run(&["sync", "--all", "--from-codex", "--force"])
        .code(0);
    assert_eq!(names(&sandbox.path(CACHE)), OF_ALPHA);
}

#[test]
fn files_that_another_project_selects_stay() {
    let (sandbox, _codex) = beta_removed();
    let include = "sync.from_codex.include=['codex://acme/*/**']";
    sandbox
        .run(&["sync", "--all", "--from-codex", "--config", include])
        .code(0);
    assert_eq!(names(&sandbox.path(CACHE)).len(), 4);
}

#[test]
fn cache_clear_deletes_their_files() {
    let (sandbox, _codex) = beta_removed();
    let status = sandbox.run(&["cache", "status"]).code(0).stdout;
    assert!(status.contains("beta: 1 file"), "{status}");
    let listed = sandbox.run(&["cache", "list"]).code(0).stdout;
    assert!(listed.contains("projects/beta-selects/b.md"), "{listed}");

    // If one project is selected, the files of others stay.
    sandbox.run(&["cache", "clear", "-p", "alpha"]).code(0);
    assert_eq!(
        names(&sandbox.path(CACHE)),
        ["projects/beta-selects/b.md", "projects/beta/README.md"]
    );
    sandbox.run(&["cache", "clear"]).code(0);
    assert!(names(&sandbox.path(CACHE)).is_empty());
}

#[test]
fn pull_empties_a_cache_that_no_project_uses_any_more() {
    let (sandbox, _codex) = beta_removed();
    sandbox.write("ws/alpha/.fractary/notes", "alpha has its own cache");

    sandbox.run(&["sync", "--all", "--from-codex"]).code(0);
    assert!(names(&sandbox.path(CACHE)).is_empty());
    assert_eq!(
        names(&sandbox.path("ws/alpha/.fractary/codex/cache")),
        ["projects/alpha-selects/a.md"]
    );
}

#[test]
fn nothing_is_deleted_if_a_variable_defines_the_projects() {
    let (sandbox, _codex) = beta_removed();
    let mut command = sandbox.program(&["sync", "--all", "--from-codex"]);
    command.env("FRACTARY_CODEX_PROJECTS", "{gamma={root='alpha/docs'}}");
    sandbox.finish(command).code(0);
    assert_eq!(names(&sandbox.path(CACHE)).len(), 4);
}

#[test]
fn nothing_is_deleted_in_a_cache_outside_the_workspace() {
    let (sandbox, _codex) = beta_removed();
    let cache = format!("cache.dir={}", sandbox.path("elsewhere").display());
    let projects = fs::read_to_string(sandbox.path(CONFIG)).unwrap();
    sandbox.write(
        CONFIG,
        projects.replace("    alpha: {}\n", "    alpha: {}\n    beta: {}\n"),
    );
    let sync = ["sync", "--all", "--from-codex", "--config", &cache];
    sandbox.run(&sync).code(0);

    remove(&sandbox, "beta");
    sandbox.run(&sync).code(0);
    sandbox.run(&["cache", "clear", "--config", &cache]).code(0);
    assert_eq!(
        names(&sandbox.path("elsewhere")),
        ["projects/beta-selects/b.md"]
    );
}
