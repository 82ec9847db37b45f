//! Malicious files in a project, and paths in the configuration.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::codex_entries::{root_of, subtree};
use super::{assert_harmless, path_of, workspace};
use crate::support::{Codex, Sandbox, World};

#[test]
fn file_names_of_any_bytes_are_published_and_shown_escaped() {
    let World { sandbox, codex, .. } = workspace("");
    let long = "x".repeat(255);
    let names: [&[u8]; 8] = [
        b"new\nline.md",
        b"tab\there.md",
        b"\x1b]0;title\x07.md",
        b"not-utf8-\xff\xfe.md",
        b"-rf",
        b"--upload-pack=touch x",
        "right\u{202e}left.md".as_bytes(),
        long.as_bytes(),
    ];
    for name in names {
        fs::write(path_of(&sandbox, "ws/alpha/docs", name), name).unwrap();
    }
    let output = sandbox.run(&["sync", "--all", "-v"]).code(0);
    assert_harmless(&output);
    assert!(
        output.stdout.contains("docs/\\u{1b}]0;title\\u{7}.md"),
        "{}",
        output.stdout
    );
    codex.assert_sound();
    let root = root_of(&codex);
    let docs = codex.read_object(&subtree(&codex, &root, &["projects", "alpha", "docs"]));
    for name in names {
        let entry = [b"100644 ", name, b"\0"].concat();
        assert!(
            docs.windows(entry.len()).any(|window| window == entry),
            "{name:?}"
        );
    }
    // They are also deleted by the same names.
    for name in names {
        fs::remove_file(path_of(&sandbox, "ws/alpha/docs", name)).unwrap();
    }
    assert_harmless(
        &sandbox
            .run(&["sync", "--all", "--allow-mass-delete"])
            .code(0),
    );
    assert_eq!(codex.paths(), ["projects/alpha/docs/a.md"]);
}

#[test]
fn names_that_git_rejects_are_skipped_with_a_warning() {
    let World { sandbox, codex, .. } =
        workspace("  sync:\n    default_excludes: false\n    symlinks: preserve\n");
    let mut names: Vec<Vec<u8>> = [
        ".GIT",
        ".git ",
        ".git.",
        "git~1",
        "GIT~1",
        ".git::$INDEX_ALLOCATION",
        ".g\u{200c}it",
        "a\\.git",
        ".git\\b",
        ".gitmodules",
        ".GitModules ",
        "gitmod~1",
    ]
    .map(|name| name.as_bytes().to_vec())
    .into();
    names.push(b".gi\xe2\x80\x8ct".to_vec());
    for name in &names {
        fs::write(path_of(&sandbox, "ws/alpha/docs", name), "x").unwrap();
        let below = path_of(
            &sandbox,
            "ws/alpha/docs",
            &[b"dir-".as_slice(), &name[1..]].concat(),
        );
        fs::create_dir(&below).unwrap();
        fs::write(below.join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let links = sandbox.path("ws/alpha/docs/links");
    fs::create_dir(&links).unwrap();
    symlink("../a.md", links.join(".gitmodules")).unwrap();
    symlink("../a.md", links.join("fine.md")).unwrap();
    let output = sandbox.run(&["sync", "--all", "-v"]).code(0);
    assert_harmless(&output);
    assert_eq!(
        codex.paths(),
        [
            "projects/alpha/docs/a.md",
            "projects/alpha/docs/links/fine.md"
        ]
    );
    codex.assert_sound();
    assert_eq!(
        output.stderr.matches("warning: alpha: skipped `").count(),
        2 * names.len() + 1,
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("skipped `docs/.g\\u{200c}it`: "),
        "{}",
        output.stderr
    );
}

#[test]
fn git_directories_in_a_root_are_not_read() {
    let World { sandbox, codex, .. } = workspace("  sync:\n    default_excludes: false\n");
    sandbox.write(
        "ws/alpha/docs/deep/module/.git",
        "gitdir: ../../../.git/modules/module",
    );
    sandbox.write("ws/alpha/docs/deep/module/readme.md", "kept");
    sandbox.write("ws/alpha/docs/deep/repository/.git/config", "[core]");
    symlink("repository/.git", sandbox.path("ws/alpha/docs/deep/link")).unwrap();
    symlink(
        "repository/.git/config",
        sandbox.path("ws/alpha/docs/deep/config"),
    )
    .unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        codex.paths(),
        [
            "projects/alpha/docs/a.md",
            "projects/alpha/docs/deep/module/readme.md"
        ]
    );
    // The contents of such a directory are not examined.
    assert!(!output.stderr.contains(".git/"), "{}", output.stderr);
}

#[test]
fn symlinks_out_of_the_root_are_never_read() {
    for policy in ["follow-inside", "preserve", "skip"] {
        let World { sandbox, codex, .. } = workspace(&format!("  sync:\n    symlinks: {policy}\n"));
        let secret = "contents-outside-of-the-root";
        sandbox.write("ws/beta/docs/secret.md", secret);
        sandbox.write("outside/secret.md", secret);
        sandbox.write("outside/deep/secret.md", secret);
        let docs = sandbox.path("ws/alpha/docs");
        let link = |target: &str, name: &str| symlink(target, docs.join(name)).unwrap();
        link("../../../outside/secret.md", "relative");
        symlink(sandbox.path("outside/secret.md"), docs.join("absolute")).unwrap();
        symlink(sandbox.path("outside"), docs.join("directory")).unwrap();
        link("../../beta/docs", "neighbour");
        link("first", "chain");
        link("second", "first");
        link("../../../outside", "second");
        link("chain/deep", "through");
        link("loop-b", "loop-a");
        link("loop-a", "loop-b");
        link("self", "self");
        link(".", "here");
        link("../..", "above");
        link("/", "root");
        link("/proc/self/root", "proc");
        link("nowhere", "dangling");
        link("a.md/below", "below-a-file");
        let output = sandbox.run(&["sync", "--all"]).code(0);
        assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret));
        let mut published = codex.paths();
        // A link to a directory inside the root is preserved as a link.
        published.retain(|path| policy != "preserve" || path != "projects/alpha/docs/here");
        assert_eq!(
            published,
            ["projects/alpha/docs/a.md"],
            "{policy}: {}",
            output.stderr
        );
        for name in ["relative", "absolute", "chain", "self", "root", "dangling"] {
            let warning = format!("skipped `docs/{name}`: ");
            assert!(
                output.stderr.contains(&warning),
                "{policy}, {name}: {}",
                output.stderr
            );
        }
        codex.assert_sound();
    }
}

