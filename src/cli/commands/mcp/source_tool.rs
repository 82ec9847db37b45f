//! `codex_document_source`: the place that a document comes from, as `trace` finds it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::ToolCall;
use super::documents::{CodexTip, client_uri, fetch_error};
use super::encoded_uri::encoded;
use super::mcp_tool::McpTool;
use crate::cli::command_error::CommandError;
use crate::forge::web_page::KnownForges;
use crate::report::style::Style;
use crate::report::trace::TracedFileDocument;
use crate::sync::fetch::FetchError;
use crate::sync::trace::{TraceError, TraceTarget, trace};

pub(super) struct SourceTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceArguments {
    /// The URI of the document: `codex://ORGANIZATION/PROJECT/PATH`, without wildcards. `%XX` is decoded.
    uri: String,
}

/// The place that a document comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SourceOfDocument {
    /// The codex.
    codex: CodexTip,
    /// The document, as in the documents of `fractary-codex trace --json`.
    #[serde(flatten)]
    file: TracedFileDocument,
}

impl McpTool for SourceTool {
    const NAME: &'static str = "codex_document_source";
    const TITLE: &'static str = "Source of a document";
    const DESCRIPTION: &'static str = "Shows where a document of the codex comes from: the commit that \
        gave it its present contents and, if a sync made it, the project, the source file, and the source \
        repository and revision that it published.";
    type Arguments = SourceArguments;
    type Output = SourceOfDocument;

    fn run(
        call: &ToolCall,
        arguments: SourceArguments,
    ) -> Result<(Vec<String>, SourceOfDocument), CommandError> {
        let (configuration, workspace) = call.load()?;
        let uri = client_uri(&arguments.uri, &configuration, &workspace)?;
        let request = call.request(&configuration, &workspace, false);
        let outcome = trace(&request, &[TraceTarget::of_uri(uri)]);
        let outcome = outcome.map_err(|error| CommandError::from(&error))?;
        if let Some((_, error)) = outcome.failures.first() {
            return Err(trace_error(error, &arguments.uri));
        }
        let (Some(traced), Some(tip)) = (outcome.files.first(), outcome.tip) else {
            unreachable!("a target is either traced or a failure");
        };

        let forges = KnownForges::new(&workspace, configuration.environment());
        let mut file = TracedFileDocument::new(traced, tip, &workspace, &forges);
        file.uri = file.uri.map(|uri| encoded(&uri));
        file.argument = arguments.uri;
        let text = file.text(Style { color: false }, call.context().now());
        let codex = CodexTip {
            url: workspace.remote.url.to_string(),
            branch: Some(outcome.branch),
            tip: Some(tip.to_string()),
        };
        Ok((vec![text], SourceOfDocument { codex, file }))
    }
}

fn trace_error(error: &TraceError, written: &str) -> CommandError {
    match error {
        TraceError::Missing(missing) => fetch_error(missing, written),
        TraceError::Directory { name } => {
            let uri = name.clone();
            fetch_error(&FetchError::Directory { uri }, written)
        }
        _ => CommandError::from(error),
    }
}
