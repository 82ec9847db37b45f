//! `--changed-since`: the projects that a range of commits, the index or the working tree has changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{Codex, Output, Sandbox};

const NAMES: [&str; 4] = ["alpha", "beta", "delta", "gamma"];

/// A workspace in a repository with four projects, all committed. The tag `base` is the first commit.
fn world(more: &str) -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&NAMES, more);
    for name in NAMES {
        sandbox.write(&format!("ws/{name}/docs/a.md"), name);
        sandbox.write(&format!("ws/{name}/src/main.rs"), name);
    }
    start(&sandbox, &sandbox.path("ws"));
    (sandbox, codex)
}

/// Makes a directory a repository with one commit, which gets the tag `base`. The files are older than
/// the index, as in most checkouts: then their metadata shows that they have not changed.
fn start(sandbox: &Sandbox, directory: &Path) {
    sandbox.git(directory, &["init", "-q", "-b", "main", "--template="]);
    let files = sandbox.git(directory, &["ls-files", "-z", "--others"]);
    for file in files.split_terminator('\0') {
        sandbox.age(directory.join(file).to_str().unwrap());
    }
    commit(sandbox, directory);
    sandbox.git(directory, &["tag", "base"]);
}

fn commit(sandbox: &Sandbox, directory: &Path) -> String {
    sandbox.git(directory, &["add", "-A"]);
    sandbox.git(
        directory,
        &["commit", "-q", "--allow-empty", "-m", "change"],
    );
    sandbox
        .git(directory, &["rev-parse", "HEAD"])
        .trim()
        .to_owned()
}

fn projects(sandbox: &Sandbox, more: &[&str]) -> Output {
    sandbox.run(&[&["projects", "--json"], more].concat())
}

/// The names of the projects in a document.
fn names(output: &Output) -> Vec<String> {
    let projects = output.json()["projects"].as_array().unwrap().clone();
    let name = |project: serde_json::Value| project["name"].as_str().unwrap().to_owned();
    projects.into_iter().map(name).collect()
}

fn selected(sandbox: &Sandbox, revision: &str) -> Vec<String> {
    names(&projects(sandbox, &["--changed-since", revision]).code(0))
}

fn warnings(output: &Output) -> Vec<String> {
    let warnings = output.json()["warnings"].as_array().unwrap().clone();
    let message = |warning: serde_json::Value| warning["message"].as_str().unwrap().to_owned();
    warnings.into_iter().map(message).collect()
}

#[test]
fn commits_index_and_working_tree_select_projects() {
    let (sandbox, _codex) = world("");
    let ws = sandbox.path("ws");
    assert!(selected(&sandbox, "base").is_empty());

    // Files that are not published do not count, and neither do those of no project.
    sandbox.write("ws/alpha/src/main.rs", "new");
    sandbox.write("ws/beta/src/new.rs", "new");
    sandbox.write("ws/Makefile", "all:");
    commit(&sandbox, &ws);
    sandbox.write("ws/beta/src/untracked.rs", "new");
    assert!(selected(&sandbox, "base").is_empty());

    sandbox.write("ws/alpha/docs/a.md", "new");
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "base"), ["alpha"]);
    assert!(selected(&sandbox, "HEAD").is_empty());

    sandbox.write("ws/beta/docs/a.md", "staged");
    sandbox.git(&ws, &["add", "beta/docs"]);
    assert_eq!(selected(&sandbox, "HEAD"), ["beta"]);
    sandbox.write("ws/gamma/docs/a.md", "gimme");
    assert_eq!(selected(&sandbox, "HEAD"), ["beta", "gamma"]);
    sandbox.write("ws/delta/docs/untracked.md", "new");
    assert_eq!(selected(&sandbox, "HEAD"), ["beta", "delta", "gamma"]);
    assert_eq!(selected(&sandbox, "base"), NAMES);

    // The files of the commit are published, so others do not count.
    let committed = [
        "--changed-since",
        "HEAD",
        "--config",
        "sync.to_codex.source=committed",
    ];
    assert!(names(&projects(&sandbox, &committed).code(0)).is_empty());
}

#[test]
fn deleted_and_renamed_files_select_the_former_project() {
    let (sandbox, _codex) = world("");
    let ws = sandbox.path("ws");
    sandbox.git(&ws, &["mv", "alpha/docs/a.md", "beta/docs/b.md"]);
    assert_eq!(selected(&sandbox, "HEAD"), ["alpha", "beta"]);
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "base"), ["alpha", "beta"]);

    // A file that leaves the patterns, and one that is deleted on disk alone.
    sandbox.git(&ws, &["mv", "gamma/docs/a.md", "gamma/src/a.md"]);
    commit(&sandbox, &ws);
    sandbox.remove("ws/delta/docs/a.md");
    assert_eq!(selected(&sandbox, "HEAD^"), ["delta", "gamma"]);

    // A directory that is gone is reported by the run.
    sandbox.remove("ws/gamma");
    commit(&sandbox, &ws);
    let output = sandbox
        .run(&["sync", "--changed-since", "HEAD", "--json"])
        .code(1);
    assert_eq!(names(&output), ["gamma"]);
    assert!(output.stdout.contains("root"), "{}", output.stdout);
}

