//! Finds branches in the refs that a remote lists.

use std::collections::BTreeMap;

use super::context::RemoteContext;
use super::transport::{Branches, FIRST_BRANCH, RemoteRefs};
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::object::ObjectId;

/// Names of refs with their values, as `git ls-remote --symref` prints them: an id, or `ref: NAME`.
pub(in crate::codex) type Refs = Vec<(String, String)>;

/// A list of [`Refs`] that is only read.
pub(in crate::codex) type RefLines = [(String, String)];

/// The refs that are requested from a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codex) enum WantedRefs<'b> {
    /// HEAD, the synced branch (if one is named), and the other branches.
    Some(Option<&'b str>, &'b [String]),
    /// HEAD and all branches.
    AllBranches,
}

impl WantedRefs<'_> {
    /// The prefixes of these refs.
    pub(in crate::codex) fn prefixes(self) -> Vec<String> {
        let named = match self {
            Self::Some(synced, others) => names(synced, others),
            Self::AllBranches => vec!["refs/heads/".to_owned()],
        };
        ["HEAD".to_owned()].into_iter().chain(named).collect()
    }
}

/// The full names of branches.
pub(in crate::codex) fn names(synced: Option<&str>, others: &[String]) -> Vec<String> {
    let others = others.iter().map(String::as_str);
    synced
        .into_iter()
        .chain(others)
        .map(|branch| format!("refs/heads/{branch}"))
        .collect()
}

impl RemoteContext {
    /// Finds `branches` with `list`, which asks the remote.
    ///
    /// Most often the first list contains it. If not, there is no such branch or no branch at all,
    /// and one list of all branches decides by itself: between two lists, another client may create
    /// the first branch.
    pub(in crate::codex) fn find_branches<E: From<RemoteError>>(
        &self,
        branches: Branches<'_>,
        mut list: impl FnMut(WantedRefs<'_>) -> Result<Refs, E>,
    ) -> Result<RemoteRefs, E> {
        let Branches { synced, others } = branches;
        let lines = list(WantedRefs::Some(synced, others))?;
        let (lines, mut refs) = match self.find(&lines, synced)? {
            Some(refs) => (lines, refs),
            None => {
                let lines = list(WantedRefs::AllBranches)?;
                let refs = self.refs_in(&lines, synced)?;
                (lines, refs)
            }
        };
        for branch in others {
            if let Some(tip) = self.tip_in(&lines, branch)? {
                refs.others.insert(branch.clone(), tip);
            }
        }
        Ok(refs)
    }

    /// The tip of `branch` in the list `lines`; `None` if the list lacks the branch.
    fn tip_in(&self, lines: &RefLines, branch: &str) -> Result<Option<ObjectId>, RemoteError> {
        let name = format!("refs/heads/{branch}");
        let hex = lines
            .iter()
            .find(|(line, value)| *line == name && !value.starts_with("ref: "));
        hex.map(|(_, hex)| self.id(hex)).transpose()
    }

    /// The refs that the list `lines` gives for `branch`, or for the branch of HEAD without one;
    /// `None` if the list lacks the branch.
    fn find(
        &self,
        lines: &RefLines,
        branch: Option<&str>,
    ) -> Result<Option<RemoteRefs>, RemoteError> {
        let head = self.head(lines)?;
        let found = match branch {
            Some(branch) => self
                .tip_in(lines, branch)?
                .map(|tip| (branch.to_owned(), tip)),
            None => head.clone(),
        };
        Ok(found.map(|(branch, tip)| RemoteRefs {
            branch,
            tip: Some(tip),
            head,
            is_empty: false,
            existing: Vec::new(),
            others: BTreeMap::new(),
        }))
    }

    /// The branch in a list of all branches, whether it exists or not.
    fn refs_in(&self, lines: &RefLines, branch: Option<&str>) -> Result<RemoteRefs, RemoteError> {
        self.find(lines, branch)?
            .map_or_else(|| self.not_found(lines, branch), Ok)
    }

    /// Handles a missing branch, given a list of all branches. If no branch was requested and HEAD
    /// is unborn, falls back to [`FIRST_BRANCH`].
    fn not_found(&self, lines: &RefLines, branch: Option<&str>) -> Result<RemoteRefs, RemoteError> {
        if branch.is_none()
            && let Some(refs) = self.find(lines, Some(FIRST_BRANCH))?
        {
            return Ok(refs);
        }
        let names = lines.iter().map(|(name, _)| name.as_str());
        let existing = names.filter_map(|name| name.strip_prefix("refs/heads/"));
        Ok(RemoteRefs {
            branch: branch.unwrap_or(FIRST_BRANCH).to_owned(),
            tip: None,
            head: self.head(lines)?,
            is_empty: lines.is_empty(),
            existing: existing.map(str::to_owned).collect(),
            others: BTreeMap::new(),
        })
    }

    /// The branch that HEAD points to and its tip, if the branch exists.
    fn head(&self, lines: &RefLines) -> Result<Option<(String, ObjectId)>, RemoteError> {
        let mut values = lines
            .iter()
            .filter(|(name, _)| name == "HEAD")
            .map(|(_, value)| value.as_str());
        // The server's text is used only if git would accept it as the name of a ref.
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

/// The detail of an error about a response that git would not send.
pub(in crate::codex) const NOT_GIT: &str = "its response is not valid: is this a git repository?";

/// The detail of an error about a remote that stores objects of another format.
pub(in crate::codex) const SHA_256: &str = "it stores SHA-256 objects, which are not supported yet";
