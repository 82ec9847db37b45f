//! The destination of a link: how a document writes it, and the path of the codex that it means.

use bstr::{BStr, BString, ByteSlice};
use percent_encoding::percent_decode_str;

/// A relative destination, split and decoded as in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkTarget {
    /// The destination as the document writes it, without a query, which may contain a secret.
    pub written: Box<str>,
    /// The decoded path; empty for the document itself. A leading `/` is the root of the codex, as
    /// on the page of a repository.
    pub path: BString,
    /// The decoded text after `#`; `None` if it is absent or always valid.
    pub fragment: Option<Box<str>>,
}

/// The entry of the codex that a target means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkDestination {
    /// The path in the codex; empty for its root.
    pub path: BString,
    /// Whether only a directory can be meant, because the path ends in `/`, `.` or `..`.
    pub is_directory: bool,
}

impl LinkTarget {
    /// Parses a destination. `None` is a destination that is not checked: an empty one, a URL with a
    /// scheme or a host, or a placeholder of a template.
    pub(super) fn parse(written: &str) -> Option<Self> {
        let written = written.trim_matches(|c: char| c.is_ascii_whitespace() || c.is_control());
        if written.is_empty() || is_external(written) || is_template(written) {
            return None;
        }

        let (rest, fragment) = match written.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (written, None),
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        // `plain=1` shows the source of a page, which has lines instead of headings.
        let fragment = fragment
            .filter(|_| !query.split('&').any(|part| part == "plain=1"))
            .and_then(anchor_of_fragment);
        Some(Self {
            written: match written.find('#') {
                Some(start) => format!("{path}{}", &written[start..]).into(),
                None => path.into(),
            },
            path: percent_decode_str(path).collect::<Vec<u8>>().into(),
            fragment,
        })
    }

    /// The path in the codex that this target means in `document`; `None` if it leads out of the
    /// codex.
    pub(super) fn resolve(&self, document: &BStr) -> Option<LinkDestination> {
        if self.path.is_empty() {
            return Some(LinkDestination {
                path: document.into(),
                is_directory: false,
            });
        }
        let last = self.path.rsplit(|byte| *byte == b'/').next();
        Some(LinkDestination {
            path: joined(directory_of(document), self.path.as_bstr())?,
            is_directory: matches!(last, Some(b"" | b"." | b"..")),
        })
    }
}

/// `path` as seen from `directory`, without `.` and `..`; `None` if it leads out of the root. A
/// leading `/` is the root.
pub(super) fn joined(directory: &BStr, path: &BStr) -> Option<BString> {
    let from_root = path.starts_with(b"/");
    let base = directory.split(|byte| *byte == b'/');
    let mut segments: Vec<&[u8]> = base.filter(|one| !from_root && !one.is_empty()).collect();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()?),
            name => segments.push(name),
        }
    }
    Some(bstr::join("/", segments).into())
}

/// The directory that contains `path`; empty for the root.
pub(crate) fn directory_of(path: &BStr) -> &BStr {
    path.rfind_byte(b'/')
        .map_or(b"".as_bstr(), |slash| path[..slash].as_bstr())
}

/// The shortest relative link from the file `document` to `path`, both paths in the codex.
pub(super) fn relative_link(document: &BStr, path: &BStr) -> String {
    let from: Vec<&[u8]> = directory_of(document)
        .split(|byte| *byte == b'/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let to: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let above = &to[..to.len() - 1];
    let common = from.iter().zip(above).take_while(|(a, b)| a == b).count();

    let mut link = "../".repeat(from.len() - common);
    link += &encoded(bstr::join("/", &to[common..]).as_bstr());
    link
}

/// A path as a link writes it. Bytes that are not UTF-8 are encoded one by one.
fn encoded(path: &BStr) -> String {
    let mut link = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            // The characters that would end the destination in Markdown or HTML, or the path in a
            // URL.
            if c.is_ascii_control() || " \"#%()<>?\\".contains(c) {
                link += &format!("%{:02X}", u32::from(c));
            } else {
                link.push(c);
            }
        }
        for byte in chunk.invalid() {
            link += &format!("%{byte:02X}");
        }
    }
    // A first segment with a colon would be read as a scheme.
    if is_external(&link) {
        link.insert_str(0, "./");
    }
    link
}

