//! `push.mode: branch`: commits go to sync branches, which others merge into the branch of the
//! codex.

use std::fs;

use crate::support::{Output, World};

/// The sync branch of the workspace `ws`.
const SYNC: &str = "codex-sync/ws";
/// The settings of a run with one sync branch.
const ONE_BRANCH: &str = "  push:\n    mode: branch\n";
/// The settings of a run with a sync branch per project.
const BRANCH_EACH: &str = "  push:\n    mode: branch\n    branch: \"sync/{project}\"\n";

/// Runs a test with each transport: with the default one through a server, and with `git`.
fn with_each_transport(config: &str, projects: &[&'static str], test: impl Fn(&World)) {
    for uses_git in [false, true] {
        let world = World::builder()
            .default_transport()
            .projects(projects)
            .config(config)
            .server(None)
            .build();
        if uses_git {
            world.sandbox.use_git();
        }
        test(&world);
        world.assert_append_only();
        world.codex.git(&["fsck", "--strict"]);
    }
}

/// How a sync branch is merged on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Merge,
    Squash,
}

impl World {
    fn sync_all(&self, more: &[&str]) -> Output {
        self.run(&[&["sync", "--all", "--json"], more].concat())
    }

    /// Writes the file of a project and syncs.
    fn publish_one(&self, project: &str, content: &str) -> serde_json::Value {
        self.edit(project, content);
        self.sync_all(&[]).code(0).json()
    }

    fn edit(&self, project: &str, content: &str) {
        self.sandbox
            .write(&format!("ws/{project}/README.md"), content);
    }

    /// The subjects of the commits that a branch has in addition to `main`, newest first.
    fn subjects_on(&self, branch: &str) -> Vec<String> {
        let range = format!("main..{branch}");
        let listed = self
            .codex
            .git(&["log", "--topo-order", "--format=%s", &range]);
        listed.lines().map(str::to_owned).collect()
    }

    /// The number of pushes that reached the server.
    fn push_requests(&self) -> usize {
        let requests = self.server().requests();
        let is_push = |target: &str| target.ends_with("/git-receive-pack") && !target.contains('?');
        requests.iter().filter(|one| is_push(&one.target)).count()
    }

    /// Merges a sync branch into `main`, as a server does.
    fn merge(&self, branch: &str, method: Method) {
        let codex = &self.codex;
        let tree = codex.git(&["merge-tree", "--write-tree", "main", branch]);
        let parents: &[&str] = match method {
            Method::Merge => &["-p", "main", "-p", branch],
            Method::Squash => &["-p", "main"],
        };
        let arguments = [&["commit-tree", tree.trim(), "-m", "merged"], parents].concat();
        let merged = codex.git(&arguments);
        codex.git(&["update-ref", "refs/heads/main", merged.trim()]);
    }

    /// Asserts that a server could merge a sync branch into `main` without a conflict.
    fn assert_merges(&self, branch: &str) {
        self.codex
            .git(&["merge-tree", "--write-tree", "main", branch]);
    }

    /// Asserts that every update of a sync branch kept the commits that were there before.
    fn assert_append_only(&self) {
        let logs = self.codex.path().join("logs/refs/heads");
        for directory in ["codex-sync", "sync"] {
            let entries = fs::read_dir(logs.join(directory)).into_iter().flatten();
            for entry in entries.flatten() {
                let log = fs::read_to_string(entry.path()).unwrap();
                for line in log.lines() {
                    let (old, new) = (&line[..40], &line[41..81]);
                    if old != "0".repeat(40) {
                        self.codex.git(&["merge-base", "--is-ancestor", old, new]);
                    }
                }
            }
        }
    }
}

#[test]
fn commits_go_to_the_sync_branch_and_are_appended() {
    with_each_transport(ONE_BRANCH, &["alpha", "beta"], |world| {
        let main = world.tip_of("main").unwrap();
        let output = world.sync_all(&[]).code(0).json();
        let tip = world.tip_of(SYNC).unwrap();
        assert_eq!(output["pushed"], true);
        assert_eq!(output["remote"]["branch"], "main");
        assert_eq!(output["remote"]["before"], main);
        assert_eq!(output["remote"]["after"], main);
        let branch = &output["remote"]["sync_branches"][0];
        assert_eq!(branch["branch"], SYNC);
        assert_eq!(branch["before"], serde_json::Value::Null);
        assert_eq!(branch["after"], tip);
        assert_eq!(
            (&branch["pushed"], &branch["creates_branch"]),
            (&true.into(), &true.into())
        );
        assert_eq!(branch["projects"], serde_json::json!(["alpha", "beta"]));
        assert_eq!(output["projects"][0]["status"], "synced");
        assert_eq!(output["projects"][0]["branch"], SYNC);
        assert_eq!(
            world.tip_of("main").unwrap(),
            main,
            "the codex is unchanged"
        );
        assert_eq!(
            world.subjects_on(SYNC),
            ["Sync 1 file from beta", "Sync 1 file from alpha"]
        );

        // A second run without changes.
        let pushes = world.push_requests();
        let output = world.sync_all(&[]).code(0).json();
        assert_eq!(output["pushed"], false);
        assert_eq!(output["projects"][0]["status"], "up-to-date");
        assert_eq!(
            (world.push_requests(), world.tip_of(SYNC).unwrap()),
            (pushes, tip.clone())
        );
        // The same without recorded state.
        world.sync_all(&["--rescan"]).code(0);
        assert_eq!(
            (world.push_requests(), world.tip_of(SYNC).unwrap()),
            (pushes, tip.clone())
        );

        let output = world.publish_one("alpha", "changed");
        assert_eq!(output["remote"]["sync_branches"][0]["before"], tip);
        assert_eq!(world.file_on(SYNC, "projects/alpha/README.md"), "changed");
        assert_eq!(world.subjects_on(SYNC).len(), 3);
        assert_eq!(world.tip_of("main").unwrap(), main);
    });
}

