//! Logs what a run decided about each project, and why, also for projects without a change.

use crate::outcome::{ProjectOutcome, ProjectReport, SyncOutcome};
use crate::paths::shown;
use crate::plan::ProjectPlan;
use crate::text::pluralize;
use crate::workspace::{Project, Workspace};

/// Logs a line per project. The errors of a project are reported with the result.
pub(super) fn log(outcome: &SyncOutcome, workspace: &Workspace) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    // The projects of a workspace are in name order.
    let projects = &workspace.projects;
    for report in &outcome.projects {
        let found = projects.binary_search_by(|project| project.name.cmp(&report.name));
        if let Ok(index) = found {
            let project = &projects[index];
            tracing::info!(project = %report.name, "{}", decision(report, project));
        }
    }
}

fn decision(report: &ProjectReport, project: &Project) -> String {
    let source = shown(&project.root).to_string();
    let codex = match &report.to {
        Some(to) => format!("`{to}` of the codex"),
        None => "the codex".to_owned(),
    };
    match (&report.outcome, &report.plan) {
        (ProjectOutcome::UpToDate, Some(plan)) => up_to_date(plan, &source, &codex),
        (_, None) => format!("`{source}` was not compared with {codex}"),
        (outcome, Some(plan)) => {
            let status = serde_json::to_value(outcome.status()).unwrap_or_default();
            let status = status.as_str().unwrap_or_default().replace('-', " ");
            let changes = pluralize(plan.changes.len(), "change");
            let unchanged = pluralize(plan.unchanged, "file");
            format!(
                "{status}: {changes} from `{source}` to {codex}, and {unchanged} the same{}",
                unmanaged(plan)
            )
        }
    }
}

fn up_to_date(plan: &ProjectPlan, source: &str, codex: &str) -> String {
    let reason = match plan.unchanged {
        0 => format!("no file of `{source}` matches the patterns, and {codex} has none"),
        1 => format!("the only matching file of `{source}` is the same in {codex}"),
        count => format!("all {count} matching files of `{source}` are the same in {codex}"),
    };
    format!("up to date: {reason}{}", unmanaged(plan))
}

/// The files that no pattern matches, which a sync does not change.
fn unmanaged(plan: &ProjectPlan) -> String {
    match plan.unmanaged {
        0 => String::new(),
        count => format!(
            "; {} there that no pattern matches",
            pluralize(count, "file")
        ),
    }
}
