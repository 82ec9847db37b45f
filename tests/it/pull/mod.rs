//! Pulling files of the codex into the local cache: which files, to which paths, and which files
//! stay untouched.

mod both_ways;
mod command;
mod hostile;
mod interrupted;
mod mass_deletion;
mod obstacles;
mod own_files;
mod patterns;
mod removed;
mod routing;
mod shared;
mod unwritable;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::http::HttpServer;
use crate::support::{Codex, Sandbox};

/// A project that selects the documents of all projects, and a codex with some.
fn world() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha"],
        "  sync:\n    from_codex: { include: ['codex://acme/*/docs/**'] }\n",
    );
    codex.commit(
        &[
            ("100644", "projects/core/docs/a.md", "a"),
            ("100755", "projects/core/docs/run.sh", "run"),
            ("100644", "projects/core/src/main.rs", "not selected"),
            ("100644", "projects/other/docs/deep/b.md", "b"),
        ],
        &[],
    );
    (sandbox, codex)
}

/// The contents of the files in a cache by path, without the program's own files.
fn cached(cache: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![cache.to_owned()];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(&path)
            .into_iter()
            .flatten()
            .map(Result::unwrap)
        {
            let below = entry
                .path()
                .strip_prefix(cache)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if [".fractary-codex", ".gitignore", "CACHEDIR.TAG"].contains(&below.as_str()) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else {
                found.insert(below, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// The changes of each project in the result of a sync of all projects.
fn changes(sandbox: &Sandbox, arguments: &[&str]) -> Vec<Value> {
    let output = sandbox
        .run(&[&["sync", "--all", "--json"], arguments].concat())
        .code(0)
        .json();
    output["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["changes"].clone())
        .collect()
}

fn names(cache: &Path) -> Vec<String> {
    cached(cache).into_keys().collect()
}

#[test]
fn pull_adds_updates_and_removes_files() {
    let (sandbox, codex) = world();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    let plan = sandbox
        .run(&["sync", "--from-codex", "--dry-run", "--json"])
        .code(0)
        .json();
    assert!(!cache.exists());
    let output = sandbox
        .run(&["sync", "--from-codex", "--json"])
        .code(0)
        .json();
    assert_eq!(
        plan["projects"][0]["changes"],
        output["projects"][0]["changes"]
    );
    assert_eq!(plan["plan_id"], output["plan_id"]);
    let expected = [
        "projects/core/docs/a.md",
        "projects/core/docs/run.sh",
        "projects/other/docs/deep/b.md",
    ];
    assert_eq!(names(&cache), expected);
    assert_eq!(output["totals"]["added"], 3);
    assert_eq!(output["projects"][0]["bytes"], 5);
    assert_eq!(
        (&output["direction"], &output["pushed"]),
        (&"from-codex".into(), &false.into())
    );
    let ids = sandbox.git(&cache, &["hash-object", "--no-filters", expected[0]]);
    assert_eq!(ids.trim(), codex.tree()[expected[0]].1);
    // One file is changed, one deleted, and one no longer selected.
    codex.commit(
        &[("100644", "projects/core/docs/a.md", "changed")],
        &["projects/core/docs/run.sh"],
    );
    let output = sandbox.run(&[
        "sync",
        "--from-codex",
        "--exclude",
        "deep/**",
        "--exclude",
        "**/deep/**",
        "--json",
    ]);
    let output = output.code(0).json();
    assert_eq!(names(&cache), ["projects/core/docs/a.md"]);
    assert_eq!(cached(&cache)["projects/core/docs/a.md"], b"changed");
    let totals = &output["totals"];
    assert_eq!(
        (&totals["modified"], &totals["deleted"]),
        (&1.into(), &2.into())
    );
    // A directory is removed with its last file.
    assert!(!cache.join("projects/other").exists());
}

#[test]
fn locally_modified_file_is_kept_and_reported() {
    let (sandbox, codex) = world();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    sandbox.write(
        "ws/.fractary/codex/cache/projects/core/docs/a.md",
        "a file of the user",
    );
    sandbox.write(
        "ws/.fractary/codex/cache/projects/other/docs/deep/b.md",
        "b",
    );
    let first = sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(
        first
            .stderr
            .contains("`projects/core/docs/a.md` in the cache was modified locally"),
        "{}",
        first.stderr
    );
    assert_eq!(
        cached(&cache)["projects/core/docs/a.md"],
        b"a file of the user"
    );
    // A file that already has the right content is tracked from now on, and removed when the codex
    // removes it.
    codex.commit(&[], &["projects/other/docs/deep/b.md"]);
    sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(!names(&cache).contains(&"projects/other/docs/deep/b.md".to_owned()));
    sandbox.run(&["sync", "--from-codex", "--force"]).code(0);
    assert_eq!(cached(&cache)["projects/core/docs/a.md"], b"a");
    // A file that was modified locally is kept when the codex removes it.
    sandbox.write("ws/.fractary/codex/cache/projects/core/docs/a.md", "edited");
    codex.commit(&[], &["projects/core/docs/a.md"]);
    let kept = sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(
        kept.stderr.contains("`projects/core/docs/a.md`"),
        "{}",
        kept.stderr
    );
    assert_eq!(cached(&cache)["projects/core/docs/a.md"], b"edited");
    // It is still tracked, and reported on each run until it is forced.
    let again = sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(
        again.stderr.contains("`projects/core/docs/a.md`"),
        "{}",
        again.stderr
    );
    sandbox.run(&["sync", "--from-codex", "--force"]).code(0);
    assert!(!names(&cache).contains(&"projects/core/docs/a.md".to_owned()));
    // A missing file is written again.
    fs::remove_file(cache.join("projects/core/docs/run.sh")).unwrap();
    sandbox.run(&["sync", "--from-codex"]).code(0);
    assert_eq!(cached(&cache)["projects/core/docs/run.sh"], b"run");
}

#[test]
fn projects_share_the_cache_of_the_workspace_unless_they_have_their_own() {
    let sandbox = Sandbox::new();
    let names_of = ["alpha", "beta", "gamma"];
    let codex = sandbox.workspace(
        &names_of,
        "  sync:\n    from_codex: { include: ['codex://{org}/{project}/docs/**', 'codex://{org}/core/**'] }\n",
    );
    let files: Vec<_> = names_of
        .iter()
        .chain(&["core"])
        .map(|name| format!("projects/{name}/docs/a.md"))
        .collect();
    codex.commit(
        &files
            .iter()
            .map(|path| ("100644", path.as_str(), "x"))
            .collect::<Vec<_>>(),
        &[],
    );
    for name in names_of {
        sandbox.write(&format!("ws/{name}/README.md"), "x");
    }
    sandbox.write("ws/gamma/.fractary/notes", "this project has its own cache");
    let output = sandbox
        .run(&["sync", "--all", "--from-codex", "--json"])
        .code(0)
        .json();
    let shared = sandbox.path("ws/.fractary/codex/cache");
    let own = sandbox.path("ws/gamma/.fractary/codex/cache");
    let all = [
        "projects/alpha/docs/a.md",
        "projects/beta/docs/a.md",
        "projects/core/docs/a.md",
    ];
    assert_eq!(names(&shared), all);
    assert_eq!(
        names(&own),
        ["projects/core/docs/a.md", "projects/gamma/docs/a.md"]
    );
    // A shared file is counted once.
    assert_eq!(
        (&output["totals"]["added"], &output["totals"]["unchanged"]),
        (&5.into(), &1.into())
    );
    // One project selects less. The files of the other one stay.
    sandbox
        .run(&[
            "sync",
            "-p",
            "alpha",
            "--from-codex",
            "--config",
            "sync.from_codex.include=['codex://acme/alpha']",
        ])
        .code(0);
    assert_eq!(names(&shared), all);
    sandbox
        .run(&[
            "sync",
            "-p",
            "beta",
            "--from-codex",
            "--config",
            "sync.from_codex.include=['codex://acme/beta/']",
        ])
        .code(0);
    assert_eq!(names(&shared), all[..2]);
}

#[test]
fn cache_that_is_up_to_date_needs_no_fetch() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let sync = || {
        let mut command = sandbox.program(&["sync", "--from-codex", "--json"]);
        command.env("FRACTARY_CODEX_REMOTE__URL", server.url("codex.git"));
        let before = server.requests().len();
        let output = sandbox.finish(command).code(0).json();
        (server.requests().len() - before, output)
    };
    sync();
    let before = sandbox.fingerprint("ws/.fractary/codex/cache/projects");
    let (requests, output) = sync();
    // git first asks the server for its protocol version. The native transport remembers it.
    let requests_of_a_check = if sandbox.uses_git() { 2 } else { 1 };
    assert_eq!(
        (requests, &output["totals"]["up_to_date"]),
        (requests_of_a_check, &1.into())
    );
    assert_eq!(
        sandbox.fingerprint("ws/.fractary/codex/cache/projects"),
        before
    );
    // With another tip but the same files, nothing is written either.
    codex.commit(&[("100644", "README.md", "elsewhere")], &[]);
    sync();
    assert_eq!(
        sandbox.fingerprint("ws/.fractary/codex/cache/projects"),
        before
    );
}

#[test]
fn only_selected_files_are_transferred() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha"],
        "  sync: { from_codex: { include: ['codex://acme/selected/**'] } }\n",
    );
    let mut files: Vec<_> = (0..80_000)
        .map(|n| {
            (
                format!("projects/p{}/docs/{}/{n}.md", n % 200, n % 7),
                format!("document {n}\n").into_bytes(),
            )
        })
        .collect();
    files.extend((0..10).map(|n| (format!("projects/selected/{n}.md"), vec![b'x'; 1000 + n])));
    codex.import(&files);
    let server = HttpServer::start(&sandbox.path(""), None);
    let mut command = sandbox.program(&["sync", "--from-codex", "--json"]);
    command.env("FRACTARY_CODEX_REMOTE__URL", server.url("codex.git"));
    let output = sandbox.finish(command).code(0).json();
    assert_eq!(output["totals"]["added"], 10);
    let moved: usize = server
        .requests()
        .iter()
        .map(|request| request.bytes_up + request.bytes_down)
        .sum();
    assert!(moved < 3_000_000, "{moved} bytes");
}

#[test]
fn pattern_follows_the_configured_directory_of_a_project() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "    beta: { to: handbook/beta }\n  sync:\n    from_codex:\n      include: [codex://acme/beta]\n      exclude: ['*.tmp', codex://acme/beta/private/**]\n");
    let files = [
        "handbook/beta/a.md",
        "handbook/beta/b.tmp",
        "handbook/beta/private/c.md",
        "projects/beta/d.md",
    ];
    codex.commit(&files.map(|path| ("100644", path, "x")), &[]);
    sandbox
        .run(&["sync", "-p", "alpha", "--from-codex"])
        .code(0);
    assert_eq!(
        names(&sandbox.path("ws/.fractary/codex/cache")),
        ["handbook/beta/a.md"]
    );
}

