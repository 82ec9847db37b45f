//! Runs in both directions, and the cache after a publication.

use super::*;

fn both() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha", "beta"],
        "  sync: { direction: bidirectional, from_codex: { include: ['codex://acme/*/**'] } }\n",
    );
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/beta/README.md", "beta");
    codex.commit(&[("100644", "projects/core/a.md", "core")], &[]);
    (sandbox, codex)
}

#[test]
fn run_in_both_directions_pulls_from_the_published_tip() {
    let (sandbox, codex) = both();
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    let entries: Vec<_> = output["projects"].as_array().unwrap().iter().collect();
    let directions = entries.iter().map(|entry| {
        (
            entry["name"].as_str().unwrap(),
            entry["direction"].as_str().unwrap(),
        )
    });
    let directions: Vec<_> = directions.collect();
    assert_eq!(
        directions,
        [
            ("alpha", "to-codex"),
            ("alpha", "from-codex"),
            ("beta", "to-codex"),
            ("beta", "from-codex")
        ]
    );
    assert_eq!(
        (&output["direction"], &output["pushed"]),
        (&"bidirectional".into(), &true.into())
    );
    let cache = sandbox.path("ws/.fractary/codex/cache");
    assert_eq!(
        names(&cache),
        [
            "projects/alpha/README.md",
            "projects/beta/README.md",
            "projects/core/a.md"
        ]
    );
    assert_eq!(codex.subjects().len(), 3);
    let human = sandbox.run(&["sync", "--all"]).code(0);
    assert!(human.stdout.contains("nothing to push"), "{}", human.stdout);
    sandbox.write("ws/alpha/README.md", "again");
    let human = sandbox.run(&["sync", "--all"]).code(0);
    assert!(
        human.stdout.contains("\npushed 1 commit to `main`"),
        "{}",
        human.stdout
    );
}

#[test]
fn dry_run_in_both_directions_reports_what_the_run_does() {
    for cache in ["cache.enabled=true", "cache.enabled=false"] {
        let (sandbox, codex) = both();
        let summary = |output: &Value| {
            let of = |entry: &Value| {
                let counts = ["added", "modified", "deleted", "unchanged", "unmanaged"]
                    .map(|key| entry[key].clone());
                (
                    entry["name"].clone(),
                    entry["direction"].clone(),
                    entry["changes"].clone(),
                    counts,
                )
            };
            let entries: Vec<_> = output["projects"]
                .as_array()
                .unwrap()
                .iter()
                .map(of)
                .collect();
            (output["plan_id"].clone(), entries)
        };
        let compare = |round: &str| {
            let plan = sandbox
                .run(&["sync", "--all", "--config", cache, "--dry-run", "--json"])
                .code(0)
                .json();
            let done = sandbox
                .run(&["sync", "--all", "--config", cache, "--json"])
                .code(0)
                .json();
            assert_eq!(summary(&plan), summary(&done), "{cache}, {round}");
        };
        compare("first");
        compare("nothing changed");
        // On both sides, a file is removed, one is added and one is changed.
        sandbox.write("ws/alpha/README.md", "changed");
        fs::remove_file(sandbox.path("ws/beta/README.md")).unwrap();
        sandbox.write("ws/beta/docs/b.md", "b");
        sandbox.write("ws/beta/docs/c.md", "c");
        codex.commit(
            &[("100644", "projects/core/b.md", "core")],
            &["projects/core/a.md"],
        );
        compare("changes");
    }
}

#[test]
fn tip_before_the_first_publish_is_null() {
    let sandbox = Sandbox::new();
    sandbox.workspace(
        &["alpha"],
        "  sync: { direction: bidirectional, from_codex: { include: ['codex://acme/*/**'] } }\n",
    );
    sandbox.write("ws/alpha/README.md", "alpha");
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(
        (&output["remote"]["before"], &output["pushed"]),
        (&Value::Null, &true.into())
    );
    assert_eq!(output["remote"]["after"], output["projects"][0]["commit"]);
}

#[test]
fn include_flag_applies_to_the_direction_of_the_run() {
    let (sandbox, _codex) = both();
    let include = ["sync", "-p", "alpha", "--include", "codex://acme/core/**"];
    for direction in [
        ["--config", "sync.direction=from-codex"],
        ["--direction", "from-codex"],
    ] {
        sandbox.run(&[&include[..], &direction].concat()).code(0);
        assert_eq!(
            names(&sandbox.path("ws/.fractary/codex/cache")),
            ["projects/core/a.md"]
        );
        sandbox.remove("ws/.fractary/codex");
    }
    // In a run that publishes, the flag selects the published files.
    let both = sandbox
        .run(&["sync", "-p", "alpha", "--include", "none.md", "--json"])
        .code(0)
        .json();
    assert_eq!(
        (&both["direction"], &both["pushed"]),
        (&"bidirectional".into(), &false.into())
    );
    sandbox.run(&["sync", "--all", "--no-cache"]).code(2);
}

#[test]
fn nothing_is_pulled_after_a_failed_push() {
    let (sandbox, codex) = both();
    codex.hook("pre-receive", "exit 1");
    let output = sandbox.run(&["sync", "--all", "--json"]).code(5).json();
    assert!(
        output["projects"]
            .as_array()
            .unwrap()
            .iter()
            .all(|entry| entry["direction"] == "to-codex")
    );
    assert!(!sandbox.path("ws/.fractary/codex/cache").exists());
}

