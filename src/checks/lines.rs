//! The lines of a file: positions of findings, and the lines that can have a marker for one.

use bstr::{BStr, ByteSlice};

/// The lines of a file.
pub(super) struct FileLines<'f> {
    contents: &'f [u8],
    is_markdown: bool,
}

impl<'f> FileLines<'f> {
    pub(super) fn new(path: &BStr, contents: &'f [u8]) -> Self {
        let name = path.to_ascii_lowercase();
        Self {
            contents,
            is_markdown: [".md", ".markdown", ".mdx"]
                .iter()
                .any(|ending| name.ends_with(ending.as_bytes())),
        }
    }

    /// The line and the column in characters at an offset, both from 1.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.contents[..offset.min(self.contents.len())];
        let start = line_start(before);
        let line = before.find_iter(b"\n").count() + 1;
        (line, before[start..].chars().count() + 1)
    }

    /// The lines in which a marker allows a finding at `offset`: its own line, the line before, and
    /// for a finding in a fenced code block of Markdown, where a comment would be a part of the
    /// code, the line that opens the block and the line before that.
    pub(super) fn around(&self, offset: usize) -> impl Iterator<Item = &'f [u8]> {
        let start = line_start(&self.contents[..offset]);
        let fence = self.is_markdown.then(|| self.open_fence(start)).flatten();
        let starts = [Some(start), self.previous(start), fence];
        let before_fence = fence.and_then(|fence| self.previous(fence));
        let starts = starts.into_iter().chain([before_fence]).flatten();
        starts.map(|start| {
            let rest = &self.contents[start..];
            &rest[..rest.find_byte(b'\n').unwrap_or(rest.len())]
        })
    }

    /// The start of the line before the one that starts at `start`.
    fn previous(&self, start: usize) -> Option<usize> {
        let end = start.checked_sub(1)?;
        Some(line_start(&self.contents[..end]))
    }

    /// The start of the line that opens the fenced code block which contains the line at `start`.
    fn open_fence(&self, start: usize) -> Option<usize> {
        let mut open: Option<(usize, &[u8])> = None;
        let mut offset = 0;
        for line in self.contents[..start].lines_with_terminator() {
            let text = line.trim();
            let fence = fence_of(text);
            match (open, fence) {
                (None, Some(fence)) => open = Some((offset, fence)),
                // Only the same sign, at least as often and without a text, ends a block.
                (Some((_, begin)), Some(end))
                    if end.starts_with(begin) && text.len() == end.len() =>
                {
                    open = None;
                }
                _ => {}
            }
            offset += line.len();
        }
        open.map(|(offset, _)| offset)
    }
}

/// The offset of the last line in `text`.
fn line_start(text: &[u8]) -> usize {
    text.rfind_byte(b'\n').map_or(0, |newline| newline + 1)
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
        let lines = FileLines::new(path.into(), text.as_bytes());
        let offset = text.find(at).unwrap();
        let around = lines.around(offset);
        around.map(|line| line.as_bstr().to_string()).collect()
    }

    #[test]
    fn position_counts_lines_and_characters_from_one() {
        let text = "a\nbü\u{1f600}x\r\n\n\u{ff}";
        let lines = FileLines::new("a.txt".into(), text.as_bytes());
        for (at, expected) in [
            ("a", (1, 1)),
            ("b", (2, 1)),
            ("x", (2, 4)),
            ("\u{ff}", (4, 1)),
        ] {
            assert_eq!(lines.position(text.find(at).unwrap()), expected, "{at}");
        }
        assert_eq!(FileLines::new("a".into(), b"\xff\xffx").position(2), (1, 3));
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
