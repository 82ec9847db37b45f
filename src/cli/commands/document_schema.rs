//! The schema of a document as the program writes it, in a form from which generators of clients make
//! types with names.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Returns the schema of a document. A field that is always there is required, also if it can be
/// `null`.
pub(super) fn document_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::default().for_serialize();
    let generator = settings.into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();

    let mut definitions = Map::new();
    name_alternatives(&mut schema, &mut definitions);
    if let Some(known) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        known.append(&mut definitions);
    }
    adapt(&mut schema);
    schema
}

/// Moves each alternative that has a title to the definitions, under that name. Generators number the
/// alternatives that are written in place.
fn name_alternatives(schema: &mut Value, definitions: &mut Map<String, Value>) {
    for below in children(schema) {
        name_alternatives(below, definitions);
    }
    for key in ["anyOf", "oneOf"] {
        let alternatives = schema.get_mut(key).and_then(Value::as_array_mut);
        for alternative in alternatives.into_iter().flatten() {
            if let Some(title) = alternative["title"].as_str().map(str::to_owned) {
                let reference = json!({ "$ref": format!("#/$defs/{title}") });
                definitions.insert(title, std::mem::replace(alternative, reference));
            }
        }
    }
}

/// Changes what generators do not understand:
///
/// - The formats of unsigned numbers, which no standard defines. They have a minimum.
/// - A description beside a reference, from which some make another type for each description. In
///   `allOf`, the reference stands alone.
/// - A value of any type, from which some make a map. It gets all types.
/// - Line breaks of the source code in descriptions.
fn adapt(schema: &mut Value) {
    for below in children(schema) {
        adapt(below);
    }
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    let format = fields.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| format.starts_with("uint")) {
        fields.shift_remove("format");
    }
    if fields.len() > 1
        && let Some(reference) = fields.shift_remove("$ref")
    {
        fields.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
    if fields.keys().all(|key| key == "description") {
        let all = json!(["null", "boolean", "number", "string", "array", "object"]);
        fields.insert("type".to_owned(), all);
    }
    if let Some(Value::String(description)) = fields.get_mut("description") {
        let paragraphs = description.split("\n\n");
        let paragraphs: Vec<_> = paragraphs.map(|text| text.replace('\n', " ")).collect();
        *description = paragraphs.join("\n\n");
    }
}

/// The schemas in a schema.
fn children(schema: &mut Value) -> impl Iterator<Item = &mut Value> {
    let fields = schema.as_object_mut().into_iter().flatten();
    fields.flat_map(|(key, value)| -> Vec<&mut Value> {
        match (key.as_str(), value) {
            ("properties" | "$defs", Value::Object(schemas)) => schemas.values_mut().collect(),
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => schemas.iter_mut().collect(),
            ("items" | "additionalProperties", schema) => vec![schema],
            _ => Vec::new(),
        }
    })
}
