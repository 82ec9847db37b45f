//! The guards on the state of the sources: `sync.to_codex.dirty` and `sync.to_codex.branches`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{Codex, Output, Sandbox};

/// A workspace whose directory is a repository with one commit on `main`.
fn world() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/docs/a.md", "a\n");
    sandbox.write("ws/alpha/docs/b.md", "b\n");
    let ws = sandbox.path("ws");
    sandbox.git(&ws, &["init", "-q", "-b", "main", "--template="]);
    sandbox.git(&ws, &["add", "-A"]);
    sandbox.git(&ws, &["commit", "-q", "-m", "one"]);
    (sandbox, codex)
}

fn dirty(sandbox: &Sandbox, mode: &str, more: &[&str]) -> Output {
    let mode = format!("sync.to_codex.dirty={mode}");
    let arguments = ["sync", "--all", "--json", "--config", &mode];
    sandbox.run(&[&arguments[..], more].concat())
}

fn warnings(output: &Output) -> Vec<String> {
    let warnings = output.json()["warnings"].as_array().unwrap().clone();
    let message = |warning: Value| warning["message"].as_str().unwrap().to_owned();
    warnings.into_iter().map(message).collect()
}

/// The path in the codex names its source also with a mapping of a single file.
#[test]
fn deletion_of_a_mapped_file_must_be_committed() {
    let (sandbox, codex) = world();
    let mappings =
        r#"projects.alpha.mappings=[{from="docs/b.md",to="b/"},{from="docs/a.md",to="first.md"}]"#;
    let sync = || dirty(&sandbox, "withhold", &["--config", mappings]);
    sync().code(0);
    let tree = codex.paths();
    sandbox.remove("ws/alpha/docs/a.md");
    let message = sync().code(1).json()["projects"][0]["error"]["message"].to_string();
    assert!(message.contains("deleted (`docs/a.md`"), "{message}");
    assert_eq!(codex.paths(), tree);
}

