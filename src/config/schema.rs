//! The JSON Schema of the configuration file, generated from [`super::model`], and the properties
//! of keys in it.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::compat;
use super::model::RawConfig;

/// The schema of a whole file. Sections other than `codex` are not checked.
pub fn schema() -> Value {
    let mut codex = SECTION.clone();
    if let Some(properties) = codex.get_mut("properties").and_then(Value::as_object_mut) {
        for name in compat::OLDER_TOOLS {
            properties.entry(name).or_insert_with(
                || json!({ "description": "A key of the older tool. Ignored.", "deprecated": true }),
            );
        }
    }
    for (path, new) in compat::RENAMED {
        let value = codex.pointer(&pointer_to(new)).cloned().unwrap_or_default();
        let description = format!("Older name of `{}`.", new.join("."));
        insert_older(&mut codex, path, value, &description);
    }
    for path in compat::LISTS {
        if let Some(value) = codex.pointer_mut(&pointer_to(path)) {
            let elements = value.pointer("/properties/include/items").cloned();
            value["items"] = elements.unwrap_or_default();
            value["type"] = json!(["object", "array"]);
            let description = value["description"].as_str().unwrap_or_default();
            value["description"] = json!(format!(
                "{description} A list is the older form of `include`."
            ));
        }
    }
    let switch = json!({ "type": ["boolean", "string"] });
    insert_older(
        &mut codex,
        &compat::BIDIRECTIONAL,
        switch,
        "`true` is the older form of `sync.direction: bidirectional`.",
    );
    for name in compat::IGNORED {
        let description = "A key of the older tool. It has no effect.";
        insert_older(&mut codex, &["sync", name], json!({}), description);
    }
    for (path, old, new) in compat::RENAMED_VALUES {
        if let Some(choices) = codex
            .pointer_mut(&(pointer_to(path) + "/oneOf"))
            .and_then(Value::as_array_mut)
        {
            let description = format!("Older name of `{new}`.");
            choices.push(json!({
                "type": "string",
                "const": old,
                "description": description,
                "deprecated": true,
            }));
        }
    }
    if let Some(kind) = codex.pointer_mut("/properties/projects/additionalProperties/type") {
        // `NAME:` without a value is an empty project.
        *kind = json!(["object", "null"]);
    }
    if let Some(cache) = codex
        .pointer_mut("/properties/cache")
        .and_then(Value::as_object_mut)
    {
        // An unknown key below `cache` is a warning, not an error.
        cache.remove("additionalProperties");
    }
    accept_plain_values(&mut codex);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Fractary configuration",
        "description": "`.fractary/config.yaml` as fractary-codex reads it: section `codex`. Other sections belong to other tools.",
        "type": "object",
        "properties": { "codex": codex },
    })
}

/// Accepts what the program accepts for every key: no value, which is the default, and a number or a
/// boolean for a text, which is then the text that is written.
fn accept_plain_values(schema: &mut Value) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let required = required.as_array().cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        accept_plain_values(property);
        accept_plain_texts(property);
        if let Some(choices) = property.get_mut("oneOf").and_then(Value::as_array_mut) {
            let description = "A reference to a variable.";
            choices
                .push(json!({ "type": "string", "pattern": r"\$\{", "description": description }));
        }
        if !required.iter().any(|one| one == name) {
            accept_null(property);
        }
    }
    for below in ["items", "additionalProperties"] {
        if let Some(element) = schema.get_mut(below).filter(|element| element.is_object()) {
            accept_plain_values(element);
            accept_plain_texts(element);
            if below == "additionalProperties" {
                accept_null(element);
            }
        }
    }
}

/// Adds numbers and booleans to a schema that only accepts texts.
fn accept_plain_texts(schema: &mut Value) {
    if schema.get("type").is_some_and(|kind| kind == "string") && schema.get("const").is_none() {
        schema["type"] = json!(["string", "number", "boolean"]);
    }
}

