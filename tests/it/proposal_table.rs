//! What happens to a sync branch and its pull request, step by step: the same table for
//! `push.mode: branch` and for each forge.
//!
//! Every row is one sync. It states the result, the pushes, the requests to the API that read and
//! that write, and the files that the codex has once the branch is merged. In every row, the sync
//! branch keeps its commits, unless it was merged and is made anew.

use std::thread;

use git2::{Oid, Repository};
use serde_json::Value;

use crate::pull_requests::{BRANCH, Hosted};
use crate::support::forge::{Kind, Merge};
use crate::support::{Output, World};

const ALPHA: &str = "projects/alpha/README.md";

/// One sync, after `act` has changed something.
struct Row {
    name: &'static str,
    act: fn(&mut Scene),
    /// The status of the project and the state of its pull request; in `branch` mode, the status.
    result: &'static str,
    in_branch_mode: &'static str,
    /// The number of pushes; in `branch` mode, the other one.
    pushes: [usize; 2],
    /// The number of requests to the API that read, on GitHub, on GitLab, and on Gitea or Forgejo.
    reads: [usize; 3],
    /// The number of requests to the API that write.
    writes: usize,
    /// The files of the codex after a merge, without the file of the project.
    files: &'static str,
    /// Whether the branch was merged and is made anew, except in `branch` mode.
    is_new: bool,
}

/// The row of a sync that has nothing to do.
const QUIET: Row = Row {
    name: "",
    act: |_| (),
    result: "up-to-date unchanged",
    in_branch_mode: "up-to-date",
    pushes: [0, 0],
    reads: [1, 1, 1],
    writes: 0,
    files: "README.md",
    is_new: false,
};
/// The row of a change that is pushed on top of the branch.
const CHANGE: Row = Row {
    act: Scene::change,
    result: "proposed updated",
    in_branch_mode: "synced",
    pushes: [1, 1],
    reads: [2, 2, 2],
    writes: 1,
    ..QUIET
};
/// The row of a change after which a pull request is opened.
const NEW: Row = Row {
    result: "proposed created",
    reads: [1, 1, 2],
    ..CHANGE
};
/// The row of a sync after a merge, with nothing else to do.
const MERGED: Row = Row {
    result: "up-to-date",
    reads: [0, 0, 0],
    files: "README.md elsewhere.md notes.md",
    ..QUIET
};
/// The row of the first change after a merge.
const AFTER_MERGE: Row = Row {
    files: "README.md elsewhere.md notes.md",
    ..NEW
};

/// The row of such a change, if the branch is deleted and created again: it was merged by a squash
/// or a rebase, and kept.
const AFTER_KEPT_SQUASH: Row = Row {
    pushes: [2, 1],
    reads: [2, 2, 3],
    is_new: true,
    ..AFTER_MERGE
};

