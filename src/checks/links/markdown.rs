//! Finds links, anchors and headings in Markdown, as GitHub renders it.

use std::ops::Range;

use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, LinkType, Options, Parser, RefDefs, Tag, TagEnd,
};

use super::anchors::AnchorCollector;
use super::document::{Document, LinkCollector};
use super::html::{self, HtmlItem};

/// Parses a page.
pub(super) fn parse(text: &str) -> Document {
    let front_matter = front_matter(text);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let mut events = Parser::new_ext(&text[front_matter..], options).into_offset_iter();
    let mut reader = MarkdownReader {
        links: LinkCollector::default(),
        start: front_matter,
        anchors: AnchorCollector::default(),
        heading: None,
        html_heading: None,
        images: 0,
        html: HtmlBlock::default(),
    };
    while let Some((event, range)) = events.next() {
        reader.event(event, range, events.reference_definitions());
    }
    Document {
        links: reader.links.finish(),
        anchors: reader.anchors.finish(true),
    }
}

/// The fenced code blocks, from the line that opens each up to the line that closes it.
pub(super) fn fenced_blocks(text: &str) -> impl Iterator<Item = Range<usize>> {
    let start = front_matter(text);
    let events = Parser::new_ext(&text[start..], Options::empty()).into_offset_iter();
    events.filter_map(move |(event, range)| match event {
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
            Some(start + range.start..start + range.end)
        }
        _ => None,
    })
}

/// The length of the front matter: YAML between a first line `---` and the next such line, which
/// is not a part of the page.
fn front_matter(text: &str) -> usize {
    let mut lines = text.split_inclusive('\n');
    if lines.next().is_none_or(|line| line.trim_end() != "---") {
        return 0;
    }
    let mut length = text.find('\n').map_or(0, |end| end + 1);
    for line in lines {
        length += line.len();
        if matches!(line.trim_end(), "---" | "...") {
            return length;
        }
    }
    0
}

/// The state between two events of the parser.
struct MarkdownReader {
    links: LinkCollector,
    /// The offset at which the parser started.
    start: usize,
    anchors: AnchorCollector,
    /// The text of the current heading.
    heading: Option<String>,
    /// The text of the current heading in HTML tags.
    html_heading: Option<String>,
    /// The number of images around the current event. Their text is not a part of a heading.
    images: usize,
    html: HtmlBlock,
}

/// The lines of a block of HTML without the marks of lists and quotes before them.
#[derive(Default)]
struct HtmlBlock {
    text: String,
    /// The offset of each line in `text`, and in the document.
    lines: Vec<(usize, usize)>,
}

impl MarkdownReader {
    fn event(&mut self, event: Event<'_>, range: Range<usize>, definitions: &RefDefs<'_>) {
        let offset = self.start + range.start;
        match event {
            Event::Start(Tag::Heading { .. }) => self.heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                if let Some(text) = self.heading.take() {
                    self.anchors.add_heading(&text);
                }
            }
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                id,
                ..
            }) => self.link(link_type, &dest_url, &id, offset, definitions),
            Event::Start(Tag::Image {
                link_type,
                dest_url,
                id,
                ..
            }) => {
                self.images += 1;
                self.link(link_type, &dest_url, &id, offset, definitions);
            }
            Event::End(TagEnd::Image) => self.images -= 1,
            Event::Text(text) | Event::Code(text) => self.text(&text),
            Event::Html(text) => self.html.push(&text, offset),
            Event::End(TagEnd::HtmlBlock) => self.html(),
            Event::InlineHtml(text) => {
                self.html.push(&text, offset);
                self.html();
            }
            _ => {}
        }
    }

    fn link(
        &mut self,
        link_type: LinkType,
        destination: &CowStr<'_>,
        id: &CowStr<'_>,
        offset: usize,
        definitions: &RefDefs<'_>,
    ) {
        let definition = match link_type {
            LinkType::Autolink | LinkType::Email => return,
            LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut => definitions.get(id),
            _ => None,
        };
        let offset = definition.map_or(offset, |found| self.start + found.span.start);
        self.links.add(offset, destination);
    }

    fn text(&mut self, text: &str) {
        if self.images > 0 {
            return;
        }
        let headings = [&mut self.heading, &mut self.html_heading];
        for heading in headings.into_iter().flatten() {
            heading.push_str(text);
        }
    }

    /// Reads the HTML that was collected.
    fn html(&mut self) {
        let block = std::mem::take(&mut self.html);
        for (offset, item) in html::items(&block.text) {
            match item {
                HtmlItem::Link(destination) => {
                    self.links.add(block.offset(offset), &destination);
                }
                HtmlItem::Anchor(name) => self.anchors.add(&name),
                HtmlItem::HeadingStart => self.html_heading = Some(String::new()),
                HtmlItem::HeadingEnd => {
                    if let Some(text) = self.html_heading.take() {
                        self.anchors.add_html_heading(&text);
                    }
                }
                HtmlItem::Text(text) => self.text(&text),
                HtmlItem::Base => {}
            }
        }
    }
}