#[test]
fn unchanged_run_takes_one_request() {
    let world = World::builder()
        .default_transport()
        .projects(&["alpha", "beta"])
        .config(ONE_BRANCH)
        .server(None)
        .build();
    world.sync_all(&[]).code(0);
    let before = world.server().requests().len();
    world.sync_all(&[]).code(0);
    assert_eq!(world.server().requests().len(), before + 1);
    // A change costs the list, the fetches of both tips and of their history, the push, and the
    // list that verifies it.
    world.publish_one("alpha", "changed");
    assert_eq!(world.server().requests().len(), before + 1 + 5);
}

#[test]
fn sources_that_the_codex_has_need_no_sync_branch() {
    let world = World::builder()
        .config(ONE_BRANCH)
        .codex_files(&[("projects/alpha/README.md", "alpha")])
        .build();
    let output = world.sync_all(&[]).code(0).json();
    assert_eq!(output["pushed"], false);
    assert_eq!(world.tip_of(SYNC), None);
    let shown = world.run(&["sync", "--all"]).code(0).shown();
    assert!(shown.contains("nothing to push: `main` ("), "{shown}");
}

#[test]
fn change_of_the_codex_under_a_published_path_is_merged_once() {
    with_each_transport(ONE_BRANCH, &["alpha", "beta"], |world| {
        world.sync_all(&[]).code(0);
        world.codex.commit(
            &[
                ("100644", "projects/alpha/README.md", "edited in the codex"),
                ("100644", "elsewhere.md", "theirs"),
            ],
            &[],
        );
        let dry_run = world.sync_all(&["--dry-run"]).code(0).json();
        assert_eq!(dry_run["remote"]["sync_branches"][0]["merges_base"], true);
        world.run(&["status", "--check"]).code(6);

        // No source has changed, but a server would find a conflict.
        let output = world.sync_all(&[]).code(0).json();
        assert_eq!(output["plan_id"], dry_run["plan_id"]);
        assert_eq!(output["pushed"], true);
        let alpha = &output["projects"][0];
        assert_eq!(alpha["status"], "synced");
        assert_eq!(alpha["drift"][0]["path"], "projects/alpha/README.md");
        let subjects = world.subjects_on(SYNC);
        assert_eq!(subjects[0], "Sync 1 file from alpha");
        assert_eq!(subjects[1], format!("Merge branch 'main' into {SYNC}"));
        assert_eq!(world.file_on(SYNC, "projects/alpha/README.md"), "alpha");
        assert_eq!(world.file_on(SYNC, "projects/beta/README.md"), "beta");
        assert_eq!(world.file_on(SYNC, "elsewhere.md"), "theirs");
        world.assert_merges(SYNC);

        let tip = world.tip_of(SYNC);
        world.sync_all(&["--rescan"]).code(0);
        assert_eq!(world.tip_of(SYNC), tip);
        world.publish_one("alpha", "changed");
        assert_eq!(world.subjects_on(SYNC).len(), 5);
        world.assert_merges(SYNC);
    });
}

#[test]
fn drift_in_the_codex_withholds_a_project_with_a_sync_branch() {
    let config = &format!("{ONE_BRANCH}\n  sync: {{ on_drift: withhold }}");
    with_each_transport(config, &["alpha", "beta"], |world| {
        world.sync_all(&["-q"]).code(0);
        let theirs = ("100644", "projects/alpha/README.md", "theirs");
        world.codex.commit(&[theirs], &[]);
        let tip = world.tip_of(SYNC);
        for _ in 0..2 {
            let output = world.sync_all(&[]).code(1).json();
            assert_eq!(output["projects"][0]["status"], "withheld");
            assert_eq!(output["projects"][1]["status"], "up-to-date");
            assert_eq!(world.tip_of(SYNC), tip);
        }

        // The change is taken over into the sources.
        world.edit("alpha", "theirs");
        world.sync_all(&[]).code(0);
        assert_eq!(world.file_on(SYNC, "projects/alpha/README.md"), "theirs");
        world.assert_merges(SYNC);

        let theirs = ("100644", "projects/alpha/README.md", "theirs again");
        world.codex.commit(&[theirs], &[]);
        world.edit("alpha", "alpha");
        world.sync_all(&[]).code(1);
        let overwrite = ["--config", "sync.on_drift=overwrite"];
        world.sync_all(&overwrite).code(0);
        assert_eq!(world.file_on(SYNC, "projects/alpha/README.md"), "alpha");
        world.assert_merges(SYNC);
    });
}

