//! A damaged cached clone (`clone.strategy: cached`) is deleted and fetched again in the same run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Codex, Sandbox};

const FROM_CODEX: &str = "sync.from_codex.include=['codex://acme/core/**']";

/// The damage of a file.
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

struct CachedWorld {
    sandbox: Sandbox,
    codex: Codex,
}

impl CachedWorld {
    /// A cached clone with a shallow history and three packs: trees, contents, and published
    /// objects.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let codex = sandbox.workspace(&["alpha"], "");
        codex.commit(
            &[
                ("100644", "README.md", "the codex"),
                ("100644", "projects/core/deep/a.md", "from the codex"),
                ("100644", "projects/other/b.md", "another project"),
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

    /// Publishes and pulls, and checks that both were done.
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

    /// The directory of the cached clone.
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

/// Damages the clone, and checks that the next sync succeeds.
#[track_caller]
fn assert_repaired(world: &CachedWorld, case: &str, damage: impl Fn(&CachedWorld)) {
    damage(world);
    world.change(case);
    world.sync();
}

#[test]
fn intact_clone_is_reused() {
    let world = CachedWorld::new();
    let packs = world.packed("pack");
    for text in ["second", "third"] {
        world.change(text);
        world.sync();
        let now = world.packed("pack");
        assert!(packs.iter().all(|pack| now.contains(pack)), "{now:?}");
    }
}

#[test]
fn damaged_packs_are_fetched_again() {
    let world = CachedWorld::new();
    for extension in ["pack", "idx"] {
        for damage in [Missing, Empty, Cut, Flipped] {
            assert_repaired(&world, &format!("{damage:?} {extension}"), |world| {
                let files = world.packed(extension);
                assert!(files.len() >= 3, "{files:?}");
                files.iter().for_each(|file| damage.apply(file));
            });
        }
    }
}

#[test]
fn single_damaged_pack_is_fetched_again() {
    let world = CachedWorld::new();
    for number in 0..world.packed("pack").len() {
        assert_repaired(&world, &format!("both files of pack {number}"), |world| {
            for extension in ["pack", "idx"] {
                Missing.apply(&world.packed(extension)[number]);
            }
        });
        assert_repaired(&world, &format!("a bit of pack {number}"), |world| {
            Flipped.apply(&world.packed("pack")[number]);
        });
    }
}

#[test]
fn damaged_refs_and_settings_are_replaced() {
    let world = CachedWorld::new();
    for file in ["HEAD", "config", "refs/codex/tip", "shallow"] {
        for damage in [Missing, Empty, Cut, Flipped] {
            assert_repaired(&world, &format!("{damage:?} {file}"), |world| {
                damage.apply(&world.clone().join(file));
            });
        }
    }
}

#[test]
fn other_damage_is_repaired() {
    let world = CachedWorld::new();
    let unknown = "0123456789012345678901234567890123456789";
    let write = |world: &CachedWorld, file: &str, text: &str| {
        let path = world.clone().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    assert_repaired(&world, "a tip that does not exist", |world| {
        write(world, "refs/codex/tip", &format!("{unknown}\n"));
    });
    assert_repaired(&world, "an unknown commit in `shallow`", |world| {
        write(world, "shallow", &format!("{unknown}\n"));
    });
    assert_repaired(&world, "a damaged loose object", |world| {
        write(world, &format!("objects/01/{}", &unknown[2..]), "");
    });
    assert_repaired(&world, "another ref", |world| {
        write(world, "refs/heads/main", &format!("{unknown}\n"));
    });
    assert_repaired(&world, "packed refs", |world| {
        write(world, "packed-refs", &format!("{unknown} refs/codex/tip\n"));
    });
    assert_repaired(&world, "alternate objects", |world| {
        write(world, "objects/info/alternates", "/nowhere\n");
    });
    assert_repaired(&world, "an incomplete pack", |world| {
        write(world, "objects/pack/tmp_pack_abcdef", "PACK");
    });
    assert_repaired(&world, "lock files of a killed run", |world| {
        write(world, "shallow.lock", "");
        write(world, "refs/codex/tip.lock", "");
    });
    assert_repaired(&world, "no object directory", |world| {
        fs::remove_dir_all(world.clone().join("objects")).unwrap();
    });
    assert_repaired(&world, "a file in place of the clone", |world| {
        let clone = world.clone();
        fs::remove_dir_all(&clone).unwrap();
        fs::write(clone, "").unwrap();
    });
    assert_repaired(&world, "a link in place of the clone", |world| {
        let clone = world.clone();
        fs::remove_dir_all(&clone).unwrap();
        std::os::unix::fs::symlink(world.codex.path(), clone).unwrap();
    });
}

/// A fetch does not notice that this tree is missing, but the run needs it.
#[test]
fn missing_inner_tree_is_fetched_again() {
    let world = CachedWorld::new();
    for path in [
        "main:projects/alpha",
        "main:projects/core/deep",
        "main:projects/other",
    ] {
        // The clone gets one intact pack that has every object except this tree.
        let tree = world.codex.git(&["rev-parse", path]);
        let tree = tree.trim().to_owned();
        assert_repaired(&world, path, |world| {
            let clone = world.clone();
            let git = |arguments: &[&str]| world.sandbox.git(&clone, arguments);
            let listed = git(&[
                "cat-file",
                "--batch-all-objects",
                "--batch-check=%(objectname)",
            ]);
            let remaining: String = listed
                .lines()
                .filter(|id| *id != tree)
                .map(|id| format!("{id}\n"))
                .collect();
            world.sandbox.write("remaining", remaining);
            let list = world.sandbox.path("remaining");
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
