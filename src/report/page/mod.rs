//! The team's page: one file of HTML that loads nothing from outside, made from the document that `--json` prints and
//! from what the codex's own history tells. Whatever comes from outside is escaped by the template.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::json::{Project, Status, SyncDocument};
use crate::codex::history::LastSync;
use crate::workspace::Direction;

/// Changed files of a project that are listed.
const FOLD: usize = 50;
/// Nothing may be loaded, whatever a name contains; style and script are the page's own.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// What is known of the last sync of each project.
pub enum History {
    /// By project name; a project that is not there was not found.
    Known(BTreeMap<String, LastSync>),
    /// Why nobody looked.
    Unknown(String),
}

/// The whole page; `now` is in seconds since the epoch.
pub fn page(document: &SyncDocument, history: &History, now: i64) -> String {
    let mut projects: Vec<&Project> = document.projects.iter().collect();
    // What somebody should look at comes first; within that, the names' own order.
    projects.sort_by_key(|project| rank(project.status));
    let count = |status| document.projects.iter().filter(|project| project.status == status).count();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Codex status" }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { "Codex status" }
                    (place(document))
                    p.faint { "As of " (time(now)) }
                }
                main {
                    @if let Some(error) = &document.error {
                        section.alert role="alert" {
                            strong { "This is not the whole picture: " } (error.message)
                            @for hint in &error.hints { p.hint { (hint) } }
                        }
                    }
                    div.controls {
                        input #search type="search" placeholder="Filter projects" aria-label="Filter projects";
                        div.states role="group" aria-label="Show by state" {
                            @for status in STATES.into_iter().filter(|status| count(*status) > 0) {
                                button type="button" data-state=(class(status)) aria-pressed="false" {
                                    span.badge.(class(status)) { (count(status)) } " " (label(status))
                                }
                            }
                        }
                    }
                    table #projects {
                        thead { tr {
                            (heading("Project", "text", "none"))
                            (heading("State", "number", "ascending"))
                            (heading("Changes", "number", "none"))
                            (heading("Last synced", "number", "none"))
                            (heading("From revision", "text", "none"))
                        } }
                        tbody { @for project in projects { (row(project, history)) } }
                    }
                    p #nothing .faint hidden { "No project matches." }
                    @if document.projects.is_empty() { p.faint { "There are no projects to show." } }
                    @if !document.warnings.is_empty() { (warnings(document)) }
                    @if let History::Unknown(reason) = history {
                        p.faint { "When projects were last synced is not shown: " (reason) }
                    }
                }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    page.into_string()
}

const STATES: [Status; 5] = [Status::Failed, Status::Withheld, Status::WouldSync, Status::Synced, Status::UpToDate];

fn rank(status: Status) -> usize {
    STATES.iter().position(|state| *state == status).unwrap_or_default()
}

fn class(status: Status) -> &'static str {
    match status {
        Status::Failed => "failed",
        Status::Withheld => "withheld",
        Status::WouldSync => "outdated",
        Status::Synced => "synced",
        Status::UpToDate => "current",
    }
}

fn label(status: Status) -> &'static str {
    match status {
        Status::Failed => "failed",
        Status::Withheld => "withheld",
        Status::WouldSync => "out of date",
        Status::Synced => "synced",
        Status::UpToDate => "up to date",
    }
}

fn place(document: &SyncDocument) -> Markup {
    html! {
        @if let Some(remote) = &document.remote {
            p {
                @if let Some(branch) = &remote.branch { code { (branch) } " of " }
                (remote.url)
                @if let Some(tip) = &remote.before { " at " code title=(tip) { (short(tip)) } }
            }
        }
    }
}

fn heading(name: &str, kind: &str, sorted: &str) -> Markup {
    html! { th scope="col" aria-sort=(sorted) data-kind=(kind) { button type="button" { (name) } } }
}

fn row(project: &Project, history: &History) -> Markup {
    let last = match history {
        History::Known(known) => known.get(&project.name),
        History::Unknown(_) => None,
    };
    let changes = project.added + project.modified + project.deleted;
    html! {
        tr data-state=(class(project.status)) {
            td data-label="Project" data-sort=(project.name) {
                strong { (project.name) }
                @if project.direction == Direction::FromCodex { " " span.faint { "from the codex" } }
            }
            td data-label="State" data-sort=(rank(project.status)) {
                span.badge.(class(project.status)) { (label(project.status)) }
                @if let Some(error) = &project.error {
                    p.reason { (error.message) }
                    @for hint in &error.hints { p.hint { (hint) } }
                }
            }
            td data-label="Changes" data-sort=(changes) {
                @if changes == 0 { span.faint { "none" } } @else { (self::changes(project)) }
            }
            td data-label="Last synced" data-sort=(last.map_or(0, |last| last.time)) {
                @if let Some(last) = last { (time(last.time)) } @else { span.faint { "not known" } }
            }
            td data-label="From revision" data-sort=(last.and_then(|last| last.revision.as_deref()).unwrap_or("")) {
                @if let Some(last) = last { (revision(last)) } @else { span.faint { "not known" } }
            }
        }
    }
}

fn changes(project: &Project) -> Markup {
    let rest = project.changes.len().saturating_sub(FOLD);
    html! {
        details {
            summary {
                span.added title="added" { "+" (project.added) } " "
                span.modified title="modified" { "~" (project.modified) } " "
                span.deleted title="deleted" { "−" (project.deleted) }
            }
            ul {
                @for change in project.changes.iter().take(FOLD) {
                    li { span.(change.op) { (change.op) } " " code { (change.path) } }
                }
                @if rest > 0 { li.faint { "and " (rest) " more: fractary codex sync -p " (project.name) " --dry-run -v" } }
            }
        }
    }
}

fn revision(last: &LastSync) -> Markup {
    html! {
        @match &last.revision {
            Some(revision) => {
                code title=(revision) { (short(revision)) }
                @if revision.ends_with("-dirty") { " " span.faint title="with changes that were not committed" { "dirty" } }
            }
            None => { span.faint { "not recorded" } }
        }
        @if let Some(source) = &last.source { p.source { (source) } }
    }
}

fn warnings(document: &SyncDocument) -> Markup {
    html! {
        section {
            h2 { "Warnings" }
            ul.warnings {
                @for warning in document.warnings.iter().take(FOLD) {
                    li { @if let Some(project) = &warning.project { strong { (project) } ": " } (warning.message) }
                }
                @if document.warnings.len() > FOLD { li.faint { "and " (document.warnings.len() - FOLD) " more" } }
            }
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..7).unwrap_or(id)
}

/// A time that the page's script says in words as well.
fn time(seconds: i64) -> Markup {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    html! { time datetime=(time) { (time.strftime("%Y-%m-%d %H:%M UTC")) } }
}
