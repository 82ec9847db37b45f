//! The resolved path of a file or directory decides what is never a source and where a project
//! ends, whatever links lead there.

use std::fs;
use std::os::unix::fs::symlink;

use fractary_codex::internals::resolved;

use crate::support::{Codex, Sandbox};

const SECRET: &str = "TOKEN=that-no-link-may-publish";

/// A workspace whose project `.` publishes everything, with `secrets` written below it.
fn world(config: &str, files: &[&str]) -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let everything = "  sync: { default_excludes: false, to_codex: { include: ['**'] } }\n";
    let codex = sandbox.workspace(&["other"], &format!("{everything}{config}"));
    sandbox.write("ws/other/docs/theirs.md", SECRET);
    sandbox.write("ws/docs/a.md", "a");

    for file in files {
        sandbox.write(&format!("ws/{file}"), SECRET);
    }
    (sandbox, codex)
}

/// Syncs the project `self` alone and checks that no secret was published; returns the paths that
/// were.
#[track_caller]
fn published(sandbox: &Sandbox, codex: &Codex, variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = sandbox.program(&["sync", "-p", "self"]);
    command.envs(variables.iter().copied());
    let output = sandbox.finish(command).code(0);

    let paths = codex.paths();
    for path in &paths {
        assert_ne!(codex.file(path), SECRET, "{path}\n{}", output.stderr);
    }
    let own = "projects/self/";
    assert!(paths.iter().all(|path| path.starts_with(own)), "{paths:?}");
    paths
        .iter()
        .map(|path| path[own.len()..].to_owned())
        .collect()
}

const SELF: &str = "  project: self\n";

#[test]
fn link_to_a_directory_does_not_publish_its_private_files() {
    let private = [
        ".fractary/config.local.toml.orig",
        ".fractary/env/.env",
        ".fractary/codex/cache/fetched.md",
    ];
    // A link to the directory, a chain of links, an absolute link, and a link to a directory above.
    for way in ["direct", "chain", "absolute", "above"] {
        let (sandbox, codex) = world(SELF, &private);
        sandbox.write("ws/.fractary/notes.md", "notes");
        let link = |target: &str, name: &str| symlink(target, sandbox.path(name)).unwrap();
        match way {
            "direct" => link("../.fractary", "ws/docs/l"),
            "chain" => {
                link("../.fractary", "ws/docs/second");
                link("second", "ws/docs/l");
            }
            "absolute" => symlink(sandbox.path("ws/.fractary"), sandbox.path("ws/docs/l")).unwrap(),
            _ => {
                // The parent that holds the `.fractary` directory is reached from a sibling.
                for file in private {
                    sandbox.write(&format!("ws/inner/{file}"), SECRET);
                }
                sandbox.write("ws/inner/.fractary/notes.md", "notes");
                link("../inner", "ws/docs/l");
            }
        }
        let paths = published(&sandbox, &codex, &[]);
        let notes = match way {
            "above" => "docs/l/.fractary/notes.md",
            _ => "docs/l/notes.md",
        };
        assert!(paths.contains(&notes.to_owned()), "{way}: {paths:?}");
    }
}

#[test]
fn link_to_a_private_file_is_not_followed() {
    for policy in ["follow-inside", "preserve", "skip"] {
        let private = [
            ".fractary/config.local.toml.orig",
            ".fractary/env/deep/.env",
            ".fractary/codex/cache/deep/fetched.md",
        ];
        let (sandbox, codex) = world(&format!("{SELF}  clone: {{ strategy: temp }}\n"), &private);
        for (number, target) in private.iter().enumerate() {
            let target = format!("../{target}");
            symlink(&target, sandbox.path(&format!("ws/docs/file{number}"))).unwrap();
            let parent = target.rsplit_once('/').unwrap().0;
            symlink(parent, sandbox.path(&format!("ws/docs/directory{number}"))).unwrap();
        }
        let variables = [("FRACTARY_CODEX_SYNC__SYMLINKS", policy)];
        let paths = published(&sandbox, &codex, &variables);
        assert!(
            !paths.iter().any(|path| path.contains("docs/file")),
            "{policy}: {paths:?}"
        );
        assert!(
            !paths.iter().any(|path| path.contains("directory1")),
            "{policy}: {paths:?}"
        );
    }
}

