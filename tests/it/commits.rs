//! The message and identity of commits, and their determinism.

use crate::support::{Codex, Sandbox, World};

fn message(codex: &Codex) -> String {
    codex.git(&["log", "-1", "--format=%B", "main"])
}

#[test]
fn trailers_name_the_source_revision() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/alpha/docs/a.md", "a");
    let workspace = sandbox.path("ws");
    sandbox.git(&workspace, &["init", "-q"]);
    sandbox.git(
        &workspace,
        &[
            "remote",
            "add",
            "origin",
            "https://me:s3cret@git.acme.com/mono.git",
        ],
    );
    sandbox.git(&workspace, &["add", "."]);
    sandbox.git(&workspace, &["commit", "-qm", "one"]);
    let head = sandbox
        .git(&workspace, &["rev-parse", "HEAD"])
        .trim()
        .to_owned();
    sandbox
        .run(&["sync", "--all", "--work-id", "DOC-7"])
        .code(0);
    let expected = format!(
        "Sync 2 files from alpha\n\nCodex-Project: alpha\nCodex-Source: https://git.acme.com/mono.git\n\
         Codex-Source-Commit: {head}\nCodex-Work-Id: DOC-7\n"
    );
    assert_eq!(message(&codex).trim(), expected.trim());

    // A published file that differs from the commit makes the revision dirty.
    sandbox.write("ws/alpha/docs/a.md", "changed");
    sandbox.run(&["sync", "--all"]).code(0);
    assert!(message(&codex).contains(&format!("Codex-Source-Commit: {head}-dirty\n")));
    sandbox.write("ws/alpha/docs/a.md", "changed again");
    sandbox
        .run(&[
            "sync",
            "--all",
            "--config",
            "commit.trailers=false",
            "--message",
            "{org}: {project} +{count} ({branch})",
        ])
        .code(0);
    assert_eq!(message(&codex).trim(), "acme: alpha +1 (main)");
}

/// Commits the files of the workspace with this author and message, whatever they contain.
fn commit_as(sandbox: &Sandbox, author: &str, message: &str) {
    commit_in("", sandbox, author.as_bytes(), message.as_bytes());
}

/// The same with a further header, and for texts in any encoding.
fn commit_in(header: &str, sandbox: &Sandbox, author: &[u8], message: &[u8]) {
    let workspace = sandbox.path("ws");
    sandbox.git(&workspace, &["add", "-A"]);
    let tree = sandbox.git(&workspace, &["write-tree"]);
    let parent = sandbox.git(&workspace, &["rev-parse", "HEAD"]);
    let (tree, parent) = (tree.trim(), parent.trim());
    let start = format!("tree {tree}\nparent {parent}\nauthor ");
    let middle = b" 1700000000 +0000\ncommitter ";
    let end = format!(" 1700000000 +0000\n{header}\n");
    let commit = [
        start.as_bytes(),
        author,
        middle,
        author,
        end.as_bytes(),
        message,
    ]
    .concat();
    sandbox.write("commit", commit);
    let file = sandbox.path("commit");
    let hash = ["hash-object", "-t", "commit", "-w", "--literally"];
    let id = sandbox.git(&workspace, &[&hash[..], &[file.to_str().unwrap()]].concat());
    sandbox.git(&workspace, &["reset", "-q", "--soft", id.trim()]);
}

