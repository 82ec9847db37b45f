//! The HTML report of `status --html`: one self-contained page, which is complete without scripts.
//!
//! File names and commit messages cannot inject markup: the template escapes every value, and the
//! page's content security policy allows only the script and the style that are embedded in it.

use std::collections::BTreeSet;
use std::fmt;

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bstr::ByteSlice;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::human::MAX_CHANGES;
use super::sync_branches::{branches, proposal};
use super::{ErrorReport, ago};
use crate::config::Direction;
use crate::object::ObjectId;
use crate::outcome::{LastSync, ProjectReport, Status, SyncOutcome};
use crate::paths::escaped;
use crate::text::pluralize;

const STYLE: &str = include_str!("../../templates/status.css");
const SCRIPT: &str = include_str!("../../templates/status.js");
/// The number of warnings that are shown without `-v`.
const MAX_WARNINGS: usize = 100;

/// Renders the page of a run whose `failure` is `None`.
///
/// `errors` returns the error of a project. `now` is the time that the page shows as its own, in
/// seconds since the epoch. `all` shows long lists in full.
pub(crate) fn page(
    outcome: &SyncOutcome,
    errors: impl Fn(&ProjectReport) -> Option<ErrorReport>,
    now: i64,
    all: bool,
) -> String {
    let mut rows: Vec<_> = outcome
        .projects
        .iter()
        .map(|report| Row::new(report, errors(report), now, all))
        .collect();
    // Projects that need attention come first. The sort is stable: equal states stay in name order.
    rows.sort_by_key(|row| row.rank);

    let max_warnings = if all { usize::MAX } else { MAX_WARNINGS };
    let warnings = outcome
        .warnings
        .iter()
        .take(max_warnings)
        .map(|warning| {
            let project = warning.project.as_ref().map(ToString::to_string);
            (project, text(&warning.message))
        })
        .collect();

    let page = Page {
        style: STYLE,
        script: SCRIPT,
        policy: format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
            digest(STYLE),
            digest(SCRIPT)
        ),
        version: env!("CARGO_PKG_VERSION"),
        codex: text(&outcome.remote.url.to_string()),
        branch: outcome.remote.branch.as_deref().map(text),
        sync_branches: (!outcome.remote.sync_branches.is_empty())
            .then(|| branches(outcome, str::to_owned).as_deref().map(text))
            .flatten(),
        pull_requests: outcome.pull_requests.iter().map(proposal).collect(),
        tip: outcome.remote.before.map(Id),
        generated: Moment::new(now, now),
        recorded: outcome.recorded.map(|time| Moment::new(time, now)),
        tiles: tiles(outcome),
        rows,
        folded_warnings: outcome.warnings.len().saturating_sub(max_warnings),
        warnings,
    };
    // Writing to a string cannot fail.
    page.render().unwrap_or_default()
}

/// The values of `templates/status.html`.
#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    style: &'static str,
    script: &'static str,
    policy: String,
    version: &'static str,
    codex: String,
    branch: Option<String>,
    tip: Option<Id>,
    /// The sync branches, if there are any.
    sync_branches: Option<String>,
    /// A line for each open pull request.
    pull_requests: Vec<String>,
    generated: Moment,
    /// The time of the recorded state, if the plan was compared with that.
    recorded: Option<Moment>,
    tiles: Vec<Tile>,
    rows: Vec<Row>,
    /// The warnings, each with the name of the project that it is about.
    warnings: Vec<(Option<String>, String)>,
    folded_warnings: usize,
}

/// The number of projects in one state. A click filters the table by that state.
struct Tile {
    state: &'static str,
    label: &'static str,
    count: u64,
}