/// What git has left out of the working tree, nobody has deleted.
#[test]
fn files_that_git_has_left_out_are_kept_in_the_codex() {
    let (sandbox, codex) = world();
    let ws = sandbox.path("ws");
    for library in ["inner", "lib"] {
        let directory = sandbox.path(library);
        sandbox.write(&format!("{library}/{library}.md"), library);
        sandbox.git(&directory, &["init", "-q", "-b", "main", "--template="]);
        sandbox.git(&directory, &["add", "-A"]);
        sandbox.git(&directory, &["commit", "-q", "-m", "one"]);
    }
    let inner = sandbox.path("inner");
    sandbox.add_submodule(&sandbox.path("lib"), inner.to_str().unwrap(), "inner");
    sandbox.git(&sandbox.path("lib"), &["commit", "-q", "-m", "inner"]);
    let lib = sandbox.path("lib");
    sandbox.add_submodule(&ws, lib.to_str().unwrap(), "alpha/docs/lib");
    let lib_in_ws = sandbox.path("ws/alpha/docs/lib");
    let populate = ["-c", "protocol.file.allow=always", "submodule", "-q"];
    let update = [&populate[..], &["update", "--init"]].concat();
    sandbox.git(&lib_in_ws, &update);
    sandbox.write("ws/alpha/docs/deep/c.md", "c");
    sandbox.write("ws/alpha/docs/deep/d.md", "d");
    sandbox.write("ws/alpha/real/r.md", "r");
    std::os::unix::fs::symlink("../real", sandbox.path("ws/alpha/docs/link")).unwrap();
    sandbox.git(&ws, &["add", "-A"]);
    sandbox.git(&ws, &["commit", "-q", "-m", "all"]);
    dirty(&sandbox, "warn", &[]).code(0);
    let published = codex.paths();
    for path in ["lib/lib.md", "lib/inner/inner.md", "deep/c.md", "link/r.md"] {
        let path = format!("projects/alpha/docs/{path}");
        assert!(published.contains(&path), "{published:?}");
    }

    let deinit = ["submodule", "deinit", "-q", "--force"];
    let kept = |steps: &dyn Fn(), expected: &str| {
        let published = codex.paths();
        steps();
        sandbox.write("ws/alpha/docs/a.md", expected);
        for arguments in [&["--dry-run"][..], &[]] {
            let output = dirty(&sandbox, "warn", arguments).code(0);
            assert!(
                warnings(&output)
                    .iter()
                    .any(|warning| warning.contains(expected)),
                "{expected}: {:?}",
                warnings(&output)
            );
        }
        assert_eq!(codex.paths(), published, "{expected}");
    };
    kept(
        &|| {
            sandbox.git(&lib_in_ws, &[&deinit[..], &["inner"]].concat());
        },
        "skipped the files below `docs/lib/inner`: the submodule is not checked out",
    );
    kept(
        &|| {
            sandbox.git(&ws, &[&deinit[..], &["alpha/docs/lib"]].concat());
        },
        "skipped the files below `docs/lib`: the submodule is not checked out",
    );
    let sparse = |patterns: &[&str]| {
        let set = ["sparse-checkout", "set", "--no-cone", "/*"];
        sandbox.git(&ws, &[&set[..], patterns].concat());
    };
    kept(
        &|| sparse(&["!/alpha/docs/b.md"]),
        "skipped `docs/b.md`: it is outside of the sparse checkout",
    );
    kept(
        &|| sparse(&["!/alpha/docs/deep"]),
        "skipped `docs/deep`: it is outside of the sparse checkout",
    );
    sandbox.git(&ws, &["sparse-checkout", "disable"]);

    // The index has one entry for the directory that contains the root.
    let beta = ["--config", "projects.beta={}"];
    sandbox.write("ws/beta/docs/x.md", "x");
    sandbox.write("ws/beta/docs/y.md", "y");
    sandbox.git(&ws, &["add", "beta"]);
    sandbox.git(&ws, &["commit", "-q", "-m", "beta"]);
    dirty(&sandbox, "warn", &beta).code(0);
    let cone = [
        "sparse-checkout",
        "set",
        "--cone",
        "--sparse-index",
        ".fractary",
    ];
    sandbox.git(&ws, &cone);
    sandbox.write("ws/beta/docs/new.md", "new");
    sandbox.write("ws/alpha/docs/a.md", "a");
    let output = dirty(&sandbox, "warn", &beta).code(0);
    let expected = "skipped the root: it is outside of the sparse checkout";
    assert!(
        warnings(&output).iter().any(|warning| warning == expected),
        "{:?}",
        warnings(&output)
    );
    for name in ["new", "x", "y"] {
        let path = format!("projects/beta/docs/{name}.md");
        assert!(codex.paths().contains(&path), "{name}");
    }
    sandbox.remove("ws/beta");
    sandbox.remove("ws/alpha/docs/a.md");
    sandbox.git(&ws, &["sparse-checkout", "disable"]);
    let published = codex.paths();

    // As on a system without symlinks.
    kept(
        &|| {
            sandbox.git(&ws, &["config", "core.symlinks", "false"]);
            sandbox.remove("ws/alpha/docs/link");
            sandbox.git(&ws, &["checkout", "--", "alpha/docs/link"]);
        },
        "skipped `docs/link`: git has checked out the symlink as a file",
    );

    // A file that was deleted next to them is deleted.
    sandbox.remove("ws/alpha/docs/b.md");
    dirty(&sandbox, "warn", &[]).code(0);
    assert_eq!(codex.paths().len(), published.len() - 1);
}

#[test]
fn files_that_are_not_committed_are_one_warning_per_project() {
    let (sandbox, codex) = world();
    let output = dirty(&sandbox, "warn", &[]).code(0);
    assert!(warnings(&output).is_empty(), "{:?}", warnings(&output));

    sandbox.write("ws/alpha/docs/a.md", "draft\n");
    sandbox.remove("ws/alpha/docs/b.md");
    for name in ["c", "d", "e", "f"] {
        sandbox.write(&format!("ws/alpha/docs/{name}.md"), name);
    }
    // A change of another file does not matter.
    sandbox.write("ws/alpha/src/x.rs", "x");
    let ws = sandbox.path("ws");
    let head = sandbox.git(&ws, &["rev-parse", "--short=7", "HEAD"]);
    let expected = format!(
        "6 files differ from the commit {}: 1 modified (`docs/a.md`), 4 not committed (`docs/c.md`, `docs/d.md`, `docs/e.md`, …), 1 deleted (`docs/b.md`)",
        head.trim()
    );

    let output = dirty(&sandbox, "withhold", &[]).code(1);
    let error = &output.json()["projects"][0]["error"];
    assert_eq!(error["message"], expected.as_str());
    assert!(warnings(&output).is_empty());
    assert_eq!(
        dirty(&sandbox, "warn", &["--dry-run"]).code(0).json()["warnings"][0]["message"],
        expected.as_str()
    );
    let output = dirty(&sandbox, "warn", &[]).code(0);
    assert_eq!(warnings(&output), [expected]);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "draft\n");
    // Nothing is planned, so nothing is compared.
    assert!(warnings(&dirty(&sandbox, "withhold", &[]).code(0)).is_empty());
}

