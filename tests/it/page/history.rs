//! When each project was last synced, and from which revision: told by the codex, whoever synced and wherever.

use serde_json::{Value, json};

use super::page;
use crate::support::gate::{Moment, Step};
use crate::support::http::{Reaction, Stage};
use crate::support::{Codex, Sandbox, without_git, without_git_children};

/// One project in a repository of its own, synced from a clean tree.
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
        "https://ada:pw@git.acme.example/acme/alpha.git",
    ]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    sandbox.serve_without_git();
    sandbox.run(&["sync", "--all"]).code(0);
    let revision = git(&["rev-parse", "HEAD"]).trim().to_owned();
    (sandbox, codex, revision)
}

/// What is known of the projects, as a document has it.
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
fn the_codex_tells_when_and_from_which_revision() {
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
    // Another machine, which knows nothing, and a history that others went on with.
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
    assert!(page.contains("git.acme.example/<wbr>acme/<wbr>alpha</span>") && !page.contains("ada"));
}

#[test]
fn what_others_push_meanwhile_is_not_what_was_compared() {
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
fn what_is_not_known_is_told_with_the_reason() {
    let (sandbox, codex, _) = synced();
    let reasons = |more: &[&str]| -> Vec<String> {
        last_syncs(&sandbox, more)
            .iter()
            .map(|known| known["unknown"].as_str().unwrap_or("known").to_owned())
            .collect()
    };
    assert_eq!(reasons(&[]), ["known", "known"]);
    assert_eq!(reasons(&["--offline"]), ["`--offline` asks nobody"; 2]);
    assert!(page(&sandbox, 0, &["--offline"]).contains(">not known here</span>"));
    // Where the server sends everything, it is not asked for all there ever was.
    codex.git(&["config", "uploadpack.allowFilter", "false"]);
    codex.go_on(4100);
    assert_eq!(
        reasons(&[]),
        ["none of the last 4096 commits is a sync of it"; 2]
    );
    codex.git(&["config", "uploadpack.allowFilter", "true"]);
    // libgit2 cannot ask for commits alone.
    let known = if without_git() {
        "none of the last 4096 commits is a sync of it"
    } else {
        "known"
    };
    assert_eq!(reasons(&[]), [known; 2]);
    // As another tool would have put it there.
    let tree = codex.git(&["rev-parse", "main^{tree}"]).trim().to_owned();
    codex.set_root(&tree);
    assert_eq!(
        reasons(&[]),
        ["no commit of the codex says that it is a sync of it"; 2]
    );
    assert_eq!(
        reasons(&["--config", "commit.trailers=false"]),
        ["its commits do not tell: `commit.trailers` is off"; 2]
    );
    codex.commit(
        &[("100644", "README.md", "codex")],
        &["projects/alpha/README.md", "projects/beta/README.md"],
    );
    assert_eq!(reasons(&[]), ["it never was synced"; 2]);
    codex.git(&["update-ref", "-d", "refs/heads/main"]);
    assert_eq!(reasons(&[]), ["the branch has no commits yet"; 2]);
}

#[test]
fn a_history_that_cannot_be_read_leaves_the_rest_of_the_page() {
    let (sandbox, _codex, _) = synced();
    if without_git_children() {
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
            .starts_with("warning: the codex's history cannot be read: "),
        "{}",
        output.stderr
    );
    let page = std::fs::read_to_string(sandbox.path("ws/page.html")).unwrap();
    assert_eq!(page.matches(">not known here</span>").count(), 2);
    assert_eq!(
        page.matches("<span class=\"more\">the codex&#39;s history cannot be read: ")
            .count(),
        2
    );
}

#[test]
fn what_was_brought_is_told_by_the_cache() {
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
    let unknown = "the local cache holds nothing of it";
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
