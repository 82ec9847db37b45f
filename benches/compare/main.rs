//! Compares the program with its alternatives in one run, from equal starting states:
//!
//! ```sh
//! cargo bench --bench compare -- S M        # sizes: S 10 × 100, M 50 × 400, L 100 × 1000 (projects × files)
//! cargo bench --bench compare -- W          # the program alone: W 5000 × 4
//! cargo bench --bench compare -- L alone    # without the scripts
//! cargo bench --bench compare -- L floor    # also print the minimum time of a first sync
//! cargo bench --bench compare -- S baseline=OTHER   # also run another build of the program
//! cargo bench --bench compare -- start      # the start-up time alone, compared with `true`
//! cargo bench --bench compare -- sign       # the time that 500 ssh signatures add to a sync
//! cargo bench --bench compare -- L checks   # the time that the checks and guards add to a sync
//! cargo bench --bench compare -- pull       # a pull of 22,000 files, compared with git
//! cargo bench --bench compare -- scale      # 1,000 and 10,000 projects
//! ```
//!
//! The alternatives are a shell script (shallow clone, rsync, one commit per project, one push), an
//! expert's script (git's plumbing without a working tree), and a plain clone as the lower bound
//! for all of them. All of them must produce the same `projects/` tree. The output is a table of
//! medians, ratios, and the program's peak memory.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an error ends the benchmark; the result is printed as a table"
)]

mod checks;
mod documents;
mod pull;
mod scale;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use fractary_codex::internals::whole;
use fractary_codex::object::{Kind, hash};
use rayon::prelude::*;

use documents::{Documents, Random};

const SHELL: &str = r#"set -e
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
git clone -q --depth 1 --single-branch "$2" "$t/codex"; cd "$t/codex"
for project in "$1"/proj-*/; do
  name=$(basename "$project"); mkdir -p "projects/$name"
  rsync -a --delete --include='/README.md' --include='/docs/***' --exclude='*' "$project" "projects/$name/"
  git add -A "projects/$name"
  git diff --cached --quiet || git commit -qm "Sync $name"
done
git push -q origin HEAD"#;

const PLUMBING: &str = r#"set -e
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
git clone -q --bare --depth 1 --single-branch "$2" "$t/codex.git"
export GIT_DIR="$t/codex.git"
tip=$(git rev-parse HEAD); new=$tip
GIT_INDEX_FILE="$t/index" git read-tree HEAD
for project in "$1"/proj-*/; do
  name=$(basename "$project"); rm -f "$t/part"
  tree=$(cd "$project"; export GIT_WORK_TREE="$project" GIT_INDEX_FILE="$t/part"; git add -f README.md docs; git write-tree)
  [ "$tree" = "$(git rev-parse -q --verify "HEAD:projects/$name" || true)" ] && continue
  export GIT_INDEX_FILE="$t/index"
  GIT_WORK_TREE="$t" git rm -rq --cached --ignore-unmatch "projects/$name"
  GIT_WORK_TREE="$t" git read-tree -i --prefix="projects/$name/" "$tree"
  new=$(git commit-tree -p "$new" -m "Sync $name" "$(git write-tree)")
done
[ "$new" = "$tip" ] || git push -q origin "$new:refs/heads/main""#;

struct Size {
    name: &'static str,
    projects: usize,
    files: usize,
    codex_files: usize,
    rounds: usize,
    scripts: bool,
}

const SIZES: [Size; 4] = [
    Size {
        name: "S",
        projects: 10,
        files: 100,
        codex_files: 200,
        rounds: 5,
        scripts: true,
    },
    Size {
        name: "M",
        projects: 50,
        files: 400,
        codex_files: 2000,
        rounds: 5,
        scripts: true,
    },
    Size {
        name: "L",
        projects: 100,
        files: 1000,
        codex_files: 20_000,
        rounds: 3,
        scripts: true,
    },
    Size {
        name: "W",
        projects: 5000,
        files: 4,
        codex_files: 2000,
        rounds: 3,
        scripts: false,
    },
];

