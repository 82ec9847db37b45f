//! A result as one page for a browser: what a team looks at. It needs nothing but itself, is whole without scripts, and
//! lets nothing in that a name or a commit message might bring along: everything that is shown is escaped by the
//! template, and the page's own policy runs the one script and the one style that stand in it.

use std::collections::BTreeSet;
use std::fmt;

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bstr::ByteSlice;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::human::FOLD;
use super::{ErrorReport, ago};
use crate::config::Direction;
use crate::object::ObjectId;
use crate::outcome::{LastSync, ProjectOutcome, ProjectReport, Status, SyncOutcome};
use crate::paths::escaped;
use crate::words::counted;

const STYLE: &str = include_str!("../../templates/status.css");
const SCRIPT: &str = include_str!("../../templates/status.js");
/// Warnings that are shown without being asked for more.
const FOLD_WARNINGS: usize = 100;

/// The page of a run that went through, made at `now` (seconds since the epoch), with every change where `all` are asked
/// for. `errors` gives each project's error, as the one table of failures words them.
pub fn page(
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
    // What needs somebody comes first; otherwise in name order, as it comes.
    rows.sort_by_key(|row| row.rank);
    let shown_warnings = if all { usize::MAX } else { FOLD_WARNINGS };
    let warnings = outcome.warnings.iter().take(shown_warnings);
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
        tip: outcome.remote.before.map(Id),
        made: Moment::new(now, now),
        recorded: outcome.recorded.map(|time| Moment::new(time, now)),
        tiles: tiles(outcome),
        rows,
        warnings: warnings
            .map(|w| {
                (
                    w.project.as_ref().map(ToString::to_string),
                    text(&w.message),
                )
            })
            .collect(),
        folded_warnings: outcome.warnings.len().saturating_sub(shown_warnings),
    };
    // Writing to a string cannot fail.
    page.render().unwrap_or_default()
}

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
    made: Moment,
    recorded: Option<Moment>,
    tiles: Vec<Tile>,
    rows: Vec<Row>,
    warnings: Vec<(Option<String>, String)>,
    folded_warnings: usize,
}

/// A number of projects, which also shows these alone.
struct Tile {
    state: &'static str,
    label: &'static str,
    count: u64,
}

