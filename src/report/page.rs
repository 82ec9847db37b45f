//! The HTML report of `status --html`: one self-contained page, which is complete without scripts.
//!
//! File names and commit messages cannot inject markup: the template escapes every value, and the
//! page's content security policy allows only the script and the style that are embedded in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bstr::{BStr, BString, ByteSlice};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::sync_branches::branches;
use super::{ErrorReport, ago};
use crate::config::Direction;
use crate::forge::web_page::WebPages;
use crate::object::ObjectId;
use crate::outcome::{
    LastSync, Orphan, ProjectReport, Proposal, SourceRevision, Status, SyncCommit, SyncOutcome,
    WarningSubject,
};
use crate::paths::{CodexPath, escaped, join_below, shown};
use crate::plan::Op;
use crate::text::pluralize;

const STYLE: &str = include_str!("../../templates/status.css");
const SCRIPT: &str = include_str!("../../templates/status.js");
/// The number of warnings that are shown without `-v`.
const MAX_WARNINGS: usize = 100;
/// The number of files per project that are shown without `-v`.
const MAX_FILES: usize = 50;

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
    let links = PageLinks::new(outcome);
    let (mut of_projects, mut others) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for warning in &outcome.warnings {
        let message = text(&warning.message);
        let reports = outcome.projects.iter();
        let mut reports = reports.filter(|report| Some(&report.name) == warning.project.as_ref());
        match (warning.subject, &warning.project, reports.next()) {
            // The page has a list of these directories, and one of these files per project.
            (WarningSubject::Orphan, ..) | (WarningSubject::Drift, _, Some(_)) => {}
            (_, Some(name), Some(_)) => of_projects.entry(name).or_default().push(message),
            (_, name, _) => others.push((name.as_ref().map(ToString::to_string), message)),
        }
    }
    let mut rows: Vec<_> = outcome
        .projects
        .iter()
        .map(|report| {
            let warnings = of_projects.get(&report.name).cloned().unwrap_or_default();
            Row::new(report, errors(report), warnings, &links, now, all)
        })
        .collect();
    // Projects that need attention come first. The sort is stable: equal states stay in name order.
    rows.sort_by_key(|row| row.rank);

    let max_warnings = if all { usize::MAX } else { MAX_WARNINGS };
    let folded_warnings = others.len().saturating_sub(max_warnings);
    others.truncate(max_warnings);
    let tiles = tiles(&rows);

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
        proposals: outcome
            .pull_requests
            .iter()
            .map(ProposalItem::new)
            .collect(),
        orphans: outcome
            .orphans
            .iter()
            .map(|orphan| OrphanItem::new(orphan, &links))
            .collect(),
        verdict: verdict(&rows),
        bar: bar(&tiles, rows.len()),
        codex_page: links
            .codex
            .as_ref()
            .map(|pages| pages.repository().to_owned()),
        tip_page: outcome.remote.before.and_then(|tip| links.commit(tip)),
        tip: outcome.remote.before.map(Id),
        generated: Moment::new(now, now),
        recorded: outcome.recorded.map(|time| Moment::new(time, now)),
        tiles,
        rows,
        folded_warnings,
        warnings: others,
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
    /// A sentence about all projects.
    verdict: String,
    bar: Vec<BarPart>,
    codex: String,
    codex_page: Option<String>,
    branch: Option<String>,
    tip: Option<Id>,
    tip_page: Option<String>,
    /// The sync branches, if there are any.
    sync_branches: Option<String>,
    proposals: Vec<ProposalItem>,
    orphans: Vec<OrphanItem>,
    generated: Moment,
    /// The time of the recorded state, if the plan was compared with that.
    recorded: Option<Moment>,
    tiles: Vec<Tile>,
    rows: Vec<Row>,
    /// The warnings that are not about a project of the table, each with the name of its project if
    /// there is one.
    warnings: Vec<(Option<String>, String)>,
    folded_warnings: usize,
}

/// The number of projects in one state. A click filters the table by that state.
struct Tile {
    state: &'static str,
    label: &'static str,
    count: u64,
}

/// The part of the bar that one state takes up, in percent.
struct BarPart {
    state: &'static str,
    start: String,
    width: String,
}

/// An open pull request.
struct ProposalItem {
    title: String,
    page: Option<String>,
    facts: String,
}

/// A directory that a project has left in the codex.
struct OrphanItem {
    directory: String,
    page: Option<String>,
    reason: String,
}

/// A file that others have changed in the codex.
struct DriftRow {
    path: String,
    page: Option<String>,
    origin: String,
    /// The page of the commit that has changed it.
    origin_page: Option<String>,
}

