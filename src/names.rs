//! The rules for names: of projects, as used in commits, in `projects/NAME/` and on the command
//! line, of branches, and of repositories on a forge.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use crate::paths::{CodexPath, InvalidPath};

/// A valid project name: 1 to 100 of letters, digits, `.`, `_` and `-`, starting with a letter or
/// digit.
///
/// This makes every name a single path segment without special meaning on any platform; `.`, `..`
/// and `.git` are excluded.
///
/// ```
/// use fractary_codex::names::ProjectName;
///
/// assert!("billing-api".parse::<ProjectName>().is_ok());
/// assert!("../billing".parse::<ProjectName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectName(Arc<str>);

/// The error for a text that is not a valid project name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` is not a project name: 1 to 100 letters, digits, `.`, `_` or `-`, starting with a letter or digit", crate::paths::escaped(.0.as_bytes()))]
pub struct InvalidProjectName(String);

impl ProjectName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectName {
    type Err = InvalidProjectName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if starts_well && text.len() <= 100 && text.chars().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidProjectName(text.to_owned()))
        }
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` is the short name of a branch by git's rules, without control characters.
pub fn is_branch_name(text: &str) -> bool {
    let reference = format!("refs/heads/{text}");
    let is_reserved = text.starts_with('-') || ["@", "HEAD"].contains(&text);
    !is_reserved
        && !text.contains(char::is_control)
        && gix_validate::reference::name(reference.as_str().into()).is_ok()
}

/// Whether `name` can be the owner of a repository on a forge.
pub(crate) fn is_owner(name: &str) -> bool {
    !name.contains('/') && is_repository_name(&format!("{name}/x"))
}

/// Whether `name` is the name of a repository on a forge: an owner, whose groups can be nested, and a
/// name. All characters can be in a path of the forge's API.
pub(crate) fn is_repository_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let segments: Vec<_> = name.split('/').collect();
    segments.len() >= 2
        && segments.iter().all(|segment| {
            !segment.is_empty() && !matches!(*segment, "." | "..") && segment.chars().all(allowed)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_repository_has_an_owner() {
        for good in ["acme/codex", "group/sub/codex.acme.com", "a_b/c-d"] {
            assert!(is_repository_name(good), "{good}");
        }
        for bad in [
            "codex", "acme/", "/codex", "a/../b", "a/b?c", "a//b", "a/b c",
        ] {
            assert!(!is_repository_name(bad), "{bad}");
        }
    }

    #[test]
    fn name_is_a_single_path_segment() {
        for good in [
            "a",
            "billing-api",
            "codex.acme.com",
            "0x10",
            "A_b",
            &"x".repeat(100),
        ] {
            assert!(good.parse::<ProjectName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".git",
            "-x",
            "_x",
            "a/b",
            "a\\b",
            "a b",
            "p$(touch x)",
            "é",
            &"x".repeat(101),
        ] {
            assert!(bad.parse::<ProjectName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn branch_names_are_those_of_git() {
        for good in ["main", "release/1.10", "a.b", "x@y", "ü", "refs/x"] {
            assert!(is_branch_name(good), "{good}");
        }
        for bad in [
            "", "-x", "@", "HEAD", "a b", "a..b", "a/.b", "a//b", "/a", "a/", "a.lock", "a.",
            "a@{b", "a:b", "a^", "a~", "a?", "a*", "a[", "a\\b", "a\nb",
        ] {
            assert!(!is_branch_name(bad), "{bad}");
        }
    }
}
