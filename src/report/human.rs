//! The result of a sync for people: the changes of a dry run, a table with one row per project, the
//! totals, and what was pushed to which branch.

use std::fmt::Write;

use bstr::ByteSlice;

use super::project_table::{ResultRow, project_table};
use super::style::Style;
use super::sync_branches;
use super::wrap::wrap;
use crate::config::Direction;
use crate::object::ObjectId;
use crate::outcome::{ProjectOutcome, ProjectReport, Pushed, Status, SyncOutcome};
use crate::paths::escaped;
use crate::plan::Op;
use crate::text::{elapsed, pluralize};

/// The number of changes per project that are shown without `-v`.
pub(super) const MAX_CHANGES: usize = 10;
/// The number of projects up to which a terminal shows every project without `-v`.
const MAX_PROJECTS: usize = 40;

/// The settings of the text output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// Colours.
    pub style: Style,
    /// The width of the terminal in columns; `None` if the output is not a terminal.
    pub width: Option<usize>,
    /// Whether the changes of each project are listed.
    pub changes: bool,
    /// Whether long lists are shown in full.
    pub all: bool,
}

/// Formats the whole result.
pub(crate) fn sync(outcome: &SyncOutcome, view: View) -> String {
    let mut text = String::new();
    if let Some(selection) = &outcome.selection {
        let _ = writeln!(text, "{selection}");
        if selection.selected == 0 && outcome.failure.is_none() {
            text.push_str("nothing to do\n");
            return text;
        }
    }
    if view.changes {
        for project in &outcome.projects {
            write_changes(&mut text, project, view);
        }
    }

    // Without a plan, the table is only worth showing if a project itself failed.
    let has_plan = outcome.plan_id.is_some();
    let has_failed_project = outcome
        .projects
        .iter()
        .any(|project| project.outcome.is_own_fault());
    if has_plan || has_failed_project {
        text.push_str(&table(outcome, view));
    }
    let mut lines = Vec::new();
    if has_plan || has_failed_project {
        lines.push(summary(outcome, view));
    }
    let moves = outcome.projects.iter();
    lines.extend(moves.filter_map(|project| moved(project, outcome.dry_run)));
    lines.extend(destination(outcome, view.style));
    lines.extend(outcome.pull_requests.iter().map(sync_branches::proposal));
    for line in lines {
        text.push_str(&wrap(&line, view.width, "  "));
        text.push('\n');
    }
    text
}

/// The line about a moved directory, if the project has one.
pub(super) fn moved(project: &ProjectReport, dry_run: bool) -> Option<String> {
    let moved = project.plan.as_ref()?.moved.as_ref()?;
    let verb = match project.outcome {
        ProjectOutcome::Synced(_) => "moved",
        ProjectOutcome::Proposed(_) | ProjectOutcome::PushedOnly(_) => "moved on the sync branch",
        _ if dry_run => "would move",
        _ => return None,
    };
    let files = pluralize(moved.files.entries.len(), "file");
    let to = project.to.as_ref()?;
    Some(format!("{verb} {files} from `{}` to `{to}`", moved.from))
}

/// Lists the changes of one project, with its name as the heading.
fn write_changes(text: &mut String, project: &ProjectReport, View { style, all, .. }: View) {
    let changes = project.changes();
    if changes.is_empty() {
        return;
    }

    let _ = writeln!(text, "{}", style.strong(&project.name));
    let limit = if all { usize::MAX } else { MAX_CHANGES };
    for change in changes.iter().take(limit) {
        let path = project.in_codex(change.path.as_bstr());
        let path = escaped(&path);
        let _ = match change.op {
            Op::Added(_) => writeln!(text, "  {} {path}", style.good("added   ")),
            Op::Modified(_) => writeln!(text, "  {} {path}", style.warn("modified")),
            Op::Deleted => writeln!(text, "  {} {path}", style.bad("deleted ")),
        };
    }

    let omitted = changes.len().saturating_sub(limit);
    if omitted > 0 {
        let line = style.faint(format!("… and {omitted} more; -v shows all"));
        let _ = writeln!(text, "  {line}");
    }
    text.push('\n');
}

