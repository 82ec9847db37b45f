//! The time that the checks and the guard on uncommitted files add to a sync. The sources are in a
//! git repository, and all contenders run in turn in each round.
//!
//! The ratios are of the processor time of the program and of the processes that it starts, which
//! depends less on the load of the machine, and of the elapsed time. They are medians of the ratios
//! in one round.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Size, World, chosen_sizes, git, median, write};

/// A way to run the program.
struct Variant {
    name: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

/// The first variant is the one that the others are compared with.
const VARIANTS: [Variant; 5] = [
    Variant {
        name: "no checks",
        arguments: &["--no-checks"],
        variables: &[],
    },
    Variant {
        name: "no checks again",
        arguments: &["--no-checks"],
        variables: &[],
    },
    Variant {
        name: "no checks, dirty: allow",
        arguments: &["--no-checks"],
        variables: &[("FRACTARY_CODEX_SYNC__TO_CODEX__DIRTY", "allow")],
    },
    Variant {
        name: "default checks",
        arguments: &[],
        variables: &[],
    },
    Variant {
        name: "default checks and links",
        arguments: &[],
        variables: &[("FRACTARY_CODEX_SYNC__CHECKS__LINKS", "warn")],
    },
];

const CASES: [&str; 3] = [FIRST_SYNC, "nothing changed", ONE_FILE];
const FIRST_SYNC: &str = "first sync";
const ONE_FILE: &str = "one file per project";

/// Processor and elapsed time of a run, in seconds.
#[derive(Clone, Copy)]
struct Times {
    processor: f64,
    elapsed: f64,
}

pub(crate) fn print_table(chosen: &[String]) {
    println!("| size | case | variant | processor time | elapsed | processor ratio | ratio |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for size in chosen_sizes(chosen) {
        let world = World::new(size, None);
        commit_sources(&world);
        for case in CASES {
            measure(&world, size, case);
        }
    }
}

/// Makes the workspace a repository with one commit, packed as in a clone.
fn commit_sources(world: &World) {
    let workspace = world.path("ws");
    git(&workspace, &["init", "-q", "-b", "main"]);
    git(&workspace, &["add", "-A"]);
    let identity = ["-c", "user.name=b", "-c", "user.email=b@b"];
    git(
        &workspace,
        &[&identity[..], &["commit", "-q", "-m", "start"]].concat(),
    );
    git(&workspace, &["repack", "-adq", "--window=0"]);
}

/// Runs all variants of a case, and prints the medians.
fn measure(world: &World, size: &Size, case: &str) {
    let mut times: Vec<Vec<Times>> = VARIANTS.iter().map(|_| Vec::new()).collect();
    for round in 0..size.rounds {
        if case == ONE_FILE {
            change_one_file_per_project(world, size, round);
        }
        for turn in 0..VARIANTS.len() {
            let variant = (turn + round) % VARIANTS.len();
            if case == FIRST_SYNC {
                reset(world, variant);
            }
            world.settle();
            times[variant].push(run(world, variant));
        }
        let trees = (0..VARIANTS.len()).map(|variant| world.tree(&name(variant)));
        let trees: Vec<_> = trees.collect();
        assert!(trees.iter().all(|tree| *tree == trees[0]), "{case}");
    }

    for (variant, of_variant) in VARIANTS.iter().zip(&times) {
        let pairs = || of_variant.iter().zip(&times[0]);
        println!(
            "| {} | {case} | {} | {:.2} s | {:.2} s | {:.2} | {:.2} |",
            size.name,
            variant.name,
            median(of_variant.iter().map(|one| one.processor)),
            median(of_variant.iter().map(|one| one.elapsed)),
            median(pairs().map(|(one, other)| one.processor / other.processor)),
            median(pairs().map(|(one, other)| one.elapsed / other.elapsed)),
        );
    }
}

/// Replaces the codex of a variant by the initial one, and removes its recorded state.
fn reset(world: &World, variant: usize) {
    let codex = world.path(&format!("{}.git", name(variant)));
    let _ = fs::remove_dir_all(&codex);
    let _ = fs::remove_dir_all(world.path(&format!("state-{}", name(variant))));
    let copied = Command::new("cp")
        .arg("-r")
        .args([world.path("origin.git"), codex])
        .status();
    assert!(copied.unwrap().success());
}

fn change_one_file_per_project(world: &World, size: &Size, round: usize) {
    for project in 0..size.projects {
        let text = format!("# Changed\n\n{}\n", "word ".repeat(round + 1));
        write(
            &world.path(&format!("ws/proj-{project:03}/README.md")),
            &text,
        );
    }
}

fn name(variant: usize) -> String {
    format!("variant-{variant}")
}

fn run(world: &World, variant: usize) -> Times {
    let name = name(variant);
    let Variant {
        arguments,
        variables,
        ..
    } = VARIANTS[variant];
    let url = format!("file://{}", world.path(&format!("{name}.git")).display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_fractary-codex"));
    command
        .args(["sync", "--all", "-q"])
        .args(arguments)
        .current_dir(world.path("ws"))
        .env("FRACTARY_CODEX_REMOTE__URL", url)
        .env("FRACTARY_CODEX_CACHE__ENABLED", "false")
        .env(
            "FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE",
            "['docs/**', 'README.md']",
        )
        .env(
            "FRACTARY_CODEX_STATE__DIR",
            world.path(&format!("state-{name}")),
        )
        .envs(variables.iter().copied())
        .stdout(Stdio::null());
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "b")
            .env(format!("GIT_{role}_EMAIL"), "b@b");
    }

    let before = processor_time_of_children();
    let start = Instant::now();
    let status = command.status().unwrap();
    let elapsed = start.elapsed().as_secs_f64();
    assert!(status.success(), "{}: {status}", VARIANTS[variant].name);
    Times {
        processor: processor_time_of_children() - before,
        elapsed,
    }
}

/// The processor time of all ended child processes, in seconds.
fn processor_time_of_children() -> f64 {
    /// Linux gives these times to user programs in units of 10 ms.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program before it is in parentheses, and can contain spaces.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields = fields.split(' ').skip(13).take(2);
    let ticks: f64 = fields.map(|field| field.parse::<f64>().unwrap()).sum();
    ticks / TICKS_PER_SECOND
}