#[test]
fn new_change_of_a_path_that_the_codex_changed_is_merged() {
    with_each_transport(ONE_BRANCH, &["alpha", "beta"], |world| {
        world.edit("beta", "beta");
        world.sync_all(&["-q"]).code(0);
        // The sync branch has not changed this path, but the next commit will.
        world
            .codex
            .commit(&[("100644", "projects/beta/new.md", "theirs")], &[]);
        world.sandbox.write("ws/beta/CLAUDE.md", "unrelated");
        world.sync_all(&[]).code(0);
        assert_eq!(world.subjects_on(SYNC).len(), 3);
        world
            .codex
            .commit(&[("100644", "projects/beta/CLAUDE.md", "theirs")], &[]);
        world.sandbox.write("ws/beta/CLAUDE.md", "ours");
        world.sync_all(&[]).code(0);
        let subjects = world.subjects_on(SYNC);
        assert_eq!(subjects[0], "Sync 1 file from beta");
        assert_eq!(subjects[1], format!("Merge branch 'main' into {SYNC}"));
        assert_eq!(world.file_on(SYNC, "projects/beta/CLAUDE.md"), "ours");
        world.assert_merges(SYNC);
    });
}

#[test]
fn commits_of_others_on_the_sync_branch_are_kept_and_named() {
    with_each_transport(ONE_BRANCH, &["alpha"], |world| {
        world.sync_all(&[]).code(0);
        let theirs = world.commit_on(SYNC, "notes.md", "a reviewer's note");
        let output = world.publish_one("alpha", "changed");
        let warning = output["warnings"][0]["message"].as_str().unwrap();
        assert!(warning.contains("1 commit of others"), "{warning}");
        assert!(warning.contains(&theirs[..7]), "{warning}");
        assert_eq!(world.file_on(SYNC, "notes.md"), "a reviewer's note");
        assert_eq!(world.file_on(SYNC, "projects/alpha/README.md"), "changed");

        // A merge of the codex keeps them, too.
        world.codex.commit(
            &[("100644", "projects/alpha/README.md", "edited in the codex")],
            &[],
        );
        world.publish_one("alpha", "changed again");
        assert_eq!(world.file_on(SYNC, "notes.md"), "a reviewer's note");
        assert_eq!(
            world.file_on(SYNC, "projects/alpha/README.md"),
            "changed again"
        );
        world.assert_merges(SYNC);
        let doctor = world.run(&["doctor"]).code(0).shown();
        assert!(doctor.contains("has 1 commit of others"), "{doctor}");
    });
}

#[test]
fn merge_far_below_the_tips_is_found() {
    with_each_transport(ONE_BRANCH, &["alpha"], |world| {
        world.sync_all(&[]).code(0);
        world.merge(SYNC, Method::Merge);
        world.codex.go_on(300);
        let output = world.sync_all(&[]).code(0).json();
        assert_eq!(output["pushed"], false);
        world.publish_one("alpha", "changed");
        assert_eq!(world.subjects_on(SYNC), ["Sync 1 file from alpha"]);

        // Now both go on, and change the same path.
        world.codex.go_on(300);
        world.codex.commit(
            &[("100644", "projects/alpha/README.md", "edited in the codex")],
            &[],
        );
        world.publish_one("alpha", "changed again");
        assert_eq!(world.subjects_on(SYNC).len(), 3);
        world.assert_merges(SYNC);
    });
}

#[test]
fn two_runs_at_once_keep_the_commits_of_both() {
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .config(ONE_BRANCH)
        .build();
    // Another client publishes to the same branch during the first push.
    let other = "[ -e raced ] && exit 0; touch raced
        unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
        id=$(git -c user.name=x -c user.email=x commit-tree -p main -m faster 'main^{tree}') &&
        git update-ref refs/heads/codex-sync/ws $id";
    world.codex.hook("pre-receive", other);
    let output = world.sync_all(&[]).code(0).json();
    assert_eq!(output["attempts"], 2);
    assert_eq!(
        world.subjects_on(SYNC),
        ["Sync 1 file from beta", "Sync 1 file from alpha", "faster"]
    );
    world.assert_append_only();
}

