//! The line of a configuration file that an error is about, to be shown below the error.
//!
//! A line that contains a secret is not shown. As the secrets of a file that cannot be parsed are not
//! known, words such as `token` mark the lines after them, too.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::file;
use super::location::{LayerKind, Location, Origin};
use super::token_shape::can_contain_token;
use super::tree::{Node, NodeValue};
use super::values::is_secret;
use crate::platform::is_special;

/// The size up to which a file is read.
const MAX_SIZE: u64 = 1 << 20;
/// The number of lines after a word such as `token` that can belong to its value, if the file cannot be
/// parsed.
const LINES_OF_SECRET: usize = 20;
/// The words that precede a secret, in lower case.
const SECRET_WORDS: [&str; 11] = [
    "token",
    "passw",
    "secret",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "private",
    "bearer",
    "authorization",
    "auth:",
];

/// A line of a file, and the part of it that an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceLine {
    /// The number of the line, from 1.
    pub(crate) number: u32,
    /// The line without its end.
    pub(crate) text: String,
    /// The bytes of `text` that the error is about.
    pub(crate) span: Range<usize>,
}

impl SourceLine {
    /// Reads the line at `origin`; `None` if it is not in a configuration file, if the file cannot be
    /// read again, or if the line cannot be shown.
    pub(crate) fn read(origin: &Origin) -> Option<Self> {
        let Location::File(path) = &origin.source.location else {
            return None;
        };
        // The lines of `.env` files are values, many of them secret.
        if origin.source.layer == LayerKind::Environment {
            return None;
        }
        let text = contents(path)?;
        let secrets = secrets(path, origin);
        Self::of(&text, origin.line, origin.column, secrets.as_deref())
    }

    /// The line at a position, both counted from 1. `secrets` are those of the file, or `None` if it
    /// cannot be parsed.
    fn of(text: &str, line: u32, column: u32, secrets: Option<&[String]>) -> Option<Self> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let shown = text.lines().nth(index)?;
        let is_printable = |c: char| c == '\t' || !(c.is_control() || is_invisible(c));
        if !shown.chars().all(is_printable)
            || can_be_secret(text, index, secrets)
            || can_contain_token(shown)
        {
            return None;
        }

        let start = usize::try_from(column).ok()?.checked_sub(1)?;
        let start = shown
            .char_indices()
            .map(|(at, _)| at)
            .chain([shown.len()])
            .nth(start)?;
        Some(Self {
            number: line,
            text: shown.to_owned(),
            span: start..start + value_length(&shown[start..]),
        })
    }
}

/// The line of a configuration file at `origin`, which can contain a secret.
pub(super) fn line_at(origin: &Origin) -> Option<String> {
    let Location::File(path) = &origin.source.location else {
        return None;
    };
    let index = usize::try_from(origin.line).ok()?.checked_sub(1)?;
    contents(path)?.lines().nth(index).map(str::to_owned)
}

/// Reads a file again, unless it is a pipe or very large.
fn contents(path: &Path) -> Option<String> {
    if is_special(path) {
        return None;
    }
    let file = File::open(path).ok()?;
    let mut text = String::new();
    file.take(MAX_SIZE + 1).read_to_string(&mut text).ok()?;
    (text.len() as u64 <= MAX_SIZE).then(|| text.trim_start_matches('\u{feff}').to_owned())
}

/// The secrets in the section of the codex, as they are written; `None` if the file cannot be parsed.
fn secrets(path: &Path, origin: &Origin) -> Option<Vec<String>> {
    fn collect(node: &Node, path: &mut Vec<String>, found: &mut Vec<String>) {
        match &node.value {
            NodeValue::Map(map) => {
                for (name, entry) in map {
                    path.push(name.clone());
                    collect(&entry.node, path, found);
                    path.pop();
                }
            }
            NodeValue::Text(text) if is_secret(path) => found.push(text.clone()),
            _ => {}
        }
    }

    let section = file::section(path, origin.source.layer, &origin.source.base).ok()?;
    let mut found = Vec::new();
    if let Some(section) = section {
        collect(&section.tree, &mut Vec::new(), &mut found);
    }
    Some(found)
}

/// Whether the line with this index can contain a secret.
fn can_be_secret(text: &str, index: usize, secrets: Option<&[String]>) -> bool {
    let Some(line) = text.lines().nth(index) else {
        return true;
    };
    let has_account = line.contains("://") && line.contains(['@', '?']);
    if has_account || has_default(line) || names_secret(line) {
        return true;
    }
    match secrets {
        Some(secrets) => secrets
            .iter()
            .flat_map(|secret| secret.lines())
            .any(|secret| !secret.trim().is_empty() && line.contains(secret.trim())),
        None => {
            let before = index.saturating_sub(LINES_OF_SECRET);
            text.lines().take(index).skip(before).any(names_secret)
        }
    }
}