/// Formats the table with one row per project: the withheld and then the failed ones are last.
///
/// On a terminal, a run of more than [`MAX_PROJECTS`] projects only counts those that are up to date.
fn table(outcome: &SyncOutcome, view: View) -> String {
    let folds = view.width.is_some() && !view.all && outcome.projects.len() > MAX_PROJECTS;
    let is_folded =
        |project: &&ProjectReport| folds && matches!(project.outcome, ProjectOutcome::UpToDate);
    let mut projects: Vec<&ProjectReport> = outcome
        .projects
        .iter()
        .filter(|project| !is_folded(project))
        .collect();
    projects.sort_by_key(|project| match project.outcome.status() {
        Status::Failed => 2,
        Status::Withheld => 1,
        _ => 0,
    });
    let rows: Vec<ResultRow> = projects
        .into_iter()
        .map(|project| project_row(project, outcome))
        .collect();
    let mut text = project_table(&rows, view.width, view.style);

    let folded = outcome.projects.iter().filter(is_folded).count();
    if folded > 0 {
        let line = format!("… and {folded} up to date; -v shows all");
        let _ = writeln!(text, " {}", view.style.faint(line));
    }
    text
}

/// The row of a project. In a run in both directions, the result names the direction of the row. If
/// each project has a sync branch, it names the branch.
fn project_row(project: &ProjectReport, outcome: &SyncOutcome) -> ResultRow {
    let has_own_branch = outcome.remote.sync_branches.len() > 1;
    let direction = match project.direction {
        _ if outcome.direction != Direction::Bidirectional => "",
        Direction::FromCodex => ", from the codex",
        _ => ", to the codex",
    };
    let branch = match (&project.outcome, &project.sync_branch) {
        (ProjectOutcome::Synced(_) | ProjectOutcome::Proposed(_), Some(branch))
            if has_own_branch =>
        {
            format!(" on {}", escaped(branch.as_bytes()))
        }
        _ => String::new(),
    };

    let (result, paint) = result(&project.outcome, outcome.dry_run);
    ResultRow {
        name: project.name.to_string(),
        counts: project.counts(),
        result: format!("{result}{direction}{branch}"),
        paint,
    }
}

/// The text of the result column, and its style.
fn result(outcome: &ProjectOutcome, dry_run: bool) -> (String, fn(Style, String) -> String) {
    fn good(style: Style, text: String) -> String {
        style.good(text)
    }
    fn warn(style: Style, text: String) -> String {
        style.warn(text)
    }
    fn bad(style: Style, text: String) -> String {
        style.bad(text)
    }
    fn faint(style: Style, text: String) -> String {
        style.faint(text)
    }

    match outcome {
        ProjectOutcome::Synced(commit) => (format!("synced {}", commit.short()), good),
        ProjectOutcome::Proposed(commit) => (format!("proposed {}", commit.short()), good),
        ProjectOutcome::PushedOnly(commit) => {
            (format!("pushed {}, not proposed", commit.short()), bad)
        }
        ProjectOutcome::Pulled => ("in the cache".to_owned(), good),
        ProjectOutcome::Incomplete(entries) => {
            let entries = pluralize(entries.len(), "path");
            let verb = if dry_run { "would be " } else { "" };
            (format!("{verb}in the cache except {entries}"), bad)
        }
        ProjectOutcome::Sent(commit) => (format!("sent {}, not confirmed", commit.short()), bad),
        ProjectOutcome::WouldSync => ("would sync".to_owned(), warn),
        ProjectOutcome::UpToDate => ("up to date".to_owned(), faint),
        ProjectOutcome::Withheld(_)
        | ProjectOutcome::PullRequestClosed { .. }
        | ProjectOutcome::WithheldByOthers
        | ProjectOutcome::Rejected(_)
        | ProjectOutcome::Undecided => (with_reason("withheld", outcome), warn),
        ProjectOutcome::Recorded(problem) if problem.status == Status::Withheld => {
            (with_reason("withheld", outcome), warn)
        }
        ProjectOutcome::Failed(_) | ProjectOutcome::Recorded(_) => {
            (with_reason("failed", outcome), bad)
        }
        ProjectOutcome::NotLanded => ("not pushed".to_owned(), bad),
    }
}

/// A result with its reason in a few words. The error after the table has the details.
fn with_reason(result: &str, outcome: &ProjectOutcome) -> String {
    match outcome.in_short() {
        Some(reason) => format!("{result}: {reason}"),
        None => result.to_owned(),
    }
}

/// Formats the totals, such as `3 projects: 2 synced, 1 failed; files: …`. A terminal also shows the
/// duration: `3 projects in 0.4 s: …`.
fn summary(outcome: &SyncOutcome, view: View) -> String {
    let totals = outcome.totals();
    let statuses = if outcome.direction == Direction::Bidirectional {
        statuses_by_direction(outcome)
    } else {
        totals.by_status()
    };

    let time = match view.width {
        Some(_) => format!(" in {}", elapsed(outcome.duration)),
        None => String::new(),
    };
    let statuses = match statuses.is_empty() {
        true => String::new(),
        false => format!(": {statuses}"),
    };
    format!(
        "{}{time}{statuses}; files: {} added, {} modified, {} deleted",
        pluralize(totals.projects, "project"),
        totals.added,
        totals.modified,
        totals.deleted
    )
}

