//! Checks the links of a document, and words the reason why one does not work.

use std::fmt;
use std::sync::Arc;

use bstr::{BStr, BString, ByteSlice};

use super::anchors::Anchors;
use super::document::Document;
use super::target::{LinkDestination, LinkTarget, joined, relative_link};
use crate::checks::finding::{ContentCheck, Detection};
use crate::config::problem::closest;
use crate::paths::escaped;

/// A link that will not work in the codex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokenLink {
    /// The offset of the link in the file, in bytes.
    offset: usize,
    /// The link as the document writes it.
    written: Box<str>,
    reason: BrokenReason,
}

/// The reason why a link does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
enum BrokenReason {
    /// The target would be outside the codex.
    LeavesCodex,
    /// The codex has nothing at this path. `similar` is a link that works, to a file of
    /// that name with the extension of Markdown.
    Missing {
        path: BString,
        similar: Option<String>,
    },
    /// The codex has a path that differs from `path` only in case or Unicode form. `link` is a link
    /// to that path.
    OtherSpelling {
        path: BString,
        link: String,
        differs_in_case: bool,
    },
    /// The file that the link means in the project is published as `path`, to which `link` leads.
    PublishedElsewhere { path: BString, link: String },
    /// The file or directory `source` that the link means in a project is not published.
    Unpublished {
        project: String,
        source: BString,
        reason: String,
    },
    /// A file that the link uses as a directory.
    NotADirectory { path: BString },
    /// The document at `path` lacks the anchor.
    MissingAnchor {
        path: BString,
        /// Whether that is the document with the link.
        is_own: bool,
        anchor: Box<str>,
        closest: Option<Box<str>>,
    },
}

/// The codex as it will be after a sync, as far as it is known.
pub(crate) trait CodexView {
    /// The kind of entry at `path`, which is not empty.
    fn presence(&self, path: &BStr) -> Presence;

    /// A path of the codex that differs from `path` only in case or Unicode form.
    fn other_spelling(&self, path: &BStr) -> Option<BString>;

    /// The links and anchors of the file at `path`; `None` if its contents are not known or have no
    /// anchors.
    fn document(&self, path: &BStr) -> Option<Arc<Document>>;

    /// The source file that the target means in the project that publishes `document`; `None` if
    /// it does not exist.
    fn source(&self, document: &BStr, target: &LinkTarget) -> Option<SourceOfTarget>;
}

/// The kind of entry at a path of the codex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    File,
    Directory,
    Missing,
    /// The kind of entry is not known, or the path leads through a symlink or a submodule.
    Unknown,
}

/// The file that a link means in its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceOfTarget {
    /// A file that is published to these paths of the codex.
    Published(Vec<BString>),
    /// The file or directory `source` of a project is not published.
    Unpublished {
        project: String,
        source: BString,
        reason: String,
    },
}

/// The links of `document` that will not work in the codex, if it is published at `path`.
pub(crate) fn broken_links(
    path: &BStr,
    document: &Document,
    view: &impl CodexView,
) -> Vec<BrokenLink> {
    let check = LinkCheck {
        path,
        document,
        view,
    };
    let links = document.links.iter();
    links
        .filter_map(|link| {
            Some(BrokenLink {
                offset: link.offset,
                written: link.target.written.clone(),
                reason: check.reason(&link.target)?,
            })
        })
        .collect()
}

/// The number of comparisons of a link with an anchor up to which the closest anchor is searched.
const MAX_COMPARISONS: usize = 200_000;

/// The check of one document.
struct LinkCheck<'d, V> {
    path: &'d BStr,
    document: &'d Document,
    view: &'d V,
}