/// Adds `null` to a schema.
fn accept_null(schema: &mut Value) {
    let null = json!({ "type": "null" });
    for alternatives in ["anyOf", "oneOf"] {
        if let Some(list) = schema.get_mut(alternatives).and_then(Value::as_array_mut) {
            list.push(null);
            return;
        }
    }
    match schema.get_mut("type") {
        Some(Value::Array(kinds)) if !kinds.contains(&json!("null")) => kinds.push(json!("null")),
        Some(kind @ Value::String(_)) => *kind = json!([kind.clone(), "null"]),
        _ => {}
    }
}

/// The JSON pointer to the schema of a key.
fn pointer_to(path: &[&str]) -> String {
    path.iter()
        .map(|key| format!("/properties/{key}"))
        .collect()
}

/// Adds a deprecated key, with the schema of its values.
fn insert_older(codex: &mut Value, path: &[&str], mut value: Value, description: &str) {
    let Some((name, parents)) = path.split_last() else {
        return;
    };
    if let Some(schema) = value.as_object_mut() {
        schema.remove("default");
        schema.remove("examples");
        schema.insert("description".to_owned(), json!(description));
        schema.insert("deprecated".to_owned(), json!(true));
    }
    let properties = codex.pointer_mut(&(pointer_to(parents) + "/properties"));
    if let Some(properties) = properties.and_then(Value::as_object_mut) {
        properties.insert((*name).to_owned(), value);
    }
}

/// The kind of value of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Map,
    List,
    Boolean,
    Number,
    /// One of several words.
    Choice,
    Text,
}

/// A key in the schema.
#[derive(Clone, Copy)]
pub(crate) struct Key(&'static Value);

impl Key {
    /// The section `codex` itself.
    pub(crate) fn root() -> Self {
        Self(&SECTION)
    }

    /// The key `name` of this map, or the element `name` of this list; `None` if it does not exist.
    pub(crate) fn below(self, name: &str) -> Option<Self> {
        let property = self
            .0
            .get("properties")
            .and_then(|properties| properties.get(name));
        let element = || {
            self.0
                .get("items")
                .filter(|_| name.parse::<usize>().is_ok())
        };
        let any = || {
            self.0
                .get("additionalProperties")
                .filter(|schema| schema.is_object())
        };
        property.or_else(element).or_else(any).map(Self)
    }

    /// The kind of value.
    pub(crate) fn shape(self) -> Shape {
        // The first alternative is the plain form, without `${VAR}`.
        let kind = self
            .0
            .get("type")
            .or_else(|| self.0.pointer("/anyOf/0/type"));
        let kind = kind.and_then(|kind| {
            if kind.is_array() {
                kind.get(0)
            } else {
                Some(kind)
            }
        });
        match kind.and_then(Value::as_str) {
            Some("object") => Shape::Map,
            Some("array") => Shape::List,
            Some("boolean") => Shape::Boolean,
            Some("integer") => Shape::Number,
            _ if !self.choices().is_empty() => Shape::Choice,
            _ => Shape::Text,
        }
    }

    /// The fixed names in this map.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let properties = self.0.get("properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Whether this map has no other names than [`Key::names`].
    pub(crate) fn is_closed(self) -> bool {
        self.0.get("additionalProperties") == Some(&Value::Bool(false))
    }

    /// The required names in this map.
    pub(crate) fn required(self) -> Vec<&'static str> {
        let required = self.0.get("required").and_then(Value::as_array);
        required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// The words of a [`Shape::Choice`].
    pub(crate) fn choices(self) -> Vec<&'static str> {
        let choices = self.0.get("oneOf").and_then(Value::as_array);
        choices
            .into_iter()
            .flatten()
            .filter_map(|choice| choice["const"].as_str())
            .collect()
    }
}

/// The meaning of a key, as an editor shows it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Meaning {
    /// The description.
    pub description: String,
    /// The words that the key accepts, each with its description; empty if it accepts other values.
    pub choices: Vec<(String, String)>,
    /// The default; `None` if the key has none, or is a map.
    pub default: Option<Value>,
}