const CASES: [&str; 5] = [
    "first sync",
    WITH_CACHE,
    "nothing changed",
    NO_STATE,
    "one file per project",
];
/// The program has no recorded state. The scripts never have any, so they are not measured again.
const NO_STATE: &str = "nothing changed, no state";
/// The program also writes the local cache. The scripts have none, so they are not measured again.
const WITH_CACHE: &str = "first sync, with the cache";

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if chosen.iter().any(|c| c == "start") {
        start();
    }
    if chosen.iter().any(|c| c == "sign") {
        sign();
    }
    let baseline = chosen
        .iter()
        .find_map(|choice| choice.strip_prefix("baseline="));
    if chosen.iter().any(|c| c == "checks") {
        checks::print_table(&chosen);
        return;
    }
    if chosen.iter().any(|c| c == "pull") {
        pull::print_table(baseline);
        return;
    }
    if chosen.iter().any(|c| c == "scale") {
        scale::print_table();
        return;
    }
    println!(
        "| size | case | program | baseline | shell script | plumbing script | plain clone | against baseline | against shell | against plumbing | own memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for size in chosen_sizes(&chosen) {
        let world = World::new(size, baseline);
        world.compare(size, size.scripts && !chosen.iter().any(|c| c == "alone"));
        if chosen.iter().any(|c| c == "floor") {
            world.floor();
        }
    }
}

/// The sizes to measure: S if there are no arguments.
fn chosen_sizes(chosen: &[String]) -> impl Iterator<Item = &'static Size> {
    SIZES.iter().filter(|size| {
        chosen.is_empty() && size.name == "S" || chosen.iter().any(|c| c == size.name)
    })
}

/// Prints the start-up time.
fn start() {
    const RUNS: usize = 101;
    let program = env!("CARGO_BIN_EXE_fractary-codex");
    for command in [
        &["true"][..],
        &[program, "--version"],
        &[program, "--help"],
        &[program, "-h"],
    ] {
        let mut times: Vec<f64> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                let status = Command::new(command[0])
                    .args(&command[1..])
                    .stdout(Stdio::null())
                    .status()
                    .unwrap();
                assert!(status.success());
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{}: {:.2} ms",
            command.last().unwrap(),
            times[RUNS / 2] * 1e3
        );
    }
}

/// Prints the time of a first sync of 500 projects without signatures, and with ssh signatures: of
/// one chain of commits, and of one branch per project.
fn sign() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for project in 0..500 {
        write(&path(&format!("ws/p{project:03}/README.md")), "# Project\n");
    }
    let config = "codex:\n  workspace: { members: ['*'] }\n  remote: { url: ../codex.git }\n";
    write(&path("ws/.fractary/config.yaml"), config);
    let key = path("key").display().to_string();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", &key])
        .status();
    assert!(made.unwrap().success());
    let settings =
        format!("[gpg]\n\tformat = ssh\n[user]\n\tsigningkey = {key}\n\tname = b\n\temail = b@b\n");
    write(&path("home/.gitconfig"), &settings);

    for (name, branch) in [
        ("one chain", None),
        ("500 branches", Some("sync/{project}")),
    ] {
        let mut best = [f64::MAX; 2];
        for round in 0..6 {
            let _ = fs::remove_dir_all(path("codex.git"));
            git(
                directory.path(),
                &["init", "-q", "--bare", "-b", "main", "codex.git"],
            );
            let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
            let start = format!("git -c user.name=b -c user.email=b@b commit-tree -m start {tree}");
            let script = format!(
                "git hash-object -t tree -w /dev/null && git update-ref refs/heads/main $({start})"
            );
            let made = Command::new("sh")
                .args(["-c", &script])
                .current_dir(path("codex.git"))
                .stdout(Stdio::null())
                .status();
            assert!(made.unwrap().success());
            let is_signed = round % 2 == 1;
            let mut command = Command::new(env!("CARGO_BIN_EXE_fractary-codex"));
            command
                .args(["sync", "--all", "-q"])
                .current_dir(path("ws"))
                .env("HOME", path("home"))
                .env("XDG_STATE_HOME", path(&format!("state-{name}-{round}")))
                .env(
                    "FRACTARY_CODEX_COMMIT__SIGN",
                    if is_signed { "always" } else { "never" },
                );
            if let Some(branch) = branch {
                command.env("FRACTARY_CODEX_PUSH__MODE", "branch");
                command.env("FRACTARY_CODEX_PUSH__BRANCH", branch);
            }
            let start = Instant::now();
            assert!(command.stdout(Stdio::null()).status().unwrap().success());
            let time = &mut best[usize::from(is_signed)];
            *time = time.min(start.elapsed().as_secs_f64());
        }
        let [unsigned, signed] = best;
        println!("500 commits, {name}: {unsigned:.2} s unsigned, {signed:.2} s signed");
    }
}