#[test]
fn unchanged_files_with_other_times_select_nothing() {
    let (sandbox, _codex) = world("");
    // As after `touch`, or a copy of the checkout.
    sandbox.age("ws/alpha/docs/a.md");
    let content = fs::read(sandbox.path("ws/beta/docs/a.md")).unwrap();
    sandbox.remove("ws/beta/docs/a.md");
    sandbox.write("ws/beta/docs/a.md", content);
    assert!(selected(&sandbox, "HEAD").is_empty());
    sandbox.set_mode("ws/gamma/docs/a.md", 0o755);
    assert_eq!(selected(&sandbox, "HEAD"), ["gamma"]);
}

#[test]
fn files_behind_links_count() {
    let (sandbox, _codex) = world("");
    let ws = sandbox.path("ws");
    sandbox.write("ws/alpha/shared/x.md", "x");
    symlink("../shared", ws.join("alpha/docs/shared")).unwrap();
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["alpha"]);
    assert!(selected(&sandbox, "HEAD").is_empty());

    sandbox.write("ws/alpha/shared/x.md", "y");
    assert_eq!(selected(&sandbox, "HEAD"), ["alpha"]);
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["alpha"]);
    sandbox.remove("ws/alpha/shared/x.md");
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["alpha"]);
    sandbox.remove("ws/alpha/docs/shared");
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["alpha"]);

    // A project whose root is a link to another place.
    sandbox.write("ws/elsewhere/docs/a.md", "x");
    sandbox.remove("ws/beta");
    symlink("elsewhere", ws.join("beta")).unwrap();
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["beta"]);
    sandbox.write("ws/elsewhere/docs/a.md", "y");
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["beta"]);
}

#[test]
fn configuration_of_a_project_selects_it() {
    let (sandbox, _codex) = world("");
    let ws = sandbox.path("ws");
    let file = sandbox.path("ws/.fractary/config.yaml");
    let config = fs::read_to_string(&file).unwrap();

    let mapping = "alpha: { mappings: [{ from: 'src/*.rs', to: code/ }] }";
    fs::write(&file, config.replace("alpha: {}", mapping)).unwrap();
    assert_eq!(selected(&sandbox, "HEAD"), ["alpha"]);
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "base"), ["alpha"]);
    assert!(selected(&sandbox, "HEAD").is_empty());

    // Now a file that the mapping takes.
    sandbox.write("ws/alpha/src/main.rs", "new");
    assert_eq!(selected(&sandbox, "HEAD"), ["alpha"]);
    commit(&sandbox, &ws);
    fs::write(
        &file,
        format!("# A comment.\n{config}").replace("alpha: {}", mapping),
    )
    .unwrap();
    assert!(selected(&sandbox, "HEAD").is_empty());

    // The project's own file, and any other key of the workspace.
    sandbox.write(
        "ws/beta/.fractary/config.yaml",
        "codex: { sync: { prune: true } }",
    );
    assert_eq!(selected(&sandbox, "HEAD"), ["beta"]);
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["beta"]);
    sandbox.remove("ws/beta/.fractary");
    assert_eq!(selected(&sandbox, "HEAD"), ["beta"]);
    fs::write(&file, format!("{config}  sync: {{ prune: true }}\n")).unwrap();
    assert_eq!(selected(&sandbox, "HEAD"), NAMES);
    commit(&sandbox, &ws);
    // A local file is not committed, so its changes are not known.
    sandbox.write("ws/.gitignore", ".fractary/config.local.yaml\n");
    sandbox.write("ws/.fractary/config.local.yaml", "codex: { jobs: 1 }");
    assert!(selected(&sandbox, "HEAD").is_empty());
}

#[test]
fn uncommitted_changes_of_links_targets_and_settings_are_noticed() {
    let (sandbox, _codex) = world("  sync: { respect_gitignore: true }\n");
    let ws = sandbox.path("ws");
    for (path, contents) in [
        ("ws/.gitignore", "*.tmp\n"),
        ("ws/alpha/shared/deep/x.md", "x"),
        ("ws/alpha/shared/deep/y.md", "y"),
        ("ws/alpha/single.md", "x"),
        ("ws/alpha/ignored.tmp", "x"),
        ("ws/beta/docs/.gitignore", "*.old\n"),
        ("ws/gamma/settings.yaml", "codex: { sync: { prune: true } }"),
        ("ws/.fractary/config.local.yaml", "codex: { jobs: 1 }"),
        ("ws/.fractary/env/.env", "INC=docs/**\n"),
    ] {
        sandbox.write(path, contents);
    }
    symlink("../shared", ws.join("alpha/docs/shared")).unwrap();
    symlink("../single.md", ws.join("alpha/docs/single.md")).unwrap();
    commit(&sandbox, &ws);
    assert!(selected(&sandbox, "HEAD").is_empty());

    for (path, contents, expected) in [
        ("alpha/single.md", Some("new"), &["alpha"][..]),
        ("alpha/shared/deep/x.md", Some("new"), &["alpha"]),
        ("alpha/shared/deep/y.md", None, &["alpha"]),
        ("alpha/docs/shared", None, &["alpha"]),
        ("beta/docs/.gitignore", Some(""), &["beta"]),
        ("beta/docs/.gitignore", None, &["beta"]),
        ("beta/.gitignore", Some("none\n"), &["beta"]),
        (".gitignore", Some(""), &NAMES),
        (".fractary/config.local.yaml", None, &NAMES),
        (".fractary/env/.env", Some("INC=src/**\n"), &NAMES),
        (".fractary/env/.env", None, &NAMES),
    ] {
        match contents {
            Some(contents) => sandbox.write(&format!("ws/{path}"), contents),
            None => sandbox.remove(&format!("ws/{path}")),
        }
        assert_eq!(selected(&sandbox, "HEAD"), expected, "{path}, {contents:?}");
        sandbox.git(&ws, &["stash", "push", "-q", "--include-untracked"]);
        sandbox.git(&ws, &["stash", "drop", "-q"]);
        assert!(selected(&sandbox, "HEAD").is_empty(), "{path}");
    }

    // Nothing is known about the target of a link.
    sandbox.write("ws/gamma/.fractary/readme", "");
    symlink("../settings.yaml", ws.join("gamma/.fractary/config.yaml")).unwrap();
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD"), ["gamma"]);
}

