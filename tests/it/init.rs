//! `init`: what it finds, and that what it writes is a configuration.

use std::os::unix::fs::PermissionsExt;

use crate::support::Sandbox;

/// Checks out nothing, but as if: a repository whose remote is this.
fn repository(sandbox: &Sandbox, path: &str, remote: &str) {
    let directory = sandbox.path(path);
    std::fs::create_dir_all(&directory).unwrap();
    sandbox.git(&directory, &["init", "-q"]);
    sandbox.git(&directory, &["remote", "add", "origin", remote]);
}

/// Runs `init`, has the file validated, and tells organization, projects and what is published of each.
fn found(sandbox: &Sandbox, arguments: &[&str]) -> (String, Vec<(String, u64)>) {
    let told = sandbox.run(&[&["init"], arguments].concat()).code(0).stdout;
    assert!(
        told.contains("next: run `fractary codex doctor`") && told.contains("sync --all --dry-run"),
        "{told}"
    );
    sandbox.run(&["config", "validate"]).code(0);
    let listed = sandbox.run(&["projects", "--json"]).code(0).json();
    let projects = listed["projects"].as_array().unwrap().iter();
    let projects = projects
        .map(|p| {
            (
                p["name"].as_str().unwrap().to_owned(),
                p["files"].as_u64().unwrap(),
            )
        })
        .collect();
    (value(sandbox, "organization"), projects)
}

/// What a key comes to.
fn value(sandbox: &Sandbox, key: &str) -> String {
    let shown = sandbox.run(&["config", "show", "--json"]).code(0).json();
    let mut keys = shown["keys"].as_array().unwrap().iter();
    keys.find(|one| one["key"] == key).unwrap()["value"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn one_repository_is_one_project() {
    let sandbox = Sandbox::new();
    repository(&sandbox, "ws", "git@github.com:acme/billing.git");
    for path in ["docs/a.md", "specs/b.md", "README.md", "src/main.rs"] {
        sandbox.write(&format!("ws/{path}"), "x");
    }
    assert_eq!(
        found(&sandbox, &[]),
        ("acme".to_owned(), vec![("ws".to_owned(), 3)])
    );
}

#[test]
fn a_directory_of_directories_with_documents_is_many() {
    let sandbox = Sandbox::new();
    repository(&sandbox, "ws", "https://git.acme.example/platform/mono.git");
    for path in [
        "services/api/docs/a.md",
        "services/web/README.md",
        "services/none/src/x.rs",
        "libs/one/src/x.rs",
    ] {
        sandbox.write(&format!("ws/{path}"), "x");
    }
    let projects =
        [("api", 1), ("none", 0), ("web", 1)].map(|(name, files)| (name.to_owned(), files));
    assert_eq!(
        found(&sandbox, &[]),
        ("platform".to_owned(), projects.to_vec())
    );
}

#[test]
fn a_directory_of_checkouts_is_many() {
    let sandbox = Sandbox::new();
    for name in ["click", "flask"] {
        repository(
            &sandbox,
            &format!("ws/{name}"),
            &format!("https://github.com/pallets/{name}.git"),
        );
        sandbox.write(&format!("ws/{name}/docs/a.md"), name);
    }
    sandbox.write("ws/notes/README.md", "no checkout");
    let projects = [("click", 1), ("flask", 1)].map(|(name, files)| (name.to_owned(), files));
    assert_eq!(
        found(&sandbox, &[]),
        ("pallets".to_owned(), projects.to_vec())
    );
    // Of several organizations none is taken.
    sandbox.remove("ws/.fractary");
    sandbox.git(
        &sandbox.path("ws/flask"),
        &[
            "remote",
            "set-url",
            "origin",
            "https://github.com/others/flask.git",
        ],
    );
    let told = sandbox.run(&["init"]).code(0).stdout;
    assert!(told.contains("could not detect the organization"), "{told}");
    sandbox.run(&["config", "validate"]).code(0);
}

#[test]
fn what_is_there_is_not_replaced_unless_it_is_meant() {
    let sandbox = Sandbox::new();
    sandbox.write("ws/docs/a.md", "a");
    sandbox.write("ws/.fractary/config.yml", "codex: { organization: mine }\n");
    let refused = sandbox.run(&["init"]).code(2).stderr;
    assert!(
        refused.contains("already exists") && refused.contains("--force"),
        "{refused}"
    );
    assert_eq!(
        std::fs::read_to_string(sandbox.path("ws/.fractary/config.yml"))
            .unwrap()
            .lines()
            .count(),
        1
    );
    sandbox
        .run(&["init", "--force", "--organization", "acme"])
        .code(0);
    sandbox.run(&["config", "validate"]).code(0);
    assert!(!sandbox.path("ws/.fractary/config.yml").exists());
    sandbox.remove("ws/.fractary/config.yaml");
    let arguments = [
        "--organization",
        "acme",
        "--codex-repo",
        "knowledge: base",
        "--url",
        "/srv/co dex.git",
    ];
    let (organization, _) = found(&sandbox, &arguments);
    assert_eq!(organization, "acme");
    assert_eq!(value(&sandbox, "remote.url"), "/srv/co dex.git");
}

#[test]
fn a_project_of_a_workspace_is_not_made_one_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "  workspace: { members: ['services/*'] }\n");
    for path in [
        "alpha/docs/a.md",
        "services/api/docs/a.md",
        "tools/docs/a.md",
    ] {
        sandbox.write(&format!("ws/{path}"), "a");
    }
    for (directory, name) in [("alpha", "alpha"), ("services/api", "api")] {
        let told = sandbox.run(&["-C", directory, "init"]).code(2).stderr;
        let message = format!("error: this directory is the project `{name}` of the workspace `");
        assert!(
            told.starts_with(&message) && told.contains("--force"),
            "{told}"
        );
        assert!(!sandbox.path(&format!("ws/{directory}/.fractary")).exists());
    }
    sandbox.run(&["config", "validate"]).code(0);
    sandbox
        .run(&["-C", "alpha", "init", "--force", "--organization", "acme"])
        .code(0);
    // What no workspace counts among its projects may be one.
    sandbox
        .run(&["-C", "tools", "init", "--organization", "acme"])
        .code(0);
}

