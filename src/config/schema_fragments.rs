//! JSON Schema fragments for the types of configuration keys, used by the attributes in
//! [`super::model`].

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A plain value, or a text with the same meaning. In a text, `${VAR}` can be any part of it.
fn or_text(plain: Value, text: &str) -> Schema {
    let pattern = format!(r"^\s*(?:{text})\s*$|\$\{{");
    json_schema!({ "anyOf": [plain, { "type": "string", "pattern": pattern }] })
}

/// The texts that mean `true` or `false`, in any case.
const SWITCH: &str =
    "[tT][rR][uU][eE]|[yY][eE][sS]|[oO][nN]|1|[fF][aA][lL][sS][eE]|[nN][oO]|[oO][fF][fF]|0";

/// The texts that are whole numbers.
const NUMBER: &str = r"\+?[0-9]+(?:_[0-9]+)*|0x[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0o[0-7]+(?:_[0-7]+)*|0b[01]+(?:_[01]+)*";

fn boolean_or(text: &str) -> Schema {
    let mut schema = or_text(json!({ "type": "boolean" }), text);
    if let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") {
        alternatives.push(json!({ "type": "integer", "minimum": 0, "maximum": 1 }));
    }
    schema
}

pub(super) fn switch(_: &mut SchemaGenerator) -> Schema {
    boolean_or(SWITCH)
}

pub(super) fn number(_: &mut SchemaGenerator) -> Schema {
    or_text(
        json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        NUMBER,
    )
}

pub(super) fn large_number(_: &mut SchemaGenerator) -> Schema {
    or_text(json!({ "type": "integer", "minimum": 0 }), NUMBER)
}

pub(super) fn jobs(_: &mut SchemaGenerator) -> Schema {
    or_text(
        json!({ "type": "integer", "minimum": 0, "maximum": 1024 }),
        NUMBER,
    )
}

pub(super) fn percent(_: &mut SchemaGenerator) -> Schema {
    let plain = json!({ "type": "integer", "minimum": 0, "maximum": 100 });
    or_text(plain, r"\+?0*(?:100|[0-9]{1,2})%?|0x[0-6]?[0-9a-fA-F]%?")
}

pub(super) fn cache_switch(_: &mut SchemaGenerator) -> Schema {
    boolean_or(&format!("[aA][uU][tT][oO]|{SWITCH}"))
}

/// A duration. The limit of 24h is only checked for hours and longer units.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    let number = r"[0-9]+(?:\.[0-9]+)?";
    let short = "nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?|secs?|s|minutes?|mins?|min|m";
    let hours = "(?:0*(?:1?[0-9]|2[0-4])) ?(?:hours?|hrs?|hr|h)";
    let pattern = format!(
        r"^\s*(?:0|(?:{number}\s*(?:{short})|{hours}|0*1\s*(?:days?|d))(?:\s*(?:{number}\s*(?:{short})|{hours}))*)\s*$|\$\{{"
    );
    // A number without a unit is not accepted.
    json_schema!({ "anyOf": [{ "type": "string", "pattern": pattern }, { "const": 0 }], "examples": ["30s", "5m"] })
}

pub(super) fn size(_: &mut SchemaGenerator) -> Schema {
    let digits = r"[0-9]+(?:_[0-9]+)*";
    let unit = "[kKmMgGtTpPeE](?:[iI]?[bB]|[iI])?|[bB]";
    let pattern =
        format!(r"^\s*(?:{NUMBER}|(?:{digits}(?:\.[0-9]*)?|\.[0-9]+)\s*(?:{unit})?)\s*$|\$\{{");
    json_schema!({
        "anyOf": [{ "type": "string", "pattern": pattern }, { "type": "number", "minimum": 0 }],
        "examples": ["50MB", "512KiB"],
    })
}

