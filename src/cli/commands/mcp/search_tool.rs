//! `codex_search`: lines of documents that contain a text.

use bstr::{BStr, ByteSlice};
use regex::bytes::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::ToolCall;
use super::documents::{
    CodexTip, DocumentSelection, continuation, is_text, limit, media_type, shown_uri,
};
use super::mcp_tool::McpTool;
use crate::cli::command_error::CommandError;
use crate::paths::escaped;
use crate::sync::fetch::text_search::{FoundText, TextSearch, search};
use crate::text::pluralize;
use crate::workspace::Workspace;

/// The number of lines that are returned by default, and at most.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;
/// The number of bytes of a line that are returned.
const MAX_LINE: usize = 300;

pub(super) struct SearchTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchArguments {
    /// The text to find in a line.
    query: String,
    /// Whether `query` is a regular expression.
    #[serde(default)]
    regex: bool,
    /// Whether the case of letters counts.
    #[serde(default)]
    case_sensitive: bool,
    /// Only in documents that match a glob: `codex://ORGANIZATION/PROJECT/PATH`, or PATH alone, such
    /// as `docs/**/*.md`.
    pattern: Option<String>,
    /// Only in documents of this project (a name or a glob).
    project: Option<String>,
    /// The organization of the codex. Only needed to check that it is the expected one.
    #[serde(alias = "org")]
    organization: Option<String>,
    /// Search only the documents in the local cache, without a request.
    #[serde(default)]
    offline: bool,
    /// The number of matching lines to skip; `next_offset` of the previous part.
    #[serde(default)]
    offset: usize,
    /// The greatest number of lines to return: 50 by default, at most 500.
    #[schemars(range(min = 1))]
    limit: Option<usize>,
}

/// A part of the lines that were found.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SearchResult {
    /// The codex.
    codex: CodexTip,
    /// The lines, in the order of the documents' paths.
    matches: Vec<MatchingLine>,
    /// The offset of the next part; `null` if this is the last one.
    next_offset: Option<usize>,
    /// The number of documents that were searched.
    searched: usize,
    /// The number of text documents that match the pattern and were not searched, because the local
    /// cache does not have them and they are too many to fetch.
    unsearched: usize,
}

/// A line that contains the text.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MatchingLine {
    /// The URI of the document.
    uri: String,
    /// The number of the line, from 1.
    line: usize,
    /// The text of the line, cut to 300 bytes around the match.
    text: String,
}

impl McpTool for SearchTool {
    const NAME: &'static str = "codex_search";
    const TITLE: &'static str = "Search documents";
    const DESCRIPTION: &'static str = "Finds lines by text or regular expression in the documents of \
        the codex that match a glob. Documents in the local cache are always searched. Others are \
        fetched if they are at most 200; otherwise `unsearched` counts them, and a narrower pattern helps.";
    type Arguments = SearchArguments;
    type Output = SearchResult;

    fn run(
        call: &ToolCall,
        arguments: SearchArguments,
    ) -> Result<(Vec<String>, SearchResult), CommandError> {
        let limit = limit(arguments.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let pattern = arguments.compile()?;
        let (configuration, workspace) = call.load()?;
        let selection = DocumentSelection {
            pattern: arguments.pattern,
            project: arguments.project,
            organization: arguments.organization,
        };
        let uri = selection.uri(&configuration, &workspace)?;
        let request = call.request(&configuration, &workspace, arguments.offline);
        let text_search = TextSearch {
            pattern: &pattern,
            offset: arguments.offset,
            limit,
            is_text,
        };
        let found =
            search(&request, &uri, &text_search).map_err(|error| CommandError::from(&error))?;
        let result = SearchResult::new(&found, arguments.offset, &pattern, &workspace);
        Ok((vec![result.words()], result))
    }
}

impl SearchArguments {
    /// The regular expression for a line.
    fn compile(&self) -> Result<Regex, CommandError> {
        if self.query.is_empty() {
            return Err(CommandError::usage("`query` is empty"));
        }
        let expression = match self.regex {
            true => self.query.clone(),
            false => regex::escape(&self.query),
        };
        let compiled = RegexBuilder::new(&expression)
            .case_insensitive(!self.case_sensitive)
            .build();
        compiled.map_err(|error| {
            let error = error.to_string();
            // The lines before show the expression.
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            let message = format!("invalid regular expression: {}", escaped(reason.as_bytes()));
            CommandError::usage(message).hint("leave out `regex` to find the text as it is")
        })
    }
}

impl SearchResult {
    fn new(found: &FoundText, offset: usize, pattern: &Regex, workspace: &Workspace) -> Self {
        let matches = found.lines.iter().map(|line| MatchingLine {
            uri: shown_uri(line.path.as_bstr(), workspace),
            line: line.number,
            text: excerpt(line.line.as_bstr(), pattern),
        });
        // A document of another type than text is not expected to be searched.
        let may_be_text = |path: &BStr| media_type(path).is_none_or(|_| is_text(path));
        let unsearched = found.unsearched.iter();
        Self {
            codex: CodexTip::new(workspace, &found.tip),
            matches: matches.collect(),
            next_offset: found.has_more.then(|| offset + found.lines.len()),
            searched: found.searched,
            unsearched: unsearched
                .filter(|path| may_be_text(path.as_bstr()))
                .count(),
        }
    }

    /// The result as lines of text.
    fn words(&self) -> String {
        let line = |found: &MatchingLine| format!("{}:{}: {}\n", found.uri, found.line, found.text);
        let lines: String = self.matches.iter().map(line).collect();
        let mut words = format!(
            "{lines}{} found; {} searched {}{}",
            pluralize(self.matches.len() as u64, "line"),
            pluralize(self.searched as u64, "document"),
            self.codex.words(),
            continuation(self.next_offset)
        );
        if self.unsearched > 0 {
            words.push_str(&format!(
                "\n{} not searched, because the local cache does not have them: narrow `pattern`, or pull them with `fractary-codex sync --from-codex`",
                pluralize(self.unsearched as u64, "document")
            ));
        }
        words
    }
}

/// The part of a line around the first match.
fn excerpt(line: &BStr, pattern: &Regex) -> String {
    if line.len() <= MAX_LINE {
        return line.to_str_lossy().into_owned();
    }
    let start = pattern.find(line).map_or(0, |found| found.start());
    let start = start
        .saturating_sub(MAX_LINE / 3)
        .min(line.len() - MAX_LINE);
    let part = &line[start..start + MAX_LINE];
    let before = if start > 0 { "…" } else { "" };
    let after = if start + MAX_LINE < line.len() {
        "…"
    } else {
        ""
    };
    // A character that was cut is left out.
    let part = part.to_str_lossy();
    format!("{before}{}{after}", part.trim_matches('\u{fffd}'))
}
