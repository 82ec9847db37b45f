//! A kept clone (`clone.strategy: cached`) that is damaged is thrown away and fetched again, in the same run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Codex, Sandbox};

const FROM_CODEX: &str = "sync.from_codex.include=['codex://acme/core/**']";

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Missing,
    Empty,
    Cut,
    Flipped,
}

use Damage::{Cut, Empty, Flipped, Missing};

impl Damage {
    fn apply(self, file: &Path) {
        let mut contents = fs::read(file).unwrap();
        let middle = contents.len() / 2;
        fs::remove_file(file).unwrap();
        match self {
            Missing => return,
            Empty => contents.clear(),
            Cut => contents.truncate(middle),
            Flipped => contents[middle] ^= 0x15,
        }
        fs::write(file, contents).unwrap();
    }
}

struct KeptWorld {
    sandbox: Sandbox,
    codex: Codex,
}

impl KeptWorld {
    /// A kept clone with trees in one pack, contents in another, what was published in a third, and a shallow history.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        codex.commit(
            &[
                ("100644", "README.md", "the codex"),
                ("100644", "projects/core/deep/a.md", "from the codex"),
                ("100644", "projects/other/b.md", "of another"),
            ],
            &[],
        );
        codex.go_on(2);
        sandbox.serve();
        let world = Self { sandbox, codex };
        world.change("first");
        world.sync();
        world
    }

    fn change(&self, text: &str) {
        let document = [("100644", "projects/core/deep/a.md", text)];
        self.codex.commit(&document, &[]);
        self.sandbox.write("ws/alpha/docs/a.md", text);
    }

    /// Publishes and pulls; both must be done.
    #[track_caller]
    fn sync(&self) {
        let limits = "remote.timeout={connect='30s', idle='30s', push_verdict='60s'}";
        let arguments = ["sync", "--all", "--bidirectional", "--json"];
        let config = ["--config", FROM_CODEX, "--config", limits];
        let strategy = ["--config", "clone.strategy=cached"];
        let output = self
            .sandbox
            .run(&[&arguments[..], &config, &strategy].concat())
            .code(0);
        assert_eq!(output.json()["pushed"], true);
        let source = fs::read_to_string(self.sandbox.path("ws/alpha/docs/a.md")).unwrap();
        assert_eq!(self.codex.file("projects/alpha/docs/a.md"), source);
        let pulled = "ws/.fractary/codex/cache/projects/core/deep/a.md";
        assert_eq!(
            fs::read_to_string(self.sandbox.path(pulled)).unwrap(),
            source
        );
        self.codex.assert_sound();
    }

    /// The kept clone.
    fn clone(&self) -> PathBuf {
        let clones = self.sandbox.path("home/.cache/fractary-codex/clones");
        let entry = fs::read_dir(clones).unwrap().next().unwrap().unwrap();
        entry.path().join("codex.git")
    }

    fn packed(&self, extension: &str) -> Vec<PathBuf> {
        let files = fs::read_dir(self.clone().join("objects/pack")).unwrap();
        let mut files: Vec<_> = files
            .map(|file| file.unwrap().path())
            .filter(|file| file.extension().is_some_and(|end| end == extension))
            .collect();
        files.sort();
        files
    }
}

/// The next sync does its job although `damage` was done to the kept clone.
#[track_caller]
fn heals(world: &KeptWorld, case: &str, damage: impl Fn(&KeptWorld)) {
    damage(world);
    world.change(case);
    world.sync();
}

#[test]
fn a_sound_kept_clone_is_used_again() {
    let world = KeptWorld::new();
    let packs = world.packed("pack");
    for text in ["second", "third"] {
        world.change(text);
        world.sync();
        let now = world.packed("pack");
        assert!(packs.iter().all(|pack| now.contains(pack)), "{now:?}");
    }
}

#[test]
fn a_damaged_pack_of_a_kept_clone_heals() {
    let world = KeptWorld::new();
    for extension in ["pack", "idx"] {
        for damage in [Missing, Empty, Cut, Flipped] {
            heals(&world, &format!("{damage:?} {extension}"), |world| {
                let files = world.packed(extension);
                assert!(files.len() >= 3, "{files:?}");
                files.iter().for_each(|file| damage.apply(file));
            });
        }
    }
}