#[test]
fn branch_is_compared_with_its_fork_point() {
    let (sandbox, _codex) = world("");
    let ws = sandbox.path("ws");
    sandbox.git(&ws, &["checkout", "-q", "-b", "topic"]);
    sandbox.write("ws/alpha/docs/a.md", "topic");
    commit(&sandbox, &ws);
    sandbox.git(&ws, &["checkout", "-q", "main"]);
    sandbox.write("ws/beta/docs/a.md", "main");
    commit(&sandbox, &ws);
    sandbox.git(&ws, &["checkout", "-q", "topic"]);
    assert_eq!(selected(&sandbox, "main"), ["alpha"]);
    // A branch of the remote that is not checked out.
    sandbox.git(&ws, &["update-ref", "refs/remotes/origin/next", "main"]);
    assert_eq!(selected(&sandbox, "next"), ["alpha"]);
}

#[test]
fn a_damaged_commit_of_a_source_is_reported_and_no_run_without_end() {
    let (sandbox, codex) = world("  commit: { credit: true }\n");
    let ws = sandbox.path("ws");
    sandbox.git(&ws, &["branch", "side"]);
    for text in ["one", "two"] {
        sandbox.write("ws/alpha/docs/a.md", text);
        commit(&sandbox, &ws);
    }
    sandbox.git(&ws, &["tag", "-a", "-m", "tag", "v1", "HEAD~1"]);
    let path_of = |revision: &str| {
        let id = sandbox.git(&ws, &["rev-parse", revision]);
        let (directory, name) = id.trim().split_at(2);
        ws.join(".git/objects").join(directory).join(name)
    };
    let (commit, tag) = (path_of("HEAD~1"), path_of("v1"));
    let run = |arguments: &[&str]| {
        let mut command = sandbox.command("timeout");
        command.args(["--kill-after=1", "30", env!("CARGO_BIN_EXE_fractary-codex")]);
        command.args(arguments);
        let output = sandbox.finish(command);
        assert_ne!(output.code, Some(124), "{arguments:?} hangs");
        output
    };
    for (object, length, revisions) in [
        (
            &commit,
            60,
            &["HEAD~1", "HEAD~2", "side", "HEAD@{1}", "v1"][..],
        ),
        (&commit, 10, &["HEAD^"]),
        (&commit, 0, &["HEAD~"]),
        (&tag, 60, &["v1"]),
    ] {
        let whole = fs::read(object).unwrap();
        fs::remove_file(object).unwrap();
        fs::write(object, &whole[..length]).unwrap();
        for revision in revisions {
            let output = run(&["projects", "--changed-since", revision, "--json"]).code(0);
            let warnings = warnings(&output);
            let is_reported = warnings.iter().any(|one| one.contains("cannot compare"));
            assert!(is_reported, "{revision}: {warnings:?}");
            assert_eq!(names(&output), NAMES, "{revision}");
        }
        fs::write(object, &whole).unwrap();
    }

    fs::remove_file(&commit).unwrap();
    fs::write(&commit, [0x78, 0x01]).unwrap();
    let output = run(&["sync", "--all", "--source=committed", "--source-rev=HEAD~1"]);
    assert!(output.stderr.contains("is damaged"), "{}", output.stderr);
    run(&["sync", "--all", "--config", "sync.to_codex.dirty=withhold"]).code(0);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "two");
}