#[test]
fn two_machines_share_a_sync_branch() {
    let world = World::builder().config(ONE_BRANCH).build();
    let sandbox = &world.sandbox;
    let config = fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    let shared = config.replace("alpha", "gamma") + "    branch: codex-sync/ws\n";
    sandbox.write("other/.fractary/config.yaml", shared);
    for round in 0..2 {
        let content = format!("round {round}");
        let runs = ["ws/alpha", "other/gamma"].map(|project| {
            sandbox.write(&format!("{project}/README.md"), &content);
            let (workspace, name) = project.split_once('/').unwrap();
            let mut command = world.command(&["-C", &format!("../{workspace}"), "sync", "--all"]);
            // Machines do not share the lock of the remote.
            command.env("XDG_STATE_HOME", sandbox.path(&format!("state-of-{name}")));
            sandbox.spawn(command)
        });
        for run in runs {
            sandbox.ended(run).code(0);
        }
        for project in ["alpha", "gamma"] {
            let path = format!("projects/{project}/README.md");
            assert_eq!(world.file_on(SYNC, &path), content);
        }
    }
    assert_eq!(world.subjects_on(SYNC).len(), 4);
    world.assert_append_only();
}

#[test]
fn deleted_sync_branch_is_not_created_again_by_the_same_run() {
    let world = World::builder().config(ONE_BRANCH).build();
    world.sync_all(&[]).code(0);
    world.edit("alpha", "changed");
    let delete = "[ -e raced ] && exit 0; touch raced
        unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
        git update-ref -d refs/heads/codex-sync/ws";
    world.codex.hook("pre-receive", delete);
    let output = world.sync_all(&[]).code(5).json();
    assert_eq!(output["error"]["kind"], "branch-gone");
    assert!(
        output["error"].to_string().contains("run again"),
        "{output}"
    );
    assert_eq!(world.tip_of(SYNC), None);
    // The next run starts anew.
    world.sync_all(&[]).code(0);
    assert_eq!(world.file_on(SYNC, "projects/alpha/README.md"), "changed");
}

/// `git fetch` fails if it does not find one of the branches that were listed before.
#[test]
fn sync_branch_that_is_deleted_during_the_fetch_is_created_anew() {
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .config(BRANCH_EACH)
        .build();
    world.sync_all(&[]).code(0);
    world.edit("alpha", "changed");
    world.edit("beta", "changed");
    let delete = format!(
        "case \" $* \" in *' fetch '*) git -C {} update-ref -d refs/heads/sync/beta;; esac",
        world.codex.path().display()
    );
    world.sandbox.wrap_git(&delete);
    let output = world.sync_all(&[]).code(0).json();
    assert_eq!(output["totals"]["synced"], 2);
    assert_eq!(world.subjects_on("sync/alpha").len(), 2);
    assert_eq!(world.subjects_on("sync/beta").len(), 1);
}

#[test]
fn cache_has_the_files_of_the_codex_alone() {
    let pulls = "  sync:\n    from_codex:\n      include: [\"codex://acme/alpha/**\"]\n";
    let world = World::builder()
        .config(&format!("{ONE_BRANCH}{pulls}"))
        .build();
    let cached = world
        .sandbox
        .path("ws/.fractary/codex/cache/projects/alpha/README.md");
    world.sync_all(&[]).code(0);
    assert!(!cached.exists(), "the codex does not have the file yet");
    world.sync_all(&["--bidirectional", "--dry-run"]).code(0);
    let output = world.sync_all(&["--bidirectional"]).code(0).json();
    assert_eq!(output["remote"]["branch"], "main");
    assert!(!cached.exists());

    world.merge(SYNC, Method::Squash);
    world.sync_all(&["--bidirectional"]).code(0);
    assert_eq!(fs::read_to_string(cached).unwrap(), "alpha");
}

#[test]
fn persistent_clone_serves_sync_branches() {
    let config = format!("{ONE_BRANCH}  clone: {{ strategy: cached }}\n");
    with_each_transport(&config, &["alpha", "beta"], |world| {
        world.sync_all(&[]).code(0);
        for content in ["second", "third"] {
            world.codex.commit(
                &[("100644", "projects/alpha/README.md", "edited in the codex")],
                &[],
            );
            world.codex.go_on(3);
            world.publish_one("alpha", content);
            assert_eq!(world.file_on(SYNC, "projects/alpha/README.md"), content);
            world.assert_merges(SYNC);
        }
        world.merge(SYNC, Method::Merge);
        world.publish_one("beta", "changed");
        assert_eq!(world.subjects_on(SYNC), ["Sync 1 file from beta"]);
    });
}

#[test]
fn rejected_projects_of_a_new_sync_branch_create_no_empty_branch() {
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .config(ONE_BRANCH)
        .codex_files(&[("projects/beta/README.md", "beta")])
        .build();
    world.codex.hook(
        "pre-receive",
        "echo 'projects/alpha/README.md is frozen'; exit 1",
    );
    let output = world.sync_all(&[]).code(1).json();
    assert_eq!(output["projects"][0]["status"], "withheld");
    assert_eq!(output["projects"][1]["status"], "up-to-date");
    assert_eq!(output["attempts"], 1);
    assert_eq!(world.tip_of(SYNC), None);
}

