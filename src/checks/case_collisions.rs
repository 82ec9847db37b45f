//! Paths of the codex that differ only in case or Unicode form. Some file systems can hold only one
//! of two such files, so a clone of the codex would lose the other.
//!
//! Two files of one project are an error of its scan, and two projects with such paths are an error
//! of the configuration. So this check is about files of the codex that the run does not publish: no
//! pattern claims them, their source is skipped, or they are those of another workspace, in a
//! directory whose path differs only in case.

use std::collections::{HashMap, HashSet};

use bstr::{BStr, BString, ByteSlice};

use super::finding::{ContentCheck, Detection};
use crate::paths::{escaped, folded};

/// The paths that the codex will hold and that differ only in case or Unicode form, by their folded
/// form.
#[derive(Default)]
pub(crate) struct FoldedPaths<'p>(HashMap<BString, Vec<FoldedPath<'p>>>);

#[derive(Clone, Copy)]
struct FoldedPath<'p> {
    path: &'p BStr,
    is_directory: bool,
}

impl<'p> FromIterator<&'p BStr> for FoldedPaths<'p> {
    /// Collects the paths of files.
    fn from_iter<I: IntoIterator<Item = &'p BStr>>(files: I) -> Self {
        let mut by_form: HashMap<_, Vec<_>> = HashMap::new();
        let mut add = |path: &'p BStr, is_directory| {
            let same_form = by_form.entry(folded(path)).or_default();
            same_form.push(FoldedPath { path, is_directory });
        };
        let mut directories = HashSet::new();
        for file in files {
            add(file, false);
            let new =
                directories_above(file).take_while(|directory| directories.insert(*directory));
            new.for_each(|directory| add(directory, true));
        }
        by_form.retain(|_, same_form| same_form.len() > 1);
        Self(by_form)
    }
}

impl FoldedPaths<'_> {
    /// Detects another path that file systems cannot hold together with the file `path`: one of the
    /// same form, or a file in the place of a directory above it.
    pub(super) fn detect(&self, path: &BStr) -> Option<Detection> {
        if self.0.is_empty() {
            return None;
        }
        let above = directories_above(path).map(|directory| (directory, true));
        let mut ends = [(path, false)].into_iter().chain(above);
        let (own, other) = ends.find_map(|(own, is_directory)| {
            let mut same_form = self.0.get(&folded(own))?.iter();
            let other = same_form
                .find(|other| other.path != own && !(is_directory && other.is_directory))?;
            Some((own, other.path))
        })?;
        Some(Detection {
            check: ContentCheck::CaseCollisions,
            kind: "case-collision",
            offset: 0,
            message: format!(
                "the codex has `{}`, which differs from `{}` only in case or Unicode form",
                escaped(other),
                escaped(own)
            ),
            subject: folded(path).to_vec(),
        })
    }
}

/// The directories above a path, the nearest first.
fn directories_above(path: &BStr) -> impl Iterator<Item = &BStr> {
    path.rfind_iter("/").map(|end| path[..end].as_bstr())
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
            "docs/guide.md",
        ];
        let folded: FoldedPaths<'_> = paths.iter().map(|path| BStr::new(*path)).collect();
        let collides = |path: &str| folded.detect(path.into()).is_some();
        assert!(collides("docs/guide.md") && collides("docs/\u{e9}.md"));
        assert!(collides("docs/Guide.md"));
        assert!(!collides("docs/a.md") && !collides("docs/b.md"));
    }

    #[test]
    fn file_collides_with_a_directory() {
        let paths = ["a/b/c.md", "A/B", "x/y.md", "X/z.md"];
        let folded: FoldedPaths<'_> = paths.iter().map(|path| BStr::new(*path)).collect();
        let collides = |path: &str| folded.detect(path.into()).is_some();
        assert!(collides("a/b/c.md") && collides("A/B"));
        assert!(!collides("x/y.md") && !collides("X/z.md"));
    }
}
