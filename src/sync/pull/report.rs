//! Reports on the pulled projects.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bstr::BString;

use super::super::caches::{warn_kept, warn_replaced};
use super::pull_run::PullRun;
use super::withheld_pulls::WithheldPull;
use crate::cache::{Refusal, RequestResult};
use crate::config::Direction;
use crate::names::ProjectName;
use crate::outcome::{LastSync, ProjectError, ProjectOutcome, ProjectReport};
use crate::plan::ProjectPlan;
use crate::workspace::Project;

impl PullRun<'_> {
    /// Warns about the kept files of one project. A file that several projects need is named once:
    /// `warned` has those of the projects before.
    pub(super) fn warn_of_kept(
        &mut self,
        project: &ProjectName,
        result: &RequestResult,
        warned: &mut BTreeSet<BString>,
    ) {
        let kept = result.kept.iter();
        let kept = kept.filter(|(path, _)| warned.insert(path.clone()));
        let kept: Vec<_> = kept.cloned().collect();
        warn_kept(self.request, project, &kept, &mut self.outcome.warnings);
    }

    /// Reports on one project, and warns about replaced files. `refused` are the files of the codex
    /// that cannot be pulled.
    pub(super) fn report(
        &mut self,
        project: &ProjectName,
        result: RequestResult,
        mut refused: Vec<(BString, Refusal)>,
    ) -> ProjectReport {
        let warnings = &mut self.outcome.warnings;
        warn_replaced(self.request, project, &result.replaced, warnings);

        refused.extend(result.refused);
        let outcome = if !refused.is_empty() {
            ProjectOutcome::Incomplete(refused)
        } else if result.plan.changes.is_empty() {
            ProjectOutcome::UpToDate
        } else if self.request.dry_run {
            ProjectOutcome::WouldSync
        } else {
            ProjectOutcome::Pulled
        };
        project_report(project, outcome, Some(result.plan))
    }
}

/// Reports on projects of a cache that failed. A project without an error of its own was not pulled
/// because it shares the cache.
pub(super) fn failed(
    projects: &[&Project],
    errors: Vec<Option<ProjectError>>,
) -> Vec<ProjectReport> {
    let report = |(project, error): (&&Project, Option<ProjectError>)| {
        let outcome = error.map_or(ProjectOutcome::NotLanded, ProjectOutcome::Failed);
        project_report(&project.name, outcome, None)
    };
    projects.iter().zip(errors).map(report).collect()
}

/// Reports on a withheld project.
pub(super) fn withheld(pull: WithheldPull<'_>) -> ProjectReport {
    let outcome = ProjectOutcome::Withheld(pull.reason);
    project_report(&pull.project.name, outcome, Some(pull.plan))
}

fn project_report(
    project: &ProjectName,
    outcome: ProjectOutcome,
    plan: Option<ProjectPlan>,
) -> ProjectReport {
    ProjectReport {
        name: project.clone(),
        root: PathBuf::new(),
        direction: Direction::FromCodex,
        to: None,
        sync_branch: None,
        outcome,
        plan,
        findings: Vec::new(),
        last_sync: LastSync::NotRequested,
        source_directory: None,
        stale_since: None,
    }
}
