//! Reads a project's claimed files and gives each the id that git would give it. No repository is needed.
//!
//! Promises: a missing or unreadable root is an error and never an empty
//! project; a file that changes while it is read is an error; nothing outside the root is ever opened, for every file
//! is opened relative to a handle of the root that refuses to leave it, whatever links are planted meanwhile.

mod read;
mod stat_cache;
mod useless_patterns;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};
use rayon::prelude::*;

use crate::event::Counter;
use crate::interrupt::{Interrupt, Interrupted};
use crate::object::{Mode, ObjectId};
use crate::paths::{escaped, folded, shown};
use crate::workspace::Project;

use walk::Walked;

pub use read::SourceRoot;
pub use stat_cache::{StatCache, StatCachePolicy};
pub use useless_patterns::{UselessPattern, useless_patterns};

/// What a project has to publish, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By destination below the project's `to`.
    pub files: BTreeMap<BString, SourceFile>,
    /// Matched but not taken; the codex's copies stay as they are.
    pub skipped: Vec<Skipped>,
    /// The rules of the project's claims that match no file.
    pub unmatched: Vec<usize>,
}

/// The matching files of a project, counted without reading them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The number of files that would be published.
    pub files: usize,
    /// The rules of the project's claims that match no file.
    pub unmatched: Vec<usize>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path below the root.
    pub source: BString,
    /// The id of its contents.
    pub id: ObjectId,
    /// File, executable or (preserved) link.
    pub mode: Mode,
    /// Bytes.
    pub size: u64,
}

/// A path that a pattern matched and that cannot be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its path below the root: a file, or a directory with all below it.
    pub source: BString,
    /// Why.
    pub reason: SkipReason,
}

/// Why a path is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// Larger than `max_file_size`.
    #[error("{size} bytes is more than `max_file_size` ({limit})")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A link to somewhere else.
    #[error("the link leads out of the project's root")]
    LeavesRoot,
    /// A link to nothing.
    #[error("the link leads to nothing")]
    Dangling,
    /// A link to a directory that contains it.
    #[error("the link leads back to a directory that holds it")]
    Loop,
    /// A link to what is never a source.
    #[error("the link leads to what is never published")]
    NeverASource,
    /// Links are left out (`symlinks: skip`).
    #[error("links are left out (`sync.symlinks: skip`)")]
    Link,
    /// A link that may lead to a directory with matching files.
    #[error("the link is not followed (`sync.symlinks`)")]
    NotFollowed,
    /// A link to a directory that is published as a link (`symlinks: preserve`), while another rule claims files below it.
    #[error("the link is preserved and not followed (`sync.symlinks`)")]
    Preserved,
    /// A socket, pipe or device.
    #[error("not a regular file")]
    Special,
    /// A name that no tree of git may hold.
    #[error("{0}")]
    Name(#[from] crate::paths::InvalidPath),
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = escaped(&self.source);
        match self.reason {
            SkipReason::Preserved => write!(f, "files below `{source}` are not published")?,
            _ => write!(f, "`{source}` is not published")?,
        }
        write!(f, ": {}", self.reason)
    }
}

impl SkipReason {
    /// Whether matching files may be below the path: it may be, or may lead to, a directory.
    pub fn may_hide_files(&self) -> bool {
        match self {
            Self::LeavesRoot
            | Self::Dangling
            | Self::Loop
            | Self::NeverASource
            | Self::Link
            | Self::NotFollowed
            | Self::Preserved => true,
            Self::TooLarge { .. } | Self::Special | Self::Name(_) => false,
        }
    }
}

/// Why a project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The root is not there or cannot be opened.
    #[error("the root `{}` cannot be read", shown(root))]
    Root {
        /// The directory.
        root: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file or directory that should be read cannot be.
    #[error("cannot read `{}`", escaped(path))]
    Read {
        /// Below the root.
        path: BString,
        /// The cause.
        source: io::Error,
    },
    /// A `.gitignore` or `.git/info/exclude` that is a pipe, socket or device.
    #[error(
        "cannot read the ignore rules: `{}` is not a regular file",
        shown(path)
    )]
    IgnoreFile {
        /// The ignore file.
        path: PathBuf,
    },
    /// A file that was written while it was read.
    #[error("`{}` changed while it was being read", escaped(path))]
    Changed {
        /// Below the root.
        path: BString,
    },
    /// Two files for one place.
    #[error("{0}")]
    Collision(Box<Collision>),
    /// Somebody asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Two source files for one place in the codex.
#[derive(Debug, PartialEq, Eq)]
pub struct Collision {
    /// Source and pattern.
    pub first: (BString, String),
    /// Source and pattern.
    pub second: (BString, String),
    /// The place, as the second one spells it.
    pub destination: BString,
    /// How the places clash.
    pub clash: Clash,
}