impl HtmlBlock {
    fn push(&mut self, text: &str, offset: usize) {
        self.lines.push((self.text.len(), offset));
        self.text.push_str(text);
    }

    /// Converts an offset in this block into an offset in the document.
    fn offset(&self, offset: usize) -> usize {
        let after = self.lines.partition_point(|(start, _)| *start <= offset);
        let line = after.checked_sub(1).map(|index| self.lines[index]);
        line.map_or(0, |(start, in_document)| in_document + offset - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The links, each with the characters at its offset.
    fn links(text: &str) -> Vec<(String, String)> {
        let document = parse(text);
        let links = document.links.into_iter();
        links
            .map(|link| {
                let start = text[link.offset..].chars().take(3).collect();
                (start, link.target.written.into())
            })
            .collect()
    }

    #[track_caller]
    fn assert_links(text: &str, expected: &[(&str, &str)]) {
        let found = links(text);
        let found: Vec<_> = found
            .iter()
            .map(|(at, to)| (at.as_str(), to.as_str()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn each_form_of_a_link_is_found() {
        assert_links(
            "# A\n\n\u{c4} [x](b.md 'T') ![i](<c d.png>)",
            &[("[x]", "b.md"), ("![i", "c d.png")],
        );
        assert_links("[![i](a.png)](b.md)", &[("[![", "b.md"), ("![i", "a.png")]);
        assert_links("[x][r] [R][] [r]\n\n[r]: b.md\n", &[("[r]", "b.md")]);
        assert_links(
            "[x][missing] [y] [^1]\n\n[^1]: [z](z.md)",
            &[("[z]", "z.md")],
        );
        assert_links("|a|b|\n|-|-|\n|[x](y.md)|`[n](n)`|", &[("[x]", "y.md")]);
        assert_links(
            "- [ ] [x](y.md)\n> [!NOTE]\n> [z](z.md)",
            &[("[x]", "y.md"), ("[z]", "z.md")],
        );
        assert_links("---\na: [n](n)\n---\n[x](y.md)", &[("[x]", "y.md")]);
    }

    #[test]
    fn text_that_is_no_link_is_not_found() {
        for text in [
            "`[x](y)`",
            "```\n[x](y)\n```",
            "    [x](y)",
            "\\[x](y)",
            "<!-- [x](y) <a href=y> -->",
            "[[wiki]] [[wiki|page]]",
            "<https://acme.com> <a@acme.com>",
            "[x]: unused.md",
            "[x]( y z )",
            "[^1] [^2]: a",
        ] {
            assert_links(text, &[]);
        }
    }

    #[test]
    fn html_in_markdown_is_read() {
        assert_links(
            "a <img\n src='b.png'> <a href=c.md>c</a>",
            &[("b.p", "b.png"), ("c.m", "c.md")],
        );
        assert_links(
            "> - <p>\n>   <a\n>     href=\"x.md\">x</a> [n](n)\n",
            &[("x.m", "x.md")],
        );
        let document = parse("<a name=old></a>\n\n## Über `a_b` *c* ![alt](i.png)<br id=x>\n");
        let names: Vec<_> = document.anchors.names().collect();
        assert_eq!(names, ["old", "x", "über-a_b-c-"]);
    }

    #[test]
    fn headings_give_anchors() {
        let text = "Set\nup\n===\n## Set &amp; up!\n# A\n# A\n> ### In quote\n\n```\n# no\n```\n";
        let names: Vec<_> = parse(text).anchors.names().map(str::to_owned).collect();
        assert_eq!(names, ["a", "a-1", "in-quote", "set--up", "setup"]);

        let text =
            "<h1 align=center>\n  <b>Big</b> one\n</h1>\n\n<h2 id=q>\n\nWith *text*\n\n</h2>\n";
        let anchors = parse(text).anchors;
        for anchor in ["big-one", "--big-one", "q", "with-text"] {
            assert!(anchors.contains(anchor), "{anchor}: {anchors:?}");
        }
    }

    #[test]
    fn front_matter_is_not_a_part_of_the_page() {
        for (text, length) in [
            ("---\na: 1\n---\nx", 13),
            ("---\r\na: 1\r\n...\r\n", 16),
            ("---\n---", 7),
            ("---\na: 1\n", 0),
            ("----\na\n---\n", 0),
            ("a\n---\nb\n---\n", 0),
            ("", 0),
        ] {
            assert_eq!(front_matter(text), length, "{text:?}");
        }
    }
}