#[test]
fn special_files_are_skipped_and_sizes_are_limited() {
    let World { sandbox, codex, .. } = workspace("  sync:\n    max_file_size: 1MB\n");
    let docs = sandbox.path("ws/alpha/docs");
    rustix::fs::mkfifoat(rustix::fs::CWD, docs.join("pipe"), 0o600.into()).unwrap();
    symlink("pipe", docs.join("to-pipe")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(docs.join("socket")).unwrap();
    sandbox.write("ws/alpha/docs/empty.md", "");
    fs::File::create(docs.join("sparse.bin"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    fs::File::create(docs.join("zeros.bin"))
        .unwrap()
        .set_len(1_000_000)
        .unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(0);
    for name in ["pipe", "to-pipe", "socket"] {
        let warning = format!("skipped `docs/{name}`: not a regular file");
        assert!(
            output.stderr.contains(&warning),
            "{name}: {}",
            output.stderr
        );
    }
    assert!(
        output
            .stderr
            .contains("skipped `docs/sparse.bin`: 1099511627776 bytes"),
        "{}",
        output.stderr
    );
    assert_eq!(
        codex.paths(),
        ["a.md", "empty.md", "zeros.bin"].map(|name| format!("projects/alpha/docs/{name}"))
    );
    codex.assert_sound();
}

#[test]
fn deep_tree_is_published_and_one_beyond_the_path_limit_is_an_error() {
    let World { sandbox, codex, .. } = workspace("");
    let deep = format!("docs/{}end.md", "d/".repeat(900));
    sandbox.write(&format!("ws/alpha/{deep}"), "deep");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.file(&format!("projects/alpha/{deep}")), "deep");
    codex.assert_sound();
    let tip = codex.tip();
    // It is created step by step, because its path is too long for a single call.
    let name = "n".repeat(250);
    let mut here = rustix::fs::open(
        sandbox.path("ws/alpha/docs"),
        rustix::fs::OFlags::DIRECTORY,
        0.into(),
    )
    .unwrap();
    for _ in 0..20 {
        rustix::fs::mkdirat(&here, name.as_str(), 0o755.into()).unwrap();
        here = rustix::fs::openat(
            &here,
            name.as_str(),
            rustix::fs::OFlags::DIRECTORY,
            0.into(),
        )
        .unwrap();
    }
    let output = sandbox.run(&["sync", "--all"]).code(1);
    assert!(
        output.stderr.contains("cannot read `docs/nnn"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.tip(), tip);
}

#[test]
fn names_and_paths_that_lead_outside_are_configuration_errors() {
    for projects in [
        "../evil: {}",
        "'..': {}",
        "'.git': {}",
        "'a/b': {}",
        "\"a\\x1b[31m\": {}",
        "alpha: { to: '../other' }",
        "alpha: { to: '/etc' }",
        "alpha: { to: 'projects/../..' }",
        "alpha: { to: 'docs/.git/hooks' }",
        "alpha: { to: 'docs/.GIT ' }",
        "alpha: { to: \"a\\0b\" }",
        "alpha: { to: '' }",
        "alpha: { to: '.' }",
        "alpha: { mappings: [{ from: 'docs/**', to: '../x/' }] }",
        "alpha: { mappings: [{ from: '../**', to: 'x/' }] }",
        "alpha: { sync: { to_codex: { include: ['/etc/**'] } } }",
    ] {
        let sandbox = Sandbox::new();
        let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
        sandbox.write("ws/alpha/docs/a.md", "a");
        sandbox.write(
            "ws/.fractary/config.yaml",
            format!("codex:\n  remote: {{ url: ../codex.git }}\n  projects: {{ {projects} }}\n"),
        );
        let output = sandbox.run(&["sync", "--all"]).code(3);
        assert!(
            output.stderr.contains(".fractary/config.yaml:"),
            "{projects}: {}",
            output.stderr
        );
        assert_harmless(&output);
        assert_eq!(codex.tip(), None, "{projects}");
    }
}
