//! Finds the source commits that the messages of the projects' commits name: the authors of
//! `commit.credit`, and the subject of `{subject}`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bstr::BString;
use rayon::prelude::*;

use super::plan::Planned;
use crate::codex::source_authors::SourceCredit;
use crate::codex::source_repository::{SourceCommit, SourceRepository, UnreadableRepository};
use crate::codex::uncommitted::committed_changes;
use crate::object::ObjectId;
use crate::plan::{Change, ProjectPlan};
use crate::sync::request::{SyncRequest, Task};

/// The credits of a run.
#[derive(Default)]
pub(super) struct Credits {
    /// By the index of the project.
    known: BTreeMap<usize, KnownCredit>,
    /// The projects whose subject contains a secret, so that no message has it.
    with_secret: BTreeSet<usize>,
}

/// The credit for the changes of a plan.
struct KnownCredit {
    changes: Vec<Change>,
    credit: SourceCredit,
}

/// The projects that are published from one commit.
struct SourceHistory {
    repository: Arc<SourceRepository>,
    commit: SourceCommit,
    /// The changed paths of each project in the repository.
    paths: BTreeMap<usize, BTreeSet<BString>>,
}

impl Credits {
    /// The projects whose subject contains a secret, so that no message has it.
    pub(super) fn with_secret(&self) -> &BTreeSet<usize> {
        &self.with_secret
    }

    /// The credit of a project; `None` if messages do not depend on it.
    pub(super) fn of(&self, index: usize) -> Option<&SourceCredit> {
        self.known.get(&index).map(|known| &known.credit)
    }

    /// Finds the source commits of all projects that change, unless messages do not depend on them, or
    /// an earlier attempt has found those of the same changes. `own` is the e-mail address of the
    /// author of the commits. Returns the reasons why repositories cannot be read, each once.
    ///
    /// The history of a repository is read once for all of its projects.
    pub(super) fn find(
        &mut self,
        request: &SyncRequest<'_>,
        plans: &[(usize, &Planned)],
        own: &str,
    ) -> BTreeSet<UnreadableRepository> {
        let mut unreadable = BTreeSet::new();
        if !request.workspace.commit.needs_source_commits() || request.task != Task::Sync {
            return unreadable;
        }

        let changes = plans.iter().flat_map(|(_, planned)| planned.changes());
        let missing: Vec<_> = changes
            .filter(|(index, plan)| {
                let known = self.known.get(index);
                known.is_none_or(|known| known.changes != plan.changes)
            })
            .collect();
        let mut histories = BTreeMap::new();
        for (index, plan) in &missing {
            if let Err(error) = add_paths(request, *index, plan, &mut histories) {
                unreadable.insert(error);
            }
        }

        let histories: Vec<_> = histories.into_values().collect();
        let credits: Vec<_> = histories
            .par_iter()
            .flat_map_iter(|history| history.credits(own))
            .collect();
        let mut credits: BTreeMap<_, _> = credits.into_iter().collect();
        for (index, plan) in missing {
            let mut credit = credits.remove(&index).unwrap_or_default();
            if request.finds_secret(request.projects[index], &credit.subject) {
                credit.subject.clear();
                self.with_secret.insert(index);
            }
            let known = KnownCredit {
                changes: plan.changes.clone(),
                credit,
            };
            self.known.insert(index, known);
        }
        unreadable
    }
}

/// Adds the changed paths of a project to the history that it is published from. Without a commit,
/// there is nothing to add.
fn add_paths(
    request: &SyncRequest<'_>,
    index: usize,
    plan: &ProjectPlan,
    histories: &mut BTreeMap<(usize, ObjectId), SourceHistory>,
) -> Result<(), UnreadableRepository> {
    let project = request.projects[index];
    let Some((repository, commit)) = request.sources.commit(project)? else {
        return Ok(());
    };
    // Without a readable tree, no commit is found.
    let paths = committed_changes(&repository, &commit, project, plan).unwrap_or_default();
    let key = (Arc::as_ptr(&repository) as usize, commit.id);
    let history = histories.entry(key).or_insert_with(|| SourceHistory {
        repository,
        commit,
        paths: BTreeMap::new(),
    });
    history.paths.insert(index, paths);
    Ok(())
}

impl SourceHistory {
    /// The credit of each project.
    fn credits(&self, own: &str) -> Vec<(usize, SourceCredit)> {
        let all: BTreeSet<_> = self.paths.values().flatten().cloned().collect();
        let commits = self.repository.last_changes(&self.commit, &all);
        let numbered = commits.iter().enumerate();
        let number_of: BTreeMap<_, _> = numbered
            .flat_map(|(number, commit)| commit.paths.iter().map(move |path| (path, number)))
            .collect();
        let credit = |paths: &BTreeSet<BString>| {
            let numbers = paths.iter().filter_map(|path| number_of.get(path));
            let numbers: BTreeSet<_> = numbers.collect();
            SourceCredit::new(numbers.into_iter().map(|number| &commits[*number]), own)
        };
        let projects = self.paths.iter();
        projects
            .map(|(index, paths)| (*index, credit(paths)))
            .collect()
    }
}
