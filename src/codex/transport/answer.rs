//! Reads what a remote lists: names with the value of each, as `git ls-remote --symref` prints them.

use super::bound::Bound;
use super::{FIRST_BRANCH, RemoteRefs};
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::object::ObjectId;

/// Names with their values: an id, or `ref: NAME`.
pub(in crate::codex) type Lines = [(String, String)];

impl Bound {
    /// The branch in an answer; `None` if it is not there.
    pub(in crate::codex) fn find(
        &self,
        lines: &Lines,
        branch: Option<&str>,
    ) -> Result<Option<RemoteRefs>, RemoteError> {
        let head = self.head(lines)?;
        let found = match branch {
            Some(branch) => {
                let name = format!("refs/heads/{branch}");
                let hex = lines
                    .iter()
                    .find(|(line, value)| *line == name && !value.starts_with("ref: "));
                hex.map(|(_, hex)| self.id(hex))
                    .transpose()?
                    .map(|tip| (branch.to_owned(), tip))
            }
            None => head.clone(),
        };
        Ok(found.map(|(branch, tip)| RemoteRefs {
            branch,
            tip: Some(tip),
            head,
            is_empty: false,
        }))
    }

    /// The branch in an answer that holds every branch, there or not.
    pub(in crate::codex) fn refs_in(
        &self,
        lines: &Lines,
        branch: Option<&str>,
    ) -> Result<RemoteRefs, RemoteError> {
        self.find(lines, branch)?
            .map_or_else(|| self.not_found(lines, branch), Ok)
    }

    /// What it means that the branch is not in an answer that holds every branch. Where none was asked for and HEAD leads
    /// to none, it is the one that a sync makes in an empty remote, whatever name its HEAD was given.
    fn not_found(&self, lines: &Lines, branch: Option<&str>) -> Result<RemoteRefs, RemoteError> {
        let is_empty = lines.is_empty();
        let branch = match branch {
            Some(branch) => branch.to_owned(),
            None if is_empty => FIRST_BRANCH.to_owned(),
            None => {
                if let Some(refs) = self.find(lines, Some(FIRST_BRANCH))? {
                    return Ok(refs);
                }
                let detail = "its HEAD leads to no branch".to_owned();
                return Err(self.error(RemoteErrorKind::BranchMissing, vec![detail]));
            }
        };
        Ok(RemoteRefs {
            branch,
            tip: None,
            head: self.head(lines)?,
            is_empty,
        })
    }

    /// The branch that HEAD names, with its tip, where it exists.
    fn head(&self, lines: &Lines) -> Result<Option<(String, ObjectId)>, RemoteError> {
        let mut values = lines
            .iter()
            .filter(|(name, _)| name == "HEAD")
            .map(|(_, value)| value.as_str());
        // What comes from a server is a name only if git would take it as one.
        let named = |value: &&str| {
            value
                .strip_prefix("ref: ")
                .is_some_and(git2::Reference::is_valid_name)
        };
        let target = values
            .clone()
            .filter(named)
            .find_map(|value| value.strip_prefix("ref: refs/heads/"));
        let id = values
            .find(|value| !value.starts_with("ref: "))
            .map(|hex| self.id(hex))
            .transpose()?;
        Ok(target.map(str::to_owned).zip(id))
    }

    fn id(&self, hex: &str) -> Result<ObjectId, RemoteError> {
        ObjectId::from_hex(hex).ok_or_else(|| {
            let (kind, detail) = if hex.len() == 64 {
                (RemoteErrorKind::ObjectFormat, SHA_256)
            } else {
                (RemoteErrorKind::Other, "it sent an invalid object id")
            };
            self.error(kind, vec![detail.to_owned()])
        })
    }
}

/// The detail of a response that git does not send.
pub(in crate::codex) const NOT_GIT: &str = "its answer is not valid: is this a git repository?";

/// What is said of a remote that stores other objects than ours.
pub(in crate::codex) const SHA_256: &str = "it stores SHA-256 objects, which are not supported yet";