/// A workspace and a codex on disk, with a copy of the codex for each contender.
struct World {
    directory: tempfile::TempDir,
    /// Another build of the program.
    baseline: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Contender {
    Program,
    Baseline,
    Shell,
    Plumbing,
}

impl World {
    fn new(size: &Size, baseline: Option<&str>) -> Self {
        let world = Self {
            directory: tempfile::tempdir().unwrap(),
            baseline: baseline.map(str::to_owned),
        };
        let mut random = Random(1);
        let documents = Documents {
            projects: size.projects,
            files: size.files,
        };
        for project in 0..size.projects {
            let root = world.path(&format!("ws/proj-{project:03}"));
            for file in 0..size.files {
                let path = Documents::path(file);
                let document = documents.document(&mut random, &path);
                write(&root.join(path), &document);
            }
            write(&root.join("docs/parts.svg"), "<svg/>\n");
            for file in 0..size.files / 4 {
                write(
                    &world.path(&format!("ws/proj-{project:03}/src/{file}.ts")),
                    "export const x = 1;\n",
                );
            }
        }
        let config = "codex:\n  organization: acme\n  codex_repo: codex\n  workspace: { members: ['proj-*'] }\n";
        write(&world.path("ws/.fractary/config.yaml"), config);
        git(
            &world.path(""),
            &["init", "-q", "--bare", "-b", "main", "origin.git"],
        );
        let origin = world.path("origin.git");
        for (key, value) in [
            ("uploadpack.allowFilter", "true"),
            ("gc.auto", "0"),
            ("receive.autogc", "false"),
        ] {
            git(&origin, &["config", key, value]);
        }
        let mut stream = String::from(
            "commit refs/heads/main\ncommitter b <b@b> 1700000000 +0000\ndata 5\nstart\n",
        );
        for file in 0..size.codex_files {
            let content = documents.document(&mut random, "docs/other/file.md");
            stream.push_str(&format!(
                "M 100644 inline projects/other-{}/{file}.md\ndata {}\n{content}\n",
                file % 50,
                content.len()
            ));
        }
        import(&origin, &stream);
        world
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn compare(&self, size: &Size, with_scripts: bool) {
        let mut medians = [0.0; 5];
        for case in CASES {
            let mut contenders = vec![Contender::Program];
            if self.baseline.is_some() {
                contenders.push(Contender::Baseline);
            }
            if with_scripts && ![WITH_CACHE, NO_STATE].contains(&case) {
                contenders.extend([Contender::Shell, Contender::Plumbing]);
            }
            let mut times: [Vec<f64>; 5] = Default::default();
            let mut memory = 0;
            for round in 0..size.rounds {
                for contender in &contenders {
                    self.prepare(case, *contender, size, round);
                    self.settle();
                    let start = Instant::now();
                    memory = memory.max(self.run(*contender, case));
                    times[*contender as usize].push(start.elapsed().as_secs_f64());
                }
                let start = Instant::now();
                let url = format!("file://{}", self.path("program.git").display());
                git(
                    &self.path(""),
                    &["clone", "-q", "--bare", "--depth", "1", &url, "floor.git"],
                );
                times[4].push(start.elapsed().as_secs_f64());
                fs::remove_dir_all(self.path("floor.git")).unwrap();
                let trees: Vec<_> = contenders
                    .iter()
                    .map(|contender| self.tree(contender.name()))
                    .collect();
                assert!(
                    trees.iter().all(|tree| *tree == trees[0]),
                    "{case}: not the same tree"
                );
            }
            for (row, times) in medians.iter_mut().zip(times) {
                if !times.is_empty() {
                    *row = median(times);
                }
            }
            let [program, baseline, shell, plumbing, floor] = medians;
            println!(
                "| {} | {case} | {program:.3} s | {baseline:.3} s | {shell:.2} s | {plumbing:.2} s | {floor:.2} s | {:.2} | {:.1} | {:.1} | {} MB |",
                size.name,
                baseline / program,
                shell / program,
                plumbing / program,
                memory / 1024
            );
        }
    }

    /// Measures the indispensable work of a first sync: to read, hash and compress every file on
    /// two threads, and to push the objects with git.
    fn floor(&self) {
        let files: Vec<PathBuf> = ignore::WalkBuilder::new(self.path("ws"))
            .build()
            .map(|entry| entry.unwrap().into_path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
            .collect();
        let start = Instant::now();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(2)
            .build()
            .unwrap();
        let bytes: u64 = pool.install(|| {
            let packed = files.par_iter().map(|file| {
                let contents = fs::read(file).unwrap();
                let id = hash(Kind::Blob, &contents);
                std::hint::black_box(whole(id, Kind::Blob, &contents));
                contents.len() as u64
            });
            packed.sum()
        });
        let packing = start.elapsed().as_secs_f64();

        let ready = self.path("program.git");
        let target = self.path("target.git");
        let copied = Command::new("cp")
            .arg("-r")
            .args([self.path("origin.git"), target.clone()])
            .status()
            .unwrap();
        assert!(copied.success());
        let start = Instant::now();
        let url = format!("file://{}", target.display());
        git(&ready, &["-c", "pack.window=0", "push", "-q", &url, "main"]);
        let pushing = start.elapsed().as_secs_f64();
        println!(
            "floor of a first sync: {:.2} s ({} files of {} MB packed in {packing:.2} s, pushed in {pushing:.2} s)",
            packing + pushing,
            files.len(),
            bytes >> 20
        );
    }

    /// Prepares the codex of the contender for the case, and makes the changes in the workspace
    /// that the case measures.
    fn prepare(&self, case: &str, contender: Contender, size: &Size, round: usize) {
        let codex = self.path(&format!("{}.git", contender.name()));
        if case.starts_with("first sync") {
            let _ = fs::remove_dir_all(&codex);
            let _ = fs::remove_dir_all(self.path(&format!("state-{}", contender.name())));
            // The cache is moved instead of removed, because file systems are slow to create files
            // again that were just deleted.
            let _ = fs::rename(
                self.path("ws/.fractary/codex"),
                self.path(&format!("earlier-cache-{}-{round}", contender.name())),
            );
            let copied = Command::new("cp")
                .arg("-r")
                .args([self.path("origin.git"), codex])
                .status()
                .unwrap();
            assert!(copied.success());
        }
        if case == NO_STATE {
            let _ = fs::remove_dir_all(self.path(&format!("state-{}", contender.name())));
        }
        if case == "one file per project" && contender == Contender::Program {
            for project in 0..size.projects {
                // Each round has a different length, because rsync takes a file of equal size and
                // time (in seconds) as unchanged.
                write(
                    &self.path(&format!("ws/proj-{project:03}/README.md")),
                    &"word ".repeat(round + 1),
                );
            }
        }
    }

    /// Flushes all pending writes to disk, and reads the sources into the system's cache. Otherwise
    /// a contender would wait for the writes of the previous one, or for files that were evicted
    /// from the cache.
    fn settle(&self) {
        assert!(Command::new("sync").status().unwrap().success());
        for entry in ignore::WalkBuilder::new(self.path("ws")).build() {
            let path = entry.unwrap().into_path();
            if path.is_file() {
                std::hint::black_box(fs::read(path).unwrap());
            }
        }
    }

    /// Runs a contender. Returns the peak memory of the program in KiB; 0 for the scripts.
    fn run(&self, contender: Contender, case: &str) -> u64 {
        let url = format!(
            "file://{}",
            self.path(&format!("{}.git", contender.name())).display()
        );
        let script = |text: &str| {
            let mut command = Command::new("bash");
            command
                .args(["-c", text, "bash"])
                .arg(self.path("ws"))
                .arg(&url);
            command
        };
        let mut command = match contender {
            Contender::Program | Contender::Baseline => {
                let own = env!("CARGO_BIN_EXE_fractary-codex");
                let baseline = self.baseline.as_deref();
                let mut command = Command::new(match contender {
                    Contender::Baseline => baseline.unwrap_or(own),
                    _ => own,
                });
                if contender == Contender::Baseline {
                    // It may not know the transport that was chosen for the program.
                    command.env_remove("FRACTARY_CODEX_REMOTE__TRANSPORT");
                }
                command.args(["sync", "--all"]).current_dir(self.path("ws"));
                command.env("FRACTARY_CODEX_REMOTE__URL", &url);
                command.env(
                    "FRACTARY_CODEX_CACHE__ENABLED",
                    (case == WITH_CACHE).to_string(),
                );
                command.env(
                    "FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE",
                    "['docs/**', 'README.md']",
                );
                let state = self.path(&format!("state-{}", contender.name()));
                command.env("FRACTARY_CODEX_STATE__DIR", state);
                command
            }
            Contender::Shell => script(SHELL),
            Contender::Plumbing => script(PLUMBING),
        };
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "b")
                .env(format!("GIT_{role}_EMAIL"), "b@b");
        }
        let peak = peak_memory(command.stdout(Stdio::null()).spawn().unwrap());
        if contender == Contender::Program {
            peak
        } else {
            0
        }
    }