#[test]
fn one_damaged_pack_of_several_heals() {
    let world = KeptWorld::new();
    for number in 0..world.packed("pack").len() {
        heals(&world, &format!("both files of pack {number}"), |world| {
            for extension in ["pack", "idx"] {
                Missing.apply(&world.packed(extension)[number]);
            }
        });
        heals(&world, &format!("a bit of pack {number}"), |world| {
            Flipped.apply(&world.packed("pack")[number]);
        });
    }
}

#[test]
fn damaged_files_of_a_kept_clone_heal() {
    let world = KeptWorld::new();
    for file in ["HEAD", "config", "refs/codex/tip", "shallow"] {
        for damage in [Missing, Empty, Cut, Flipped] {
            heals(&world, &format!("{damage:?} {file}"), |world| {
                damage.apply(&world.clone().join(file));
            });
        }
    }
}

#[test]
fn other_damage_to_a_kept_clone_heals() {
    let world = KeptWorld::new();
    let gone = "0123456789012345678901234567890123456789";
    let write = |world: &KeptWorld, file: &str, text: &str| {
        let path = world.clone().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    heals(&world, "a tip that is not there", |world| {
        write(world, "refs/codex/tip", &format!("{gone}\n"));
    });
    heals(&world, "another commit as the end of history", |world| {
        write(world, "shallow", &format!("{gone}\n"));
    });
    heals(&world, "a damaged loose object", |world| {
        write(world, &format!("objects/01/{}", &gone[2..]), "");
    });
    heals(&world, "another ref", |world| {
        write(world, "refs/heads/main", &format!("{gone}\n"));
    });
    heals(&world, "packed refs", |world| {
        write(world, "packed-refs", &format!("{gone} refs/codex/tip\n"));
    });
    heals(&world, "objects elsewhere", |world| {
        write(world, "objects/info/alternates", "/nowhere\n");
    });
    heals(&world, "a pack that was not finished", |world| {
        write(world, "objects/pack/tmp_pack_abcdef", "PACK");
    });
    heals(&world, "a lock that was left", |world| {
        write(world, "shallow.lock", "");
        write(world, "refs/codex/tip.lock", "");
    });
    heals(&world, "no directory of objects", |world| {
        fs::remove_dir_all(world.clone().join("objects")).unwrap();
    });
    heals(&world, "a file in its place", |world| {
        let clone = world.clone();
        fs::remove_dir_all(&clone).unwrap();
        fs::write(clone, "").unwrap();
    });
    heals(&world, "a link in its place", |world| {
        let clone = world.clone();
        fs::remove_dir_all(&clone).unwrap();
        std::os::unix::fs::symlink(world.codex.path(), clone).unwrap();
    });
}

/// An object that a fetch does not look at, and the run needs.
#[test]
fn an_inner_tree_that_is_missing_heals() {
    let world = KeptWorld::new();
    for path in [
        "main:projects/alpha",
        "main:projects/core/deep",
        "main:projects/other",
    ] {
        // Every pack is whole, and holds everything but this tree.
        let tree = world.codex.git(&["rev-parse", path]);
        let tree = tree.trim().to_owned();
        heals(&world, path, |world| {
            let clone = world.clone();
            let git = |arguments: &[&str]| world.sandbox.git(&clone, arguments);
            let listed = git(&[
                "cat-file",
                "--batch-all-objects",
                "--batch-check=%(objectname)",
            ]);
            let kept: String = listed
                .lines()
                .filter(|id| *id != tree)
                .map(|id| format!("{id}\n"))
                .collect();
            world.sandbox.write("kept", kept);
            let list = world.sandbox.path("kept");
            let script = format!(
                "cd objects/pack && git pack-objects -q pack < {} > ../../new && for f in pack-*; do case $f in pack-$(cat ../../new).*) ;; *) rm -f $f;; esac; done; touch pack-$(cat ../../new).promisor; rm ../../new",
                list.display()
            );
            let mut command = world.sandbox.command("sh");
            command.args(["-c", &script]).current_dir(&clone);
            assert!(command.status().unwrap().success());
            assert_eq!(world.packed("pack").len(), 1);
        });
    }
}
