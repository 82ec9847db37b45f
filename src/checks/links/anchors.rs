//! The anchors of a document: the ids of its headings, as GitHub makes them, and those that HTML
//! gives.

use std::collections::HashMap;

use unicode_general_category::{GeneralCategory, get_general_category};

/// The anchors of a document, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Anchors {
    names: Vec<Box<str>>,
    /// Whether they are those of a Markdown page.
    is_markdown: bool,
}

impl Anchors {
    /// Whether a link can name `anchor`. In Markdown, the page also finds the lower-case form, its
    /// own prefix, and lines of the source.
    pub(super) fn contains(&self, anchor: &str) -> bool {
        let is_named = |name: &str| {
            let found = self.names.binary_search_by(|known| (**known).cmp(name));
            found.is_ok()
        };
        if is_named(anchor) {
            return true;
        }
        let own = anchor.strip_prefix("user-content-").unwrap_or(anchor);
        self.is_markdown
            && (is_named(own) || is_named(&own.to_lowercase()) || is_line_range(anchor))
    }

    /// The number of anchors.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The anchors in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }
}

/// Collects the anchors of a document.
#[derive(Debug, Default)]
pub(super) struct AnchorCollector {
    names: Vec<Box<str>>,
    /// The slugs that are taken, with the number of further headings that had the same text.
    slugs: HashMap<Box<str>, u32>,
}

impl AnchorCollector {
    /// Adds an `id` or `name`.
    pub(super) fn add(&mut self, name: &str) {
        self.names.push(name.into());
    }

    /// Adds a heading of Markdown with this text. The id is that of GitHub; an id in the notation
    /// `{#id}` of other programs is added as well.
    pub(super) fn add_heading(&mut self, text: &str) {
        let slug = self.unique(slug(text));
        self.names.push(slug);
        if let Some((text, id)) = attribute_id(text) {
            self.add(&slug_of_trimmed(text));
            self.add(id);
        }
    }

    /// Adds a heading in HTML tags, which may have white space around its text.
    pub(super) fn add_html_heading(&mut self, text: &str) {
        let trimmed = slug_of_trimmed(text);
        let slug = self.unique(slug(text));
        if trimmed != *slug {
            self.add(&trimmed);
        }
        self.names.push(slug);
    }

    /// The anchors that were added.
    pub(super) fn finish(mut self, is_markdown: bool) -> Anchors {
        self.names.sort_unstable();
        self.names.dedup();
        Anchors {
            names: self.names,
            is_markdown,
        }
    }

    /// Adds the first free number to a slug that is taken.
    fn unique(&mut self, slug: String) -> Box<str> {
        let mut unique: Box<str> = slug.as_str().into();
        while self.slugs.contains_key(&unique) {
            let Some(count) = self.slugs.get_mut(slug.as_str()) else {
                break;
            };
            *count += 1;
            unique = format!("{slug}-{count}").into();
        }
        self.slugs.insert(unique.clone(), 0);
        unique
    }
}

/// The id that GitHub gives to the first heading with this text: in lower case, spaces as hyphens,
/// and only letters, marks, digits, connectors and hyphens.
fn slug(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .filter(|c| *c == ' ' || is_kept(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn slug_of_trimmed(text: &str) -> String {
    slug(text.trim())
}

fn is_kept(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    }
    c.is_alphabetic()
        || matches!(
            get_general_category(c),
            GeneralCategory::NonspacingMark
                | GeneralCategory::SpacingMark
                | GeneralCategory::EnclosingMark
                | GeneralCategory::DecimalNumber
                | GeneralCategory::ConnectorPunctuation
        )
}

/// Splits a heading such as `Set up {#setup .wide}` into its text and its id.
fn attribute_id(text: &str) -> Option<(&str, &str)> {
    let (text, attributes) = text.trim_end().strip_suffix('}')?.rsplit_once('{')?;
    let mut attributes = attributes.split_whitespace();
    let id = attributes.find_map(|attribute| attribute.strip_prefix('#'))?;
    Some((text, id))
}

/// Whether an anchor names lines of the source, as in `L10` or `L10C2-L20C4`.
fn is_line_range(anchor: &str) -> bool {
    let mut ends = anchor.splitn(2, '-');
    ends.all(|end| {
        let Some(rest) = end.strip_prefix('L') else {
            return false;
        };
        let (line, column) = rest.split_once('C').unwrap_or((rest, "1"));
        [line, column]
            .iter()
            .all(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchors(headings: &[&str]) -> Anchors {
        let mut collector = AnchorCollector::default();
        for heading in headings {
            collector.add_heading(heading);
        }
        collector.finish(true)
    }

    #[test]
    fn slugs_are_those_of_github() {
        // Made with `slug` of the npm package github-slugger 2.0.0: heading, tab, slug.
        let table = include_str!("slugs.tsv");
        let mut rows = 0;
        for row in table.lines() {
            let (heading, expected) = row.split_once('\t').unwrap();
            let heading: String = serde_json::from_str(heading).unwrap();
            assert_eq!(slug(&heading), expected, "{heading:?}");
            rows += 1;
        }
        assert!(rows > 100, "{rows} rows");
    }

    #[test]
    fn headings_with_equal_text_are_numbered() {
        let mut collector = AnchorCollector::default();
        let numbered = ["a", "a", "a-1", "a", "A", "!", "?"].map(|text| {
            let slug = slug(text);
            collector.unique(slug)
        });
        let expected = ["a", "a-1", "a-1-1", "a-2", "a-3", "", "-1"];
        assert_eq!(numbered.each_ref().map(|slug| &**slug), expected);
    }

    #[test]
    fn markdown_finds_other_forms_of_an_anchor() {
        let found = anchors(&["Set up", "Über uns", "Options {#opts .wide}"]);
        for anchor in [
            "set-up",
            "Set-Up",
            "user-content-set-up",
            "über-uns",
            "ÜBER-uns",
            "opts",
            "options",
            "options-opts-wide",
            "L10",
            "L10-L20",
            "L1C2-L3C4",
        ] {
            assert!(found.contains(anchor), "{anchor}");
        }
        for anchor in [
            "set",
            "set-up-1",
            "Lx",
            "L",
            "L1-",
            "L1-L2-L3",
            "user-content-",
        ] {
            assert!(!found.contains(anchor), "{anchor}");
        }
    }

    #[test]
    fn html_anchors_are_exact() {
        let mut collector = AnchorCollector::default();
        collector.add("SetUp");
        let found = collector.finish(false);
        assert!(found.contains("SetUp"));
        assert!(!found.contains("setup"));
        assert!(!found.contains("L10"));
    }
}