#[test]
fn link_into_the_root_of_another_project_is_not_followed() {
    for target in [
        "../other",
        "../other/docs",
        "../parent",
        "../parent/through",
    ] {
        let (sandbox, codex) = world(
            &format!("{SELF}  workspace: {{ members: ['parent/*'] }}\n"),
            &["parent/member/theirs.md"],
        );
        symlink("member", sandbox.path("ws/parent/through-link")).unwrap();
        symlink("../other/docs", sandbox.path("ws/parent/through")).unwrap();
        symlink(target, sandbox.path("ws/docs/l")).unwrap();
        let mut command = sandbox.program(&["sync", "-p", "self"]);
        command.env("FRACTARY_CODEX_WORKSPACE__EXCLUDE", "['parent/through*']");
        sandbox.finish(command).code(0);
        for path in codex.paths() {
            assert_ne!(codex.file(&path), SECRET, "{target}: {path}");
        }
    }
}

#[test]
fn link_is_private_if_its_target_is_private() {
    let (sandbox, codex) = world(
        SELF,
        &[
            "conf/deep/secret.env",
            "store/config",
            "fetched/x.md",
            "state/y",
            "home/.cache/fractary-codex/clones/z",
        ],
    );
    let link = |target: &str, name: &str| symlink(target, sandbox.path(name)).unwrap();
    sandbox.write(
        "ws/conf/local.yaml",
        format!("# {SECRET}\ncodex: {{ jobs: 1 }}\n"),
    );
    link("../conf/local.yaml", "ws/.fractary/config.local.yaml");
    fs::create_dir(sandbox.path("ws/.fractary/env")).unwrap();
    link("../../conf/deep/secret.env", "ws/.fractary/env/production");
    link("store", "ws/.git");
    link("../conf", "ws/docs/l");

    let state = sandbox.path("ws/state").display().to_string();
    let cache = sandbox.path("ws/home/.cache").display().to_string();
    let variables = [
        ("FRACTARY_CODEX_CACHE__DIR", "fetched"),
        ("FRACTARY_CODEX_STATE__DIR", state.as_str()),
        ("XDG_CACHE_HOME", cache.as_str()),
    ];
    let paths = published(&sandbox, &codex, &variables);
    assert!(
        !paths.iter().any(|path| path.ends_with("local.yaml")),
        "{paths:?}"
    );
}

#[test]
fn directory_with_a_name_like_dot_git_is_published() {
    let (sandbox, codex) = world(SELF, &[]);
    sandbox.write("ws/.github/guide.md", "guide");
    symlink("../.github", sandbox.path("ws/docs/l")).unwrap();
    symlink("../.github/guide.md", sandbox.path("ws/docs/guide.md")).unwrap();
    let paths = published(&sandbox, &codex, &[]);
    for path in [".github/guide.md", "docs/guide.md", "docs/l/guide.md"] {
        assert!(paths.contains(&path.to_owned()), "{paths:?}");
    }
}

#[test]
fn skipped_link_keeps_its_copy_in_the_codex() {
    let (sandbox, codex) = world(SELF, &[".fractary/env/.env"]);
    codex.commit(
        &[
            ("100644", "projects/self/docs/l/.env", "kept"),
            ("100644", "projects/self/docs/a.md", "old"),
        ],
        &[],
    );
    symlink("../.fractary/env", sandbox.path("ws/docs/l")).unwrap();
    let output = sandbox.run(&["sync", "-p", "self"]).code(0);
    assert!(
        output
            .stderr
            .contains("skipped `docs/l`: the symlink points to a path that is never published"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.file("projects/self/docs/l/.env"), "kept");
}

#[test]
fn current_directory_behind_a_link_selects_the_innermost_project() {
    let sandbox = Sandbox::new();
    let everything = "  project: self\n  workspace: { members: ['links/*'] }\n";
    sandbox.workspace(&[], everything);
    sandbox.write("ws/real/billing/README.md", "x");
    fs::create_dir(sandbox.path("ws/links")).unwrap();
    symlink("../real/billing", sandbox.path("ws/links/billing")).unwrap();
    for directory in ["real/billing", "links/billing"] {
        let output = sandbox
            .run(&["-C", directory, "sync", "--dry-run", "--json"])
            .code(0);
        assert_eq!(
            output.json()["projects"][0]["name"],
            "billing",
            "{directory}"
        );
        assert_eq!(output.json()["projects"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn links_above_a_missing_directory_are_resolved() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let at = |path: &str| root.join(path);
    fs::create_dir_all(at("a/b")).unwrap();
    let link = |target: &str, path: &str| symlink(target, at(path)).unwrap();
    link("../../x/new", "a/b/out");
    link("b", "a/c");
    link("loop", "a/loop");

    assert_eq!(resolved(&at("a/c/missing/y")), at("a/b/missing/y"));
    assert_eq!(resolved(&at("a/c/out/y")), at("x/new/y"));
    assert_eq!(resolved(&at("a/c/../z")), at("a/z"));
    assert_eq!(resolved(&at("a/loop/y")), at("a/loop/y"));
    assert_eq!(resolved(&root), root);
}
