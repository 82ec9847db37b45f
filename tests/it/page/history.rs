//! The last sync of each project: when, and from which revision.

use serde_json::{Value, json};

use super::page;
use crate::support::gate::{Moment, Step};
use crate::support::http::{Reaction, Stage};
use crate::support::{Codex, Sandbox};

/// A workspace after its first sync, in which the project `alpha` is a repository with a clean
/// working tree. Returns its revision too.
fn synced() -> (Sandbox, Codex, String) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "    beta: { root: outside }\n");
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/outside/README.md", "beta");
    let alpha = sandbox.path("ws/alpha");
    let git = |arguments: &[&str]| sandbox.git(&alpha, arguments);
    git(&["init", "-q"]);
    git(&[
        "remote",
        "add",
        "origin",
        "https://user-name:pass-word@git.acme.example/acme/alpha.git",
    ]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    sandbox.run(&["sync", "--all"]).code(0);
    let revision = git(&["rev-parse", "HEAD"]).trim().to_owned();
    (sandbox, codex, revision)
}

/// The field `last_sync` of each project.
fn last_syncs(sandbox: &Sandbox, more: &[&str]) -> Vec<Value> {
    let output = sandbox
        .run(&[&["status", "--all", "--json", "--html", "page.html"], more].concat())
        .code(0);
    assert_eq!(sandbox.leftovers(), [""; 0]);
    output.json()["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| project["last_sync"].clone())
        .collect()
}

#[test]
fn last_sync_comes_from_the_history_of_the_codex() {
    let (sandbox, codex, revision) = synced();
    let commit = |back: usize| {
        codex
            .git(&["rev-parse", &format!("main~{back}")])
            .trim()
            .to_owned()
    };
    let expected = |commit: String, dirty: bool| {
        json!({ "time": "2023-11-14T22:13:20Z", "commit": commit, "source": "https://git.acme.example/acme/alpha.git",
                "revision": revision, "dirty": dirty, "unknown": null })
    };
    let beta = json!({ "time": "2023-11-14T22:13:20Z", "commit": commit(0), "source": null, "revision": null,
                       "dirty": null, "unknown": null });
    assert_eq!(
        last_syncs(&sandbox, &[]),
        [expected(commit(1), false), beta.clone()]
    );
    // On another machine without recorded state, after more commits of other users.
    sandbox.remove("home/.local");
    codex.go_on(300);
    assert_eq!(
        last_syncs(&sandbox, &[]),
        [expected(commit(301), false), beta]
    );
    sandbox.write("ws/alpha/README.md", "not committed");
    sandbox.run(&["sync", "-p", "alpha"]).code(0);
    assert_eq!(last_syncs(&sandbox, &[])[0], expected(commit(0), true));
    let page = page(&sandbox, 0, &[]);
    assert!(
        page.contains("<td class=\"when\" data-key=\"1700000000\""),
        "{page}"
    );
    assert!(page.contains("git.acme.example/<wbr>acme/<wbr>alpha</span>"));
    assert!(!page.contains("user-name") && !page.contains("pass-word"));
}

#[test]
fn history_starts_at_the_compared_tip() {
    let (sandbox, codex, _) = synced();
    let before = last_syncs(&sandbox, &[]);
    let message = "Later\n\nCodex-Project: alpha\n";
    let later = codex.git(&["commit-tree", "-p", "main", "-m", message, "main^{tree}"]);
    let (path, later) = (codex.path().display(), later.trim());
    let push = format!("\"$(git --exec-path)/git\" -C {path} update-ref refs/heads/main {later}");
    sandbox.run_at(Step::Fetch, Moment::Before, &push);
    assert_eq!(last_syncs(&sandbox, &[]), before);
    assert_eq!(codex.tip().as_deref(), Some(later));
    assert_ne!(last_syncs(&sandbox, &[]), before);
}

#[test]
fn unknown_last_sync_has_a_reason() {
    let (sandbox, codex, _) = synced();
    let reasons = |more: &[&str]| -> Vec<String> {
        last_syncs(&sandbox, more)
            .iter()
            .map(|known| known["unknown"].as_str().unwrap_or("known").to_owned())
            .collect()
    };
    assert_eq!(reasons(&[]), ["known", "known"]);
    assert_eq!(
        reasons(&["--offline"]),
        ["the history is not read with `--offline`"; 2]
    );
    assert!(page(&sandbox, 0, &["--offline"]).contains(">unknown</span>"));
    // If a server sends the contents as well, less of the history is fetched.
    sandbox.serve();
    codex.git(&["config", "uploadpack.allowFilter", "false"]);
    codex.go_on(4100);
    assert_eq!(reasons(&[]), ["not synced within the last 4096 commits"; 2]);
    codex.git(&["config", "uploadpack.allowFilter", "true"]);
    assert_eq!(reasons(&[]), ["known"; 2]);
    // The files of the projects exist, but were not published by a sync.
    let tree = codex.git(&["rev-parse", "main^{tree}"]).trim().to_owned();
    codex.set_root(&tree);
    assert_eq!(
        reasons(&[]),
        ["the codex has files of the project, but no commit made by a sync of it"; 2]
    );
    assert_eq!(
        reasons(&["--config", "commit.trailers=false"]),
        ["`commit.trailers` is off, so commits do not name their project"; 2]
    );
    codex.commit(
        &[("100644", "README.md", "codex")],
        &["projects/alpha/README.md", "projects/beta/README.md"],
    );
    assert_eq!(reasons(&[]), ["never synced"; 2]);
    codex.git(&["update-ref", "-d", "refs/heads/main"]);
    assert_eq!(reasons(&[]), ["never synced"; 2]);
}

#[test]
fn unreadable_history_leaves_the_rest_of_the_page() {
    let (sandbox, _codex, _) = synced();
    if !sandbox.uses_git() {
        let server = sandbox.serve();
        // With a recorded state, only the history is fetched.
        sandbox.run(&["sync", "--all"]).code(0);
        server.fail(Stage::Fetch, Reaction::Status(500, ""), usize::MAX);
    } else {
        sandbox.wrap_git("case \"$*\" in *--filter=tree:0*) echo 'fatal: the remote end hung up' >&2; exit 128;; esac");
    }
    let output = sandbox
        .run(&["status", "--all", "--html", "page.html"])
        .code(0);
    assert!(
        output
            .stderr
            .starts_with("warning: cannot read the history of the codex: "),
        "{}",
        output.stderr
    );
    let page = std::fs::read_to_string(sandbox.path("ws/page.html")).unwrap();
    assert_eq!(page.matches(">unknown</span>").count(), 2);
    assert_eq!(
        page.matches("<span class=\"more\">cannot read the history of the codex: ")
            .count(),
        2
    );
}

#[test]
fn last_pull_comes_from_the_cache() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha"],
        "  sync: { direction: from-codex, from_codex: { include: ['codex://acme/core/**'] } }\n",
    );
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.commit(&[("100644", "projects/core/a.md", "a")], &[]);
    let known = |code: i32| {
        sandbox
            .run(&["status", "--all", "--json", "--html", "page.html"])
            .code(code)
            .json()
    };
    let unknown = "the local cache has no files for the project";
    assert_eq!(known(0)["projects"][0]["last_sync"]["unknown"], unknown);
    sandbox.run(&["sync", "--all"]).code(0);
    let document = known(0);
    let last_sync = &document["projects"][0]["last_sync"];
    assert_eq!(last_sync["commit"].as_str(), codex.tip().as_deref());
    assert!(
        last_sync["time"]
            .as_str()
            .is_some_and(|time| time.starts_with("20")),
        "{last_sync}"
    );
    let page = std::fs::read_to_string(sandbox.path("ws/page.html")).unwrap();
    assert!(
        page.contains(">from the codex</span>") && page.contains(">of the codex</span>"),
        "{page}"
    );
}