#[test]
fn offline_plan_is_that_of_the_sync_branch() {
    let world = World::builder().config(ONE_BRANCH).build();
    world.sync_all(&[]).code(0);
    let offline = ["--dry-run", "--offline"];
    let output = world.sync_all(&offline).code(0).json();
    assert_eq!(output["projects"][0]["status"], "up-to-date");
    assert_eq!(output["remote"]["branch"], "main");
    world.edit("alpha", "changed");
    let planned = world.sync_all(&offline).code(0).json();
    assert_eq!(planned["projects"][0]["status"], "would-sync");
    let online = world.sync_all(&["--dry-run"]).code(0).json();
    assert_eq!(online["plan_id"], planned["plan_id"]);
    // The state of the branch of the codex is another one.
    let direct = ["--push-mode", "direct"];
    world.sync_all(&[&offline[..], &direct].concat()).code(4);
}

#[test]
fn files_of_others_in_the_place_of_a_claimed_path_are_kept() {
    let readme = "projects/alpha/README.md";
    // What the codex puts in the place of the claimed file, and the path that is named.
    for (entry, deleted, obstacle) in [
        (("120000", readme, "elsewhere"), vec![], readme),
        (
            ("100644", "projects/alpha/README.md/x.bin", "theirs"),
            vec![readme],
            readme,
        ),
        (
            ("100644", "projects", "theirs"),
            vec![readme, "projects/beta/README.md"],
            "projects",
        ),
    ] {
        for changes_source in [false, true] {
            let world = World::builder()
                .projects(&["alpha", "beta"])
                .config(ONE_BRANCH)
                .build();
            // This pattern does not cover a directory of the same name.
            let sync = |more: &[&str]| {
                let include = ["--include", "READM?.md"];
                world.sync_all(&[&include, more].concat())
            };
            let direct = ["--config", "push.mode=direct"];
            sync(&direct).code(0);
            world.edit("alpha", "changed");
            sync(&[]).code(0);
            world.codex.commit(&[entry], &deleted);
            let kept = world.codex.git(&["ls-tree", "-r", "main", entry.1]);
            if changes_source {
                world.edit("alpha", "changed again");
            }
            let tip = world.tip_of(SYNC);
            for arguments in [&[][..], &["--rescan"], &["--dry-run"]] {
                let output = sync(arguments).code(1).json();
                let alpha = &output["projects"][0];
                assert_eq!(alpha["status"], "withheld", "{entry:?}");
                let message = alpha["error"]["message"].as_str().unwrap();
                assert!(
                    message.contains(&format!("`{obstacle}` is a ")),
                    "{message}"
                );
                assert_eq!(output["pushed"], false);
            }
            assert_eq!(world.tip_of(SYNC), tip, "there is no reason for a merge");

            // Another project needs the merge, which keeps the entry.
            if entry.1 != "projects" {
                let beta = "projects/beta/README.md";
                world
                    .codex
                    .commit(&[("100644", beta, "edited in the codex")], &[]);
                sync(&[]).code(1);
                assert_eq!(world.file_on(SYNC, beta), "beta");
                assert_eq!(world.codex.git(&["ls-tree", "-r", SYNC, entry.1]), kept);
            }
        }
    }
}

#[test]
fn claimed_files_that_the_codex_changed_are_restored() {
    with_each_transport(ONE_BRANCH, &["alpha", "beta"], |world| {
        world.sync_all(&["--config", "push.mode=direct"]).code(0);
        world.publish_one("alpha", "changed");
        // The sync branch has changed neither of these paths.
        let beta = "projects/beta/README.md";
        world.codex.commit(&[], &[beta]);
        let output = world.sync_all(&[]).code(0).json();
        assert_eq!(output["projects"][1]["status"], "synced");
        assert_eq!(world.file_on(SYNC, beta), "beta");
        world.merge(SYNC, Method::Squash);
        assert_eq!(world.file_on("main", beta), "beta");

        world
            .codex
            .commit(&[("100644", beta, "edited in the codex")], &[]);
        world.sync_all(&[]).code(0);
        assert_eq!(world.file_on(SYNC, beta), "beta");
        world.assert_merges(SYNC);
        let tip = world.tip_of(SYNC);
        world.sync_all(&["--rescan"]).code(0);
        assert_eq!(world.tip_of(SYNC), tip);
    });
}

#[test]
fn sync_branch_that_cannot_be_merged_is_named() {
    let world = World::builder().config(ONE_BRANCH).build();
    world.sync_all(&[]).code(0);
    let tree = world.codex.git(&["rev-parse", "main^{tree}"]);
    let commit = world
        .codex
        .git(&["commit-tree", tree.trim(), "-m", "rewritten"]);
    world
        .codex
        .git(&["update-ref", "refs/heads/main", commit.trim()]);
    let output = world.publish_one("alpha", "changed");
    let warnings = output["warnings"].to_string();
    assert!(warnings.contains("have no commit in common"), "{warnings}");
    assert!(warnings.contains("delete it on the server"), "{warnings}");
}