impl<V: CodexView> LinkCheck<'_, V> {
    /// The reason why a target is broken; `None` if it works or is not known.
    fn reason(&self, target: &LinkTarget) -> Option<BrokenReason> {
        if target.path.is_empty() {
            return self.missing_anchor(target, &self.document.anchors, self.path.to_owned());
        }
        let Some(destination) = target.resolve(self.path) else {
            return Some(self.published(target).unwrap_or(BrokenReason::LeavesCodex));
        };
        if destination.path.is_empty() {
            return self.anchor_in_directory(target, b"".as_bstr());
        }

        let LinkDestination { path, is_directory } = destination;
        match self.view.presence(path.as_bstr()) {
            Presence::Unknown => None,
            Presence::Missing => Some(self.missing(target, path)),
            Presence::File if is_directory => Some(BrokenReason::NotADirectory { path }),
            Presence::Directory => self.anchor_in_directory(target, path.as_bstr()),
            Presence::File => {
                target.fragment.as_ref()?;
                let page = self.view.document(path.as_bstr())?;
                self.missing_anchor(target, &page.anchors, path)
            }
        }
    }

    /// The reason for a target of which the codex has nothing at `path`.
    fn missing(&self, target: &LinkTarget, path: BString) -> BrokenReason {
        if let Some(other) = self.view.other_spelling(path.as_bstr()) {
            return BrokenReason::OtherSpelling {
                differs_in_case: path.to_str_lossy().to_lowercase()
                    == other.to_str_lossy().to_lowercase(),
                link: self.link_to(&other, target),
                path: other,
            };
        }
        if let Some(reason) = self.published(target) {
            return reason;
        }

        // Some site generators leave out the extension.
        let stem = path.strip_suffix(b".html").unwrap_or(&path);
        let with_extension: BString = [stem, b".md"].concat().into();
        let exists = self.view.presence(with_extension.as_bstr()) == Presence::File;
        BrokenReason::Missing {
            similar: exists.then(|| self.link_to(&with_extension, target)),
            path,
        }
    }

    /// The reason for a target that exists in the project: it is published to another path, or not
    /// at all.
    fn published(&self, target: &LinkTarget) -> Option<BrokenReason> {
        Some(match self.view.source(self.path, target)? {
            SourceOfTarget::Unpublished {
                project,
                source,
                reason,
            } => BrokenReason::Unpublished {
                project,
                source,
                reason,
            },
            SourceOfTarget::Published(paths) => {
                let links = paths.into_iter();
                let links = links.map(|path| (self.link_to(&path, target), path));
                let (link, path) = links.min_by_key(|(link, _)| link.len())?;
                BrokenReason::PublishedElsewhere { path, link }
            }
        })
    }

    /// A link from the document to `path`, with the fragment of `target`.
    fn link_to(&self, path: &BString, target: &LinkTarget) -> String {
        let mut link = relative_link(self.path, path.as_bstr());
        if let Some(start) = target.written.find('#') {
            link += &target.written[start..];
        }
        link
    }

    /// Checks an anchor in the page that is shown for a directory.
    fn anchor_in_directory(&self, target: &LinkTarget, directory: &BStr) -> Option<BrokenReason> {
        target.fragment.as_ref()?;
        let reasons = ["README.md", "readme.md", "index.md", "index.html"].map(|name| {
            let path = joined(directory, name.into())?;
            let page = self.view.document(path.as_bstr())?;
            Some(self.missing_anchor(target, &page.anchors, path))
        });
        let known: Option<Vec<_>> = reasons.into_iter().flatten().collect();
        // A link works if one of the pages has the anchor.
        known?.into_iter().next()
    }

    /// The reason if `anchors`, those of the document at `path`, lack the anchor of the target.
    fn missing_anchor(
        &self,
        target: &LinkTarget,
        anchors: &Anchors,
        path: BString,
    ) -> Option<BrokenReason> {
        let anchor = target.fragment.as_deref()?;
        if anchors.contains(anchor) {
            return None;
        }
        // A document can have very many links and anchors. The comparison of all pairs takes long.
        let pairs = self.document.links.len().saturating_mul(anchors.len());
        let closest = (pairs <= MAX_COMPARISONS).then(|| closest(anchor, anchors.names()));
        Some(BrokenReason::MissingAnchor {
            is_own: path == self.path,
            path,
            anchor: anchor.into(),
            closest: closest.flatten().map(Into::into),
        })
    }
}

