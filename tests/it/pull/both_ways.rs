//! Publishing and then bringing, and the cache after publishing alone.

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
fn both_ways_publishes_first_and_brings_from_the_new_tip() {
    let (sandbox, codex) = both();
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    let entries: Vec<_> = output["projects"].as_array().unwrap().iter().collect();
    let told = entries.iter().map(|entry| {
        (
            entry["name"].as_str().unwrap(),
            entry["direction"].as_str().unwrap(),
        )
    });
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
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
fn a_dry_run_tells_both_ways_what_a_run_would_do() {
    for cache in ["cache.enabled=true", "cache.enabled=false"] {
        let (sandbox, codex) = both();
        let told = |output: &Value| {
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
            assert_eq!(told(&plan), told(&done), "{cache}, {round}");
        };
        compare("first");
        compare("nothing changed");
        // One goes that nobody else wants, one comes, one changes, on both sides.
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
fn into_an_empty_codex_before_is_before() {
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
fn lists_are_meant_for_the_way_that_the_projects_go() {
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
    // Where something is published, they say what.
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
fn after_a_push_that_failed_nothing_is_brought() {
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
fn a_project_that_is_held_back_holds_nothing_back() {
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
fn the_cache_follows_what_was_published() {
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
    // A link from elsewhere to a file of the cache is another file afterwards.
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
fn a_cache_that_cannot_be_written_does_not_undo_a_publication() {
    let (sandbox, codex) = both();
    sandbox.write("ws/.fractary/codex", "a file where the cache should be");
    let output = sandbox.run(&["sync", "--all", "--to-codex"]).code(0);
    assert!(
        output.stderr.contains("the codex is not affected"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.subjects().len(), 3);
    let brought = sandbox
        .run(&["sync", "--all", "--from-codex", "--json"])
        .code(1)
        .json();
    assert_eq!(brought["projects"][0]["error"]["kind"], "cache");
}

#[test]
fn a_dry_run_goes_on_where_a_run_would_make_the_branch() {
    let (sandbox, _codex) = both();
    let made = [
        "--config",
        "remote.branch=new",
        "--config",
        "remote.create=true",
    ];
    let plan = changes(&sandbox, &[&made[..], &["--dry-run"]].concat());
    assert_eq!(plan, changes(&sandbox, &made));
    // Without anything to publish there is nothing to make it for.
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
fn links_that_are_published_are_not_brought_and_so_not_planned() {
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
fn what_is_in_the_way_and_stays_is_no_place_for_another() {
    let (sandbox, codex) = both();
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write(
        "ws/.fractary/codex/cache/projects/core/a.md",
        "notes in the margin",
    );
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
