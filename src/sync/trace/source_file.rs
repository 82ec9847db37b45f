//! The source file of a published file, as far as the configuration shows it.

use bstr::{BStr, BString, ByteSlice};

use crate::codex::objects::commit_message::SyncTrailers;
use crate::codex::source_repository::SourceRepositories;
use crate::paths::join_below;
use crate::platform::path_of;
use crate::workspace::{Project, Workspace};

/// A source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TracedSource {
    /// The path below the root of the project.
    pub path: BString,
    /// The path in the source repository; `None` if this machine does not have the repository that
    /// the commit of the codex names.
    pub in_repository: Option<BString>,
}

impl TracedSource {
    /// Finds the source of the file at `path` of the codex by the patterns of its project, which
    /// published it under this name or, if the file `is_moved`, another one. `None` if the project is not
    /// configured, or if its patterns would publish several files to this path.
    pub(super) fn find(
        (path, is_moved): (&BStr, bool),
        published: &SyncTrailers,
        workspace: &Workspace,
        repositories: &SourceRepositories,
    ) -> Option<Self> {
        let (project, below) = workspace.projects.iter().find_map(|project| {
            let below = path.strip_prefix(project.to.as_bstr().as_bytes())?;
            Some((project, below.strip_prefix(b"/")?))
        })?;
        if project.name.as_str() != published.project && !is_moved {
            return None;
        }
        let path = source_of(project, below)?;
        let url = published.source.as_ref().and_then(|one| one.url.as_ref());
        let root = url.and_then(|url| repositories.path_in(&project.root, url));
        let in_repository = root.map(|root| join_below(root.as_bstr(), path.as_bstr()));
        Some(Self {
            path,
            in_repository,
        })
    }
}

/// The only source file that a project publishes to the path `below` its directory. If the patterns
/// allow several, only those that exist on this machine count.
fn source_of(project: &Project, below: &[u8]) -> Option<BString> {
    let mut sources = project.claims.sources(below);
    sources.sort();
    sources.dedup();
    if sources.len() > 1 {
        sources.retain(|source| {
            let file = project.root.join(path_of(source.as_bstr()));
            file.symlink_metadata().is_ok()
        });
    }
    match sources.as_slice() {
        [only] => Some(only.as_slice().into()),
        _ => None,
    }
}
