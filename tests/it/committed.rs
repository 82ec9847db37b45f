//! `source: committed`: the files are published as git holds them in a commit of the project's
//! repository, and the working tree is not read.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use fractary_codex::config::LoadRequest;
use fractary_codex::environment::Environment;
use fractary_codex::event::{Silent, Stage};
use fractary_codex::internals::{Counter, Snapshot, Sources, StatCachePolicy};
use fractary_codex::interrupt::Interrupt;
use fractary_codex::outcome::ScanError;
use fractary_codex::workspace;
use proptest::prelude::*;

use crate::support::{Codex, Sandbox};

/// A workspace whose directory is a repository with one commit of these files.
fn world(files: &[(&str, &str)]) -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    for (path, contents) in files {
        sandbox.write(&format!("ws/{path}"), contents);
    }
    init(&sandbox, "ws");
    (sandbox, codex)
}

/// Makes a directory a repository, and commits its files.
fn init(sandbox: &Sandbox, directory: &str) {
    let path = sandbox.path(directory);
    sandbox.git(&path, &["init", "-q", "-b", "main", "--template="]);
    commit(sandbox, directory);
}

/// Commits the files of a directory, and returns the commit.
fn commit(sandbox: &Sandbox, directory: &str) -> String {
    let path = sandbox.path(directory);
    sandbox.git(&path, &["add", "-A"]);
    sandbox.git(&path, &["commit", "-q", "-m", "change"]);
    head(sandbox, &path)
}

fn head(sandbox: &Sandbox, directory: &Path) -> String {
    sandbox
        .git(directory, &["rev-parse", "HEAD"])
        .trim()
        .to_owned()
}

const SYNC: [&str; 4] = ["sync", "--all", "--source", "committed"];

#[test]
fn the_committed_files_are_published_whatever_is_on_disk() {
    let files = [("alpha/docs/a.md", "old"), ("alpha/docs/gone.md", "kept")];
    let (sandbox, codex) = world(&files);
    let committed = head(&sandbox, &sandbox.path("ws"));
    sandbox.write("ws/alpha/docs/a.md", "new");
    sandbox.write("ws/alpha/docs/draft.md", "draft");
    sandbox.remove("ws/alpha/docs/gone.md");

    sandbox.run(&SYNC).code(0);
    let paths = ["projects/alpha/docs/a.md", "projects/alpha/docs/gone.md"];
    assert_eq!(codex.paths(), paths);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "old");
    let message = codex.git(&["log", "-1", "--format=%B", "main"]);
    assert!(
        message.contains(&format!("Codex-Source-Commit: {committed}\n")),
        "{message}"
    );
    assert!(!message.contains("dirty"), "{message}");
    codex.assert_sound();

    // The files on disk are published again without the option.
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "new");
}

#[test]
fn another_revision_is_published_and_named() {
    let (sandbox, codex) = world(&[("alpha/docs/a.md", "one")]);
    let first = head(&sandbox, &sandbox.path("ws"));
    sandbox.git(&sandbox.path("ws"), &["tag", "v1"]);
    sandbox.write("ws/alpha/docs/a.md", "two");
    commit(&sandbox, "ws");

    sandbox
        .run(&["sync", "--all", "--source-rev", "v1"])
        .code(0);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "one");
    let message = codex.git(&["log", "-1", "--format=%B", "main"]);
    assert!(
        message.contains(&format!("Codex-Source-Commit: {first}\n")),
        "{message}"
    );

    sandbox
        .run(&["sync", "--all", "--source-rev", "HEAD"])
        .code(0);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "two");
    let unknown = sandbox
        .run(&["sync", "--all", "--source-rev", "v2"])
        .code(1);
    assert!(
        unknown.stderr.contains("has no commit `v2`"),
        "{}",
        unknown.stderr
    );
    let both = [
        "sync",
        "--all",
        "--source",
        "worktree",
        "--source-rev",
        "v1",
    ];
    sandbox.run(&both).code(2);
}