impl BrokenLink {
    /// The finding for the link. Links to the same target have the same digest.
    pub(crate) fn detection(&self) -> Detection {
        let (kind, subject) = match &self.reason {
            BrokenReason::LeavesCodex => ("outside-codex", self.written.as_bytes().into()),
            BrokenReason::Missing { path, .. } => ("missing-target", path.clone()),
            BrokenReason::OtherSpelling { path, .. } => ("other-spelling", path.clone()),
            BrokenReason::PublishedElsewhere { path, .. } => ("published-elsewhere", path.clone()),
            BrokenReason::Unpublished {
                project, source, ..
            } => {
                let target = format!("{project}:");
                (
                    "unpublished-target",
                    [target.as_bytes(), source].concat().into(),
                )
            }
            BrokenReason::NotADirectory { path } => ("not-a-directory", path.clone()),
            BrokenReason::MissingAnchor { path, anchor, .. } => {
                let target = [path.as_slice(), b"#", anchor.as_bytes()].concat();
                ("missing-anchor", target.into())
            }
        };
        Detection {
            check: ContentCheck::Links,
            kind,
            offset: self.offset,
            message: self.to_string(),
            subject: BString::into(subject),
        }
    }
}

impl fmt::Display for BrokenLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = escaped(self.written.as_bytes());
        match &self.reason {
            BrokenReason::LeavesCodex => write!(f, "`{written}` leads out of the codex"),
            BrokenReason::Missing { path, similar } => {
                write!(
                    f,
                    "`{written}` does not exist: the codex has no `{}`",
                    escaped(path)
                )?;
                match similar {
                    Some(link) => write!(f, "; `{}` exists", escaped(link.as_bytes())),
                    None => Ok(()),
                }
            }
            BrokenReason::OtherSpelling {
                link,
                differs_in_case,
                ..
            } => {
                let what = if *differs_in_case {
                    "case"
                } else {
                    "Unicode form"
                };
                let link = escaped(link.as_bytes());
                write!(
                    f,
                    "`{written}` does not exist: it differs from `{link}` only in {what}"
                )
            }
            BrokenReason::PublishedElsewhere { path, link } => write!(
                f,
                "`{written}` does not work in the codex: the file is published as `{}`; `{}` works",
                escaped(path),
                escaped(link.as_bytes())
            ),
            BrokenReason::Unpublished {
                project,
                source,
                reason,
            } => write!(
                f,
                "`{written}` is not published: `{}` exists in the project `{project}`, but {reason}",
                escaped(source)
            ),
            BrokenReason::NotADirectory { path } => {
                write!(
                    f,
                    "`{written}` names a directory, but `{}` is a file",
                    escaped(path)
                )
            }
            BrokenReason::MissingAnchor {
                path,
                is_own,
                anchor,
                closest,
            } => {
                write!(f, "`{written}`: ")?;
                if *is_own {
                    f.write_str("this file")?;
                } else {
                    write!(f, "`{}`", escaped(path))?;
                }
                write!(f, " has no anchor `{}`", escaped(anchor.as_bytes()))?;
                match closest {
                    Some(anchor) => {
                        write!(f, "; the closest one is `{}`", escaped(anchor.as_bytes()))
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::checks::links::{DocumentKind, directory_of};
    use crate::paths::folded;

    /// A codex in memory.
    #[derive(Default)]
    struct TestCodex {
        files: BTreeMap<BString, String>,
        unknown: Vec<BString>,
        sources: BTreeMap<BString, SourceOfTarget>,
    }

    impl TestCodex {
        fn new(files: &[(&str, &str)]) -> Self {
            let files = files.iter();
            Self {
                files: files
                    .map(|(path, text)| ((*path).into(), (*text).to_owned()))
                    .collect(),
                ..Self::default()
            }
        }

        /// The messages for the links of the file at `path`.
        fn messages(&self, path: &str) -> Vec<String> {
            let document = self.document(path.into()).unwrap();
            let broken = broken_links(path.into(), &document, self);
            broken.iter().map(BrokenLink::to_string).collect()
        }
    }

    impl CodexView for TestCodex {
        fn presence(&self, path: &BStr) -> Presence {
            let is_above = |file: &BString| {
                let below = file.strip_prefix(path.as_bytes());
                below.is_some_and(|below| below.starts_with(b"/"))
            };
            if self.unknown.iter().any(|unknown| unknown == path) {
                Presence::Unknown
            } else if self.files.contains_key(path) {
                Presence::File
            } else if self.files.keys().any(is_above) {
                Presence::Directory
            } else {
                Presence::Missing
            }
        }

        fn other_spelling(&self, path: &BStr) -> Option<BString> {
            let mut files = self.files.keys();
            files.find(|file| folded(file) == folded(path)).cloned()
        }

        fn document(&self, path: &BStr) -> Option<Arc<Document>> {
            let text = self.files.get(path)?;
            let kind = DocumentKind::of(path)?;
            Some(Arc::new(kind.parse(text.as_bytes())))
        }

        fn source(&self, _: &BStr, target: &LinkTarget) -> Option<SourceOfTarget> {
            self.sources.get(&target.path).cloned()
        }
    }

    #[test]
    fn links_that_work_are_not_reported() {
        let codex = TestCodex::new(&[
            (
                "p/docs/a.md",
                "# One\n[](b.md) [](./b.md#two) [](#one) [](#One) [](#) [](../c.txt#x) [](sub) \
                 [](sub/) [](sub/#three) [](..) [](/) [](/p/c.txt) [](/#any) [](page.html#Four) \
                 ![](i%20j.png) [](?x=1) [](b.md?x#two) [](unknown.md#x) [](../../p/docs/b.md)",
            ),
            ("p/docs/b.md", "## Two"),
            ("p/docs/sub/README.md", "# Three"),
            ("p/docs/page.html", "<p id=Four>"),
            ("p/docs/i j.png", ""),
            ("p/docs/unknown.md", "# X"),
            ("p/c.txt", ""),
        ]);
        assert_eq!(codex.messages("p/docs/a.md"), [""; 0]);
    }

    #[test]
    fn message_names_the_reason_and_the_remedy() {
        let text = "# One\n[](b.md#tow) [](#ones) [](sub/#x) [](Sub/B.md) [](u\u{308}.md) [](no.md) \
            [](no/) [](sub/b) [](sub/b.html#two) [](../../../x.md) [](sub/b.md/) [](<a\u{1b} b>) \
            [](api.yaml#x) [](../src/x.rs) [](../../q/docs/z.md) [](gone.md?token=s3cret) [](page.html#four) \
            [](far.md)";
        let mut codex = TestCodex::new(&[
            ("p/docs/a.md", text),
            ("p/docs/b.md", "## Two"),
            ("p/docs/sub/b.md", "## Two"),
            ("p/docs/sub/README.md", "# Three"),
            ("p/docs/\u{fc}.md", ""),
            ("p/docs/page.html", "<p id=Four>"),
        ]);
        codex.unknown.push("p/docs/far.md".into());
        let published = |paths: &[&str]| {
            SourceOfTarget::Published(paths.iter().map(|path| (*path).into()).collect())
        };
        let unpublished = SourceOfTarget::Unpublished {
            project: "p".to_owned(),
            source: "src/x.rs".into(),
            reason: "no pattern publishes it".to_owned(),
        };
        codex.sources = BTreeMap::from([
            (
                "api.yaml".into(),
                published(&["p/long/reference/api.yaml", "p/api/api.yaml"]),
            ),
            ("../src/x.rs".into(), unpublished),
            ("../../q/docs/z.md".into(), published(&["projects/q/z.md"])),
        ]);
        insta::assert_snapshot!(codex.messages("p/docs/a.md").join("\n"));
    }

    #[test]
    fn page_of_a_directory_has_its_anchors() {
        let codex = TestCodex::new(&[
            (
                "a.md",
                "[](d/#one) [](d/#two) [](d/#three) [](e/#x) [](.#x) [](/#y)",
            ),
            ("d/README.md", "# One"),
            ("d/index.html", "<p id=two>"),
            ("e/other.md", ""),
            ("README.md", "# X"),
        ]);
        let expected = [
            "`d/#three`: `d/README.md` has no anchor `three`",
            "`/#y`: `README.md` has no anchor `y`",
        ];
        assert_eq!(codex.messages("a.md"), expected);
        assert_eq!(directory_of("d/README.md".into()), "d");
    }

    /// Headings and their anchors.
    const HEADINGS: [(&str, &str); 4] = [
        ("Set up", "set-up"),
        ("What's `new`?", "whats-new"),
        ("\u{dc}ber *uns*", "\u{fc}ber-uns"),
        ("1.2 & more", "12--more"),
    ];

    /// A link in a generated document.
    #[derive(Debug, Clone)]
    struct TestLink {
        /// The number of the file that it leads to.
        to: usize,
        /// Whether that file exists, and has the anchor.
        is_present: bool,
        /// The number of a heading; `None` for a link without an anchor.
        heading: Option<usize>,
        is_rooted: bool,
        is_encoded: bool,
        /// The number of a way to write it.
        syntax: usize,
    }

    /// The path of a generated file. No two differ only in case.
    fn test_path(number: usize, directories: &[usize]) -> String {
        let names = ["a b", "B", "\u{fc}", "c#d", "e%20f", "g(h)", "i?j"];
        let directories = directories
            .iter()
            .map(|name| format!("{}/", names[name % 7]));
        let name = names[number % 7];
        format!("{}{name}-{number}.md", directories.collect::<String>())
    }

    impl TestLink {
        /// The destination, from a document with this number of directories above it.
        fn destination(&self, depth: usize, path: &str) -> String {
            let path = if self.is_present {
                path.to_owned()
            } else {
                format!("no-{path}")
            };
            let start = if self.is_rooted {
                "/".to_owned()
            } else {
                "../".repeat(depth)
            };
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._".contains(c);
            let mut written = start;
            for c in path.chars() {
                let must_be_encoded = " #%()?".contains(c);
                if is_plain(c) || !(self.is_encoded || must_be_encoded) {
                    written.push(c);
                } else {
                    let bytes = c.to_string().into_bytes();
                    written.extend(bytes.iter().map(|byte| format!("%{byte:02x}")));
                }
            }
            if let Some(heading) = self.heading {
                written += "#";
                written += HEADINGS[heading].1;
            }
            written
        }

        /// The text of the link number `number`.
        fn text(&self, number: usize, destination: &str) -> String {
            match self.syntax {
                0 => format!("[x]({destination})"),
                1 => format!("![x](<{destination}> 'title')"),
                2 => format!("<a href=\"{destination}\">x</a>"),
                3 => format!("> - *[x]({destination})*"),
                _ => format!("[x][{number}]\n\n[{number}]: {destination}"),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Exactly the links that lead to nothing are broken, however they are written.
        #[test]
        fn exactly_the_links_to_nothing_are_broken(
            files in vec((vec(0..7_usize, 0..3), vec(0..4_usize, 0..3)), 1..8),
            links in vec(
                (0..8_usize, any::<bool>(), option::of(0..4_usize), any::<[bool; 2]>(), 0..5_usize),
                0..20,
            ),
            from in 0..8_usize,
        ) {
            let path = |number: usize| test_path(number, &files[number].0);
            let from = from % files.len();
            let depth = files[from].0.len();
            let (mut text, mut expected) = (String::new(), Vec::new());
            for (number, (to, is_present, heading, [is_rooted, is_encoded], syntax)) in
                links.into_iter().enumerate()
            {
                let to = to % files.len();
                let link = TestLink { to, is_present, heading, is_rooted, is_encoded, syntax };
                let destination = link.destination(depth, &path(link.to));
                text += &format!("{}\n\n", link.text(number, &destination));
                let has_heading = |heading| files[link.to].1.contains(&heading);
                if !link.is_present || !link.heading.is_none_or(has_heading) {
                    expected.push(destination);
                }
            }

            let mut codex = TestCodex::default();
            for (number, (_, headings)) in files.iter().enumerate() {
                let mut contents = if number == from { text.clone() } else { String::new() };
                // The anchors of equal headings are numbered.
                let headings: BTreeSet<_> = headings.iter().collect();
                for heading in headings {
                    contents += &format!("## {}\n", HEADINGS[*heading].0);
                }
                codex.files.insert(path(number).into(), contents);
            }
            let from = path(from);
            let document = codex.document(from.as_str().into()).unwrap();
            let broken = broken_links(from.as_str().into(), &document, &codex);
            let mut written: Vec<_> = broken.iter().map(|one| String::from(&*one.written)).collect();
            written.sort();
            expected.sort();
            prop_assert_eq!(written, expected, "{}", text);
        }
    }
}
