//! Rejects source files whose paths in the codex cannot exist at the same time.

use std::collections::BTreeMap;
use std::fmt;

use bstr::{BString, ByteSlice};

use super::claimed_file::ClaimedFile;
use crate::paths::{escaped, folded};
use crate::workspace::Project;
use crate::workspace::claims::Claim;

/// Two source files whose paths in the codex clash.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collision {
    /// The path of one file, below the root, and the pattern that claims it.
    pub first: (BString, String),
    /// The path of the other file, below the root, and the pattern that claims it.
    pub second: (BString, String),
    /// The path in the codex, below the project's `to`. If the paths differ, it is that of the
    /// second file, or the one that would be a file and a directory.
    pub destination: BString,
    /// The kind of the clash.
    pub clash: Clash,
}

/// The kind of a clash between two paths in the codex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clash {
    /// The paths are equal.
    Same,
    /// The paths differ only in case or Unicode form, so that some file systems treat them as
    /// equal.
    Spelling,
    /// One path is a directory of the other.
    Nested,
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, first_pattern) = &self.first;
        let (second, second_pattern) = &self.second;
        write!(f, "`{}` (pattern `{first_pattern}`) and ", escaped(first))?;
        write!(f, "`{}` (pattern `{second_pattern}`) ", escaped(second))?;
        let destination = escaped(&self.destination);
        write!(f, "would both become `{destination}` in the codex")?;
        f.write_str(match self.clash {
            Clash::Same => "",
            Clash::Spelling => ", where they differ only in case or Unicode form",
            Clash::Nested => ", as a file and as a directory",
        })
    }
}

/// Returns the first clash among the destinations of `files`.
pub(super) fn check_collisions<'f>(
    project: &Project,
    files: impl Iterator<Item = &'f ClaimedFile>,
) -> Result<(), Box<Collision>> {
    let source = |(file, claim): (&ClaimedFile, &Claim)| {
        let pattern = project.claims.pattern(claim.pattern);
        (file.source.clone(), pattern.to_owned())
    };

    let mut seen: BTreeMap<BString, (&ClaimedFile, &Claim)> = BTreeMap::new();
    for file in files {
        for claim in &file.claims {
            let Some(earlier) = seen.insert(folded(&claim.destination), (file, claim)) else {
                continue;
            };
            let is_same = earlier.1.destination == claim.destination;
            return Err(Box::new(Collision {
                first: source(earlier),
                second: source((file, claim)),
                destination: claim.destination.clone().into(),
                clash: if is_same {
                    Clash::Same
                } else {
                    Clash::Spelling
                },
            }));
        }
    }

    for (path, below) in &seen {
        let above = path
            .find_iter(b"/")
            .find_map(|slash| seen.get(path[..slash].as_bstr()));
        if let Some(above) = above {
            return Err(Box::new(Collision {
                first: source(*above),
                second: source(*below),
                destination: above.1.destination.clone().into(),
                clash: Clash::Nested,
            }));
        }
    }
    Ok(())
}