/// A project in one direction.
struct Row {
    name: String,
    /// The project's path in the codex, or the direction if it is from the codex.
    location: Option<String>,
    state: &'static str,
    label: &'static str,
    rank: u8,
    /// Numbers of files by kind; `None` if they are not known.
    counts: [(&'static str, Option<u64>); 4],
    last_sync: LastSyncCell,
    error: Option<ErrorReport>,
    findings: Vec<String>,
    folded_findings: usize,
    summary: String,
    changes: Vec<ChangeRow>,
    folded: usize,
    /// The command that shows every change.
    all: String,
}

struct ChangeRow {
    op: &'static str,
    path: String,
}

/// The cells "Last synced" and "From revision".
enum LastSyncCell {
    Known {
        when: Moment,
        /// The commit of the codex.
        commit: Option<Id>,
        revision: Option<Id>,
        dirty: bool,
        source: Option<String>,
    },
    Unknown {
        label: &'static str,
        reason: String,
    },
}

/// A time in the formats that the page uses.
struct Moment {
    seconds: i64,
    iso: String,
    date: String,
    clock: String,
    /// Relative to the time of the page; the script keeps it up to date.
    ago: String,
}

/// An object id that the template can show in full and shortened.
struct Id(ObjectId);

impl Id {
    fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a project: its identifier, its label, and its rank in the initial order.
fn state(status: Status) -> (&'static str, &'static str, u8) {
    match status {
        Status::Failed => ("failed", "failed", 0),
        Status::Withheld => ("withheld", "withheld", 1),
        Status::WouldSync => ("would-sync", "out of date", 2),
        Status::UpToDate | Status::Synced | Status::Proposed => ("up-to-date", "up to date", 3),
    }
}

/// The tiles above the table: all projects, then those of each state. The first one has no state,
/// and removes the filter.
fn tiles(outcome: &SyncOutcome) -> Vec<Tile> {
    let totals = outcome.totals();
    // A project that is synced in both directions has two entries.
    let names: BTreeSet<_> = outcome
        .projects
        .iter()
        .map(|project| &project.name)
        .collect();
    let tile = |status, count| {
        let (state, label, _) = state(status);
        Tile {
            state,
            label,
            count,
        }
    };

    vec![
        Tile {
            state: "",
            label: if names.len() == 1 {
                "project"
            } else {
                "projects"
            },
            count: names.len() as u64,
        },
        tile(Status::UpToDate, totals.up_to_date + totals.synced),
        tile(Status::WouldSync, totals.would_sync),
        tile(Status::Withheld, totals.withheld),
        tile(Status::Failed, totals.failed),
    ]
}

impl Row {
    fn new(report: &ProjectReport, error: Option<ErrorReport>, now: i64, all: bool) -> Self {
        let (state, label, rank) = state(report.outcome.status());
        let counts = report.counts();
        let number = |index: usize| counts.map(|counts| counts[index]);

        let limit = if all { usize::MAX } else { MAX_CHANGES };
        let total = report.changes().len();
        let changes = report.changes().iter().take(limit).map(|change| ChangeRow {
            op: change.op.name(),
            path: escaped(&report.in_codex(change.path.as_bstr())).to_string(),
        });

        let (location, flag) = if report.direction == Direction::FromCodex {
            (Some("from the codex".to_owned()), " --from-codex")
        } else {
            (report.to.as_ref().map(ToString::to_string), "")
        };

        Self {
            name: report.name.to_string(),
            location,
            state,
            label,
            rank,
            counts: [
                ("added", number(0)),
                ("modified", number(1)),
                ("deleted", number(2)),
                ("unchanged", number(3)),
            ],
            last_sync: LastSyncCell::new(&report.last_sync, now),
            error: error.map(|error| ErrorReport {
                message: text(&error.message),
                causes: error.causes.iter().map(|cause| text(cause)).collect(),
                hints: error.hints.iter().map(|hint| text(hint)).collect(),
                ..error
            }),
            findings: report
                .findings
                .iter()
                .take(limit)
                .map(ToString::to_string)
                .collect(),
            folded_findings: report.findings.len().saturating_sub(limit),
            summary: pluralize(total, "file"),
            changes: changes.collect(),
            folded: total.saturating_sub(limit),
            all: format!("fractary-codex sync{flag} -p {} --dry-run -v", report.name),
        }
    }
}

impl LastSyncCell {
    fn new(last_sync: &LastSync, now: i64) -> Self {
        let unknown = |label, reason: &str| Self::Unknown {
            label,
            reason: text(reason),
        };

        match last_sync {
            LastSync::Published(commit) => Self::Known {
                when: Moment::new(commit.time, now),
                commit: Some(Id(commit.id)),
                revision: commit.source.as_ref().map(|source| Id(source.commit)),
                dirty: commit.source.as_ref().is_some_and(|source| source.dirty),
                source: commit
                    .source
                    .as_ref()
                    .and_then(|source| source.url.as_deref())
                    .map(brief),
            },
            LastSync::Pulled { time, tip } => Self::Known {
                when: Moment::new(*time, now),
                commit: None,
                revision: tip.map(Id),
                dirty: false,
                source: Some("of the codex".to_owned()),
            },
            LastSync::Never => unknown("never synced", ""),
            LastSync::Unknown(reason) => unknown("unknown", reason),
            LastSync::NotRequested => unknown("unknown", "not requested"),
        }
    }
}

impl Moment {
    fn new(seconds: i64, now: i64) -> Self {
        let time = Timestamp::from_second(seconds).unwrap_or_default();
        Self {
            seconds,
            iso: time.to_string(),
            date: time.strftime("%-d %b %Y").to_string(),
            clock: time.strftime("%H:%M UTC").to_string(),
            ago: ago(now.saturating_sub(seconds)),
        }
    }
}

/// Shortens a URL: without `https://` and `.git`.
fn brief(url: &str) -> String {
    text(
        url.strip_prefix("https://")
            .unwrap_or(url)
            .trim_end_matches(".git"),
    )
}

/// Splits a message at its backticks, for the template.
struct Parts;

impl Parts {
    /// Returns the parts of `message`; `true` marks a part between two backticks, which is shown as
    /// code.
    fn of(message: &str) -> impl Iterator<Item = (bool, &str)> {
        // With an odd number of backticks it is not clear which ones are pairs.
        let is_paired = message.matches('`').count().is_multiple_of(2);
        let parts = if is_paired {
            message.split('`').collect()
        } else {
            vec![message]
        };

        parts
            .into_iter()
            .enumerate()
            .map(|(number, part)| (number % 2 == 1, part))
            .filter(|(_, part)| !part.is_empty())
    }
}

/// Escapes control and bidirectional characters, which could hide or reorder the text around them.
fn text(untrusted: &str) -> String {
    escaped(untrusted.as_bytes()).to_string()
}

/// The source expression of an embedded script or style in the content security policy.
fn digest(contents: &str) -> String {
    format!(
        "sha256-{}",
        BASE64_STANDARD.encode(Sha256::digest(contents))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_cannot_end_their_element() {
        // Otherwise the browser would see other contents than those of the digest, and block them.
        // It would also normalize a carriage return.
        for contents in [STYLE, SCRIPT] {
            assert!(!contents.contains("</") && !contents.contains('\r'));
        }
    }
}
