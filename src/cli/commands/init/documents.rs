//! The documents of a directory, as patterns. Names are compared without case, because `Readme.md` and
//! `Docs` are common, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::project_names::FoundProject;
use crate::glob;

/// Directories whose name shows that they contain the documentation of their parent directory.
const DIRECTORIES: [&str; 5] = ["docs", "doc", "documentation", "specs", "adr"];
/// Files that are documentation, in the same parent directory: their names without extension.
const FILES: [&str; 3] = ["readme", "claude", "changelog"];
const EXTENSIONS: [&str; 4] = ["md", "rst", "adoc", "txt"];

/// A pattern for documents. The directories are before the files.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DocumentPattern {
    Directory { rank: usize, name: String },
    File { rank: usize, name: String },
}

impl DocumentPattern {
    /// Whether an entry of a directory is documentation.
    fn of_entry(entry: &fs::DirEntry) -> Option<Self> {
        let name = entry.file_name().into_string().ok()?;
        let lower = name.to_lowercase();
        let rank = |names: &[&str], searched: &str| names.iter().position(|one| *one == searched);
        if entry.path().is_dir() {
            let rank = rank(&DIRECTORIES, &lower)?;
            return Some(Self::Directory { rank, name });
        }
        let (stem, extension) = lower.rsplit_once('.')?;
        let rank = rank(&FILES, stem).filter(|_| EXTENSIONS.contains(&extension))?;
        Some(Self::File { rank, name })
    }

    fn name(&self) -> &str {
        match self {
            Self::Directory { name, .. } | Self::File { name, .. } => name,
        }
    }

    fn pattern(&self) -> String {
        let name = glob::escape(self.name());
        match self {
            Self::Directory { .. } => format!("{name}/**"),
            Self::File { .. } => name,
        }
    }
}

/// Whether the directory has documents of its own.
pub(super) fn has_documentation(directory: &Path) -> bool {
    documents_of(directory).next().is_some()
}

/// The patterns of the documents that exist in the projects below `root`, or the default patterns if
/// there are none.
pub(super) fn patterns(root: &Path, projects: &[FoundProject]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for project in projects {
        let directory = root.join(&project.directory);
        found.extend(documents_of(&directory).filter(|documents| {
            !belongs_to_others(root, &project.directory.join(documents.name()), projects)
        }));
    }
    if found.is_empty() {
        return ["docs/**", "README.md", "CLAUDE.md"]
            .map(str::to_owned)
            .into();
    }
    found.iter().map(DocumentPattern::pattern).collect()
}

fn documents_of(directory: &Path) -> impl Iterator<Item = DocumentPattern> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| DocumentPattern::of_entry(&entry))
}

/// Whether a directory is another project, or only contains directories of other projects.
fn belongs_to_others(root: &Path, directory: &Path, projects: &[FoundProject]) -> bool {
    let mut inside = projects
        .iter()
        .filter(|project| project.directory.starts_with(directory))
        .peekable();
    if inside.peek().is_none() {
        return false;
    }
    let mut entries = fs::read_dir(root.join(directory))
        .into_iter()
        .flatten()
        .flatten();
    let has_files = entries.any(|entry| !entry.path().is_dir());
    inside.any(|project| project.directory == directory) || !has_files
}
