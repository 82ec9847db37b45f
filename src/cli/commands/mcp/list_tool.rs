//! `codex_document_list`: the documents of the codex that match a glob.

use bstr::ByteSlice;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::ToolCall;
use super::documents::{CodexTip, DocumentSelection, ListPart, continuation, limit, shown_uri};
use super::mcp_tool::McpTool;
use crate::cli::command_error::CommandError;
use crate::sync::fetch::listing::list;
use crate::text::pluralize;

/// The number of documents that are returned by default, and at most.
const DEFAULT_LIMIT: usize = 200;
const MAX_LIMIT: usize = 2000;

pub(super) struct ListTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListArguments {
    /// A glob: `codex://ORGANIZATION/PROJECT/PATH`, or PATH alone, such as `docs/**/*.md`. PROJECT and
    /// PATH may have `*`, `**`, `?`, `[a-z]` and `{a,b}`. Without it, all documents.
    pattern: Option<String>,
    /// Only documents of this project (a name or a glob).
    project: Option<String>,
    /// The organization of the codex. Only needed to check that it is the expected one.
    #[serde(alias = "org")]
    organization: Option<String>,
    /// List only the documents in the local cache, without a request.
    #[serde(default)]
    offline: bool,
    /// The number of documents to skip; `next_offset` of the previous part.
    #[serde(default)]
    offset: usize,
    /// The greatest number of documents to return: 200 by default, at most 2000.
    #[schemars(range(min = 1))]
    limit: Option<usize>,
}

/// A part of a list of documents.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DocumentList {
    /// The codex.
    codex: CodexTip,
    /// The documents, in the order of their paths.
    documents: Vec<DocumentInList>,
    /// The number of documents that match.
    total: usize,
    /// The offset of the next part; `null` if this is the last one.
    next_offset: Option<usize>,
}

/// A document that exists.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DocumentInList {
    /// The URI.
    uri: String,
    /// The id of the contents in git.
    id: String,
    /// Whether the local cache has this version.
    cached: bool,
}

impl McpTool for ListTool {
    const NAME: &'static str = "codex_document_list";
    const OLDER_NAMES: &'static [&'static str] = &["codex_list", "codex_cache_list"];
    const TITLE: &'static str = "List documents";
    const DESCRIPTION: &'static str = "Lists the URIs of the documents of the codex that match a \
        glob, and shows which are in the local cache.";
    type Arguments = ListArguments;
    type Output = DocumentList;

    /// The older tools list the cache.
    fn adapt(_: &str, arguments: &mut JsonObject) {
        arguments.entry("offline").or_insert(true.into());
    }

    fn run(
        call: &ToolCall,
        arguments: ListArguments,
    ) -> Result<(Vec<String>, DocumentList), CommandError> {
        let limit = limit(arguments.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let (configuration, workspace) = call.load()?;
        let selection = DocumentSelection {
            pattern: arguments.pattern,
            project: arguments.project,
            organization: arguments.organization,
        };
        let uri = selection.uri(&configuration, &workspace)?;
        let request = call.request(&configuration, &workspace, arguments.offline);
        let listing = list(&request, &uri).map_err(|error| CommandError::from(&error))?;

        let total = listing.documents.len();
        let part = ListPart::of(listing.documents, arguments.offset, limit);
        let documents = part.items.into_iter().map(|document| DocumentInList {
            uri: shown_uri(document.path.as_bstr(), &workspace),
            id: document.id.to_string(),
            cached: document.is_cached,
        });
        let list = DocumentList {
            codex: CodexTip::new(&workspace, &listing.tip),
            documents: documents.collect(),
            total,
            next_offset: part.next_offset,
        };
        Ok((vec![list.words(arguments.offset)], list))
    }
}

impl DocumentList {
    /// The list as lines of text.
    fn words(&self, offset: usize) -> String {
        let line = |document: &DocumentInList| match document.cached {
            true => format!("{}\n", document.uri),
            false => format!("{} (not in the local cache)\n", document.uri),
        };
        let lines: String = self.documents.iter().map(line).collect();
        let shown = match self.documents.len() {
            0 => String::new(),
            shown if shown == self.total => String::new(),
            shown => format!(", {} to {} are shown", offset + 1, offset + shown),
        };
        format!(
            "{lines}{} {}{shown}{}",
            pluralize(self.total as u64, "document"),
            self.codex.words(),
            continuation(self.next_offset)
        )
    }
}