#[test]
fn a_link_that_leads_nowhere_is_not_replaced_unless_it_is_meant() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("ws/.fractary/config.yaml");
    std::fs::create_dir(sandbox.path("ws/.fractary")).unwrap();
    std::os::unix::fs::symlink("elsewhere.yaml", &file).unwrap();
    let told = sandbox
        .run(&["init", "--organization", "acme"])
        .code(2)
        .stderr;
    assert!(told.contains("already exists"), "{told}");
    assert!(file.is_symlink());
    sandbox
        .run(&["init", "--organization", "acme", "--force"])
        .code(0);
    sandbox.run(&["config", "validate"]).code(0);
}

#[test]
fn an_organization_has_a_name() {
    let sandbox = Sandbox::new();
    for option in ["--organization", "--codex-repo", "--url"] {
        let told = sandbox.run(&["init", option, ""]).code(2).stderr;
        assert!(told.contains("a value is required"), "{told}");
    }
    assert!(!sandbox.path("ws/.fractary").exists());
}

#[test]
fn a_place_that_cannot_be_written_is_told_by_the_name_that_was_meant() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    let mut command = sandbox.program(&["sync", "--all", "--dry-run"]);
    command.env("TMPDIR", "/proc/none");
    let told = sandbox.finish(command).code(4).stderr;
    assert!(
        told.contains("in `/proc/none`\n  caused by: No such file or directory (os error 2)\n"),
        "{told}"
    );
    sandbox.remove("ws/.fractary");
    std::fs::create_dir(sandbox.path("ws/.fractary")).unwrap();
    let read_only = format!(
        "mount --bind {0} {0} && mount -o remount,ro,bind {0}",
        sandbox.path("ws").display()
    );
    let Some(output) = sandbox.run_with_mounts(&read_only, &["init", "--organization", "acme"])
    else {
        return;
    };
    let told = output.code(3).stderr;
    assert!(
        told.ends_with(".fractary/config.yaml`: Read-only file system (os error 30)\n"),
        "{told}"
    );
}

const OTHERS: &str = "# Of all tools.\nversion: 3   # keep\n\nwork:\n  tracker: jira\n  # of the tracker\n  url: ${JIRA}\n";

/// Runs `init` with these arguments more, and gives the file that it left.
fn initialized(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let base = ["init", "--organization", "acme"];
    sandbox.run(&[&base, arguments].concat()).code(0);
    sandbox.run(&["config", "validate"]).code(0);
    std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap()
}

