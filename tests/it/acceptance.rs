//! The acceptance criteria of the specification, by their numbers.

use crate::support::http::HttpServer;
use crate::support::{Codex, Sandbox};

fn two_projects() -> (Sandbox, crate::support::Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    sandbox.write("ws/alpha/docs/a.md", "a");
    sandbox.write("ws/alpha/docs/deep/b.md", "b");
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/alpha/src/main.rs", "not documentation");
    sandbox.write("ws/beta/README.md", "beta");
    (sandbox, codex)
}

#[test]
fn ac_001_sync_creates_commits_in_the_remote_codex() {
    let (sandbox, codex) = two_projects();
    sandbox
        .run(&["sync", "project", "alpha", "--to-codex"])
        .code(0);
    assert_eq!(codex.subjects(), ["Sync 3 files from alpha"]);
    assert_eq!(
        codex.paths(),
        [
            "projects/alpha/README.md",
            "projects/alpha/docs/a.md",
            "projects/alpha/docs/deep/b.md"
        ]
    );
    codex.assert_sound();
}

#[test]
fn ac_002_files_deleted_in_the_codex_come_back() {
    let (sandbox, codex) = two_projects();
    sandbox.run(&["sync", "--all"]).code(0);
    let before = codex.tree();
    codex.commit(&[], &["projects/alpha/docs/a.md"]);
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.tree(), before);
    assert_eq!(codex.subjects()[0], "Sync 1 file from alpha");
}

#[test]
fn ac_003_the_log_shows_one_commit_a_project_in_one_push() {
    let (sandbox, codex) = two_projects();
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(
        codex.subjects(),
        ["Sync 1 file from beta", "Sync 3 files from alpha"]
    );
    assert_eq!(codex.updates(), 1);
    assert_eq!(output["remote"]["after"].as_str(), codex.tip().as_deref());
    assert_eq!(
        output["projects"][1]["commit"].as_str(),
        codex.tip().as_deref()
    );
    let message = codex.git(&["log", "-1", "--format=%B", "main"]);
    assert!(message.contains("\n\nCodex-Project: beta\n"), "{message}");
    // Again, without changes: no commit, no push, and it says so.
    let again = sandbox.run(&["sync", "--all"]).code(0);
    assert!(again.stdout.contains("nothing to push"), "{}", again.stdout);
    assert_eq!((codex.subjects().len(), codex.updates()), (2, 1));
}

#[test]
fn ac_004_a_dry_run_counts_exactly_and_touches_nothing() {
    let (sandbox, _codex) = two_projects();
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write("ws/alpha/docs/new.md", "new");
    sandbox.write("ws/alpha/docs/a.md", "changed");
    sandbox.remove("ws/alpha/docs/deep");
    let (workspace, repository, home) = (
        sandbox.fingerprint("ws"),
        sandbox.fingerprint("codex.git"),
        sandbox.fingerprint("home"),
    );
    let planned = sandbox
        .run(&["sync", "--all", "--dry-run", "--json"])
        .code(0)
        .json();
    assert_eq!(sandbox.fingerprint("ws"), workspace);
    assert_eq!(sandbox.fingerprint("codex.git"), repository);
    assert_eq!(sandbox.fingerprint("home"), home);
    assert_eq!(sandbox.leftovers(), [""; 0]);
    let alpha = &planned["projects"][0];
    assert_eq!(
        (
            &alpha["status"],
            &alpha["added"],
            &alpha["modified"],
            &alpha["deleted"],
            &alpha["unchanged"]
        ),
        (
            &"would-sync".into(),
            &1.into(),
            &1.into(),
            &1.into(),
            &1.into()
        )
    );
    let real = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    for field in ["added", "modified", "deleted", "unchanged", "changes"] {
        assert_eq!(
            planned["projects"][0][field], real["projects"][0][field],
            "{field}"
        );
    }
    assert_eq!(planned["plan_id"], real["plan_id"]);
}

