//! Sets single keys in the text of a YAML file. All other bytes are kept.

use std::path::Path;

use serde_json::Value;

use super::location::{LayerKind, Location, Origin};
use super::tree::Node;
use super::yaml;

/// Sets the key at `path` to a text or to a list of texts. Other keys and all comments are kept.
///
/// Returns `None` if the key cannot be set without a change of other keys or the loss of a comment,
/// for example because keys are on the same line, or a comment is in the list that is replaced.
pub(crate) fn set(text: &str, path: &[&str], value: &Value) -> Option<String> {
    let before = parse(text)?;
    if before.get(path).is_some_and(|old| old.to_json() == *value) {
        return Some(text.to_owned());
    }
    let edited = match before.key_at(path) {
        Some(_) => replace(text, &before, path, value)?,
        None => insert(text, &before, path, value)?,
    };

    let mut expected = before.to_json();
    set_in_json(&mut expected, path, value);
    (parse(&edited)?.to_json() == expected).then_some(edited)
}

/// The value of the key at `path` in the text of a YAML file; `None` if the file does not have the
/// key.
pub(crate) fn get(text: &str, path: &[&str]) -> Option<Value> {
    let document = parse(text)?;
    document.key_at(path)?;
    Some(document.get(path).map_or(Value::Null, Node::to_json))
}

/// The keys of a file that is not empty.
fn parse(text: &str) -> Option<Node> {
    let whole = Origin::whole(LayerKind::Workspace, Location::Default, Path::new(""));
    yaml::parse(text, &whole).ok()?
}

/// Replaces the lines of a key.
fn replace(text: &str, document: &Node, path: &[&str], value: &Value) -> Option<String> {
    let block = Block::of(text, document, path)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();

    let mut new = rendered(&path[path.len() - 1..], value, block.indent);
    let block_lines = &lines[block.start..block.end];
    let has_comment = block_lines.iter().any(|line| may_have_comment(line));
    match block_lines {
        [line] if value.is_string() => {
            let line = line.trim_end();
            if let Some(comment) = comment_of(line) {
                let end = line[..comment].trim_end().len();
                new.truncate(new.trim_end().len());
                new.push_str(&line[end..]);
                new.push('\n');
            }
        }
        _ if has_comment => return None,
        _ => {}
    }
    Some(spliced(text, &lines, block.start..block.end, &new))
}

/// Whether a line can have a comment. A text in quotes can look the same.
fn may_have_comment(line: &str) -> bool {
    comment_starts(line).next().is_some()
}

/// The positions in a line at which a comment can start.
fn comment_starts(line: &str) -> impl Iterator<Item = usize> {
    let starts = line.match_indices('#').map(|(at, _)| at);
    starts.filter(|at| line[..*at].is_empty() || line[..*at].ends_with([' ', '\t']))
}

/// The position of the comment at the end of a line with a key and its value. The rest of the line
/// has the same value without it.
fn comment_of(line: &str) -> Option<usize> {
    let value = |text: &str| parse(text.trim_start()).map(|node| node.to_json());
    let whole = value(line)?;
    comment_starts(line).find(|at| value(&line[..*at]).as_ref() == Some(&whole))
}

