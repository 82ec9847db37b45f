//! A codex at a path of this machine: it is read in place, and only git itself writes to it.

use std::fs;

use crate::support::{Codex, Sandbox, executable};

/// One project, and a `git` that logs the commands that the program runs.
struct World {
    sandbox: Sandbox,
    codex: Codex,
}

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let pulled = "  sync: { from_codex: { include: ['codex://acme/other/**'] } }\n";
        let codex = sandbox.workspace(&["alpha"], pulled);
        codex.commit(&[("100644", "projects/other/a.md", "theirs")], &[]);
        sandbox.write("ws/alpha/README.md", "alpha");
        let real = sandbox.git(&sandbox.path("ws"), &["--exec-path"]);
        let log = sandbox.path("commands");
        let script = format!(
            "echo \"$1\" >> {}\nexec {}/git \"$@\"",
            log.display(),
            real.trim()
        );
        executable::script(&sandbox.path("bin/git"), &script);
        Self { sandbox, codex }
    }

    /// Runs the program, and returns the commands of git that it ran.
    fn commands(&self, arguments: &[&str]) -> Vec<String> {
        let log = self.sandbox.path("commands");
        fs::write(&log, "").unwrap();
        let mut command = self.sandbox.program(arguments);
        command.env("FRACTARY_CODEX_REMOTE__TRANSPORT", "native");
        self.sandbox.finish(command).code(0);
        let logged = fs::read_to_string(&log).unwrap();
        logged.lines().map(str::to_owned).collect()
    }

    fn change(&self, contents: &str) {
        self.sandbox.write("ws/alpha/README.md", contents);
    }
}

const SYNC: &[&str] = &["sync", "--all"];

#[test]
fn reading_starts_no_process_and_a_push_starts_one() {
    let world = World::new();
    assert_eq!(world.commands(&["sync", "--all", "--dry-run"]), [""; 0]);
    assert_eq!(world.commands(SYNC), ["receive-pack"]);
    assert_eq!(world.commands(SYNC), [""; 0]);
    let other = ("100644", "projects/other/b.md", "more");
    world.codex.commit(&[other], &[]);
    world.change("second");
    assert_eq!(world.commands(SYNC), ["receive-pack"]);
    assert_eq!(world.codex.file("projects/alpha/README.md"), "second");
    assert_eq!(world.codex.file("projects/other/b.md"), "more");
    assert_eq!(world.commands(&["sync", "--all", "--from-codex"]), [""; 0]);
    let pulled = "ws/.fractary/codex/cache/projects/other/b.md";
    assert_eq!(
        fs::read_to_string(world.sandbox.path(pulled)).unwrap(),
        "more"
    );
    world.codex.assert_sound();
}

#[test]
fn objects_of_an_alternate_are_read() {
    let world = World::new();
    world.commands(SYNC);
    let lender = world.sandbox.path("lender.git");
    fs::create_dir(&lender).unwrap();
    let objects = world.codex.path().join("objects");
    fs::rename(&objects, lender.join("objects")).unwrap();
    fs::create_dir_all(objects.join("info")).unwrap();
    let line = format!("{}\n", lender.join("objects").display());
    fs::write(objects.join("info/alternates"), line).unwrap();

    world.change("second");
    assert_eq!(world.commands(SYNC), ["receive-pack"]);
    assert_eq!(world.codex.file("projects/alpha/README.md"), "second");
    world.codex.assert_sound();
}

#[test]
fn a_loose_object_whose_file_ends_early_is_an_error() {
    let world = World::new();
    world.commands(SYNC);
    let path_of = |revision: &str| {
        let id = world.codex.git(&["rev-parse", revision]);
        let (directory, name) = id.trim().split_at(2);
        world
            .codex
            .path()
            .join("objects")
            .join(directory)
            .join(name)
    };
    let packs = world.codex.path().join("objects/pack");
    for entry in fs::read_dir(&packs).unwrap().map(Result::unwrap) {
        let pack = world.sandbox.path(entry.file_name().to_str().unwrap());
        fs::rename(entry.path(), &pack).unwrap();
        if pack.extension().unwrap() == "pack" {
            let mut command = world.sandbox.command("git");
            command.arg("-C").arg(world.codex.path());
            command.args(["unpack-objects", "-q"]);
            command.stdin(fs::File::open(&pack).unwrap());
            world.sandbox.finish(command).code(0);
        }
    }
    let pull = |case: &str| {
        world.sandbox.remove("ws/.fractary/codex");
        let mut command = world.sandbox.command("timeout");
        command
            .args(["--kill-after=1", "30", env!("CARGO_BIN_EXE_fractary-codex")])
            .args(["sync", "--all", "--from-codex"]);
        let output = world.sandbox.finish(command);
        assert_ne!(output.code, Some(124), "{case} hangs");
        output
    };

    // git sends all objects or none.
    let unreadable_blob = if world.sandbox.uses_git() { 4 } else { 1 };
    for (revision, code) in [
        ("main", 4),
        ("main^{tree}", 4),
        ("main:projects/other", 4),
        ("main:projects/other/a.md", unreadable_blob),
    ] {
        let object = path_of(revision);
        let whole = fs::read(&object).unwrap();
        fs::remove_file(&object).unwrap();
        fs::write(&object, &whole[..whole.len() / 2]).unwrap();
        let output = pull(revision).code(code);
        for (text, is_expected) in [("git fsck", true), ("try again", false)] {
            let is_reported = output.stderr.contains(text);
            assert_eq!(is_reported, is_expected, "{revision}: {}", output.stderr);
        }
        assert_eq!(world.sandbox.leftovers(), [""; 0], "{revision}");
        fs::write(&object, &whole).unwrap();
        pull(revision).code(0);
    }
}

#[test]
fn a_repository_that_git_shows_otherwise_than_it_is_on_disk_is_read_through_git() {
    for (key, value) in [
        ("transfer.hideRefs", "refs/heads/secret"),
        ("uploadpack.hideRefs", "refs/heads/secret"),
        ("remote.origin.promisor", "true"),
    ] {
        let world = World::new();
        world.codex.git(&["config", key, value]);
        let commands = world.commands(SYNC);
        assert_eq!(commands, ["upload-pack", "receive-pack"], "{key}");
        assert_eq!(world.codex.file("projects/alpha/README.md"), "alpha");
    }
}

#[test]
fn a_push_that_was_expected_and_does_not_come_leaves_no_process() {
    let world = World::new();
    for number in 0..30 {
        world
            .sandbox
            .write(&format!("ws/alpha/docs/{number}.md"), "text");
    }
    world.commands(SYNC);
    // A changed file, but the deletions of its project are withheld.
    world.change("second");
    world.sandbox.remove("ws/alpha/docs");
    world.sandbox.run(SYNC).code(1);
    assert_eq!(world.sandbox.processes(), 0);
    assert_eq!(world.codex.file("projects/alpha/README.md"), "alpha");
}
