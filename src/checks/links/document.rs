//! The links and anchors of one file.

use bstr::{BStr, BString};

use super::anchors::Anchors;
use super::target::LinkTarget;

/// The links and anchors of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// The links that are checked, by position.
    pub(super) links: Vec<Link>,
    pub(super) anchors: Anchors,
}

impl Document {
    /// Whether the document has links that are checked.
    pub(crate) fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// The paths of the codex that the links lead to if the document is at `path`.
    pub(crate) fn target_paths(&self, path: &BStr) -> impl Iterator<Item = BString> {
        let targets = self.links.iter().map(|link| &link.target);
        targets
            .filter_map(move |target| Some(target.resolve(path)?.path))
            .filter(|path| !path.is_empty())
    }
}

/// A link or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// The offset in the file at which the link begins, in bytes. For a link by reference, this is
    /// the offset of the definition, because the user corrects the link there.
    pub offset: usize,
    pub target: LinkTarget,
}

/// Collects the links of a document.
#[derive(Debug, Default)]
pub(super) struct LinkCollector(Vec<Link>);

impl LinkCollector {
    /// Adds a link, unless its destination is not checked.
    pub(super) fn add(&mut self, offset: usize, destination: &str) {
        let target = LinkTarget::parse(destination);
        self.0.extend(target.map(|target| Link { offset, target }));
    }

    /// The links by offset. Uses of the same definition are one link.
    pub(super) fn finish(mut self) -> Vec<Link> {
        self.0.sort_by_key(|link| link.offset);
        self.0.dedup();
        self.0
    }
}