#[test]
fn each_repository_resolves_the_revision() {
    let sandbox = Sandbox::new();
    let _codex = sandbox.workspace(&NAMES, "");
    for name in NAMES {
        sandbox.write(&format!("ws/{name}/docs/a.md"), name);
    }
    for name in ["alpha", "beta", "delta"] {
        start(&sandbox, &sandbox.path(&format!("ws/{name}")));
    }
    sandbox.write("ws/beta/docs/a.md", "new");
    commit(&sandbox, &sandbox.path("ws/beta"));
    sandbox.git(&sandbox.path("ws/delta"), &["tag", "-d", "base"]);

    let output = projects(&sandbox, &["--changed-since", "base"]).code(0);
    assert_eq!(names(&output), ["beta", "delta", "gamma"]);
    let warnings = warnings(&output).join("\n");
    let directory = sandbox.path("ws");
    insta::assert_snapshot!(warnings.replace(directory.to_str().unwrap(), "WS"), @"
    `WS/.fractary/config.yaml` is not in a git repository: after a change of it, sync all projects without `--changed-since`
    1 project without a commit in a git repository, always selected: `gamma`
    cannot compare the git repository `WS/delta` with `base`: it has no such revision; all of its projects are selected (1)
    ");

    // A repository that cannot be read has no projects that could be left out.
    let gamma = sandbox.path("ws/gamma");
    start(&sandbox, &gamma);
    for (key, value) in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.refStorage", "reftable"),
    ] {
        sandbox.git(&gamma, &["config", key, value]);
    }
    let output = projects(&sandbox, &["--changed-since", "base"]).code(0);
    assert_eq!(names(&output), ["beta", "delta", "gamma"]);
    let warning = self::warnings(&output)
        .into_iter()
        .find(|one| one.contains("reftable"));
    insta::assert_snapshot!(warning.unwrap().replace(directory.to_str().unwrap(), "WS"), @"the git repository `WS/gamma` cannot be read: references in the reftable format are not supported; its projects cannot be compared and are all selected (1)");

    let output = sandbox.run(&["status", "--changed-since", "bsae"]).code(2);
    let shown = output.stderr.replace(directory.to_str().unwrap(), "WS");
    insta::assert_snapshot!(shown, @"
    error: the git repository `WS/alpha` has no revision `bsae`
      hint: fetch the revision, or use another one, e.g. `--changed-since origin/main`
    ");
}

#[test]
fn repository_in_the_root_of_a_project_is_the_one_that_counts() {
    let (sandbox, _codex) = world("");
    assert_eq!(selected(&sandbox, "base"), [""; 0]);
    // The repository around them has the same files, and is not the one that contains them.
    let alpha = sandbox.path("ws/alpha");
    sandbox.git(&alpha, &["init", "-q", "-b", "main", "--template="]);
    sandbox.write("ws/beta/HEAD", "no repository");
    sandbox.age("ws/beta/HEAD");
    let output = projects(&sandbox, &["--changed-since", "base"]).code(0);
    assert_eq!(names(&output), ["alpha"]);
    let warnings = warnings(&output).join("\n");
    assert!(warnings.contains("always selected: `alpha`"), "{warnings}");
}

#[test]
fn submodule_is_compared_with_its_recorded_commit() {
    let (sandbox, _codex) = world("");
    let (ws, library) = (sandbox.path("ws"), sandbox.path("library"));
    sandbox.write("library/docs/a.md", "one");
    start(&sandbox, &library);
    sandbox.remove("ws/beta");
    commit(&sandbox, &ws);
    sandbox.add_submodule(&ws, library.to_str().unwrap(), "beta");
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["beta"]);
    assert!(selected(&sandbox, "HEAD").is_empty());

    sandbox.write("ws/beta/docs/a.md", "two");
    assert_eq!(selected(&sandbox, "HEAD"), ["beta"]);
    commit(&sandbox, &ws.join("beta"));
    assert_eq!(selected(&sandbox, "HEAD"), ["beta"]);
    commit(&sandbox, &ws);
    assert!(selected(&sandbox, "HEAD").is_empty());
    assert_eq!(selected(&sandbox, "HEAD^"), ["beta"]);
}

#[test]
fn project_inside_another_one_is_selected_alone() {
    let (sandbox, _codex) =
        world("  sync: { to_codex: { include: ['**/*.md'] } }\n  project: whole\n");
    let ws = sandbox.path("ws");
    sandbox.write("ws/alpha/docs/b.md", "new");
    assert_eq!(selected(&sandbox, "HEAD"), ["alpha"]);
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["alpha"]);
    sandbox.write("ws/notes.md", "new");
    assert_eq!(selected(&sandbox, "HEAD"), ["whole"]);
}

#[test]
fn root_that_moves_inside_another_project_selects_that_project() {
    let (sandbox, _codex) = world("");
    let ws = sandbox.path("ws");
    let file = sandbox.path("ws/.fractary/config.yaml");
    let config = fs::read_to_string(&file).unwrap();
    sandbox.write("ws/alpha/docs/sub/b.md", "b");
    sandbox.write("ws/beta/docs/sub/b.md", "b");
    commit(&sandbox, &ws);

    let with_root = |root: &str| {
        let line = format!("inner: {{ root: {root} }}\n    alpha: {{}}");
        fs::write(&file, config.replace("alpha: {}", &line)).unwrap();
    };
    with_root("alpha/docs/sub");
    assert_eq!(selected(&sandbox, "HEAD"), ["alpha", "inner"]);
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD^"), ["alpha", "inner"]);
    with_root("beta/docs/sub");
    assert_eq!(selected(&sandbox, "HEAD"), ["alpha", "beta", "inner"]);
    commit(&sandbox, &ws);
    fs::write(&file, &config).unwrap();
    assert_eq!(selected(&sandbox, "HEAD"), ["beta"]);
}