#[test]
fn a_second_run_reads_no_object() {
    let (sandbox, codex) = world(&[("alpha/docs/a.md", "one"), ("alpha/docs/b.md", "two")]);
    sandbox.run(&SYNC).code(0);
    let tip = codex.tip();

    // Without its blobs the repository has nothing to read the files from.
    let objects = sandbox.path("ws/.git/objects");
    for path in ["alpha/docs/a.md", "alpha/docs/b.md"] {
        let id = sandbox.git(&sandbox.path("ws"), &["rev-parse", &format!("HEAD:{path}")]);
        let (directory, name) = id.trim().split_at(2);
        fs::remove_file(objects.join(directory).join(name)).unwrap();
    }
    let output = sandbox.run(&[&SYNC[..], &["--json"]].concat()).code(0);
    assert_eq!(output.json()["projects"][0]["unchanged"], 2);
    assert_eq!(codex.tip(), tip);

    // A missing object is an error of the project.
    let output = sandbox
        .run(&[&SYNC[..], &["--rescan", "--json"]].concat())
        .code(1);
    let error = &output.json()["projects"][0]["error"];
    assert_eq!(error["kind"], "source", "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("cannot read `docs/a.md`"),
        "{error}"
    );
}

#[test]
fn a_blob_that_disappears_before_it_is_sent_fails_its_project() {
    let (sandbox, codex) = world(&[("alpha/docs/a.md", "one")]);
    sandbox.run(&SYNC).code(0);
    let before = codex.tip();
    // The recorded files are those of a tree whose blob the repository has lost meanwhile.
    codex.commit(&[("100644", "projects/alpha/docs/a.md", "theirs")], &[]);
    let id = sandbox.git(&sandbox.path("ws"), &["rev-parse", "HEAD:alpha/docs/a.md"]);
    let (directory, name) = id.trim().split_at(2);
    fs::remove_file(sandbox.path("ws/.git/objects").join(directory).join(name)).unwrap();

    let output = sandbox.run(&[&SYNC[..], &["--json"]].concat()).code(1);
    assert_eq!(output.json()["projects"][0]["error"]["kind"], "source");
    assert_ne!(codex.tip(), before);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "theirs");
}

#[test]
fn packed_shallow_and_alternate_objects_and_linked_worktrees_are_read() {
    let (sandbox, codex) = world(&[("alpha/docs/a.md", "one")]);
    sandbox.write("ws/alpha/docs/a.md", "two");
    commit(&sandbox, "ws");
    let source = sandbox.path("ws");
    sandbox.git(&source, &["repack", "-adq"]);
    let url = format!("file://{}", source.display());
    let all = sandbox.path("");
    sandbox.git(&all, &["clone", "-q", "--depth=1", &url, "shallow"]);
    sandbox.git(&all, &["clone", "-q", "--shared", "ws", "shared"]);
    sandbox.git(
        &source,
        &["worktree", "add", "-q", "-f", "--detach", "../linked"],
    );

    for (number, directory) in ["ws", "shallow", "shared", "linked"]
        .into_iter()
        .enumerate()
    {
        let root = sandbox.path(directory).join("alpha");
        let root = format!("projects.alpha.root={}", root.display());
        let to = format!("projects.alpha.to=copies/{number}");
        sandbox
            .run(&[&SYNC[..], &["--config", &root, "--config", &to]].concat())
            .code(0);
        assert_eq!(codex.file(&format!("copies/{number}/docs/a.md")), "two");
    }
}