/// A project in one direction.
struct Row {
    name: String,
    /// Where in the codex, and which way.
    place: Option<String>,
    state: &'static str,
    label: &'static str,
    rank: u8,
    /// `None` where it is not known.
    counts: [(&'static str, Option<u64>); 4],
    last: Last,
    error: Option<ErrorReport>,
    summary: String,
    changes: Vec<Change>,
    folded: usize,
    /// The command that shows every change.
    all: String,
}

struct Change {
    op: &'static str,
    path: String,
}

enum Last {
    Known {
        when: Moment,
        /// Of the codex.
        commit: Option<Id>,
        revision: Option<Id>,
        dirty: bool,
        source: Option<String>,
    },
    Unknown {
        label: &'static str,
        why: String,
    },
}

/// A time, in several ways to read it.
struct Moment {
    seconds: i64,
    iso: String,
    date: String,
    clock: String,
    /// As seen from when the page was made; the script keeps it true.
    ago: String,
}

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

/// How a state is told: its name in a document, words for people, and its place among the others.
fn told(status: Status) -> (&'static str, &'static str, u8) {
    match status {
        Status::Failed => ("failed", "failed", 0),
        Status::Withheld => ("withheld", "withheld", 1),
        Status::WouldSync => ("would-sync", "out of date", 2),
        Status::UpToDate | Status::Synced => ("up-to-date", "up to date", 3),
    }
}

fn tiles(outcome: &SyncOutcome) -> Vec<Tile> {
    let sums = outcome.totals();
    // One that goes both ways stands there twice.
    let count = outcome
        .projects
        .iter()
        .map(|project| &project.name)
        .collect::<BTreeSet<_>>()
        .len() as u64;
    let of = |status, count| {
        let (state, label, _) = told(status);
        Tile {
            state,
            label,
            count,
        }
    };
    vec![
        Tile {
            state: "",
            label: if count == 1 { "project" } else { "projects" },
            count,
        },
        of(Status::UpToDate, sums.up_to_date + sums.synced),
        of(Status::WouldSync, sums.would_sync),
        of(Status::Withheld, sums.withheld),
        of(Status::Failed, sums.failed),
    ]
}

impl Row {
    fn new(report: &ProjectReport, error: Option<ErrorReport>, now: i64, all: bool) -> Self {
        let (state, label, rank) = told(report.outcome.status());
        let counts = report.plan.counts();
        let from_codex = report.direction == Direction::FromCodex;
        let total = report.plan.changes.len();
        let shown = if all { usize::MAX } else { FOLD };
        let changes = report.plan.changes.iter().take(shown).map(|change| Change {
            op: change.op.name(),
            path: escaped(&report.in_codex(change.path.as_bstr())).to_string(),
        });
        let is_planned = !matches!(
            report.outcome,
            ProjectOutcome::Failed(_) | ProjectOutcome::NotLanded
        );
        let way = if from_codex { " --from-codex" } else { "" };
        Self {
            name: report.name.to_string(),
            place: if from_codex {
                Some("from the codex".to_owned())
            } else {
                report.to.as_ref().map(ToString::to_string)
            },
            state,
            label,
            rank,
            counts: [
                ("added", counts.added),
                ("modified", counts.modified),
                ("deleted", counts.deleted),
                ("unchanged", report.plan.unchanged),
            ]
            .map(|(kind, count)| (kind, is_planned.then_some(count))),
            last: Last::new(&report.last_sync, now),
            error: error.map(|error| ErrorReport {
                message: text(&error.message),
                causes: error.causes.iter().map(|cause| text(cause)).collect(),
                hints: error.hints.iter().map(|hint| text(hint)).collect(),
                ..error
            }),
            summary: counted(total, "file"),
            changes: changes.collect(),
            folded: total.saturating_sub(shown),
            all: format!("fractary-codex sync{way} -p {} --dry-run -v", report.name),
        }
    }
}

impl Last {
    fn new(known: &LastSync, now: i64) -> Self {
        let unknown = |label, why: &str| Self::Unknown {
            label,
            why: text(why),
        };
        match known {
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
            LastSync::Brought { time, tip } => Self::Known {
                when: Moment::new(*time, now),
                commit: None,
                revision: tip.map(Id),
                dirty: false,
                source: Some("of the codex".to_owned()),
            },
            LastSync::Never => unknown("never", "no commit of the codex is a sync of it"),
            LastSync::Unknown(why) => unknown("not known here", why),
            LastSync::NotAsked => unknown("not known here", "it was not asked"),
        }
    }
}

impl Moment {
    fn new(seconds: i64, now: i64) -> Self {
        let time = Timestamp::from_second(seconds).unwrap_or_default();
        let (date, clock) = (
            time.strftime("%-d %b %Y").to_string(),
            time.strftime("%H:%M UTC").to_string(),
        );
        Self {
            seconds,
            iso: time.to_string(),
            date,
            clock,
            ago: ago(now.saturating_sub(seconds)),
        }
    }
}

/// A URL as people say it.
fn brief(url: &str) -> String {
    text(
        url.strip_prefix("https://")
            .unwrap_or(url)
            .trim_end_matches(".git"),
    )
}

/// Prose as our messages have it, in parts: what stands between backticks is code.
struct Parts;

impl Parts {
    fn of(prose: &str) -> impl Iterator<Item = (bool, &str)> {
        // An odd one is no quotation mark.
        let is_paired = prose.matches('`').count().is_multiple_of(2);
        let parts = if is_paired {
            prose.split('`').collect()
        } else {
            vec![prose]
        };
        parts
            .into_iter()
            .enumerate()
            .map(|(number, part)| (number % 2 == 1, part))
            .filter(|(_, part)| !part.is_empty())
    }
}

/// Words from outside, with nothing in them that hides or reorders others.
fn text(words: &str) -> String {
    escaped(words.as_bytes()).to_string()
}

/// What a page's policy knows a script or a style by.
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
    fn nothing_in_style_or_script_ends_it() {
        // Then the page would hold something else than what its policy names, and run neither.
        for contents in [STYLE, SCRIPT] {
            assert!(!contents.contains("</") && !contents.contains('\r'));
        }
    }
}
