//! The tools of the server.

use rmcp::model::Tool;

use super::cache_tool::CacheTool;
use super::fetch_tool::FetchTool;
use super::list_tool::ListTool;
use super::mcp_tool::ToolEntry;
use super::search_tool::SearchTool;
use super::source_tool::SourceTool;
use super::status_tool::StatusTool;
use crate::cli::command_error::CommandError;
use crate::paths::escaped;

static TOOLS: [ToolEntry; 6] = [
    ToolEntry::of::<FetchTool>(),
    ToolEntry::of::<ListTool>(),
    ToolEntry::of::<SearchTool>(),
    ToolEntry::of::<StatusTool>(),
    ToolEntry::of::<SourceTool>(),
    ToolEntry::of::<CacheTool>(),
];

const CLEAR: &str = "run `fractary-codex cache clear --pattern PATTERN` in a shell";
/// Tools of the older server that do not exist here, with the way to do the same.
const FORMER: [(&str, &str); 3] = [
    ("codex_cache_clear", CLEAR),
    ("codex_invalidate", CLEAR),
    (
        "codex_file_sources_list",
        "`codex_project_status` lists the projects of the workspace",
    ),
];

/// The tool of this name, which may be an older one.
pub(super) fn named(name: &str) -> Option<&'static ToolEntry> {
    TOOLS.iter().find(|tool| tool.is_named(name))
}

/// The tools, as `tools/list` describes them.
pub(super) fn descriptions() -> Vec<Tool> {
    TOOLS.iter().map(ToolEntry::describe).collect()
}

/// The answer to a call of a tool that only the older server has; `None` for any other name.
pub(super) fn former(name: &str) -> Option<CommandError> {
    let (_, hint) = FORMER.iter().find(|(former, _)| *former == name)?;
    let message = format!("`{name}` is not a tool of this server, which only reads the codex");
    Some(CommandError::usage(message).hint(*hint))
}

/// The message for a name that no tool has.
pub(super) fn unknown(name: &str) -> String {
    let names: Vec<_> = TOOLS
        .iter()
        .map(|tool| format!("`{}`", tool.name))
        .collect();
    let name = escaped(name.as_bytes());
    format!("unknown tool `{name}`; the tools are {}", names.join(", "))
}