#[test]
fn authors_and_subject_of_the_source_commits_are_named() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    let workspace = sandbox.path("ws");
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/beta/README.md", "beta");
    // Without a repository, there is no source commit.
    let credit = ["--config", "commit.credit=true", "--config"];
    let no_trailers = [&credit[..], &["commit.trailers=false", "--message"]].concat();
    let sync = |arguments: &[&str], template: &str| {
        let arguments = [&["sync", "--all"], arguments, &[template]].concat();
        sandbox.run(&arguments).code(0);
        message(&codex).trim().to_owned()
    };
    assert_eq!(sync(&no_trailers, "{subject}"), "Sync 1 file from beta");

    sandbox.git(&workspace, &["init", "-q", "-b", "main"]);
    sandbox.git(&workspace, &["add", "-A"]);
    sandbox.git(&workspace, &["commit", "-qm", "by the author of the sync"]);
    sandbox.write("ws/alpha/docs/a.md", "a");
    sandbox.write("ws/alpha/docs/b.md", "b");
    commit_as(&sandbox, "Bo <bo@x>", "docs: add two\n\nmore");
    sandbox.git(&workspace, &["checkout", "-q", "-b", "side", "HEAD~"]);
    sandbox.write("ws/alpha/docs/c.md", "c");
    commit_as(
        &sandbox,
        "Cy\rCodex-Project: evil <cy@x> <other@x>",
        "Signed-off-by: Cy",
    );
    sandbox.git(&workspace, &["checkout", "-q", "main"]);
    sandbox.git(&workspace, &["merge", "-q", "--no-edit", "side"]);
    sandbox.write("ws/beta/docs/d.md", "d");
    commit_as(&sandbox, "Di <di@x>", "Codex-Project: evil");
    sandbox.write("ws/alpha/docs/a.md", "not committed");

    // A file that is not committed has no author, and each project has the authors of its own files.
    let head = sandbox.git(&workspace, &["rev-parse", "HEAD"]);
    let head = head.trim();
    let text = sync(
        &[&credit[..], &["commit.sign=never", "--message"]].concat(),
        "x\n\n{subject}",
    );
    assert_eq!(
        text,
        format!(
            "x\n\n\"Codex-Project: evil\"\n\nCodex-Project: beta\nCodex-Source-Commit: {head}\n\
             Co-authored-by: Di <di@x>"
        )
    );
    let alpha = codex.git(&["log", "-1", "--skip=1", "--format=%B", "main"]);
    let cy = "Co-authored-by: CyCodex-Project: evil <cy@x>";
    for line in [cy, "Co-authored-by: Bo <bo@x>"] {
        assert!(alpha.lines().any(|one| one == line), "{alpha}");
    }
    assert_eq!(alpha.matches("Co-authored-by").count(), 2, "{alpha}");
    let trailers = "--format=%(trailers:key=Codex-Project,key=Signed-off-by,valueonly)";
    let trailers = codex.git(&["log", "-2", trailers, "main"]);
    assert_eq!(
        trailers.split_whitespace().collect::<Vec<_>>(),
        ["beta", "alpha"]
    );
    let projects = sandbox.run(&["log", "--json"]).code(0).stdout;
    assert!(!projects.contains("\"evil\""), "{projects}");

    // Committed sources, and files that a commit deleted.
    sandbox.write("ws/alpha/docs/a.md", "committed");
    sandbox.remove("ws/alpha/docs/b.md");
    let latin = "encoding ISO-8859-1\n";
    commit_in(latin, &sandbox, b"J\xf6rg <ed@x>", b"Correct it f\xfcr Ed");
    sandbox.write("ws/alpha/docs/c.md", "not committed");
    let committed = [
        &["--config", "sync.to_codex.source=committed"],
        &no_trailers[..],
    ]
    .concat();
    let text = sync(
        &committed,
        "{project}: {subject}\n\nSigned-off-by: Bot <bot@x>",
    );
    assert_eq!(
        text,
        "alpha: Correct it für Ed\n\nSigned-off-by: Bot <bot@x>\nCo-authored-by: Jörg <ed@x>"
    );
    // A secret in the subject is not published.
    sandbox.write("ws/alpha/docs/a.md", "without a secret");
    let token = [
        "xoxb-",
        "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1",
    ]
    .concat();
    commit_as(&sandbox, "Ed <ed@x>", &format!("Remove {token}"));
    assert_eq!(
        sync(&committed, "{subject}"),
        "Sync 2 files from alpha\n\nCo-authored-by: Ed <ed@x>"
    );
    sandbox.write("ws/alpha/docs/c.md", "not committed again");
    // Without the setting, nobody is named. A file that is not committed has no subject.
    assert_eq!(
        sync(
            &["--config", "commit.trailers=false", "--message"],
            "docs({project}): {subject}"
        ),
        "docs(alpha): Sync 1 file from alpha"
    );
}

#[test]
fn thread_count_does_not_change_commit_ids() {
    let tips: Vec<_> = ["1", "2", "7"]
        .map(|jobs| {
            let sandbox = Sandbox::new();
            let names: Vec<String> = (0..12).map(|n| format!("p{n}")).collect();
            let codex =
                sandbox.workspace(&names.iter().map(String::as_str).collect::<Vec<_>>(), "");
            for name in &names {
                for file in 0..9 {
                    sandbox.write(
                        &format!("ws/{name}/docs/{}/{file}.md", file % 3),
                        format!("{name} {file}"),
                    );
                }
            }
            sandbox.run(&["sync", "--all", "--jobs", jobs]).code(0);
            codex.assert_sound();
            codex.tip()
        })
        .into();
    assert!(
        tips[0].is_some() && tips.iter().all(|tip| *tip == tips[0]),
        "{tips:?}"
    );
}

