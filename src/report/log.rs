//! The result of `log`: a table, and the JSON document, whose schema is `schemas/log.schema.json`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::commit::{CommitDocument, SourceRevisionDocument};
use super::query::{QueryReport, QueryResult};
use super::table::columns;
use super::width;
use crate::codex::objects::commit_message::RecordedChange;
use crate::forge::web_page::KnownForges;
use crate::paths::escaped;
use crate::sync::sync_log::LoggedSync;

/// The result of `log`.
pub(crate) type LogReport = QueryReport<LogResult>;

/// What `log` found.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Log")]
pub(crate) struct LogResult {
    /// The syncs, newest first.
    pub syncs: Vec<LoggedSyncDocument>,
    /// Whether there may be older syncs than those in `syncs`.
    pub has_older: bool,
}

/// A commit that a sync made, for one project. A commit that combines those of several syncs is
/// listed for each of the projects.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LoggedSync")]
pub(crate) struct LoggedSyncDocument {
    /// The project.
    pub project: String,
    /// The change of the project.
    pub kind: SyncKind,
    /// The commit of the codex.
    pub commit: CommitDocument,
    /// The revision of the sources; `null` if it is not recorded.
    pub source: Option<SourceRevisionDocument>,
    /// The numbers of files that the commit changed in the directory of the project; `null` if they
    /// are not known.
    pub counts: Option<CountsDocument>,
    /// With `moved`: the project before.
    pub moved_from: Option<MovedFromDocument>,
    /// The value of `--work-id`.
    pub work_id: Option<String>,
}

/// The change of a project by a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SyncKind {
    /// Files were published.
    Synced,
    /// The project was removed (`retire`).
    Retired,
    /// The directory of the project was moved (`rename`).
    Moved,
}

/// Numbers of files.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Counts")]
pub(crate) struct CountsDocument {
    /// New files.
    pub added: u64,
    /// Files with other contents, or another mode.
    pub modified: u64,
    /// Files that were removed.
    pub deleted: u64,
}

/// The name and the directory of a project before it was moved.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MovedFrom")]
pub(crate) struct MovedFromDocument {
    /// The name.
    pub project: String,
    /// The directory in the codex.
    pub directory: String,
}

impl QueryResult for LogResult {
    const COMMAND: &'static str = "log";
}

impl LogResult {
    /// The table for people. If it is wider than the terminal, columns are left out.
    pub(crate) fn table(&self, terminal: Option<usize>) -> String {
        if self.syncs.is_empty() {
            return "no syncs\n".to_owned();
        }
        let header = [
            "commit",
            "when (UTC)",
            "project",
            "changes",
            "source",
            "author",
        ];
        let rows: Vec<_> = self.syncs.iter().map(LoggedSyncDocument::row).collect();
        let selections: [&[usize]; 5] = [
            &[0, 1, 2, 3, 4, 5],
            &[0, 1, 2, 3, 4],
            &[0, 1, 2, 3],
            &[0, 2, 3],
            &[0, 2],
        ];
        let tables = selections.map(|selected| {
            let header: Vec<_> = selected.iter().map(|column| header[*column]).collect();
            let rows = rows.iter();
            let rows = rows.map(|row| selected.iter().map(|column| row[*column].clone()).collect());
            columns(&header, rows)
        });
        let fits = |table: &&String| terminal.is_none_or(|terminal| width(table) <= terminal);
        let fitting = tables.iter().find(fits);
        fitting.unwrap_or(&tables[selections.len() - 1]).clone()
    }
}

impl LoggedSyncDocument {
    /// Describes a sync.
    pub(crate) fn new(sync: &LoggedSync, forges: &KnownForges) -> Self {
        let trailers = &sync.trailers;
        let (kind, moved_from) = match &trailers.change {
            RecordedChange::Synced => (SyncKind::Synced, None),
            RecordedChange::Retired { .. } => (SyncKind::Retired, None),
            RecordedChange::Moved(moved) => {
                let before = MovedFromDocument {
                    project: moved.old.clone(),
                    directory: moved.from.to_string(),
                };
                (SyncKind::Moved, Some(before))
            }
        };
        let pages = forges.of_codex();
        let source = trailers.source.as_ref();
        Self {
            project: trailers.project.clone(),
            kind,
            commit: CommitDocument::new(sync.id, &sync.commit, pages.as_ref()),
            source: source.map(|source| SourceRevisionDocument::new(source, forges)),
            counts: sync
                .counts
                .map(|[added, modified, deleted]| CountsDocument {
                    added,
                    modified,
                    deleted,
                }),
            moved_from,
            work_id: trailers.work_id.clone(),
        }
    }

    fn row(&self) -> [String; 6] {
        let time = self.commit.time.as_ref();
        let time = time.and_then(|time| time.parse::<Timestamp>().ok());
        let time = time.map(|time| time.strftime("%Y-%m-%d %H:%M").to_string());
        let source = self.source.as_ref().map(SourceRevisionDocument::short);
        let shown = |text: &str| escaped(text.as_bytes()).to_string();
        [
            self.commit.short().to_owned(),
            time.unwrap_or_else(|| "-".to_owned()),
            shown(&self.project),
            self.changes(),
            source.unwrap_or_else(|| "-".to_owned()),
            shown(&self.commit.author.name),
        ]
    }

    /// The changes for people: `+3 ~1 -2`, without zeros.
    fn changes(&self) -> String {
        if let Some(before) = &self.moved_from {
            let name = match before.project == self.project {
                true => &before.directory,
                false => &before.project,
            };
            return format!("moved from {}", escaped(name.as_bytes()));
        }
        let counts = self.counts.as_ref().map(|counts| {
            let signs = [
                ('+', counts.added),
                ('~', counts.modified),
                ('-', counts.deleted),
            ];
            let signs = signs.into_iter().filter(|(_, count)| *count > 0);
            let parts: Vec<_> = signs
                .map(|(sign, count)| format!("{sign}{count}"))
                .collect();
            parts.join(" ")
        });
        match (self.kind, counts) {
            (SyncKind::Retired, Some(counts)) => format!("retired {counts}"),
            (SyncKind::Retired, None) => "retired".to_owned(),
            (_, Some(counts)) => counts,
            (_, None) => "-".to_owned(),
        }
    }
}
