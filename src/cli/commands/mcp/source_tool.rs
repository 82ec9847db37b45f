//! `codex_document_source`: the place that a document comes from.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::ToolCall;
use super::mcp_tool::McpTool;
use super::single_document::{DocumentOrigin, SingleDocument};
use crate::cli::command_error::CommandError;
use crate::codex::objects::sync_history::SyncCommit;
use crate::sync::fetch::CacheUse;
use crate::sync::history::last_sync;

pub(super) struct SourceTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceArguments {
    /// The URI of the document: `codex://ORGANIZATION/PROJECT/PATH`, without wildcards.
    uri: String,
}

/// The place that a document comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SourceOfDocument {
    /// The document.
    #[serde(flatten)]
    document: DocumentOrigin,
    /// The last sync that published the project; `null` if the history of the codex does not have one.
    /// An earlier sync, or a commit of another user, may have written this version of the document.
    last_sync: Option<LastPublished>,
}

/// The commit of the codex that a sync of the project made.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LastPublished {
    /// The commit in the codex.
    commit: String,
    /// Its time, in RFC 3339 format and UTC.
    time: Option<String>,
    /// The URL of the project's repository, without secrets.
    repository: Option<String>,
    /// The commit of the project's repository that was published.
    revision: Option<String>,
    /// Whether a published file differed from that commit.
    dirty: Option<bool>,
}

impl McpTool for SourceTool {
    const NAME: &'static str = "codex_document_source";
    const TITLE: &'static str = "Source of a document";
    const DESCRIPTION: &'static str = "Shows where a document of the codex comes from: its project, the \
        commit of the last sync of that project, and the source repository and revision that it published.";
    type Arguments = SourceArguments;
    type Output = SourceOfDocument;

    fn run(
        call: &ToolCall,
        arguments: SourceArguments,
    ) -> Result<(Vec<String>, SourceOfDocument), CommandError> {
        let (configuration, workspace) = call.load()?;
        let cache_use = CacheUse::UpTo(Duration::ZERO);
        let uri = &arguments.uri;
        let fetched =
            SingleDocument::fetch(call, &configuration, &workspace, uri, cache_use, false)?;
        let document = fetched.origin(&workspace);
        let sync = match (&fetched.branch, fetched.tip, &document.project) {
            (Some(branch), Some(tip), Some(project)) => {
                let request = call.request(&configuration, &workspace, false);
                last_sync(&request, branch, tip, project)
                    .map_err(|error| CommandError::from(&error))?
            }
            _ => None,
        };
        let source = SourceOfDocument {
            document,
            last_sync: sync.as_ref().map(LastPublished::new),
        };
        Ok((vec![source.words()], source))
    }
}

impl LastPublished {
    fn new(sync: &SyncCommit) -> Self {
        let source = sync.source.as_ref();
        let time = Timestamp::from_second(sync.time).ok();
        Self {
            commit: sync.id.to_string(),
            time: time.map(|time| time.to_string()),
            repository: source.and_then(|source| source.url.clone()),
            revision: source.map(|source| source.commit.to_string()),
            dirty: source.map(|source| source.dirty),
        }
    }
}

impl SourceOfDocument {
    fn words(&self) -> String {
        let document = &self.document;
        let uri = &document.uri;
        let Some(project) = &document.project else {
            return format!("`{uri}` is in no project's directory of the codex");
        };
        let Some(sync) = &self.last_sync else {
            return format!(
                "`{uri}` is in the directory of project `{project}`; no sync of it is in the history of the codex"
            );
        };
        let revision = match (&sync.revision, &sync.repository) {
            (Some(revision), Some(repository)) => format!("{revision} of {repository}"),
            (Some(revision), None) => format!("{revision} of an unnamed repository"),
            (None, _) => "files without a recorded revision".to_owned(),
        };
        let dirty = match sync.dirty {
            Some(true) => ", with uncommitted changes",
            _ => "",
        };
        let time = sync.time.as_deref().unwrap_or("an unknown time");
        format!(
            "`{uri}` is in the directory of project `{project}`. The last sync of the project, commit {} of the codex at {time}, published {revision}{dirty}",
            sync.commit
        )
    }
}