#[test]
fn sections_of_other_tools_are_kept_byte_for_byte() {
    // Without a section `codex` there is nothing to force.
    let sandbox = Sandbox::new();
    sandbox.write("ws/.fractary/config.yaml", OTHERS);
    sandbox.set_mode("ws/.fractary/config.yaml", 0o600);
    let text = initialized(&sandbox, &[]);
    let added = text.strip_prefix(OTHERS).unwrap();
    assert!(
        added.starts_with("\ncodex:\n  organization: acme\n"),
        "{text}"
    );
    let mode = std::fs::metadata(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);

    // With one, it alone is replaced.
    let repo = "# Of the repository.\nrepo: { main: trunk }\n";
    for name in ["config.yaml", "config.yml"] {
        let sandbox = Sandbox::new();
        let before = format!("{OTHERS}codex:\n  organization: old\n  # gone\n\n{repo}");
        sandbox.write(&format!("ws/.fractary/{name}"), before);
        let refused = sandbox
            .run(&["init", "--organization", "acme"])
            .code(2)
            .stderr;
        assert!(refused.contains("already exists"), "{refused}");
        let text = initialized(&sandbox, &["--force"]);
        let rest = text.strip_prefix(&format!("{OTHERS}codex:\n")).unwrap();
        let section = rest.strip_suffix(&format!("\n{repo}")).unwrap();
        assert!(section.starts_with("  organization: acme\n"), "{text}");
        assert!(
            !section.contains("gone") && !section.contains("old"),
            "{text}"
        );
        assert_eq!(
            std::fs::read_dir(sandbox.path("ws/.fractary"))
                .unwrap()
                .count(),
            1
        );
    }
}

#[test]
fn a_link_to_the_file_stays_a_link() {
    let sandbox = Sandbox::new();
    sandbox.write("ws/shared.yaml", OTHERS);
    std::fs::create_dir(sandbox.path("ws/.fractary")).unwrap();
    let link = sandbox.path("ws/.fractary/config.yaml");
    std::os::unix::fs::symlink("../shared.yaml", &link).unwrap();
    let text = initialized(&sandbox, &["--force"]);
    assert!(link.is_symlink() && text.starts_with(OTHERS), "{text}");
}

#[test]
fn a_file_that_cannot_be_changed_safely_is_left_as_it_is() {
    for (name, text, reason) in [
        (
            "config.toml",
            "[work]\ntracker = 1\n[codex]\norganization = 'old'\n",
            "other sections (`work`)",
        ),
        (
            "config.json",
            "{ \"codex\": {}, \"work\": 1, \"repo\": 2 }\n",
            "other sections (`repo`, `work`)",
        ),
        (
            "config.yaml",
            "{ codex: {}, work: 1 }\n",
            "cannot be replaced without",
        ),
        (
            "config.yaml",
            "codex: { a: &x 1 }\nwork: *x\n",
            "cannot be replaced without",
        ),
        (
            "config.yaml",
            "codex: [\nwork: 1\n",
            "cannot be changed: not valid YAML",
        ),
        (
            "config.yaml",
            "codex: {}\ncodex: {}\n",
            "cannot be changed: not valid YAML",
        ),
        (
            "config.yaml",
            "- work\n",
            "cannot be changed: expected a map",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(&format!("ws/.fractary/{name}"), text);
        let before = sandbox.fingerprint("ws");
        let refused = sandbox
            .run(&["init", "--force", "--organization", "acme"])
            .code(2)
            .stderr;
        assert!(
            refused.contains(reason) && refused.contains("hint:"),
            "{text}: {refused}"
        );
        assert_eq!(sandbox.fingerprint("ws"), before, "{text}");
    }

    let sandbox = Sandbox::new();
    sandbox.write("ws/.fractary/config.yaml", OTHERS);
    sandbox.write("ws/.fractary/config.toml", "[work]\na = 1\n");
    let before = sandbox.fingerprint("ws");
    let refused = sandbox
        .run(&["init", "--force", "--organization", "acme"])
        .code(2)
        .stderr;
    assert!(refused.contains("two files for one layer"), "{refused}");
    assert_eq!(sandbox.fingerprint("ws"), before);
}

#[test]
fn link_that_leaves_the_workspace_is_not_written_through() {
    let sandbox = Sandbox::new();
    sandbox.write("ws/README.md", "a");
    sandbox.write("elsewhere/app.yaml", "theme: dark\n");
    sandbox.write("ws/.fractary/keep", "");
    std::os::unix::fs::symlink(
        sandbox.path("elsewhere/app.yaml"),
        sandbox.path("ws/.fractary/config.yaml"),
    )
    .unwrap();
    let arguments = ["init", "--organization", "acme", "--codex-repo", "codex"];
    let error = sandbox.run(&arguments).code(2).stderr;
    assert!(error.contains("outside the workspace"), "{error}");
    let text = std::fs::read_to_string(sandbox.path("elsewhere/app.yaml")).unwrap();
    assert_eq!(text, "theme: dark\n");
}
