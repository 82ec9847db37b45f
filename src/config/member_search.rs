//! Finds the directories that the globs of `workspace.members` match.

use std::fs;
use std::path::{Path, PathBuf};

use super::diagnostics::Diagnostics;
use super::layers::Layers;
use super::problem::Problem;
use super::tree::Node;
use crate::glob::{self, Glob, InvalidGlob, Segment};
use crate::platform::bytes_of;

/// Returns the directories that `workspace.members` matches and `workspace.exclude` does not, in
/// order and without duplicates. If `only` is given, no other directory is searched for.
pub(crate) fn member_directories(
    root: &Path,
    layers: &Layers,
    only: Option<&Path>,
    diagnostics: &mut Diagnostics,
) -> Vec<PathBuf> {
    let members = ["workspace", "members"];
    let mut search = DirectorySearch {
        only,
        found: Vec::new(),
    };
    for node in layers.list(&members).into_iter().flat_map(Node::elements) {
        let Some(glob) = compiled(node, "workspace.members", Glob::new, diagnostics) else {
            continue;
        };
        let before = search.found.len();
        search.add(base_of(node, root), &glob);
        if search.found.len() > before {
            continue;
        }

        let pattern = glob.pattern();
        let message = format!("`workspace.members`: `{pattern}` matches no directory");
        let problem = Problem::new(message).key("workspace.members").at(&node.at);
        // A directory without wildcards is expected to exist: its project must not be left out with
        // a mere warning.
        if glob::is_pattern(pattern) {
            diagnostics.warnings.push(problem);
        } else {
            diagnostics.problems.push(problem);
        }
    }

    let mut found = search.found;
    found.sort();
    found.dedup();
    for node in layers.combined_list(&["workspace", "exclude"]) {
        if let Some(glob) = compiled(node, "workspace.exclude", Glob::excluding, diagnostics) {
            let base = base_of(node, root);
            found.retain(|directory| !is_below_match(directory, base, &glob));
        }
    }
    found
}

/// The directories below `base` that `glob` matches, in order and without duplicates.
pub(crate) fn matching_directories(base: &Path, glob: &Glob) -> Vec<PathBuf> {
    let mut search = DirectorySearch {
        only: None,
        found: Vec::new(),
    };
    search.add(base, glob);
    search.found.sort();
    search.found.dedup();
    search.found
}

/// Whether `glob`, which is relative to `base`, matches `directory`.
fn is_below_match(directory: &Path, base: &Path, glob: &Glob) -> bool {
    directory
        .strip_prefix(base)
        .is_ok_and(|relative| !relative.as_os_str().is_empty() && glob.matches(&bytes_of(relative)))
}

/// The directory from which a pattern starts. The defaults have none, so theirs start from `root`.
fn base_of<'n>(node: &'n Node, root: &'n Path) -> &'n Path {
    let base = &node.at.source.base;
    if base.as_os_str().is_empty() {
        root
    } else {
        base
    }
}

/// Compiles a pattern of directories. A trailing `/` has no meaning in it.
fn compiled(
    node: &Node,
    key: &str,
    compile: impl Fn(&str) -> Result<Glob, InvalidGlob>,
    diagnostics: &mut Diagnostics,
) -> Option<Glob> {
    let pattern = node.as_text().unwrap_or_default().trim_end_matches('/');
    compile(pattern)
        .map_err(|error| {
            let problem = Problem::new(format!("`{key}`: {error}"));
            diagnostics.problems.push(problem.key(key).at(&node.at));
        })
        .ok()
}

/// A search that collects the directories that patterns match.
struct DirectorySearch<'s> {
    only: Option<&'s Path>,
    found: Vec<PathBuf>,
}

impl DirectorySearch<'_> {
    /// Adds the directories below `base` that match.
    fn add(&mut self, base: &Path, glob: &Glob) {
        for alternative in glob.alternatives() {
            match alternative.segments() {
                // A trailing `**` matches everything below the directories that the segments before
                // it match.
                [above @ .., Segment::Any] if alternative.is_subtree() => {
                    let before = self.found.len();
                    self.expand(base, above, true);
                    for directory in self.found.split_off(before) {
                        self.add_below(&directory);
                    }
                }
                segments => self.expand(base, segments, true),
            }
        }
    }

    /// Adds the directories below `directory` that match `segments`, one segment per level.
    /// Wildcards match neither hidden directories nor `node_modules`. If `follow` is set, links to
    /// directories are followed; after a `**` they are not.
    fn expand(&mut self, directory: &Path, segments: &[Segment], follow: bool) {
        let Some((segment, rest)) = segments.split_first() else {
            if directory.is_dir() {
                self.found.push(directory.to_owned());
            }
            return;
        };

        if *segment == Segment::Deep {
            self.expand(directory, rest, false);
            for path in self.subdirectories(directory, false, false) {
                self.expand(&path, segments, false);
            }
        } else if let Some(name) = segment.literal() {
            let path = directory.join(name);
            if follow || !path.is_symlink() {
                self.expand(&path, rest, follow);
            }
        } else {
            for path in self.subdirectories(directory, follow, segment.is_hidden()) {
                let name = path.file_name().map(Path::new).map(bytes_of);
                let is_match = name.is_some_and(|name| segment.matches(&name));
                match rest {
                    // The listing has shown that it is a directory.
                    [] if is_match => self.found.push(path),
                    _ if is_match => self.expand(&path, rest, follow),
                    _ => {}
                }
            }
        }
    }

    fn add_below(&mut self, directory: &Path) {
        for path in self.subdirectories(directory, false, false) {
            self.add_below(&path);
            self.found.push(path);
        }
    }

    /// The directories in `directory` that a wildcard can match. Links to directories are included
    /// if `follow` is set, and hidden directories if `hidden` is set. An unreadable directory has
    /// none.
    fn subdirectories(&self, directory: &Path, follow: bool, hidden: bool) -> Vec<PathBuf> {
        let is_wanted = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            let path = entry.path();
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            if (is_hidden && !hidden) || name == "node_modules" {
                return false;
            }
            if self.only.is_some_and(|only| !only.starts_with(&path)) {
                return false;
            }
            entry
                .file_type()
                .is_ok_and(|kind| kind.is_dir() || (follow && kind.is_symlink() && path.is_dir()))
        };
        fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter(is_wanted)
            .map(|entry| entry.path())
            .collect()
    }
}
