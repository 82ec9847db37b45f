//! Finds the directory that a project had in the codex before it was renamed or removed in the
//! configuration.

use std::collections::BTreeSet;

use bstr::ByteSlice;

use super::request::SyncRequest;
use crate::config::layers::derived;
use crate::names::ProjectName;
use crate::paths::CodexPath;
use crate::state::State;
use crate::workspace::template;

/// Why `retire` or `rename` is rejected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormerDirectoryError {
    /// The configuration has the project, so that the next sync would publish it again.
    #[error(
        "`{project}` is still in the configuration, so the next sync would publish it to `{directory}` again"
    )]
    StillConfigured {
        /// The project.
        project: ProjectName,
        /// The directory of the project.
        directory: CodexPath,
    },
    /// The directory is the same as that of a project of the configuration, or one of the two
    /// contains the other.
    #[error("`{directory}` and the directory `{to}` of the project `{project}` overlap")]
    Overlaps {
        /// The directory.
        directory: CodexPath,
        /// The project of the configuration.
        project: ProjectName,
        /// The directory of the project.
        to: CodexPath,
    },
    /// The two directories of a rename are the same, or one is in the other.
    #[error("`{from}` and `{to}` overlap")]
    Nested {
        /// The directory before.
        from: CodexPath,
        /// The directory after.
        to: CodexPath,
    },
    /// The project had several directories.
    #[error("`{project}` has left several directories in the codex: {}", directories.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// The project.
        project: ProjectName,
        /// The directories.
        directories: Vec<CodexPath>,
    },
}

/// The directory that `project` had in the codex and that the configuration no longer has: `given`,
/// else the recorded one, else the default one.
pub(super) fn former_directory(
    request: &SyncRequest<'_>,
    project: &ProjectName,
    given: Option<&CodexPath>,
) -> Result<CodexPath, FormerDirectoryError> {
    let recorded = recorded_directories(request, project);
    let directory = match (given, recorded.as_slice()) {
        (Some(given), _) => given.clone(),
        (None, [directory]) => directory.clone(),
        (None, []) => default_directory(project),
        (None, _) => {
            return Err(FormerDirectoryError::Ambiguous {
                project: project.clone(),
                directories: recorded,
            });
        }
    };

    if let Some(configured) = request.workspace.project(project.as_str())
        && (recorded.is_empty() && given.is_none() || configured.to == directory)
    {
        return Err(FormerDirectoryError::StillConfigured {
            project: project.clone(),
            directory: configured.to.clone(),
        });
    }
    check_former(request, &directory)?;
    Ok(directory)
}

/// The directories that syncs of this workspace have recorded for `project` and that no project of
/// the configuration has.
fn recorded_directories(request: &SyncRequest<'_>, project: &ProjectName) -> Vec<CodexPath> {
    let sync_branch = request.workspace.push_branches.of(project);
    let state = State::of(request.workspace, sync_branch.as_deref());
    let known = request.workspace.projects.iter().map(|one| &one.to);
    let others = state.others(known).into_iter();
    let named = others.filter(|recorded| recorded.name == project.as_str());
    let directories: BTreeSet<_> = named
        .filter_map(|recorded| CodexPath::new(&recorded.to).ok())
        .collect();
    directories.into_iter().collect()
}

/// The directory of a project whose configuration does not set `to`.
pub(super) fn default_directory(project: &ProjectName) -> CodexPath {
    let values = [("project", Some(project.as_str()))];
    let filled = template::fill(derived("project_to"), &values);
    let path = filled
        .ok()
        .and_then(|path| CodexPath::new(path.as_bytes()).ok());
    path.unwrap_or_else(|| unreachable!("the default of `to` has only the name of the project"))
}

/// Checks that no project of the configuration has the directory, has one in it, or has one that
/// contains it, on any file system.
pub(super) fn check_overlap(
    request: &SyncRequest<'_>,
    directory: &CodexPath,
) -> Result<(), FormerDirectoryError> {
    check(request, directory, is_within)
}

/// The same for a directory that the codex has, which distinguishes case: after a rename from `Web` to
/// `web`, `projects/Web` is not the directory of a project.
pub(super) fn check_former(
    request: &SyncRequest<'_>,
    directory: &CodexPath,
) -> Result<(), FormerDirectoryError> {
    check(request, directory, is_exactly_within)
}

/// Compares a directory with those of the configuration. `is_within` returns whether a directory is
/// another one or below it.
fn check(
    request: &SyncRequest<'_>,
    directory: &CodexPath,
    is_within: impl Fn(&CodexPath, &CodexPath) -> bool,
) -> Result<(), FormerDirectoryError> {
    let overlap = |other| is_within(other, directory) || is_within(directory, other);
    let mut projects = request.workspace.projects.iter();
    match projects.find(|project| overlap(&project.to)) {
        Some(project) => Err(FormerDirectoryError::Overlaps {
            directory: directory.clone(),
            project: project.name.clone(),
            to: project.to.clone(),
        }),
        None => Ok(()),
    }
}

/// Whether `inner` is `outer` or a path below it in the codex, which distinguishes case.
fn is_exactly_within(inner: &CodexPath, outer: &CodexPath) -> bool {
    let rest = inner.as_bstr().strip_prefix(outer.as_bstr().as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Whether `inner` is `outer` or a path below it, on some file system.
fn is_within(inner: &CodexPath, outer: &CodexPath) -> bool {
    let outer = outer.folded_directory();
    inner.folded_directory().starts_with(&outer)
}

/// Whether one of the two directories is below the other.
pub(super) fn is_nested(one: &CodexPath, other: &CodexPath) -> bool {
    is_within(one, other) != is_within(other, one)
}