#[test]
fn branch_with_a_nested_name_is_an_error_with_a_hint() {
    let world = World::builder().config(ONE_BRANCH).build();
    world.codex.git(&["branch", "codex-sync", "main"]);
    let output = world.sync_all(&[]).code(5).json();
    let hint = output["error"]["hints"][0].as_str().unwrap();
    assert!(hint.contains("`push.branch`"), "{hint}");

    let world = World::builder()
        .projects(&["alpha", "beta"])
        .config(BRANCH_EACH)
        .build();
    world.codex.git(&["branch", "sync/alpha/old", "main"]);
    let output = world.sync_all(&[]).code(1).json();
    let hint = output["projects"][0]["error"]["hints"][0].as_str().unwrap();
    assert!(hint.contains("`push.branch`"), "{hint}");
}

#[test]
fn equal_directories_of_projects_are_merged() {
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .config(ONE_BRANCH)
        .build();
    let write = |file: &str, content: &str| {
        for project in ["alpha", "beta"] {
            let path = format!("ws/{project}/docs/{file}");
            world.sandbox.write(&path, content);
        }
    };
    write("x.md", "first");
    write("y.md", "first");
    world.sync_all(&["--config", "push.mode=direct"]).code(0);
    write("x.md", "second");
    world.sync_all(&[]).code(0);
    let edited = ["alpha", "beta"].map(|project| format!("projects/{project}/docs/x.md"));
    let entries = edited
        .each_ref()
        .map(|path| ("100644", path.as_str(), "theirs"));
    world.codex.commit(&entries, &[]);
    // After the merge, the directories are equal. Each of the next commits replaces one of them.
    for project in ["alpha", "beta"] {
        let path = format!("ws/{project}/docs/z.md");
        world.sandbox.write(&path, project);
    }
    world.sync_all(&[]).code(0);
    for project in ["alpha", "beta"] {
        let file = |name: &str| world.file_on(SYNC, &format!("projects/{project}/docs/{name}"));
        assert_eq!(
            (file("x.md").as_str(), file("z.md").as_str()),
            ("second", project)
        );
    }
    world.codex.git(&["fsck", "--strict"]);
}

#[test]
fn revert_in_the_codex_is_kept_after_criss_cross_merges() {
    let world = World::builder()
        .config(ONE_BRANCH)
        .codex_files(&[("other.md", "first")])
        .build();
    let codex = &world.codex;
    let alpha = "projects/alpha/README.md";
    world.sync_all(&[]).code(0);
    let merged = world.tip_of(SYNC).unwrap();
    codex.commit(
        &[
            ("100644", alpha, "theirs"),
            ("100644", "other.md", "second"),
        ],
        &[],
    );
    // The sync branch merges the codex, while the codex merges the older tip of the sync branch.
    world.sync_all(&[]).code(0);
    assert_eq!(world.file_on(SYNC, "other.md"), "second");
    let commit = codex.git(&[
        "commit-tree",
        "main^{tree}",
        "-p",
        "main",
        "-p",
        &merged,
        "-m",
        "merged",
    ]);
    codex.git(&["update-ref", "refs/heads/main", commit.trim()]);
    assert_eq!(
        codex
            .git(&["merge-base", "--all", "main", SYNC])
            .lines()
            .count(),
        2
    );
    codex.commit(
        &[
            ("100644", "other.md", "first"),
            ("100644", alpha, "theirs again"),
        ],
        &[],
    );
    let output = world.publish_one("alpha", "changed");
    assert_eq!(output["remote"]["sync_branches"][0]["merges_base"], true);
    assert_eq!(world.file_on(SYNC, "other.md"), "first");
    assert_eq!(world.file_on(SYNC, alpha), "changed");
}

/// The sync branch of one project must not revert another project in the codex.
#[test]
fn merge_takes_the_paths_of_other_projects_from_the_codex() {
    let (alpha, beta) = ("projects/alpha/README.md", "projects/beta/README.md");
    for is_criss_cross in [false, true] {
        let world = World::builder()
            .projects(&["alpha", "beta"])
            .config(BRANCH_EACH)
            .build();
        let commit = |files: &[(&str, &str)]| {
            let files = files.iter().map(|(path, text)| ("100644", *path, *text));
            world.codex.commit(&files.collect::<Vec<_>>(), &[]);
        };
        world.sync_all(&["--config", "push.mode=direct"]).code(0);
        world.publish_one("alpha", "alpha 2");
        if is_criss_cross {
            let merged = world.tip_of("sync/alpha").unwrap();
            commit(&[(alpha, "edited"), (beta, "beta 1")]);
            world.edit("beta", "beta 1");
            world.sync_all(&[]).code(0);
            let parents = ["-p", "main", "-p", &merged, "-m", "merged"];
            let arguments = [&["commit-tree", "main^{tree}"], &parents[..]].concat();
            let merge = world.codex.git(&arguments);
            let main = ["update-ref", "refs/heads/main", merge.trim()];
            world.codex.git(&main);
        } else {
            world.commit_on("sync/alpha", beta, "of a reviewer");
        }
        commit(&[(alpha, "edited again"), (beta, "beta 2")]);
        world.edit("beta", "beta 2");
        let output = world.sync_all(&[]).code(0).json();
        assert_eq!(output["remote"]["sync_branches"][0]["merges_base"], true);
        assert_eq!(world.file_on("sync/alpha", beta), "beta 2");
        assert_eq!(world.file_on("sync/alpha", alpha), "alpha 2");
        let warnings = output["warnings"].to_string();
        let is_replaced = warnings.contains(&format!("version in `main` of `{beta}`"));
        assert_eq!(is_replaced, !is_criss_cross, "{warnings}");
    }
}

