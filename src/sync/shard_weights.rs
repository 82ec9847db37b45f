//! The numbers of files of projects, by which they are divided among shards. Every runner must compute
//! the same, so they depend on the commits that are checked out, and not on files that only one runner
//! has built or on recorded state.

use rayon::prelude::*;

use super::sources::Sources;
use crate::codex::source_repository::SourceRepository;
use crate::platform::bytes_of;
use crate::workspace::Project;

/// Returns the number of files of each project: those that git tracks, or those on disk outside of git
/// repositories. It is 0 if the files cannot be read.
pub(crate) fn file_counts(sources: &Sources, projects: &[&Project]) -> Vec<u64> {
    let repositories: Vec<_> = projects
        .par_iter()
        .map(|project| sources.repository_of(&project.root))
        .collect();
    projects
        .par_iter()
        .zip(repositories)
        .map(|(project, repository)| match repository {
            Ok(Some(repository)) => tracked_files(project, &repository).unwrap_or(0),
            Ok(None) => sources
                .count(project)
                .map_or(0, |survey| survey.files as u64),
            Err(_) => 0,
        })
        .collect()
}

/// The number of published files that git tracks below the root of a project.
fn tracked_files(project: &Project, repository: &SourceRepository) -> Option<u64> {
    let directory = repository.directory()?;
    let index = repository.index().ok()?;
    let below = bytes_of(project.resolved_root.strip_prefix(directory).ok()?);
    let start = match below.is_empty() {
        true => 0,
        false => below.len() + 1,
    };
    let published = index.below(&below).filter(|tracked| {
        let source = &tracked.path[start..];
        !project.claims.matching(source).is_empty()
    });
    Some(published.count() as u64)
}
