//! Pull requests of the stub, and their merges.

use git2::{Commit, Oid, Repository, Sort};
use serde_json::Value;

/// A pull request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) branch: String,
    pub(crate) base: String,
    /// `open`, `closed` or `merged`.
    pub(crate) state: &'static str,
    /// The last head of one that is not open.
    pub(super) last_head: Option<String>,
    /// The head that the API has shown last.
    pub(super) shown_head: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) reviewers: Vec<String>,
    pub(crate) draft: bool,
    /// The request that enabled auto-merge.
    pub(crate) auto_merge: Option<Value>,
}

impl Pull {
    /// Changes the texts that a request has.
    pub(super) fn set_texts(&mut self, title: &Value, body: &Value) {
        if let Some(title) = title.as_str() {
            self.title = title.to_owned();
        }
        if let Some(body) = body.as_str() {
            self.body = body.to_owned();
        }
    }

    /// The tip of the branch; of a pull request that is not open, the last one.
    pub(super) fn head(&self, repository: &Repository) -> Option<String> {
        if self.state == "open" {
            tip(repository, &self.branch)
        } else {
            self.last_head.clone()
        }
    }
}

/// The tip of a branch.
pub(super) fn tip(repository: &Repository, branch: &str) -> Option<String> {
    let reference = repository.find_reference(&format!("refs/heads/{branch}"));
    Some(reference.ok()?.target()?.to_string())
}

/// How a pull request is merged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Merge {
    /// With a merge commit.
    Commit,
    Squash,
    Rebase,
}

/// Merges a pull request into its base.
pub(super) fn merge(repository: &Repository, pull: &Pull, how: Merge) {
    let find = |branch: &str| {
        let id = tip(repository, branch).unwrap();
        let id = Oid::from_str(&id).unwrap();
        repository.find_commit(id).unwrap()
    };
    let (base, head) = (find(&pull.base), find(&pull.branch));
    match how {
        Merge::Commit => {
            let id = commit_merge(repository, &base, &head, &[&base, &head]);
            set(repository, &pull.base, id);
        }
        Merge::Squash => {
            let id = commit_merge(repository, &base, &head, &[&base]);
            set(repository, &pull.base, id);
        }
        Merge::Rebase => {
            let mut walk = repository.revwalk().unwrap();
            walk.push(head.id()).unwrap();
            walk.hide(base.id()).unwrap();
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE).unwrap();
            let mut onto = base;
            for id in walk {
                let commit = repository.find_commit(id.unwrap()).unwrap();
                let mut index = repository
                    .cherrypick_commit(&commit, &onto, 0, None)
                    .unwrap();
                let tree = index.write_tree_to(repository).unwrap();
                let tree = repository.find_tree(tree).unwrap();
                let (author, message) = (commit.author(), commit.message().unwrap());
                let id = repository
                    .commit(None, &author, &author, message, &tree, &[&onto])
                    .unwrap();
                onto = repository.find_commit(id).unwrap();
            }
            set(repository, &pull.base, onto.id());
        }
    }
}

fn commit_merge(
    repository: &Repository,
    base: &Commit<'_>,
    head: &Commit<'_>,
    parents: &[&Commit<'_>],
) -> Oid {
    let mut index = repository.merge_commits(base, head, None).unwrap();
    let tree = index.write_tree_to(repository).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let author = head.author();
    repository
        .commit(None, &author, &author, "Merge", &tree, parents)
        .unwrap()
}

fn set(repository: &Repository, branch: &str, id: Oid) {
    let name = format!("refs/heads/{branch}");
    repository.reference(&name, id, true, "merge").unwrap();
}
