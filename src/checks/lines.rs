//! The lines of a file: positions of findings, and the lines that can have a marker for one.

use std::collections::BTreeMap;
use std::ops::Range;

use bstr::{BStr, ByteSlice};

use super::finding::ContentCheck;
use super::links::fenced_blocks;

/// Reads the lines of a file up to one offset after the other. The time does not depend on the
/// number of offsets in a line.
pub(super) struct FileLines<'f> {
    contents: &'f [u8],
    /// The fenced code blocks of Markdown.
    blocks: Vec<Range<usize>>,
    /// The offset up to which the file was read.
    offset: usize,
    /// The number of the current line, and the column of the offset in characters, both from 1.
    number: usize,
    column: usize,
    /// The starts of the current line and of the one before.
    line: usize,
    previous: Option<usize>,
    /// The checks whose findings in the current line a marker allows, or does not allow.
    allowed: BTreeMap<ContentCheck, bool>,
}

impl<'f> FileLines<'f> {
    pub(super) fn new(path: &BStr, contents: &'f [u8]) -> Self {
        Self {
            contents,
            blocks: fenced_blocks(path, contents),
            offset: 0,
            number: 1,
            column: 1,
            line: 0,
            previous: None,
            allowed: BTreeMap::new(),
        }
    }

    /// Reads up to `offset`, which is not before the current offset.
    pub(super) fn read_to(&mut self, offset: usize) {
        while let Some(length) = self.contents[self.offset..offset].find_byte(b'\n') {
            let end = self.offset + length;
            self.previous = Some(self.line);
            self.line = end + 1;
            self.offset = self.line;
            self.number += 1;
            self.column = 1;
            self.allowed.clear();
        }
        self.column += self.contents[self.offset..offset].chars().count();
        self.offset = offset;
    }

    /// The line and the column of the current offset, the column in characters, both from 1.
    pub(super) fn position(&self) -> (usize, usize) {
        (self.number, self.column)
    }

    /// Whether a marker allows the findings of a check in the current line.
    pub(super) fn allow(&mut self, check: ContentCheck) -> bool {
        if let Some(is_allowed) = self.allowed.get(&check) {
            return *is_allowed;
        }
        let has_marker = |line: &[u8]| {
            let mut markers = check.markers().iter();
            markers.any(|marker| line.contains_str(marker))
        };
        let is_allowed = self.around().any(has_marker);
        self.allowed.insert(check, is_allowed);
        is_allowed
    }

    /// The lines in which a marker allows a finding in the current line: this line, the line
    /// before, and for a finding in a fenced code block of Markdown, where a comment would be a
    /// part of the code, the line that opens the block and the line before that.
    fn around(&self) -> impl Iterator<Item = &'f [u8]> {
        let after = self
            .blocks
            .partition_point(|block| block.start <= self.offset);
        let block = after.checked_sub(1).map(|index| &self.blocks[index]);
        let block = block.filter(|block| self.offset < block.end);
        let opening = block.map(|block| self.start_of_line(block.start));
        let before = opening.and_then(|start| Some(self.start_of_line(start.checked_sub(1)?)));
        let starts = [Some(self.line), self.previous, opening, before];
        starts.into_iter().flatten().map(|start| {
            let rest = &self.contents[start..];
            &rest[..rest.find_byte(b'\n').unwrap_or(rest.len())]
        })
    }

    /// The offset of the first character in the line of `offset`.
    fn start_of_line(&self, offset: usize) -> usize {
        let end = self.contents[..offset].rfind_byte(b'\n');
        end.map_or(0, |end| end + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(path: &str, text: &str, at: &str) -> Vec<String> {
        let mut lines = FileLines::new(path.into(), text.as_bytes());
        lines.read_to(text.find(at).unwrap());
        let around = lines.around();
        around.map(|line| line.as_bstr().to_string()).collect()
    }

    #[test]
    fn position_counts_lines_and_characters_from_one() {
        let text = b"a\nb\xc3\xbc\xf0\x9f\x98\x80x\r\n\n\xff\xffz";
        let mut lines = FileLines::new("a.txt".into(), text);
        for (at, expected) in [
            (0, (1, 1)),
            (2, (2, 1)),
            (9, (2, 4)),
            (9, (2, 4)),
            (15, (4, 3)),
        ] {
            lines.read_to(at);
            assert_eq!(lines.position(), expected, "{at}");
        }
    }

    #[test]
    fn marker_is_near_the_finding_or_at_its_code_block() {
        let text = "one\n<!-- m -->\n```text\ncode\nmore x\n```\nlast y\n";
        assert_eq!(
            around("a.md", text, "more x"),
            ["more x", "code", "```text", "<!-- m -->"]
        );
        assert_eq!(around("a.txt", text, "more x"), ["more x", "code"]);
        assert_eq!(around("a.md", text, "y"), ["last y", "```"]);
        assert_eq!(around("a.md", text, "one"), ["one"]);
        let nested = "````\n```\nx\n";
        assert_eq!(around("a.MD", nested, "x"), ["x", "```", "````"]);
        let quoted = "a\n> m\n> ```sh\n> code\n> x\n\n```\ny\n";
        assert_eq!(
            around("a.md", quoted, "x"),
            ["> x", "> code", "> ```sh", "> m"]
        );
        let indented = "m\n    ```\n    b\n    c\n";
        assert_eq!(around("a.md", indented, "c"), ["    c", "    b"]);
    }
}
