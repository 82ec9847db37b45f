//! Marks of an unresolved merge conflict.
//!
//! A conflict is the three lines that git writes, in this order, each at the start of a line:
//! `<<<<<<< LABEL`, `=======` and `>>>>>>> LABEL`. One of them alone is not a conflict: `=======` is
//! a heading in Markdown and a rule in other formats.
//!
//! Documentation of git can show a conflict in a code block. It looks the same as a conflict in
//! published code, so it is reported as well, unless a marker allows it.

use std::sync::LazyLock;

use bstr::{ByteSlice, Finder};

use super::finding::{ContentCheck, Detection};

/// The search for the first line of a conflict.
static START: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("<<<<<<< "));

/// Detects the conflicts of a file.
pub(super) fn detect(contents: &[u8]) -> Vec<Detection> {
    // Almost no file has one, and this search is fast.
    if START.find(contents).is_none() {
        return Vec::new();
    }

    let mut found = Vec::new();
    let mut conflict: Option<Conflict> = None;
    let mut offset = 0;
    for line in contents.lines_with_terminator() {
        let text = line.trim_end_with(|c| c == '\n' || c == '\r');
        if text.starts_with(b"<<<<<<< ") {
            conflict = Some(Conflict {
                offset,
                is_divided: false,
            });
        } else if let Some(open) = &mut conflict {
            if text == b"=======" {
                open.is_divided = true;
            } else if text.starts_with(b">>>>>>> ") && open.is_divided {
                found.push(open.detection(&contents[open.offset..offset + line.len()]));
                conflict = None;
            }
        }
        offset += line.len();
    }
    found
}

/// A conflict whose end was not found yet.
struct Conflict {
    /// The offset of its first line.
    offset: usize,
    /// Whether the line between the two sides was found.
    is_divided: bool,
}

impl Conflict {
    /// `lines` is the text of the conflict.
    fn detection(&self, lines: &[u8]) -> Detection {
        Detection {
            check: ContentCheck::ConflictMarkers,
            kind: "merge-conflict",
            offset: self.offset,
            message: "a merge conflict is not resolved".to_owned(),
            subject: lines.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflict_is_its_three_marks_in_order() {
        let conflict = "<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> branch\n";
        for (text, expected) in [
            (conflict.to_owned(), vec![0]),
            (conflict.replace('\n', "\r\n"), vec![0]),
            (
                format!("a\n{conflict}b\n{conflict}"),
                vec![2, 4 + conflict.len()],
            ),
            // The style that also shows the common ancestor.
            (conflict.replace("\n=", "\n||||||| base\nold\n="), vec![0]),
            (
                "<<<<<<< a\n<<<<<<< b\n=======\n>>>>>>> c".to_owned(),
                vec![10],
            ),
            ("Heading\n=======\n".to_owned(), vec![]),
            ("<<<<<<< HEAD\n>>>>>>> branch\n".to_owned(), vec![]),
            ("<<<<<<< HEAD\n=======\n".to_owned(), vec![]),
            ("=======\n<<<<<<< HEAD\n>>>>>>> b\n".to_owned(), vec![]),
            (conflict.replace("<<<<<<<", " <<<<<<<"), vec![]),
            (conflict.replace("=======", "========"), vec![]),
            (conflict.replace("<<<<<<<", "<<<<<<<<"), vec![]),
        ] {
            let found = detect(text.as_bytes());
            let offsets: Vec<_> = found.iter().map(|one| one.offset).collect();
            assert_eq!(offsets, expected, "{text}");
        }
    }
}
