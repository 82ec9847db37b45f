//! The JSON schemas of arguments and results.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};

/// The schema of a tool's arguments.
pub(super) fn of_arguments<T: JsonSchema>() -> Arc<JsonObject> {
    generate::<T>(SchemaSettings::draft2020_12())
}

/// The schema of a tool's result.
pub(super) fn of_result<T: JsonSchema>() -> Arc<JsonObject> {
    generate::<T>(SchemaSettings::draft2020_12().for_serialize())
}

/// Generates a schema without references and without the formats of Rust's integers, which not all
/// clients know, and without the name of the type.
fn generate<T: JsonSchema>(mut settings: SchemaSettings) -> Arc<JsonObject> {
    settings.inline_subschemas = true;
    let settings = settings.with_transform(RecursiveTransform(|schema: &mut Schema| {
        schema.remove("format");
    }));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    for key in ["title", "description", "$schema"] {
        schema.remove(key);
    }
    Arc::new(schema.as_object().cloned().unwrap_or_default())
}