/// The meaning of the key at `path`; `None` if it does not exist, or is an element of a list.
pub(crate) fn meaning<S: AsRef<str>>(path: &[S]) -> Option<Meaning> {
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let find = |path: &[&str]| {
        path.iter()
            .try_fold(Key::root(), |key, name| key.below(name))
    };
    let text = |value: &Value| value.as_str().map(|text| text.replace('\n', " "));
    let Key(schema) = find(&path)?;

    let choices = schema.get("oneOf").and_then(Value::as_array);
    let choices = choices.into_iter().flatten().filter_map(|choice| {
        let word = choice["const"].as_str()?;
        Some((
            word.to_owned(),
            text(&choice["description"]).unwrap_or_default(),
        ))
    });
    // The settings of a project have the defaults of those for all projects.
    let general = match path.as_slice() {
        ["projects", _, sync @ ..] if sync.first() == Some(&"sync") => find(sync),
        _ => None,
    };
    let default = general.unwrap_or(Key(schema)).0.get("default");
    Some(Meaning {
        description: text(&schema["description"])?,
        choices: choices.collect(),
        default: default
            .filter(|default| !default.is_object() && !default.is_null())
            .cloned(),
    })
}

/// The kind of value of the key at `path`; `None` if it does not exist.
pub(crate) fn shape<S: AsRef<str>>(path: &[S]) -> Option<Shape> {
    path.iter()
        .try_fold(Key::root(), |key, segment| key.below(segment.as_ref()))
        .map(Key::shape)
}

/// The paths of all keys with fixed names.
pub(crate) fn keys() -> Vec<Vec<String>> {
    fn collect(at: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        for (name, property) in at
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            path.push(name.clone());
            found.push(path.clone());
            collect(property, path, found);
            path.pop();
        }
    }
    let mut found = Vec::new();
    collect(&SECTION, &mut Vec::new(), &mut found);
    found
}

/// The schema of the section `codex`, with inlined references and the defaults of `defaults.yaml`.
static SECTION: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut section = settings
        .into_generator()
        .into_root_schema_for::<RawConfig>()
        .to_value();
    tidy(&mut section);
    // All projects of a run have one branch, so a project has no environments.
    let of_project =
        section.pointer_mut("/properties/projects/additionalProperties/properties/sync/properties");
    of_project
        .and_then(Value::as_object_mut)
        .and_then(|sync| sync.shift_remove("environments"));
    for (path, default) in super::layers::default_values() {
        add_default(&mut section, &path, default);
    }
    section
});

/// Adds the default of the key at `path` to its schema, or to that of the map above it if the key
/// has no fixed name.
fn add_default(schema: &mut Value, path: &[String], default: Value) {
    let next = path
        .split_first()
        .map(|(first, rest)| (first, rest, format!("/properties/{first}")));
    if let Some((_, rest, pointer)) = &next
        && let Some(property) = schema.pointer_mut(pointer)
    {
        return add_default(property, rest, default);
    }
    let default = if next.is_none() {
        typed(schema, default)
    } else {
        default
    };
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    match next {
        Some((name, ..)) => {
            schema.entry("default").or_insert_with(|| json!({}))[name.as_str()] = default
        }
        None => {
            schema.insert("default".to_owned(), default);
        }
    }
}

/// Converts a default, which is a string, to the type in the schema.
fn typed(schema: &Value, value: Value) -> Value {
    let kind = schema
        .get("type")
        .or_else(|| schema.pointer("/anyOf/0/type"))
        .and_then(Value::as_str);
    match (kind, value) {
        (Some("boolean" | "integer"), Value::String(text)) => {
            text.parse().unwrap_or(Value::String(text))
        }
        (_, value) => value,
    }
}

/// Removes details of the Rust types that a reader of the schema does not need: `null`, titles and
/// number formats.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // Under `properties` the names are keys of the configuration, not of the schema
            // language.
            if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
                properties.values_mut().for_each(tidy);
            }
            object.remove("title");
            object.remove("format");
            if let Some(Value::Array(kinds)) = object.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [kind] = kinds.as_slice() {
                    let kind = kind.clone();
                    object.insert("type".to_owned(), kind);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [Value::Object(choice)] = choices.as_slice() {
                    let choice = choice.clone();
                    object.remove("anyOf");
                    for (key, value) in choice {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            for (key, value) in object.iter_mut() {
                if !matches!(key.as_str(), "properties" | "examples" | "default" | "enum") {
                    tidy(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}
