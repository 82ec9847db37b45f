//! Finds links, anchors and headings in HTML.

use html5gum::Tokenizer;
use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};

use super::anchors::AnchorCollector;
use super::document::{Document, LinkCollector};

/// The meaning of a tag, or of the text between two tags, for the links of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HtmlItem {
    /// A link or an image, with its destination.
    Link(String),
    /// A name that links can use as an anchor.
    Anchor(String),
    /// `<base href>`, which changes the meaning of all links.
    Base,
    /// The start of a heading.
    HeadingStart,
    /// The end of a heading.
    HeadingEnd,
    /// Text between tags.
    Text(String),
}

/// Parses a page.
pub(super) fn parse(text: &str) -> Document {
    let mut links = LinkCollector::default();
    let mut anchors = AnchorCollector::default();
    let mut has_base = false;
    for (offset, item) in items(text) {
        match item {
            HtmlItem::Link(destination) => links.add(offset, &destination),
            HtmlItem::Anchor(name) => anchors.add(&name),
            HtmlItem::Base => has_base = true,
            HtmlItem::HeadingStart | HtmlItem::HeadingEnd | HtmlItem::Text(_) => {}
        }
    }
    if has_base {
        links = LinkCollector::default();
    }
    Document {
        links: links.finish(),
        anchors: anchors.finish(false),
    }
}

/// The items of a piece of HTML, each with its offset in bytes.
pub(super) fn items(html: &str) -> Vec<(usize, HtmlItem)> {
    let mut items = Vec::new();
    let mut tag = Tag::default();
    let mut emitter = CallbackEmitter::new(
        |event: CallbackEvent<'_>,
         span: html5gum::Span<usize>|
         -> Option<std::convert::Infallible> {
            let mut add = |item| items.push((span.start, item));
            match event {
                CallbackEvent::OpenStartTag { name } => {
                    tag.name = name.to_vec();
                    if is_heading(name) {
                        add(HtmlItem::HeadingStart);
                    }
                }
                CallbackEvent::AttributeName { name } => tag.attribute = name.to_vec(),
                CallbackEvent::AttributeValue { value } => {
                    let value = String::from_utf8_lossy(value);
                    tag.items(&value).into_iter().for_each(add);
                }
                // An end tag can have attributes as well, which mean nothing.
                CallbackEvent::CloseStartTag { .. } => tag = Tag::default(),
                CallbackEvent::EndTag { name } if is_heading(name) => add(HtmlItem::HeadingEnd),
                CallbackEvent::String { value } => {
                    add(HtmlItem::Text(String::from_utf8_lossy(value).into_owned()));
                }
                _ => {}
            }
            None
        },
    );
    // Scripts and styles are text, which is not parsed.
    emitter.naively_switch_states(true);
    let Ok(()) = Tokenizer::new_with_emitter(html, emitter).finish();
    items
}

/// The tag that is being read.
#[derive(Default)]
struct Tag {
    name: Vec<u8>,
    attribute: Vec<u8>,
}

impl Tag {
    /// The meaning of the value of the current attribute.
    fn items(&self, value: &str) -> Vec<HtmlItem> {
        match (self.name.as_slice(), self.attribute.as_slice()) {
            (b"", _) => Vec::new(),
            (b"base", b"href") => vec![HtmlItem::Base],
            (_, b"href" | b"src" | b"poster") | (b"object", b"data") => {
                vec![HtmlItem::Link(value.to_owned())]
            }
            (_, b"srcset") => candidates(value)
                .map(|url| HtmlItem::Link(url.to_owned()))
                .collect(),
            (_, b"id") | (b"a", b"name") => vec![HtmlItem::Anchor(value.to_owned())],
            _ => Vec::new(),
        }
    }
}

fn is_heading(name: &[u8]) -> bool {
    matches!(name, [b'h', b'1'..=b'6'])
}

/// The URLs of a `srcset`, which separates them from their sizes by white space and from each other
/// by commas. A URL can contain commas, but not at its end.
fn candidates(srcset: &str) -> impl Iterator<Item = &str> {
    let mut rest = srcset;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let end = rest.find(|c: char| c.is_ascii_whitespace());
        let (url, after) = rest.split_at(end.unwrap_or(rest.len()));
        let trimmed = url.trim_end_matches(',');
        rest = match after.split_once(',') {
            _ if trimmed.len() < url.len() => after,
            Some((_, next)) => next,
            None => "",
        };
        (!trimmed.is_empty()).then_some(trimmed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_anchors_of_a_page_are_found() {
        let page = r##"<!doctype html><title>A</title><link rel=stylesheet href=a.css>
<script>document.write('<a href="no.html">');</script><style>a{}</style>
<!-- <a href="no.html"> --><A HREF='b.html?x=1&amp;y=2#c'>b</A> <img src="i.png"
  srcset="i.png, i@2x.png 2x,data:a,b 3x"> <a name=old id="new">x</a><p name="no">
<video poster=p.png><source src=v.mp4></video><object data="o.svg"></object></a href="no">"##;
        let document = parse(page);
        let links: Vec<_> = document
            .links
            .iter()
            .map(|link| (&page[link.offset..][..5], &*link.target.written))
            .collect();
        assert_eq!(
            links,
            [
                ("a.css", "a.css"),
                ("b.htm", "b.html#c"),
                ("i.png", "i.png"),
                ("i.png", "i.png"),
                ("i.png", "i@2x.png"),
                ("p.png", "p.png"),
                ("v.mp4", "v.mp4"),
                ("o.svg", "o.svg"),
            ]
        );
        let names: Vec<_> = document.anchors.names().collect();
        assert_eq!(names, ["new", "old"]);
    }

    #[test]
    fn page_with_a_base_has_no_checked_links() {
        let document = parse("<base href=/x/><a href=b.html id=c>b</a>");
        assert_eq!(document.links, []);
        assert!(document.anchors.contains("c"));
    }

    #[test]
    fn candidates_of_srcset_are_separated() {
        for (srcset, expected) in [
            ("", &[][..]),
            ("a.png", &["a.png"]),
            (" a.png 1x , b.png 2x,", &["a.png", "b.png"]),
            ("a,b.png 1x,c.png", &["a,b.png", "c.png"]),
            ("a.png, b.png", &["a.png", "b.png"]),
        ] {
            assert_eq!(candidates(srcset).collect::<Vec<_>>(), expected);
        }
    }
}