#[test]
fn missing_codex_is_an_error_and_the_cache_stays() {
    let (sandbox, codex) = world();
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let before = sandbox.fingerprint("ws/.fractary/codex/cache");
    for arguments in [
        &[
            "sync",
            "--from-codex",
            "--config",
            "remote.url=../nothing.git",
        ][..],
        &["sync", "--from-codex", "--config", "remote.branch=nothing"],
        &["sync", "--from-codex", "--dry-run", "--offline"],
    ] {
        sandbox.run(arguments).code(4);
    }
    // The codex itself lacks an object.
    codex.commit(&[("100644", "projects/core/docs/new.md", "new")], &[]);
    let id = codex.tree()["projects/core/docs/new.md"].1.clone();
    let object = codex.path().join("objects").join(&id[..2]).join(&id[2..]);
    fs::remove_file(object).unwrap();
    sandbox.run(&["sync", "--from-codex"]).code(4);
    assert_eq!(sandbox.fingerprint("ws/.fractary/codex/cache"), before);
    assert_eq!(sandbox.leftovers(), [""; 0]);
}

#[test]
fn force_restores_the_published_version_in_the_cache() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/docs/a.md", "published");
    sandbox.run(&["sync", "--all"]).code(0);
    let cached = "ws/.fractary/codex/cache/projects/alpha/docs/a.md";
    sandbox.write(cached, "edited");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        std::fs::read_to_string(sandbox.path(cached)).unwrap(),
        "edited"
    );
    sandbox.run(&["sync", "--all", "--force"]).code(0);
    assert_eq!(
        std::fs::read_to_string(sandbox.path(cached)).unwrap(),
        "published"
    );
    assert_eq!(codex.subjects().len(), 1);
}