/// Counts the projects by direction and status: `2 synced (to codex), 1 failed (from codex)`.
fn statuses_by_direction(outcome: &SyncOutcome) -> String {
    let directions = [
        (Direction::ToCodex, "to codex"),
        (Direction::FromCodex, "from codex"),
    ];
    let statuses = [
        (Status::Synced, "synced"),
        (Status::Proposed, "proposed"),
        (Status::WouldSync, "would sync"),
        (Status::UpToDate, "up to date"),
        (Status::Withheld, "withheld"),
        (Status::Failed, "failed"),
    ];

    let mut counts = Vec::new();
    for (direction, direction_label) in directions {
        for (status, status_label) in statuses {
            let count = outcome
                .projects
                .iter()
                .filter(|project| project.direction == direction)
                .filter(|project| project.outcome.status() == status)
                .count();
            if count > 0 {
                counts.push(format!("{count} {status_label} ({direction_label})"));
            }
        }
    }
    counts.join(", ")
}

/// The last line: the commits that were pushed and to which branch, or the reason why there were
/// none. `None` if the run failed, because the error explains it.
fn destination(outcome: &SyncOutcome, style: Style) -> Option<String> {
    let remote = &outcome.remote;
    if !remote.sync_branches.is_empty() && outcome.direction != Direction::FromCodex {
        return sync_branches::destination(outcome, style);
    }
    let name = escaped(remote.branch.as_deref()?.as_bytes()).to_string();
    let branch = format!("`{name}` of {}", remote.url);

    match outcome.pushed {
        Pushed::Verified => {
            let commits = outcome
                .projects
                .iter()
                .filter(|project| matches!(project.outcome, ProjectOutcome::Synced(_)))
                .count();
            let short = |tip: Option<ObjectId>| {
                tip.map_or_else(|| "no commits".to_owned(), |tip| tip.short())
            };
            let after = short(remote.after);
            if commits == 0 && remote.creates_branch {
                return Some(style.strong(format!("created {branch} at {after}, confirmed")));
            }
            Some(style.strong(format!(
                "pushed {} to {branch}: {} → {after}, confirmed",
                pluralize(commits, "commit"),
                short(remote.before)
            )))
        }
        Pushed::Unknown => Some(style.bad(format!("sent to {branch}, but not confirmed"))),
        Pushed::No if outcome.failure.is_some() => None,
        Pushed::No => nothing_pushed(outcome, &branch),
    }
}

/// The last line of a run that had nothing to push, or was not meant to push. `branch` names the
/// branch and its remote.
fn nothing_pushed(outcome: &SyncOutcome, branch: &str) -> Option<String> {
    let before = outcome.remote.before;
    let at_tip = before.map_or(", which has no commits".to_owned(), |tip| {
        format!(" at {}", tip.short())
    });
    let is_complete = !outcome
        .projects
        .iter()
        .any(|project| project.outcome.is_own_fault());

    if outcome.dry_run {
        let recorded = outcome
            .recorded
            .and_then(|time| jiff::Timestamp::from_second(time).ok())
            .map(|time| format!(", as recorded at {time}"))
            .unwrap_or_default();
        let tip = match outcome
            .remote
            .base
            .filter(|_| outcome.remote.creates_branch)
        {
            Some(base) => format!(
                ", which does not exist yet and would be created from {}",
                base.short()
            ),
            None => at_tip,
        };
        return Some(format!(
            "dry run: nothing was written; compared with {branch}{tip}{recorded}"
        ));
    }
    if outcome.direction == Direction::FromCodex {
        let exception = match outcome.kept_in_cache {
            0 => String::new(),
            1 => ", except 1 file that was kept".to_owned(),
            kept => format!(", except {kept} files that were kept"),
        };
        return is_complete.then(|| format!("the local cache matches {branch}{at_tip}{exception}"));
    }

    Some(match before {
        None => format!("nothing to push: branch {branch} does not exist yet and was not created"),
        Some(tip) if is_complete => {
            format!(
                "nothing to push: {branch} is already up to date ({})",
                tip.short()
            )
        }
        Some(tip) => format!("nothing was pushed: {branch} is still at {}", tip.short()),
    })
}