#[test]
fn failed_project_does_not_stop_the_pull_of_others() {
    let (sandbox, _codex) = both();
    fs::remove_dir_all(sandbox.path("ws/beta")).unwrap();
    let output = sandbox.run(&["sync", "--all", "--json"]).code(1).json();
    assert_eq!(output["projects"][2]["status"], "failed");
    assert_eq!(
        names(&sandbox.path("ws/.fractary/codex/cache")),
        ["projects/alpha/README.md", "projects/core/a.md"]
    );
}

#[test]
fn publication_updates_the_cache() {
    let (sandbox, _codex) = both();
    let cache = sandbox.path("ws/.fractary/codex/cache");
    let publish = |more: &[&str]| {
        sandbox
            .run(&[&["sync", "--all", "--to-codex"], more].concat())
            .code(0)
    };
    publish(&["--no-cache"]);
    publish(&["--config", "cache.enabled=false"]);
    let mut in_ci = sandbox.program(&["sync", "--all", "--to-codex"]);
    sandbox.finish({
        in_ci.env("CI", "true");
        in_ci
    });
    assert!(!cache.exists());
    publish(&[]);
    assert_eq!(
        names(&cache),
        ["projects/alpha/README.md", "projects/beta/README.md"]
    );
    assert_eq!(fs::read_to_string(cache.join(".gitignore")).unwrap(), "*\n");
    assert!(
        fs::read_to_string(cache.join("CACHEDIR.TAG"))
            .unwrap()
            .starts_with("Signature: 8a477f597d28d172789f06886806bc55")
    );
    sandbox.write("ws/alpha/README.md", "changed");
    sandbox.write("ws/alpha/docs/new.md", "new");
    fs::remove_file(sandbox.path("ws/beta/README.md")).unwrap();
    sandbox.write("ws/beta/docs/b.md", "b");
    publish(&[]);
    assert_eq!(
        names(&cache),
        [
            "projects/alpha/README.md",
            "projects/alpha/docs/new.md",
            "projects/beta/docs/b.md"
        ]
    );
    assert_eq!(cached(&cache)["projects/alpha/README.md"], b"changed");
    // Another hard link to a cached file keeps the old content.
    fs::hard_link(
        cache.join("projects/alpha/README.md"),
        sandbox.path("linked"),
    )
    .unwrap();
    sandbox.write("ws/alpha/README.md", "changed again");
    publish(&[]);
    assert_eq!(fs::read(sandbox.path("linked")).unwrap(), b"changed");
}

#[test]
fn unwritable_cache_is_a_warning_after_a_publication() {
    let (sandbox, codex) = both();
    sandbox.write("ws/.fractary/codex", "a file where the cache should be");
    let output = sandbox.run(&["sync", "--all", "--to-codex"]).code(0);
    assert!(
        output.stderr.contains("the codex is not affected"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.subjects().len(), 3);
    let pulled = sandbox
        .run(&["sync", "--all", "--from-codex", "--json"])
        .code(1)
        .json();
    assert_eq!(pulled["projects"][0]["error"]["kind"], "cache");
}

#[test]
fn dry_run_continues_if_the_run_would_create_the_branch() {
    let (sandbox, _codex) = both();
    let made = [
        "--config",
        "remote.branch=new",
        "--config",
        "remote.create=true",
    ];
    let plan = changes(&sandbox, &[&made[..], &["--dry-run"]].concat());
    assert_eq!(plan, changes(&sandbox, &made));
    // A run that publishes nothing does not create the branch.
    let newer = [
        "--config",
        "remote.branch=newer",
        "--config",
        "remote.create=true",
    ];
    sandbox
        .run(&[&["sync", "--all", "--from-codex", "--dry-run"], &newer[..]].concat())
        .code(4);
}

#[test]
fn published_links_are_not_planned_for_the_pull() {
    let (sandbox, _codex) = both();
    std::os::unix::fs::symlink("README.md", sandbox.path("ws/alpha/docs.md")).unwrap();
    let lists = [
        "--config",
        "sync.symlinks=preserve",
        "--config",
        "sync.to_codex.include=['*.md']",
    ];
    let plan = changes(&sandbox, &[&lists[..], &["--dry-run"]].concat());
    assert_eq!(plan, changes(&sandbox, &lists));
}

#[test]
fn no_file_is_planned_below_a_kept_file() {
    let (sandbox, codex) = both();
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write("ws/.fractary/codex/cache/projects/core/a.md", "edited");
    codex.commit(
        &[("100644", "projects/core/a.md/b.md", "below")],
        &["projects/core/a.md"],
    );
    let output = sandbox
        .run(&["sync", "--all", "--dry-run", "--json"])
        .code(0)
        .json();
    let added: u64 = output["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["added"].as_u64().unwrap())
        .sum();
    assert_eq!(added, 0, "{output}");
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.run(&["sync", "--all", "--force"]).code(0);
    assert!(
        names(&sandbox.path("ws/.fractary/codex/cache"))
            .contains(&"projects/core/a.md/b.md".to_owned())
    );
}
