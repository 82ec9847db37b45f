//! The form of a tool: its name, description, arguments, output and function.

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call::ToolCall;
use super::schema;
use crate::cli::command_error::CommandError;
use crate::paths::escaped;

/// A tool that clients can call.
pub(super) trait McpTool {
    const NAME: &'static str;
    /// The names that servers of the older tool have for it.
    const OLDER_NAMES: &'static [&'static str] = &[];
    const TITLE: &'static str;
    const DESCRIPTION: &'static str;
    type Arguments: DeserializeOwned + JsonSchema;
    type Output: Serialize + JsonSchema;

    /// Adds the arguments that an older name implies.
    fn adapt(_older_name: &str, _arguments: &mut JsonObject) {}

    /// Does the work. Returns texts for the agent, and the same for programs.
    fn run(
        call: &ToolCall,
        arguments: Self::Arguments,
    ) -> Result<(Vec<String>, Self::Output), CommandError>;
}

/// The result of a call.
pub(super) struct ToolAnswer {
    /// Texts for the agent.
    pub(super) texts: Vec<String>,
    /// The same for programs, as the schema of the tool's output describes it.
    pub(super) structured: Value,
}

/// A tool whose types are erased.
pub(super) struct ToolEntry {
    pub(super) name: &'static str,
    older_names: &'static [&'static str],
    describe: fn() -> Tool,
    run: fn(&str, &ToolCall, JsonObject) -> Result<ToolAnswer, CommandError>,
}

impl ToolEntry {
    pub(super) const fn of<T: McpTool>() -> Self {
        Self {
            name: T::NAME,
            older_names: T::OLDER_NAMES,
            describe: describe::<T>,
            run: run::<T>,
        }
    }

    /// Whether the tool has this name, which may be an older one.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name || self.older_names.contains(&name)
    }

    /// The tool, as `tools/list` describes it.
    pub(super) fn describe(&self) -> Tool {
        (self.describe)()
    }

    /// Calls the tool by this name.
    pub(super) fn call(
        &self,
        name: &str,
        call: &ToolCall,
        arguments: JsonObject,
    ) -> Result<ToolAnswer, CommandError> {
        (self.run)(name, call, arguments)
    }
}

fn describe<T: McpTool>() -> Tool {
    let arguments = schema::of_arguments::<T::Arguments>();
    let annotations = ToolAnnotations::with_title(T::TITLE)
        .read_only(true)
        .idempotent(true)
        .destructive(false)
        .open_world(false);
    Tool::new(T::NAME, T::DESCRIPTION, arguments)
        .with_title(T::TITLE)
        .with_raw_output_schema(schema::of_result::<T::Output>())
        .with_annotations(annotations)
}

fn run<T: McpTool>(
    name: &str,
    call: &ToolCall,
    mut arguments: JsonObject,
) -> Result<ToolAnswer, CommandError> {
    if name != T::NAME {
        T::adapt(name, &mut arguments);
    }
    let arguments = serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        let error = error.to_string();
        let message = format!("invalid arguments: {}", escaped(error.as_bytes()));
        CommandError::usage(message).hint("`tools/list` has the schema of the arguments")
    })?;
    let (texts, output) = T::run(call, arguments)?;
    Ok(ToolAnswer {
        texts,
        structured: serde_json::json!(output),
    })
}
