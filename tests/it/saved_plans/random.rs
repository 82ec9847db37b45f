//! Random changes of sources, codex and configuration between plan and apply: all that matter are
//! refused, and none of the others is.
//!
//! The cases are the same in every run. `CODEX_PLAN_CASES=1000` runs more of them,
//! `CODEX_PLAN_SEED=N` begins with case N.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::{apply, save_of};
use crate::support::World;

/// The number of cases.
const CASES: u64 = 8;

/// Mode and object of every file.
type Tree = BTreeMap<String, (String, String)>;

/// A change between plan and apply, and whether it matters to the plan of `alpha` and `beta`.
type Change = (&'static str, bool, fn(&Case));

const CHANGES: &[Change] = &[
    ("source modified", true, |case| {
        case.source("alpha/docs/1.md", &case.fresh())
    }),
    (
        "source modified that the plan leaves unchanged",
        true,
        |case| {
            case.source("beta/docs/same.md", &case.fresh());
        },
    ),
    ("source added", true, |case| {
        case.source("beta/docs/added.md", &case.fresh())
    }),
    ("source deleted", true, |case| {
        case.world.sandbox.remove("ws/alpha/docs/2.md")
    }),
    ("source renamed", true, |case| {
        let path = |name| case.world.sandbox.path(name);
        fs::rename(path("ws/alpha/docs/3.md"), path("ws/alpha/docs/4.md")).unwrap();
    }),
    ("source executable", true, |case| {
        case.world.sandbox.set_mode("ws/alpha/README.md", 0o755)
    }),
    ("sources of a project lost", true, |case| {
        case.world.sandbox.remove("ws/beta")
    }),
    ("codex: planned path modified", true, |case| {
        case.codex("alpha/docs/1.md", &case.fresh())
    }),
    ("codex: planned path deleted", true, |case| {
        case.delete("alpha/docs/gone.md")
    }),
    ("codex: unchanged path modified", true, |case| {
        case.codex("beta/docs/same.md", &case.fresh())
    }),
    ("codex: unchanged path deleted", true, |case| {
        case.delete("beta/docs/same.md")
    }),
    ("codex: claimed path added", true, |case| {
        case.codex("beta/docs/theirs.md", &case.fresh())
    }),
    ("codex: planned path as planned", true, |case| {
        case.codex("alpha/docs/2.md", &case.planned(2));
    }),
    ("the same file on both sides", true, |case| {
        let text = case.fresh();
        case.source("beta/docs/both.md", &text);
        case.codex("beta/docs/both.md", &text);
    }),
    ("configuration: exclude", true, |case| {
        case.configure(
            "    beta: {}",
            "    beta: { sync: { exclude: ['docs/none/**'] } }",
        );
    }),
    ("configuration: directory", true, |case| {
        case.configure("    beta: {}", "    beta: { to: elsewhere/beta }");
    }),
    ("configuration: project removed", true, |case| {
        case.configure("    beta: {}\n", "")
    }),
    ("configuration: message", true, |case| {
        case.append("  commit: { message: 'Publish {project}' }\n")
    }),
    ("configuration: checks", true, |case| {
        case.append("  sync: { checks: { secrets: withhold } }\n");
    }),
    ("configuration: other branch", true, |case| {
        case.world.codex.git(&["branch", "-f", "other", "main"]);
        case.configure("url: ../codex.git", "url: ../codex.git\n    branch: other");
    }),
    ("configuration: other remote", true, |case| {
        let copy = case.world.sandbox.path("copy.git");
        let _ = fs::remove_dir_all(&copy);
        case.world
            .codex
            .git(&["clone", "-q", "--bare", ".", copy.to_str().unwrap()]);
        case.configure("url: ../codex.git", "url: ../copy.git");
    }),
    ("source written again", false, |case| {
        case.source("alpha/docs/3.md", &case.planned(3))
    }),
    ("file that no pattern matches", false, |case| {
        case.source("alpha/notes.txt", &case.fresh())
    }),
    ("source of another project", false, |case| {
        case.source("gamma/README.md", &case.fresh())
    }),
    ("codex: another directory", false, |case| {
        case.world
            .codex
            .commit(&[("100644", "README.md", &case.fresh())], &[]);
    }),
    ("codex: another project", false, |case| {
        case.codex("gamma/README.md", &case.fresh())
    }),
    ("codex: path that no pattern claims", false, |case| {
        case.codex("alpha/notes.txt", &case.fresh())
    }),
    ("codex: only a new commit", false, |case| {
        case.world.codex.go_on(1)
    }),
    ("configuration: comment", false, |case| {
        case.append("# a comment\n")
    }),
    ("configuration: threads", false, |case| {
        case.append("  jobs: 1\n")
    }),
    ("configuration: another project", false, |case| {
        case.configure(
            "    gamma: {}",
            "    gamma: { sync: { exclude: ['docs/none/**'] } }",
        );
    }),
    ("configuration: new project", false, |case| {
        case.configure("  projects:\n", "  projects:\n    delta: {}\n");
    }),
];

/// One case.
struct Case {
    world: World,
    /// Makes the texts of the case different from those of others.
    seed: u64,
}

impl Case {
    /// A workspace with changes of every kind to publish.
    fn new_world(seed: u64) -> Self {
        let world = World::builder()
            .projects(&["alpha", "beta", "gamma"])
            .build();
        let case = Self { world, seed };
        case.codex("alpha/docs/1.md", "published before");
        case.codex("alpha/docs/gone.md", "published before");
        case.codex("beta/docs/same.md", "same");
        case.source("beta/docs/same.md", "same");
        for number in 1..=3 {
            case.source(&format!("alpha/docs/{number}.md"), &case.planned(number));
        }
        case
    }

    /// A text that no file has yet.
    fn fresh(&self) -> String {
        format!("new in case {}", self.seed)
    }

    fn planned(&self, number: u32) -> String {
        format!("planned {number} in case {}", self.seed)
    }

    fn source(&self, path: &str, text: &str) {
        self.world.sandbox.write(&format!("ws/{path}"), text);
    }

    fn codex(&self, path: &str, text: &str) {
        let path = format!("projects/{path}");
        self.world.codex.commit(&[("100644", &path, text)], &[]);
    }

    fn delete(&self, path: &str) {
        let path = format!("projects/{path}");
        self.world.codex.commit(&[], &[&path]);
    }

    fn configuration(&self) -> String {
        fs::read_to_string(self.world.sandbox.path("ws/.fractary/config.yaml")).unwrap()
    }

    fn configure(&self, from: &str, to: &str) {
        let before = self.configuration();
        let after = before.replace(from, to);
        assert_ne!(before, after, "{from}");
        self.world.sandbox.write("ws/.fractary/config.yaml", after);
    }

    fn append(&self, line: &str) {
        let after = self.configuration() + line;
        self.world.sandbox.write("ws/.fractary/config.yaml", after);
    }

    /// Saves the plan, makes the changes, and carries out the plan. `about` is for messages.
    fn run(&self, changes: &[&Change], about: &str) {
        let plan = save_of(&self.world, &["-p", "alpha", "-p", "beta"], 0);
        for (_, _, change) in changes {
            change(self);
        }
        let codex = &self.world.codex;
        let (before, tip) = (codex.tree(), codex.tip());
        let output = apply(&self.world, &["--json"]);
        let about = format!("{about}\n{}\n{}", output.stdout, output.stderr);

        if changes.iter().any(|(_, matters, _)| *matters) {
            assert_eq!(output.code, Some(5), "{about}");
            assert_eq!(codex.tip(), tip, "{about}");
            let error = &output.json()["error"];
            assert_eq!(error["kind"], "plan-differs", "{about}");
            assert!(error["causes"].as_array().is_some(), "{about}");
            return;
        }
        assert_eq!(output.code, Some(0), "{about}");
        assert_eq!(codex.tree(), after(before, &plan), "{about}");
    }
}

/// The tree after the changes of a saved plan.
fn after(mut tree: Tree, plan: &Value) -> Tree {
    let projects = plan["projects"].as_array().unwrap();
    let changes = projects
        .iter()
        .flat_map(|project| project["changes"].as_array().unwrap());
    for change in changes {
        let path = change["path"].as_str().unwrap().to_owned();
        let text = |key: &str| change["after"][key].as_str().unwrap().to_owned();
        match change["op"].as_str().unwrap() {
            "deleted" => tree.remove(&path),
            _ => tree.insert(path, (text("mode"), text("id"))),
        };
    }
    tree
}

/// The changes of a case: some that do not matter, after at most one that does. That one comes
/// first, so that it meets the state that was planned.
fn changes(random: &mut fastrand::Rng) -> Vec<&'static Change> {
    let (important, mut others): (Vec<_>, Vec<_>) =
        CHANGES.iter().partition(|(_, matters, _)| *matters);
    random.shuffle(&mut others);
    others.truncate(random.usize(0..=3));
    let one = random
        .bool()
        .then(|| important[random.usize(..important.len())]);
    one.into_iter().chain(others).collect()
}

#[test]
fn changes_that_matter_are_refused_and_no_others() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |value| value.parse::<u64>().unwrap())
    };
    let first = number("CODEX_PLAN_SEED", 0);
    let mut tried = BTreeMap::new();
    for seed in first..first + number("CODEX_PLAN_CASES", CASES) {
        let changes = changes(&mut fastrand::Rng::with_seed(seed));
        let names: Vec<_> = changes.iter().map(|(name, ..)| *name).collect();
        let about = format!("CODEX_PLAN_SEED={seed} CODEX_PLAN_CASES=1 {names:?}");
        Case::new_world(seed).run(&changes, &about);
        for name in names {
            *tried.entry(name).or_insert(0) += 1;
        }
    }
    // A large run shows how often each change was tried: `cargo test -- --nocapture`.
    if std::env::var_os("CODEX_PLAN_CASES").is_some() {
        report(&tried);
    }
}

#[expect(clippy::print_stderr, reason = "a large run reports what it has tried")]
fn report(tried: &BTreeMap<&str, u32>) {
    eprintln!("{tried:#?}");
}