#[test]
fn uncommitted_files_are_allowed_by_an_option_and_outside_repositories() {
    let (sandbox, codex) = world();
    sandbox.write("ws/alpha/docs/a.md", "draft\n");
    sandbox
        .run(&[
            "sync",
            "--all",
            "--dry-run",
            "--config",
            "sync.to_codex.dirty=withhold",
        ])
        .code(1);
    let output = sandbox
        .run(&["sync", "--all", "--allow-dirty", "--json"])
        .code(0);
    assert!(warnings(&output).is_empty());
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "draft\n");

    // The commit has the files that are published.
    sandbox.write("ws/alpha/docs/a.md", "other\n");
    dirty(&sandbox, "withhold", &["--source", "committed"]).code(0);
    fs::remove_dir_all(sandbox.path("ws/.git")).unwrap();
    let output = dirty(&sandbox, "withhold", &[]).code(0);
    assert!(warnings(&output).is_empty());
    // Without any commit, every file is new.
    sandbox.git(&sandbox.path("ws"), &["init", "-q", "-b", "main"]);
    sandbox.write("ws/alpha/docs/a.md", "again\n");
    let output = dirty(&sandbox, "withhold", &[]).code(1);
    assert!(
        output
            .stdout
            .contains("which has no commit yet: 1 not committed"),
        "{}",
        output.stdout
    );
}

#[test]
fn conversions_of_git_are_no_change() {
    let (sandbox, codex) = world();
    let ws = sandbox.path("ws");
    sandbox.write("ws/.gitattributes", "*.md text eol=crlf\n");
    sandbox.git(&ws, &["add", "-A"]);
    sandbox.git(&ws, &["commit", "-q", "-m", "attributes"]);
    let all = sandbox.path("");
    sandbox.git(&all, &["clone", "-q", "ws", "clone"]);
    let root = format!(
        "projects.alpha.root={}",
        sandbox.path("clone/alpha").display()
    );
    let is_marked_dirty = || {
        let message = codex.git(&["log", "-1", "--format=%B", "main"]);
        assert!(message.contains("Codex-Source-Commit: "), "{message}");
        message.contains("-dirty")
    };
    dirty(&sandbox, "withhold", &["--config", &root]).code(0);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "a\r\n");
    assert!(!is_marked_dirty());

    sandbox.write("clone/alpha/docs/a.md", "other\r\n");
    dirty(&sandbox, "withhold", &["--config", &root]).code(1);
    dirty(&sandbox, "warn", &["--config", &root]).code(0);
    assert!(is_marked_dirty());
}

#[test]
fn revision_is_dirty_if_the_commit_does_not_have_the_published_files() {
    let (sandbox, codex) = world();
    let ws = sandbox.path("ws");
    sandbox.write("ws/.gitignore", "ignored.md\n");
    sandbox.write("ws/alpha/src/x.md", "x\n");
    let link = sandbox.path("ws/alpha/docs/link.md");
    std::os::unix::fs::symlink("../src/x.md", link).unwrap();
    sandbox.git(&ws, &["add", "-A"]);
    sandbox.git(&ws, &["commit", "-q", "-m", "link"]);
    let is_marked_dirty = || {
        dirty(&sandbox, "allow", &[]).code(0);
        let message = codex.git(&["log", "-1", "--format=%B", "main"]);
        assert!(message.contains("Codex-Source-Commit: "), "{message}");
        message.contains("-dirty")
    };
    assert!(!is_marked_dirty());

    // Each project with one change that is not committed, which is then taken back.
    for path in [
        "src/x.md",
        "docs/new.md",
        "docs/ignored.md",
        "docs/nested/n.md",
    ] {
        let file = format!("ws/alpha/{path}");
        let before = fs::read(sandbox.path(&file));
        sandbox.write(&file, "changed\n");
        if path.contains("nested") {
            let nested = sandbox.path("ws/alpha/docs/nested");
            sandbox.git(&nested, &["init", "-q", "--template="]);
        }
        assert!(is_marked_dirty(), "{path}");
        match before {
            Ok(before) => sandbox.write(&file, before),
            Err(_) => sandbox.remove(&file),
        }
    }
    assert!(!is_marked_dirty());
    sandbox.remove("ws/alpha/docs/link.md");
    assert!(is_marked_dirty());
}