#[test]
fn a_partial_clone_publishes_the_projects_whose_objects_it_has() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta"], "");
    sandbox.write("ws/alpha/docs/a.md", "alpha");
    sandbox.write("ws/beta/docs/b.md", "beta");
    init(&sandbox, "ws");
    let source = sandbox.path("ws");
    sandbox.git(&source, &["config", "uploadpack.allowFilter", "true"]);
    sandbox.git(
        &source,
        &["config", "uploadpack.allowAnySHA1InWant", "true"],
    );
    let url = format!("file://{}", source.display());
    let clone = [
        "clone",
        "-q",
        "--no-checkout",
        "--filter=blob:none",
        &url,
        "partial",
    ];
    sandbox.git(&sandbox.path(""), &clone);
    let partial = sandbox.path("partial");
    let mut roots = Vec::new();
    for name in ["alpha", "beta"] {
        fs::create_dir(partial.join(name)).unwrap();
        roots.push(format!(
            "projects.{name}.root={}",
            partial.join(name).display()
        ));
    }
    // git fetches the missing object when it is asked for it.
    sandbox.git(&partial, &["cat-file", "-e", "HEAD:beta/docs/b.md"]);

    let sync = ["sync", "--all", "--source=committed", "--json"];
    let sync = [&sync[..], &["--config", &roots[0], "--config", &roots[1]]].concat();
    let output = sandbox.run(&sync).code(1);
    let missing = sandbox.git(&source, &["rev-parse", "HEAD:alpha/docs/a.md"]);
    let error = output.json()["projects"][0]["error"].to_string();
    assert!(
        error.contains(missing.trim()) && error.contains("is missing"),
        "{error}"
    );
    assert_eq!(output.json()["projects"][1]["status"], "synced");
    assert_eq!(codex.file("projects/beta/docs/b.md"), "beta");
    sandbox.git(&partial, &["cat-file", "-e", "HEAD:alpha/docs/a.md"]);
    sandbox.run(&sync).code(0);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "alpha");
}

#[test]
fn links_are_resolved_in_the_commit() {
    let (sandbox, codex) = world(&[
        ("alpha/docs/a.md", "one"),
        ("alpha/src/x.md", "x"),
        ("other/o.md", "o"),
    ]);
    for (target, link) in [
        ("../src", "sub"),
        ("../src/x.md", "x.md"),
        ("../src/draft.md", "draft.md"),
        ("../../other/o.md", "out.md"),
        ("..", "loop"),
    ] {
        symlink(target, sandbox.path("ws/alpha/docs").join(link)).unwrap();
    }
    commit(&sandbox, "ws");
    // Not committed, so that no link leads to it.
    sandbox.write("ws/alpha/src/draft.md", "draft");

    let output = sandbox.run(&SYNC).code(0);
    let paths =
        ["docs/a.md", "docs/sub/x.md", "docs/x.md"].map(|path| format!("projects/alpha/{path}"));
    assert_eq!(codex.paths(), paths);
    for skipped in [
        "skipped `docs/draft.md`: the symlink is broken",
        "skipped `docs/out.md`: the symlink points outside",
        "skipped `docs/loop`: the symlink points to a directory that contains it",
    ] {
        assert!(output.stderr.contains(skipped), "{}", output.stderr);
    }
}

