//! Killed runs, concurrent runs, and readers during a run.

use std::cell::Cell;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;

/// Writes the files of a round to the codex. Most paths are the same in every round. The content of
/// a file shows whether it is complete.
fn round(codex: &Codex, round: usize) -> Vec<(String, Vec<u8>)> {
    let file = |n: usize| {
        let line = format!("{round} {n}\n");
        (
            format!("projects/core/docs/{n}.md"),
            line.repeat(2000).into_bytes(),
        )
    };
    let files: Vec<_> = (0..20).chain([100 + round]).map(file).collect();
    codex.import(&files);
    files
}

fn is_whole(contents: &[u8]) -> bool {
    let text = String::from_utf8_lossy(contents);
    let first = text.lines().next().unwrap_or_default();
    text.lines().count() == 2000 && text.lines().all(|line| line == first)
}

#[test]
fn killed_run_leaves_complete_files_and_the_next_run_finishes() {
    let (sandbox, codex) = world();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    let include = "codex://acme/core/docs/*.md";
    // The shortest duration of a run that was not killed. The moments of the kills are fractions of
    // it, because machines and transports differ.
    let shortest = Cell::new(Duration::MAX);
    let sync = |kill_after: Option<Duration>| {
        let mut command = sandbox.program(&["sync", "--from-codex", "--include", include]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        if let Some(delay) = kill_after {
            std::thread::park_timeout(delay);
            let _ = child.kill();
        }
        let status = child.wait().unwrap();
        if status.success() {
            shortest.set(shortest.get().min(start.elapsed()));
        }
        status
    };
    round(&codex, 25);
    assert!(sync(None).success());
    let mut killed = 0;
    for number in 0..25 {
        let files = round(&codex, number);
        // The moments range from before the first request to the last rename.
        let status = sync(Some(shortest.get() * number as u32 / 25));
        killed += usize::from(!status.success());
        assert!(
            cached(&cache)
                .iter()
                .filter(|(path, _)| !path.ends_with("a.md"))
                .all(|(_, data)| is_whole(data))
        );
        if number % 3 == 2 {
            assert!(sync(None).success());
            let found = cached(&cache);
            assert!(
                files
                    .iter()
                    .all(|(path, contents)| found.get(path) == Some(contents)),
                "round {number}"
            );
        }
    }
    assert!(killed > 12, "{killed} of 25 runs were hit");
    assert!(sync(None).success());
    let status = sandbox.run(&["cache", "status", "--json"]).code(0).json();
    assert_eq!(
        (
            &status["caches"][0]["changed"],
            &status["caches"][0]["missing"]
        ),
        (&[0; 0][..].into(), &[0; 0][..].into())
    );
    assert!(
        !cache.join(".fractary-codex/tmp").exists()
            || fs::read_dir(cache.join(".fractary-codex/tmp"))
                .unwrap()
                .count()
                == 0
    );
}

#[test]
fn reader_never_sees_a_partial_or_missing_file() {
    let (sandbox, codex) = world();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    round(&codex, 0);
    sandbox.run(&["sync", "--from-codex"]).code(0);
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                for n in 0..20 {
                    let contents =
                        fs::read(cache.join(format!("projects/core/docs/{n}.md"))).unwrap();
                    assert!(is_whole(&contents), "{n}.md");
                    reads += 1;
                }
            }
            reads
        });
        for number in 1..=rounds() {
            round(&codex, number);
            sandbox.run(&["sync", "--from-codex"]).code(0);
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(reads > 1000);
}

/// The number of rounds: more if `CODEX_STRESS` is set.
fn rounds() -> usize {
    if std::env::var_os("CODEX_STRESS").is_some() {
        200
    } else {
        20
    }
}

#[test]
fn concurrent_pulls_in_one_workspace_wait_for_each_other() {
    let (sandbox, codex) = world();
    for number in 0..5 {
        let files = round(&codex, number);
        let start = || {
            sandbox
                .program(&["sync", "--from-codex"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let children = [start().unwrap(), start().unwrap(), start().unwrap()];
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let found = cached(&sandbox.path("ws/.fractary/codex/cache"));
        assert!(
            files
                .iter()
                .all(|(path, contents)| found.get(path) == Some(contents))
        );
    }
}
