//! Attacks by the content of the codex, and by links in the cache.

use super::*;

/// All files in the sandbox except the cache, the codex and the program's own files.
fn outside(sandbox: &Sandbox) -> Vec<String> {
    let all = sandbox.fingerprint("");
    let cache = sandbox.path("ws/.fractary/codex");
    let own = [
        cache,
        sandbox.path("home"),
        sandbox.path("codex.git"),
        sandbox.path("tmp"),
    ];
    let elsewhere = all
        .iter()
        .filter(|(path, ..)| !own.iter().any(|own| path.starts_with(own)));
    elsewhere
        .map(|(path, data, ..)| format!("{} {}", path.display(), String::from_utf8_lossy(data)))
        .collect()
}

#[test]
fn unsafe_entries_are_rejected_by_name_and_the_others_are_pulled() {
    let (sandbox, codex) = world();
    let blob = codex.blob(b"planted");
    let good = codex.blob(b"good");
    let below = codex.plant(&[("100644", b"below.md", &blob)]);
    let submodule = "1".repeat(40);
    let long = vec![b'n'; 4000];
    let docs = codex.plant(&[
        ("40000", b"..", &below),
        ("40000", b".git", &below),
        ("100644", b"/etc-passwd", &blob),
        ("100644", b"C:evil.md", &blob),
        ("100644", b"README.md", &good),
        ("100644", b"a/../b", &blob),
        ("100644", b"a\\..\\b", &blob),
        ("100644", b"fine.md", &good),
        ("120000", b"link", &codex.blob(b"../../../../../outside")),
        ("40000", b"link", &below),
        ("100644", &long, &blob),
        ("100644", b"readme.md", &blob),
        ("160000", b"sub", &submodule),
        ("100644", b"esc\x1b[31m.md", &good),
    ]);
    let core = codex.plant(&[("40000", b"docs", &docs)]);
    let projects = codex.plant(&[("40000", b"core", &core)]);
    codex.set_root(&codex.plant(&[("40000", b"projects", &projects)]));
    let before = outside(&sandbox);
    let output = sandbox.run(&["sync", "--from-codex"]).code(1);
    assert_eq!(outside(&sandbox), before);
    let path = |name: &str| format!("`projects/core/docs/{name}`");
    for name in [
        "..",
        ".git",
        "/etc-passwd",
        "C:evil.md",
        "a/../b",
        "a\\..\\b",
        "readme.md",
        "link",
        "sub",
    ] {
        assert!(
            output.stderr.contains(&path(name)),
            "{name}: {}",
            output.stderr
        );
    }
    assert!(output.stderr.contains(&"n".repeat(4000)) && !output.stderr.contains('\x1b'));
    let cache = sandbox.path("ws/.fractary/codex/cache");
    let pulled = ["README.md", "esc\x1b[31m.md", "fine.md", "link/below.md"];
    assert_eq!(
        names(&cache),
        pulled.map(|name| format!("projects/core/docs/{name}"))
    );
    assert!(
        cached(&cache)
            .values()
            .take(3)
            .all(|contents| contents == b"good")
    );
    // The next run has the same result.
    sandbox.run(&["sync", "--from-codex"]).code(1);
}

#[test]
fn tree_that_git_refuses_to_send_is_an_error() {
    let (sandbox, codex) = world();
    let docs = codex.plant(&[("100644", b"", &codex.blob(b"planted"))]);
    codex.set_root(&codex.plant(&[("40000", b"projects", &docs)]));
    let before = outside(&sandbox);
    // A codex at a local path is read in place. The entry cannot be selected, as no pattern matches
    // an empty name.
    let mut command = sandbox.program(&["sync", "--from-codex"]);
    command.env("FRACTARY_CODEX_REMOTE__TRANSPORT", "native");
    let output = sandbox.finish(command).code(0);
    assert!(output.stderr.contains("matches nothing"));
    assert_eq!(outside(&sandbox), before);
    sandbox.serve();
    let before = outside(&sandbox);
    let output = sandbox.run(&["sync", "--from-codex"]).code(4);
    assert!(
        output.stderr.contains("empty filename in tree entry"),
        "{}",
        output.stderr
    );
    assert_eq!(outside(&sandbox), before);
}

#[test]
fn links_in_the_cache_are_not_followed() {
    let (sandbox, _codex) = world();
    sandbox.write("outside/docs/a.md", "precious");
    sandbox.write("outside/b.md", "precious too");
    sandbox.write("ws/.fractary/codex/cache/projects/other/docs/deep/x", "");
    let cache = sandbox.path("ws/.fractary/codex/cache");
    std::os::unix::fs::symlink(sandbox.path("outside"), cache.join("projects/core")).unwrap();
    std::os::unix::fs::symlink(
        sandbox.path("outside/b.md"),
        cache.join("projects/other/docs/deep/b.md"),
    )
    .unwrap();
    let before = sandbox.fingerprint("outside");
    let output = sandbox.run(&["sync", "--from-codex"]).code(0);
    assert!(
        output
            .stderr
            .contains("`projects/core/docs/a.md` in the cache was modified locally"),
        "{}",
        output.stderr
    );
    assert_eq!(sandbox.fingerprint("outside"), before);
    // With `--force`, the links themselves are replaced.
    sandbox.run(&["sync", "--from-codex", "--force"]).code(0);
    assert_eq!(sandbox.fingerprint("outside"), before);
    assert_eq!(cached(&cache)["projects/core/docs/a.md"], b"a");
    assert_eq!(cached(&cache)["projects/other/docs/deep/b.md"], b"b");
}

#[test]
fn link_above_many_files_is_replaced_once() {
    let (sandbox, codex) = world();
    let blob = codex.blob(b"many");
    let names: Vec<_> = (100..300).map(|n| format!("{n}.md").into_bytes()).collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| ("100644", name.as_slice(), blob.as_str()))
        .collect();
    let core = codex.plant(&[("40000", b"docs", &codex.plant(&files))]);
    codex.set_root(&codex.plant(&[(
        "40000",
        b"projects",
        &codex.plant(&[("40000", b"core", &core)]),
    )]));
    sandbox.write("outside/docs/100.md", "precious");
    let before = sandbox.fingerprint("outside");
    let cache = sandbox.path("ws/.fractary/codex/cache");
    // Many threads write the files at the same time, and all of them find the link.
    for _ in 0..10 {
        sandbox.write("ws/.fractary/codex/cache/projects/x", "");
        let _ = std::fs::remove_dir_all(cache.join("projects/core"));
        std::os::unix::fs::symlink(sandbox.path("outside"), cache.join("projects/core")).unwrap();
        sandbox
            .run(&["sync", "--from-codex", "--force", "--jobs", "8"])
            .code(0);
        assert_eq!(
            cached(&cache)
                .values()
                .filter(|data| *data == b"many")
                .count(),
            200
        );
    }
    assert_eq!(sandbox.fingerprint("outside"), before);
}

#[test]
fn names_of_the_caches_own_files_are_rejected() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha"],
        "    beta: { to: .fractary-codex }\n  sync: { from_codex: { include: [codex://acme/beta] } }\n",
    );
    codex.commit(&[("100644", ".fractary-codex/manifest", "planted")], &[]);
    let output = sandbox
        .run(&["sync", "-p", "alpha", "--from-codex"])
        .code(1);
    assert!(
        output.stderr.contains("the cache uses this name itself"),
        "{}",
        output.stderr
    );
}
