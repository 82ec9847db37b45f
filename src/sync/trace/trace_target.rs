//! The files of the codex that a path on the command line means: a URI, a file of a project or of a
//! local cache, or a path of the codex.

use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::trace_error::TraceError;
use crate::config::{Configuration, Direction};
use crate::paths::{CodexPath, absolute, resolved};
use crate::platform::bytes_of;
use crate::workspace::document_uri::{DocumentUri, InvalidUri};
use crate::workspace::project::SCHEME;
use crate::workspace::{Project, Workspace};

/// A path on the command line.
pub(crate) struct TraceTarget {
    /// The path as the user gave it.
    pub name: String,
    pub(super) files: TargetFiles,
    /// The file of this machine that the path names: a source file, or a file of a local cache.
    pub(super) local: Option<PathBuf>,
}

/// The files that a path means.
pub(super) enum TargetFiles {
    /// Those that a URI names.
    Uri(Box<DocumentUri>),
    /// Those of these paths that exist in the codex, or else an error.
    Paths(Vec<BString>, Option<TraceError>),
}

impl TraceTarget {
    /// Resolves `name`, which can be relative to `directory`. An existing file of this machine comes
    /// before a file of the codex.
    pub(crate) fn new(
        name: &str,
        directory: &Path,
        configuration: &Configuration,
        workspace: &Workspace,
    ) -> Result<Self, InvalidUri> {
        if name.starts_with(SCHEME) {
            let uri = DocumentUri::new(name, configuration, workspace)?;
            return Ok(Self::of_uri(uri));
        }
        let (files, local) = of_path(name, directory, workspace);
        Ok(Self {
            name: name.to_owned(),
            files,
            local,
        })
    }

    /// The documents that a URI names.
    pub(crate) fn of_uri(uri: DocumentUri) -> Self {
        Self {
            name: uri.as_str().to_owned(),
            files: TargetFiles::Uri(Box::new(uri)),
            local: None,
        }
    }
}

/// The files of the codex that a path means, and the file of this machine that it names.
fn of_path(name: &str, directory: &Path, workspace: &Workspace) -> (TargetFiles, Option<PathBuf>) {
    let in_codex = CodexPath::new(name.as_bytes()).ok();
    let in_codex = in_codex.map(|path| path.as_bstr().to_owned());
    let name = name.to_owned();
    let file = absolute(directory, Path::new(&name));
    let Ok(metadata) = file.symlink_metadata() else {
        let error = in_codex.is_none().then_some(TraceError::Outside { name });
        return (
            TargetFiles::Paths(in_codex.into_iter().collect(), error),
            None,
        );
    };
    if metadata.is_dir() {
        let error = TraceError::Directory { name };
        return (TargetFiles::Paths(Vec::new(), Some(error)), None);
    }

    // The file itself can be a link that is published as one.
    let file = match (file.parent(), file.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => file,
    };
    let caches = workspace.projects.iter().map(|project| &project.cache_dir);
    let mut caches = caches.chain([&workspace.cache_dir]);
    if let Some(path) = caches.find_map(|cache| below(&file, cache)) {
        return (TargetFiles::Paths(vec![path], None), Some(file));
    }
    let Some((project, source)) = innermost(&file, workspace) else {
        let error = Some(TraceError::Outside { name });
        return (
            TargetFiles::Paths(in_codex.into_iter().collect(), error),
            None,
        );
    };
    let claims = match project.direction {
        Direction::FromCodex => Vec::new(),
        Direction::ToCodex | Direction::Bidirectional => project.claims.claim(&source),
    };
    let published = claims.iter();
    let published = published.map(|claim| project.to.join(claim.destination.as_bstr()));
    let published: Vec<_> = published.collect();
    let project = project.name.to_string();
    match published.first().cloned() {
        Some(path) => {
            let error = TraceError::NotPublished {
                name,
                path,
                project,
            };
            (TargetFiles::Paths(published, Some(error)), Some(file))
        }
        None => {
            let error = Some(TraceError::NotClaimed { name, project });
            let in_codex = in_codex.into_iter().collect();
            (TargetFiles::Paths(in_codex, error), None)
        }
    }
}

/// The project with the innermost root that contains a file, and the path of the file below the root.
fn innermost<'w>(file: &Path, workspace: &'w Workspace) -> Option<(&'w Project, BString)> {
    let projects = workspace.projects.iter();
    let containing = projects.filter_map(|project| Some((project, below(file, &project.root)?)));
    containing.min_by_key(|(_, source)| source.len())
}

/// The path of a file below a directory; `None` if it is not there.
fn below(file: &Path, directory: &Path) -> Option<BString> {
    let path = file.strip_prefix(resolved(directory)).ok()?;
    Some(bytes_of(path).into_owned())
}
