//! The formats that have links and anchors.

use std::borrow::Cow;
use std::ops::Range;

use bstr::{BStr, ByteSlice};

use super::document::Document;
use super::{html, markdown};
use crate::checks::encoding::as_utf8;

/// A format that has links and anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DocumentKind {
    Markdown,
    Html,
}

impl DocumentKind {
    /// The format of a file, by its extension; `None` if its links are not known.
    pub(crate) fn of(path: &BStr) -> Option<Self> {
        match extension(path)?.as_slice() {
            b"md" | b"markdown" | b"mdown" | b"mdwn" | b"mkd" | b"mkdn" | b"mkdown" => {
                Some(Self::Markdown)
            }
            b"html" | b"htm" => Some(Self::Html),
            _ => None,
        }
    }

    /// Whether a file with these contents can have a link. The check is much faster than parsing.
    pub(crate) fn can_have_links(self, contents: &[u8]) -> bool {
        contents.contains(&b'<')
            || (self == Self::Markdown
                && (contents.contains_str("](") || contents.contains_str("]:")))
    }

    /// Parses a file. The offsets in the document are those in its [`as_utf8`] text.
    pub(crate) fn parse(self, contents: &[u8]) -> Document {
        let contents = as_utf8(contents);
        let start = start_of_text(&contents);
        let text = readable(&contents[start..]);
        let mut document = match self {
            Self::Markdown => markdown::parse(&text),
            Self::Html => html::parse(&text),
        };
        for link in &mut document.links {
            link.offset += start;
        }
        document
    }
}

/// The fenced code blocks of a file in Markdown, in the order of their offsets. MDX has them as well,
/// but the links in its code are not known.
pub(crate) fn fenced_blocks(path: &BStr, contents: &[u8]) -> Vec<Range<usize>> {
    let is_mdx = || extension(path).is_some_and(|extension| extension == b"mdx");
    if DocumentKind::of(path) != Some(DocumentKind::Markdown) && !is_mdx() {
        return Vec::new();
    }

    let start = start_of_text(contents);
    let text = readable(&contents[start..]);
    let blocks = markdown::fenced_blocks(&text);
    let blocks = blocks.map(|block| start + block.start..start + block.end);
    blocks.collect()
}

/// The extension of a file, in lower case.
fn extension(path: &BStr) -> Option<Vec<u8>> {
    Some(path.rsplit_once_str(".")?.1.to_ascii_lowercase())
}

/// The mark that some editors put before the first character.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The offset of the first character after a byte order mark.
fn start_of_text(contents: &[u8]) -> usize {
    match contents.starts_with(BYTE_ORDER_MARK) {
        true => BYTE_ORDER_MARK.len(),
        false => 0,
    }
}

/// The contents as text of the same length: each byte that is not UTF-8 is replaced by one
/// character of one byte.
fn readable(contents: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = contents.to_str() {
        return Cow::Borrowed(text);
    }

    let mut text = String::with_capacity(contents.len());
    for chunk in contents.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    #[test]
    fn format_is_that_of_the_extension() {
        for (path, kind) in [
            ("docs/a.md", Some(DocumentKind::Markdown)),
            ("README.MD", Some(DocumentKind::Markdown)),
            ("a.markdown", Some(DocumentKind::Markdown)),
            ("a.htm", Some(DocumentKind::Html)),
            ("a.md.txt", None),
            ("docs.md/a", None),
            ("md", None),
        ] {
            assert_eq!(DocumentKind::of(path.into()), kind, "{path}");
            let is_markdown = kind == Some(DocumentKind::Markdown);
            let blocks = fenced_blocks(path.into(), b"\xef\xbb\xbf\n```\n\xff\n```\n");
            assert_eq!(!blocks.is_empty(), is_markdown, "{path}");
        }
        assert_eq!(fenced_blocks("a.MDX".into(), b"~~~\n").len(), 1);
    }

    #[test]
    fn file_without_marks_of_links_is_not_parsed() {
        for (text, can_have_links) in [
            ("# A [x] (y)", false),
            ("[x](y)", true),
            ("[x]: y", true),
            ("<a href=y>", true),
        ] {
            let found = DocumentKind::Markdown.can_have_links(text.as_bytes());
            assert_eq!(found, can_have_links, "{text}");
            if !can_have_links {
                let document = DocumentKind::Markdown.parse(text.as_bytes());
                assert_eq!(document.links, []);
            }
        }
        assert!(!DocumentKind::Html.can_have_links(b"[x](y)"));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let contents = b"\xef\xbb\xbf# \xff\xfe\n\xff[x](\xff.md) \xff[y](y.md)";
        let document = DocumentKind::Markdown.parse(contents);
        for (link, text) in document.links.iter().zip(["[x]", "[y]"]) {
            assert!(contents[link.offset..].starts_with(text.as_bytes()));
        }
        assert_eq!(document.links.len(), 2);
    }

    proptest! {
        /// Any contents can be parsed, and each link is at a character of the file.
        #[test]
        fn any_contents_can_be_parsed(
            pieces in vec(
                prop_oneof![
                    "\\PC{0,4}",
                    select(vec![
                        "\u{feff}", "---\n", "\n", "\r\n", "# ", "> ", "- ", "\t", "[x]", "](", "<a.md#b>",
                        ")", "[", "]: a\n", "`", "```\n", "<a href='", "'>", "<h2 id=\"", "</h2>", "<!--",
                        "-->", "<script>", "|a|\n|-|\n", "&#0;", "&amp;", "{#x}", "[^1]", "srcset=\"a, b",
                    ]).prop_map(str::to_owned),
                ].prop_map(String::into_bytes).boxed()
                .prop_union(vec(any::<u8>(), 0..3).boxed()),
                0..30,
            ),
        ) {
            let contents = pieces.concat();
            for kind in [DocumentKind::Markdown, DocumentKind::Html] {
                let document = kind.parse(&contents);
                prop_assert!(document.links.is_sorted_by_key(|link| link.offset));
                prop_assert!(document.links.iter().all(|link| link.offset < contents.len()));
                prop_assert!(document.links.is_empty() || kind.can_have_links(&contents));
                let paths = document.target_paths("p/a.md".into());
                prop_assert!(paths.count() <= document.links.len());
            }
        }
    }
}
