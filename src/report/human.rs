//! The result of a sync for people: the changes of a dry run, a table with a line a project, and what went where.

use std::fmt::Write;

use bstr::ByteSlice;

use super::style::Style;
use super::table::table;
use crate::config::Direction;
use crate::object::ObjectId;
use crate::outcome::{ProjectOutcome, ProjectReport, Pushed, SyncOutcome};
use crate::paths::escaped;
use crate::plan::Op;
use crate::words::counted;

/// Changes a project that are shown without being asked for more.
pub(super) const FOLD: usize = 10;
/// Projects that are all shown on a terminal without being asked for more.
const FOLD_PROJECTS: usize = 40;

/// How much is shown, and how.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Whether escape codes are written.
    pub style: Style,
    /// Columns of the terminal that it is for, where it is for one: a long table is made to fit.
    pub width: Option<usize>,
    /// Whether the changes of each project are shown.
    pub changes: bool,
    /// Whether all is shown, however long.
    pub all: bool,
}

/// The whole text.
pub fn sync(outcome: &SyncOutcome, view: View) -> String {
    let mut text = String::new();
    if view.changes {
        for project in &outcome.projects {
            changes(&mut text, project, view);
        }
    }
    // Before there was a plan, only what projects themselves did is worth a line.
    if outcome.plan_id.is_some()
        || outcome
            .projects
            .iter()
            .any(|project| project.outcome.is_own_fault())
    {
        text.push_str(&projects(outcome, view));
        text.push_str(&summary(outcome));
        text.push('\n');
    }
    if let Some(line) = destination(outcome, view.style) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn changes(text: &mut String, project: &ProjectReport, View { style, all, .. }: View) {
    if project.plan.changes.is_empty() {
        return;
    }
    let _ = writeln!(text, "{}", style.strong(&project.name));
    let shown = if all { usize::MAX } else { FOLD };
    for change in project.plan.changes.iter().take(shown) {
        let path = project.in_codex(change.path.as_bstr());
        let path = escaped(&path);
        let _ = match change.op {
            Op::Added(_) => writeln!(text, "  {} {path}", style.good("added   ")),
            Op::Modified(_) => writeln!(text, "  {} {path}", style.warn("modified")),
            Op::Deleted => writeln!(text, "  {} {path}", style.bad("deleted ")),
        };
    }
    if let Some(rest) = project
        .plan
        .changes
        .len()
        .checked_sub(shown)
        .filter(|rest| *rest > 0)
    {
        let _ = writeln!(
            text,
            "  {}",
            style.faint(format!("… and {rest} more; -v shows all"))
        );
    }
    text.push('\n');
}

/// A line a project. On a narrow terminal the headings of the numbers are signs, and of very many projects those that
/// are up to date are only counted.
fn projects(outcome: &SyncOutcome, view: View) -> String {
    let folds = view.width.is_some() && !view.all && outcome.projects.len() > FOLD_PROJECTS;
    let is_folded =
        |project: &&ProjectReport| folds && matches!(project.outcome, ProjectOutcome::UpToDate);
    let both = outcome.direction == Direction::Bidirectional;
    let rows = || {
        outcome
            .projects
            .iter()
            .filter(|project| !is_folded(project))
            .map(|project| {
                let counts = project.plan.counts();
                let numbers = [
                    counts.added,
                    counts.modified,
                    counts.deleted,
                    project.plan.unchanged,
                ];
                let [added, modified, deleted, unchanged] =
                    numbers.map(|number| number.to_string());
                let way = match project.direction {
                    _ if !both => "",
                    Direction::FromCodex => ", from the codex",
                    _ => ", to the codex",
                };
                let result = format!("{}{way}", result(&project.outcome, view.style));
                [
                    project.name.to_string(),
                    added,
                    modified,
                    deleted,
                    unchanged,
                    result,
                ]
            })
    };
    let numbers = [1, 2, 3, 4];
    let wide = table(
        [
            "project",
            "added",
            "modified",
            "deleted",
            "unchanged",
            "result",
        ],
        rows(),
        &numbers,
    );
    let fits = |width| {
        wide.lines()
            .all(|line| anstream::adapter::strip_str(line).to_string().len() <= width)
    };
    let mut text = match view.width {
        Some(width) if !fits(width) => {
            table(["project", "+", "~", "-", "=", "result"], rows(), &numbers)
        }
        _ => wide,
    };
    let folded = outcome.projects.iter().filter(is_folded).count();
    if folded > 0 {
        let _ = writeln!(
            text,
            " {}",
            view.style
                .faint(format!("… and {folded} up to date; -v shows all"))
        );
    }
    text
}

/// The last column, so that its escape codes move nothing.
fn result(outcome: &ProjectOutcome, style: Style) -> String {
    match outcome {
        ProjectOutcome::Synced(commit) => style.good(format!("synced {}", commit.short())),
        ProjectOutcome::Brought => style.good("in the cache"),
        ProjectOutcome::Incomplete(entries) => {
            style.bad(format!("all but {} in the cache", entries.len()))
        }
        ProjectOutcome::Sent(commit) => {
            style.bad(format!("sent {}, not confirmed", commit.short()))
        }
        ProjectOutcome::WouldSync => style.warn("would sync"),
        ProjectOutcome::UpToDate => style.faint("up to date"),
        ProjectOutcome::Withheld(_) | ProjectOutcome::WithheldByOthers => style.warn("withheld"),
        ProjectOutcome::Failed(_) => style.bad("failed"),
        ProjectOutcome::NotLanded => style.bad("not pushed"),
    }
}

fn summary(outcome: &SyncOutcome) -> String {
    let sums = outcome.totals();
    let (added, modified, deleted) = (sums.added, sums.modified, sums.deleted);
    let both = if outcome.direction == Direction::Bidirectional {
        ", both ways"
    } else {
        ""
    };
    let files = format!("{added} added, {modified} modified, {deleted} deleted");
    format!(
        "{}{both}: {}; files: {files}",
        counted(sums.projects, "project"),
        sums.by_status()
    )
}

/// What was pushed where, or that nothing was.
fn destination(outcome: &SyncOutcome, style: Style) -> Option<String> {
    let remote = &outcome.remote;
    let branch = remote.branch.as_deref()?;
    let tip =
        |tip: Option<ObjectId>| tip.map_or_else(|| "no commits".to_owned(), |tip| tip.short());
    let at = |tip: Option<ObjectId>| {
        tip.map_or(", which has no commits".to_owned(), |tip| {
            format!(" at {}", tip.short())
        })
    };
    let place = format!("`{}` of {}", escaped(branch.as_bytes()), remote.url);
    let commits = outcome
        .projects
        .iter()
        .filter(|p| matches!(p.outcome, ProjectOutcome::Synced(_)))
        .count();
    match outcome.pushed {
        Pushed::Verified => {
            let (before, after) = (tip(remote.before), tip(remote.after));
            if commits == 0 && remote.creates_branch {
                return Some(style.strong(format!("created {place} at {after}, confirmed")));
            }
            Some(style.strong(format!(
                "pushed {} to {place}: {before} → {after}, confirmed",
                counted(commits, "commit")
            )))
        }
        Pushed::Unknown => Some(style.bad(format!("sent to {place}, but not confirmed"))),
        Pushed::No if outcome.failure.is_some() => None,
        Pushed::No if outcome.dry_run => {
            let recorded = outcome
                .recorded
                .and_then(|time| jiff::Timestamp::from_second(time).ok());
            let recorded = recorded
                .map(|time| format!(", as recorded at {time}"))
                .unwrap_or_default();
            let tip = match remote.base.filter(|_| remote.creates_branch) {
                Some(base) => format!(
                    ", which does not exist yet and would be created from {}",
                    base.short()
                ),
                None => at(remote.before),
            };
            Some(format!(
                "dry run: nothing was written; compared with {place}{tip}{recorded}"
            ))
        }
        Pushed::No if outcome.direction == Direction::FromCodex => {
            let complete = !outcome
                .projects
                .iter()
                .any(|project| project.outcome.is_own_fault());
            complete.then(|| format!("the local cache holds {place}{}", at(remote.before)))
        }
        Pushed::No => Some(format!(
            "nothing to push: {place} stays at {}",
            tip(remote.before)
        )),
    }
}
