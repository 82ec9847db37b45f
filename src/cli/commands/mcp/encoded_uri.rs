//! URIs as the protocol has them, with `%XX` for most characters. The program's own URIs have names as
//! they are, with `\` before characters that would be wildcards.

use percent_encoding::percent_decode_str;

use crate::glob;
use crate::paths::escaped;
use crate::url::percent_encoded;
use crate::workspace::document_uri::{InvalidUri, literal_path};
use crate::workspace::project::SCHEME;

/// Encodes one of the program's URIs, unless it has wildcards.
pub(super) fn encoded(uri: &str) -> String {
    let parts: Vec<_> = uri
        .strip_prefix(SCHEME)
        .unwrap_or(uri)
        .splitn(3, '/')
        .collect();
    match parts.as_slice() {
        [organization, project, path] => match literal_path(path) {
            Some(path) => {
                let path = percent_encoded(path.as_bytes(), b"-._~/");
                format!("{SCHEME}{organization}/{project}/{path}")
            }
            None => uri.to_owned(),
        },
        _ => uri.to_owned(),
    }
}

/// Decodes the URI of a client to one of the program's.
///
/// `%` and two hexadecimal digits always are one byte, whatever documents exist, so that a URI never
/// names another document because one was added or removed. A decoded character is never a wildcard or
/// a separator. All other characters can be encoded or not, and `\%` is a `%`.
pub(super) fn decoded(uri: &str) -> Result<String, InvalidUri> {
    let mut decoded = String::with_capacity(uri.len());
    let mut rest = uri;
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, from) = rest.split_at(at);
        decoded.push_str(before);
        let (run, after) = from.split_at(length_of_escapes(from));
        if run.is_empty() {
            let mut kept = from
                .char_indices()
                .skip(if from.starts_with('\\') { 2 } else { 1 });
            let end = kept.next().map_or(from.len(), |(end, _)| end);
            decoded.push_str(&from[..end]);
            rest = &from[end..];
            continue;
        }
        let rejected = |reason: &str| InvalidUri::Rejected {
            reason: format!("`{}`: `{run}` {reason}", escaped(uri.as_bytes())),
        };
        let text = percent_decode_str(run).decode_utf8();
        let text = text.map_err(|_| rejected("is not UTF-8"))?;
        if text.contains('/') {
            return Err(rejected("is a `/`, which cannot be in a name"));
        }
        decoded.push_str(&glob::escape(&text));
        rest = after;
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// The length of all `%XX` at the start of a text.
fn length_of_escapes(text: &str) -> usize {
    let is_escape =
        |three: &&[u8]| three[0] == b'%' && three[1..].iter().all(u8::is_ascii_hexdigit);
    3 * text
        .as_bytes()
        .chunks_exact(3)
        .take_while(is_escape)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_encoded_and_decoded_to_itself() {
        for (own, of_client) in [
            ("a b.md", "a%20b.md"),
            ("a%20b.md", "a%2520b.md"),
            ("100%.md", "100%25.md"),
            ("x#y.md", "x%23y.md"),
            (r"what\?\.md", "what%3F.md"),
            (r"n\[1\].md", "n%5B1%5D.md"),
            (r"\\.md", "%5C.md"),
            ("ü/é.md", "%C3%BC/%C3%A9.md"),
        ] {
            let uri = |path| format!("codex://acme/p/{path}");
            assert_eq!(encoded(&uri(own)), uri(of_client));
            let back = decoded(&uri(of_client)).unwrap();
            assert_eq!(encoded(&back), uri(of_client), "{back}");
        }
    }

    #[test]
    fn only_escapes_are_decoded_and_they_are_no_syntax() {
        for (of_client, own) in [
            ("docs/*.md", "docs/*.md"),
            ("100%.md", "100%.md"),
            ("%2", "%2"),
            ("%", "%"),
            (r"\%20", r"\%20"),
            (r"\", r"\"),
            (r"\ü%2A", r"\ü\*"),
            ("%2a%7B/**", r"\*\{/**"),
            ("%2E%2E/x", "../x"),
            ("%00", "\0"),
        ] {
            assert_eq!(decoded(of_client).unwrap(), own);
        }
        for bad in ["a%2Fb", "%FF", "%C3/%BC"] {
            assert!(decoded(bad).is_err(), "{bad}");
        }
    }
}
