//! Paths of the codex that differ only in case or Unicode form. Some file systems can hold only one
//! of two such files, so a clone of the codex would lose the other.
//!
//! Two files of one project are an error of its scan, and two projects with such paths are an error
//! of the configuration. So this check is about files of the codex that stay although the sources do
//! not have them: no pattern claims them, or their source is skipped.

use std::collections::HashMap;

use bstr::{BStr, BString};

use super::finding::{ContentCheck, Detection};
use crate::paths::{escaped, folded};

/// The paths that the codex will hold, by their folded form.
#[derive(Default)]
pub(crate) struct FoldedPaths<'p>(HashMap<BString, Vec<&'p BStr>>);

impl<'p> FromIterator<&'p BStr> for FoldedPaths<'p> {
    fn from_iter<I: IntoIterator<Item = &'p BStr>>(paths: I) -> Self {
        let mut by_form: HashMap<BString, Vec<_>> = HashMap::new();
        for path in paths {
            by_form.entry(folded(path)).or_default().push(path);
        }
        Self(by_form)
    }
}

impl FoldedPaths<'_> {
    /// Detects another path of the same form as `path`.
    pub(super) fn detect(&self, path: &BStr) -> Option<Detection> {
        let form = folded(path);
        let other = self.0.get(&form)?.iter().find(|other| **other != path)?;
        Some(Detection {
            check: ContentCheck::CaseCollisions,
            kind: "case-collision",
            offset: 0,
            message: format!(
                "the codex has `{}`, which differs only in case or Unicode form",
                escaped(other)
            ),
            subject: form.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_collide_if_they_differ_only_in_case_or_unicode_form() {
        let paths = [
            "docs/Guide.md",
            "docs/a.md",
            "docs/\u{e9}.md",
            "docs/e\u{301}.md",
        ];
        let folded: FoldedPaths<'_> = paths.iter().map(|path| BStr::new(*path)).collect();
        let collides = |path: &str| folded.detect(path.into()).is_some();
        assert!(collides("docs/guide.md") && collides("docs/\u{e9}.md"));
        assert!(!collides("docs/Guide.md") && !collides("docs/a.md") && !collides("docs/b.md"));
    }
}