/// A project in one direction.
struct Row {
    name: String,
    /// The page of the project's directory in the codex.
    page: Option<String>,
    /// The directory of the workspace that contains the project; empty for the workspace itself.
    directory: String,
    /// The project's path in the codex, or the direction if it is from the codex.
    location: Option<String>,
    state: &'static str,
    label: &'static str,
    /// What the state does not show, such as `2 warnings`.
    notes: Option<String>,
    /// The time of the oldest commit that the codex does not have.
    stale_since: Option<Moment>,
    rank: u8,
    /// Numbers of files by kind; `None` if they are not known.
    counts: [(&'static str, Option<u64>); 4],
    last_sync: LastSyncCell,
    error: Option<ErrorReport>,
    findings: Vec<String>,
    folded_findings: usize,
    warnings: Vec<String>,
    drift: Vec<DriftRow>,
    drift_title: &'static str,
    proposals: Vec<ProposalItem>,
    summary: String,
    changes: Vec<ChangeRow>,
    folded: usize,
    /// The command that shows every change.
    all: String,
}

struct ChangeRow {
    op: &'static str,
    path: String,
    /// The page of the file in the codex, unless it is new.
    page: Option<String>,
    /// The page of the source file that the last sync has published.
    source_page: Option<String>,
}

/// The pages that the report links to, as far as the forges are known.
struct PageLinks<'o> {
    codex: Option<WebPages>,
    outcome: &'o SyncOutcome,
}

impl<'o> PageLinks<'o> {
    fn new(outcome: &'o SyncOutcome) -> Self {
        Self {
            codex: outcome.remote.forges.of_codex(),
            outcome,
        }
    }

    /// The page of a commit of the codex.
    fn commit(&self, id: ObjectId) -> Option<String> {
        self.codex.as_ref().map(|pages| pages.commit(id))
    }

    /// The page of a file at the tip of the codex.
    fn file(&self, path: &BStr) -> Option<String> {
        let tip = self.outcome.remote.before?;
        self.codex.as_ref().map(|pages| pages.file(tip, path))
    }

    /// The pages of the source repository of a project, with the commit that was published last and the
    /// path of the project.
    fn source(&self, report: &'o ProjectReport) -> Option<SourcePages<'o>> {
        let LastSync::Published(SyncCommit {
            source: Some(revision),
            ..
        }) = &report.last_sync
        else {
            return None;
        };
        let pages = self
            .outcome
            .remote
            .forges
            .of_source(revision.url.as_deref()?)?;
        Some(SourcePages {
            pages,
            revision,
            directory: report.source_directory.as_ref(),
        })
    }

    /// The page of a directory at the tip of the codex.
    fn directory(&self, path: &CodexPath) -> Option<String> {
        let tip = self.outcome.remote.before?;
        let path = path.to_string();
        let pages = self.codex.as_ref();
        pages.map(|pages| pages.directory(tip, path.as_bytes().as_bstr()))
    }
}

/// The pages of the sources of a project.
struct SourcePages<'o> {
    pages: WebPages,
    /// The revision that the last sync has published.
    revision: &'o SourceRevision,
    /// The path of the project in the repository, if it is known.
    directory: Option<&'o BString>,
}

impl SourcePages<'_> {
    fn commit(&self) -> String {
        self.pages.commit(self.revision.commit)
    }

    /// The page of the project's directory in the commit.
    fn directory(&self) -> Option<String> {
        let directory = self.directory?.as_bstr();
        Some(self.pages.directory(self.revision.commit, directory))
    }

    /// The page of a file in the commit, unless the published file may differ from it.
    fn file(&self, source: &BStr) -> Option<String> {
        let directory = self.directory.filter(|_| !self.revision.dirty)?;
        let path = join_below(directory.as_bstr(), source);
        Some(self.pages.file(self.revision.commit, path.as_bstr()))
    }
}