#[test]
fn identity_comes_from_configuration_then_variables_then_git() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    let author = || {
        codex
            .git(&["log", "-1", "--format=%an <%ae> %cn", "main"])
            .trim()
            .to_owned()
    };
    let sync = |content: &str, keep: bool, arguments: &[&str]| {
        sandbox.write("ws/alpha/README.md", content);
        let mut command = sandbox.program(&[&["sync", "--all"], arguments].concat());
        if !keep {
            for name in [
                "GIT_AUTHOR_NAME",
                "GIT_AUTHOR_EMAIL",
                "GIT_COMMITTER_NAME",
                "GIT_COMMITTER_EMAIL",
            ] {
                command.env_remove(name);
            }
        }
        sandbox.finish(command).code(0);
    };
    sync("1", false, &[]);
    assert_eq!(
        author(),
        "fractary-codex <fractary-codex@localhost> fractary-codex"
    );
    sandbox.write(
        "home/.gitconfig",
        "[user]\n\tname = Grace\n\temail = grace@acme.example\n",
    );
    sync("2", false, &[]);
    assert_eq!(author(), "Grace <grace@acme.example> Grace");
    sync("3", true, &[]);
    assert_eq!(author(), "Ada <ada@acme.example> Ada");
    sync(
        "4",
        true,
        &[
            "--config",
            "commit.author={name='Bot', email='bot@acme.example'}",
        ],
    );
    assert_eq!(author(), "Bot <bot@acme.example> Bot");
    // CI pipelines set the configuration with these variables, and `git -c` with the last.
    let pipeline = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "User.Name"),
        ("GIT_CONFIG_VALUE_0", "Carried"),
    ];
    let option = [("GIT_CONFIG_PARAMETERS", "'User.Name=Given'")];
    for (content, variables, name) in [("5", &pipeline[..], "Carried"), ("6", &option, "Given")] {
        sandbox.write("ws/alpha/README.md", content);
        let mut command = sandbox.program(&["sync", "--all"]);
        command
            .env_remove("GIT_AUTHOR_NAME")
            .env_remove("GIT_COMMITTER_NAME")
            .envs(variables.iter().copied());
        sandbox.finish(command).code(0);
        assert_eq!(author(), format!("{name} <ada@acme.example> {name}"));
    }
}

/// Two projects in a repository that `git init` created with these options, with a commit if
/// `commits` is set.
fn in_repository(options: &[&str], commits: bool) -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/beta/README.md", "beta");
    let workspace = sandbox.path("ws");
    sandbox.git(&workspace, &[&["init", "-q"], options].concat());
    let remote = "https://github.com/acme/mono.git";
    sandbox.git(&workspace, &["remote", "add", "origin", remote]);
    if commits {
        sandbox.git(&workspace, &["add", "."]);
        sandbox.git(&workspace, &["commit", "-qm", "one"]);
    }
    (sandbox, codex)
}

#[test]
fn unreadable_source_repository_is_reported_once_with_the_reason() {
    for (options, reason) in [
        (&["--ref-format=reftable"][..], "reftable"),
        (&["--object-format=sha256"], "SHA-256"),
        (&[], "safe.directory"),
    ] {
        let (sandbox, codex) = in_repository(options, true);
        if options.is_empty() {
            // Only root can change the owner of a file.
            if !rustix::process::geteuid().is_root() {
                continue;
            }
            let git = sandbox.path("ws/.git");
            std::os::unix::fs::chown(git, Some(12_345), None).unwrap();
            std::os::unix::fs::chown(sandbox.path("ws"), Some(12_345), None).unwrap();
        }

        let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
        let warnings = output["warnings"].as_array().unwrap();
        let text = warnings[0]["message"].as_str().unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            text.contains("do not name their source revision")
                && text.contains(&sandbox.path("ws").display().to_string())
                && text.contains(reason),
            "{text}"
        );
        assert!(!message(&codex).contains("Codex-Source-Commit"));

        // Without trailers, no revision is needed.
        sandbox.write("ws/alpha/README.md", "changed");
        let output = sandbox.run(&[
            "sync",
            "--all",
            "--json",
            "--config",
            "commit.trailers=false",
            "--allow-dirty",
        ]);
        assert_eq!(output.code(0).json()["warnings"], serde_json::json!([]));

        // A dry run makes no commit, but it has files to compare with one.
        sandbox.write("ws/alpha/README.md", "changed again");
        let output = sandbox.run(&["sync", "--all", "--json", "--dry-run"]);
        let text = output.code(0).json()["warnings"][0]["message"].to_string();
        assert!(
            text.contains("cannot find out whether the files are committed")
                && text.contains(reason),
            "{text}"
        );
    }
}

