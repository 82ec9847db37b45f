//! The files of a plan that differ from the commit of their repository.

use std::fmt;

use bstr::BString;

use crate::object::ObjectId;
use crate::paths::escaped;
use crate::text::pluralize;

/// The files of a plan that differ from the commit that is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UncommittedFiles {
    /// The commit that is checked out; `None` in a repository without commits.
    pub commit: Option<ObjectId>,
    /// Files with other contents or another mode, below the project's root.
    pub modified: Vec<BString>,
    /// Files that the commit does not have.
    pub added: Vec<BString>,
    /// Files of the commit that no longer exist on disk.
    pub deleted: Vec<BString>,
}

impl UncommittedFiles {
    /// The greatest number of names in a message, for each kind.
    const NAMED: usize = 3;

    /// No files yet, for a comparison with `commit`.
    pub(crate) fn none(commit: Option<ObjectId>) -> Self {
        Self {
            commit,
            modified: Vec::new(),
            added: Vec::new(),
            deleted: Vec::new(),
        }
    }

    /// The number of files.
    pub fn count(&self) -> usize {
        self.modified.len() + self.added.len() + self.deleted.len()
    }
}

impl fmt::Display for UncommittedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_one = self.count() == 1;
        let verb = if is_one { "differs" } else { "differ" };
        let files = pluralize(self.count(), "file");
        write!(f, "{files} {verb} from ")?;
        match self.commit {
            Some(commit) => write!(f, "the commit {}", commit.short())?,
            None => f.write_str("the source repository, which has no commit yet")?,
        }

        let kinds = [
            (&self.modified, "modified"),
            (&self.added, "not committed"),
            (&self.deleted, "deleted"),
        ];
        let mut separator = ": ";
        for (files, kind) in kinds.into_iter().filter(|(files, _)| !files.is_empty()) {
            write!(f, "{separator}{} {kind} (", files.len())?;
            let mut comma = "";
            for file in files.iter().take(Self::NAMED) {
                write!(f, "{comma}`{}`", escaped(file))?;
                comma = ", ";
            }
            f.write_str(if files.len() > Self::NAMED {
                ", …)"
            } else {
                ")"
            })?;
            separator = ", ";
        }
        Ok(())
    }
}