/// How two places in the codex clash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clash {
    /// They are one.
    Same,
    /// They differ only in case or Unicode form.
    Spelling,
    /// One would be a file where the other needs a directory.
    Nested,
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = [&self.first, &self.second];
        write!(f, "`{}` (pattern `{}`) and ", escaped(&first.0), first.1)?;
        write!(
            f,
            "`{}` (pattern `{}`) would both become ",
            escaped(&second.0),
            second.1
        )?;
        write!(f, "`{}` in the codex", escaped(&self.destination))?;
        f.write_str(match self.clash {
            Clash::Same => "",
            Clash::Spelling => ", where they differ only in case or Unicode form",
            Clash::Nested => ", as a file and as a directory",
        })
    }
}

/// A file found by the walk: where it goes and which pattern says so.
struct Found {
    source: BString,
    /// Destination below the project's place, and pattern.
    claims: Vec<(BString, usize)>,
}

/// Scans one project: walk, match, read, hash. Files are read in parallel; the result does not depend on how.
#[tracing::instrument(level = "debug", name = "scan", skip_all, fields(project = %project.name, files))]
pub fn scan(
    project: &Project,
    caches: &StatCachePolicy,
    interrupt: &Interrupt,
    progress: &Counter<'_>,
) -> Result<Snapshot, ScanError> {
    let root = SourceRoot::open(project)?;
    let cache = StatCache::open(caches, root.path());
    let Walked {
        found,
        mut skipped,
        unmatched,
    } = walk::walk(project, root.path())?;
    let read: Vec<_> = found
        .into_par_iter()
        .map(|file| {
            interrupt.check()?;
            let content = root.hash(file.source.as_bstr(), &project.scan, &cache)?;
            progress.file();
            Ok((file, content))
        })
        .collect::<Result<_, ScanError>>()?;
    cache.save(root.path());
    let mut taken = Vec::with_capacity(read.len());
    for (file, content) in read {
        match content {
            Ok(content) => taken.push((file, content)),
            Err(reason) => skipped.push(Skipped {
                source: file.source,
                reason,
            }),
        }
    }
    check_collisions(project, taken.iter().map(|(file, _)| file))?;
    let mut files = Vec::with_capacity(taken.len());
    for (file, (id, mode, size)) in taken {
        let destinations = file.claims.into_iter().map(|(destination, _)| destination);
        files.extend(destinations.map(|to| {
            (
                to,
                SourceFile {
                    source: file.source.clone(),
                    id,
                    mode,
                    size,
                },
            )
        }));
    }
    // Built in one go, a map's nodes are full; grown in order, they are half empty.
    let files: BTreeMap<_, _> = files.into_iter().collect();
    skipped.sort_by(|a, b| a.source.cmp(&b.source));
    tracing::Span::current().record("files", files.len());
    Ok(Snapshot {
        files,
        skipped,
        unmatched,
    })
}

/// Counts the files of a project that would be published, without reading them.
pub fn count(project: &Project) -> Result<Survey, ScanError> {
    let root = SourceRoot::open(project)?;
    let walked = walk::walk(project, root.path())?;
    Ok(Survey {
        files: walked.found.iter().map(|file| file.claims.len()).sum(),
        unmatched: walked.unmatched,
    })
}

/// Refuses two files for one place, for places that a case- or normalization-insensitive file system merges, and for
/// places of which one lies below the other.
fn check_collisions<'f>(
    project: &Project,
    taken: impl Iterator<Item = &'f Found>,
) -> Result<(), ScanError> {
    let mut seen: BTreeMap<BString, (&Found, &BString, usize)> = BTreeMap::new();
    let collision =
        |first: (&Found, usize), second: (&Found, usize), destination: &BString, clash: Clash| {
            let name = |(file, pattern): (&Found, usize)| {
                (
                    file.source.clone(),
                    project.claims.pattern(pattern).to_owned(),
                )
            };
            let (first, second) = (name(first), name(second));
            Err(ScanError::Collision(Box::new(Collision {
                first,
                second,
                destination: destination.clone(),
                clash,
            })))
        };
    for file in taken {
        for (destination, pattern) in &file.claims {
            if let Some((other, place, other_pattern)) =
                seen.insert(folded(destination), (file, destination, *pattern))
            {
                let clash = if place == destination {
                    Clash::Same
                } else {
                    Clash::Spelling
                };
                return collision((other, other_pattern), (file, *pattern), destination, clash);
            }
        }
    }
    for (place, (file, _, pattern)) in &seen {
        let above = place
            .find_iter(b"/")
            .find_map(|slash| seen.get(place[..slash].as_bstr()));
        if let Some((other, destination, other_pattern)) = above {
            return collision(
                (other, *other_pattern),
                (file, *pattern),
                destination,
                Clash::Nested,
            );
        }
    }
    Ok(())
}
