//! The lines of a file: positions of findings, and the lines that can have a marker for one.

use bstr::{BStr, ByteSlice};

/// Reads the lines of a file up to one offset after the other.
pub(super) struct FileLines<'f> {
    contents: &'f [u8],
    is_markdown: bool,
    /// The number of the current line, from 1.
    number: usize,
    /// The starts of the current line and of the one before.
    line: usize,
    previous: Option<usize>,
    /// The fenced code block of Markdown that contains the current line.
    block: Option<CodeBlock<'f>>,
}

/// A fenced code block.
#[derive(Clone, Copy)]
struct CodeBlock<'f> {
    /// The start of the line that opens it, and of the one before.
    line: usize,
    previous: Option<usize>,
    /// The signs that open it.
    fence: &'f [u8],
}

impl<'f> FileLines<'f> {
    pub(super) fn new(path: &BStr, contents: &'f [u8]) -> Self {
        let name = path.to_ascii_lowercase();
        let endings = [".md", ".markdown", ".mdx"];
        Self {
            contents,
            is_markdown: endings.iter().any(|end| name.ends_with(end.as_bytes())),
            number: 1,
            line: 0,
            previous: None,
            block: None,
        }
    }

    /// Reads up to the line that contains `offset`, which is not before the current line.
    pub(super) fn read_to(&mut self, offset: usize) {
        while let Some(length) = self.contents[self.line..offset].find_byte(b'\n') {
            if self.is_markdown {
                self.block = self.block_after(self.contents[self.line..][..length].trim());
            }
            self.previous = Some(self.line);
            self.line += length + 1;
            self.number += 1;
        }
    }

    /// The code block after the current line, which has this text.
    fn block_after(&self, text: &'f [u8]) -> Option<CodeBlock<'f>> {
        match (self.block, fence_of(text)) {
            (None, Some(fence)) => Some(CodeBlock {
                line: self.line,
                previous: self.previous,
                fence,
            }),
            // Only the same sign, at least as often and without a text, ends a block.
            (Some(block), Some(end)) if end.starts_with(block.fence) && end == text => None,
            (block, _) => block,
        }
    }

    /// The current line, and the column of `offset` in it in characters, both from 1.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.contents[self.line..offset];
        (self.number, before.chars().count() + 1)
    }

    /// The lines in which a marker allows a finding in the current line: this line, the line
    /// before, and for a finding in a fenced code block of Markdown, where a comment would be a
    /// part of the code, the line that opens the block and the line before that.
    pub(super) fn around(&self) -> impl Iterator<Item = &'f [u8]> {
        let block = self.block.map(|block| [Some(block.line), block.previous]);
        let starts = [Some(self.line), self.previous].into_iter();
        let starts = starts.chain(block.into_iter().flatten()).flatten();
        starts.map(|start| {
            let rest = &self.contents[start..];
            &rest[..rest.find_byte(b'\n').unwrap_or(rest.len())]
        })
    }
}

/// The signs of a line that opens or closes a fenced code block.
fn fence_of(line: &[u8]) -> Option<&[u8]> {
    let sign = *line.first().filter(|sign| matches!(sign, b'`' | b'~'))?;
    let length = line.iter().take_while(|byte| **byte == sign).count();
    (length >= 3).then(|| &line[..length])
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
            assert_eq!(lines.position(at), expected, "{at}");
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
    }
}
