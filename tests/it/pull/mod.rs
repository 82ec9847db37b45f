//! From the codex into the local cache: what is brought, where it goes, and what is left alone.

mod both_ways;
mod command;
mod hostile;
mod interrupted;
mod obstacles;
mod own_files;
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

/// A project that wants the documents of all, and a codex with some.
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
            ("100644", "projects/core/src/main.rs", "not wanted"),
            ("100644", "projects/other/docs/deep/b.md", "b"),
        ],
        &[],
    );
    (sandbox, codex)
}

/// The files that are in a cache, by path, without the cache's own.
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

/// What a sync of all projects changes, or would, an entry after the other.
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
fn what_matches_is_brought_and_what_goes_goes() {
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
    // Changed, deleted, and no longer asked for.
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
    // Directories that held nothing else went with their files.
    assert!(!cache.join("projects/other").exists());
}

#[test]
fn what_was_changed_by_hand_is_kept_and_told() {
    let (sandbox, codex) = world();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    sandbox.write(
        "ws/.fractary/codex/cache/projects/core/docs/a.md",
        "somebody's own, before the first run",
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
        b"somebody's own, before the first run"
    );
    // What was there and right already is taken over: it goes when the codex lets go of it.
    codex.commit(&[], &["projects/other/docs/deep/b.md"]);
    sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(!names(&cache).contains(&"projects/other/docs/deep/b.md".to_owned()));
    sandbox.run(&["sync", "--from-codex", "--force"]).code(0);
    assert_eq!(cached(&cache)["projects/core/docs/a.md"], b"a");
    // Changed by hand, and then gone from the codex: kept.
    sandbox.write(
        "ws/.fractary/codex/cache/projects/core/docs/a.md",
        "notes in the margin",
    );
    codex.commit(&[], &["projects/core/docs/a.md"]);
    let kept = sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(
        kept.stderr.contains("`projects/core/docs/a.md`"),
        "{}",
        kept.stderr
    );
    assert_eq!(
        cached(&cache)["projects/core/docs/a.md"],
        b"notes in the margin"
    );
    // It stays known, and is told again, until it is given up.
    let again = sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(
        again.stderr.contains("`projects/core/docs/a.md`"),
        "{}",
        again.stderr
    );
    sandbox.run(&["sync", "--from-codex", "--force"]).code(0);
    assert!(!names(&cache).contains(&"projects/core/docs/a.md".to_owned()));
    // What is missing comes back.
    fs::remove_file(cache.join("projects/core/docs/run.sh")).unwrap();
    sandbox.run(&["sync", "--from-codex"]).code(0);
    assert_eq!(cached(&cache)["projects/core/docs/run.sh"], b"run");
}

#[test]
fn projects_share_the_workspaces_cache_unless_they_have_their_own() {
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
    sandbox.write("ws/gamma/.fractary/notes", "a directory of its own");
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
    // What two share is counted once.
    assert_eq!(
        (&output["totals"]["added"], &output["totals"]["unchanged"]),
        (&5.into(), &1.into())
    );
    // One of them asks for less: what the other wants stays.
    sandbox
        .run(&[
            "sync",
            "-p",
            "alpha",
            "--from-codex",
            "--include",
            "codex://acme/alpha",
        ])
        .code(0);
    assert_eq!(names(&shared), all);
    sandbox
        .run(&[
            "sync",
            "-p",
            "beta",
            "--from-codex",
            "--include",
            "codex://acme/beta/",
        ])
        .code(0);
    assert_eq!(names(&shared), all[..2]);
}

#[test]
fn nothing_is_fetched_that_the_cache_already_answers() {
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
    // Git asks which protocol the server speaks first; the native transport remembers it.
    let question = if sandbox.uses_git() { 2 } else { 1 };
    assert_eq!(
        (requests, &output["totals"]["up_to_date"]),
        (question, &1.into())
    );
    assert_eq!(
        sandbox.fingerprint("ws/.fractary/codex/cache/projects"),
        before
    );
    // Another tip, the same files: nothing is written either.
    codex.commit(&[("100644", "README.md", "elsewhere")], &[]);
    sync();
    assert_eq!(
        sandbox.fingerprint("ws/.fractary/codex/cache/projects"),
        before
    );
}

#[test]
fn only_what_is_wanted_moves() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha"],
        "  sync: { from_codex: { include: ['codex://acme/wanted/**'] } }\n",
    );
    let mut files: Vec<_> = (0..80_000)
        .map(|n| {
            (
                format!("projects/p{}/docs/{}/{n}.md", n % 200, n % 7),
                format!("document {n}\n").into_bytes(),
            )
        })
        .collect();
    files.extend((0..10).map(|n| (format!("projects/wanted/{n}.md"), vec![b'x'; 1000 + n])));
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
fn a_place_of_its_own_is_found() {
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
fn a_codex_that_is_not_there_is_an_error_and_leaves_the_cache() {
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
    // Objects that are gone from the codex itself.
    codex.commit(&[("100644", "projects/core/docs/new.md", "new")], &[]);
    let id = codex.tree()["projects/core/docs/new.md"].1.clone();
    let object = codex.path().join("objects").join(&id[..2]).join(&id[2..]);
    fs::remove_file(object).unwrap();
    sandbox.run(&["sync", "--from-codex"]).code(4);
    assert_eq!(sandbox.fingerprint("ws/.fractary/codex/cache"), before);
    assert_eq!(sandbox.leftovers(), [""; 0]);
}

#[test]
fn forced_a_published_cache_is_as_published_again() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/docs/a.md", "published");
    sandbox.run(&["sync", "--all"]).code(0);
    let cached = "ws/.fractary/codex/cache/projects/alpha/docs/a.md";
    sandbox.write(cached, "by hand");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        std::fs::read_to_string(sandbox.path(cached)).unwrap(),
        "by hand"
    );
    sandbox.run(&["sync", "--all", "--force"]).code(0);
    assert_eq!(
        std::fs::read_to_string(sandbox.path(cached)).unwrap(),
        "published"
    );
    assert_eq!(codex.subjects().len(), 1);
}