    fn tree(&self, name: &str) -> String {
        let output = Command::new("git")
            .args(["rev-parse", "main:projects"])
            .current_dir(self.path(&format!("{name}.git")))
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Baseline => "baseline",
            Self::Shell => "shell",
            Self::Plumbing => "plumbing",
        }
    }
}

/// Waits for a process that must succeed. Returns its peak memory in KiB.
fn peak_memory(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        let read = fs::read_to_string(&status).unwrap_or_default();
        let line = read.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line
            .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(peak);
        match child.try_wait().unwrap() {
            Some(ended) => break ended,
            None => std::thread::park_timeout(std::time::Duration::from_millis(1)),
        }
    };
    assert!(ended.success());
    peak
}

/// The median of the values; 0 if there are none.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn git(directory: &Path, arguments: &[&str]) {
    assert!(
        Command::new("git")
            .args(arguments)
            .current_dir(directory)
            .status()
            .unwrap()
            .success(),
        "git {arguments:?}"
    );
}

/// Adds the commits of a stream in the format of `git fast-import` to a bare repository.
fn import(repository: &Path, stream: &str) {
    let file = repository.join("stream");
    fs::write(&file, stream).unwrap();
    let imported = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(repository)
        .stdin(fs::File::open(&file).unwrap())
        .status();
    assert!(imported.unwrap().success());
    fs::remove_file(file).unwrap();
}
