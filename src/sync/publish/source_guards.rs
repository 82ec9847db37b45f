//! The guards on the state of the sources: files that are not committed, and branches that nothing
//! is published from. They need no contents of files.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::codex::source_repository::UnreadableRepository;
use crate::codex::uncommitted::uncommitted_files;
use crate::config::{DirtyMode, SourceState};
use crate::outcome::Warning;
use crate::plan::{Decision, ProjectPlan, Withheld};
use crate::sync::request::SyncRequest;
use crate::sync::source_branch;
use crate::workspace::Project;

/// The results of the guards of a run.
#[derive(Default)]
pub(super) struct GuardResults {
    /// The warnings that were not shown yet.
    warnings: Vec<(GuardSubject, String)>,
    /// The subjects of all warnings. Each has one in a run.
    warned: BTreeSet<GuardSubject>,
}

/// The thing that a warning is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum GuardSubject {
    /// A project, by index.
    Project(usize),
    /// A repository, which can contain many projects.
    Repository(UnreadableRepository),
}

/// The result of the guards of one project.
enum Guarded {
    Passed,
    Warned(GuardSubject, String),
    Withheld(Withheld),
}

impl GuardResults {
    /// Withholds the projects that are ready and that a guard does not let pass.
    pub(super) fn guard(
        &mut self,
        request: &SyncRequest<'_>,
        decisions: &mut BTreeMap<usize, Decision>,
    ) {
        let results: Vec<_> = decisions
            .par_iter()
            .filter_map(|(index, decision)| match decision {
                Decision::Ready(plan) => Some((*index, guarded(request, *index, plan))),
                _ => None,
            })
            .collect();
        for (index, result) in results {
            match (result, decisions.get_mut(&index)) {
                (Guarded::Withheld(reason), Some(decision)) => {
                    decision.withhold(reason);
                }
                (Guarded::Warned(subject, message), _) if self.warned.insert(subject.clone()) => {
                    self.warnings.push((subject, message));
                }
                _ => {}
            }
        }
    }

    /// Shows the warnings that were not shown yet.
    pub(super) fn warn(&mut self, request: &SyncRequest<'_>, warnings: &mut Vec<Warning>) {
        for (subject, message) in std::mem::take(&mut self.warnings) {
            let project = match subject {
                GuardSubject::Project(index) => Some(request.projects[index]),
                GuardSubject::Repository(_) => None,
            };
            request.warn(warnings, project, message);
        }
    }
}

fn guarded(request: &SyncRequest<'_>, index: usize, plan: &ProjectPlan) -> Guarded {
    let project = request.projects[index];
    if let Some(reason) = branch_reason(request, project) {
        return Guarded::Withheld(reason);
    }

    let dirty = project.guards.dirty;
    if dirty == DirtyMode::Allow || project.scan.source == SourceState::Committed {
        return Guarded::Passed;
    }
    let is_lenient = dirty == DirtyMode::Warn;
    let unknown = |subject, reason: String| {
        if is_lenient {
            let message = format!("cannot find out whether the files are committed: {reason}");
            Guarded::Warned(subject, message)
        } else {
            Guarded::Withheld(Withheld::UnknownSourceState { reason })
        }
    };
    let unreadable = |error: UnreadableRepository| {
        let reason = error.to_string();
        unknown(GuardSubject::Repository(error), reason)
    };
    // The commits of a run warn of such a repository, because their trailers need it.
    let is_reported = is_lenient && !request.dry_run && request.workspace.commit.trailers;
    let repository = match request.sources.repository(project) {
        Ok(Some(repository)) => repository,
        Ok(None) => return Guarded::Passed,
        Err(_) if is_reported => return Guarded::Passed,
        Err(error) => return unreadable(error),
    };
    let head = match repository.head() {
        Ok(head) => head,
        Err(_) if is_reported => return Guarded::Passed,
        Err(error) => return unreadable(error),
    };
    let subject = GuardSubject::Project(index);
    match uncommitted_files(&repository, head.as_ref(), project, plan) {
        Ok(files) if files.count() == 0 => Guarded::Passed,
        Ok(files) if is_lenient => Guarded::Warned(subject, files.to_string()),
        Ok(files) => Guarded::Withheld(Withheld::Uncommitted(files)),
        Err(error) => unknown(subject, error.to_string()),
    }
}

/// The reason why a project is not published from the branch of its sources, if there is one.
fn branch_reason(request: &SyncRequest<'_>, project: &Project) -> Option<Withheld> {
    let allowed = &project.guards.branches;
    if allowed.is_empty() {
        return None;
    }
    let patterns = || {
        allowed
            .iter()
            .map(|glob| glob.pattern().to_owned())
            .collect()
    };
    let branch = match request.sources.commit(project) {
        Err(error) => Err(error.to_string()),
        Ok(None) => Err("there is no commit in a git repository".to_owned()),
        Ok(Some((_, commit))) => match commit.branch {
            Some(branch) => Ok(branch),
            None if request.sources.is_at_revision(project) => {
                Err("`--source-rev` names no branch".to_owned())
            }
            None => source_branch::of_ci(request.environment, commit.id).map_err(str::to_owned),
        },
    };
    match branch {
        Ok(branch) if allowed.iter().any(|glob| glob.matches(branch.as_bytes())) => None,
        Ok(branch) => Some(Withheld::SourceBranch {
            branch,
            allowed: patterns(),
        }),
        Err(reason) => Some(Withheld::UnknownSourceBranch { reason }),
    }
}
