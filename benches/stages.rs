//! Measures the stages of a sync separately: `cargo bench --bench stages`.
#![expect(clippy::unwrap_used, reason = "an error ends the benchmark")]

use std::fs;
use std::path::Path;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fractary_codex::event::{Silent, Stage};
use fractary_codex::internals::{
    Counter, Decision, Listing, PackWriter, StatCachePolicy, count, plan, scan, whole,
};
use fractary_codex::interrupt::Interrupt;
use fractary_codex::object::{Kind, hash};
use fractary_codex::outcome::ProjectPlan;
use fractary_codex::sync::{DeletePolicy, SyncRequest, sync};
use fractary_codex::workspace::Project;
use fractary_codex::{config, environment::Environment, workspace};

const FILES: usize = 2000;

/// A project of many small documents, and as many files that no pattern matches.
fn project(root: &Path) -> Project {
    for number in 0..FILES {
        for (directory, name) in [("docs", "md"), ("src", "rs")] {
            let path = root.join(format!("{directory}/part-{}/{number}.{name}", number % 40));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(
                path,
                format!(
                    "# Document {number}\n\n{}",
                    "Words that could be read. ".repeat(number % 200)
                ),
            )
            .unwrap();
        }
    }
    let environment = Environment::from_iter([
        ("FRACTARY_CODEX_PROJECT".to_owned(), "bench".to_owned()),
        (
            "FRACTARY_CODEX_REMOTE__URL".to_owned(),
            "/nowhere".to_owned(),
        ),
    ]);
    let request = config::LoadRequest::new(root.to_owned(), environment);
    workspace::load(&request).unwrap().1.projects.remove(0)
}

fn stages(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let project = project(&directory.path().canonicalize().unwrap());
    let caches = |trust, keep| {
        let mut policy = StatCachePolicy::new(&directory.path().join("state"));
        policy.trust = trust;
        policy.keep = keep;
        policy
    };
    let run = |policy: &StatCachePolicy| {
        scan(
            &project,
            policy,
            &Interrupt::default(),
            &Counter::new(&Silent, Stage::Scan, None),
        )
        .unwrap()
    };
    let snapshot = run(&caches(false, true));
    criterion.bench_function("walk", |bench| bench.iter(|| count(&project).unwrap()));
    criterion.bench_function("scan, every file read", |bench| {
        bench.iter(|| run(&caches(false, false)))
    });
    criterion.bench_function("scan, files known", |bench| {
        bench.iter(|| run(&caches(true, false)))
    });
    let empty = ProjectPlan::default();
    let all = match plan(
        &project,
        &snapshot,
        &Listing::default(),
        DeletePolicy::Guarded,
    ) {
        Decision::Ready(plan) => plan,
        _ => empty,
    };
    let listing = all.apply_to(&Listing::default());
    criterion.bench_function("plan, nothing changed", |bench| {
        bench.iter(|| plan(&project, &snapshot, &listing, DeletePolicy::Guarded));
    });
    let contents: Vec<_> = (0..FILES)
        .map(|n| format!("{n} {}", "some words ".repeat(n % 300)).into_bytes())
        .collect();
    criterion.bench_function("pack", |bench| {
        bench.iter_batched(
            || tempfile::tempdir().unwrap(),
            |target| {
                let mut writer = PackWriter::create(target.path(), FILES as u32).unwrap();
                for data in &contents {
                    writer
                        .append(&whole(hash(Kind::Blob, data), Kind::Blob, data))
                        .unwrap();
                }
                writer.finish().unwrap();
                target
            },
            BatchSize::PerIteration,
        );
    });
}

/// Compares resolving a workspace of a thousand members, each with its own configuration, with a
/// plain walk over the same directories.
fn members(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    for number in 0..1000 {
        let directory = root.join(format!("services/s{number}/.fractary"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(
            directory.join("config.yaml"),
            "codex:\n  sync:\n    to_codex:\n      include: [\"docs/**\", \"*.md\"]\n",
        )
        .unwrap();
    }
    fs::create_dir(root.join(".fractary")).unwrap();
    let workspace =
        "codex:\n  remote: { url: /nowhere }\n  workspace: { members: ['services/*'] }\n";
    fs::write(root.join(".fractary/config.yaml"), workspace).unwrap();
    let request = config::LoadRequest::new(root.clone(), Environment::default());
    criterion.bench_function("resolve 1000 members", |bench| {
        bench.iter(|| assert_eq!(workspace::load(&request).unwrap().1.projects.len(), 1000));
    });
    criterion.bench_function("a plain walk over 1000 members", |bench| {
        bench.iter(|| {
            assert!(
                ignore::WalkBuilder::new(&root)
                    .hidden(false)
                    .build()
                    .flatten()
                    .count()
                    > 3000
            )
        });
    });
}

/// Compares a dry run of [`FILES`] new documents, all of which link to each other and to headings,
/// with and without the check of links.
fn links(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    for number in 0..FILES {
        let path = root.join(format!("workspace/docs/part-{}/{number}.md", number % 40));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let sections = (0..number % 40).map(|section| {
            let other = (number * 7 + section) % FILES;
            format!(
                "## Section {section}\n\n{} [one](../part-{}/{other}.md#document) [two](#section-{section})\n\n",
                "Words that could be read. ".repeat(10),
                other % 40
            )
        });
        fs::write(
            path,
            format!("# Document\n\n{}", sections.collect::<String>()),
        )
        .unwrap();
    }
    fs::create_dir(root.join("workspace/.fractary")).unwrap();
    let config = "codex:\n  project: bench\n  remote: { url: ../codex.git, create: true }\n";
    fs::write(root.join("workspace/.fractary/config.yaml"), config).unwrap();

    for mode in ["off", "warn"] {
        let key = "FRACTARY_CODEX_SYNC__CHECKS__LINKS".to_owned();
        let environment = Environment::from_iter([(key, mode.to_owned())]);
        let mut request = config::LoadRequest::new(root.join("workspace"), environment);
        request.state_home = Some(root.join("state"));
        let (configuration, workspace) = workspace::load(&request).unwrap();
        let mut request = SyncRequest::new(&configuration, &workspace, root.clone(), 0);
        request.dry_run = true;
        criterion.bench_function(
            &format!("dry run of linked documents, links {mode}"),
            |bench| {
                bench.iter(|| {
                    let outcome = sync(&request);
                    assert_eq!(outcome.projects[0].findings, []);
                    assert_eq!(
                        outcome.projects[0].plan.as_ref().unwrap().counts().added,
                        FILES as u64
                    );
                });
            },
        );
    }
}

criterion_group!(benches, stages, members, links);
criterion_main!(benches);
