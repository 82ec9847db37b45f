//! Wraps messages at the width of the terminal.

use std::borrow::Cow;

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Stands for a space at which no line ends, while a text is wrapped.
const TIED: char = '\u{e000}';

/// Wraps each line of `text` at `width`, and indents the continued lines. Without a width, the text
/// stays as it is. What a reader may copy is not divided: words such as paths and URLs, and names
/// and commands in backticks. They may be wider than the terminal.
pub(crate) fn wrap<'t>(text: &'t str, width: Option<usize>, indent: &str) -> Cow<'t, str> {
    let Some(width) = width.filter(|_| !text.contains(TIED)) else {
        return text.into();
    };
    let options = Options::new(width)
        .subsequent_indent(indent)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let ending = if line.ends_with('\n') { "\n" } else { "" };
        let line = tied(line.trim_end_matches('\n'));
        wrapped.push_str(&textwrap::wrap(&line, &options).join("\n"));
        wrapped.push_str(ending);
    }
    wrapped.replace(TIED, " ").into()
}

/// Replaces the spaces in backticks, and those between a number and its unit.
fn tied(line: &str) -> String {
    let mut is_quoted = false;
    let mut word = String::new();
    let tie = |c: char| {
        is_quoted ^= c == '`';
        if c != ' ' {
            word.push(c);
            return c;
        }
        let is_number = word.parse::<f64>().is_ok();
        word.clear();
        if is_quoted || is_number { TIED } else { c }
    };
    line.chars().map(tie).collect()
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn what_can_be_copied_is_not_divided() {
        let text = "hint: run `fractary-codex sync -p old --max-delete 200` to delete 120 files\n";
        let wrapped =
            "hint: run\n  `fractary-codex sync -p old --max-delete 200`\n  to delete 120 files\n";
        assert_eq!(wrap(text, Some(30), "  "), wrapped);
        assert_eq!(wrap(text, None, "  "), text);
        let path = "cannot read /srv/a-very-long/path-of-a/file.md";
        let wrapped = "cannot read\n/srv/a-very-long/path-of-a/file.md";
        assert_eq!(wrap(path, Some(20), ""), wrapped);
        assert_eq!(wrap("a\n\nb `c", Some(3), "  "), "a\n\nb\n  `c");
        assert_eq!(
            wrap("in 0.4 s: x/pull/1 (b)", Some(5), ""),
            "in\n0.4 s:\nx/pull/1\n(b)"
        );
    }
}
