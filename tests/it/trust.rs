//! Whom each layer of the configuration is trusted for: whose files are read, where tokens are sent, and which
//! directories are written to or published.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::process::Command;

use crate::support::{Codex, Output, Sandbox, skipped};

const STRANGER: u32 = 54_321;

/// Whether files can be given to another user; says so where they cannot.
fn can_give_away() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skipped("only root can give files to another user");
    }
    is_root
}

/// Gives what is at these paths of the sandbox to another user.
fn give_away(sandbox: &Sandbox, paths: &[&str]) {
    for path in paths {
        lchown(sandbox.path(path), Some(STRANGER), Some(STRANGER)).unwrap();
    }
}

#[track_caller]
fn is_refused(output: &Output, file: &str) {
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    for part in [
        file,
        "belongs to user 54321",
        "neither root, who runs this",
        "safe.directory",
        "FRACTARY_CODEX_SAFE_DIRECTORY",
    ] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
}

/// A workspace with one project and local configuration, variables and a member's own file.
fn workspace() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "  workspace: { members: ['services/*'] }\n");
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/services/api/README.md", "api");
    sandbox.write(
        "ws/services/api/.fractary/config.yaml",
        "codex: { project: api }\n",
    );
    sandbox.write("ws/.fractary/config.local.yaml", "codex: { jobs: 1 }\n");
    sandbox.write("ws/.fractary/env/.env", "A=b\n");
    (sandbox, codex)
}

#[test]
fn a_file_of_another_user_decides_nothing() {
    if !can_give_away() {
        return;
    }
    for file in [
        "ws/.fractary/config.yaml",
        "ws/.fractary/config.local.yaml",
        "ws/.fractary/env/.env",
        "ws/.fractary/env",
        "ws/.fractary",
        "ws/services/api/.fractary/config.yaml",
        "ws/services/api/.fractary",
    ] {
        let (sandbox, codex) = workspace();
        give_away(&sandbox, &[file]);
        is_refused(&sandbox.run(&["sync", "--all"]), &file[3..]);
        assert_eq!(codex.tip(), None, "{file}");
    }
}

#[test]
fn a_link_to_or_from_another_users_file_decides_nothing() {
    if !can_give_away() {
        return;
    }
    // A stranger's link to a file of ours, our link to a stranger's file, and one link in between.
    for foreign in [
        "ws/.fractary/config.yaml",
        "ws/.fractary/second.yaml",
        "kept.yaml",
    ] {
        let (sandbox, _) = workspace();
        fs::rename(
            sandbox.path("ws/.fractary/config.yaml"),
            sandbox.path("kept.yaml"),
        )
        .unwrap();
        symlink("second.yaml", sandbox.path("ws/.fractary/config.yaml")).unwrap();
        symlink("../../kept.yaml", sandbox.path("ws/.fractary/second.yaml")).unwrap();
        sandbox.run(&["config", "validate"]).code(0);
        give_away(&sandbox, &[foreign]);
        is_refused(&sandbox.run(&["config", "validate"]), "config.yaml");
    }
}

#[test]
fn a_file_of_the_current_directorys_owner_is_read() {
    if !can_give_away() {
        return;
    }
    let (sandbox, codex) = workspace();
    // As in a container that runs as another user than the one who checked out.
    let given = Command::new("chown")
        .args(["-R", &STRANGER.to_string()])
        .arg(sandbox.path("ws"))
        .status();
    assert!(given.unwrap().success());
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.subjects().len(), 2);
    sandbox
        .run(&["-C", "services/api", "config", "validate"])
        .code(0);
}

#[test]
fn a_directory_that_is_declared_safe_is_read_whoever_owns_it() {
    if !can_give_away() {
        return;
    }
    let (sandbox, _) = workspace();
    give_away(
        &sandbox,
        &["ws/.fractary/config.yaml", "ws/services/api/.fractary"],
    );
    let ws = fs::canonicalize(sandbox.path("ws")).unwrap();
    let ws = ws.to_str().unwrap();
    let (above, _) = ws.rsplit_once('/').unwrap();
    let validate = |variables: &[(&str, &str)]| {
        let mut command = sandbox.program(&["config", "validate"]);
        command.envs(variables.iter().copied());
        sandbox.finish(command)
    };

    for (value, is_safe) in [
        (ws, true),
        ("*", true),
        (&format!("{above}/*"), true),
        (&format!("/elsewhere:{ws}"), true),
        (".", true),
        ("/elsewhere", false),
        (above, false),
        (&format!("{ws}/*"), false),
    ] {
        let output = validate(&[("FRACTARY_CODEX_SAFE_DIRECTORY", value)]);
        assert_eq!(
            output.code,
            Some(if is_safe { 0 } else { 3 }),
            "{value}: {}",
            output.stderr
        );
    }

    for (value, is_safe) in [
        (ws, true),
        ("*", true),
        (&format!("{above}/*"), true),
        (above, false),
    ] {
        sandbox.write(
            "home/.gitconfig",
            format!("[safe]\n\tdirectory = {value}\n"),
        );
        let output = validate(&[]);
        assert_eq!(
            output.code,
            Some(if is_safe { 0 } else { 3 }),
            "{value}: {}",
            output.stderr
        );
        let of_command = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", ""),
        ];
        is_refused(&validate(&of_command), ".fractary/config.yaml");
    }
}

#[test]
fn a_workspace_cannot_declare_itself_safe() {
    if !can_give_away() {
        return;
    }
    let (sandbox, _) = workspace();
    give_away(&sandbox, &["ws/.fractary/config.local.yaml"]);
    sandbox.git(&sandbox.path("ws"), &["init", "-q"]);
    sandbox.git(&sandbox.path("ws"), &["config", "safe.directory", "*"]);
    sandbox.write("ws/.fractary/env/.env", "FRACTARY_CODEX_SAFE_DIRECTORY=*\n");
    let output = sandbox.run(&["config", "validate"]);
    is_refused(&output, "config.local.yaml");
    fs::remove_file(sandbox.path("ws/.fractary/config.local.yaml")).unwrap();
    let output = sandbox.run(&["config", "validate"]).code(0);
    assert!(
        output
            .stderr
            .contains("`FRACTARY_CODEX_SAFE_DIRECTORY` has no effect here"),
        "{}",
        output.stderr
    );
}

#[test]
fn another_users_file_further_out_matters_only_where_it_covers() {
    if !can_give_away() {
        return;
    }
    for (outer, covers) in [
        ("codex: { workspace: { members: ['*'] } }\n", true),
        ("codex: { workspace: { members: ['other'] } }\n", false),
        ("codex: { jobs: [\n", false),
        ("codex: { workspace: { members: ['${NOT_SET}'] } }\n", false),
    ] {
        let (sandbox, _) = workspace();
        sandbox.write(".fractary/config.yaml", outer);
        give_away(&sandbox, &[".fractary", ".fractary/config.yaml"]);
        let output = sandbox.run(&["config", "validate"]);
        if covers {
            is_refused(&output, ".fractary/config.yaml");
        } else {
            assert_eq!(output.code, Some(0), "{outer}: {}", output.stderr);
        }
    }
}

#[test]
fn naming_a_file_is_trusting_its_owner() {
    if !can_give_away() {
        return;
    }
    let (sandbox, _) = workspace();
    give_away(
        &sandbox,
        &["ws/.fractary/config.yaml", "ws/.fractary/config.local.yaml"],
    );
    let arguments = [
        "--config-file",
        ".fractary/config.yaml",
        "config",
        "validate",
    ];
    sandbox.run(&arguments).code(0);
}