#[test]
fn modes_do_not_count_where_the_file_system_has_none() {
    let (sandbox, codex) = world();
    let ws = sandbox.path("ws");
    fs::set_permissions(
        sandbox.path("ws/alpha/docs/a.md"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    dirty(&sandbox, "withhold", &[]).code(1);
    sandbox.git(&ws, &["config", "core.fileMode", "false"]);
    dirty(&sandbox, "withhold", &[]).code(0);
    let message = codex.git(&["log", "-1", "--format=%B", "main"]);
    assert!(!message.contains("-dirty"), "{message}");
}

#[test]
fn an_unreadable_repository_is_one_warning() {
    let (sandbox, _) = world();
    for name in ["beta", "gamma"] {
        sandbox.write(&format!("ws/{name}/docs/a.md"), name);
    }
    let ws = sandbox.path("ws");
    for (key, value) in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.refStorage", "reftable"),
    ] {
        sandbox.git(&ws, &["config", key, value]);
    }
    let members = [
        "--config",
        "workspace.members=[\"alpha\", \"beta\", \"gamma\"]",
    ];
    for more in [&["--dry-run"][..], &[]] {
        let output = dirty(&sandbox, "warn", &[&members[..], more].concat()).code(0);
        let warnings = warnings(&output);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("reftable"), "{warnings:?}");
    }
}

#[test]
fn projects_are_published_from_their_branches_alone() {
    let (sandbox, codex) = world();
    let ws = sandbox.path("ws");
    let branches = r#"sync.to_codex.branches=["main", "release/*"]"#;
    let sync = |variables: &[(&str, &str)], more: &[&str]| {
        let arguments = ["sync", "--all", "--json", "--dry-run", "--config", branches];
        let mut command = sandbox.program(&[&arguments[..], more].concat());
        command.envs(variables.iter().copied());
        sandbox.finish(command)
    };
    sync(&[], &[]).code(0);
    sandbox.git(&ws, &["checkout", "-q", "-b", "release/1"]);
    sync(&[], &[]).code(0);
    sandbox.git(&ws, &["checkout", "-q", "-b", "topic"]);
    let output = sync(&[], &[]).code(1);
    let error = &output.json()["projects"][0]["error"];
    assert_eq!(
        error["message"],
        "the source branch is `topic`, and `branches` has `main`, `release/*`"
    );
    // The variables of a build do not count if a branch is checked out.
    let head = sandbox.git(&ws, &["rev-parse", "HEAD"]);
    let github = |name| {
        [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SHA", head.trim()),
            ("GITHUB_REF", name),
        ]
    };
    sync(&github("refs/heads/main"), &[]).code(1);
    // The revision that is published decides.
    sync(&[], &["--source-rev", "main"]).code(0);
    sync(&[], &["--source-rev", "HEAD~0"]).code(1);

    sandbox.git(&ws, &["checkout", "-q", "--detach"]);
    let output = sync(&[], &[]).code(1);
    assert!(
        output
            .stdout
            .contains("the source branch is not known: no branch is checked out"),
        "{}",
        output.stdout
    );
    sync(&github("refs/heads/main"), &[]).code(0);
    sync(&github("refs/pull/1/merge"), &[]).code(1);
    assert_eq!(codex.tip(), None);
}

#[test]
fn an_invalid_branch_pattern_is_an_error_of_the_configuration() {
    let (sandbox, _) = world();
    let branches = r#"sync.to_codex.branches=["!main"]"#;
    let output = sandbox
        .run(&["sync", "--all", "--config", branches])
        .code(3);
    assert!(
        output.stderr.contains("sync.to_codex.branches"),
        "{}",
        output.stderr
    );
}
