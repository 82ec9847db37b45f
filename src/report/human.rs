//! The result of a sync for people: the changes of a dry run, a table with one row per project, the
//! totals, and what was pushed to which branch.

use std::fmt::Write;

use bstr::ByteSlice;

use super::style::Style;
use super::sync_branches;
use super::table::table;
use super::width;
use crate::config::Direction;
use crate::object::ObjectId;
use crate::outcome::{ProjectOutcome, ProjectReport, Pushed, Status, SyncOutcome};
use crate::paths::escaped;
use crate::plan::Op;
use crate::text::pluralize;

/// The number of changes per project that are shown without `-v`.
pub(super) const MAX_CHANGES: usize = 10;
/// The number of projects up to which a terminal shows every project without `-v`.
const MAX_PROJECTS: usize = 40;

/// The settings of the text output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// Colours.
    pub style: Style,
    /// The width of the terminal in columns; `None` if the output is not a terminal. A table that
    /// is wider gets shorter headings.
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
        text.push_str(&project_table(outcome, view));
        text.push_str(&summary(outcome));
        text.push('\n');
    }

    for project in &outcome.projects {
        if let Some(line) = moved(project, outcome.dry_run) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    if let Some(line) = destination(outcome, view.style) {
        text.push_str(&line);
        text.push('\n');
    }
    for proposal in &outcome.pull_requests {
        text.push_str(&sync_branches::proposal(proposal));
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

/// Formats the table with one row per project.
///
/// If it does not fit the terminal, the headings of the numbers become signs. On a terminal, a run
/// of more than [`MAX_PROJECTS`] projects only counts those that are up to date.
fn project_table(outcome: &SyncOutcome, view: View) -> String {
    let folds = view.width.is_some() && !view.all && outcome.projects.len() > MAX_PROJECTS;
    let is_folded =
        |project: &&ProjectReport| folds && matches!(project.outcome, ProjectOutcome::UpToDate);
    let rows = || {
        outcome
            .projects
            .iter()
            .filter(|project| !is_folded(project))
            .map(|project| project_row(project, outcome, view.style))
    };

    let numbers = [1, 2, 3, 4];
    let long = [
        "project",
        "added",
        "modified",
        "deleted",
        "unchanged",
        "result",
    ];
    let short = ["project", "+", "~", "-", "=", "result"];
    let wide = table(long, rows(), &numbers);
    let mut text = match view.width {
        Some(terminal) if width(&wide) > terminal => table(short, rows(), &numbers),
        _ => wide,
    };

    let folded = outcome.projects.iter().filter(is_folded).count();
    if folded > 0 {
        let line = format!("… and {folded} up to date; -v shows all");
        let _ = writeln!(text, " {}", view.style.faint(line));
    }
    text
}

/// The cells of one row. In a run in both directions, the result names the direction of the row. If
/// each project has a sync branch, it names the branch.
fn project_row(project: &ProjectReport, outcome: &SyncOutcome, style: Style) -> [String; 6] {
    let has_own_branch = outcome.remote.sync_branches.len() > 1;
    let [added, modified, deleted, unchanged] = match project.counts() {
        Some(counts) => counts.map(|count| count.to_string()),
        None => ["-"; 4].map(str::to_owned),
    };
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

    [
        project.name.to_string(),
        added,
        modified,
        deleted,
        unchanged,
        format!("{}{direction}{branch}", result(&project.outcome, style)),
    ]
}

/// The result column. It is the last one, because escape codes would disturb the alignment of
/// columns after it.
fn result(outcome: &ProjectOutcome, style: Style) -> String {
    match outcome {
        ProjectOutcome::Synced(commit) => style.good(format!("synced {}", commit.short())),
        ProjectOutcome::Proposed(commit) => style.good(format!("proposed {}", commit.short())),
        ProjectOutcome::PushedOnly(commit) => {
            style.bad(format!("pushed {}, not proposed", commit.short()))
        }
        ProjectOutcome::Pulled => style.good("in the cache"),
        ProjectOutcome::Incomplete(entries) => style.bad(format!(
            "in the cache except {}",
            pluralize(entries.len(), "path")
        )),
        ProjectOutcome::Sent(commit) => {
            style.bad(format!("sent {}, not confirmed", commit.short()))
        }
        ProjectOutcome::WouldSync => style.warn("would sync"),
        ProjectOutcome::UpToDate => style.faint("up to date"),
        ProjectOutcome::Withheld(_)
        | ProjectOutcome::PullRequestClosed { .. }
        | ProjectOutcome::WithheldByOthers
        | ProjectOutcome::Rejected(_)
        | ProjectOutcome::Undecided => style.warn("withheld"),
        ProjectOutcome::Recorded(problem) if problem.status == Status::Withheld => {
            style.warn("withheld")
        }
        ProjectOutcome::Failed(_) | ProjectOutcome::Recorded(_) => style.bad("failed"),
        ProjectOutcome::NotLanded => style.bad("not pushed"),
    }
}

/// Formats the totals, such as `3 projects: 2 synced, 1 failed; files: …`.
fn summary(outcome: &SyncOutcome) -> String {
    let totals = outcome.totals();
    let statuses = if outcome.direction == Direction::Bidirectional {
        statuses_by_direction(outcome)
    } else {
        totals.by_status()
    };

    format!(
        "{}: {statuses}; files: {} added, {} modified, {} deleted",
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
        let kept: u64 = outcome
            .projects
            .iter()
            .filter_map(|project| project.plan.as_ref())
            .map(|plan| plan.unmanaged)
            .sum();
        let exception = match kept {
            0 => String::new(),
            _ => format!(", except {} that were kept", pluralize(kept, "file")),
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
