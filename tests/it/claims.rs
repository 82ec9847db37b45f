//! The paths of the codex that a project changes, and those that it never changes.

use std::os::unix::fs::symlink;

use crate::support::Sandbox;

#[test]
fn unclaimed_entries_keep_their_ids() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    codex.commit(
        &[
            ("100644", "README.md", "codex"),
            ("100755", "projects/alpha/tool.sh", "mine"),
            ("120000", "projects/alpha/link", "tool.sh"),
            (
                "160000",
                "projects/alpha/module",
                "1234567890123456789012345678901234567890",
            ),
            (
                "100644",
                "projects/alpha/docs/keep.log",
                "protected by an exclude",
            ),
            (
                "100644",
                "projects/alpha-two/docs/a.md",
                "of another project",
            ),
            ("100644", "projects/alpha.md", "sorts between"),
        ],
        &[],
    );
    let others = codex.tree();
    sandbox.write("ws/alpha/docs/a.md", "a");
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(output["projects"][0]["unmanaged"], 4);
    let tree = codex.tree();
    assert!(
        others
            .iter()
            .all(|(path, entry)| tree.get(path) == Some(entry)),
        "{tree:#?}"
    );
    assert_eq!(tree.len(), others.len() + 1);
    codex.git(&["fsck", "--strict"]);
}

#[test]
fn prune_deletes_unclaimed_files_but_not_excluded_ones() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "  sync:\n    prune: true\n");
    let files = [
        ("100644", "projects/alpha/stray.txt", "x"),
        ("100644", "projects/alpha/docs/keep.log", "y"),
        ("100644", "other.md", "z"),
    ];
    codex.commit(&files, &[]);
    sandbox.write("ws/alpha/docs/a.md", "a");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        codex.paths(),
        [
            "other.md",
            "projects/alpha/docs/a.md",
            "projects/alpha/docs/keep.log"
        ]
    );
}

#[test]
fn modes_deletions_and_renames_are_published() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    for name in ["run.sh", "old.md", "stay.md"] {
        sandbox.write(&format!("ws/alpha/docs/{name}"), name);
    }
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.set_mode("ws/alpha/docs/run.sh", 0o755);
    std::fs::rename(
        sandbox.path("ws/alpha/docs/old.md"),
        sandbox.path("ws/alpha/docs/new.md"),
    )
    .unwrap();
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    let project = &output["projects"][0];
    assert_eq!(
        (&project["added"], &project["modified"], &project["deleted"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(codex.tree()["projects/alpha/docs/run.sh"].0, "100755");
    assert_eq!(
        codex.paths(),
        [
            "projects/alpha/docs/new.md",
            "projects/alpha/docs/run.sh",
            "projects/alpha/docs/stay.md"
        ]
    );
}

#[test]
fn file_can_become_a_directory_and_vice_versa() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/docs/a", "file");
    sandbox.write("ws/alpha/docs/b/c.md", "below");
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.remove("ws/alpha/docs/a");
    sandbox.remove("ws/alpha/docs/b");
    sandbox.write("ws/alpha/docs/a/d.md", "below");
    sandbox.write("ws/alpha/docs/b", "file");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        codex.paths(),
        ["projects/alpha/docs/a/d.md", "projects/alpha/docs/b"]
    );
    codex.assert_sound();
}

#[test]
fn obstructed_project_is_withheld() {
    for (mode, path, content) in [
        ("120000", "projects/alpha/docs/a.md", "elsewhere"),
        (
            "160000",
            "projects/alpha/docs/a.md",
            "1234567890123456789012345678901234567890",
        ),
        (
            "100644",
            "projects/alpha",
            "a file at the path of the directory",
        ),
        ("120000", "projects", "elsewhere"),
    ] {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        codex.commit(&[(mode, path, content)], &[]);
        let before = codex.tree();
        sandbox.write("ws/alpha/docs/a.md", "a");
        let output = sandbox.run(&["sync", "--all"]).code(1);
        assert!(
            output.stderr.contains(&format!("`{path}`")),
            "{}",
            output.stderr
        );
        assert_eq!(codex.tree(), before);
    }
}

#[test]
fn symlinks_out_of_the_root_are_not_followed() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/secret.md", "not to be published");
    sandbox.write("ws/outside/x.md", "not to be published");
    sandbox.write("ws/alpha/docs/real.md", "real");
    sandbox.write("ws/alpha/shared/deep/x.md", "shared");
    let docs = sandbox.path("ws/alpha/docs");
    symlink("real.md", docs.join("inside.md")).unwrap();
    symlink(
        sandbox.path("ws/alpha/docs/real.md"),
        docs.join("absolute.md"),
    )
    .unwrap();
    symlink("../shared", docs.join("directory")).unwrap();
    symlink("../../secret.md", docs.join("outside.md")).unwrap();
    symlink(sandbox.path("ws/outside"), docs.join("outside")).unwrap();
    symlink("nowhere", docs.join("dangling")).unwrap();
    symlink("..", docs.join("loop")).unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(0);
    let below = |name: &str| format!("projects/alpha/docs/{name}");
    assert_eq!(
        codex.paths(),
        ["absolute.md", "directory/deep/x.md", "inside.md", "real.md"].map(below)
    );
    for name in ["outside.md", "outside", "dangling", "loop"] {
        assert!(
            output.stderr.contains(&format!("skipped `docs/{name}`: ")),
            "{name}: {}",
            output.stderr
        );
    }
}

