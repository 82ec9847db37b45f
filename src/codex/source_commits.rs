//! Finds commits of a source repository by revisions and by their history.

use std::cell::RefCell;

use super::objects::commit::ParsedCommit;
use super::objects::fork::fork;
use super::source_repository::{CommitError, SourceCommit, SourceRepository, branch_of, damaged};
use super::store::id_of;
use crate::object::ObjectId;
use crate::scan::{UnreadableObject, UnusableRepository};

/// A step from one commit to another in a revision.
#[derive(Debug, PartialEq, Eq)]
enum ParentStep {
    /// `^N`: the parent of this number, from 1.
    Parent(usize),
    /// `~N`: so many times the first parent.
    Ancestor(usize),
}

impl SourceRepository {
    /// The commit that `revision` names.
    pub(crate) fn commit(&self, revision: &str) -> Result<SourceCommit, UnusableRepository> {
        let git = self.git();
        self.find_commit(&git, revision)
            .map_err(|error| match error {
                CommitError::Unknown => UnusableRepository::UnknownRevision(revision.to_owned()),
                CommitError::Unreadable(error) => {
                    let error = git2::Error::from_str(&error.to_string());
                    UnusableRepository::Unreadable(self.unreadable(&git, &error).to_string())
                }
            })
    }

    /// The commit that `revision` names, with the branch if it is the name of one.
    pub(super) fn find_commit(
        &self,
        git: &git2::Repository,
        revision: &str,
    ) -> Result<SourceCommit, CommitError> {
        let end = revision.find(['~', '^']).unwrap_or(revision.len());
        let (name, suffix) = revision.split_at(end);
        let is_plain = !name.contains([':', '{']);
        let named = is_plain.then(|| self.named(git, name)).flatten();
        let (Some((id, branch)), Some(steps)) = (named, steps(suffix)) else {
            return self.find_by_libgit2(git, revision);
        };

        let missing = |error| match error {
            CommitError::Unreadable(UnreadableObject::Missing(_)) => CommitError::Unknown,
            error => error,
        };
        let (mut id, mut commit) = self.peeled(id).map_err(missing)?;
        for step in steps {
            let (number, count) = match step {
                ParentStep::Parent(number) => (number, 1),
                ParentStep::Ancestor(count) => (1, count),
            };
            for _ in 0..count {
                let parent = commit.parents.get(number - 1).ok_or(CommitError::Unknown)?;
                (id, commit) = self.peeled(*parent).map_err(missing)?;
            }
        }
        Ok(SourceCommit {
            id,
            tree: commit.tree,
            branch: branch.filter(|_| suffix.is_empty()),
        })
    }

    /// The object with this id, ref or abbreviated id, in git's order.
    fn named(&self, git: &git2::Repository, name: &str) -> Option<(ObjectId, Option<String>)> {
        if let Some(id) = ObjectId::from_hex(name) {
            return Some((id, None));
        }
        let name = if name == "@" { "HEAD" } else { name };
        let reference = git.resolve_reference_from_short_name(name);
        match reference.and_then(|reference| reference.resolve()) {
            Ok(reference) => Some((id_of(reference.target()?), branch_of(&reference))),
            Err(_) => Some((self.object_by_prefix(name)?, None)),
        }
    }

    /// Finds a commit by a revision in a form that only libgit2 knows, such as `@{upstream}`. It never
    /// returns from reading a loose object whose file ends early, so all of them are read before.
    fn find_by_libgit2(
        &self,
        git: &git2::Repository,
        revision: &str,
    ) -> Result<SourceCommit, CommitError> {
        if let Some(id) = self.loose_objects().find_damaged() {
            let error = damaged(id, &"its file is incomplete or corrupt");
            return Err(CommitError::Unreadable(error));
        }
        let found = git.revparse_ext(revision);
        let (object, reference) = found.map_err(|_| CommitError::Unknown)?;
        let commit = object.peel_to_commit().map_err(|_| CommitError::Unknown)?;
        Ok(SourceCommit {
            id: id_of(commit.id()),
            tree: id_of(commit.tree_id()),
            branch: reference.as_ref().and_then(branch_of),
        })
    }

    /// The nearest commit that the histories of two commits share; `None` if the repository does not
    /// have it.
    pub(super) fn common_ancestor(
        &self,
        first: &SourceCommit,
        second: &SourceCommit,
    ) -> Result<Option<SourceCommit>, CommitError> {
        let unreadable = RefCell::new(None);
        let read = |id| match self.commit_data(id) {
            Ok(data) => ParsedCommit::parse(&data).map(|commit| (commit.time, commit.parents)),
            // Beyond the boundary of a shallow clone.
            Err(UnreadableObject::Missing(_)) => None,
            Err(error) => {
                unreadable.borrow_mut().get_or_insert(error);
                None
            }
        };
        let fork = fork(first.id, second.id, &read);
        if let Some(error) = unreadable.take() {
            return Err(CommitError::Unreadable(error));
        }
        let Some(id) = fork.ancestors.first() else {
            return Ok(None);
        };
        let (id, commit) = self.peeled(*id)?;
        Ok(Some(SourceCommit {
            id,
            tree: commit.tree,
            branch: None,
        }))
    }
}

/// Parses what follows a name in a revision: `~`, `~N`, `^`, `^N`, `^0`, `^{}` and `^{commit}`; `None`
/// for any other form.
fn steps(suffix: &str) -> Option<Vec<ParentStep>> {
    let mut steps = Vec::new();
    let mut rest = suffix;
    while !rest.is_empty() {
        if let Some(after) = ["^{}", "^{commit}"]
            .iter()
            .find_map(|peel| rest.strip_prefix(peel))
        {
            rest = after;
            continue;
        }
        let (symbol, after) = rest.split_at(1);
        let end = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (digits, after) = after.split_at(end);
        let number = match digits {
            "" => 1,
            digits => digits.parse().ok()?,
        };
        match symbol {
            "~" => steps.push(ParentStep::Ancestor(number)),
            "^" if number == 0 => {}
            "^" => steps.push(ParentStep::Parent(number)),
            _ => return None,
        }
        rest = after;
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_of_revisions_are_those_of_git() {
        use ParentStep::{Ancestor, Parent};
        for (suffix, expected) in [
            ("", Some(vec![])),
            ("~", Some(vec![Ancestor(1)])),
            ("~3^2", Some(vec![Ancestor(3), Parent(2)])),
            ("^^0^{commit}~0", Some(vec![Parent(1), Ancestor(0)])),
            ("^{}", Some(vec![])),
            ("^{tree}", None),
            ("^{/fix}", None),
            ("~9999999999999999999999", None),
            ("^-1", None),
        ] {
            assert_eq!(steps(suffix), expected, "{suffix}");
        }
    }
}
