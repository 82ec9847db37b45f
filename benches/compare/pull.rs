//! Compares a pull into the local cache (`sync --from-codex`) with git: the first fill with a
//! shallow clone, a pull without changes with `git ls-remote` and a stat of each file, and a pull of
//! one changed file with a shallow fetch and a checkout of that file.
//!
//! `TMPDIR` selects the file system.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::documents::{Documents, Random};
use super::{git, import, median, peak_memory, write};

const PROJECTS: usize = 100;
const FILES_PER_PROJECT: usize = 220;
const ROUNDS: usize = 5;
const CASES: [&str; 3] = ["first fill", "nothing changed", "one file changed"];
/// The file that changes.
const CHANGED: &str = "projects/proj-001/README.md";

/// Prints a row per case.
pub(crate) fn print_table(baseline: Option<&str>) {
    println!("| case | program | baseline | git | program / git | own memory |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let world = World::new();
    let own = env!("CARGO_BIN_EXE_fractary-codex");
    let mut programs = vec![("program", own)];
    programs.extend(baseline.map(|path| ("baseline", path)));
    for case in CASES {
        let mut times: [Vec<f64>; 3] = Default::default();
        let mut memory = 0;
        for round in 0..ROUNDS {
            for (number, (name, program)) in programs.iter().enumerate() {
                world.prepare(case, name, round * 10 + number);
                let start = Instant::now();
                let peak = world.pull(name, program);
                times[number].push(start.elapsed().as_secs_f64());
                if number == 0 {
                    memory = memory.max(peak);
                }
            }
            world.prepare(case, "git", round * 10 + programs.len());
            let start = Instant::now();
            world.git(case);
            times[2].push(start.elapsed().as_secs_f64());
        }
        let [program, baseline, git] = times.map(median);
        println!(
            "| {case} | {program:.3} s | {baseline:.3} s | {git:.3} s | {:.2} | {} MB |",
            program / git,
            memory / 1024
        );
    }
}

/// A codex, and a workspace with a project that pulls all of it.
struct World {
    directory: tempfile::TempDir,
    /// The paths of all files in the codex.
    files: Vec<String>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let documents = Documents {
            projects: PROJECTS,
            files: FILES_PER_PROJECT,
        };
        let mut random = Random(1);
        let mut files = Vec::new();
        let mut stream =
            String::from("commit refs/heads/main\ncommitter b <b@b> 1 +0000\ndata 0\n");
        for project in 0..PROJECTS {
            for file in 0..FILES_PER_PROJECT {
                let path = Documents::path(file);
                let text = documents.document(&mut random, &path);
                let path = format!("projects/proj-{project:03}/{path}");
                let length = text.len();
                stream.push_str(&format!("M 644 inline {path}\ndata {length}\n{text}\n"));
                files.push(path);
            }
        }
        let world = Self { directory, files };
        let bare = ["init", "-q", "--bare", "-b", "main", "codex.git"];
        git(&world.path(""), &bare);
        git(&world.path("codex.git"), &["config", "gc.auto", "0"]);
        world.import(&stream);
        // As on a server, where the pack is older than the run.
        git(&world.path("codex.git"), &["repack", "-adq"]);
        let config = "codex:\n  organization: acme\n  workspace: { members: ['reader'] }\n  sync: { from_codex: { include: ['codex://acme/**'] } }\n";
        write(&world.path("ws/.fractary/config.yaml"), config);
        write(&world.path("ws/reader/README.md"), "# Reader\n");
        world
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn url(&self) -> String {
        format!("file://{}", self.path("codex.git").display())
    }

    fn import(&self, stream: &str) {
        import(&self.path("codex.git"), stream);
    }

    /// Prepares the case for a contender: removes what it has, or changes a file of the codex.
    fn prepare(&self, case: &str, name: &str, change: usize) {
        match case {
            "first fill" => {
                let of_program = [format!("cache-{name}"), format!("state-{name}")];
                for path in of_program.iter().chain([&"clone".to_owned()]) {
                    let _ = fs::remove_dir_all(self.path(path));
                }
            }
            "one file changed" => self.import(&format!(
                "commit refs/heads/main\ncommitter b <b@b> {} +0000\ndata 0\nfrom refs/heads/main^0\nM 644 inline {CHANGED}\ndata <<END\nchange {change}\nEND\n\n",
                change + 2
            )),
            _ => {}
        }
        assert!(Command::new("sync").status().unwrap().success());
    }

    /// Pulls with a build of the program, and returns its peak memory in KiB.
    fn pull(&self, name: &str, program: &str) -> u64 {
        let child = Command::new(program)
            .args(["sync", "--from-codex", "--all", "-q"])
            .current_dir(self.path("ws"))
            .env("FRACTARY_CODEX_REMOTE__URL", self.url())
            .env(
                "FRACTARY_CODEX_CACHE__DIR",
                self.path(&format!("cache-{name}")),
            )
            .env(
                "FRACTARY_CODEX_STATE__DIR",
                self.path(&format!("state-{name}")),
            )
            .stdout(Stdio::null())
            .spawn();
        peak_memory(child.unwrap())
    }

    /// Does with git what the case measures.
    fn git(&self, case: &str) {
        let clone = self.path("clone");
        match case {
            "first fill" => {
                let url = self.url();
                git(
                    &self.path(""),
                    &["clone", "-q", "--depth", "1", &url, "clone"],
                );
            }
            "nothing changed" => {
                let listed = Command::new("git")
                    .args(["ls-remote", &self.url(), "main"])
                    .stdout(Stdio::null())
                    .status();
                assert!(listed.unwrap().success());
                for file in &self.files {
                    std::hint::black_box(clone.join(file).symlink_metadata().unwrap());
                }
            }
            _ => {
                git(&clone, &["fetch", "-q", "--depth", "1", "origin", "main"]);
                git(&clone, &["checkout", "-q", "FETCH_HEAD", "--", CHANGED]);
            }
        }
    }
}
