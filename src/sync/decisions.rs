//! Logs what a run decided about each project, and why, also for projects without a change.

use crate::config::Direction;
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
    for report in &outcome.projects {
        if let Some(project) = workspace.project(report.name.as_str()) {
            tracing::info!(project = %report.name, "{}", decision(report, project));
        }
    }
}

fn decision(report: &ProjectReport, project: &Project) -> String {
    let codex = match &report.to {
        Some(to) => format!("`{to}` of the codex"),
        None => "the codex".to_owned(),
    };
    let (from, to) = match report.direction {
        Direction::FromCodex => (codex, format!("the cache `{}`", shown(&project.cache_dir))),
        Direction::ToCodex | Direction::Bidirectional => {
            (format!("`{}`", shown(&project.root)), codex)
        }
    };
    match (&report.outcome, &report.plan) {
        (ProjectOutcome::UpToDate, Some(plan)) => {
            let unmanaged = unmanaged(plan, report.direction);
            format!("up to date: {}{unmanaged}", equal_files(plan, &from, &to))
        }
        (_, None) => format!("{from} was not compared with {to}"),
        (outcome, Some(plan)) => {
            let status = serde_json::to_value(outcome.status()).unwrap_or_default();
            let status = status.as_str().unwrap_or_default().replace('-', " ");
            let changes = pluralize(plan.changes.len(), "change");
            let unchanged = pluralize(plan.unchanged, "file");
            let unmanaged = unmanaged(plan, report.direction);
            format!("{status}: {changes} from {from} to {to}, and {unchanged} the same{unmanaged}")
        }
    }
}

fn equal_files(plan: &ProjectPlan, from: &str, to: &str) -> String {
    match plan.unchanged {
        0 => format!("no file of {from} matches the patterns, and {to} has none"),
        1 => format!("the only matching file of {from} is the same in {to}"),
        count => format!("all {count} matching files of {from} are the same in {to}"),
    }
}

/// The files at the destination that the run does not change.
fn unmanaged(plan: &ProjectPlan, direction: Direction) -> String {
    let reason = match direction {
        Direction::FromCodex => "that the cache did not write",
        Direction::ToCodex | Direction::Bidirectional => "that no pattern matches",
    };
    match plan.unmanaged {
        0 => String::new(),
        count => format!("; {} there {reason}", pluralize(count, "file")),
    }
}