#[test]
fn conflict_about_unclaimed_paths_is_left_to_people() {
    let world = World::builder()
        .config(ONE_BRANCH)
        .codex_files(&[("guide.md", "first")])
        .build();
    world.sync_all(&[]).code(0);
    world.commit_on(SYNC, "guide.md", "of a reviewer");
    world
        .codex
        .commit(&[("100644", "guide.md", "of the codex")], &[]);
    world.publish_one("alpha", "changed");
    assert_eq!(world.file_on(SYNC, "guide.md"), "of a reviewer");

    // A claimed path needs the merge, which has to choose a version.
    let alpha = "projects/alpha/README.md";
    world
        .codex
        .commit(&[("100644", alpha, "edited in the codex")], &[]);
    let output = world.publish_one("alpha", "changed again");
    assert_eq!(world.file_on(SYNC, "guide.md"), "of the codex");
    let warnings = output["warnings"].to_string();
    assert!(
        warnings.contains("version in `main` of `guide.md`"),
        "{warnings}"
    );
}

#[test]
fn each_project_can_have_a_branch() {
    with_each_transport(BRANCH_EACH, &["alpha", "beta", "gamma"], |world| {
        let pushes = world.push_requests();
        let output = world.sync_all(&[]).code(0).json();
        assert_eq!(
            world.push_requests(),
            pushes + 1,
            "all branches in one push"
        );
        for (number, project) in ["alpha", "beta", "gamma"].iter().enumerate() {
            let branch = format!("sync/{project}");
            assert_eq!(
                world.subjects_on(&branch),
                [format!("Sync 1 file from {project}")]
            );
            assert_eq!(output["projects"][number]["branch"], branch);
            assert_eq!(
                output["projects"][number]["commit"],
                world.tip_of(&branch).unwrap()
            );
        }

        // One is merged, one changes, one stays.
        world.merge("sync/alpha", Method::Squash);
        world.edit("beta", "changed");
        let gamma = world.tip_of("sync/gamma");
        let output = world.sync_all(&[]).code(0).json();
        assert_eq!(world.subjects_on("sync/beta").len(), 2);
        assert_eq!(world.tip_of("sync/gamma"), gamma);
        assert_eq!(output["totals"]["synced"], 1);
        assert_eq!(output["totals"]["up_to_date"], 2);

        let before = world.server().requests().len();
        world.sync_all(&[]).code(0);
        if !world.sandbox.uses_git() {
            assert_eq!(world.server().requests().len(), before + 1);
        }
    });
}

#[test]
fn rejected_branch_withholds_only_its_project() {
    with_each_transport(BRANCH_EACH, &["alpha", "beta", "gamma"], |world| {
        world.codex.hook(
            "update",
            "[ $1 = refs/heads/sync/beta ] && { echo 'beta is frozen'; exit 1; }; exit 0",
        );
        let output = world.sync_all(&[]).code(1).json();
        assert_eq!(output["pushed"], true);
        assert_eq!(output["attempts"], 1);
        let beta = &output["projects"][1];
        assert_eq!(
            (&beta["status"], &beta["commit"]),
            (&"withheld".into(), &().into())
        );
        assert!(
            beta["error"].to_string().contains("beta is frozen"),
            "{beta}"
        );
        assert_eq!(output["totals"]["synced"], 2);
        assert_eq!(world.tip_of("sync/beta"), None);
        assert_eq!(world.subjects_on("sync/gamma").len(), 1);

        // If nothing lands, the run has failed.
        world.codex.hook("update", "echo 'all is frozen'; exit 1");
        world.edit("alpha", "changed");
        world.edit("gamma", "changed");
        let output = world.sync_all(&[]).code(5).json();
        assert_eq!(output["error"]["kind"], "declined");
        assert_eq!(output["pushed"], false);
    });
}

#[test]
fn hook_that_rejects_all_branches_together_withholds_its_projects_alone() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for (words, pushes) in [("projects/d/README.md is frozen", 3), ("", 8)] {
        with_each_transport(BRANCH_EACH, &names, |world| {
            let rule = format!(
                "while read old new ref; do case $ref in */d) echo '{words}'; exit 1;; esac; done"
            );
            world.codex.hook("pre-receive", &rule);
            let output = world.sync_all(&[]).code(1).json();
            let rejected = &output["projects"][3];
            assert_eq!(rejected["status"], "withheld", "{output:#}");
            let error = rejected["error"].to_string();
            assert!(error.contains("rejected by the server"), "{error}");
            assert!(error.contains(words), "{error}");
            assert_eq!(output["totals"]["synced"], 7);
            let attempts = output["attempts"].as_u64().unwrap();
            assert!(attempts <= pushes, "{words}: {attempts}");
            for name in names {
                let is_there = world.tip_of(&format!("sync/{name}")).is_some();
                assert_eq!(is_there, name != "d");
            }
        });
    }
}