#[test]
fn private_files_ignored_files_and_submodules() {
    let (sandbox, codex) = world(&[
        ("alpha/docs/a.md", "one"),
        ("alpha/.gitignore", "built.md\n"),
    ]);
    sandbox.write("ws/alpha/docs/built.md", "built");
    sandbox.write("ws/alpha/.fractary/config.local.yaml", "secret");
    sandbox.write("lib/docs/l.md", "lib");
    init(&sandbox, "lib");
    let ws = sandbox.path("ws");
    sandbox.git(&ws, &["add", "-f", "alpha"]);
    sandbox.add_submodule(&ws, "../lib", "alpha/lib");
    commit(&sandbox, "ws");

    let include = r#"sync.to_codex.include=["docs/**", "lib/**", ".fractary/**"]"#;
    let ignore = "sync.respect_gitignore=true";
    let output = sandbox
        .run(&[&SYNC[..], &["--config", include, "--config", ignore]].concat())
        .code(0);
    // What is committed is tracked, also if a rule would ignore it.
    let paths = ["projects/alpha/docs/a.md", "projects/alpha/docs/built.md"];
    assert_eq!(codex.paths(), paths);
    assert!(
        output.stderr.contains("skipped the files below `lib`"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_source_without_a_usable_commit_says_why() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/docs/a.md", "a");
    let message = || {
        let output = sandbox.run(&[&SYNC[..], &["--json"]].concat()).code(1);
        let error = output.json()["projects"][0]["error"].clone();
        error["message"].as_str().unwrap().to_owned()
    };
    assert!(
        message().ends_with("it is not in a git repository"),
        "{}",
        message()
    );

    let root = sandbox.path("ws/alpha");
    sandbox.git(&root, &["init", "-q", "-b", "main"]);
    assert!(
        message().ends_with("its repository has no commit yet"),
        "{}",
        message()
    );

    fs::remove_dir_all(root.join(".git")).unwrap();
    sandbox.git(
        &root,
        &["init", "-q", "-b", "main", "--object-format=sha256"],
    );
    assert!(
        message().contains("SHA-256 object ids are not supported"),
        "{}",
        message()
    );

    fs::remove_dir_all(root.join(".git")).unwrap();
    sandbox.git(&root, &["init", "-q", "--ref-format=reftable"]);
    sandbox.git(&root, &["add", "."]);
    sandbox.git(&root, &["commit", "-q", "-m", "one"]);
    let reftable = "references in the reftable format are not supported";
    assert!(message().contains(reftable), "{}", message());

    fs::remove_dir_all(root.join(".git")).unwrap();
    sandbox.write("ws/README.md", "root");
    let ws = sandbox.path("ws");
    sandbox.git(&ws, &["init", "-q", "-b", "main"]);
    sandbox.git(&ws, &["add", "README.md"]);
    sandbox.git(&ws, &["commit", "-q", "-m", "one"]);
    assert!(message().contains("is not in the commit"), "{}", message());
}

#[test]
fn one_repository_can_have_many_projects_with_either_source() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["beta"],
        "    alpha: { sync: { to_codex: { source: committed } } }\n",
    );
    for name in ["alpha", "beta"] {
        sandbox.write(&format!("ws/{name}/docs/a.md"), "committed");
    }
    init(&sandbox, "ws");
    for name in ["alpha", "beta"] {
        sandbox.write(&format!("ws/{name}/docs/a.md"), "on disk");
    }
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.file("projects/alpha/docs/a.md"), "committed");
    assert_eq!(codex.file("projects/beta/docs/a.md"), "on disk");
    let listed = sandbox.run(&["projects", "--json"]).code(0);
    assert_eq!(listed.json()["projects"][0]["files"], 1);
}