/// The name of a branch, as git accepts it.
pub(super) fn branch(_: &mut SchemaGenerator) -> Schema {
    let forbidden = r"\.\.|//|@\{|/\.|\.lock(?:/|$)|[~^:?*\[\\\s\x00-\x20\x7f]";
    let pattern = format!(r"\$\{{|^(?!refs/|-|@$|HEAD$|[./])(?!.*(?:{forbidden})).*[^/.]$");
    json_schema!({ "type": "string", "pattern": pattern })
}

/// The branch for each environment.
pub(super) fn branch_map(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": branch(generator) })
}

/// The URL of an API.
pub(super) fn api_url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"\$\{|^https?://[^/@?#\s]+(?:/[^@?#]*)?$" })
}

/// The name of a repository on a forge.
pub(super) fn repository_name(_: &mut SchemaGenerator) -> Schema {
    let segment = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+";
    json_schema!({ "type": "string", "pattern": format!(r"\$\{{|^{segment}(?:/{segment})+$") })
}

/// A text that must not be blank.
pub(super) fn filled_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"\S" })
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
    json_schema!({ "type": "string", "pattern": format!(r"^{}(?=[\s\S]*\S)", placeholders("count|project|org|codex_repo|env|branch|subject")) })
}

pub(super) fn pull_request_text(_: &mut SchemaGenerator) -> Schema {
    let known = "count|projects|workspace|org|codex_repo|env|branch";
    json_schema!({ "type": "string", "pattern": format!(r"^{}(?=[\s\S]*\S)", placeholders(known)) })
}

/// A path in the codex: relative, without `.`, `..` and `.git` segments.
pub(super) fn codex_path(_: &mut SchemaGenerator) -> Schema {
    let placeholders = placeholders("project|org|codex_repo|env|branch");
    let pattern = format!(
        r"^(?!/)(?!.*//)(?!(?:.*/)?(?:\.{{1,2}}|(?:\.[gG][iI][tT]|[gG][iI][tT]~1)[ .]*)(?:/|$)){placeholders}."
    );
    json_schema!({ "type": "string", "pattern": pattern })
}

/// A glob: relative, without a leading `!`, empty segments, or what is not supported: extglobs, ranges
/// of numbers, POSIX classes, classes with `/`, and `**` as a part of a segment. A leading `./` is
/// dropped.
pub(super) fn glob(_: &mut SchemaGenerator) -> Schema {
    let unsupported =
        r"[@!+?*]\(|\{[^{},/]*\.\.[^{},/]*\}|\[\[:|\[[^\]/]*/|[^/{,]\*\*|\*\*[^/},]|\[\]$|\{\}$";
    let pattern = format!(
        r"^(?:\./)*(?![!/])(?!(?:.*/)?\.{{1,2}}(?:/|$))(?!.*[^:]//)(?!.*(?:{unsupported}))(?![^{{\[\\]*\}})."
    );
    json_schema!({ "type": "string", "pattern": pattern, "maxLength": 4096 })
}

pub(super) fn globs(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": glob(generator) })
}

/// A URL with a supported scheme, or any other form that git accepts.
pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    let supported = r"(?:https?|ssh|git|file|git\+ssh|ssh\+git)";
    let pattern = format!(
        r"\$\{{|^(?!(?!{supported}://)[a-zA-Z][a-zA-Z0-9+.-]*:(?://|:))(?!https?://(?:/|$|[^/]*:(?![0-9]{{1,5}}(?:/|$))[^/@]*(?:/|$)))."
    );
    json_schema!({ "type": "string", "pattern": pattern })
}

/// A host name or address, with an optional port.
pub(super) fn host(_: &mut SchemaGenerator) -> Schema {
    let pattern =
        r"^(?:\[[0-9A-Fa-f:.]+\]|[^\s/@:?#\[\]*.-][^\s/@:?#\[\]*]*)(?::[0-9]{1,5})?$|\$\{";
    json_schema!({ "type": "string", "pattern": pattern })
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
