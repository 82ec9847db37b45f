//! Checks of the files that are published: their findings in every output, and the projects that
//! they withhold.

use std::fs;

use serde_json::{Value, json};

use crate::support::World;

const CONFLICT: &str = "# Guide\n\n<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> branch\n";

/// Two projects, of which `alpha` has a file with a conflict.
fn world() -> World {
    let files = [
        ("alpha/docs/guide.md", CONFLICT),
        ("beta/README.md", "beta"),
    ];
    let builder = World::builder().projects(&["alpha", "beta"]);
    builder.files(&files).build()
}

/// The fields of a finding, without its digest.
fn without_digest(finding: &Value) -> Value {
    let mut finding = finding.clone();
    let digest = finding.as_object_mut().unwrap().remove("digest").unwrap();
    assert_eq!(digest.as_str().unwrap().len(), 16);
    finding
}

#[test]
fn finding_withholds_its_project_alone() {
    let world = world();
    let dry = world
        .run(&["sync", "--all", "--dry-run", "--json"])
        .code(1)
        .json();
    let output = world.run(&["sync", "--all", "--json"]).code(1).json();
    let [alpha, beta] = [&output["projects"][0], &output["projects"][1]];
    assert_eq!(
        without_digest(&alpha["findings"][0]),
        json!({
            "check": "conflict_markers",
            "kind": "merge-conflict",
            "severity": "withhold",
            "path": "projects/alpha/docs/guide.md",
            "source": "docs/guide.md",
            "file": "alpha/docs/guide.md",
            "line": 3,
            "column": 1,
            "message": "a merge conflict is not resolved",
        })
    );
    assert_eq!(alpha["status"], "withheld");
    assert_eq!(alpha["error"]["kind"], "withheld");
    assert_eq!(beta["status"], "synced");
    assert_eq!(beta["findings"], json!([]));
    assert_eq!(dry["plan_id"], output["plan_id"]);
    assert_eq!(dry["projects"][0]["findings"], alpha["findings"]);
    assert_eq!(
        world.codex.paths(),
        ["README.md", "projects/beta/README.md"]
    );

    // The state of `alpha` was not recorded as published.
    let status = world.run(&["status", "--offline", "--json"]);
    assert_eq!(status.json()["projects"][0]["findings"], alpha["findings"]);
}

#[test]
fn finding_is_allowed_by_digest_marker_mode_or_option() {
    let world = world();
    let output = world.run(&["sync", "--all", "--dry-run", "--json"]).json();
    let digest = &output["projects"][0]["findings"][0]["digest"];
    let allow = format!("sync.checks.allow=[{digest}]");
    let warn = "projects.alpha.sync.checks.conflict_markers=warn";
    let off = "sync.checks.conflict_markers=off";
    for arguments in [
        ["--config", &allow],
        ["--config", off],
        ["--no-checks", "-v"],
    ] {
        let arguments = [&["sync", "--all", "--dry-run", "--json"], &arguments[..]].concat();
        let output = world.run(&arguments).code(0).json();
        assert_eq!(
            output["projects"][0]["findings"],
            json!([]),
            "{arguments:?}"
        );
    }
    let arguments = ["sync", "--all", "--json", "--config", warn];
    let output = world.run(&arguments).code(0).json();
    assert_eq!(output["projects"][0]["status"], "synced");
    assert_eq!(output["projects"][0]["findings"][0]["severity"], "warn");

    // Published files are not checked again, only changed ones.
    let output = world.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(output["projects"][0]["findings"], json!([]));
    let marked = format!("{CONFLICT}```diff codex:allow-conflict\n{CONFLICT}```\n");
    let marked = marked.replacen("<<", "<!-- codex:allow-conflict -->\n<<", 1);
    world.sandbox.write("ws/alpha/docs/guide.md", marked);
    world.run(&["sync", "--all"]).code(0);
}