#[test]
fn copies_of_skipped_files_stay_in_the_codex() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "  sync:\n    max_file_size: 10B\n");
    sandbox.write("ws/alpha/docs/a.md", "small");
    sandbox.write("ws/alpha/docs/b.md", "small");
    sandbox.write("ws/alpha/docs/dir/c.md", "small");
    sandbox.run(&["sync", "--all"]).code(0);
    let before = codex.tree();
    sandbox.write("ws/alpha/docs/a.md", "more than ten bytes");
    sandbox.remove("ws/alpha/docs/dir");
    symlink("/etc", sandbox.path("ws/alpha/docs/dir")).unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(0);
    assert!(
        output.stderr.contains("`max_file_size`"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.tree(), before);
}

#[test]
fn colliding_sources_are_an_error() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/docs/A.md", "A");
    sandbox.write("ws/alpha/docs/a.md", "a");
    let output = sandbox.run(&["sync", "--all"]).code(1);
    assert!(
        output
            .stderr
            .contains("`docs/A.md` (pattern `docs/**`) and `docs/a.md` (pattern `docs/**`)"),
        "{}",
        output.stderr
    );
}

#[test]
fn empty_codex_and_codex_without_projects_work() {
    for existing in [None, Some("README.md")] {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        if let Some(path) = existing {
            codex.commit(&[("100644", path, "x")], &[]);
        }
        sandbox.write("ws/alpha/README.md", "alpha");
        sandbox.run(&["sync", "--all"]).code(0);
        let mut expected: Vec<_> = existing.into_iter().collect();
        expected.push("projects/alpha/README.md");
        assert_eq!(codex.paths(), expected);
        codex.assert_sound();
    }
}

#[test]
fn file_at_the_path_of_a_directory_is_an_error() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/docs/a.md", "a");
    sandbox.write("ws/alpha/README.md", "r");
    let mappings =
        "projects.alpha.mappings=[{from='docs/**', to='x/'}, {from='README.md', to='x'}]";
    let output = sandbox
        .run(&["sync", "--all", "--config", mappings])
        .code(1);
    assert!(
        output.stderr.contains("as a file and as a directory"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.tip(), None);
}

#[test]
fn denied_paths_are_not_published_through_any_path() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&[], "");
    let codex = crate::support::Codex::empty(&sandbox.path("codex.git"), &sandbox);
    let secret = "SECRET=s3cret";
    sandbox.write(
        "ws/ci.yaml",
        "codex:
  organization: acme
  codex_repo: codex
  remote: { url: ../codex.git }
  cache: { dir: services/cachedir, enabled: true }
  state: { dir: services/statedir }
  projects: { a: { root: lnk }, b: { root: services/b }, whole: { root: . } }
  sync: { default_excludes: false, to_codex: { include: ['**'], exclude: ['**/*.sock'] } }
",
    );
    sandbox.remove("ws/.fractary");
    // The local layer, because it is beside the file that `--config-file` names.
    sandbox.write(
        "ws/config.local.yaml",
        "codex: { remote: { token: s3cret } }",
    );
    for private in [
        "config.local.yaml~",
        ".config.local.yml.swp",
        "Config.Local.toml",
        "env/.env",
        "env/deep/x",
    ] {
        sandbox.write(&format!("ws/real/{private}"), secret);
        sandbox.write(&format!("ws/services/b/nested/.fractary/{private}"), secret);
    }
    sandbox.write("ws/services/b/nested/.fractary/config.yaml", "");
    symlink("real", sandbox.path("ws/.fractary")).unwrap();
    symlink("services", sandbox.path("ws/lnk")).unwrap();
    sandbox.write("ws/services/own.md", "a");
    sandbox.write("ws/services/b/b.md", "b");
    for _ in 0..2 {
        sandbox
            .run(&["--config-file", "ci.yaml", "sync", "--all"])
            .code(0);
    }
    let expected = [
        "projects/a/own.md",
        "projects/b/b.md",
        "projects/b/nested/.fractary/config.yaml",
        "projects/whole/ci.yaml",
    ];
    assert_eq!(codex.paths(), expected);
}

#[test]
fn targets_of_private_links_are_not_published() {
    for private in ["env", "ENV", "config.local.yaml", ".Config.local.yaml~"] {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        sandbox.write("ws/alpha/docs/a.md", "a");
        sandbox.write("ws/alpha/docs/private/secret.md", "codex: {}\n");
        sandbox.write("ws/.fractary/keep", "");
        let target = if private.eq_ignore_ascii_case("env") {
            "../alpha/docs/private"
        } else {
            "../alpha/docs/private/secret.md"
        };
        symlink(target, sandbox.path("ws/.fractary").join(private)).unwrap();
        sandbox.run(&["sync", "--all"]).code(0);
        assert_eq!(codex.paths(), ["projects/alpha/docs/a.md"], "{private}");
    }
}