/// The anchor that a fragment names; `None` for a fragment that is valid in any document: an empty
/// one, the top of the page, or a text to highlight.
fn anchor_of_fragment(fragment: &str) -> Option<Box<str>> {
    let anchor = fragment.split(":~:").next().unwrap_or_default();
    let decoded = percent_decode_str(anchor).decode_utf8_lossy();
    let is_valid = decoded.is_empty() || decoded.eq_ignore_ascii_case("top");
    (!is_valid).then(|| decoded.into())
}

/// Whether a destination names another site: it has a host, or a scheme such as `https:` or
/// `mailto:`.
fn is_external(written: &str) -> bool {
    let scheme = written.split_once(':').is_some_and(|(scheme, _)| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_part)
    });
    scheme || written.starts_with("//")
}

/// Whether a template engine fills in a part of the destination before it is read.
fn is_template(written: &str) -> bool {
    ["{{", "{%", "${", "<%"]
        .iter()
        .any(|opening| written.contains(opening))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_split_and_decoded() {
        for (written, path, fragment) in [
            ("a.md", "a.md", None),
            (" a.md\n", "a.md", None),
            ("../a%20b.md#One%20two", "../a b.md", Some("One two")),
            ("a.md?raw=true#x", "a.md", Some("x")),
            ("a.md?plain=1#L3", "a.md", None),
            ("a.md?b?c#x?y#z", "a.md", Some("x?y#z")),
            ("?v=2#x", "", Some("x")),
            ("#x", "", Some("x")),
            ("#", "", None),
            ("#Top", "", None),
            ("#:~:text=a", "", None),
            ("#x:~:text=a", "", Some("x")),
            ("100%.md", "100%.md", None),
            ("a%zz.md#%ff", "a%zz.md", Some("\u{fffd}")),
            ("/docs/a.md", "/docs/a.md", None),
            ("docs/a:b.md", "docs/a:b.md", None),
        ] {
            let target = LinkTarget::parse(written).unwrap();
            assert_eq!(target.path, path, "{written}");
            assert_eq!(target.fragment.as_deref(), fragment, "{written}");
        }
    }

    #[test]
    fn other_sites_and_templates_are_not_checked() {
        for written in [
            "",
            " ",
            "https://acme.com/a.md",
            "HTTP://acme.com",
            "mailto:a@acme.com",
            "tel:1",
            "data:image/png;base64,x",
            "//acme.com/a.md",
            "c:a.md",
            "{{ site.url }}/a.md",
            "{% link a.md %}",
            "${BASE}/a.md",
        ] {
            assert_eq!(LinkTarget::parse(written), None, "{written}");
        }
    }

    #[test]
    fn targets_are_resolved_in_the_codex() {
        for (written, path, is_directory) in [
            ("b.md", Some("p/docs/b.md"), false),
            ("./b.md", Some("p/docs/b.md"), false),
            ("../b.md", Some("p/b.md"), false),
            ("../../b.md", Some("b.md"), false),
            ("../../..", None, false),
            ("../../../p/docs/b.md", None, false),
            ("sub/", Some("p/docs/sub"), true),
            ("sub", Some("p/docs/sub"), false),
            (".", Some("p/docs"), true),
            ("..", Some("p"), true),
            ("../..", Some(""), true),
            ("/", Some(""), true),
            ("/b.md", Some("b.md"), false),
            ("/../b.md", None, false),
            ("sub//b.md", Some("p/docs/sub/b.md"), false),
            ("#x", Some("p/docs/a.md"), false),
        ] {
            let target = LinkTarget::parse(written).unwrap();
            let destination = target.resolve("p/docs/a.md".into());
            let expected = path.map(|path| LinkDestination {
                path: path.into(),
                is_directory,
            });
            assert_eq!(destination, expected, "{written}");
        }
    }

    #[test]
    fn relative_links_lead_to_their_path() {
        for (document, path, link) in [
            ("a.md", "b.md", "b.md"),
            ("p/a.md", "p/b.md", "b.md"),
            ("p/a.md", "b.md", "../b.md"),
            ("p/q/a.md", "p/r/b c.md", "../r/b%20c.md"),
            ("p/a.md", "p/100%#(1).md", "100%25%23%281%29.md"),
            ("p/a.md", "p/c:x.md", "./c:x.md"),
            ("p/a.md", "p", "../p"),
        ] {
            assert_eq!(relative_link(document.into(), path.into()), link);
            let target = LinkTarget::parse(link).unwrap();
            let destination = target.resolve(document.into()).unwrap();
            assert_eq!(destination.path, path, "{link}");
        }
    }
}
