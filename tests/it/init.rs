//! `init`: the organization and projects that it detects, and the configuration that it writes.

use std::os::unix::fs::PermissionsExt;

use crate::support::Sandbox;

/// Creates an empty repository with this remote.
fn repository(sandbox: &Sandbox, path: &str, remote: &str) {
    let directory = sandbox.path(path);
    std::fs::create_dir_all(&directory).unwrap();
    sandbox.git(&directory, &["init", "-q"]);
    sandbox.git(&directory, &["remote", "add", "origin", remote]);
}

/// Runs `init`, validates the file, and returns the organization and the number of matching files
/// of each project.
fn found(sandbox: &Sandbox, arguments: &[&str]) -> (String, Vec<(String, u64)>) {
    let text = sandbox.run(&[&["init"], arguments].concat()).code(0).stdout;
    assert!(
        text.contains("next: run `fractary codex doctor`") && text.contains("sync --all --dry-run"),
        "{text}"
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

/// The effective value of a key.
fn value(sandbox: &Sandbox, key: &str) -> String {
    let shown = sandbox.run(&["config", "show", "--json"]).code(0).json();
    let mut keys = shown["keys"].as_array().unwrap().iter();
    keys.find(|one| one["key"] == key).unwrap()["value"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn repository_is_one_project() {
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
fn documented_subdirectories_are_the_members() {
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
fn cloned_repositories_are_the_members() {
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
    // Members of different organizations: none is detected, and the file has no placeholder.
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
    let text = sandbox.run(&["init"]).code(0).stdout;
    assert!(
        text.contains("could not detect the organization (the remotes of the checkouts have several: `others`, `pallets`)"),
        "{text}"
    );
    let problems = sandbox.run(&["config", "validate"]).code(3).stderr;
    assert!(problems.contains("organization"), "{problems}");
    sandbox.run(&["doctor"]).code(3);
}

/// A directory that `init` is run in.
struct Stand<'s> {
    name: &'s str,
    /// Repositories, with their remotes.
    repositories: &'s [(&'s str, &'s str)],
    /// Other files.
    files: &'s [(&'s str, &'s str)],
    /// What was found.
    found: &'s str,
    /// The projects and their directories.
    projects: &'s [(&'s str, &'s str)],
    /// The organization and the URL of the codex.
    codex: Option<(&'s str, &'s str)>,
}

#[test]
fn projects_are_those_that_a_person_would_choose() {
    const GITHUB: &str = "https://github.com/acme/codex.acme.com.git";
    for stand in [
        Stand {
            name: "checkouts side by side, with a monorepo, a checkout named as documents, and one further down",
            repositories: &[
                ("api", "git@github.com:acme/api.git"),
                ("docs", "git@github.com:acme/docs.git"),
                ("team/web", "git@github.com:acme/web.git"),
            ],
            files: &[
                ("api/packages/a/README.md", ""),
                ("api/packages/b/README.md", ""),
                ("notes/README.md", ""),
                ("README.md", ""),
            ],
            found: "3 checkouts side by side",
            projects: &[("api", "api"), ("docs", "docs"), ("web", "team/web")],
            codex: Some(("acme", GITHUB)),
        },
        Stand {
            name: "a checkout of the codex is no project, and names the codex",
            repositories: &[
                ("api", "https://github.com/forks/api.git"),
                (
                    "codex.acme.dev",
                    "https://user:secret@git.acme.example/acme/codex.acme.dev.git",
                ),
            ],
            files: &[],
            found: "1 checkout side by side",
            projects: &[("api", "api")],
            codex: Some(("acme", "https://git.acme.example/acme/codex.acme.dev.git")),
        },
        Stand {
            name: "the checkouts' own files name the organization, the codex and the projects",
            repositories: &[
                ("api", "https://github.com/forks/api.git"),
                ("knowledge", "https://github.com/acme/knowledge.git"),
                ("web", "https://github.com/acme/web.git"),
            ],
            files: &[
                (
                    "api/.fractary/config.yaml",
                    "codex:\n  organization: acme\n  codex_repo: knowledge\n  project: billing-api\n",
                ),
                (
                    "web/.fractary/config.yaml",
                    "codex:\n  organization: acme\n",
                ),
            ],
            found: "2 checkouts side by side",
            projects: &[("billing-api", "api"), ("web", "web")],
            codex: Some(("acme", "https://github.com/acme/knowledge.git")),
        },
        Stand {
            name: "a Cargo workspace with a package of the root's name",
            repositories: &[("", "ssh://git@git.acme.example:2222/acme/ws.git")],
            files: &[
                ("Cargo.toml", "[workspace]\nmembers = ['ws', 'tools/*']\n"),
                ("ws/Cargo.toml", "[package]\n"),
                ("tools/one/Cargo.toml", "[package]\n"),
                ("tools/two/Cargo.toml", "[package]\n"),
                ("docs/a.md", ""),
            ],
            found: "Cargo workspace (Cargo.toml): 3 packages, and the documents of the root",
            projects: &[
                ("ws-root", "."),
                ("one", "tools/one"),
                ("two", "tools/two"),
                ("ws", "ws"),
            ],
            codex: Some((
                "acme",
                "ssh://git@git.acme.example:2222/acme/codex.acme.com.git",
            )),
        },
        Stand {
            name: "packages of several tools, of equal names, and with a directory that is none",
            repositories: &[("", "https://github.com/acme/ws.git")],
            files: &[
                ("package.json", r#"{ "workspaces": ["web/*"] }"#),
                ("web/app/package.json", "{}"),
                ("web/a/package.json", "{}"),
                ("web/b/package.json", "{}"),
                ("web/c/package.json", "{}"),
                ("web/old/x", ""),
                ("go.work", "use ./go/app\n"),
                ("go/app/go.mod", ""),
            ],
            found: "npm workspaces (package.json), Go workspace (go.work): 5 packages",
            projects: &[
                ("go-app", "go/app"),
                ("a", "web/a"),
                ("web-app", "web/app"),
                ("b", "web/b"),
                ("c", "web/c"),
            ],
            codex: Some(("acme", GITHUB)),
        },
        Stand {
            name: "nested Maven modules",
            repositories: &[("", "https://github.com/acme/ws.git")],
            files: &[
                (
                    "pom.xml",
                    "<project><modules><module>core</module></modules></project>",
                ),
                (
                    "core/pom.xml",
                    "<project><modules><module>api</module></modules></project>",
                ),
                ("core/api/pom.xml", "<project/>"),
                ("README.md", ""),
            ],
            found: "Maven modules (pom.xml): 2 packages, and the documents of the root",
            projects: &[("ws", "."), ("core", "core"), ("api", "core/api")],
            codex: Some(("acme", GITHUB)),
        },
        Stand {
            name: "Maven modules of a profile that is active unless a property is set",
            repositories: &[("", "https://github.com/acme/ws.git")],
            files: &[
                (
                    "pom.xml",
                    "<project><modules><module>core</module></modules><profiles><profile><activation><property>\
                     <name>!release</name></property></activation><modules><module>demo</module></modules></profile>\
                     <profile><id>native</id><modules><module>native</module></modules></profile></profiles></project>",
                ),
                ("core/pom.xml", "<project/>"),
                ("demo/pom.xml", "<project/>"),
                ("native/pom.xml", "<project/>"),
            ],
            found: "Maven modules (pom.xml): 2 packages",
            projects: &[("core", "core"), ("demo", "demo")],
            codex: Some(("acme", GITHUB)),
        },
        Stand {
            name: "modules of Go without a list, with samples and tests",
            repositories: &[("", "https://github.com/acme/ws.git")],
            files: &[
                ("samples/http/go.mod", ""),
                ("samples/nats/go.mod", ""),
                ("test/load/go.mod", ""),
                ("test/unit/go.mod", ""),
                ("tools/go.mod", ""),
                ("v2/go.mod", ""),
                ("README.md", ""),
            ],
            found: "2 project directories (tools, v2), and the documents of the root",
            projects: &[("ws", "."), ("tools", "tools"), ("v2", "v2")],
            codex: Some(("acme", GITHUB)),
        },
        Stand {
            name: "workspaces in subdirectories",
            repositories: &[("", "https://github.com/acme/ws.git")],
            files: &[
                (
                    "back/pyproject.toml",
                    "[tool.uv.workspace]\nmembers = ['jobs']\n",
                ),
                ("back/jobs/pyproject.toml", ""),
                ("front/pnpm-workspace.yaml", "packages: [ui]\n"),
                ("front/ui/package.json", "{}"),
                ("README.md", ""),
            ],
            found: "uv workspace (pyproject.toml) in back, pnpm workspace (pnpm-workspace.yaml) in front: 4 packages, and the documents of the root",
            projects: &[
                ("ws", "."),
                ("back", "back"),
                ("jobs", "back/jobs"),
                ("front", "front"),
                ("ui", "front/ui"),
            ],
            codex: Some(("acme", GITHUB)),
        },
        Stand {
            name: "one repository with a workspace for its website",
            repositories: &[("", "https://github.com/acme/ws.git")],
            files: &[
                ("website/package.json", r#"{ "workspaces": ["a"] }"#),
                ("website/a/package.json", "{}"),
                ("setup.py", ""),
                ("Readme.rst", ""),
            ],
            found: "one repository",
            projects: &[("ws", ".")],
            codex: Some(("acme", GITHUB)),
        },
        Stand {
            name: "a repository without a remote",
            repositories: &[("", "/srv/acme/ws.git")],
            files: &[("README.md", "")],
            found: "one repository",
            projects: &[("ws", ".")],
            codex: None,
        },
        Stand {
            name: "an empty directory",
            repositories: &[],
            files: &[],
            found: "one directory",
            projects: &[("ws", ".")],
            codex: None,
        },
    ] {
        let sandbox = Sandbox::new();
        for (path, remote) in stand.repositories {
            repository(&sandbox, &format!("ws/{path}"), remote);
        }
        for (path, text) in stand.files {
            sandbox.write(&format!("ws/{path}"), text);
        }
        stand.check(&sandbox);
    }
}

impl Stand<'_> {
    /// Compares what `init` prints with the projects that a load of its file has.
    fn check(&self, sandbox: &Sandbox) {
        let before = sandbox.fingerprint("ws");
        let planned = sandbox.run(&["init", "--dry-run", "--json"]).code(0);
        assert_eq!(sandbox.fingerprint("ws"), before, "{}", self.name);
        assert!(!planned.stdout.contains("secret"), "{}", self.name);

        let planned = planned.json();
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let projects = |document: &serde_json::Value, directory: &str| -> Vec<(String, String)> {
            let projects = document["projects"].as_array().unwrap().iter();
            let mut projects: Vec<_> = projects
                .map(|one| (text(&one["name"]).unwrap(), text(&one[directory]).unwrap()))
                .collect();
            projects.sort();
            projects
        };
        let owned =
            |(name, directory): &(&str, &str)| ((*name).to_owned(), (*directory).to_owned());
        let mut expected: Vec<_> = self.projects.iter().map(owned).collect();
        expected.sort();
        assert_eq!(planned["found"], self.found, "{}", self.name);
        assert_eq!(projects(&planned, "directory"), expected, "{}", self.name);
        let codex = (text(&planned["organization"]), text(&planned["remote_url"]));
        let expected_codex = self.codex.map(|codex| owned(&codex)).unzip();
        assert_eq!(codex, expected_codex, "{}", self.name);

        sandbox.run(&["init", "--yes"]).code(0);
        let file = std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
        assert_eq!(planned["content"], file, "{}", self.name);
        let Some((organization, url)) = self.codex else {
            sandbox.run(&["config", "validate"]).code(3);
            return;
        };
        let listed = sandbox.run(&["projects", "--json"]).code(0).json();
        assert_eq!(projects(&listed, "root"), expected, "{}", self.name);
        assert_eq!(
            value(sandbox, "organization"),
            organization,
            "{}",
            self.name
        );
        let used = sandbox
            .run(&["config", "explain", "remote.url"])
            .code(0)
            .stdout;
        assert!(used.contains(url), "{}: {used}", self.name);
    }
}

#[test]
fn existing_configuration_is_only_replaced_with_force() {
    let sandbox = Sandbox::new();
    sandbox.write("ws/docs/a.md", "a");
    sandbox.write("ws/.fractary/config.yml", "codex: { organization: mine }\n");
    let stderr = sandbox.run(&["init"]).code(2).stderr;
    assert!(
        stderr.contains("already exists") && stderr.contains("--force"),
        "{stderr}"
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
fn hint_for_an_existing_section_works_as_it_is_written() {
    let sandbox = Sandbox::new();
    let config = "codex:\n  organization: mine\n  codex_repo: codex\n  project: old\n";
    sandbox.write("ws/.fractary/config.yaml", config);
    sandbox.write("ws/docs/a.md", "a");
    let stderr = sandbox.run(&["init"]).code(2).stderr;
    let message = format!(
        "error: `{}` already exists\n  hint: add to it what `fractary-codex init --force --dry-run` \
         shows, or overwrite its section `codex` with `--force`\n",
        sandbox.path("ws/.fractary/config.yaml").display()
    );
    assert_eq!(stderr, message);

    let shown = sandbox
        .run(&["init", "--force", "--dry-run"])
        .code(0)
        .stdout;
    let read = || std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    assert!(shown.contains("\ncodex:\n"), "{shown}");
    assert_eq!(read(), config);
    sandbox.run(&["init", "--force"]).code(0);
    assert!(shown.contains(&read()), "{shown}\n---\n{}", read());
}

#[test]
fn member_of_a_workspace_gets_no_configuration_of_its_own() {
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
        let text = sandbox.run(&["-C", directory, "init"]).code(2).stderr;
        let message = format!("error: this directory is the project `{name}` of the workspace `");
        assert!(
            text.starts_with(&message) && text.contains("--force"),
            "{text}"
        );
        assert!(!sandbox.path(&format!("ws/{directory}/.fractary")).exists());
    }
    sandbox.run(&["config", "validate"]).code(0);
    sandbox
        .run(&["-C", "alpha", "init", "--force", "--organization", "acme"])
        .code(0);
    // A directory that is not a member can have its own configuration.
    sandbox
        .run(&["-C", "tools", "init", "--organization", "acme"])
        .code(0);
}

#[test]
fn broken_symlink_is_only_replaced_with_force() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("ws/.fractary/config.yaml");
    std::fs::create_dir(sandbox.path("ws/.fractary")).unwrap();
    std::os::unix::fs::symlink("elsewhere.yaml", &file).unwrap();
    let text = sandbox
        .run(&["init", "--organization", "acme"])
        .code(2)
        .stderr;
    assert!(text.contains("already exists"), "{text}");
    assert!(file.is_symlink());
    sandbox
        .run(&["init", "--organization", "acme", "--force"])
        .code(0);
    sandbox.run(&["config", "validate"]).code(0);
}

#[test]
fn empty_organization_is_rejected() {
    let sandbox = Sandbox::new();
    for option in ["--organization", "--codex-repo", "--url"] {
        let text = sandbox.run(&["init", option, ""]).code(2).stderr;
        assert!(text.contains("a value is required"), "{text}");
    }
    assert!(!sandbox.path("ws/.fractary").exists());
}

#[test]
fn write_error_names_the_configuration_file() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    let mut command = sandbox.program(&["sync", "--all", "--dry-run"]);
    command.env("TMPDIR", "/proc/none");
    let text = sandbox.finish(command).code(4).stderr;
    assert!(
        text.contains("in `/proc/none`\n  caused by: No such file or directory (os error 2)\n"),
        "{text}"
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
    let text = output.code(3).stderr;
    assert!(
        text.ends_with(".fractary/config.yaml`: Read-only file system (os error 30)\n"),
        "{text}"
    );
}

const OTHERS: &str = "# Of all tools.\nversion: 3   # keep\n\nwork:\n  tracker: jira\n  # of the tracker\n  url: ${JIRA}\n";

/// Runs `init` with more arguments, and returns the file that it wrote.
fn initialized(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let base = ["init", "--organization", "acme"];
    sandbox.run(&[&base, arguments].concat()).code(0);
    sandbox.run(&["config", "validate"]).code(0);
    std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap()
}

#[test]
fn sections_of_other_tools_are_kept_byte_for_byte() {
    // Without a section `codex`, `--force` is not needed.
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

    // With such a section, only that section is replaced.
    let repo = "# Of the repository.\nrepo: { main: trunk }\n";
    for name in ["config.yaml", "config.yml"] {
        let sandbox = Sandbox::new();
        let before = format!("{OTHERS}codex:\n  organization: old\n  # gone\n\n{repo}");
        sandbox.write(&format!("ws/.fractary/{name}"), before);
        let stderr = sandbox
            .run(&["init", "--organization", "acme"])
            .code(2)
            .stderr;
        assert!(stderr.contains("already exists"), "{stderr}");
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
fn symlink_to_the_file_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.write("ws/shared.yaml", OTHERS);
    std::fs::create_dir(sandbox.path("ws/.fractary")).unwrap();
    let link = sandbox.path("ws/.fractary/config.yaml");
    std::os::unix::fs::symlink("../shared.yaml", &link).unwrap();
    let text = initialized(&sandbox, &["--force"]);
    assert!(link.is_symlink() && text.starts_with(OTHERS), "{text}");
}

#[test]
fn file_that_cannot_be_changed_safely_is_kept() {
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
        let stderr = sandbox
            .run(&["init", "--force", "--organization", "acme"])
            .code(2)
            .stderr;
        assert!(
            stderr.contains(reason) && stderr.contains("hint:"),
            "{text}: {stderr}"
        );
        assert_eq!(sandbox.fingerprint("ws"), before, "{text}");
    }

    let sandbox = Sandbox::new();
    sandbox.write("ws/.fractary/config.yaml", OTHERS);
    sandbox.write("ws/.fractary/config.toml", "[work]\na = 1\n");
    let before = sandbox.fingerprint("ws");
    let stderr = sandbox
        .run(&["init", "--force", "--organization", "acme"])
        .code(2)
        .stderr;
    assert!(stderr.contains("two files for one layer"), "{stderr}");
    assert_eq!(sandbox.fingerprint("ws"), before);
}

#[test]
fn symlink_out_of_the_workspace_is_not_written_through() {
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

#[test]
fn keys_at_the_top_level_are_an_existing_configuration() {
    let flat = "organization: acme\ncodex_repo: codex.acme.com\nproject: flat\nsync:\n  to_codex:\n    exclude: ['docs/private/**']\n";
    let sandbox = Sandbox::new();
    sandbox.write("ws/.fractary/config.yaml", flat);
    let error = sandbox.run(&["init"]).code(2).stderr;
    assert!(
        error.contains("at its top level") && error.contains("--force"),
        "{error}"
    );
    let error = sandbox
        .run(&["config", "update", "--organization", "x"])
        .code(2)
        .stderr;
    assert!(error.contains("write the keys below `codex:`"), "{error}");
    let file = std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    assert_eq!(file, flat);
    let text = sandbox.run(&["init", "--force"]).code(0).stdout;
    assert!(text.contains("are no longer read"), "{text}");
}

#[test]
fn secrets_and_names_of_persons_are_not_written() {
    for (option, value) in [
        ("--url", "https://u:s3cretPassw0rd@git.acme.com/x.git"),
        (
            "--url",
            "https://git.acme.com/x.git?private_token=s3cretPassw0rd",
        ),
        ("--url", "u:s3cretPassw0rd@git.acme.com/x.git"),
        (
            "--codex-repo",
            "https://u:s3cretPassw0rd@git.acme.com/x.git",
        ),
        (
            "--organization",
            "https://s3cretPassw0rd@git.acme.com/x.git",
        ),
    ] {
        let sandbox = Sandbox::new();
        let output = sandbox.run(&["init", option, value]).code(2);
        assert!(output.stderr.contains("remote.token"), "{}", output.stderr);
        assert!(!output.stderr.contains("s3cret"), "{}", output.stderr);
        assert!(!sandbox.path("ws/.fractary").exists());
    }
    for (origin, url) in [
        (
            "ghp_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R@git.acme.com:team/web.git",
            "git.acme.com:team/codex.team.com.git",
        ),
        (
            "ssh://ada@git.acme.com:2222/team/web.git",
            "ssh://git.acme.com:2222/team/codex.team.com.git",
        ),
        (
            "git@git.acme.com:team/web.git",
            "git@git.acme.com:team/codex.team.com.git",
        ),
        (
            "https://ada@git.acme.com/team/web.git",
            "https://git.acme.com/team/codex.team.com.git",
        ),
    ] {
        let sandbox = Sandbox::new();
        repository(&sandbox, "ws", origin);
        let output = sandbox.run(&["init", "--json"]).code(0);
        assert!(
            !output.stdout.contains("ghp_") && !output.stdout.contains("ada"),
            "{}",
            output.stdout
        );
        let remarks = output.json()["remarks"].to_string();
        let has_note = origin.contains("ghp_") || origin.starts_with("ssh://ada");
        assert_eq!(remarks.contains("without the user"), has_note, "{origin}");
        assert_eq!(value(&sandbox, "remote.url"), url);
    }
}

#[test]
fn nothing_is_written_that_is_not_valid_or_outside() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("out")).unwrap();
    std::os::unix::fs::symlink("../out", sandbox.path("ws/.fractary")).unwrap();
    let error = sandbox
        .run(&["init", "--organization", "acme"])
        .code(2)
        .stderr;
    assert!(error.contains("outside the workspace"), "{error}");
    assert!(!sandbox.path("out/config.yaml").exists());

    let sandbox = Sandbox::new();
    repository(&sandbox, "ws/api", "https://github.com/acme/api.git");
    sandbox.write(
        "ws/api/.fractary/config.yaml",
        "codex: { organization: acme, codex_repo: c1 }\n",
    );
    for (arguments, reason) in [
        (
            &["--organization", "a b"][..],
            "cannot be part of a repository's URL",
        ),
        (
            &["--codex-repo", "x/y"],
            "cannot be part of a repository's URL",
        ),
        (
            &["--organization", "other"],
            "`organization` is `acme` here, but `other`",
        ),
        (&["--url", "htps://h/x.git"], "`remote.url`"),
    ] {
        for dry_run in [&[][..], &["--dry-run"]] {
            let output = sandbox
                .run(&[&["init"], arguments, dry_run].concat())
                .code(3);
            assert!(output.stderr.contains(reason), "{}", output.stderr);
            assert!(!sandbox.path("ws/.fractary").exists());
        }
    }
}

#[test]
fn unusual_directories_are_left_out_with_a_remark() {
    let sandbox = Sandbox::new();
    repository(&sandbox, "ws/a", "https://github.com/Acme/a.git");
    repository(&sandbox, "ws/b", "https://github.com/acme/b.git");
    let git = |arguments: &[&str]| sandbox.git(&sandbox.path("ws/a"), arguments);
    git(&["commit", "-q", "--allow-empty", "-m", "first"]);
    git(&["worktree", "add", "-q", "../a-hotfix"]);
    let report = sandbox.run(&["init", "--json"]).code(0).json();
    let remarks = report["remarks"].to_string();
    assert!(
        remarks.contains("`a-hotfix` is a worktree of the repository in `a`"),
        "{remarks}"
    );
    assert_eq!(report["projects"].as_array().unwrap().len(), 2);
    assert_eq!(report["organization"], "Acme");

    let sandbox = Sandbox::new();
    repository(&sandbox, "ws", "https://github.com/acme/ws.git");
    sandbox.write("ws/package.json", r#"{ "workspaces": ["packages/*"] }"#);
    sandbox.write("ws/packages/a/package.json", "{}");
    sandbox.write("out/package.json", "{}");
    for (target, link) in [("../../out", "out"), ("a", "again")] {
        std::os::unix::fs::symlink(target, sandbox.path(&format!("ws/packages/{link}"))).unwrap();
    }
    let text = sandbox.run(&["init"]).code(0).stdout;
    assert!(text.contains("`packages/out` is left out"), "{text}");
    let listed = sandbox.run(&["projects", "--json"]).code(0).json();
    assert_eq!(listed["projects"].as_array().unwrap().len(), 1, "{text}");
}

#[test]
fn remotes_name_the_organization_or_say_why_not() {
    for (origin, organization, reason) in [
        ("https://dev.azure.com/acme/Proj/_git/web", Some("acme"), ""),
        ("git@ssh.dev.azure.com:v3/acme/Proj/web", Some("acme"), ""),
        (
            "https://git.acme.com/a%20b/web.git",
            None,
            "`a b` in the URL",
        ),
        ("https://github.com/${X}/web.git", None, "`${X}` in the URL"),
        ("git@[::1]:acme/web.git", None, "the remote `origin`"),
    ] {
        let sandbox = Sandbox::new();
        repository(&sandbox, "ws", origin);
        let report = sandbox.run(&["init", "--dry-run", "--json"]).code(0).json();
        assert_eq!(
            report["organization"].as_str(),
            organization,
            "{origin}: {report}"
        );
        let error = report["organization_error"].as_str().unwrap_or_default();
        assert!(error.contains(reason), "{origin}: {error}");
    }

    // The name of the parent directory only matters if it is a project.
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        let path = format!("ws/项目/{name}");
        repository(
            &sandbox,
            &path,
            &format!("https://github.com/acme/{name}.git"),
        );
    }
    sandbox.run(&["-C", "项目", "init"]).code(0);
    std::fs::create_dir(sandbox.path("ws/___")).unwrap();
    let error = sandbox.run(&["-C", "___", "init"]).code(2).stderr;
    assert!(error.contains("--project NAME"), "{error}");
}
