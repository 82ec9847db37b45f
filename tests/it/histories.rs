//! Random histories of a codex: syncs, a final `retire` or `rename`, and commits of others in
//! between. A model knows who made the present version of each file.
//!
//! `CODEX_HISTORIES` is the number of histories.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::World;

/// The files of the codex, each with its mode and id.
type Tree = BTreeMap<String, (String, String)>;

const PROJECTS: [&str; 2] = ["alpha", "beta"];
const FILES: [&str; 5] = [
    "README.md",
    "docs/a.md",
    "docs/b.md",
    "docs/c.md",
    "docs/d.md",
];

#[test]
fn nothing_of_others_is_lost_and_counts_are_exact() {
    let histories = std::env::var("CODEX_HISTORIES").map_or(2, |text| text.parse().unwrap());
    for seed in 0..histories {
        History::new(seed).run();
    }
}

struct History {
    seed: u64,
    random: fastrand::Rng,
    world: World,
    /// A number that makes contents unique.
    contents: usize,
    /// The paths of the codex whose present version others have made.
    of_others: BTreeSet<String>,
    /// The files of the codex after the last sync.
    last_sync: Tree,
    /// The commits of others.
    commits: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        let world = World::builder()
            .projects(&PROJECTS)
            .files(&[("alpha/README.md", "alpha"), ("beta/README.md", "beta")])
            .build();
        let mut history = Self {
            seed,
            random: fastrand::Rng::with_seed(seed),
            of_others: world.codex.paths().into_iter().collect(),
            last_sync: Tree::new(),
            commits: world.codex.tip().into_iter().collect(),
            world,
            contents: 0,
        };
        history.sync();
        history
    }

    fn run(mut self) {
        for _ in 0..3 {
            for _ in 0..self.below(3) {
                self.edit_source();
            }
            for _ in 0..self.below(3) {
                self.commit_of_others();
            }
            self.sync();
        }
        for _ in 0..self.below(3) {
            self.commit_of_others();
        }
        match self.below(2) {
            0 => self.retire(),
            _ => self.rename(),
        }

        for commit in &self.commits {
            let codex = &self.world.codex;
            codex.git(&["merge-base", "--is-ancestor", commit, "main"]);
        }
        self.world.codex.assert_sound();
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.random.usize(..end)
    }

    fn content(&mut self) -> String {
        self.contents += 1;
        format!("content {}", self.contents)
    }

    /// Writes or removes a file of a project. Its `README.md` stays.
    fn edit_source(&mut self) {
        let project = PROJECTS[self.below(2)];
        let file = FILES[self.below(FILES.len())];
        let path = format!("ws/{project}/{file}");
        let exists = self.world.sandbox.path(&path).exists();
        if exists && file != "README.md" && self.below(3) == 0 {
            self.world.sandbox.remove(&path);
        } else {
            let content = self.content();
            self.world.sandbox.write(&path, content);
        }
    }

    /// Others write a file: one that a project claims, sometimes as its sources have it, or another
    /// one.
    fn commit_of_others(&mut self) {
        let project = PROJECTS[self.below(2)];
        let file = FILES[self.below(FILES.len())];
        let source = self.world.sandbox.path(&format!("ws/{project}/{file}"));
        let source = std::fs::read_to_string(source).ok();
        let content = match (self.below(4), source) {
            (0, Some(source)) => source,
            _ => self.content(),
        };
        let path = match self.below(6) {
            0 => format!("projects/{project}/notes.txt"),
            1 => "other/notes.txt".to_owned(),
            _ => format!("projects/{project}/{file}"),
        };
        let before = self.world.codex.tree();
        self.world.codex.commit(&[("100644", &path, &content)], &[]);
        if self.world.codex.tree().get(&path) != before.get(&path) {
            self.of_others.insert(path);
        }
        self.commits.extend(self.world.codex.tip());
    }

    /// Runs a command, and the same as a dry run before. Returns the tree before, and the document.
    #[track_caller]
    fn run_twice(&self, arguments: &[&str]) -> (Tree, Value) {
        let json = |more: &[&str]| {
            let arguments = [arguments, &["--json"], more].concat();
            self.world.run(&arguments).code(0).json()
        };
        let before = self.world.codex.tree();
        let planned = json(&["--dry-run"]);
        assert_eq!(self.world.codex.tree(), before, "seed {}", self.seed);
        let confirmed: &[&str] = if arguments[0] == "sync" {
            &[]
        } else {
            &["--yes"]
        };
        let done = json(confirmed);
        let seed = self.seed;
        assert_eq!(planned["plan_id"], done["plan_id"], "seed {seed}");
        for (planned, done) in projects(&planned).zip(projects(&done)) {
            for key in [
                "name",
                "changes",
                "added",
                "modified",
                "deleted",
                "unchanged",
                "drift",
            ] {
                assert_eq!(planned.get(key), done.get(key), "seed {seed}, {key}");
            }
        }
        self.assert_counts(&before, &done);
        (before, done)
    }

    /// The changes in a document are those of the codex, and no others.
    #[track_caller]
    fn assert_counts(&self, before: &Tree, document: &Value) {
        let after = self.world.codex.tree();
        let mut expected = [0; 3];
        let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for path in paths {
            match (before.get(path), after.get(path)) {
                (None, Some(_)) => expected[0] += 1,
                (Some(_), None) => expected[2] += 1,
                (one, other) if one != other => expected[1] += 1,
                _ => {}
            }
        }
        let total = |key: &str| document["totals"][key].as_u64().unwrap();
        assert_eq!(
            ["added", "modified", "deleted"].map(total),
            expected,
            "seed {}: {document:#}",
            self.seed
        );
    }

    fn sync(&mut self) {
        let (before, done) = self.run_twice(&["sync", "--all"]);
        let after = self.world.codex.tree();
        let is_claimed = |path: &str| {
            let below = path
                .strip_prefix("projects/")
                .and_then(|path| path.split_once('/'));
            below
                .is_some_and(|(project, file)| PROJECTS.contains(&project) && FILES.contains(&file))
        };
        let mut drifted = BTreeSet::new();
        for path in before.keys().chain(after.keys()) {
            if before.get(path) == after.get(path) {
                continue;
            }
            assert!(is_claimed(path), "seed {}: {path}", self.seed);
            let is_changed = before.get(path) != self.last_sync.get(path);
            if is_changed && self.of_others.remove(path) {
                drifted.insert(path.clone());
            }
        }
        let named = projects(&done).flat_map(|project| paths(project, "drift"));
        let named: BTreeSet<_> = named.collect();
        assert_eq!(named, drifted, "seed {}: {done:#}", self.seed);

        // The codex has the sources.
        for project in PROJECTS {
            for file in FILES {
                let source = self.world.sandbox.path(&format!("ws/{project}/{file}"));
                let path = format!("projects/{project}/{file}");
                let source = std::fs::read_to_string(source).ok();
                let published = after
                    .contains_key(&path)
                    .then(|| self.world.codex.file(&path));
                assert_eq!(published, source, "seed {}: {path}", self.seed);
            }
        }
        self.last_sync = after;
    }

    fn configure(&self, projects: &str) {
        self.world.sandbox.write(
            "ws/.fractary/config.yaml",
            format!("codex:\n  remote: {{ url: ../codex.git }}\n  projects: {projects}\n"),
        );
    }

    /// The files of `alpha` that a sync has published are removed, and no others.
    fn retire(&self) {
        self.configure("{ beta: {} }");
        let before = self.world.codex.tree();
        let is_own =
            |path: &String| path.starts_with("projects/alpha/") && !self.of_others.contains(path);
        let mut expected = before.clone();
        expected.retain(|path, _| !is_own(path));
        self.assert_orphan("alpha");
        if expected.len() == before.len() {
            self.world.run(&["retire", "alpha", "--yes"]).code(1);
            return;
        }

        let (_, done) = self.run_twice(&["retire", "alpha"]);
        assert_eq!(self.world.codex.tree(), expected, "seed {}", self.seed);
        let kept: Vec<_> = paths(&done["projects"][0], "kept").collect();
        let rest = expected
            .keys()
            .filter(|path| path.starts_with("projects/alpha/"));
        assert!(kept.iter().eq(rest), "seed {}: {kept:?}", self.seed);
    }

    /// All files in the directory of `alpha` move, and no others change.
    fn rename(&self) {
        self.configure("{ beta: {}, gamma: { root: alpha } }");
        self.assert_orphan("alpha");
        let moved = |(path, entry): (String, _)| {
            let below = path.strip_prefix("projects/alpha/");
            let to = below.map(|below| format!("projects/gamma/{below}"));
            (to.unwrap_or(path), entry)
        };
        let expected: Tree = self.world.codex.tree().into_iter().map(moved).collect();
        let json = |more| {
            let arguments = ["rename", "alpha", "gamma", "--json", more];
            self.world.run(&arguments).code(0).json()
        };
        let planned = json("--dry-run");
        let done = json("--yes");
        assert_eq!(planned["plan_id"], done["plan_id"], "seed {}", self.seed);
        assert_eq!(self.world.codex.tree(), expected, "seed {}", self.seed);
    }

    fn assert_orphan(&self, name: &str) {
        let document = self.world.run(&["status", "--json"]).code(0).json();
        let orphans = document["orphans"].as_array().cloned().unwrap_or_default();
        assert_eq!(orphans.len(), 1, "seed {}: {document:#}", self.seed);
        assert!(orphans[0].to_string().contains(name), "{orphans:?}");
    }
}

fn projects(document: &Value) -> impl Iterator<Item = &Value> {
    document["projects"].as_array().unwrap().iter()
}

/// The paths in a list of a project.
fn paths<'d>(project: &'d Value, key: &str) -> impl Iterator<Item = String> + use<'d> {
    let list = project.get(key).and_then(Value::as_array);
    let paths = list.into_iter().flatten();
    paths.map(|one| one["path"].as_str().unwrap().to_owned())
}