#[test]
fn member_link_outside_of_the_root_decides_whose_files_they_are() {
    let sandbox = Sandbox::new();
    let members = "codex: { organization: acme, remote: { url: ../codex.git, create: true }, workspace: { members: [alpha, beta, 'links/*'] } }";
    sandbox.write("ws/.fractary/config.yaml", members);
    sandbox.write("ws/alpha/docs/a.md", "a");
    sandbox.write("ws/alpha/inner/docs/b.md", "b");
    sandbox.write("ws/beta/docs/a.md", "a");
    let ws = sandbox.path("ws");
    fs::create_dir(ws.join("links")).unwrap();
    symlink("../alpha/inner", ws.join("links/inner")).unwrap();
    start(&sandbox, &ws);
    assert!(selected(&sandbox, "HEAD").is_empty());

    // Not committed, then staged, then committed.
    sandbox.remove("ws/links/inner");
    assert_eq!(selected(&sandbox, "HEAD"), ["alpha"]);
    sandbox.git(&ws, &["add", "-A"]);
    assert_eq!(selected(&sandbox, "HEAD"), ["alpha"]);
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "base"), ["alpha"]);
    symlink("../alpha/inner", ws.join("links/other")).unwrap();
    commit(&sandbox, &ws);
    assert_eq!(selected(&sandbox, "HEAD~1"), ["alpha", "other"]);
}

#[test]
fn sync_leaves_other_projects_alone() {
    let (sandbox, codex) = world("");
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write("ws/alpha/docs/a.md", "alpha 2");
    sandbox.write("ws/beta/docs/a.md", "beta 2");
    commit(&sandbox, &sandbox.path("ws"));
    sandbox.write("ws/gamma/docs/a.md", "gamma 2");
    sandbox.git(&sandbox.path("ws"), &["stash", "-q"]);
    let before = codex.paths();

    let output = sandbox
        .run(&["sync", "--changed-since", "base", "-p", "*a", "--json"])
        .code(0);
    assert_eq!(names(&output), ["alpha", "beta"]);
    let selection = &output.json()["selection"];
    let expected = serde_json::json!({ "projects": 4, "selected": 2, "changed_since": "base", "unchanged": 2, "shard": null, "other_shards": 0 });
    assert_eq!(selection, &expected);
    assert_eq!(output.json()["totals"]["synced"], 2);
    assert_eq!(codex.paths(), before);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "alpha 2");

    // The recorded state of the others is kept, and they are no orphans.
    let output = sandbox
        .run(&["status", "--changed-since", "base", "--json"])
        .code(0);
    assert!(output.json().get("orphans").is_none());
    let output = sandbox
        .run(&["sync", "--all", "--dry-run", "--offline", "--json"])
        .code(0);
    assert_eq!(output.json()["totals"]["up_to_date"], 4);
}

