//! Reads a project's claimed files and gives each the id that git would give it. No repository is
//! needed, except for files that are published as they were [committed].
//!
//! A missing or unreadable root is an error and never an empty project. A file that changes while
//! it is read is an error. Nothing outside the root is opened: every file is opened relative to a
//! handle of the root that does not leave it, so that links which are created in the meantime
//! have no effect.

mod boundary;
mod claimed_file;
mod collision;
mod committed;
mod committed_links;
mod committed_tree;
mod entry_rules;
mod error;
mod links;
mod read;
mod snapshot;
mod snapshot_cache;
mod stat_cache;
mod useless_patterns;
mod walk;

use std::collections::BTreeMap;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use rayon::prelude::*;

use collision::check_collisions;
use committed::{CommittedRoot, CommittedWalk};
use entry_rules::Walked;
use read::Content;
use snapshot_cache::SnapshotCache;

use crate::event::Counter;
use crate::interrupt::Interrupt;
use crate::platform::bytes_of;
use crate::workspace::Project;

pub use collision::{Clash, Collision};
pub(crate) use committed::contents as committed_contents;
pub(crate) use committed_links::{CommittedLinks, Located};
pub use committed_tree::UnreadableObject;
pub(crate) use committed_tree::{CommittedEntry, CommittedTree, EntriesByName, SourceObjects};

pub use error::{ScanError, UnusableRepository};
pub(crate) use read::SourceRoot;
pub use snapshot::{SkipReason, Skipped, Snapshot, SourceFile, Survey};
pub use stat_cache::{StatCache, StatCachePolicy};
pub(crate) use useless_patterns::useless_patterns;

/// Scans one project. Files are read in parallel, and the result does not depend on the number of
/// threads.
#[tracing::instrument(level = "debug", name = "scan", skip_all, fields(project = %project.name, files))]
pub fn scan(
    project: &Project,
    caches: &StatCachePolicy,
    interrupt: &Interrupt,
    progress: &Counter<'_>,
) -> Result<Snapshot, ScanError> {
    let root = SourceRoot::open(project)?;
    let cache = StatCache::open(caches, root.path());
    let walked = walk::walk(project, root.path())?;

    let contents: Vec<_> = walked
        .files
        .par_iter()
        .map(|file| {
            interrupt.check()?;
            let content = root.hash(file.source.as_bstr(), &project.scan, &cache)?;
            progress.file();
            Ok(content)
        })
        .collect::<Result<_, ScanError>>()?;
    cache.save(root.path());
    snapshot(project, root.path(), walked, contents)
}

/// Scans the directory of one project in a commit. The ids of the files are those of the tree.
#[tracing::instrument(level = "debug", name = "scan", skip_all, fields(project = %project.name, files))]
pub(crate) fn scan_committed(
    project: &Project,
    tree: CommittedTree<'_>,
    caches: &StatCachePolicy,
    interrupt: &Interrupt,
    progress: &Counter<'_>,
) -> Result<Snapshot, ScanError> {
    let root = CommittedRoot::find(project, tree)?;
    let mut cache = SnapshotCache::open(caches, project, root.path(), root.id);
    if let Some(known) = cache.take() {
        known.files.iter().for_each(|_| progress.file());
        return Ok(Snapshot {
            own_directories: own_directories(project, root.path()),
            ..known
        });
    }

    let CommittedWalk {
        walked,
        objects,
        is_of_project_alone,
    } = root.walk(project, interrupt)?;
    let contents: Vec<_> = walked
        .files
        .par_iter()
        .zip(objects)
        .map(|(file, object)| {
            interrupt.check()?;
            let content = root.content(project, file.source.as_bstr(), object)?;
            progress.file();
            Ok(content)
        })
        .collect::<Result<_, ScanError>>()?;
    let snapshot = snapshot(project, root.path(), walked, contents)?;
    if is_of_project_alone {
        cache.save(&snapshot);
    }
    Ok(snapshot)
}

/// The snapshot of a walk. `contents` are those of its files, in the same order.
fn snapshot(
    project: &Project,
    root: &Path,
    walked: Walked,
    contents: Vec<Content>,
) -> Result<Snapshot, ScanError> {
    let mut skipped = walked.skipped;
    let mut published = Vec::with_capacity(contents.len());
    for (file, content) in walked.files.into_iter().zip(contents) {
        match content {
            Ok(content) => published.push((file, content)),
            Err(reason) => skipped.push(Skipped {
                source: file.source,
                reason,
            }),
        }
    }
    check_collisions(project, published.iter().map(|(file, _)| file))
        .map_err(ScanError::Collision)?;

    let mut files = Vec::with_capacity(published.len());
    for (file, (id, mode, size)) in published {
        for claim in file.claims {
            let source_file = SourceFile {
                source: file.source.clone(),
                id,
                mode,
                size,
            };
            files.push((claim.destination.into(), source_file));
        }
    }
    // The nodes of a map that is built in one go are full. Those of a map that grows in order are
    // half empty.
    let files: BTreeMap<_, _> = files.into_iter().collect();
    skipped.sort_by(|a, b| a.source.cmp(&b.source));
    tracing::Span::current().record("files", files.len());
    Ok(Snapshot {
        files,
        skipped,
        own_directories: own_directories(project, root),
        unmatched: walked.unmatched,
    })
}

/// The directories of the cache and of recorded state below `root`, the resolved root, that can
/// contain claimed files.
fn own_directories(project: &Project, root: &Path) -> Vec<BString> {
    let configured = project.scan.deny_list.own_directories.iter();
    configured
        .filter_map(|directory| directory.strip_prefix(root).ok())
        .map(|relative| bytes_of(relative).into_owned())
        .filter(|relative| !relative.is_empty() && project.claims.can_hold(relative))
        .collect()
}

/// Counts the files of a project that would be published, without reading them.
pub fn count(project: &Project) -> Result<Survey, ScanError> {
    let root = SourceRoot::open(project)?;
    Ok(survey(&walk::walk(project, root.path())?))
}

/// The sources of the files of a project that would be published, in path order, without reading
/// them. `root` is the resolved root.
pub(crate) fn claimed_sources(project: &Project, root: &Path) -> Result<Vec<BString>, ScanError> {
    let files = walk::walk(project, root)?.files.into_iter();
    Ok(files.map(|file| file.source).collect())
}

/// Counts the files of a project that would be published from a commit.
pub(crate) fn count_committed(
    project: &Project,
    tree: CommittedTree<'_>,
) -> Result<Survey, ScanError> {
    let root = CommittedRoot::find(project, tree)?;
    Ok(survey(&root.walk(project, &Interrupt::default())?.walked))
}

/// Whether a commit has a file, a directory or a link at the path `source` of a project.
pub(crate) fn is_committed(
    project: &Project,
    tree: CommittedTree<'_>,
    source: &BStr,
) -> Result<bool, ScanError> {
    CommittedRoot::find(project, tree)?.contains(source)
}

fn survey(walked: &Walked) -> Survey {
    Survey {
        files: walked.files.iter().map(|file| file.claims.len()).sum(),
        unmatched: walked.unmatched.clone(),
    }
}
