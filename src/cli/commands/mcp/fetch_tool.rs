//! `codex_document_fetch`: the text of one document.

use std::time::Duration;

use bstr::ByteSlice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::ToolCall;
use super::documents::{continuation, limit};
use super::mcp_tool::McpTool;
use super::single_document::{DocumentOrigin, SingleDocument};
use crate::cli::command_error::CommandError;
use crate::report::fetch::FetchedFrom;
use crate::sync::fetch::CacheUse;
use crate::text::shell_path;
use crate::workspace::Workspace;
use crate::workspace::document_uri::uri_at;

/// The number of bytes that are returned by default, and at most.
const DEFAULT_LIMIT: usize = 40_000;
const MAX_LIMIT: usize = 200_000;

pub(super) struct FetchTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FetchArguments {
    /// The URI of the document: `codex://ORGANIZATION/PROJECT/PATH`, without wildcards. `%XX` is decoded.
    uri: String,
    /// The number of bytes to skip; `next_offset` of the previous part.
    #[serde(default)]
    offset: usize,
    /// The greatest number of bytes to return: 40000 by default, at most 200000.
    #[schemars(range(min = 1))]
    limit: Option<usize>,
    /// Read only the local cache, whatever the age of its copy.
    #[serde(default)]
    offline: bool,
    /// Use a copy in the local cache without a request if it was synced in so many seconds. Without
    /// this, a cached copy is used if it is from the current tip of the codex.
    max_age: Option<u64>,
    /// Do not use the local cache.
    #[serde(default, alias = "noCache")]
    bypass_cache: bool,
}

/// A part of a document.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FetchedText {
    /// The document.
    #[serde(flatten)]
    document: DocumentOrigin,
    /// The text from `offset` on; `null` for a binary document.
    text: Option<String>,
    /// The number of bytes that were skipped.
    offset: usize,
    /// The offset of the next part; `null` if this is the last one.
    next_offset: Option<usize>,
}

impl McpTool for FetchTool {
    const NAME: &'static str = "codex_document_fetch";
    const OLDER_NAMES: &'static [&'static str] = &["codex_fetch"];
    const TITLE: &'static str = "Fetch a document";
    const DESCRIPTION: &'static str = "Returns the text of one document of the codex by its URI, \
        with its project and the commit that has it. A long text is cut, and `next_offset` continues it.";
    type Arguments = FetchArguments;
    type Output = FetchedText;

    fn run(
        call: &ToolCall,
        arguments: FetchArguments,
    ) -> Result<(Vec<String>, FetchedText), CommandError> {
        let limit = limit(arguments.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let (configuration, workspace) = call.load()?;
        let max_age = arguments.max_age;
        if arguments.bypass_cache && (arguments.offline || max_age.is_some()) {
            let message = "`bypass_cache` cannot be used with `offline` or `max_age`";
            return Err(CommandError::usage(message));
        }
        let cache_use = match arguments.bypass_cache {
            true => CacheUse::Bypass,
            false => CacheUse::UpTo(Duration::from_secs(max_age.unwrap_or_default())),
        };
        let fetched = SingleDocument::fetch(
            call,
            &configuration,
            &workspace,
            &arguments.uri,
            cache_use,
            arguments.offline,
        )?;
        part(&fetched, (arguments.offset, limit), &workspace)
    }
}

/// The part of a document after `offset` of its bytes, with about `limit` bytes. It ends after a line, if
/// it has one.
fn part(
    fetched: &SingleDocument,
    (offset, limit): (usize, usize),
    workspace: &Workspace,
) -> Result<(Vec<String>, FetchedText), CommandError> {
    let origin = fetched.origin(workspace);
    let uri = &origin.uri;
    let size = origin.size;
    let text = fetched.document.contents.to_str().ok();
    let Some(text) = text.filter(|text| !text.contains('\0')) else {
        let own = uri_at(fetched.document.path.as_bstr(), workspace);
        let argument = shell_path(&own.unwrap_or_default());
        let words = format!(
            "`{uri}` is binary ({size} bytes): read it as a resource, or save it with `fractary-codex fetch {argument} --output FILE`"
        );
        let fetched = FetchedText {
            document: origin,
            text: None,
            offset: 0,
            next_offset: None,
        };
        return Ok((vec![words], fetched));
    };
    if offset > size {
        let message = format!(
            "`offset` {} is beyond the end of `{uri}`, which has {size} bytes",
            offset
        );
        return Err(CommandError::usage(message));
    }

    let start = text.floor_char_boundary(offset);
    let end = start.saturating_add(limit);
    let mut end = text.ceil_char_boundary(end.min(size));
    if end < size
        && let Some(line_end) = text[start..end].rfind('\n')
    {
        end = start + line_end + 1;
    }

    let next_offset = (end < size).then_some(end);
    let version = match &origin.tip {
        Some(tip) => format!(" of commit {tip}"),
        None => String::new(),
    };
    let place = match origin.from {
        FetchedFrom::Cache => "from the local cache",
        FetchedFrom::Remote => "from the codex",
    };
    let words = format!(
        "`{uri}`{version}, {place}: bytes {start} to {end} of {size}{}",
        continuation(next_offset)
    );
    let part = text[start..end].to_owned();
    let fetched = FetchedText {
        document: origin,
        text: Some(part.clone()),
        offset: start,
        next_offset,
    };
    Ok((vec![part, words], fetched))
}