#[test]
fn nothing_selected_is_nothing_to_do() {
    let (sandbox, _codex) = world("");
    // No remote is asked.
    let unreachable = ["--config", "remote.url=http://127.0.0.1:1/codex.git"];
    let run = |arguments: &[&str]| sandbox.run(&[arguments, &unreachable].concat()).code(0);
    let output = run(&["sync", "--changed-since", "base"]);
    insta::assert_snapshot!(output.stdout, @"
    0 of 4 projects selected: changed since base
    nothing to do
    ");
    assert_eq!(
        run(&["status", "--changed-since", "base"]).stdout,
        output.stdout
    );
    let output = run(&["sync", "--changed-since", "base", "--json"]).json();
    assert_eq!(
        (&output["exit_code"], &output["status"]),
        (&0.into(), &"success".into())
    );
    assert_eq!(output["direction"], "to-codex");

    sandbox.write("ws/alpha/docs/a.md", "new");
    let output = sandbox.run(&["status", "--changed-since", "HEAD"]).code(0);
    assert!(
        output
            .stdout
            .starts_with("1 of 4 projects selected: changed since HEAD\n"),
        "{}",
        output.stdout
    );
}

#[test]
fn revision_that_a_shallow_clone_lacks_is_an_error() {
    let (sandbox, _codex) = world("");
    let ws = sandbox.path("ws");
    let base = sandbox.git(&ws, &["rev-parse", "HEAD"]).trim().to_owned();
    sandbox.write("ws/alpha/docs/a.md", "new");
    commit(&sandbox, &ws);
    let origin = format!("file://{}", ws.display());
    let shallow = sandbox.path("shallow");
    let target = shallow.to_str().unwrap();
    sandbox.git(
        &ws,
        &["clone", "-q", "--depth=1", "--no-tags", &origin, target],
    );

    let run = |revision: &str, variables: &[(&str, &str)]| {
        let mut command = sandbox.program(&[
            "-C",
            target,
            "projects",
            "--changed-since",
            revision,
            "--json",
        ]);
        command.envs(variables.iter().copied());
        sandbox.finish(command)
    };
    let output = run(&base, &[("GITHUB_ACTIONS", "true")]).code(2);
    let error = &output.json()["error"];
    assert!(
        error["message"].as_str().unwrap().contains("shallow clone"),
        "{error}"
    );
    assert!(error.to_string().contains("fetch-depth: 0"), "{error}");
    assert!(
        run(&base, &[])
            .code(2)
            .stdout
            .contains("git fetch --unshallow")
    );

    // `auto` selects all projects instead, and says so.
    let variables = [
        ("JENKINS_URL", "http://ci"),
        ("GIT_PREVIOUS_SUCCESSFUL_COMMIT", base.as_str()),
    ];
    let output = run("auto", &variables).code(0);
    assert_eq!(names(&output), NAMES);
    let warnings = warnings(&output).join("\n");
    assert!(warnings.contains("the clone is shallow"), "{warnings}");
    assert!(warnings.contains("CloneOption"), "{warnings}");
}

/// The payload of an event, from its documentation.
fn payload(sandbox: &Sandbox, name: &str, values: &[(&str, &str)]) -> PathBuf {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/ci_events")
        .join(name);
    let mut text = fs::read_to_string(fixture).unwrap();
    for (name, value) in values {
        let place = format!("{{{{{name}}}}}");
        assert!(text.contains(&place), "{place}");
        text = text.replace(&place, value);
    }
    sandbox.write("event.json", text);
    sandbox.path("event.json")
}

/// A repository as a CI system sees it: `main` has changed beta, and the branch `topic` alpha. The
/// commits are `base`, `main`, `topic`, and the merge of `topic` into `main`.
struct Build {
    sandbox: Sandbox,
    _codex: Codex,
    base: String,
    main: String,
    topic: String,
    merge: String,
}

const NULL: &str = "0000000000000000000000000000000000000000";

impl Build {
    fn new() -> Self {
        let (sandbox, codex) = world("");
        let ws = sandbox.path("ws");
        let git = |arguments: &[&str]| sandbox.git(&ws, arguments);
        git(&["checkout", "-q", "-b", "topic"]);
        sandbox.write("ws/alpha/docs/a.md", "topic");
        let topic = commit(&sandbox, &ws);
        git(&["checkout", "-q", "main"]);
        sandbox.write("ws/beta/docs/a.md", "main");
        let main = commit(&sandbox, &ws);
        git(&["checkout", "-q", "--detach"]);
        git(&["merge", "-q", "--no-ff", "-m", "merge", "topic"]);
        let merge = git(&["rev-parse", "HEAD"]).trim().to_owned();
        let base = git(&["rev-parse", "base"]).trim().to_owned();
        // Only the branches of the remote are known in a build.
        git(&["update-ref", "refs/remotes/origin/main", "main"]);
        git(&["branch", "-q", "-D", "main", "topic"]);
        Self {
            sandbox,
            _codex: codex,
            base,
            main,
            topic,
            merge,
        }
    }

    /// Checks out a commit and selects projects with `auto`.
    fn auto(&self, head: &str, variables: &[(&str, &str)]) -> Output {
        let ws = self.sandbox.path("ws");
        self.sandbox.git(&ws, &["checkout", "-q", "--detach", head]);
        let mut command = self
            .sandbox
            .program(&["projects", "--json", "--changed-since", "auto"]);
        command.envs(variables.iter().copied());
        self.sandbox.finish(command)
    }

    fn selected(&self, head: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let output = self.auto(head, variables).code(0);
        assert!(warnings(&output).is_empty(), "{:?}", warnings(&output));
        names(&output)
    }

    /// The reason why all projects are selected.
    fn all(&self, variables: &[(&str, &str)]) -> String {
        let output = self.auto(&self.main, variables).code(0);
        assert_eq!(names(&output), NAMES);
        warnings(&output).join("\n")
    }

    fn github(&self, head: &str, event: &str, file: &str, values: &[(&str, &str)]) -> Output {
        let path = payload(&self.sandbox, file, values);
        let variables = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", event),
            ("GITHUB_EVENT_PATH", path.to_str().unwrap()),
        ];
        self.auto(head, &variables)
    }
}

#[test]
fn github_names_the_base_in_its_event() {
    let build = Build::new();
    let names_of = |output: Output| {
        let output = output.code(0);
        assert!(warnings(&output).is_empty(), "{:?}", warnings(&output));
        names(&output)
    };
    // The base of the payload can be older than the one of the merge that is checked out.
    let pull = |head: &str, base: &str| {
        let values = [("base", base), ("head", build.topic.as_str())];
        names_of(build.github(head, "pull_request", "github-pull-request.json", &values))
    };
    assert_eq!(pull(&build.merge, &build.main), ["alpha"]);
    assert_eq!(pull(&build.merge, &build.base), ["alpha"]);
    assert_eq!(pull(&build.topic, &build.main), ["alpha"]);

    let group = [
        ("base", build.main.as_str()),
        ("head", build.merge.as_str()),
    ];
    let output = build.github(
        &build.merge,
        "merge_group",
        "github-merge-group.json",
        &group,
    );
    assert_eq!(names_of(output), ["alpha"]);

    let push = |head: &str, before: &str, name: &str| {
        let values = [("before", before), ("after", head), ("ref", name)];
        build.github(head, "push", "github-push.json", &values)
    };
    let main = "refs/heads/main";
    assert_eq!(names_of(push(&build.main, &build.base, main)), ["beta"]);
    // After a forced push, what the former commits had changed is published again.
    assert_eq!(
        names_of(push(&build.main, &build.topic, main)),
        ["alpha", "beta"]
    );
    assert_eq!(
        names_of(push(&build.topic, NULL, "refs/heads/topic")),
        ["alpha"]
    );

    for (output, reason) in [
        (push(&build.main, NULL, main), "the push created the branch"),
        (push(&build.main, NULL, "refs/tags/v1"), "the push of a tag"),
        (
            push(
                &build.main,
                "1234567890123456789012345678901234567890",
                main,
            ),
            "it has no such revision",
        ),
        (
            build.github(
                &build.main,
                "workflow_dispatch",
                "github-workflow-dispatch.json",
                &[],
            ),
            "`workflow_dispatch`",
        ),
        (
            build.github(&build.main, "schedule", "github-schedule.json", &[]),
            "`schedule`",
        ),
    ] {
        let output = output.code(0);
        assert_eq!(names(&output), NAMES);
        let warnings = warnings(&output).join("\n");
        assert!(warnings.contains(reason), "{warnings}");
    }
    let reason = build.all(&[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "push")]);
    assert!(reason.contains("GITHUB_EVENT_PATH"), "{reason}");
}

