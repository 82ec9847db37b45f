//! JSON Schema fragments for the types of configuration keys, used by the attributes in
//! [`super::model`].

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A value, or a reference `${VAR}` instead of it.
fn or_variable(plain: Value) -> Schema {
    json_schema!({ "anyOf": [plain, { "type": "string", "pattern": r"^\s*\$\{[^}]*\}\s*$" }] })
}

pub(super) fn switch(_: &mut SchemaGenerator) -> Schema {
    or_variable(json!({ "type": "boolean" }))
}

pub(super) fn number(_: &mut SchemaGenerator) -> Schema {
    or_variable(json!({ "type": "integer", "minimum": 0 }))
}

pub(super) fn jobs(_: &mut SchemaGenerator) -> Schema {
    or_variable(json!({ "type": "integer", "minimum": 0, "maximum": 1024 }))
}

pub(super) fn percent(_: &mut SchemaGenerator) -> Schema {
    or_variable(json!({ "type": "integer", "minimum": 0, "maximum": 100 }))
}

pub(super) fn cache_switch(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "string", "pattern": r"^(auto|\$\{[^}]*\})$" }, { "type": "boolean" }] })
}

pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    let pattern = r"^(\s*[0-9]+\s*[a-zA-Zµ]+\s*)+$|^\$\{[^}]*\}$";
    json_schema!({ "type": "string", "pattern": pattern, "examples": ["30s", "5m"] })
}

pub(super) fn size(_: &mut SchemaGenerator) -> Schema {
    let pattern = r"^[0-9]+(\.[0-9]+)?\s*([kKmMgGtT][iI]?[bB]?|[bB])?$|^\$\{[^}]*\}$";
    json_schema!({ "type": ["string", "integer"], "pattern": pattern, "minimum": 0, "examples": ["50MB", "512KiB"] })
}

/// A string that is taken literally, even if it looks like a number or a boolean.
pub(super) fn plain_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number", "boolean"] })
}

const PROJECT_NAME: &str = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$";

pub(super) fn project_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number"], "pattern": format!(r"{PROJECT_NAME}|\$\{{") })
}

/// The pattern for the keys of `projects`.
pub(super) fn project_names() -> Value {
    json!({ "pattern": PROJECT_NAME })
}

/// A lookahead that rejects all placeholders except those in `known`. `${VAR}` is not a
/// placeholder.
fn placeholders(known: &str) -> String {
    format!(r"(?!([\s\S]*[^$])?\{{(?!(?:{known})\}})[A-Za-z][A-Za-z0-9_]*\}})")
}

pub(super) fn message(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": format!("^{}", placeholders("count|project|org|codex_repo|env|branch")) })
}

pub(super) fn pull_request_text(_: &mut SchemaGenerator) -> Schema {
    let known = "count|projects|workspace|org|codex_repo|env|branch";
    json_schema!({ "type": "string", "pattern": format!("^{}", placeholders(known)) })
}

/// A path in the codex: relative, without `.`, `..` and `.git` segments.
pub(super) fn codex_path(_: &mut SchemaGenerator) -> Schema {
    let placeholders = placeholders("project|org|codex_repo|env|branch");
    let pattern =
        format!(r"^(?!/)(?!.*//)(?!(?:.*/)?(?:\.{{1,2}}|\.[gG][iI][tT])(?:/|$)){placeholders}.");
    json_schema!({ "type": "string", "pattern": pattern })
}

/// A glob: relative, without a leading `!` or empty segments. A leading `./` is dropped.
pub(super) fn glob(_: &mut SchemaGenerator) -> Schema {
    let pattern = r"^(?:\./)*(?![!/])(?!(?:.*/)?\.{1,2}(?:/|$))(?!.*[^:]//).";
    json_schema!({ "type": "string", "pattern": pattern, "maxLength": 4096 })
}

pub(super) fn globs(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": glob(generator) })
}

/// A URL with a supported scheme, or any other form that git accepts.
pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    let supported = r"(?:https?|ssh|git|file|git\+ssh|ssh\+git)";
    json_schema!({ "type": "string", "pattern": format!(r"^(?!(?!{supported}://)[a-z][a-z0-9+.-]*://).") })
}

/// A host name or address, with an optional port.
pub(super) fn host(_: &mut SchemaGenerator) -> Schema {
    let pattern =
        r"^(?:\[[0-9A-Fa-f:.]+\]|[^\s/@:?#\[\]*.-][^\s/@:?#\[\]*]*)(?::[0-9]{1,5})?$|\$\{";
    json_schema!({ "type": "string", "pattern": pattern })
}

pub(super) fn text_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } })
}

pub(super) fn projects_example() -> Value {
    json!({ "billing-api": { "root": "services/billing", "sync": { "to_codex": { "include": ["docs/**"] } } } })
}

pub(super) fn remotes_example() -> Value {
    json!({ "acme/codex.acme.com": { "token": "${GITHUB_TOKEN}" } })
}

pub(super) fn from_codex_example() -> Value {
    json!({ "include": ["codex://{org}/{codex_repo}/docs/**", "codex://{org}/core/docs/**"] })
}
