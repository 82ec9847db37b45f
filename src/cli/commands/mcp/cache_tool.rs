//! `codex_cache_status`: the local caches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::ToolCall;
use super::mcp_tool::McpTool;
use crate::cli::command_error::CommandError;
use crate::cli::commands::cache::status_documents;

/// The number of differing files that are named per cache.
const MAX_NAMED: usize = 50;

pub(super) struct CacheTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CacheArguments {}

/// The local caches.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CacheStates {
    /// The caches, as `fractary-codex cache status --json` prints them. `changed` and `missing` have at
    /// most 50 names each, and `changed_count` and `missing_count` have their numbers.
    caches: Vec<Value>,
}

impl McpTool for CacheTool {
    const NAME: &'static str = "codex_cache_status";
    const OLDER_NAMES: &'static [&'static str] = &["codex_cache_stats", "codex_cache_health"];
    const TITLE: &'static str = "Status of the local cache";
    const DESCRIPTION: &'static str = "Shows the numbers of files in the local caches of the workspace, the \
        commit of the codex that they are from, their age, and files that were modified locally.";
    type Arguments = CacheArguments;
    type Output = CacheStates;

    fn run(call: &ToolCall, _: CacheArguments) -> Result<(Vec<String>, CacheStates), CommandError> {
        let (_, workspace) = call.load()?;
        let mut caches = status_documents(&workspace)?;
        for cache in caches.iter_mut().filter_map(Value::as_object_mut) {
            for list in ["changed", "missing"] {
                if let Some(names) = cache.get_mut(list).and_then(Value::as_array_mut) {
                    let count = names.len();
                    names.truncate(MAX_NAMED);
                    cache.insert(format!("{list}_count"), count.into());
                }
            }
        }
        let states = CacheStates { caches };
        let text = serde_json::to_string_pretty(&states).unwrap_or_default();
        Ok((vec![text], states))
    }
}