#[test]
fn gitlab_names_the_base_in_variables() {
    let build = Build::new();
    let ci = ("GITLAB_CI", "true");
    let default = ("CI_DEFAULT_BRANCH", "main");
    let merge_request = |head: &str, more: (&str, &str)| {
        let variables = [
            ci,
            default,
            ("CI_PIPELINE_SOURCE", "merge_request_event"),
            ("CI_COMMIT_BEFORE_SHA", NULL),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", build.base.as_str()),
            more,
        ];
        build.selected(head, &variables)
    };
    assert_eq!(
        merge_request(&build.topic, ("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "")),
        ["alpha"]
    );
    let target = ("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", build.main.as_str());
    assert_eq!(merge_request(&build.merge, target), ["alpha"]);

    let push = |branch, before| {
        [
            ci,
            default,
            ("CI_PIPELINE_SOURCE", "push"),
            ("CI_COMMIT_BRANCH", branch),
            ("CI_COMMIT_BEFORE_SHA", before),
        ]
    };
    assert_eq!(
        build.selected(&build.main, &push("main", &build.base)),
        ["beta"]
    );
    assert_eq!(
        build.selected(&build.topic, &push("topic", NULL)),
        ["alpha"]
    );
    assert!(
        build
            .all(&push("main", NULL))
            .contains("created the branch")
    );
    assert!(build.all(&push("", NULL)).contains("push of a tag"));
    let schedule = [
        ci,
        default,
        ("CI_PIPELINE_SOURCE", "schedule"),
        ("CI_COMMIT_BRANCH", "main"),
        ("CI_COMMIT_BEFORE_SHA", NULL),
    ];
    assert!(build.all(&schedule).contains("`schedule`"));
}

#[test]
fn buildkite_and_jenkins_name_the_base_in_variables() {
    let build = Build::new();
    let buildkite = |more: &[(&'static str, &str)]| {
        let fixed = [
            ("BUILDKITE", "true"),
            ("BUILDKITE_PIPELINE_DEFAULT_BRANCH", "main"),
        ];
        let all = fixed.into_iter().chain(more.iter().copied());
        all.map(|(name, value)| (name, value.to_owned()))
            .collect::<Vec<_>>()
    };
    let borrowed = |variables: &[(&'static str, String)]| -> Vec<(&'static str, String)> {
        variables.to_vec()
    };
    let select = |head: &str, variables: &[(&'static str, String)]| {
        let variables = borrowed(variables);
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        build.selected(head, &variables)
    };
    let pull = buildkite(&[
        ("BUILDKITE_BRANCH", "topic"),
        ("BUILDKITE_PULL_REQUEST", "7"),
        ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "main"),
    ]);
    assert_eq!(select(&build.topic, &pull), ["alpha"]);
    let queue = buildkite(&[("BUILDKITE_MERGE_QUEUE_BASE_COMMIT", &build.main)]);
    assert_eq!(select(&build.merge, &queue), ["alpha"]);
    let branch = [
        ("BUILDKITE_BRANCH", "topic"),
        ("BUILDKITE_PULL_REQUEST", "false"),
        ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", ""),
    ];
    assert_eq!(select(&build.topic, &buildkite(&branch)), ["alpha"]);
    let ci = ("BUILDKITE", "true");
    let default = ("BUILDKITE_PIPELINE_DEFAULT_BRANCH", "main");
    let reason = build.all(&[
        ci,
        default,
        ("BUILDKITE_BRANCH", "main"),
        ("BUILDKITE_PULL_REQUEST", "false"),
    ]);
    assert!(reason.contains("Buildkite does not name"), "{reason}");
    assert!(
        build
            .all(&[
                ci,
                default,
                ("BUILDKITE_BRANCH", "v1"),
                ("BUILDKITE_TAG", "v1")
            ])
            .contains("tag")
    );

    let ci = ("JENKINS_URL", "http://ci");
    let pull = [
        ci,
        ("CHANGE_TARGET", "main"),
        ("BRANCH_NAME", "PR-7"),
        ("GIT_PREVIOUS_SUCCESSFUL_COMMIT", build.topic.as_str()),
    ];
    assert_eq!(build.selected(&build.topic, &pull), ["alpha"]);
    let push = [
        ci,
        ("BRANCH_NAME", "main"),
        ("GIT_PREVIOUS_SUCCESSFUL_COMMIT", build.base.as_str()),
    ];
    assert_eq!(build.selected(&build.main, &push), ["beta"]);
    assert!(
        build
            .all(&[ci, ("BRANCH_NAME", "main")])
            .contains("no earlier successful build")
    );
    assert!(
        build
            .all(&[ci, ("TAG_NAME", "v1"), ("BRANCH_NAME", "v1")])
            .contains("tag")
    );
}

#[test]
fn auto_outside_of_a_build_is_an_error() {
    let (sandbox, _codex) = world("");
    let output = sandbox.run(&["sync", "--changed-since", "auto"]).code(2);
    insta::assert_snapshot!(output.stderr, @"
    error: `--changed-since auto` needs a build of GitHub, GitLab, Buildkite or Jenkins, which names the base revision
      hint: name a revision, e.g. `--changed-since origin/main`
    ");
    let output = sandbox
        .run(&["sync", "--changed-since", "base", "--from-codex"])
        .code(2);
    assert!(output.stderr.contains("--from-codex"), "{}", output.stderr);
}

/// No change is missed: a project that a sync of all would change is selected, whatever has changed
/// since the commit of the last sync.
#[test]
fn project_with_changes_to_publish_is_always_selected() {
    let cases = std::env::var("CODEX_TEST_CASES").map_or(4, |count| count.parse().unwrap());
    for seed in 0..cases {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let (sandbox, _codex) = world("  sync: { to_codex: { exclude: ['**/private/**'] } }\n");
        let ws = sandbox.path("ws");
        for _ in 0..6 {
            change(&sandbox, rng);
        }
        sandbox.run(&["sync", "--all", "--allow-mass-delete"]);
        commit(&sandbox, &ws);
        sandbox.git(&ws, &["tag", "-f", "base"]);

        let mut log = Vec::new();
        for _ in 0..rng.usize(1..6) {
            log.push(change(&sandbox, rng));
            match rng.u8(0..4) {
                0 => drop(commit(&sandbox, &ws)),
                1 => drop(sandbox.git(&ws, &["add", "-A"])),
                _ => {}
            }
        }
        let source = ["worktree", "committed"][rng.usize(0..2)];
        let source = format!("sync.to_codex.source={source}");
        let status = sandbox
            .run(&["status", "--json", "--config", &source])
            .json();
        let status = status["projects"].as_array().unwrap().clone();
        let selected =
            names(&projects(&sandbox, &["--changed-since", "base", "--config", &source]).code(0));
        for project in status
            .iter()
            .filter(|project| project["status"] != "up-to-date")
        {
            let name = project["name"].as_str().unwrap().to_owned();
            assert!(
                selected.contains(&name),
                "seed {seed}, {source}: {name} of {selected:?} after {log:#?}"
            );
        }
    }
}

/// Changes something in the workspace, and says what.
fn change(sandbox: &Sandbox, rng: &mut fastrand::Rng) -> String {
    let project = NAMES[rng.usize(0..NAMES.len())];
    let places = [
        "docs/a.md",
        "docs/b.md",
        "docs/deep/c.md",
        "docs/private/d.md",
        "src/e.md",
        "README.md",
    ];
    let path = format!("ws/{project}/{}", places[rng.usize(0..places.len())]);
    let real = sandbox.path(&path);
    let text = rng.u32(..).to_string();
    // A link can be at a directory of the path.
    let is_plain = real.ancestors().all(|above| !above.is_symlink());
    match rng.u8(0..10) {
        0..=3 if is_plain => {
            sandbox.write(&path, &text);
            format!("write {path}")
        }
        4 if real.is_file() => {
            fs::remove_file(&real).unwrap();
            format!("delete {path}")
        }
        5 if real.is_file() => {
            let to = sandbox.path(&format!("ws/{}/docs", NAMES[rng.usize(0..NAMES.len())]));
            fs::create_dir_all(&to).unwrap();
            fs::rename(&real, to.join("moved.md")).unwrap();
            format!("rename {path} to {}", to.display())
        }
        6 => {
            let directory = format!("ws/{project}/shared");
            sandbox.write(&format!("{directory}/x.md"), &text);
            let link = sandbox.path(&format!("ws/{project}/docs/link"));
            if !link.exists() && link.parent().unwrap().is_dir() {
                symlink("../shared", link).unwrap();
            }
            format!("link {directory}")
        }
        7 => {
            let link = sandbox.path(&format!("ws/{project}/docs/link"));
            let _ = fs::remove_file(&link);
            format!("unlink {}", link.display())
        }
        8 => {
            let include = ["docs/**", "docs/*.md", "**/*.md", "docs/**/*.md"][rng.usize(0..4)];
            let config = format!("codex: {{ sync: {{ to_codex: {{ include: ['{include}'] }} }} }}");
            sandbox.write(&format!("ws/{project}/.fractary/config.yaml"), config);
            format!("include {include} in {project}")
        }
        _ => {
            let file = sandbox.path("ws/.fractary/config.yaml");
            let config = fs::read_to_string(&file).unwrap();
            let mapping =
                format!("    {project}: {{ mappings: [{{ from: 'src/**', to: code/ }}] }}\n");
            let plain = format!("    {project}: {{}}\n");
            let config = match config.contains(&plain) {
                true => config.replace(&plain, &mapping),
                false => config.replace(&mapping, &plain),
            };
            fs::write(&file, config).unwrap();
            format!("mapping of {project}")
        }
    }
}