/// The cells "Last synced" and "From revision".
enum LastSyncCell {
    Known(Box<KnownSync>),
    Unknown { label: &'static str, reason: String },
}

struct KnownSync {
    when: Moment,
    /// The commit of the codex.
    commit: Option<Id>,
    commit_page: Option<String>,
    author: Option<String>,
    revision: Option<Id>,
    revision_page: Option<String>,
    dirty: bool,
    /// The source repository.
    source: Option<String>,
    /// The page of the project's directory in the revision.
    source_page: Option<String>,
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

/// The states of projects: identifier, label, and rank in the initial order.
const FAILED: (&str, &str, u8) = ("failed", "failed", 0);
const WITHHELD: (&str, &str, u8) = ("withheld", "withheld", 1);
const OUT_OF_DATE: (&str, &str, u8) = ("would-sync", "out of date", 2);
const WARNED: (&str, &str, u8) = ("warned", "up to date", 3);
const UP_TO_DATE: (&str, &str, u8) = ("up-to-date", "up to date", 4);

/// The state of a project. One that is up to date and needs attention has a state of its own.
fn state(status: Status, needs_attention: bool) -> (&'static str, &'static str, u8) {
    match status {
        Status::Failed => FAILED,
        Status::Withheld => WITHHELD,
        Status::WouldSync => OUT_OF_DATE,
        Status::UpToDate | Status::Synced | Status::Proposed if needs_attention => WARNED,
        Status::UpToDate | Status::Synced | Status::Proposed => UP_TO_DATE,
    }
}

/// The sentence above the table. A project that is synced in both directions has two rows.
fn verdict(rows: &[Row]) -> String {
    let is_current = |row: &&Row| row.rank >= WARNED.2;
    let current = rows.iter().filter(is_current).count();
    let subject = match rows.len() {
        1 => "The project",
        _ => "All projects",
    };
    let verb = match rows.len() {
        1 => "is",
        _ => "are",
    };
    match (rows.len(), current) {
        (0, _) => "No projects".to_owned(),
        (all, current) if all == current && rows.iter().any(|row| row.rank == WARNED.2) => {
            format!("{subject} {verb} up to date, with warnings")
        }
        (all, current) if all == current => format!("{subject} {verb} up to date"),
        (1, _) => "The project is not up to date".to_owned(),
        (all, 1) => format!("1 of {all} projects is up to date"),
        (all, current) => format!("{current} of {all} projects are up to date"),
    }
}

/// The tiles above the table: all projects, then those of each state. The first one has no state,
/// and removes the filter.
fn tiles(rows: &[Row]) -> Vec<Tile> {
    let names: BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
    let tile = |(state, label, _): (&'static str, &'static str, u8)| Tile {
        state,
        label: if state == WARNED.0 {
            "with warnings"
        } else {
            label
        },
        count: rows.iter().filter(|row| row.state == state).count() as u64,
    };

    let all = Tile {
        state: "",
        label: if names.len() == 1 {
            "project"
        } else {
            "projects"
        },
        count: names.len() as u64,
    };
    let states = [UP_TO_DATE, WARNED, OUT_OF_DATE, WITHHELD, FAILED];
    [all].into_iter().chain(states.map(tile)).collect()
}

/// The bar with the shares of the states.
fn bar(tiles: &[Tile], rows: usize) -> Vec<BarPart> {
    let mut start = 0.0;
    let shares = tiles
        .iter()
        .filter(|tile| !tile.state.is_empty() && tile.count > 0);
    let parts = shares.map(|tile| {
        let width = tile.count as f64 * 100.0 / rows as f64;
        let part = BarPart {
            state: tile.state,
            start: format!("{start:.2}"),
            width: format!("{width:.2}"),
        };
        start += width;
        part
    });
    parts.collect()
}

impl ProposalItem {
    fn new(proposal: &Proposal) -> Self {
        let branch = text(&proposal.branch);
        let url = proposal.url.as_deref();
        let page = url.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        let title = match proposal.number {
            Some(number) => format!("pull request {number}"),
            None => format!("{branch}, without a confirmed pull request"),
        };
        // The date is enough: the time comes from the forge, in RFC 3339 format.
        let since = proposal.created.as_deref();
        let since = since.map(|since| text(since.split('T').next().unwrap_or(since)));
        let since = since.map(|since| format!(", waiting since {since}"));
        let projects = pluralize(proposal.projects.len(), "project");
        Self {
            title,
            page: page.map(text),
            facts: format!("{branch}, {projects}{}", since.unwrap_or_default()),
        }
    }
}

impl OrphanItem {
    fn new(orphan: &Orphan, links: &PageLinks<'_>) -> Self {
        let project = &orphan.project;
        let why = match &orphan.moved_to {
            Some(to) => format!("`{project}` is now in `{to}`"),
            None => format!("the configuration no longer has `{project}`"),
        };
        Self {
            directory: orphan.directory.to_string(),
            page: links.directory(&orphan.directory),
            reason: text(&format!("{why}; {}", orphan.hint())),
        }
    }
}

impl Row {
    fn new(
        report: &ProjectReport,
        error: Option<ErrorReport>,
        warnings: Vec<String>,
        links: &PageLinks<'_>,
        now: i64,
        all: bool,
    ) -> Self {
        let drift: Vec<_> = report.plan.iter().flat_map(|plan| &plan.drift).collect();
        let is_noted = !warnings.is_empty() || !report.findings.is_empty() || !drift.is_empty();
        let (state, label, rank) = state(report.outcome.status(), is_noted);
        let notes = [
            (warnings.len(), "warning", ""),
            (report.findings.len(), "finding", ""),
            (drift.len(), "file", " changed by others"),
        ];
        let notes = notes.into_iter().filter(|(count, ..)| *count > 0);
        let notes = notes.map(|(count, noun, more)| pluralize(count, noun) + more);
        let notes: Vec<_> = notes.collect();
        let counts = report.counts();
        let number = |index: usize| counts.map(|counts| counts[index]);

        let source = links.source(report);
        let limit = if all { usize::MAX } else { MAX_FILES };
        let total = report.changes().len();
        let changes = report.changes().iter().take(limit).map(|change| {
            let path = report.in_codex(change.path.as_bstr());
            let is_new = matches!(change.op, Op::Added(_));
            let published = match &change.op {
                Op::Modified(file) => Some(file.source.as_bstr()),
                Op::Added(_) | Op::Deleted => None,
            };
            ChangeRow {
                op: change.op.name(),
                page: links.file(path.as_bstr()).filter(|_| !is_new),
                source_page: published.and_then(|file| source.as_ref()?.file(file)),
                path: escaped(&path).to_string(),
            }
        });
        let drift = drift.into_iter().take(limit).map(|change| {
            let path = report.in_codex(change.path.as_bstr());
            DriftRow {
                page: links.file(path.as_bstr()),
                path: escaped(&path).to_string(),
                origin: text(&change.origin().to_string()),
                origin_page: change.commit.and_then(|commit| links.commit(commit)),
            }
        });
        let proposals = links.outcome.pull_requests.iter();
        let proposals = proposals.filter(|one| one.projects.contains(&report.name));
        let root = report.root.strip_prefix(&links.outcome.root).ok();
        let directory = root.and_then(|root| root.parent());

        let (location, flag) = if report.direction == Direction::FromCodex {
            (Some("from the codex".to_owned()), " --from-codex")
        } else {
            (report.to.as_ref().map(ToString::to_string), "")
        };

        Self {
            name: report.name.to_string(),
            page: report
                .to
                .as_ref()
                .filter(|_| report.direction != Direction::FromCodex)
                .and_then(|to| links.directory(to)),
            directory: directory
                .map(|path| shown(path).to_string())
                .unwrap_or_default(),
            location,
            state,
            label,
            notes: (!notes.is_empty()).then(|| notes.join(", ")),
            stale_since: report.stale_since.map(|time| Moment::new(time, now)),
            rank,
            counts: [
                ("added", number(0)),
                ("modified", number(1)),
                ("deleted", number(2)),
                ("unchanged", number(3)),
            ],
            last_sync: LastSyncCell::new(&report.last_sync, links, source.as_ref(), now),
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
            warnings: warnings.into_iter().take(limit).collect(),
            drift: drift.collect(),
            drift_title: match report.outcome.status() {
                Status::WouldSync => {
                    "Changed in the codex by others since the last sync. A sync overwrites these files; their versions stay in the history:"
                }
                _ => "Changed in the codex by others since the last sync:",
            },
            proposals: proposals.map(ProposalItem::new).collect(),
            summary: pluralize(total, "file"),
            changes: changes.collect(),
            folded: total.saturating_sub(limit),
            all: format!("fractary-codex sync{flag} -p {} --dry-run -v", report.name),
        }
    }
}

impl Row {
    /// Whether the project has more than one line.
    fn has_details(&self) -> bool {
        self.error.is_some()
            || !self.findings.is_empty()
            || !self.warnings.is_empty()
            || !self.drift.is_empty()
            || !self.proposals.is_empty()
            || !self.changes.is_empty()
    }
}

impl LastSyncCell {
    fn new(
        last_sync: &LastSync,
        links: &PageLinks<'_>,
        source: Option<&SourcePages<'_>>,
        now: i64,
    ) -> Self {
        let unknown = |label, reason: &str| Self::Unknown {
            label,
            reason: text(reason),
        };

        match last_sync {
            LastSync::Published(commit) => Self::Known(Box::new(KnownSync {
                when: Moment::new(commit.time, now),
                commit: Some(Id(commit.id)),
                commit_page: links.commit(commit.id),
                author: Some(text(&commit.author)).filter(|author| !author.is_empty()),
                revision_page: source.map(SourcePages::commit),
                source_page: source.and_then(SourcePages::directory),
                revision: commit.source.as_ref().map(|source| Id(source.commit)),
                dirty: commit.source.as_ref().is_some_and(|source| source.dirty),
                source: commit
                    .source
                    .as_ref()
                    .and_then(|source| source.url.as_deref())
                    .map(brief),
            })),
            LastSync::Pulled { time, tip } => Self::Known(Box::new(KnownSync {
                when: Moment::new(*time, now),
                commit: None,
                commit_page: None,
                author: None,
                revision: tip.map(Id),
                revision_page: tip.and_then(|tip| links.commit(tip)),
                dirty: false,
                source: Some("of the codex".to_owned()),
                source_page: None,
            })),
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
