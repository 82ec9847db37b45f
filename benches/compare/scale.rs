//! Measures workspaces of 1,000 and 10,000 projects of four documents, in one git repository with
//! a codex on the same machine, and prints how much the time per project grows.
//!
//! `TMPDIR` selects the file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::documents::{Documents, Random};
use super::{git, import, median, peak_memory, write};

const PROJECTS: [usize; 2] = [1_000, 10_000];
const FILES_PER_PROJECT: usize = 4;
const ROUNDS: usize = 3;

/// The cases, with the arguments of the program. `git ls-remote` is the lower bound of a run.
const CASES: [(&str, &[&str]); 9] = [
    ("git ls-remote", &[]),
    ("load the configuration", &["config", "validate"]),
    ("list the projects", &["projects", "--json"]),
    (FIRST, &["sync", "--all", "-q"]),
    ("nothing changed", &["sync", "--all", "-q"]),
    ("status", &["status"]),
    (
        "one project changed, `--changed-since`",
        &["sync", "--changed-since", "HEAD", "-q"],
    ),
    ("one project changed, `--all`", &["sync", "--all", "-q"]),
    (ALL, &["sync", "--all", "-q"]),
];
const FIRST: &str = "first sync";
const ALL: &str = "all projects changed";

/// Prints a row per case.
pub(crate) fn print_table() {
    println!("| case | 1,000 projects | 10,000 projects | per project | memory |");
    println!("| --- | --: | --: | --: | --: |");
    let worlds = PROJECTS.map(World::new);
    for (case, arguments) in CASES {
        let mut times: [Vec<f64>; 2] = Default::default();
        let mut memory = 0;
        for round in 0..ROUNDS {
            for (world, times) in worlds.iter().zip(&mut times) {
                world.prepare(case, round);
                let start = Instant::now();
                memory = memory.max(world.run(arguments));
                times.push(start.elapsed().as_secs_f64());
            }
        }
        let [small, large] = times.map(median);
        println!(
            "| {case} | {small:.3} s | {large:.3} s | {:.2} × | {} MB |",
            large / small / 10.0,
            memory / 1024
        );
    }
}

/// A workspace in a git repository, and its codex.
struct World {
    directory: tempfile::TempDir,
    projects: usize,
}

impl World {
    fn new(projects: usize) -> Self {
        let world = Self {
            directory: tempfile::tempdir().unwrap(),
            projects,
        };
        let documents = Documents {
            projects,
            files: FILES_PER_PROJECT,
        };
        let mut random = Random(1);
        for project in 0..projects {
            let root = world.root(project);
            for file in 0..FILES_PER_PROJECT {
                let path = Documents::path(file);
                write(&root.join(&path), &documents.document(&mut random, &path));
            }
        }
        let config = "codex:\n  organization: acme\n  workspace: { members: ['proj-*'] }\n  \
            remote: { url: ../codex.git }\n  sync: { to_codex: { include: ['**/*.md'] } }\n";
        write(&world.path("ws/.fractary/config.yaml"), config);

        let workspace = world.path("ws");
        git(&workspace, &["init", "-q", "-b", "main"]);
        git(&workspace, &["add", "-A"]);
        git(&workspace, &["commit", "-qm", "Start"]);
        world
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn root(&self, project: usize) -> PathBuf {
        self.path(&format!("ws/proj-{project:05}"))
    }

    /// Prepares a round of the case: creates an empty codex, or changes documents.
    fn prepare(&self, case: &str, round: usize) {
        match case {
            FIRST => {
                for name in ["codex.git", "state"] {
                    let _ = fs::remove_dir_all(self.path(name));
                }
                create_codex(&self.path("codex.git"));
            }
            ALL => (0..self.projects).for_each(|project| self.change(project, round)),
            _ if case.starts_with("one project") => {
                let workspace = self.path("ws");
                git(
                    &workspace,
                    &["commit", "-q", "--allow-empty", "-am", "Change"],
                );
                self.change(round, ROUNDS + case.len() + round);
            }
            "git ls-remote" => create_codex(&self.path("codex.git")),
            _ => {}
        }
        assert!(Command::new("sync").status().unwrap().success());
    }

    fn change(&self, project: usize, round: usize) {
        let text = format!("# Project {project}\n\nChange {round}.\n");
        write(&self.root(project).join("README.md"), &text);
    }

    /// Runs the program, or `git ls-remote` without arguments. Returns the peak memory in KiB.
    fn run(&self, arguments: &[&str]) -> u64 {
        let mut command = if arguments.is_empty() {
            let mut command = Command::new("git");
            command.arg("ls-remote").arg(self.path("codex.git"));
            command
        } else {
            let mut command = Command::new(env!("CARGO_BIN_EXE_fractary-codex"));
            command.args(arguments);
            command
        };
        command
            .current_dir(self.path("ws"))
            .env("FRACTARY_CODEX_STATE__DIR", self.path("state"))
            // As in CI.
            .env("FRACTARY_CODEX_CACHE__ENABLED", "false")
            .stdout(Stdio::null());
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "b")
                .env(format!("GIT_{role}_EMAIL"), "b@b");
        }
        peak_memory(command.spawn().unwrap())
    }
}

/// Creates a bare repository with one document.
fn create_codex(path: &Path) {
    if path.exists() {
        return;
    }
    fs::create_dir_all(path).unwrap();
    git(path, &["init", "-q", "--bare", "-b", "main"]);
    let stream = "commit refs/heads/main\ncommitter b <b@b> 1 +0000\ndata 0\nM 644 inline README.md\ndata 2\n#\n\n";
    import(path, stream);
}