/// Adds a key at the end of the innermost map above it that exists.
fn insert(text: &str, document: &Node, path: &[&str], value: &Value) -> Option<String> {
    let depth = (1..path.len()).rev();
    let depth = depth
        .into_iter()
        .find(|depth| document.key_at(&path[..*depth]).is_some())?;
    let (above, rest) = path.split_at(depth);
    let block = Block::of(text, document, above)?;

    let siblings = document.get(above).and_then(Node::as_map);
    let first = siblings.and_then(|map| {
        map.values()
            .map(|entry| &entry.key)
            .min_by_key(|key| key.line)
    });
    let indent = match first {
        Some(key) => usize::try_from(key.column).ok()?.checked_sub(1)?,
        None => block.indent + 2,
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let new = rendered(rest, value, indent);
    Some(spliced(text, &lines, block.end..block.end, &new))
}

/// The lines of a key and its value, counted from 0.
struct Block {
    start: usize,
    end: usize,
    /// The number of spaces before the key.
    indent: usize,
}

impl Block {
    /// The block of the key at `path`; `None` if its first line has other content before the key.
    /// Comments and blank lines at its end are left out.
    fn of(text: &str, document: &Node, path: &[&str]) -> Option<Self> {
        let key = document.key_at(path)?;
        let start = usize::try_from(key.line).ok()?.checked_sub(1)?;
        let indent = usize::try_from(key.column).ok()?.checked_sub(1)?;
        let lines: Vec<&str> = text.lines().collect();
        if !lines.get(start)?.get(..indent)?.trim().is_empty() {
            return None;
        }

        // The elements of a list can have the indentation of its key.
        let is_list = document.get(path).is_some_and(Node::is_list);
        let mut end = start + 1;
        for (index, line) in lines.iter().enumerate().skip(start + 1) {
            let content = line.trim_start();
            let is_content = !content.is_empty() && !content.starts_with('#');
            let line_indent = line.len() - content.len();
            let is_inside = line_indent > indent
                || (is_list && line_indent == indent && content.starts_with('-'));
            if is_content && !is_inside {
                break;
            }
            if is_content {
                end = index + 1;
            }
        }
        Some(Self { start, end, indent })
    }
}

/// The lines of the key at `path`, whose first segment is indented with `indent` spaces.
fn rendered(path: &[&str], value: &Value, indent: usize) -> String {
    let spaces = " ".repeat(indent);
    let Some((key, rest)) = path.split_first() else {
        return String::new();
    };
    if !rest.is_empty() {
        return format!("{spaces}{key}:\n{}", rendered(rest, value, indent + 2));
    }
    match value {
        Value::Array(elements) if elements.is_empty() => format!("{spaces}{key}: []\n"),
        Value::Array(elements) => {
            let elements = elements.iter().filter_map(Value::as_str);
            let elements: String = elements
                .map(|element| format!("{spaces}  - {}\n", quoted(element)))
                .collect();
            format!("{spaces}{key}:\n{elements}")
        }
        value => {
            let text = value.as_str().unwrap_or_default();
            format!("{spaces}{key}: {}\n", quoted(text))
        }
    }
}

/// Replaces the lines in `range`. The line breaks are those of the text.
fn spliced(text: &str, lines: &[&str], range: std::ops::Range<usize>, new: &str) -> String {
    let mut before = lines[..range.start].concat();
    let line_break = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if !before.is_empty() && !before.ends_with('\n') {
        before.push_str(line_break);
    }
    let new = new.replace('\n', line_break);
    [before, new, lines[range.end..].concat()].concat()
}

/// Sets a key in a document. Missing maps above it are added.
fn set_in_json(document: &mut Value, path: &[&str], value: &Value) {
    let Some((key, rest)) = path.split_first() else {
        *document = value.clone();
        return;
    };
    if !document.is_object() {
        *document = serde_json::json!({});
    }
    if let Some(map) = document.as_object_mut() {
        set_in_json(map.entry(*key).or_insert(Value::Null), rest, value);
    }
}

/// Formats a YAML string: a plain word without quotes, anything else with quotes.
pub(crate) fn quoted(text: &str) -> String {
    let is_word = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if is_word && !words.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_key_is_set() {
        for (before, path, value, after) in [
            (
                "# all\ncodex: # ours\n  organization: old   # who\n  project: a\nwork: 1\n",
                "codex.organization",
                json!("new.org"),
                "# all\ncodex: # ours\n  organization: \"new.org\"   # who\n  project: a\nwork: 1\n",
            ),
            (
                "codex:\n    project: a\n    # the end\n\n# of work\nwork: 1",
                "codex.organization",
                json!("new"),
                "codex:\n    project: a\n    organization: new\n    # the end\n\n# of work\nwork: 1",
            ),
            (
                "codex:\r\n  sync:\r\n    to_codex:\r\n      include:\r\n      - a\r\n      - b\r\n      exclude: [c]\r\n",
                "codex.sync.to_codex.include",
                json!(["docs/**"]),
                "codex:\r\n  sync:\r\n    to_codex:\r\n      include:\r\n        - \"docs/**\"\r\n      exclude: [c]\r\n",
            ),
            (
                "codex:\n  sync: { prune: true }\n  project: a",
                "codex.project",
                json!("b"),
                "codex:\n  sync: { prune: true }\n  project: b\n",
            ),
            (
                "codex:\n  organization: a",
                "codex.sync.from_codex.exclude",
                json!([]),
                "codex:\n  organization: a\n  sync:\n    from_codex:\n      exclude: []\n",
            ),
            (
                "codex: { a: [x, y], b: 1 }",
                "codex.a",
                json!(["x", "y"]),
                "codex: { a: [x, y], b: 1 }",
            ),
            (
                "codex:\nwork: 1\n",
                "codex.project",
                json!("1.0"),
                "codex:\n  project: \"1.0\"\nwork: 1\n",
            ),
            (
                "codex:\n  project: \"a #b\" # c\n",
                "codex.project",
                json!("b"),
                "codex:\n  project: b # c\n",
            ),
            (
                "codex:\n  project: a\t# c\n",
                "codex.project",
                json!("True"),
                "codex:\n  project: \"True\"\t# c\n",
            ),
            (
                "codex:\n  project:   # c\n",
                "codex.project",
                json!("b"),
                "codex:\n  project: b   # c\n",
            ),
            (
                "codex:\n  project: \"c#1\"  # c \"#\" d\n",
                "codex.project",
                json!("b#2"),
                "codex:\n  project: \"b#2\"  # c \"#\" d\n",
            ),
        ] {
            let path: Vec<_> = path.split('.').collect();
            assert_eq!(
                set(before, &path, &value).as_deref(),
                Some(after),
                "{before:?}"
            );
        }
    }

    #[test]
    fn a_key_that_shares_lines_with_others_is_not_set() {
        for (text, path) in [
            ("codex: { project: a, organization: b }\n", "codex.project"),
            ("codex: { organization: b }\n", "codex.project"),
            ("codex:\n  a: { project: a }\n", "codex.a.organization"),
            (
                "codex:\n  project: &p a\n  organization: *p\n",
                "codex.project",
            ),
            ("codex: text\n", "codex.project"),
            // A comment would be lost.
            ("codex:\n  a: # one\n    - b\n", "codex.a"),
            ("codex:\n  a:\n    - b # one\n", "codex.a"),
            ("codex:\n  a:\n    # one\n    - b\n", "codex.a"),
            ("codex:\n  a: >-\n    b # text\n", "codex.a"),
            ("codex:\n  sync: text\n", "codex.sync.to_codex.include"),
            ("work: 1\n", "codex.project"),
            ("codex: [\n", "codex.project"),
            ("", "codex.project"),
        ] {
            let path: Vec<_> = path.split('.').collect();
            assert_eq!(set(text, &path, &json!("new")), None, "{text:?}");
        }
    }
}
