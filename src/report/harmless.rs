//! JSON documents with texts of others.

use serde::Serialize;

use crate::paths::escaped;

/// Serializes a document, indented and with a final line break. JSON does not require that all
/// characters with an effect on a terminal are escaped, so those that [`escaped`] would change are
/// written as escapes, which have the same value.
pub(crate) fn harmless_json(document: &impl Serialize) -> String {
    let is_harmless = |c: char| {
        let mut bytes = [0; 4];
        let text = c.encode_utf8(&mut bytes);
        matches!(c, '\n' | ' '..='~') || escaped(text.as_bytes()).to_string() == *text
    };
    let mut text = String::new();
    let json = serde_json::to_string_pretty(document).unwrap_or_default();
    for c in json.chars() {
        if is_harmless(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text.push('\n');
    text
}
