//! Replaces the section `codex` in the text of a YAML file. All other bytes are kept.

use std::path::Path;

use super::location::{LayerKind, Location, Origin};
use super::problem::Problem;
use super::tree::{Map, Node};
use super::yaml;
use super::{compat, file};

/// The top level of a configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sections {
    /// Whether the file has a section `codex`.
    pub(crate) has_codex: bool,
    /// Whether the file has the keys of the codex at its top level instead.
    pub(crate) is_flat: bool,
    /// The other sections, in name order.
    pub(crate) others: Vec<String>,
}

/// Reads the names of the sections of the file at `path`.
pub(crate) fn sections(path: &Path) -> Result<Sections, Problem> {
    let whole = Origin::whole(LayerKind::Workspace, Location::File(path.to_owned()), path);
    let Some(document) = file::read(path, &whole)? else {
        return Ok(Sections::default());
    };
    let Some(map) = document.as_map() else {
        return Err(Problem::new("expected a map with sections").at(&document.at));
    };
    Ok(Sections {
        has_codex: map
            .get(CODEX)
            .is_some_and(|entry| entry.node.is_something()),
        is_flat: !map.contains_key(CODEX) && compat::is_flat(&document),
        others: map.keys().filter(|name| *name != CODEX).cloned().collect(),
    })
}

const CODEX: &str = "codex";

/// Replaces the section `codex` in the text of a YAML file by `section`, or appends it. `section`
/// starts with `codex:` and ends with a line break. All other bytes are kept, comments too.
///
/// Returns `None` if the section has no lines of its own, or if another section refers to it.
pub(crate) fn replaced(text: &str, section: &str) -> Option<String> {
    let whole = Origin::whole(LayerKind::Workspace, Location::Default, Path::new(""));
    let parsed = |text: &str| yaml::parse(text, &whole).ok();
    let before = parsed(text)?;
    let empty = Map::new();
    let map = match &before {
        Some(node) => node.as_map()?,
        None => &empty,
    };
    // A key does not start its line if the map is in braces or indented.
    if map.values().any(|entry| entry.key.column != 1) {
        return None;
    }

    let section = if text.contains("\r\n") {
        section.replace('\n', "\r\n")
    } else {
        section.to_owned()
    };
    let replaced = match map.get(CODEX) {
        Some(entry) => {
            let start = usize::try_from(entry.key.line).ok()?.checked_sub(1)?;
            let later = map.values().filter_map(|other| {
                let line = usize::try_from(other.key.line).ok()?.checked_sub(1)?;
                (line > start).then_some(line)
            });
            replace_lines(text, start, later.min(), &section)
        }
        None => append(text, &section),
    };

    let after = parsed(&replaced)??;
    let has_section = after
        .get(&[CODEX])
        .is_some_and(|node| node.as_map().is_some());
    (has_section && without_codex(Some(after)) == without_codex(before)).then_some(replaced)
}

/// Replaces the lines of the section between the line `start`, counted from 0, and the key at line
/// `next`. Comments and blank lines before that key are kept.
fn replace_lines(text: &str, start: usize, next: Option<usize>, section: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut end = next.unwrap_or(lines.len());
    let is_content = |line: &str| {
        let is_marker = ["#", "---", "..."]
            .iter()
            .any(|start| line.starts_with(start));
        !is_marker && !line.trim().is_empty()
    };
    while end > start + 1 && !is_content(lines[end - 1]) {
        end -= 1;
    }
    [&lines[..start].concat(), section, &lines[end..].concat()].concat()
}

fn append(text: &str, section: &str) -> String {
    let line_break = if section.ends_with("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let mut appended = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        appended.push_str(line_break);
    }
    if !text.trim().is_empty() {
        appended.push_str(line_break);
    }
    appended + section
}

/// The values of all sections except `codex`.
fn without_codex(document: Option<Node>) -> serde_json::Value {
    let mut document = document.map_or_else(|| serde_json::json!({}), |node| node.to_json());
    if let Some(map) = document.as_object_mut() {
        map.remove(CODEX);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "codex:\n  organization: new\n";

    #[test]
    fn only_the_section_is_replaced() {
        for (before, after) in [
            ("", NEW.to_owned()),
            ("# a remark\n", format!("# a remark\n\n{NEW}")),
            ("work: 1", format!("work: 1\n\n{NEW}")),
            (
                "# first\nwork: # why\n  a: b   # c\n",
                format!("# first\nwork: # why\n  a: b   # c\n\n{NEW}"),
            ),
            ("codex: { old: 1 }\nwork: 1\n", format!("{NEW}work: 1\n")),
            (
                "codex:\n  old: 1\n# of work\n\nwork: 1\n",
                format!("{NEW}# of work\n\nwork: 1\n"),
            ),
            (
                "work: 1\n# of codex\ncodex:\n  old: 1\n  # inside\n\n  more: 2\n# last\n",
                format!("work: 1\n# of codex\n{NEW}# last\n"),
            ),
            (
                "codex:\n- old\nwork: |\n  codex:\n    text\n",
                format!("{NEW}work: |\n  codex:\n    text\n"),
            ),
            (
                "codex:\n  text: |\n    # not a comment\n\n    more\nwork: 1\n",
                format!("{NEW}work: 1\n"),
            ),
            ("codex:\nwork: 1\n", format!("{NEW}work: 1\n")),
            ("\"codex\": 1\nwork: 1\n", format!("{NEW}work: 1\n")),
            ("---\nwork: 1\n", format!("---\nwork: 1\n\n{NEW}")),
            (
                "work: &a 1\ncodex: { old: *a }\nlast: *a\n",
                format!("work: &a 1\n{NEW}last: *a\n"),
            ),
        ] {
            assert_eq!(replaced(before, NEW), Some(after), "{before:?}");
        }
        let windows = "work: 1\r\ncodex: 1\r\nlast: 2\r\n";
        let expected = "work: 1\r\ncodex:\r\n  organization: new\r\nlast: 2\r\n";
        assert_eq!(replaced(windows, NEW).as_deref(), Some(expected));
    }

    #[test]
    fn a_section_without_lines_of_its_own_is_not_replaced() {
        for text in [
            "{ codex: {}, work: 1 }\n",
            "  work: 1\n  codex: {}\n",
            "codex: { a: &x 1 }\nwork: *x\n",
            "? codex\n: {}\n",
            "- work\n",
            "work: [\n",
            "work: 1\n...\n",
            "work: 1\n---\nother: 2\n",
        ] {
            assert_eq!(replaced(text, NEW), None, "{text:?}");
        }
    }
}