/// The source, the kind and the severity of each finding in a project.
fn kinds(project: &Value) -> Vec<[&str; 3]> {
    let findings = project["findings"].as_array().unwrap().iter();
    let kind = |finding| ["source", "kind", "severity"].map(|key| text(finding, key));
    findings.map(kind).collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

/// Links can be broken by the deletion of a file, and by a path of the codex that no sync has used.
#[test]
fn check_content_checks_files_that_do_not_change() {
    let links = "[beta](../../beta/docs/old.md)\n[gamma](../../gamma/no.md)\n";
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .files(&[
            ("alpha/docs/guide.md", CONFLICT),
            ("alpha/docs/links.md", links),
            ("beta/docs/a.md", "a"),
            ("beta/docs/old.md", "old"),
        ])
        .codex_files(&[("projects/alpha/docs/Guide.MD", "of others")])
        .config("  sync: { to_codex: { include: [\"docs/*.md\"] }, checks: { links: withhold } }\n")
        .build();
    world.run(&["sync", "--all", "--no-checks"]).code(0);
    let status = |more: &[&str], code| {
        let arguments = [&["status", "--json"], more].concat();
        world.run(&arguments).code(code).json()
    };
    assert_eq!(kinds(&status(&[], 0)["projects"][0]), [[""; 3]; 0]);
    let own = [
        ["docs/guide.md", "case-collision", "warn"],
        ["docs/guide.md", "merge-conflict", "warn"],
    ];
    let link = ["docs/links.md", "missing-target", "warn"];
    let document = status(&["--check-content", "--check"], 0);
    assert_eq!(document["projects"][0]["status"], "up-to-date");
    assert_eq!(kinds(&document["projects"][0]), [own[0], own[1], link]);
    let document = status(&["--check-content", "--offline"], 0);
    assert_eq!(kinds(&document["projects"][0]), own);

    world.sandbox.remove("ws/beta/docs/old.md");
    let repository = world.sandbox.path("ws");
    for arguments in [
        &["init", "-q", "-b", "main", "--template="][..],
        &["add", "-A"],
        &["commit", "-q", "-m", "Delete a file"],
    ] {
        world.sandbox.git(&repository, arguments);
    }
    for source in ["worktree", "committed"] {
        let source = format!("sync.to_codex.source={source}");
        let document = status(&["--check-content", "--config", &source], 0);
        let alpha = &document["projects"][0];
        assert_eq!(kinds(alpha), [own[0], own[1], link, link], "{source}");
        assert_eq!(document["projects"][1]["status"], "would-sync");
    }

    // Only the findings in changed files withhold the project, as in a sync.
    let changed = format!("{CONFLICT}\nchanged\n");
    world.sandbox.write("ws/alpha/docs/guide.md", changed);
    let document = status(&["--check-content"], 1);
    let alpha = &document["projects"][0];
    let conflict = ["docs/guide.md", "merge-conflict", "withhold"];
    assert_eq!(kinds(alpha), [own[0], conflict]);
    let message = "1 finding of `conflict_markers` in the files to publish";
    assert_eq!(alpha["error"]["message"], message);
}

#[test]
fn findings_are_in_every_output_for_people() {
    let world = world();
    let summary = world.sandbox.path("summary.md");
    let page = world.sandbox.path("page.html");
    let mut command = world.command(&["status", "--html", page.to_str().unwrap()]);
    command.env("GITHUB_ACTIONS", "true");
    command.env("GITHUB_STEP_SUMMARY", &summary);
    let output = world.sandbox.finish(command).code(1);

    let line = "alpha/docs/guide.md:3:1: a merge conflict is not resolved (conflict_markers, ";
    let annotation = "::error file=alpha/docs/guide.md,line=3,col=1,title=fractary-codex::alpha: ";
    for (text, expected) in [
        (&output.stderr, format!("error: alpha: {line}")),
        (&output.stderr, annotation.to_owned()),
        (
            &fs::read_to_string(summary).unwrap(),
            format!("- alpha: `{line}"),
        ),
        (
            &fs::read_to_string(page).unwrap(),
            format!("<li><code>{line}"),
        ),
    ] {
        assert!(text.contains(&expected), "{expected}\n{text}");
    }
}

#[test]
fn secret_is_reported_and_never_shown() {
    // Assembled here, so that this file contains no token.
    let hex: String = (0..64_u64)
        .map(|n| char::from_digit((n * n * 7 + n * 5 + n / 3) as u32 % 16, 16).unwrap())
        .collect();
    let token = format!("dop_v1_{hex}");
    let world = World::new();
    let page = world.sandbox.path("page.html");
    let text = format!("# Deploy\n\nLog in with `{token}`.\n");
    world.sandbox.write("ws/alpha/docs/deploy.md", text);

    let mut command = world.command(&["status", "--html", page.to_str().unwrap(), "-vv"]);
    command.env("GITHUB_ACTIONS", "true");
    let status = world.sandbox.finish(command).code(0);
    let sync = world.run(&["sync", "--json"]).code(0);
    let page = fs::read_to_string(page).unwrap();
    for text in [
        &status.stdout,
        &status.stderr,
        &sync.stdout,
        &sync.stderr,
        &page,
    ] {
        assert!(!text.contains(&hex[..16]), "{text}");
    }
    let finding = &sync.json()["projects"][0]["findings"][0];
    assert_eq!(finding["kind"], "digitalocean-token");
    assert_eq!([&finding["line"], &finding["column"]], [3, 14]);
    let line = "warning: alpha: alpha/docs/deploy.md:3:14: a DigitalOcean token (secrets, ";
    assert!(status.stderr.contains(line), "{}", status.stderr);
    assert_eq!(sync.json()["projects"][0]["status"], "synced");
}

/// Two workspaces can publish to directories that are one directory on some file systems.
#[test]
fn files_in_another_spelling_of_the_directory_withhold_the_project() {
    let world = World::builder()
        .files(&[("alpha/docs/guide.md", "guide")])
        .codex_files(&[
            ("Projects/ALPHA/docs/Guide.md", "of others"),
            ("projects/Alpha/docs/other.md", "of others"),
        ])
        .build();
    let output = world.run(&["sync", "--json"]).code(1).json();
    let findings = output["projects"][0]["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        findings[0]["message"],
        "the codex has `Projects/ALPHA/docs/Guide.md`, which differs from \
         `projects/alpha/docs/guide.md` only in case or Unicode form"
    );

    // A file that others do not have can be published.
    let other = ["--config", "sync.to_codex.exclude=[\"docs/guide.md\"]"];
    world.sandbox.write("ws/alpha/docs/new.md", "new");
    world.run(&[&["sync"][..], &other].concat()).code(0);

    // A file in the place of the directory.
    let to = ["--config", "projects.alpha.to=projects/Alpha/docs/OTHER.md"];
    world.run(&[&["sync"][..], &to].concat()).code(1);
}

#[test]
fn path_that_differs_only_in_case_from_another_one_withholds_the_project() {
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 7\n",
        "4d7a".repeat(16)
    );
    let world = World::builder()
        .files(&[("alpha/docs/guide.md", "guide")])
        .codex_files(&[("projects/alpha/docs/Guide.MD", "of others")])
        .config("  sync: { to_codex: { include: [\"docs/*.md\", \"docs/*.bin\"] }, checks: { large_files: warn } }\n")
        .build();
    world.sandbox.write("ws/alpha/docs/image.bin", pointer);
    world
        .sandbox
        .write("ws/alpha/docs/large.bin", vec![b'a'; 1_000_000]);

    let output = world.run(&["sync", "--json"]).code(1).json();
    let project = &output["projects"][0];
    let findings = project["findings"].as_array().unwrap();
    let mut found: Vec<_> = findings
        .iter()
        .map(|one| {
            (
                one["source"].as_str().unwrap(),
                one["kind"].as_str().unwrap(),
            )
        })
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("docs/guide.md", "case-collision"),
            ("docs/image.bin", "lfs-pointer"),
            ("docs/large.bin", "large-file"),
        ]
    );
    let message = "1 finding of `case_collisions` in the files to publish";
    assert_eq!(project["error"]["message"], message);
    let off = [
        "sync",
        "--json",
        "--config",
        "sync.checks.case_collisions=off",
    ];
    world.run(&off).code(0);
}
