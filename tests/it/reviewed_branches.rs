//! What reviewers commit to a sync branch survives merges of the codex and the deletion of a merged
//! branch.

use serde_json::Value;

use crate::pull_requests::{BRANCH, Hosted, state};
use crate::support::World;
use crate::support::forge::{Kind, Merge};

/// The path of the project's file in the codex.
const README: &str = "projects/alpha/README.md";

/// The sync branch in the JSON document of a run, with the warnings.
fn branch_of(document: &Value) -> (&Value, String) {
    let branch = &document["remote"]["sync_branches"][0];
    (branch, document["warnings"].to_string())
}

#[test]
fn revert_of_a_reviewer_is_kept_after_criss_cross_merges() {
    let world = World::builder()
        .config("  push:\n    mode: branch\n")
        .codex_files(&[("free.md", "first"), (README, "old")])
        .build();
    let codex = &world.codex;
    let sync = |contents: &str| {
        world.sandbox.write("ws/alpha/README.md", contents);
        world.run(&["sync", "--all", "--json"]).code(0).json()
    };
    sync("one");
    let reviewed = world.commit_on(BRANCH, "free.md", "second");
    // The sync branch merges the codex, while people merge the older tip of the sync branch.
    codex.commit(&[("100644", README, "edited")], &[]);
    sync("two");
    let tree = format!("{BRANCH}^{{tree}}");
    let parents = ["-p", "main", "-p", &reviewed, "-m", "merged"];
    let merge = codex.git(&[&["commit-tree", &tree], &parents[..]].concat());
    codex.git(&["update-ref", "refs/heads/main", merge.trim()]);

    world.commit_on(BRANCH, "free.md", "first");
    codex.commit(&[("100644", README, "edited again")], &[]);
    let document = sync("three");
    let (branch, warnings) = branch_of(&document);
    assert_eq!(branch["merges_base"], true);
    assert!(!warnings.contains("free.md"), "{warnings}");
    let file = |path: &str| codex.git(&["cat-file", "blob", &format!("{BRANCH}:{path}")]);
    assert_eq!(
        (file("free.md"), file(README)),
        ("first".into(), "three".into())
    );
    codex.git(&["merge-tree", "--write-tree", "main", BRANCH]);
}

#[test]
fn file_of_a_reviewer_keeps_a_branch_that_the_codex_lacks() {
    for path in ["guide/review.md", README] {
        let hosted = Hosted::new(Kind::Gitea);
        hosted.sync(0);
        let theirs = hosted.world.commit_on(BRANCH, path, "of a reviewer");
        hosted.forge.mark_as_merged(1);
        hosted.write("changed");
        assert_eq!(state(&hosted.sync(0)), "created");
        let ancestry = ["merge-base", "--is-ancestor", &theirs, BRANCH];
        hosted.world.codex.git(&ancestry);
    }
}

#[test]
fn deletion_of_a_merged_branch_is_reported() {
    let hosted = Hosted::new(Kind::GitHub);
    hosted.sync(0);
    let merged = hosted.tip();
    hosted.forge.merge(1, Merge::Squash);
    hosted.write("changed");

    let output = hosted.run(&["sync", "--all", "--dry-run", "--json"], &[]);
    let document = output.code(0).json();
    let (branch, warnings) = branch_of(&document);
    assert_eq!(branch["before"].as_str(), merged.as_deref());
    assert_eq!(branch["after"], branch["before"]);
    assert!(warnings.contains("is to be deleted"), "{warnings}");
    assert_eq!(hosted.tip(), merged);

    let output = hosted.run(&["sync", "--all"], &[]).code(0);
    let merged = merged.unwrap();
    let line = format!("was deleted and created again: its old tip is {merged}");
    assert!(output.stderr.contains(&line), "{}", output.stderr);
    let line = format!(
        "created again at {} instead of",
        &hosted.tip().unwrap()[..7]
    );
    assert!(output.stdout.contains(&line), "{}", output.stdout);
}