/// Whether the line has a word such as `token` whose value is not a reference to a variable.
fn names_secret(line: &str) -> bool {
    // The name of a variable is not such a word.
    let line = line.to_lowercase();
    let mut parts = line.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    let line = parts.fold(first.replace('$', " "), |line, part| {
        let after = part.split_once('}').map_or("", |(_, after)| after);
        line + "$" + &after.replace('$', " ")
    });

    SECRET_WORDS.iter().any(|word| {
        line.match_indices(word).any(|(at, _)| {
            let value = line[at..].split_once([':', '=']).map(|(_, value)| value);
            let value = value.map(|value| value.trim_start_matches([' ', '"', '\'']));
            !value.is_some_and(|value| value.starts_with('$'))
        })
    })
}

/// Whether a reference to a variable has more than its name: a default can be a secret.
fn has_default(line: &str) -> bool {
    line.split("${").skip(1).any(|from| {
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        !from.split_once('}').is_some_and(|(name, _)| is_name(name))
    })
}

/// Whether the character changes the direction or the place of others on a terminal.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The length in bytes of the value or key at the start of `text`: up to its closing quote, or up to a
/// character that ends it. At least one character is marked, if there is one.
fn value_length(text: &str) -> usize {
    let first = text.chars().next();
    let Some(first) = first else {
        return 0;
    };
    if let '"' | '\'' = first {
        let closing = text[1..].find(first);
        return closing.map_or(text.trim_end().len(), |at| at + 2);
    }
    let end = text
        .char_indices()
        .find(|(at, c)| {
            let rest = &text[*at..];
            *at > 0
                && (",]}".contains(*c)
                    || rest.starts_with(": ")
                    || rest.starts_with(" #")
                    || rest.trim_end() == ":")
        })
        .map_or(text.len(), |(at, _)| at);
    let length = match first {
        '[' | '{' => 1,
        _ => text[..end].trim_end().len(),
    };
    length.max(first.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, line: u32, column: u32, secrets: Option<&[String]>) -> Option<String> {
        let line = SourceLine::of(text, line, column, secrets)?;
        Some(line.text[line.span].to_owned())
    }

    #[test]
    fn value_at_the_position_is_marked() {
        let text = "codex:\n  jobs: many # x\n  list: ['a b', ü*.md, c]\n  key : x\n  last:\n\n";
        for (line, column, expected) in [
            (2, 3, Some("jobs")),
            (2, 9, Some("many")),
            (3, 9, Some("[")),
            (3, 10, Some("'a b'")),
            (3, 17, Some("ü*.md")),
            (3, 24, Some("c")),
            (4, 3, Some("key")),
            (5, 3, Some("last")),
            (5, 8, Some("")),
            (6, 1, Some("")),
            (6, 2, None),
            (9, 1, None),
            (2, 0, None),
        ] {
            let found = marked(text, line, column, Some(&[]));
            assert_eq!(found.as_deref(), expected, "{line}:{column}");
        }
    }

    #[test]
    fn line_with_a_secret_is_not_shown() {
        let secrets = ["s3cret".to_owned(), "one\ntwo two".to_owned()];
        let shows = |text: &str, line, secrets| SourceLine::of(text, line, 1, secrets).is_some();
        for (line, is_shown) in [
            ("jobs: many", true),
            ("remote: { token: abc, jobs: 1 }", false),
            ("remote: { token: \"${TOKEN}\", jobs: 1 }", true),
            ("remote: { token: $abc, jobs: 1 }", false),
            ("remote: { token: \"${TOKEN}\", password: x }", false),
            ("url: https://user:pw@host/x", false),
            ("alias: &a s3cret", false),
            ("branch: ${A}${B_1}", true),
            ("branch: ${A:-x}", false),
            ("branch: ${A", false),
            ("  two two", false),
            ("a\u{202e}b", false),
            ("a\u{1b}[31mb", false),
            ("jbos: ghp_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R", false),
        ] {
            assert_eq!(shows(line, 1, Some(&secrets)), is_shown, "{line}");
        }

        let text = "remote:\n  token: >\n    abc\n\n    def\n  jobs: [\n";
        assert!(!shows(text, 5, None), "a line of the token");
        assert!(shows("a: 1\nb: [\n", 2, None));
        assert!(shows("token: ${A}\nb: [\n", 2, None));
    }
}