#[test]
fn source_repository_without_commits_has_no_revision() {
    let (sandbox, codex) = in_repository(&[], false);
    let output = sandbox
        .run(&["sync", "--all", "--json", "--allow-dirty"])
        .code(0)
        .json();
    assert_eq!(output["warnings"], serde_json::json!([]));
    assert!(!message(&codex).contains("Codex-Source-Commit"));
}

#[test]
fn undetected_organization_is_reported_with_the_reason() {
    let (sandbox, _codex) = in_repository(&["--ref-format=reftable"], false);
    sandbox.write(
        "ws/.fractary/config.yaml",
        "codex: { codex_repo: codex, projects: { alpha: {} } }",
    );
    let output = sandbox.run(&["projects"]).code(3);
    assert!(
        output
            .stderr
            .contains("`organization` is not set and cannot be detected")
            && output.stderr.contains("reftable"),
        "{}",
        output.stderr
    );

    sandbox.remove("ws/.fractary/config.yaml");
    let stdout = sandbox.run(&["init"]).code(0).stdout;
    assert!(
        stdout.contains("could not detect") && stdout.contains("reftable"),
        "{stdout}"
    );
}

#[test]
fn source_date_that_a_commit_cannot_store_is_rejected() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    let sync = |date: &str| {
        let mut command = sandbox.program(&["sync", "--all"]);
        command.env("SOURCE_DATE_EPOCH", date);
        sandbox.finish(command)
    };
    for date in [
        "-1",
        "253402300800",
        "9223372036854775808",
        "1.5",
        "now",
        "0x10",
        "2024-01-01",
    ] {
        let output = sync(date).code(3);
        assert!(
            output.stderr.contains(&format!(
                "environment variable `SOURCE_DATE_EPOCH`: `{date}` is not a number of seconds"
            )),
            "{}",
            output.stderr
        );
        assert_eq!(codex.tip(), None);
    }

    for (date, seconds) in [("0", "0"), (" 5 ", "5"), ("253402300799", "253402300799")] {
        sandbox.write("ws/alpha/README.md", date);
        sync(date).code(0);
        let time = codex.git(&["log", "-1", "--format=%at", "main"]);
        assert_eq!(time.trim(), seconds);
        codex.assert_sound();
    }
}

#[test]
fn secret_in_a_text_for_the_commit_is_not_published() {
    let token = [
        "xoxb-",
        "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1",
    ]
    .concat();
    let World { sandbox, codex, .. } = World::new();
    let with_token = format!("Publish with {token}\n\nmore");
    let setting = format!("commit.message=Publish with {token}");
    let default = "Sync 1 file from alpha\n\nCodex-Project: alpha";
    for (number, (options, expected, warnings)) in [
        (vec!["--message", &with_token], default, 1),
        (vec!["--config", &setting], default, 1),
        (
            vec!["--message", "docs", "--work-id", &token],
            "docs\n\nCodex-Project: alpha",
            1,
        ),
        (
            vec!["--message", "{project}", "--work-id", "7"],
            "alpha\n\nCodex-Project: alpha\nCodex-Work-Id: 7",
            0,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        sandbox.write("ws/alpha/README.md", format!("version {number}"));
        let output = sandbox.run(&[&["sync", "--all", "--json"], &options[..]].concat());
        let found = output.code(0).json()["warnings"].to_string();
        assert_eq!(
            found.matches("contains a secret").count(),
            warnings,
            "{found}"
        );
        assert!(!found.contains(&token), "{found}");
        assert_eq!(message(&codex).trim(), expected);
    }

    // The settings of the check decide.
    for option in [
        &["--no-checks"][..],
        &["--config", "sync.checks.secrets=off"],
    ] {
        sandbox.write(
            "ws/alpha/README.md",
            format!("version {}", option.len() + 10),
        );
        let arguments = [&["sync", "--all", "--message", &with_token], option].concat();
        sandbox.run(&arguments).code(0);
        assert!(message(&codex).contains(&token));
    }
}
