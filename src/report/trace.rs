//! The result of `trace`: lines for people, and the JSON document, whose schema is
//! `schemas/trace.schema.json`.

use std::fmt::Write;

use bstr::ByteSlice;
use schemars::JsonSchema;
use serde::Serialize;

use super::commit::{CommitDocument, SourceRevisionDocument};
use super::query::{QueryReport, QueryResult};
use super::style::Style;
use super::{ErrorReport, ago};
use crate::forge::web_page::KnownForges;
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::sync::trace::TracedFile;
use crate::workspace::Workspace;
use crate::workspace::codex_selector::project_and_path;
use crate::workspace::document_uri::uri_of;

/// The result of `trace`.
pub(crate) type TraceReport = QueryReport<TraceResult>;

/// What `trace` found.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Trace")]
pub(crate) struct TraceResult {
    /// The files in the order of the arguments, each once.
    pub files: Vec<TracedFileDocument>,
    /// The arguments that could not be traced.
    pub failures: Vec<TraceFailure>,
}

/// A file of the codex, and where it comes from.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TracedFile")]
pub(crate) struct TracedFileDocument {
    /// The argument that names the file.
    pub argument: String,
    /// The path in the codex.
    pub path: String,
    /// The URI; `null` if the file is in no project's directory.
    pub uri: Option<String>,
    /// The page of the file at the tip; `null` if the forge of the codex is not known.
    pub url: Option<String>,
    /// Whether the file of this machine that the argument names, a source file or a file of a local
    /// cache, has other contents than the file of the codex; `null` if the argument names none.
    pub local_differs: Option<bool>,
    /// How the file got its present contents.
    pub origin: OriginKind,
    /// The sync that published the present contents; `null` if a sync did not make the commit.
    pub published: Option<PublishedDocument>,
    /// The last commit that changed the file at this path.
    pub commit: CommitDocument,
    /// If `commit` only moved the file: the path and the commit of the contents.
    pub moved_from: Option<MovedFileDocument>,
}

/// How a file got its present contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OriginKind {
    /// A sync has published it.
    Sync,
    /// Another commit, which no sync made.
    Other,
}

/// The sync that published a file.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Published")]
pub(crate) struct PublishedDocument {
    /// The name that the project had.
    pub project: String,
    /// The revision of the sources; `null` if it is not recorded.
    pub source: Option<SourceRevisionDocument>,
    /// The path of the source file below the root of the project, as the patterns of the configuration
    /// say; `null` if they do not name exactly one.
    pub source_file: Option<String>,
    /// The page of the source file; `null` if the forge is not known, the repository is not on this
    /// machine, or the published file may differ from the commit.
    pub source_url: Option<String>,
}

/// The file before it was moved.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MovedFile")]
pub(crate) struct MovedFileDocument {
    /// The path in the codex.
    pub path: String,
    /// The commit that gave the file its present contents.
    pub commit: CommitDocument,
}

/// An argument that could not be traced.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TraceFailure {
    /// The argument.
    pub argument: String,
    /// The reason.
    pub error: ErrorReport,
}

impl QueryResult for TraceResult {
    const COMMAND: &'static str = "trace";

    fn failures(&self) -> impl Iterator<Item = &ErrorReport> {
        self.failures.iter().map(|failure| &failure.error)
    }
}

impl TraceResult {
    /// The lines for people. `now` is in seconds since the epoch.
    pub(crate) fn text(&self, style: Style, now: i64) -> String {
        let files: Vec<_> = self
            .files
            .iter()
            .map(|file| file.text(style, now))
            .collect();
        files.join("\n")
    }
}

impl TracedFileDocument {
    /// Describes a file of the codex with this tip.
    pub(crate) fn new(
        file: &TracedFile,
        tip: ObjectId,
        workspace: &Workspace,
        forges: &KnownForges,
    ) -> Self {
        let named = project_and_path(file.path.as_bstr(), workspace);
        let uri = named.map(|(project, path)| {
            uri_of(workspace.organization.as_deref(), &project, path.as_bstr())
        });
        let pages = forges.of_codex();
        let commit = |(id, commit): &_| CommitDocument::new(*id, commit, pages.as_ref());
        let is_moved = file.last_change.0 != file.contents.0;
        Self {
            argument: file.name.clone(),
            path: escaped(&file.path).to_string(),
            uri: uri.map(|uri| escaped(uri.as_bytes()).to_string()),
            url: pages
                .as_ref()
                .map(|pages| pages.file(tip, file.path.as_bstr())),
            local_differs: file.local_differs,
            origin: match file.published {
                Some(_) => OriginKind::Sync,
                None => OriginKind::Other,
            },
            published: PublishedDocument::new(file, forges),
            commit: commit(&file.last_change),
            moved_from: is_moved.then(|| MovedFileDocument {
                path: escaped(&file.former_path).to_string(),
                commit: commit(&file.contents),
            }),
        }
    }

    /// The lines for people.
    pub(crate) fn text(&self, style: Style, now: i64) -> String {
        let mut text = format!("{}\n", style.strong(&self.path));
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(
                text,
                "  {:<10} {}",
                format!("{key}:"),
                escaped(value.as_bytes())
            );
        };
        if self.local_differs == Some(true) {
            line(
                "local",
                "differs: the lines below are about the version in the codex",
            );
        }
        match &self.published {
            Some(published) => {
                line("project", &published.project);
                if let Some(file) = &published.source_file {
                    line("source", file);
                }
                if let Some(source) = &published.source {
                    let place = source.repository.as_ref();
                    let place = place
                        .map(|place| format!(" of {place}"))
                        .unwrap_or_default();
                    line("revision", &format!("{}{place}", source.short()));
                }
            }
            None => line("project", "none: no sync made this commit"),
        }
        if let Some(before) = &self.moved_from {
            line(
                "moved",
                &format!("by {}, from {}", self.commit.short(), before.path),
            );
        }
        let commit = match &self.moved_from {
            Some(before) => &before.commit,
            None => &self.commit,
        };
        line("commit", &format!("{} {}", commit.short(), commit.subject));
        let time = commit.time.as_ref();
        let age = time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
        if let (Some(time), Some(at)) = (time, age) {
            let age = ago(now.saturating_sub(at.as_second()));
            line("when", &format!("{time} ({age})"));
        }
        line(
            "author",
            &format!("{} <{}>", commit.author.name, commit.author.email),
        );

        let published = self.published.as_ref();
        let source = published.and_then(|one| {
            let revision = one.source.as_ref().and_then(|source| source.url.as_ref());
            one.source_url.as_ref().or(revision)
        });
        for url in [source, commit.url.as_ref()].into_iter().flatten() {
            line("link", url);
        }
        text
    }
}

impl PublishedDocument {
    fn new(file: &TracedFile, forges: &KnownForges) -> Option<Self> {
        let trailers = file.published.as_ref()?;
        let source = trailers.source.as_ref();
        let source_url = source.filter(|source| !source.dirty).and_then(|source| {
            let path = file.source.as_ref()?.in_repository.as_ref()?;
            let pages = forges.of_source(source.url.as_ref()?)?;
            Some(pages.file(source.commit, path.as_bstr()))
        });
        let source_file = file.source.as_ref();
        Some(Self {
            project: trailers.project.clone(),
            source: source.map(|source| SourceRevisionDocument::new(source, forges)),
            source_file: source_file.map(|source| escaped(&source.path).to_string()),
            source_url,
        })
    }
}