const ROWS: &[Row] = &[
    Row {
        name: "first run",
        act: |_| (),
        ..NEW
    },
    Row {
        name: "no change",
        ..QUIET
    },
    Row {
        name: "change",
        ..CHANGE
    },
    Row {
        name: "change of the base elsewhere",
        act: |scene| scene.commit(&[("elsewhere.md", "theirs")]),
        files: "README.md elsewhere.md",
        ..QUIET
    },
    Row {
        name: "change afterwards",
        files: "README.md elsewhere.md",
        ..CHANGE
    },
    Row {
        name: "change of the base under our path",
        act: |scene| scene.commit(&[(ALPHA, "theirs")]),
        files: "README.md elsewhere.md",
        ..CHANGE
    },
    Row {
        // The description no longer lists the version that the last run has replaced.
        name: "commit of a person",
        act: |scene| drop(scene.hosted.world.commit_on(BRANCH, "notes.md", "theirs")),
        files: "README.md elsewhere.md notes.md",
        result: "up-to-date updated",
        writes: 1,
        ..QUIET
    },
    Row {
        name: "change on top of it",
        files: "README.md elsewhere.md notes.md",
        ..CHANGE
    },
    Row {
        name: "lagging API",
        act: |scene| {
            scene.hosted.forge.lag(3);
            scene.change();
        },
        files: "README.md elsewhere.md notes.md",
        reads: [4, 4, 4],
        ..CHANGE
    },
    Row {
        name: "closed by a person",
        act: |scene| scene.close(1),
        result: "withheld",
        reads: [1, 1, 2],
        files: "README.md elsewhere.md notes.md",
        ..QUIET
    },
    Row {
        name: "opened again",
        act: |scene| scene.reopen(1),
        files: "README.md elsewhere.md notes.md",
        ..QUIET
    },
    Row {
        name: "closed, and a change",
        act: |scene| {
            scene.close(1);
            scene.change();
        },
        files: "README.md elsewhere.md notes.md",
        ..NEW
    },
    Row {
        name: "merge, kept",
        act: |scene| scene.merge(Merge::Commit, true),
        ..MERGED
    },
    Row {
        name: "change",
        ..AFTER_MERGE
    },
    Row {
        name: "squash, kept",
        act: |scene| scene.merge(Merge::Squash, true),
        reads: [1, 1, 2],
        ..MERGED
    },
    Row {
        name: "change",
        ..AFTER_KEPT_SQUASH
    },
    Row {
        name: "merge, deleted",
        act: |scene| scene.merge(Merge::Commit, false),
        ..MERGED
    },
    Row {
        name: "change",
        ..AFTER_MERGE
    },
    Row {
        name: "rebase, kept",
        act: |scene| scene.merge(Merge::Rebase, true),
        reads: [1, 1, 2],
        ..MERGED
    },
    Row {
        name: "change",
        ..AFTER_KEPT_SQUASH
    },
    Row {
        name: "squash, deleted",
        act: |scene| scene.merge(Merge::Squash, false),
        ..MERGED
    },
    Row {
        name: "change",
        ..AFTER_MERGE
    },
    Row {
        name: "rebase, deleted",
        act: |scene| scene.merge(Merge::Rebase, false),
        ..MERGED
    },
];

/// A workspace with one project, and the forge of its codex.
struct Scene {
    /// `None` in `branch` mode.
    kind: Option<Kind>,
    hosted: Hosted,
    /// The number of changes so far, which is the content of the project's file.
    changes: usize,
    /// The rows with other numbers of pushes or requests than expected.
    differences: Vec<String>,
}

impl Scene {
    fn new(kind: Option<Kind>, world: World) -> Self {
        let count = format!(
            "cat > /dev/null; echo >> {}",
            world.sandbox.path("pushes").display()
        );
        world.codex.hook("pre-receive", &count);
        Self {
            kind,
            hosted: Hosted::with(kind.unwrap_or(Kind::GitHub), world),
            changes: 0,
            differences: Vec::new(),
        }
    }

    fn command(&self, more: &[(&str, &str)]) -> std::process::Command {
        let world = &self.hosted.world;
        let mut command = world.command(&["sync", "--all", "--json"]);
        match self.kind {
            Some(_) => command.envs(self.hosted.forge.variables()),
            None => command.env("FRACTARY_CODEX_PUSH__MODE", "branch"),
        };
        command.envs(more.iter().copied());
        command
    }

    fn change(&mut self) {
        self.changes += 1;
        self.hosted.write(&self.changes.to_string());
    }