/// An entry of a working tree.
#[derive(Debug, Clone)]
enum Planted {
    File { contents: String, executable: bool },
    Link(&'static str),
}

fn planted() -> impl Strategy<Value = Planted> {
    let targets = vec![
        "a",
        "b",
        ".",
        "..",
        "../a",
        "../b",
        "a/b",
        "x.md",
        "../x.md",
        "a/x.md",
        "../a/x.md",
        "./a/../b",
        "../../p/a",
        "../../q",
        "../../..",
        "/",
        "missing",
        "a/missing",
        "x.md/",
        "x.md/..",
        "link",
        "../link",
        "b/link/x.md",
    ];
    prop_oneof![
        3 => ("[a-c]{0,3}", any::<bool>())
            .prop_map(|(contents, executable)| Planted::File { contents, executable }),
        2 => prop::sample::select(targets).prop_map(Planted::Link),
    ]
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<&[u8]> = vec![
        b"a",
        b"b",
        b"link",
        b"x.md",
        b"\xc3\xbc.md",
        b"\xff.md",
        b"a b",
        b".fractary",
        b"config.local.yaml",
        b"env",
        b"node_modules",
        b"\n",
    ];
    let directory = prop::sample::select(vec!["p", "p", "p", "q", ""]);
    (
        directory,
        prop::collection::vec(prop::sample::select(names), 1..4),
    )
        .prop_map(|(directory, names)| {
            let below: Vec<u8> = bstr::join("/", names);
            match directory {
                "" => below,
                _ => bstr::join("/", [directory.as_bytes(), &below]),
            }
        })
}

/// Writes the entries that fit together, and commits them.
fn plant(directory: &Path, entries: &BTreeMap<Vec<u8>, Planted>) {
    for (path, entry) in entries {
        let path = directory.join(OsStr::from_bytes(path));
        let parent = path.parent().unwrap();
        let is_inside = |parent: &Path| parent.canonicalize().is_ok_and(|real| real == parent);
        let fits = fs::create_dir_all(parent).is_ok() && is_inside(parent);
        if !fits || path.symlink_metadata().is_ok() {
            continue;
        }
        match entry {
            Planted::File {
                contents,
                executable,
            } => {
                fs::write(&path, contents).unwrap();
                let mode = if *executable { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            Planted::Link(target) => symlink(target, &path).unwrap(),
        }
    }

    let mut options = git2::RepositoryInitOptions::new();
    options.external_template(false);
    let repository = git2::Repository::init_opts(directory, &options).unwrap();
    let mut index = repository.index().unwrap();
    index
        .add_all(["*"], git2::IndexAddOption::FORCE, None)
        .unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let nobody = git2::Signature::new("a", "a", &git2::Time::new(0, 0)).unwrap();
    repository
        .commit(Some("HEAD"), &nobody, &nobody, "", &tree, &[])
        .unwrap();
}

/// Scans the project in the directory `p` of a repository with these symlinks, and of another
/// project at the path `other`.
fn scanned(
    repository: &Path,
    source: &str,
    symlinks: &str,
    other: Option<&str>,
) -> Option<Result<Snapshot, ScanError>> {
    let mapping = "[{from = 'b/**', to = 'm/', exclude = ['**/link']}]";
    let include = "['a/**', 'link/**', '*.md', '.fractary/**']";
    let sync = format!(
        "{{symlinks = '{symlinks}', max_file_size = 2, to_codex = {{include = {include}, exclude = ['a/b/x.md'], source = '{source}'}}}}"
    );
    let other = other.map_or_else(String::new, |other| format!(", o = {{root = '{other}'}}"));
    let projects = format!("{{p = {{root = 'p', mappings = {mapping}, sync = {sync}}}{other}}}");
    let variables = [
        ("FRACTARY_CODEX_REMOTE__URL", "/codex.git"),
        ("FRACTARY_CODEX_PROJECTS", &projects),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut request = LoadRequest::new(repository.to_owned(), Environment::from_iter(variables));
    let state = repository.with_file_name("state");
    request.state_home = Some(state.clone());
    // A symlink in the place of `.fractary` can lead the cache out of the workspace.
    let (_, workspace) = workspace::load(&request).ok()?;
    let project = workspace
        .projects
        .iter()
        .find(|project| project.name.as_str() == "p");

    let caches = StatCachePolicy::new(&state);
    let counter = Counter::new(&Silent, Stage::Scan, None);
    Some(Sources::default().scan(project.unwrap(), &caches, &Interrupt::default(), &counter))
}

/// The parts of a snapshot that decide what is published. A symlink out of the repository is
/// skipped for another reason if its target does not exist on disk.
fn published(snapshot: &Snapshot) -> impl PartialEq + std::fmt::Debug {
    let skipped: BTreeSet<_> = snapshot
        .skipped
        .iter()
        .map(|one| one.source.clone())
        .collect();
    (snapshot.files.clone(), skipped, snapshot.unmatched.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The files of a clean checkout are published as those of its commit, whatever links,
    /// modes, names and other projects there are, and a second scan gives the same.
    #[test]
    fn a_clean_checkout_equals_its_commit(
        entries in prop::collection::btree_map(path(), planted(), 1..14),
        symlinks in prop::sample::select(vec!["follow-inside", "skip", "preserve"]),
        other in prop::option::of(prop::sample::select(vec!["p/a", "p/b", "p/a/b", "q"])),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let repository = directory.path().canonicalize().unwrap().join("repository");
        fs::create_dir_all(repository.join("p")).unwrap();
        plant(&repository, &entries);

        let on_disk = scanned(&repository, "worktree", symlinks, other);
        prop_assume!(on_disk.is_some());
        let on_disk = on_disk.unwrap().unwrap();
        let committed = || scanned(&repository, "committed", symlinks, other).unwrap();
        match committed() {
            Ok(snapshot) => {
                prop_assert_eq!(published(&on_disk), published(&snapshot));
                prop_assert_eq!(committed().unwrap(), snapshot);
            }
            // git has no empty directories.
            Err(error) => {
                let is_missing = matches!(error, ScanError::RootNotCommitted { .. });
                prop_assert!(is_missing && on_disk.files.is_empty(), "{}", error);
            }
        }
    }
}