#[test]
fn ac_005_from_codex_pulls_the_files_of_the_older_tools_patterns() {
    let sandbox = Sandbox::new();
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    let names = (0..197).map(|n| format!("project-{n}"));
    let names = names.chain(["codex.acme.com", "codex", "press"].map(str::to_owned));
    let files = [
        "docs/a.md",
        "docs/deep/b.md",
        "docs/.hidden",
        "docs/été/naïve.md",
        "README.md",
        "src/lib.rs",
    ];
    let more = [
        "docs/picture.png",
        ".fractary/codex/memory/decision.md",
        ".fractary/other.md",
        "docs.md",
    ];
    let contents = |path: &str| [path.as_bytes(), &[0, 0xff, b'\r', b'\n', 0x80]].concat();
    let files: Vec<_> = names
        .flat_map(|name| {
            files
                .iter()
                .chain(&more)
                .map(move |file| format!("projects/{name}/{file}"))
        })
        .map(|path| (path.clone(), contents(&path)))
        .collect();
    codex.import(&files);
    let (_, config) = crate::config::samples::SAMPLES[0];
    sandbox.write("ws/.fractary/config.yaml", config);
    let sync = |direction: &[&str]| {
        let mut command = sandbox.program(direction);
        command.env("FRACTARY_CODEX_REMOTE__URL", "../codex.git");
        sandbox.finish(command).code(0).json()
    };
    // The patterns of the sample, as the older tool reads them: everything below these directories.
    let wanted = [
        "codex.acme.com/docs/",
        "codex.acme.com/.fractary/codex/memory/",
        "codex/docs/",
        "press/docs/",
    ];
    let expected: Vec<_> = files
        .into_iter()
        .filter(|(path, _)| {
            wanted
                .iter()
                .any(|below| path.starts_with(&format!("projects/{below}")))
        })
        .collect();
    let output = sync(&["sync", "project", "ledger", "--from-codex", "--json"]);
    assert_eq!(output["totals"]["added"], expected.len());
    let cache = "ws/.fractary/codex/cache";
    for (path, contents) in &expected {
        assert_eq!(
            &std::fs::read(sandbox.path(cache).join(path)).unwrap(),
            contents,
            "{path}"
        );
    }
    let found = sandbox.fingerprint(&format!("{cache}/projects"));
    assert_eq!(
        found.iter().filter(|(path, ..)| path.is_file()).count(),
        expected.len()
    );
    let again = sync(&["sync", "ledger", "--direction", "from-codex", "--json"]);
    assert_eq!(
        (
            &again["totals"]["unchanged"],
            &again["totals"]["up_to_date"]
        ),
        (&expected.len().into(), &1.into())
    );
    assert_eq!(sandbox.fingerprint(&format!("{cache}/projects")), found);
}

#[test]
fn ac_006_missing_credentials_clone_and_push_failures_are_reported_with_a_hint() {
    let (sandbox, codex) = two_projects();
    codex.commit(&[("100644", "README.md", "the codex")], &[]);
    let server = HttpServer::start(&sandbox.path(""), Some("somebody:secret"));
    let (locked, missing) = (server.url("codex.git"), sandbox.path("nowhere.git"));
    let sync = |url: &str, status: i32, error: &str, hint: &str| {
        let output = sandbox
            .run(&["sync", "--all", "--config", &format!("remote.url={url}")])
            .code(status);
        let lines: Vec<_> = output.stderr.lines().collect();
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("error: ") && line.contains(error)),
            "{}",
            output.stderr
        );
        assert!(
            lines
                .iter()
                .any(|line| line.contains("hint: ") && line.contains(hint)),
            "{}",
            output.stderr
        );
        // Nothing that sounds like success, nothing done, nothing left.
        assert!(
            !output.stdout.contains("pushed ") && !output.stdout.contains(" synced"),
            "{}",
            output.stdout
        );
        assert_eq!(
            (codex.subjects(), sandbox.leftovers()),
            (vec!["Somebody else".to_owned()], Vec::new())
        );
    };
    sync(
        &locked,
        4,
        "authentication required: no credentials for",
        "`remote.token`",
    );
    sync(
        missing.to_str().unwrap(),
        4,
        "there is no repository at",
        "`remote.create: true`",
    );
    // The tip is there, but what it consists of is not.
    let (objects, away) = (codex.path().join("objects"), sandbox.path("objects"));
    std::fs::rename(&objects, &away).unwrap();
    std::fs::create_dir(&objects).unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(4);
    assert!(
        output.stderr.contains("error: ") && output.stderr.contains("hint: "),
        "{}",
        output.stderr
    );
    std::fs::remove_dir_all(&objects).unwrap();
    std::fs::rename(&away, &objects).unwrap();
    let url = codex.path().display().to_string();
    codex.hook(
        "pre-receive",
        "echo 'protected until the release' >&2; exit 1",
    );
    sync(&url, 5, "rejected by", "a server hook rejects");
    codex.hook("pre-receive", "exit 0");
    sandbox
        .run(&["sync", "--all", "--config", &format!("remote.url={url}")])
        .code(0);
    assert_eq!(codex.subjects().len(), 3);
}

#[test]
fn ac_007_temporary_directories_are_gone_after_success_and_failure() {
    let (sandbox, codex) = two_projects();
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(sandbox.leftovers(), [""; 0]);
    sandbox.write("ws/alpha/docs/new.md", "new");
    codex.hook(
        "pre-receive",
        "echo no documentation on Fridays >&2; exit 1",
    );
    sandbox.run(&["sync", "--all"]).code(5);
    assert_eq!(sandbox.leftovers(), [""; 0]);
    sandbox.remove("codex.git");
    sandbox.run(&["sync", "--all"]).code(4);
    assert_eq!(sandbox.leftovers(), [""; 0]);
}