    /// Makes a commit of another user on the branch of the codex.
    fn commit(&mut self, files: &[(&str, &str)]) {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| ("100644", *path, *text))
            .collect();
        self.hosted.world.codex.commit(&files, &[]);
    }

    /// Merges the open pull request after another change of the base. In `branch` mode, a person
    /// opens it.
    fn merge(&mut self, how: Merge, keeps_branch: bool) {
        let text = self.changes.to_string();
        self.commit(&[("elsewhere.md", &text)]);
        let forge = &self.hosted.forge;
        if self.kind.is_none() {
            forge.open(BRANCH, "main");
        }
        forge.merge(forge.pulls().len() as u64, how);
        if !keeps_branch {
            let name = format!("refs/heads/{BRANCH}");
            self.repository()
                .find_reference(&name)
                .unwrap()
                .delete()
                .unwrap();
        }
    }

    /// Closes a pull request. In `branch` mode, there is none.
    fn close(&self, number: u64) {
        if self.kind.is_some() {
            self.hosted.forge.close(number);
        }
    }

    fn reopen(&self, number: u64) {
        if self.kind.is_some() {
            self.hosted.forge.reopen(number);
        }
    }

    fn repository(&self) -> Repository {
        Repository::open_bare(self.hosted.world.codex.path()).unwrap()
    }

    fn tip(&self, branch: &str) -> Option<Oid> {
        let name = format!("refs/heads/{branch}");
        self.repository().refname_to_id(&name).ok()
    }

    /// The number of pushes since the last call.
    fn pushes(&self) -> usize {
        let path = self.hosted.world.sandbox.path("pushes");
        let pushes = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        pushes.lines().count()
    }

    /// The numbers of requests to the API since the last call that read and that write.
    fn requests(&self) -> (usize, usize) {
        let requests = self.hosted.forge.take_requests();
        let reads = requests
            .iter()
            .filter(|one| one.starts_with("GET "))
            .count();
        (reads, requests.len() - reads)
    }

    /// The files and their contents once the sync branch is merged into the branch of the codex.
    fn merged(&self) -> Vec<(String, String)> {
        let repository = self.repository();
        let find = |branch| Some(repository.find_commit(self.tip(branch)?).unwrap());
        let main = find("main").unwrap();
        let mut index = repository
            .merge_commits(&main, &find(BRANCH).unwrap_or(main.clone()), None)
            .unwrap();
        assert!(!index.has_conflicts(), "a merge would find a conflict");
        let tree = repository
            .find_tree(index.write_tree_to(&repository).unwrap())
            .unwrap();
        let mut files = Vec::new();
        tree.walk(git2::TreeWalkMode::PreOrder, |directory, entry| {
            if let Ok(blob) = repository.find_blob(entry.id()) {
                let path = format!("{directory}{}", entry.name().unwrap());
                files.push((path, String::from_utf8(blob.content().to_vec()).unwrap()));
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
        files
    }

    /// Asserts that the sync branch has the commits of `before`.
    fn assert_appended(&self, before: Option<Oid>, case: &str) {
        let (Some(before), Some(after)) = (before, self.tip(BRANCH)) else {
            return;
        };
        let repository = self.repository();
        let is_kept = before == after || repository.graph_descendant_of(after, before).unwrap();
        assert!(is_kept, "{case}: commits are lost");
    }

    /// The status of the project, and the state of its pull request if there is one.
    fn result_of(document: &Value) -> String {
        let status = document["projects"][0]["status"].as_str().unwrap();
        let state = document["pull_requests"][0]["state"].as_str();
        state.map_or(status.to_owned(), |state| format!("{status} {state}"))
    }

    fn check(&mut self, row: &Row) {
        let case = format!("{:?}, {}, change {}", self.kind, row.name, self.changes);
        (row.act)(self);
        let (before, main) = (self.tip(BRANCH), self.tip("main"));
        let output = self.hosted.world.sandbox.finish(self.command(&[]));
        let document = output.json();
        let expected = match self.kind {
            Some(_) => row.result,
            None => row.in_branch_mode,
        };
        assert_eq!(Self::result_of(&document), expected, "{case}: {document:#}");
        assert_eq!(
            output.code,
            Some(i32::from(expected == "withheld")),
            "{case}"
        );

        let numbers = (self.pushes(), self.requests());
        let expected = match self.kind {
            None => (row.pushes[1], (0, 0)),
            Some(Kind::GitHub) => (row.pushes[0], (row.reads[0], row.writes)),
            Some(Kind::GitLab) => (row.pushes[0], (row.reads[1], row.writes)),
            Some(Kind::Gitea | Kind::Forgejo) => (row.pushes[0], (row.reads[2], row.writes)),
        };
        if numbers != expected {
            self.differences.push(format!(
                "{case}: (pushes, (reads, writes)) {numbers:?}, not {expected:?}"
            ));
        }
        if !row.is_new || self.kind.is_none() {
            self.assert_appended(before, &case);
        }
        assert_eq!(self.tip("main"), main, "{case}: the codex is unchanged");
        let (own, others): (Vec<_>, Vec<_>) = self
            .merged()
            .into_iter()
            .partition(|(path, _)| path == ALPHA);
        let source = match self.changes {
            0 => "alpha".to_owned(),
            changes => changes.to_string(),
        };
        assert_eq!(own, [(ALPHA.to_owned(), source)], "{case}");
        let others: Vec<_> = others.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(others.join(" "), row.files, "{case}");
    }

    /// Two runs at once, as on two machines, open one pull request.
    fn run_twice(&mut self) {
        self.change();
        let count = self.hosted.forge.pulls().len();
        let sandbox = &self.hosted.world.sandbox;
        let runs = [0, 1].map(|number| {
            let home = sandbox.path(&format!("state-{number}"));
            sandbox.spawn(self.command(&[("XDG_STATE_HOME", home.to_str().unwrap())]))
        });
        let outputs: Vec<Output> = runs
            .into_iter()
            .map(|run| sandbox.ended(run).code(0))
            .collect();
        let (_, writes) = self.requests();
        let expected = usize::from(self.kind.is_some());
        assert_eq!(
            self.hosted.forge.pulls().len() - count,
            expected,
            "{:?}",
            self.kind
        );
        // The second run may try to open one, too, and then updates the one of the first.
        assert!(writes <= 3 * expected, "{:?}: {writes}", self.kind);
        assert!((1..=2).contains(&self.pushes()), "{}", outputs[0].stdout);
        let own: Vec<_> = self
            .merged()
            .into_iter()
            .filter(|(path, _)| path == ALPHA)
            .collect();
        assert_eq!(own[0].1, self.changes.to_string());
        let commits = self
            .repository()
            .graph_ahead_behind(self.tip(BRANCH).unwrap(), self.tip("main").unwrap());
        assert_eq!(commits.unwrap().0, 1, "{:?}", self.kind);
    }
}

/// Runs `test` for `branch` mode and for each forge, side by side.
fn for_each_mode(test: impl Fn(Option<Kind>) + Sync) {
    thread::scope(|scope| {
        for kind in [None].into_iter().chain(Kind::ALL.map(Some)) {
            let test = &test;
            scope.spawn(move || test(kind));
        }
    });
}

#[test]
fn every_step_of_a_sync_branch_on_every_forge() {
    for_each_mode(|kind| {
        let mut scene = Scene::new(kind, World::new());
        for row in ROWS {
            scene.check(row);
        }
        assert_eq!(scene.differences, [""; 0]);
        scene.run_twice();
    });
}

/// A server that takes five references per push, and 50 projects with a branch each. The limit is
/// configured on one half of the forges, and reported by the server to the others.
#[test]
fn fifty_branches_land_in_pushes_of_five() {
    for_each_mode(|kind| {
        let config = "  workspace: { members: ['services/*'] }\n";
        let world = World::builder().config(config).projects(&[]).build();
        for number in 0..50 {
            world
                .sandbox
                .write(&format!("ws/services/p{number:02}/README.md"), "a");
        }
        let scene = Scene::new(kind, world);
        let sandbox = &scene.hosted.world.sandbox;
        let hook = format!(
            "n=$(wc -l); echo >> {}; test $n -le 5 || {{ echo 'Pushes can not update more than 5 branches or tags' >&2; exit 1; }}",
            sandbox.path("pushes").display()
        );
        scene.hosted.world.codex.hook("pre-receive", &hook);
        let is_reported = matches!(kind, None | Some(Kind::GitHub));
        let limit = if is_reported { "0" } else { "5" };
        let settings = [
            ("FRACTARY_CODEX_PUSH__BRANCH", "docs/{project}"),
            ("FRACTARY_CODEX_PUSH__MAX_REFS", limit),
        ];
        let run = || sandbox.finish(scene.command(&settings)).code(0).json();
        let document = run();
        let status = if kind.is_some() { "proposed" } else { "synced" };
        assert_eq!(document["totals"][status], 50, "{kind:?}");
        assert_eq!(scene.pushes(), 10 + usize::from(is_reported), "{kind:?}");
        let (reads, writes) = scene.requests();
        let (expected_reads, opened) = match kind {
            None => (0, 0),
            // The lists of Gitea have no filter: two are read once.
            Some(Kind::Gitea | Kind::Forgejo) => (2, 50),
            Some(_) => (50, 50),
        };
        assert_eq!((reads, writes), (expected_reads, opened), "{kind:?}");
        assert_eq!(scene.hosted.forge.pulls().len(), opened);
        let branches = scene.repository().branches(None).unwrap().count();
        assert_eq!(branches, 51);

        let document = run();
        assert_eq!(document["totals"]["up_to_date"], 50, "{kind:?}");
        assert_eq!((scene.pushes(), scene.requests().1), (0, 0), "{kind:?}");
    });
}