#[test]
fn only_the_branch_that_moved_is_pushed_again() {
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .config(BRANCH_EACH)
        .build();
    world.sync_all(&[]).code(0);
    let race = "[ $1 != refs/heads/sync/beta ] || [ -e raced ] && exit 0; touch raced
        unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
        id=$(git -c user.name=x -c user.email=x commit-tree -p sync/beta -m faster 'sync/beta^{tree}') &&
        git update-ref refs/heads/sync/beta $id";
    world.codex.hook("update", race);
    world.edit("alpha", "changed");
    world.edit("beta", "changed");
    let output = world.sync_all(&[]).code(0).json();
    assert_eq!(output["attempts"], 2);
    assert_eq!(
        world.subjects_on("sync/beta"),
        ["Sync 1 file from beta", "faster", "Sync 1 file from beta"]
    );
    assert_eq!(world.subjects_on("sync/alpha").len(), 2);
    world.assert_append_only();
}

#[test]
fn sync_branch_needs_a_branch_to_be_merged_into() {
    let world = World::builder().config(ONE_BRANCH).empty_codex().build();
    let output = world.sync_all(&[]).code(4).json();
    assert_eq!(output["error"]["kind"], "branch-missing");
    assert_eq!(world.tip_of(SYNC), None);
    let create = ["--push-mode", "direct", "--config", "remote.create=true"];
    world.sync_all(&create).code(0);
    world.edit("alpha", "changed");
    world.sync_all(&[]).code(0);
    assert_eq!(world.subjects_on(SYNC), ["Sync 1 file from alpha"]);
}

#[test]
fn both_branches_are_named() {
    let world = World::builder().config(ONE_BRANCH).build();
    let shown = world.run(&["sync", "--all", "--dry-run"]).code(0).shown();
    assert!(shown.contains("compared with `main` ("), "{shown}");
    let shown = world.run(&["doctor"]).code(0).shown();
    assert!(
        shown.contains("the first change will create `codex-sync/ws` from `main`"),
        "{shown}"
    );
    let shown = world.run(&["sync", "--all"]).code(0).shown();
    let expected = "pushed 1 commit to `codex-sync/ws` of";
    assert!(shown.contains(expected), "{shown}");
    assert!(
        shown.contains("to be merged into `main`: new at"),
        "{shown}"
    );
    let mut command = world.command(&["sync", "--all"]);
    command.env("GITHUB_STEP_SUMMARY", world.sandbox.path("summary.md"));
    world.sandbox.finish(command).code(0);
    let summary = fs::read_to_string(world.sandbox.path("summary.md")).unwrap();
    assert!(
        summary.contains("`codex-sync/ws`, to be merged into `main`: "),
        "{summary}"
    );
    world.run(&["status", "--html", "status.html"]).code(0);
    let page = fs::read_to_string(world.sandbox.path("ws/status.html")).unwrap();
    assert!(page.contains("codex-sync/ws, to be merged into main"));
}

#[test]
fn sync_branch_is_another_branch_than_that_of_the_codex() {
    let configured = ["--config", "push.branch=main"];
    let world = World::builder().config(ONE_BRANCH).build();
    let both = [&configured[..], &["--config", "remote.branch=main"]].concat();
    let output = world.sync_all(&both).code(3).json();
    assert_eq!(output["error"]["kind"], "configuration");
    // The branch of the codex is only known after it was asked.
    let output = world.sync_all(&configured).code(3).json();
    assert_eq!(output["error"]["kind"], "configuration");
    assert!(
        output["error"]["message"]
            .as_str()
            .unwrap()
            .contains("`main`")
    );
}

#[test]
fn invalid_settings_are_errors_of_the_configuration() {
    let world = World::builder().config(ONE_BRANCH).build();
    for (setting, expected) in [
        (
            "push.mode=force",
            "expected one of `direct`, `branch`, `pull-request`",
        ),
        ("push.branch=refs/heads/x", "is not a branch name"),
        ("push.branch=a..b", "is not a branch name"),
        ("push.branch={env}", "has no value"),
        ("push.branch={projct}", "unknown placeholder"),
    ] {
        let output = world.sync_all(&["--config", setting]).code(3).json();
        let error = output["error"].to_string();
        assert!(error.contains(expected), "{setting}: {error}");
    }
    let each = ["--config", "push.branch=x/{project}", "--atomic"];
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .config(ONE_BRANCH)
        .build();
    world.sync_all(&each).code(2);
    let fails = ["--config", "push.on_declined=fail"];
    let output = world
        .sync_all(&[&each[..2], &fails].concat())
        .code(3)
        .json();
    let error = output["error"].to_string();
    assert!(
        error.contains("needs one branch for all projects"),
        "{error}"
    );
    world.sync_all(&fails).code(0);
    let named = ["--config", "push.branch=docs/{org}/{workspace}"];
    world.sync_all(&named).code(0);
    assert!(world.tip_of("docs/acme/ws").is_some());
}
